/* Stops Lua code that runs for too long: a signal timer that sets a hook past the deadline. */
#include "script/guard.h"

#include "base/alloc.h"
#include "script/lua_error.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often the CPU clock is looked at once the wall clock is past the deadline. */
#define RECHECK_SECONDS 0.01

static struct {
	timer_t timer;
	pid_t thread; /* the timer's; 0: there is none */
	double limit;
	double deadline;	       /* on the thread's CPU clock */
	lua_State *volatile current;   /* NULL: no entry is watched */
	volatile sig_atomic_t past;    /* the deadline is over */
	volatile sig_atomic_t stopped; /* and Lua was told */
	char where[LUA_IDSIZE + 16];
} guard = {.limit = GUARD_CPU_SECONDS, .where = "?"};

void guard_set_limit(double seconds)
{
	guard.limit = seconds > 0 ? seconds : GUARD_CPU_SECONDS;
}

double guard_limit(void)
{
	return guard.limit;
}

const char *guard_where(void)
{
	return guard.where;
}

static double cpu_seconds(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
		return 0;
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * A yield leaves the coroutine without asking any pcall() or message handler; where C code is in
 * between, an error has to do, again at each instruction.
 */
static void on_instruction(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	if (!guard.past) {
		lua_sethook(L, NULL, 0, 0); /* left over from an entry that has ended */
		return;
	}
	if (!guard.stopped) {
		guard.stopped = 1;
		if (!lua_error_where(L, guard.where, sizeof(guard.where)))
			strcpy(guard.where, "?");
	}
	if (lua_isyieldable(L)) {
		lua_yield(L, 0);
		return;
	}
	lua_pushfstring(L, "%s: stopped after too much CPU time", guard.where);
	lua_error(L);
}

static void hook(lua_State *L)
{
	lua_sethook(L, on_instruction, LUA_MASKCOUNT, 1);
}

/* lua_sethook() is made to be called from a signal handler. */
static void on_signal(int number)
{
	int saved = errno;
	lua_State *L = guard.current;

	(void)number;
	if (L != NULL && cpu_seconds() >= guard.deadline) {
		guard.past = 1;
		hook(L);
	}
	errno = saved;
}

/* The timer belongs to a thread and, unlike its handler, to one process: a fork needs its own. */
static void create_timer(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGRTMIN + 1, &action, NULL) != 0)
		fatal("sigaction: %s", strerror(errno));
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &guard.timer) != 0)
		fatal("timer_create: %s", strerror(errno));
	guard.thread = gettid();
}

static struct timespec to_timespec(double seconds)
{
	time_t whole = (time_t)seconds;

	return (struct timespec){whole, (long)((seconds - (double)whole) * 1e9)};
}

/* CPU time is never ahead of the wall clock, so the wall clock may ring first. */
static void set_timer(double seconds)
{
	struct itimerspec spec = {{0}, {0}};

	if (seconds > 0) {
		spec.it_value = to_timespec(seconds);
		spec.it_interval = to_timespec(RECHECK_SECONDS);
	}
	if (timer_settime(guard.timer, 0, &spec, NULL) != 0)
		fatal("timer_settime: %s", strerror(errno));
}

void guard_enter(lua_State *L)
{
	if (guard.current != NULL)
		fatal("guard_enter: Lua is running already");
	if (guard.thread != gettid())
		create_timer();
	guard.past = 0;
	guard.stopped = 0;
	guard.deadline = cpu_seconds() + guard.limit;
	guard.current = L;
	set_timer(guard.limit);
}

bool guard_leave(void)
{
	lua_State *L = guard.current;

	/* A signal that was pending is delivered before this returns. */
	set_timer(0);
	guard.current = NULL;
	if (guard.past)
		lua_sethook(L, NULL, 0, 0);
	guard.past = 0;
	return guard.stopped != 0;
}

lua_State *guard_switch(lua_State *L)
{
	lua_State *previous = guard.current;

	if (previous == NULL)
		return NULL;
	guard.current = L;
	if (guard.past)
		hook(L);
	return previous;
}
