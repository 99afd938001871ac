/* SPDX-License-Identifier: Apache-2.0 */
/* One source, one state, one event at a time. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"
#include "gate.h"
#include "live.h"
#include "load.h"
#include "parse.h"
#include "record.h"
#include "retell.h"
#include "ruleset.h"
#include "runtime.h"
#include "scap.h"
#include "tale.h"

struct engine {
	struct evt evt;			/* the event at hand; its address is what Lua knows */
	struct state st;
	struct arena scratch;
	struct engine_limits limits;
	struct ruleset *rules;
	struct scap *capture;		/* the source; NULL: */
	struct live *live;		/* or this one; NULL: none */
	uint32_t since_idle;		/* events that engine_next() kept to itself since it returned */
	struct scap_rec rec;		/* the event at hand, as the source gave it */
	struct runtime *runtime;	/* of a live source; NULL: containers have what captures say */
	struct recorder *recorder;	/* NULL: nothing is written */
	char *record_path;		/* wanted of the next source; NULL: nothing */
	uint32_t record_flags;
	struct window {
		struct recorder *recorder;	/* NULL: not open */
		uint32_t state;			/* WINDOW_* */
		uint64_t until, max_bytes, bytes;
		struct err err;
	} window;
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
	if (limits)
		eng->limits = *limits;
	eng->scratch.limit = eng->limits.max_scratch ? eng->limits.max_scratch : ENGINE_MAX_SCRATCH;
	eng->evt.st = &eng->st;
	eng->evt.scratch = &eng->scratch;
	eng->evt.info = event_row(0);
	return eng;
}

void engine_free(struct engine *eng)
{
	if (!eng)
		return;
	engine_window_close(eng);
	recorder_close(eng->recorder, &eng->err);
	free(eng->record_path);
	scap_close(eng->capture);
	live_close(eng->live);
	runtime_free(eng->runtime, &eng->st);
	state_free(&eng->st);
	arena_free(&eng->scratch);
	free(eng);
}

/* Ends what was open; the sink is where the next source's lists go. 0 or -ENOMEM. */
static int start(struct engine *eng, struct scap_sink *sink, struct err *err)
{
	engine_window_close(eng);
	scap_close(eng->capture);
	eng->capture = NULL;
	live_close(eng->live);
	eng->live = NULL;
	runtime_free(eng->runtime, &eng->st);
	eng->runtime = NULL;
	containers_watch(eng->st.containers, false);
	recorder_close(eng->recorder, &eng->err);
	eng->recorder = NULL;
	*sink = load_sink(&eng->st);
	if (!eng->record_path)
		return 0;
	if (!(eng->recorder = recorder_new(eng->record_flags, &eng->st)))
		return err_set(err, ENOMEM, "out of memory");
	*sink = recorder_sink(eng->recorder, *sink);
	return 0;
}

/* Who is looked up late goes to the state, and is told in what is being written. */
static int met_proc(void *ctx, const struct scap_proc *p)
{
	struct engine *eng = ctx;
	struct scap_sink state = load_sink(&eng->st);

	if (eng->recorder)
		recorder_met_proc(eng->recorder, p, eng->rec.ts);
	if (eng->window.recorder)
		recorder_met_proc(eng->window.recorder, p, eng->rec.ts);
	return state.proc(state.ctx, p);
}

/* Not by way of the lists' loader: what is seen here is what a reader of the recording sees. */
static int met_fd(void *ctx, int64_t tid, int64_t fd, const struct fd_draft *found)
{
	struct engine *eng = ctx;
	struct thread *t = thread_find(eng->st.threads, tid);
	struct fd_draft d = *found;
	char name[RETELL_NAME];

	if (!t)
		return 0;
	retell_learnt(&d, host_root(&eng->st.host), name);
	if (eng->recorder)
		recorder_met_fd(eng->recorder, tid, fd, &d, eng->rec.ts);
	if (eng->window.recorder)
		recorder_met_fd(eng->window.recorder, tid, fd, &d, eng->rec.ts);
	fd_publish(eng->st.fds, &t->fds, fd, &d);
	return 0;
}

int engine_open_live(struct engine *eng, const struct live_options *options, struct err *err)
{
	struct scap_sink sink, late = { .ctx = eng, .proc = met_proc, .fd = met_fd };
	int rc = start(eng, &sink, err);

	if (rc < 0)
		return rc;
	if (!(eng->runtime = runtime_new(&eng->st.host, options->containers, err)))
		return -ENOMEM;
	containers_watch(eng->st.containers, true);
	if (!(eng->live = live_open(options, &eng->st, &sink, &late, err)))
		return -EINVAL;
	return eng->recorder ? recorder_open(eng->recorder, eng->record_path, -1, err) : 0;
}

