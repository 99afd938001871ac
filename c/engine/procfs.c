/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and threads as /proc shows them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "proc.h"
#include "procfs_read.h"

uint64_t procfs_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value ? value : fallback;
}

struct procfs *procfs_new(const struct host_view *host, const struct procfs_limits *limits)
{
	struct procfs *p = calloc(1, sizeof *p);
	struct str root = host_root(host);

	if (!p)
		return NULL;
	memcpy(p->root, root.p, root.len);
	p->proc = -1;
	p->ticks = sysconf(_SC_CLK_TCK);
	if (limits)
		p->limits = *limits;
	p->limits.max_fds = or_default(p->limits.max_fds, PROCFS_MAX_FDS);
	p->limits.period_ms = or_default(p->limits.period_ms, PROCFS_PERIOD_MS);
	p->limits.max_lookups = or_default(p->limits.max_lookups, PROCFS_MAX_LOOKUPS);
	p->limits.max_sockets = or_default(p->limits.max_sockets, PROCFS_MAX_SOCKETS);
	p->limits.budget_ms = or_default(p->limits.budget_ms, PROCFS_BUDGET_MS);
	sock_tables_init(&p->socks);
	return p;
}

/* What was remembered of the host gets old: numbers are used again. */
static void forget(struct procfs *p)
{
	sock_tables_clear(&p->socks);
	map_free(&p->mounts);
	map_free(&p->mount_spaces);
	map_free(&p->pid_spaces);
	p->pid_spaces_read = false;
	p->group2_len = 0;
}

void procfs_free(struct procfs *p)
{
	if (!p)
		return;
	forget(p);
	sock_tables_free(&p->socks);
	if (p->proc >= 0)
		close(p->proc);
	free(p);
}

bool procfs_has(struct procfs *p, int64_t tid)
{
	char name[24];

	snprintf(name, sizeof name, "%lld", (long long)tid);
	return p->proc < 0 || faccessat(p->proc, name, F_OK, 0) == 0 || errno != ENOENT;
}

void procfs_use_source(struct procfs *p, struct source *source)
{
	p->source = source;
}

const struct procfs_counts *procfs_counts(const struct procfs *p)
{
	return &p->counts;
}

int procfs_open(struct procfs *p, struct err *err)
{
	char path[sizeof p->root + 8];

	if (p->proc >= 0)
		return 0;
	snprintf(path, sizeof path, "%s/proc", p->root);
	if ((p->proc = proc_open(AT_FDCWD, path, O_DIRECTORY)) < 0)
		return err_set(err, -p->proc, "'%s' cannot be read: %s%s", path, strerror(-p->proc),
			       p->root[0] ? " (HOST_ROOT says that the host is there)" : "");
	procfs_find_cgroup2(p);
	return 0;
}

/* ------------------------------------------------------------------ one thread's files */

/* What is read besides the parts of the list. */
struct reading {
	struct scap_proc proc;
	uint64_t start_ticks, fsuid, fsgid, threads;
};

enum status_kind { STATUS_I64, STATUS_U32, STATUS_HEX, STATUS_SECOND, STATUS_LAST };

/* The second of four numbers is the effective one, the fourth that for files; of several namespaces the innermost
 * comes last. */
