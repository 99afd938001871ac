/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdtable: descriptor number -> record, for one process; forks share it copy-on-write.
 *
 * The order in which a table lists its entries shows in fd.types, and rules compare it with what the reference shows.
 * There the order is that of a chained hash table with prime bucket counts: a new entry goes to the front of its bucket,
 * a new bucket to the front of all, growing links every entry anew in the old order, and a fork's table is made by adding
 * the parent's entries one by one. So this table is built the same way. A fork only notes that its order is one such
 * copying older (`copies`), and makes up for it when somebody looks at the order or changes the table.
 */
#ifndef FALCO_FDTABLE_H
#define FALCO_FDTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fd_rec;

/* What tables and records of one engine may take together, in bytes. What is put back waits for the next of its size:
 * descriptors come and go with every other event. */
struct fd_pool {
	uint64_t used, max;
	struct fd_pool_free {
		struct fd_pool_item *first;
		uint32_t n;
	} sizes[32];			/* of up to 32, 64, 96 ... bytes */
};

void *fd_pool_get(struct fd_pool *p, size_t n);		/* NULL: limit reached or out of memory */
void fd_pool_put(struct fd_pool *p, void *mem, size_t n);	/* NULL allowed */
void fd_pool_empty(struct fd_pool *p);			/* what waits goes back to the system */

struct fd_node {
	int64_t fd;
	struct fd_rec *rec;
	uint32_t next;			/* index of the next entry in order; 0: last */
};

/* The entries. Node 0 is no entry: its `next` is the first one. */
struct fd_order {
	uint32_t refs;
	uint32_t n;			/* entries */
	uint32_t used, cap;		/* nodes ever used, and room */
	uint32_t spare;			/* chain of freed nodes; 0: none */
	uint32_t nbuckets;
	uint64_t magic;			/* of nbuckets, for taking remainders by multiplying */
	uint32_t *before;		/* by bucket: node before its first one, plus 1; 0: bucket is empty */
	struct fd_node *nodes;
};

struct fdtable {
	struct fd_order *order;		/* never NULL */
	uint32_t copies;		/* how many forks ago the order was right */
};

/* All return false when there is no memory to be had, with nothing changed. */
struct fdtable *fdtable_alloc(struct fd_pool *p);
/* Make its entries its own, in its own order. */
bool fdtable_own(struct fd_pool *p, struct fdtable *t, void (*rec_ref)(struct fd_rec *));
bool fdtable_put(struct fd_pool *p, struct fdtable *t, int64_t fd, struct fd_rec *rec);	/* a new entry, in an own table */
struct fd_node *fdtable_node(const struct fdtable *t, int64_t fd);	/* NULL: not there */
struct fd_rec *fdtable_take(struct fdtable *t, int64_t fd);		/* out of an own table; NULL: was not there */
void fd_order_free(struct fd_pool *p, struct fd_order *o);		/* its nodes, not the records */

#endif
