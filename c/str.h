/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct str: borrowed bytes with a length. Not NUL-ended unless the lender says so; may hold NULs.
 */
#ifndef FALCO_STR_H
#define FALCO_STR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	uint32_t len;
};

#define STR(literal) ((struct str){ literal, sizeof(literal) - 1 })

static inline struct str str_of(const char *z)
{
	return (struct str){ z, (uint32_t)strlen(z) };
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool str_is(struct str a, const char *z)
{
	return str_eq(a, str_of(z));
}

static inline bool str_starts(struct str a, struct str prefix)
{
	return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.p, prefix.p, prefix.len) == 0);
}

static inline bool str_ends(struct str a, struct str tail)
{
	return a.len >= tail.len && (tail.len == 0 || memcmp(a.p + a.len - tail.len, tail.p, tail.len) == 0);
}

/* Offset of the last `c`, or -1. */
static inline int64_t str_rfind(struct str a, char c)
{
	for (uint32_t i = a.len; i > 0; i--)
		if (a.p[i - 1] == c)
			return (int64_t)i - 1;
	return -1;
}

/* Mixes 64 bits; for table slots, not for secrets. */
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	return x * 0xd6e8feb86659fd93u ^ x >> 29;
}

/* Eight bytes a step; seeded, so that crafted names cannot be aimed at one slot across runs. */
static inline uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t h = seed ^ n * 0x9e3779b97f4a7c15u, w;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&w, p, 8);
		h = hash_u64(h ^ w);
	}
	w = 0;
	if (n)
		memcpy(&w, p, n);
	return hash_u64(h ^ w);
}

#endif
