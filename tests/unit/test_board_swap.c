/* A changed board on the disk is byte for byte what board_render() gives, whatever its pieces are.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/str.h"
#include "queue/board_edit.h"
#include "queue/board_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The writer's buffer, and the size from which a piece goes around it. */
#define BUFFER 65536
#define LARGE (BUFFER / 2)

static const size_t sizes[] = {100, LARGE - 1, LARGE, LARGE + 1, BUFFER - LARGE + 2, BUFFER - 1,
    BUFFER, BUFFER + 1, 2 * BUFFER, 3 * BUFFER + 1};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static bool append(void *arg, const char *data, size_t len)
{
	str_append(arg, data, len);
	return true;
}

/* A task whose text is exactly len bytes long. */
static void put_task(struct str *out, const char *id, size_t len)
{
	size_t start = out->len;

	str_printf(out, "{\"id\": \"%s\", \"name\": \"n\", \"x\": \"", id);
	while (out->len < start + len - 2)
		str_putc(out, (char)('a' + out->len % 26));
	str_puts(out, "\"}");
	assert_int_equal(out->len - start, len);
}

/* Moving "2" away makes three pieces of about these sizes, and the small ones between them. */
static char *make_board(size_t before, size_t moved, size_t after)
{
	struct str text = {0};

	str_puts(&text, "{\"queues\": {\"Todo\": [");
	put_task(&text, "1", before);
	str_puts(&text, ", ");
	put_task(&text, "2", moved);
	str_puts(&text, ", ");
	put_task(&text, "3", after);
	str_puts(&text, "], \"Doing\": [{\"id\": \"4\", \"name\": \"n\"}], \"Done\": []}}\n");
	return str_steal(&text);
}

struct place {
	char *dir, *path;
	struct board_file *file;
};

static void check_sizes(struct place *place, size_t before, size_t moved, size_t after)
{
	char *text = make_board(before, moved, after);
	struct str wanted = {0}, found = {0};
	struct board_version version, written;
	struct board *board, *again;
	struct error err = {0};

	assert_true(fs_write_atomic(place->path, text, strlen(text), 0644, false, &err));
	assert_int_equal(board_file_read(place->file, NULL, &board, &version, &err), BOARD_READ);
	board_edit_move(board_task_find(board, "2"), board_queue_find(board, "Doing"));
	assert_true(board_render(board, append, &wanted));
	assert_int_equal(wanted.len, strlen(text));
	assert_int_equal(
	    board_file_write(place->file, board, &version, &written, &err), BOARD_WRITTEN);
	assert_true(fs_read(place->path, &found, 1 << 30, &err));
	if (found.len != wanted.len || memcmp(found.data, wanted.data, found.len) != 0)
		fail_msg(
		    "tasks of %zu, %zu and %zu bytes were written wrongly", before, moved, after);
	assert_int_equal(board_file_read(place->file, NULL, &again, &version, &err), BOARD_READ);
	assert_true(board_digest_equal(version.digest, written.digest));
	board_free(again);
	board_free(board);
	str_free(&wanted);
	str_free(&found);
	free(text);
}

static void setup(struct place *place)
{
	char *template = xstrdup("/tmp/athanore-swap-XXXXXX");

	place->dir = mkdtemp(template);
	assert_non_null(place->dir);
	place->path = xasprintf("%s/board.json", place->dir);
	place->file = board_file_create(place->path);
}

static void teardown(struct place *place)
{
	struct error err = {0};

	board_file_free(place->file);
	assert_true(fs_remove_tree(place->dir, &err));
	free(place->path);
	free(place->dir);
}

static void test_pieces_of_all_sizes(void **state)
{
	struct place place;

	(void)state;
	setup(&place);
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < SIZES; j++)
			check_sizes(&place, sizes[i], sizes[j], 100);
	for (size_t i = 0; i < SIZES; i++)
		check_sizes(&place, 100, 100, sizes[i]);
	teardown(&place);
}

/* The gathered part and a piece meet at the buffer's end, one byte more or less. */
static void test_borders_byte_by_byte(void **state)
{
	struct place place;

	(void)state;
	setup(&place);
	for (size_t i = 0; i <= 60; i++) {
		check_sizes(&place, 100, LARGE - 30 + i, LARGE - 20);
		check_sizes(&place, LARGE - 50 + i, LARGE - 50, LARGE - 50);
		check_sizes(&place, LARGE - 50 + i, LARGE + 1, 100);
	}
	teardown(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pieces_of_all_sizes),
	    cmocka_unit_test(test_borders_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
