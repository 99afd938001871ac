/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and groups of the host and of containers, as captures list them. Opaque; bounded in number and bytes: an entry
 * that finds no room is not known, also if there was one of the same id.
 */
#ifndef FALCO_USER_H
#define FALCO_USER_H

#include <stdbool.h>
#include <stdint.h>
#include "../str.h"

struct users;

struct user {
	uint32_t uid, gid;
	struct str name, home, shell;	/* NUL-ended */
};

struct group {
	uint32_t gid;
	struct str name;
};

struct users *users_new(uint32_t max_bytes);
void users_free(struct users *u);
void users_clear(struct users *u);
/* container: "" for the host. Replaces an entry with the same id. false: limit or memory. */
bool users_put(struct users *u, struct str container, const struct user *user);
bool users_put_group(struct users *u, struct str container, const struct group *group);
void users_remove(struct users *u, struct str container, uint32_t uid);
void users_remove_group(struct users *u, struct str container, uint32_t gid);
const struct user *users_find(const struct users *u, struct str container, uint32_t uid);
const struct group *users_find_group(const struct users *u, struct str container, uint32_t gid);
/* Walk those of the host; *pos from 0. The table must not change meanwhile. NULL: no more. */
const struct user *users_next(const struct users *u, uint32_t *pos);
const struct group *users_next_group(const struct users *u, uint32_t *pos);
uint32_t users_count(const struct users *u);		/* groups as well */
uint64_t users_overflow(const struct users *u);

#endif
