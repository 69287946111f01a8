#ifndef ATHANORE_API_RUNS_H
#define ATHANORE_API_RUNS_H

#include "api/request.h"

/* Answers for a run that is not known: 410 where its history was pruned, else 404. */
void api_reply_no_run(struct api_request *request, const char *run_id);

#endif
