/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of descriptors, each kept once: programs open the same files again and again.
 *
 * To look whether a record is known takes memory that no cache holds, three times in a row: a slot, the table of records, the
 * record. So those that were published lately wait in a ring, and each is looked up in steps, with other events between:
 *
 *	past_rec_of	a number of its own (a serial), a copy, the hash; its slot is asked for
 *	DEPTH / 2 later	the slot tells who it may be; that one is asked for
 *	DEPTH later	compared; serials[serial] is the number of the record
 *
 * The columns hold serials until past_settle().
 */
#include <sys/mman.h>
#include "../array.h"
#include "past.h"

enum { DEPTH = 16, FIRST_SLOTS = 4096 };

struct waiting {
	uint32_t serial;
	uint64_t hash;
	struct fd_rec *rec;		/* a copy */
	size_t cap;
};

struct past_recs {
	uint64_t *slots;		/* half of the hash, and the number; 0: free */
	uint32_t nslots;		/* a power of two */
	uint32_t *serials;
	uint32_t nserials, serials_cap;
	uint32_t settled, settled_extras, settled_views;
	struct waiting ring[DEPTH];
	uint32_t pushed, looked, done;	/* into the ring, slots looked at, out of it */
};

/* ------------------------------------------------------------------ equality */

/* Everything but who holds it. The texts follow one another behind the record. */
static bool rec_eq(const struct fd_rec *a, const struct fd_rec *b)
{
	const struct fd_draft *x = &a->d, *y = &b->d;

	return x->type == y->type && x->l4 == y->l4 && x->bits == y->bits && x->openflags == y->openflags && x->dev == y->dev &&
	       x->ino == y->ino && x->unix_src == y->unix_src && x->unix_dst == y->unix_dst && x->pid == y->pid &&
	       memcmp(&x->addr, &y->addr, sizeof x->addr) == 0 && str_eq(x->name, y->name) && str_eq(x->raw, y->raw);
}

static uint64_t rec_hash(const struct fd_rec *r)
{
	uint64_t h = hash_bytes(r->d.name.p, r->d.name.len, r->d.ino);

	return hash_u64(h ^ r->d.openflags ^ (uint64_t)r->d.bits << 32 ^ (uint64_t)r->d.type << 56 ^ r->d.addr.sport);
}

static size_t rec_size(const struct fd_rec *r)
{
	return sizeof *r + r->d.name.len + r->d.raw.len + 2;
}

static char *text_place(char *to, struct str *s)
{
	if (s->len)
		memcpy(to, s->p, s->len);
	to[s->len] = 0;
	s->p = to;
	return to + s->len + 1;
}

static void rec_place(struct fd_rec *r, const struct fd_rec *from)
{
	*r = *from;
	r->refs = 1;
	r->next_dead = NULL;
	text_place(text_place(r->text, &r->d.name), &r->d.raw);
}

/* ------------------------------------------------------------------ slots */

/* Half of the hash also says where a slot lies: records are looked at only if that much is the same. */
static uint64_t *slot_of(uint64_t *slots, uint32_t n, uint32_t tag)
{
	uint32_t i = tag & (n - 1);

	while (slots[i] && slots[i] >> 32 != tag)
		i = (i + 1) & (n - 1);
	return &slots[i];
}

static uint64_t *slots_new(uint32_t n)
{
	size_t size = n * sizeof(uint64_t);
	uint64_t *slots = aligned_alloc(size < ROOM_PAGE ? 64 : ROOM_PAGE, size);

	if (slots && size >= ROOM_PAGE)
		madvise(slots, size, MADV_HUGEPAGE);
	return slots ? memset(slots, 0, size) : NULL;
}

static bool slots_grow(struct past_recs *r)
{
	uint32_t n = r->nslots * 2;
	uint64_t *slots = n > r->nslots ? slots_new(n) : NULL;

	if (!slots)
		return false;
	for (uint32_t i = 0; i < r->nslots; i++)
		if (r->slots[i])
			*slot_of(slots, n, r->slots[i] >> 32) = r->slots[i];
	free(r->slots);
	r->slots = slots;
	r->nslots = n;
	return true;
}

/* ------------------------------------------------------------------ steps */

static void look(const struct past *p, struct past_recs *r)
{
	const struct waiting *w = &r->ring[r->looked++ % DEPTH];
	uint64_t slot = *slot_of(r->slots, r->nslots, w->hash >> 32);

	if (slot) {
		const char *rec = (const char *)p->recs[(uint32_t)slot];

		__builtin_prefetch(rec);
		__builtin_prefetch(rec + 64);
		__builtin_prefetch(rec + 128);
	}
}

