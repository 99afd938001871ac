/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts that wait for one channel, on disk, in order; what ffi.h calls a spool. In its directory lie
 *
 *	lock			held by whoever uses it
 *	acked			the number of the last alert that has arrived, and its checksum: one write of 16 bytes
 *	0000000000000001.spool	segments, each named by the number of its first alert; numbers have no gaps
 *
 * A segment is a row of entries: struct entry, then the note packed as note.h has it. Each entry tells its size, its number, and a
 * checksum over both and the note. An entry is written by one write(2) at the end of the last segment. A process that is killed
 * leaves whole entries, or with the machine under it a torn one: when the spool is opened again the last segment is cut where its
 * whole entries end. Damage elsewhere costs the entries that it hit: behind it the next whole one is looked for, and its number tells
 * how many were lost: counted and told, with the place.
 *
 * A segment is removed when all of it has arrived. `acked` is written at once, so nothing is sent again but what was under way
 * when the process died. What is written is in the kernel's hands, which outlives the process; spool_sync() takes it to the disk.
 *
 * Everything that is read is checked: anybody may have written these files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../array.h"
#include "note.h"

enum {
	ENTRY_MAGIC = 0x4f504c46,	/* "FLPO" */
	SEGMENT_MAX = 8 << 20, SEGMENT_MIN = 64 << 10,
	READ_MIN = 256 << 10,
	MAX_SEGMENTS = 1 << 20,
	NAME_LEN = 16 + 6,		/* 16 digits and ".spool" */
	TRIED_MAX = 256 << 20,		/* bytes that look like entries, and are none, before the rest of a segment is given up */
	GAP_MAX = 1 << 20,		/* numbers between two entries; more is no gap but nonsense */
};

#define NOWHERE UINT64_MAX
#define BEHIND_ALL (UINT64_MAX / 2)

struct entry {
	uint32_t magic;
	uint32_t size;			/* with this */
	uint64_t seq;
	uint32_t crc;			/* of size and seq and all that follows this struct */
	uint32_t unused;
};

struct segment {
	uint64_t first;			/* number of its first alert */
	uint64_t bytes;
};

struct acked {
	uint64_t seq;
	uint32_t crc, unused;
};

struct spool {
	int dir, lock, acked_fd;
	int out, in;			/* last segment; the one that is read. -1: not open */
	char path[256];			/* for messages */
	uint64_t max_bytes, segment_bytes;
	struct segment *segments;	/* oldest first */
	uint32_t nsegments, segments_cap;
	uint64_t bytes;			/* of all segments */
	uint64_t next_seq;		/* of the next put */
	uint64_t acked;			/* the last one that has arrived */
	uint64_t cursor;		/* the next one to show */
	uint64_t in_first;		/* which segment `in` is */
	uint64_t in_at;			/* where in it the next entry begins */
	char *buf;			/* bytes of it from buf_at on */
	size_t buf_len, buf_cap;
	uint64_t buf_at;
	char *packed;			/* an entry being made */
	size_t packed_cap;
	bool dirty;
	uint64_t damaged, lost, put, acks;
	uint64_t bad_at;		/* where in `in` it is damaged in front of in_at; or NOWHERE */
	char notice[320];		/* the first place that was not told yet; "": none */
	uint64_t untold_places, untold_lost;
};

/* ------------------------------------------------------------------ helpers */

static uint32_t crc_of(const struct entry *e, const char *note, size_t len)
{
	uint32_t crc = crc32_gzip_refl(0, (const unsigned char *)&e->size, sizeof e->size + sizeof e->seq);

	return crc32_gzip_refl(crc, (const unsigned char *)note, len);
}

_Static_assert(offsetof(struct entry, seq) == offsetof(struct entry, size) + sizeof(uint32_t), "crc_of() takes both at once");

static void name_of(uint64_t first, char name[NAME_LEN + 1])
{
	snprintf(name, NAME_LEN + 1, "%016" PRIx64 ".spool", first);
}

/* The number that a file's name tells; 0: it is none of ours. */
static uint64_t number_of(const char *name)
{
	uint64_t n = 0;

	if (strlen(name) != NAME_LEN || strcmp(name + 16, ".spool") != 0)
		return 0;
	for (int i = 0; i < 16; i++) {
		const char *digits = "0123456789abcdef", *p = strchr(digits, name[i]);
		if (!p)
			return 0;
		n = n << 4 | (uint64_t)(p - digits);
	}
	return n;
}

