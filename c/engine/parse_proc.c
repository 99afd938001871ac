/* SPDX-License-Identifier: Apache-2.0 */
/* What process events do to the thread table: clone, exec, exit, and changes of a thread's own attributes. */
#include <stdlib.h>
#include "../map.h"
#include "parse.h"
#include "path.h"

enum { NS_PER_S = 1000000000 };

/* A child's exit may be seen before its parent's clone return; a view of a clone older than this is another clone. */
#define CLONE_STALE_NS (2ull * NS_PER_S)

/* ------------------------------------------------------------------ exits of the last seconds */

enum { RECENT_EXITS = 8192 };

/* Ring of (parent, child) pairs with the time of the exit, and an index into it. */
struct recent {
	struct recent_exit {
		uint64_t key, ts;
	} ring[RECENT_EXITS];
	uint32_t next;
	struct map index;	/* key -> its latest ring entry */
};

static uint64_t recent_key(int64_t ptid, int64_t tid)
{
	return (uint64_t)(uint32_t)ptid << 32 | (uint32_t)tid;
}

static void recent_add(struct state *st, int64_t ptid, int64_t tid, uint64_t ts)
{
	struct recent *r = st->recent;

	if (!r && !(r = st->recent = calloc(1, sizeof *r)))
		return;
	struct recent_exit *slot = &r->ring[r->next++ % RECENT_EXITS];
	if (map_get(&r->index, slot->key) == slot)
		map_take(&r->index, slot->key);
	*slot = (struct recent_exit){ recent_key(ptid, tid), ts };
	map_put(&r->index, slot->key, slot);	/* without memory for it the pair is merely not known */
}

static bool recently_exited(const struct state *st, int64_t ptid, int64_t tid, uint64_t ts)
{
	struct recent_exit *x = st->recent ? map_get(&st->recent->index, recent_key(ptid, tid)) : NULL;
	return x && ts >= x->ts && ts - x->ts < CLONE_STALE_NS;
}

void recent_free(struct recent *r)
{
	if (!r)
		return;
	map_free(&r->index);
	free(r);
}

/* ------------------------------------------------------------------ parameters that clone and exec share */

enum clone_param {
	CL_RES, CL_EXE, CL_ARGS, CL_TID, CL_PID, CL_PTID, CL_CWD, CL_FDLIMIT, CL_PGFT_MAJ, CL_PGFT_MIN, CL_VM_SIZE,
	CL_VM_RSS, CL_VM_SWAP, CL_COMM, CL_CGROUPS, CL_FLAGS, CL_UID, CL_GID, CL_VTID, CL_VPID, CL_PIDNS_START,
};

enum exec_param {
	EX_ENV = 15, EX_TTY, EX_VPGID, EX_LOGINUID, EX_FLAGS, EX_CAP_INHERITABLE, EX_CAP_PERMITTED, EX_CAP_EFFECTIVE,
	EX_INO, EX_CTIME, EX_MTIME, EX_UID, EX_EXEPATH, EX_PGID, EX_GID, EX_FILENAME,
};

static void set_memory(const struct evt *e, struct thread *t)
{
	int64_t swap;

	t->fdlimit = param_int_or(e, CL_FDLIMIT, 0);
	if (!param_int(e, CL_VM_SWAP, &swap))
		return;
	t->pfmajor = (uint64_t)param_int_or(e, CL_PGFT_MAJ, 0);
	t->pfminor = (uint64_t)param_int_or(e, CL_PGFT_MIN, 0);
	t->vm_size = (uint32_t)param_int_or(e, CL_VM_SIZE, 0);
	t->vm_rss = (uint32_t)param_int_or(e, CL_VM_RSS, 0);
	t->vm_swap = (uint32_t)swap;
}

/* comm, exe, args (and cgroups) of the event over the image `base` stands for. */
static struct image_parts parts_from(const struct evt *e, struct image_parts base)
{
	struct str cgroups = param_bytes(e, CL_CGROUPS), comm = param_str(e, CL_COMM);

