/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a capture and remembering it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "../array.h"
#include "past.h"
#include "ruleset.h"

/* ------------------------------------------------------------------ types of events */

uint32_t past_type(uint32_t code, uint32_t sc)
{
	if (!event_is_generic(code))
		return code;
	return sc < SC_COUNT ? EV_COUNT + 2 * sc + (code & 1) : EV_COUNT + 2 * SC_COUNT;
}

uint32_t past_types(void)
{
	return EV_COUNT + 2 * SC_COUNT + 1;
}

/* ------------------------------------------------------------------ memory */

/* What the columns take of each event. */
static const uint8_t widths[PAST_COLUMNS] = { sizeof(uint32_t), sizeof(uint32_t), sizeof(uint32_t), sizeof(int32_t),
					      sizeof(uint16_t), sizeof(uint8_t) };

static uint32_t width_of_all(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < PAST_COLUMNS; i++)
		sum += widths[i];
	return sum;
}

static bool columns_open(struct past *p)
{
	uint64_t most = p->max_bytes / width_of_all() + 1;

	p->cap = most < UINT32_MAX - 1 ? (uint32_t)most : UINT32_MAX - 1;
	for (uint32_t i = 0; i < PAST_COLUMNS; i++)
		if (!room_open(&p->columns[i], (size_t)p->cap * widths[i]))
			return false;
	p->at = (uint32_t *)(void *)p->columns[0].mem;
	p->view = (uint32_t *)(void *)p->columns[1].mem;
	p->fd = (uint32_t *)(void *)p->columns[2].mem;
	p->fdnum = (int32_t *)(void *)p->columns[3].mem;
	p->type = (uint16_t *)(void *)p->columns[4].mem;
	p->flags = p->columns[5].mem;
	return true;
}

static bool rooms_open(struct past *p)
{
	if (!room_open(&p->bytes, p->max_bytes) || !room_open(&p->pieces, p->max_bytes) || !columns_open(p))
		return false;
	p->image.mem = p->bytes.mem;
	p->image.max = p->max_bytes;
	return true;
}

static uint64_t bytes_of(const struct past *p)
{
	if (!p->kept)
		return 0;
	return p->image.len + p->pieces.used + intern_bytes(p->strings) + (uint64_t)p->n * width_of_all() +
	       p->copies_cap * sizeof *p->copies + p->images_cap * sizeof *p->images + p->recs_cap * sizeof *p->recs +
	       p->views_cap * sizeof *p->views + p->members_cap * sizeof *p->members + p->extras_cap * sizeof *p->extras +
	       past_recs_bytes(p->by_hash);
}

