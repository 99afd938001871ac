/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suspicious act at a time, where a shell has no word for it. Static, so that it runs in any root, under any name:
 *
 *	act VERB ARGUMENT...		(verbs: the table at the end)
 *
 * Acts are harmless: they fail on purpose where success would change something, and what they touch is named by whoever
 * calls. Exit status 0: it was done (or refused, where that is what was expected).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int complain(const char *what)
{
	fprintf(stderr, "act: %s: %s\n", what, strerror(errno));
	return 1;
}

static int done_if(bool ok, const char *what)
{
	return ok ? 0 : complain(what);
}

static int wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return complain("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run(char **argv)
{
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], argv);
		_exit(complain(argv[0]) + 126);
	}
	return wait_for(pid);
}

/* ------------------------------------------------------------------ programs */

/* spawn COMMAND...: what a server does that runs a program */
static int act_spawn(char **v)
{
	return run(v);
}

static int copy(int to, const char *path)
{
	char buf[65536];
	ssize_t n;
	int from = open(path, O_RDONLY | O_CLOEXEC);

	if (from < 0)
		return -1;
	while ((n = read(from, buf, sizeof buf)) > 0)
		if (write(to, buf, (size_t)n) != n)
			return -1;
	close(from);
	return n < 0 ? -1 : 0;
}

static int memory_file(const char *program)
{
	int fd = memfd_create("act", MFD_CLOEXEC);

	return fd < 0 || copy(fd, program) < 0 ? -1 : fd;
}

/* memory PROGRAM ARGUMENT...: run from a memory file with execveat */
static int act_memory(char **v)
{
	int fd = memory_file(v[0]);

	if (fd < 0)
		return complain(v[0]);
	syscall(SYS_execveat, fd, "", v, environ, AT_EMPTY_PATH);
	return complain("execveat");
}

/* memory-path PROGRAM ARGUMENT...: the same by its name in /proc */
static int act_memory_path(char **v)
{
	char path[64];
	int fd = memory_file(v[0]);

	if (fd < 0)
		return complain(v[0]);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	execve(path, v, environ);
	return complain(path);
}

/* alone PROGRAM: with no argument at all besides its name */
static int act_alone(char **v)
{
	return run((char *[]){ v[0], NULL });
}

/* begin NAME SCRIPT: the shell, with nothing in its environment but what an act may count on */
static int act_begin(char **v)
{
	char name[128];

	snprintf(name, sizeof name, "ACT=%s", v[0]);
	execve("/bin/sh", (char *[]){ "sh", v[1], NULL },
	       (char *[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", name, NULL });
	return complain("/bin/sh");
}

/* as UID COMMAND...: as another user */
static int act_as(char **v)
{
	uid_t id = (uid_t)atoi(v[0]);

	if (setgid(id) || setuid(id))
		return complain("setuid");
	return run(v + 1);
}

/* become-root: by somebody who may not */
static int act_become_root(char **v)
{
	return done_if(setuid(0) < 0, "setuid: was allowed");
}

/* terminal COMMAND...: on a terminal of its own, what it writes is thrown away */
static int act_terminal(char **v)
{
	char buf[4096];
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), status;

	if (master < 0 || grantpt(master) || unlockpt(master))
		return complain("terminal");
	pid_t pid = fork();
	if (!pid) {
		setsid();
		int slave = open(ptsname(master), O_RDWR);
		if (slave < 0)
			_exit(complain(ptsname(master)));
		for (int i = 0; i < 3; i++)
			dup2(slave, i);
		execvp(v[0], v);
		_exit(127);
	}
	while (read(master, buf, sizeof buf) > 0)
		;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ------------------------------------------------------------------ files */

/* read PATH: open and read */
static int act_read(char **v)
{
	char c;
	int fd = open(v[0], O_RDONLY);

	return done_if(fd >= 0 && read(fd, &c, 1) >= 0, v[0]);
}

/* read-at DIRECTORY NAME: relative to a descriptor */
static int act_read_at(char **v)
{
	int dir = open(v[0], O_RDONLY | O_DIRECTORY);

	return done_if(dir >= 0 && openat(dir, v[1], O_RDONLY) >= 0, v[1]);
}

/* read-openat2 PATH */
static int act_read_openat2(char **v)
{
	struct open_how how = { .flags = O_RDONLY };

	return done_if(syscall(SYS_openat2, AT_FDCWD, v[0], &how, sizeof how) >= 0, v[0]);
}

/* try-open PATH: whether it is there or not */
static int act_try_open(char **v)
{
	open(v[0], O_RDONLY);
	return 0;
}

/* fchmod PATH MODE(octal) */
static int act_fchmod(char **v)
{
	int fd = open(v[0], O_RDONLY);

	return done_if(fd >= 0 && !fchmod(fd, (mode_t)strtol(v[1], NULL, 8)), v[0]);
}

/* exchange A B: names of two files */
static int act_exchange(char **v)
{
	return done_if(!syscall(SYS_renameat2, AT_FDCWD, v[0], AT_FDCWD, v[1], 2 /* RENAME_EXCHANGE */), v[0]);
}

/* ------------------------------------------------------------------ other processes, namespaces, kernel */

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	return pid;
}

static int end_sleeper(pid_t pid, bool ok)
{
	int saved = errno;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	errno = saved;
	return done_if(ok, "ptrace");
}

/* seize: attach to a child of ours that asked for nothing */
static int act_seize(char **v)
{
	pid_t pid = sleeper();

	return end_sleeper(pid, !ptrace(PTRACE_SEIZE, pid, 0, 0));
}

/* poke: attach, and write into its memory what is there already */
static int act_poke(char **v)
{
	static long word = 1;
	pid_t pid = sleeper();
	bool ok = !ptrace(PTRACE_ATTACH, pid, 0, 0) && waitpid(pid, NULL, __WALL) == pid &&
		  !ptrace(PTRACE_POKEDATA, pid, &word, (void *)word);

	return end_sleeper(pid, ok);
}

/* traceme: what keeps a debugger out */
static int act_traceme(char **v)
{
	pid_t pid = fork();

	if (!pid)
		_exit(ptrace(PTRACE_TRACEME, 0, 0, 0) != 0);
	return wait_for(pid);
}

/* setns PATH: of the namespace that it is in already */
static int act_setns(char **v)
{
	int fd = open(v[0], O_RDONLY);

	return done_if(fd >= 0 && !setns(fd, 0), v[0]);
}

/* unshare: a user namespace, in a child */
static int act_unshare(char **v)
{
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWUSER) ? complain("unshare") : 0);
	return wait_for(pid);
}

