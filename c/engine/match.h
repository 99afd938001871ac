/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matchers: what the constants of one comparison become. Built once, when rules are loaded, from memory of the given
 * arena (which owns it); afterwards read-only and free of allocation. Builders return false when memory is out.
 *
 * struct strset    set of byte strings by hash           struct numset    set of 64-bit numbers
 * struct netset    IPv4 and IPv6 networks                struct glob      one fnmatch pattern
 * struct pathset   paths that lie at or under one of the given ones, by components, components may be globs
 *
 * Everything that asks about path prefixes goes through struct pathset: a matcher shared by all leaves over one field
 * would take its place behind pathset_has().
 */
#ifndef FALCO_MATCH_H
#define FALCO_MATCH_H

#include "../arena.h"
#include "../str.h"

/* ---- text */

/* Up to 8 bytes as a number, without reading beyond them. Texts of one length differ if their numbers do. */
static inline uint64_t text_word(const char *p, uint32_t n)
{
	uint32_t lo, hi;
	uint64_t w;

	if (n == 8)
		return memcpy(&w, p, 8), w;
	if (n < 4)
		return n ? (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
				   (uint64_t)(unsigned char)p[n - 1] << 16 : 0;
	memcpy(&lo, p, 4);
	memcpy(&hi, p + n - 4, 4);
	return lo | (uint64_t)hi << 32;
}

/* Hash for strset and pathset, made for names and paths; never 0, so that 0 can stand for "not computed yet". */
static inline uint64_t text_hash(struct str s, uint64_t seed)
{
	uint64_t h = seed ^ s.len * 0x9e3779b97f4a7c15u;

	for (; s.len > 8; s.p += 8, s.len -= 8)
		h = hash_u64(h ^ text_word(s.p, 8));
	return hash_u64(h ^ text_word(s.p, s.len)) | 1;
}

/* ASCII only, whatever the locale. */
static inline unsigned char fold_byte(unsigned char c)
{
	return (unsigned)c - 'A' < 26 ? c + 32 : c;
}

int text_cmp(struct str a, struct str b);		/* byte order, as strcmp */
bool text_contains(struct str hay, struct str needle);
/* `folded` is in lower case already. */
bool text_icontains(struct str hay, struct str folded);

/* Insertions, deletions and exchanges of letters between two short words; longer than 63 bytes: UINT32_MAX. */
uint32_t text_distance(struct str a, struct str b);
/* How unlike what somebody wrote a known name is; of equally distant ones a longer form of it is nearer. UINT32_MAX: too
 * far to have been meant. */
uint32_t text_unlike(struct str wrong, struct str known);

/* Bytes at the start that are whole, valid UTF-8 sequences. */
uint32_t utf8_valid(struct str s);
/* A copy with each invalid part replaced by U+FFFD, in `a`. false: no room there. */
bool utf8_repair(struct str s, struct arena *a, struct str *out);

/* ---- sets */

struct strset {
	const struct strset_slot *slots;
	uint32_t mask;				/* slots - 1 */
	uint64_t lengths;			/* bit n: a member of n bytes; bit 63: of 63 and more */
};

bool strset_build(struct strset *set, struct arena *a, const struct str *values, uint32_t n, uint64_t seed);
bool strset_probe(const struct strset *set, struct str s, uint64_t hash);

static inline bool strset_may_have(const struct strset *set, struct str s)
{
	return set->lengths >> (s.len < 63 ? s.len : 63) & 1;
}

struct numset {
	const uint64_t *sorted;
	uint32_t n;
};

bool numset_build(struct numset *set, struct arena *a, const uint64_t *values, uint32_t n);
bool numset_has(const struct numset *set, uint64_t x);

struct net {
	uint8_t addr_len;			/* 4 or 16 */
	uint8_t bits;				/* of the prefix */
	uint8_t addr[16];			/* network order, host part cleared */
};

struct netset {
	const struct net *nets;
	uint32_t n;
};

/* Clears the host part. */
void net_trim(struct net *net);
/* addr: 4 or 16 bytes; other families are never inside. */
bool net_has(const struct net *net, const void *addr, uint32_t addr_len);
bool netset_build(struct netset *set, struct arena *a, const struct net *nets, uint32_t n);
bool netset_has(const struct netset *set, const void *addr, uint32_t addr_len);

/* ---- patterns */

enum glob_shape { GLOB_EXACT, GLOB_PREFIX, GLOB_SUFFIX, GLOB_INFIX, GLOB_GENERAL };

/* Shapes without a choice inside are plain comparisons: text is then what stands between the stars. */
struct glob {
	struct str text;			/* borrowed; with `fold`: lower case unless GENERAL */
	uint8_t shape;
	bool fold;
};

/* fnmatch(3) without flags in the C locale: "*" crosses slashes, "?" is one byte, "[...]" with ranges and classes. */
bool glob_text(struct str pattern, struct str s, bool fold);
bool glob_build(struct glob *g, struct arena *a, struct str pattern, bool fold);
bool glob_has(const struct glob *g, struct str s);

/* ---- paths */

#define PATH_MAX_DEPTH 1024			/* components of one constant; bounds recursion */

struct pathset;

/* Components of a path: what lies between slashes and is not empty. */
uint32_t path_depth(struct str path);
/* NULL: out of memory. Values deeper than PATH_MAX_DEPTH must have been refused. */
struct pathset *pathset_build(struct arena *a, const struct str *values, uint32_t n, uint64_t seed);
bool pathset_has(const struct pathset *set, struct str path);

#endif
