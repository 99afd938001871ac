/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing captures, in the latest version of each block; the format is in scap_format.h.
 *
 * Blocks are built one behind the other in a buffer, which goes to the file once it holds enough whole ones: as they
 * are, or as one gzip member (members may follow one another). So a file that broke off, because its disk is full or
 * its writer was killed, ends between two blocks as far as that is in the writer's hands, and what there is can be
 * read.
 */
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "scap.h"
#include "scap_format.h"
#include "state.h"
#include "tables.h"

enum {
	ENOUGH = 1 << 20,		/* bytes that are written at once */
	LIST_MAX = 16 << 20,		/* bytes of one list block: then another one begins */
	PACKED = 256 << 10, LEVEL = 2, LEVEL_BUF = ISAL_DEF_LVL2_DEFAULT,
	FILE_MODE = 0600,		/* arguments, environments and data of everybody are in it */
};

struct packer {
	struct isal_zstream z;
	uint8_t level_buf[LEVEL_BUF], out[PACKED];
};

struct scap_writer {
	int fd;				/* -1: not opened yet */
	bool owns_fd, regular;
	char *name;			/* for messages; NULL: not opened yet */
	struct packer *packer;		/* NULL: plain */
	uint64_t written;		/* bytes of the file, up to the end of a block */

	uint8_t *buf;			/* whole blocks, and then the open list */
	size_t len, cap;
	uint32_t list;			/* BLOCK_*: kind of the open list; 0: none is open */
	size_t list_at;			/* where it begins */
	int64_t list_tid;		/* BLOCK_FDS: whose */
	bool in_section, has_event;	/* of the section */
	uint64_t last_ts;

	int failed;			/* -errno of the first failure */
	struct err err;
};

/* ------------------------------------------------------------------ failing */

__attribute__((format(printf, 3, 4), cold))
static int writer_fail(struct scap_writer *w, int code, const char *fmt, ...)
{
	struct err what;
	va_list ap;

	if (w->failed)
		return w->failed;
	va_start(ap, fmt);
	vsnprintf(what.text, sizeof what.text, fmt, ap);
	va_end(ap);
	w->failed = -code;
	return err_set(&w->err, code, "capture '%.200s': %.250s", w->name ? w->name : "to be written", what.text);
}

/* ------------------------------------------------------------------ buffer and file */

/* n more bytes at the end of the buffer; NULL: the writer has failed. */
static uint8_t *room(struct scap_writer *w, size_t n)
{
	uint8_t *p;

	if (w->failed)
		return NULL;
	if (w->cap - w->len < n) {
		size_t cap = (w->len + n) * 3 / 2;

		if (!(p = realloc(w->buf, cap))) {
			writer_fail(w, ENOMEM, "out of memory");
			return NULL;
		}
		w->buf = p;
		w->cap = cap;
	}
	p = w->buf + w->len;
	w->len += n;
	return p;
}

static void put(struct scap_writer *w, const void *from, size_t n)
{
	uint8_t *p = room(w, n);

	if (p && n)
		memcpy(p, from, n);
}

static void put_zeros(struct scap_writer *w, size_t n)
{
	uint8_t *p = room(w, n);

	if (p)
		memset(p, 0, n);
}

static void put_u8(struct scap_writer *w, uint8_t v)
{
	put(w, &v, sizeof v);
}

static void put_u16(struct scap_writer *w, uint16_t v)
{
	put(w, &v, sizeof v);
}

static void put_u32(struct scap_writer *w, uint32_t v)
{
	put(w, &v, sizeof v);
}

static void put_u64(struct scap_writer *w, uint64_t v)
{
	put(w, &v, sizeof v);
}

/* Counted text, cut to `max` bytes. */
static void put_text(struct scap_writer *w, struct str s, uint32_t max)
{
	uint32_t n = s.len < max ? s.len : max;

	put_u16(w, (uint16_t)n);
	put(w, s.p, n);
}

