/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern: one copy of each string that repeats (comm, exe, environment, cgroups ...), reference-counted.
 * Two interned strings of one table are equal exactly if their pointers are, unless the table's byte limit made one of
 * them private (then `shared` is false on it; compare with istr_eq).
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
	bool shared;
	char s[];			/* NUL after len bytes; the bytes may hold NULs themselves */
};

struct intern *intern_new(uint32_t max_bytes);
void intern_free(struct intern *t);		/* every string must have been dropped */
/* A reference of the caller's own; NULL: out of memory. */
struct istr *intern_get(struct intern *t, struct str s);
void intern_drop(struct intern *t, struct istr *s);	/* NULL allowed */
uint64_t intern_overflow(const struct intern *t);	/* strings kept private because the table was full */

static inline struct istr *istr_ref(struct istr *s)
{
	s->refs++;
	return s;
}

static inline struct str istr_str(const struct istr *s)
{
	return s ? (struct str){ s->s, s->len } : (struct str){ "", 0 };
}

static inline bool istr_eq(const struct istr *a, const struct istr *b)
{
	return a == b || (!(a->shared && b->shared) && str_eq(istr_str(a), istr_str(b)));
}

#endif