static const struct {
	const char *name;
	uint8_t kind;
	uint16_t at;			/* in struct reading */
	uint16_t also;			/* STATUS_SECOND: the fourth */
} status_rows[] = {
#define AT(x) offsetof(struct reading, x)
	{ "Tgid:", STATUS_I64, AT(proc.pid), 0 }, { "PPid:", STATUS_I64, AT(proc.ptid), 0 },
	{ "Uid:", STATUS_SECOND, AT(proc.uid), AT(fsuid) }, { "Gid:", STATUS_SECOND, AT(proc.gid), AT(fsgid) },
	{ "NStgid:", STATUS_LAST, AT(proc.vpid), 0 }, { "NSpid:", STATUS_LAST, AT(proc.vtid), 0 },
	{ "NSpgid:", STATUS_LAST, AT(proc.vpgid), 0 },
	{ "VmSize:", STATUS_U32, AT(proc.vm_size), 0 }, { "VmRSS:", STATUS_U32, AT(proc.vm_rss), 0 },
	{ "VmSwap:", STATUS_U32, AT(proc.vm_swap), 0 }, { "Threads:", STATUS_I64, AT(threads), 0 },
	{ "CapInh:", STATUS_HEX, AT(proc.cap_inheritable), 0 }, { "CapPrm:", STATUS_HEX, AT(proc.cap_permitted), 0 },
	{ "CapEff:", STATUS_HEX, AT(proc.cap_effective), 0 },
#undef AT
};

static void status_take(struct reading *r, uint32_t row, struct scan *s)
{
	char *at = (char *)r + status_rows[row].at;
	uint64_t v;

	switch ((enum status_kind)status_rows[row].kind) {
	case STATUS_I64:
		if (scan_u64(s, 10, &v))
			memcpy(at, &v, 8);
		break;
	case STATUS_U32:
		if (scan_u64(s, 10, &v))
			memcpy(at, &(uint32_t){ v < UINT32_MAX ? (uint32_t)v : UINT32_MAX }, 4);
		break;
	case STATUS_HEX:
		if (scan_u64(s, 16, &v))
			memcpy(at, &v, 8);
		break;
	case STATUS_SECOND:
		scan_skip(s, 1);
		if (scan_u64(s, 10, &v))
			memcpy(at, &(uint32_t){ (uint32_t)v }, 4);
		scan_skip(s, 1);
		if (scan_u64(s, 10, &v))
			memcpy((char *)r + status_rows[row].also, &v, 8);
		break;
	case STATUS_LAST:
		while (scan_u64(s, 10, &v))
			memcpy(at, &v, 8);
		break;
	}
}

static bool read_status(struct procfs *p, int dir, struct reading *r)
{
	struct lines l;
	struct scan line;

	if (!lines_open(&l, dir, "status", p->lines))
		return false;
	while (lines_next(&l, &line))
		for (uint32_t i = 0; i < sizeof status_rows / sizeof status_rows[0]; i++)
			if (scan_is(&line, status_rows[i].name))
				status_take(r, i, &line);
	lines_close(&l);
	return r->proc.pid >= 0;
}

/* The name before them may hold anything, parentheses too; numbers alone follow the last one. */
static bool read_stat(int dir, struct reading *r)
{
	enum { TO_START = 9 };		/* words between major faults and the start */
	char buf[1024];
	struct str text;
	struct scan s;
	uint64_t pgid, sid, tty, minor, major;
	int64_t at;

	if (file_text(dir, "stat", buf, sizeof buf, &text) < 0 || (at = str_rfind(text, ')')) < 0)
		return false;
	s = (struct scan){ text.p + at + 1, text.p + text.len };
	scan_skip(&s, 2);		/* state, parent */
	if (!scan_u64(&s, 10, &pgid) || !scan_u64(&s, 10, &sid) || !scan_u64(&s, 10, &tty))
		return false;
	scan_skip(&s, 2);		/* the terminal's group, flags */
	if (!scan_u64(&s, 10, &minor))
		return false;
	scan_skip(&s, 1);		/* of children */
	if (!scan_u64(&s, 10, &major))
		return false;
	scan_skip(&s, TO_START);
	scan_u64(&s, 10, &r->start_ticks);
	r->proc.pgid = (int64_t)pgid;
	r->proc.sid = (int64_t)sid;
	r->proc.tty = (uint32_t)tty;
	r->proc.pfminor = minor;
	r->proc.pfmajor = major;
	return true;
}

