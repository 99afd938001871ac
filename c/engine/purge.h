/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purge: takes threads out of the table that the host does not have any more, because the event of their end was lost.
 *
 * Every `interval` all threads are looked at, a few per call, so that nobody waits for it. One that is gone is remembered,
 * and taken out when it is still gone and still in the table `patience` later: its end may be on the way. Where ends are known
 * to have been lost, both are cut to PURGE_HURRY_NS for some time.
 *
 *	struct purge p = { .interval_ns = ..., .patience_ns = ..., .is_there = f, .ctx = ctx };
 *	if (ends were lost) purge_hurry(&p, now_ns);
 *	purge_some(&p, threads, now_ns);		// between two events, now and then
 *	purge_free(&p);
 */
#ifndef FALCO_PURGE_H
#define FALCO_PURGE_H

#include "../map.h"
#include "proc.h"

struct purge {
	uint64_t interval_ns, patience_ns;	/* interval 0: never */
	bool (*is_there)(void *ctx, int64_t tid);
	void *ctx;
	uint64_t due;			/* next walk; 0: not known yet */
	uint64_t hurry_until;
	uint32_t at;			/* of the walk under way */
	struct map gone;		/* tid -> struct gone of those that were missed */
	uint64_t removed;
};

enum { PURGE_AT_ONCE = 64, PURGE_MAX_GONE = 65536 };

#define PURGE_HURRY_NS 10000000000ull

void purge_hurry(struct purge *p, uint64_t now_ns);
void purge_some(struct purge *p, struct threads *threads, uint64_t now_ns);
void purge_free(struct purge *p);

#endif
