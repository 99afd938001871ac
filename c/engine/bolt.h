/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bolt: reads the database files that container runtimes keep their records in (bbolt's format), while their owner
 * may be writing. One file is a tree of buckets; a bucket has keys with values, and buckets.
 *
 *	struct bolt b;
 *	if (bolt_open(&b, path) == 0) {
 *		struct bolt_bucket at = bolt_root(&b);
 *		if (bolt_enter(&b, &at, STR("v1")) && bolt_get(&b, &at, STR("version"), &value)) ...
 *		whole = bolt_unchanged(&b);	// else what was read may be of two states: try again
 *	}
 *	bolt_close(&b);
 *
 * The owner never writes into pages that its latest state uses, so a reader that sees no newer state afterwards saw
 * one state only. Files are hostile: every offset is checked, and memory is bounded.
 */
#ifndef FALCO_BOLT_H
#define FALCO_BOLT_H

#include "../arena.h"
#include "../str.h"

enum { BOLT_MAX_BYTES = 32 << 20, BOLT_MAX_DEPTH = 16 };	/* pages looked at; levels of one tree */

struct bolt {
	int fd;
	uint32_t page_size;
	uint64_t root, txid;
	struct arena pages;		/* texts handed out live here */
};

/* A page of its own, or bytes within its parent's. */
struct bolt_bucket {
	uint64_t root;			/* 0: `inlined` has it */
	struct str inlined;
};

int bolt_open(struct bolt *b, const char *path);		/* 0 or -errno; bolt_close() in any case */
void bolt_close(struct bolt *b);
bool bolt_unchanged(const struct bolt *b);
struct bolt_bucket bolt_root(const struct bolt *b);
/* Goes to the bucket inside. false: there is none; *at stays. */
bool bolt_enter(struct bolt *b, struct bolt_bucket *at, struct str key);
bool bolt_get(struct bolt *b, const struct bolt_bucket *at, struct str key, struct str *value);
/* Calls for every key, in order, until one answers false. Buckets have no value (NULL). */
void bolt_each(struct bolt *b, const struct bolt_bucket *at, bool (*see)(void *ctx, struct str key, struct str value),
	       void *ctx);

#endif
