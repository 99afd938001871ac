/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc shows of the host: this process, whose every descriptor is known here, and a tree that only looks like
 * /proc and holds what no kernel writes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "../c/engine/load.h"
#include "../c/engine/procfs.h"

/* ------------------------------------------------------------------ a sink that remembers */

enum { MAX_PROCS = 4096, MAX_FDS = 65536 };

static struct {
	uint32_t nprocs, nfds, nusers, ngroups, nifaces, resets, ends;
	struct machine machine;
	struct scap_proc procs[MAX_PROCS];
	struct { int64_t pid, fd; struct fd_draft d; } fds[MAX_FDS];
	int fail_at;			/* the sink's call that fails; 0: none */
	int calls;
} got;

static int step(void)
{
	return ++got.calls == got.fail_at ? -ENOMEM : 0;
}

static struct str keep(struct str s)
{
	char *copy = malloc(s.len + 1);

	memcpy(copy, s.p, s.len);
	copy[s.len] = '\0';
	return (struct str){ copy, s.len };
}

static int on_reset(void *ctx)
{
	got.resets++;
	return step();
}

static int on_machine(void *ctx, const struct machine *m)
{
	got.machine = *m;
	return step();
}

static int on_proc(void *ctx, const struct scap_proc *p)
{
	struct scap_proc *copy = &got.procs[got.nprocs++ % MAX_PROCS];

	*copy = *p;
	copy->comm = keep(p->comm);
	copy->exe = keep(p->exe);
	copy->exepath = keep(p->exepath);
	copy->args = keep(p->args);
	copy->cwd = keep(p->cwd);
	copy->env = keep(p->env);
	copy->cgroups = keep(p->cgroups);
	copy->root = keep(p->root);
	return step();
}

static int on_fd(void *ctx, int64_t pid, int64_t fd, const struct fd_draft *d)
{
	uint32_t i = got.nfds++ % MAX_FDS;

	got.fds[i].pid = pid;
	got.fds[i].fd = fd;
	got.fds[i].d = *d;
	got.fds[i].d.name = keep(d->name);
	return step();
}

static int on_begin(void *ctx)
{
	return step();
}

static int on_user(void *ctx, const struct user *u)
{
	assert_int_equal(strlen(u->name.p), u->name.len);
	assert_int_equal(strlen(u->shell.p), u->shell.len);
	got.nusers++;
	return step();
}

static int on_group(void *ctx, const struct group *g)
{
	assert_int_equal(strlen(g->name.p), g->name.len);
	got.ngroups++;
	return step();
}

static int on_iface(void *ctx, const struct iface *i)
{
	got.nifaces++;
	return step();
}

static int on_end(void *ctx)
{
	got.ends++;
	return step();
}

static const struct scap_sink sink = {
	.reset = on_reset, .machine = on_machine, .proc = on_proc, .fd = on_fd, .users_begin = on_begin, .user = on_user,
	.group = on_group, .ifaces_begin = on_begin, .iface = on_iface, .lists_end = on_end,
};

static void forget(void)
{
	for (uint32_t i = 0; i < got.nprocs && i < MAX_PROCS; i++) {
		struct scap_proc *p = &got.procs[i];
		struct str all[] = { p->comm, p->exe, p->exepath, p->args, p->cwd, p->env, p->cgroups, p->root };

		for (uint32_t k = 0; k < sizeof all / sizeof all[0]; k++)
			free((char *)all[k].p);
	}
	for (uint32_t i = 0; i < got.nfds && i < MAX_FDS; i++)
		free((char *)got.fds[i].d.name.p);
	memset(&got, 0, sizeof got);
}

static const struct scap_proc *proc_of(int64_t tid)
{
	for (uint32_t i = 0; i < got.nprocs; i++)
		if (got.procs[i].tid == tid)
			return &got.procs[i];
	return NULL;
}

static const struct fd_draft *fd_of(int64_t pid, int64_t fd)
{
	for (uint32_t i = 0; i < got.nfds; i++)
		if (got.fds[i].pid == pid && got.fds[i].fd == fd)
			return &got.fds[i].d;
	return NULL;
}

/* ------------------------------------------------------------------ two places to look at */

static struct host_view view;

static struct procfs *of_root(const char *root, const struct procfs_limits *limits)
{
	struct procfs *p;

