/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes as the driver lists them (source_tasks(), source_fds()), with arguments and environment from /proc. All
 * threads are collected first, so that a process comes before its threads, whatever their numbers. What the driver cannot
 * tell of a single process or descriptor is read from /proc as well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include "../array.h"
#include "../driver/source.h"
#include "path.h"
#include "proc.h"
#include "procfs_read.h"

enum {
	MAX_LIST_BYTES = 512 << 20,
	PIPEFS = 0x50495045, ANON_INODES = 0x09041934, TMPFS = 0x01021994, HUGETLBFS = 0x958458f6u,
};

static const char first_pid_space[] = "pid:[4026531836]";	/* a number that the kernel gives to it for good */

struct listing {
	struct procfs *p;
	const struct scap_sink *sink;
	struct arena bytes;
	const struct task_entry **tasks;	/* by process, its first thread before the others */
	uint32_t n, cap;
	int64_t pid;				/* whose descriptors are being listed */
	uint32_t nfds;				/* of it, so far */
	bool wanted;				/* it was given */
};

/* ------------------------------------------------------------------ texts */

static struct str entry_text(const struct task_entry *e, uint32_t which)
{
	const char *at = (const char *)(e + 1);

	for (uint32_t i = 0; i < which; i++)
		at += e->text_len[i];
	return (struct str){ at, e->text_len[which] };
}

/* As links below /proc have it. false: the link itself is to be asked. */
static bool path_as_link(struct str path, uint8_t flags, char buf[LINK_ROOM], struct str *text)
{
	uint32_t n;

	if (flags & TEXT_ASK)
		return false;
	if (flags & TEXT_TOO_LONG) {
		*text = PATH_TOO_LONG;
		return true;
	}
	path.len = (uint32_t)strnlen(path.p, path.len);
	n = (uint32_t)snprintf(buf, LINK_ROOM, "%s%.*s%s", flags & TEXT_BARE ? "/" : "", (int)path.len, path.p,
			       flags & (TEXT_BARE | TEXT_DELETED) ? " (deleted)" : "");
	*text = (struct str){ buf, n < PATH_TEXT ? n : PATH_TEXT };
	return true;
}

static struct str shared_path(const struct task_entry *e, uint32_t which, int dir, const char *name, char buf[LINK_ROOM])
{
	struct str path = entry_text(e, which), text = STR("");

	if ((path.len || e->text_flags[which]) && !path_as_link(path, e->text_flags[which], buf, &text))
		link_text(dir, name, buf, &text);
	return text;
}

/* ------------------------------------------------------------------ processes */

static int keep(void *ctx, const struct task_entry *e)
{
	struct listing *l = ctx;
	struct task_entry *copy;

	/* a first thread that ended stands for the others; one that ended alone is a zombie */
	if (!(e->flags & TASK_HAS_MEMORY) && (e->tid != e->pid || e->nthreads < 2))
		return 0;
	if (!array_room(&l->tasks, l->n, &l->cap, sizeof *l->tasks) || !(copy = arena_get(&l->bytes, e->size)))
		return -ENOMEM;
	memcpy(copy, e, e->size);
	l->tasks[l->n++] = copy;
	return 0;
}

