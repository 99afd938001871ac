/* SPDX-License-Identifier: Apache-2.0 */
/* Captures are composed here byte by byte, from the format's description, and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isa-l/igzip_lib.h>
#include <signal.h>
#include "../c/array.h"
#include "../c/engine/proc.h"
#include "../c/engine/scap.h"
#include "../c/engine/state.h"
#include "../c/engine/tables.h"

/* ------------------------------------------------------------------ composing */

struct bytes {
	uint8_t *p;
	uint32_t n, cap;
};

static void put(struct bytes *b, const void *p, uint32_t n)
{
	while (b->cap - b->n < n)
		assert_true(array_room(&b->p, b->cap, &b->cap, 1));
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put8(struct bytes *b, uint8_t v) { put(b, &v, 1); }
static void put16(struct bytes *b, uint16_t v) { put(b, &v, 2); }
static void put32(struct bytes *b, uint32_t v) { put(b, &v, 4); }
static void put64(struct bytes *b, uint64_t v) { put(b, &v, 8); }

/* Counted text. */
static void puts16(struct bytes *b, const char *z)
{
	put16(b, (uint16_t)strlen(z));
	put(b, z, (uint32_t)strlen(z));
}

static void bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){ 0 };
}

/* Wraps a body into a block; takes the body. */
static void put_block(struct bytes *b, uint32_t type, struct bytes *body)
{
	uint32_t padded = (body->n + 3) & ~3u, len = padded + 12;

	put32(b, type);
	put32(b, len);
	put(b, body->p, body->n);
	put(b, "\0\0\0", padded - body->n);
	put32(b, len);
	bytes_free(body);
}

static void put_section(struct bytes *b, const char *option)
{
	struct bytes body = { 0 };

	put32(&body, 0x1a2b3c4d);
	put16(&body, 1);
	put16(&body, 2);
	put64(&body, UINT64_MAX);
	put(&body, option, (uint32_t)strlen(option));
	put_block(b, 0x0a0d0d0a, &body);
}

static void put_machine(struct bytes *b)
{
	static const char host[128] = "box";
	struct bytes body = { 0 };

	put32(&body, 4);
	put64(&body, 1 << 30);
	put64(&body, 32768);
	put(&body, host, sizeof host);
	put64(&body, 77);
	put64(&body, 0);
	put64(&body, 0);
	put64(&body, 0);
	put_block(b, 0x201, &body);
}

/* One parameter of an event: width bytes of `number`, or a text with its NUL (width 0), or nothing. */
struct arg {
	uint32_t width;
	uint64_t number;
	const char *text;
};

#define V8(x) { 1, x, NULL }
#define V16(x) { 2, x, NULL }
#define V32(x) { 4, x, NULL }
#define V64(x) { 8, (uint64_t)(x), NULL }
#define VS(z) { 0, 0, z }
#define VNONE { 0, 0, NULL }

enum { EVENT_1 = 0x204, EVENT_1_FLAGS = 0x208, EVENT_2 = 0x216, EVENT_2_FLAGS = 0x217, EVENT_2_LARGE = 0x221,
	EVENT_2_LARGE_FLAGS = 0x222 };

static uint64_t clock_ns = 1000;

static void put_event(struct bytes *b, uint32_t block, uint64_t tid, uint16_t code, const struct arg *v, uint32_t n)
{
	bool v1 = block == EVENT_1 || block == EVENT_1_FLAGS, wide = block >= EVENT_2_LARGE;
	struct bytes body = { 0 }, values = { 0 };

	put16(&body, 3);				/* cpu */
	if (block == EVENT_1_FLAGS || block == EVENT_2_FLAGS || block == EVENT_2_LARGE_FLAGS)
		put32(&body, 1);
	put64(&body, clock_ns += 10);
	put64(&body, tid);
	uint32_t len_at = body.n;
	put32(&body, 0);
	put16(&body, code);
	if (!v1)
		put32(&body, n);
	uint32_t len = (v1 ? 22 : 26) + n * (wide ? 4 : 2);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = v[i].text ? (uint32_t)strlen(v[i].text) + 1 : v[i].width;
		if (wide)
			put32(&body, size);
		else
			put16(&body, (uint16_t)size);
		put(&values, v[i].text ? (const void *)v[i].text : &v[i].number, size);
	}
	put(&body, values.p, values.n);
	len += values.n;
	memcpy(body.p + len_at, &len, 4);
	bytes_free(&values);
	put_block(b, block, &body);
}

#define EVENT(b, block, tid, code, ...) do { \
	const struct arg v_[] = { __VA_ARGS__ }; \
	put_event(b, block, tid, code, v_, sizeof v_ / sizeof v_[0]); } while (0)

/* A close of descriptor 3, as drivers write it today. */
static void put_close(struct bytes *b, uint64_t tid)
{
	EVENT(b, EVENT_2, tid, EV_SYSCALL_CLOSE_X, V64(0), V64(3));
}

static struct bytes gzipped(struct bytes plain)
{
	struct isal_zstream z;
	struct bytes out = { malloc(plain.n + 4096), 0, plain.n + 4096 };

	isal_deflate_init(&z);
	z.gzip_flag = IGZIP_GZIP;
	z.end_of_stream = 1;
	z.next_in = plain.p;
	z.avail_in = plain.n;
	z.next_out = out.p;
	z.avail_out = out.cap;
	assert_int_equal(isal_deflate(&z), COMP_OK);
	out.n = out.cap - z.avail_out;
	return out;
}

/* ------------------------------------------------------------------ reading back */

struct seen {
	char log[16384];		/* one line per list entry */
	uint32_t n, resets, ends;
	bool no_memory;			/* the sink refuses processes */
};

__attribute__((format(printf, 2, 3)))
static void note(struct seen *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s->n += (uint32_t)vsnprintf(s->log + s->n, sizeof s->log - s->n, fmt, ap);
	va_end(ap);
	assert_true(s->n < sizeof s->log);
}

#define S(x) (int)(x).len, (x).p

static int on_reset(void *c) { struct seen *s = c; s->resets++; return 0; }
static int on_end(void *c) { struct seen *s = c; s->ends++; return 0; }
static int on_users(void *c) { note(c, "users\n"); return 0; }
static int on_ifaces(void *c) { note(c, "ifaces\n"); return 0; }

static int on_machine(void *c, const struct machine *m)
{
	note(c, "machine %u %lu %lu %s\n", m->cpus, m->memory, m->boot_ts, m->hostname);
	return 0;
}

