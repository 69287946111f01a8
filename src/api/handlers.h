#ifndef ATHANORE_API_HANDLERS_H
#define ATHANORE_API_HANDLERS_H

#include "api/body.h"
#include "api/request.h"

/* What serves the endpoints of router.c; each is in the file of its resource. */

void api_get_health(struct api_request *request);
void api_get_ready(struct api_request *request);
void api_get_metrics(struct api_request *request);
void api_get_status(struct api_request *request);

void api_pause(struct api_request *request);
void api_resume(struct api_request *request);
void api_poll(struct api_request *request);
extern const struct api_field api_pause_fields[];

void api_list_agents(struct api_request *request);
void api_get_agent(struct api_request *request);
void api_cancel_agent(struct api_request *request);

void api_create_task(struct api_request *request);
void api_get_task(struct api_request *request);
void api_update_task(struct api_request *request);
void api_add_comment(struct api_request *request);
void api_move_task(struct api_request *request);
void api_retry_task(struct api_request *request);
void api_explain_task(struct api_request *request);
extern const struct api_field api_create_task_fields[];
extern const struct api_field api_update_task_fields[];
extern const struct api_field api_add_comment_fields[];
extern const struct api_field api_move_task_fields[];

void api_list_runs(struct api_request *request);
void api_get_run(struct api_request *request);

void api_stream_run(struct api_request *request);
void api_stream_task(struct api_request *request);
void api_stream_journal(struct api_request *request);

void api_list_queues(struct api_request *request);
void api_get_queue(struct api_request *request);
void api_create_queue(struct api_request *request);
void api_update_queue(struct api_request *request);
void api_delete_queue(struct api_request *request);
extern const struct api_field api_queue_fields[];

void api_list_routes(struct api_request *request);
void api_get_route(struct api_request *request);
void api_create_route(struct api_request *request);
void api_update_route(struct api_request *request);
void api_delete_route(struct api_request *request);
extern const struct api_field api_route_fields[];

#endif
