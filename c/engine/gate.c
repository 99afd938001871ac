/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../array.h"
#include "gate.h"
#include "ruleset.h"
#include "state.h"

enum part { PART_PROCESS, PART_DESCRIPTOR, PARTS };

enum { CACHE_BYTES = 1 << 20, MAX_SLOTS = 4096, MIN_SLOTS = 64 };

/* What is known of one thread or record. Followed by two bit sets: which entries' answers are known, and which are yes. */
struct memo {
	uint64_t gen, leader_gen;
	uint32_t epoch;
	bool used;
	uint64_t bits[];
};

struct cache {
	uint32_t slots;		/* power of two; 0: not allocated yet */
	char *memos;
};

struct gate {
	uint32_t entries, words;		/* words: of a bit set over entries */
	struct {
		const struct gate_step **of;	/* by entry; NULL: no condition of that scope */
		uint32_t cap;
	} programs[PARTS];
	uint64_t *types[EV_COUNT];		/* entries by code; NULL: none */
	uint64_t *has_program[PARTS];
	struct cache cache[PARTS];
	uint64_t *passing;			/* scratch */
	struct gate_stats stats;
};

/* ------------------------------------------------------------------ building */

static struct gate *gate_of(struct ruleset *rs)
{
	if (!rs->gate)
		rs->gate = calloc(1, sizeof *rs->gate);
	return rs->gate;
}

int ruleset_gate(struct ruleset *rs, uint32_t entries)
{
	struct gate *g;

	gate_free(rs->gate);
	rs->gate = NULL;
	if (!entries)
		return 0;
	if (!(g = gate_of(rs)))
		return -ENOMEM;
	g->entries = entries;
	g->words = (entries + 63) / 64;
	g->passing = calloc(g->words, sizeof *g->passing);
	bool ok = g->passing;
	for (int part = 0; part < PARTS; part++) {
		g->programs[part].of = calloc(entries, sizeof *g->programs[part].of);
		g->has_program[part] = calloc(g->words, sizeof *g->has_program[part]);
		ok = ok && g->programs[part].of && g->has_program[part];
	}
	if (ok)
		return 0;
	gate_free(g);
	rs->gate = NULL;
	return -ENOMEM;
}

