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

#ifdef __SANITIZE_ADDRESS__
enum { MOST_WAITING = 0 };	/* so that use after free is seen */
#else
enum { MOST_WAITING = 256 };	/* of one size */
#endif

enum { ALLOCATOR_COST = 16, SIZE_STEP = 32 };	/* of one allocation; between sizes of the pool */

struct fd_pool_item {
	struct fd_pool_item *next;
};

/* NULL: too large to wait. */
static struct fd_pool_free *size_of(struct fd_pool *p, size_t n)
{
	size_t i = n ? (n - 1) / SIZE_STEP : 0;

	return i < sizeof p->sizes / sizeof p->sizes[0] ? &p->sizes[i] : NULL;
}

void *fd_pool_get(struct fd_pool *p, size_t n)
{
	struct fd_pool_free *size = size_of(p, n);
	void *mem;

	if (n + ALLOCATOR_COST > p->max - p->used)
		return NULL;
	if (size && size->first) {
		mem = size->first;
		size->first = size->first->next;
		size->n--;
	} else if (!(mem = malloc(size ? (size_t)(size - p->sizes + 1) * SIZE_STEP : n))) {
		return NULL;
	}
	p->used += n + ALLOCATOR_COST;
	return mem;
}

void fd_pool_put(struct fd_pool *p, void *mem, size_t n)
{
	struct fd_pool_free *size = size_of(p, n);
	struct fd_pool_item *item = mem;

	if (!mem)
		return;
	p->used -= n + ALLOCATOR_COST;
	if (!size || size->n == MOST_WAITING) {
		free(mem);
		return;
	}
	item->next = size->first;
	size->first = item;
	size->n++;
}

void fd_pool_empty(struct fd_pool *p)
{
	for (size_t i = 0; i < sizeof p->sizes / sizeof p->sizes[0]; i++) {
		while (p->sizes[i].first) {
			struct fd_pool_item *item = p->sizes[i].first;

			p->sizes[i].first = item->next;
			free(item);
		}
		p->sizes[i].n = 0;
	}
}

static size_t nodes_size(uint32_t cap)
{
	return cap * sizeof(struct fd_node);
}

static size_t buckets_size(uint32_t n)
{
	return n * sizeof(uint32_t);
}

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

/* With room for `cap` nodes and `nbuckets` buckets, whose contents are up to the caller. */
static struct fd_order *order_alloc(struct fd_pool *p, uint32_t cap, uint32_t nbuckets)
{
	struct fd_order *o = fd_pool_get(p, sizeof *o);

	if (!o)
		return NULL;
	*o = (struct fd_order){ .refs = 1, .cap = cap, .nbuckets = nbuckets, .magic = magic_of(nbuckets) };
	o->nodes = fd_pool_get(p, nodes_size(cap));
	o->before = fd_pool_get(p, buckets_size(nbuckets));
	if (!o->nodes || !o->before) {
		fd_order_free(p, o);
		return NULL;
	}
	return o;
}

static struct fd_order *order_new(struct fd_pool *p)
{
	struct fd_order *o = order_alloc(p, 8, 1);

	if (!o)
		return NULL;
	o->used = 1;
	o->nodes[0] = (struct fd_node){ .fd = -1 };
	o->before[0] = 0;
	return o;
}

void fd_order_free(struct fd_pool *p, struct fd_order *o)
{
	if (!o)
		return;
	fd_pool_put(p, o->nodes, nodes_size(o->cap));
	fd_pool_put(p, o->before, buckets_size(o->nbuckets));
	fd_pool_put(p, o, sizeof *o);
}

struct fdtable *fdtable_alloc(struct fd_pool *p)
{
	struct fdtable *t = fd_pool_get(p, sizeof *t);

