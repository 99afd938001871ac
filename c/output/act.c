/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts may do to processes: signal one, start one. Declared in ffi.h.
 *
 * A process is named by its number, and numbers are given out again. So it is held by a descriptor first, then asked when it
 * began, and one that began after the event that brought its number is another. The descriptor cannot pass to a third one in between.
 *
 * A program that is started gets no shell, no descriptor of ours but its three pipes, an environment of two lines, a group of its own,
 * and so long. When it is over, so is the group.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../engine/ffi.h"

#define TICK_SLACK_NS 50000000ull	/* when a process began is told in ticks of 10 ms */
#define CHUNK 4096

/* ------------------------------------------------------------------ signals */

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "KILL", SIGKILL }, { "TERM", SIGTERM }, { "STOP", SIGSTOP }, { "CONT", SIGCONT }, { "INT", SIGINT }, { "QUIT", SIGQUIT },
	{ "HUP", SIGHUP }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "ABRT", SIGABRT },
};

int act_signal(const char *name)
{
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (strcmp(signals[i].name, name) == 0)
			return signals[i].number;
	return -EINVAL;
}

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Since the epoch; as it was when first asked for. The driver stamps events by its clock at the start, too: whatever steps
 * the clock takes later, both agree. */
uint64_t act_boot_time(void)
{
	static _Atomic uint64_t once;
	uint64_t at = atomic_load(&once);

	if (!at) {
		struct timespec real, boot;
		clock_gettime(CLOCK_REALTIME, &real);
		clock_gettime(CLOCK_BOOTTIME, &boot);
		at = ns_of(real) - ns_of(boot);
		atomic_store(&once, at);
	}
	return at;
}

/* When the process began, ns since the epoch; 0: it is gone, or /proc does not tell. */
static uint64_t began(int32_t pid)
{
	char path[32], text[1024];
	unsigned long long ticks;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	const char *at = strrchr(text, ')');	/* the name before it may hold anything */
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
		return 0;
	return act_boot_time() + ticks * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

int act_kill(int32_t pid, int signal, uint64_t before, struct err *err)
{
	if (pid <= 1)
		return err_set(err, EPERM, "process %d is not signalled: only single processes other than the first are", pid);
	if (pid == getpid())
		return err_set(err, EPERM, "process %d is falco itself", pid);

	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return err_set(err, errno, "process %d: %s", pid, strerror(errno));
	uint64_t at = began(pid);
	int rc = 0;
	if (at == 0)
		rc = err_set(err, ESRCH, "process %d is gone", pid);
	else if (at > before + TICK_SLACK_NS)
		rc = err_set(err, ESRCH, "process %d is gone: the one with that number began later", pid);
	else if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0)
		rc = err_set(err, errno, "process %d: %s", pid, strerror(errno));
	close(fd);
	return rc;
}

/* ------------------------------------------------------------------ programs */

struct program {
	pid_t pid;			/* 0: reaped */
	int pidfd, in, out;		/* in: what it reads comes from here; -1: done with */
	uint64_t deadline;		/* CLOCK_MONOTONIC, ns */
	uint32_t input_at, input_len, max_output;
	bool timed_out, cut;
	int status;
	char *input, *output;
	uint32_t output_len;
};

static uint64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ns_of(t);
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int spawn(struct program *p, const char *const *argv, int in, int out)
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawn_file_actions_addchdir_np(&files, "/");
	rc = posix_spawn(&p->pid, argv[0], &files, &how, (char *const *)argv, (char *const *)environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	if (rc)
		p->pid = 0;
	return -rc;
}

static int start(struct program *p, const char *const *argv)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, rc;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) {
		rc = -errno;
		goto out;
	}
	if ((rc = spawn(p, argv, to[0], from[1])) < 0)
		goto out;
	p->in = to[1];
	p->out = from[0];
	to[1] = from[0] = -1;
	fcntl(p->in, F_SETFL, O_NONBLOCK);
	fcntl(p->out, F_SETFL, O_NONBLOCK);
	if ((p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0)) < 0)
		rc = -errno;
