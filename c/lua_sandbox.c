/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes: one Lua state for one script that nobody vouches for. Declared in ffi.h.
 *
 * What holds it
 *   memory      every byte of the state is counted by hold(), and beyond the limit there is none
 *   time        the hook looks every HOOK_EVERY instructions at how many there were and what the clock says. Between two looks an
 *               instruction could still copy megabytes, so whoever allocates much is looked at sooner, as is a script that
 *               holds much. Once a limit is passed the hook comes with every instruction and raises, until the call is over:
 *               a script may catch the error, but then the next instruction raises it again, outside of that pcall
 *   C           functions of C run without hooks. Those that can take long are not Lua's: lua_pattern.c has a meter, the others are
 *               written in Lua (lua/scripts/library.lua), where every instruction counts
 *   reach       the script sees what the prelude gives it and nothing else; libraries that reach further are never opened
 *   words       errors that it raises are taken as text if they are text. What it makes of them otherwise is not asked: a __tostring
 *               is code
 *
 * The JIT compiler is off, since compiled code calls no hooks. All that touches the state runs inside lua_cpcall(): running out of
 * memory while an argument is pushed is an error like any other.
 *
 * Data crosses as LuaJIT's serialized values, made and read by string.buffer on both sides: no value of one state is ever seen
 * by the other.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include "engine/ffi.h"
#include "lua_pattern.h"
#include "lua_sandbox.h"

#define HOOK_EVERY 100
#define HOOK_OFTEN 10				/* for a script that holds more than BIG bytes */
#define BIG ((size_t)1 << 20)
#define DEBT ((size_t)256 << 10)		/* bytes allocated, freed or not, after which a look is due */
#define STEPS_PER_INSTRUCTION 4
#define STACK_MAX ((ptrdiff_t)128 << 10)	/* bytes of C stack that a script may take by calls of C from Lua from C */
#define SETUP_FACTOR 10				/* so much more for what happens once: the main function, open(), close() */
#define ERROR_MAX 4096
#define MESSAGE_MAX 1024			/* of that, the error itself; the rest is for the traceback */

enum verdict { FINE, TOO_LONG, TOO_LATE };

struct sandbox {
	lua_State *L;
	struct sandbox_limits limits;
	struct sandbox_stats stats;
	enum verdict verdict;
	size_t debt;
	uint64_t collected;			/* bytes that were left after the last full collection */
	uint64_t used, allowed;			/* instructions of the call at hand */
	uint64_t steps;				/* of C, not yet counted as instructions */
	uint64_t started, cpu_started, allowed_ns, late;	/* `late`: when to look at the CPU's clock */
	uint32_t every;				/* instructions between two looks */
	const char *stack;			/* where the call at hand began on the C stack */
	int dispatch, environment;		/* references: the prelude's function, the script's globals */
	int answer_ref;
	const char *answer;
	uint32_t answer_len;
	bool refused_memory;			/* in the call at hand */
	struct sandbox_event event;
	const char *name;			/* of the script, while it is loaded */
	char error[ERROR_MAX];
	char ours[2][LUA_IDSIZE + 1];	/* how places in the preludes begin */
};

/* ------------------------------------------------------------------ memory */

static void look(lua_State *L, lua_Debug *ar);

/* A look at the next instruction. Safe at any time: LuaJIT allows it even in signal handlers. */
static void look_soon(struct sandbox *sb)
{
	sb->every = 1;
	lua_sethook(sb->L, look, LUA_MASKCOUNT, 1);
}

static void *hold(void *ud, void *p, size_t osize, size_t nsize)
{
	struct sandbox *sb = ud;

	if (nsize == 0) {
		free(p);
		sb->stats.memory -= osize;
		return NULL;
	}
	/* without its first few KB lua_newstate() does not fail but crash, so they are not refused */
	if (sb->L && nsize > osize && sb->stats.memory - osize + nsize > sb->limits.memory) {
		sb->refused_memory = true;
		return NULL;
	}
	void *q = realloc(p, nsize);
	if (!q)
		return nsize <= osize ? p : NULL;	/* the state counts on it that shrinking works */
	sb->stats.memory += nsize - osize;
	if (sb->stats.memory > sb->stats.peak)
		sb->stats.peak = sb->stats.memory;
	sb->debt += nsize;
	if (sb->debt > DEBT && sb->L && sb->every > 1)
		look_soon(sb);
	return q;
}

