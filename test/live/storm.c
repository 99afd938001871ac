/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storm of system calls on one CPU:
 *
 *	storm CPU WHAT ROUNDS		getppid | readwrite | openclose | badclose | forkexec | forkbomb | churn
 *
 * A round of forkbomb is a tree of 363 processes, of churn a new name for the thread and descriptors of several kinds.
 * Prints the nanoseconds that one round took on average, how many system calls one round of it is, and the nanoseconds of a
 * round of the best hundredth of them, which nobody else disturbed. `storm exit` is what forkexec starts.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *self;
static int ends[2];

static void one_getppid(void)
{
	syscall(SYS_getppid);
}

static void one_readwrite(void)
{
	char c = 0;

	if (write(ends[1], &c, 1) != 1 || read(ends[0], &c, 1) != 1)
		_exit(1);
}

static void one_openclose(void)
{
	close(open("/etc/hostname", O_RDONLY));
}

/* The cheapest call that is reported: what makes most events a second. */
static void one_badclose(void)
{
	syscall(SYS_close, -1);
}

static void one_forkexec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl(self, self, "exit", (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void grow_tree(int depth)
{
	enum { CHILDREN = 3 };

	for (int i = 0; i < CHILDREN && depth > 0; i++) {
		pid_t pid = fork();

		if (!pid) {
			grow_tree(depth - 1);
			_exit(0);
		}
		/* half of them are waited for at once; of the others their parent's end makes orphans */
		if (pid > 0 && i % 2)
			waitpid(pid, NULL, 0);
	}
}

static void one_forkbomb(void)
{
	pid_t pid = fork();

	if (!pid) {
		grow_tree(5);
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* No two rounds have the same names. */
static void one_churn(void)
{
	static unsigned n;
	struct sockaddr_in closed = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char name[64], renamed[80];
	int fds[4];

	n++;
	snprintf(name, sizeof name, "/tmp/falco-storm-%d-%u", (int)getpid(), n);
	snprintf(renamed, sizeof renamed, "%s-renamed", name);
	prctl(PR_SET_NAME, name + 5 + strlen(name) / 2);
	close(open(name, O_RDWR | O_CREAT, 0600));
	rename(name, renamed);
	unlink(renamed);
	close(memfd_create(name, 0));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && pipe(fds + 2) == 0)
		for (int i = 0; i < 4; i++)
			close(fds[i]);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	connect(fds[0], (struct sockaddr *)&closed, sizeof closed);
	close(dup(fds[0]));
	close(fds[0]);
}

static const struct {
	const char *name;
	void (*round)(void);
	int calls;
} storms[] = {
	{ "getppid", one_getppid, 1 },
	{ "readwrite", one_readwrite, 2 },
	{ "openclose", one_openclose, 2 },
	{ "badclose", one_badclose, 1 },
	{ "forkexec", one_forkexec, 1 },
	{ "forkbomb", one_forkbomb, 1 },
	{ "churn", one_churn, 20 },
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "exit"))
		return 0;
	if (argc != 4)
		return 2;
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	long rounds = atol(argv[3]);
	self = "/proc/self/exe";
	if (sched_setaffinity(0, sizeof cpus, &cpus) || pipe(ends) || rounds <= 0)
		return 1;
	for (size_t i = 0; i < sizeof storms / sizeof storms[0]; i++) {
		if (strcmp(argv[2], storms[i].name))
			continue;
		long batch = rounds > 100 ? rounds / 100 : 1;
		double began = now_ns(), since = began, best = 1e18;

		for (long n = 1; n <= rounds; n++) {
			storms[i].round();
			if (n % batch)
				continue;
			double now = now_ns();
			if (now - since < best)
				best = now - since;
			since = now;
		}
		printf("%.1f %d %.1f\n", (now_ns() - began) / (double)rounds, storms[i].calls, best / (double)batch);
		return 0;
	}
	return 2;
}
