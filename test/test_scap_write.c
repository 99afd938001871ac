/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read back: by the reader of this project, and held against what went in. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../c/engine/dump.h"
#include "../c/engine/load.h"
#include "../c/engine/scap.h"
#include "../c/engine/scap_format.h"
#include "../c/engine/state.h"
#include "../c/engine/tables.h"

#define CAPTURE "test/data/sensitive.scap"

static char dir[] = "/tmp/falco-test-XXXXXX";
static char path[64];			/* the capture being written */
static const struct engine_limits no_limits;

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/out.scap", dir);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static off_t file_size(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* ------------------------------------------------------------------ a sink that says in words what it gets */

struct story {
	char *text;
	size_t len;
	FILE *f;
};

static void story_begin(struct story *s)
{
	s->f = open_memstream(&s->text, &s->len);
	assert_non_null(s->f);
}

static const char *story_end(struct story *s)
{
	fclose(s->f);
	return s->text;
}

static void tell_str(FILE *f, const char *name, struct str s)
{
	fprintf(f, " %s=", name);
	for (uint32_t i = 0; i < s.len; i++)
		fprintf(f, s.p[i] > ' ' && s.p[i] != '\\' ? "%c" : "\\%02x", s.p[i] & 0xff);
}

static void tell_bytes(FILE *f, const char *name, const uint8_t *p, uint32_t n)
{
	tell_str(f, name, (struct str){ (const char *)p, n });
}

#define NUMBER(f, p, member) fprintf(f, " " #member "=%" PRId64, (int64_t)(p)->member)
#define TEXT(f, p, member) tell_str(f, #member, (p)->member)

static int tell_reset(void *ctx)
{
	return fputs("section\n", ctx) < 0;
}

static int tell_machine(void *ctx, const struct machine *m)
{
	fprintf(ctx, "machine cpus=%u host=%s", m->cpus, m->hostname);
	NUMBER(ctx, m, memory);
	NUMBER(ctx, m, boot_ts);
	NUMBER(ctx, m, max_pid);
	NUMBER(ctx, m, flags);
	return fputc('\n', ctx) == EOF;
}

static int tell_proc(void *ctx, const struct scap_proc *p)
{
	fputs("proc", ctx);
	NUMBER(ctx, p, tid); NUMBER(ctx, p, pid); NUMBER(ctx, p, ptid); NUMBER(ctx, p, sid); NUMBER(ctx, p, vpgid);
	NUMBER(ctx, p, pgid); NUMBER(ctx, p, vtid); NUMBER(ctx, p, vpid); NUMBER(ctx, p, fdlimit);
	NUMBER(ctx, p, flags); NUMBER(ctx, p, uid); NUMBER(ctx, p, gid); NUMBER(ctx, p, loginuid); NUMBER(ctx, p, tty);
	NUMBER(ctx, p, vm_size); NUMBER(ctx, p, vm_rss); NUMBER(ctx, p, vm_swap); NUMBER(ctx, p, pfmajor);
	NUMBER(ctx, p, pfminor); NUMBER(ctx, p, pidns_start_ts); NUMBER(ctx, p, cap_inheritable);
	NUMBER(ctx, p, cap_permitted); NUMBER(ctx, p, cap_effective); NUMBER(ctx, p, exe_ino);
	NUMBER(ctx, p, exe_ctime); NUMBER(ctx, p, exe_mtime); NUMBER(ctx, p, exe_flags);
	TEXT(ctx, p, comm); TEXT(ctx, p, exe); TEXT(ctx, p, exepath); TEXT(ctx, p, args); TEXT(ctx, p, cwd);
	TEXT(ctx, p, env); TEXT(ctx, p, cgroups); TEXT(ctx, p, root);
	return fputc('\n', ctx) == EOF;
}

static int tell_fd(void *ctx, int64_t tid, int64_t fd, const struct fd_draft *d)
{
	fprintf(ctx, "fd tid=%" PRId64 " fd=%" PRId64, tid, fd);
	NUMBER(ctx, d, type); NUMBER(ctx, d, l4); NUMBER(ctx, d, openflags); NUMBER(ctx, d, dev); NUMBER(ctx, d, ino);
	NUMBER(ctx, d, unix_src); NUMBER(ctx, d, unix_dst); NUMBER(ctx, d, addr.sport); NUMBER(ctx, d, addr.dport);
	tell_bytes(ctx, "src", d->addr.src, 16);
	tell_bytes(ctx, "dst", d->addr.dst, 16);
	/* that of an IP socket is made up from its ends */
	if (!strchr(scap_fd_layouts[d->type], 'q'))
		TEXT(ctx, d, name);
	return fputc('\n', ctx) == EOF;
}

