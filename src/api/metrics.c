/* GET /metrics: counters and gauges in Prometheus' text format. */
#include "api/handlers.h"

#include "dispatch/control.h"
#include "dispatch/metrics.h"

#include <inttypes.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void print_answers(const struct api_requests *requests, struct str *out)
{
	size_t count = sizeof(requests->answers) / sizeof(requests->answers[0]);

	metrics_head(out, "athanore_http_requests_total", "counter",
	    "Requests answered by the API, by status.");
	for (size_t status = 0; status < count; status++)
		if (requests->answers[status] > 0)
			str_printf(out,
			    "athanore_http_requests_total{status=\"%zu\"} %" PRIu64 "\n", status,
			    requests->answers[status]);
}

void api_get_metrics(struct api_request *request)
{
	struct str out = {0};

	dispatcher_metrics(api_request_dispatcher(request), &out);
	print_answers(api_request_owner(request), &out);
	api_reply_typed(request, 200, METRICS_TYPE, out.data, out.len);
	str_free(&out);
}