struct sandbox *sandbox_of(lua_State *L)
{
	void *ud;

	lua_getallocf(L, &ud);
	return ud;
}

struct sandbox_event *sandbox_event_of(lua_State *L)
{
	return &sandbox_of(L)->event;
}

/* ------------------------------------------------------------------ time */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The thread's own CPU time counts: a busy machine is no fault of the script. It takes a system call, the other clock does not. */
static bool is_late(struct sandbox *sb)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now < sb->late)
		return false;
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - sb->cpu_started;
	if (cpu >= sb->allowed_ns)
		return true;
	sb->late = now + (sb->allowed_ns - cpu);
	return false;
}

static void judge(struct sandbox *sb)
{
	if (sb->verdict != FINE)
		return;
	if (sb->used > sb->allowed)
		sb->verdict = TOO_LONG;
	else if (is_late(sb))
		sb->verdict = TOO_LATE;
}

/* Does a text begin with a place in the preludes? How many bytes that is, with what separates it from what follows. */
static size_t our_place(const struct sandbox *sb, const char *text)
{
	for (size_t i = 0; i < sizeof sb->ours / sizeof *sb->ours; i++) {
		size_t len = strlen(sb->ours[i]);

		if (len && strncmp(text, sb->ours[i], len) == 0) {
			len += strspn(text + len, "0123456789");
			return strncmp(text + len, ": ", 2) == 0 ? len + 2 : len;
		}
	}
	return 0;
}

/* The line of the script, "file:line: ", that runs or has called what runs; "": there is none. */
static void push_place(lua_State *L)
{
	lua_Debug where;

	for (int level = 0; lua_getstack(L, level, &where); level++) {
		if (!lua_getinfo(L, "Sl", &where) || where.currentline <= 0)
			continue;
		const char *place = lua_pushfstring(L, "%s:%d: ", where.short_src, where.currentline);
		if (!our_place(sandbox_of(L), place))
			return;
		lua_pop(L, 1);
	}
	lua_pushliteral(L, "");
}

static int refuse(lua_State *L, struct sandbox *sb)
{
	look_soon(sb);
	push_place(L);
	if (sb->verdict == TOO_LONG)
		lua_pushfstring(L, "more than %f instructions in one call (limits: instructions)",
				(lua_Number)sb->allowed);
	else
		lua_pushfstring(L, "more than %f ms in one call (limits: ms)", (lua_Number)sb->allowed_ns / 1e6);
	lua_concat(L, 2);
	return lua_error(L);
}

static void look(lua_State *L, lua_Debug *ar)
{
	struct sandbox *sb = sandbox_of(L);

	(void)ar;
	sb->used += sb->every;
	judge(sb);
	if (sb->verdict != FINE)
		refuse(L, sb);
	sb->debt = 0;
	uint32_t every = sb->stats.memory > BIG ? HOOK_OFTEN : HOOK_EVERY;
	if (every != sb->every) {
		sb->every = every;
		lua_sethook(sb->L, look, LUA_MASKCOUNT, (int)every);
	}
}

void sandbox_charge(lua_State *L, size_t steps)
{
	struct sandbox *sb = sandbox_of(L);

	sb->steps += steps;
	if (sb->steps < STEPS_PER_INSTRUCTION * HOOK_EVERY)
		return;
	sb->used += sb->steps / STEPS_PER_INSTRUCTION;
	sb->steps = 0;
	judge(sb);
	if (sb->verdict != FINE)
		refuse(L, sb);
}

void sandbox_check_stack(lua_State *L)
{
	ptrdiff_t used = sandbox_of(L)->stack - (const char *)__builtin_frame_address(0);

	if (used > STACK_MAX)
		luaL_error(L, "calls are nested too deep");
}

/* ------------------------------------------------------------------ errors */

static void say(struct sandbox *sb, const char *text)
{
	snprintf(sb->error, sizeof sb->error, "%s", text);
}

