/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and threads that fields may look up by a number in a parameter: what parameters show as text, directories that
 * paths start from. What the event's own descriptor or view does not answer is kept beside the columns, in `extras`.
 */
#include "../array.h"
#include "field.h"
#include "past.h"

enum { MOST_NUMBERS = 96 };		/* of one event; past_show() has room for them */

/* Which parameters of each code name something. */
struct past_names {
	uint8_t n[EV_COUNT], at[EV_COUNT][EVENT_MAX_PARAMS];
};

static bool names_something(uint8_t type)
{
	return type == PT_FD || type == PT_FD32 || type == PT_PID || type == PT_PID32 || type == PT_FDLIST || type == PT_DYN;
}

struct past_names *past_names_new(void)
{
	struct past_names *names = calloc(1, sizeof *names);

	for (uint32_t code = 0; names && code < EV_COUNT; code++) {
		const struct event_info *info = event_row(code);

		for (uint32_t i = 0; i < info->nparams; i++)
			if (names_something(info->params[i].type))
				names->at[code][names->n[code]++] = (uint8_t)i;
	}
	return names;
}

/* ------------------------------------------------------------------ the numbers of one event */

struct numbers {
	int64_t fds[MOST_NUMBERS], threads[EVENT_MAX_PARAMS];
	uint32_t nfds, nthreads;
	bool too_many;
};

static void numbers_add_fd(struct numbers *s, int64_t fd)
{
	if (fd < 0)
		return;
	if (s->nfds == MOST_NUMBERS)
		s->too_many = true;
	else
		s->fds[s->nfds++] = fd;
}

static void numbers_add(struct numbers *s, const struct param *a, uint8_t type)
{
	bool is_thread = type == PT_PID || type == PT_PID32;
	int64_t v;
	int16_t flags;

	if (type == PT_FDLIST) {
		for (uint32_t pos = 0; !s->too_many && fdlist_next(a, &pos, &v, &flags);)
			numbers_add_fd(s, v);
	} else if (!param_read(a, type, &v)) {
		return;
	} else if (is_thread) {
		s->threads[s->nthreads++] = v;
	} else {
		numbers_add_fd(s, v);
	}
}

static void numbers_of(struct numbers *s, const struct past_names *names, const struct evt *e)
{
	uint32_t code = e->h.code;

	for (uint32_t k = 0; k < names->n[code]; k++) {
		uint32_t i = names->at[code][k];
		const struct param_info *info = &e->info->params[i];
		struct param a = *evt_param(e, i);

		if (info->type == PT_DYN && !(info = dyn_select(info, &a)))
			continue;
		if (names_something(info->type) && info->type != PT_DYN)
			numbers_add(s, &a, info->type);
	}
}

/* ------------------------------------------------------------------ keeping */

static bool keep(struct past *p, int64_t number, uint32_t fd, uint32_t copy)
{
	if (!array_room(&p->extras, p->nextras, &p->extras_cap, sizeof *p->extras))
		return false;
	p->extras[p->nextras++] = (struct past_extra){ p->n, fd, copy, number };
	return true;
}

static bool keep_fd(struct past *p, int64_t number, struct fd_rec *rec)
{
	uint32_t fd = rec ? past_rec_of(p, rec) : PAST_NO_RECORD;

	return (!rec || fd) && keep(p, number, fd, 0);
}

static bool keep_fds(struct past *p, const struct evt *e, struct thread *t, const struct numbers *s)
{
	/* an event that leaves its table alone finds in it what was found before */
	bool same = e->fd && !e->fd_replaced && !(e->info->flags & (EF_MODIFIES_STATE | EF_CREATES_FD | EF_DESTROYS_FD));
	const struct fdtable *fds = NULL;

	for (uint32_t i = 0; i < s->nfds; i++) {
		struct fd_rec *rec;

		if (same && s->fds[i] == t->last_fd)
			continue;
		fds = fds ? fds : thread_fds(engine_state(p->eng)->threads, t);
		rec = fdtable_get(fds, s->fds[i]);
		if (s->fds[i] == e->fdnum && e->fd ? rec != e->fd : rec != NULL)
			if (!keep_fd(p, s->fds[i], rec))
				return false;
	}
	return true;
}

static bool keep_threads(struct past *p, const struct numbers *s, uint8_t *flags)
{
	for (uint32_t i = 0; i < s->nthreads; i++) {
		struct thread *t = thread_find(engine_state(p->eng)->threads, s->threads[i]);
		uint32_t copy = t ? past_copy_of(p, t) : 0;

		if (!t)
			continue;
		if (!copy || !keep(p, s->threads[i], PAST_NO_RECORD, copy))
			return false;
		*flags |= PAST_THREADS;
	}
	return true;
}

bool past_keep_extras(struct past *p, const struct evt *e, struct thread *t, uint8_t *flags)
{
	uint32_t before = p->nextras;
	struct numbers s;

	if (!e->uses_fd && !p->names->n[e->h.code])
		return true;
	s.nfds = s.nthreads = 0;
	s.too_many = false;
	if (t && e->uses_fd)
		numbers_add_fd(&s, t->last_fd);
	numbers_of(&s, p->names, e);
	*flags |= s.too_many ? PAST_PARTIAL : 0;
	if ((t && !keep_fds(p, e, t, &s)) || !keep_threads(p, &s, flags))
		return false;
	if (p->nextras != before)
		*flags |= PAST_EXTRA;
	return true;
}
