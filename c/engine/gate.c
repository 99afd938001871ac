/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../array.h"
#include "gate.h"
#include "ruleset.h"
#include "state.h"

enum part { PART_PROCESS, PART_DESCRIPTOR, PARTS };

enum { CACHE_BYTES = 1 << 20, MAX_SLOTS = 4096, MIN_SLOTS = 64 };

/* What is known under one key. Followed by two bit sets: which entries' answers are known, and which are yes. */
struct memo {
	struct gate_key key;
	bool used;
	uint64_t bits[];
};

struct cache {
	uint32_t slots;		/* power of two; 0: not allocated yet */
	char *memos;
};

struct program {
	const struct gate_step *steps;
	uint32_t n;
	uint32_t serial, answer;	/* the answer for event `serial` */
};

/* The entries that can match events of one code. */
struct type {
	uint64_t *entries;		/* bit set; NULL: none */
	uint32_t *before;		/* by word of it: how many entries there are in earlier words */
	int32_t *conditions;		/* programs, in order of entries; -1: none */
	uint32_t n, cap;
};

struct gate {
	uint32_t entries, words;	/* words: of a bit set over entries */
	struct program *programs;
	uint32_t nprograms, programs_cap;
	struct map program_by_hash;	/* hash -> 1 + number of the latest program that has it */
	struct {
		int32_t *program;	/* by entry; -1: no condition of that scope */
		uint64_t *has;		/* the entries that have one */
		struct cache cache;
	} parts[PARTS];
	struct type types[EV_COUNT];
	uint64_t *passing;		/* scratch */
	struct gate_stats stats[EV_COUNT];
};

/* ------------------------------------------------------------------ building */

int ruleset_gate(struct ruleset *rs, uint32_t entries)
{
	struct gate *g;

	gate_free(rs->gate);
	rs->gate = NULL;
	if (!entries)
		return 0;
	if (!(g = calloc(1, sizeof *g)))
		return -ENOMEM;
	g->entries = entries;
	g->words = (entries + 63) / 64;
	g->passing = calloc(g->words, sizeof *g->passing);
	bool ok = g->passing;
	for (int part = 0; part < PARTS; part++) {
		g->parts[part].program = calloc(entries, sizeof *g->parts[part].program);
		g->parts[part].has = calloc(g->words, sizeof *g->parts[part].has);
		ok = ok && g->parts[part].program && g->parts[part].has;
	}
	if (!ok) {
		gate_free(g);
		return -ENOMEM;
	}
	rs->gate = g;
	return 0;
}

static bool steps_are_sound(const struct ruleset *rs, const struct gate_step *steps, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (steps[i].leaf < 0 || (uint32_t)steps[i].leaf >= rs->nleaves)
			return false;
		for (int k = 0; k < 2; k++) {
			int32_t to = steps[i].next[k];
			/* forward only, so that every program ends */
			if (to >= 0 ? (uint32_t)to <= i || (uint32_t)to >= n : to != GATE_YES && to != GATE_NO)
				return false;
		}
	}
	return n > 0;
}

int ruleset_gate_program(struct ruleset *rs, const struct gate_step *steps, uint32_t n)
{
	struct gate *g = rs->gate;
	struct gate_step *kept;
	size_t bytes = n * sizeof *steps;

	if (!g || !steps_are_sound(rs, steps, n))
		return -EINVAL;

	uint64_t hash = hash_bytes(steps, bytes, rs->seed);
	uintptr_t same = (uintptr_t)map_get(&g->program_by_hash, hash);	/* its number + 1 */
	if (same && g->programs[same - 1].n == n && memcmp(g->programs[same - 1].steps, steps, bytes) == 0)
		return (int)same - 1;
	if (!array_room(&g->programs, g->nprograms, &g->programs_cap, sizeof *g->programs) ||
	    !(kept = ruleset_zero(rs, bytes)) ||
	    !map_put(&g->program_by_hash, hash, (void *)(uintptr_t)(g->nprograms + 1)))
		return -ENOMEM;
	memcpy(kept, steps, bytes);
	g->programs[g->nprograms] = (struct program){ .steps = kept, .n = n };
	return (int)g->nprograms++;
}

static bool reads_only(const struct ruleset *rs, const struct program *p, uint32_t scope)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (ruleset_leaf_expr(rs, p->steps[i].leaf)->scope != scope)
			return false;
	return true;
}

