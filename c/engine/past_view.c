/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event sees of threads, copied.
 *
 * A thread's copy holds while its gen and its parent's number stay (gen covers all fields of scope self). Its view, which has its
 * descriptors 0 to 2 as well, holds while no thread at all changes, and no such descriptor; after that what it consists of is
 * looked up anew, and mostly is the same.
 */
#include "../array.h"
#include "past.h"

enum { MOST_MEMBERS = 64 };

/* ------------------------------------------------------------------ images */

static struct istr *text_copy(struct past *p, struct istr *s)
{
	return intern_get(p->strings, istr_str(s));
}

static uint32_t image_of(struct past *p, struct image *from)
{
	struct image *m;

	if (from->past)
		return from->past;
	if (!array_room(&p->images, p->nimages, &p->images_cap, sizeof *p->images) || !(m = room_get(&p->pieces, sizeof *m)))
		return 0;
	*m = (struct image){
		.refs = 1, .flags = from->flags, .ino = from->ino, .ctime = from->ctime, .mtime = from->mtime,
		.comm = text_copy(p, from->comm), .exe = text_copy(p, from->exe), .exepath = text_copy(p, from->exepath),
		.args = text_copy(p, from->args), .env = text_copy(p, from->env), .cgroups = text_copy(p, from->cgroups),
		.container = from->container,
	};
	if (m->container)
		m->container->refs++;
	p->images[p->nimages] = m;
	return from->past = p->nimages++;
}

/* ------------------------------------------------------------------ threads */

static bool same(const struct past_copy *c, const struct thread *t)
{
	return c->t.gen == t->gen && c->t.ptid == t->ptid && c->in_group == (t->group != NULL) &&
	       ((c->t.flags ^ t->flags) & THREAD_DEAD) == 0 &&
	       /* of a group only the main thread's copy tells how many there are: else each new thread made new ones of all */
	       (c->alive == thread_group_alive(t) || !thread_is_main(t));
}

uint32_t past_copy_of(struct past *p, struct thread *t)
{
	struct past_copy *c;
	uint32_t image;

	if (t->past_copy && same(p->copies[t->past_copy], t))
		return t->past_copy;
	if (!array_room(&p->copies, p->ncopies, &p->copies_cap, sizeof *p->copies) || !(image = image_of(p, t->image)) ||
	    !(c = room_get(&p->pieces, sizeof *c)))
		return 0;
	*c = (struct past_copy){ .t = *t, .in_group = t->group, .alive = thread_group_alive(t) };
	c->t.image = p->images[image];
	c->t.cwd = t->cwd ? text_copy(p, t->cwd) : NULL;
	c->t.root = t->root ? text_copy(p, t->root) : NULL;
	c->t.fds = NULL;
	c->t.stored = NULL;
	c->t.parent = c->t.child = c->t.next_sibling = c->t.prev_sibling = c->t.next_in_group = c->t.prev_in_group = NULL;
	c->t.group = NULL;
	p->copies[p->ncopies] = c;
	return t->past_copy = p->ncopies++;
}

/* ------------------------------------------------------------------ views */

struct circle {
	struct thread *t[MOST_MEMBERS];
	uint32_t n;
	bool partial;
};

static void circle_add(struct circle *c, struct thread *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < c->n; i++)
		if (c->t[i] == t)
			return;
	if (c->n == MOST_MEMBERS)
		c->partial = true;
	else
		c->t[c->n++] = t;
}

/* All that fields of this thread may reach: see the walks in field_ancestor.c. */
static void circle_fill(struct circle *c, const struct threads *threads, struct thread *t)
{
	circle_add(c, t);
	for (uint32_t i = 0; i < c->n; i++) {
		circle_add(c, thread_main(threads, c->t[i]));
		circle_add(c, thread_find(threads, c->t[i]->ptid));
	}
	circle_add(c, thread_find(threads, t->sid));
	circle_add(c, thread_find(threads, t->vpgid));
	circle_add(c, thread_find(threads, t->pgid));
	for (uint32_t i = 0; i < c->n; i++)
		circle_add(c, thread_main(threads, c->t[i]));
}

/* Its first three descriptors. false: out of memory. */
static bool std_of(struct past *p, const struct thread *t, uint32_t std[3])
{
	const struct fdtable *fds = thread_fds(engine_state(p->eng)->threads, t);

	for (int64_t fd = 0; fd < 3; fd++) {
		struct fd_rec *rec = fdtable_get(fds, fd);

		std[fd] = rec ? past_rec_of(p, rec) : PAST_NO_RECORD;
		if (rec && !std[fd])
			return false;
	}
	return true;
}

static uint32_t view_add(struct past *p, const struct past_view *view, const struct past_member *members)
{
	for (uint32_t i = 0; i < view->n; i++) {
		if (!array_room(&p->members, p->nmembers, &p->members_cap, sizeof *p->members))
			return 0;
		p->members[p->nmembers++] = members[i];
	}
	if (!array_room(&p->views, p->nviews, &p->views_cap, sizeof *p->views))
		return 0;
	p->views[p->nviews] = *view;
	p->views[p->nviews].first = p->nmembers - view->n;
	return p->nviews++;
}

static bool view_is(const struct past *p, uint32_t view, const struct past_view *now, const struct past_member *members)
{
	const struct past_view *v = &p->views[view];

	return view && v->n == now->n && v->partial == now->partial && memcmp(v->std_seen, now->std_seen, sizeof v->std_seen) == 0 &&
	       memcmp(p->members + v->first, members, v->n * sizeof *members) == 0;
}

uint32_t past_view_of(struct past *p, const struct state *st, struct thread *t)
{
	struct past_member members[MOST_MEMBERS];
	struct past_view view;
	uint64_t changes = threads_changes(st->threads) + fds_std_changes(st->fds);
	struct circle c;

	if (!t)
		return 0;
	if (t->past_view && t->past_changes == changes)
		return t->past_view;
	c.n = 0;
	c.partial = false;
	circle_fill(&c, st->threads, t);
	for (uint32_t i = 0; i < c.n; i++) {
		struct thread *leader = thread_main(st->threads, c.t[i]);

		members[i] = (struct past_member){ past_copy_of(p, c.t[i]), leader ? past_copy_of(p, leader) : 0 };
		if (!members[i].copy || (leader && !members[i].leader))
			return 0;
	}
	view = (struct past_view){ .n = c.n, .partial = c.partial };
	if (!std_of(p, t, view.std_seen))
		return 0;
	if (!view_is(p, t->past_view, &view, members))
		t->past_view = view_add(p, &view, members);
	t->past_changes = changes;
	return t->past_view;
}
