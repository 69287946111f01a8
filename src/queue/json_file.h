#ifndef ATHANORE_QUEUE_JSON_FILE_H
#define ATHANORE_QUEUE_JSON_FILE_H

#include "base/error.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "queue/queue.h"

/*
 * A queue on a JSON file: {"queues": {"Todo": [{"id": "1", "name": …}, …], …}}. It is held in
 * memory, read again when another program changes it, and written atomically; what we do not
 * touch keeps its very bytes, and what others write is never lost.
 *
 * path is absolute or relative to the current folder; user (or NULL) is whom we
 * act as, in comments and assignees. The board itself may be missing or broken: that is a
 * fault (queue_fault()) which ends by itself once the file is mended.
 *
 * NULL with err set: conflict where another daemon has the board (its lock is PATH.lock),
 * not_found where the folder is missing, forbidden and unavailable where the lock cannot be taken.
 * loop and worker must outlive the queue.
 */
struct queue *json_file_open(struct loop *loop, struct worker *worker, const char *path,
    const char *user, struct error *err);

#endif
