/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a descriptor, with a buffer once somebody asked for one. Declared in ffi.h. A failure stays: nothing is
 * written after a gap.
 */
#include <stdlib.h>
#include <string.h>
#include "ffi.h"

enum { WRITER_CAP = 64 << 10 };

struct writer {
	int fd;
	int error;			/* the first failure */
	char *buf;			/* NULL: not buffered */
	size_t len;
};

struct writer *writer_new(int fd)
{
	struct writer *w = calloc(1, sizeof *w);

	if (w)
		w->fd = fd;
	return w;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	writer_flush(w);
	free(w->buf);
	free(w);
}

static int write_out(struct writer *w, const char *s, size_t len)
{
	return w->error = sys_write(w->fd, s, len);
}

int writer_flush(struct writer *w)
{
	size_t len = w->len;

	w->len = 0;
	return w->error || len == 0 ? w->error : write_out(w, w->buf, len);
}

int writer_put(struct writer *w, const char *s, size_t len)
{
	if (w->error)
		return w->error;
	if (!w->buf)
		return write_out(w, s, len);
	if (len > WRITER_CAP - w->len && writer_flush(w))
		return w->error;
	if (len > WRITER_CAP)
		return write_out(w, s, len);
	memcpy(w->buf + w->len, s, len);
	w->len += len;
	return 0;
}

void writer_set_buffered(struct writer *w, bool on)
{
	if (on && !w->buf) {
		w->buf = malloc(WRITER_CAP);	/* without memory it stays unbuffered, which is only slower */
	} else if (!on && w->buf) {
		writer_flush(w);
		free(w->buf);
		w->buf = NULL;
	}
}