	base.exe = param_text_or_na(e, CL_EXE);
	base.comm = event_param(e, CL_COMM).len && comm.p ? comm : base.exe;
	base.args = blob_trim(param_bytes(e, CL_ARGS));
	if (cgroups.len)
		base.cgroups = blob_trim(cgroups);
	return base;
}

static bool same_str(struct str a, const struct istr *b)
{
	return str_eq(a, istr_str(b));
}

/* The image of `parts`, or `old` once more if it says the same. */
static struct image *image_like(struct threads *t, struct image *old, const struct image_parts *p)
{
	if (same_str(p->comm, old->comm) && same_str(p->exe, old->exe) && same_str(p->exepath, old->exepath) &&
	    same_str(p->args, old->args) && same_str(p->env, old->env) && same_str(p->cgroups, old->cgroups) &&
	    p->flags == old->flags && p->ino == old->ino && p->ctime == old->ctime && p->mtime == old->mtime) {
		old->refs++;
		return old;
	}
	return image_new(t, p);
}

/* ------------------------------------------------------------------ clone, fork, vfork, clone3 */

/* What a child takes over from the thread it is modelled on: its caller, or as its own view knows it, parent or leader. */
static void inherit(struct state *st, struct thread *child, const struct thread *model)
{
	child->sid = model->sid;
	child->vpgid = model->vpgid;
	child->pgid = model->pgid;
	child->tty = model->tty;
	child->loginuid = model->loginuid;
	child->cap_inheritable = model->cap_inheritable;
	child->cap_permitted = model->cap_permitted;
	child->cap_effective = model->cap_effective;
	if (model->root)
		child->root = istr_ref(model->root);
	if (child->flags & THREAD_CLONE_THREAD) {
		child->exec_ts = model->exec_ts;
		return;
	}
	struct fdtable *fds = thread_fds(st->threads, model);
	child->fds = fds ? fdtable_share(st->fds, fds) : NULL;
	thread_set_text(st->threads, &child->cwd, thread_cwd(st->threads, model));
}

static void set_child_image(const struct evt *e, struct thread *child, const struct thread *model)
{
	struct threads *threads = e->st->threads;
	struct image_parts base = { 0 };

	if (model) {
		base = image_parts(model->image);
		/* cgroups come with the event or not at all; the environment is the process's, its main thread has it */
		base.cgroups = (struct str){ 0 };
		if (child->flags & THREAD_CLONE_THREAD)
			base.env = (struct str){ 0 };
	}
	base = parts_from(e, base);
	thread_set_image(threads, child, model ? image_like(threads, model->image, &base) : image_new(threads, &base));
}

/* A placeholder that turns out to be the caller or the leader: give it what the child's view tells about it. */
static void fill_placeholder_image(const struct evt *e, struct thread *t)
{
	struct image_parts p = parts_from(e, image_parts(t->image));

	p.cgroups = istr_str(t->image->cgroups);
	thread_set_image(e->st->threads, t, image_new(e->st->threads, &p));
	thread_touch(e->st->threads, t, true);
}

static void finish_child(struct evt *e, struct thread *child)
{
	set_memory(e, child);
	child->uid = (uint32_t)param_int_or(e, CL_UID, UINT32_MAX);
	child->gid = (uint32_t)param_int_or(e, CL_GID, UINT32_MAX);
	child->clone_ts = e->h.ts;
}

