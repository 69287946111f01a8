/* What a dispatcher does at the least: bare_watch FOLDER NAME COMMAND... runs the command each time
 * NAME is renamed into place. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(char **args)
{
	char *env[] = {NULL};
	int status, rc;
	pid_t pid;

	rc = posix_spawn(&pid, args[0], NULL, NULL, args, env);
	if (rc != 0) {
		fprintf(stderr, "bare_watch: %s: %s\n", args[0], strerror(rc));
		return -1;
	}
	return waitpid(pid, &status, 0);
}

/* Whether one of the events in the buffer is for the name. */
static int names(const char *buffer, size_t len, const char *name)
{
	for (size_t at = 0; at < len;) {
		const struct inotify_event *event = (const void *)(buffer + at);

		if (event->len > 0 && strcmp(event->name, name) == 0)
			return 1;
		at += sizeof(*event) + event->len;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char buffer[65536] __attribute__((aligned(8)));
	int fd = inotify_init1(IN_CLOEXEC);
	ssize_t n;

	if (argc < 4 || fd == -1 || inotify_add_watch(fd, argv[1], IN_MOVED_TO) == -1) {
		fprintf(stderr, "usage: bare_watch FOLDER NAME COMMAND...\n");
		return 2;
	}
	puts("ready");
	fflush(stdout);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (names(buffer, (size_t)n, argv[2]) && run(argv + 3) == -1)
			return 1;
	return 1;
}
