/* An agent that says when it was started: agent_stamp PIPE writes CLOCK_MONOTONIC in nanoseconds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;
	char text[32];
	int fd, len;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (argc < 2)
		return 2;
	fd = open(argv[1], O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return 1;
	len = snprintf(
	    text, sizeof(text), "%lld\n", (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
	return write(fd, text, (size_t)len) == len ? 0 : 1;
}
