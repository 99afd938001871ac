/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields that look at other processes: the parent, the ancestors, the leaders of session and group.
 *
 * Two walks exist, because upstream has two and they differ when a process was cloned by a thread that is not the
 * main one: thread_ancestor() steps from main thread to main thread (proc.pname, proc.aname[2]); struct lineage steps
 * from thread to thread (proc.aname without index, proc.sname, proc.loginshellid).
 */
#include "getters.h"
#include "field_proc.h"

static struct thread *up(const struct threads *threads, const struct thread *t)
{
	return t ? thread_find(threads, t->ptid) : NULL;
}

struct lineage lineage_of(const struct evt *e, const struct thread *t)
{
	struct lineage l = { .threads = e->st->threads };

	l.next = up(l.threads, t);
	l.fast = up(l.threads, l.next);
	return l;
}

struct thread *lineage_next(struct lineage *l)
{
	struct thread *t = l->next;

	if (!t || t->tid == -1)
		return NULL;
	l->next = up(l->threads, t);
	/* the fast walker goes two steps: meeting it means that the ancestors form a loop */
	for (int i = 0; i < 2; i++) {
		l->fast = up(l->threads, l->fast);
		if (l->next && (l->next == l->fast || l->next->tid == l->next->ptid))
			l->next = NULL;
	}
	return t;
}

/* ------------------------------------------------------------------ the parent */

int get_parent_text(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e), *parent = t ? thread_parent(c->e->st->threads, t) : NULL;
	struct str s;

	return parent && proc_text(c->e, parent, c->variant, &s) && value_str(v, s);
}

/* These two ask the thread that made this one, not its main thread. */
int get_proc_pvpid(const struct field_ctx *c, struct value *v)
{
	struct thread *parent = up(c->e->st->threads, evt_thread(c->e));
	return parent && value_int(v, parent->vpid);
}

int get_parent_ts(const struct field_ctx *c, struct value *v)
{
	struct thread *parent = up(c->e->st->threads, evt_thread(c->e));
	return parent && value_uint(v, parent->clone_ts);
}

/* ------------------------------------------------------------------ all ancestors */

/* Fills the value of one ancestor for a comparison that tries them all. false: out of scratch memory. */
typedef bool (*item_fn)(const struct field_ctx *c, const struct thread *t, struct value *item);

static bool text_item(const struct field_ctx *c, const struct thread *t, struct value *item)
{
	struct str s;

	return proc_text(c->e, t, c->variant, &s) && value_str(item, s);
}

static bool pid_item(const struct field_ctx *c, const struct thread *t, struct value *item)
{
	return value_int(item, t->pid);
}

static bool env_item(const struct field_ctx *c, const struct thread *t, struct value *item)
{
	struct str s;

	return proc_text(c->e, t, TEXT_ENV, &s) && value_str(item, s);
}

/* A list with one item for each ancestor; missing if there is none. */
static int ancestors_list(const struct field_ctx *c, struct value *v, item_fn fill)
{
	struct thread *t, *leader = thread_main(c->e->st->threads, evt_thread(c->e));
	struct value *items;
	uint32_t n = 0;

	if (!leader)
		return 0;
	for (struct lineage l = lineage_of(c->e, leader); lineage_next(&l); n++)
		if (n == UINT16_MAX)
			return 0;
	if (!n || !(items = arena_get(c->e->scratch, n * sizeof *items)))
		return 0;
	n = 0;
	for (struct lineage l = lineage_of(c->e, leader); (t = lineage_next(&l)); n++) {
		items[n] = (struct value){ .type = v->type, .format = v->format };
		if (!fill(c, t, &items[n]))
			return 0;
	}
	v->flags |= VALUE_LIST;
	v->p = items;
	v->num.n = n;
	return 1;
}

/* The texts of all ancestors with blanks between; missing if nothing comes together. */
static int ancestors_text(const struct field_ctx *c, struct value *v, enum proc_text part)
{
	struct thread *t, *leader = thread_main(c->e->st->threads, evt_thread(c->e));
	struct compose all = { .arena = c->e->scratch };
	struct str s;

	if (!leader)
		return 0;
	for (struct lineage l = lineage_of(c->e, leader); (t = lineage_next(&l));) {
		if (!proc_text(c->e, t, part, &s))
			return 0;
		if (all.len)
			compose_bytes(&all, " ", 1);
		compose_str(&all, s);
	}
	return all.len && value_composed(v, &all);
}