static int on_proc(void *c, const struct scap_proc *p)
{
	struct seen *s = c;

	if (s->no_memory)
		return -ENOMEM;
	note(c, "proc %ld %ld %ld sid %ld vpgid %ld", p->tid, p->pid, p->ptid, p->sid, p->vpgid);
	note(c, " %.*s %.*s [%.*s] %u args %.*s %lu %x %u %u", S(p->comm), S(p->exe), S(p->exepath), p->args.len,
	     S(p->cwd), p->fdlimit, p->flags, p->uid, p->gid);
	note(c, " vm %u %u %u %lu %lu env %u", p->vm_size, p->vm_rss, p->vm_swap, p->pfmajor, p->pfminor, p->env.len);
	note(c, " v %ld %ld cg %u root %.*s", p->vtid, p->vpid, p->cgroups.len, S(p->root));
	note(c, " more %lu %u %u %lu %lu %lu", p->pidns_start_ts, p->tty, p->loginuid, p->cap_inheritable,
	     p->cap_permitted, p->cap_effective);
	note(c, " %lu %lu %lu %x %ld\n", p->exe_ino, p->exe_ctime, p->exe_mtime, p->exe_flags, p->pgid);
	return 0;
}

static int on_fd(void *c, int64_t tid, int64_t fd, const struct fd_draft *d)
{
	note(c, "fd %ld %ld type %u ino %lu %u:%u %u:%u l4 %u", tid, fd, d->type, d->ino, d->addr.src[0],
	     d->addr.sport, d->addr.dst[0], d->addr.dport, d->l4);
	note(c, " unix %lx %lx o %x dev %x '%.*s'\n", d->unix_src, d->unix_dst, d->openflags, d->dev, S(d->name));
	return 0;
}

static int on_user(void *c, const struct user *u)
{
	assert_int_equal(u->name.p[u->name.len] | u->home.p[u->home.len] | u->shell.p[u->shell.len], 0);
	note(c, "user %u %u %s %s %s\n", u->uid, u->gid, u->name.p, u->home.p, u->shell.p);
	return 0;
}

static int on_group(void *c, const struct group *g)
{
	note(c, "group %u %s\n", g->gid, g->name.p);
	return 0;
}

static int on_iface(void *c, const struct iface *i)
{
	note(c, "iface v%d %u/%u/%u %.*s\n", i->v6 ? 6 : 4, i->addr[0], i->netmask[0], i->bcast[0], S(i->name));
	return 0;
}

static struct scap_sink sink_of(struct seen *s)
{
	return (struct scap_sink){ s, on_reset, on_machine, on_proc, on_fd, on_users, on_user, on_group, on_ifaces,
		on_iface, on_end };
}

/* Reads all; returns the number of events, the last one in rec; *text the error or "". */
static long read_all(struct scap *s, struct scap_rec *rec, char text[512])
{
	long n = 0;
	int rc;

	while ((rc = scap_next(s, rec)) == 1)
		n++;
	snprintf(text, 512, "%s", rc < 0 ? scap_error(s) : "");
	assert_int_equal(scap_next(s, rec), rc);	/* stays ended */
	return n;
}

static long read_memory(struct bytes b, struct seen *seen, char text[512])
{
	struct scap_sink sink = sink_of(seen);
	struct scap_rec rec;
	struct err err;
	struct scap *s;
	long n = -1;

	*seen = (struct seen){ .no_memory = seen->no_memory };
	if (!(s = scap_open_memory(b.p, b.n, NULL, &sink, &err))) {
		strcpy(text, err.text);
	} else {
		n = read_all(s, &rec, text);
		scap_close(s);
	}
	return n;
}

static long read_path(const char *path, char text[512])
{
	struct seen seen = { 0 };
	struct scap_sink sink = sink_of(&seen);
	struct scap_rec rec;
	struct err err;
	struct scap *s = scap_open(path, NULL, &sink, &err);
	long n = -1;

	if (!s) {
		strcpy(text, err.text);
	} else {
		n = read_all(s, &rec, text);
		scap_close(s);
	}
	return n;
}

static const char *file_of(struct bytes b)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/tmp/falco-test-scap.%d", (int)getpid());
	assert_non_null(f = fopen(path, "w"));
	assert_int_equal(b.n ? fwrite(b.p, 1, b.n, f) : 0, b.n);
	fclose(f);
	return path;
}

static void assert_error(const char *text, const char *part)
{
	assert_null(strchr(text, '\n'));
	if (!strstr(text, part))
		fail_msg("error '%s' lacks '%s'", text, part);
}

/* Opens b, expects one event and hands it over; the caller closes. */
static struct scap *one_event(struct bytes b, struct seen *seen, struct scap_rec *rec)
{
	struct scap_sink sink = sink_of(seen);
	struct err err;
	struct scap *s = scap_open_memory(b.p, b.n, NULL, &sink, &err);

	if (!s)
		fail_msg("%s", err.text);
	int rc = scap_next(s, rec);
	if (rc != 1)
		fail_msg("%d %s", rc, scap_error(s));
	return s;
}

static uint64_t number(const struct scap_rec *rec, uint32_t i)
{
	uint64_t v = 0;

	assert_true(i < rec->nparams && rec->param[i].len <= 8);
	memcpy(&v, rec->param[i].p, rec->param[i].len);
	return v;
}

/* ------------------------------------------------------------------ lists */

static const uint32_t proc_codes[] = { 0, 0x202, 0x207, 0x209, 0x210, 0x211, 0x212, 0x213, 0x214, 0x215 };