/* A traceback without the lines of the prelude, and of C below it: they are no place where a script can be mended. */
static void add_traceback(struct sandbox *sb, const char *trace)
{
	size_t at = strlen(sb->error);

	while (*trace) {
		size_t len = strcspn(trace, "\n");
		bool ours = our_place(sb, trace + strspn(trace, "\t")) || memmem(trace, len, "[C]: at 0x", 10) ||
			    memmem(trace, len, "[C]: in function 'fail'", 23);

		if (!ours && at + len + 2 < sizeof sb->error) {
			sb->error[at++] = '\n';
			memcpy(sb->error + at, trace, len);
			at += len;
		}
		trace += len + (trace[len] == '\n');
	}
	sb->error[at] = '\0';
}

/* Message handler of what the script runs. No code of the script is run here, whatever it threw. */
static int explain(lua_State *L)
{
	struct sandbox *sb = sandbox_of(L);

	if (lua_type(L, 1) == LUA_TSTRING) {
		const char *text = lua_tostring(L, 1);
		size_t skip = our_place(sb, text);		/* Lua's own functions, called by ours */
		if (skip)
			push_place(L);
		snprintf(sb->error, sizeof sb->error, "%s%.*s", skip ? lua_tostring(L, -1) : "", MESSAGE_MAX, text + skip);
	} else {
		snprintf(sb->error, sizeof sb->error, "the error is a %s, not a text", luaL_typename(L, 1));
	}
	luaL_traceback(L, L, NULL, 1);
	add_traceback(sb, lua_tostring(L, -1));
	return 0;
}

/* How a call ended: 0 or -errno, and what there is to say about it. */
static int conclude(struct sandbox *sb, int status)
{
	if (status == 0)
		return 0;
	sb->stats.errors++;
	sb->stats.over_instructions += sb->verdict == TOO_LONG;
	sb->stats.over_time += sb->verdict == TOO_LATE;
	if (status == LUA_ERRMEM || sb->refused_memory) {
		sb->stats.over_memory++;
		snprintf(sb->error, sizeof sb->error, "it wants more than %u bytes of memory (limits: memory_bytes)", sb->limits.memory);
		return -ENOMEM;
	}
	if (sb->error[0] == '\0')
		say(sb, "stack overflow, or an error within an error");
	return sb->verdict != FINE ? -ETIME : -EINVAL;
}

/* ------------------------------------------------------------------ calling */

struct call {
	struct sandbox *sb;
	const char *what, *text;
	size_t len;
	bool load;
	const struct str *preludes;
	uint32_t npreludes;
};

static void begin(struct sandbox *sb, const struct call *c, const char *stack)
{
	bool once = c->load || strcmp(c->what, "open") == 0 || strcmp(c->what, "close") == 0 || strcmp(c->what, "setup") == 0;

	sb->allowed = sb->limits.instructions * (once ? SETUP_FACTOR : 1);
	sb->allowed_ns = (uint64_t)sb->limits.ms * 1000000u * (once ? SETUP_FACTOR : 1);
	sb->verdict = FINE;
	sb->used = sb->steps = sb->debt = 0;
	sb->refused_memory = false;
	sb->error[0] = '\0';
	sb->answer = NULL;
	sb->answer_len = 0;
	sb->stack = stack;
	sb->started = clock_ns(CLOCK_MONOTONIC);
	sb->cpu_started = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	sb->late = sb->started + sb->allowed_ns;
	sb->every = HOOK_EVERY;
	lua_sethook(sb->L, look, LUA_MASKCOUNT, HOOK_EVERY);
}

/* Puts the script's main function on the stack, with its globals. */
static void push_script(lua_State *L, const struct call *c)
{
	struct sandbox *sb = c->sb;

	if (c->len && c->text[0] == LUA_SIGNATURE[0]) {
		say(sb, "it is bytecode, and scripts are text");
		lua_pushnil(L);
		lua_error(L);
	}
	lua_pushfstring(L, "@%s", sb->name);
	if (luaL_loadbufferx(L, c->text, c->len, lua_tostring(L, -1), "t")) {
		const char *why = lua_tostring(L, -1);
		snprintf(sb->error, sizeof sb->error, "%.*s", MESSAGE_MAX, why ? why : "it cannot be read");
		lua_error(L);
	}
	lua_remove(L, -2);
	lua_rawgeti(L, LUA_REGISTRYINDEX, sb->environment);
	lua_setfenv(L, -2);
}

