/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes travel in chunks. Each has headroom in front of its data, where what the reader has not used of the chunk
 * before is copied, so that what the reader asks for is contiguous without moving the data itself:
 *
 *	|<-- HEADROOM -->|<--------- CHUNK --------->|
 *	|     [rest of the last one][data ...        ]
 *	           ^ s->p                     ^ s->end
 *
 * A rest that is larger than the headroom (a large block is being gathered) goes to `side`, which grows.
 *
 * A chunk is made by chunk_plain() or chunk_inflate(): for gzip and large files by a thread that runs ahead through a ring of
 * chunks, else on the spot. The ring has one producer and one consumer; `made` and `freed` count chunks, and
 * two eventfds let either side sleep (poll() ends on a signal whatever SA_RESTART says; that is why).
 */
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ffi.h"
#include "stream.h"

enum { HEADROOM = 64 << 10, CHUNK = 256 << 10, INPUT = 64 << 10, RING = 4, SIDE_KEPT = 1 << 20, WORTH_A_THREAD = 4 << 20 };
enum { LOOK_MS = 200 };		/* a signal that came right before a wait is seen after that */

struct chunk {
	uint8_t *mem;			/* HEADROOM + CHUNK */
	uint32_t len;
	bool last;			/* nothing comes after it: feed.status says why */
};

struct feed {
	int fd;				/* -1: memory */
	bool regular;			/* reads do not wait long */
	bool owns_input;
	bool wakes;			/* a signal ends a wait of the reader's, whatever it means */
	uint64_t size;			/* of the file; 0: unknown */
	_Atomic uint64_t taken;		/* bytes read from it */

	uint8_t *in;			/* bytes read but not yet used: in[at .. len) */
	size_t at, len;
	bool in_end;

	struct inflate_state *z;	/* NULL: plain */
	bool in_member;
	bool more_inside;		/* the inflater holds output for which there was no room */

	int status;			/* written before the last chunk is handed over */
	struct err why;

	struct stream_copy *copy;	/* NULL: nothing is kept */
	struct chunk ring[RING];
	uint32_t nring;			/* how many of them are used: 2 without a thread (in use, next) */
	uint32_t taking;		/* reader's: chunks taken so far */
	bool holding;			/* reader's: one of them is in use */
	bool ended;			/* reader's: has seen the last */
	uint8_t *side;			/* reader's */
	size_t side_cap;
	bool in_side;			/* reader's: the bytes at hand lie there */

	bool threaded;
	pthread_t thread;
	int ready, space, stop;		/* eventfds */
	_Atomic uint32_t made, freed;
};

/* ------------------------------------------------------------------ input */

/* Waits until fd can be read. -ECANCELED: the stream is being closed; -EINTR: a signal, perhaps. */
static int feed_wait(struct feed *f, int fd)
{
	int ms = f->threaded && fd != f->ready ? -1 : LOOK_MS, n;
	struct pollfd fds[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = f->threaded ? f->stop : -1, .events = POLLIN },
	};

	do
		n = poll(fds, 2, ms);
	while ((n == 0 || (n < 0 && errno == EINTR)) && !f->wakes && !sys_is_interrupted());
	if (n <= 0)
		return n < 0 ? -errno : -EINTR;
	return fds[1].revents ? -ECANCELED : 0;
}

/* read(2), not more than cap bytes; 0: end. */
static ssize_t feed_read(struct feed *f, void *buf, size_t cap)
{
	ssize_t n;

	do {
		int rc = f->regular ? 0 : feed_wait(f, f->fd);
		if (rc < 0)
			return rc;
		n = read(f->fd, buf, cap);
	} while (n < 0 && (errno == EAGAIN || (errno == EINTR && f->regular)));
	if (n < 0)
		return -errno;
	atomic_fetch_add_explicit(&f->taken, (uint64_t)n, memory_order_relaxed);
	return n;
}

