/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandboxed script sees of the event at hand: evt:get("proc.name"). */
#ifndef FALCO_LUA_EVENT_H
#define FALCO_LUA_EVENT_H

#include <stdint.h>

struct evt;
struct lua_State;
struct ruleset;

enum { SANDBOX_MAX_FIELDS = 256 };	/* different ones that a script may read: each stays in memory */

struct sandbox_event {
	struct evt *evt;		/* NULL: no event is at hand */
	struct ruleset *fields;		/* those the script has asked for; NULL: none yet */
	uint32_t n;
};

/*
 * Into the table on top of the stack:
 *   field(name) -> number, or nil and why there is no such field
 *   get(number) -> its value for the event at hand: nil (missing), a number, boolean or text, a list of them
 *   process() -> process id, when it began; nothing: it is not known
 *   is_alive(pid, began) -> boolean
 *   time() -> of the event, in seconds since the epoch
 */
void event_register(struct lua_State *L);
void event_forget(struct sandbox_event *event);

#endif
