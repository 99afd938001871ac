/* SPDX-License-Identifier: Apache-2.0 */
/* Files, sockets and programs that alerts go to. Declared in ffi.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../engine/ffi.h"

_Static_assert(SOCKET_EAGAIN == EAGAIN && SOCKET_EMSGSIZE == EMSGSIZE && SOCKET_ENOSPC == ENOSPC && SOCKET_EDQUOT == EDQUOT &&
	       SOCKET_EIO == EIO, "Lua compares with them");

extern char **environ;

int file_append(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

	return fd < 0 ? -errno : fd;
}

void file_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int socket_unix(const char *path, bool stream)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (len == 0 || len >= sizeof to.sun_path)
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, len);
	fd = socket(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

bool socket_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = 0 };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

int socket_send(int fd, const char *p, size_t len)
{
	ssize_t n;

	do
		n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == ENOBUFS ? -EAGAIN : -errno;
}

/* ------------------------------------------------------------------ programs */

int program_start(const char *command, int *in)
{
	char *const argv[] = { "sh", "-c", (char *)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, dflt;
	int ends[2], rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);	/* our end's open file alone */
	sigemptyset(&none);
	sigemptyset(&dflt);
	sigaddset(&dflt, SIGPIPE);
	sigaddset(&dflt, SIGUSR1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &dflt);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	rc = posix_spawn(&pid, "/bin/sh", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	close(ends[0]);
	if (rc) {
		close(ends[1]);
		return -rc;
	}
	*in = ends[1];
	return pid;
}

int program_watch(int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int program_ended(int pid, int32_t *status)
{
	int s;
	pid_t got = waitpid(pid, &s, WNOHANG);

	if (got == 0 || (got < 0 && errno == EINTR))
		return 0;
	*status = got < 0 ? 0 : WIFEXITED(s) ? WEXITSTATUS(s) : -WTERMSIG(s);
	return 1;
}

void program_kill(int pid, bool at_once)
{
	kill(pid, at_once ? SIGKILL : SIGTERM);
}