static int tell_user(void *ctx, const struct user *u)
{
	fprintf(ctx, "user uid=%u gid=%u", u->uid, u->gid);
	TEXT(ctx, u, name); TEXT(ctx, u, home); TEXT(ctx, u, shell);
	return fputc('\n', ctx) == EOF;
}

static int tell_group(void *ctx, const struct group *g)
{
	fprintf(ctx, "group gid=%u", g->gid);
	TEXT(ctx, g, name);
	return fputc('\n', ctx) == EOF;
}

static int tell_iface(void *ctx, const struct iface *i)
{
	fprintf(ctx, "iface v6=%d", i->v6);
	tell_bytes(ctx, "addr", i->addr, 16);
	tell_bytes(ctx, "netmask", i->netmask, 16);
	tell_bytes(ctx, "bcast", i->bcast, 16);
	TEXT(ctx, i, name);
	return fputc('\n', ctx) == EOF;
}

static struct scap_sink teller(FILE *f)
{
	return (struct scap_sink){
		.ctx = f, .reset = tell_reset, .machine = tell_machine, .proc = tell_proc, .fd = tell_fd,
		.user = tell_user, .group = tell_group, .iface = tell_iface,
	};
}

static void tell_event(FILE *f, const struct scap_rec *r)
{
	fprintf(f, "event");
	NUMBER(f, r, code); NUMBER(f, r, cpu); NUMBER(f, r, ts); NUMBER(f, r, tid); NUMBER(f, r, flags);
	for (uint32_t i = 0; i < r->nparams; i++)
		tell_bytes(f, "p", r->param[i].p, r->param[i].len);
	fputc('\n', f);
}

/* ------------------------------------------------------------------ writing and reading */

static struct scap_writer *begin(uint32_t flags)
{
	struct scap_writer *w = scap_writer_new(flags);
	struct err err = { 0 };

	assert_non_null(w);
	assert_int_equal(scap_writer_open(w, path, -1, &err), 0);
	return w;
}

static void finish(struct scap_writer *w)
{
	struct err err = { 0 };

	if (scap_writer_close(w, &err) < 0)
		fail_msg("%s", err.text);
}

/* The whole file in words; must end cleanly. Returns how many events it has. */
static uint32_t read_back(const char *file, struct story *s)
{
	struct scap_sink sink;
	struct scap_rec rec;
	struct err err = { 0 };
	struct scap *in;
	uint32_t n = 0;
	int rc;

	story_begin(s);
	sink = teller(s->f);
	if (!(in = scap_open(file, &no_limits, &sink, &err)))
		fail_msg("%s", err.text);
	for (; (rc = scap_next(in, &rec)) == 1; n++)
		tell_event(s->f, &rec);
	if (rc < 0)
		fail_msg("%s", scap_error(in));
	scap_close(in);
	story_end(s);
	return n;
}

static void write_event(struct scap_writer *w, uint64_t ts)
{
	struct scap_rec rec = { .code = EV_SYSCALL_CLOSE_X, .ts = ts, .tid = 10, .nparams = 2,
				.param = { { (const uint8_t *)"\0\0\0\0\0\0\0", 8 }, { (const uint8_t *)"\3\0\0\0\0\0\0", 8 } } };

	assert_int_equal(scap_write(w, &rec), 0);
}

/* ------------------------------------------------------------------ lists */

static struct fd_draft draft_of(uint8_t type)
{
	const char *layout = scap_fd_layouts[type];
	struct fd_draft d = { .type = type, .ino = 77 + type, .name = STR("") };

	/* only what the list of this type has room for */
	if (strpbrk(layout, "sd"))
		memcpy(d.addr.dst, "\x7f\0\0\1", 4);
	if (strchr(layout, 's'))
		memcpy(d.addr.src, "\xc0\xa8\1\2", 4);
	if (strpbrk(layout, "SD"))
		memcpy(d.addr.dst, "abcdefghijklmnop", 16);
	if (strchr(layout, 'S'))
		memcpy(d.addr.src, "0123456789abcdef", 16);
	if (strchr(layout, 'p'))
		d.addr.sport = 40000;
	if (strchr(layout, 'q')) {
		d.addr.dport = 443;
		d.l4 = L4_TCP;
	}
	if (strchr(layout, 'u')) {
		d.unix_src = 0xffff888000000001;
		d.unix_dst = 0xffff888000000002;
	}
	if (strchr(layout, 'o')) {
		d.openflags = 0x1001;
		d.dev = 0x801;
	}
	if (strchr(layout, 'n'))
		d.name = STR("/some/name");
	return d;
}