static void read_loginuid(int dir, struct reading *r)
{
	char buf[32];
	struct str text;
	struct scan s;
	uint64_t v;

	if (file_text(dir, "loginuid", buf, sizeof buf, &text) < 0)
		return;
	s = scan_of(text);
	if (scan_u64(&s, 10, &v))
		r->proc.loginuid = (uint32_t)v;
}

static void read_comm(struct procfs *p, int dir, struct reading *r)
{
	struct str text;

	if (file_text(dir, "comm", p->comm, sizeof p->comm, &text) < 0)
		return;
	text.len -= text.len && text.p[text.len - 1] == '\n';
	text.len = (uint32_t)strnlen(text.p, text.len);
	r->proc.comm = text;
}

/* The limit of descriptors, from the file: asking the kernel needs rights over the process. */
static void read_fdlimit(struct procfs *p, int dir, struct reading *r)
{
	struct lines l;
	struct scan line;
	uint64_t v;

	if (!lines_open(&l, dir, "limits", p->lines))
		return;
	while (lines_next(&l, &line))
		if (scan_is(&line, "Max open files") && scan_u64(&line, 10, &v))
			r->proc.fdlimit = v;
	lines_close(&l);
}

/* NUL-ended items; a list that was cut ends where it was. */
static struct str read_blob(int dir, const char *name, char buf[BLOB_ROOM + 1])
{
	struct str text;

	file_text(dir, name, buf, BLOB_ROOM, &text);
	if (text.len && text.p[text.len - 1]) {
		text.len -= text.len == BLOB_ROOM;
		buf[text.len++] = '\0';
	}
	return text;
}

void procfs_command(struct procfs *p, int dir, struct scap_proc *proc)
{
	struct str line = read_blob(dir, "cmdline", p->args);
	uint32_t exe = (uint32_t)strnlen(line.p, line.len);

	proc->exe = (struct str){ line.p, exe < PATH_TEXT ? exe : PATH_TEXT };
	if (exe + 1 < line.len)
		proc->args = (struct str){ line.p + exe + 1, line.len - exe - 1 };
}

void procfs_environment(struct procfs *p, int dir, struct scap_proc *proc)
{
	proc->env = read_blob(dir, "environ", p->env);
}

/* ------------------------------------------------------------------ the program */

/* May the process write to its own program? As the driver answers it at exec: by owner, group and mode. */
static bool exe_writable(const struct reading *r, const struct statx *st, const struct mount_facts *m)
{
	enum { DAC_OVERRIDE = 1, GROUP_BIT = 020, OTHERS_BIT = 02 };

	if (m->read_only || st->stx_attributes & STATX_ATTR_IMMUTABLE)
		return false;
	if (st->stx_uid == r->fsuid || r->proc.cap_effective & 1u << DAC_OVERRIDE)
		return true;
	return st->stx_mode & (st->stx_gid == r->fsgid ? GROUP_BIT : OTHERS_BIT);
}

