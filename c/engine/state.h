/* SPDX-License-Identifier: Apache-2.0 */
/* The host as the events so far describe it: one owner for each table, all reached from here. */
#ifndef FALCO_STATE_H
#define FALCO_STATE_H

#include "container.h"
#include "fd.h"
#include "ffi.h"
#include "host.h"
#include "iface.h"
#include "intern.h"
#include "proc.h"
#include "user.h"

struct machine {
	uint32_t cpus;
	uint64_t memory;	/* bytes */
	uint64_t boot_ts;	/* ns since the epoch; 0 in old captures */
	uint64_t max_pid, flags;	/* of no use here, but a capture that is written has them again */
	char hostname[129];
};

/* What the event at hand ends, kept until just before the next one, so that its fields still see it. */
struct aftermath {
	bool thread, fd;
	int64_t tid;			/* of the thread that exited */
	int64_t fd_tid, fd_num;		/* the descriptor that was closed, and in whose table */
};

/* Asks the host about what events do not tell; NULL: nobody can be asked. Both fill the state. */
struct lookup {
	void *ctx;
	void (*thread)(void *ctx, int64_t tid);
	void (*fd)(void *ctx, int64_t pid, int64_t fd);
};

struct recent;				/* exits of the last seconds (parse_proc.c) */

struct state {
	struct intern *strings;
	struct threads *threads;
	struct fds *fds;
	struct users *users;
	struct containers *containers;
	struct ifaces *ifaces;
	struct machine machine;
	struct host_view host;
	uint64_t first_ts;		/* of the first event that is no meta event; 0: none yet */
	uint32_t table_epoch;		/* users, groups, interfaces, containers changed */
	uint32_t lineage_epoch;		/* some process's ancestors changed */
	struct aftermath after;
	struct recent *recent;
	const struct lookup *lookup;	/* of a live source; NULL: a capture */
	uint64_t enter_bytes, enter_overflow;	/* enter events kept for their exits, and not kept (parse.c) */
	uint64_t bad_params;		/* parameters whose length did not fit their type */
};

int state_init(struct state *st, const struct engine_limits *limits);	/* limits NULL: the defaults */
void state_free(struct state *st);
/* Forgets the host: another capture section starts. Overflow counters stay. */
void state_reset(struct state *st);

#endif