bool engine_losses(const struct engine *eng, struct live_losses *losses)
{
	struct source_losses l = { 0 };

	if (eng->live)
		live_losses(eng->live, &l);
	*losses = (struct live_losses){
		.events = l.events, .lost = l.lost, .full = l.full, .forks = l.forks, .execs = l.execs, .exits = l.exits,
		.opens = l.opens, .closes = l.closes, .connects = l.connects, .files = l.files, .others = l.others,
		.too_big = l.too_big, .busy = l.busy,
	};
	return eng->live;
}

int engine_live_want(struct engine *eng, const struct syscall_set *set, struct err *err)
{
	return eng->live ? live_want(eng->live, set, err) : 0;
}

int engine_open_memory(struct engine *eng, const void *data, size_t len, struct err *err)
{
	struct scap_sink sink;
	int rc = start(eng, &sink, err);

	if (rc < 0)
		return rc;
	eng->capture = scap_open_memory(data, len, &eng->limits, &sink, err);
	return eng->capture ? 0 : -EINVAL;
}

int engine_open_replay(struct engine *eng, const char *path, struct err *err)
{
	return engine_open_copied(eng, path, NULL, err);
}

int engine_open_copied(struct engine *eng, const char *path, struct stream_copy *copy, struct err *err)
{
	struct scap_sink sink;
	int rc = start(eng, &sink, err);

	if (rc < 0)
		return rc;
	if (!(eng->capture = scap_open_copied(path, &eng->limits, &sink, copy, err)))
		return -EINVAL;
	return eng->recorder ? recorder_open(eng->recorder, eng->record_path, scap_fd(eng->capture), err) : 0;
}

int engine_open_tale(struct engine *eng, struct tale *tale, struct err *err)
{
	struct scap_sink sink;
	int rc = start(eng, &sink, err);
	size_t len;
	const uint8_t *bytes = rc < 0 ? NULL : tale_bytes(tale, &len, err);

	if (!bytes)
		return rc < 0 ? rc : -EINVAL;
	if (!(eng->capture = scap_open_memory(bytes, len, &eng->limits, &sink, err)))
		return -EINVAL;
	return eng->recorder ? recorder_open(eng->recorder, eng->record_path, -1, err) : 0;
}

/* ------------------------------------------------------------------ writing what is read */

void engine_record(struct engine *eng, const char *path, uint32_t flags)
{
	free(eng->record_path);
	eng->record_path = strdup(path);
	REQUIRE(eng->record_path);
	eng->record_flags = flags;
}

void engine_choose(struct engine *eng)
{
	if (eng->recorder)
		recorder_choose(eng->recorder);
}

void engine_recorded(const struct engine *eng, uint64_t *chosen, uint64_t *state_only)
{
	*chosen = *state_only = 0;
	if (eng->recorder)
		recorder_counts(eng->recorder, chosen, state_only);
}

int engine_record_end(struct engine *eng, struct err *err)
{
	int rc = recorder_close(eng->recorder, err);

	eng->recorder = NULL;
	return rc;
}

__attribute__((cold))
static int record_failed(struct engine *eng, int rc)
{
	return err_set(&eng->err, -rc, "%s", recorder_error(eng->recorder));
}

/* ------------------------------------------------------------------ windows */

int engine_window_open(struct engine *eng, const char *path, uint64_t max_bytes, struct err *err)
{
	struct window *w = &eng->window;
	int rc;

	engine_window_close(eng);
	if (!(w->recorder = recorder_new(RECORD_ALL, &eng->st)))
		return err_set(err, ENOMEM, "out of memory");
	if ((rc = recorder_open(w->recorder, path, eng->capture ? scap_fd(eng->capture) : -1, err)) < 0) {
		recorder_close(w->recorder, &w->err);
		w->recorder = NULL;
		w->state = WINDOW_FAILED;
		return rc;
	}
	w->state = WINDOW_OPEN;
	w->max_bytes = max_bytes;
	w->until = 0;
	recorder_before(w->recorder);
	recorder_after(w->recorder, &eng->evt, &eng->rec);
	recorder_choose(w->recorder);
	return 0;
}

void engine_window_until(struct engine *eng, uint64_t until)
{
	if (until > eng->window.until)
		eng->window.until = until;
}

