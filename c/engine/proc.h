/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and processes.
 *
 * struct image    what an exec established: immutable once published, reference-counted. A clone shares it.
 * struct thread   one live thread. The main thread (tid == pid) owns the process's descriptor table; its threads use
 *                 that one. `gen` changes whenever a field of scope "self" could: see thread_touch().
 * struct threads  all of them, by tid. Opaque; bounded; what does not fit is counted.
 */
#ifndef FALCO_PROC_H
#define FALCO_PROC_H

#include "container.h"
#include "fd.h"
#include "ffi.h"
#include "intern.h"

struct image {
	uint32_t refs;
	uint32_t flags;				/* EXE_* */
	struct istr *comm, *exe, *exepath;
	struct istr *args, *env;		/* NUL-separated, as they came, one trailing NUL at most */
	struct istr *cgroups;			/* "subsys=path" items, NUL-separated, as they came */
	struct container *container;		/* that these groups tell; NULL: the host */
	uint64_t ino, ctime, mtime;		/* of the executable; ns */
	uint32_t past;				/* number of its copy in a struct past; 0: none */
};

/* thread.flags: bits of clone_flags in flags.def, as clone events and process lists carry them. */
enum thread_flags {
	THREAD_CLONE_FILES = 0x1,
	THREAD_CLONE_NEWPID = 0x40,
	THREAD_CLONE_PARENT = 0x100,
	THREAD_CLONE_THREAD = 0x2000,
	THREAD_INVERTED = 0x10000,		/* made by its own clone exit, before its parent's */
	THREAD_DEAD = 0x40000,			/* exited; gone after this event */
	THREAD_CLONE_NEWUSER = 0x100000,
	THREAD_PIPE_SRC = 0x200000,		/* stdout was a dup: writes into a pipe */
	THREAD_PIPE_DST = 0x400000,
	THREAD_CLONE_VFORK = 0x8000000,
	THREAD_CHILD_IN_PIDNS = 0x20000000,
	THREAD_IS_MAIN = 0x40000000,
};

/* The threads of one process. A dead main thread stays in it, and in the table, while others live. */
struct thread_group {
	int64_t pid;
	bool reaper;				/* takes over orphans: init, or a subreaper */
	uint32_t alive;
	struct thread *first, *last;		/* the main thread first, if it is known; then by age */
};

struct thread {
	int64_t tid, pid, ptid;			/* ids in the host's namespace; -1 unknown */
	int64_t vtid, vpid;			/* in its own pid namespace */
	int64_t sid, vpgid, pgid;
	uint64_t gen;				/* unique among all threads ever; new whenever a field of scope self may be */
	uint32_t flags;				/* THREAD_* */
	uint32_t uid, gid, loginuid, tty;
	uint64_t cap_inheritable, cap_permitted, cap_effective;
	struct image *image;			/* never NULL */
	struct istr *cwd, *root;		/* cwd ends in a slash */
	struct fdtable *fds;			/* main threads; NULL: none yet */
	int64_t fdlimit;
	uint64_t clone_ts, exec_ts;		/* ns since the epoch; 0 unknown */
	uint64_t pidns_start_ts;		/* ns since boot, as captures have it; 0: the host's */
	uint64_t pfmajor, pfminor;
	uint32_t vm_size, vm_rss, vm_swap;	/* kB */
	uint64_t cpu_last_ns, cpu_total_ns;	/* from switch events */

	/* tree: children of this thread (their ptid == tid), siblings, threads of the same process */
	struct thread *parent, *child, *next_sibling, *prev_sibling;
	struct thread_group *group;		/* NULL: placeholder */
	struct thread *next_in_group, *prev_in_group;
	int64_t reaper_tid;			/* who gets the children, by the exit event; <= 0 not said */

	/* what the previous event of this thread left for the next */
	int64_t last_fd;			/* -1: none */
	uint32_t last_code;
	bool last_valid;			/* the exit at hand belongs to the stored enter event */
	struct stored *stored;			/* enter event kept for its exit; NULL: none (parse.c) */

	/* what a struct past knows of it: numbers of its copy and its view, and as of which threads_changes(); 0: nothing */
	uint32_t past_copy, past_view;
	uint64_t past_changes;
};

struct threads;
struct state;

struct threads *threads_new(struct state *st, uint32_t max_threads);
void threads_free(struct threads *t);

struct thread *thread_find(const struct threads *t, int64_t tid);
uint32_t threads_count(const struct threads *t);
uint64_t threads_overflow(const struct threads *t);
bool thread_next(const struct threads *t, uint32_t *pos, struct thread **thread);
/* Changes whenever a thread comes, goes, is told apart anew (gen) or gets another place in its group or family. */
uint64_t threads_changes(const struct threads *t);
/* For a table that only shows threads of somebody else's: enters one under its number, or takes all out again. The table is
 * to be empty before threads_free(). false: out of memory. */