static int by_process(const void *a, const void *b)
{
	const struct task_entry *x = *(const struct task_entry *const *)a, *y = *(const struct task_entry *const *)b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if ((x->tid == x->pid) != (y->tid == y->pid))
		return x->tid == x->pid ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/* What each thread has of its own. */
static void fill_own(struct scap_proc *proc, const struct task_entry *e)
{
	proc->tid = e->tid;
	proc->pid = e->pid;
	proc->ptid = e->ptid;
	proc->sid = e->sid;
	proc->pgid = e->pgid;
	proc->vpgid = e->vpgid;
	proc->vtid = e->vtid;
	proc->vpid = e->vpid;
	proc->uid = e->uid;
	proc->gid = e->gid;
	proc->loginuid = e->loginuid;
	proc->tty = e->tty;
	proc->vm_size = e->vm_size;
	proc->vm_rss = e->vm_rss;
	proc->vm_swap = e->vm_swap;
	proc->pfmajor = e->faults_major;
	proc->pfminor = e->faults_minor;
	proc->cap_inheritable = e->cap_inheritable;
	proc->cap_permitted = e->cap_permitted;
	proc->cap_effective = e->cap_effective;
	proc->comm = (struct str){ e->comm, (uint32_t)strnlen(e->comm, sizeof e->comm) };
	proc->flags = e->tid == e->pid ? 0 : THREAD_CLONE_THREAD | THREAD_CLONE_FILES;
}

/* Inside of the kernel one hierarchy has another name than in /proc. */
static struct str groups_as_listed(struct procfs *p, struct str groups)
{
	static const char inside[] = "io=", outside[] = "blkio=";
	uint32_t len = 0;

	for (uint32_t at = 0, n; at < groups.len; at += n) {
		struct str group = { groups.p + at, (uint32_t)strnlen(groups.p + at, groups.len - at) };
		bool renamed = str_starts(group, STR(inside));
		const char *name = renamed ? outside : "";

		n = group.len + 1;
		group.p += renamed ? sizeof inside - 1 : 0;
		group.len -= renamed ? sizeof inside - 1 : 0;
		if (len + strlen(name) + group.len + 1 > BLOB_ROOM)
			break;
		len += (uint32_t)sprintf(p->cgroups + len, "%s%.*s", name, (int)group.len, group.p) + 1;
	}
	return (struct str){ p->cgroups, len };
}

static void fill_groups(struct procfs *p, int dir, struct scap_proc *proc, const struct task_entry *e)
{
	if (e->text_flags[TASK_CGROUPS] & TEXT_ASK)
		proc->cgroups = procfs_cgroups(p, dir);
	else
		proc->cgroups = groups_as_listed(p, entry_text(e, TASK_CGROUPS));
}

static void fill_shared(struct procfs *p, int dir, struct scap_proc *proc, const struct task_entry *e)
{
	proc->exepath = shared_path(e, TASK_EXEPATH, dir, "exe", p->exe);
	proc->cwd = shared_path(e, TASK_CWD, dir, "cwd", p->cwd);
	proc->root = shared_path(e, TASK_ROOT, dir, "root", p->chroot);
	proc->exe_flags = e->exe_flags;
	proc->exe_ino = e->exe_ino;
	proc->exe_ctime = e->exe_ctime;
	proc->exe_mtime = e->exe_mtime;
	proc->fdlimit = e->fdlimit;
	proc->pidns_start_ts = e->vpid != e->pid ? e->space_start : 0;
	procfs_command(p, dir, proc);
	procfs_environment(p, dir, proc);
}

/* A process, its first thread being tasks[0]. /proc counts what all its threads did as the first one's. */
static int give_group(struct listing *l, const struct task_entry *const *tasks, uint32_t n)
{
	const struct task_entry *e = tasks[0];
	struct scap_proc proc = procfs_blank(e->tid), thread;
	int dir, rc;

	if (e->tid != e->pid || !(e->flags & TASK_HAS_MEMORY))
		return procfs_process(l->p, e->pid, l->sink);
	if ((dir = procfs_process_dir(l->p, e->pid)) < 0)
		return 0;
	fill_own(&proc, e);
	fill_groups(l->p, dir, &proc, e);
	fill_shared(l->p, dir, &proc, e);
	proc.pfmajor = e->group_major;
	proc.pfminor = e->group_minor;
	for (uint32_t i = 0; i < n; i++) {
		proc.pfmajor += tasks[i]->faults_major;
		proc.pfminor += tasks[i]->faults_minor;
	}
	rc = procfs_give(l->p, &proc, l->sink);
	for (uint32_t i = 1; i < n && rc >= 0; i++) {
		thread = proc;
		fill_own(&thread, tasks[i]);
		fill_groups(l->p, dir, &thread, tasks[i]);
		rc = procfs_give(l->p, &thread, l->sink);
	}
	l->p->counts.from_driver += n;
	close(dir);
	return rc;
}

static int give_groups(struct listing *l)
{
	int rc = 0;

	qsort(l->tasks, l->n, sizeof *l->tasks, by_process);
	for (uint32_t i = 0, next; i < l->n && rc >= 0; i = next) {
		for (next = i + 1; next < l->n && l->tasks[next]->pid == l->tasks[i]->pid;)
			next++;
		rc = give_group(l, l->tasks + i, next - i);
	}
	return rc;
}

/* ------------------------------------------------------------------ descriptors */

/* What is first in the list of a process; NULL: nothing is. */
static const struct task_entry *first_entry(const struct listing *l, int64_t pid)
{
	uint32_t low = 0, high = l->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (l->tasks[mid]->pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n && l->tasks[low]->pid == pid ? l->tasks[low] : NULL;
}

/* The first thread of a process; NULL: there is none, or it was not given. */
static const struct task_entry *first_thread(const struct listing *l, int64_t pid)
{
	const struct task_entry *e = first_entry(l, pid);

	return e && e->tid == pid && e->flags & TASK_HAS_MEMORY ? e : NULL;
}

/* Only those sockets that tables below /proc list. */
static uint8_t transport(const struct fd_entry *e)
{
	if (e->type == SOCK_RAW)
		return L4_RAW;
	if (e->type == SOCK_STREAM && e->protocol == IPPROTO_TCP && e->tcp_state != TCP_CLOSE)
		return L4_TCP;
	if (e->type == SOCK_DGRAM && e->protocol == IPPROTO_UDP && e->here_port)
		return L4_UDP;
	return L4_UNKNOWN;
}

static bool inet_draft(const struct fd_entry *e, struct fd_draft *d)
{
	d->l4 = transport(e);
	d->addr = (struct fd_addr){ .sport = e->here_port, .dport = e->there_port };
	memcpy(d->addr.src, e->here, sizeof e->here);
	memcpy(d->addr.dst, e->there, sizeof e->there);
	d->type = sock_settle(&d->addr, e->family == FD_ENTRY_INET6);
	return d->l4 != L4_UNKNOWN;
}

/* A name in a directory ends with a NUL; one that is in none begins with one, and may have more. */
static bool unix_draft(const struct fd_entry *e, char buf[LINK_ROOM], struct fd_draft *d)
{
	const char *name = (const char *)(e + 1);
	uint32_t len = e->name_len < LINK_ROOM ? e->name_len : 0;

	if (len && name[0])
		len = (uint32_t)strnlen(name, len);
	for (uint32_t i = 0; i < len; i++)
		buf[i] = name[i] ? name[i] : '@';
	d->type = FD_UNIX;
	d->unix_src = e->unix_addr;
	d->name = (struct str){ buf, len };
	return true;
}

static bool socket_draft(const struct fd_entry *e, char buf[LINK_ROOM], struct fd_draft *d)
{
	switch (e->family) {
	case FD_ENTRY_UNIX:
		return unix_draft(e, buf, d);
	case FD_ENTRY_INET:
	case FD_ENTRY_INET6:
		return inet_draft(e, d);
	case FD_ENTRY_NETLINK:
		d->type = FD_NETLINK;
		return true;
	default:
		return false;
	}
}

enum { IS_KNOWN, IS_NOTHING, IS_TO_BE_ASKED };

/* What has a name but no path: pipes, memory, and others of which the name alone tells too little. */
static int bare_draft(const struct fd_entry *e, struct str name, char buf[LINK_ROOM], struct fd_draft *d)
{
	switch (e->magic) {
	case PIPEFS:
		d->type = FD_FIFO;
		d->name = (struct str){ buf, (uint32_t)snprintf(buf, LINK_ROOM, "pipe:[%llu]", (unsigned long long)e->ino) };
		return IS_KNOWN;
	case ANON_INODES:
		name.len = (uint32_t)strnlen(name.p, name.len);
		d->type = anon_type(name);
		return d->type == FD_PIDFD ? IS_TO_BE_ASKED : IS_KNOWN;
	case TMPFS:
	case HUGETLBFS:
		path_as_link(name, TEXT_BARE, buf, &name);
		return path_kind(d, e->mode, name) ? IS_TO_BE_ASKED : IS_KNOWN;
	default:
		return IS_TO_BE_ASKED;
	}
}

static int draft_of(const struct fd_entry *e, char buf[LINK_ROOM], struct fd_draft *d)
{
	struct str name = { (const char *)(e + 1), e->name_len };

	*d = (struct fd_draft){ .ino = e->ino, .name = STR(""), .raw = STR("") };
	if (e->flags & FD_ENTRY_SOCKET)
		return socket_draft(e, buf, d) ? IS_KNOWN : IS_NOTHING;
	if (e->name_flags & TEXT_BARE)
		return bare_draft(e, name, buf, d);
	if (!path_as_link(name, e->name_flags, buf, &name))
		return IS_TO_BE_ASKED;
	if (path_kind(d, e->mode, name)) {
		d->openflags = portable_flags((e->open_flags & ~(uint64_t)O_CLOEXEC) | (e->flags & FD_ENTRY_CLOEXEC ? O_CLOEXEC : 0));
		d->dev = e->dev;
	}
	return IS_KNOWN;
}

static int ask(struct procfs *p, const struct fd_entry *e, const struct scap_sink *sink)
{
	int dir = procfs_process_dir(p, e->pid), rc;

	if (dir < 0)
		return 0;
	rc = procfs_fds(p, dir, e->pid, e->fd, sink);
	close(dir);
	return rc;
}

static int give_fd(void *ctx, const struct fd_entry *e)
{
	struct listing *l = ctx;
	struct fd_draft d;
	int what, rc = 0;

	if (e->pid != l->pid) {
		l->pid = e->pid;
		l->nfds = 0;
		l->wanted = first_thread(l, e->pid);
	}
	if (!l->wanted || l->nfds >= l->p->limits.max_fds)
		return 0;
	what = draft_of(e, l->p->link, &d);
	if (what == IS_KNOWN)
		rc = l->sink->fd(l->sink->ctx, e->pid, e->fd, &d);
	else if (what == IS_TO_BE_ASKED)
		rc = ask(l->p, e, l->sink);
	l->nfds += what != IS_NOTHING;
	return rc < 0 ? rc : 0;
}

/* The driver failed half way: all from /proc. */
static int give_fds_of_proc(struct listing *l)
{
	int dir, rc = 0;

	for (uint32_t i = 0; i < l->n && rc >= 0; i++) {
		if (!first_thread(l, l->tasks[i]->tid) || (dir = procfs_process_dir(l->p, l->tasks[i]->pid)) < 0)
			continue;
		rc = procfs_fds(l->p, dir, l->tasks[i]->pid, -1, l->sink);
		close(dir);
	}
	return rc;
}

/* ------------------------------------------------------------------ all together */

static bool is_in_first_pid_space(void)
{
	char buf[LINK_ROOM];
	struct str link;

	return link_text(AT_FDCWD, "/proc/self/ns/pid", buf, &link) && str_is(link, first_pid_space);
}

/* Processes that are in /proc only: they have just begun, or a kernel keeps them from BPF programs. */
static int give_missed(struct listing *l)
{
	int fd = proc_open(l->p->proc, ".", O_DIRECTORY), rc = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int64_t pid;

	while (list && rc >= 0 && (entry = readdir(list)))
		if (name_number(entry->d_name, &pid) && !first_entry(l, pid))
			rc = procfs_process(l->p, pid, l->sink);
	if (list)
		closedir(list);
	else if (fd >= 0)
		close(fd);
	return rc;
}

int procfs_scan_tasks(struct procfs *p, const struct scap_sink *sink)
{
	struct listing l = { .p = p, .sink = sink, .bytes.limit = MAX_LIST_BYTES, .pid = -1 };
	int rc = p->source && is_in_first_pid_space() ? source_tasks(p->source, keep, &l) : -EOPNOTSUPP;

	if (rc < 0) {
		rc = -EOPNOTSUPP;
	} else if ((rc = give_groups(&l)) >= 0) {
		rc = source_fds(p->source, give_fd, &l);
		if (rc < 0 && rc != -ENOMEM)
			rc = give_fds_of_proc(&l);
		if (rc >= 0)
			rc = give_missed(&l);
	}
	arena_free(&l.bytes);
	free(l.tasks);
	return rc < 0 ? rc : 0;
}