/* 0: out of memory. */
static uint32_t rec_add(struct past *p, const struct fd_rec *from)
{
	struct fd_rec *r;

	if (!array_room(&p->recs, p->nrecs, &p->recs_cap, sizeof *p->recs) || !(r = room_get(&p->pieces, rec_size(from))))
		return 0;
	rec_place(r, from);
	p->recs[p->nrecs] = r;
	r->gen = p->nrecs;
	return r->past = p->nrecs++;
}

static bool finish(struct past *p, struct past_recs *r)
{
	const struct waiting *w = &r->ring[r->done++ % DEPTH];
	uint32_t tag = w->hash >> 32, number;
	uint64_t *slot = slot_of(r->slots, r->nslots, tag);

	if (*slot && rec_eq(p->recs[(uint32_t)*slot], w->rec)) {
		r->serials[w->serial] = (uint32_t)*slot;
		return true;
	}
	if (!(number = rec_add(p, w->rec)))
		return false;
	r->serials[w->serial] = number;
	*slot = (uint64_t)tag << 32 | number;		/* of those with one tag the latest is found */
	return p->nrecs < r->nslots / 2 || slots_grow(r);
}

static bool push(struct past_recs *r, uint32_t serial, const struct fd_rec *rec)
{
	struct waiting *w = &r->ring[r->pushed % DEPTH];
	size_t size = rec_size(rec);

	if (size > w->cap) {
		void *bigger = realloc(w->rec, size * 2);

		if (!bigger)
			return false;
		w->rec = bigger;
		w->cap = size * 2;
	}
	rec_place(w->rec, rec);
	w->serial = serial;
	w->hash = rec_hash(w->rec);
	__builtin_prefetch(&r->slots[w->hash >> 32 & (r->nslots - 1)]);
	r->pushed++;
	return true;
}

uint32_t past_rec_of(struct past *p, struct fd_rec *rec)
{
	struct past_recs *r = p->by_hash;

	if (rec->past)
		return rec->past;
	if (!array_room(&r->serials, r->nserials, &r->serials_cap, sizeof *r->serials) || r->nserials == UINT32_MAX)
		return 0;
	if (r->pushed - r->looked == DEPTH / 2)
		look(p, r);
	if ((r->pushed - r->done == DEPTH && !finish(p, r)) || !push(r, r->nserials, rec))
		return 0;
	return rec->past = r->nserials++;
}

static void settle_views(struct past *p, struct past_recs *r)
{
	for (; r->settled_views < p->nviews; r->settled_views++)
		for (uint32_t k = 0; k < 3; k++)
			p->views[r->settled_views].std[k] = r->serials[p->views[r->settled_views].std_seen[k]];
}

void past_settle(struct past *p)
{
	struct past_recs *r = p->by_hash;

	if (p->kept && p->image.full)		/* the latest events may lie behind its end */
		past_too_large(p);
	if (!p->kept)
		return;
	while (r->done != r->pushed) {
		if (!finish(p, r)) {
			past_too_large(p);
			return;
		}
	}
	r->looked = r->done;
	for (; r->settled < p->n; r->settled++)
		p->fd[r->settled] = r->serials[p->fd[r->settled]];
	for (; r->settled_extras < p->nextras; r->settled_extras++)
		p->extras[r->settled_extras].fd = r->serials[p->extras[r->settled_extras].fd];
	settle_views(p, r);
}

/* ------------------------------------------------------------------ life */

struct past_recs *past_recs_new(void)
{
	struct past_recs *r = calloc(1, sizeof *r);

	if (!r || !(r->slots = slots_new(FIRST_SLOTS)) || !array_room(&r->serials, 0, &r->serials_cap, sizeof *r->serials)) {
		past_recs_free(r);
		return NULL;
	}
	r->nslots = FIRST_SLOTS;
	r->serials[PAST_NO_RECORD] = PAST_NO_RECORD;
	r->serials[PAST_NO_FD] = PAST_NO_FD;
	r->nserials = PAST_FIRST_FD;
	return r;
}

void past_recs_free(struct past_recs *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < DEPTH; i++)
		free(r->ring[i].rec);
	free(r->slots);
	free(r->serials);
	free(r);
}

uint64_t past_recs_bytes(const struct past_recs *r)
{
	return r->nslots * sizeof *r->slots + r->serials_cap * sizeof *r->serials;
}