/* Adds to `in`, keeping what is there. 0, also at the end (in_end); -errno. */
static int feed_more(struct feed *f)
{
	ssize_t n;

	if (f->in_end)
		return 0;
	memmove(f->in, f->in + f->at, f->len - f->at);
	f->len -= f->at;
	f->at = 0;
	n = feed_read(f, f->in + f->len, INPUT - f->len);
	if (n < 0)
		return (int)n;
	f->len += (size_t)n;
	f->in_end = n == 0;
	return 0;
}

/* ------------------------------------------------------------------ making chunks */

static int chunk_stop(struct feed *f, struct chunk *c, int status)
{
	c->last = true;
	f->status = status;
	if (status < 0 && !f->why.text[0])
		err_set(&f->why, -status, "cannot read: %s", strerror(-status));
	return 0;
}

/* Both fill one chunk with at least a byte, or end the feed. -EINTR: nothing happened. */
static int chunk_plain(struct feed *f, struct chunk *c)
{
	uint8_t *data = c->mem + HEADROOM;
	ssize_t n;

	if (f->at < f->len) {
		c->len = (uint32_t)(f->len - f->at);
		memcpy(data, f->in + f->at, c->len);
		f->at = f->len;
		return 0;
	}
	n = f->in_end ? 0 : feed_read(f, data, CHUNK);
	if (n == -EINTR)
		return -EINTR;
	c->len = n > 0 ? (uint32_t)n : 0;
	return n > 0 ? 0 : chunk_stop(f, c, (int)n);
}

/* Stands between two members: 1: another one begins, 0: the end, or -errno. */
static int gzip_next_member(struct feed *f)
{
	int rc;

	for (;;) {
		while (f->at < f->len && !f->in[f->at])		/* padding, as tapes leave it */
			f->at++;
		if (f->len - f->at >= 2 || (f->in_end && f->at == f->len))
			break;
		if (f->in_end)
			return err_set(&f->why, EILSEQ, "a stray byte follows the gzip data");
		if ((rc = feed_more(f)) < 0)
			return rc;
	}
	if (f->at == f->len)
		return 0;
	if (f->in[f->at] != 0x1f || f->in[f->at + 1] != 0x8b)
		return err_set(&f->why, EILSEQ, "garbage follows the gzip data");
	isal_inflate_reset(f->z);
	f->z->crc_flag = ISAL_GZIP;
	return 1;
}

static const char *gzip_fault(int rc)
{
	static const char *const faults[] = {
		[-ISAL_INVALID_BLOCK] = "invalid block", [-ISAL_INVALID_SYMBOL] = "invalid symbol",
		[-ISAL_INVALID_LOOKBACK] = "reference before the start", [-ISAL_INVALID_WRAPPER] = "invalid header",
		[-ISAL_UNSUPPORTED_METHOD] = "unknown method", [-ISAL_INCORRECT_CHECKSUM] = "wrong checksum",
	};
	uint32_t i = (uint32_t)-rc;

	return i < sizeof faults / sizeof faults[0] && faults[i] ? faults[i] : "inconsistent";
}

/* Inflates once from `in`. 0, or -errno. */
static int gzip_step(struct feed *f)
{
	struct inflate_state *z = f->z;
	uint32_t room = z->avail_out;
	int rc;

	z->next_in = f->in + f->at;
	z->avail_in = (uint32_t)(f->len - f->at < UINT32_MAX ? f->len - f->at : UINT32_MAX);
	rc = isal_inflate(z);
	f->at = (size_t)(z->next_in - f->in);
	if (rc < 0)
		return err_set(&f->why, EILSEQ, "the gzip data are damaged (%s)", gzip_fault(rc));
	if (z->block_state == ISAL_BLOCK_FINISH)
		f->in_member = false;
	else if (f->in_end && f->at == f->len && z->avail_out == room)
		return err_set(&f->why, EILSEQ, "the gzip data are cut off");
	return 0;
}

