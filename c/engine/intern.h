/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern: one copy of each string that repeats (comm, exe, environment, cgroups ...), reference-counted. Two interned
 * strings of one table are equal exactly if their pointers are.
 *
 * The table is bounded by bytes. A string that finds no room, or no memory, reads as the empty one from then on, and is
 * counted. The last quarter is kept for short strings: names and paths are worth more than environments.
 */
#ifndef FALCO_INTERN_H
#define FALCO_INTERN_H

#include <stdint.h>
#include "../str.h"

struct intern;

struct istr {
	struct istr *next;		/* same bucket */
	uint32_t refs, len;
	uint64_t hash;
	char s[];			/* NUL after len bytes; the bytes may hold NULs themselves */
};

struct intern *intern_new(uint32_t max_bytes);	/* what strings cost besides their text counts */
void intern_free(struct intern *t);		/* every string must have been dropped */
/* A reference of the caller's own; never NULL. */
struct istr *intern_get(struct intern *t, struct str s);
void intern_drop(struct intern *t, struct istr *s);	/* NULL allowed */
uint32_t intern_count(const struct intern *t);
uint64_t intern_bytes(const struct intern *t);
uint64_t intern_overflow(const struct intern *t);	/* strings that were not kept */

static inline struct istr *istr_ref(struct istr *s)
{
	s->refs++;
	return s;
}

static inline struct str istr_str(const struct istr *s)
{
	return s ? (struct str){ s->s, s->len } : (struct str){ "", 0 };
}

#endif
