/* A board as the text of its file, in few and large pieces. */
#include "queue/board_private.h"

/* A run of bytes that lie next to each other in memory, not yet given out. */
struct run {
	const struct board *board;
	const char *data;
	size_t len;
	board_sink sink;
	void *arg;
	bool ok;
};

static void flush(struct run *run)
{
	if (run->len > 0 && run->ok)
		run->ok = run->sink(run->arg, run->data, run->len);
	run->len = 0;
}

static inline void put(struct run *run, struct span piece)
{
	if (piece.len == 0)
		return;
	if (run->len > 0 && run->data + run->len == piece.data) {
		run->len += piece.len;
		return;
	}
	flush(run);
	run->data = piece.data;
	run->len = piece.len;
}

/* A comma or bracket; mostly it stands in the file's text right where the run ends. */
static inline void put_mark(struct run *run, const char *mark)
{
	const char *end = run->data + run->len;

	if (run->len > 0 && end > run->board->text && end < run->board->text + run->board->len &&
	    *end == *mark)
		run->len++;
	else
		put(run, (struct span){mark, 1});
}

static void put_queue(struct run *run, const struct board_queue *queue)
{
	const struct board_task *task;

	put(run, queue->before);
	put(run, queue->key);
	put(run, queue->colon);
	put_mark(run, "[");
	TAILQ_FOREACH (task, &queue->tasks, next) {
		put(run, task->before);
		put(run, task->text);
		put(run, task->after);
		if (TAILQ_NEXT(task, next) != NULL)
			put_mark(run, ",");
	}
	put(run, queue->end);
	put_mark(run, "]");
	put(run, queue->after);
}

bool board_render(const struct board *board, board_sink sink, void *arg)
{
	struct run run = {.board = board, .sink = sink, .arg = arg, .ok = true};
	const struct board_queue *queue;

	put(&run, board->head);
	TAILQ_FOREACH (queue, &board->queues, next) {
		put_queue(&run, queue);
		if (TAILQ_NEXT(queue, next) != NULL)
			put_mark(&run, ",");
	}
	put(&run, board->queues_end);
	put(&run, board->tail);
	flush(&run);
	return run.ok;
}
