/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of live containers, from the container runtimes of the host.
 *
 * Runtimes write down what they are about to start before they start it, so a container's first event finds its
 * metadata on the disk: the OCI bundle, docker's and podman's configuration, containerd's database. Where files do not
 * tell, the docker-compatible API is asked. All of that happens in a thread of its own; the event loop asks, waits a
 * moment (bounded, and bounded in sum), and takes later answers as they come.
 *
 *	struct runtime *r = runtime_new(&host, &options, &err);
 *	...
 *	if (containers_fresh(st->containers))			// after an event changed the tables
 *		runtime_meet(r, st, thread);
 *	runtime_poll(r, st, learnt, ctx);			// now and then; also right after runtime_meet()
 *	runtime_free(r, st);
 *
 * Files are the host's (HOST_ROOT is honoured), but those of a user's own containers are written by that user: sizes
 * and depth are bounded, and nothing but regular files is read.
 */
#ifndef FALCO_RUNTIME_H
#define FALCO_RUNTIME_H

#include "ffi.h"
#include "host.h"
#include "state.h"

struct runtime;

enum runtime_bounds {
	RUNTIME_MAX_QUEUE = 1024,		/* containers that wait for an answer */
	RUNTIME_TRIES = 5,			/* look-ups of one container */
	RUNTIME_RETRY_MS = 50,			/* before the second, four times as long before each later one */
	RUNTIME_WAIT_MS = 20,			/* that one event waits for an answer */
	RUNTIME_WAIT_SUM_MS = 200,		/* that events of one second wait altogether */
	RUNTIME_API_MS = 2000,			/* for an API's answer, in the thread; not on the first try */
	RUNTIME_API_SLOW_MS = 1000,		/* an API that takes longer is left alone */
	RUNTIME_API_PAUSE_MS = 30000,		/* for so long: the other containers wait behind it */
};

/* NULL: out of memory, or no thread to be had. options NULL: the defaults. */
struct runtime *runtime_new(const struct host_view *host, const struct runtime_options *options, struct err *err);
void runtime_free(struct runtime *r, struct state *st);	/* NULL allowed; waits for an answer that is under way */

/* Asks for the containers that state met anew; `t`, which may be NULL, is the thread that the event is about: its
 * ancestors know where the container's files are. */
void runtime_meet(struct runtime *r, struct state *st, struct thread *t);
/* Learns what was answered. `learnt`, which may be NULL, sees each JSON text once it is in the tables. */
void runtime_poll(struct runtime *r, struct state *st, void (*learnt)(void *ctx, struct str json), void *ctx);
struct runtime_counts {
	uint64_t asked, answered, unknown;	/* containers; unknown: after all tries */
	uint64_t late;				/* answers that the first event did not wait for */
	uint64_t waited_ns;
};
void runtime_counts(const struct runtime *r, struct runtime_counts *counts);

#endif
