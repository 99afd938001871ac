/* SPDX-License-Identifier: Apache-2.0 */
/* Reading captures; the format is in scap_format.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "proc.h"
#include "scap.h"
#include "scap_format.h"
#include "scap_reader.h"
#include "scap_shape.h"
#include "state.h"
#include "tables.h"

/* ------------------------------------------------------------------ blocks */

static const struct block_row *block_find(uint32_t code)
{
	static const struct block_row unknown = { .name = "unknown" };

	for (uint32_t i = 0; i < SCAP_BLOCK_ROWS; i++) {
		const struct block_row *row = &scap_block_rows[i];

		if (code == row->code || (row->old_code && code == row->old_code))
			return row;
	}
	return &unknown;
}

/* ------------------------------------------------------------------ reading one capture */

int scap_fail(struct scap *s, int code, uint64_t at, const char *fmt, ...)
{
	struct err what;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof what.text, fmt, ap);
	va_end(ap);
	s->ended = -code;
	return err_set(&s->err, code, "capture '%.200s': at offset %" PRIu64 "%s: %.250s", s->name, at,
		       stream_packed(&s->in) ? " (uncompressed)" : "", what.text);
}

/* The stream did not yield the `need` bytes of the block that starts at `at`. */
__attribute__((cold))
static int scap_short(struct scap *s, int rc, uint64_t at, const char *what, uint64_t need)
{
	if (rc == -ENODATA)
		return scap_fail(s, ENODATA, at, "%s block of %" PRIu64 " bytes is cut off: the capture ends %" PRIu64
				 " bytes too early", what, need, at + need - s->in.end_offset);
	return scap_fail(s, -rc, s->in.end_offset, "%s", rc == -EINTR ? "interrupted" : stream_error(&s->in));
}

/* Between events a signal ends only the wait: scap_next() may be called again. */
__attribute__((cold))
static int scap_interrupted(struct scap *s)
{
	scap_fail(s, EINTR, stream_offset(&s->in), "interrupted");
	s->ended = 0;
	return -EINTR;
}

bool scap_sank(struct scap *s, int rc, uint64_t at)
{
	if (rc < 0)
		scap_fail(s, -rc, at, "%s", rc == -ENOMEM ? "out of memory" : strerror(-rc));
	return rc >= 0;
}

/* Reads a block's head, leaving it in the stream. 1; 0: clean end right before it; -errno (-EINTR: not for good). The
 * row is set only when it is 1. */
static inline int block_head(struct scap *s, struct block *b)
{
	int rc = stream_need(&s->in, BLOCK_HEAD);

	b->at = stream_offset(&s->in);
	if (rc < 0) {
		if (rc == -ENODATA && s->in.p == s->in.end)
			return 0;
		if (rc == -ENODATA)
			return scap_fail(s, ENODATA, b->at, "a block's head is cut off: %zu bytes of it are missing",
					 BLOCK_HEAD - (size_t)(s->in.end - s->in.p));
		return rc == -EINTR ? scap_interrupted(s) : scap_short(s, rc, b->at, "", 0);
	}
	memcpy(&b->code, s->in.p, 4);
	memcpy(&b->len, s->in.p + 4, 4);
	b->row = block_find(b->code);
	return 1;
}

/* ------------------------------------------------------------------ the blocks before the events */

static int trailer_check(struct scap *s, const struct block *b, const uint8_t *tail)
{
	uint32_t again;

	memcpy(&again, tail, sizeof again);
	if (again == b->len)
		return 0;
	return scap_bad(s, b->at, "%s block begins with length %u and ends with length %u", b->row->name, b->len,
			again);
}

/* Reads a whole block but events and section headers. 0 or -errno. */
static int block_read(struct scap *s, const struct block *b)
{
	bool known = b->row->kind != BLOCK_UNKNOWN;
	uint32_t head = known ? b->len : BLOCK_TAIL;
	int rc;

	if (b->len < BLOCK_FRAME)
		return scap_bad(s, b->at, "%s block of %u bytes, even an empty one has %u", b->row->name, b->len,
				BLOCK_FRAME);
	if (known && b->len > s->max_block)
		return scap_fail(s, EFBIG, b->at, "%s block of %u bytes, more than the limit of %u", b->row->name,
				 b->len, s->max_block);
	if (!known && (rc = stream_skip(&s->in, b->len - BLOCK_TAIL)) < 0)
		return scap_short(s, rc, b->at, "unknown", b->len);
	if ((rc = stream_need(&s->in, head)) < 0)
		return scap_short(s, rc, b->at, b->row->name, b->len);

	const uint8_t *p = s->in.p, *tail = p + head - BLOCK_TAIL;
	struct cursor body = { .p = p + BLOCK_HEAD, .end = tail };

	if ((rc = trailer_check(s, b, tail)) < 0)
		return rc;
	if (known)
		rc = b->row->kind == BLOCK_MACHINE ? scap_machine_read(s, b, body) : scap_list_read(s, b, body);
	s->in.p += head;
	return rc;
}