/* An entry of the given version; version 9 with the first `extra` bytes of what may follow. */
static void put_proc(struct bytes *b, int version, uint32_t extra)
{
	static const char args[] = "-a\0-b";
	struct bytes e = { 0 }, more = { 0 };
	bool old = extra <= 29;

	put64(&e, 12);
	put64(&e, 11);
	put64(&e, 1);
	if (version >= 6)
		put64(&e, 9);
	if (version >= 8)
		put64(&e, 8);
	puts16(&e, "cat");
	puts16(&e, "/bin/cat");
	if (version >= 7)
		puts16(&e, "/usr/bin/cat");
	put16(&e, sizeof args);
	put(&e, args, sizeof args);
	puts16(&e, "/tmp/");
	put64(&e, 1024);
	put32(&e, 0x400);
	put32(&e, 1000);
	put32(&e, 100);
	if (version >= 2) {
		put32(&e, 31);
		put32(&e, 32);
		put32(&e, 33);
		put64(&e, 34);
		put64(&e, 35);
	}
	if (version >= 3) {
		put16(&e, 4);
		put(&e, "A=1\0", 4);
	}
	if (version >= 4) {
		put64(&e, 41);
		put64(&e, 42);
		puts16(&e, "cpu=/x");
	}
	if (version >= 5)
		puts16(&e, "/");
	if (version >= 9) {
		if (!old) {
			put64(&more, 50);
			put32(&more, 51);
		}
		put32(&more, 52);
		put8(&more, 1);
		for (uint64_t i = 53; i < 56; i++)
			put64(&more, i);
		put8(&more, 0);
		for (uint64_t i = 56; i < 59; i++)
			put64(&more, i);
		put8(&more, 1);
		put8(&more, 1);
		put64(&more, 59);
		put64(&more, 0xdead);			/* of a version to come */
		put(&e, more.p, extra);
		put32(b, e.n + 4);
	}
	put(b, e.p, e.n);
	bytes_free(&e);
	bytes_free(&more);
}

static void test_process_lists(void **state)
{
	struct seen seen = { 0 };
	char text[512];

	for (int version = 1; version <= 9; version++) {
		struct bytes b = { 0 }, body = { 0 };
		char want[1024];

		put_section(&b, "");
		put_proc(&body, version, 76);
		put_proc(&body, version, 76);
		put_block(&b, proc_codes[version], &body);
		put_close(&b, 12);
		assert_int_equal(read_memory(b, &seen, text), 1);
		assert_string_equal(text, "");
		snprintf(want, sizeof want,
			 "proc 12 11 1 sid %d vpgid %d cat /bin/cat [%s] 6 args /tmp/ 1024 400 1000 100 vm %s env %d "
			 "v %s cg %d root %s more %s\n",
			 version >= 6 ? 9 : -1, version >= 8 ? 8 : -1, version >= 7 ? "/usr/bin/cat" : "",
			 version >= 2 ? "31 32 33 34 35" : "0 0 0 0 0", version >= 3 ? 4 : 0,
			 version >= 4 ? "41 42" : "-1 -1", version >= 4 ? 6 : 0, version >= 5 ? "/" : "",
			 version >= 9 ? "50 51 52 53 54 55 56 57 58 d 59" : "0 0 4294967295 0 0 0 0 0 0 0 -1");
		uint32_t len = (uint32_t)strlen(want);
		assert_memory_equal(seen.log, want, len);
		assert_string_equal(seen.log + len, want);
		bytes_free(&b);
	}
}

/* Bytes behind the root, as met in the wild, and one item more than any table knows. */
static void test_process_extras(void **state)
{
	static const struct {
		uint32_t bytes;
		const char *more;
	} cases[] = {
		{ 0, "more 0 0 4294967295 0 0 0 0 0 0 0 -1" },
		{ 4, "more 0 0 52 0 0 0 0 0 0 0 -1" },
		{ 29, "more 0 0 52 53 54 55 0 0 0 1 -1" },
		{ 66, "more 50 51 52 53 54 55 56 57 58 1 -1" },
		{ 68, "more 50 51 52 53 54 55 56 57 58 d -1" },
		{ 76, "more 50 51 52 53 54 55 56 57 58 d 59" },
		{ 84, "more 50 51 52 53 54 55 56 57 58 d 59" },
	};
	struct seen seen = { 0 };
	char text[512];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes b = { 0 }, body = { 0 };

		put_section(&b, "");
		put_proc(&body, 9, cases[i].bytes);
		put_proc(&body, 9, 76);
		put_block(&b, 0x215, &body);
		put_close(&b, 12);
		assert_int_equal(read_memory(b, &seen, text), 1);
		assert_non_null(strstr(seen.log, cases[i].more));
		assert_non_null(strstr(seen.log, "58 d 59\n"));
		bytes_free(&b);
	}
}

static void put_fd(struct bytes *b, bool sized, uint8_t type, const struct bytes *rest)
{
	if (sized)
		put32(b, 21 + rest->n);
	put64(b, 5);
	put64(b, 6);
	put8(b, type);
	put(b, rest->p, rest->n);
}

static void put_address(struct bytes *b, uint8_t first, uint32_t bytes)
{
	uint8_t addr[16] = { first };

	put(b, addr, bytes);
}

static void put_fds(struct bytes *b, bool sized)
{
	static const struct {
		uint8_t type, from, to;		/* bytes of the addresses */
	} inet[] = { { FD_IPV4, 4, 4 }, { FD_IPV6, 16, 16 }, { FD_IPV4_LISTEN, 0, 4 }, { FD_IPV6_LISTEN, 0, 16 } };
	struct bytes body = { 0 }, rest = { 0 };

	put64(&body, 12);
	for (size_t i = 0; i < sizeof inet / sizeof inet[0]; i++) {
		if (inet[i].from)
			put_address(&rest, 10, inet[i].from);
		put_address(&rest, 127, inet[i].to);
		if (inet[i].from)
			put16(&rest, 4000);
		put16(&rest, 80);
		put8(&rest, L4_TCP);
		put_fd(&body, sized, inet[i].type, &rest);
		rest.n = 0;
	}
	put64(&rest, 0xaa);
	put64(&rest, 0xbb);
	puts16(&rest, "/run/x");
	put_fd(&body, sized, FD_UNIX, &rest);
	rest.n = 0;
	put32(&rest, 3);
	puts16(&rest, "/etc/passwd");
	if (sized)
		put32(&rest, 0x801);
	put_fd(&body, sized, FD_FILE_V2, &rest);
	rest.n = 0;
	puts16(&rest, "name");
	for (uint8_t type = 1; type < FD_TYPE_COUNT; type++)
		if ((type < FD_IPV4 || type > FD_IPV6_LISTEN) && type != FD_UNIX && type != FD_FILE_V2)
			put_fd(&body, sized, type, &rest);
	if (sized)
		put_fd(&body, sized, 99, &rest);
	put_block(b, sized ? 0x218 : 0x203, &body);
	bytes_free(&rest);
}