static void drop_images(struct past *p)
{
	struct intern *s = p->strings;

	for (uint32_t i = 1; i < p->nimages; i++) {
		struct image *m = p->images[i];
		struct istr *texts[] = { m->comm, m->exe, m->exepath, m->args, m->env, m->cgroups };

		for (uint32_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
			intern_drop(s, texts[k]);
		container_drop(engine_state(p->eng)->containers, m->container);
	}
	for (uint32_t i = 1; i < p->ncopies; i++) {
		intern_drop(s, p->copies[i]->t.cwd);
		intern_drop(s, p->copies[i]->t.root);
	}
}

static void release(struct past *p)
{
	past_hide(p);
	drop_images(p);
	intern_free(p->strings);
	p->strings = NULL;
	p->image.full = true;		/* its addresses must stay: a thread may be about to write there */
	room_empty(&p->bytes);
	room_close(&p->pieces);
	past_recs_free(p->by_hash);
	p->by_hash = NULL;
	for (uint32_t i = 0; i < PAST_COLUMNS; i++)
		room_close(&p->columns[i]);
	void *arrays[] = { p->copies, p->images, p->recs, p->views, p->members, p->extras, p->since };
	for (uint32_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
		free(arrays[i]);
	p->at = NULL, p->view = p->fd = NULL, p->fdnum = NULL, p->type = NULL, p->flags = NULL, p->copies = NULL;
	p->images = NULL, p->recs = NULL, p->views = NULL, p->members = NULL, p->extras = NULL, p->since = NULL;
	p->n = p->cap = p->ncopies = p->copies_cap = p->nimages = p->images_cap = p->nrecs = p->recs_cap = 0;
	p->nviews = p->views_cap = p->nmembers = p->members_cap = p->nextras = p->extras_cap = p->nsince = p->since_cap = 0;
}

void past_forget(struct past *p, const char *why, ...)
{
	va_list ap;

	if (!p->kept)
		return;
	va_start(ap, why);
	vsnprintf(p->why_not.text, sizeof p->why_not.text, why, ap);
	va_end(ap);
	p->kept = false;
	release(p);
}

/* ------------------------------------------------------------------ remembering one event */

static bool keep_side(struct past *p, const struct scap_rec *rec, uint32_t *at)
{
	size_t n = sizeof(struct past_side) + rec->nparams * sizeof(uint32_t);
	struct past_side *side;
	uint8_t *to;

	for (uint32_t i = 0; i < rec->nparams; i++)
		n += rec->param[i].len;
	if (!(side = room_get(&p->pieces, n)))
		return false;
	*side = (struct past_side){ .ts = rec->ts, .tid = rec->tid, .code = rec->code, .cpu = rec->cpu, .nparams = rec->nparams };
	to = (uint8_t *)&side->len[rec->nparams];
	for (uint32_t i = 0; i < rec->nparams; i++) {
		side->len[i] = rec->param[i].len;
		if (rec->param[i].len)
			memcpy(to, rec->param[i].p, rec->param[i].len);
		to += rec->param[i].len;
	}
	*at = (uint32_t)((size_t)((uint8_t *)side - p->pieces.mem) / SIDE_STEP);
	return true;
}

static bool keep_since(struct past *p, uint64_t first_ts)
{
	if (p->nsince ? p->since[p->nsince - 1].first_ts == first_ts : !first_ts)
		return true;
	if (!array_room(&p->since, p->nsince, &p->since_cap, sizeof *p->since))
		return false;
	p->since[p->nsince++] = (struct past_since){ p->n, first_ts };
	return true;
}

/* What fields may find in the tables beside what is copied must not have changed since. */
static void watch_tables(struct past *p, const struct state *st)
{
	if (!p->tables_known) {
		p->tables_known = true;
		p->table_epoch = st->table_epoch;
	}
	p->tables_changed |= p->table_epoch != st->table_epoch;
}

static bool keep_event(struct past *p, const struct evt *e, const struct scap_rec *rec)
{
	const struct state *st = engine_state(p->eng);
	struct thread *t = evt_thread(e);
	bool shown = engine_shows(p->eng);
	uint8_t flags = e->thread ? PAST_HAS_THREAD : 0;
	uint32_t i = p->n;

	if (i == p->cap || !keep_since(p, st->first_ts))
		return false;
	flags |= (e->fd_replaced ? PAST_FD_REPLACED : 0) | (e->fd_name_changed ? PAST_FD_RENAMED : 0);
	if (scap_describes_host(e->h.code) || (t && !e->thread && e->uses_fd) || e->fdnum > INT32_MAX || e->fdnum < INT32_MIN)
		flags |= PAST_ODD;
	p->at[i] = (uint32_t)(p->files[p->file - 1].from + scap_event_at(engine_capture(p->eng)));	/* of UINT32_MAX at most, or full */
	if (rec->flags & SCAP_CONVERTED) {
		flags |= PAST_SIDE;
		if (!keep_side(p, rec, &p->at[i]))
			return false;
	}
	p->type[i] = (uint16_t)(shown ? past_type(e->h.code, e->h.sc) : PAST_UNSEEN);
	p->view[i] = past_view_of(p, st, t);
	p->fd[i] = !e->uses_fd ? PAST_NO_FD : e->fd ? past_rec_of(p, e->fd) : PAST_NO_RECORD;
	p->fdnum[i] = (int32_t)e->fdnum;
	if (!p->kept || (t && !p->view[i]) || (e->uses_fd && e->fd && !p->fd[i]))
		return false;
	if (!past_keep_extras(p, e, t, &flags))
		return false;
	p->flags[i] = flags;
	if (shown)
		watch_tables(p, st);
	p->n++;
	return true;
}

void past_too_large(struct past *p)
{
	past_forget(p, "to remember the capture takes more memory than %" PRIu64 " MiB (limits.scan_bytes), or than there is: "
		    "it is read again each time", p->max_bytes >> 20);
}

static void keep(struct past *p, const struct evt *e, const struct scap_rec *rec)
{
	if (rec->flags & SCAP_UNNUMBERED)
		return;
	if (!p->first_seen_ts)
		p->first_seen_ts = rec->ts;
	if (rec->ts > p->last_ts)
		p->last_ts = rec->ts;
	if (!p->kept)
		return;
	if (p->n + 1 != e->h.num || p->n == UINT32_MAX - 1)
		past_forget(p, "the capture numbers its events in a way that cannot be remembered");
	else if (!keep_event(p, e, rec) ||
		 (p->n % 4096 == 0 && (p->image.full || bytes_of(p) > p->max_bytes || intern_overflow(p->strings))))
		past_too_large(p);
}

/* ------------------------------------------------------------------ reading */

static int next_file(struct past *p)
{
	struct past_file *f;
	int rc;

	if (p->file) {
		f = &p->files[p->file - 1];
		f->len = p->image.len - f->from;
	}
	if (p->file == p->npaths) {
		if (p->kept && (p->image.full || intern_overflow(p->strings)))
			past_too_large(p);
		past_settle(p);
		p->complete = true;
		return NEXT_END;
	}
	p->files[p->file].from = p->image.len;
	if ((rc = engine_open_copied(p->eng, p->paths[p->file], p->kept ? &p->image : NULL, &p->err)) < 0) {
		p->failed = rc;
		return rc;
	}
	p->file++;
	return NEXT_EVENT;
}

int past_begin(struct past *p, struct err *err)
{
	int rc = p->file ? 0 : next_file(p);

	if (rc < 0)
		*err = p->err;
	return rc < 0 ? rc : 0;
}

int past_read(struct past *p)
{
	int rc;

	if (p->failed || p->complete)
		return p->failed ? p->failed : NEXT_END;
	for (;;) {
		rc = p->file ? engine_step(p->eng) : NEXT_END;
		p->begun |= rc == NEXT_EVENT;
		if (rc == NEXT_EVENT)
			keep(p, engine_evt(p->eng), engine_rec(p->eng));
		if (rc == NEXT_END && (rc = next_file(p)) == NEXT_EVENT)
			continue;
		if (rc < 0 && !p->failed) {
			p->failed = rc;
			err_set(&p->err, -rc, "%s", engine_error(p->eng));
		}
		return rc;
	}
}

int past_open_again(struct past *p, struct engine *eng, uint32_t file, struct err *err)
{
	const struct past_file *f = &p->files[file];

	if (p->kept && p->complete)
		return engine_open_memory(eng, p->image.mem + f->from, f->len, err);
	if (!strcmp(p->paths[file], "-"))
		return err_set(err, ESPIPE, "standard input cannot be read twice, and what it held was not remembered: %s",
			       p->why_not.text[0] ? p->why_not.text : "it was not read to its end");
	return engine_open_replay(eng, p->paths[file], err);
}

/* ------------------------------------------------------------------ life */

/* Number 0 of each is none. */
static bool zeroes(struct past *p)
{
	if (!array_room(&p->copies, 0, &p->copies_cap, sizeof *p->copies) ||
	    !array_room(&p->images, 0, &p->images_cap, sizeof *p->images) ||
	    !array_room(&p->recs, 0, &p->recs_cap, sizeof *p->recs) ||
	    !array_room(&p->views, 0, &p->views_cap, sizeof *p->views))
		return false;
	p->copies[0] = NULL, p->images[0] = NULL, p->recs[0] = p->recs[1] = NULL, p->views[0] = (struct past_view){ 0 };
	p->ncopies = p->nimages = p->nviews = 1;
	p->nrecs = PAST_FIRST_FD;
	return true;
}

struct past *past_new(const char *const *paths, uint32_t n, const struct engine_limits *limits, uint64_t max_bytes,
		      struct err *err)
{
	struct past *p = calloc(1, sizeof *p);

	max_bytes = max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX;
	if (!p || !(p->eng = engine_new(limits, err)))
		goto fail;
	if (limits)
		p->limits = *limits;
	p->max_bytes = max_bytes;
	p->scratch.limit = p->limits.max_scratch ? p->limits.max_scratch : ENGINE_MAX_SCRATCH;
	p->pool.max = 1 << 20;
	p->evt.scratch = &p->scratch;
	p->evt.info = event_row(0);
	p->shown_view = UINT32_MAX;
	if (!(p->names = past_names_new()) || !(p->paths = calloc(n ? n : 1, sizeof *p->paths)) || !(p->files = calloc(n ? n : 1, sizeof *p->files)) ||
	    !(p->fds = fdtable_alloc(&p->pool)) || !(p->st.threads = threads_new(engine_state(p->eng), 0)))
		goto fail;
	for (; p->npaths < n; p->npaths++)
		if (!(p->paths[p->npaths] = strdup(paths[p->npaths])))
			goto fail;
	p->kept = true;
	if (!max_bytes)
		past_forget(p, "nothing is to be remembered (limits.scan_bytes is 0): it is read again each time");
	else if (!(p->strings = intern_new((uint32_t)max_bytes)) || !(p->by_hash = past_recs_new()) || !rooms_open(p) || !zeroes(p))
		past_forget(p, "there is no memory to remember the capture in: it is read again each time");
	return p;
fail:
	err_set(err, ENOMEM, "out of memory");
	past_free(p);
	return NULL;
}

void past_free(struct past *p)
{
	if (!p)
		return;
	if (p->eng) {
		release(p);
		threads_free(p->st.threads);
	}
	if (p->fds) {
		fd_order_free(&p->pool, p->fds->order);
		fd_pool_put(&p->pool, p->fds, sizeof *p->fds);
	}
	fd_pool_empty(&p->pool);
	engine_free(p->eng);
	room_close(&p->bytes);
	for (uint32_t i = 0; i < p->npaths; i++)
		free(p->paths[i]);
	free(p->paths);
	free(p->names);
	free(p->files);
	arena_free(&p->scratch);
	free(p);
}

void past_facts(const struct past *p, struct past_facts *f)
{
	*f = (struct past_facts){
		.events = engine_delivered(p->eng), .first_ts = p->first_seen_ts, .last_ts = p->last_ts, .bytes = bytes_of(p),
		.image_bytes = p->image.len, .threads = p->ncopies, .views = p->nviews, .records = p->nrecs, .extras = p->nextras,
		.complete = p->complete, .kept = p->kept, .tables_changed = p->tables_changed, .why_not = p->why_not.text,
	};
}