static int chunk_inflate(struct feed *f, struct chunk *c)
{
	struct inflate_state *z = f->z;
	int rc = 0;

	z->next_out = c->mem + HEADROOM;
	z->avail_out = CHUNK;
	while (rc == 0 && z->avail_out) {
		if (f->at == f->len && !f->in_end && !f->regular && z->avail_out < CHUNK)
			break;				/* do not sit on it while the pipe is quiet */
		if (!f->in_member) {
			rc = gzip_next_member(f);
			f->in_member = rc == 1;
			if (rc == 0)
				break;
			rc = rc < 0 ? rc : 0;
		} else if (f->at == f->len && !f->in_end) {
			if (f->more_inside) {
				f->more_inside = false;
				rc = gzip_step(f);
			} else {
				rc = feed_more(f);
			}
		} else {
			rc = gzip_step(f);
		}
	}
	f->more_inside = !z->avail_out;		/* a full chunk: the inflater may have taken in more than it gave out */
	c->len = CHUNK - z->avail_out;
	if (rc == -EINTR && !c->len)
		return -EINTR;
	if ((rc < 0 && rc != -EINTR) || (!rc && !f->in_member && f->in_end && f->at == f->len))
		return chunk_stop(f, c, rc);
	return 0;
}

static void copy_add(struct stream_copy *copy, const uint8_t *p, size_t n)
{
	if (n > copy->max - copy->len)
		copy->full = true;
	if (copy->full)
		return;
	memcpy(copy->mem + copy->len, p, n);
	copy->len += n;
}

static int chunk_make(struct feed *f, struct chunk *c)
{
	int rc;

	c->last = false;
	rc = f->z ? chunk_inflate(f, c) : chunk_plain(f, c);
	if (rc == 0 && f->copy && c->len)
		copy_add(f->copy, c->mem + HEADROOM, c->len);
	return rc;
}

/* ------------------------------------------------------------------ the thread and the ring */

static int event_take(struct feed *f, int efd)
{
	uint64_t one;
	int rc = feed_wait(f, efd);

	if (rc == 0 && read(efd, &one, sizeof one) < 0)
		rc = -errno;
	return rc;
}

static void event_give(int efd)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(efd, &one, sizeof one);
	while (n < 0 && errno == EINTR);
	REQUIRE(n == sizeof one);
}

static void *feed_run(void *arg)
{
	struct feed *f = arg;
	struct chunk *c;

	do {
		if (event_take(f, f->space) < 0)
			return NULL;
		c = &f->ring[atomic_load_explicit(&f->made, memory_order_relaxed) % f->nring];
		REQUIRE(atomic_load_explicit(&f->made, memory_order_relaxed) -
			atomic_load_explicit(&f->freed, memory_order_acquire) < RING);
		if (chunk_make(f, c) < 0)		/* cannot be: signals are blocked here */
			chunk_stop(f, c, -EINTR);
		atomic_fetch_add_explicit(&f->made, 1, memory_order_release);
		event_give(f->ready);
	} while (!c->last);
	return NULL;
}

/* Starts the thread. false: it cannot be had, work on the spot. */
static bool feed_start(struct feed *f)
{
	sigset_t all, before;

	f->ready = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	f->space = eventfd(RING, EFD_CLOEXEC | EFD_SEMAPHORE);
	f->stop = eventfd(0, EFD_CLOEXEC);
	if (f->ready < 0 || f->space < 0 || f->stop < 0)
		return false;
	f->threaded = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&f->thread, NULL, feed_run, f) != 0)
		f->threaded = false;		/* else the thread reads it already: hands off */
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return f->threaded;
}