static void give_lists(const struct scap_sink *s)
{
	struct machine m = { .cpus = 4, .memory = 1ull << 34, .boot_ts = 12345, .max_pid = 4194304, .flags = 1,
			     .hostname = "box" };
	struct iface lo = { .addr = { 127, 0, 0, 1 }, .netmask = { 255 }, .name = STR("lo") };
	struct iface eth = { .v6 = true, .addr = "0123456789abcdef", .bcast = { [15] = 9 }, .name = STR("eth0") };
	struct user root = { 0, 0, STR("root"), STR("/root"), STR("/bin/sh") }, none = { 7, 8, STR(""), STR(""), STR("") };
	struct group wheel = { 10, STR("wheel") };
	struct scap_proc empty = {
		.tid = -1, .pid = -1, .comm = STR(""), .exe = STR(""), .exepath = STR(""), .args = STR(""), .cwd = STR(""),
		.env = STR(""), .cgroups = STR(""), .root = STR(""),
	};
	struct scap_proc full = {
		.tid = 10, .pid = 9, .ptid = 8, .sid = 7, .vpgid = 6, .pgid = 5, .vtid = 4, .vpid = 3,
		.comm = STR("comm"), .exe = STR("exe"), .exepath = STR("/bin/exe"), .args = STR("a\0b\0"),
		.cwd = STR("/home/"), .env = STR("A=1\0B=2\0"), .cgroups = STR("cpu=/\0memory=/x\0"), .root = STR("/"),
		.fdlimit = 1024, .flags = 0x40000000, .uid = 1, .gid = 2, .loginuid = 3, .tty = 34816, .vm_size = 100,
		.vm_rss = 90, .vm_swap = 80, .pfmajor = 70, .pfminor = 60, .pidns_start_ts = 50, .cap_inheritable = 1,
		.cap_permitted = 3, .cap_effective = 7, .exe_ino = 40, .exe_ctime = 30, .exe_mtime = 20,
		.exe_flags = EXE_WRITABLE | EXE_FROM_MEMFD | EXE_LOWER_LAYER,
	};

	s->reset(s->ctx);
	s->machine(s->ctx, &m);
	s->iface(s->ctx, &lo);
	s->iface(s->ctx, &eth);
	s->user(s->ctx, &root);
	s->group(s->ctx, &wheel);
	s->user(s->ctx, &none);
	s->proc(s->ctx, &full);
	s->proc(s->ctx, &empty);
	for (uint8_t type = 0; type < FD_TYPE_COUNT; type++) {
		struct fd_draft d = draft_of(type);
		s->fd(s->ctx, type < 9 ? 10 : 11, 100 + type, &d);
	}
	if (s->lists_end)
		s->lists_end(s->ctx);
}

static void lists_are_read_back(void **state)
{
	for (uint32_t flags = 0; flags <= SCAP_GZIP; flags++) {
		struct scap_writer *w = begin(flags);
		struct scap_sink sink = scap_writer_sink(w);
		struct story given, read;

		give_lists(&sink);
		write_event(w, 1);
		finish(w);
		assert_int_equal(read_back(path, &read), 1);

		story_begin(&given);
		sink = teller(given.f);
		give_lists(&sink);
		story_end(&given);
		/* what was read goes on with the event */
		assert_true(read.len > given.len);
		read.text[given.len] = 0;
		assert_string_equal(read.text, given.text);
		free(given.text);
		free(read.text);
	}
}

static void texts_are_cut_to_what_readers_take(void **state)
{
	static char big[10000];
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	memset(big, 'x', sizeof big);
	struct str s = { big, sizeof big };
	struct scap_proc p = { .tid = 1, .pid = 1, .comm = s, .exe = s, .exepath = s, .args = s, .cwd = s, .env = s,
			       .cgroups = s, .root = s };
	struct fd_draft d = { .type = FD_FILE, .name = s };
	struct user u = { .name = s, .home = s, .shell = s };
	struct iface i = { .name = s };
	struct story read;

	sink.reset(sink.ctx);
	sink.iface(sink.ctx, &i);
	sink.user(sink.ctx, &u);
	sink.proc(sink.ctx, &p);
	sink.fd(sink.ctx, 1, 3, &d);
	write_event(w, 1);
	finish(w);
	assert_int_equal(read_back(path, &read), 1);
	assert_true(read.len > 5 * 1024 + 3 * 4096);
	free(read.text);
}

