/* Files, folders and locks. */
#include "check.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void write_text(const char *path, const char *text)
{
	struct error err = {0};

	if (!fs_write_atomic(path, text, strlen(text), 0600, false, &err))
		fail_msg("%s", err.message);
}

static void assert_file(const char *path, const char *text)
{
	struct str s = {0};

	assert_true(fs_read(path, &s, 1 << 20, NULL));
	assert_string_equal(s.data, text);
	str_free(&s);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_read(void **state)
{
	char *path = fs_join(*state, "file");
	struct str s = {0};

	write_text(path, "");
	assert_true(fs_read(path, &s, 0, NULL));
	assert_string_equal(s.data, "");
	write_text(path, "two");
	str_puts(&s, "one ");
	assert_true(fs_read(path, &s, 3, NULL));
	assert_string_equal(s.data, "one two");
	str_free(&s);
	free(path);
}

static void test_read_large(void **state)
{
	char *path = fs_join(*state, "file");
	struct str in = {0}, out = {0};

	for (int i = 0; i < 50000; i++)
		str_printf(&in, "%d\n", i);
	assert_true(fs_write_atomic(path, in.data, in.len, 0600, true, NULL));
	assert_true(fs_read(path, &out, in.len, NULL));
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len + 1);
	str_free(&in);
	str_free(&out);
	free(path);
}

/* What was in the buffer before a failure is there after it, and no more. */
static void test_read_fails(void **state)
{
	char *path = fs_join(*state, "file");
	struct str s = {0};
	struct error err = {0};

	str_puts(&s, "before");
	assert_false(fs_read(path, &s, 100, &err));
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, path));
	assert_false(fs_read(*state, &s, 100, &err));
	assert_int_equal(err.code, ERROR_UNAVAILABLE);
	write_text(path, "12345");
	assert_false(fs_read(path, &s, 4, &err));
	assert_int_equal(err.code, ERROR_INVALID);
	assert_non_null(strstr(err.message, "larger than 4 bytes"));
	assert_int_equal(s.len, 6);
	assert_string_equal(s.data, "before");
	error_clear(&err);
	str_free(&s);
	free(path);
}

static void test_write(void **state)
{
	char *path = fs_join(*state, "file");
	char *tmp = fs_join(*state, "file.tmp");
	struct error err = {0};

	write_text(path, "old and long");
	write_text(path, "new");
	assert_file(path, "new");
	assert_int_equal(mode_of(path), 0600);
	assert_false(exists(tmp));
	free(path);
	path = fs_join(*state, "none/file");
	assert_false(fs_write_atomic(path, "x", 1, 0600, false, &err));
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	error_clear(&err);
	free(path);
	free(tmp);
}

/* What a crash left behind does not lend its mode, nor its place elsewhere. */
static void test_write_past_leftovers(void **state)
{
	char *path = fs_join(*state, "secret");
	char *tmp = fs_join(*state, "secret.tmp");
	char *other = fs_join(*state, "other");

	write_text(other, "untouched");
	assert_int_equal(chmod(other, 0644), 0);
	assert_int_equal(link(other, tmp), 0);
	write_text(path, "secret");
	assert_int_equal(mode_of(path), 0600);
	assert_file(other, "untouched");
	assert_int_equal(symlink(other, tmp), 0);
	write_text(path, "more");
	assert_file(path, "more");
	assert_file(other, "untouched");
	assert_int_equal(mkfifo(tmp, 0600), 0);
	write_text(path, "again");
	assert_file(path, "again");
	free(path);
	free(tmp);
	free(other);
}

static void test_write_all(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fs_write_all(fds[1], "x", 1), 0);
	close(fds[1]);
	assert_int_equal(fs_write_all(fds[1], "x", 1), -1);
	assert_int_equal(errno, EBADF);
	close(fds[0]);
}

static void test_mkdir_p(void **state)
{
	char *path = fs_join(*state, "a/b/c");
	char *slash = fs_join(*state, "a//b/c/");
	char *file = fs_join(*state, "a/file");
	char *below = fs_join(*state, "a/file/x");
	struct error err = {0};

	assert_true(fs_mkdir_p(path, 0700, NULL));
	assert_int_equal(mode_of(path), 0700);
	assert_true(fs_mkdir_p(path, 0700, NULL));
	assert_true(fs_mkdir_p(slash, 0700, NULL));
	assert_true(fs_mkdir_p("/", 0700, NULL));
	write_text(file, "x");
	assert_false(fs_mkdir_p(file, 0700, &err));
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_false(fs_mkdir_p(below, 0700, &err));
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_false(fs_mkdir_p("", 0700, &err));
	assert_int_equal(err.code, ERROR_INVALID);
	error_clear(&err);
	free(path);
	free(slash);
	free(file);
	free(below);
}

