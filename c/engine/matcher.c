/* SPDX-License-Identifier: Apache-2.0 */
#include "../array.h"
#include "matcher.h"

enum { HEAD_MAX = 255, GRAM = 4, LEAST_BLOOM = 12, MOST_BLOOM = 18 };

/* A constant of some leaf. */
struct pattern {
	uint32_t target;		/* whose */
	uint32_t next;			/* index + 1 of the next one of the same hash; 0: none */
};

struct target {
	uint32_t leaf;
	uint32_t serial;		/* proposed for this event already */
};

/* hash -> index + 1 of its first pattern. `bloom` knows of most hashes that there is none. */
struct finder {
	struct map first;
	uint32_t n;
	uint64_t bloom[64];
};

/* Heads, or tails: by the hash of so many bytes. */
struct ends {
	struct finder by_hash;
	uint64_t lengths[(HEAD_MAX + 64) / 64];		/* which lengths there are */
	uint32_t longest;
};

struct matcher {
	struct ruleset *rs;
	struct expr *expr;
	struct target *targets;
	uint32_t ntargets, targets_cap;
	struct pattern *patterns;
	uint32_t npatterns, patterns_cap;
	struct finder whole, under, grams;
	struct ends heads, tails;
	uint64_t *bloom;		/* of grams */
	uint32_t bloom_bits;		/* log2 */
	uint32_t *shorts;		/* targets that look for less than GRAM bytes inside */
	uint32_t nshorts, shorts_cap;
	uint32_t *found;
	uint32_t nfound, found_cap;
	uint32_t serial;		/* the event that `found` is for */
};

/* ------------------------------------------------------------------ what can be found */

enum place { NOWHERE, WHOLE, HEAD, TAIL, INSIDE, UNDER };

static enum place glob_place(const struct glob *g)
{
	static const uint8_t places[] = {
		[GLOB_EXACT] = WHOLE, [GLOB_PREFIX] = HEAD, [GLOB_SUFFIX] = TAIL, [GLOB_INFIX] = INSIDE,
		[GLOB_GENERAL] = NOWHERE,
	};
	return g->fold ? NOWHERE : places[g->shape];
}

static bool is_plain_path(struct str s)
{
	return path_depth(s) && !memchr(s.p, '*', s.len) && !memchr(s.p, '?', s.len) && !memchr(s.p, '[', s.len);
}

static bool are_plain_paths(const struct leaf *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!is_plain_path(l->values[i]))
			return false;
	return l->n;
}

/* Where in the text to look for which bytes; NOWHERE: by other means. */
static enum place leaf_place(const struct leaf *l, struct str *what)
{
	uint8_t class = type_class(l->expr->info.type);

	*what = l->cmp.one.s;
	if (l->rhs || l->stateful || l->modifier || l->expr->untyped || l->expr->info.flags & (FIELD_LIST | FIELD_EITHER) ||
	    (class != CLASS_TEXT && class != CLASS_BYTES))
		return NOWHERE;
	switch (l->op) {
	case OP_EQ:
		return WHOLE;
	case OP_IN:
		return class == CLASS_TEXT && l->n ? WHOLE : NOWHERE;
	case OP_STARTSWITH:
	case OP_BSTARTSWITH:
		return HEAD;
	case OP_ENDSWITH:
		return TAIL;
	case OP_CONTAINS:
	case OP_BCONTAINS:
		return INSIDE;
	case OP_GLOB:
		*what = l->cmp.glob.text;
		return glob_place(&l->cmp.glob);
	case OP_PMATCH:
		return class == CLASS_TEXT && are_plain_paths(l) ? UNDER : NOWHERE;
	default:
		return NOWHERE;
	}
}