/* Lists of more than one block. */
static void long_lists_are_split(void **state)
{
	enum { PROCS = 2000, FDS = 20000 };
	static char env[4000], name[1000];
	struct scap_writer *w = begin(SCAP_GZIP);
	struct scap_sink sink = scap_writer_sink(w);
	struct scap_proc p = { .comm = STR("c"), .args = { env, sizeof env }, .env = { env, sizeof env } };
	struct fd_draft d = { .type = FD_FILE, .name = { name, sizeof name } };
	struct story read;
	uint32_t procs = 0, fds = 0;

	memset(env, 'e', sizeof env);
	memset(name, 'n', sizeof name);
	sink.reset(sink.ctx);
	for (p.tid = 1; p.tid <= PROCS; p.tid++)
		sink.proc(sink.ctx, &p);
	for (int64_t fd = 0; fd < FDS; fd++)
		sink.fd(sink.ctx, 5, fd, &d);
	write_event(w, 1);
	finish(w);

	struct engine_limits tight = { .max_block = 17 << 20 };
	struct err err = { 0 };
	struct scap_sink none = { 0 };
	struct scap *in = scap_open(path, &tight, &none, &err);
	if (!in)
		fail_msg("%s", err.text);
	scap_close(in);

	read_back(path, &read);
	for (char *at = read.text; (at = strstr(at, "\nproc tid=")); at++)
		procs++;
	for (char *at = read.text; (at = strstr(at, "\nfd tid=5 ")); at++)
		fds++;
	assert_int_equal(procs, PROCS);
	assert_int_equal(fds, FDS);
	free(read.text);
}

/* sysdig 0.29 refuses a capture with a type above 16 in its lists. */
static void types_that_old_readers_do_not_know_are_hidden_from_them(void **state)
{
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	struct fd_draft d = draft_of(FD_PIDFD);
	uint8_t bytes[256];
	FILE *f;

	sink.reset(sink.ctx);
	sink.fd(sink.ctx, 1, 3, &d);
	write_event(w, 1);
	finish(w);
	assert_non_null(f = fopen(path, "rb"));
	assert_true(fread(bytes, 1, sizeof bytes, f) > 80);
	fclose(f);
	/* section header 28; block head 8, tid 8, length 4, fd 8, ino 8 */
	assert_int_equal(bytes[28 + 8 + 8 + 4 + 8 + 8], FD_UNSUPPORTED);
}

/* ------------------------------------------------------------------ events */

static void events_are_read_back(void **state)
{
	static uint8_t big[70000];
	const struct scap_param number = { (const uint8_t *)"\1\0\0\0\0\0\0", 8 };
	const struct scap_param text = { (const uint8_t *)"text", 5 };
	struct scap_rec recs[] = {
		{ .code = EV_SYSCALL_CLOSE_X, .ts = 5, .tid = 77, .cpu = 3, .nparams = 2, .param = { number, number } },
		{ .code = EV_SYSCALL_CLOSE_X, .ts = 6, .tid = 77, .flags = SCAP_STATE_ONLY, .nparams = 2,
		  .param = { number, { 0 } } },
		/* codes of long parameters, long or not */
		{ .code = EV_ASYNCEVENT_E, .ts = 7, .tid = -1, .nparams = 3, .param = { { 0 }, text, text } },
		{ .code = EV_ASYNCEVENT_E, .ts = 8, .tid = -1, .nparams = 3, .param = { { 0 }, text, { big, sizeof big } } },
		{ .code = EV_ASYNCEVENT_E, .ts = 8, .tid = -1, .flags = SCAP_STATE_ONLY, .nparams = 3,
		  .param = { { 0 }, text, { big, sizeof big } } },
		/* together longer than small blocks may be */
		{ .code = EV_SYSCALL_WRITE_X, .ts = 9, .tid = 1, .nparams = 4,
		  .param = { number, { big, 65535 }, number, { 0 } } },
		{ .code = EV_PROCEXIT_1_E, .ts = 10, .tid = 1, .nparams = 0 },
	};
	enum { N = sizeof recs / sizeof recs[0] };

	memset(big, 'b', sizeof big);
	for (uint32_t flags = 0; flags <= SCAP_GZIP; flags++) {
		struct scap_writer *w = begin(flags);
		struct scap_sink sink = scap_writer_sink(w);
		struct story given, read;

		sink.reset(sink.ctx);
		story_begin(&given);
		tell_reset(given.f);
		for (uint32_t i = 0; i < N; i++) {
			assert_int_equal(scap_write(w, &recs[i]), 0);
			tell_event(given.f, &recs[i]);
		}
		story_end(&given);
		finish(w);
		assert_int_equal(read_back(path, &read), N);
		assert_string_equal(read.text, given.text);
		free(given.text);
		free(read.text);
	}
}