static void test_remove_tree(void **state)
{
	char *top = fs_join(*state, "top");
	char *deep = fs_join(*state, "top/a/b");
	char *file = fs_join(*state, "top/a/b/file");
	char *kept = fs_join(*state, "kept");
	char *inside = fs_join(*state, "kept/inside");
	char *link = fs_join(*state, "top/link");

	assert_true(fs_mkdir_p(deep, 0700, NULL));
	assert_true(fs_mkdir_p(kept, 0700, NULL));
	write_text(file, "x");
	write_text(inside, "x");
	assert_int_equal(symlink(kept, link), 0);
	assert_true(fs_remove_tree(top, NULL));
	assert_false(exists(top));
	assert_true(exists(inside));
	assert_true(fs_remove_tree(top, NULL));
	assert_int_equal(symlink(kept, top), 0);
	assert_true(fs_remove_tree(top, NULL));
	assert_true(exists(inside));
	assert_true(fs_remove_tree(inside, NULL));
	assert_false(exists(inside));
	free(top);
	free(deep);
	free(file);
	free(kept);
	free(inside);
	free(link);
}

/* Two that remove the same tree at once both find it gone afterwards. */
static void test_remove_tree_twice_at_once(void **state)
{
	char *top = fs_join(*state, "top");
	bool ok;
	int status;
	pid_t pid;

	for (int i = 0; i < 300; i++) {
		char *path = xasprintf("%s/%d/%d", top, i % 10, i);

		assert_true(fs_mkdir_p(path, 0700, NULL));
		free(path);
	}
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		_exit(fs_remove_tree(top, NULL) ? 0 : 1);
	ok = fs_remove_tree(top, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(exists(top));
	assert_true(ok);
	assert_int_equal(status, 0);
	free(top);
}

static void test_lock(void **state)
{
	char *path = fs_join(*state, "lock");
	char *text = xasprintf("%ld\n", (long)getpid());
	struct error err = {0};
	pid_t holder = 77;
	int fd = fs_lock(path, &holder, NULL);

	assert_true(fd >= 0);
	assert_int_equal(holder, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(mode_of(path), 0600);
	assert_file(path, text);
	assert_int_equal(fs_lock(path, &holder, &err), -1);
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_int_equal(holder, getpid());
	assert_non_null(strstr(err.message, path));
	close(fd);
	fd = fs_lock(path, &holder, &err);
	assert_true(fd >= 0);
	close(fd);
	error_clear(&err);
	free(text);
	free(path);
}

static void test_lock_fails(void **state)
{
	char *path = fs_join(*state, "none/lock");
	struct error err = {0};
	pid_t holder;

	assert_int_equal(fs_lock(path, &holder, &err), -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_int_equal(holder, 0);
	error_clear(&err);
	free(path);
}

static void assert_join(const char *dir, const char *name, const char *wanted)
{
	char *path = fs_join(dir, name);

	assert_string_equal(path, wanted);
	free(path);
}

static void assert_dirname(const char *path, const char *wanted)
{
	char *dir = fs_dirname(path);

	assert_string_equal(dir, wanted);
	free(dir);
}

static void test_paths(void **state)
{
	(void)state;
	assert_join("a", "b", "a/b");
	assert_join("a/", "b", "a/b");
	assert_join("/", "b", "/b");
	assert_join(".", "b", "b");
	assert_join("a", "/b", "/b");
	assert_dirname("a/b", "a");
	assert_dirname("/a/b", "/a");
	assert_dirname("/a", "/");
	assert_dirname("a", ".");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    in_temp_dir(test_read),
	    in_temp_dir(test_read_large),
	    in_temp_dir(test_read_fails),
	    in_temp_dir(test_write),
	    in_temp_dir(test_write_past_leftovers),
	    cmocka_unit_test(test_write_all),
	    in_temp_dir(test_mkdir_p),
	    in_temp_dir(test_remove_tree),
	    in_temp_dir(test_remove_tree_twice_at_once),
	    in_temp_dir(test_lock),
	    in_temp_dir(test_lock_fails),
	    cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
