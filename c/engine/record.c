/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "dump.h"
#include "parse.h"
#include "record.h"

struct recorder {
	struct scap_writer *out;
	struct scap_sink to_file, to_state;
	const struct state *st;
	uint32_t flags;			/* RECORD_* */
	bool listed;			/* the section's lists are written */
	bool past_head;			/* of the section: an event that is not about the host was met */

	/* just before the event at hand */
	uint32_t threads;
	uint64_t first_ts;
	bool thread_ends;

	const struct scap_rec *rec;	/* the event at hand; NULL: none, or settled */
	bool chosen, matters;
	uint64_t nchosen, nstate;
};

/* ------------------------------------------------------------------ lists */

/* The file's sink keeps its failures to itself, so what the state says goes. */
#define BOTH(r, call, ...) \
	((r)->to_file.call && !((r)->flags & RECORD_ONLY) \
		 ? (void)(r)->to_file.call((r)->to_file.ctx __VA_OPT__(,) __VA_ARGS__) : (void)0, \
	 (r)->to_state.call ? (r)->to_state.call((r)->to_state.ctx __VA_OPT__(,) __VA_ARGS__) : 0)

static int both_reset(void *ctx)
{
	struct recorder *r = ctx;

	r->listed = !(r->flags & RECORD_ONLY);
	r->past_head = false;
	return BOTH(r, reset);
}

static int both_machine(void *ctx, const struct machine *m)
{
	struct recorder *r = ctx;
	return BOTH(r, machine, m);
}

static int both_proc(void *ctx, const struct scap_proc *p)
{
	struct recorder *r = ctx;
	return BOTH(r, proc, p);
}

static int both_fd(void *ctx, int64_t tid, int64_t fd, const struct fd_draft *d)
{
	struct recorder *r = ctx;
	return BOTH(r, fd, tid, fd, d);
}

static int both_users_begin(void *ctx)
{
	struct recorder *r = ctx;
	return BOTH(r, users_begin);
}

static int both_user(void *ctx, const struct user *u)
{
	struct recorder *r = ctx;
	return BOTH(r, user, u);
}

static int both_group(void *ctx, const struct group *g)
{
	struct recorder *r = ctx;
	return BOTH(r, group, g);
}

static int both_ifaces_begin(void *ctx)
{
	struct recorder *r = ctx;
	return BOTH(r, ifaces_begin);
}

static int both_iface(void *ctx, const struct iface *i)
{
	struct recorder *r = ctx;
	return BOTH(r, iface, i);
}

static int both_lists_end(void *ctx)
{
	struct recorder *r = ctx;
	return BOTH(r, lists_end);
}

struct scap_sink recorder_sink(struct recorder *r, struct scap_sink state)
{
	r->to_state = state;
	return (struct scap_sink){
		.ctx = r, .reset = both_reset, .machine = both_machine, .proc = both_proc, .fd = both_fd,
		.users_begin = both_users_begin, .user = both_user, .group = both_group,
		.ifaces_begin = both_ifaces_begin, .iface = both_iface, .lists_end = both_lists_end,
	};
}

void container_event(struct scap_rec *rec, uint64_t ts, struct str json)
{
	*rec = (struct scap_rec){ .ts = ts, .tid = -1, .code = EV_CONTAINER_JSON_2_E, .nparams = 1 };
	rec->param[0] = (struct scap_param){ (const uint8_t *)json.p, json.len + 1 };
}

/* What is known of containers has no list: it is told by events, which stand at the head of the section. */
static void list_containers(struct recorder *r)
{
	struct containers_pos pos = { 0 };
	const struct container *c;
	struct scap_rec rec;
	char *json;

	while ((c = containers_next(r->st->containers, &pos))) {
		if (!(json = container_info_json(c->info)))
			continue;
		container_event(&rec, r->rec ? r->rec->ts : 0, str_of(json));
		rec.flags |= SCAP_STATE_ONLY;
		scap_write(r->out, &rec);	/* its failure stays */
		free(json);
	}
}

/* Lists the state if the section has no lists yet. */
static void list(struct recorder *r)
{
	if (!r->listed) {
		dump_state(r->st, &r->to_file);
		list_containers(r);
	}
	r->listed = true;
}

/* ------------------------------------------------------------------ events */

void recorder_before(struct recorder *r)
{
	r->threads = threads_count(r->st->threads);
	r->first_ts = r->st->first_ts;
	r->thread_ends = r->st->after.thread;
}

/* A thread that nobody knew has entered the table: it is the first event to name it. */
static bool brought_thread(const struct recorder *r, const struct evt *e)
{
	return threads_count(r->st->threads) != r->threads ||
	       (r->thread_ends && e->thread && thread_is_placeholder(e->thread));
}

void recorder_after(struct recorder *r, const struct evt *e, const struct scap_rec *rec)
{
	bool ends_head = !r->past_head && !(rec->flags & SCAP_HEAD);

	r->rec = rec;
	r->chosen = r->flags & RECORD_ALL;
	r->past_head |= ends_head;
	if (r->flags & RECORD_ONLY)
		return;
	/* the first event after the head is where relative time begins, and without it the head would not end there */
	r->matters = ends_head || r->st->first_ts != r->first_ts || parse_had_effect(e) || brought_thread(r, e) ||
		     scap_describes_host(rec->code);
}

void recorder_choose(struct recorder *r)
{
	r->chosen = true;
	list(r);
}

int recorder_insert(struct recorder *r, const struct scap_rec *rec)
{
	struct scap_rec own = *rec;

	if (r->flags & RECORD_ONLY)
		return 0;
	own.flags |= SCAP_STATE_ONLY;
	r->nstate++;
	return scap_write(r->out, &own);
}

int recorder_settle(struct recorder *r)
{
	struct scap_rec rec;

	if (!r->rec || !(r->chosen || r->matters)) {
		r->rec = NULL;
		return 0;
	}
	rec = *r->rec;
	r->rec = NULL;
	if (!r->chosen)
		rec.flags |= SCAP_STATE_ONLY;
	*(r->chosen ? &r->nchosen : &r->nstate) += 1;
	return scap_write(r->out, &rec);
}

void recorder_counts(const struct recorder *r, uint64_t *chosen, uint64_t *state_only)
{
	*chosen = r->nchosen;
	*state_only = r->nstate;
}

/* ------------------------------------------------------------------ life */

struct recorder *recorder_new(uint32_t flags, const struct state *st)
{
	struct recorder *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->flags = flags;
	r->st = st;
	r->out = scap_writer_new(flags & RECORD_PLAIN ? 0 : SCAP_GZIP);
	if (!r->out) {
		free(r);
		return NULL;
	}
	r->to_file = scap_writer_sink(r->out);
	return r;
}

int recorder_open(struct recorder *r, const char *path, int source_fd, struct err *err)
{
	return scap_writer_open(r->out, path, source_fd, err);
}

const char *recorder_error(const struct recorder *r)
{
	return scap_writer_error(r->out);
}

int recorder_close(struct recorder *r, struct err *err)
{
	int rc;

	if (!r)
		return 0;
	if (!r->nchosen && !r->nstate)
		list(r);		/* a capture of nothing is a capture too */
	rc = scap_writer_close(r->out, err);
	free(r);
	return rc;
}
