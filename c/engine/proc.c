/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../err.h"
#include "../map.h"
#include "parse.h"
#include "state.h"

struct threads {
	struct state *st;
	struct map by_tid, groups;	/* tid -> thread, pid -> thread_group */
	uint32_t max;
	uint64_t overflow, last_gen, changes;
	struct image *unknown;		/* what placeholders show */
};

/* ------------------------------------------------------------------ images */

struct image *image_new(struct threads *t, const struct image_parts *p)
{
	struct intern *strings = t->st->strings;
	struct image *image = malloc(sizeof *image);

	if (!image)
		return NULL;
	*image = (struct image){
		.refs = 1, .flags = p->flags, .ino = p->ino, .ctime = p->ctime, .mtime = p->mtime,
		.comm = intern_get(strings, p->comm), .exe = intern_get(strings, p->exe),
		.exepath = intern_get(strings, p->exepath), .args = intern_get(strings, p->args),
		.env = intern_get(strings, p->env), .cgroups = intern_get(strings, p->cgroups),
	};
	image->container = containers_place(t->st->containers, image->cgroups, p->cgroups);
	return image;
}

void image_drop(struct threads *t, struct image *image)
{
	struct intern *strings = t->st->strings;

	if (!image || --image->refs)
		return;
	intern_drop(strings, image->comm);
	intern_drop(strings, image->exe);
	intern_drop(strings, image->exepath);
	intern_drop(strings, image->args);
	intern_drop(strings, image->env);
	intern_drop(strings, image->cgroups);
	container_drop(t->st->containers, image->container);
	free(image);
}

struct image_parts image_parts(const struct image *i)
{
	return (struct image_parts){
		.comm = istr_str(i->comm), .exe = istr_str(i->exe), .exepath = istr_str(i->exepath),
		.args = istr_str(i->args), .env = istr_str(i->env), .cgroups = istr_str(i->cgroups),
		.flags = i->flags, .ino = i->ino, .ctime = i->ctime, .mtime = i->mtime,
	};
}

void thread_set_image(struct threads *t, struct thread *thread, struct image *image)
{
	if (!image) {		/* out of memory: nothing known is better than what no longer holds */
		t->overflow++;
		image = t->unknown;
		image->refs++;
	}
	image_drop(t, thread->image);
	thread->image = image;
	t->changes++;
}

void thread_set_text(struct threads *t, struct istr **at, struct str s)
{
	struct istr *fresh = intern_get(t->st->strings, s);

	intern_drop(t->st->strings, *at);	/* s may be a part of it */
	*at = fresh;
}

/* ------------------------------------------------------------------ the table */

struct threads *threads_new(struct state *st, uint32_t max_threads)
{
	struct threads *t = calloc(1, sizeof *t);
	struct image_parts unknown = { .comm = STR("<NA>"), .exe = STR("<NA>") };

	if (!t)
		return NULL;
	t->st = st;
	t->max = max_threads;
	t->unknown = image_new(t, &unknown);
	if (!t->unknown) {
		free(t);
		return NULL;
	}
	return t;
}

void threads_free(struct threads *t)
{
	if (!t)
		return;
	threads_clear(t);
	image_drop(t, t->unknown);
	free(t);
}

struct thread *thread_find(const struct threads *t, int64_t tid)
{
	return map_get(&t->by_tid, (uint64_t)tid);
}

uint32_t threads_count(const struct threads *t)
{
	return t->by_tid.n;
}

uint64_t threads_changes(const struct threads *t)
{
	return t->changes;
}

bool threads_show(struct threads *t, struct thread *thread)
{
	return map_put(&t->by_tid, (uint64_t)thread->tid, thread);
}

void threads_hide(struct threads *t)
{
	if (t->by_tid.n)
		memset(t->by_tid.slots, 0, t->by_tid.cap * sizeof *t->by_tid.slots);
	t->by_tid.n = 0;
}

uint64_t threads_overflow(const struct threads *t)
{
	return t->overflow;
}

bool thread_next(const struct threads *t, uint32_t *pos, struct thread **thread)
{
	uint64_t tid;
	return map_next(&t->by_tid, pos, &tid, thread);
}

struct thread *thread_new(struct threads *t, int64_t tid)
{
	struct thread *thread = calloc(1, sizeof *thread);

	if (!thread) {
		t->overflow++;
		return NULL;
	}
	*thread = (struct thread){
		.tid = tid, .pid = -1, .ptid = -1, .vtid = -1, .vpid = -1, .sid = -1, .vpgid = -1, .pgid = -1,
		.uid = UINT32_MAX, .gid = UINT32_MAX, .loginuid = UINT32_MAX, .fdlimit = -1,
		.gen = ++t->last_gen, .image = t->unknown, .last_code = UINT32_MAX,
	};
	t->unknown->refs++;
	return thread;
}