	forget();
	memset(&view, 0, sizeof view);
	view.root_len = (uint32_t)strlen(root);
	memcpy(view.root, root, view.root_len);
	p = procfs_new(&view, limits);
	assert_non_null(p);
	return p;
}

static void scan(const char *root)
{
	struct err err = { 0 };
	struct procfs *p = of_root(root, NULL);

	if (procfs_scan(p, &sink, &err) < 0)
		fail_msg("%s", err.text);
	procfs_free(p);
}

static void assert_text(struct str s, const char *text)
{
	if (!str_is(s, text))
		fail_msg("'%.*s' should be '%s'", (int)s.len, s.p, text);
}

static void assert_blob(struct str s, const char *blob, size_t len)
{
	assert_int_equal(s.len, len);
	assert_memory_equal(s.p, blob, len);
}

/* ------------------------------------------------------------------ this process */

static void this_process_is_known_with_all_its_parts(void **state)
{
	const struct scap_proc *p;
	char path[4096] = "", comm[17] = "";
	struct rlimit limit;
	struct stat st;

	scan("");
	assert_int_equal(got.resets, 1);
	assert_int_equal(got.ends, 1);
	assert_true(got.nusers > 0 && got.ngroups > 0 && got.nifaces > 0);
	assert_int_equal(got.machine.cpus, sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(got.machine.boot_ts > 1000000000ull * 1000000000ull && got.machine.memory > 1 << 20);

	assert_non_null(p = proc_of(getpid()));
	assert_int_equal(p->pid, getpid());
	assert_int_equal(p->ptid, getppid());
	assert_int_equal(p->sid, getsid(0));
	assert_int_equal(p->pgid, getpgid(0));
	assert_int_equal(p->vpgid, getpgid(0));
	assert_int_equal(p->vtid, getpid());
	assert_int_equal(p->vpid, getpid());
	assert_int_equal(p->uid, geteuid());
	assert_int_equal(p->gid, getegid());
	assert_int_equal(p->flags, 0);
	assert_int_equal(p->pidns_start_ts, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(p->fdlimit, limit.rlim_cur);
	assert_true(p->vm_size > p->vm_rss && p->vm_rss > 0 && p->pfminor > 0);
	assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
	assert_text(p->exepath, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(p->exe_ino, st.st_ino);
	assert_int_equal(p->exe_mtime, st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec);
	assert_int_equal(p->exe_ctime, st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec);
	assert_int_equal(p->exe_flags, st.st_uid == geteuid() || geteuid() == 0 ? EXE_WRITABLE : 0);
	assert_non_null(getcwd(path, sizeof path));
	assert_text(p->cwd, path);
	assert_text(p->root, "/");
	assert_int_equal(prctl(PR_GET_NAME, comm), 0);
	assert_text(p->comm, comm);
	assert_true(memmem(p->cgroups.p, p->cgroups.len, "memory=/", 8) != NULL);
}

static pthread_barrier_t barrier;
static int64_t other_tid;

static void *other_thread(void *arg)
{
	other_tid = syscall(SYS_gettid);
	pthread_setname_np(pthread_self(), "other");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void threads_share_what_is_their_processs(void **state)
{
	const struct scap_proc *t, *p;
	struct procfs *fs;
	int64_t pid;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, other_thread, NULL);
	pthread_barrier_wait(&barrier);
	scan("");
	assert_non_null(t = proc_of(other_tid));
	assert_non_null(p = proc_of(getpid()));
	assert_int_equal(t->pid, getpid());
	assert_int_equal(t->vtid, other_tid);
	assert_int_equal(t->vpid, getpid());
	assert_text(t->comm, "other");
	assert_text(t->exepath, p->exepath.p);
	assert_int_equal(t->flags, THREAD_CLONE_THREAD | THREAD_CLONE_FILES);
	assert_null(fd_of(other_tid, 0));

	fs = of_root("", NULL);
	assert_int_equal(procfs_lookup(fs, other_tid, &sink, &pid), 1);
	assert_int_equal(pid, getpid());
	assert_int_equal(got.nprocs, 1);
	assert_int_equal(got.nfds, 0);
	assert_text(proc_of(other_tid)->comm, "other");
	procfs_free(fs);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

static void *lonely(void *arg)
{
	pause();
	return NULL;
}

/* Its main thread is a zombie; a program must not hide by that. */
static void a_process_whose_main_thread_ended_is_known(void **state)
{
	const struct scap_proc *p = NULL;
	pid_t child = fork();
	char path[4096] = "";

	if (child == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, lonely, NULL);
		pthread_exit(NULL);
	}
	for (int i = 0; i < 200; i++) {
		char name[64], text[512] = "";
		int fd;

		snprintf(name, sizeof name, "/proc/%d/stat", child);
		fd = open(name, O_RDONLY);
		assert_true(read(fd, text, sizeof text - 1) > 0);
		close(fd);
		if (strstr(text, ") Z "))
			break;
		usleep(5000);
	}
	scan("");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_non_null(p = proc_of(child));
	assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
	assert_text(p->exepath, path);
	assert_non_null(fd_of(child, 0));
}

static void a_zombie_and_a_number_of_nobody_are_nothing(void **state)
{
	struct procfs *p = of_root("", NULL);
	pid_t child = fork();
	int64_t pid;
	siginfo_t info;

	if (child == 0)
		_exit(0);
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	assert_int_equal(procfs_lookup(p, child, &sink, &pid), 0);
	waitpid(child, NULL, 0);
	assert_int_equal(procfs_lookup(p, child, &sink, &pid), 0);
	assert_int_equal(procfs_lookup(p, 0, &sink, &pid), 0);
	assert_int_equal(procfs_lookup(p, -5, &sink, &pid), 0);
	assert_int_equal(procfs_lookup_fd(p, child, 0, &sink), 0);
	assert_int_equal(procfs_lookup_fd(p, getpid(), -1, &sink), 0);
	assert_int_equal(got.calls, 0);
	procfs_free(p);
}

/* ------------------------------------------------------------------ its descriptors */

static int tcp4(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, type, 0);

	assert_int_equal(bind(fd, (void *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int tcp6(uint16_t *port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (void *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	*port = ntohs(a.sin6_port);
	return fd;
}

static uint64_t ino_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static const struct fd_draft *mine(int fd, uint8_t type)
{
	const struct fd_draft *d = fd_of(getpid(), fd);

	if (!d)
		fail_msg("descriptor %d is not known", fd);
	assert_int_equal(d->type, type);
	assert_int_equal(d->ino, ino_of(fd));
	return d;
}

static void sockets_have_their_addresses(void **state)
{
	static const uint8_t lo4[16] = { 127, 0, 0, 1 }, lo6[16] = { [15] = 1 }, none[16];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	uint16_t port, own, udp, port6;
	int server = tcp4(SOCK_STREAM, &port), client = tcp4(SOCK_STREAM, &own), dgram = tcp4(SOCK_DGRAM, &udp);
	int server6 = tcp6(&port6), client6 = socket(AF_INET6, SOCK_STREAM, 0), accepted, accepted6;
	int named = socket(AF_UNIX, SOCK_STREAM, 0), abstract = socket(AF_UNIX, SOCK_DGRAM, 0);
	int netlink = socket(AF_NETLINK, SOCK_RAW, 0), raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), pair[2];
	const struct fd_draft *d;

	assert_int_equal(listen(server, 1), 0);
	to.sin_port = htons(port);
	to6.sin6_port = htons(port6);
	assert_int_equal(connect(client, (void *)&to, sizeof to), 0);
	assert_int_equal(connect(client6, (void *)&to6, sizeof to6), 0);
	accepted = accept(server, NULL, NULL);
	accepted6 = accept(server6, NULL, NULL);
	snprintf(u.sun_path, sizeof u.sun_path, "/tmp/procfs-%d.sock", getpid());
	assert_int_equal(bind(named, (void *)&u, sizeof u), 0);
	unlink(u.sun_path);
	memcpy(u.sun_path, "\0hidden", 7);
	assert_int_equal(bind(abstract, (void *)&u, sizeof u.sun_family + 7), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	scan("");

	d = mine(server, FD_IPV4_LISTEN);
	assert_int_equal(d->l4, L4_TCP);
	assert_int_equal(d->addr.dport, port);
	assert_memory_equal(d->addr.dst, lo4, 16);
	assert_memory_equal(d->addr.src, none, 16);
	d = mine(client, FD_IPV4);
	assert_int_equal(d->addr.sport, own);
	assert_int_equal(d->addr.dport, port);
	assert_memory_equal(d->addr.src, lo4, 16);
	assert_memory_equal(d->addr.dst, lo4, 16);
	d = mine(accepted, FD_IPV4);
	assert_int_equal(d->addr.sport, port);
	assert_int_equal(d->addr.dport, own);
	d = mine(dgram, FD_IPV4_LISTEN);
	assert_int_equal(d->l4, L4_UDP);
	assert_int_equal(d->addr.dport, udp);
	d = mine(server6, FD_IPV6_LISTEN);
	assert_memory_equal(d->addr.dst, lo6, 16);
	assert_int_equal(d->addr.dport, port6);
	d = mine(client6, FD_IPV6);
	assert_memory_equal(d->addr.dst, lo6, 16);
	assert_int_equal(d->addr.dport, port6);
	assert_int_equal(mine(accepted6, FD_IPV6)->addr.sport, port6);
	snprintf(u.sun_path, sizeof u.sun_path, "/tmp/procfs-%d.sock", getpid());
	assert_text(mine(named, FD_UNIX)->name, u.sun_path);
	assert_text(mine(abstract, FD_UNIX)->name, "@hidden");
	assert_text(mine(pair[0], FD_UNIX)->name, "");
	mine(netlink, FD_NETLINK);
	if (raw >= 0)
		assert_int_equal(mine(raw, FD_IPV4_LISTEN)->l4, L4_RAW);
	for (int fd = server; fd <= pair[1] || fd <= accepted6; fd++)
		close(fd);
}

/* A socket's name with a line end in it looks like a line about another socket. */
static void a_unix_sockets_name_cannot_rename_another(void **state)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	int victim = socket(AF_UNIX, SOCK_STREAM, 0), liar = socket(AF_UNIX, SOCK_STREAM, 0), tcp;
	int liar2 = socket(AF_UNIX, SOCK_STREAM, 0);
	uint16_t port;
	int n;

	tcp = tcp4(SOCK_STREAM, &port);
	listen(tcp, 1);
	n = snprintf(u.sun_path + 1, sizeof u.sun_path - 1, "x\n0000000000000000: 00000002 00000000 00010000 0001 01 %llu /lie",
		     (unsigned long long)ino_of(victim));
	assert_int_equal(bind(liar, (void *)&u, (socklen_t)(sizeof u.sun_family + 1 + n)), 0);
	n = snprintf(u.sun_path + 1, sizeof u.sun_path - 1, "y\n0000000000000000: 00000002 00000000 00010000 0001 01 %llu /lie",
		     (unsigned long long)ino_of(tcp));
	assert_int_equal(bind(liar2, (void *)&u, (socklen_t)(sizeof u.sun_family + 1 + n)), 0);
	scan("");
	assert_text(mine(victim, FD_UNIX)->name, "");
	mine(tcp, FD_IPV4_LISTEN);
	close(victim);
	close(liar);
	close(liar2);
	close(tcp);
}

static void files_and_kernel_objects_are_told_apart(void **state)
{
	char path[] = "/tmp/procfs-XXXXXX", link[4096] = "", name[64];
	int file = mkostemp(path, O_APPEND | O_CLOEXEC), dir = open("/tmp", O_RDONLY | O_DIRECTORY);
	int null = open("/dev/null", O_WRONLY), memfd = memfd_create("blob", 0), event = eventfd(0, 0);
	int epoll = epoll_create1(0), ino = inotify_init(), timer = timerfd_create(CLOCK_MONOTONIC, 0), pipes[2];
	int pid = (int)syscall(SYS_pidfd_open, getppid(), 0), ns = open("/proc/self/ns/net", O_RDONLY);
	sigset_t set;
	int sig = (sigemptyset(&set), signalfd(-1, &set, 0));
	struct stat st;

	assert_int_equal(pipe(pipes), 0);
	scan("");
	assert_int_equal(fstat(file, &st), 0);
	assert_text(mine(file, FD_FILE_V2)->name, path);
	assert_int_equal(fd_of(getpid(), file)->openflags, 0x1000 | 0x800 | 0x8 | 0x3);
	assert_int_equal(fd_of(getpid(), file)->dev, (uint32_t)st.st_dev);
	assert_text(mine(dir, FD_DIRECTORY)->name, "/tmp");
	assert_text(mine(null, FD_FILE_V2)->name, "/dev/null");
	assert_int_equal(fd_of(getpid(), null)->openflags, 0x800 | 0x2);
	assert_text(mine(memfd, FD_MEMFD)->name, "/memfd:blob (deleted)");
	mine(event, FD_EVENT);
	mine(epoll, FD_EVENTPOLL);
	mine(ino, FD_INOTIFY);
	mine(timer, FD_TIMERFD);
	mine(sig, FD_SIGNALFD);
	mine(pipes[0], FD_FIFO);
	mine(pipes[1], FD_FIFO);
	snprintf(name, sizeof name, "/proc/self/fd/%d", ns);
	assert_true(readlink(name, link, sizeof link - 1) > 0);
	assert_text(mine(ns, FD_FILE_V2)->name, link);
	if (pid >= 0)
		assert_int_equal(mine(pid, FD_PIDFD)->pid, getppid());
	unlink(path);
	scan("");
	snprintf(link, sizeof link, "%s (deleted)", path);
	assert_text(mine(file, FD_FILE_V2)->name, link);
	for (int fd = file; fd <= pipes[1] || fd <= sig; fd++)
		close(fd);
}

/* The same through the sink that state is filled by. */
static void state_is_filled_from_it(void **state)
{
	struct state st;
	struct scap_sink load;
	struct err err = { 0 };
	struct thread *t;
	struct procfs *p;
	int null = open("/dev/null", O_WRONLY);

	assert_int_equal(state_init(&st, NULL), 0);
	load = load_sink(&st);
	p = of_root("", NULL);
	assert_int_equal(procfs_scan(p, &load, &err), 0);
	assert_non_null(t = thread_find(st.threads, getpid()));
	assert_non_null(fdtable_get(t->fds, null));
	assert_text(fdtable_get(t->fds, null)->d.name, "/dev/null");
	assert_ptr_equal(thread_parent(st.threads, t), thread_find(st.threads, getppid()));
	procfs_free(p);
	state_free(&st);
	close(null);
}

/* ------------------------------------------------------------------ limits and failures */

static void lookups_are_few_in_a_period(void **state)
{
	struct procfs_limits limits = { .period_ms = 60000, .max_lookups = 3, .max_sockets = 1 };
	struct procfs *p = of_root("", &limits);
	uint16_t port;
	int s = tcp4(SOCK_STREAM, &port);
	int64_t pid;

	listen(s, 1);
	assert_int_equal(procfs_lookup_fd(p, getpid(), 0, &sink), 1);
	assert_int_equal(procfs_lookup_fd(p, getpid(), s, &sink), 0);	/* tables are read no more */
	assert_int_equal(procfs_lookup(p, getpid(), &sink, &pid), 1);
	assert_int_equal(procfs_lookup(p, getpid(), &sink, &pid), -EAGAIN);
	assert_int_equal(procfs_lookup_fd(p, getpid(), 0, &sink), -EAGAIN);
	assert_int_equal(procfs_counts(p)->lookups, 3);
	assert_int_equal(procfs_counts(p)->found, 2);
	assert_int_equal(procfs_counts(p)->refused, 2);
	procfs_free(p);
	limits = (struct procfs_limits){ .period_ms = 60000, .max_fds = 1 };
	p = of_root("", &limits);
	assert_int_equal(procfs_lookup(p, getpid(), &sink, &pid), 1);
	assert_int_equal(got.nfds, 1);
	assert_int_equal(procfs_lookup_fd(p, getpid(), s, &sink), 1);
	assert_int_equal(fd_of(getpid(), s)->addr.dport, port);
	procfs_free(p);
	close(s);
}

static void a_sink_that_fails_ends_it(void **state)
{
	struct err err = { 0 };

	for (int at = 1;; at += at < 200 ? 1 : 37) {
		struct procfs *p = of_root("", NULL);
		int rc;

		got.fail_at = at;
		rc = procfs_scan(p, &sink, &err);
		procfs_free(p);
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(got.calls, at);
	}
	assert_true(got.calls > 50);
}

static void processes_may_come_and_go_meanwhile(void **state)
{
	pid_t storm = fork();

	if (storm == 0) {
		setpgid(0, 0);
		for (;;) {
			pid_t child = fork();

			if (child == 0)
				_exit(0);
			waitpid(child, NULL, 0);
		}
	}
	for (int i = 0; i < 30; i++) {
		scan("");
		assert_non_null(proc_of(getpid()));
	}
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
}

/* ------------------------------------------------------------------ a tree that looks like /proc */

static char tree[64];

static void put(const char *name, const void *data, size_t len)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s", tree, name);
	for (char *slash = path + strlen(tree) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void put_link(const char *name, const char *to)
{
	char path[512];

	put_text(name, "");
	snprintf(path, sizeof path, "%s/%s", tree, name);
	unlink(path);
	assert_int_equal(symlink(to, path), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static const char status_text[] =
	"Name:\tweird ) name\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t77\nNgid:\t0\nPid:\t77\nPPid:\t5\n"
	"TracerPid:\t0\nUid:\t1000\t1001\t1002\t1003\nGid:\t2000\t2001\t2002\t2003\nFDSize:\t64\nGroups:\t1 2 3\n"
	"NStgid:\t77\t9\t2\nNSpid:\t77\t9\t2\nNSpgid:\t77\t9\t3\nNSsid:\t5\t5\t1\nVmSize:\t  400 kB\nVmRSS:\t  300 kB\n"
	"VmSwap:\t  20 kB\nThreads:\t1\nCapInh:\t0000000000000001\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425f9\n";

static const char stat_text[] = "77 (weird ) 1 2 3) S 5 70 60 34816 70 4194304 111 222 333 444 5 6 7 8 20 0 1 0 4242 1 2\n";

static int make_tree(void **state)
{
	strcpy(tree, "/tmp/procfs-tree-XXXXXX");
	assert_non_null(mkdtemp(tree));
	put_text("proc/stat", "cpu 1 2 3\nbtime 1700000000\n");
	put_text("proc/1/mounts", "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
	put_text("etc/passwd", "root:x:0:0:r:/root:/bin/sh\nbroken\n:x:1:1::/:\nbad:x:abc:1::/:\nhuge:x:99999999999:1::/:\n"
			       "few:x:7:8\nlast:x:4294967295:3:::");
	put_text("etc/group", "root:x:0:\nbroken\nstaff:x:50:a,b,c\n");
	put_text("proc/77/status", status_text);
	put_text("proc/77/stat", stat_text);
	put_text("proc/77/comm", "weird ) name\n");
	put("proc/77/cmdline", "/bin/tool\0-a\0\0b c\0", 18);
	put("proc/77/environ", "A=1\0B=2\0", 8);
	put_text("proc/77/loginuid", "1000");
	put_text("proc/77/limits", "Limit   Soft Limit  Hard Limit  Units\nMax open files            123                 456    files\n");
	put_text("proc/77/cgroup",
		 "5:cpu,cpuacct:/a/b\n4:memory:/../../outside\n1:name=systemd:/s:x\n0::/two/deep\n");
	put_text("sys/fs/cgroup/unified/two/cgroup.controllers", "io memory\n");
	put_text("sys/fs/cgroup/unified/two/deep/cgroup.controllers", "\n");
	put_link("proc/77/exe", "/nowhere/tool (deleted)");
	put_link("proc/77/cwd", "/home/somebody");
	put_link("proc/77/root", "/");
	put_link("proc/77/ns/net", "net:[4026531992]");
	put_link("proc/77/ns/pid", "pid:[4026531999]");
	put_link("proc/77/ns/mnt", "mnt:[4026531990]");
	put_text("proc/77/mountinfo", "22 1 8:1 / / ro,relatime - ext4 /dev/sda1 rw\n23 22 0:5 / /dev rw - devtmpfs none ro,size=1\n");
	put_text("proc/77/fdinfo/3", "pos:\t0\nflags:\t0100001\nmnt_id:\t22\nino:\t1\n");
	put_link("proc/77/fd/3", "/etc/passwd");
	put_link("proc/77/fd/4", "socket:[900]");
	put_link("proc/77/fd/5", "socket:[901]");
	put_link("proc/77/fd/6", "socket:[18446744073709551616]");
	put_link("proc/77/fd/7", "pipe:[12]");
	put_link("proc/77/fd/8", "anon_inode:[eventpoll]");
	put_link("proc/77/fd/9", "anon_inode:bpf-map");
	put_link("proc/77/fd/10", "anon_inode:[never heard of]");
	put_link("proc/77/fd/11", "/tmp");
	put_link("proc/77/fd/12", "anon_inode:[pidfd]");
	put_text("proc/77/fdinfo/12", "pos:\t0\nPid:\t5\nNSpid:\t5\n");
	put_link("proc/77/fd/13", "/gone");
	put_link("proc/77/fd/x", "/etc/passwd");
	put_link("proc/77/fd/99999999999", "/etc/passwd");
	put_text("proc/77/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
		 "   0: 0100007F:1F90 0200007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 900 1 0 20 4 30 10 -1\n"
		 "   1: 0100007F:1F90 0200007F\n   2: ZZ:1 1:1\n   3:\n");
	put_text("proc/77/net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n"
		 "ffff8881: 00000002 00000000 00010000 0001 01 901 /run/a socket\nffff8881:\nxyz\n");
	return 0;
}

static int remove_tree(void **state)
{
	return nftw(tree, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_tree_that_looks_like_proc_is_read(void **state)
{
	const struct scap_proc *p;
	const struct fd_draft *d;
	struct stat st;

	scan(tree);
	assert_int_equal(got.nprocs, 1);
	assert_int_equal(got.nusers, 3);	/* the others lack a name or an id */
	assert_int_equal(got.ngroups, 2);
	assert_int_equal(got.machine.boot_ts, 1700000000ull * 1000000000ull);
	assert_non_null(p = proc_of(77));
	assert_int_equal(p->pid, 77);
	assert_int_equal(p->ptid, 5);
	assert_int_equal(p->pgid, 70);
	assert_int_equal(p->sid, 60);
	assert_int_equal(p->tty, 34816);
	assert_int_equal(p->vtid, 2);
	assert_int_equal(p->vpid, 2);
	assert_int_equal(p->vpgid, 3);
	assert_int_equal(p->uid, 1001);
	assert_int_equal(p->gid, 2001);
	assert_int_equal(p->loginuid, 1000);
	assert_int_equal(p->fdlimit, 123);
	assert_int_equal(p->vm_size, 400);
	assert_int_equal(p->vm_rss, 300);
	assert_int_equal(p->vm_swap, 20);
	assert_int_equal(p->pfminor, 111);
	assert_int_equal(p->pfmajor, 333);
	assert_int_equal(p->cap_inheritable, 1);
	assert_int_equal(p->cap_permitted, 0xa80425fb);
	assert_int_equal(p->cap_effective, 0xa80425f9);
	assert_text(p->comm, "weird ) name");
	assert_text(p->exe, "/bin/tool");
	assert_blob(p->args, "-a\0\0b c\0", 8);
	assert_blob(p->env, "A=1\0B=2\0", 8);
	assert_text(p->exepath, "/nowhere/tool (deleted)");
	assert_text(p->cwd, "/home/somebody");
	assert_blob(p->cgroups, "cpuset=/\0cpu=/a/b\0cpuacct=/a/b\0blkio=/two\0memory=/outside\0",
		    sizeof "cpuset=/\0cpu=/a/b\0cpuacct=/a/b\0blkio=/two\0memory=/outside\0" - 1);

	assert_non_null(d = fd_of(77, 3));
	assert_int_equal(stat("/etc/passwd", &st), 0);
	assert_int_equal(d->type, FD_FILE_V2);
	assert_int_equal(d->ino, st.st_ino);
	assert_int_equal(d->dev, makedev(8, 1));
	assert_int_equal(d->openflags, 0x800 | 0x2);
	assert_non_null(d = fd_of(77, 4));
	assert_int_equal(d->type, FD_IPV4);
	assert_int_equal(d->addr.sport, 8080);
	assert_int_equal(d->addr.dport, 80);
	assert_text(fd_of(77, 5)->name, "/run/a socket");
	assert_null(fd_of(77, 6));
	assert_int_equal(fd_of(77, 7)->ino, 12);
	assert_int_equal(fd_of(77, 8)->type, FD_EVENTPOLL);
	assert_int_equal(fd_of(77, 9)->type, FD_BPF);
	assert_int_equal(fd_of(77, 10)->type, FD_UNSUPPORTED);
	assert_int_equal(fd_of(77, 11)->type, FD_DIRECTORY);
	assert_int_equal(fd_of(77, 12)->pid, 5);
	assert_null(fd_of(77, 13));
	assert_int_equal(got.nfds, 9);
}

static void a_fifo_in_the_tree_is_not_waited_for(void **state)
{
	char path[128];

	snprintf(path, sizeof path, "%s/proc/77/environ", tree);
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	alarm(10);
	scan(tree);
	alarm(0);
	assert_text(proc_of(77)->env, "");
	unlink(path);
	put("proc/77/environ", "A=1\0B=2\0", 8);
}

static void a_missing_host_is_said(void **state)
{
	struct procfs *p = of_root("/nowhere/at/all", NULL);
	struct err err = { 0 };
	int64_t pid;

	assert_int_equal(procfs_scan(p, &sink, &err), -ENOENT);
	assert_non_null(strstr(err.text, "'/nowhere/at/all/proc'"));
	assert_non_null(strstr(err.text, "HOST_ROOT"));
	assert_int_equal(procfs_lookup(p, 1, &sink, &pid), -EAGAIN);
	procfs_free(p);
}

static void long_lines_are_passed_over(void **state)
{
	static char text[400000];
	size_t n = sizeof status_text - 1;

	strcpy(text, "Groups:\t");
	memset(text + 8, '7', sizeof text - 8);
	text[sizeof text - n - 2] = '\n';
	memcpy(text + sizeof text - n - 1, status_text, n);
	put("proc/77/status", text, sizeof text - 1);
	scan(tree);
	assert_int_equal(proc_of(77)->vpid, 2);
	memset(text, 'x', sizeof text);
	put("proc/77/cmdline", text, sizeof text);
	scan(tree);
	assert_int_equal(proc_of(77)->exe.len, 1023);
	put_text("proc/77/status", status_text);
	put("proc/77/cmdline", "/bin/tool\0-a\0\0b c\0", 18);
}

/* Whatever the files hold: no crash, and the rest of the tree is read. */
static void any_text_will_do(void **state)
{
	static const char *const names[] = {
		"proc/77/status", "proc/77/stat", "proc/77/cgroup", "proc/77/mountinfo", "proc/77/fdinfo/3",
		"proc/77/net/tcp", "proc/77/net/unix", "proc/77/limits", "etc/passwd", "proc/1/mounts",
	};
	static const char bytes[] = "0123456789abcdef:/ \t\n\n,()[]=-\0\377";
	uint32_t seed = 4711;

	for (int round = 0; round < 600; round++) {
		const char *name = names[round % (sizeof names / sizeof names[0])];
		char path[128], text[2048];
		ssize_t n;
		int fd;

		snprintf(path, sizeof path, "%s/%s", tree, name);
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof text);
		close(fd);
		for (int i = 0; i < 6; i++) {
			seed = seed * 1664525 + 1013904223;
			if (n > 0)
				text[seed / 7 % (size_t)n] = bytes[seed / 65537 % (sizeof bytes - 1)];
		}
		if (round % 50 == 49)
			n /= 2;
		put(name, text, n > 0 ? (size_t)n : 0);
		if (round % 4 == 3)
			scan(tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_process_is_known_with_all_its_parts),
		cmocka_unit_test(threads_share_what_is_their_processs),
		cmocka_unit_test(a_process_whose_main_thread_ended_is_known),
		cmocka_unit_test(a_zombie_and_a_number_of_nobody_are_nothing),
		cmocka_unit_test(sockets_have_their_addresses),
		cmocka_unit_test(a_unix_sockets_name_cannot_rename_another),
		cmocka_unit_test(files_and_kernel_objects_are_told_apart),
		cmocka_unit_test(state_is_filled_from_it),
		cmocka_unit_test(lookups_are_few_in_a_period),
		cmocka_unit_test(a_sink_that_fails_ends_it),
		cmocka_unit_test(processes_may_come_and_go_meanwhile),
		cmocka_unit_test(a_tree_that_looks_like_proc_is_read),
		cmocka_unit_test(a_fifo_in_the_tree_is_not_waited_for),
		cmocka_unit_test(a_missing_host_is_said),
		cmocka_unit_test(long_lines_are_passed_over),
		cmocka_unit_test(any_text_will_do),
	};
	int failed = cmocka_run_group_tests(tests, make_tree, remove_tree);

	forget();
	return failed;
}
