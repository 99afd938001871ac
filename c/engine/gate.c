/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include "gate_plan.h"
#include "ruleset.h"
#include "state.h"

enum { CACHE_BYTES = 1 << 20, MAX_SLOTS = 4096, MIN_SLOTS = 64 };

/* What is known under one key. Followed by two bit sets, word by word in turns: which entries' answers are known, and
 * which are yes. */
struct memo {
	struct gate_key key;
	bool used;
	uint64_t bits[];
};

void ruleset_gate_stats(const struct ruleset *rs, uint32_t code, struct gate_stats *stats)
{
	*stats = rs->gate && code < EV_COUNT ? rs->gate->stats[code] : (struct gate_stats){ 0 };
}

/* ------------------------------------------------------------------ memos */

static size_t memo_size(const struct gate *g)
{
	return sizeof(struct memo) + 2 * g->words * sizeof(uint64_t);
}

static bool cache_alloc(const struct gate *g, struct memo_cache *c)
{
	uint32_t slots = MAX_SLOTS;

	while (slots > MIN_SLOTS && slots * memo_size(g) > CACHE_BYTES)
		slots /= 2;
	c->memos = calloc(slots, memo_size(g));
	c->slots = c->memos ? slots : 0;
	return c->memos;
}

/* The memo of this key: as it is, or emptied. NULL: out of memory, go without. */
static struct memo *memo_find(const struct gate *g, struct memo_cache *c, const struct gate_key *key)
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
	if (!g)
		return;
	for (int part = 0; part < KEPT_PARTS; part++) {
		free(g->caches[part].memos);
		g->caches[part] = (struct memo_cache){ 0 };
	}
	for (uint32_t i = 0; i < g->nprograms; i++)
		g->programs[i].serial = 0;
	for (uint32_t i = 0; i < g->nmatchers; i++)
		matcher_forget(g->matchers[i]);
}

/* ------------------------------------------------------------------ asking */

static bool holds(struct gate *g, const struct evt *e, uint32_t program)
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

/* If one of its entries is unknown: asks, and puts them into `yes` if so. */
static void ask_cohort(struct gate *g, const struct evt *e, const struct sieve *s, const struct cohort *cohort)
{
	const struct bits *bits = &s->bits[cohort->first];
	uint64_t wanted = 0;

	for (uint32_t i = 0; i < cohort->n && !wanted; i++)
		wanted = g->unknown[bits[i].word] & bits[i].bits;
	if (!wanted || !holds(g, e, cohort->program))
		return;
	for (uint32_t i = 0; i < cohort->n; i++)
		g->yes[bits[i].word] |= bits[i].bits;
}

static void ask_triggered(struct gate *g, const struct evt *e, const struct sieve *s, uint32_t leaf)
{
	uint32_t lo = 0, hi = s->ntriggers;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (s->triggers[mid].leaf < leaf)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < s->ntriggers && s->triggers[lo].leaf == leaf; lo++)
		ask_cohort(g, e, s, &s->cohorts[s->triggers[lo].cohort]);
}

/* Finds out which of the unknown entries hold. */
static void ask(struct gate *g, const struct evt *e, const struct sieve *s)
{
	for (uint32_t i = 0; i < s->nfree; i++)
		ask_cohort(g, e, s, &s->cohorts[i]);
	for (uint32_t i = 0; i < s->nmatchers; i++) {
		const uint32_t *ids;
		uint32_t n = matcher_run(s->matchers[i], e, &ids);

		for (uint32_t k = 0; k < n; k++)
			ask_triggered(g, e, s, ids[k]);
	}
}

