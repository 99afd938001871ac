/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lists say, said as events: a capture has its lists at the head of a section, so a process that becomes known later,
 * by asking the host and not by an event, is told by events that a reader learns the same from.
 *
 *	struct retelling r = { .arena = &arena };
 *	if (retell_born(&r, &proc, ts)) scap_write(w, &r.rec);		// a clone, seen by the child
 *	if (retell_exec(&r, &proc, ts)) scap_write(w, &r.rec);		// and an execve, of a main thread
 *	if (retell_cwd(&r, &proc, ts)) scap_write(w, &r.rec);		// and a chdir
 *	for (uint32_t step = 0; retell_fd(&r, step, tid, fd, &draft, ts); step++)
 *		scap_write(w, &r.rec);					// open, or socket and connect
 *
 * false: memory is out, or there is no event that would tell it. Records are marked as for state only, and live in the
 * arena.
 */
#ifndef FALCO_RETELL_H
#define FALCO_RETELL_H

#include "../arena.h"
#include "scap.h"

struct retelling {
	struct arena *arena;
	bool failed;
	struct scap_rec rec;
};

bool retell_born(struct retelling *r, const struct scap_proc *p, uint64_t ts);
bool retell_exec(struct retelling *r, const struct scap_proc *p, uint64_t ts);
bool retell_cwd(struct retelling *r, const struct scap_proc *p, uint64_t ts);
bool retell_fd(struct retelling *r, uint32_t step, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts);

#endif
