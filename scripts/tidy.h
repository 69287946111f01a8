/*
 * What clang-tidy cannot see from one file: included before each, so that its paths end where ours
 * do. error_set() always returns false; luaL_error() does not return at all.
 */
#ifndef ATHANORE_TIDY_H
#define ATHANORE_TIDY_H

#include "base/error.h"

#include <lauxlib.h>

int luaL_error(lua_State *L, const char *fmt, ...) __attribute__((noreturn));
int luaL_argerror(lua_State *L, int arg, const char *message) __attribute__((noreturn));
int lua_error(lua_State *L) __attribute__((noreturn));

#define error_set(...) (error_set(__VA_ARGS__), false)
#define error_set_errno(...) (error_set_errno(__VA_ARGS__), false)

#endif