static void clone_in_caller(struct evt *e, int64_t child_tid)
{
	struct state *st = e->st;
	struct thread *caller = thread_get(st->threads, e->h.tid), *old, *child;
	uint32_t flags = (uint32_t)param_int_or(e, CL_FLAGS, 0);
	int64_t vpid;

	e->thread = caller;
	if (!caller)
		return;
	bool caller_known = !thread_is_placeholder(caller);
	if (!caller_known) {
		caller->pid = param_int_or(e, CL_PID, -1);
		caller->ptid = param_int_or(e, CL_PTID, -1);
		bool has_vpid = param_int(e, CL_VPID, &vpid);
		caller->vpid = has_vpid ? vpid : -1;
		caller->vtid = has_vpid ? param_int_or(e, CL_VTID, -1) : caller->tid;
		thread_adopt(st->threads, caller);
		thread_touch(st->threads, caller, true);
	}

	/*
	 * In a pid namespace child_tid is a number of that namespace, so the child's own view must tell; after a vfork it
	 * has told already.
	 */
	if (flags & (THREAD_CHILD_IN_PIDNS | THREAD_CLONE_NEWPID | THREAD_CLONE_PARENT | THREAD_CLONE_VFORK) ||
	    e->h.code == EV_SYSCALL_VFORK_20_X || caller->tid != caller->vtid ||
	    recently_exited(st, caller->tid, child_tid, e->h.ts))
		return;
	if ((old = thread_find(st->threads, child_tid))) {
		if (old->flags & THREAD_INVERTED)
			return;
		thread_remove(st->threads, child_tid);	/* its exit was lost */
	}
	caller = thread_find(st->threads, e->h.tid);	/* may have been the one removed */
	e->thread = caller;
	if (!(child = thread_new(st->threads, child_tid)))
		return;

	child->flags = flags;
	if (flags & THREAD_CLONE_THREAD) {
		child->flags |= THREAD_CLONE_FILES;
		child->pid = caller ? caller->pid : -1;
		child->ptid = caller ? caller->ptid : -1;
	} else {
		child->pid = child_tid;
		child->ptid = e->h.tid;
	}
	child->vtid = child_tid;
	child->vpid = child->pid;
	set_child_image(e, child, caller_known ? caller : NULL);
	finish_child(e, child);
	if (caller_known && caller)
		inherit(st, child, caller);
	else if (caller)
		fill_placeholder_image(e, caller);
	thread_insert(st->threads, child, true);
	e->thread = thread_find(st->threads, e->h.tid);	/* a caller of the child's own number is replaced by it */
}

static void clone_in_child(struct evt *e)
{
	struct state *st = e->st;
	struct thread *child, *model;
	int64_t vpid, pidns;

	if (e->thread && e->thread->clone_ts) {
		if (e->h.ts - e->thread->clone_ts < CLONE_STALE_NS)
			return;		/* its parent's view was first and has made it */
		thread_remove(st->threads, e->h.tid);
		e->thread = NULL;
	}
	if (!(child = thread_new(st->threads, e->h.tid))) {
		thread_remove(st->threads, e->h.tid);	/* that was another one */
		e->thread = NULL;
		return;
	}
	child->pid = param_int_or(e, CL_PID, -1);
	child->ptid = param_int_or(e, CL_PTID, -1);
	bool has_vpid = param_int(e, CL_VPID, &vpid);
	child->vpid = has_vpid ? vpid : -1;
	child->vtid = has_vpid ? param_int_or(e, CL_VTID, -1) : child->tid;
	child->flags = (uint32_t)param_int_or(e, CL_FLAGS, 0) | THREAD_INVERTED;

	bool is_process = !(child->flags & THREAD_CLONE_THREAD);
	if (!is_process)
		child->flags |= THREAD_CLONE_FILES;
	model = thread_get(st->threads, is_process ? child->ptid : child->pid);
	if (!model) {
		e->thread = NULL;
		thread_discard(st->threads, child);
		return;
	}
	bool model_known = !thread_is_placeholder(model);
	if (!model_known && !is_process) {
		model->pid = child->pid;
		model->ptid = child->ptid;
		model->vpid = model->vtid = child->vpid;
		thread_adopt(st->threads, model);
		fill_placeholder_image(e, model);
	}
	set_child_image(e, child, model_known ? model : NULL);
	finish_child(e, child);
	if (model_known)
		inherit(st, child, model);

	if ((child->flags & (THREAD_CHILD_IN_PIDNS | THREAD_CLONE_NEWPID) || child->tid != child->vtid) &&
	    param_int(e, CL_PIDNS_START, &pidns))
		child->pidns_start_ts = (uint64_t)pidns;
	e->thread = thread_insert(st->threads, child, true) ? child : NULL;
}

