/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../array.h"
#include "../map.h"
#include "container.h"
#include "container_match.h"

enum { PLACES = 64, MAX_FRESH = 16384 };

/* A process's control groups are those of its parent, as a rule: the latest answers are kept. */
struct place {
	struct istr *cgroups;		/* NULL: free */
	struct container *container;
};

struct containers {
	struct intern *strings;
	struct map by_id;		/* hash of the id -> container, chained */
	uint64_t seed;
	struct place places[PLACES];
	struct container *told;
	bool watched;
	struct fresh_container *fresh;	/* those before `met` are given away */
	uint32_t nfresh, fresh_cap, met;
	uint32_t known;
	size_t bytes, max_bytes;	/* of all metadata */
	uint64_t overflow, bad;
};

/* ------------------------------------------------------------------ the table */

struct containers *containers_new(struct intern *strings, uint32_t max_bytes)
{
	struct containers *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->strings = strings;
	t->max_bytes = max_bytes;
	t->seed = hash_u64((uintptr_t)t);
	return t;
}

static uint64_t key_of(const struct containers *t, struct str id)
{
	return hash_bytes(id.p, id.len, t->seed);
}

struct container *containers_find(const struct containers *t, struct str id)
{
	struct container *c = map_get(&t->by_id, key_of(t, id));

	while (c && !str_eq(c->id, id))
		c = c->next;
	return c;
}

/* Finds it or makes it; one more reference. */
static struct container *container_get(struct containers *t, struct str id)
{
	struct container *c = containers_find(t, id);
	uint64_t key = key_of(t, id);

	if (c) {
		c->refs++;
		return c;
	}
	if (!(c = malloc(sizeof *c + id.len + 1)))
		return NULL;
	memcpy(c->text, id.p, id.len);
	c->text[id.len] = 0;
	c->refs = 1;
	c->info = NULL;
	c->id = (struct str){ c->text, id.len };
	c->next = map_get(&t->by_id, key);
	if (!map_put(&t->by_id, key, c)) {
		free(c);
		return NULL;
	}
	return c;
}

static void unlink_container(struct containers *t, struct container *c)
{
	uint64_t key = key_of(t, c->id);
	struct container *first = map_get(&t->by_id, key);

	if (first == c && !c->next) {
		map_take(&t->by_id, key);
	} else if (first == c) {
		map_put(&t->by_id, key, c->next);	/* the key is there: needs no memory */
	} else {
		while (first->next != c)
			first = first->next;
		first->next = c->next;
	}
}

void container_drop(struct containers *t, struct container *c)
{
	if (!c || --c->refs)
		return;
	unlink_container(t, c);
	free(c);
}

/* ------------------------------------------------------------------ metadata */

/* Takes `info` (NULL: none) in place of what there was, and gives up or takes the table's reference with it. */
static void set_info(struct containers *t, struct container *c, struct container_info *info)
{
	struct container_info *old = c->info;

	c->info = info;
	if (info) {
		c->refs++;
		t->known++;
		t->bytes += info->bytes;
	}
	if (old) {
		t->known--;
		t->bytes -= old->bytes;
		container_info_free(old);
		container_drop(t, c);
	}
}

static void tell(struct containers *t, struct container *c)
{
	container_drop(t, t->told);
	t->told = c;
}

static bool has_room(const struct containers *t, const struct container *c, const struct container_info *info)
{
	size_t old = c->info ? c->info->bytes : 0;
	return t->bytes - old + info->bytes <= t->max_bytes;
}

/* Reads the JSON and tells of its container. NULL: cannot. */
static struct container_info *read_info(struct containers *t, struct str json)
{
	struct container_info *info;

	tell(t, NULL);
	if (!(info = container_info_parse(json, NULL))) {
		t->bad++;
		return NULL;
	}
	tell(t, container_get(t, info->id));
	if (t->told)
		return info;
	t->overflow++;
	container_info_free(info);
	return NULL;
}

void containers_learn(struct containers *t, struct str json)
{
	struct container_info *info = read_info(t, json);

	if (!info)
		return;
	if (has_room(t, t->told, info)) {
		set_info(t, t->told, info);
	} else {
		t->overflow++;
		container_info_free(info);
	}
}

void containers_forget(struct containers *t, struct str json)
{
	struct container_info *info = read_info(t, json);

	if (info)
		set_info(t, t->told, NULL);
	container_info_free(info);
}