void thread_discard(struct threads *t, struct thread *thread)
{
	image_drop(t, thread->image);
	intern_drop(t->st->strings, thread->cwd);
	intern_drop(t->st->strings, thread->root);
	fdtable_drop(t->st->fds, thread->fds);
	stored_free(t->st, thread->stored);
	free(thread);
}

/* ------------------------------------------------------------------ groups */

static struct thread_group *group_get(struct threads *t, const struct thread *thread)
{
	struct thread_group *g = map_get(&t->groups, (uint64_t)thread->pid);

	if (g)
		return g;
	g = calloc(1, sizeof *g);
	if (!g || !map_put(&t->groups, (uint64_t)thread->pid, g)) {
		free(g);
		t->overflow++;
		return NULL;
	}
	g->pid = thread->pid;
	g->reaper = thread->pid == 1 || thread->vpid == 1;
	return g;
}

static void group_join(struct thread_group *g, struct thread *thread)
{
	bool first = thread_is_main(thread);
	struct thread *next = first ? g->first : NULL, *prev = first ? NULL : g->last;

	thread->group = g;
	thread->next_in_group = next;
	thread->prev_in_group = prev;
	*(next ? &next->prev_in_group : &g->last) = thread;
	*(prev ? &prev->next_in_group : &g->first) = thread;
	g->alive += !(thread->flags & THREAD_DEAD);	/* a capture that we wrote lists dead leaders of live threads */
}

static void group_leave(struct threads *t, struct thread *thread)
{
	struct thread_group *g = thread->group;

	if (!g)
		return;
	*(thread->next_in_group ? &thread->next_in_group->prev_in_group : &g->last) = thread->prev_in_group;
	*(thread->prev_in_group ? &thread->prev_in_group->next_in_group : &g->first) = thread->next_in_group;
	thread->group = NULL;
	if (!g->first) {
		map_take(&t->groups, (uint64_t)g->pid);
		free(g);
	}
}

static struct thread *group_any_alive(const struct thread_group *g, const struct thread *except)
{
	if (!g || !g->alive)
		return NULL;
	for (struct thread *thread = g->first; thread; thread = thread->next_in_group)
		if (!(thread->flags & THREAD_DEAD) && thread != except)
			return thread;
	return NULL;
}

/* ------------------------------------------------------------------ families */

static void leave_parent(struct thread *child)
{
	struct thread *parent = child->parent;

	if (!parent)
		return;
	if (child->next_sibling)
		child->next_sibling->prev_sibling = child->prev_sibling;
	*(child->prev_sibling ? &child->prev_sibling->next_sibling : &parent->child) = child->next_sibling;
	child->parent = child->next_sibling = child->prev_sibling = NULL;
}

static void join_parent(struct thread *parent, struct thread *child)
{
	leave_parent(child);
	child->parent = parent;
	child->ptid = parent->tid;
	child->next_sibling = parent->child;
	if (parent->child)
		parent->child->prev_sibling = child;
	parent->child = child;
}

void thread_adopt(struct threads *t, struct thread *thread)
{
	struct thread_group *g;

	t->changes++;
	if (thread_is_placeholder(thread) || thread->group || !(g = group_get(t, thread)))
		return;
	group_join(g, thread);
	if (thread->pid == 1)
		return;

	struct thread *parent = thread_find(t, thread->ptid);
	if (parent && parent != thread && !thread_is_placeholder(parent))
		join_parent(parent, thread);
	else
		thread->ptid = 0;
}

/* Frees a thread. Children stay without one to look after them, as after a lost exit event. */
static void destroy(struct threads *t, struct thread *thread)
{
	t->changes++;
	thread_kill(thread);
	map_take(&t->by_tid, (uint64_t)thread->tid);
	leave_parent(thread);
	while (thread->child)
		leave_parent(thread->child);
	group_leave(t, thread);
	thread_discard(t, thread);
}

bool thread_insert(struct threads *t, struct thread *thread, bool adopt)
{
	struct thread *old = thread_find(t, thread->tid);

	if (!old && t->by_tid.n >= t->max) {
		t->overflow++;
		thread_discard(t, thread);
		return false;
	}
	t->changes++;
	if (old)
		destroy(t, old);
	if (!map_put(&t->by_tid, (uint64_t)thread->tid, thread)) {
		t->overflow++;
		thread_discard(t, thread);
		return false;
	}
	if (adopt)
		thread_adopt(t, thread);
	return true;
}

struct thread *thread_get(struct threads *t, int64_t tid)
{
	struct thread *thread = thread_find(t, tid);

	if (thread)
		return thread;
	thread = thread_new(t, tid);
	return thread && thread_insert(t, thread, false) ? thread : NULL;
}

