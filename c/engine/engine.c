/* SPDX-License-Identifier: Apache-2.0 */
/* One source, one state, one event at a time. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "gate.h"
#include "load.h"
#include "parse.h"
#include "ruleset.h"
#include "scap.h"

enum { MAX_SCRATCH = 16 << 20 };

struct engine {
	struct evt evt;			/* the event at hand; its address is what Lua knows */
	struct state st;
	struct arena scratch;
	struct engine_limits limits;
	struct ruleset *rules;
	struct scap *capture;		/* NULL: no source */
	uint64_t delivered;
	struct err err;
	atomic_bool stop;
};

struct engine *engine_new(const struct engine_limits *limits, struct err *err)
{
	struct engine *eng = calloc(1, sizeof *eng);

	if (!eng || state_init(&eng->st, limits)) {
		free(eng);
		err_set(err, ENOMEM, "out of memory for the engine's tables");
		return NULL;
	}
	eng->limits = *limits;
	eng->scratch.limit = limits->max_scratch ? limits->max_scratch : MAX_SCRATCH;
	eng->evt.st = &eng->st;
	eng->evt.scratch = &eng->scratch;
	eng->evt.info = event_row(0);
	return eng;
}

void engine_free(struct engine *eng)
{
	if (!eng)
		return;
	scap_close(eng->capture);
	state_free(&eng->st);
	arena_free(&eng->scratch);
	free(eng);
}

int engine_open_replay(struct engine *eng, const char *path, struct err *err)
{
	struct scap_sink sink = load_sink(&eng->st);

	scap_close(eng->capture);
	eng->capture = scap_open(path, &eng->limits, &sink, err);
	return eng->capture ? 0 : -EINVAL;
}

void engine_use(struct engine *eng, struct ruleset *rules)
{
	if (rules)
		ruleset_forget(rules);
	eng->rules = eng->evt.rules = rules;
}

/* Makes the record the event at hand. */
static void decode(struct engine *eng, const struct scap_rec *rec)
{
	struct evt *e = &eng->evt;
	int64_t sc, native;

	e->h.code = rec->code;
	e->h.cpu = rec->cpu;
	e->h.ts = rec->ts;
	e->h.tid = rec->tid;
	e->h.nparams = rec->nparams;
	e->info = event_row(rec->code);
	_Static_assert(sizeof e->param[0] == sizeof rec->param[0], "parameters are copied as they are");
	memcpy(e->param, rec->param, rec->nparams * sizeof e->param[0]);
	e->h.sc = 0;
	if (event_is_generic(rec->code) && param_int(e, 0, &sc)) {
		/* a capture's driver may have been older than the system call: its own number still tells */
		if (sc == SC_UNKNOWN && param_int(e, 1, &native))
			sc = syscall_of_native((uint32_t)native);
		e->h.sc = (uint32_t)sc;
	}
	ruleset_next_event(eng->rules, e);
	eng->st.bad_params += rec->bad_params;
}

int engine_next(struct engine *eng)
{
	struct scap_rec rec;
	int rc;

	if (!eng->capture)
		return NEXT_END;
	while (!atomic_load_explicit(&eng->stop, memory_order_relaxed)) {
		rc = scap_next(eng->capture, &rec);
		if (rc == -EINTR)
			continue;	/* a signal while a pipe was quiet: look whether to stop */
		if (rc < 0)
			return err_set(&eng->err, -rc, "%s", scap_error(eng->capture));
		if (rc == 0)
			return NEXT_END;
		arena_reset(&eng->scratch);
		decode(eng, &rec);
		eng->delivered += !(rec.flags & SCAP_UNNUMBERED);
		eng->evt.h.num = eng->delivered;
		parse_event(&eng->evt);
		if (!(rec.flags & (SCAP_STATE_ONLY | SCAP_HEAD)) && gate_pass(eng->rules, &eng->evt))
			return NEXT_EVENT;
	}
	return NEXT_STOPPED;
}

const char *engine_error(const struct engine *eng)
{
	return eng->err.text;
}

struct evt *engine_evt(struct engine *eng)
{
	return &eng->evt;
}

struct evt_head *evt_head(struct evt *e)
{
	return &e->h;
}

void engine_stop(struct engine *eng)
{
	atomic_store(&eng->stop, true);
}

uint64_t engine_delivered(const struct engine *eng)
{
	return eng->delivered;
}

double engine_progress(const struct engine *eng)
{
	return eng->capture ? scap_progress(eng->capture) : -1;
}

const char *engine_stat(const struct engine *eng, uint32_t i, uint64_t *value)
{
	const struct state *st = &eng->st;
	const struct {
		const char *name;
		uint64_t value;
	} stats[] = {
		{ "events", eng->delivered },
		{ "events of unknown kinds skipped", eng->capture ? scap_skipped(eng->capture) : 0 },
		{ "threads", threads_count(st->threads) },
		{ "threads not kept (table full)", threads_overflow(st->threads) },
		{ "descriptors", fds_live(st->fds) },
		{ "descriptors not kept (table full)", fds_overflow(st->fds) },
		{ "strings not shared (table full)", intern_overflow(st->strings) },
		{ "users and groups not kept (table full)", users_overflow(st->users) },
		{ "values not composed (scratch full)", eng->scratch.refused },
		{ "parameters of wrong length", st->bad_params },
	};

	if (i >= sizeof stats / sizeof stats[0])
		return NULL;
	*value = stats[i].value;
	return stats[i].name;
}