const struct container *containers_told(const struct containers *t)
{
	return t->told;
}

const struct container_info *container_info(const struct container *c)
{
	static const struct container_info host = {
		.id = STR("host"), .full_id = STR("host"), .name = STR("host"), .type = STR("host"),
	};

	return c ? c->info : &host;
}

const struct container *containers_next(const struct containers *t, struct containers_pos *pos)
{
	struct container *c;
	uint64_t key;

	do {
		c = pos->chained;
		if (!c && !map_next(&t->by_id, &pos->at, &key, &c))
			return NULL;
		pos->chained = c->next;
	} while (!c->info);
	return c;
}

bool containers_have_ip4(const struct containers *t, const uint8_t ip[4])
{
	struct container *c;
	uint64_t key;

	for (uint32_t i = 0; map_next(&t->by_id, &i, &key, &c);)
		for (; c; c = c->next)
			if (c->info && c->info->has_ip4 && memcmp(c->info->ip4, ip, 4) == 0)
				return true;
	return false;
}

/* ------------------------------------------------------------------ the place of a process */

static void note_fresh(struct containers *t, struct container *c, struct str path)
{
	char *copy;

	if (t->nfresh >= MAX_FRESH || !array_room(&t->fresh, t->nfresh, &t->fresh_cap, sizeof *t->fresh) ||
	    !(copy = strndup(path.p, path.len))) {
		t->overflow++;
		return;
	}
	c->refs++;
	t->fresh[t->nfresh++] = (struct fresh_container){ c, copy };
}

/* The container of these groups, with a reference of the caller's own; it is new if nobody had it before. */
static struct container *place_of(struct containers *t, struct str groups)
{
	struct str id, path;
	struct container *c;

	if (!container_match(groups, &id, &path) || !(c = container_get(t, id)))
		return NULL;
	if (t->watched && c->refs == 1)
		note_fresh(t, c, path);
	return c;
}

void containers_watch(struct containers *t, bool on)
{
	t->watched = on;
}

bool containers_have_fresh(const struct containers *t)
{
	return t->met < t->nfresh;
}

bool containers_fresh(struct containers *t, struct fresh_container *fresh)
{
	if (t->met == t->nfresh) {
		t->met = t->nfresh = 0;
		return false;
	}
	*fresh = t->fresh[t->met++];
	return true;
}

static void forget_fresh(struct containers *t)
{
	struct fresh_container f;

	while (containers_fresh(t, &f)) {
		free(f.path);
		container_drop(t, f.container);
	}
}

static void forget_place(struct containers *t, struct place *p)
{
	intern_drop(t->strings, p->cgroups);
	container_drop(t, p->container);
	*p = (struct place){ 0 };
}

struct container *containers_place(struct containers *t, struct istr *cgroups, struct str text)
{
	struct place *p = &t->places[cgroups->hash % PLACES];

	if (cgroups->len != text.len)		/* there was no room for it */
		return place_of(t, text);
	if (p->cgroups != cgroups) {
		forget_place(t, p);
		p->container = place_of(t, text);
		p->cgroups = istr_ref(cgroups);
	}
	if (p->container)
		p->container->refs++;
	return p->container;
}

/* ------------------------------------------------------------------ life, counters */

/* Of all, or of those that nothing but the table holds. */
static void forget_info(struct containers *t, bool all)
{
	struct container *c, *next;
	uint64_t key;

	tell(t, NULL);
	for (uint32_t i = 0; i < PLACES; i++)
		forget_place(t, &t->places[i]);
	for (uint32_t i = 0; map_next(&t->by_id, &i, &key, &c);) {
		bool changed = false;

		for (; c; c = next) {
			next = c->next;
			if (c->info && (all || c->refs == 1)) {
				set_info(t, c, NULL);
				changed = true;
			}
		}
		i -= changed;	/* the table may have moved a later one into this place */
	}
}

void containers_forget_unused(struct containers *t)
{
	forget_info(t, false);
}

void containers_clear(struct containers *t)
{
	forget_fresh(t);
	forget_info(t, true);
}

void containers_free(struct containers *t)
{
	if (!t)
		return;
	containers_clear(t);
	map_free(&t->by_id);
	free(t->fresh);
	free(t);
}

uint32_t containers_known(const struct containers *t)
{
	return t->known;
}

uint64_t containers_overflow(const struct containers *t)
{
	return t->overflow;
}

uint64_t containers_bad(const struct containers *t)
{
	return t->bad;
}
