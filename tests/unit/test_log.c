/* The log: what reaches stderr, as text and as JSON. */
#include "check.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

/* stderr goes to a file while a test runs. */
struct capture {
	char *path;
	int stderr_fd;
};

static void capture_start(struct capture *capture, const char *dir)
{
	int fd;

	capture->path = fs_join(dir, "log");
	capture->stderr_fd = dup(STDERR_FILENO);
	fd = open(capture->path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0 && capture->stderr_fd >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

/* What was logged; the caller frees it. */
static char *capture_end(struct capture *capture)
{
	struct str text = {0};

	assert_int_equal(dup2(capture->stderr_fd, STDERR_FILENO), STDERR_FILENO);
	close(capture->stderr_fd);
	assert_true(fs_read(capture->path, &text, 1 << 20, NULL));
	free(capture->path);
	log_set_level(LOG_INFO);
	log_set_format(LOG_TEXT);
	return str_steal(&text);
}

/* The text behind the time, which is checked. */
static const char *after_time(const char *line)
{
	char time[CLOCK_TEXT_SIZE];
	int64_t ms;

	assert_true(strlen(line) > CLOCK_TEXT_SIZE);
	memcpy(time, line, CLOCK_TEXT_SIZE - 1);
	time[CLOCK_TEXT_SIZE - 1] = '\0';
	assert_true(clock_parse(time, &ms));
	assert_true(clock_now_ms() - ms < 60000);
	return line + CLOCK_TEXT_SIZE - 1;
}

static void test_text(void **state)
{
	static const char *const fields[] = {
	    "task_id", "7", "none", NULL, "queue", "In Progress", NULL};
	struct capture capture;
	char *text;

	capture_start(&capture, *state);
	log_with(LOG_WARN, fields, "claimed %d", 3);
	text = capture_end(&capture);
	assert_string_equal(after_time(text), " warn  claimed 3 task_id=7 queue=In Progress\n");
	free(text);
}

/* Nothing that is logged looks like another record or drives the terminal. */
static void test_text_is_tame(void **state)
{
	static const char *const fields[] = {"name", "a\nb\x1b[2J\x7f\xc2\x9b", NULL};
	struct capture capture;
	char *text;

	capture_start(&capture, *state);
	log_with(LOG_ERROR, fields, "%s", "one\ntwo\r\x1b]0;\tx\xff\xc2\x9b\xc2\xa0\xc3\xa9");
	text = capture_end(&capture);
	assert_string_equal(after_time(text),
	    " error one\n    two\\x0d\\x1b]0;  x\xef\xbf\xbd"
	    "\\x9b\xc2\xa0\xc3\xa9 name=a\\x0ab\\x1b[2J\\x7f\\x9b\n");
	free(text);
}

static void test_json(void **state)
{
	static const char *const fields[] = {
	    "url", "http://x/", "none", NULL, "name", "a\n\xff", NULL};
	struct capture capture;
	struct json_object *record;
	char *text;

	log_set_format(LOG_JSON);
	capture_start(&capture, *state);
	log_with(LOG_INFO, fields, "say \"%s\"", "x\ny");
	text = capture_end(&capture);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	record = json_parse(text, strlen(text), NULL);
	assert_non_null(record);
	assert_string_equal(json_get_string(record, "level"), "info");
	assert_string_equal(json_get_string(record, "message"), "say \"x\ny\"");
	assert_string_equal(json_get_string(record, "url"), "http://x/");
	assert_string_equal(json_get_string(record, "name"), "a\n\xef\xbf\xbd");
	assert_int_equal(json_object_object_length(record), 5);
	json_object_put(record);
	free(text);
}

static void test_levels(void **state)
{
	struct capture capture;
	char *text;

	capture_start(&capture, *state);
	log_debug("one");
	log_info("two");
	log_set_level(LOG_ERROR);
	assert_int_equal(log_get_level(), LOG_ERROR);
	log_warn("three");
	log_error("four");
	log_set_level(LOG_DEBUG);
	log_debug("five");
	text = capture_end(&capture);
	assert_null(strstr(text, "one"));
	assert_non_null(strstr(text, " info  two\n"));
	assert_null(strstr(text, "three"));
	assert_non_null(strstr(text, " error four\n"));
	assert_non_null(strstr(text, " debug five\n"));
	free(text);
}

static void test_names(void **state)
{
	enum log_level level = LOG_ERROR;
	enum log_format format = LOG_TEXT;

	(void)state;
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_true(log_level_parse("warn", &level));
	assert_int_equal(level, LOG_WARN);
	assert_false(log_level_parse("loud", &level));
	assert_false(log_level_parse("", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_format_parse("json", &format));
	assert_int_equal(format, LOG_JSON);
	assert_false(log_format_parse("xml", &format));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    in_temp_dir(test_text),
	    in_temp_dir(test_text_is_tame),
	    in_temp_dir(test_json),
	    in_temp_dir(test_levels),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