bool threads_show(struct threads *t, struct thread *thread);
void threads_hide(struct threads *t);

/* Adding: fill a new thread, then insert it (which takes it over, replaces one of the same number and ties it into its
 * group and family). NULL / false: limit reached or out of memory; counted. */
struct thread *thread_new(struct threads *t, int64_t tid);
bool thread_insert(struct threads *t, struct thread *thread, bool adopt);
void thread_discard(struct threads *t, struct thread *thread);	/* one that was not inserted */
/* Finds it, or makes a placeholder. NULL: table full. */
struct thread *thread_get(struct threads *t, int64_t tid);
/* Ties one that is in no group, and whose pid and ptid are known by now, into its group and family. */
void thread_adopt(struct threads *t, struct thread *thread);
/* Marks it as exited; it stays until thread_remove. */
void thread_kill(struct thread *thread);
/* Removes it; its children go to a reaper. A main thread stays while others of its process live. */
void thread_remove(struct threads *t, int64_t tid);
void threads_clear(struct threads *t);

/* Replaces the image; takes over the reference. */
void thread_set_image(struct threads *t, struct thread *thread, struct image *image);
void thread_set_text(struct threads *t, struct istr **at, struct str s);	/* cwd, root */

/* An image of these parts (references taken over from interned strings made here). NULL: out of memory. */
struct image_parts {
	struct str comm, exe, exepath, args, env, cgroups;
	uint32_t flags;
	uint64_t ino, ctime, mtime;
};
struct image *image_new(struct threads *t, const struct image_parts *p);
void image_drop(struct threads *t, struct image *image);
struct image_parts image_parts(const struct image *image);	/* borrowed: to make a changed one */

/* Something of scope "self" changed: caches keyed on the thread's gen end here. `lineage`: others may look through it. */
void thread_touch(struct threads *t, struct thread *thread, bool lineage);

/* The main thread of its process: itself, or NULL when that is not known. */
struct thread *thread_main(const struct threads *t, const struct thread *thread);
/* Main thread of the parent process; NULL: not known. */
struct thread *thread_parent(const struct threads *t, const struct thread *thread);
/* The n-th ancestor process: 0 is the thread's own process, 1 its parent. Stops at loops. NULL: none. */
struct thread *thread_ancestor(const struct threads *t, struct thread *thread, uint32_t n);
/* The descriptor table this thread works with; NULL: none, or empty so far. */
struct fdtable *thread_fds(const struct threads *t, const struct thread *thread);
/* Where that table hangs, to change it; NULL: the main thread is not known. */
struct fdtable **thread_fds_slot(const struct threads *t, struct thread *thread);
/* The directory relative paths start from; ends in a slash. "./" when not known. */
struct str thread_cwd(const struct threads *t, const struct thread *thread);

static inline bool thread_is_main(const struct thread *t)
{
	return t->tid == t->pid || t->flags & THREAD_IS_MAIN;
}

/* Known by number alone: its process or parent is not known. */
static inline bool thread_is_placeholder(const struct thread *t)
{
	return t->tid < 0 || t->pid < 0 || t->ptid < 0;
}

static inline bool thread_in_pidns(const struct thread *t)
{
	return t->flags & THREAD_CHILD_IN_PIDNS || (t->tid != t->vtid && t->vtid >= 0);
}

/* Alive threads of the process; besides the leader. 0 for placeholders. */
static inline uint32_t thread_group_alive(const struct thread *t)
{
	return t->group ? t->group->alive : 0;
}

static inline struct str thread_comm(const struct thread *t)
{
	return istr_str(t->image->comm);
}

/* NUL-separated items without the NUL that ends the last one: the form images keep. */
static inline struct str blob_trim(struct str s)
{
	if (s.len && !s.p[s.len - 1])
		s.len--;
	return s;
}

/* The kernel marks the path of a file that is gone; the name is meant. */
static inline struct str path_without_deleted(struct str path)
{
	struct str mark = STR(" (deleted)");

	if (path.len > mark.len && str_ends(path, mark))
		path.len -= mark.len;
	return path;
}

/* Walks NUL-separated items: *pos from 0; false at the end. An empty blob has none; one trailing NUL ends the last. */
static inline bool blob_next(struct str blob, uint32_t *pos, struct str *item)
{
	if (*pos >= blob.len)
		return false;
	const char *start = blob.p + *pos, *end = memchr(start, 0, blob.len - *pos);
	item->p = start;
	item->len = (uint32_t)(end ? end - start : blob.p + blob.len - start);
	*pos += item->len + 1;
	return true;
}

#endif