/* ---- section headers */

struct magic {
	const char *bytes;
	uint32_t n;
	const char *what;
};

/* Says what a file is that is no capture. */
static int scap_not_one(struct scap *s, uint64_t at)
{
	static const struct magic magics[] = {
		{ "\xd4\xc3\xb2\xa1", 4, "a network capture (pcap)" },
		{ "\xa1\xb2\xc3\xd4", 4, "a network capture (pcap)" },
		{ "\x4d\x3c\xb2\xa1", 4, "a network capture (pcap)" },
		{ "\x28\xb5\x2f\xfd", 4, "compressed with zstd (only gzip is supported)" },
		{ "\xfd" "7zXZ", 5, "compressed with xz (only gzip is supported)" },
		{ "BZh", 3, "compressed with bzip2 (only gzip is supported)" },
		{ "PK\x03\x04", 4, "a zip archive" }, { "\x7f" "ELF", 4, "a program (ELF)" },
	};
	uint32_t left = (uint32_t)(s->in.end - s->in.p < 16 ? s->in.end - s->in.p : 16), printable = 0;

	for (uint32_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
		if (left >= magics[i].n && !memcmp(s->in.p, magics[i].bytes, magics[i].n))
			return scap_bad(s, at, "no system call capture, but %s", magics[i].what);
	while (printable < left && (isprint(s->in.p[printable]) || isspace(s->in.p[printable])))
		printable++;
	return scap_bad(s, at, "no system call capture%s", printable == left ? ", but a text" : "");
}

static int section_head(struct scap *s)
{
	uint64_t at = stream_offset(&s->in);
	int rc = stream_need(&s->in, BLOCK_HEAD + SECTION_BODY);
	struct block b = { 0 };
	uint32_t magic;
	uint16_t major;

	if (rc < 0 && rc != -ENODATA)
		return scap_short(s, rc, at, "section header", 0);
	if (s->in.p == s->in.end)
		return scap_fail(s, ENODATA, at, "it is empty");
	if (s->in.end - s->in.p < BLOCK_HEAD)
		return scap_not_one(s, at);
	block_head(s, &b);
	if (b.row->kind != BLOCK_SECTION)
		return !at ? scap_not_one(s, at)
			   : scap_bad(s, at, "%s block (type 0x%x) among events, where only a new section may follow",
				      b.row->name, b.code);
	if (rc < 0)
		return scap_short(s, rc, at, "section header", b.len);
	memcpy(&magic, s->in.p + BLOCK_HEAD, 4);
	memcpy(&major, s->in.p + BLOCK_HEAD + 4, 2);
	if (magic == SECTION_MAGIC_SWAPPED)
		return scap_bad(s, b.at, "written by a machine of the other byte order; that is not supported");
	if (magic != SECTION_MAGIC)
		return scap_bad(s, b.at, "no system call capture (magic number 0x%x)", magic);
	if (major > SECTION_MAJOR)
		return scap_bad(s, b.at, "format version %u, only %u and below are known", major, SECTION_MAJOR);
	if (b.len < BLOCK_FRAME + SECTION_BODY)
		return scap_bad(s, b.at, "section header of %u bytes, it has %u at least", b.len,
				BLOCK_FRAME + SECTION_BODY);
	/* what follows the fixed part are options: comments and the like */
	if ((rc = stream_skip(&s->in, b.len - BLOCK_TAIL)) < 0 || (rc = stream_need(&s->in, BLOCK_TAIL)) < 0)
		return scap_short(s, rc, b.at, "section header", b.len);
	if ((rc = trailer_check(s, &b, s->in.p)) < 0)
		return rc;
	s->in.p += BLOCK_TAIL;
	return 0;
}

/* Reads everything up to the first event. 0 or -errno. */
static int section_read(struct scap *s)
{
	bool known = false;
	struct block b = { 0 };
	int rc;

	stream_wakes(&s->in, false);		/* only between events it can be gone on later */
	if ((rc = section_head(s)) < 0)
		return rc;
	compat_reset(s->compat);
	s->head_flags = SCAP_HEAD | (s->sections++ ? SCAP_UNNUMBERED : 0);
	if (!scap_sank(s, SINK(s, reset), stream_offset(&s->in)))
		return s->ended;
	for (;;) {
		if ((rc = block_head(s, &b)) < 0)
			return s->ended ? rc : scap_short(s, rc, b.at, "", 0);
		if (rc == 0)
			return scap_fail(s, ENODATA, b.at, "the capture ends before its first event");
		if (b.row->kind == BLOCK_EVENT) {
			stream_wakes(&s->in, true);
			return scap_sank(s, SINK(s, lists_end), b.at) ? 0 : s->ended;
		}
		if (b.row->kind == BLOCK_PCAPNG && !known)
			return scap_bad(s, b.at, "no system call capture, but a network capture (pcapng)");
		known |= b.row->kind != BLOCK_UNKNOWN;
		if (b.row->kind == BLOCK_SECTION || b.row->kind == BLOCK_PCAPNG)
			b.row = block_find(0);			/* has no meaning here: skipped */
		if ((rc = block_read(s, &b)) < 0)
			return rc;
	}
}

/* ------------------------------------------------------------------ events */

/* How many parameters a version 1 event has is not written: the largest number whose lengths and values fill it. */
static int v1_count(const uint8_t *lens, uint32_t room, uint32_t most)
{
	for (int n = (int)most; n >= 0; n--) {
		uint64_t sum = 2 * (uint64_t)n;

		if (sum > room)
			continue;
		for (int i = 0; i < n; i++) {
			uint16_t len;
			memcpy(&len, lens + 2 * i, sizeof len);
			sum += len;
		}
		if (sum <= room)
			return sum == room ? n : -1;
	}
	return -1;
}

bool scap_describes_host(uint32_t code)
{
	static const uint16_t codes[] = { EV_CONTAINER_JSON_2_E, EV_USER_ADDED_E, EV_USER_DELETED_E, EV_GROUP_ADDED_E,
		EV_GROUP_DELETED_E, EV_ASYNCEVENT_E };

	for (uint32_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (code == codes[i])
			return true;
	return false;
}

/* The events in front of a section that only say what the host is like, up to the first other one. */
__attribute__((cold))
static void head_mark(struct scap *s, struct scap_rec *rec)
{
	if (scap_describes_host(rec->code))
		rec->flags |= s->head_flags;
	else
		s->head_flags = 0;
}

enum { EVENT_DROPPED = 2 };

/* Decodes the event in a block. 1, EVENT_DROPPED, or -errno. */
static inline int event_decode(struct scap *s, const struct block *b, const uint8_t *p, uint32_t room, uint32_t form,
			       struct scap_rec *rec)
{
	uint32_t head = form & EVF_V1 ? sizeof(struct event_hdr) - 4 : sizeof(struct event_hdr);
	uint32_t before = form & EVF_FLAGS ? 6 : 2;
	const struct event_hdr *h = (const void *)(p + before);
	const struct shape *shape;
	struct err err;
	uint32_t n, len;
	int rc;

	if (room < before + head)
		return scap_bad(s, b->at, "event block of %u bytes has no room for an event", b->len);
	memcpy(&rec->cpu, p, 2);
	rec->flags = 0;
	if (form & EVF_FLAGS) {
		memcpy(&rec->flags, p + 2, 4);
		rec->flags &= SCAP_STATE_ONLY;
	}
	rec->ts = h->ts;
	rec->tid = (int64_t)h->tid;
	rec->code = h->type;
	if (h->type >= EV_COUNT) {
		s->skipped++;
		return EVENT_DROPPED;
	}
	shape = scap_shape(rec->code);
	len = h->len;
	if (form & EVF_V1 && (rec->code == EV_NOTIFICATION_E || rec->code == EV_INFRASTRUCTURE_EVENT_E))
		len -= 3;			/* their writers were wrong by that much */
	if (len < head || len > room - before)
		return scap_bad(s, b->at, "event of %u bytes does not fit its block of %u", len, b->len);

	const uint8_t *lens = p + before + head;
	bool wide = shape->wide && !(form & EVF_V1);
	len -= head;
	if (form & EVF_V1) {
		rec->flags |= SCAP_CONVERTED;
		if ((rc = v1_count(lens, len, shape->nparams)) < 0)
			return scap_bad(s, b->at, "event (code %u): its parameters do not add up to its %u bytes",
					rec->code, len);
		n = (uint32_t)rc;
	} else {
		n = h->nparams;
	}
	bool current = shape->current || (shape->current_if_full && n == shape->nparams);
	const uint8_t *wants = current && n <= shape->nparams ? shape->want : NULL;

	if (n > len / (wide ? 4 : 2) || !(wide ? params_find(rec, lens, n, len, true, NULL)
					 : wants ? params_find(rec, lens, n, len, false, wants)
						 : params_find(rec, lens, n, len, false, NULL)))
		return scap_bad(s, b->at, "event (code %u): its %u parameters do not fit its %u bytes", rec->code, n,
				len);

	if (!current) {
		rec->flags |= SCAP_CONVERTED;
		if ((rc = compat_convert(s->compat, rec, &err)) < 0)
			return scap_fail(s, -rc, b->at, "%s", err.text);
		if (rc == COMPAT_DROP) {
			s->head_flags = 0;
			return EVENT_DROPPED;
		}
	}
	if (wide || !wants)
		params_check(rec, scap_shape(rec->code));
	if (__builtin_expect(s->head_flags, 0))
		head_mark(s, rec);
	return 1;
}

static int event_read(struct scap *s, const struct block *b, struct scap_rec *rec)
{
	uint32_t form = b->row->version;
	uint32_t max = form & EVF_LARGE ? s->max_block : SMALL_EVENT_MAX;
	const uint8_t *p;
	int rc;

	if (b->len < BLOCK_FRAME || b->len > max)
		return scap_bad(s, b->at, "%s block of %u bytes, it may have %u to %u", b->row->name, b->len,
				BLOCK_FRAME, max);
	if ((rc = stream_need(&s->in, b->len)) < 0)
		return rc == -EINTR ? scap_interrupted(s) : scap_short(s, rc, b->at, b->row->name, b->len);
	p = s->in.p;
	s->in.p += b->len;
	s->event_at = b->at;
	if (__builtin_expect(!form, 1))
		return event_decode(s, b, p + BLOCK_HEAD, b->len - BLOCK_FRAME, 0, rec);
	return event_decode(s, b, p + BLOCK_HEAD, b->len - BLOCK_FRAME, form, rec);
}

const struct event_hdr *scap_event_header(const uint8_t *block, uint16_t *cpu)
{
	uint32_t code;

	memcpy(&code, block, sizeof code);
	memcpy(cpu, block + BLOCK_HEAD, sizeof *cpu);
	return (const void *)(block + BLOCK_HEAD + (block_find(code)->version & EVF_FLAGS ? 6 : 2));
}

int scap_next(struct scap *s, struct scap_rec *rec)
{
	struct block b;
	int rc;

	if (s->ended)
		return s->ended < 0 ? s->ended : 0;
	for (;;) {
		if ((rc = block_head(s, &b)) <= 0) {
			s->ended = rc == 0 ? 1 : s->ended;
			return rc;
		}
		if (b.row->kind == BLOCK_EVENT)
			rc = event_read(s, &b, rec);
		else if ((rc = section_read(s)) == 0)
			rc = EVENT_DROPPED;
		if (rc != EVENT_DROPPED)
			return rc;
	}
}

/* ------------------------------------------------------------------ life */

static struct scap *scap_new(const char *name, const struct engine_limits *limits, const struct scap_sink *sink,
			     struct err *err)
{
	struct scap *s = calloc(1, sizeof *s);

	if (s) {
		s->name = scap_name(name, "standard input");
		s->compat = compat_new();
		s->max_block = limits && limits->max_block ? limits->max_block : MAX_BLOCK;
		if (sink)
			s->sink = *sink;
		if (s->name && s->compat)
			return s;
		compat_free(s->compat);
		free(s->name);
		free(s);
	}
	err_set(err, ENOMEM, "capture '%.200s': out of memory", name);
	return NULL;
}

static struct scap *scap_begin(struct scap *s, int rc, struct err *err)
{
	if (rc < 0) {
		struct err why = *err;
		err_set(err, -rc, "capture '%.200s': %.250s", s->name, why.text);
	} else if (section_read(s) < 0) {
		*err = s->err;
	} else {
		return s;
	}
	scap_close(s);
	return NULL;
}

struct scap *scap_open_copied(const char *path, const struct engine_limits *limits, const struct scap_sink *sink,
			      struct stream_copy *copy, struct err *err)
{
	struct scap *s = scap_new(path, limits, sink, err);

	return s ? scap_begin(s, stream_open(&s->in, path, copy, err), err) : NULL;
}

struct scap *scap_open(const char *path, const struct engine_limits *limits, const struct scap_sink *sink,
		       struct err *err)
{
	return scap_open_copied(path, limits, sink, NULL, err);
}

struct scap *scap_open_memory(const void *data, size_t len, const struct engine_limits *limits,
			      const struct scap_sink *sink, struct err *err)
{
	struct scap *s = scap_new("memory", limits, sink, err);

	return s ? scap_begin(s, stream_open_memory(&s->in, data, len, err), err) : NULL;
}

const char *scap_error(const struct scap *s)
{
	return s->err.text;
}

double scap_progress(const struct scap *s)
{
	return stream_progress(&s->in);
}

int scap_fd(const struct scap *s)
{
	return stream_fd(&s->in);
}

uint64_t scap_event_at(const struct scap *s)
{
	return s->event_at;
}

uint64_t scap_skipped(const struct scap *s)
{
	return s->skipped;
}

void scap_close(struct scap *s)
{
	if (!s)
		return;
	if (s->in.feed)
		stream_close(&s->in);
	compat_free(s->compat);
	free(s->name);
	free(s);
}