static uint64_t stamp_ns(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

static void read_exe(struct procfs *p, int dir, struct reading *r)
{
	struct statx st;
	struct mount_facts m = { 0 };

	if (!link_text(dir, "exe", p->exe, &r->proc.exepath) || !stat_cached(dir, "exe", &st))
		return;
	r->proc.exe_ino = st.stx_ino;
	r->proc.exe_ctime = stamp_ns(&st.stx_ctime);
	r->proc.exe_mtime = stamp_ns(&st.stx_mtime);
	if (st.stx_mask & STATX_MNT_ID)
		m = procfs_mount(p, dir, st.stx_mnt_id);
	if (exe_writable(r, &st, &m))
		r->proc.exe_flags |= EXE_WRITABLE;
	if (str_starts(r->proc.exepath, STR("/memfd:")))
		r->proc.exe_flags |= EXE_FROM_MEMFD;
}

/* ------------------------------------------------------------------ pid namespaces */

/* When the namespace's first process started: found by looking for those whose own number is 1. */
static void read_pid_spaces(struct procfs *p)
{
	int list_fd = proc_open(p->proc, ".", O_DIRECTORY), dir;
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct dirent *entry;
	int64_t pid;
	uint64_t ns;

	while (list && p->pid_spaces.n < PROCFS_MAX_MOUNTS && (entry = readdir(list))) {
		struct reading r = { .proc = { .pid = -1, .vpid = -1 } };

		if (!name_number(entry->d_name, &pid) || (dir = proc_open(p->proc, entry->d_name, O_DIRECTORY)) < 0)
			continue;
		if (read_status(p, dir, &r) && r.proc.vpid == 1 && read_stat(dir, &r) && namespace_of(dir, "ns/pid", &ns))
			map_put(&p->pid_spaces, ns, (void *)(uintptr_t)(r.start_ticks * (1000000000u / p->ticks) | 1));
		close(dir);
	}
	if (list)
		closedir(list);
	p->pid_spaces_read = true;
}

static uint64_t pid_space_start(struct procfs *p, int dir)
{
	uint64_t ns;
	void *known;

	if (!namespace_of(dir, "ns/pid", &ns))
		return 0;
	if (!(known = map_get(&p->pid_spaces, ns)) && !p->pid_spaces_read) {
		read_pid_spaces(p);
		known = map_get(&p->pid_spaces, ns);
	}
	return (uintptr_t)known & ~(uint64_t)1;
}

/* ------------------------------------------------------------------ whole threads */

struct scap_proc procfs_blank(int64_t tid)
{
	return (struct scap_proc){
		.tid = tid, .pid = -1, .ptid = -1, .vpgid = -1, .vtid = tid, .vpid = -1, .loginuid = UINT32_MAX,
		.fdlimit = (uint64_t)-1, .comm = STR(""), .exe = STR(""), .exepath = STR(""), .args = STR(""), .cwd = STR(""),
		.env = STR(""), .cgroups = STR(""), .root = STR(""),
	};
}

/* What each thread has of its own. */
static bool read_own(struct procfs *p, int dir, struct reading *r)
{
	if (!read_status(p, dir, r) || !read_stat(dir, r))
		return false;
	if (r->proc.vpid < 0)
		r->proc.vpid = r->proc.pid;
	if (r->proc.vpgid < 0)
		r->proc.vpgid = r->proc.pgid;
	read_loginuid(dir, r);
	read_comm(p, dir, r);
	r->proc.cgroups = procfs_cgroups(p, dir);
	if (r->proc.tid != r->proc.pid)
		r->proc.flags = THREAD_CLONE_THREAD | THREAD_CLONE_FILES;
	return true;
}

/* What it shares with its process. false: a kernel thread or a zombie. */
static bool read_shared(struct procfs *p, int dir, struct reading *r)
{
	procfs_command(p, dir, &r->proc);
	read_exe(p, dir, r);
	if (!r->proc.exe.len && !r->proc.args.len && !r->proc.exepath.len)
		return false;
	procfs_environment(p, dir, &r->proc);
	link_text(dir, "cwd", p->cwd, &r->proc.cwd);
	link_text(dir, "root", p->chroot, &r->proc.root);
	read_fdlimit(p, dir, r);
	r->proc.pidns_start_ts = r->proc.vpid != r->proc.pid ? pid_space_start(p, dir) : 0;
	return true;
}

int procfs_give(struct procfs *p, const struct scap_proc *proc, const struct scap_sink *sink)
{
	int rc = sink->proc(sink->ctx, proc);

	p->counts.scanned += rc >= 0;
	return rc;
}

/* The other threads of a process whose own parts are in `leader`. */
static int give_tasks(struct procfs *p, int dir, const struct reading *leader, const struct scap_sink *sink)
{
	int list_fd = proc_open(dir, "task", O_DIRECTORY), rc = 0, task;
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct dirent *entry;
	int64_t tid;

	while (list && rc >= 0 && (entry = readdir(list))) {
		struct reading r = *leader;

		if (!name_number(entry->d_name, &tid) || tid == leader->proc.pid ||
		    (task = proc_open(dirfd(list), entry->d_name, O_DIRECTORY)) < 0)
			continue;
		r.proc.tid = r.proc.vtid = tid;
		if (read_own(p, task, &r))
			rc = procfs_give(p, &r.proc, sink);
		close(task);
	}
	if (list)
		closedir(list);
	return rc;
}

/* A main thread that ended before the others has nothing left to show: it is read off another one. -1: there is none. */
static int open_survivor(int dir)
{
	int list_fd = proc_open(dir, "task", O_DIRECTORY), found = -1;
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct dirent *entry;
	char link[LINK_ROOM], name[300];
	struct str exe;
	int64_t tid;

	while (list && found < 0 && (entry = readdir(list))) {
		snprintf(name, sizeof name, "%s/exe", entry->d_name);
		if (name_number(entry->d_name, &tid) && link_text(dirfd(list), name, link, &exe))
			found = proc_open(dirfd(list), entry->d_name, O_DIRECTORY);
	}
	if (list)
		closedir(list);
	return found;
}

/*
 * Reads a thread and what it shares. *shared: the directory that the process's descriptors are read from: `dir`
 * itself, or one to be closed.
 */
static bool read_thread(struct procfs *p, int dir, struct reading *r, int *shared)
{
	*shared = dir;
	if (!read_own(p, dir, r))
		return false;
	if (read_shared(p, dir, r))
		return true;
	if (r->proc.tid != r->proc.pid || r->threads < 2 || (*shared = open_survivor(dir)) < 0) {
		*shared = dir;
		return false;
	}
	if (read_shared(p, *shared, r))
		return true;
	close(*shared);
	return false;
}

/* A process with its descriptors, and with all its threads if `tasks`. 0 also if it is gone. */
static int give_process(struct procfs *p, int dir, int64_t tid, bool tasks, const struct scap_sink *sink, int64_t *pid)
{
	struct reading r = { .proc = procfs_blank(tid) };
	int shared, rc;

	if (!read_thread(p, dir, &r, &shared))
		return 0;
	*pid = r.proc.pid;
	rc = procfs_give(p, &r.proc, sink);
	if (rc >= 0 && r.proc.tid == r.proc.pid) {
		rc = procfs_fds(p, shared, r.proc.pid, -1, sink);
		if (rc >= 0 && tasks)
			rc = give_tasks(p, dir, &r, sink);
	}
	if (shared != dir)
		close(shared);
	return rc < 0 ? rc : 1;
}

int procfs_process_dir(struct procfs *p, int64_t pid)
{
	char name[24];

	snprintf(name, sizeof name, "%lld", (long long)pid);
	return pid > 0 ? proc_open(p->proc, name, O_DIRECTORY) : -ENOENT;
}

int procfs_process(struct procfs *p, int64_t pid, const struct scap_sink *sink)
{
	int dir = procfs_process_dir(p, pid), rc;
	int64_t found;

	if (dir < 0)
		return 0;
	rc = give_process(p, dir, pid, true, sink, &found);
	close(dir);
	return rc < 0 ? rc : 0;
}

static int scan_numbers(struct procfs *p, const struct scap_sink *sink, struct err *err)
{
	int list_fd = proc_open(p->proc, ".", O_DIRECTORY), rc = 0;
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct dirent *entry;
	int64_t pid;

	if (!list) {
		rc = errno;
		if (list_fd >= 0)
			close(list_fd);
		return err_set(err, rc, "'%s/proc' cannot be read: %s", p->root, strerror(rc));
	}
	while (rc >= 0 && (entry = readdir(list)))
		if (name_number(entry->d_name, &pid))
			rc = procfs_process(p, pid, sink);
	closedir(list);
	return rc;
}

int procfs_scan_processes(struct procfs *p, const struct scap_sink *sink, struct err *err)
{
	int rc = procfs_open(p, err);

	if (rc < 0)
		return rc;
	forget(p);
	p->deadline = 0;
	p->with_sockets = true;
	rc = procfs_scan_tasks(p, sink);
	if (rc == -EOPNOTSUPP && (rc = scan_numbers(p, sink, err)) < 0 && rc != -ENOMEM)
		return rc;
	p->counts.overflow = p->socks.overflow;
	forget(p);
	return rc < 0 ? err_set(err, -rc, "out of memory for the processes of the host") : 0;
}

int procfs_scan(struct procfs *p, const struct scap_sink *sink, struct err *err)
{
	int rc = procfs_open(p, err);

	if (rc < 0)
		return rc;
	if ((rc = sink->reset(sink->ctx)) < 0)
		return err_set(err, -rc, "out of memory for the lists of the host");
	if ((rc = procfs_scan_host(p, sink, err)) < 0 || (rc = procfs_scan_processes(p, sink, err)) < 0)
		return rc;
	if ((rc = sink->lists_end(sink->ctx)) < 0)
		return err_set(err, -rc, "out of memory for the lists of the host");
	return 0;
}

/* ------------------------------------------------------------------ one thread, one descriptor */

/* Is there room for a look-up in this period? Starts it. */
static bool lookup_begin(struct procfs *p)
{
	uint64_t now = procfs_now(), budget = p->limits.budget_ms * 1000000ull;

	if (now - p->period_start >= p->limits.period_ms * 1000000ull) {
		p->period_start = now;
		p->period_ns = 0;
		p->period_lookups = 0;
		forget(p);
	}
	if (p->period_lookups >= p->limits.max_lookups || p->period_ns >= budget || procfs_open(p, NULL) < 0) {
		p->counts.refused++;
		return false;
	}
	p->period_lookups++;
	p->counts.lookups++;
	p->with_sockets = p->period_lookups <= p->limits.max_sockets;
	p->deadline = now + budget - p->period_ns;
	return true;
}

static int lookup_end(struct procfs *p, uint64_t since, int rc)
{
	uint64_t took = procfs_now() - since;

	p->period_ns += took;
	p->counts.ns += took;
	p->counts.found += rc > 0;
	p->counts.overflow = p->socks.overflow;
	return rc;
}

int procfs_lookup(struct procfs *p, int64_t tid, const struct scap_sink *sink, int64_t *pid)
{
	uint64_t since = procfs_now();
	int dir, rc = 0;

	*pid = -1;
	if (!lookup_begin(p))
		return -EAGAIN;
	if ((dir = procfs_process_dir(p, tid)) >= 0) {
		rc = give_process(p, dir, tid, false, sink, pid);
		close(dir);
	}
	return lookup_end(p, since, rc);
}

/*
 * A socket may be younger than the tables at hand, so what is not found there is looked for again, once the tables
 * are old enough for that not to become a habit.
 */
int procfs_lookup_fd(struct procfs *p, int64_t pid, int64_t fd, const struct scap_sink *sink)
{
	enum { TABLES_KEPT_NS = 50 * 1000000 };
	uint64_t since = procfs_now();
	int dir, rc = 0;

	if (fd < 0 || !lookup_begin(p))
		return fd < 0 ? 0 : -EAGAIN;
	if ((dir = procfs_process_dir(p, pid)) >= 0) {
		rc = procfs_fds(p, dir, pid, fd, sink);
		if (rc == 0 && p->with_sockets && p->socks.since_ns && since - p->socks.since_ns > TABLES_KEPT_NS) {
			sock_tables_clear(&p->socks);
			rc = procfs_fds(p, dir, pid, fd, sink);
		}
		close(dir);
	}
	return lookup_end(p, since, rc);
}
