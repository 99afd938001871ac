/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the gate of a ruleset: programs, matchers, and per event code the plan of what to ask. */
#include <errno.h>
#include <stdlib.h>
#include "../array.h"
#include "gate_plan.h"
#include "ruleset.h"

enum {
	FEW_LEAVES = 4,		/* comparisons of one text that are faster made one by one */
	FEW_COHORTS = 4,		/* programs that are faster asked than found */
};

/* ------------------------------------------------------------------ life */

int ruleset_gate(struct ruleset *rs, uint32_t entries)
{
	struct gate *g;
	bool ok;

	gate_free(rs->gate);
	rs->gate = NULL;
	if (!entries)
		return 0;
	if (!(g = calloc(1, sizeof *g)))
		return -ENOMEM;
	g->entries = entries;
	g->words = (entries + 63) / 64;
	g->nleaves = rs->nleaves;
	g->passing = calloc(g->words, sizeof *g->passing);
	g->unknown = calloc(g->words, sizeof *g->unknown);
	g->yes = calloc(g->words, sizeof *g->yes);
	g->hits = calloc(entries + 1ull, sizeof *g->hits);
	g->matcher_of = calloc(g->nleaves + 1ull, sizeof *g->matcher_of);
	g->cost.of = calloc(entries, sizeof *g->cost.of);
	ok = g->passing && g->unknown && g->yes && g->hits && g->matcher_of && g->cost.of;
	for (int part = 0; part < KEPT_PARTS; part++) {
		g->kept[part] = malloc(entries * sizeof *g->kept[part]);
		for (uint32_t i = 0; g->kept[part] && i < entries; i++)
			g->kept[part][i] = -1;
		ok = ok && g->kept[part];
	}
	if (!ok) {
		gate_free(g);
		return -ENOMEM;
	}
	rs->gate = g;
	return 0;
}

static void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (int part = 0; part < PARTS; part++) {
		struct sieve *s = &plan->parts[part];

		free(s->asks);
		free(s->cohorts);
		free(s->bits);
		free(s->triggers);
		free(s->matchers);
	}
	free(plan->entries);
	free(plan->before);
	free(plan->wholes);
	free(plan);
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	for (uint32_t code = 0; code < EV_COUNT; code++)
		free(g->types[code].asks);
	for (uint32_t i = 0; i < g->nplans; i++)
		plan_free(g->plans[i]);
	for (uint32_t i = 0; i < g->nmatchers; i++)
		matcher_free(g->matchers[i]);
	for (int part = 0; part < KEPT_PARTS; part++) {
		free(g->kept[part]);
		free(g->caches[part].memos);
	}
	map_free(&g->program_by_hash);
	free(g->programs);
	free(g->plans);
	free(g->matchers);
	free(g->matcher_of);
	free(g->passing);
	free(g->unknown);
	free(g->yes);
	free(g->hits);
	free(g->cost.of);
	free(g);
}

/* ------------------------------------------------------------------ matchers */

/* What belongs together is sorted together. */
struct use {
	int32_t expr;
	uint32_t leaf;
};

static int by_expr(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return x->expr != y->expr ? (x->expr > y->expr) - (x->expr < y->expr) : (x->leaf > y->leaf) - (x->leaf < y->leaf);
}

static bool add_matcher(struct ruleset *rs, const struct use *uses, uint32_t n)
{
	struct gate *g = rs->gate;
	struct matcher *m;

	if (!array_room(&g->matchers, g->nmatchers, &g->matchers_cap, sizeof *g->matchers) ||
	    !(m = matcher_new(rs, expr_at(rs, uses[0].expr))))
		return false;
	g->matchers[g->nmatchers++] = m;
	for (uint32_t i = 0; i < n; i++) {
		if (!matcher_add(m, uses[i].leaf))
			return false;
		g->matcher_of[uses[i].leaf] = m;
	}
	return true;
}

int ruleset_gate_leaves(struct ruleset *rs, const int32_t *leaves, uint32_t n)
{
	struct gate *g = rs->gate;
	struct use *uses = calloc(n + 1ull, sizeof *uses);
	uint32_t used = 0;
	int rc = 0;

	if (!g || !uses || g->nmatchers) {
		free(uses);
		return uses ? -EINVAL : -ENOMEM;
	}
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (leaves[i] < 0 || (uint32_t)leaves[i] >= g->nleaves)
			rc = -EINVAL;
		else if (leaf_findable(rs->leaves[leaves[i]]))
			uses[used++] = (struct use){ rs->leaves[leaves[i]]->expr->id, (uint32_t)leaves[i] };
	}
	qsort(uses, used, sizeof *uses, by_expr);
	for (uint32_t i = 0, end; i < used && rc == 0; i = end) {
		uint32_t distinct = 1;

		for (end = i + 1; end < used && uses[end].expr == uses[i].expr; end++)
			if (uses[end].leaf != uses[i + distinct - 1].leaf)
				uses[i + distinct++] = uses[end];
		if (distinct > FEW_LEAVES && !add_matcher(rs, &uses[i], distinct))
			rc = -ENOMEM;
	}
	free(uses);
	return rc;
}