static void window_end(struct window *w, uint32_t state)
{
	w->bytes = recorder_bytes(w->recorder);
	w->state = recorder_close(w->recorder, &w->err) < 0 ? WINDOW_FAILED : state;
	w->recorder = NULL;
}

void engine_window_close(struct engine *eng)
{
	struct window *w = &eng->window;

	if (!w->recorder)
		return;
	recorder_settle(w->recorder);		/* its failure is told by recorder_close() */
	window_end(w, WINDOW_OVER);
}

uint32_t engine_window(const struct engine *eng, uint64_t *bytes)
{
	const struct window *w = &eng->window;

	*bytes = w->recorder ? recorder_bytes(w->recorder) : w->bytes;
	return w->state;
}

const char *engine_window_error(const struct engine *eng)
{
	return eng->window.err.text;
}

/* The event at hand is done with. */
static void window_settle(struct window *w, uint64_t ts)
{
	if (recorder_settle(w->recorder) < 0)
		window_end(w, WINDOW_FAILED);
	else if (ts >= w->until)
		window_end(w, WINDOW_OVER);
	else if (w->max_bytes && recorder_bytes(w->recorder) >= w->max_bytes)
		window_end(w, WINDOW_FULL);
}

/* ------------------------------------------------------------------ one event after the other */

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

	e->h.code = rec->code;
	e->h.cpu = rec->cpu;
	e->h.ts = rec->ts;
	e->h.tid = rec->tid;
	e->h.nparams = rec->nparams;
	e->info = event_row(rec->code);
	_Static_assert(sizeof e->param[0] == sizeof rec->param[0], "parameters are copied as they are");
	memcpy(e->param, rec->param, rec->nparams * sizeof e->param[0]);
	event_find_syscall(e);
	ruleset_next_event(eng->rules, e);
	eng->st.bad_params += rec->bad_params;
}

enum { AGAIN = NEXT_IDLE + 1 };

/* NEXT_EVENT: there is a record. AGAIN: ask again. */
static inline int read_capture(struct engine *eng, struct scap_rec *rec)
{
	int rc = scap_next(eng->capture, rec);

	if (rc == -EINTR)
		return AGAIN;	/* a signal while a pipe was quiet: look whether to stop */
	if (rc < 0)
		return err_set(&eng->err, -rc, "%s", scap_error(eng->capture));
	return rc ? NEXT_EVENT : NEXT_END;
}

enum { EVENTS_PER_IDLE = 65536 };	/* that may pass before the caller is let in again */

static int read_live(struct engine *eng, struct scap_rec *rec)
{
	int rc;

	if (eng->since_idle++ >= EVENTS_PER_IDLE) {
		eng->since_idle = 0;
		return NEXT_IDLE;
	}
	rc = live_next(eng->live, rec);
	if (rc < 0)
		return err_set(&eng->err, -rc, "the driver failed: %s", strerror(-rc));
	if (rc == LIVE_IDLE) {
		eng->since_idle = 0;
		return NEXT_IDLE;
	}
	return rc ? NEXT_EVENT : NEXT_END;
}

/* What was learnt of a container stands before the event at hand, in numbers and in a recording. */
static void container_learnt(void *ctx, struct str json)
{
	struct engine *eng = ctx;
	struct scap_rec rec;

	eng->delivered++;
	container_event(&rec, eng->rec.ts, json);
	if (eng->recorder)
		recorder_insert(eng->recorder, &rec);	/* its failure stays, and is told by the next recorder_settle() */
	if (eng->window.recorder)
		recorder_insert(eng->window.recorder, &rec);
}

static void meet_containers(struct engine *eng, struct thread *t)
{
	if (!eng->runtime || !containers_have_fresh(eng->st.containers))
		return;
	runtime_meet(eng->runtime, &eng->st, t);
	runtime_poll(eng->runtime, &eng->st, container_learnt, eng);
	eng->evt.h.num = eng->delivered;
}

