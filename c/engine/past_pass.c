/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One condition asked about all events of a capture.
 *
 * The first pass reads, and asks about each event as it comes by. Later ones walk the columns: a table says what events of a
 * type are to be asked; answers that depend on the thread alone, or on the descriptor alone, are found once for each view
 * and record and then looked up by number; only what passes all that is put together (past_show()) and asked the rest.
 * Events, or conditions, that memory cannot answer exactly are asked of an engine that replays the capture.
 */
#include <errno.h>
#include <stdlib.h>
#include "past.h"
#include "past_tally.h"
#include "ruleset.h"

enum { UNKNOWN, NO, YES };			/* memos */
enum { LATE = 2 };				/* answer: ask a replay */

struct memo {
	uint8_t *answers;
	uint32_t n;
};

struct pairs {				/* answers by view and record */
	uint64_t *slots;		/* view, record, and in the lowest bit the answer; 0: free */
	uint32_t n, cap;
};

struct set {
	uint32_t *words;
	uint32_t n;
};

struct past_pass {
	struct past *p;
	struct past_query q;
	uint32_t needs, wants;			/* FIELD_*, NEEDS_*; SHOW_* */
	enum past_way way, now;
	bool finish_first;			/* the rest of the capture is to be read before anything is asked */
	uint32_t i;				/* in memory: next event */
	struct engine *eng;			/* replays; NULL: not begun */
	uint32_t file;
	bool only_late;				/* the replay is for those */
	struct memo (*memos)[2];		/* by variant: PAST_PROCESS by view, PAST_DESCRIPTOR by record */
	struct pairs *pairs;			/* by variant */
	struct set found, late;
	void **rows;				/* of the tally, by view or record; NULL: not kept */
	enum past_part rows_by;			/* PAST_WHOLE: by nothing */
	struct evt *at_hand;
	uint64_t looked, matched, nlate;
};

/* ------------------------------------------------------------------ sets */

static bool set_has(const uint32_t *words, uint32_t n, uint64_t num)
{
	return num / 32 < n && words[num / 32] >> num % 32 & 1;
}

static bool set_add(struct set *s, uint64_t num)
{
	uint32_t w = (uint32_t)(num / 32), n = s->n ? s->n : 1024;

	if (w >= s->n) {
		uint32_t *words;

		while (n <= w)
			n *= 2;
		if (!(words = realloc(s->words, n * sizeof *words)))
			return false;
		memset(words + s->n, 0, (n - s->n) * sizeof *words);
		*s = (struct set){ words, n };
	}
	s->words[w] |= 1u << num % 32;
	return true;
}

/* ------------------------------------------------------------------ asking */

static bool ask(const struct past_variant *v, enum past_part part, const struct evt *e)
{
	const struct gate_step *steps = v->steps[part];
	int32_t at = 0;

	if (!v->n[part])
		return true;
	do
		at = steps[at].next[leaf(e, steps[at].leaf)];
	while (at >= 0);
	return at == GATE_YES;
}

static uint8_t *memo_at(struct memo *m, uint32_t i, uint32_t n)
{
	if (i >= m->n) {
		uint8_t *p = realloc(m->answers, n);

		if (!p)
			return NULL;
		memset(p + m->n, UNKNOWN, n - m->n);
		*m = (struct memo){ p, n };
	}
	return &m->answers[i];
}

static bool shown_and_asked(struct past_pass *pass, const struct past_variant *v, enum past_part part, uint32_t i)
{
	past_show(pass->p, i, pass->wants);
	return ask(v, part, &pass->p->evt);
}

/* The part that depends on what `key` numbers alone. */
static bool ask_memo(struct past_pass *pass, uint32_t variant, enum past_part part, uint32_t i, uint32_t key, uint32_t n)
{
	const struct past_variant *v = &pass->q.variants[variant];
	uint8_t *answer = memo_at(&pass->memos[variant][part], key, n);

	if (!answer)
		return shown_and_asked(pass, v, part, i);
	if (*answer == UNKNOWN) {
		uint64_t refused = pass->p->scratch.refused;
		bool yes = shown_and_asked(pass, v, part, i);

		/* values that found no room to be composed in count as missing, this time */
		if (pass->p->scratch.refused != refused)
			return yes;
		*answer = yes ? YES : NO;
	}
	return *answer == YES;
}

enum { MOST_PAIRS = 1 << 22, PAIR_BITS = 31 };