uint32_t leaf_findable(const struct leaf *l)
{
	static const uint8_t likely[] = { [WHOLE] = 1, [TAIL] = 2, [INSIDE] = 3, [HEAD] = 4, [UNDER] = 4 };
	struct str what;
	enum place place = leaf_place(l, &what);

	if (place == WHOLE || place == UNDER)
		return likely[place];
	return !what.len ? 0 : likely[place] * (what.len < 3 ? 20 : 1);
}

/* ------------------------------------------------------------------ hashes */

/* One byte more; good enough for tables, and fast one byte after the other. */
static inline uint64_t roll(uint64_t h, char c)
{
	return (h ^ (unsigned char)c) * 0x9e3779b97f4a7c15u;
}

static uint64_t head_hash(uint64_t seed, struct str s)
{
	for (uint32_t i = 0; i < s.len && i < HEAD_MAX; i++)
		seed = roll(seed, s.p[i]);
	return seed;
}

static uint64_t tail_hash(uint64_t seed, struct str s)
{
	for (uint32_t i = 0; i < s.len && i < HEAD_MAX; i++)
		seed = roll(seed, s.p[s.len - 1 - i]);
	return seed;
}

/* Takes the next component off a path. false: there is none. */
static inline bool step_down(struct str *path, uint64_t *hash)
{
	const char *p = path->p, *end = p + path->len;

	while (p < end && *p == '/')
		p++;
	if (p == end)
		return false;
	for (; p < end && *p != '/'; p++)
		*hash = roll(*hash, *p);
	*hash = roll(*hash, '/');
	*path = (struct str){ p, (uint32_t)(end - p) };
	return true;
}

static uint64_t path_hash(uint64_t seed, struct str path)
{
	while (step_down(&path, &seed))
		;
	return seed;
}

static inline uint32_t gram_at(const char *p)
{
	uint32_t gram;

	memcpy(&gram, p, sizeof gram);
	return gram;
}

static inline uint64_t gram_bit(const struct matcher *m, uint32_t gram)
{
	return gram * 0x9e3779b1u >> (32 - m->bloom_bits);
}

/* ------------------------------------------------------------------ building */

struct matcher *matcher_new(struct ruleset *rs, struct expr *x)
{
	struct matcher *m = calloc(1, sizeof *m);

	if (m) {
		m->rs = rs;
		m->expr = x;
	}
	return m;
}

void matcher_free(struct matcher *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->ntargets; i++)
		m->rs->leaves[m->targets[i].leaf]->settled = NULL;
	map_free(&m->whole.first);
	map_free(&m->under.first);
	map_free(&m->grams.first);
	map_free(&m->heads.by_hash.first);
	map_free(&m->tails.by_hash.first);
	free(m->targets);
	free(m->patterns);
	free(m->bloom);
	free(m->shorts);
	free(m->found);
	free(m);
}

void matcher_forget(struct matcher *m)
{
	m->serial = 0;
	for (uint32_t i = 0; i < m->ntargets; i++)
		m->targets[i].serial = 0;
}

/* 0 .. 4095 */
static inline uint32_t bloom_bit(uint64_t hash)
{
	return (uint32_t)(hash >> 52);
}

static bool finder_add(struct matcher *m, struct finder *f, uint64_t hash, uint32_t target)
{
	uint32_t first = (uint32_t)(uintptr_t)map_get(&f->first, hash);

	if (!array_room(&m->patterns, m->npatterns, &m->patterns_cap, sizeof *m->patterns))
		return false;
	m->patterns[m->npatterns] = (struct pattern){ target, first };
	if (!map_put(&f->first, hash, (void *)(uintptr_t)(m->npatterns + 1)))
		return false;
	m->npatterns++;
	f->bloom[bloom_bit(hash) / 64] |= 1ull << bloom_bit(hash) % 64;
	f->n++;
	return true;
}

static bool ends_add(struct matcher *m, struct ends *ends, uint64_t hash, uint32_t len, uint32_t target)
{
	uint32_t n = len < HEAD_MAX ? len : HEAD_MAX;

	ends->lengths[n / 64] |= 1ull << n % 64;
	if (n > ends->longest)
		ends->longest = n;
	return finder_add(m, &ends->by_hash, hash, target);
}