uint32_t ruleset_gate_likely(const struct ruleset *rs, int32_t leaf)
{
	const struct gate *g = rs->gate;

	return g && leaf >= 0 && (uint32_t)leaf < g->nleaves && g->matcher_of[leaf] ? leaf_findable(rs->leaves[leaf]) : 0;
}

/* ------------------------------------------------------------------ programs */

static bool steps_are_sound(const struct gate *g, const struct gate_step *steps, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (steps[i].leaf < 0 || (uint32_t)steps[i].leaf >= g->nleaves)
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

static bool triggers_are_sound(const struct ruleset *rs, const int32_t *triggers, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!ruleset_gate_likely(rs, triggers[i]))
			return false;
	return true;
}

int ruleset_gate_program(struct ruleset *rs, const struct gate_step *steps, uint32_t n, const int32_t *triggers,
			 uint32_t ntriggers)
{
	struct gate *g = rs->gate;
	size_t bytes = n * sizeof *steps;
	void *kept, *kept_triggers;

	if (!g || !steps_are_sound(g, steps, n) || !triggers_are_sound(rs, triggers, ntriggers))
		return -EINVAL;

	uint64_t hash = hash_bytes(steps, bytes, rs->seed);
	uintptr_t same = (uintptr_t)map_get(&g->program_by_hash, hash);	/* its number + 1 */
	if (same && g->programs[same - 1].n == n && memcmp(g->programs[same - 1].steps, steps, bytes) == 0)
		return (int)same - 1;
	if (!array_room(&g->programs, g->nprograms, &g->programs_cap, sizeof *g->programs) ||
	    !(kept = ruleset_zero(rs, bytes)) || !(kept_triggers = ruleset_zero(rs, ntriggers * sizeof *triggers + 1)) ||
	    !map_put(&g->program_by_hash, hash, (void *)(uintptr_t)(g->nprograms + 1)))
		return -ENOMEM;
	memcpy(kept, steps, bytes);
	if (ntriggers)
		memcpy(kept_triggers, triggers, ntriggers * sizeof *triggers);
	g->programs[g->nprograms] = (struct program){ kept, kept_triggers, n, ntriggers, 0, 0 };
	return (int)g->nprograms++;
}

/* ------------------------------------------------------------------ what entries ask */

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
	g->kept[part][entry] = program;
	return 0;
}

static bool is_program(const struct gate *g, int32_t program)
{
	return program >= -1 && program < (int32_t)g->nprograms;
}

int ruleset_gate_type(struct ruleset *rs, uint32_t entry, uint32_t code, int32_t sc, int32_t event, int32_t whole)
{
	struct gate *g = rs->gate;
	struct type *type;
	uint32_t last;

	if (!g || entry >= g->entries || code >= EV_COUNT || !is_program(g, event) || !is_program(g, whole))
		return -EINVAL;
	type = &g->types[code];
	last = type->n ? type->asks[type->n - 1].entry : 0;
	if (type->plan || (type->n && entry < last))
		return -EINVAL;
	ruleset_want(rs, code, sc);
	if (type->n && entry == last)
		return 0;
	if (!array_room(&type->asks, type->n, &type->cap, sizeof *type->asks))
		return -ENOMEM;
	type->asks[type->n++] = (struct ask){ entry, event, whole };
	return 0;
}

/* ------------------------------------------------------------------ plans */

/* A program and one entry that has it. */
struct wish {
	uint32_t program, entry;
	uint8_t is_triggered;
};

static int by_program(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	if (x->is_triggered != y->is_triggered)
		return x->is_triggered - y->is_triggered;
	return x->program != y->program ? (x->program > y->program) - (x->program < y->program) :
					  (x->entry > y->entry) - (x->entry < y->entry);
}

static int by_leaf(const void *a, const void *b)
{
	const struct trigger *x = a, *y = b;

	return x->leaf != y->leaf ? (x->leaf > y->leaf) - (x->leaf < y->leaf) : (x->cohort > y->cohort) - (x->cohort < y->cohort);
}

static int32_t wish_of(const struct gate *g, const struct ask *ask, int part)
{
	return part == PART_EVENT ? ask->event : g->kept[part][ask->entry];
}

/* Cohorts of sorted wishes. */
static void fill_cohorts(struct sieve *s, const struct wish *wishes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct wish *w = &wishes[i];
		struct cohort *cohort = s->ncohorts ? &s->cohorts[s->ncohorts - 1] : NULL;

		if (!cohort || cohort->program != w->program) {
			cohort = &s->cohorts[s->ncohorts++];
			*cohort = (struct cohort){ w->program, s->nbits, 0 };
			s->nfree += !w->is_triggered;
		}
		if (!cohort->n || s->bits[s->nbits - 1].word != w->entry / 64) {
			s->bits[s->nbits++] = (struct bits){ w->entry / 64, 0 };
			cohort->n++;
		}
		s->bits[s->nbits - 1].bits |= 1ull << w->entry % 64;
		s->asks[w->entry / 64] |= 1ull << w->entry % 64;
	}
}

