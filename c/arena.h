/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: bytes that live until the next arena_reset. Used for what fields compose while one event is looked at.
 * Bounded: beyond `limit` bytes arena_get returns NULL and counts it; callers treat that as "value missing".
 */
#ifndef FALCO_ARENA_H
#define FALCO_ARENA_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
	struct arena_chunk *next;
	size_t cap, used;
	_Alignas(16) char bytes[];
};

struct arena {
	struct arena_chunk *first;	/* kept across resets */
	size_t limit, total;
	uint64_t refused;
};

static inline void *arena_get(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->first;

	n = (n + 15) & ~(size_t)15;
	if (!c || c->cap - c->used < n) {
		size_t cap = n > 16384 ? n : 16384;

		if (n > a->limit || a->total > a->limit - n || !(c = malloc(sizeof *c + cap))) {
			a->refused++;
			return NULL;
		}
		*c = (struct arena_chunk){ .next = a->first, .cap = cap };
		a->first = c;
		a->total += cap;
	}
	c->used += n;
	return c->bytes + c->used - n;
}

/* Frees all but one chunk. */
static inline void arena_reset(struct arena *a)
{
	struct arena_chunk *c = a->first;

	if (!c)
		return;
	while (c->next) {
		struct arena_chunk *next = c->next;
		a->total -= c->cap;
		free(c);
		c = next;
	}
	a->first = c;
	c->used = 0;
}

static inline void arena_free(struct arena *a)
{
	arena_reset(a);
	free(a->first);
	a->first = NULL;
	a->total = 0;
}

#endif