int ruleset_gate_part(struct ruleset *rs, uint32_t entry, uint32_t scope, int32_t program)
{
	int part = scope == SCOPE_SELF ? PART_PROCESS : scope == SCOPE_FD ? PART_DESCRIPTOR : PARTS;
	struct gate *g = rs->gate;

	if (!g || entry >= g->entries || part == PARTS || program < 0 || (uint32_t)program >= g->nprograms ||
	    !reads_only(rs, &g->programs[program], scope))
		return -EINVAL;
	g->parts[part].program[entry] = program;
	g->parts[part].has[entry / 64] |= 1ull << entry % 64;
	return 0;
}

static bool type_alloc(const struct gate *g, struct type *type)
{
	if (type->entries)
		return true;
	type->before = calloc(g->words, sizeof *type->before);
	type->entries = type->before ? calloc(g->words, sizeof *type->entries) : NULL;
	return type->entries;
}

static bool has_later(const struct gate *g, const struct type *type, uint32_t entry)
{
	if (type->entries[entry / 64] >> entry % 64)
		return true;
	for (uint32_t w = entry / 64 + 1; w < g->words; w++)
		if (type->entries[w])
			return true;
	return false;
}

static int type_add(const struct gate *g, struct type *type, uint32_t entry, int32_t program)
{
	uint64_t *word = &type->entries[entry / 64], bit = 1ull << entry % 64;

	if (*word & bit)
		return 0;
	if (has_later(g, type, entry))
		return -EINVAL;
	if (!array_room(&type->conditions, type->n, &type->cap, sizeof *type->conditions))
		return -ENOMEM;
	if (!*word)
		type->before[entry / 64] = type->n;
	*word |= bit;
	type->conditions[type->n++] = program;
	return 0;
}

int ruleset_gate_type(struct ruleset *rs, uint32_t entry, uint32_t code, int32_t sc, int32_t program)
{
	struct gate *g = rs->gate;
	int rc;

	if (!g || entry >= g->entries || code >= EV_COUNT || program < -1 || program >= (int32_t)g->nprograms)
		return -EINVAL;
	if (!type_alloc(g, &g->types[code]))
		return -ENOMEM;
	rc = type_add(g, &g->types[code], entry, program);
	if (rc == 0)
		ruleset_want(rs, code, sc);
	return rc;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	for (uint32_t code = 0; code < EV_COUNT; code++) {
		free(g->types[code].entries);
		free(g->types[code].before);
		free(g->types[code].conditions);
	}
	for (int part = 0; part < PARTS; part++) {
		free(g->parts[part].program);
		free(g->parts[part].has);
		free(g->parts[part].cache.memos);
	}
	map_free(&g->program_by_hash);
	free(g->programs);
	free(g->passing);
	free(g);
}

void ruleset_gate_stats(const struct ruleset *rs, uint32_t code, struct gate_stats *stats)
{
	*stats = rs->gate && code < EV_COUNT ? rs->gate->stats[code] : (struct gate_stats){ 0 };
}

/* ------------------------------------------------------------------ memos */

static size_t memo_size(const struct gate *g)
{
	return sizeof(struct memo) + 2 * g->words * sizeof(uint64_t);
}

static bool cache_alloc(const struct gate *g, struct cache *c)
{
	uint32_t slots = MAX_SLOTS;

	while (slots > MIN_SLOTS && slots * memo_size(g) > CACHE_BYTES)
		slots /= 2;
	c->memos = calloc(slots, memo_size(g));
	c->slots = c->memos ? slots : 0;
	return c->memos;
}

/* The memo of this key: as it is, or emptied. NULL: out of memory, go without. */
static struct memo *memo_find(const struct gate *g, struct cache *c, const struct gate_key *key)
{
	struct memo *m;

	if (!c->slots && !cache_alloc(g, c))
		return NULL;
	m = (struct memo *)(c->memos + (hash_u64(key->gen) & (c->slots - 1)) * memo_size(g));
	if (m->used && m->key.gen == key->gen && m->key.leader_gen == key->leader_gen && m->key.epoch == key->epoch)
		return m;
	m->key = *key;
	m->used = true;
	memset(m->bits, 0, 2 * g->words * sizeof(uint64_t));
	return m;
}

void gate_forget(struct gate *g)
{
	for (int part = 0; g && part < PARTS; part++) {
		free(g->parts[part].cache.memos);
		g->parts[part].cache = (struct cache){ 0 };
	}
	for (uint32_t i = 0; g && i < g->nprograms; i++)
		g->programs[i].serial = 0;
}

/* ------------------------------------------------------------------ judging */

static bool holds(struct gate *g, const struct evt *e, int32_t program)
{
	struct program *p = &g->programs[program];
	int32_t at = 0;

	if (p->serial == e->serial)
		return p->answer;
	do
		at = p->steps[at].next[leaf(e, p->steps[at].leaf)];
	while (at >= 0);
	p->serial = e->serial;
	p->answer = at == GATE_YES;
	return p->answer;
}