static int open_segment(struct spool *s, uint64_t first, int flags)
{
	char name[NAME_LEN + 1];
	struct stat st;
	int fd;

	name_of(first, name);
	fd = openat(s->dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void remove_segment(struct spool *s, uint32_t i)
{
	char name[NAME_LEN + 1];

	name_of(s->segments[i].first, name);
	unlinkat(s->dir, name, 0);
	s->bytes -= s->segments[i].bytes;
	memmove(&s->segments[i], &s->segments[i + 1], (s->nsegments - i - 1) * sizeof *s->segments);
	s->nsegments--;
}

/* One more place where so many alerts were lost. */
__attribute__((format(printf, 4, 5)))
static void damage(struct spool *s, uint64_t segment, uint64_t lost, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	s->damaged++;
	s->lost += lost;
	s->untold_lost += lost;
	if (s->untold_places++ == 0)
		snprintf(s->notice, sizeof s->notice, "spool %.120s/%016" PRIx64 ".spool: %s", s->path, segment, why);
}

/* ------------------------------------------------------------------ arrived */

static void write_acked(struct spool *s)
{
	struct acked a = { .seq = s->acked };

	a.crc = crc32_gzip_refl(0, (const unsigned char *)&a.seq, sizeof a.seq);
	if (pwrite(s->acked_fd, &a, sizeof a, 0) == sizeof a)
		s->dirty = true;
}

/* Notes how far it is, and removes segments of which all has arrived, or is lost. */
static void settle(struct spool *s)
{
	bool empty = s->acked + 1 == s->next_seq;

	write_acked(s);
	if (empty)			/* the next alert begins a new segment */
		close_fd(&s->out);
	while (s->nsegments > 0 && (s->nsegments > 1 ? s->segments[1].first <= s->acked + 1 : empty)) {
		if (s->in_first == s->segments[0].first)
			close_fd(&s->in);
		remove_segment(s, 0);
	}
}

/* ------------------------------------------------------------------ reading */

/* Bytes [at, at + want) of the segment that is being read; NULL: it has not that many, or cannot be read. */
static const char *bytes_at(struct spool *s, uint64_t at, size_t want)
{
	if (at >= s->buf_at && at + want <= s->buf_at + s->buf_len)
		return s->buf + (at - s->buf_at);
	if (want > s->buf_cap) {
		char *p = realloc(s->buf, want);
		if (!p)
			return NULL;
		s->buf = p;
		s->buf_cap = want;
	}
	s->buf_at = at;
	s->buf_len = 0;
	while (s->buf_len < want) {
		ssize_t n = pread(s->in, s->buf + s->buf_len, s->buf_cap - s->buf_len, (off_t)(at + s->buf_len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		s->buf_len += (size_t)n;
	}
	return s->buf;
}

enum { WHOLE = 1, ENDS = 0, BAD = -1 };

/* The entry at in_at. WHOLE: *e and *n are set. ENDS: nothing is there. BAD: what is there is none. */
static int read_entry(struct spool *s, struct entry *e, struct note *n)
{
	const char *p = bytes_at(s, s->in_at, sizeof *e);

	if (!p)
		return bytes_at(s, s->in_at, 1) ? BAD : ENDS;
	memcpy(e, p, sizeof *e);
	if (e->magic != ENTRY_MAGIC || e->size < sizeof *e + sizeof(struct note_head) || e->size > sizeof *e + NOTE_MAX ||
	    e->size % NOTE_ALIGN || !(p = bytes_at(s, s->in_at, e->size)))
		return BAD;
	p += sizeof *e;
	if (crc_of(e, p, e->size - sizeof *e) != e->crc || note_unpack(p, e->size - sizeof *e, n) != (int64_t)(e->size - sizeof *e))
		return BAD;
	return WHOLE;
}

/* Moves in_at to the next whole entry behind it, whatever its number; false: there is none, and in_at is the end. */
static bool find_entry(struct spool *s, struct entry *e, struct note *n)
{
	static const uint32_t magic = ENTRY_MAGIC;
	uint64_t at = s->in_at + 1, tried = 0;

	while (tried < TRIED_MAX && bytes_at(s, at, sizeof magic)) {
		uint64_t end = s->buf_at + s->buf_len;
		const char *p = memmem(s->buf + (at - s->buf_at), end - at, &magic, sizeof magic);

		if (!p) {
			at = end - sizeof magic + 1;
			continue;
		}
		s->in_at = s->buf_at + (uint64_t)(p - s->buf);
		if (read_entry(s, e, n) == WHOLE)
			return true;
		tried += sizeof *e;
		if ((p = bytes_at(s, s->in_at, sizeof *e))) {
			memcpy(e, p, sizeof *e);
			tried += e->size <= sizeof *e + NOTE_MAX ? e->size : 0;
		}
		at = s->in_at + 1;
	}
	s->in_at = BEHIND_ALL;
	return false;
}

static uint32_t segment_with(const struct spool *s, uint64_t seq)
{
	uint32_t i = s->nsegments;

	while (i > 0 && s->segments[i - 1].first > seq)
		i--;
	return i ? i - 1 : 0;
}

/* Alerts of the segment at hand from the cursor on are lost; nothing is under way. */
static void pass_over(struct spool *s, uint32_t i)
{
	s->cursor = i + 1 < s->nsegments ? s->segments[i + 1].first : s->next_seq;
	s->acked = s->cursor - 1;
	close_fd(&s->in);
	settle(s);
}

/* Makes in_at the place of the alert at the cursor, or passes over what is not there. false: there is none any more. */
static bool find_cursor(struct spool *s, struct entry *e, struct note *n)
{
	while (s->cursor < s->next_seq) {
		uint32_t i = segment_with(s, s->cursor);
		uint64_t first = s->segments[i].first;
		uint64_t ends = i + 1 < s->nsegments ? s->segments[i + 1].first : s->next_seq;
		int rc;

		if (first > s->cursor) {	/* a segment is missing */
			if (s->cursor - 1 > s->acked)
				return false;
			damage(s, s->cursor, first - s->cursor, "is missing");
			s->cursor = first;
			s->acked = first - 1;
			settle(s);
			continue;
		}
		if (s->in < 0 || s->in_first != first) {
			close_fd(&s->in);
			s->buf_len = 0;
			s->in_at = 0;
			s->bad_at = NOWHERE;
			s->in_first = first;
			if ((s->in = open_segment(s, first, O_RDONLY)) < 0) {
				if (s->cursor - 1 > s->acked)
					return false;
				damage(s, first, ends - s->cursor, "cannot be read: %s", strerror(-s->in));
				pass_over(s, i);
				continue;
			}
		}
		if ((rc = read_entry(s, e, n)) == BAD) {
			s->bad_at = s->in_at;
			rc = find_entry(s, e, n) ? WHOLE : ENDS;
		}
		if (rc == WHOLE && e->seq == s->cursor)
			return true;
		if (rc == WHOLE && (e->seq < s->cursor || e->seq >= ends)) {
			s->in_at += e->size;
			continue;
		}
		if (s->cursor - 1 > s->acked)	/* first what is under way: numbers of what is lost lie behind it */
			return false;
		damage(s, first, (rc == WHOLE ? e->seq : ends) - s->cursor, "%s at byte %" PRIu64,
		       rc == WHOLE || s->bad_at != NOWHERE ? "damaged" : "ends too early,", s->bad_at == NOWHERE ? s->in_at : s->bad_at);
		s->bad_at = NOWHERE;
		if (rc != WHOLE) {
			pass_over(s, i);
			continue;
		}
		s->cursor = e->seq;
		s->acked = s->cursor - 1;
		settle(s);
	}
	return false;
}

int spool_next(struct spool *s, struct note *n)
{
	struct entry e;

	return find_cursor(s, &e, n) ? 1 : 0;
}

void spool_step(struct spool *s)
{
	struct entry e;
	struct note n;

	if (find_cursor(s, &e, &n)) {
		s->in_at += e.size;
		s->cursor++;
	}
}

void spool_rewind(struct spool *s)
{
	s->cursor = s->acked + 1;
	close_fd(&s->in);
}

void spool_ack(struct spool *s, uint64_t n)
{
	REQUIRE(n <= spool_under_way(s));
	s->acked += n;
	s->acks += n;
	settle(s);
}

uint64_t spool_count(const struct spool *s)
{
	return s->next_seq - 1 - s->acked;
}

uint64_t spool_under_way(const struct spool *s)
{
	return s->cursor - 1 - s->acked;
}

/* ------------------------------------------------------------------ putting */

bool spool_has_room(const struct spool *s)
{
	uint64_t spare = s->max_bytes / 8 < SEGMENT_MIN ? s->max_bytes / 8 : SEGMENT_MIN;

	return s->bytes + spare < s->max_bytes;
}

static int begin_segment(struct spool *s)
{
	if (!array_room(&s->segments, s->nsegments, &s->segments_cap, sizeof *s->segments))
		return -ENOMEM;
	close_fd(&s->out);
	if ((s->out = open_segment(s, s->next_seq, O_WRONLY | O_CREAT | O_TRUNC)) < 0)
		return s->out;
	s->segments[s->nsegments++] = (struct segment){ .first = s->next_seq };
	return 0;
}

static int pack(struct spool *s, const struct note *n, size_t size)
{
	struct entry e = { .magic = ENTRY_MAGIC, .size = (uint32_t)size, .seq = s->next_seq };

	if (size > s->packed_cap) {
		char *p = realloc(s->packed, size);
		if (!p)
			return -ENOMEM;
		s->packed = p;
		s->packed_cap = size;
	}
	note_pack(n, s->packed + sizeof e);
	e.crc = crc_of(&e, s->packed + sizeof e, size - sizeof e);
	memcpy(s->packed, &e, sizeof e);
	return 0;
}

int spool_put(struct spool *s, const struct note *n)
{
	size_t size = sizeof(struct entry) + note_size(n);
	struct segment *last;
	ssize_t done;
	int rc;

	if (size > sizeof(struct entry) + NOTE_MAX)
		return -EMSGSIZE;
	if (s->bytes + size > s->max_bytes)
		return -EAGAIN;
	if ((rc = pack(s, n, size)) < 0)
		return rc;
	if ((s->out < 0 || s->segments[s->nsegments - 1].bytes + size > s->segment_bytes) && (rc = begin_segment(s)) < 0)
		return rc;
	last = &s->segments[s->nsegments - 1];
	do
		done = pwrite(s->out, s->packed, size, (off_t)last->bytes);
	while (done < 0 && errno == EINTR);
	if (done != (ssize_t)size) {	/* a full disk, most likely: what was begun must not stand in front of the next */
		rc = done < 0 ? -errno : -ENOSPC;
		if (ftruncate(s->out, (off_t)last->bytes) < 0)
			close_fd(&s->out);
		return rc;
	}
	last->bytes += size;
	s->bytes += size;
	s->next_seq++;
	s->put++;
	s->dirty = true;
	return 0;
}

int spool_sync(struct spool *s)
{
	if (!s->dirty)
		return 0;
	s->dirty = false;
	if ((s->out >= 0 && fdatasync(s->out) < 0) || fdatasync(s->acked_fd) < 0)
		return -errno;
	return 0;
}

/* ------------------------------------------------------------------ opening */

static int by_number(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static int list_segments(struct spool *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	struct stat st;

	if (!dir) {
		close_fd(&fd);
		return -errno;
	}
	while ((d = readdir(dir)) && s->nsegments < MAX_SEGMENTS) {
		uint64_t first = number_of(d->d_name);

		if (first == 0 || first > UINT64_MAX / 2 || fstatat(s->dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (!array_room(&s->segments, s->nsegments, &s->segments_cap, sizeof *s->segments)) {
			closedir(dir);
			return -ENOMEM;
		}
		s->segments[s->nsegments++] = (struct segment){ .first = first, .bytes = (uint64_t)st.st_size };
		s->bytes += (uint64_t)st.st_size;
	}
	closedir(dir);
	if (s->nsegments)
		qsort(s->segments, s->nsegments, sizeof *s->segments, by_number);
	return 0;
}

static void read_acked(struct spool *s)
{
	struct acked a;
	uint64_t floor = s->nsegments ? s->segments[0].first - 1 : 0;

	if (pread(s->acked_fd, &a, sizeof a, 0) == sizeof a && a.seq <= UINT64_MAX / 2 &&
	    a.crc == crc32_gzip_refl(0, (const unsigned char *)&a.seq, sizeof a.seq))
		s->acked = a.seq;
	if (s->acked && s->acked < floor && floor - s->acked <= GAP_MAX)
		damage(s, s->acked + 1, floor - s->acked, "is missing");
	if (s->acked < floor)
		s->acked = floor;
}

/* The last segment's whole entries tell the next number; what follows them is cut off. */
static void find_end(struct spool *s)
{
	struct segment *last = s->nsegments ? &s->segments[s->nsegments - 1] : NULL;
	uint64_t end = 0;
	struct entry e;
	struct note n;
	int rc;

	s->next_seq = s->acked + 1;
	if (!last)
		return;
	s->next_seq = last->first;
	s->in_first = last->first;
	s->in_at = 0;
	s->buf_len = 0;
	if ((s->in = open_segment(s, last->first, O_RDWR)) < 0)
		return;
	while ((rc = read_entry(s, &e, &n)) == WHOLE || (rc == BAD && find_entry(s, &e, &n))) {
		s->in_at += e.size;
		if (e.seq < s->next_seq || e.seq - s->next_seq > GAP_MAX)
			continue;
		s->next_seq = e.seq + 1;
		end = s->in_at;
	}
	if (end < last->bytes) {
		damage(s, last->first, 0, "the end was torn at byte %" PRIu64 "; %" PRIu64 " bytes are cut off, of one alert or more",
		       end, last->bytes - end);
		if (ftruncate(s->in, (off_t)end) == 0) {
			s->bytes -= last->bytes - end;
			last->bytes = end;
		}
	}
	close_fd(&s->in);
	if (s->next_seq <= s->acked)		/* the other file is ahead: as after a lost segment */
		s->next_seq = s->acked + 1;
}

/* Segments of which all has arrived. The last one goes on only if it is not empty and not full. */
static void tidy(struct spool *s)
{
	while (s->nsegments > 0 && (s->nsegments > 1 ? s->segments[1].first : s->next_seq) <= s->acked + 1)
		remove_segment(s, 0);
	if (s->nsegments > 0 && s->segments[s->nsegments - 1].bytes == 0)
		remove_segment(s, s->nsegments - 1);
	s->cursor = s->acked + 1;
}

static int open_files(struct spool *s, const char *dir, struct err *err)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, errno, "%s cannot be made: %s", dir, strerror(errno));
	if ((s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return err_set(err, errno, "%s: %s", dir, strerror(errno));
	s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (s->lock < 0)
		return err_set(err, errno, "%s/lock: %s", dir, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, EBUSY, "%s is in use by another process", dir);
	s->acked_fd = openat(s->dir, "acked", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (s->acked_fd < 0)
		return err_set(err, errno, "%s/acked: %s", dir, strerror(errno));
	return 0;
}

struct spool *spool_open(const char *dir, uint64_t max_bytes, struct err *err)
{
	struct spool *s = calloc(1, sizeof *s);
	int rc;

	if (!s) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	s->dir = s->lock = s->acked_fd = s->out = s->in = -1;
	snprintf(s->path, sizeof s->path, "%s", dir);
	s->max_bytes = max_bytes;
	s->segment_bytes = max_bytes / 8 < SEGMENT_MIN ? SEGMENT_MIN : max_bytes / 8 > SEGMENT_MAX ? SEGMENT_MAX : max_bytes / 8;
	s->buf_cap = READ_MIN;
	if (!(s->buf = malloc(s->buf_cap))) {
		err_set(err, ENOMEM, "out of memory");
		goto failed;
	}
	if (open_files(s, dir, err) < 0)
		goto failed;
	if ((rc = list_segments(s)) < 0) {
		err_set(err, -rc, "%s: %s", dir, strerror(-rc));
		goto failed;
	}
	read_acked(s);
	find_end(s);
	tidy(s);
	return s;
failed:
	spool_close(s);
	return NULL;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	spool_sync(s);
	close_fd(&s->in);
	close_fd(&s->out);
	close_fd(&s->acked_fd);
	close_fd(&s->lock);
	close_fd(&s->dir);
	free(s->segments);
	free(s->buf);
	free(s->packed);
	free(s);
}

const char *spool_notice(struct spool *s)
{
	static _Thread_local char text[sizeof s->notice + 120];
	int len;

	if (!s->untold_places)
		return NULL;
	len = snprintf(text, sizeof text, "%s", s->notice);
	if (s->untold_places > 1)
		len += snprintf(text + len, sizeof text - (size_t)len, ", and %" PRIu64 " more places", s->untold_places - 1);
	if (s->untold_lost)
		snprintf(text + len, sizeof text - (size_t)len, "; %" PRIu64 " alert%s lost", s->untold_lost, s->untold_lost == 1 ? " is" : "s are");
	s->untold_places = s->untold_lost = 0;
	return text;
}

void spool_stats(const struct spool *s, struct spool_stats *stats)
{
	*stats = (struct spool_stats){ .bytes = s->bytes, .damaged = s->damaged, .lost = s->lost, .put = s->put, .acked = s->acks };
}
