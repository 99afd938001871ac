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
#include "state.h"
#include "stream.h"
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

struct block {
	const struct block_row *row;
	uint32_t code, len;		/* len counts all of it */
	uint64_t at;
};

/* ------------------------------------------------------------------ shapes of events */

/* What each parameter of an event must look like, and whether scap_compat.c has a say. */
struct shape {
	uint8_t nparams;
	bool wide;			/* 32-bit parameter lengths */
	bool current;			/* never converted */
	bool current_if_full;		/* not converted while it has all parameters */
	uint8_t want[EVENT_MAX_PARAMS];	/* bytes; 0: any number; WANT_TEXT: any number, the last one NUL */
};

enum { WANT_TEXT = 255 };

enum {
#define TYPE(number, name, bytes) WIDTH_##name = bytes,
#include "../driver/types.def"
};

#define IS_TEXT(type) (PT_##type == PT_CHARBUF || PT_##type == PT_FSPATH || PT_##type == PT_FSRELPATH)
#define WANT(type) (IS_TEXT(type) ? WANT_TEXT : WIDTH_##type)
#define P(name, type, format) WANT(type)
#define PF(name, type, format, table) WANT(type)
#define PREL(name, type, format, dirfd) WANT(type)
#define PDYN(name, format, table) WANT(DYN)
#define EACH(...) __VA_OPT__(__VA_ARGS__,)
#define EVENT(code_, symbol, name, kind, origin, flags_, ...) [code_] = { \
	.nparams = sizeof (const uint8_t[]){ EACH(__VA_ARGS__) 0 } - 1, .wide = ((flags_) & EF_LARGE) != 0, \
	.current = !((flags_) & (EF_UNUSED | EF_OLD | EF_CONVERTED)), \
	.current_if_full = ((flags_) & (EF_UNUSED | EF_OLD | EF_CONVERTED)) == EF_CONVERTED && EVENT_IS_EXIT(code_), \
	.want = { EACH(__VA_ARGS__) } },
static const struct shape shapes[EV_COUNT] = {
#include "../driver/events.def"
};

/* ------------------------------------------------------------------ reading one capture */

struct scap {
	struct stream in;
	struct scap_sink sink;
	struct compat *compat;
	char *name;			/* for messages */
	uint32_t max_block;
	uint64_t skipped;
	uint32_t head_flags;		/* of the events at a section's head; 0: past it */
	uint32_t sections;
	int ended;			/* 1: clean end; negative: -errno, for good */
	struct err err;
};

#define SINK(s, call, ...) ((s)->sink.call ? (s)->sink.call((s)->sink.ctx __VA_OPT__(,) __VA_ARGS__) : 0)

/* Ends the capture: err becomes "capture 'NAME': at offset N: ...". Returns -code. */
__attribute__((format(printf, 4, 5), cold))
static int scap_fail(struct scap *s, int code, uint64_t at, const char *fmt, ...)
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

#define scap_bad(s, at, ...) scap_fail(s, EBADMSG, at, __VA_ARGS__)

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

static bool scap_sank(struct scap *s, int rc, uint64_t at)
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

/* ------------------------------------------------------------------ list entries */

/* Walks bytes that were read; `bad` stays set once something did not fit. */
struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static uint32_t cursor_left(const struct cursor *c)
{
	return (uint32_t)(c->end - c->p);
}

