/* SPDX-License-Identifier: Apache-2.0 */
/* An engine from inside: for those that keep what it reads (past.h) or look at its tables (look.c). */
#ifndef FALCO_ENGINE_H
#define FALCO_ENGINE_H

#include "evt.h"
#include "scap.h"
#include "state.h"
#include "stream.h"

struct state *engine_state(struct engine *eng);
/* The event at hand as the source gave it; borrowed like the event. */
const struct scap_rec *engine_rec(const struct engine *eng);
struct scap *engine_capture(struct engine *eng);	/* NULL: no capture is open */
/* As engine_open_replay(): what is read is kept too; or read from memory that outlives it. */
int engine_open_copied(struct engine *eng, const char *path, struct stream_copy *copy, struct err *err);
int engine_open_memory(struct engine *eng, const void *data, size_t len, struct err *err);

/* Sets h.sc of an event whose code and parameters are there. */
static inline void event_find_syscall(struct evt *e)
{
	int64_t sc, native;

	e->h.sc = 0;
	if (event_is_generic(e->h.code) && param_int(e, 0, &sc)) {
		/* a capture's driver may have been older than the system call: its own number still tells */
		if (sc == SC_UNKNOWN && param_int(e, 1, &native))
			sc = syscall_of_native((uint32_t)native);
		e->h.sc = (uint32_t)sc;
	}
}

#endif