static void test_descriptor_lists(void **state)
{
	struct seen seen = { 0 };
	char text[512], want[64];

	for (int sized = 0; sized < 2; sized++) {
		struct bytes b = { 0 };

		put_section(&b, "");
		put_fds(&b, sized);
		put_close(&b, 12);
		assert_int_equal(read_memory(b, &seen, text), 1);
		assert_string_equal(text, "");
		assert_non_null(strstr(seen.log, "fd 12 5 type 3 ino 6 10:4000 127:80 l4 2"));
		assert_non_null(strstr(seen.log, "fd 12 5 type 4 ino 6 10:4000 127:80 l4 2"));
		assert_non_null(strstr(seen.log, "fd 12 5 type 5 ino 6 0:0 127:80 l4 2"));
		assert_non_null(strstr(seen.log, "fd 12 5 type 6 ino 6 0:0 127:80 l4 2"));
		assert_non_null(strstr(seen.log, "unix aa bb o 0 dev 0 '/run/x'"));
		assert_non_null(strstr(seen.log, sized ? "o 3 dev 801 '/etc/passwd'" : "o 3 dev 0 '/etc/passwd'"));
		for (int type = FD_BPF; type < FD_TYPE_COUNT; type++) {
			snprintf(want, sizeof want, "type %d ino 6 0:0 0:0 l4 0 unix 0 0 o 0 dev 0 'name'", type);
			assert_non_null(strstr(seen.log, want));
		}
		if (sized)
			assert_non_null(strstr(seen.log, "l4 0 unix 0 0 o 0 dev 0 'unknown-type:[99]'"));
		bytes_free(&b);
	}
}

static void test_unknown_descriptor_type_is_fatal_without_lengths(void **state)
{
	struct bytes b = { 0 }, body = { 0 }, rest = { 0 };
	struct seen seen = { 0 };
	char text[512];

	put_section(&b, "");
	put64(&body, 12);
	put_fd(&body, false, 99, &rest);
	put_block(&b, 0x203, &body);
	put_close(&b, 12);
	assert_int_equal(read_memory(b, &seen, text), -1);
	assert_error(text, "at offset 44: this entry of the descriptor list");
	bytes_free(&b);
}

static void test_users_and_interfaces(void **state)
{
	struct seen seen = { 0 };
	char text[512];

	for (int sized = 0; sized < 2; sized++) {
		struct bytes b = { 0 }, ul = { 0 }, il = { 0 };

		put_section(&b, "an option that nobody reads.");
		put_machine(&b);
		if (sized)
			put32(&ul, 4 + 1 + 8 + 6 + 6 + 9);
		put8(&ul, 0);
		put32(&ul, 1000);
		put32(&ul, 100);
		puts16(&ul, "anna");
		puts16(&ul, "/home");
		puts16(&ul, "/bin/s");
		if (sized)
			put32(&ul, 4 + 1 + 4 + 7);
		put8(&ul, 1);
		put32(&ul, 100);
		puts16(&ul, "users");
		put_block(&b, sized ? 0x220 : 0x206, &ul);
		for (uint16_t type = 1; type <= 4; type++) {
			uint32_t bytes = type % 2 ? 4 : 16;
			if (sized)
				put32(&il, 4 + 3 * bytes + (type < 3 ? 8 : 0) + 4);
			put16(&il, type);
			put16(&il, 4);
			put_address(&il, 10, bytes);
			put_address(&il, 255, bytes);
			put_address(&il, 11, bytes);
			if (type < 3)
				put64(&il, 1000);
			put(&il, "eth0", 4);
		}
		put_block(&b, sized ? 0x219 : 0x205, &il);
		put_close(&b, 12);
		assert_int_equal(read_memory(b, &seen, text), 1);
		assert_string_equal(seen.log,
				    "machine 4 1073741824 77 box\n"
				    "users\nuser 1000 100 anna /home /bin/s\ngroup 100 users\n"
				    "ifaces\niface v4 10/255/11 eth0\niface v6 10/255/11 eth0\n"
				    "iface v4 10/255/11 eth0\niface v6 10/255/11 eth0\n");
		assert_int_equal(seen.resets, 1);
		assert_int_equal(seen.ends, 1);
		bytes_free(&b);
	}
}

static void test_sink_out_of_memory_ends_the_capture(void **state)
{
	struct bytes b = { 0 }, body = { 0 };
	struct seen seen = { .no_memory = true };
	char text[512];

	put_section(&b, "");
	put_proc(&body, 9, 76);
	put_block(&b, 0x215, &body);
	put_close(&b, 12);
	assert_int_equal(read_memory(b, &seen, text), -1);
	assert_error(text, "out of memory");
	bytes_free(&b);
}

/* ------------------------------------------------------------------ events */

static void test_event_blocks(void **state)
{
	static const uint32_t blocks[] = { EVENT_1, EVENT_1_FLAGS, EVENT_2, EVENT_2_FLAGS };
	struct seen seen = { 0 };
	struct scap_rec rec;

	for (size_t i = 0; i < 4; i++) {
		struct bytes b = { 0 };

		put_section(&b, "");
		EVENT(&b, blocks[i], 12, EV_SCHEDSWITCH_6_E, V64(1), V64(2), V64(3), V32(4), V32(5), V32(6));
		struct scap *s = one_event(b, &seen, &rec);
		assert_int_equal(rec.ts, clock_ns);
		assert_int_equal(rec.tid, 12);
		assert_int_equal(rec.cpu, 3);
		assert_int_equal(rec.code, EV_SCHEDSWITCH_6_E);
		assert_int_equal(rec.flags & ~(uint32_t)SCAP_CONVERTED, i & 1 ? SCAP_STATE_ONLY : 0);
		assert_int_equal(rec.nparams, 6);
		for (uint32_t k = 0; k < 6; k++)
			assert_int_equal(number(&rec, k), k + 1);
		assert_int_equal(scap_next(s, &rec), 0);
		assert_true(scap_progress(s) == 1);
		scap_close(s);
		bytes_free(&b);
	}
}