static int out(struct scap_writer *w, const uint8_t *p, size_t n)
{
	int rc = sys_write(w->fd, (const char *)p, n);

	return rc < 0 ? writer_fail(w, -rc, "cannot write: %s", strerror(-rc)) : 0;
}

static int out_packed(struct scap_writer *w, const uint8_t *p, size_t n)
{
	struct isal_zstream *z = &w->packer->z;
	int rc = 0;

	isal_deflate_init(z);
	z->level = LEVEL;
	z->level_buf = w->packer->level_buf;
	z->level_buf_size = LEVEL_BUF;
	z->gzip_flag = IGZIP_GZIP;
	z->end_of_stream = 1;
	z->next_in = (uint8_t *)(uintptr_t)p;
	z->avail_in = (uint32_t)n;
	do {
		z->next_out = w->packer->out;
		z->avail_out = PACKED;
		if (isal_deflate(z) != COMP_OK)
			return writer_fail(w, EIO, "cannot compress");
		rc = out(w, w->packer->out, PACKED - z->avail_out);
	} while (rc == 0 && z->internal_state.state != ZSTATE_END);
	return rc;
}

/* Writes the first n bytes of the buffer: whole blocks. */
static void flush(struct scap_writer *w, size_t n)
{
	if (w->failed || w->fd < 0 || !n)
		return;
	if ((w->packer ? out_packed : out)(w, w->buf, n) < 0) {
		/* what did get there is half a block or half a member */
		if (w->regular && ftruncate(w->fd, (off_t)w->written) < 0)
			return;
		return;
	}
	if (w->regular)
		w->written = (uint64_t)lseek(w->fd, 0, SEEK_CUR);
	memmove(w->buf, w->buf + n, w->len - n);
	w->len -= n;
}

/* Between two blocks. */
static void flush_if_enough(struct scap_writer *w)
{
	if (w->len >= ENOUGH)
		flush(w, w->len);
}

/* ------------------------------------------------------------------ blocks */

static uint32_t block_code(uint32_t kind, uint32_t version)
{
	const struct block_row *row = scap_block_rows;

	while (row->kind != kind || row->version != version)
		row++;
	return row->code;
}

static size_t block_begin(struct scap_writer *w, uint32_t code)
{
	size_t at = w->len;

	put_u32(w, code);
	put_u32(w, 0);
	return at;
}

/* Pads the block that begins at `at` and says its length at both ends. */
static void block_end(struct scap_writer *w, size_t at)
{
	put_zeros(w, -(w->len - at) % 4);
	uint32_t len = (uint32_t)(w->len - at) + BLOCK_TAIL;
	put_u32(w, len);
	if (!w->failed)
		memcpy(w->buf + at + 4, &len, sizeof len);
}

static void list_end(struct scap_writer *w)
{
	if (!w->list)
		return;
	block_end(w, w->list_at);
	w->list = 0;
	flush_if_enough(w);
}

/* Makes sure that an entry of this kind (and thread) may follow. */
static void list_begin(struct scap_writer *w, uint32_t kind, uint32_t version, int64_t tid)
{
	if (w->list == kind && w->list_tid == tid && w->len - w->list_at < LIST_MAX)
		return;
	list_end(w);
	w->list = kind;
	w->list_tid = tid;
	w->list_at = block_begin(w, block_code(kind, version));
	if (kind == BLOCK_FDS)
		put_u64(w, (uint64_t)tid);
}

/* Entries begin with their length, which counts itself if `own`. */
static size_t entry_begin(struct scap_writer *w)
{
	size_t at = w->len;

	put_u32(w, 0);
	return at;
}

static void entry_end(struct scap_writer *w, size_t at, bool own)
{
	uint32_t len = (uint32_t)(w->len - at) - (own ? 0 : 4);

	if (!w->failed)
		memcpy(w->buf + at, &len, sizeof len);
}

/* ------------------------------------------------------------------ sections */

