/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that knows the Lua API. Modules come from the binary alone: no path of the host is searched. */
#include <stdio.h>
#include <string.h>
#include <lauxlib.h>
#include <lualib.h>
#include "lua.h"

int luaopen_lpeg(lua_State *L);

/* package.loaders entry: embedded bytecode by module name */
static int load_embedded(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	for (const struct embed_module *m = embed_modules; m->name; m++) {
		if (strcmp(m->name, name) == 0) {
			if (luaL_loadbuffer(L, (const char *)m->code, m->len, name))
				return lua_error(L);
			return 1;
		}
	}
	lua_pushfstring(L, "\n\tno module '%s' in this program", name);
	return 1;
}

static void set_loaders(lua_State *L)
{
	lua_getglobal(L, "package");
	lua_pushliteral(L, "");
	lua_setfield(L, -2, "path");
	lua_pushliteral(L, "");
	lua_setfield(L, -2, "cpath");

	lua_getfield(L, -1, "preload");
	lua_pushcfunction(L, luaopen_lpeg);
	lua_setfield(L, -2, "lpeg");
	lua_pop(L, 1);

	lua_createtable(L, 2, 0);
	lua_getfield(L, -2, "loaders");
	lua_rawgeti(L, -1, 1);		/* the one that looks into package.preload */
	lua_rawseti(L, -3, 1);
	lua_pop(L, 1);
	lua_pushcfunction(L, load_embedded);
	lua_rawseti(L, -2, 2);
	lua_setfield(L, -2, "loaders");
	lua_pop(L, 1);
}

/* message handler: a Lua error that reaches here is a bug of ours, so show where */
static int traceback(lua_State *L)
{
	const char *msg = lua_tostring(L, 1);

	luaL_traceback(L, L, msg ? msg : "error without a message", 1);
	return 1;
}

int lua_main(int argc, char **argv)
{
	lua_State *L = luaL_newstate();
	int status = 1;

	if (!L) {
		fputs("falco: out of memory\n", stderr);
		return 1;
	}
	luaL_openlibs(L);
	set_loaders(L);

	lua_pushcfunction(L, traceback);
	lua_getglobal(L, "require");
	lua_pushliteral(L, "main");
	if (lua_pcall(L, 1, 1, 1) == 0) {
		/* main(cdef, args...) -> exit status */
		lua_pushstring(L, embed_cdef);
		for (int i = 1; i < argc; i++)
			lua_pushstring(L, argv[i]);
		if (lua_pcall(L, argc, 1, 1) == 0) {
			status = (int)lua_tointeger(L, -1);
			lua_close(L);
			return status;
		}
	}
	fprintf(stderr, "falco: bug: %s\n", lua_tostring(L, -1));
	lua_close(L);
	return status;
}
