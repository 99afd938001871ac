/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start's state by way of the driver is what /proc tells: both are taken of children that do nothing meanwhile and
 * have one of each kind of descriptor, threads, odd names and paths. Needs root and BTF.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "../c/driver/source.h"
#include "../c/engine/proc.h"
#include "../c/engine/procfs.h"

/* ------------------------------------------------------------------ two lists */

enum { MAX_PROCS = 8192, MAX_FDS = 65536 };

struct list {
	uint32_t nprocs, nfds;
	struct scap_proc procs[MAX_PROCS];
	struct { int64_t pid, fd; struct fd_draft d; } fds[MAX_FDS];
};

static struct list of_proc, of_driver, afterwards;
static struct source *source;

static struct str keep(struct str s)
{
	char *copy = malloc(s.len + 1);

	memcpy(copy, s.p, s.len);
	copy[s.len] = '\0';
	return (struct str){ copy, s.len };
}

static int on_proc(void *ctx, const struct scap_proc *p)
{
	struct list *l = ctx;
	struct scap_proc *copy = &l->procs[l->nprocs++ % MAX_PROCS];

	*copy = *p;
	copy->comm = keep(p->comm);
	copy->exe = keep(p->exe);
	copy->exepath = keep(p->exepath);
	copy->args = keep(p->args);
	copy->cwd = keep(p->cwd);
	copy->env = keep(p->env);
	copy->cgroups = keep(p->cgroups);
	copy->root = keep(p->root);
	return 0;
}

static int on_fd(void *ctx, int64_t pid, int64_t fd, const struct fd_draft *d)
{
	struct list *l = ctx;
	uint32_t i = l->nfds++ % MAX_FDS;

	l->fds[i].pid = pid;
	l->fds[i].fd = fd;
	l->fds[i].d = *d;
	l->fds[i].d.name = keep(d->name);
	return 0;
}

static void forget(struct list *l)
{
	for (uint32_t i = 0; i < l->nprocs && i < MAX_PROCS; i++) {
		struct scap_proc *p = &l->procs[i];
		struct str all[] = { p->comm, p->exe, p->exepath, p->args, p->cwd, p->env, p->cgroups, p->root };

		for (uint32_t k = 0; k < sizeof all / sizeof all[0]; k++)
			free((char *)all[k].p);
	}
	for (uint32_t i = 0; i < l->nfds && i < MAX_FDS; i++)
		free((char *)l->fds[i].d.name.p);
	memset(l, 0, sizeof *l);
}

static uint64_t take(struct list *l, struct source *from)
{
	struct scap_sink sink = { .ctx = l, .proc = on_proc, .fd = on_fd };
	struct host_view view = { 0 };
	struct procfs *p = procfs_new(&view, NULL);
	struct err err = { 0 };
	uint64_t n;

	forget(l);
	procfs_use_source(p, from);
	if (procfs_scan_processes(p, &sink, &err) < 0)
		fail_msg("%s", err.text);
	n = procfs_counts(p)->from_driver;
	procfs_free(p);
	return n;
}

/* ------------------------------------------------------------------ comparing them */

static const struct scap_proc *proc_of(const struct list *l, int64_t tid)
{
	for (uint32_t i = 0; i < l->nprocs; i++)
		if (l->procs[i].tid == tid)
			return &l->procs[i];
	return NULL;
}

static const struct fd_draft *fd_of(const struct list *l, int64_t pid, int64_t fd)
{
	for (uint32_t i = 0; i < l->nfds; i++)
		if (l->fds[i].pid == pid && l->fds[i].fd == fd)
			return &l->fds[i].d;
	return NULL;
}

static void same_text(const char *what, int64_t of, struct str a, struct str b)
{
	bool same = str_eq(a, b);

	for (uint32_t i = 0; !same && i < a.len + b.len; i++) {
		char *c = (char *)(i < a.len ? a.p + i : b.p + i - a.len);
		*c = *c ? *c : '|';
	}
	if (!same)
		fail_msg("%s of %lld: /proc says '%.200s', the driver '%.200s' (%u and %u bytes)", what, (long long)of, a.p, b.p, a.len,
			 b.len);
}