/* The reader's next chunk. The one before stays valid until feed_release. */
static int feed_take(struct feed *f, struct chunk **out)
{
	struct chunk *c = &f->ring[f->taking % f->nring];
	int rc;

	if (f->threaded) {
		if ((rc = event_take(f, f->ready)) < 0)
			return rc;
		REQUIRE(atomic_load_explicit(&f->made, memory_order_acquire) > f->taking);
	} else if ((rc = chunk_make(f, c)) < 0) {
		return rc;
	}
	f->taking++;
	f->ended = c->last;
	*out = c;
	return 0;
}

static void feed_release(struct feed *f)
{
	if (f->threaded) {
		atomic_fetch_add_explicit(&f->freed, 1, memory_order_release);
		event_give(f->space);
	}
}

static void feed_free(struct feed *f)
{
	if (!f)
		return;
	if (f->threaded) {
		event_give(f->stop);
		pthread_join(f->thread, NULL);
	}
	int fds[] = { f->ready, f->space, f->stop, f->fd == STDIN_FILENO ? -1 : f->fd };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (int i = 0; i < RING; i++)
		free(f->ring[i].mem);
	if (f->owns_input)
		free(f->in);
	free(f->side);
	free(f->z);
	free(f);
}

/* ------------------------------------------------------------------ opening */

static struct feed *feed_new(int fd)
{
	struct feed *f = calloc(1, sizeof *f);

	if (f) {
		f->fd = fd;
		f->ready = f->space = f->stop = -1;
	}
	return f;
}

static bool wants_thread(const struct feed *f)
{
	return f->z || f->size > WORTH_A_THREAD;
}

/* Looks at the first two bytes and gets ready for what they promise. */
static int feed_begin(struct feed *f)
{
	int rc;

	f->nring = 2;
	while (f->len < 2 && !f->in_end)
		if ((rc = feed_more(f)) < 0)
			return rc;
	if (f->len >= 2 && f->in[0] == 0x1f && f->in[1] == 0x8b) {
		if (!(f->z = malloc(sizeof *f->z)))
			return -ENOMEM;
		isal_inflate_init(f->z);
		f->z->crc_flag = ISAL_GZIP;
	} else if (f->fd < 0) {
		return 0;		/* plain memory: no chunks at all */
	}
	if (wants_thread(f))
		f->nring = RING;
	for (uint32_t i = 0; i < f->nring; i++)
		if (!(f->ring[i].mem = malloc(HEADROOM + CHUNK)))
			return -ENOMEM;
	return 0;
}

/* Of a pipe this waits for its other end. */
static int open_patiently(const char *path)
{
	int fd;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	while (fd < 0 && errno == EINTR && !sys_is_interrupted());
	return fd;
}

int stream_open(struct stream *s, const char *path, struct stream_copy *copy, struct err *err)
{
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open_patiently(path), rc;
	struct feed *f = NULL;
	struct stat st;

	rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
	if (rc == 0 && !(f = feed_new(fd)))
		rc = -ENOMEM;
	if (rc < 0)
		goto out;
	*s = (struct stream){ .feed = f };
	f->copy = copy;
	f->regular = S_ISREG(st.st_mode);
	f->size = f->regular ? (uint64_t)st.st_size : 0;
	rc = -ENOMEM;
	if (!(f->in = malloc(INPUT)))
		goto out;
	f->owns_input = true;
	if ((rc = feed_begin(f)) == 0 && wants_thread(f))
		feed_start(f);
out:
	if (rc == 0)
		return 0;
	if (!f && fd > STDIN_FILENO)
		close(fd);
	feed_free(f);
	s->feed = NULL;
	return err_set(err, -rc, "%s", strerror(-rc));
}

int stream_open_memory(struct stream *s, const void *data, size_t len, struct err *err)
{
	struct feed *f = feed_new(-1);
	int rc = -ENOMEM;

	*s = (struct stream){ .feed = f };
	if (!f)
		goto out;
	f->in = (uint8_t *)(uintptr_t)data;	/* never written: in_end is set */
	f->len = f->size = len;
	f->in_end = true;
	if ((rc = feed_begin(f)) < 0)
		goto out;
	if (!f->z) {
		s->p = data;
		s->end = s->p + len;
		s->end_offset = len;
		f->ended = true;
	}
	return 0;
out:
	feed_free(f);
	s->feed = NULL;
	return err_set(err, -rc, "%s", strerror(-rc));
}