void parse_clone(struct evt *e)
{
	int64_t res = param_int_or(e, CL_RES, -1);

	if (res > 0)
		clone_in_caller(e, res);
	else if (res == 0)
		clone_in_child(e);
}

/* ------------------------------------------------------------------ execve, execveat */

/* Captures of older drivers do not say which file was run: rebuild it from the enter event. {NULL}: keep the old one. */
static struct str exepath_from_enter(struct evt *e, char buf[PATH_ROOM])
{
	const struct stored *enter = stored_for(e);
	char dir_buf[PATH_ROOM + 1];

	if (!enter)
		return (struct str){ 0 };
	if (enter->code == EV_SYSCALL_EXECVE_19_E) {
		struct str name = stored_str(enter, 0);
		return str_is(name, "<NA>") ? name : path_join(buf, thread_cwd(e->st->threads, e->thread), name);
	}
	enum { EMPTY_PATH = 1 };	/* AT_EMPTY_PATH: run what dirfd refers to */
	int64_t dirfd = stored_int(enter, 0, -1), flags = stored_int(enter, 2, 0);
	struct str name = stored_str(enter, 1), dir = event_dirfd(e, name, dirfd, dir_buf, sizeof dir_buf);

	if (str_is(dir, "<UNKNOWN>") || (str_is(name, "<NA>") && !(flags & EMPTY_PATH)))
		return STR("<NA>");
	if (!str_is(dir, "."))
		e->fd = fdtable_get(thread_fds(e->st->threads, e->thread), dirfd);
	return flags & EMPTY_PATH ? path_join(buf, (struct str){ 0 }, dir) : path_join(buf, dir, name);
}

static void set_exec_image(struct evt *e)
{
	struct thread *t = e->thread;
	char buf[PATH_ROOM];
	struct image_parts p = parts_from(e, image_parts(t->image));
	struct str env = param_bytes(e, EX_ENV);
	int64_t v, mtime;

	if (env.len)
		p.env = blob_trim(env);
	struct str path = event_param(e, EX_EXEPATH).len ? param_text_or_na(e, EX_EXEPATH) : exepath_from_enter(e, buf);
	if (path.p)
		p.exepath = path_without_deleted(path);
	if (param_int(e, EX_FLAGS, &v))
		p.flags = (uint32_t)v;
	if (param_int(e, EX_MTIME, &mtime)) {
		p.ino = (uint64_t)param_int_or(e, EX_INO, 0);
		p.ctime = (uint64_t)param_int_or(e, EX_CTIME, 0);
		p.mtime = (uint64_t)mtime;
	}
	thread_set_image(e->st->threads, t, image_new(e->st->threads, &p));
}

static void set_exec_ids(struct evt *e)
{
	struct thread *t = e->thread;
	int64_t v;

	if (param_int(e, EX_TTY, &v))
		t->tty = (uint32_t)v;
	if (param_int(e, EX_VPGID, &v))
		t->vpgid = v;
	if (param_int(e, EX_LOGINUID, &v))
		t->loginuid = (uint32_t)v;
	if (param_int(e, EX_CAP_EFFECTIVE, &v)) {
		t->cap_inheritable = (uint64_t)param_int_or(e, EX_CAP_INHERITABLE, 0);
		t->cap_permitted = (uint64_t)param_int_or(e, EX_CAP_PERMITTED, 0);
		t->cap_effective = (uint64_t)v;
	}
	if (param_int(e, EX_UID, &v))
		t->uid = (uint32_t)v;
	t->pgid = param_int_or(e, EX_PGID, -1);
	if (param_int(e, EX_GID, &v))
		t->gid = (uint32_t)v;
}