static void same_number(const char *what, int64_t of, uint64_t a, uint64_t b)
{
	if (a != b)
		fail_msg("%s of %lld: /proc says %llu, the driver %llu", what, (long long)of, (unsigned long long)a,
			 (unsigned long long)b);
}

static void near(const char *what, int64_t of, uint64_t a, uint64_t b, uint64_t tolerance)
{
	if ((a > b ? a - b : b - a) > tolerance)
		same_number(what, of, a, b);
}

static void same_proc(const struct scap_proc *a, const struct scap_proc *b)
{
	enum { COUNTERS_KB = 4096 };	/* the kernel adds up those of the CPUs for /proc alone */
#define SAME(member) same_number(#member, a->tid, (uint64_t)a->member, (uint64_t)b->member)
#define SAME_TEXT(member) same_text(#member, a->tid, a->member, b->member)
	SAME(pid); SAME(ptid); SAME(sid); SAME(vpgid); SAME(pgid); SAME(vtid); SAME(vpid);
	SAME_TEXT(comm); SAME_TEXT(exe); SAME_TEXT(exepath); SAME_TEXT(args); SAME_TEXT(cwd); SAME_TEXT(env);
	SAME_TEXT(cgroups); SAME_TEXT(root);
	SAME(fdlimit); SAME(flags); SAME(uid); SAME(gid); SAME(loginuid); SAME(tty); SAME(vm_size);
	near("vm_rss", a->tid, a->vm_rss, b->vm_rss, COUNTERS_KB);
	near("vm_swap", a->tid, a->vm_swap, b->vm_swap, COUNTERS_KB);
	SAME(pfmajor); SAME(pfminor);
	near("pidns_start_ts", a->tid, a->pidns_start_ts, b->pidns_start_ts, 20000000);	/* /proc counts ticks */
	SAME(cap_inheritable); SAME(cap_permitted); SAME(cap_effective);
	SAME(exe_ino); SAME(exe_ctime); SAME(exe_mtime);
	/* which layer of an overlay it is from, only the driver tells */
	same_number("exe_flags", a->tid, a->exe_flags, b->exe_flags & (EXE_WRITABLE | EXE_FROM_MEMFD));
#undef SAME
#undef SAME_TEXT
}

static void same_fd(int64_t fd, const struct fd_draft *a, const struct fd_draft *b)
{
#define SAME(member) same_number(#member, fd, (uint64_t)a->member, (uint64_t)b->member)
	SAME(type); SAME(l4); SAME(bits); SAME(openflags); SAME(dev); SAME(ino); SAME(pid);
	SAME(addr.sport); SAME(addr.dport);
	same_text("name", fd, a->name, b->name);
	assert_memory_equal(a->addr.src, b->addr.src, 16);
	assert_memory_equal(a->addr.dst, b->addr.dst, 16);
	/* /proc scrambles addresses of the kernel */
	same_number("unix_src", fd, a->unix_src != 0, b->unix_src != 0);
#undef SAME
}

/* All that both have of a process. Returns how many descriptors those are. */
static uint32_t same_process(int64_t pid)
{
	uint32_t n = 0, m = 0;

	assert_non_null(proc_of(&of_proc, pid));
	for (uint32_t i = 0; i < of_proc.nprocs; i++) {
		const struct scap_proc *a = &of_proc.procs[i], *b = proc_of(&of_driver, a->tid);

		if (a->pid != pid)
			continue;
		if (!b)
			fail_msg("the driver does not know thread %lld", (long long)a->tid);
		same_proc(a, b);
	}
	for (uint32_t i = 0; i < of_driver.nprocs; i++)
		if (of_driver.procs[i].pid == pid)
			assert_non_null(proc_of(&of_proc, of_driver.procs[i].tid));
	for (uint32_t i = 0; i < of_proc.nfds; i++) {
		const struct fd_draft *b = fd_of(&of_driver, pid, of_proc.fds[i].fd);

		if (of_proc.fds[i].pid != pid)
			continue;
		n++;
		if (!b)
			fail_msg("the driver does not know descriptor %lld", (long long)of_proc.fds[i].fd);
		same_fd(of_proc.fds[i].fd, &of_proc.fds[i].d, b);
	}
	for (uint32_t i = 0; i < of_driver.nfds; i++)
		m += of_driver.fds[i].pid == pid;
	assert_int_equal(n, m);
	return n;
}

