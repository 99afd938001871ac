/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <lauxlib.h>
#include <lua.h>
#include "engine/evt.h"
#include "engine/proc.h"
#include "engine/ruleset.h"
#include "engine/state.h"
#include "engine/value.h"
#include "lua_pattern.h"
#include "lua_sandbox.h"

#define TEXT_FIRST 512		/* bytes of a value's text to have room for before asking how many there are */
#define TEXT_MAX 65536
#define ITEMS_MAX 4096		/* of a list */

/* Raises nothing: the ruleset must be whole whatever happens to the script. */
static int add_field(struct sandbox_event *event, const char *name, size_t len, struct err *err)
{
	uint32_t name_len, arg_at;
	int32_t arg_len;

	if (event->n >= SANDBOX_MAX_FIELDS)
		return err_set(err, E2BIG, "a script can read %d different fields", SANDBOX_MAX_FIELDS);
	if (len > UINT16_MAX || field_prefix(name, (uint32_t)len, &name_len, &arg_at, &arg_len) != len)
		return err_set(err, ENOENT, "no field is called '%.100s'", name);
	if (!event->fields && !(event->fields = ruleset_new()))
		return err_set(err, ENOMEM, "not enough memory");
	int id = ruleset_field(event->fields, name, name_len, arg_len < 0 ? NULL : name + arg_at,
			       arg_len < 0 ? 0 : (uint32_t)arg_len, err);
	if (id < 0)
		return id;
	event->n++;
	if (ruleset_expr(event->fields, id)->flags & FIELD_FILTER_ONLY)
		return err_set(err, EINVAL, "'%.100s' is for conditions alone", name);
	return id;
}

static int field(lua_State *L)
{
	size_t len;
	const char *name = luaL_checklstring(L, 1, &len);
	struct err err = { 0 };
	int id = add_field(sandbox_event_of(L), name, len, &err);

	if (id < 0) {
		lua_pushnil(L);
		lua_pushstring(L, err.text);
		return 2;
	}
	lua_pushinteger(L, id);
	return 1;
}

/* Flags, addresses, errors and the like as people read them. */
static void push_text(lua_State *L, const struct value *v)
{
	char first[TEXT_FIRST];
	uint32_t len = value_text(v, first, sizeof first);

	if (len <= sizeof first) {
		lua_pushlstring(L, first, len);
		return;
	}
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	char *all = lua_newuserdata(L, len);
	value_text(v, all, len);
	sandbox_charge(L, len);
	lua_pushlstring(L, all, len);
	lua_remove(L, -2);
}

static void push_one(lua_State *L, const struct value *v)
{
	if (v->type == PT_NONE) {
		lua_pushnil(L);
	} else if (type_is_text(v->type)) {
		sandbox_charge(L, v->len / 16);
		lua_pushlstring(L, v->p, v->len);
	} else if (v->type == PT_BOOL) {
		lua_pushboolean(L, v->num.u != 0);
	} else if (type_is_number(v->type) && (v->format == PF_DEC || v->format == PF_ID)) {
		lua_pushnumber(L, type_is_signed(v->type) ? (lua_Number)v->num.i : (lua_Number)v->num.u);
	} else if (v->type == PT_DOUBLE) {
		lua_pushnumber(L, v->num.d);
	} else {
		push_text(L, v);
	}
}

static void push_list(lua_State *L, const struct value *v)
{
	const struct value *items = v->p;

	lua_newtable(L);
	for (uint64_t i = 0; i < v->num.n && i < ITEMS_MAX; i++) {
		push_one(L, &items[i]);
		lua_rawseti(L, -2, (int)i + 1);
	}
}

static int get(lua_State *L)
{
	struct sandbox_event *event = sandbox_event_of(L);
	struct expr *x = event->fields ? expr_at(event->fields, (int32_t)luaL_checkinteger(L, 1)) : NULL;
	struct value v;

	if (!event->evt)
		return luaL_error(L, "the event is over: keep its values, not the event");
	sandbox_charge(L, 64);
	struct fd_rec *fd = event->evt->fd;
	bool present = x && expr_read(event->evt, x, &v);
	event->evt->fd = fd;		/* evt.abspath shows the following fields another one */
	if (!present)
		lua_pushnil(L);
	else if (v.flags & VALUE_LIST)
		push_list(L, &v);
	else
		push_one(L, &v);
	return 1;
}

/* ------------------------------------------------------------------ its process */

static struct evt *event_at_hand(lua_State *L)
{
	struct evt *e = sandbox_event_of(L)->evt;

	if (!e)
		luaL_error(L, "the event is over");
	return e;
}

/* When it began tells a process from a later one with its number: ns, rounded like all numbers of Lua. */
static lua_Number born(const struct thread *main)
{
	return (lua_Number)main->clone_ts;
}

static int process(lua_State *L)
{
	struct evt *e = event_at_hand(L);
	const struct thread *main = e->thread ? thread_main(e->st->threads, e->thread) : NULL;

	if (!main)
		return 0;
	lua_pushnumber(L, (lua_Number)main->tid);
	lua_pushnumber(L, born(main));
	return 2;
}

static int is_alive(lua_State *L)
{
	struct evt *e = event_at_hand(L);
	lua_Number tid = luaL_checknumber(L, 1);
	const struct thread *main = thread_find(e->st->threads, (int64_t)tid);

	sandbox_charge(L, 64);
	lua_pushboolean(L, main && born(main) == luaL_checknumber(L, 2));
	return 1;
}

static int time_of_event(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)event_at_hand(L)->h.ts / 1e9);
	return 1;
}

void event_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "field", field }, { "get", get }, { "process", process }, { "is_alive", is_alive }, { "time", time_of_event },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}

void event_forget(struct sandbox_event *event)
{
	ruleset_free(event->fields);
	event->fields = NULL;
	event->n = 0;
}