/* Two kinds keep the flag as their own call has it. */
static bool closes_on_exec(const struct fd_rec *rec)
{
	uint8_t type = rec->d.type;
	return rec->d.openflags & OPEN_CLOEXEC || ((type == FD_EVENTPOLL || type == FD_MEMFD) && rec->d.openflags & 1);
}

static bool has_some_to_close(const struct fdtable *fds)
{
	struct fd_rec *rec;
	int64_t fd;

	for (uint32_t pos = 0; fdtable_next(fds, &pos, &fd, &rec);)
		if (closes_on_exec(rec))
			return true;
	return false;
}

static void close_on_exec(struct state *st, struct thread *t)
{
	struct fdtable **slot = thread_fds_slot(st->threads, t);
	struct fd_rec *rec;
	int64_t fd;

	if (!slot || !has_some_to_close(*slot) || !fdtable_writable(st->fds, slot))
		return;
	for (uint32_t pos = 0; fdtable_next(*slot, &pos, &fd, &rec);)
		if (closes_on_exec(rec))
			fd_remove(st->fds, slot, fd);
}

void parse_execve(struct evt *e)
{
	struct state *st = e->st;
	struct thread *t = e->thread, *other, *next;
	int64_t res;

	if (!t || !param_int(e, 0, &res) || res < 0)
		return;
	if (t->flags & THREAD_DEAD) {	/* a thread took over its dead leader's number */
		t->flags &= ~(uint32_t)THREAD_DEAD;
		if (t->group)
			t->group->alive++;
	}
	t->exec_ts = e->h.ts;
	set_exec_image(e);
	t->pid = param_int_or(e, CL_PID, t->pid);
	if (thread_is_placeholder(t)) {
		t->ptid = param_int_or(e, CL_PTID, -1);
		if (!(t->flags & THREAD_CHILD_IN_PIDNS)) {
			t->vtid = t->tid;
			t->vpid = t->pid;
		}
		thread_adopt(st->threads, t);
	}
	set_memory(e, t);
	set_exec_ids(e);
	close_on_exec(st, t);
	t->flags &= THREAD_PIPE_SRC | THREAD_PIPE_DST | THREAD_IS_MAIN | THREAD_INVERTED;
	thread_touch(st->threads, t, true);

	/* the other threads of the process are gone */
	for (other = t->group ? t->group->first : NULL; other; other = next) {
		next = other->next_in_group;
		if (other != t && !thread_is_main(other))
			thread_remove(st->threads, other->tid);
	}
}

/* ------------------------------------------------------------------ exit */

void parse_procexit(struct evt *e)
{
	struct thread *t = e->thread;

	if (!t)
		return;
	thread_kill(t);
	if (t->child)
		t->reaper_tid = param_int_or(e, 4, -1);
	recent_add(e->st, t->ptid, t->tid, e->h.ts);
	e->st->after.thread = true;
	e->st->after.tid = t->tid;
	thread_touch(e->st->threads, t, true);
}

/* ------------------------------------------------------------------ a thread's own attributes */

static bool succeeded(const struct evt *e)
{
	int64_t res;
	return e->thread && param_int(e, 0, &res) && res >= 0;
}

static void set_cwd(struct evt *e, struct str path)
{
	struct threads *threads = e->st->threads;
	struct thread *leader = thread_main(threads, e->thread);
	char buf[PATH_ROOM + 1];

	if (!leader)
		return;
	/* the base is the thread's own directory: threads besides the leader have none, so a relative path stands alone */
	struct str cwd = path_join(buf, istr_str(e->thread->cwd), path);
	if (!cwd.len || cwd.p[cwd.len - 1] != '/') {
		if (cwd.p != buf) {
			memcpy(buf, cwd.p, cwd.len);
			cwd.p = buf;
		}
		buf[cwd.len++] = '/';
	}
	thread_set_text(threads, &leader->cwd, cwd);
	thread_touch(threads, leader, false);
}