/* Whatever was in the buffer before. */
static void padding_is_zero(void **state)
{
	static uint8_t ones[4] = { 255, 255, 255, 255 };
	static uint8_t bytes[4 << 20];
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	struct scap_rec rec = { .code = EV_SYSCALL_WRITE_X, .nparams = 1 };
	uint32_t len, event_len;
	FILE *f;

	sink.reset(sink.ctx);
	for (uint32_t i = 0; i < 40000; i++) {
		rec.param[0] = (struct scap_param){ ones, i % 4 + 1 };
		scap_write(w, &rec);
	}
	finish(w);
	assert_non_null(f = fopen(path, "rb"));
	size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	assert_true(n > 3 << 19);	/* the buffer was used again */
	for (size_t at = 28; at < n; at += len) {
		memcpy(&len, bytes + at + 4, 4);
		memcpy(&event_len, bytes + at + 8 + 2 + 16, 4);
		for (size_t pad = at + 8 + 2 + event_len; pad < at + len - 4; pad++)
			assert_int_equal(bytes[pad], 0);
	}
}

static void a_parameter_too_long_for_the_format_is_refused(void **state)
{
	static uint8_t big[65536];
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	struct scap_rec rec = { .code = EV_SYSCALL_WRITE_X, .nparams = 2, .param = { { 0 }, { big, sizeof big } } };
	struct err err = { 0 };

	sink.reset(sink.ctx);
	assert_int_equal(scap_write(w, &rec), -EMSGSIZE);
	assert_non_null(strstr(scap_writer_error(w), "parameter 1 of 'write' has 65536 bytes"));
	assert_int_equal(scap_writer_close(w, &err), -EMSGSIZE);
}

/* A real capture: everything of it, read and written, is the same when read again. */
static void a_capture_is_copied(void **state)
{
	struct story original, copy;
	struct scap_writer *w = begin(SCAP_GZIP);
	struct scap_sink sink = scap_writer_sink(w);
	struct err err = { 0 };
	struct scap *in = scap_open(CAPTURE, &no_limits, &sink, &err);
	struct scap_rec rec;
	uint32_t n;

	if (!in)
		fail_msg("%s", err.text);
	while (scap_next(in, &rec) == 1)
		assert_int_equal(scap_write(w, &rec), 0);
	scap_close(in);
	finish(w);
	n = read_back(CAPTURE, &original);
	assert_true(n > 1000);
	assert_int_equal(read_back(path, &copy), n);
	assert_int_equal(original.len, copy.len);
	assert_memory_equal(original.text, copy.text, copy.len);
	free(original.text);
	free(copy.text);
}

/* ------------------------------------------------------------------ sections */

/* Readers refuse a section without events. */
static void an_empty_section_is_still_a_section(void **state)
{
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	struct story read;

	sink.reset(sink.ctx);
	sink.reset(sink.ctx);
	write_event(w, 1);
	sink.reset(sink.ctx);
	finish(w);
	assert_int_equal(read_back(path, &read), 3);
	assert_non_null(strstr(read.text, "section\nevent code=280"));
	assert_non_null(strstr(read.text, "flags=1"));
	free(read.text);
}

/* ------------------------------------------------------------------ the file */

static void what_came_before_the_file_was_opened_is_in_it(void **state)
{
	struct scap_writer *w = scap_writer_new(SCAP_GZIP);
	struct scap_sink sink = scap_writer_sink(w);
	struct story read;
	struct err err = { 0 };

	sink.reset(sink.ctx);
	write_event(w, 1);
	assert_int_equal(scap_writer_open(w, path, -1, &err), 0);
	write_event(w, 2);
	finish(w);
	assert_int_equal(read_back(path, &read), 2);
	free(read.text);
}

/* `where` cannot be written: the message says so. */
static void check_refused(const char *where, int source_fd, const char *why)
{
	struct scap_writer *w = scap_writer_new(0);
	struct err err = { 0 }, later = { 0 };

	assert_true(scap_writer_open(w, where, source_fd, &err) < 0);
	assert_non_null(strstr(err.text, where));
	assert_non_null(strstr(err.text, why));
	assert_true(scap_writer_close(w, &later) < 0);
	assert_string_equal(later.text, err.text);
}

static void files_that_cannot_be_opened(void **state)
{
	check_refused(dir, -1, "Is a directory");
	check_refused("/nonexistent/x.scap", -1, "No such file");
}

static void the_source_is_not_written_over(void **state)
{
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	off_t before;
	int fd;

	sink.reset(sink.ctx);
	write_event(w, 1);
	finish(w);
	before = file_size();
	fd = open(path, O_RDONLY);
	check_refused(path, fd, "being read");
	close(fd);
	assert_int_equal(file_size(), before);
}

static void an_existing_file_is_emptied(void **state)
{
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	struct story read;

	sink.reset(sink.ctx);
	for (int i = 0; i < 1000; i++)
		write_event(w, 1);
	finish(w);
	w = begin(0);
	sink = scap_writer_sink(w);
	sink.reset(sink.ctx);
	write_event(w, 1);
	finish(w);
	assert_int_equal(read_back(path, &read), 1);
	free(read.text);
}