/* The next event has changed the tables and is at hand: NEXT_EVENT. Or as engine_next(). */
__attribute__((always_inline)) static inline int advance(struct engine *eng, struct scap_rec *rec)
{
	int rc;

	for (;;) {
		if (eng->recorder && (rc = recorder_settle(eng->recorder)) < 0)
			return record_failed(eng, rc);
		if (eng->window.recorder)
			window_settle(&eng->window, rec->ts);
		if (atomic_load_explicit(&eng->stop, memory_order_relaxed))
			return NEXT_STOPPED;
		rc = eng->capture ? read_capture(eng, rec) : read_live(eng, rec);
		if (rc == AGAIN)
			continue;
		if (rc == NEXT_IDLE && eng->runtime)
			runtime_poll(eng->runtime, &eng->st, container_learnt, eng);
		if (rc != NEXT_EVENT)
			return rc;
		arena_reset(&eng->scratch);
		decode(eng, rec);
		eng->delivered += !(rec->flags & SCAP_UNNUMBERED);
		eng->evt.h.num = eng->delivered;
		if (eng->recorder)
			recorder_before(eng->recorder);
		if (eng->window.recorder)
			recorder_before(eng->window.recorder);
		parse_event(&eng->evt);
		meet_containers(eng, eng->evt.thread);
		if (eng->recorder)
			recorder_after(eng->recorder, &eng->evt, rec);
		if (eng->window.recorder)
			recorder_after(eng->window.recorder, &eng->evt, rec);
		return NEXT_EVENT;
	}
}

static inline bool is_for_rules(const struct scap_rec *rec)
{
	return !(rec->flags & (SCAP_STATE_ONLY | SCAP_HEAD));
}

int engine_next(struct engine *eng)
{
	int rc;

	if (!eng->capture && !eng->live)
		return NEXT_END;
	meet_containers(eng, NULL);		/* those of the start */
	do
		rc = advance(eng, &eng->rec);
	while (rc == NEXT_EVENT && !(is_for_rules(&eng->rec) && gate_pass(eng->rules, &eng->evt)));
	return rc;
}

int engine_step(struct engine *eng)
{
	if (!eng->capture && !eng->live)
		return NEXT_END;
	meet_containers(eng, NULL);
	return advance(eng, &eng->rec);
}

bool engine_shows(const struct engine *eng)
{
	return is_for_rules(&eng->rec) && event_is_seen(eng->evt.h.code);
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

struct state *engine_state(struct engine *eng)
{
	return &eng->st;
}

const struct scap_rec *engine_rec(const struct engine *eng)
{
	return &eng->rec;
}

struct scap *engine_capture(struct engine *eng)
{
	return eng->capture;
}

void engine_stop(struct engine *eng)
{
	atomic_store(&eng->stop, true);
}

void engine_resume(struct engine *eng)
{
	atomic_store(&eng->stop, false);
}

uint64_t engine_delivered(const struct engine *eng)
{
	return eng->delivered;
}

double engine_progress(const struct engine *eng)
{
	return eng->capture ? scap_progress(eng->capture) : -1;
}

const char *engine_stat(const struct engine *eng, uint32_t i, uint64_t *value, bool *alarming)
{
	const struct state *st = &eng->st;
	const struct {
		const char *name;
		uint64_t value;
		bool alarming;		/* unless it is 0 */
	} stats[] = {
		{ "events", eng->delivered, false },
		{ "events of unknown kinds skipped", eng->capture ? scap_skipped(eng->capture) : 0, true },
		{ "threads", threads_count(st->threads), false },
		{ "threads not kept (table full: falco_libs.thread_table_size)", threads_overflow(st->threads), true },
		{ "descriptors", fds_live(st->fds), false },
		{ "descriptors, bytes", fds_bytes(st->fds), false },
		{ "descriptors not kept (table full: limits.fds_per_process, limits.fd_bytes)", fds_overflow(st->fds), true },
		{ "strings", intern_count(st->strings), false },
		{ "strings, bytes", intern_bytes(st->strings), false },
		{ "strings not kept (table full: limits.string_bytes)", intern_overflow(st->strings), true },
		{ "users and groups", users_count(st->users), false },
		{ "users and groups not kept (table full: limits.user_bytes)", users_overflow(st->users), true },
		{ "interface addresses not kept (table full)", ifaces_overflow(st->ifaces), true },
		{ "enter events not kept (table full)", st->enter_overflow, true },
		{ "containers with metadata", containers_known(st->containers), false },
		{ "container metadata not kept (table full: limits.container_bytes)", containers_overflow(st->containers),
		  true },
		{ "container metadata not readable", containers_bad(st->containers), true },
		{ "values not composed (scratch full: limits.scratch_bytes)", eng->scratch.refused, true },
		{ "parameters of wrong length", st->bad_params, true },
	};

	if (i >= sizeof stats / sizeof stats[0])
		return eng->live ? live_stat(eng->live, i - sizeof stats / sizeof stats[0], value, alarming) : NULL;
	*value = stats[i].value;
	*alarming = stats[i].alarming && stats[i].value > 0;
	return stats[i].name;
}
