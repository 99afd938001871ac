/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short messages to the system's own daemons: how falco stands, to systemd; and lines for its log, to syslog. Declared in
 * ffi.h. Both are datagrams to local sockets, and never waited for: a log that nobody reads must not stop the worker.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "../engine/ffi.h"

static int send_to(int fd, const char *path, const char *data, size_t len)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof to.sun_path)
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')		/* an abstract address */
		to.sun_path[0] = '\0';
	if (sendto(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		return -errno;
	return 0;
}

static int send_once(const char *path, const char *data, size_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	rc = send_to(fd, path, data, len);
	close(fd);
	return rc;
}

/* ------------------------------------------------------------------ systemd */

int notify_service(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && *path ? send_once(path, state, strlen(state)) : 0;
}

uint32_t notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long us = usec ? strtoull(usec, NULL, 10) : 0;

	if (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid())
		return 0;
	return us / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(us / 1000);
}

/* ------------------------------------------------------------------ syslog */

enum { SYSLOG_BYTES = 2048, FACILITY_DAEMON = 3 };

static atomic_ullong lost;

/* <PRI>Mmm dd hh:mm:ss falco[PID]: text, cut to what every daemon takes. */
int notify_syslog(const char *socket_path, uint32_t level, const char *text, size_t len)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	char line[SYSLOG_BYTES];
	time_t now = time(NULL);
	struct tm tm = { 0 };
	int head, rc;

	localtime_r(&now, &tm);
	head = snprintf(line, sizeof line, "<%u>%s %2d %02d:%02d:%02d falco[%d]: ", FACILITY_DAEMON * 8 + (level & 7),
			months[tm.tm_mon % 12], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)getpid());
	if (len > sizeof line - (size_t)head)
		len = sizeof line - (size_t)head;
	memcpy(line + head, text, len);
	rc = send_once(socket_path && *socket_path ? socket_path : "/dev/log", line, (size_t)head + len);
	if (rc < 0)
		atomic_fetch_add(&lost, 1);
	return rc;
}

uint64_t notify_syslog_lost(void)
{
	return atomic_load(&lost);
}