static void test_large_event(void **state)
{
	enum { TEXT = 3 << 20 };	/* larger than any buffer of the reader */
	struct bytes b = { 0 }, packed;
	char *big = malloc(TEXT + 1), text[512];
	struct seen seen = { 0 };
	struct scap_sink sink = sink_of(&seen);
	struct scap_rec rec;
	struct scap *s;
	struct err err;

	memset(big, 'x', TEXT);
	big[TEXT] = 0;
	put_section(&b, "");
	for (int i = 0; i < 3; i++) {
		put_close(&b, 12);
		EVENT(&b, EVENT_2_LARGE, 12, EV_ASYNCEVENT_E, V32(0), VS("name"), VS(big));
	}
	packed = gzipped(b);
	for (int i = 0; i < 4; i++) {		/* memory, file; plain, gzip */
		struct bytes in = i & 1 ? packed : b;
		s = i & 2 ? scap_open(file_of(in), NULL, &sink, &err)
			  : scap_open_memory(in.p, in.n, NULL, &sink, &err);
		assert_non_null(s);
		for (int k = 0; k < 6; k++) {
			assert_int_equal(scap_next(s, &rec), 1);
			assert_int_equal(rec.code, k & 1 ? EV_ASYNCEVENT_E : EV_SYSCALL_CLOSE_X);
			assert_int_equal(rec.param[k & 1 ? 2 : 0].len, k & 1 ? TEXT + 1 : 8);
			if (k & 1)
				assert_memory_equal(rec.param[2].p, big, TEXT + 1);
		}
		assert_int_equal(scap_next(s, &rec), 0);
		scap_close(s);
	}

	struct engine_limits limits = { .max_block = 1 << 20 };
	assert_non_null(s = scap_open_memory(packed.p, packed.n, &limits, &sink, &err));
	assert_int_equal(read_all(s, &rec, text), 1);
	assert_error(text, "large event block of 3145");
	scap_close(s);
	unlink(file_of(b));
	free(big);
	bytes_free(&b);
	bytes_free(&packed);
}

static void test_unknown_codes_are_skipped(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;

	put_section(&b, "");
	EVENT(&b, EVENT_2, 12, EV_COUNT + 1, V64(1));
	EVENT(&b, EVENT_2, 12, EV_PROCEXIT_1_X, V64(1));	/* never used: dropped */
	put_close(&b, 12);
	struct scap *s = one_event(b, &seen, &rec);
	assert_int_equal(rec.code, EV_SYSCALL_CLOSE_X);
	assert_int_equal(scap_skipped(s), 1);
	scap_close(s);
	bytes_free(&b);
}

static void test_bad_parameters_become_empty(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_2, 12, EV_SYSCALL_OPEN_X, V32(3), { 4, 0x41414141, NULL }, V32(1), V32(0), VNONE, V64(5));
	s = one_event(b, &seen, &rec);
	assert_int_equal(rec.bad_params, 2);			/* a descriptor of 4 bytes, a text without NUL */
	assert_int_equal(rec.param[0].len, 0);
	assert_int_equal(rec.param[1].len, 0);
	assert_int_equal(number(&rec, 2), 1);
	assert_int_equal(number(&rec, 5), 5);
	scap_close(s);
	bytes_free(&b);
}

/* Codes that conversion does not watch may grow parameters that we do not know yet. */
static void test_parameters_of_the_future_are_cut(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;

	put_section(&b, "");
	EVENT(&b, EVENT_2, 12, EV_SCHEDSWITCH_6_E, V64(1), V64(2), V64(3), V32(4), V32(5), V32(6), V64(7),
	      VS("eight"));
	struct scap *s = one_event(b, &seen, &rec);
	assert_int_equal(rec.nparams, 6);
	scap_close(s);
	bytes_free(&b);
}

static void test_head_of_a_section(void **state)
{
	static const uint32_t want[] = { SCAP_HEAD, SCAP_HEAD, 0, 0, SCAP_HEAD | SCAP_UNNUMBERED, 0 };
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_2, UINT64_MAX, EV_CONTAINER_JSON_E, VS("{}"));
	EVENT(&b, EVENT_2, UINT64_MAX, EV_GROUP_ADDED_E, V32(5), VS("g"), VS(""));
	put_close(&b, 12);
	EVENT(&b, EVENT_2, UINT64_MAX, EV_GROUP_ADDED_E, V32(5), VS("g"), VS(""));
	put_section(&b, "");
	EVENT(&b, EVENT_2, UINT64_MAX, EV_GROUP_ADDED_E, V32(5), VS("g"), VS(""));
	put_close(&b, 12);
	s = one_event(b, &seen, &rec);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(rec.flags & ~(uint32_t)SCAP_CONVERTED, want[i]);
		assert_int_equal(scap_next(s, &rec), i < 5);
	}
	assert_int_equal(seen.resets, 2);
	scap_close(s);
	bytes_free(&b);
}

static void test_only_state_keeping_enters_are_unseen(void **state)
{
	static const uint16_t unseen[] = { EV_SYSCALL_OPEN_E, EV_SOCKET_CONNECT_E, EV_SYSCALL_CREAT_E,
		EV_SYSCALL_EXECVE_19_E, EV_SYSCALL_OPENAT_2_E, EV_SYSCALL_OPENAT2_E, EV_SYSCALL_EXECVEAT_E };

	for (uint32_t code = 0; code < EV_COUNT; code++) {
		bool listed = false;
		for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++)
			listed |= code == unseen[i];
		bool never = event_row(code)->flags & (EF_OLD | EF_UNUSED);
		assert_int_equal(event_is_seen(code), !listed && !never);
	}
	assert_false(event_is_seen(EV_COUNT));
}

/* ------------------------------------------------------------------ old events */

static void test_enter_and_exit_become_one(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_1, 1, EV_SYSCALL_READ_E, V64(7), V32(100));
	EVENT(&b, EVENT_1, 2, EV_SYSCALL_READ_E, V64(8), V32(200));
	EVENT(&b, EVENT_1, 1, EV_SYSCALL_READ_X, V64(3), VS("ab"));
	EVENT(&b, EVENT_1, 2, EV_SYSCALL_READ_X, V64(3), VS("cd"));
	EVENT(&b, EVENT_1, 2, EV_SYSCALL_READ_X, V64(3), VS("ef"));	/* its enter was lost */
	s = one_event(b, &seen, &rec);
	for (int i = 0; i < 3; i++) {
		static const uint64_t fd[] = { 7, 8, 0 }, size[] = { 100, 200, 0 };
		assert_int_equal(rec.code, EV_SYSCALL_READ_X);
		assert_int_equal(rec.tid, i ? 2 : 1);
		assert_int_equal(rec.nparams, 4);
		assert_int_equal(rec.param[2].len, 8);
		assert_int_equal(number(&rec, 2), fd[i]);
		assert_int_equal(number(&rec, 3), size[i]);
		assert_int_equal(scap_next(s, &rec), i < 2);
	}
	scap_close(s);
	bytes_free(&b);
}

