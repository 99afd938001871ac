/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: 64-bit key -> non-NULL pointer. Open addressing, linear probing, deletion by shifting back, so that it never
 * fills up with tombstones. The map owns its slots, not what the values point to.
 *
 *	struct map m = {0};                    // ready to use, nothing allocated yet
 *	if (!map_put(&m, tid, thread)) ...     // out of memory
 *	thread = map_get(&m, tid);             // NULL: not there
 *	for (uint32_t i = 0; map_next(&m, &i, &key, &value); ) ...
 *	map_free(&m);
 */
#ifndef FALCO_MAP_H
#define FALCO_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include "str.h"

struct map_slot {
	uint64_t key;
	void *value;		/* NULL: free slot */
};

struct map {
	struct map_slot *slots;
	uint32_t n, cap;	/* cap: 0 or a power of two, kept at least a quarter free */
};

static inline uint32_t map_home(const struct map *m, uint64_t key)
{
	return (uint32_t)hash_u64(key) & (m->cap - 1);
}

/* The slot of `key`, or the free one where it would go. The map must have slots. */
static inline struct map_slot *map_slot_of(const struct map *m, uint64_t key)
{
	uint32_t i = map_home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static inline void *map_get(const struct map *m, uint64_t key)
{
	return m->cap ? map_slot_of(m, key)->value : NULL;
}

static inline bool map_grow(struct map *m)
{
	struct map bigger = { .n = m->n, .cap = m->cap ? m->cap * 2 : 8 };

	if (bigger.cap < m->cap || !(bigger.slots = calloc(bigger.cap, sizeof *bigger.slots)))
		return false;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			*map_slot_of(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return true;
}

/* Sets or replaces; replacing moves no entry. false: out of memory, map unchanged. */
static inline bool map_put(struct map *m, uint64_t key, void *value)
{
	struct map_slot *slot = m->cap ? map_slot_of(m, key) : NULL;

	if (!slot || !slot->value) {
		if ((m->n + 1) * 4ull > m->cap * 3ull) {
			if (!map_grow(m))
				return false;
			slot = map_slot_of(m, key);
		}
		m->n++;
	}
	*slot = (struct map_slot){ key, value };
	return true;
}

/* Returns what was there, or NULL. */
static inline void *map_take(struct map *m, uint64_t key)
{
	if (!m->cap)
		return NULL;

	uint32_t mask = m->cap - 1, i = map_home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & mask;

	void *value = m->slots[i].value;
	if (!value)
		return NULL;
	for (uint32_t j = (i + 1) & mask; m->slots[j].value; j = (j + 1) & mask) {
		/* the entry at j may move to i unless its home lies between them */
		if (((j - map_home(m, m->slots[j].key)) & mask) >= ((j - i) & mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i].value = NULL;
	m->n--;
	return value;
}

/* Walks all entries in no order; the map must not change meanwhile (map_take of the entry just seen included). */
static inline bool map_next(const struct map *m, uint32_t *pos, uint64_t *key, void *value)
{
	for (; *pos < m->cap; ++*pos) {
		if (m->slots[*pos].value) {
			*key = m->slots[*pos].key;
			memcpy(value, &m->slots[*pos].value, sizeof(void *));
			++*pos;
			return true;
		}
	}
	return false;
}

static inline void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}

#endif