/* Takes the entries out of `passing` whose program says no. bits: what is known; NULL: nothing is kept. Are any left? */
static bool sift(struct gate *g, const struct evt *e, const struct plan *plan, int part, uint64_t *bits)
{
	const struct sieve *s = &plan->parts[part];
	uint64_t refused = e->scratch->refused, open = 0, left = 0;

	if (!s->ncohorts)
		return true;
	for (uint32_t w = plan->from; w < plan->to; w++) {
		uint64_t asked = g->passing[w] & s->asks[w];

		g->unknown[w] = bits ? asked & ~bits[2 * w] : asked;
		g->yes[w] = bits ? bits[2 * w + 1] : 0;
		open |= g->unknown[w];
	}
	if (open)
		ask(g, e, s);
	/* values that found no room to be composed in count as missing, this time */
	if (open && bits && e->scratch->refused == refused) {
		for (uint32_t w = plan->from; w < plan->to; w++) {
			bits[2 * w] |= g->unknown[w];
			bits[2 * w + 1] |= g->unknown[w] & g->yes[w];
		}
	}
	for (uint32_t w = plan->from; w < plan->to; w++) {
		g->passing[w] &= ~s->asks[w] | g->yes[w];
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

static bool process_part(struct gate *g, const struct evt *e, const struct plan *plan)
{
	struct gate_key key;
	struct memo *m = gate_process_key(e, &key) ? memo_find(g, &g->caches[PART_PROCESS], &key) : NULL;

	return sift(g, e, plan, PART_PROCESS, m ? m->bits : NULL);
}

/* Events that make a descriptor bring a new record each time: remembering it would only push others out. */
static bool descriptor_part(struct gate *g, const struct evt *e, const struct plan *plan)
{
	struct gate_key key;
	bool has_key = !(e->info->flags & EF_CREATES_FD) && gate_descriptor_key(e, &key);
	struct memo *m = has_key ? memo_find(g, &g->caches[PART_DESCRIPTOR], &key) : NULL;

	return sift(g, e, plan, PART_DESCRIPTOR, m ? m->bits : NULL);
}

/* Lists the entries that are left: hits[0] of them. Are there any? */
static bool whole_part(struct gate *g, const struct evt *e, const struct plan *plan, int32_t *hits)
{
	hits[0] = 0;
	for (uint32_t w = plan->from; w < plan->to; w++) {
		for (uint64_t rest = g->passing[w]; rest; rest &= rest - 1) {
			uint64_t earlier = plan->entries[w] & ((rest & -rest) - 1);
			int32_t whole = plan->wholes[plan->before[w] + (uint32_t)__builtin_popcountll(earlier)];

			if (whole < 0 || holds(g, e, (uint32_t)whole))
				hits[++hits[0]] = (int32_t)(w * 64 + (uint32_t)__builtin_ctzll(rest));
		}
	}
	return hits[0];
}

/* Of the entries in `passing`. hits has room for each of them, and one. */
static enum gate_verdict judge(struct gate *g, const struct evt *e, const struct plan *plan, int32_t *hits)
{
	if (!process_part(g, e, plan))
		return GATE_BY_PROCESS;
	if (!descriptor_part(g, e, plan))
		return GATE_BY_DESCRIPTOR;
	return sift(g, e, plan, PART_EVENT, NULL) && whole_part(g, e, plan, hits) ? GATE_PASSES : GATE_BY_CONDITION;
}

/* ------------------------------------------------------------------ what rules cost */

enum { SAMPLE_EVERY = 4096 };		/* events that some entry looks at, on average: what keeps the cost below 1 % */

/* Units are the machine's own, and as fine as it has them. */
static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return sys_now_ns();
#endif
}

/* One entry after the other, each as if it were alone. Comes before the event is judged: what is remembered then is found
 * by the first that asks for it, which pays for it, as it would alone. */
static __attribute__((cold, noinline)) void sample(struct gate *g, const struct evt *e, const struct plan *plan)
{
	int32_t hits[2];

	if (!g->cost.since_ns) {
		g->cost.since_ns = sys_now_ns();
		g->cost.since_ticks = ticks();
		g->cost.seed = 2463534242u;
	}
	g->cost.seed ^= g->cost.seed << 13;	/* xorshift: not in step with anything that repeats */
	g->cost.seed ^= g->cost.seed >> 17;
	g->cost.seed ^= g->cost.seed << 5;
	g->cost.left = SAMPLE_EVERY / 2 + g->cost.seed % SAMPLE_EVERY;
	g->cost.samples++;
	for (uint32_t w = plan->from; w < plan->to; w++) {
		for (uint64_t rest = plan->entries[w]; rest; rest &= rest - 1) {
			uint32_t entry = w * 64 + (uint32_t)__builtin_ctzll(rest);
			uint64_t start;

			memset(g->passing + plan->from, 0, (plan->to - plan->from) * sizeof *g->passing);
			g->passing[w] = rest & -rest;
			start = ticks();
			judge(g, e, plan, hits);
			g->cost.of[entry].ticks += ticks() - start;
			g->cost.of[entry].asked++;
		}
	}
}

void ruleset_gate_cost(const struct ruleset *rs, uint32_t entry, struct gate_cost *cost)
{
	const struct gate *g = rs->gate;
	double ns_per_tick;

	*cost = (struct gate_cost){ 0 };
	if (!g || entry >= g->entries || !g->cost.samples)
		return;
	ns_per_tick = (double)(sys_now_ns() - g->cost.since_ns) / (double)(ticks() - g->cost.since_ticks + 1);
	cost->ns = (double)g->cost.of[entry].ticks * ns_per_tick;
	cost->asked = g->cost.of[entry].asked;
	cost->samples = g->cost.samples;
}

bool gate_pass(struct ruleset *rules, const struct evt *e)
{
	struct gate *g;
	const struct plan *plan;
	enum gate_verdict verdict;

	if (!rules || !event_is_seen(e->h.code) || !ruleset_wants(rules, e->h.code, e->h.sc))
		return false;
	if (!(g = rules->gate))
		return true;
	g->hits[0] = 0;
	if (!(plan = g->types[e->h.code].plan))
		return true;	/* somebody wants them all */
	if (__builtin_expect(g->cost.left-- == 0, 0))
		sample(g, e, plan);
	memcpy(g->passing + plan->from, plan->entries + plan->from, (plan->to - plan->from) * sizeof *g->passing);
	verdict = judge(g, e, plan, g->hits);
	g->stats[e->h.code].verdicts[verdict]++;
	return verdict == GATE_PASSES;
}

int ruleset_gate_holds(struct ruleset *rs, const struct evt *e, int32_t program)
{
	struct gate *g = rs->gate;

	return g && program >= 0 && (uint32_t)program < g->nprograms ? holds(g, e, (uint32_t)program) : -EINVAL;
}

const int32_t *ruleset_gate_hits(const struct ruleset *rs)
{
	return rs->gate ? rs->gate->hits : NULL;
}

int ruleset_gate_verdict(struct ruleset *rs, const struct evt *e, uint32_t entry)
{
	struct gate *g = rs->gate;
	const struct plan *plan = g ? g->types[e->h.code].plan : NULL;

	if (!g || entry >= g->entries)
		return -EINVAL;
	if (!plan || !(plan->entries[entry / 64] >> entry % 64 & 1))
		return GATE_BY_TYPE;
	memset(g->passing + plan->from, 0, (plan->to - plan->from) * sizeof *g->passing);
	g->passing[entry / 64] = 1ull << entry % 64;
	return (int)judge(g, e, plan, (int32_t[2]){ 0 });
}