	if (!t)
		return NULL;
	*t = (struct fdtable){ .order = order_new(p) };
	if (!t->order) {
		fd_pool_put(p, t, sizeof *t);
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
static void relink(struct fd_pool *p, struct fd_order *o, uint32_t nbuckets, uint32_t *before)
{
	uint32_t i = o->nodes[0].next, next;

	fd_pool_put(p, o->before, buckets_size(o->nbuckets));
	o->before = before;
	o->nbuckets = nbuckets;
	o->magic = magic_of(nbuckets);
	o->nodes[0].next = 0;
	for (; i; i = next) {
		next = o->nodes[i].next;
		link_node(o, i);
	}
}

static bool grow_buckets(struct fd_pool *p, struct fd_order *o)
{
	uint32_t k = 0, *before;

	while (k < sizeof bucket_counts / sizeof bucket_counts[0] && bucket_counts[k] <= o->nbuckets)
		k++;
	if (k == sizeof bucket_counts / sizeof bucket_counts[0])
		return true;	/* longer chains */
	before = fd_pool_get(p, buckets_size(bucket_counts[k]));
	if (!before)
		return false;
	memset(before, 0, buckets_size(bucket_counts[k]));
	relink(p, o, bucket_counts[k], before);
	return true;
}

/* 0: no memory. */
static uint32_t node_new(struct fd_pool *p, struct fd_order *o)
{
	uint32_t i = o->spare;

	if (i) {
		o->spare = o->nodes[i].next;
		return i;
	}
	if (o->used == o->cap) {
		struct fd_node *nodes = fd_pool_get(p, nodes_size(o->cap * 2));

		if (!nodes)
			return 0;
		memcpy(nodes, o->nodes, nodes_size(o->used));
		fd_pool_put(p, o->nodes, nodes_size(o->cap));
		o->nodes = nodes;
		o->cap *= 2;
	}
	return o->used++;
}

static bool order_add(struct fd_pool *p, struct fd_order *o, int64_t fd, struct fd_rec *rec)
{
	/* one bucket is the state before the first entry, never a full one */
	if ((o->nbuckets == 1 || o->n + 1 > o->nbuckets) && !grow_buckets(p, o))
		return false;

	uint32_t i = node_new(p, o);
	if (!i)
		return false;
	o->nodes[i] = (struct fd_node){ .fd = fd, .rec = rec };
	link_node(o, i);
	o->n++;
	return true;
}

bool fdtable_put(struct fd_pool *p, struct fdtable *t, int64_t fd, struct fd_rec *rec)
{
	return order_add(p, t->order, fd, rec);
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
static struct fd_order *order_copied(struct fd_pool *p, const struct fd_order *from)
{
	struct fd_order *o = order_new(p);

	for (uint32_t i = from->nodes[0].next; o && i; i = from->nodes[i].next) {
		if (!order_add(p, o, from->nodes[i].fd, from->nodes[i].rec)) {
			fd_order_free(p, o);
			return NULL;
		}
	}
	return o;
}

/* The same entries in the same order. NULL: out of memory. */
static struct fd_order *order_cloned(struct fd_pool *p, const struct fd_order *from)
{
	struct fd_order *o = order_alloc(p, from->cap, from->nbuckets);

	if (!o)
		return NULL;
	o->n = from->n;
	o->used = from->used;
	o->spare = from->spare;
	memcpy(o->nodes, from->nodes, nodes_size(o->used));
	memcpy(o->before, from->before, buckets_size(o->nbuckets));
	return o;
}

/*
 * Copying twice often restores an order, so only so many copies are really made: a chain of forks that touch no
 * descriptor has no end.
 */
static struct fd_order *order_copied_often(struct fd_pool *p, const struct fd_order *from, uint32_t copies)
{
	struct fd_order *o = order_copied(p, from), *next;

	if (copies > 16)
		copies = 16 + (copies & 1);
	for (uint32_t k = 1; o && k < copies; k++) {
		next = order_copied(p, o);
		fd_order_free(p, o);
		o = next;
	}
	return o;
}

bool fdtable_own(struct fd_pool *p, struct fdtable *t, void (*rec_ref)(struct fd_rec *))
{
	struct fd_order *old = t->order, *own;

	if (old->refs == 1 && !t->copies)
		return true;
	own = t->copies ? order_copied_often(p, old, t->copies) : order_cloned(p, old);
	if (!own)
		return false;
	if (old->refs > 1) {
		for (uint32_t i = own->nodes[0].next; i; i = own->nodes[i].next)
			rec_ref(own->nodes[i].rec);
		old->refs--;
	} else {
		fd_order_free(p, old);
	}
	t->order = own;
	t->copies = 0;
	return true;
}