static void only_the_owner_reads_it(void **state)
{
	struct stat st;

	unlink(path);
	struct scap_writer *w = begin(0);
	struct scap_sink sink = scap_writer_sink(w);
	sink.reset(sink.ctx);
	finish(w);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_full_disk_is_reported(void **state)
{
	for (uint32_t flags = 0; flags <= SCAP_GZIP; flags++) {
		struct scap_writer *w = scap_writer_new(flags);
		struct scap_sink sink = scap_writer_sink(w);
		struct err err = { 0 };

		assert_int_equal(scap_writer_open(w, "/dev/full", -1, &err), 0);
		sink.reset(sink.ctx);
		write_event(w, 1);
		assert_int_equal(scap_writer_close(w, &err), -ENOSPC);
		assert_string_equal(err.text, "capture '/dev/full': cannot write: No space left on device");
	}
}

/* The file may not grow past 1.5 MB: what is there then is whole blocks. */
static void a_file_that_broke_off_can_be_read(void **state)
{
	struct rlimit before, tight;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 3 << 19;
	for (uint32_t flags = 0; flags <= SCAP_GZIP; flags++) {
		struct scap_writer *w = begin(flags);
		struct scap_sink sink = scap_writer_sink(w);
		struct scap_rec rec = { .code = EV_SYSCALL_WRITE_X, .nparams = 2 };
		struct story read;
		struct err err = { 0 };
		static uint8_t noise[40000];
		int rc = 0;

		for (uint32_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)(hash_u64(i) >> 11);	/* does not pack */
		rec.param[1] = (struct scap_param){ noise, sizeof noise };
		sink.reset(sink.ctx);
		setrlimit(RLIMIT_FSIZE, &tight);
		for (int i = 0; i < 100 && rc == 0; i++, noise[0]++)
			rc = scap_write(w, &rec);
		assert_int_equal(rc, -EFBIG);
		assert_int_equal(scap_write(w, &rec), -EFBIG);	/* for good */
		assert_int_equal(scap_writer_close(w, &err), -EFBIG);
		setrlimit(RLIMIT_FSIZE, &before);
		assert_true(read_back(path, &read) > 10);
		free(read.text);
	}
}

/* ------------------------------------------------------------------ listing a state */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in order of their text: tables have none. */
static void sort_lines(struct story *s)
{
	static char *lines[100000];
	uint32_t n = 0;
	char *copy = strdup(s->text), *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		lines[n++] = line;
	qsort(lines, n, sizeof *lines, by_text);
	s->len = 0;
	for (uint32_t i = 0; i < n; i++)
		s->len += (size_t)sprintf(s->text + s->len, "%s\n", lines[i]);
	free(copy);
}

static void list_state(const struct state *st, struct story *s)
{
	story_begin(s);
	struct scap_sink sink = teller(s->f);
	assert_int_equal(dump_state(st, &sink), 0);
	story_end(s);
	sort_lines(s);
}

static void load(struct state *st, const char *file)
{
	struct scap_sink sink = load_sink(st);
	struct err err = { 0 };
	struct scap *in = scap_open(file, &no_limits, &sink, &err);

	if (!in)
		fail_msg("%s", err.text);
	scap_close(in);
}

static void write_state(const struct state *st)
{
	struct scap_writer *w = begin(SCAP_GZIP);
	struct scap_sink sink = scap_writer_sink(w);

	assert_int_equal(dump_state(st, &sink), 0);
	write_event(w, 1);
	finish(w);
}

static void a_listed_state_is_loaded_again(void **state)
{
	struct state first, second;
	struct story one, two;

	assert_int_equal(state_init(&first, &no_limits), 0);
	assert_int_equal(state_init(&second, &no_limits), 0);
	load(&first, CAPTURE);
	list_state(&first, &one);
	assert_true(one.len > 10000);
	write_state(&first);
	load(&second, path);
	list_state(&second, &two);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.text, two.text, one.len);
	assert_int_equal(threads_count(first.threads), threads_count(second.threads));
	free(one.text);
	free(two.text);
	state_free(&first);
	state_free(&second);
}

static struct thread *add_thread(struct state *st, int64_t tid, int64_t pid)
{
	struct thread *t = thread_new(st->threads, tid);

	t->pid = t->vpid = pid;
	t->vtid = tid;
	t->ptid = 0;
	if (tid != pid)
		t->flags = THREAD_CLONE_THREAD | THREAD_CLONE_FILES;
	assert_true(thread_insert(st->threads, t, true));
	return t;
}

