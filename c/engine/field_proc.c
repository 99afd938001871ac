/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a process itself: its texts and numbers. Ancestors: field_ancestor.c; threads: field_thread.c. */
#include "getters.h"
#include "field_proc.h"

/* ------------------------------------------------------------------ texts */

uint32_t items_count(struct str blob)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < blob.len; i++)
		n += !blob.p[i];
	return blob.len ? n : 0;
}

struct str items_cut(struct str *rest)
{
	const char *end = rest->len ? memchr(rest->p, 0, rest->len) : NULL;
	struct str item = { rest->p, end ? (uint32_t)(end - rest->p) : rest->len };
	uint32_t gone = end ? item.len + 1 : rest->len;

	*rest = (struct str){ rest->p + gone, rest->len - gone };
	return item;
}

static struct str items_get(struct str blob, uint32_t index)
{
	struct str item = { 0 }, rest = blob;

	if (index < items_count(blob))
		for (uint32_t i = 0; i <= index; i++)
			item = items_cut(&rest);
	return item;
}

static void compose_items(struct compose *c, struct str blob)
{
	struct str rest = blob;

	for (uint32_t left = items_count(blob); left; left--) {
		compose_str(c, items_cut(&rest));
		if (left > 1)
			compose_bytes(c, " ", 1);
	}
}

/* The environment is kept with the main thread. */
static struct str thread_env(const struct evt *e, const struct thread *t)
{
	struct thread *leader = thread_main(e->st->threads, t);
	return istr_str((leader ? leader : t)->image->env);
}

static void compose_cmdline(struct compose *c, struct str first, struct str args, bool always_blank)
{
	compose_str(c, first);
	if (always_blank || items_count(args))
		compose_bytes(c, " ", 1);
	compose_items(c, args);
}

bool proc_text(const struct evt *e, const struct thread *t, enum proc_text part, struct str *out)
{
	const struct image *image = t->image;
	struct compose c = { .arena = e->scratch };

	switch (part) {
	case TEXT_NAME:
		*out = istr_str(image->comm);
		return true;
	case TEXT_EXE:
		*out = istr_str(image->exe);
		return true;
	case TEXT_EXEPATH:
		*out = istr_str(image->exepath);
		return true;
	case TEXT_CWD:
		*out = thread_cwd(e->st->threads, t);
		return true;
	case TEXT_ARGS:
		compose_items(&c, istr_str(image->args));
		break;
	case TEXT_ENV:
		compose_items(&c, thread_env(e, t));
		break;
	case TEXT_CMDLINE:
		compose_cmdline(&c, istr_str(image->comm), istr_str(image->args), false);
		break;
	case TEXT_EXELINE:
		compose_cmdline(&c, istr_str(image->exe), istr_str(image->args), true);
		break;
	default:
		return false;
	}
	*out = (struct str){ c.p, c.len };
	return !c.failed;
}

int get_proc_text(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct str s;

	return t && proc_text(c->e, t, c->variant, &s) && value_str(v, s);
}

int get_proc_args(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct str s;

	if (!t)
		return 0;
	if (c->arg->given && c->arg->is_index)
		return value_str(v, items_get(istr_str(t->image->args), c->arg->index));
	return proc_text(c->e, t, TEXT_ARGS, &s) && value_str(v, s);
}

struct str env_get(const struct evt *e, const struct thread *t, struct str name)
{
	struct str rest = thread_env(e, t);

	while (rest.len) {
		struct str item = items_cut(&rest);

		/* a variable set to nothing does not count, here as upstream */
		if (item.len <= name.len + 1 || item.p[name.len] != '=' || memcmp(item.p, name.p, name.len))
			continue;
		item.p += name.len + 1;
		item.len -= name.len + 1;
		for (; item.len && item.p[0] == ' '; item.len--)
			item.p++;
		for (; item.len && item.p[item.len - 1] == ' ';)
			item.len--;
		return item;
	}
	return (struct str){ 0 };
}

int get_proc_env(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct str s;

	if (!t)
		return 0;
	if (c->arg->given && !c->arg->is_index && c->arg->key.len)
		return value_str(v, env_get(c->e, t, c->arg->key));
	return proc_text(c->e, t, TEXT_ENV, &s) && value_str(v, s);
}

/* ------------------------------------------------------------------ numbers */

/* Process ids beyond 32 bits are no ids. */
static int value_pid(struct value *v, int64_t pid)
{
	return pid >= -1 && pid <= UINT32_MAX && value_int(v, pid);
}