static void test_fallbacks_of_a_lost_enter(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_2, 1, EV_SYSCALL_SETUID_X, V64(0));	/* or nothing */
	EVENT(&b, EVENT_2, 1, EV_SYSCALL_CLOSE_X, V64(0));	/* or the type's zero */
	EVENT(&b, EVENT_2, 1, EV_GENERIC_X, V16(5));
	s = one_event(b, &seen, &rec);
	assert_int_equal(rec.nparams, 2);
	assert_int_equal(rec.param[1].len, 0);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.param[1].len, 8);
	assert_int_equal(number(&rec, 1), 0);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.nparams, 2);
	assert_int_equal(rec.param[1].len, 0);
	scap_close(s);
	bytes_free(&b);
}

static void test_conversions_chain(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_1, 1, EV_SYSCALL_EXECVE_8_X, V64(0), VS("/bin/ls"), VS("-l"), V64(1), V64(1), V64(1), VS("/"),
	      V64(1024));
	EVENT(&b, EVENT_1, 1, EV_SYSCALL_BRK_1_E, V32(64));
	EVENT(&b, EVENT_1, 1, EV_SYSCALL_BRK_1_X, V64(4096));
	EVENT(&b, EVENT_1, 1, EV_PROCEXIT_E);
	s = one_event(b, &seen, &rec);
	assert_int_equal(rec.code, EV_SYSCALL_EXECVE_19_X);
	assert_int_equal(rec.nparams, event_row(rec.code)->nparams);
	assert_string_equal((const char *)rec.param[1].p, "/bin/ls");
	assert_int_equal(number(&rec, 7), 1024);
	for (uint32_t i = 8; i < rec.nparams; i++)
		assert_int_equal(rec.param[i].len, 0);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.code, EV_SYSCALL_BRK_4_X);
	assert_int_equal(number(&rec, 0), 4096);
	assert_int_equal(number(&rec, 1), 64);
	assert_int_equal(rec.nparams, 5);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.code, EV_PROCEXIT_1_E);
	assert_int_equal(rec.nparams, 5);
	scap_close(s);
	bytes_free(&b);
}

static void test_container_events_become_json(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_1, UINT64_MAX, EV_CONTAINER_E, VS("abc"), V32(0), VS("my \"box\""), VS("img:1"));
	EVENT(&b, EVENT_1, UINT64_MAX, EV_CONTAINER_E, VNONE, V32(0), VS("x"), VS("y"));
	s = one_event(b, &seen, &rec);
	assert_int_equal(rec.code, EV_CONTAINER_JSON_2_E);
	assert_string_equal((const char *)rec.param[0].p,
			    "{\"id\":\"abc\",\"type\":0,\"name\":\"my \\\"box\\\"\",\"image\":\"img:1\"}");
	assert_int_equal(rec.param[0].len, strlen((const char *)rec.param[0].p) + 1);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.nparams, 1);
	assert_int_equal(rec.param[0].len, 0);
	scap_close(s);
	bytes_free(&b);
}

static void test_enter_events_that_pass(void **state)
{
	struct bytes b = { 0 };
	struct seen seen = { 0 };
	struct scap_rec rec;
	struct scap *s;

	put_section(&b, "");
	EVENT(&b, EVENT_2, 1, EV_SYSCALL_OPEN_E);
	EVENT(&b, EVENT_2, 1, EV_SOCKET_CONNECT_E, V64(3));
	EVENT(&b, EVENT_2, 1, EV_SOCKET_CONNECT_X, V64(0), VNONE);
	s = one_event(b, &seen, &rec);
	assert_int_equal(rec.code, EV_SYSCALL_OPEN_E);
	assert_int_equal(rec.nparams, 3);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.code, EV_SOCKET_CONNECT_E);
	assert_int_equal(rec.nparams, 2);
	assert_int_equal(scap_next(s, &rec), 1);
	assert_int_equal(rec.nparams, 4);
	assert_int_equal(number(&rec, 2), 3);
	scap_close(s);
	bytes_free(&b);
}

static void test_impossible_conversions_end_the_capture(void **state)
{
	static const struct arg seven[7] = { V64(0), VNONE, VNONE, VNONE, VNONE, VNONE, VNONE };
	struct seen seen = { 0 };
	char text[512];

	for (int i = 0; i < 3; i++) {
		struct bytes b = { 0 };

		put_section(&b, "");
		put_close(&b, 1);
		if (i == 0) {		/* the enter event is of another call */
			EVENT(&b, EVENT_2, 1, EV_SYSCALL_READ_E, V64(7), V32(100));
			EVENT(&b, EVENT_2, 1, EV_SYSCALL_CLOSE_X, V64(0));
		} else {		/* more, or other, parameters than any version has */
			put_event(&b, EVENT_2, 1, i == 1 ? EV_SYSCALL_CLOSE_X : EV_SYSCALL_OPEN_X, seven,
				  i == 1 ? 7 : 2);
		}
		put_close(&b, 1);
		assert_int_equal(read_memory(b, &seen, text), 1);
		static const char *const errors[] = { "the enter event before the exit of 'close'",
			"has 7 parameters, 2 are known", "event 'open' (code 3) with 2 parameters" };
		assert_error(text, errors[i]);
		bytes_free(&b);
	}
}

/* Everything that any (code, number of parameters) of the tables can become is current and complete. */
static void test_every_conversion_ends(void **state)
{
	static const uint8_t zeros[16];
	struct compat *c = compat_new();

	assert_non_null(c);
	for (uint16_t code = 0; code < EV_COUNT; code++) {
		for (uint32_t n = 0; n <= event_row(code)->nparams; n++) {
			struct scap_rec rec = { .code = code, .tid = code, .nparams = n };
			struct err err;

			for (uint32_t i = 0; i < n; i++)
				rec.param[i] = (struct scap_param){ zeros, 8 };
			int rc = compat_convert(c, &rec, &err);
			if (rc < 0) {
				assert_int_equal(rc, -EPROTO);	/* no version had so many */
			} else if (rc == COMPAT_PASS && event_row(code)->flags & EF_CONVERTED) {
				bool old = event_row(rec.code)->flags & (EF_OLD | EF_UNUSED);
				if (old && rec.code != EV_SYSCALL_EXECVE_19_E && rec.code != EV_SYSCALL_EXECVEAT_E)
					fail_msg("code %u with %u parameters ends as code %u", code, n, rec.code);
				assert_int_equal(rec.nparams, event_row(rec.code)->nparams);
			}
		}
		compat_reset(c);
	}
	compat_free(c);
}