void thread_kill(struct thread *thread)
{
	if (thread->group && !(thread->flags & THREAD_DEAD))
		thread->group->alive--;
	thread->flags |= THREAD_DEAD;
}

/*
 * Who takes the children: a live sibling thread, else the closest ancestor process that is marked as a reaper, unless a
 * border between pid namespaces is met first. The walk is bounded: ancestors may form a loop in a broken capture.
 */
static struct thread *find_reaper(const struct threads *t, const struct thread *thread)
{
	struct thread *heir = group_any_alive(thread->group, thread);

	if (heir)
		return heir;
	struct thread *up = thread_find(t, thread->ptid), *slow = up;
	for (uint32_t step = 1; up; step++) {
		if (up == thread || thread_in_pidns(up) != thread_in_pidns(thread))
			return NULL;
		if (up->group && up->group->reaper && (heir = group_any_alive(up->group, NULL)))
			return heir;
		up = thread_find(t, up->ptid);
		if (step % 2 == 0)
			slow = thread_find(t, slow->ptid);
		if (up == slow)
			return NULL;
	}
	return NULL;
}

static void reparent(struct threads *t, struct thread *thread)
{
	struct thread *reaper = thread->reaper_tid > 0 ? thread_get(t, thread->reaper_tid) : NULL;

	t->changes++;
	if (!reaper || thread_is_placeholder(reaper))
		reaper = find_reaper(t, thread);
	if (reaper == thread)
		reaper = NULL;
	if (reaper && reaper->group && reaper->pid != thread->pid)
		reaper->group->reaper = true;
	while (thread->child) {
		struct thread *child = thread->child;

		leave_parent(child);
		child->ptid = 0;
		if (reaper && reaper != child)
			join_parent(reaper, child);
	}
	t->st->lineage_epoch++;
}

void thread_remove(struct threads *t, int64_t tid)
{
	struct thread *thread = thread_find(t, tid);

	if (!thread)
		return;
	if (!thread->group) {
		destroy(t, thread);
		return;
	}
	thread_kill(thread);
	t->changes++;
	if (thread->child)
		reparent(t, thread);

	bool is_main = thread_is_main(thread), last = thread->group->alive == 0;
	struct thread *leader = thread_find(t, thread->pid);
	if (last && leader && leader != thread)
		destroy(t, leader);
	if (!is_main || last)
		destroy(t, thread);
}

void threads_clear(struct threads *t)
{
	struct thread *thread;

	for (uint32_t pos = 0; thread_next(t, &pos, &thread); pos--)
		destroy(t, thread);	/* the table may move a later thread into its place */
	map_free(&t->by_tid);
	map_free(&t->groups);
}

void thread_touch(struct threads *t, struct thread *thread, bool lineage)
{
	thread->gen = ++t->last_gen;
	t->changes++;
	if (lineage && (thread->child || thread->sid == thread->vpid || thread->vpgid == thread->vpid ||
			thread->pgid == thread->pid || thread->sid == thread->pid))
		t->st->lineage_epoch++;
}

/* ------------------------------------------------------------------ relations */

struct thread *thread_main(const struct threads *t __attribute__((unused)), const struct thread *thread)
{
	if (thread_is_main(thread))
		return (struct thread *)thread;
	if (!thread->group)
		return NULL;
	struct thread *first = thread->group->first;
	return first && thread_is_main(first) ? first : NULL;
}

struct thread *thread_parent(const struct threads *t, const struct thread *thread)
{
	struct thread *leader = thread_main(t, thread), *parent;

	if (!leader || !(parent = thread_find(t, leader->ptid)))
		return NULL;
	return thread_main(t, parent);
}

struct thread *thread_ancestor(const struct threads *t, struct thread *thread, uint32_t n)
{
	struct thread *slow = thread = thread_main(t, thread);

	for (uint32_t i = 1; thread && i <= n; i++) {
		thread = thread_parent(t, thread);
		if (i % 2 == 0)
			slow = thread_parent(t, slow);
		if (thread == slow)
			return NULL;	/* a loop */
	}
	return thread;
}

struct fdtable **thread_fds_slot(const struct threads *t, struct thread *thread)
{
	if (thread->flags & THREAD_CLONE_FILES)
		thread = thread_main(t, thread);
	return thread ? &thread->fds : NULL;
}

struct fdtable *thread_fds(const struct threads *t, const struct thread *thread)
{
	struct fdtable **slot = thread_fds_slot(t, (struct thread *)thread);
	return slot ? *slot : NULL;
}

struct str thread_cwd(const struct threads *t, const struct thread *thread)
{
	struct thread *leader = thread_main(t, thread);
	return leader ? istr_str(leader->cwd) : STR("./");
}