void parse_chdir(struct evt *e)
{
	if (succeeded(e))
		set_cwd(e, param_text_or_na(e, 1));
}

void parse_fchdir(struct evt *e)
{
	if (succeeded(e) && e->fd)
		set_cwd(e, e->fd->d.name);
}

void parse_getcwd(struct evt *e)
{
	if (succeeded(e))
		set_cwd(e, param_text_or_na(e, 1));
}

void parse_chroot(struct evt *e)
{
	char buf[PATH_ROOM];

	if (!succeeded(e))
		return;
	struct str path = param_text_or_na(e, 1);
	if (path.len && path.p[0] != '/')
		path = path_join(buf, thread_cwd(e->st->threads, e->thread), path);
	thread_set_text(e->st->threads, &e->thread->root, path);
	thread_touch(e->st->threads, e->thread, false);
}

void parse_setsid(struct evt *e)
{
	int64_t res;

	if (e->thread && param_int(e, 0, &res) && res >= 0) {
		e->thread->sid = res;
		thread_touch(e->st->threads, e->thread, false);
		e->st->lineage_epoch++;
	}
}

void parse_prctl(struct evt *e)
{
	enum { SET_CHILD_SUBREAPER = 36, GET_CHILD_SUBREAPER = 37 };	/* prctl_options of flags.def */
	int64_t option = param_int_or(e, 1, 0);

	if (succeeded(e) && e->thread->group && (option == SET_CHILD_SUBREAPER || option == GET_CHILD_SUBREAPER))
		e->thread->group->reaper = param_int_or(e, 3, 0) != 0;
}

void parse_capset(struct evt *e)
{
	if (!succeeded(e))
		return;
	e->thread->cap_inheritable = (uint64_t)param_int_or(e, 1, 0);
	e->thread->cap_permitted = (uint64_t)param_int_or(e, 2, 0);
	e->thread->cap_effective = (uint64_t)param_int_or(e, 3, 0);
	thread_touch(e->st->threads, e->thread, false);
}

/* unshare and setns: entering a user namespace gives every capability in it */
void parse_namespaces(struct evt *e)
{
	enum { KNOWN_CAPABILITIES = 41 };	/* CAP_CHOWN .. CAP_CHECKPOINT_RESTORE, Linux 5.9 */
	uint64_t all = (1ull << KNOWN_CAPABILITIES) - 1;
	uint32_t flags = (uint32_t)param_int_or(e, e->h.code == EV_SYSCALL_SETNS_X ? 2 : 1, 0);

	if (!succeeded(e) || !(flags & THREAD_CLONE_NEWUSER))
		return;
	e->thread->cap_inheritable = e->thread->cap_permitted = e->thread->cap_effective = all;
	thread_touch(e->st->threads, e->thread, false);
}

static void set_id(struct evt *e, uint32_t *id, uint32_t param)
{
	int64_t v;

	if (param_int_or(e, 0, -1) == 0 && param_int(e, param, &v)) {
		*id = (uint32_t)v;
		thread_touch(e->st->threads, e->thread, false);
	}
}

void parse_setuid(struct evt *e)
{
	if (e->thread)
		set_id(e, &e->thread->uid, 1);
}

void parse_setresuid(struct evt *e)
{
	if (e->thread)
		set_id(e, &e->thread->uid, 2);
}

void parse_setgid(struct evt *e)
{
	if (e->thread)
		set_id(e, &e->thread->gid, 1);
}

void parse_setresgid(struct evt *e)
{
	if (e->thread)
		set_id(e, &e->thread->gid, 2);
}

