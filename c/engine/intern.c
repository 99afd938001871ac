/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/random.h>
#include "../err.h"
#include "intern.h"

/* STRING_COST: of a string besides its text, with the allocator's own and a slot. */
enum { STRING_COST = sizeof(struct istr) + 1 + 16 + 8, SHORT_STRING = 256 };

struct intern {
	struct istr **buckets;
	struct istr *none;	/* the empty string; stands for what was not kept, too */
	uint32_t mask, n;
	uint64_t bytes, max_bytes;
	uint64_t seed, overflow;
};

struct intern *intern_new(uint32_t max_bytes)
{
	struct intern *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->mask = 1023;
	t->max_bytes = max_bytes;
	t->buckets = calloc(t->mask + 1, sizeof *t->buckets);
	t->none = calloc(1, sizeof *t->none + 1);
	if (!t->buckets || !t->none) {
		free(t->buckets);
		free(t->none);
		free(t);
		return NULL;
	}
	t->none->refs = 1;
	/* without entropy the table still works; only crafted collisions get easier */
	if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed)
		t->seed = (uintptr_t)t;
	return t;
}

void intern_free(struct intern *t)
{
	if (!t)
		return;
	REQUIRE(t->n == 0 && t->bytes == 0 && t->none->refs == 1);
	free(t->none);
	free(t->buckets);
	free(t);
}

static void grow(struct intern *t)
{
	uint32_t mask = t->mask * 2 + 1;
	struct istr **buckets = calloc(mask + 1ull, sizeof *buckets);

	if (!buckets)
		return;		/* longer chains, nothing lost */
	for (uint32_t i = 0; i <= t->mask; i++) {
		for (struct istr *s = t->buckets[i], *next; s; s = next) {
			next = s->next;
			s->next = buckets[s->hash & mask];
			buckets[s->hash & mask] = s;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->mask = mask;
}

static bool has_room(const struct intern *t, uint32_t len)
{
	uint64_t max = len > SHORT_STRING ? t->max_bytes - t->max_bytes / 4 : t->max_bytes;

	return t->bytes + len + STRING_COST <= max;
}

static struct istr *refuse(struct intern *t)
{
	t->overflow++;
	return istr_ref(t->none);
}

struct istr *intern_get(struct intern *t, struct str str)
{
	if (!str.len)
		return istr_ref(t->none);

	uint64_t hash = hash_bytes(str.p, str.len, t->seed);
	for (struct istr *s = t->buckets[hash & t->mask]; s; s = s->next)
		if (s->hash == hash && str_eq(istr_str(s), str))
			return istr_ref(s);

	struct istr *s = has_room(t, str.len) ? malloc(sizeof *s + str.len + 1) : NULL;
	if (!s)
		return refuse(t);
	*s = (struct istr){ .refs = 1, .len = str.len, .hash = hash };
	memcpy(s->s, str.p, str.len);
	s->s[str.len] = 0;
	if (t->n > t->mask)
		grow(t);
	s->next = t->buckets[hash & t->mask];
	t->buckets[hash & t->mask] = s;
	t->bytes += str.len + STRING_COST;
	t->n++;
	return s;
}

void intern_drop(struct intern *t, struct istr *s)
{
	if (!s || --s->refs)
		return;

	struct istr **at = &t->buckets[s->hash & t->mask];
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	t->bytes -= s->len + STRING_COST;
	t->n--;
	free(s);
}

uint32_t intern_count(const struct intern *t)
{
	return t->n;
}

uint64_t intern_bytes(const struct intern *t)
{
	return t->bytes;
}

uint64_t intern_overflow(const struct intern *t)
{
	return t->overflow;
}
