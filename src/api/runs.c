/* /runs: what was run, and how it ended. */
#include "api/runs.h"

#include "api/handlers.h"
#include "api/query.h"
#include "base/clock.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT 50
#define MAX_LIMIT 200

enum { TASK_ID, QUEUE, OUTCOME, STATE, LIMIT, CURSOR };
static const char *const parameters[] = {
    "task_id", "queue", "outcome", "state", "limit", "cursor", NULL};

static bool check_limit(const char *text, size_t *limit, struct api_problem *problem)
{
	char *end;
	unsigned long number;

	*limit = DEFAULT_LIMIT;
	if (text == NULL)
		return true;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < 1 || number > MAX_LIMIT)
		return api_query_refuse(problem, "limit", "must be a number from 1 to 200");
	*limit = number;
	return true;
}

static bool make_filter(
    const struct api_query *query, struct store_filter *filter, struct api_problem *problem)
{
	char *const *values = query->values;
	enum run_outcome outcome;
	enum run_state state;
	int64_t created;

	*filter = (struct store_filter){.task_id = values[TASK_ID],
	    .queue_name = values[QUEUE],
	    .outcome = values[OUTCOME],
	    .state = values[STATE],
	    .before = values[CURSOR]};
	if (filter->outcome != NULL && !run_outcome_parse(filter->outcome, &outcome))
		return api_query_refuse(problem, "outcome", "is none that a run can have");
	if (filter->state != NULL && !run_state_parse(filter->state, &state))
		return api_query_refuse(problem, "state", "is none that a run can be in");
	if (filter->before != NULL && !run_id_time(filter->before, &created))
		return api_query_refuse(
		    problem, "cursor", "must be a next_cursor of an earlier answer");
	return check_limit(values[LIMIT], &filter->limit, problem);
}

void api_list_runs(struct api_request *request)
{
	struct api_query query;
	struct store_filter filter;
	struct api_problem problem = {0};

	if (api_query_parse(&query, api_request_target(request), parameters, &problem) &&
	    make_filter(&query, &filter, &problem))
		dispatcher_runs(
		    api_request_dispatcher(request), &filter, api_request_answered, request);
	else
		api_reply_problem(request, &problem);
	api_query_clear(&query);
}

void api_reply_no_run(struct api_request *request, const char *run_id)
{
	double days = dispatcher_config(api_request_dispatcher(request))->history_days;
	struct api_problem problem = {0};
	int64_t created;

	if (run_id_time(run_id, &created) && created < clock_now_ms() - (int64_t)(days * 86400e3))
		api_problem_set(&problem, 410, "gone",
		    "the run \"%.100s\" is older than history_days, and is not kept any more",
		    run_id);
	else
		api_problem_set(&problem, 404, "not_found", "there is no run \"%.100s\"", run_id);
	api_reply_problem(request, &problem);
}

static void got_run(
    struct api_request *request, struct json_object *result, const struct error *err)
{
	if (err != NULL && err->code == ERROR_NOT_FOUND)
		api_reply_no_run(request, api_request_param(request));
	else if (err != NULL)
		api_reply_error(request, err);
	else
		api_reply_json(request, 200, result);
}

void api_get_run(struct api_request *request)
{
	api_request_await(request, got_run);
	dispatcher_run(api_request_dispatcher(request), api_request_param(request),
	    api_request_awaited, request);
}