static void set_fdlimit(struct evt *e, struct thread *t, int64_t limit)
{
	struct thread *leader = t ? thread_main(e->st->threads, t) : NULL;

	if (leader && limit != -1) {
		leader->fdlimit = limit;
		thread_touch(e->st->threads, leader, false);
	}
}

enum { NOFILE = 7 };	/* rlimit_resources of flags.def */

void parse_rlimit(struct evt *e)
{
	if (succeeded(e) && param_int_or(e, 3, -1) == NOFILE)
		set_fdlimit(e, e->thread, param_int_or(e, 1, -1));
}

void parse_prlimit(struct evt *e)
{
	int64_t tid;

	if (param_int_or(e, 0, -1) != 0 || param_int_or(e, 6, -1) != NOFILE || !param_int(e, 5, &tid))
		return;
	struct thread *t = thread_find(e->st->threads, tid ? tid : e->h.tid);
	if (t && !thread_is_placeholder(t))
		set_fdlimit(e, t, param_int_or(e, 1, -1));
}

void parse_switch(struct evt *e)
{
	int64_t swap;

	if (!e->thread || !param_int(e, 5, &swap))
		return;
	e->thread->pfmajor = (uint64_t)param_int_or(e, 1, 0);
	e->thread->pfminor = (uint64_t)param_int_or(e, 2, 0);

	struct thread *leader = thread_main(e->st->threads, e->thread);
	if (leader) {
		leader->vm_size = (uint32_t)param_int_or(e, 3, 0);
		leader->vm_rss = (uint32_t)param_int_or(e, 4, 0);
		leader->vm_swap = (uint32_t)swap;
	}
}

/* brk, mmap, mmap2, munmap */
void parse_memory(struct evt *e)
{
	int64_t v;

	if (!e->thread)
		return;
	if (param_int(e, 1, &v))
		e->thread->vm_size = (uint32_t)v;
	if (param_int(e, 3, &v)) {
		e->thread->vm_rss = (uint32_t)param_int_or(e, 2, 0);
		e->thread->vm_swap = (uint32_t)v;
	}
}

/* ------------------------------------------------------------------ users and groups */

void parse_user(struct evt *e)
{
	struct str container = param_str(e, 5);
	struct user user = {
		.uid = (uint32_t)param_int_or(e, 0, UINT32_MAX), .gid = (uint32_t)param_int_or(e, 1, UINT32_MAX),
		.name = param_str(e, 2), .home = param_str(e, 3), .shell = param_str(e, 4),
	};

	if (e->h.code == EV_USER_ADDED_E)
		users_put(e->st->users, container, &user);
	else
		users_remove(e->st->users, container, user.uid);
	e->st->table_epoch++;
}

void parse_group(struct evt *e)
{
	struct str container = param_str(e, 2);
	struct group group = { .gid = (uint32_t)param_int_or(e, 0, UINT32_MAX), .name = param_str(e, 1) };

	if (e->h.code == EV_GROUP_ADDED_E)
		users_put_group(e->st->users, container, &group);
	else
		users_remove_group(e->st->users, container, group.gid);
	e->st->table_epoch++;
}

/* ------------------------------------------------------------------ containers */

static struct str without_nul(struct str s)
{
	while (s.len && !s.p[s.len - 1])
		s.len--;
	return s;
}

/* Of captures that were recorded before containers became a plugin's affair. */
void parse_container(struct evt *e)
{
	containers_learn(e->st->containers, without_nul(param_bytes(e, 0)));
	e->st->table_epoch++;
}

/* Events of plugins: of which, their name tells. */
void parse_async(struct evt *e)
{
	struct str name = param_str(e, 1), json = without_nul(param_bytes(e, 2));

	if (str_eq(name, STR("container")))
		containers_learn(e->st->containers, json);
	else if (str_eq(name, STR("container_removed")))
		containers_forget(e->st->containers, json);
	else
		return;
	e->st->table_epoch++;
}
