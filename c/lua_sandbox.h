/* SPDX-License-Identifier: Apache-2.0 */
/* What files that know Lua's API share of a sandbox. What Lua sees of it is in engine/ffi.h. */
#ifndef FALCO_LUA_SANDBOX_H
#define FALCO_LUA_SANDBOX_H

#include "lua_event.h"

struct sandbox *sandbox_of(struct lua_State *L);
struct sandbox_event *sandbox_event_of(struct lua_State *L);

#endif
