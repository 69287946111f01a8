/* GET /healthz: the daemon's loop turns. */
#include "api/handlers.h"

void api_get_health(struct api_request *request)
{
	static const char text[] = "{\"status\":\"ok\"}";

	api_reply_text(request, 200, text, sizeof(text) - 1);
}