/* No reader takes a section without an event, so one that would be empty gets a note of nothing. */
static void section_end(struct scap_writer *w)
{
	struct scap_rec note = {
		.code = EV_NOTIFICATION_E, .tid = -1, .ts = w->last_ts, .flags = SCAP_STATE_ONLY,
		.nparams = event_row(EV_NOTIFICATION_E)->nparams,
	};

	list_end(w);
	if (w->in_section && !w->has_event)
		scap_write(w, &note);
	w->in_section = false;
}

static int write_reset(void *ctx)
{
	struct scap_writer *w = ctx;

	section_end(w);
	size_t at = block_begin(w, block_code(BLOCK_SECTION, 0));
	put_u32(w, SECTION_MAGIC);
	put_u16(w, SECTION_MAJOR);
	put_u16(w, SECTION_MINOR);
	put_u64(w, UINT64_MAX);			/* as long as it takes */
	block_end(w, at);
	w->in_section = true;
	w->has_event = false;
	return 0;
}

static int write_machine(void *ctx, const struct machine *m)
{
	struct scap_writer *w = ctx;

	list_end(w);
	size_t at = block_begin(w, block_code(BLOCK_MACHINE, 0));
	put_u32(w, m->cpus);
	put_u64(w, m->memory);
	put_u64(w, m->max_pid);
	put(w, m->hostname, HOSTNAME_BYTES);
	put_u64(w, m->boot_ts);
	put_u64(w, m->flags);
	put_zeros(w, at + BLOCK_HEAD + MACHINE_BODY - w->len);	/* reserved */
	block_end(w, at);
	return 0;
}

/* ------------------------------------------------------------------ list entries */

static void put_proc_item(struct scap_writer *w, const struct proc_item *item, const struct scap_proc *p)
{
	const void *from = (const char *)p + item->at;

	switch (item->kind) {
	case ITEM_U64:
		put(w, from, 8);
		break;
	case ITEM_U32:
		put(w, from, 4);
		break;
	case ITEM_TEXT:
		put_text(w, *(const struct str *)from, PATH_MAX_BYTES);
		break;
	case ITEM_BLOB:
		put_text(w, *(const struct str *)from, BLOB_MAX_BYTES);
		break;
	case ITEM_FLAG:
		put_u8(w, (p->exe_flags & item->at) != 0);
		break;
	}
}

static int write_proc(void *ctx, const struct scap_proc *p)
{
	struct scap_writer *w = ctx;

	list_begin(w, BLOCK_PROCS, PROCS_VERSION, 0);
	size_t at = entry_begin(w);
	for (uint32_t i = 0; i < SCAP_PROC_ITEMS; i++)
		put_proc_item(w, &scap_proc_items[i], p);
	for (uint32_t i = 0; i < SCAP_PROC_EXTRAS; i++)
		put_proc_item(w, &scap_proc_extras[i], p);
	entry_end(w, at, true);
	return 0;
}

static void put_fd_item(struct scap_writer *w, char item, const struct fd_draft *d)
{
	switch (item) {
	case 's':
	case 'S':
		put(w, d->addr.src, item == 's' ? 4 : 16);
		break;
	case 'd':
	case 'D':
		put(w, d->addr.dst, item == 'd' ? 4 : 16);
		break;
	case 'p':
		put_u16(w, d->addr.sport);
		break;
	case 'q':
		put_u16(w, d->addr.dport);
		break;
	case 'l':
		put_u8(w, d->l4);
		break;
	case 'u':
		put_u64(w, d->unix_src);
		break;
	case 'w':
		put_u64(w, d->unix_dst);
		break;
	case 'o':
		put_u32(w, d->openflags);
		break;
	case 'n':
		put_text(w, d->name, PATH_MAX_BYTES - 1);
		break;
	case 'v':
		put_u32(w, d->dev);
		break;
	}
}

