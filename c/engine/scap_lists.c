/* SPDX-License-Identifier: Apache-2.0 */
/* The lists before a capture's events: processes, descriptors, interfaces, users; the machine. The format is in
 * scap_format.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "proc.h"
#include "scap_format.h"
#include "scap_reader.h"
#include "state.h"

/* ------------------------------------------------------------------ taking bytes */

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

/* ------------------------------------------------------------------ processes */

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

/* ------------------------------------------------------------------ descriptors */

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

/* ------------------------------------------------------------------ interfaces, users and groups */

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

/* ------------------------------------------------------------------ whole lists */

int scap_list_read(struct scap *s, const struct block *b, struct cursor list)
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

int scap_machine_read(struct scap *s, const struct block *b, struct cursor c)
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