static void a_dead_leader_is_listed_with_its_live_threads(void **state)
{
	struct state st, again;

	assert_int_equal(state_init(&st, &no_limits), 0);
	assert_int_equal(state_init(&again, &no_limits), 0);
	thread_kill(add_thread(&st, 10, 10));
	add_thread(&st, 11, 10);
	thread_get(st.threads, 99);		/* known by number alone: not listed */
	write_state(&st);
	load(&again, path);
	struct thread *leader = thread_find(again.threads, 10);
	assert_non_null(leader);
	assert_int_equal(thread_group_alive(leader), 1);
	assert_null(thread_find(again.threads, 99));
	thread_remove(again.threads, 11);
	assert_null(thread_find(again.threads, 10));	/* the last one took it along */
	state_free(&st);
	state_free(&again);
}

/* Images keep "a" and an empty one as "a\0". */
static void arguments_are_listed_with_their_last_nul(void **state)
{
	struct image_parts parts = { .args = { "a\0", 2 }, .env = STR("E=1"), .cgroups = STR("") };
	struct state st;
	struct story told;

	assert_int_equal(state_init(&st, &no_limits), 0);
	struct thread *t = add_thread(&st, 10, 10);
	thread_set_image(st.threads, t, image_new(st.threads, &parts));
	list_state(&st, &told);
	assert_non_null(strstr(told.text, " args=a\\00\\00 "));
	assert_non_null(strstr(told.text, " env=E=1\\00 "));
	assert_non_null(strstr(told.text, " cgroups= "));
	free(told.text);
	state_free(&st);
}

static void a_server_is_found_again(void **state)
{
	struct state st, again;
	struct fd_draft listener = { .type = FD_IPV4_LISTEN, .l4 = L4_TCP, .bits = FD_SERVER };
	struct fd_draft served = { .type = FD_IPV4, .l4 = L4_TCP, .bits = FD_SERVER };

	assert_int_equal(state_init(&st, &no_limits), 0);
	assert_int_equal(state_init(&again, &no_limits), 0);
	listener.addr.dport = served.addr.dport = 80;
	served.addr.sport = 40000;
	memcpy(served.addr.src, "\12\0\0\1", 4);
	memcpy(served.addr.dst, "\12\0\0\2", 4);
	struct thread *t = add_thread(&st, 10, 10);
	fd_publish(st.fds, &t->fds, 3, &listener);
	fd_publish(st.fds, &t->fds, 4, &served);
	write_state(&st);
	load(&again, path);
	struct fd_rec *r = fdtable_get(thread_find(again.threads, 10)->fds, 4);
	assert_non_null(r);
	assert_true(r->d.bits & FD_SERVER);
	assert_str(r->d.name, "10.0.0.1:40000->10.0.0.2:80");
	state_free(&st);
	state_free(&again);
}

/* ------------------------------------------------------------------ what is recorded */

static void write_call(struct scap_writer *w, uint16_t code, int64_t tid, int64_t res, uint64_t ts)
{
	struct scap_rec rec = { .code = code, .ts = ts, .tid = tid, .nparams = event_row(code)->nparams };
	int64_t fd = 3;

	rec.param[0] = (struct scap_param){ (const uint8_t *)&res, 8 };
	rec.param[code == EV_SYSCALL_WRITE_X ? 2 : 1] = (struct scap_param){ (const uint8_t *)&fd, 8 };
	assert_int_equal(scap_write(w, &rec), 0);
}

static void write_user_added(struct scap_writer *w, uint64_t ts)
{
	struct scap_rec rec = { .code = EV_USER_ADDED_E, .ts = ts, .tid = -1,
				.nparams = event_row(EV_USER_ADDED_E)->nparams };

	for (uint32_t i = 0; i < rec.nparams; i++)
		rec.param[i] = i < 2 ? (struct scap_param){ (const uint8_t *)"\1\0\0", 4 }
				     : (struct scap_param){ (const uint8_t *)"u", 2 };
	assert_int_equal(scap_write(w, &rec), 0);
}

static void make_source(const char *source)
{
	struct scap_writer *w = scap_writer_new(0);
	struct scap_sink sink = scap_writer_sink(w);
	struct scap_proc p = { .tid = 10, .pid = 10, .comm = STR("c") };
	struct err err = { 0 };

	assert_int_equal(scap_writer_open(w, source, -1, &err), 0);
	for (uint64_t at = 1000; at <= 2000; at += 1000) {	/* two sections */
		sink.reset(sink.ctx);
		sink.proc(sink.ctx, &p);
		write_user_added(w, at + 1);
		write_call(w, EV_SYSCALL_CLOSE_X, 10, -9, at + 2);	/* ends the head; else of no effect */
		write_user_added(w, at + 3);
		write_call(w, EV_SYSCALL_CLOSE_X, 10, -9, at + 4);
		write_call(w, EV_SYSCALL_WRITE_X, 99, 1, at + 5);	/* of a thread that nobody knew */
		write_call(w, EV_SYSCALL_WRITE_X, 99, 1, at + 6);
		write_call(w, EV_SYSCALL_WRITE_X, 10, 1, at + 7);	/* chosen */
	}
	finish(w);
}