/* Many more threads than are kept, and large events: bounded, and the latest survive. */
static void test_kept_enter_events_are_bounded(void **state)
{
	static uint8_t big[65000];
	struct compat *c = compat_new();
	struct err err;
	struct scap_rec rec;

	for (int64_t tid = 0; tid < 200000; tid++) {
		rec = (struct scap_rec){ .code = EV_SYSCALL_READ_E, .tid = tid, .nparams = 2 };
		rec.param[0] = (struct scap_param){ (const uint8_t *)&tid, 8 };
		rec.param[1] = (struct scap_param){ big, tid % 1000 ? 4 : sizeof big };
		assert_int_equal(compat_convert(c, &rec, &err), COMPAT_DROP);
	}
	for (int64_t tid = 199999; tid >= 0; tid -= 150000) {
		rec = (struct scap_rec){ .code = EV_SYSCALL_READ_X, .tid = tid, .nparams = 2 };
		rec.param[0] = rec.param[1] = (struct scap_param){ big, 8 };
		assert_int_equal(compat_convert(c, &rec, &err), COMPAT_PASS);
		assert_int_equal(number(&rec, 2), tid == 199999 ? tid : 0);
	}
	compat_free(c);
}

/* ------------------------------------------------------------------ damage */

/* A capture with lists and n events. */
static struct bytes sample(int n)
{
	struct bytes b = { 0 }, body = { 0 };

	put_section(&b, "");
	put_machine(&b);
	put_proc(&body, 9, 76);
	put_block(&b, 0x215, &body);
	put_fds(&b, true);
	for (int i = 0; i < n; i++)
		put_close(&b, (uint64_t)i);
	return b;
}

#define SECTION "\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a"
#define ONES "\xff\xff\xff\xff\xff\xff\xff\xff"

static void test_what_is_no_capture(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t n;
		const char *error;
	} cases[] = {
		{ "", 0, "at offset 0: it is empty" },
		{ "x", 1, "at offset 0: no system call capture, but a text" },
		{ "rules:\n- rule: x\n", 17, "but a text" },
		{ "\1\2\3\4\5\6\7\10\11", 9, "at offset 0: no system call capture" },
		{ "\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0", 12, "a network capture (pcap)" },
		{ "\x28\xb5\x2f\xfd\2\0\4\0\0\0\0\0", 12, "compressed with zstd" },
		{ "\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\1\0\0" ONES "\0\0\0\x1c", 28, "other byte order" },
		{ SECTION "\1\0\0\0" ONES "\x1c\0\0\0\1\0\0\0\x14\0\0\0", 36,
		  "at offset 28: no system call capture, but a network capture (pcapng)" },
		{ SECTION "\1\0\2\0" ONES "\x1c\0\0\0", 28, "at offset 28: the capture ends before its first event" },
		{ SECTION "\2\0\0\0" ONES "\x1c\0\0\0", 28, "version 2" },
		{ "\x1f\x8b", 2, "at offset 0 (uncompressed): the gzip data are cut off" },
	};
	struct seen seen = { 0 };
	char text[512];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes b = { (uint8_t *)cases[i].bytes, cases[i].n, 0 };

		assert_int_equal(read_memory(b, &seen, text), -1);
		assert_error(text, cases[i].error);
		assert_error(text, "capture 'memory': ");
		assert_int_equal(read_path(file_of(b), text), -1);
		assert_error(text, cases[i].error);
	}
	unlink(file_of((struct bytes){ 0 }));
	assert_int_equal(read_path("/tmp", text), -1);
	assert_string_equal(text, "capture '/tmp': Is a directory");
	assert_int_equal(read_path("/tmp/no such\nfile", text), -1);
	assert_string_equal(text, "capture '/tmp/no such?file': No such file or directory");
}

static void test_cut_anywhere(void **state)
{
	enum { EVENTS = 30 };
	struct bytes b = sample(EVENTS), packed = gzipped(b), none = sample(0);
	struct seen seen = { 0 };
	char text[512];
	uint32_t head = none.n, each = (b.n - head) / EVENTS;
	long before = -1;

	bytes_free(&none);
	for (uint32_t n = 0; n <= b.n; n++) {
		struct bytes cut = { malloc(n + 1), n, 0 };	/* of exactly this size, for ASan */
		memcpy(cut.p, b.p, n);
		long got = read_memory(cut, &seen, text);
		bool whole = n > head && (n - head) % each == 0;
		assert_int_equal(got, n < head + 4 + 4 ? -1 : (long)((n - head) / each));
		if (whole)
			assert_string_equal(text, "");
		else
			assert_error(text, "at offset ");
		free(cut.p);
	}
	for (uint32_t n = 0; n < packed.n; n++) {
		struct bytes cut = { malloc(n + 1), n, 0 };
		memcpy(cut.p, packed.p, n);
		long got = read_memory(cut, &seen, text);
		assert_error(text, n == 0 ? "it is empty" : n < 2 ? "no system call capture"
			     : "(uncompressed): the gzip data are cut off");
		assert_true(got >= before);		/* more data, more events */
		before = got;
		free(cut.p);
	}
	assert_int_equal(before, EVENTS);			/* only the checksum was missing */
	bytes_free(&b);
	bytes_free(&packed);
}

static void test_bits_flipped_anywhere(void **state)
{
	struct bytes b = sample(10), packed = gzipped(b);
	struct seen seen = { 0 };
	char text[512];

	for (int gz = 0; gz < 2; gz++) {
		struct bytes in = gz ? packed : b;
		for (uint32_t bit = 0; bit < in.n * 8; bit += gz ? 1 : 3) {
			in.p[bit / 8] ^= 1 << bit % 8;
			read_memory(in, &seen, text);
			assert_null(strchr(text, '\n'));
			in.p[bit / 8] ^= 1 << bit % 8;
		}
	}
	bytes_free(&b);
	bytes_free(&packed);
}

static void test_absurd_lengths(void **state)
{
	struct seen seen = { 0 };
	char text[512];

	for (uint32_t type = 0x201; type <= 0x222; type++) {
		static const uint32_t lengths[] = { 0, 4, 11, 12, 0x7fffffff, 0x80000000, UINT32_MAX };
		for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
			struct bytes b = sample(1);
			put32(&b, type);
			put32(&b, lengths[i]);
			put64(&b, UINT64_MAX);
			read_memory(b, &seen, text);
			assert_error(text, "at offset ");
			bytes_free(&b);
		}
	}
}