void stream_wakes(struct stream *s, bool on)
{
	s->feed->wakes = on;
}

void stream_close(struct stream *s)
{
	feed_free(s->feed);
	*s = (struct stream){ 0 };
}

/* ------------------------------------------------------------------ reading */

/* Puts the bytes at hand and a chunk's data one behind the other in the growing buffer. */
static int side_gather(struct stream *s, const struct chunk *c)
{
	struct feed *f = s->feed;
	size_t left = (size_t)(s->end - s->p), want = left + c->len;
	size_t at = f->in_side ? (size_t)(s->p - f->side) : 0;

	if (at + want > f->side_cap) {
		size_t cap = want + want / 2;
		uint8_t *grown = malloc(cap);
		if (!grown)
			return -ENOMEM;
		memcpy(grown, s->p, left);
		free(f->side);
		f->side = grown;
		f->side_cap = cap;
		at = 0;
	} else if (!f->in_side) {
		memcpy(f->side, s->p, left);
	}
	f->in_side = true;
	memcpy(f->side + at + left, c->mem + HEADROOM, c->len);
	s->p = f->side + at;
	s->end = s->p + want;
	return 0;
}

static void side_free(struct feed *f)
{
	free(f->side);
	f->side = NULL;
	f->side_cap = 0;
}

/* Puts the bytes at hand in front of the chunk's data. */
static void chunk_join(struct stream *s, const struct chunk *c)
{
	size_t left = (size_t)(s->end - s->p);
	uint8_t *data = c->mem + HEADROOM;

	if (left)
		memcpy(data - left, s->p, left);
	s->p = data - left;
	s->end = data + c->len;
}

int stream_fill(struct stream *s, size_t n)
{
	struct feed *f = s->feed;
	struct chunk *c;
	int rc;

	while ((size_t)(s->end - s->p) < n) {
		if (f->ended)
			return f->status < 0 ? f->status : -ENODATA;
		if ((rc = feed_take(f, &c)) < 0)
			return rc;
		s->end_offset += c->len;
		if ((size_t)(s->end - s->p) <= HEADROOM) {
			chunk_join(s, c);
			if (f->holding)
				feed_release(f);
			f->holding = true;
			f->in_side = false;
			if (f->side_cap > SIDE_KEPT)
				side_free(f);
			continue;
		}
		if ((rc = side_gather(s, c)) < 0) {
			err_set(&f->why, ENOMEM, "out of memory");
			f->ended = true;
			f->status = rc;
			return rc;
		}
		feed_release(f);
		if (f->holding)
			feed_release(f);
		f->holding = false;
	}
	return 0;
}

int stream_skip(struct stream *s, uint64_t n)
{
	for (;;) {
		uint64_t left = (uint64_t)(s->end - s->p);
		int rc;

		if (left >= n) {
			s->p += n;
			return 0;
		}
		s->p = s->end;
		n -= left;
		if ((rc = stream_fill(s, 1)) < 0)
			return rc;
	}
}

const char *stream_error(const struct stream *s)
{
	return s->feed->ended && s->feed->why.text[0] ? s->feed->why.text : "cannot read";
}

bool stream_packed(const struct stream *s)
{
	return s->feed->z != NULL;
}

int stream_fd(const struct stream *s)
{
	return s->feed->fd;
}

double stream_progress(const struct stream *s)
{
	const struct feed *f = s->feed;
	uint64_t used;

	if (!f->size)
		return -1;
	used = !f->z ? stream_offset(s) : f->fd < 0 ? f->at : atomic_load_explicit(&f->taken, memory_order_relaxed);
	return used < f->size ? (double)used / (double)f->size : 1;
}
