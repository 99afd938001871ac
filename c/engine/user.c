/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../map.h"
#include "user.h"

enum { MAX_ENTRIES = 65536 };	/* users and groups together; containers included */

/* One entry serves users and groups; same key (container and id hashed) = chained. */
struct entry {
	struct entry *next;
	struct user user;
	struct group group;	/* of the same name, when this entry is a group */
	struct str container;
	size_t size;
	char text[];
};

struct users {
	struct map users, groups;
	uint32_t n;
	uint64_t bytes, max_bytes, overflow;
};

struct users *users_new(uint32_t max_bytes)
{
	struct users *u = calloc(1, sizeof *u);

	if (u)
		u->max_bytes = max_bytes;
	return u;
}

static void clear(struct map *m)
{
	uint64_t key;
	struct entry *e, *next;

	for (uint32_t i = 0; map_next(m, &i, &key, &e);) {
		for (; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	map_free(m);
}

void users_clear(struct users *u)
{
	clear(&u->users);
	clear(&u->groups);
	u->n = 0;
	u->bytes = 0;
}

void users_free(struct users *u)
{
	if (!u)
		return;
	users_clear(u);
	free(u);
}

static uint64_t key_of(struct str container, uint32_t id)
{
	return (hash_bytes(container.p, container.len, 0) & 0xffffffff00000000u) | id;
}

static struct entry *find(const struct map *m, struct str container, uint32_t id)
{
	struct entry *e = map_get(m, key_of(container, id));

	while (e && !str_eq(e->container, container))
		e = e->next;
	return e;
}

static void drop(struct users *u, struct map *m, struct str container, uint32_t id)
{
	uint64_t key = key_of(container, id);
	struct entry *first = map_get(m, key), *e = find(m, container, id);

	if (!e)
		return;
	if (e != first) {
		while (first->next != e)
			first = first->next;
		first->next = e->next;
	} else if (e->next) {
		map_put(m, key, e->next);	/* the key is there: needs no memory */
	} else {
		map_take(m, key);
	}
	u->n--;
	u->bytes -= e->size;
	free(e);
}

static char *copy(char *at, struct str *to, struct str from)
{
	if (from.len)
		memcpy(at, from.p, from.len);
	at[from.len] = 0;
	*to = (struct str){ at, from.len };
	return at + from.len + 1;
}

static bool put(struct users *u, struct map *m, struct str container, uint32_t id, const struct user *user)
{
	struct entry *e;
	uint64_t key = key_of(container, id);

	size_t size = sizeof *e + user->name.len + (size_t)user->home.len + user->shell.len + container.len + 4;

	drop(u, m, container, id);
	if (u->n >= MAX_ENTRIES || size > u->max_bytes - u->bytes || !(e = malloc(size)))
		goto refuse;
	*e = (struct entry){ .user = { .uid = user->uid, .gid = user->gid }, .size = size };
	char *at = copy(e->text, &e->user.name, user->name);
	at = copy(at, &e->user.home, user->home);
	at = copy(at, &e->user.shell, user->shell);
	copy(at, &e->container, container);
	e->group = (struct group){ .gid = user->gid, .name = e->user.name };
	e->next = map_get(m, key);
	if (!map_put(m, key, e)) {
		free(e);
		goto refuse;
	}
	u->n++;
	u->bytes += size;
	return true;
refuse:
	u->overflow++;
	return false;
}

bool users_put(struct users *u, struct str container, const struct user *user)
{
	return put(u, &u->users, container, user->uid, user);
}

bool users_put_group(struct users *u, struct str container, const struct group *group)
{
	struct user as_user = { .gid = group->gid, .name = group->name };
	return put(u, &u->groups, container, group->gid, &as_user);
}

void users_remove(struct users *u, struct str container, uint32_t uid)
{
	drop(u, &u->users, container, uid);
}

void users_remove_group(struct users *u, struct str container, uint32_t gid)
{
	drop(u, &u->groups, container, gid);
}

const struct user *users_find(const struct users *u, struct str container, uint32_t uid)
{
	struct entry *e = find(&u->users, container, uid);
	return e ? &e->user : NULL;
}

const struct group *users_find_group(const struct users *u, struct str container, uint32_t gid)
{
	struct entry *e = find(&u->groups, container, gid);
	return e ? &e->group : NULL;
}

/* Entries with the same key differ in their container, so at most one of them is the host's. */
static struct entry *next_of_host(const struct map *m, uint32_t *pos)
{
	struct entry *e;
	uint64_t key;

	while (map_next(m, pos, &key, &e)) {
		while (e && e->container.len)
			e = e->next;
		if (e)
			return e;
	}
	return NULL;
}

const struct user *users_next(const struct users *u, uint32_t *pos)
{
	struct entry *e = next_of_host(&u->users, pos);
	return e ? &e->user : NULL;
}

const struct group *users_next_group(const struct users *u, uint32_t *pos)
{
	struct entry *e = next_of_host(&u->groups, pos);
	return e ? &e->group : NULL;
}

uint32_t users_count(const struct users *u)
{
	return u->n;
}

uint64_t users_overflow(const struct users *u)
{
	return u->overflow;
}