static uint64_t *pair_slot(const struct pairs *s, uint64_t key)
{
	uint32_t i = (uint32_t)hash_u64(key) & (s->cap - 1);

	while (s->slots[i] && s->slots[i] >> 1 != key)
		i = (i + 1) & (s->cap - 1);
	return &s->slots[i];
}

/* Makes room for one more. false: there is none, or there are enough. */
static bool pairs_room(struct pairs *s)
{
	struct pairs bigger = { .n = s->n, .cap = s->cap ? s->cap * 2 : 4096 };

	if (s->n < s->cap / 2)
		return true;
	if (bigger.cap > MOST_PAIRS || !(bigger.slots = calloc(bigger.cap, sizeof *bigger.slots)))
		return false;
	for (uint32_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			*pair_slot(&bigger, s->slots[i] >> 1) = s->slots[i];
	free(s->slots);
	*s = bigger;
	return true;
}

/* The part that depends on both. */
static bool ask_pair(struct past_pass *pass, uint32_t variant, uint32_t i, uint32_t view, uint32_t fd)
{
	const struct past_variant *v = &pass->q.variants[variant];
	struct pairs *s = &pass->pairs[variant];
	uint64_t key = (uint64_t)view << PAIR_BITS | fd, refused, *slot;
	bool yes;

	if (view >> PAIR_BITS || fd >> PAIR_BITS || !pairs_room(s))
		return shown_and_asked(pass, v, PAST_BOTH, i);
	slot = pair_slot(s, key);
	if (*slot)
		return *slot & 1;
	refused = pass->p->scratch.refused;
	yes = shown_and_asked(pass, v, PAST_BOTH, i);
	if (pass->p->scratch.refused == refused) {
		*slot = key << 1 | yes;
		s->n++;
	}
	return yes;
}

static int judge_whole(struct past_pass *pass, uint32_t variant, uint32_t i)
{
	if (pass->needs & FIELD_BY_NUMBER && pass->p->flags[i] & PAST_PARTIAL)
		return LATE;
	return shown_and_asked(pass, &pass->q.variants[variant], PAST_WHOLE, i);
}

/* 1, 0 or LATE: does the remembered event fulfil the variant? */
static inline int judge(struct past_pass *pass, uint32_t variant, uint32_t i)
{
	const struct past *p = pass->p;
	const struct past_variant *v = &pass->q.variants[variant];
	uint32_t view = p->view[i], fd = p->fd[i];

	if (!v->n[PAST_WHOLE])
		return 1;
	if (p->flags[i] & PAST_ODD || (pass->needs & NEEDS_LINEAGE && p->views[view].partial))
		return LATE;
	if (v->n[PAST_PROCESS] && !ask_memo(pass, variant, PAST_PROCESS, i, view, p->nviews))
		return 0;
	if (v->n[PAST_DESCRIPTOR] || v->n[PAST_BOTH]) {
		if (fd == PAST_NO_RECORD || !view)
			return judge_whole(pass, variant, i);
		if (v->n[PAST_DESCRIPTOR] && !ask_memo(pass, variant, PAST_DESCRIPTOR, i, fd, p->nrecs))
			return 0;
		if (v->n[PAST_BOTH] && !ask_pair(pass, variant, i, view, fd))
			return 0;
	}
	return v->exact ? 1 : judge_whole(pass, variant, i);
}

/* What only a replay knows of it, if anything is asked of the event itself. */
static inline bool is_late(const struct past_pass *pass, uint32_t i)
{
	const struct past *p = pass->p;

	return p->flags[i] & PAST_ODD || (pass->needs & FIELD_BY_NUMBER && p->flags[i] & PAST_PARTIAL) ||
	       (pass->needs & NEEDS_LINEAGE && p->views[p->view[i]].partial);
}

static void *row_read(struct past_pass *pass, const struct evt *e)
{
	const struct output *o = &pass->q.rules->outputs[pass->q.output];

	return past_tally_read(pass->q.tally, e, o->exprs, o->n);
}

/* Of a remembered event: values that depend on its thread alone, or on its descriptor alone, are read once for each. */
static void tally_memory(struct past_pass *pass, uint32_t i)
{
	struct past *p = pass->p;
	uint32_t key = pass->rows_by == PAST_PROCESS ? p->view[i] : p->fd[i];
	bool has_key = pass->rows && (pass->rows_by == PAST_PROCESS || (key != PAST_NO_RECORD && p->view[i]));
	void *row = has_key ? pass->rows[key] : NULL;

	if (!row) {
		past_show(p, i, pass->wants);
		row = row_read(pass, &p->evt);
		if (has_key)
			pass->rows[key] = row;
	}
	past_tally_add(pass->q.tally, row);
}

static bool note(struct past_pass *pass, uint64_t num)
{
	pass->matched++;
	return pass->q.visit || pass->q.tally || set_add(&pass->found, num);
}

static bool note_live(struct past_pass *pass, struct engine *eng)
{
	pass->at_hand = engine_evt(eng);
	if (pass->q.tally)
		past_tally_add(pass->q.tally, row_read(pass, pass->at_hand));
	return note(pass, pass->at_hand->h.num);
}

static int no_memory_left(struct err *err)
{
	return err_set(err, ENOMEM, "out of memory for what was found");
}

/* Of the event at hand in an engine. 1: it is one of those wanted, and holds. */
static int judge_live(struct past_pass *pass, struct engine *eng)
{
	const struct evt *e = engine_evt(eng);
	uint8_t variant;

	if (engine_rec(eng)->flags & SCAP_UNNUMBERED || !engine_shows(eng))
		return 0;
	pass->looked += !pass->only_late;
	variant = pass->q.types[past_type(e->h.code, e->h.sc)];
	if (!variant || (pass->q.only && !set_has(pass->q.only, pass->q.only_words, e->h.num)))
		return 0;
	if (pass->only_late && !set_has(pass->late.words, pass->late.n, e->h.num))
		return 0;
	return ask(&pass->q.variants[variant - 1], PAST_WHOLE, e);
}

/* ------------------------------------------------------------------ three ways through the events */

static int go_memory(struct past_pass *pass, uint32_t budget, struct err *err)
{
	struct past *p = pass->p;
	uint32_t end = budget < p->n - pass->i ? pass->i + budget : p->n;

	for (uint32_t i = pass->i; i < end; i++) {
		uint16_t type = p->type[i];
		uint8_t variant;
		int answer;

		if (type == PAST_UNSEEN)
			continue;
		pass->looked++;
		if (!(variant = pass->q.types[type]))
			continue;
		if (pass->q.only && !set_has(pass->q.only, pass->q.only_words, (uint64_t)i + 1))
			continue;
		answer = judge(pass, variant - 1u, i);
		if (answer == 1 && pass->q.tally) {
			if (is_late(pass, i))
				answer = LATE;
			else
				tally_memory(pass, i);
		}
		if (answer == LATE) {
			pass->nlate++;
			if (!set_add(&pass->late, (uint64_t)i + 1))
				return no_memory_left(err);
		} else if (answer) {
			if (!note(pass, (uint64_t)i + 1))
				return no_memory_left(err);
			if (pass->q.visit) {
				past_show(p, i, pass->wants);
				pass->at_hand = &p->evt;
				pass->i = i + 1;
				return NEXT_EVENT;
			}
		}
	}
	pass->i = end;
	return end < p->n ? NEXT_IDLE : NEXT_END;
}

static int go_first(struct past_pass *pass, uint32_t budget, struct err *err)
{
	struct past *p = pass->p;

	while (budget--) {
		int rc = past_read(p);

		if (rc < 0)
			*err = p->err;
		if (rc != NEXT_EVENT)
			return rc;
		if (pass->finish_first || !judge_live(pass, p->eng))
			continue;
		if (!note_live(pass, p->eng))
			return no_memory_left(err);
		if (pass->q.visit)
			return NEXT_EVENT;
	}
	return NEXT_IDLE;
}

static int replay_begin(struct past_pass *pass, struct err *err)
{
	if (pass->eng)
		return 0;
	if (!(pass->eng = engine_new(&pass->p->limits, err)))
		return -ENOMEM;
	engine_use(pass->eng, pass->q.rules);
	if (pass->q.rules)
		ruleset_restart(pass->q.rules);
	return 0;
}

/* The next event, of the next file if need be. */
static int replay_step(struct past_pass *pass, struct err *err)
{
	for (;;) {
		int rc = pass->file ? engine_step(pass->eng) : NEXT_END;

		if (rc < 0)
			err_set(err, -rc, "%s", engine_error(pass->eng));
		if (rc != NEXT_END)
			return rc;
		if (pass->file == pass->p->npaths)
			return NEXT_END;
		if ((rc = past_open_again(pass->p, pass->eng, pass->file++, err)) < 0)
			return rc;
	}
}

static int go_replay(struct past_pass *pass, uint32_t budget, struct err *err)
{
	int rc = replay_begin(pass, err);

	while (rc >= 0 && budget--) {
		if ((rc = replay_step(pass, err)) != NEXT_EVENT)
			return rc;
		if (!judge_live(pass, pass->eng))
			continue;
		if (!note_live(pass, pass->eng))
			return no_memory_left(err);
		if (pass->q.visit)
			return NEXT_EVENT;
	}
	return rc < 0 ? rc : NEXT_IDLE;
}

/* What comes after a way that reached its end. false: nothing. */
static bool go_on(struct past_pass *pass)
{
	struct past *p = pass->p;

	if (pass->now == PAST_MEMORY && !p->complete && !p->failed) {
		engine_use(p->eng, pass->q.rules);
		pass->now = PAST_FIRST;
		return true;
	}
	if ((pass->now == PAST_FIRST && pass->finish_first) || (pass->now != PAST_REPLAY && pass->nlate)) {
		pass->only_late = !pass->finish_first;
		pass->now = pass->way = PAST_REPLAY;
		return true;
	}
	return false;
}

int past_pass_go(struct past_pass *pass, uint32_t budget, struct err *err)
{
	int rc = pass->now == PAST_MEMORY ? go_memory(pass, budget, err)
	       : pass->now == PAST_FIRST ? go_first(pass, budget, err) : go_replay(pass, budget, err);

	if (rc == NEXT_END && go_on(pass))
		return NEXT_IDLE;
	if (rc == NEXT_END && pass->now == PAST_MEMORY && pass->p->failed) {
		*err = pass->p->err;
		return pass->p->failed;
	}
	return rc;
}

/* ------------------------------------------------------------------ beginning */

static uint32_t query_needs(const struct past_query *q)
{
	uint32_t needs = 0;

	for (uint32_t i = 0; i < q->nvariants; i++)
		for (uint32_t k = 0; k < q->variants[i].n[PAST_WHOLE]; k++)
			needs |= leaf_needs(q->rules, (uint32_t)q->variants[i].steps[PAST_WHOLE][k].leaf);
	for (uint32_t i = 0; i < q->nleaves; i++)
		needs |= leaf_needs(q->rules, (uint32_t)q->leaves[i]);
	return q->output >= 0 ? needs | output_needs(q->rules, (uint32_t)q->output) : needs;
}

/* Events that are visited come in order, and so must those that something is remembered of: none may have to wait. */
static bool has_late(const struct past_pass *pass)
{
	const struct past *p = pass->p;

	for (uint32_t i = 0; i < p->n; i++) {
		if (p->type[i] == PAST_UNSEEN || !pass->q.types[p->type[i]] ||
		    (pass->q.only && !set_has(pass->q.only, pass->q.only_words, (uint64_t)i + 1)))
			continue;
		if (is_late(pass, i))
			return true;
	}
	return false;
}

static bool memory_answers(const struct past_pass *pass)
{
	const struct past *p = pass->p;

	if (!p->kept || pass->q.tables || pass->needs & FIELD_REPLAY)
		return false;
	if (pass->needs & FIELD_TABLES && p->tables_changed)
		return false;
	return !(pass->q.visit || pass->q.remembers || pass->needs & NEEDS_ORDER) || !has_late(pass);
}

static enum past_way first_way(struct past_pass *pass)
{
	const struct past *p = pass->p;

	if (!p->begun && !p->failed)
		return PAST_FIRST;
	if (memory_answers(pass))
		return PAST_MEMORY;
	pass->finish_first = p->kept && !p->complete && !p->failed;
	return pass->finish_first ? PAST_FIRST : PAST_REPLAY;
}

static bool is_about(const struct past_pass *pass, uint32_t scope, uint32_t other)
{
	const struct output *o = &pass->q.rules->outputs[pass->q.output];

	for (uint32_t i = 0; i < o->n; i++)
		if (o->exprs[i]->info.scope != scope && o->exprs[i]->info.scope != other)
			return false;
	return true;
}

/* Room for rows by view or record, if that is what the values depend on; without memory it goes slower. */
static void rows_begin(struct past_pass *pass)
{
	pass->rows_by = is_about(pass, SCOPE_SELF, SCOPE_LINEAGE) ? PAST_PROCESS : is_about(pass, SCOPE_FD, SCOPE_FD) ? PAST_DESCRIPTOR
											      : PAST_WHOLE;
	if (pass->rows_by != PAST_WHOLE)
		pass->rows = calloc(pass->rows_by == PAST_PROCESS ? pass->p->nviews : pass->p->nrecs, sizeof *pass->rows);
}

struct past_pass *past_pass_new(struct past *p, const struct past_query *query, struct err *err)
{
	struct past_pass *pass = calloc(1, sizeof *pass);

	uint32_t n = query->nvariants ? query->nvariants : 1;

	if (!pass || !(pass->memos = calloc(n, sizeof *pass->memos)) || !(pass->pairs = calloc(n, sizeof *pass->pairs))) {
		free(pass ? pass->memos : NULL);
		free(pass);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	past_settle(p);
	pass->p = p;
	pass->q = *query;
	pass->needs = query_needs(query);
	pass->wants = (pass->needs & NEEDS_LINEAGE ? SHOW_LINEAGE : 0) | (pass->needs & FIELD_BY_NUMBER ? SHOW_FDS : 0) |
		      (pass->needs & FIELD_STD ? SHOW_STD : 0);
	pass->way = pass->now = first_way(pass);
	if (pass->now == PAST_MEMORY)
		past_show_to(p, query->rules);
	if (pass->now == PAST_MEMORY && query->tally)
		rows_begin(pass);
	engine_use(p->eng, query->rules);
	if (query->rules)
		ruleset_restart(query->rules);
	return pass;
}

void past_pass_free(struct past_pass *pass)
{
	if (!pass)
		return;
	for (uint32_t i = 0; i < pass->q.nvariants; i++) {
		free(pass->memos[i][PAST_PROCESS].answers);
		free(pass->memos[i][PAST_DESCRIPTOR].answers);
		free(pass->pairs[i].slots);
	}
	free(pass->memos);
	free(pass->pairs);
	free(pass->rows);
	free(pass->found.words);
	free(pass->late.words);
	if (pass->eng)
		engine_use(pass->eng, NULL);
	engine_free(pass->eng);
	engine_use(pass->p->eng, NULL);
	pass->p->evt.rules = NULL;
	free(pass);
}

/* ------------------------------------------------------------------ results */

struct evt *past_pass_evt(struct past_pass *pass)
{
	return pass->at_hand;
}

struct engine *past_pass_engine(struct past_pass *pass)
{
	return pass->now == PAST_REPLAY ? pass->eng : pass->p->eng;
}

static double progress(const struct past_pass *pass)
{
	const struct past *p = pass->p;
	double inside;

	if (pass->now == PAST_MEMORY)
		return p->n ? (double)pass->i / p->n : 1;
	uint32_t file = pass->now == PAST_FIRST ? p->file : pass->file;
	inside = file ? engine_progress(pass->now == PAST_FIRST ? p->eng : pass->eng) : 0;
	return file ? (file - 1 + (inside > 0 ? inside : 0)) / p->npaths : 0;
}

void past_pass_count(const struct past_pass *pass, struct past_count *count)
{
	*count = (struct past_count){ .looked = pass->looked, .found = pass->matched, .late = pass->nlate, .way = pass->way,
				      .progress = progress(pass) };
}

const uint32_t *past_pass_found(const struct past_pass *pass, uint32_t *words)
{
	*words = pass->found.n;
	return pass->found.words;
}

bool past_times(const struct past *p, const uint32_t *set, uint32_t words, uint64_t *counts, uint32_t parts)
{
	uint64_t span = p->last_ts > p->first_seen_ts ? p->last_ts - p->first_seen_ts : 0, width = span / parts + 1;

	if (!p->kept)
		return false;
	for (uint32_t w = 0; w < words; w++) {
		for (uint32_t rest = set[w]; rest; rest &= rest - 1) {
			uint64_t i = (uint64_t)w * 32 + (uint32_t)__builtin_ctz(rest) - 1, ts;

			if (i >= p->n)
				continue;
			ts = past_ts(p, (uint32_t)i);
			counts[ts < p->first_seen_ts ? 0 : (ts - p->first_seen_ts) / width]++;
		}
	}
	return true;
}
