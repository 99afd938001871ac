/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * source: events of this host as they happen, in order of time, as raw records (event.h).
 *
 *	struct source *src = source_bpf_open(&options, &err);
 *	source_want(src, codes);			// until then nothing is reported
 *	for (;;) {
 *		while ((rc = source_next(src, &ev)) == 1) ...
 *		if (rc < 0) ...				// for good
 *		nothing now: sleep, 5 ms at most
 *	}
 *	source_close(src);
 *
 * Records come from the kernel and are checked only for their outer length; whoever decodes them checks the rest.
 */
#ifndef FALCO_DRIVER_SOURCE_H
#define FALCO_DRIVER_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "event.h"
#include "tasks.h"

struct err;

struct source_options {
	uint64_t ring_bytes;		/* of each ring, a power of two and of pages; 0: SOURCE_RING_BYTES */
	uint32_t cpus_per_ring;		/* 0: one ring for all */
	uint32_t snaplen;		/* bytes of data that events keep; 0: SOURCE_SNAPLEN */
	uint16_t full_port_first, full_port_last;	/* more of them for these ports; last 0: none */
	bool drop_failed;		/* without calls that failed */
	bool self;			/* with what this process does */
	bool no_tasks;			/* without source_tasks() and source_fds() */
};

enum { SOURCE_RING_BYTES = 8 << 20, SOURCE_SNAPLEN = 80, SOURCE_RING_MIN = 1 << 20, SOURCE_RING_MAX = 512 << 20 };

/* Borrowed until the next source_next(). */
struct source_event {
	const struct event_hdr *hdr;
	uint32_t size;			/* bytes at hdr; hdr->len is not larger */
	uint16_t cpu;
};

/* Since the start. `events` counts what was delivered to the buffers and what was lost on the way there. */
struct source_losses {
	uint64_t events, lost;
	uint64_t full;			/* no room in a buffer; of these: */
	uint64_t forks, execs, exits, opens, closes, connects, files, others;
	uint64_t too_big, busy;		/* no room in one record; one filler interrupted another */
};

struct source {
	const struct source_ops *ops;
};

struct source_ops {
	const char *name;		/* as engine.kind has it */
	/* 1: an event; 0: none now; -errno, for good */
	int (*next)(struct source *src, struct source_event *ev);
	/* Which system calls and tracepoints to report, by SC_*. 0 or -errno. */
	int (*want)(struct source *src, const bool codes[SC_COUNT], struct err *err);
	/* The i-th counter: name and value, or NULL; alarming: events were lost. */
	const char *(*stat)(struct source *src, uint32_t i, uint64_t *value, bool *alarming);
	void (*losses)(struct source *src, struct source_losses *losses);
	/* All threads, all descriptors, as of now. 0, what `see` returned below 0, or -errno; -EOPNOTSUPP: it cannot tell. */
	int (*tasks)(struct source *src, task_seen *see, void *ctx);
	int (*fds)(struct source *src, fd_seen *see, void *ctx);
	void (*close)(struct source *src);
};

/* NULL: err says why, and what to do. */
struct source *source_bpf_open(const struct source_options *options, struct err *err);

static inline int source_next(struct source *src, struct source_event *ev)
{
	return src->ops->next(src, ev);
}

static inline int source_want(struct source *src, const bool codes[SC_COUNT], struct err *err)
{
	return src->ops->want(src, codes, err);
}

static inline const char *source_stat(struct source *src, uint32_t i, uint64_t *value, bool *alarming)
{
	return src->ops->stat(src, i, value, alarming);
}

static inline void source_losses(struct source *src, struct source_losses *losses)
{
	src->ops->losses(src, losses);
}

static inline int source_tasks(struct source *src, task_seen *see, void *ctx)
{
	return src->ops->tasks(src, see, ctx);
}

static inline int source_fds(struct source *src, fd_seen *see, void *ctx)
{
	return src->ops->fds(src, see, ctx);
}

static inline void source_close(struct source *src)
{
	if (src)
		src->ops->close(src);
}

#endif
