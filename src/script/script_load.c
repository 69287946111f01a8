/* Loads and validates a script. */
#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "script/script_impl.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* A longer script is no script. */
#define MAX_SCRIPT ((size_t)16 << 20)

struct load {
	struct script *script;
	struct str text;
	struct script_dispatcher *returned;
};

static struct script *script_create(struct loop *loop, const char *path)
{
	struct script *script = xcalloc(1, sizeof(*script));
	const char *slash = strrchr(path, '/');
	char *folder = fs_dirname(path);
	char *real = realpath(folder, NULL);

	script->references = 1;
	script->loop = loop;
	LIST_INIT(&script->calls);
	STAILQ_INIT(&script->dispatchers);
	script->name = xstrdup(slash != NULL ? slash + 1 : path);
	/* A folder that is not there shows when the file is read. */
	script->dir = real != NULL ? real : xstrdup(folder);
	script->path = fs_join(script->dir, script->name);
	free(folder);
	return script;
}

/* The text without a byte order mark, and without "#!…": its line break stays. */
static const char *script_text(const struct str *text, size_t *len)
{
	const char *start = text->data != NULL ? text->data : "";

	*len = text->len;
	if (*len >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0) {
		start += 3;
		*len -= 3;
	}
	if (*len > 0 && *start == '#') {
		size_t line = strcspn(start, "\n");

		start += line;
		*len -= line;
	}
	return start;
}

/* Pushes the main chunk, compiled. Messages name it by the file's name alone. */
static int push_chunk(lua_State *L, void *arg)
{
	struct load *load = arg;
	size_t len;
	const char *text = script_text(&load->text, &len);

	lua_pushfstring(L, "@%s", load->script->name);
	if (luaL_loadbufferx(L, text, len, lua_tostring(L, -1), "t") != LUA_OK)
		lua_error(L);
	lua_remove(L, -2);
	return 1;
}

static int run_chunk(lua_State *L)
{
	struct load *load = lua_touserdata(L, 1);

	lua_call(L, 0, 1);
	load->returned = lua_dispatcher_test(L, -1);
	return 0;
}

/* The dispatcher that was run or returned. With several, the first mistake is that. */
static struct script_dispatcher *choose(struct load *load)
{
	struct script *script = load->script;
	struct script_dispatcher *first = STAILQ_FIRST(&script->dispatchers), *dispatcher;

	if (first == NULL) {
		problems_add(script->problems, script->name, 0,
		    "the script makes no dispatcher: local dispatcher = athanore.dispatcher { … }");
		return NULL;
	}
	for (dispatcher = STAILQ_NEXT(first, next); dispatcher != NULL;
	     dispatcher = STAILQ_NEXT(dispatcher, next))
		problems_add(script->problems, dispatcher->place.file, dispatcher->place.line,
		    "a script has one dispatcher; the first is at %s:%d", first->place.file,
		    first->place.line);
	STAILQ_FOREACH (dispatcher, &script->dispatchers, next)
		if (dispatcher->ran || dispatcher == load->returned)
			return dispatcher;
	problems_add(script->problems, script->name, 0,
	    "the script does not say which dispatcher to run: end it with `return dispatcher`, or "
	    "call "
	    "dispatcher:run()");
	return first;
}

/* The configuration outlives the dispatcher that held it. */
static void take_config(struct script *script, struct script_dispatcher *dispatcher)
{
	for (size_t i = 0; i < dispatcher->config->route_count; i++)
		place_clear(&dispatcher->route_places[i]);
	script->config = dispatcher->config;
	dispatcher->config = NULL;
}

static void run_script(struct load *load)
{
	const struct coroutine_spec spec = {
	    .push = push_chunk,
	    .body = run_chunk,
	    .arg = load,
	    .what = "while the script is being loaded: call it in a function that runs later",
	};
	struct script *script = load->script;
	struct script_dispatcher *dispatcher;
	struct error err = {0};

	if (!coroutine_run(script->vm, &spec, &err)) {
		log_debug("%s: %s", script->name, err.message);
		problems_add_error(script->problems, script->name, err.message);
		error_clear(&err);
		return;
	}
	dispatcher = choose(load);
	if (dispatcher == NULL)
		return;
	script_check(script, dispatcher);
	if (script->problems->count == 0)
		take_config(script, dispatcher);
}

static bool read_script(struct load *load)
{
	struct error err = {0};

	if (fs_read(load->script->path, &load->text, MAX_SCRIPT, &err))
		return true;
	problems_add(load->script->problems, load->script->name, 0, "%s", err.message);
	error_clear(&err);
	return false;
}

static bool create_vm(struct script *script)
{
	struct error err = {0};

	script->vm = vm_create(script->loop, script->dir, script, &err);
	if (script->vm != NULL)
		return true;
	problems_add(script->problems, script->name, 0, "%s", err.message);
	error_clear(&err);
	return false;
}

struct script *script_load(struct loop *loop, const char *path, struct script_problems *problems)
{
	struct load load = {.script = script_create(loop, path)};
	struct script *script = load.script;

	script->problems = problems;
	if (read_script(&load) && create_vm(script))
		run_script(&load);
	str_free(&load.text);
	problems_sort(problems);
	script->problems = NULL;
	if (script->config == NULL) {
		if (problems->count == 0)
			fatal("%s: not loaded and no problem", script->path);
		script_unref(script);
		return NULL;
	}
	return script;
}