/* ------------------------------------------------------------------ children */

/* Runs `prepare` in a child that then sleeps, takes both lists, and ends it. Returns its number. */
static pid_t with_child(void (*prepare)(void))
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	if ((child = fork()) == 0) {
		close(ready[0]);
		prepare();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	usleep(20000);		/* until it sleeps */
	take(&of_proc, NULL);
	assert_true(take(&of_driver, source) > 0);
	kill(child, SIGKILL);
	return child;
}

static void gone(pid_t child)
{
	waitpid(child, NULL, 0);
}

static int address4(int type, int protocol)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, protocol);

	bind(fd, (void *)&a, sizeof a);
	return fd;
}

static void connect_to(int server, int client)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	getsockname(server, (void *)&a, &len);
	connect(client, (void *)&a, len);
}

static void open_sockets(void)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_un named = { .sun_family = AF_UNIX }, hidden = { .sun_family = AF_UNIX, .sun_path = "\0falco\0test" };
	struct sockaddr_un full = { .sun_family = AF_UNIX, .sun_path = "\0f" };
	int server = address4(SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), udp = address4(SOCK_DGRAM, 0);
	int server6 = socket(AF_INET6, SOCK_STREAM, 0), client6 = socket(AF_INET6, SOCK_STREAM, 0), pair[2];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), caller = socket(AF_UNIX, SOCK_STREAM, 0);
	int abstract = socket(AF_UNIX, SOCK_DGRAM, 0), long_name = socket(AF_UNIX, SOCK_DGRAM, 0);

	listen(server, 4);
	connect_to(server, client);
	accept(server, NULL, NULL);
	connect_to(udp, address4(SOCK_DGRAM, 0));
	bind(server6, (void *)&a6, sizeof a6);
	listen(server6, 4);
	connect_to(server6, client6);
	accept(server6, NULL, NULL);
	snprintf(named.sun_path, sizeof named.sun_path, "/tmp/falco-test-%d.sock", getpid());
	bind(listener, (void *)&named, sizeof named);
	listen(listener, 4);
	connect(caller, (void *)&named, sizeof named);
	accept(listener, NULL, NULL);
	unlink(named.sun_path);
	bind(abstract, (void *)&hidden, sizeof(sa_family_t) + 11);
	memset(full.sun_path + 2, 'x', sizeof full.sun_path - 2);
	snprintf(full.sun_path + 90, 18, "%d", getpid());
	bind(long_name, (void *)&full, sizeof full);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	socket(AF_INET, SOCK_STREAM, 0);	/* these have no address, and are in no table */
	socket(AF_INET, SOCK_DGRAM, 0);
	socket(AF_NETLINK, SOCK_RAW, 0);
	socket(AF_PACKET, SOCK_RAW, 0);
	socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static void open_files(void)
{
	char path[64], deep[8192] = "/tmp";
	sigset_t set;
	int fd;

	open("/etc/passwd", O_RDONLY);
	open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	open("/dev/null", O_RDWR | O_NONBLOCK);
	open("/tmp", O_RDONLY | O_DIRECTORY);
	open("/tmp", O_PATH);
	open("/", O_RDONLY);
	open("/proc/self/status", O_RDONLY);
	open("/proc/self/ns/net", O_RDONLY);
	open("/sys/kernel", O_RDONLY);
	open("/tmp", O_TMPFILE | O_WRONLY, 0600);
	snprintf(path, sizeof path, "/tmp/falco test\n%d", getpid());
	fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_DSYNC, 0600);
	unlink(path);
	mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	mkfifo(path, 0600);
	open(path, O_RDWR);
	unlink(path);
	pipe2((int[2]){ 0 }, O_CLOEXEC);
	memfd_create("memory", MFD_CLOEXEC);
	memfd_create("", 0);
	eventfd(0, 0);
	epoll_create1(0);
	inotify_init1(IN_NONBLOCK);
	timerfd_create(CLOCK_MONOTONIC, 0);
	sigemptyset(&set);
	signalfd(-1, &set, 0);
	syscall(SYS_pidfd_open, getppid(), 0);
	posix_openpt(O_RDWR | O_NOCTTY);
	dup2(fd, 300);

	/* deeper than a path may be, and then of one name after the other */
	snprintf(path, sizeof path, "/tmp/falco-test-%d", getpid());
	mkdir(path, 0700);
	chdir(path);
	memset(deep, 'd', 200);
	deep[200] = 0;
	for (int i = 0; i < 25; i++) {
		mkdir(deep, 0700);
		chdir(deep);
		if (i % 8 == 4)
			open(".", O_RDONLY);
	}
	open("file", O_CREAT | O_RDWR, 0600);
	chdir("/tmp");
	snprintf(path, sizeof path, "/tmp/falco-test-%d-s", getpid());
	mkdir(path, 0700);
	chdir(path);
	for (int i = 0; i < 150; i++) {
		mkdir("s", 0700);
		chdir("s");
		if (i % 10 == 5)
			open(".", O_RDONLY);
	}
	chdir("/tmp");
	snprintf(deep, sizeof deep, "rm -rf /tmp/falco-test-%d-s", getpid());
	if (system(deep) != 0)
		_exit(1);
}

