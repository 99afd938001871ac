/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find, match, gmatch and gsub of Lua, for scripts that are not trusted. What they mean is what Lua's manual says; what they
 * cost is charged while they run. Lua's own do not come back before they are done, and with a pattern made for it that is
 * never: "(.-)(.-)(.-)x" takes time as the cube of the text.
 */
#ifndef FALCO_LUA_PATTERN_H
#define FALCO_LUA_PATTERN_H

#include <stddef.h>
#include <stdint.h>

struct lua_State;

/* What the one who runs the script has to give. Both raise a Lua error when it is too much. */
void sandbox_charge(struct lua_State *L, size_t steps);	/* one step: about a comparison of one byte */
void sandbox_check_stack(struct lua_State *L);		/* before C calls Lua: how deep the two are in each other */

/* Puts the four into the table on top of the stack. */
void pattern_register(struct lua_State *L);

#endif
