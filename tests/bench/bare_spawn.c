/* The bare loop that the dispatcher is compared with: bare_spawn COUNT COMMAND prints processes a
 * second. */
#include "base/clock.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[1]) : 0;
	double start = clock_monotonic();

	if (count <= 0) {
		fprintf(stderr, "usage: bare_spawn COUNT COMMAND\n");
		return 2;
	}
	for (int i = 0; i < count; i++) {
		char *args[] = {argv[2], NULL};
		char *env[] = {NULL};
		int status, rc;
		pid_t pid;

		rc = posix_spawn(&pid, argv[2], NULL, NULL, args, env);
		if (rc != 0) {
			fprintf(stderr, "bare_spawn: %s: %s\n", argv[2], strerror(rc));
			return 1;
		}
		if (waitpid(pid, &status, 0) == -1 || status != 0) {
			fprintf(stderr, "bare_spawn: %s failed\n", argv[2]);
			return 1;
		}
	}
	printf("%.1f\n", count / (clock_monotonic() - start));
	return 0;
}
