/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that knows the Lua API. Modules come from the binary alone: no path of the host is searched. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <lauxlib.h>
#include <lualib.h>
#include "engine/ffi.h"
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

static lua_State *new_state(void)
{
	lua_State *L = luaL_newstate();

	if (!L)
		return NULL;
	luaL_openlibs(L);
	set_loaders(L);
	return L;
}

/* Leaves the message handler at index 1 and behind it the module, with the cdef text as its first argument; or a message. */
static int begin_module(lua_State *L, const char *name)
{
	int rc;

	lua_pushcfunction(L, traceback);
	lua_getglobal(L, "require");
	lua_pushstring(L, name);
	if ((rc = lua_pcall(L, 1, 1, 1)) == 0)
		lua_pushstring(L, embed_cdef);
	return rc;
}

int lua_main(int argc, char **argv)
{
	lua_State *L = new_state();
	int status = 1;

	if (!L) {
		fputs("falco: out of memory\n", stderr);
		return 1;
	}
	if (begin_module(L, "main") == 0) {
		/* main(cdef, args...) -> exit status */
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

/* ------------------------------------------------------------------ the output thread */

struct output_thread {
	pthread_t thread;
	lua_State *L;
	struct queue *queue;
};

/* Whatever becomes of it, the worker must not wait for an end that nobody tells. */
static void *run_outputs(void *arg)
{
	struct output_thread *t = arg;

	pthread_setname_np(pthread_self(), "falco-outputs");
	if (lua_pcall(t->L, 3, 0, 1)) {
		fprintf(stderr, "falco: bug: %s\n", lua_tostring(t->L, -1));
		queue_report(t->queue, "the output thread has failed", strlen("the output thread has failed"));
	}
	queue_set_state(t->queue, OUTPUT_ENDED);
	return NULL;
}

struct output_thread *output_start(struct queue *q, const char *boot, size_t len, struct err *err)
{
	struct output_thread *t = calloc(1, sizeof *t);
	sigset_t all, before;
	int rc = ENOMEM;

	if (!t || !(t->L = new_state()))
		goto out;
	t->queue = q;
	if (begin_module(t->L, "outputs.main")) {
		fprintf(stderr, "falco: bug: %s\n", lua_tostring(t->L, -1));
		rc = ENOEXEC;
		goto out;
	}
	/* main(cdef, queue, boot) */
	lua_pushlightuserdata(t->L, q);
	lua_pushlstring(t->L, boot, len);
	sigfillset(&all);		/* they are for the worker */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&t->thread, NULL, run_outputs, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return t;
out:
	if (t && t->L)
		lua_close(t->L);
	free(t);
	err_set(err, rc, "the output thread cannot be started: %s", strerror(rc));
	return NULL;
}

int output_join(struct output_thread *t, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (ms < 0)
		pthread_join(t->thread, NULL);
	else if (pthread_clockjoin_np(t->thread, NULL, CLOCK_MONOTONIC, &until))
		return -ETIMEDOUT;
	lua_close(t->L);
	free(t);
	return 0;
}
