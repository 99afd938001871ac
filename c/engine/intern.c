/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/random.h>
#include "../err.h"
#include "intern.h"

struct intern {
	struct istr **buckets;
	uint32_t mask, n;
	uint32_t bytes, max_bytes;
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
	if (!t->buckets) {
		free(t);
		return NULL;
	}
	/* without entropy the table still works; only crafted collisions get easier */
	if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed)
		t->seed = (uintptr_t)t;
	return t;
}

void intern_free(struct intern *t)
{
	if (!t)
		return;
	REQUIRE(t->n == 0);
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

struct istr *intern_get(struct intern *t, struct str str)
{
	uint64_t hash = hash_bytes(str.p, str.len, t->seed);

	for (struct istr *s = t->buckets[hash & t->mask]; s; s = s->next)
		if (s->hash == hash && str_eq(istr_str(s), str))
			return istr_ref(s);

	struct istr *s = malloc(sizeof *s + str.len + 1);
	if (!s)
		return NULL;
	*s = (struct istr){ .refs = 1, .len = str.len, .hash = hash };
	if (str.len)
		memcpy(s->s, str.p, str.len);
	s->s[str.len] = 0;

	if (str.len > t->max_bytes || t->bytes > t->max_bytes - str.len) {
		t->overflow++;
		return s;	/* private */
	}
	if (t->n > t->mask)
		grow(t);
	s->shared = true;
	s->next = t->buckets[hash & t->mask];
	t->buckets[hash & t->mask] = s;
	t->bytes += str.len;
	t->n++;
	return s;
}

void intern_drop(struct intern *t, struct istr *s)
{
	if (!s || --s->refs)
		return;
	if (s->shared) {
		struct istr **at = &t->buckets[s->hash & t->mask];

		while (*at != s)
			at = &(*at)->next;
		*at = s->next;
		t->bytes -= s->len;
		t->n--;
	}
	free(s);
}

uint64_t intern_overflow(const struct intern *t)
{
	return t->overflow;
}
