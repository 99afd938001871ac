/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: which one a process runs in, and what is known of it.
 *
 * struct container    one per id that an image's control groups or a source of metadata speak of. It stays while
 *                     its `info` is replaced, so whoever holds it has the latest word without a look-up.
 *                     No container at all (NULL) is the host.
 * struct containers   all of them, by id. Metadata is bounded in bytes; what does not fit is counted.
 *
 * A process's container comes from its control groups alone. Metadata comes through containers_learn() and
 * containers_forget(), whose JSON is the one of container events: out of captures, or from the runtimes of this host
 * (runtime.h), which are asked about containers that containers_fresh() tells of.
 */
#ifndef FALCO_CONTAINER_H
#define FALCO_CONTAINER_H

#include "container_info.h"
#include "intern.h"

struct container {
	uint32_t refs;			/* images, the table while there is `info`, and whoever else */
	struct container_info *info;	/* NULL: nothing known but the id */
	struct container *next;		/* of the same hash */
	struct str id;			/* NUL-ended */
	char text[];
};

struct containers;

struct containers *containers_new(struct intern *strings, uint32_t max_bytes);
void containers_free(struct containers *t);		/* NULL allowed; containers in use must have been dropped */
/* Forgets all metadata. */
void containers_clear(struct containers *t);

/* The container that a process with these control groups runs in: a reference of the caller's own. NULL: none. The
 * text is what `cgroups` was interned from. */
struct container *containers_place(struct containers *t, struct istr *cgroups, struct str text);
void container_drop(struct containers *t, struct container *c);		/* NULL allowed */
struct container *containers_find(const struct containers *t, struct str id);

/* Takes in, or drops, what is known of the container that the JSON names. It becomes the one told of. */
void containers_learn(struct containers *t, struct str json);
void containers_forget(struct containers *t, struct str json);
/* The container of the last learn or forget; NULL: it failed. Borrowed until the next. */
const struct container *containers_told(const struct containers *t);

/* Containers met for the first time, oldest first, if they are watched for: a live source does. */
struct fresh_container {
	struct container *container;	/* the caller's reference from now on */
	char *path;			/* of its control group, to be freed; the whole id is in it */
};
void containers_watch(struct containers *t, bool on);
bool containers_have_fresh(const struct containers *t);
bool containers_fresh(struct containers *t, struct fresh_container *fresh);	/* false: no more */
/* Forgets what is known of containers that no process is in. */
void containers_forget_unused(struct containers *t);

/* Walks those with metadata; *pos from 0. The table must not change meanwhile. NULL: no more. */
struct containers_pos {
	uint32_t at;
	struct container *chained;
};
const struct container *containers_next(const struct containers *t, struct containers_pos *pos);

/* Is this IPv4 address the one of some container? */
bool containers_have_ip4(const struct containers *t, const uint8_t ip[4]);

/* What is known: of no container, what is known of the host. NULL: nothing but the id. */
const struct container_info *container_info(const struct container *c);
static inline struct str container_id(const struct container *c)
{
	return c ? c->id : STR("host");
}

uint32_t containers_known(const struct containers *t);		/* with metadata */
uint64_t containers_overflow(const struct containers *t);	/* metadata not kept: limit or memory */
uint64_t containers_bad(const struct containers *t);		/* metadata that could not be read */

#endif