static int write_fd(void *ctx, int64_t tid, int64_t fd, const struct fd_draft *d)
{
	struct scap_writer *w = ctx;
	bool known_to_all = d->type <= FD_TYPE_KNOWN_TO_ALL;

	list_begin(w, BLOCK_FDS, FDS_VERSION, tid);
	size_t at = entry_begin(w);
	put_u64(w, (uint64_t)fd);
	put_u64(w, d->ino);
	put_u8(w, known_to_all ? d->type : FD_UNSUPPORTED);
	for (const char *item = scap_fd_layouts[d->type]; *item; item++)
		put_fd_item(w, *item, d);
	if (!known_to_all) {
		put_u32(w, FD_REAL_TYPE_MARK);
		put_u8(w, d->type);
	}
	entry_end(w, at, true);
	return 0;
}

static int write_iface(void *ctx, const struct iface *i)
{
	struct scap_writer *w = ctx;
	uint32_t bytes = i->v6 ? 16 : 4;
	uint32_t name_len = i->name.len < PATH_MAX_BYTES ? i->name.len : PATH_MAX_BYTES - 1;

	list_begin(w, BLOCK_IFACES, IFACES_VERSION, 0);
	size_t at = entry_begin(w);
	put_u16(w, i->v6 ? IFACE_V6_NO_SPEED : IFACE_V4_NO_SPEED);
	put_u16(w, (uint16_t)name_len);
	put(w, i->addr, bytes);
	put(w, i->netmask, bytes);
	put(w, i->bcast, bytes);
	put(w, i->name.p, name_len);
	entry_end(w, at, false);
	return 0;
}

static int write_user(void *ctx, const struct user *u)
{
	struct scap_writer *w = ctx;

	list_begin(w, BLOCK_USERS, USERS_VERSION, 0);
	size_t at = entry_begin(w);
	put_u8(w, 0);
	put_u32(w, u->uid);
	put_u32(w, u->gid);
	put_text(w, u->name, USER_MAX_BYTES);
	put_text(w, u->home, USER_MAX_BYTES);
	put_text(w, u->shell, USER_MAX_BYTES);
	entry_end(w, at, true);
	return 0;
}

static int write_group(void *ctx, const struct group *g)
{
	struct scap_writer *w = ctx;

	list_begin(w, BLOCK_USERS, USERS_VERSION, 0);
	size_t at = entry_begin(w);
	put_u8(w, 1);
	put_u32(w, g->gid);
	put_text(w, g->name, USER_MAX_BYTES);
	entry_end(w, at, true);
	return 0;
}

static int write_lists_end(void *ctx)
{
	list_end(ctx);
	return 0;
}

struct scap_sink scap_writer_sink(struct scap_writer *w)
{
	return (struct scap_sink){
		.ctx = w, .reset = write_reset, .machine = write_machine, .proc = write_proc, .fd = write_fd,
		.user = write_user, .group = write_group, .iface = write_iface, .lists_end = write_lists_end,
	};
}

/* ------------------------------------------------------------------ events */

int scap_write(struct scap_writer *w, const struct scap_rec *rec)
{
	bool wide = event_row(rec->code)->flags & EF_LARGE;
	uint32_t flags = rec->flags & SCAP_STATE_ONLY, before = flags ? 6 : 2, step = wide ? 4 : 2;
	uint64_t len = sizeof(struct event_hdr) + rec->nparams * step, total;

	for (uint32_t i = 0; i < rec->nparams; i++) {
		len += rec->param[i].len;
		if (rec->param[i].len > (wide ? UINT32_MAX : UINT16_MAX))
			return writer_fail(w, EMSGSIZE, "parameter %u of '%s' has %u bytes, too many for the format", i,
					   event_row(rec->code)->name, rec->param[i].len);
	}
	total = (BLOCK_FRAME + before + len + 3) & ~3ull;
	if (total > MAX_BLOCK)
		return writer_fail(w, EMSGSIZE, "an event of %llu bytes is too large", (unsigned long long)len);
	list_end(w);

	uint8_t *p = room(w, total);
	if (!p)
		return w->failed;
	uint32_t form = (flags ? EVF_FLAGS : 0) | (wide || total > SMALL_EVENT_MAX ? EVF_LARGE : 0);
	uint32_t code = block_code(BLOCK_EVENT, form), block_len = (uint32_t)total;
	memcpy(p, &code, 4);
	memcpy(p + 4, &block_len, 4);
	memset(p + total - BLOCK_TAIL - 4, 0, 4);	/* where padding may be */
	memcpy(p + total - BLOCK_TAIL, &block_len, 4);
	memcpy(p + BLOCK_HEAD, &rec->cpu, 2);
	if (flags)
		memcpy(p + BLOCK_HEAD + 2, &flags, 4);
	*(struct event_hdr *)(p += BLOCK_HEAD + before) = (struct event_hdr){
		.ts = rec->ts, .tid = (uint64_t)rec->tid, .len = (uint32_t)len, .type = rec->code, .nparams = rec->nparams,
	};
	p += sizeof(struct event_hdr);

	uint8_t *value = p + rec->nparams * step;
	for (uint32_t i = 0; i < rec->nparams; i++, p += step) {
		memcpy(p, &rec->param[i].len, step);	/* little-endian: the low bytes come first */
		if (rec->param[i].len)
			memcpy(value, rec->param[i].p, rec->param[i].len);
		value += rec->param[i].len;
	}
	w->has_event = true;
	w->last_ts = rec->ts;
	flush_if_enough(w);
	return w->failed;
}