static void *sleeper(void *arg)
{
	pthread_setname_np(pthread_self(), arg);
	for (;;)
		pause();
	return NULL;
}

static void be_special(void)
{
	struct rlimit limit = { 512, 1024 };
	pthread_t thread;
	char path[64];

	snprintf(path, sizeof path, "/tmp/falco-test-%d-gone", getpid());
	mkdir(path, 0700);
	chdir(path);
	rmdir(path);
	setsid();
	setrlimit(RLIMIT_NOFILE, &limit);
	prctl(PR_SET_NAME, "a (b) c");
	pthread_create(&thread, NULL, sleeper, (void *)"first");
	pthread_create(&thread, NULL, sleeper, (void *)"second");
	usleep(10000);
	if (setresgid(7, 1234, 7) < 0 || setresuid(5, 4321, 5) < 0)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
}

static void be_chrooted(void)
{
	if (chroot("/usr") < 0 || chdir("/bin") < 0)
		_exit(1);
}

/* In namespaces of its own, and that with a program that is only in memory. */
static void be_enclosed(void)
{
	char *args[] = { "enclosed", "900", NULL }, *env[] = { "A=b", "C=", NULL };
	int fd = memfd_create("program", 0), from = open("/bin/sleep", O_RDONLY), n;
	char buf[65536];
	pid_t child;

	while ((n = (int)read(from, buf, sizeof buf)) > 0)
		if (write(fd, buf, (size_t)n) != n)
			_exit(1);
	if (unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS) < 0)
		_exit(1);
	if ((child = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fexecve(fd, args, env);
		_exit(1);
	}
	usleep(100000);
}

/* ------------------------------------------------------------------ tests */

static bool can_run(void)
{
	struct source_options options = { .ring_bytes = 1 << 20 };
	struct err err = { 0 };

	if (geteuid() != 0 || access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return false;
	if (!source && !(source = source_bpf_open(&options, &err)))
		fail_msg("%s", err.text);
	return true;
}

#define NEEDS_DRIVER() do { if (!can_run()) { \
	puts("skipped: lists of the driver (need root and /sys/kernel/btf/vmlinux)"); \
	skip(); } } while (0)

static void sockets_are_the_same(void **state)
{
	NEEDS_DRIVER();
	pid_t child = with_child(open_sockets);

	assert_true(same_process(child) > 18);
	gone(child);
}

static void remove_deep(pid_t child)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf /tmp/falco-test-%d", child);
	assert_int_equal(system(command), 0);
}

static void files_are_the_same(void **state)
{
	NEEDS_DRIVER();
	pid_t child = with_child(open_files);

	remove_deep(child);
	assert_true(same_process(child) > 40);
	gone(child);
}

