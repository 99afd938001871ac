/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as Lua needs it: terminals, writing, directories, clocks. Declared in ffi.h. A descriptor may be
 * non-blocking (a terminal shared with another program often is), so a full pipe is waited for.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "ffi.h"

/* ------------------------------------------------------------------ terminal and host */

bool sys_isatty(int fd)
{
	return isatty(fd) == 1;
}

int sys_columns(int fd)
{
	struct winsize ws;

	return ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 ? ws.ws_col : 80;
}

int sys_hostname(char *buf, uint32_t cap)
{
	if (cap == 0)
		return -EINVAL;
	if (gethostname(buf, cap))
		return -errno;
	buf[cap - 1] = '\0';		/* gethostname() may cut without a NUL */
	return 0;
}

/* ------------------------------------------------------------------ writing */

_Static_assert(SYS_EPIPE == EPIPE, "Lua compares with it");

int sys_write(int fd, const char *s, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, s, len);

		if (n > 0) {
			s += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return -EIO;	/* a device that takes nothing would keep us here for good */
		} else if (errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };
			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* ------------------------------------------------------------------ directories */

struct sys_dir {
	uint32_t n;
	struct dirent **entries;	/* scandir's */
};

static int is_not_dot(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

struct sys_dir *sys_dir_open(const char *path, int *error)
{
	struct sys_dir *dir = calloc(1, sizeof *dir);
	int n;

	*error = 0;
	if (!dir) {
		*error = -ENOMEM;
		return NULL;
	}
	n = scandir(path, &dir->entries, is_not_dot, by_bytes);
	if (n < 0) {
		*error = -errno;
		free(dir);
		return NULL;
	}
	dir->n = (uint32_t)n;
	return dir;
}

const char *sys_dir_name(const struct sys_dir *dir, uint32_t i)
{
	return i < dir->n ? dir->entries[i]->d_name : NULL;
}

void sys_dir_free(struct sys_dir *dir)
{
	if (!dir)
		return;
	for (uint32_t i = 0; i < dir->n; i++)
		free(dir->entries[i]);
	free(dir->entries);
	free(dir);
}

int sys_make_dir(const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof part)
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return sys_kind(path) == SYS_DIR ? 0 : -ENOTDIR;
}

int sys_kind(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? SYS_MISSING : -errno;
	if (S_ISREG(st.st_mode))
		return SYS_FILE;
	return S_ISDIR(st.st_mode) ? SYS_DIR : SYS_OTHER;
}

/* ------------------------------------------------------------------ clocks */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t sys_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t sys_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t sys_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void sys_sleep(uint32_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

const char *sys_error_text(int err)
{
	return strerror(err < 0 ? -err : err);
}

uint32_t sys_page_size(void)
{
	return (uint32_t)sysconf(_SC_PAGESIZE);
}

int32_t sys_pid(void)
{
	return getpid();
}

const char *falco_version(void)
{
	return FALCO_VERSION;
}

const struct upstream_versions *upstream_versions(void)
{
	static const struct upstream_versions versions = {
		.engine = "0.63.0", .plugin_api = "3.12.0", .driver_api = "10.1.0", .driver_schema = "4.5.1",
		.libs = "0.0.0",	/* a development version, as it calls itself */
	};

	return &versions;
}

#ifndef FALCO_SYSCONF
#define FALCO_SYSCONF "/etc"
#endif

const char *falco_sysconf_dir(void)
{
	return FALCO_SYSCONF;
}