int get_proc_pid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_pid(v, t->pid);
}

int get_proc_ppid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e), *parent = t ? thread_parent(c->e->st->threads, t) : NULL;
	return parent && value_pid(v, parent->pid);
}

int get_thread_tid(const struct field_ctx *c, struct value *v)
{
	return value_pid(v, c->e->h.tid);
}

/* The member of struct thread at the offset that the row names. */
#define MEMBER(t, type, offset) (*(const type *)((const char *)(t) + (offset)))

int get_thread_i64(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_int(v, MEMBER(t, int64_t, c->variant));
}

int get_thread_u64(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_uint(v, MEMBER(t, uint64_t, c->variant));
}

int get_thread_u32(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_uint(v, MEMBER(t, uint32_t, c->variant));
}

int get_thread_vid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && MEMBER(t, int64_t, c->variant) != -1 && value_int(v, MEMBER(t, int64_t, c->variant));
}

int get_thread_time(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && MEMBER(t, uint64_t, c->variant) && value_uint(v, MEMBER(t, uint64_t, c->variant));
}

int get_is_leader(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	return value_uint(v, c->variant == LEADER_SID ? t->sid == t->vpid
			   : c->variant == LEADER_VPGID ? t->vpgid == t->vpid : t->pgid == t->pid);
}

/* Descriptors that the process has open; 0 if its main thread is not known. */
static uint64_t fd_count(const struct evt *e, const struct thread *t)
{
	struct thread *leader = thread_main(e->st->threads, t);
	return leader ? fdtable_count(leader->fds) : 0;
}

static uint64_t other_threads(const struct evt *e, const struct thread *t)
{
	struct thread *leader = thread_main(e->st->threads, t);
	uint32_t alive = thread_group_alive(t);

	return alive && leader && !(leader->flags & THREAD_DEAD) ? alive - 1 : alive;
}

int get_proc_count(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct str args;

	if (!t)
		return 0;
	args = istr_str(t->image->args);
	switch ((enum proc_count)c->variant) {
	case COUNT_FDS:
		return value_uint(v, fd_count(c->e, t));
	case COUNT_THREADS:
		return value_uint(v, thread_group_alive(t));
	case COUNT_OTHER_THREADS:
		return value_uint(v, other_threads(c->e, t));
	case COUNT_ARGS:
		return value_uint(v, items_count(args));
	case COUNT_ARG_BYTES:
		return value_uint(v, items_count(args) ? args.len - (items_count(args) - 1) : 0);
	}
	return 0;
}

static int64_t fd_limit(const struct evt *e, const struct thread *t)
{
	struct thread *leader = thread_main(e->st->threads, t);
	return leader ? leader->fdlimit : 0;
}

int get_fdlimit(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_int(v, fd_limit(c->e, t));
}

int get_fdusage(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	int64_t limit = fd_limit(c->e, t);
	double share = limit > 0 ? (double)fd_count(c->e, t) * 100 / (double)limit : 0;
	v->num.d = share > 100 ? 100 : share;
	return 1;
}

int get_proc_duration(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && t->clone_ts && value_uint(v, c->e->h.ts - t->clone_ts);
}

int get_parent_duration(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e), *parent = t ? thread_parent(c->e->st->threads, t) : NULL;

	if (!parent)
		return 0;
	/* upstream gives the number of descriptors when the start is not known; rules written there count on it */
	return value_uint(v, parent->clone_ts ? c->e->h.ts - parent->clone_ts : fd_count(c->e, t));
}

/* ------------------------------------------------------------------ the executable */

int get_exe_flag(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_uint(v, (t->image->flags & c->variant) != 0);
}

int get_exe_ino(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && t->image->ino && value_uint(v, t->image->ino);
}

int get_exe_time(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	uint64_t ctime = t->image->ctime, mtime = t->image->mtime;
	switch ((enum exe_time)c->variant) {
	case EXE_CTIME:
		return ctime && value_uint(v, ctime);
	case EXE_MTIME:
		return mtime && value_uint(v, mtime);
	case EXE_CTIME_TO_START:
		return ctime && t->clone_ts && ctime != t->clone_ts && value_uint(v, t->clone_ts - ctime);
	case EXE_PIDNS_TO_CTIME:
		return t->pidns_start_ts && ctime > t->pidns_start_ts && value_uint(v, ctime - t->pidns_start_ts);
	}
	return 0;
}
