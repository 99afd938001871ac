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

#include "fd.h"
#include "intern.h"

enum image_flags { EXE_WRITABLE = 1, EXE_UPPER_LAYER = 2, EXE_FROM_MEMFD = 4, EXE_LOWER_LAYER = 8 };

struct image {
	uint32_t refs;
	uint32_t flags;				/* EXE_* */
	struct istr *comm, *exe, *exepath;
	struct istr *args, *env;		/* NUL-separated, as they came, one trailing NUL at most */
	struct istr *cgroups;			/* "subsys=path" items, NUL-separated, as they came */
	uint64_t ino, ctime, mtime;		/* of the executable; ns */
};

/* Bits of thread.flags: the clone flags of events (flags.def, clone_flags) and what we add above bit 31. */
enum thread_flags {
	THREAD_CLONE_FILES = 1 << 0,
	THREAD_CLONE_FS = 1 << 1,
	THREAD_CLONE_PARENT = 1 << 5,
	THREAD_CLONE_THREAD = 1 << 10,
};

enum thread_bits {
	TB_PLACEHOLDER = 1 << 0,		/* known only by its number */
	TB_DEAD = 1 << 1,			/* exited; gone after this event */
	TB_INVERTED = 1 << 2,			/* made by its own clone exit before its parent's */
	TB_REAPER = 1 << 3,			/* takes over orphans: init, or a subreaper */
	TB_PIPE_SRC = 1 << 4,
	TB_PIPE_DST = 1 << 5,
	TB_FROM_LIST = 1 << 6,			/* came with the capture's process list */
};

struct thread {
	int64_t tid, pid, ptid;			/* ids in the host's namespace; -1 unknown */
	int64_t vtid, vpid;			/* in its own pid namespace */
	int64_t sid, vpgid, pgid;
	uint32_t gen;
	uint32_t bits;				/* TB_* */
	uint32_t flags;				/* clone flags, as in events */
	uint32_t uid, gid, loginuid, tty;
	uint64_t cap_inheritable, cap_permitted, cap_effective;
	struct image *image;			/* never NULL */
	struct istr *cwd, *root;		/* cwd ends in a slash */
	struct fdtable *fds;			/* main threads; NULL: none yet */
	int64_t fdlimit;
	uint64_t clone_ts, exec_ts, pidns_start_ts;	/* ns; 0 unknown */
	uint64_t pfmajor, pfminor;
	uint32_t vm_size, vm_rss, vm_swap;	/* kB */
	uint64_t cpu_last_ns, cpu_total_ns;	/* from switch events */

	/* tree: children of this thread (their ptid == tid), siblings, threads of the same process */
	struct thread *parent, *child, *next_sibling, *prev_sibling;
	struct thread *next_in_group, *prev_in_group;	/* ring over the process's live threads, self included */

	/* what the previous event of this thread left for the next */
	int64_t last_fd;			/* -1: none */
	uint32_t last_code;
	bool last_valid;			/* the exit at hand belongs to the stored enter event */
	struct stored *stored;			/* enter event kept for its exit; NULL: none */
};

struct threads;
struct state;

struct threads *threads_new(struct state *st, uint32_t max_threads);
void threads_free(struct threads *t);

struct thread *thread_find(const struct threads *t, int64_t tid);
uint32_t threads_count(const struct threads *t);
uint64_t threads_overflow(const struct threads *t);
bool thread_next(const struct threads *t, uint32_t *pos, struct thread **thread);

/* The main thread of its process: itself, or NULL when that is not known. */
struct thread *thread_main(const struct threads *t, const struct thread *thread);
/* Main thread of the parent process; NULL: not known. */
struct thread *thread_parent(const struct threads *t, const struct thread *thread);
/* The n-th ancestor process: 0 is the thread's own process, 1 its parent. Stops at loops. NULL: none. */
struct thread *thread_ancestor(const struct threads *t, struct thread *thread, uint32_t n);
/* The descriptor table this thread works with: *NULL* when there is none yet. */
struct fdtable *thread_fds(const struct threads *t, const struct thread *thread);
/* Counts over the process: alive threads, alive threads besides the leader. */
uint32_t thread_group_alive(const struct thread *thread);

static inline bool thread_is_main(const struct thread *t)
{
	return t->tid == t->pid;
}

static inline bool thread_in_pidns(const struct thread *t)
{
	return t->tid != t->vtid || t->pid != t->vpid;
}

static inline struct str thread_comm(const struct thread *t)
{
	return istr_str(t->image->comm);
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