static uint32_t chain_length(const struct matcher *m, const struct finder *f, uint64_t hash)
{
	uint32_t n = 0;

	for (uint32_t i = (uint32_t)(uintptr_t)map_get(&f->first, hash); i && n < 1000; i = m->patterns[i - 1].next)
		n++;
	return n;
}

static bool bloom_grow(struct matcher *m)
{
	uint32_t bits = LEAST_BLOOM;
	uint64_t *bigger, gram;
	void *first;

	while (bits < MOST_BLOOM && 1u << bits < m->grams.n * 32)
		bits++;
	if (m->bloom && bits == m->bloom_bits)
		return true;
	if (!(bigger = calloc((1u << bits) / 64, sizeof *bigger)))
		return false;
	free(m->bloom);
	m->bloom = bigger;
	m->bloom_bits = bits;
	for (uint32_t i = 0; map_next(&m->grams.first, &i, &gram, &first);)
		m->bloom[gram_bit(m, (uint32_t)gram) / 64] |= 1ull << gram_bit(m, (uint32_t)gram) % 64;
	return true;
}

/* Of the needle's runs of four bytes the one that the fewest others have. */
static bool inside_add(struct matcher *m, struct str needle, uint32_t target)
{
	uint32_t best = 0, least = UINT32_MAX;

	if (needle.len < GRAM) {
		if (!array_room(&m->shorts, m->nshorts, &m->shorts_cap, sizeof *m->shorts))
			return false;
		m->shorts[m->nshorts++] = target;
		return true;
	}
	for (uint32_t i = 0; i + GRAM <= needle.len && i < 64 && least; i++) {
		uint32_t n = chain_length(m, &m->grams, gram_at(needle.p + i));

		if (n < least) {
			least = n;
			best = gram_at(needle.p + i);
		}
	}
	if (!finder_add(m, &m->grams, best, target) || !bloom_grow(m))
		return false;
	m->bloom[gram_bit(m, best) / 64] |= 1ull << gram_bit(m, best) % 64;
	return true;
}

static bool whole_add(struct matcher *m, const struct leaf *l, struct str what, uint32_t target)
{
	if (l->op != OP_IN)
		return finder_add(m, &m->whole, text_hash(what, m->rs->seed), target);
	for (uint32_t i = 0; i < l->n; i++)
		if (!finder_add(m, &m->whole, text_hash(l->values[i], m->rs->seed), target))
			return false;
	return true;
}

static bool under_add(struct matcher *m, const struct leaf *l, uint32_t target)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!finder_add(m, &m->under, path_hash(m->rs->seed, l->values[i]), target))
			return false;
	return true;
}

static bool place_add(struct matcher *m, const struct leaf *l, uint32_t target)
{
	uint64_t seed = m->rs->seed;
	struct str what;

	switch (leaf_place(l, &what)) {
	case WHOLE:
		return whole_add(m, l, what, target);
	case HEAD:
		return ends_add(m, &m->heads, head_hash(seed, what), what.len, target);
	case TAIL:
		return ends_add(m, &m->tails, tail_hash(seed, what), what.len, target);
	case INSIDE:
		return inside_add(m, what, target);
	case UNDER:
		return under_add(m, l, target);
	default:
		return false;
	}
}

bool matcher_add(struct matcher *m, uint32_t leaf)
{
	struct leaf *l = m->rs->leaves[leaf];

	if (!array_room(&m->targets, m->ntargets, &m->targets_cap, sizeof *m->targets) ||
	    !array_room(&m->found, m->ntargets, &m->found_cap, sizeof *m->found))
		return false;
	m->targets[m->ntargets] = (struct target){ leaf, 0 };
	if (!place_add(m, l, m->ntargets))
		return false;
	m->ntargets++;
	l->settled = &m->serial;
	return true;
}

