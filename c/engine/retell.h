/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lists say, said as events: a capture has its lists at the head of a section, so a process that becomes known later,
 * by asking the host and not by an event, is told by events that a reader learns the same from.
 *
 *	struct retelling r = { .arena = &arena };
 *	if (retell_born(&r, &proc, ts)) scap_write(w, &r.rec);		// a clone, seen by the child
 *	if (retell_exec(&r, &proc, ts)) scap_write(w, &r.rec);		// and an execve, of a main thread
 *	if (retell_cwd(&r, &proc, ts)) scap_write(w, &r.rec);		// and a chdir
 *	retell_learnt(&draft, root, buf);				// what a reader will have
 *	for (uint32_t step = 0; retell_fd(&r, step, tid, fd, &draft, ts); step++)
 *		scap_write(w, &r.rec);					// open; socket and connect; pipe ...
 *
 * false: memory is out, or there is no event that would tell it. Records are marked as for state only, and live in the
 * arena.
 */
#ifndef FALCO_RETELL_H
#define FALCO_RETELL_H

#include "../arena.h"
#include "host.h"
#include "scap.h"

enum { RETELL_NAME = sizeof ((struct host_view *)0)->root + 256 };

struct retelling {
	struct arena *arena;
	bool failed;
	struct scap_rec rec;
};

bool retell_born(struct retelling *r, const struct scap_proc *p, uint64_t ts);
bool retell_exec(struct retelling *r, const struct scap_proc *p, uint64_t ts);
bool retell_cwd(struct retelling *r, const struct scap_proc *p, uint64_t ts);
bool retell_fd(struct retelling *r, uint32_t step, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts);
/*
 * Makes a draft that the host gave what a reader has after those events, so that who watches and who replays see the
 * same descriptor: roles, a pipe's name and a socket's inode are not told. buf: where names are put that are not d's own.
 * root: of host_root(). What no event tells stays as it is.
 */
void retell_learnt(struct fd_draft *d, struct str root, char buf[RETELL_NAME]);

#endif
