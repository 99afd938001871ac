/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "fdtable.h"

/*
 * Bucket counts, each the first prime of the reference's list that is more than twice the one before (measured with
 * GCC 12's libstdc++, whose table it uses). A table grows when it would hold more entries than buckets.
 */
static const uint32_t bucket_counts[] = {
	1, 13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153,
	2938679, 5967347, 12117689, 24607243,
};

static uint64_t magic_of(uint32_t buckets)
{
	return UINT64_MAX / buckets + 1;
}

/* fd % nbuckets (D. Lemire, Faster Remainder by Direct Computation, 2019); numbers beyond 32 bits take the slow way. */
static uint32_t bucket_of(const struct fd_order *o, int64_t fd)
{
	if ((uint64_t)fd >> 32)
		return (uint32_t)((uint64_t)fd % o->nbuckets);
	return (uint32_t)((unsigned __int128)(o->magic * (uint64_t)fd) * o->nbuckets >> 64);
}

static struct fd_order *order_new(void)
{
	struct fd_order *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->refs = 1;
	o->nbuckets = 1;
	o->magic = magic_of(1);
	o->cap = 8;
	o->used = 1;
	o->nodes = malloc(o->cap * sizeof *o->nodes);
	o->before = calloc(1, sizeof *o->before);
	if (!o->nodes || !o->before) {
		fd_order_free(o);
		return NULL;
	}
	o->nodes[0] = (struct fd_node){ .fd = -1 };
	return o;
}

void fd_order_free(struct fd_order *o)
{
	if (!o)
		return;
	free(o->nodes);
	free(o->before);
	free(o);
}

struct fdtable *fdtable_alloc(void)
{
	struct fdtable *t = calloc(1, sizeof *t);

	if (t && !(t->order = order_new())) {
		free(t);
		return NULL;
	}
	return t;
}

/* Links node i in, at the front of its bucket, or as a new bucket at the front of all. */
static void link_node(struct fd_order *o, uint32_t i)
{
	uint32_t b = bucket_of(o, o->nodes[i].fd), first;

	if (o->before[b]) {
		struct fd_node *prev = &o->nodes[o->before[b] - 1];

		o->nodes[i].next = prev->next;
		prev->next = i;
		return;
	}
	first = o->nodes[i].next = o->nodes[0].next;
	o->nodes[0].next = i;
	if (first)
		o->before[bucket_of(o, o->nodes[first].fd)] = i + 1;
	o->before[b] = 1;
}

/* Links all entries anew, in the order they have, into `nbuckets` empty buckets. */
static void relink(struct fd_order *o, uint32_t nbuckets, uint32_t *before)
{
	uint32_t i = o->nodes[0].next, next;

	free(o->before);
	o->before = before;
	o->nbuckets = nbuckets;
	o->magic = magic_of(nbuckets);
	o->nodes[0].next = 0;
	for (; i; i = next) {
		next = o->nodes[i].next;
		link_node(o, i);
	}
}

static bool grow_buckets(struct fd_order *o)
{
	uint32_t k = 0, *before;

	while (k < sizeof bucket_counts / sizeof bucket_counts[0] && bucket_counts[k] <= o->nbuckets)
		k++;
	if (k == sizeof bucket_counts / sizeof bucket_counts[0])
		return true;	/* longer chains */
	before = calloc(bucket_counts[k], sizeof *before);
	if (!before)
		return false;
	relink(o, bucket_counts[k], before);
	return true;
}

static uint32_t node_new(struct fd_order *o)
{
	uint32_t i = o->spare;

	if (i) {
		o->spare = o->nodes[i].next;
		return i;
	}
	if (o->used == o->cap) {
		struct fd_node *nodes = realloc(o->nodes, o->cap * 2ull * sizeof *nodes);

		if (!nodes)
			return 0;
		o->nodes = nodes;
		o->cap *= 2;
	}
	return o->used++;
}