static void processes_and_threads_are_the_same(void **state)
{
	const struct scap_proc *p;

	NEEDS_DRIVER();
	pid_t child = with_child(be_special);

	same_process(child);
	p = proc_of(&of_driver, child);
	assert_int_equal(p->uid, 4321);
	assert_int_equal(p->fdlimit, 512);
	gone(child);

	child = with_child(be_chrooted);
	same_process(child);
	assert_true(str_is(proc_of(&of_driver, child)->root, "/usr"));
	gone(child);
}

static void namespaces_are_the_same(void **state)
{
	uint32_t enclosed = 0;

	NEEDS_DRIVER();
	pid_t child = with_child(be_enclosed);

	same_process(child);
	for (uint32_t i = 0; i < of_proc.nprocs; i++)
		if (of_proc.procs[i].ptid == child) {
			same_process(of_proc.procs[i].pid);
			assert_int_equal(of_proc.procs[i].vpid, 1);
			assert_true(proc_of(&of_driver, of_proc.procs[i].pid)->exe_flags & EXE_FROM_MEMFD);
			enclosed++;
		}
	assert_int_equal(enclosed, 1);
	gone(child);
}

static void end_first_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleeper, (void *)"left");
}

/* Its main thread is a zombie; a program must not hide by that. */
static void a_process_whose_main_thread_ended_is_the_same(void **state)
{
	int ready[2];
	char byte;
	pid_t child;

	NEEDS_DRIVER();
	assert_int_equal(pipe(ready), 0);
	if ((child = fork()) == 0) {
		end_first_thread();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(ready[1], "", 1) == 1)
			syscall(SYS_exit, 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	usleep(50000);
	take(&of_proc, NULL);
	take(&of_driver, source);
	kill(child, SIGKILL);
	assert_true(same_process(child) > 2);
	gone(child);
}

/* Whoever is there all the time: most of this machine is. */
/* Threads that /proc has before and after, the driver has in between. Descriptors come and go at any time. */
static void the_whole_machine_is_nearly_the_same(void **state)
{
	uint32_t known = 0, unknown = 0;

	NEEDS_DRIVER();
	take(&of_proc, NULL);
	take(&of_driver, source);
	take(&afterwards, NULL);
	for (uint32_t i = 0; i < of_proc.nprocs && i < MAX_PROCS; i++) {
		int64_t tid = of_proc.procs[i].tid;

		if (proc_of(&afterwards, tid))
			*(proc_of(&of_driver, tid) ? &known : &unknown) += 1;
	}
	assert_true(known > 0);
	assert_int_equal(unknown, 0);
	assert_null(proc_of(&of_driver, 2));	/* the kernel's own */
	known = unknown = 0;
	for (uint32_t i = 0; i < of_proc.nfds && i < MAX_FDS; i++) {
		int64_t pid = of_proc.fds[i].pid, fd = of_proc.fds[i].fd;

		if (fd_of(&afterwards, pid, fd))
			*(fd_of(&of_driver, pid, fd) ? &known : &unknown) += 1;
	}
	assert_true(known > 0 && unknown <= known / 20 + 8);
}

/* What cannot list threads leaves it to /proc. */
static void without_the_programs_proc_is_read(void **state)
{
	struct source_options options = { .ring_bytes = 1 << 20, .no_tasks = true };
	struct err err = { 0 };
	struct source *bare;

	NEEDS_DRIVER();
	assert_non_null(bare = source_bpf_open(&options, &err));
	assert_int_equal(take(&of_driver, bare), 0);
	assert_non_null(proc_of(&of_driver, getpid()));
	source_close(bare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_the_same), cmocka_unit_test(files_are_the_same),
		cmocka_unit_test(processes_and_threads_are_the_same), cmocka_unit_test(namespaces_are_the_same),
		cmocka_unit_test(a_process_whose_main_thread_ended_is_the_same),
		cmocka_unit_test(the_whole_machine_is_nearly_the_same), cmocka_unit_test(without_the_programs_proc_is_read),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	forget(&of_proc);
	forget(&of_driver);
	forget(&afterwards);
	source_close(source);
	return rc;
}