/* ------------------------------------------------------------------ finding */

static void propose(struct matcher *m, const struct evt *e, uint32_t target)
{
	struct target *t = &m->targets[target];

	if (t->serial == e->serial)
		return;
	t->serial = e->serial;
	if (leaf(e, (int)t->leaf))
		m->found[m->nfound++] = t->leaf;
}

static inline bool may_have(const struct finder *f, uint64_t hash)
{
	return f->bloom[bloom_bit(hash) / 64] >> bloom_bit(hash) % 64 & 1;
}

static void propose_all(struct matcher *m, const struct evt *e, const struct finder *f, uint64_t hash)
{
	for (uint32_t i = (uint32_t)(uintptr_t)map_get(&f->first, hash); i; i = m->patterns[i - 1].next)
		propose(m, e, m->patterns[i - 1].target);
}

static inline bool has_length(const struct ends *ends, uint32_t n)
{
	return ends->lengths[n / 64] >> n % 64 & 1;
}

static void find_heads(struct matcher *m, const struct evt *e, struct str s)
{
	uint32_t n = s.len < m->heads.longest ? s.len : m->heads.longest;
	uint64_t hash = m->rs->seed;

	for (uint32_t i = 0; i < n; i++) {
		hash = roll(hash, s.p[i]);
		if (has_length(&m->heads, i + 1) && may_have(&m->heads.by_hash, hash))
			propose_all(m, e, &m->heads.by_hash, hash);
	}
}

static void find_tails(struct matcher *m, const struct evt *e, struct str s)
{
	uint32_t n = s.len < m->tails.longest ? s.len : m->tails.longest;
	uint64_t hash = m->rs->seed;

	for (uint32_t i = 0; i < n; i++) {
		hash = roll(hash, s.p[s.len - 1 - i]);
		if (has_length(&m->tails, i + 1) && may_have(&m->tails.by_hash, hash))
			propose_all(m, e, &m->tails.by_hash, hash);
	}
}

static void find_inside(struct matcher *m, const struct evt *e, struct str s)
{
	for (uint32_t i = 0; i + GRAM <= s.len; i++) {
		uint32_t gram = gram_at(s.p + i);
		uint64_t bit = gram_bit(m, gram);

		if (m->bloom[bit / 64] >> bit % 64 & 1)
			propose_all(m, e, &m->grams, gram);
	}
}

static void find_under(struct matcher *m, const struct evt *e, struct str path)
{
	uint64_t hash = m->rs->seed;

	while (step_down(&path, &hash))
		if (may_have(&m->under, hash))
			propose_all(m, e, &m->under, hash);
}

static void find(struct matcher *m, const struct evt *e, struct str s)
{
	if (m->whole.n) {
		if (!m->expr->hash)
			m->expr->hash = text_hash(s, m->rs->seed);
		if (may_have(&m->whole, m->expr->hash))
			propose_all(m, e, &m->whole, m->expr->hash);
	}
	if (m->heads.by_hash.n)
		find_heads(m, e, s);
	if (m->tails.by_hash.n)
		find_tails(m, e, s);
	if (m->grams.n)
		find_inside(m, e, s);
	if (m->under.n)
		find_under(m, e, s);
	for (uint32_t i = 0; i < m->nshorts; i++)
		propose(m, e, m->shorts[i]);
}

uint32_t matcher_run(struct matcher *m, const struct evt *e, const uint32_t **ids)
{
	*ids = m->found;
	if (m->serial == e->serial)
		return m->nfound;
	m->nfound = 0;

	const struct value *v = expr_value(e, m->expr);
	if (v && v->flags & VALUE_LIST)
		for (uint32_t i = 0; i < m->ntargets; i++)
			propose(m, e, i);
	else if (v)
		find(m, e, (struct str){ v->p, v->len });
	m->serial = e->serial;
	return m->nfound;
}
