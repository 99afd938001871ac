/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "path.h"
#include "procfs_read.h"

int proc_open(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static ssize_t read_some(int fd, char *buf, size_t room)
{
	ssize_t n;

	do
		n = read(fd, buf, room);
	while (n < 0 && errno == EINTR);
	return n;
}

/* ------------------------------------------------------------------ lines */

bool lines_open(struct lines *l, int dir, const char *name, char *buf)
{
	*l = (struct lines){ .fd = proc_open(dir, name, 0), .buf = buf };
	return l->fd >= 0;
}

void lines_close(struct lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

/* Takes the line that ends at `end`, which becomes its NUL. */
static bool take_line(struct lines *l, char *end, struct scan *line)
{
	bool whole = !l->skipping;

	*line = (struct scan){ l->buf + l->start, end };
	*end = '\0';
	l->start = (uint32_t)(end + 1 - l->buf);
	l->skipping = false;
	return whole;
}

bool lines_next(struct lines *l, struct scan *line)
{
	for (;;) {
		char *start = l->buf + l->start, *end = memchr(start, '\n', l->used - l->start);
		ssize_t n;

		if (end) {
			if (take_line(l, end, line))
				return true;
			continue;
		}
		memmove(l->buf, start, l->used - l->start);
		l->used -= l->start;
		l->start = 0;
		if (l->used == LINE_ROOM - 1) {		/* one byte is for the NUL of a last line */
			l->used = 0;
			l->skipping = true;
		}
		n = l->fd < 0 ? 0 : read_some(l->fd, l->buf + l->used, LINE_ROOM - 1 - l->used);
		if (n > 0) {
			l->used += (uint32_t)n;
		} else {
			lines_close(l);
			end = l->buf + l->used;
			l->used = 0;
			return end > l->buf && take_line(l, end, line) && ((l->start = 0), true);
		}
	}
}

/* ------------------------------------------------------------------ whole files, links */

int file_text(int dir, const char *name, char *buf, uint32_t room, struct str *text)
{
	int fd = proc_open(dir, name, 0), rc = 0;
	uint32_t len = 0;
	ssize_t n = 0;

	*text = (struct str){ buf, 0 };
	if (fd < 0)
		return fd;
	while (len < room && (n = read_some(fd, buf + len, room - len)) > 0)
		len += (uint32_t)n;
	if (n < 0)
		rc = -errno;
	close(fd);
	text->len = len;
	return rc;
}

bool link_text(int dir, const char *name, char buf[LINK_ROOM], struct str *text)
{
	ssize_t n = readlinkat(dir, name, buf, LINK_ROOM);

	*text = (struct str){ buf, 0 };
	if (n < 0 && errno == ENAMETOOLONG)
		*text = PATH_TOO_LONG;
	else if (n > 0)
		text->len = n < PATH_TEXT ? (uint32_t)n : PATH_TEXT;
	return text->len > 0;
}

bool link_number(struct str link, const char *word, uint64_t *number)
{
	struct scan s = scan_of(link);

	return scan_is(&s, word) && scan_is(&s, ":[") && scan_u64(&s, 10, number) && scan_is(&s, "]") && s.p == s.end;
}

bool namespace_of(int dir, const char *name, uint64_t *number)
{
	char buf[LINK_ROOM];
	struct str link;

	return link_text(dir, name, buf, &link) && link_number(link, name + strlen("ns/"), number);
}

bool stat_cached(int dir, const char *name, struct statx *st)
{
	return statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_MNT_ID, st) == 0;
}

uint32_t device_number(uint32_t major, uint32_t minor)
{
	return (uint32_t)makedev(major, minor);
}

bool name_number(const char *name, int64_t *number)
{
	struct scan s = scan_of(str_of(name));
	uint64_t n;

	if (*name < '0' || *name > '9' || !scan_u64(&s, 10, &n) || s.p != s.end || n > INT32_MAX)
		return false;
	*number = (int64_t)n;
	return true;
}