static bool has_matcher(const struct sieve *s, const struct matcher *m)
{
	for (uint32_t i = 0; i < s->nmatchers; i++)
		if (s->matchers[i] == m)
			return true;
	return false;
}

static bool fill_triggers(const struct gate *g, struct sieve *s)
{
	uint32_t n = 0;

	for (uint32_t i = s->nfree; i < s->ncohorts; i++)
		n += g->programs[s->cohorts[i].program].ntriggers;
	s->triggers = calloc(n + 1ull, sizeof *s->triggers);
	s->matchers = calloc(g->nmatchers + 1ull, sizeof(struct matcher *));
	if (!s->triggers || !s->matchers)
		return false;
	for (uint32_t i = s->nfree; i < s->ncohorts; i++) {
		const struct program *p = &g->programs[s->cohorts[i].program];

		for (uint32_t k = 0; k < p->ntriggers; k++) {
			struct matcher *m = g->matcher_of[p->triggers[k]];

			s->triggers[s->ntriggers++] = (struct trigger){ (uint32_t)p->triggers[k], i };
			if (!has_matcher(s, m))
				s->matchers[s->nmatchers++] = m;
		}
	}
	qsort(s->triggers, s->ntriggers, sizeof *s->triggers, by_leaf);
	return true;
}

static bool sieve_fill(const struct gate *g, struct sieve *s, const struct type *type, int part)
{
	struct wish *wishes = calloc(type->n, sizeof *wishes);
	uint32_t n = 0, triggered = 0;

	s->asks = calloc(g->words, sizeof *s->asks);
	s->cohorts = calloc(type->n, sizeof *s->cohorts);
	s->bits = calloc(type->n, sizeof *s->bits);
	if (!wishes || !s->asks || !s->cohorts || !s->bits) {
		free(wishes);
		return false;
	}
	for (uint32_t i = 0; i < type->n; i++) {
		int32_t program = wish_of(g, &type->asks[i], part);

		if (program < 0)
			continue;
		wishes[n] = (struct wish){ (uint32_t)program, type->asks[i].entry, g->programs[program].ntriggers > 0 };
		triggered += wishes[n++].is_triggered;
	}
	for (uint32_t i = 0; i < n && triggered < FEW_COHORTS; i++)
		wishes[i].is_triggered = 0;
	qsort(wishes, n, sizeof *wishes, by_program);
	fill_cohorts(s, wishes, n);
	free(wishes);
	return fill_triggers(g, s);
}

static bool plan_fill(const struct gate *g, struct plan *plan, const struct type *type)
{
	plan->entries = calloc(g->words, sizeof *plan->entries);
	plan->before = calloc(g->words, sizeof *plan->before);
	plan->wholes = calloc(type->n, sizeof *plan->wholes);
	if (!plan->entries || !plan->before || !plan->wholes)
		return false;
	plan->from = type->asks[0].entry / 64;
	plan->to = type->asks[type->n - 1].entry / 64 + 1;
	for (uint32_t i = 0; i < type->n; i++) {
		uint32_t entry = type->asks[i].entry;

		if (!plan->entries[entry / 64])
			plan->before[entry / 64] = i;
		plan->entries[entry / 64] |= 1ull << entry % 64;
		plan->wholes[i] = type->asks[i].whole;
	}
	for (int part = 0; part < PARTS; part++)
		if (!sieve_fill(g, &plan->parts[part], type, part))
			return false;
	return true;
}

static const struct plan *plan_add(struct gate *g, const struct type *type)
{
	struct plan *plan;

	if (!array_room(&g->plans, g->nplans, &g->plans_cap, sizeof *g->plans) || !(plan = calloc(1, sizeof *plan)))
		return NULL;
	g->plans[g->nplans++] = plan;
	return plan_fill(g, plan, type) ? plan : NULL;
}

static bool asks_alike(const struct type *a, const struct type *b)
{
	return a->n == b->n && memcmp(a->asks, b->asks, a->n * sizeof *a->asks) == 0;
}

int ruleset_gate_ready(struct ruleset *rs)
{
	struct gate *g = rs->gate;
	struct map by_hash = { 0 };	/* of what is asked -> a type */
	int rc = 0;

	if (!g)
		return -EINVAL;
	for (uint32_t code = 0; code < EV_COUNT && rc == 0; code++) {
		struct type *type = &g->types[code];
		uint64_t hash = hash_bytes(type->asks, type->n * sizeof *type->asks, rs->seed);
		const struct type *same = map_get(&by_hash, hash);

		if (!type->n || type->plan)
			continue;
		type->plan = same && asks_alike(same, type) ? same->plan : plan_add(g, type);
		if (!type->plan || !map_put(&by_hash, hash, type))
			rc = -ENOMEM;
	}
	map_free(&by_hash);
	return rc;
}