/* Records what `source` has, choosing writes of thread 10. */
static void record(const char *source, uint32_t flags)
{
	struct err err = { 0 };
	struct engine *eng = engine_new(&no_limits, &err);
	struct ruleset *rules = ruleset_new();
	uint64_t chosen, others;
	int rc;

	engine_record(eng, path, flags);
	if (engine_open_replay(eng, source, &err) < 0)
		fail_msg("%s", err.text);
	ruleset_want(rules, EV_SYSCALL_WRITE_X, -1);
	engine_use(eng, rules);
	while ((rc = engine_next(eng)) == NEXT_EVENT)
		if (evt_head(engine_evt(eng))->tid == 10)
			engine_choose(eng);
	assert_int_equal(rc, NEXT_END);
	engine_recorded(eng, &chosen, &others);
	assert_int_equal(chosen, flags & RECORD_ALL ? 14 : 2);
	assert_int_equal(others, flags ? 0 : 8);
	assert_int_equal(engine_record_end(eng, &err), 0);
	engine_use(eng, NULL);
	engine_free(eng);
	ruleset_free(rules);
}

/* Which events a capture has: the last digit of their times, and a stop behind those for state only. A stroke begins
 * a section. */
static const char *outline(void)
{
	static char text[100];
	struct story read;
	uint32_t n = 0;

	read_back(path, &read);
	for (char *line = strtok(read.text, "\n"); line; line = strtok(NULL, "\n")) {
		const char *ts = strstr(line, " ts=");

		if (strcmp(line, "section") == 0) {
			text[n++] = '|';
		} else if (ts) {
			text[n++] = ts[7];
			if (strtoul(strstr(line, " flags=") + 7, NULL, 10) & SCAP_STATE_ONLY)
				text[n++] = '.';
		}
	}
	text[n] = 0;
	free(read.text);
	return text;
}

static void what_matters_is_recorded(void **state)
{
	char source[80];

	snprintf(source, sizeof source, "%s/source.scap", dir);
	make_source(source);
	record(source, 0);
	assert_string_equal(outline(), "|1.2.3.5.7|1.2.3.5.7");
	record(source, RECORD_ONLY);
	assert_string_equal(outline(), "|7|7");
	record(source, RECORD_ALL);
	assert_string_equal(outline(), "|1234567|1234567");
	unlink(source);
}

/* The lists are there before the first event, and say what that event found. */
static void only_what_was_chosen_comes_with_lists(void **state)
{
	char source[80];
	struct story read;

	snprintf(source, sizeof source, "%s/source.scap", dir);
	make_source(source);
	record(source, RECORD_ONLY | RECORD_PLAIN);
	read_back(path, &read);
	char *proc = strstr(read.text, "\nproc tid=10 "), *user = strstr(read.text, "\nuser uid=1 ");
	char *event = strstr(read.text, "\nevent ");
	assert_true(proc && event && proc < event);
	assert_null(user);			/* those of events are a container's */
	assert_null(strstr(read.text, "tid=99"));
	free(read.text);
	unlink(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_read_back),
		cmocka_unit_test(texts_are_cut_to_what_readers_take),
		cmocka_unit_test(long_lists_are_split),
		cmocka_unit_test(types_that_old_readers_do_not_know_are_hidden_from_them),
		cmocka_unit_test(events_are_read_back),
		cmocka_unit_test(padding_is_zero),
		cmocka_unit_test(a_parameter_too_long_for_the_format_is_refused),
		cmocka_unit_test(a_capture_is_copied),
		cmocka_unit_test(an_empty_section_is_still_a_section),
		cmocka_unit_test(what_came_before_the_file_was_opened_is_in_it),
		cmocka_unit_test(files_that_cannot_be_opened),
		cmocka_unit_test(the_source_is_not_written_over),
		cmocka_unit_test(an_existing_file_is_emptied),
		cmocka_unit_test(only_the_owner_reads_it),
		cmocka_unit_test(a_full_disk_is_reported),
		cmocka_unit_test(a_file_that_broke_off_can_be_read),
		cmocka_unit_test(a_listed_state_is_loaded_again),
		cmocka_unit_test(a_dead_leader_is_listed_with_its_live_threads),
		cmocka_unit_test(arguments_are_listed_with_their_last_nul),
		cmocka_unit_test(what_matters_is_recorded),
		cmocka_unit_test(only_what_was_chosen_comes_with_lists),
		cmocka_unit_test(a_server_is_found_again),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
