/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * rings: the records of several BPF ring buffers in order of time, without copying them.
 *
 *	ring:    |  delivered  |  pending (sorted by time in entries)  |  committed  | busy |   free   |
 *	         consumer                                              drained              producer
 *
 * A record's time is taken just before it gets its place, so what is older than a little while (HOLDBACK) is in the rings
 * now. Each round notes the time, looks where the producers are, takes up to there what is committed, and from then on
 * delivers what is older than that time less the holdback, the oldest first. A record that is being written holds the
 * round back, up to HOLDBACK_MAX. What comes in spite of that too late is delivered at once, and counted.
 */
#ifndef FALCO_DRIVER_RING_H
#define FALCO_DRIVER_RING_H

#include <stddef.h>
#include "probe.h"
#include "source.h"

enum { HOLDBACK_NS = 2000000, HOLDBACK_MAX_NS = 50000000 };

struct rings;

/* NULL: out of memory. boot_ns: what the kernel's boot clock has to be added to. */
struct rings *rings_new(uint32_t n, uint64_t boot_ns);
void rings_free(struct rings *rs);
/* Maps the i-th ring buffer, a map of `bytes`. 0 or -errno. */
int rings_map(struct rings *rs, uint32_t i, int map_fd, size_t bytes);
/* 1: an event, borrowed until the next call; 0: none now. */
int rings_next(struct rings *rs, struct source_event *ev);
/* Bytes of the i-th ring that are in use now, and at most so far. */
void rings_fill(const struct rings *rs, uint32_t i, uint64_t *now, uint64_t *most);
uint64_t rings_late(const struct rings *rs);	/* delivered out of order */
uint64_t rings_bad(const struct rings *rs);	/* left out: no record */

#endif
