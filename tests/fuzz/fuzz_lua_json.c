/* JSON to Lua and back, and athanore.json.decode, on any bytes. */
#include "base/alloc.h"
#include "base/json.h"
#include "loop/loop.h"
#include "script/lua_json.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *text;
	size_t len;
};

/* What was pushed reads back as the same text, where it could be pushed at all. */
static int round_trip(lua_State *L)
{
	const struct input *input = lua_touserdata(L, 1);
	struct json_object **in = lua_json_push_owner(L);
	struct json_object **out = lua_json_push_owner(L);
	struct error err = {0};

	*in = json_parse(input->text, input->len, &err);
	error_clear(&err);
	if (*in == NULL)
		return 0;
	lua_json_push(L, *in, LUA_JSON_KEEP_NULL);
	if (!lua_json_read(L, -1, 0, out, &err)) {
		error_clear(&err); /* a name with a NUL, an infinite number */
		return 0;
	}
	if (json_object_get_type(*in) != json_object_get_type(*out))
		fatal("the type is another");
	lua_pop(L, 1);
	lua_json_push(L, *out, LUA_JSON_KEEP_NULL);
	return 0;
}

static int decode(lua_State *L)
{
	const struct input *input = lua_touserdata(L, 1);

	lua_getglobal(L, "require");
	lua_pushliteral(L, "athanore.core");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "json");
	lua_getfield(L, -1, "decode");
	lua_pushlstring(L, input->text, input->len);
	lua_call(L, 1, 2);
	if (lua_isnil(L, -2) == (lua_type(L, -1) != LUA_TSTRING))
		fatal("neither a value nor an error");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm *vm;
	struct input input = {(const char *)data, size};
	struct error err = {0};
	char *text;

	if (vm == NULL)
		vm = vm_create(loop_create(), "/", NULL, &err);
	if (vm == NULL)
		fatal("%s", err.message);
	text = xmemdup0(data, size); /* parsers rely on the NUL */
	input.text = text;
	(void)vm_protect(vm, round_trip, &input, NULL);
	(void)vm_protect(vm, decode, &input, NULL);
	free(text);
	return 0;
}