out:
	for (int i = 0; i < 2; i++) {
		shut(&to[i]);
		shut(&from[i]);
	}
	return rc;
}

struct program *act_program(const char *const *argv, const char *input, uint32_t input_len, uint32_t timeout_ms,
			    uint32_t max_output, struct err *err)
{
	if (!argv[0] || argv[0][0] != '/') {
		err_set(err, EINVAL, "'%s': a program is named by its whole path", argv[0] ? argv[0] : "");
		return NULL;
	}
	struct program *p = calloc(1, sizeof *p);
	if (p)
		p->pidfd = p->in = p->out = -1;
	if (!p || !(p->output = malloc((size_t)max_output + 1)) || !(p->input = malloc((size_t)input_len + 1))) {
		err_set(err, ENOMEM, "%s: not enough memory", argv[0]);
		act_program_free(p);
		return NULL;
	}
	p->input_len = input_len;
	p->max_output = max_output;
	p->deadline = monotonic() + timeout_ms * 1000000ull;
	if (input_len)
		memcpy(p->input, input, input_len);
	int rc = start(p, argv);
	if (rc < 0) {
		err_set(err, -rc, "%s: %s", argv[0], strerror(-rc));
		act_program_free(p);
		return NULL;
	}
	return p;
}

/* SIGPIPE is ignored in this program: a reader that is gone is an error like others. */
static void feed(struct program *p)
{
	while (p->in >= 0 && p->input_at < p->input_len) {
		ssize_t n = write(p->in, p->input + p->input_at, p->input_len - p->input_at);
		if (n > 0)
			p->input_at += (uint32_t)n;
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n == 0 || errno != EINTR)
			break;
	}
	shut(&p->in);
}

static void listen_to(struct program *p)
{
	char chunk[CHUNK];

	for (int i = 0; p->out >= 0 && i < 64; i++) {	/* it may talk without end */
		ssize_t n = read(p->out, chunk, sizeof chunk);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			shut(&p->out);
			return;
		}
		uint32_t room = p->max_output - p->output_len, take = n > room ? room : (uint32_t)n;
		memcpy(p->output + p->output_len, chunk, take);
		p->output_len += take;
		p->cut |= take < n;
	}
}

/* Everything of its group ends with it. */
static void end_group(struct program *p)
{
	if (p->pid > 1)
		kill(-p->pid, SIGKILL);
}

bool act_program_step(struct program *p, struct program_end *end)
{
	siginfo_t info = { 0 };

	feed(p);
	listen_to(p);
	if (p->pid && !p->timed_out && monotonic() >= p->deadline) {
		p->timed_out = true;
		end_group(p);
	}
	/* its number is its group's as long as it is not reaped */
	if (p->pid && waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		return false;
	end_group(p);
	if (p->pid && waitpid(p->pid, &p->status, 0) < 0)
		p->status = -1;
	p->pid = 0;
	listen_to(p);
	*end = (struct program_end){
		.status = p->status >= 0 && WIFEXITED(p->status) ? WEXITSTATUS(p->status) : -1,
		.signal = p->status >= 0 && WIFSIGNALED(p->status) ? WTERMSIG(p->status) : 0,
		.timed_out = p->timed_out, .cut = p->cut, .output = p->output, .output_len = p->output_len,
	};
	return true;
}

int act_program_fd(const struct program *p, uint32_t which)
{
	switch (which) {
	case 0: return p->out;
	case 1: return p->input_at < p->input_len ? p->in : -1;
	default: return p->pidfd;
	}
}

uint64_t act_program_deadline(const struct program *p)
{
	return p->deadline;
}

void act_program_free(struct program *p)
{
	if (!p)
		return;
	if (p->pid) {
		end_group(p);
		waitpid(p->pid, NULL, 0);
	}
	shut(&p->in);
	shut(&p->out);
	shut(&p->pidfd);
	free(p->input);
	free(p->output);
	free(p);
}