static void test_gzip_members_and_what_follows(void **state)
{
	struct bytes b = sample(20), half1 = { b.p, b.n / 2, 0 }, half2 = { b.p + b.n / 2, b.n - b.n / 2, 0 };
	struct bytes one = gzipped(half1), two = gzipped(half2), all = { 0 }, twice = { 0 };
	struct seen seen = { 0 };
	char text[512];

	put(&all, one.p, one.n);
	put(&all, two.p, two.n);
	assert_int_equal(read_memory(all, &seen, text), 20);
	assert_string_equal(text, "");
	assert_int_equal(read_path(file_of(all), text), 20);
	put(&twice, all.p, all.n);
	put(&twice, all.p, all.n);
	assert_int_equal(read_path(file_of(twice), text), 40);
	assert_string_equal(text, "");
	put(&all, "\0\0\0\0\0", 5);				/* padding */
	assert_int_equal(read_path(file_of(all), text), 20);
	assert_string_equal(text, "");
	put(&all, "garbage", 7);
	assert_int_equal(read_path(file_of(all), text), 20);
	assert_error(text, "(uncompressed): garbage follows the gzip data");
	twice.n--;
	twice.p[twice.n - 5] ^= 1;				/* the checksum */
	assert_int_equal(read_path(file_of(twice), text), 40);
	assert_error(text, "(uncompressed): the gzip data are ");
	unlink(file_of(b));
	bytes_free(&b);
	bytes_free(&one);
	bytes_free(&two);
	bytes_free(&all);
	bytes_free(&twice);
}

/* A few kilobytes that claim to be gigabytes, and some that are. */
static void test_gzip_bomb_stays_small(void **state)
{
	struct bytes b = { 0 }, packed, body = { 0 };
	struct seen seen = { 0 };
	char text[512];

	body.p = calloc(1, body.n = 50 << 20);
	put_section(&b, "");
	put_block(&b, 0x777, &body);		/* unknown: passed over */
	put32(&b, 0x215);
	put32(&b, 60 << 20);
	put64(&b, 0);
	packed = gzipped(b);
	assert_true(packed.n < 1 << 20);
	assert_int_equal(read_memory(packed, &seen, text), -1);
	assert_error(text, "process list block of 62914560 bytes is cut off");
	bytes_free(&b);
	bytes_free(&packed);
}

static void ignore_signal(int sig)
{
}

static void test_close_before_the_end(void **state)
{
	struct bytes b = sample(60000), packed = gzipped(b);	/* more than the thread can run ahead */
	struct scap_rec rec;
	struct err err;

	const char *path = file_of(packed);
	for (int n = 0; n < 60000; n = n * 3 + 1) {
		struct scap *s = scap_open(path, NULL, NULL, &err);
		assert_non_null(s);
		for (int i = 0; i < n; i++)
			assert_int_equal(scap_next(s, &rec), 1);
		assert_true(scap_progress(s) > 0 && scap_progress(s) <= 1);
		scap_close(s);
	}
	unlink(path);
	bytes_free(&b);
	bytes_free(&packed);
}

/* What came through a pipe must come out, though the pipe stays open and quiet. */
static void test_a_quiet_pipe_holds_nothing_back(void **state)
{
	enum { EVENTS_SENT = 20000 };			/* more than one chunk */
	struct bytes b = sample(EVENTS_SENT), packed = gzipped(b);
	struct sigaction nothing = { .sa_handler = ignore_signal };
	struct scap_rec rec;
	struct err err;
	char path[40];
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 0);
	assert_int_equal(write(ends[1], packed.p, packed.n), packed.n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
	sigaction(SIGALRM, &nothing, NULL);
	struct scap *s = scap_open(path, NULL, NULL, &err);
	assert_non_null(s);
	alarm(5);					/* ends the wait if something is held back */
	for (int i = 0; i < EVENTS_SENT; i++)
		assert_int_equal(scap_next(s, &rec), 1);
	alarm(0);
	close(ends[1]);
	assert_int_equal(scap_next(s, &rec), 0);
	scap_close(s);
	close(ends[0]);
	bytes_free(&b);
	bytes_free(&packed);
}

static void test_standard_input(void **state)
{
	struct bytes b = sample(20), packed = gzipped(b);
	char text[512];
	int saved = dup(STDIN_FILENO);

	for (int gz = 0; gz < 2; gz++) {
		struct bytes in = gz ? packed : b;
		int ends[2];

		assert_true(in.n < 65536);		/* fits the pipe */
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(write(ends[1], in.p, in.n - 1), in.n - 1);
		close(ends[1]);
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		assert_int_equal(read_path("-", text), gz ? 20 : 19);
		assert_error(text, "capture 'standard input': at offset ");
	}
	dup2(saved, STDIN_FILENO);
	close(saved);
	bytes_free(&b);
	bytes_free(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_lists),
		cmocka_unit_test(test_process_extras),
		cmocka_unit_test(test_descriptor_lists),
		cmocka_unit_test(test_unknown_descriptor_type_is_fatal_without_lengths),
		cmocka_unit_test(test_users_and_interfaces),
		cmocka_unit_test(test_sink_out_of_memory_ends_the_capture),
		cmocka_unit_test(test_event_blocks),
		cmocka_unit_test(test_large_event),
		cmocka_unit_test(test_unknown_codes_are_skipped),
		cmocka_unit_test(test_bad_parameters_become_empty),
		cmocka_unit_test(test_parameters_of_the_future_are_cut),
		cmocka_unit_test(test_head_of_a_section),
		cmocka_unit_test(test_only_state_keeping_enters_are_unseen),
		cmocka_unit_test(test_enter_and_exit_become_one),
		cmocka_unit_test(test_fallbacks_of_a_lost_enter),
		cmocka_unit_test(test_conversions_chain),
		cmocka_unit_test(test_container_events_become_json),
		cmocka_unit_test(test_enter_events_that_pass),
		cmocka_unit_test(test_impossible_conversions_end_the_capture),
		cmocka_unit_test(test_every_conversion_ends),
		cmocka_unit_test(test_kept_enter_events_are_bounded),
		cmocka_unit_test(test_what_is_no_capture),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_bits_flipped_anywhere),
		cmocka_unit_test(test_absurd_lengths),
		cmocka_unit_test(test_gzip_members_and_what_follows),
		cmocka_unit_test(test_gzip_bomb_stays_small),
		cmocka_unit_test(test_close_before_the_end),
		cmocka_unit_test(test_a_quiet_pipe_holds_nothing_back),
		cmocka_unit_test(test_standard_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