static int ancestor_text(const struct field_ctx *c, struct value *v, enum proc_text part)
{
	struct thread *t = thread_ancestor(c->e->st->threads, evt_thread(c->e), c->arg->index);
	struct str s;

	return t && proc_text(c->e, t, part, &s) && value_str(v, s);
}

static bool has_index(const struct field_ctx *c)
{
	return c->arg->given && c->arg->is_index;
}

int get_ancestor_text(const struct field_ctx *c, struct value *v)
{
	if (!evt_thread(c->e))
		return 0;
	if (has_index(c))
		return ancestor_text(c, v, c->variant);
	return c->compare ? ancestors_list(c, v, text_item) : ancestors_text(c, v, c->variant);
}

int get_ancestor_args(const struct field_ctx *c, struct value *v)
{
	if (!evt_thread(c->e))
		return 0;
	return has_index(c) ? ancestor_text(c, v, TEXT_ARGS) : ancestors_text(c, v, TEXT_ARGS);
}

int get_ancestor_pid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	if (!has_index(c) && c->compare)
		return ancestors_list(c, v, pid_item);
	t = thread_ancestor(c->e->st->threads, t, has_index(c) ? c->arg->index : 0);
	return t && t->pid >= -1 && t->pid <= UINT32_MAX && value_int(v, t->pid);
}

/* One variable of the closest ancestor that sets it, at most this far up. */
enum { ENV_LEVELS = 20 };

static int inherited_variable(const struct evt *e, const struct thread *t, struct str name, struct value *v)
{
	struct str s = { 0 };

	t = thread_main(e->st->threads, t);
	for (int i = 0; i < ENV_LEVELS && !s.len && (t = up(e->st->threads, t)); i++)
		s = env_get(e, t, name);
	return value_str(v, s);
}

int get_ancestor_env(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct str s = { 0 };

	if (!t)
		return 0;
	if (c->arg->given && !c->arg->is_index && c->arg->key.len)
		return inherited_variable(c->e, t, c->arg->key, v);
	if (c->compare)
		return ancestors_list(c, v, env_item);

	uint32_t level = has_index(c) ? c->arg->index : 0;
	if (level > threads_count(c->e->st->threads))
		return 0;
	if (level && !(t = thread_main(c->e->st->threads, t)))
		return value_str(v, s);
	while (t && level--)
		t = up(c->e->st->threads, t);
	return t && proc_text(c->e, t, TEXT_ENV, &s) && value_str(v, s);
}

/* ------------------------------------------------------------------ leaders */

static int64_t leader_id(const struct thread *t, uint32_t kind)
{
	return kind == LEADER_SID ? t->sid : kind == LEADER_VPGID ? t->vpgid : t->pgid;
}

/*
 * The leader of a session or group is the thread whose number the id is. In a pid namespace sid and vpgid are numbers
 * of that namespace and lead nowhere: there, and when the leader is gone, the eldest of the ancestors that share the
 * id without a gap stands in.
 */
static struct thread *find_leader(const struct evt *e, const struct thread *t, uint32_t kind)
{
	int64_t id = leader_id(t, kind);
	struct thread *leader = NULL, *above;

	if (id == -1)
		return NULL;
	if (kind == LEADER_PGID || !thread_in_pidns(t))
		leader = thread_find(e->st->threads, id);
	if (leader)
		return leader;
	for (struct lineage l = lineage_of(e, t); (above = lineage_next(&l)) && leader_id(above, kind) == id;)
		leader = above;
	return leader;
}

int get_leader_text(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e), *leader = t ? find_leader(c->e, t, c->variant & LEADER_MASK) : NULL;
	struct str s = { 0 };

	if (!t || (leader && !proc_text(c->e, leader, c->variant & ~LEADER_MASK, &s)))
		return 0;
	return value_str(v, s);
}

int get_loginshellid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e), *shell = NULL;

	if (!t || !(t = thread_main(c->e->st->threads, t)))
		return 0;
	for (struct lineage l = lineage_of(c->e, t); t; t = lineage_next(&l))
		if (str_ends(thread_comm(t), STR("sh")))
			shell = t;
	return shell && value_int(v, shell->pid);
}
