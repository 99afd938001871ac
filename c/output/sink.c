/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing that never waits, for a thread that has others to serve. Declared in ffi.h. Whole lines go in; a line that was begun is
 * finished before anything else, so that nothing is torn. How a write is kept from waiting depends on what is at the other end:
 *
 *	regular file	it waits for the disk at most
 *	socket		MSG_DONTWAIT
 *	anything else	the descriptor is non-blocking (sink_standard()); if it is not, poll() and no more than a pipe takes at once
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <limits.h>
#include <unistd.h>
#include "../engine/ffi.h"

enum { SINK_BUFFER = 64 << 10, MAX_MARKS = 4096 };

enum sink_kind { KIND_FILE, KIND_SOCKET, KIND_NONBLOCKING, KIND_BLOCKING };

struct sink {
	int fd;
	int error;
	uint32_t flags, kind;
	char *buf;
	size_t at, len, cap;		/* buf[at .. len) is not out yet */
	uint64_t put;			/* bytes so far */
	/* SINK_UNREAD: where the notes end that have not arrived, in bytes of `put`: a ring */
	uint64_t *ends;
	uint32_t first, count;
};

static uint32_t kind_of(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return KIND_FILE;
	if (S_ISSOCK(st.st_mode))
		return KIND_SOCKET;
	return flags >= 0 && flags & O_NONBLOCK ? KIND_NONBLOCKING : KIND_BLOCKING;
}

struct sink *sink_new(int fd, uint32_t flags)
{
	struct sink *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->fd = fd;
	s->flags = flags;
	s->kind = kind_of(fd);
	s->cap = SINK_BUFFER;
	s->buf = malloc(s->cap);
	if (flags & SINK_UNREAD)
		s->ends = malloc(MAX_MARKS * sizeof *s->ends);
	if (!s->buf || (flags & SINK_UNREAD && !s->ends)) {
		s->flags &= ~(uint32_t)SINK_OWNS;
		sink_free(s);
		return NULL;
	}
	return s;
}

void sink_free(struct sink *s)
{
	if (!s)
		return;
	if (s->flags & SINK_OWNS)
		close(s->fd);
	free(s->buf);
	free(s->ends);
	free(s);
}

/* write(2) that does not wait. */
static ssize_t write_some(struct sink *s, const char *p, size_t len)
{
	struct pollfd out = { .fd = s->fd, .events = POLLOUT };

	if (s->kind == KIND_SOCKET)
		return send(s->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->kind == KIND_BLOCKING) {
		if (poll(&out, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		return write(s->fd, p, len < PIPE_BUF ? len : PIPE_BUF);
	}
	return write(s->fd, p, len);
}

/* As much as goes: 0: all; -EAGAIN; -errno, which stays. *done: how much. */
static int write_out(struct sink *s, const char *p, size_t len, size_t *done)
{
	*done = 0;
	while (*done < len) {
		ssize_t n = write_some(s, p + *done, len - *done);

		if (n > 0)
			*done += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			return -EAGAIN;
		else if (n == 0 || errno != EINTR)
			return s->error = n == 0 ? -EIO : -errno;
	}
	return 0;
}

int sink_flush(struct sink *s)
{
	size_t done;
	int rc;

	/* a full disk may have room again */
	if (s->error && s->error != -ENOSPC && s->error != -EDQUOT)
		return s->error;
	if (s->at == s->len)
		return 0;
	s->error = 0;
	rc = write_out(s, s->buf + s->at, s->len - s->at, &done);
	s->at += done;
	if (s->at == s->len)
		s->at = s->len = 0;
	return rc;
}

static bool room_for(struct sink *s, size_t len)
{
	size_t cap = s->cap;
	char *p;

	if (s->at) {
		memmove(s->buf, s->buf + s->at, s->len - s->at);
		s->len -= s->at;
		s->at = 0;
	}
	if (len <= cap - s->len)
		return true;
	if (s->len > 0)		/* full: who has more than fits waits; only what is larger than all of it makes it grow */
		return false;
	while (cap < len)
		cap *= 2;
	if (!(p = realloc(s->buf, cap)))
		return false;
	s->buf = p;
	s->cap = cap;
	return true;
}

static int keep(struct sink *s, const char *p, size_t len)
{
	memcpy(s->buf + s->len, p, len);
	s->len += len;
	return 0;
}

static int take(struct sink *s, const char *p, size_t len)
{
	size_t done = 0;
	int rc;

	if (s->len - s->at + len > SINK_BUFFER || !(s->flags & SINK_COLLECT))
		if ((rc = sink_flush(s)) < 0 && rc != -EAGAIN)
			return rc;
	if (!room_for(s, len))
		return -EAGAIN;
	if (s->len == 0 && !(s->flags & SINK_COLLECT)) {
		rc = write_out(s, p, len, &done);
		/* of what was begun, the rest must follow */
		if (done == 0 && rc < 0)
			return rc;
	}
	return keep(s, p + done, len - done);
}

int sink_put(struct sink *s, const char *p, size_t len)
{
	int rc;

	if (s->ends && s->count == MAX_MARKS)
		return -EAGAIN;
	if ((rc = take(s, p, len)) < 0)
		return rc;
	s->put += len;
	if (s->ends)
		s->ends[(s->first + s->count++) % MAX_MARKS] = s->put;
	return 0;
}

int sink_fd(const struct sink *s)
{
	return s->fd;
}

uint64_t sink_pending(const struct sink *s)
{
	return s->len - s->at;
}

/*
 * What lies in a pipe unread is counted by the kernel to the byte. Of a socket it tells only the memory that is in use for it:
 * none means that all was read, or that the other end has closed and it was thrown away. That end closes before it throws away,
 * so looking at the one after the other tells them apart.
 */
static uint64_t bytes_read(struct sink *s)
{
	struct pollfd p = { .fd = s->fd, .events = 0 };
	uint64_t sent = s->put - sink_pending(s);
	int unread = 0;

	if (s->kind != KIND_SOCKET)
		return ioctl(s->fd, FIONREAD, &unread) < 0 || (uint64_t)unread > sent ? 0 : sent - (uint64_t)unread;
	if (ioctl(s->fd, SIOCOUTQ, &unread) < 0 || unread > 0)
		return 0;
	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR) ? 0 : sent;
}

uint32_t sink_arrived(struct sink *s)
{
	uint64_t read;
	uint32_t n = 0;

	if (s->count == 0)
		return 0;
	read = bytes_read(s);
	while (s->count > 0 && s->ends[s->first] <= read) {
		s->first = (s->first + 1) % MAX_MARKS;
		s->count--;
		n++;
	}
	return n;
}

int sink_standard(int fd)
{
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return fd;
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)	/* one that was closed, see main.c: writing to it must fail */
		return fd;
	/* its own open file: what others do with theirs is not changed by O_NONBLOCK */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_APPEND);
	return own >= 0 ? own : fd;
}
