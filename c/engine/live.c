/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "../driver/source.h"
#include "live.h"
#include "load.h"
#include "procfs.h"
#include "purge.h"
#include "scap_shape.h"

enum {
	PAUSE_NS = 1000000, PAUSE_MAX_NS = 5000000,	/* between looks at rings that are empty */
	EVENTS_PER_LOOK = 1024,				/* at the clock */
};

struct live {
	struct source *source;
	struct procfs *procfs;
	struct scap_sink sink;
	struct state *st;
	struct lookup lookup;
	uint64_t deadline;		/* monotonic, ns; 0: none */
	uint32_t pause_ns;
	uint32_t looked;		/* events since the clock was looked at */
	uint64_t bad;			/* records that were none */
	struct purge purge;		/* of threads whose end was lost */
	uint64_t ends_lost, counted_ns;	/* as of the last look at the counters */
};

/* ------------------------------------------------------------------ records */

/* false: it is not what it says it is, or of an event that nobody knows. */
static bool decode(const struct source_event *ev, struct scap_rec *rec)
{
	const struct event_hdr *h = ev->hdr;
	const uint8_t *lens = (const uint8_t *)(h + 1);
	uint32_t room = h->len - (uint32_t)sizeof *h, n = h->nparams;

	if (h->type >= EV_COUNT)
		return false;
	const struct shape *shape = scap_shape(h->type);
	if (n > shape->nparams || n > room / (shape->wide ? 4 : 2))
		return false;
	rec->ts = h->ts;
	rec->tid = (int64_t)h->tid;
	rec->code = h->type;
	rec->cpu = ev->cpu;
	rec->flags = 0;
	return shape->wide ? params_find(rec, lens, n, room, true, shape->want)
			   : params_find(rec, lens, n, room, false, shape->want);
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool is_there(void *ctx, int64_t tid)
{
	return procfs_has(ctx, tid);
}

/* Counters of all CPUs are added up, so not too often. */
static void look_at_losses(struct live *l, uint64_t now)
{
	enum { BETWEEN_NS = 1000000000 };
	struct source_losses losses;

	if (now - l->counted_ns < BETWEEN_NS)
		return;
	l->counted_ns = now;
	source_losses(l->source, &losses);
	if (losses.exits > l->ends_lost)
		purge_hurry(&l->purge, now);
	l->ends_lost = losses.exits;
}

/* Now and then, between two events. Is the time over? */
static bool is_over(struct live *l)
{
	uint64_t now = monotonic_ns();

	l->looked = 0;
	look_at_losses(l, now);
	purge_some(&l->purge, l->st->threads, now);
	return l->deadline && now >= l->deadline;
}

static int pause_a_little(struct live *l)
{
	struct timespec t = { .tv_nsec = l->pause_ns };

	nanosleep(&t, NULL);
	l->pause_ns = l->pause_ns < PAUSE_MAX_NS ? l->pause_ns + PAUSE_NS : PAUSE_MAX_NS;
	return is_over(l) ? 0 : LIVE_IDLE;
}

int live_next(struct live *l, struct scap_rec *rec)
{
	struct source_event ev;
	int rc;

	if (++l->looked >= EVENTS_PER_LOOK && is_over(l))
		return 0;
	while ((rc = source_next(l->source, &ev)) == 1) {
		l->pause_ns = PAUSE_NS;
		if (decode(&ev, rec))
			return LIVE_EVENT;
		l->bad++;
	}
	return rc < 0 ? rc : pause_a_little(l);
}

/* ------------------------------------------------------------------ what was not seen made */

enum { ANCESTORS_LOOKED_UP = 16 };

/* With its main thread and its ancestors, eldest first: a thread finds its place by a parent that is there. */
static void look_up(struct live *l, int64_t tid, uint32_t ancestors)
{
	struct threads *threads = l->st->threads;
	struct thread *t;
	int64_t pid;

	if (procfs_lookup(l->procfs, tid, &l->sink, &pid) != 1 || !(t = thread_find(threads, tid)))
		return;
	if (pid != tid) {
		if (!thread_find(threads, pid))
			look_up(l, pid, ancestors);
	} else if (ancestors && t->ptid > 0 && !thread_find(threads, t->ptid)) {
		look_up(l, t->ptid, ancestors - 1);
	}
	if ((t = thread_find(threads, tid)))
		thread_adopt(threads, t);
}

static void look_up_thread(void *ctx, int64_t tid)
{
	look_up(ctx, tid, ANCESTORS_LOOKED_UP);
}

static void look_up_fd(void *ctx, int64_t pid, int64_t fd)
{
	struct live *l = ctx;

	procfs_lookup_fd(l->procfs, pid, fd, &l->sink);
}

/* ------------------------------------------------------------------ life */

static struct source_options driver_options(const struct live_options *o)
{
	return (struct source_options){
		.ring_bytes = o->ring_bytes, .cpus_per_ring = o->cpus_per_ring, .snaplen = o->snaplen,
		.full_port_first = o->full_port_first, .full_port_last = o->full_port_last, .drop_failed = o->drop_failed,
		.self = o->self, .no_tasks = o->no_iterators,
	};
}

struct live *live_open(const struct live_options *options, struct state *st, const struct scap_sink *sink,
		       const struct scap_sink *late, struct err *err)
{
	struct source_options driver = driver_options(options);
	struct live *l = calloc(1, sizeof *l);

	if (!l || !(l->procfs = procfs_new(&st->host, NULL))) {
		err_set(err, ENOMEM, "out of memory");
		goto fail;
	}
	l->st = st;
	l->sink = *late;
	l->pause_ns = PAUSE_NS;
	l->purge = (struct purge){
		.interval_ns = options->purge_interval_s * 1000000000ull, .patience_ns = options->purge_patience_s * 1000000000ull,
		.is_there = is_there, .ctx = l->procfs,
	};
	if (!(l->source = source_bpf_open(&driver, err)))
		goto fail;
	procfs_use_source(l->procfs, l->source);
	/* events first: what changes while /proc is read is told twice rather than not at all */
	if (live_want(l, &options->want, err) < 0 || procfs_scan(l->procfs, sink, err) < 0)
		goto fail;
	l->lookup = (struct lookup){ .ctx = l, .thread = look_up_thread, .fd = look_up_fd };
	st->lookup = &l->lookup;
	if (options->seconds)
		l->deadline = monotonic_ns() + (uint64_t)options->seconds * 1000000000;
	return l;
fail:
	live_close(l);
	return NULL;
}

int live_want(struct live *l, const struct syscall_set *set, struct err *err)
{
	return source_want(l->source, set->has, err);
}

const char *live_stat(const struct live *l, uint32_t i, uint64_t *value, bool *alarming)
{
	const struct procfs_counts *c = procfs_counts(l->procfs);
	const struct {
		const char *name;
		uint64_t value;
		bool alarming;
	} own[] = {
		{ "records not understood", l->bad, true },
		{ "threads at the start, listed by the driver", c->from_driver, false },
		{ "threads and descriptors looked up in /proc", c->lookups, false },
		{ "look-ups in /proc that were too many", c->refused, false },
		{ "threads given up, their end was lost", l->purge.removed, false },
	};
	uint32_t n = sizeof own / sizeof own[0];

	if (i >= n)
		return source_stat(l->source, i - n, value, alarming);
	*value = own[i].value;
	*alarming = own[i].alarming && own[i].value;
	return own[i].name;
}

void live_losses(const struct live *l, struct source_losses *losses)
{
	source_losses(l->source, losses);
}

void live_close(struct live *l)
{
	if (!l)
		return;
	if (l->st && l->st->lookup == &l->lookup)
		l->st->lookup = NULL;
	source_close(l->source);
	purge_free(&l->purge);
	procfs_free(l->procfs);
	free(l);
}
