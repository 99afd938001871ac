/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room: memory for much that comes bit by bit and goes all at once. Its addresses are reserved when it opens, so nothing in it
 * ever moves; pages come as they are touched. All but the first of them are large where the machine has such: to touch fresh memory
 * page by page costs more than what is done with it.
 *
 *	struct room r;
 *	if (!room_open(&r, 1 << 30)) ...          // no such addresses to be had
 *	thing = room_get(&r, sizeof *thing);      // NULL: full
 *	room_empty(&r);                           // the pages go back, the addresses stay
 *	room_close(&r);                           // also of a zeroed room
 */
#ifndef FALCO_ROOM_H
#define FALCO_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { ROOM_PAGE = 2 << 20 };		/* a large one */

struct room {
	uint8_t *mem;			/* starts on a large page */
	size_t used, max;
	void *mapped;
	size_t mapped_len;
};

static inline bool room_open(struct room *r, size_t max)
{
	size_t len = max + ROOM_PAGE;
	uint8_t *p = len < max ? MAP_FAILED : mmap(NULL, len, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	*r = (struct room){ .mem = p + (ROOM_PAGE - (uintptr_t)p % ROOM_PAGE) % ROOM_PAGE, .max = max, .mapped = p,
			    .mapped_len = len };
	if (max > ROOM_PAGE)
		madvise(r->mem + ROOM_PAGE, max - ROOM_PAGE, MADV_HUGEPAGE);
	return true;
}

static inline void *room_get(struct room *r, size_t n)
{
	size_t at = r->used;

	n = (n + 15) & ~(size_t)15;
	if (n > r->max - at)
		return NULL;
	r->used = at + n;
	return r->mem + at;
}

static inline void room_empty(struct room *r)
{
	if (r->mapped)
		madvise(r->mapped, r->mapped_len, MADV_DONTNEED);
	r->used = 0;
}

static inline void room_close(struct room *r)
{
	if (r->mapped)
		munmap(r->mapped, r->mapped_len);
	*r = (struct room){ 0 };
}

#endif