/* module PATH: a file that is no module is handed over as one. Refused. */
static int act_module(char **v)
{
	int fd = open(v[0], O_RDONLY);

	return done_if(fd >= 0 && syscall(SYS_finit_module, fd, "", 0) < 0, v[0]);
}

/* module-memory: the same from memory */
static int act_module_memory(char **v)
{
	static const char nothing[64] = "no module";

	return done_if(syscall(SYS_init_module, nothing, sizeof nothing, "") < 0, "init_module: was taken");
}

/* bpf: a socket filter that lets nothing pass is loaded, attached to nothing, and gone with us */
static int act_bpf(char **v)
{
	static const struct bpf_insn program[] = { { .code = 0xb7 }, { .code = 0x95 } };	/* r0 = 0; exit */
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)program, .insn_cnt = 2, .license = (uintptr_t)"GPL",
	};

	/* kernels before 5.11 charge this limit */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	return done_if(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr) >= 0, "bpf");
}

/* userfaultfd: allowed or not */
static int act_userfaultfd(char **v)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC) < 0 && errno == ENOSYS ? complain("userfaultfd") : 0;
}

/* io-uring: a ring is made, allowed or not */
static int act_io_uring(char **v)
{
	uint32_t params[30] = { 0 };

	syscall(SYS_io_uring_setup, 4, params);
	return 0;
}

/* ------------------------------------------------------------------ network: loopback only */

static struct sockaddr_in inet(const char *ip, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

/* A connection to ourselves: our end of it, or -1. */
static int talk(const char *ip, const char *port)
{
	struct sockaddr_in a = inet(ip, port);
	int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(server, (struct sockaddr *)&a, sizeof a) || listen(server, 1) ||
	    connect(client, (struct sockaddr *)&a, sizeof a) || accept(server, NULL, NULL) < 0)
		return -1;
	return client;
}

/* talk IP PORT */
static int act_talk(char **v)
{
	return done_if(talk(v[0], v[1]) >= 0, "talk");
}

/* wire IP PORT COMMAND...: a connection becomes its standard streams */
static int act_wire(char **v)
{
	int fd = talk(v[0], v[1]);

	if (fd < 0)
		return complain("talk");
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	return run(v + 2);
}

/* unix PATH: to a socket that is made for it */
static int act_unix(char **v)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", v[0]);
	return done_if(!bind(server, (struct sockaddr *)&a, sizeof a) && !listen(server, 1) &&
		       !connect(client, (struct sockaddr *)&a, sizeof a), v[0]);
}

/* packet: a packet socket, allowed or not */
static int act_packet(char **v)
{
	socket(AF_PACKET, SOCK_RAW, 0);
	return 0;
}

/* ------------------------------------------------------------------ the table */

static const struct {
	const char *verb;
	int needs;			/* arguments, at least */
	int (*act)(char **v);
} verbs[] = {
	{ "alone", 1, act_alone },
	{ "as", 2, act_as },
	{ "become-root", 0, act_become_root },
	{ "begin", 2, act_begin },
	{ "bpf", 0, act_bpf },
	{ "exchange", 2, act_exchange },
	{ "fchmod", 2, act_fchmod },
	{ "io-uring", 0, act_io_uring },
	{ "memory", 1, act_memory },
	{ "memory-path", 1, act_memory_path },
	{ "module", 1, act_module },
	{ "module-memory", 0, act_module_memory },
	{ "packet", 0, act_packet },
	{ "poke", 0, act_poke },
	{ "read", 1, act_read },
	{ "read-at", 2, act_read_at },
	{ "read-openat2", 1, act_read_openat2 },
	{ "seize", 0, act_seize },
	{ "setns", 1, act_setns },
	{ "spawn", 1, act_spawn },
	{ "talk", 2, act_talk },
	{ "terminal", 1, act_terminal },
	{ "traceme", 0, act_traceme },
	{ "try-open", 1, act_try_open },
	{ "unix", 1, act_unix },
	{ "unshare", 0, act_unshare },
	{ "userfaultfd", 0, act_userfaultfd },
	{ "wire", 3, act_wire },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++)
		if (!strcmp(argv[1], verbs[i].verb) && argc - 2 >= verbs[i].needs)
			return verbs[i].act(argv + 2);
	/* under a borrowed name it is that program, which does nothing */
	return 0;
}