static const uint8_t *cursor_take(struct cursor *c, uint32_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || cursor_left(c) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

/* Copies an integer of n bytes; nothing when it does not fit. */
static void cursor_get(struct cursor *c, void *out, uint32_t n)
{
	const uint8_t *p = cursor_take(c, n);

	if (p)
		memcpy(out, p, n);
}

static uint8_t cursor_u8(struct cursor *c)
{
	uint8_t v = 0;
	cursor_get(c, &v, sizeof v);
	return v;
}

static uint16_t cursor_u16(struct cursor *c)
{
	uint16_t v = 0;
	cursor_get(c, &v, sizeof v);
	return v;
}

static uint32_t cursor_u32(struct cursor *c)
{
	uint32_t v = 0;
	cursor_get(c, &v, sizeof v);
	return v;
}

static uint64_t cursor_u64(struct cursor *c)
{
	uint64_t v = 0;
	cursor_get(c, &v, sizeof v);
	return v;
}

/* Counted bytes. */
static struct str cursor_blob(struct cursor *c, uint32_t max)
{
	uint16_t len = cursor_u16(c);
	const uint8_t *p = cursor_take(c, len);

	c->bad |= len > max;
	return p && len <= max ? (struct str){ (const char *)p, len } : (struct str){ "", 0 };
}

/* Counted text: ends at a NUL inside it, as the reference has it. */
static struct str cursor_text(struct cursor *c, uint32_t max)
{
	struct str s = cursor_blob(c, max);

	s.len = (uint32_t)strnlen(s.p, s.len);
	return s;
}

/* Splits the next entry off a list. `sized`: it starts with its length, which counts itself if `own`. */
static struct cursor cursor_entry(struct cursor *list, bool sized, bool own)
{
	struct cursor e = *list;
	uint32_t len;

	if (!sized)
		return e;
	len = cursor_u32(&e) - (own ? 4 : 0);
	if (e.bad || len > cursor_left(&e))
		e.bad = true;
	else
		e.end = e.p + len;
	return e;
}

/* ---- processes */

/* Libraries before 0.10 wrote no pid namespace start and no tty; their extras have at most this many bytes. */
enum { OLD_EXTRAS = 29, OLD_EXTRAS_SKIP = 2 };

static void proc_item_get(struct cursor *c, const struct proc_item *item, struct scap_proc *p)
{
	void *out = (char *)p + item->at;

	switch (item->kind) {
	case ITEM_U64:
		cursor_get(c, out, 8);
		break;
	case ITEM_U32:
		cursor_get(c, out, 4);
		break;
	case ITEM_TEXT:
		*(struct str *)out = cursor_text(c, PATH_MAX_BYTES);
		break;
	case ITEM_BLOB:
		*(struct str *)out = cursor_blob(c, BLOB_MAX_BYTES);
		break;
	case ITEM_FLAG:
		p->exe_flags |= cursor_u8(c) ? item->at : 0;
		break;
	}
}

static bool proc_parse(struct scap *s, struct cursor *list, uint32_t version, uint64_t at)
{
	static const uint8_t width[] = { [ITEM_U64] = 8, [ITEM_U32] = 4, [ITEM_FLAG] = 1 };
	struct scap_proc p = {
		.sid = -1, .vpgid = -1, .pgid = -1, .vtid = -1, .vpid = -1, .loginuid = UINT32_MAX,
		.comm = STR(""), .exe = STR(""), .exepath = STR(""), .args = STR(""), .cwd = STR(""), .env = STR(""),
		.cgroups = STR(""), .root = STR(""),
	};
	struct cursor e = cursor_entry(list, version >= 9, true);

	for (uint32_t i = 0; i < SCAP_PROC_ITEMS; i++)
		if (version >= scap_proc_items[i].since)
			proc_item_get(&e, &scap_proc_items[i], &p);
	if (e.bad)
		return false;
	if (version >= 9) {
		uint32_t i = cursor_left(&e) <= OLD_EXTRAS ? OLD_EXTRAS_SKIP : 0;
		for (; i < SCAP_PROC_EXTRAS; i++)
			if (cursor_left(&e) >= width[scap_proc_extras[i].kind])
				proc_item_get(&e, &scap_proc_extras[i], &p);
		e.p = e.end;
	}
	list->p = e.p;
	return scap_sank(s, SINK(s, proc, &p), at);
}

/* ---- descriptors */

static void fd_item_get(struct cursor *c, char item, bool sized, struct fd_draft *d)
{
	switch (item) {
	case 's':
	case 'S':
		cursor_get(c, d->addr.src, item == 's' ? 4 : 16);
		break;
	case 'd':
	case 'D':
		cursor_get(c, d->addr.dst, item == 'd' ? 4 : 16);
		break;
	case 'p':
		d->addr.sport = cursor_u16(c);
		break;
	case 'q':
		d->addr.dport = cursor_u16(c);
		break;
	case 'l':
		d->l4 = cursor_u8(c);
		d->l4 = d->l4 <= L4_RAW ? d->l4 : L4_UNKNOWN;
		break;
	case 'u':
		d->unix_src = cursor_u64(c);
		break;
	case 'w':
		d->unix_dst = cursor_u64(c);
		break;
	case 'o':
		d->openflags = cursor_u32(c);
		break;
	case 'n':
		d->name = cursor_text(c, PATH_MAX_BYTES - 1);
		break;
	case 'v':
		if (sized && cursor_left(c) >= 4)
			d->dev = cursor_u32(c);
		break;
	}
}

/* The type behind the name of a descriptor that was listed as unsupported for the sake of old readers. */
static uint8_t fd_real_type(struct cursor *c)
{
	uint8_t type;

	if (cursor_left(c) != FD_REAL_TYPE_BYTES || cursor_u32(c) != FD_REAL_TYPE_MARK)
		return FD_UNSUPPORTED;
	type = cursor_u8(c);
	return type > FD_TYPE_KNOWN_TO_ALL && type < FD_TYPE_COUNT ? type : FD_UNSUPPORTED;
}

static bool fd_parse(struct scap *s, struct cursor *list, uint32_t version, int64_t tid, uint64_t at)
{
	bool sized = version >= 2;
	struct cursor e = cursor_entry(list, sized, true);
	int64_t fd = (int64_t)cursor_u64(&e);
	struct fd_draft d = { .ino = cursor_u64(&e), .name = STR(""), .raw = STR("") };
	uint8_t type = cursor_u8(&e);
	char unknown[32];

	if (type < FD_TYPE_COUNT) {
		d.type = type;
		for (const char *item = scap_fd_layouts[type]; *item; item++)
			fd_item_get(&e, *item, sized, &d);
		if (type == FD_UNSUPPORTED && sized && !e.bad)
			d.type = fd_real_type(&e);
	} else if (sized) {
		snprintf(unknown, sizeof unknown, "unknown-type:[%u]", type);
		d.type = FD_UNSUPPORTED;
		d.name = str_of(unknown);
	} else {
		return false;		/* nobody knows where it ends */
	}
	if (e.bad)
		return false;
	list->p = sized ? e.end : e.p;
	return scap_sank(s, SINK(s, fd, tid, fd, &d), at);
}

/* ---- interfaces, users and groups */

static bool iface_parse(struct scap *s, struct cursor *list, uint32_t version, uint64_t at)
{
	bool sized = version >= 2;
	struct cursor e = cursor_entry(list, sized, false);
	uint16_t type = cursor_u16(&e), name_len = cursor_u16(&e);
	struct iface f = { .v6 = type == IFACE_V6 || type == IFACE_V6_NO_SPEED };
	uint32_t bytes = f.v6 ? 16 : 4;
	const uint8_t *name;

	cursor_get(&e, f.addr, bytes);
	cursor_get(&e, f.netmask, bytes);
	cursor_get(&e, f.bcast, bytes);
	if (type == IFACE_V4 || type == IFACE_V6)
		cursor_u64(&e);		/* link speed */
	name = cursor_take(&e, name_len);
	if (e.bad || type < IFACE_V4 || type > IFACE_V6_NO_SPEED || name_len >= PATH_MAX_BYTES)
		return false;
	f.name = (struct str){ (const char *)name, (uint32_t)strnlen((const char *)name, name_len) };
	list->p = sized ? e.end : e.p;
	return scap_sank(s, SINK(s, iface, &f), at);
}

/* Copies to a buffer where it can end in a NUL. */
static struct str user_text(struct cursor *c, char buf[USER_MAX_BYTES + 1])
{
	struct str s = cursor_text(c, USER_MAX_BYTES);

	memcpy(buf, s.p, s.len);
	buf[s.len] = 0;
	return (struct str){ buf, s.len };
}

static bool user_parse(struct scap *s, struct cursor *list, uint32_t version, uint64_t at)
{
	bool sized = version >= 2;
	struct cursor e = cursor_entry(list, sized, true);
	bool is_group = cursor_u8(&e) != 0;
	char name[USER_MAX_BYTES + 1], home[USER_MAX_BYTES + 1], shell[USER_MAX_BYTES + 1];
	struct user u = { .uid = is_group ? 0 : cursor_u32(&e), .gid = cursor_u32(&e), .name = user_text(&e, name) };
	struct group g = { .gid = u.gid, .name = u.name };

	if (!is_group) {
		u.home = user_text(&e, home);
		u.shell = user_text(&e, shell);
	}
	if (e.bad)
		return false;
	list->p = sized ? e.end : e.p;
	return scap_sank(s, is_group ? SINK(s, group, &g) : SINK(s, user, &u), at);
}

/* ------------------------------------------------------------------ the blocks before the events */

static int list_read(struct scap *s, const struct block *b, struct cursor list)
{
	const uint8_t *body = list.p;
	int64_t tid = b->row->kind == BLOCK_FDS ? (int64_t)cursor_u64(&list) : 0;
	uint32_t version = b->row->version;
	bool good = !list.bad;

	if (b->row->kind == BLOCK_USERS)
		good = scap_sank(s, SINK(s, users_begin), b->at);
	else if (b->row->kind == BLOCK_IFACES)
		good = scap_sank(s, SINK(s, ifaces_begin), b->at);
	while (good && cursor_left(&list) >= 4) {	/* less is padding */
		uint64_t at = b->at + BLOCK_HEAD + (uint64_t)(list.p - body);

		switch (b->row->kind) {
		case BLOCK_PROCS:
			good = proc_parse(s, &list, version, at);
			break;
		case BLOCK_FDS:
			good = fd_parse(s, &list, version, tid, at);
			break;
		case BLOCK_IFACES:
			good = iface_parse(s, &list, version, at);
			break;
		case BLOCK_USERS:
			good = user_parse(s, &list, version, at);
			break;
		}
	}
	if (!good && !s->ended)
		scap_bad(s, b->at + BLOCK_HEAD + (uint64_t)(list.p - body),
			 "this entry of the %s that begins at %" PRIu64 " does not hold together", b->row->name,
			 b->at);
	return s->ended;
}

static int machine_read(struct scap *s, const struct block *b, struct cursor c)
{
	struct machine m = { 0 };

	if (cursor_left(&c) != MACHINE_BODY)
		return scap_bad(s, b->at, "machine block of %u bytes, it must have %u", b->len,
				MACHINE_BODY + BLOCK_FRAME);
	m.cpus = cursor_u32(&c);
	m.memory = cursor_u64(&c);
	m.max_pid = cursor_u64(&c);
	cursor_get(&c, m.hostname, HOSTNAME_BYTES);
	m.boot_ts = cursor_u64(&c);
	m.flags = cursor_u64(&c);
	return scap_sank(s, SINK(s, machine, &m), b->at) ? 0 : s->ended;
}

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
		rc = b->row->kind == BLOCK_MACHINE ? machine_read(s, b, body) : list_read(s, b, body);
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
	int rc = section_head(s);

	if (rc < 0)
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
		if (b.row->kind == BLOCK_EVENT)
			return scap_sank(s, SINK(s, lists_end), b.at) ? 0 : s->ended;
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

/* A number of its type's width, a text with its final NUL, or anything where anything goes. */
static inline bool param_good(const uint8_t *p, uint32_t len, uint32_t want)
{
	return len == want || !len || !want || (want == WANT_TEXT && !p[len - 1]);
}

/* Finds the parameters: n lengths of 2 or 4 bytes, then the values, all in `room` bytes; false: they do not fit. What
 * does not look like its type becomes empty; wants NULL: it is too early to tell. */
static inline bool params_find(struct scap_rec *rec, const uint8_t *lens, uint32_t n, uint32_t room, bool wide,
			       const uint8_t *wants)
{
	uint32_t step = wide ? 4 : 2, left = room - n * step, bad = 0;
	const uint8_t *value = lens + n * step;

	rec->nparams = n < EVENT_MAX_PARAMS ? n : EVENT_MAX_PARAMS;
	for (uint32_t i = 0; i < n; i++, lens += step) {
		uint32_t len = 0;
		bool good = true;

		if (wide)
			memcpy(&len, lens, 4);
		else
			memcpy(&len, lens, 2);
		if (len > left)
			return false;
		if (wants && !(good = param_good(value, len, wants[i])))
			bad++;
		if (i < EVENT_MAX_PARAMS)
			rec->param[i] = (struct scap_param){ value, good ? len : 0 };
		value += len;
		left -= len;
	}
	rec->bad_params = bad;
	return true;
}

/* The same check for a converted event, and for one that has more parameters than any table knows: those are cut. */
static void params_check(struct scap_rec *rec, const struct shape *shape)
{
	if (rec->nparams > shape->nparams)
		rec->nparams = shape->nparams;
	for (uint32_t i = 0; i < rec->nparams; i++) {
		struct scap_param *a = &rec->param[i];

		if (!param_good(a->p, a->len, shape->want[i])) {
			a->len = 0;
			rec->bad_params++;
		}
	}
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
	shape = &shapes[rec->code];
	len = h->len;
	if (form & EVF_V1 && (rec->code == EV_NOTIFICATION_E || rec->code == EV_INFRASTRUCTURE_EVENT_E))
		len -= 3;			/* their writers were wrong by that much */
	if (len < head || len > room - before)
		return scap_bad(s, b->at, "event of %u bytes does not fit its block of %u", len, b->len);

	const uint8_t *lens = p + before + head;
	bool wide = shape->wide && !(form & EVF_V1);
	len -= head;
	if (form & EVF_V1) {
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
		if ((rc = compat_convert(s->compat, rec, &err)) < 0)
			return scap_fail(s, -rc, b->at, "%s", err.text);
		if (rc == COMPAT_DROP) {
			s->head_flags = 0;
			return EVENT_DROPPED;
		}
	}
	if (wide || !wants)
		params_check(rec, &shapes[rec->code]);
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
	if (__builtin_expect(!form, 1))
		return event_decode(s, b, p + BLOCK_HEAD, b->len - BLOCK_FRAME, 0, rec);
	return event_decode(s, b, p + BLOCK_HEAD, b->len - BLOCK_FRAME, form, rec);
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

struct scap *scap_open(const char *path, const struct engine_limits *limits, const struct scap_sink *sink,
		       struct err *err)
{
	struct scap *s = scap_new(path, limits, sink, err);

	return s ? scap_begin(s, stream_open(&s->in, path, err), err) : NULL;
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