/* Takes the entries out of `passing` whose program says no. key NULL: there is none. Are any left? */
static bool sift(struct gate *g, const struct evt *e, enum part part, const struct gate_key *key)
{
	struct memo *m = key ? memo_find(g, &g->parts[part].cache, key) : NULL;
	uint64_t left = 0, refused = e->scratch->refused;

	for (uint32_t w = 0; w < g->words; w++) {
		uint64_t asked = g->passing[w] & g->parts[part].has[w], yes = m ? m->bits[g->words + w] : 0;

		for (uint64_t unknown = asked & ~(m ? m->bits[w] : 0); unknown; unknown &= unknown - 1) {
			uint32_t entry = w * 64 + (uint32_t)__builtin_ctzll(unknown);

			if (holds(g, e, g->parts[part].program[entry]))
				yes |= unknown & -unknown;
		}
		/* values that found no room to be composed in count as missing, this time */
		if (m && e->scratch->refused == refused) {
			m->bits[w] |= asked;
			m->bits[g->words + w] = yes;
		}
		g->passing[w] &= ~asked | yes;
		left |= g->passing[w];
	}
	return left;
}

bool gate_process_key(const struct evt *e, struct gate_key *key)
{
	const struct thread *t = e->thread, *leader = t ? thread_main(e->st->threads, t) : NULL;

	if (!t)
		return false;
	*key = (struct gate_key){ t->gen, leader ? leader->gen : 0, e->st->table_epoch };
	return true;
}

bool gate_descriptor_key(const struct evt *e, struct gate_key *key)
{
	*key = (struct gate_key){ .gen = e->uses_fd && e->fd ? e->fd->gen : 0 };
	return !e->uses_fd || e->fd;
}

static bool process_part(struct gate *g, const struct evt *e)
{
	struct gate_key key;

	return sift(g, e, PART_PROCESS, gate_process_key(e, &key) ? &key : NULL);
}

/* Events that make a descriptor bring a new record each time: remembering it would only push others out. */
static bool descriptor_part(struct gate *g, const struct evt *e)
{
	struct gate_key key;
	bool has_key = !(e->info->flags & EF_CREATES_FD) && gate_descriptor_key(e, &key);

	return sift(g, e, PART_DESCRIPTOR, has_key ? &key : NULL);
}

static bool condition_part(struct gate *g, const struct evt *e, const struct type *type)
{
	for (uint32_t w = 0; w < g->words; w++) {
		for (uint64_t rest = g->passing[w]; rest; rest &= rest - 1) {
			uint64_t lower = type->entries[w] & ((rest & -rest) - 1);
			int32_t program = type->conditions[type->before[w] + (uint32_t)__builtin_popcountll(lower)];

			if (program < 0 || holds(g, e, program))
				return true;
		}
	}
	return false;
}

/* Of the entries in `passing`. */
static enum gate_verdict judge(struct gate *g, const struct evt *e, const struct type *type)
{
	if (!process_part(g, e))
		return GATE_BY_PROCESS;
	if (!descriptor_part(g, e))
		return GATE_BY_DESCRIPTOR;
	return condition_part(g, e, type) ? GATE_PASSES : GATE_BY_CONDITION;
}

bool gate_pass(struct ruleset *rules, const struct evt *e)
{
	struct gate *g;
	const struct type *type;
	enum gate_verdict verdict;

	if (!rules || !event_is_seen(e->h.code) || !ruleset_wants(rules, e->h.code, e->h.sc))
		return false;
	g = rules->gate;
	if (!g || !(type = &g->types[e->h.code])->entries)
		return true;	/* somebody wants them all */
	memcpy(g->passing, type->entries, g->words * sizeof *g->passing);
	verdict = judge(g, e, type);
	g->stats[e->h.code].verdicts[verdict]++;
	return verdict == GATE_PASSES;
}

int ruleset_gate_verdict(struct ruleset *rs, const struct evt *e, uint32_t entry)
{
	struct gate *g = rs->gate;
	const struct type *type = g ? &g->types[e->h.code] : NULL;

	if (!g || entry >= g->entries)
		return -EINVAL;
	if (!type->entries || !(type->entries[entry / 64] >> entry % 64 & 1))
		return GATE_BY_TYPE;
	memset(g->passing, 0, g->words * sizeof *g->passing);
	g->passing[entry / 64] = 1ull << entry % 64;
	return (int)judge(g, e, type);
}