static bool order_add(struct fd_order *o, int64_t fd, struct fd_rec *rec)
{
	/* one bucket is the state before the first entry, never a full one */
	if ((o->nbuckets == 1 || o->n + 1 > o->nbuckets) && !grow_buckets(o))
		return false;

	uint32_t i = node_new(o);
	if (!i)
		return false;
	o->nodes[i] = (struct fd_node){ .fd = fd, .rec = rec };
	link_node(o, i);
	o->n++;
	return true;
}

bool fdtable_put(struct fdtable *t, int64_t fd, struct fd_rec *rec)
{
	return order_add(t->order, fd, rec);
}

struct fd_node *fdtable_node(const struct fdtable *t, int64_t fd)
{
	const struct fd_order *o = t->order;
	uint32_t b = bucket_of(o, fd);

	if (!o->before[b])
		return NULL;
	for (uint32_t i = o->nodes[o->before[b] - 1].next; i; i = o->nodes[i].next) {
		if (o->nodes[i].fd == fd)
			return &o->nodes[i];
		if (bucket_of(o, o->nodes[i].fd) != b)
			break;
	}
	return NULL;
}

struct fd_rec *fdtable_take(struct fdtable *t, int64_t fd)
{
	struct fd_order *o = t->order;
	uint32_t b = bucket_of(o, fd), prev, i, next;

	if (!o->before[b])
		return NULL;
	prev = o->before[b] - 1;
	for (i = o->nodes[prev].next; i && o->nodes[i].fd != fd; i = o->nodes[i].next) {
		if (bucket_of(o, o->nodes[i].fd) != b)
			return NULL;
		prev = i;
	}
	if (!i)
		return NULL;

	next = o->nodes[i].next;
	uint32_t next_b = next ? bucket_of(o, o->nodes[next].fd) : b;
	bool was_first = o->before[b] == prev + 1;
	if (next && next_b != b)
		o->before[next_b] = prev + 1;
	if (was_first && (!next || next_b != b))
		o->before[b] = 0;
	o->nodes[prev].next = next;
	o->nodes[i].next = o->spare;
	o->spare = i;
	o->n--;
	return o->nodes[i].rec;
}

/* The same entries, added one by one to a new table. NULL: out of memory. */
static struct fd_order *order_copied(const struct fd_order *from)
{
	struct fd_order *o = order_new();

	for (uint32_t i = from->nodes[0].next; o && i; i = from->nodes[i].next) {
		if (!order_add(o, from->nodes[i].fd, from->nodes[i].rec)) {
			fd_order_free(o);
			return NULL;
		}
	}
	return o;
}

/* The same entries in the same order. NULL: out of memory. */
static struct fd_order *order_cloned(const struct fd_order *from)
{
	struct fd_order *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	*o = *from;
	o->refs = 1;
	o->nodes = malloc(o->cap * sizeof *o->nodes);
	o->before = malloc(o->nbuckets * sizeof *o->before);
	if (!o->nodes || !o->before) {
		fd_order_free(o);
		return NULL;
	}
	memcpy(o->nodes, from->nodes, o->used * sizeof *o->nodes);
	memcpy(o->before, from->before, o->nbuckets * sizeof *o->before);
	return o;
}

/*
 * Copying twice often restores an order, so only so many copies are really made: a chain of forks that touch no
 * descriptor has no end.
 */
static struct fd_order *order_copied_often(const struct fd_order *from, uint32_t copies)
{
	struct fd_order *o = order_copied(from), *next;

	if (copies > 16)
		copies = 16 + (copies & 1);
	for (uint32_t k = 1; o && k < copies; k++) {
		next = order_copied(o);
		fd_order_free(o);
		o = next;
	}
	return o;
}

bool fdtable_own(struct fdtable *t, void (*rec_ref)(struct fd_rec *))
{
	struct fd_order *old = t->order, *own;

	if (old->refs == 1 && !t->copies)
		return true;
	own = t->copies ? order_copied_often(old, t->copies) : order_cloned(old);
	if (!own)
		return false;
	if (old->refs > 1) {
		for (uint32_t i = own->nodes[0].next; i; i = own->nodes[i].next)
			rec_ref(own->nodes[i].rec);
		old->refs--;
	} else {
		fd_order_free(old);
	}
	t->order = own;
	t->copies = 0;
	return true;
}
