/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: the bytes of a file, a pipe or a piece of memory in order; plain, or gzip (told by its first two bytes;
 * members may follow one another). Inflating runs in a thread of its own, a bounded number of chunks ahead.
 *
 *	struct stream in;
 *	if ((rc = stream_open(&in, path, &err)) < 0) ...
 *	while ((rc = stream_need(&in, 8)) == 0) {	// 8 bytes lie at in.p, contiguous
 *		use(in.p);				// they stay there until the next stream_need or stream_skip
 *		in.p += 8;
 *	}
 *	if (rc != -ENODATA) puts(stream_error(&in));
 *	stream_close(&in);
 *
 * Offsets count bytes of the uncompressed stream.
 */
#ifndef FALCO_STREAM_H
#define FALCO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../err.h"

struct feed;

/*
 * What passes is also kept here, one byte after the other, by the thread that unpacks: what the reader has seen is there. The
 * memory must stay until stream_close(), even if the copy is given up (`full` is set) before.
 */
struct stream_copy {
	uint8_t *mem;
	size_t max;
	_Atomic size_t len;
	_Atomic bool full;		/* there was more than max: what is here is not all */
};

struct stream {
	const uint8_t *p, *end;		/* at hand; the reader moves p forward */
	uint64_t end_offset;		/* of `end` */
	struct feed *feed;		/* where more comes from */
};

/* path "-" is stdin; copy NULL: nothing is kept. 0, or -errno with err; no stream_close then. */
int stream_open(struct stream *s, const char *path, struct stream_copy *copy, struct err *err);
/* From memory that outlives the stream; no thread. */
int stream_open_memory(struct stream *s, const void *data, size_t len, struct err *err);
void stream_close(struct stream *s);
/* Whether any signal ends a wait, see below; else, and at first, only one that asks to end (sys_is_interrupted()). */
void stream_wakes(struct stream *s, bool on);

/*
 * Makes n bytes contiguous at s->p, which moves. -ENODATA: a clean end comes before that (what there is stays at
 * hand); -EINTR: a signal came while waiting, or may have: try again; else damage: what could be saved stays at hand, see
 * stream_error(). Memory grows with the bytes that arrive, not with n; the caller bounds n.
 */
int stream_fill(struct stream *s, size_t n);
/* Moves n bytes on, however many. Errors as above. */
int stream_skip(struct stream *s, uint64_t n);
/* What stopped the stream, in a few words. */
const char *stream_error(const struct stream *s);
bool stream_packed(const struct stream *s);	/* gzip */
int stream_fd(const struct stream *s);		/* what it is read from; -1: memory */
double stream_progress(const struct stream *s);	/* 0..1 of the file; -1: not a file */

static inline int stream_need(struct stream *s, size_t n)
{
	return (size_t)(s->end - s->p) >= n ? 0 : stream_fill(s, n);
}

static inline uint64_t stream_offset(const struct stream *s)
{
	return s->end_offset - (uint64_t)(s->end - s->p);
}

#endif