static void keep_answer(lua_State *L, struct sandbox *sb)
{
	size_t len;
	const char *answer;

	if (lua_type(L, -1) != LUA_TSTRING)
		return;
	answer = lua_tolstring(L, -1, &len);
	if (len > sb->limits.output) {
		sb->stats.over_output++;
		snprintf(sb->error, sizeof sb->error, "it hands back %zu bytes, of %u (limits: output_bytes)", len, sb->limits.output);
		lua_error(L);
	}
	lua_rawseti(L, LUA_REGISTRYINDEX, sb->answer_ref);
	sb->answer = answer;
	sb->answer_len = (uint32_t)len;
}

/* dispatch(what, text or function) -> answer or nil */
static int run(lua_State *L)
{
	struct call *c = lua_touserdata(L, 1);
	struct sandbox *sb = c->sb;

	lua_settop(L, 0);
	lua_pushcfunction(L, explain);
	lua_rawgeti(L, LUA_REGISTRYINDEX, sb->dispatch);
	lua_pushstring(L, c->what);
	if (c->load)
		push_script(L, c);
	else
		lua_pushlstring(L, c->text, c->len);
	int status = lua_pcall(L, 2, 1, 1);
	if (status)
		lua_error(L);		/* explained already, unless memory was short */
	keep_answer(L, sb);
	return 0;
}

static int enter(struct sandbox *sb, struct call *c)
{
	begin(sb, c, __builtin_frame_address(0));
	int status = lua_cpcall(sb->L, run, c);

	lua_sethook(sb->L, NULL, 0, 0);
	lua_settop(sb->L, 0);
	sb->stats.calls++;
	sb->stats.ns += clock_ns(CLOCK_MONOTONIC) - sb->started;
	sb->stats.instructions += sb->used;
	int result = conclude(sb, status);
	/* a state that is nearly full of garbage would fail the next call; one that is full of what it needs is left alone */
	if (result == -ENOMEM || (sb->stats.memory > sb->limits.memory / 4 * 3 &&
				  sb->stats.memory > sb->collected + sb->limits.memory / 16)) {
		lua_gc(sb->L, LUA_GCCOLLECT, 0);
		sb->collected = sb->stats.memory;
	}
	return result;
}

int sandbox_load(struct sandbox *sb, const char *name, const char *text, size_t len)
{
	struct call c = { .sb = sb, .what = "load", .text = text, .len = len, .load = true };

	sb->name = name;
	int result = enter(sb, &c);
	sb->name = NULL;
	return result;
}

int sandbox_call(struct sandbox *sb, const char *what, const char *text, size_t len)
{
	struct call c = { .sb = sb, .what = what, .text = text, .len = len };

	return enter(sb, &c);
}

int sandbox_event(struct sandbox *sb, struct evt *e, const char *text, size_t len)
{
	struct call c = { .sb = sb, .what = "event", .text = text, .len = len };

	sb->event.evt = e;
	int result = enter(sb, &c);
	sb->event.evt = NULL;
	return result;
}

const char *sandbox_answer(const struct sandbox *sb, uint32_t *len)
{
	*len = sb->answer_len;
	return sb->answer;
}

const char *sandbox_error(const struct sandbox *sb)
{
	return sb->error;
}

void sandbox_stats(const struct sandbox *sb, struct sandbox_stats *stats)
{
	*stats = sb->stats;
}

/* ------------------------------------------------------------------ making one */

/* For the prelude, before it lets C call Lua: raises if that goes too deep. */
static int check_stack(lua_State *L)
{
	sandbox_check_stack(L);
	return 0;
}

/* Steps for work of C that the prelude is about to have done. */
static int charge(lua_State *L)
{
	lua_Number steps = luaL_checknumber(L, 1);

	sandbox_charge(L, steps > 0 && steps < 1e15 ? (size_t)steps : 0);
	return 0;
}

/* fail(message): raises an error at the script's line. */
static int fail(lua_State *L)
{
	luaL_checkstring(L, 1);
	push_place(L);
	lua_pushvalue(L, 1);
	lua_concat(L, 2);
	return lua_error(L);
}

/* The inside of a JSON string. */
static int escape(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	char first[256];

	if (len > UINT32_MAX / 8)
		return luaL_error(L, "the text is too long");
	sandbox_charge(L, len / 4);
	uint32_t want = json_escape(text, (uint32_t)len, first, sizeof first);
	if (want <= sizeof first) {
		lua_pushlstring(L, first, want);
		return 1;
	}
	char *all = lua_newuserdata(L, want);
	json_escape(text, (uint32_t)len, all, want);
	lua_pushlstring(L, all, want);
	return 1;
}

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
	lua_pushcfunction(L, open);
	lua_pushstring(L, name);
	lua_call(L, 1, 0);
}

