/* SPDX-License-Identifier: Apache-2.0 */
/* The Lua side of the program: embedded modules and the state that runs them. */
#ifndef FALCO_LUA_H
#define FALCO_LUA_H

#include <stddef.h>

struct embed_module {
	const char *name;		/* as require() knows it */
	const unsigned char *code;	/* LuaJIT bytecode */
	size_t len;
};

/* Made by embed.lua; the last row has no name. */
extern const struct embed_module embed_modules[];
extern const char *const embed_cdef;	/* preprocessed ffi.h */

/* Runs the module "main" with the program's arguments; returns its exit status. */
int lua_main(int argc, char **argv);

#endif
