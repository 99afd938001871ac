/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a remembered event together again, so that fields can be read from it as they were when it happened. */
#include "past.h"
#include "ruleset.h"
#include "scap_shape.h"

/* ------------------------------------------------------------------ its thread and descriptors */

void past_hide(struct past *p)
{
	if (p->st.threads)
		threads_hide(p->st.threads);
	p->shown_view = UINT32_MAX;
	p->shown_lineage = false;
	while (p->nfds)
		fdtable_take(p->fds, p->fds_numbers[--p->nfds]);
}

static struct thread *member(struct past *p, struct past_member m)
{
	struct past_copy *c = p->copies[m.copy];

	c->group.first = m.leader ? &p->copies[m.leader]->t : NULL;
	c->group.alive = m.leader ? p->copies[m.leader]->alive : c->alive;
	c->t.group = c->in_group ? &c->group : NULL;
	return &c->t;
}

static uint32_t first_extra(const struct past *p, uint32_t event)
{
	uint32_t lo = 0, hi = p->nextras;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->extras[mid].event < event)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Makes threads find one another as they did then. Without lineage only the event's own matters, which needs no looking up. */
static void show_threads(struct past *p, uint32_t view, bool lineage)
{
	const struct past_view *v = &p->views[view];

	if (p->shown_view == view && p->shown_lineage >= lineage)
		return;
	threads_hide(p->st.threads);
	if (!lineage && v->n)
		member(p, p->members[v->first]);
	for (uint32_t i = 0; lineage && i < v->n; i++)
		threads_show(p->st.threads, member(p, p->members[v->first + i]));
	p->shown_view = view;
	p->shown_lineage = lineage;
}

/* And what is looked up by number: the thread of an event that was not given it, those that parameters name. Not for the next. */
static void show_numbered(struct past *p, uint32_t i, struct thread *t)
{
	if (t)
		threads_show(p->st.threads, t);
	for (uint32_t k = first_extra(p, i); k < p->nextras && p->extras[k].event == i; k++)
		if (p->extras[k].copy && !thread_find(p->st.threads, p->extras[k].number))
			threads_show(p->st.threads, &p->copies[p->extras[k].copy]->t);
	p->shown_view = UINT32_MAX;
}

static void show_fd(struct past *p, int64_t number, uint32_t fd)
{
	if (fd < PAST_FIRST_FD || p->nfds == sizeof p->fds_numbers / sizeof p->fds_numbers[0] || fdtable_node(p->fds, number))
		return;
	if (fdtable_put(&p->pool, p->fds, number, p->recs[fd]))
		p->fds_numbers[p->nfds++] = number;
}

/* Descriptors 0 to 2, as far as nothing better is known of them. */
static void show_std(struct past *p, const struct past_view *view)
{
	for (uint32_t fd = 0; fd < 3; fd++)
		show_fd(p, fd, view->std[fd]);
}

static void show_fds(struct past *p, uint32_t i, struct thread *t, bool std)
{
	bool own = true;
	struct thread *holder;

	while (p->nfds)
		fdtable_take(p->fds, p->fds_numbers[--p->nfds]);
	if (p->flags[i] & PAST_EXTRA) {
		for (uint32_t k = first_extra(p, i); k < p->nextras && p->extras[k].event == i; k++) {
			if (p->extras[k].copy)
				continue;
			own &= p->extras[k].number != p->fdnum[i];
			show_fd(p, p->extras[k].number, p->extras[k].fd);
		}
	}
	if (own && p->fdnum[i] >= 0)
		show_fd(p, p->fdnum[i], p->fd[i]);
	if (std)
		show_std(p, &p->views[p->view[i]]);
	holder = t->flags & THREAD_CLONE_FILES ? thread_main(p->st.threads, t) : t;
	if (holder)
		holder->fds = p->fds;
}

/* ------------------------------------------------------------------ its bytes */

static void show_side(const struct past_side *side, struct evt *e)
{
	const uint8_t *from = (const uint8_t *)&side->len[side->nparams];

	e->h.ts = side->ts;
	e->h.tid = side->tid;
	e->h.code = side->code;
	e->h.cpu = side->cpu;
	e->h.nparams = side->nparams;
	for (uint32_t k = 0; k < side->nparams; k++) {
		e->param[k] = (struct param){ from, side->len[k] };
		from += side->len[k];
	}
}

static void show_block(struct past *p, uint32_t at, struct evt *e)
{
	uint16_t cpu;
	const struct event_hdr *h = scap_event_header(p->image.mem + at, &cpu);

	e->h.ts = h->ts;
	e->h.tid = (int64_t)h->tid;
	e->h.code = h->type;
	e->h.cpu = cpu;
	e->h.nparams = params_again(h, e->param);
}

static uint64_t first_ts(const struct past *p, uint32_t i)
{
	for (uint32_t k = p->nsince; k--;)
		if (p->since[k].event <= i)
			return p->since[k].first_ts;
	return 0;
}

void past_show_to(struct past *p, struct ruleset *rules)
{
	struct threads *threads = p->st.threads;

	p->st = *engine_state(p->eng);
	p->st.threads = threads;
	p->evt.st = &p->st;
	p->evt.rules = rules;
	if (rules)
		ruleset_forget(rules);
}

void past_show(struct past *p, uint32_t i, uint32_t wants)
{
	struct evt *e = &p->evt;
	uint8_t flags = p->flags[i];
	struct thread *t;

	arena_reset(&p->scratch);
	ruleset_next_event(e->rules, e);
	p->st.first_ts = first_ts(p, i);
	if (flags & PAST_SIDE)
		show_side(past_side_at(p, p->at[i]), e);
	else
		show_block(p, p->at[i], e);
	e->h.num = (uint64_t)i + 1;
	e->info = event_row(e->h.code);
	event_find_syscall(e);
	e->uses_fd = e->info->flags & (EF_USES_FD | EF_CREATES_FD | EF_DESTROYS_FD);
	e->fd_replaced = flags & PAST_FD_REPLACED;
	e->fd_name_changed = flags & PAST_FD_RENAMED;
	e->fd = p->fd[i] >= PAST_FIRST_FD ? p->recs[p->fd[i]] : NULL;
	e->fdnum = p->fdnum[i];
	show_threads(p, p->view[i], wants & SHOW_LINEAGE);
	t = p->view[i] ? &p->copies[p->members[p->views[p->view[i]].first].copy]->t : NULL;
	e->thread = flags & PAST_HAS_THREAD ? t : NULL;
	if ((t && !e->thread) || flags & PAST_THREADS)
		show_numbered(p, i, t);
	if (!t)
		return;
	t->last_fd = e->fdnum;
	t->fds = NULL;
	if (wants & (SHOW_FDS | SHOW_STD) || p->fd[i] == PAST_NO_RECORD)
		show_fds(p, i, t, wants & SHOW_STD);
}

uint64_t past_ts(const struct past *p, uint32_t i)
{
	if (p->flags[i] & PAST_SIDE)
		return past_side_at(p, p->at[i])->ts;
	uint16_t cpu;
	return scap_event_header(p->image.mem + p->at[i], &cpu)->ts;
}