/* What the prelude gets: functions by name, from here and the files beside this one. */
static void push_natives(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "check_stack", check_stack }, { "charge", charge }, { "escape", escape }, { "fail", fail },
		{ NULL, NULL },
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	pattern_register(L);
	event_register(L);

	lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
	lua_getfield(L, -1, "string.buffer");
	lua_pushliteral(L, "string.buffer");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "encode");
	lua_setfield(L, -4, "encode");
	lua_getfield(L, -1, "decode");
	lua_setfield(L, -4, "decode");
	lua_pop(L, 2);
}

static void forget(lua_State *L, const char *key)
{
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, key);
}

/* What messages call the prelude on the stack. */
static void note_ours(lua_State *L, struct sandbox *sb, uint32_t i)
{
	lua_Debug where;

	REQUIRE(i < sizeof sb->ours / sizeof *sb->ours);
	lua_pushvalue(L, -1);
	lua_getinfo(L, ">S", &where);
	snprintf(sb->ours[i], sizeof sb->ours[i], "%s:", where.short_src);
}

/* The prelude is handed the library's functions and makes the script's globals of them; then nothing else leads to them. */
static int furnish(lua_State *L)
{
	const struct call *c = lua_touserdata(L, 1);
	struct sandbox *sb = c->sb;

	open_library(L, "", luaopen_base);
	open_library(L, LUA_TABLIBNAME, luaopen_table);
	open_library(L, LUA_STRLIBNAME, luaopen_string);
	open_library(L, LUA_MATHLIBNAME, luaopen_math);
	open_library(L, LUA_BITLIBNAME, luaopen_bit);
	luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
	lua_gc(L, LUA_GCSETPAUSE, 120);		/* garbage counts against the limit, so it goes early */
	lua_gc(L, LUA_GCSETSTEPMUL, 400);

	push_natives(L);
	for (uint32_t i = 0; i < c->npreludes; i++) {
		lua_settop(L, 2);		/* the call's data, natives */
		if (luaL_loadbufferx(L, c->preludes[i].p, c->preludes[i].len, "=prelude", "bt"))
			return lua_error(L);
		note_ours(L, sb, i);
		lua_pushvalue(L, 2);
		lua_call(L, 1, 2);
	}
	sb->environment = luaL_ref(L, LUA_REGISTRYINDEX);
	sb->dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pushliteral(L, "");
	sb->answer_ref = luaL_ref(L, LUA_REGISTRYINDEX);

	forget(L, "_LOADED");
	forget(L, "_PRELOAD");
	lua_pushnil(L);
	while (lua_next(L, LUA_GLOBALSINDEX)) {
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_pushnil(L);
		lua_rawset(L, LUA_GLOBALSINDEX);
	}
	return 0;
}

struct sandbox *sandbox_new(const struct sandbox_limits *limits, const struct str *preludes, uint32_t n, struct err *err)
{
	struct sandbox *sb = calloc(1, sizeof *sb);
	struct call c = { .sb = sb, .preludes = preludes, .npreludes = n };

	if (!sb)
		goto nomem;
	sb->limits = *limits;
	if (!(sb->L = lua_newstate(hold, sb)))
		goto nomem;
	sb->stack = __builtin_frame_address(0);
	sb->every = 1;				/* nothing to look at yet */
	if (lua_cpcall(sb->L, furnish, &c)) {
		const char *why = lua_tostring(sb->L, -1);
		err_set(err, ENOMEM, "a sandbox of %u bytes cannot be made: %s", limits->memory, why ? why : "no reason is known");
		sandbox_free(sb);
		return NULL;
	}
	lua_settop(sb->L, 0);
	return sb;
nomem:
	err_set(err, ENOMEM, "a sandbox of %u bytes cannot be made: not enough memory", limits->memory);
	sandbox_free(sb);
	return NULL;
}

void sandbox_free(struct sandbox *sb)
{
	if (!sb)
		return;
	if (sb->L)
		lua_close(sb->L);
	event_forget(&sb->event);
	free(sb);
}