int ruleset_gate_type(struct ruleset *rs, uint32_t entry, uint32_t code, int32_t sc)
{
	struct gate *g = rs->gate;

	if (!g || entry >= g->entries || code >= EV_COUNT)
		return -EINVAL;
	if (!g->types[code] && !(g->types[code] = calloc(g->words, sizeof *g->types[code])))
		return -ENOMEM;
	g->types[code][entry / 64] |= 1ull << entry % 64;
	ruleset_want(rs, code, sc);
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

int ruleset_gate_program(struct ruleset *rs, uint32_t entry, uint32_t scope, const struct gate_step *steps, uint32_t n)
{
	int part = scope == SCOPE_SELF ? PART_PROCESS : scope == SCOPE_FD ? PART_DESCRIPTOR : PARTS;
	struct gate *g = rs->gate;
	struct gate_step *kept;

	if (!g || entry >= g->entries || part == PARTS || !steps_are_sound(rs, steps, n))
		return -EINVAL;
	if (!(kept = ruleset_zero(rs, n * sizeof *steps)))
		return -ENOMEM;
	memcpy(kept, steps, n * sizeof *steps);
	g->programs[part].of[entry] = kept;
	g->has_program[part][entry / 64] |= 1ull << entry % 64;
	return 0;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	for (uint32_t code = 0; code < EV_COUNT; code++)
		free(g->types[code]);
	for (int part = 0; part < PARTS; part++) {
		free(g->programs[part].of);
		free(g->has_program[part]);
		free(g->cache[part].memos);
	}
	free(g->passing);
	free(g);
}

void ruleset_gate_stats(const struct ruleset *rs, struct gate_stats *stats)
{
	*stats = rs->gate ? rs->gate->stats : (struct gate_stats){ 0 };
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
static struct memo *memo_find(const struct gate *g, struct cache *c, uint64_t gen, uint64_t leader_gen, uint32_t epoch)
{
	struct memo *m;

	if (!c->slots && !cache_alloc(g, c))
		return NULL;
	m = (struct memo *)(c->memos + (hash_u64(gen) & (c->slots - 1)) * memo_size(g));
	if (m->used && m->gen == gen && m->leader_gen == leader_gen && m->epoch == epoch)
		return m;
	*m = (struct memo){ .gen = gen, .leader_gen = leader_gen, .epoch = epoch, .used = true };
	memset(m->bits, 0, 2 * g->words * sizeof(uint64_t));
	return m;
}

void gate_forget(struct gate *g)
{
	for (int part = 0; g && part < PARTS; part++) {
		free(g->cache[part].memos);
		g->cache[part] = (struct cache){ 0 };
	}
}

/* ------------------------------------------------------------------ judging */

static bool run(const struct evt *e, const struct gate_step *steps)
{
	int32_t at = 0;

	do
		at = steps[at].next[leaf(e, steps[at].leaf)];
	while (at >= 0);
	return at == GATE_YES;
}

/* Takes the entries out of `passing` whose program says no. m: where answers are kept; NULL: ask each. Are any left? */
static bool sift(struct gate *g, const struct evt *e, enum part part, struct memo *m, uint64_t *passing)
{
	uint64_t left = 0;

	for (uint32_t w = 0; w < g->words; w++) {
		uint64_t asked = passing[w] & g->has_program[part][w], yes = m ? m->bits[g->words + w] : 0;

		for (uint64_t unknown = asked & ~(m ? m->bits[w] : 0); unknown; unknown &= unknown - 1) {
			uint32_t entry = w * 64 + (uint32_t)__builtin_ctzll(unknown);

			if (run(e, g->programs[part].of[entry]))
				yes |= unknown & -unknown;
		}
		if (m) {
			m->bits[w] |= asked;
			m->bits[g->words + w] = yes;
		}
		passing[w] &= ~asked | yes;
		left |= passing[w];
	}
	return left;
}

static bool process_part(struct gate *g, const struct evt *e, uint64_t *passing)
{
	const struct thread *t = e->thread, *leader;
	struct memo *m = NULL;

	if (t) {
		leader = thread_main(e->st->threads, t);
		m = memo_find(g, &g->cache[PART_PROCESS], t->gen, leader ? leader->gen : 0, e->st->table_epoch);
	}
	return sift(g, e, PART_PROCESS, m, passing);
}

/*
 * Events that make a descriptor bring a new record each time: remembering it would only push others out. To events that
 * work on none, fields of this scope are missing whatever record there is.
 */
static bool descriptor_part(struct gate *g, const struct evt *e, uint64_t *passing)
{
	struct memo *m = NULL;

	if (e->fd && e->uses_fd && !(e->info->flags & EF_CREATES_FD))
		m = memo_find(g, &g->cache[PART_DESCRIPTOR], e->fd->gen, 0, e->st->table_epoch);
	return sift(g, e, PART_DESCRIPTOR, m, passing);
}

bool gate_pass(struct ruleset *rules, const struct evt *e)
{
	struct gate *g;
	const uint64_t *types;

	if (!rules || !event_is_seen(e->h.code) || !ruleset_wants(rules, e->h.code, e->h.sc))
		return false;
	g = rules->gate;
	if (!g || !(types = g->types[e->h.code]))
		return true;	/* somebody wants them all */
	g->stats.asked++;
	memcpy(g->passing, types, g->words * sizeof *types);
	if (!process_part(g, e, g->passing)) {
		g->stats.by_process++;
		return false;
	}
	if (!descriptor_part(g, e, g->passing)) {
		g->stats.by_descriptor++;
		return false;
	}
	return true;
}