/* ------------------------------------------------------------------ life */

struct scap_writer *scap_writer_new(uint32_t flags)
{
	struct scap_writer *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->fd = -1;
	if (flags & SCAP_GZIP && !(w->packer = malloc(sizeof *w->packer))) {
		free(w);
		return NULL;
	}
	return w;
}

/* Looks at what was opened: NULL, or why it is not to be written. */
static const char *unfit(struct scap_writer *w, int fd, int source_fd)
{
	struct stat st, source;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	w->regular = w->owns_fd && S_ISREG(st.st_mode);
	if (isatty(fd))
		return "that is a terminal, and a capture is no text";
	if (S_ISREG(st.st_mode) && source_fd >= 0 && fstat(source_fd, &source) == 0 && st.st_dev == source.st_dev &&
	    st.st_ino == source.st_ino)
		return "that is the capture being read";
	if (w->regular && ftruncate(fd, 0) < 0)
		return strerror(errno);
	return NULL;
}

int scap_writer_open(struct scap_writer *w, const char *path, int source_fd, struct err *err)
{
	const char *why;
	int fd = STDOUT_FILENO;

	w->owns_fd = strcmp(path, "-") != 0;
	if (!(w->name = scap_name(path, "standard output")))
		writer_fail(w, ENOMEM, "out of memory");
	else if (w->owns_fd && (fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, FILE_MODE)) < 0)
		writer_fail(w, errno, "cannot write: %s", strerror(errno));
	else if ((why = unfit(w, fd, source_fd)))
		writer_fail(w, EINVAL, "cannot write: %s", why);
	if (w->failed) {
		if (w->owns_fd && fd >= 0)
			close(fd);
		*err = w->err;
		return w->failed;
	}
	w->fd = fd;
	return 0;
}

uint64_t scap_writer_bytes(const struct scap_writer *w)
{
	return w->written;
}

const uint8_t *scap_writer_memory(struct scap_writer *w, size_t *len, struct err *err)
{
	bool in_section = w->in_section;

	REQUIRE(w->fd < 0 && !w->packer);
	section_end(w);
	w->in_section = in_section;
	if (w->failed) {
		*err = w->err;
		return NULL;
	}
	*len = w->len;
	return w->buf;
}

const char *scap_writer_error(const struct scap_writer *w)
{
	return w->err.text;
}

int scap_writer_close(struct scap_writer *w, struct err *err)
{
	int rc;

	if (!w)
		return 0;
	section_end(w);
	flush(w, w->len);
	if (w->owns_fd && w->fd >= 0 && close(w->fd) < 0)
		writer_fail(w, errno, "cannot write: %s", strerror(errno));
	rc = w->failed;
	if (rc < 0)
		*err = w->err;
	free(w->packer);
	free(w->buf);
	free(w->name);
	free(w);
	return rc;
}
