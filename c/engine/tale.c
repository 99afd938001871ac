/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "field_fd.h"
#include "scap.h"
#include "sock.h"
#include "state.h"
#include "tale.h"
#include "tables.h"

struct tale {
	struct scap_writer *writer;
	struct scap_sink sink;
	uint64_t bytes;			/* of all that was told */
	struct scap_rec rec;		/* the event that is being told */
	uint32_t used;			/* bytes of `room` */
	uint8_t room[TALE_ROOM];
};

struct tale *tale_new(void)
{
	struct tale *s = malloc(sizeof *s);
	struct machine machine = { .cpus = 1, .memory = 1 << 30, .max_pid = 4194304, .hostname = "test" };

	if (!s)
		return NULL;
	s->bytes = 0;
	if (!(s->writer = scap_writer_new(0))) {
		free(s);
		return NULL;
	}
	s->sink = scap_writer_sink(s->writer);
	s->sink.reset(s->sink.ctx);
	s->sink.machine(s->sink.ctx, &machine);
	return s;
}

void tale_free(struct tale *s)
{
	if (!s)
		return;
	scap_writer_close(s->writer, &(struct err){ 0 });
	free(s);
}

const uint8_t *tale_bytes(struct tale *s, size_t *len, struct err *err)
{
	return scap_writer_memory(s->writer, len, err);
}

/* ------------------------------------------------------------------ addresses as text */

/* "1.2.3.4:80", "[::1]:80" or "::1:80". false: it is none of them. */
static bool read_end(struct str text, uint8_t ip[16], uint16_t *port, bool *v6)
{
	char buf[INET6_ADDRSTRLEN + 8];
	int64_t colon = str_rfind(text, ':');
	unsigned long n;
	char *end;

	if (colon < 1 || text.len >= sizeof buf)
		return false;
	memcpy(buf, text.p, text.len);
	buf[text.len] = 0;
	buf[colon] = 0;
	if (buf[colon + 1] < '0' || buf[colon + 1] > '9')
		return false;
	n = strtoul(buf + colon + 1, &end, 10);
	if (*end || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	memset(ip, 0, 16);
	if (buf[0] == '[' && buf[colon - 1] == ']') {
		buf[colon - 1] = 0;
		*v6 = true;
		return inet_pton(AF_INET6, buf + 1, ip) == 1;
	}
	*v6 = strchr(buf, ':');
	return inet_pton(*v6 ? AF_INET6 : AF_INET, buf, ip) == 1;
}

/* "a:1->b:2", both ends of one family. */
static bool read_pair(struct str text, struct fd_addr *a, bool *v6)
{
	const char *arrow = memmem(text.p, text.len, "->", 2);
	bool other;

	if (!arrow)
		return false;
	struct str src = { text.p, (uint32_t)(arrow - text.p) };
	struct str dst = { arrow + 2, text.len - src.len - 2 };
	return read_end(src, a->src, &a->sport, v6) && read_end(dst, a->dst, &a->dport, &other) && other == *v6;
}

/* ------------------------------------------------------------------ the state at the start */

/* n more bytes. false: there is no room for them. */
static bool take(struct tale *s, uint64_t n)
{
	if (n > TALE_MAX - s->bytes)
		return false;
	s->bytes += n;
	return true;
}

uint64_t tale_size(const struct tale *s)
{
	return s->bytes;
}

int tale_proc(struct tale *s, const struct scap_proc *p)
{
	enum { REST = 256 };

	if (!take(s, REST + (uint64_t)p->comm.len + p->exe.len + p->exepath.len + p->args.len + p->cwd.len + p->env.len +
		  p->cgroups.len))
		return -EMSGSIZE;
	return s->sink.proc(s->sink.ctx, p);
}

static bool read_socket(struct fd_draft *d, struct str name)
{
	bool v6 = false, pair = read_pair(name, &d->addr, &v6);

	if (!pair && !read_end(name, d->addr.dst, &d->addr.dport, &v6))
		return false;
	if (v6 != (d->type == FD_IPV6))
		return false;
	if (!pair)
		d->type = v6 ? FD_IPV6_LISTEN : FD_IPV4_LISTEN;
	return true;
}

int tale_fd(struct tale *s, int64_t tid, int64_t fd, const char *type, const char *name, uint32_t len, bool udp,
	     struct err *err)
{
	struct fd_draft d = { .type = fd_type_of_word(type), .l4 = udp ? L4_UDP : L4_TCP, .name = { name, len } };

	if (d.type == FD_UNKNOWN)
		return err_set(err, ENOENT, "no descriptor is of type '%.60s'", type);
	if ((d.type == FD_IPV4 || d.type == FD_IPV6) && !read_socket(&d, d.name))
		return err_set(err, EINVAL, "'%.*s' is no connection: write  10.0.0.1:40000->10.0.0.2:80, or of one that listens"
			       "  0.0.0.0:80", (int)(len < 100 ? len : 100), name);
	return s->sink.fd(s->sink.ctx, tid, fd, &d);
}

int tale_user(struct tale *s, const struct tale_user *u)
{
	struct user user = { .uid = u->id, .gid = u->gid, .name = u->name, .home = u->home, .shell = u->shell };
	struct group group = { .gid = u->id, .name = u->name };

	return u->is_group ? s->sink.group(s->sink.ctx, &group) : s->sink.user(s->sink.ctx, &user);
}

int tale_iface(struct tale *s, const char *address, struct err *err)
{
	struct iface i = { .name = STR("eth0"), .v6 = strchr(address, ':') };

	if (inet_pton(i.v6 ? AF_INET6 : AF_INET, address, i.addr) != 1)
		return err_set(err, EINVAL, "'%.60s' is no address", address);
	memset(i.netmask, 0xff, i.v6 ? 8 : 3);
	memcpy(i.bcast, i.addr, sizeof i.bcast);
	return s->sink.iface(s->sink.ctx, &i);
}

/* ------------------------------------------------------------------ events */

void tale_event(struct tale *s, uint32_t code, int64_t tid, uint64_t ts)
{
	REQUIRE(code < EV_COUNT);
	s->rec = (struct scap_rec){ .code = (uint16_t)code, .tid = tid, .ts = ts, .nparams = event_row(code)->nparams };
	s->used = 0;
}

static const struct param_info *param_of(const struct tale *s, uint32_t i)
{
	REQUIRE(i < s->rec.nparams);
	return &event_row(s->rec.code)->params[i];
}

/* Appends bytes to the value of parameter i, the one that is being written. */
static int put(struct tale *s, uint32_t i, const void *p, size_t len, struct err *err)
{
	if (len > TALE_ROOM - s->used)
		return err_set(err, EMSGSIZE, "the parameters of one event have more than %d bytes", TALE_ROOM);
	memcpy(s->room + s->used, p, len);
	if (!s->rec.param[i].len)
		s->rec.param[i].p = s->room + s->used;
	s->rec.param[i].len += (uint32_t)len;
	s->used += (uint32_t)len;
	return 0;
}

static bool is_signed(uint32_t type)
{
	switch (type) {
	case PT_INT8: case PT_INT16: case PT_INT32: case PT_INT64: case PT_ERRNO: case PT_FD: case PT_FD32: case PT_PID:
	case PT_PID32:
		return true;
	}
	return false;
}

/* Ids of "nobody" are written -1 by everybody. */
static bool fits(uint32_t type, int64_t v)
{
	uint32_t bits = 8 * type_size[type];

	if (bits == 64)
		return true;
	if (is_signed(type))
		return v >= -(1ll << (bits - 1)) && v < 1ll << (bits - 1);
	return v >= -1 && v < 1ll << bits;
}

int tale_number(struct tale *s, uint32_t i, int64_t v, struct err *err)
{
	const struct param_info *param = param_of(s, i);
	uint32_t type = param->type;
	uint8_t selector = 0;

	if (type == PT_DYN) {
		int rc = put(s, i, &selector, 1, err);

		if (rc < 0)
			return rc;
		type = param->dyn->alternatives[0].type;
	}
	if (!type_size[type] || type_size[type] > 8)
		return err_set(err, EINVAL, "'%s' is no number", param->name);
	if (!fits(type, v))
		return err_set(err, ERANGE, "%lld does not fit into '%s', which has %u bits", (long long)v, param->name,
			       8 * type_size[type]);
	return put(s, i, &v, type_size[type], err);	/* little-endian: the low bytes come first */
}

static int errno_number(struct str name)
{
	for (int e = 1; e < 4096; e++) {
		const char *known = errno_name(e);

		if (known && str_is(name, known))
			return e;
	}
	return 0;
}

static int signal_number(struct str name)
{
	for (int n = 1; n < 65; n++) {
		const char *known = signal_name(n);

		if (known && str_is(name, known))
			return n;
	}
	return 0;
}

/* The number that a word stands for, where numbers have names. */
static bool word_number(uint32_t type, struct str word, int64_t *v)
{
	enum { CWD = -100 };		/* AT_FDCWD */

	switch (type) {
	case PT_ERRNO: case PT_FD: case PT_FD32: case PT_PID:
		*v = str_is(word, "SUCCESS") ? 0 : -(int64_t)errno_number(word);
		if (str_is(word, "AT_FDCWD"))
			*v = CWD;
		return *v || str_is(word, "SUCCESS");
	case PT_SIGTYPE:
		return (*v = signal_number(word)) != 0;
	case PT_BOOL:
		*v = str_is(word, "true");
		return *v || str_is(word, "false");
	}
	return false;
}

static const struct flag_info *flag_find(const struct flag_table *t, struct str name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (str_is(name, t->rows[i].name))
			return &t->rows[i];
	return NULL;
}

/* "O_WRONLY|O_CREAT", with blanks where one likes. */
static int put_flags(struct tale *s, uint32_t i, struct str text, struct err *err)
{
	const struct param_info *param = param_of(s, i);
	int64_t v = 0;

	for (uint32_t at = 0; at < text.len;) {
		uint32_t end = at;

		while (end < text.len && !strchr("|, ", text.p[end]))
			end++;
		struct str name = { text.p + at, end - at };
		const struct flag_info *flag = flag_find(param->flags, name);
		if (name.len && !flag)
			return err_set(err, ENOENT, "'%s' has no flag '%.*s'", param->name, (int)(name.len < 60 ? name.len : 60),
				       name.p);
		v |= flag ? flag->value : 0;
		at = end + 1;
	}
	return tale_number(s, i, v, err);
}

static int put_address(struct tale *s, uint32_t i, struct str text, struct err *err)
{
	bool v6;
	uint8_t ip[16], family;
	uint16_t port;
	int rc;

	if (text.len && text.p[0] == '/') {
		family = FAMILY_UNIX;
		return (rc = put(s, i, &family, 1, err)) < 0 || (rc = put(s, i, text.p, text.len, err)) < 0 ?
			rc : put(s, i, "", 1, err);
	}
	if (!read_end(text, ip, &port, &v6))
		return err_set(err, EINVAL, "'%s' wants an address: 10.0.0.1:80, [::1]:80 or /run/x.sock", param_of(s, i)->name);
	family = v6 ? FAMILY_INET6 : FAMILY_INET;
	if ((rc = put(s, i, &family, 1, err)) < 0 || (rc = put(s, i, ip, v6 ? 16 : 4, err)) < 0)
		return rc;
	return put(s, i, &port, 2, err);
}

static int put_tuple(struct tale *s, uint32_t i, struct str text, struct err *err)
{
	static const uint8_t unix_head[17] = { FAMILY_UNIX };
	struct fd_addr a;
	bool v6;
	int rc;

	if (text.len && text.p[0] == '/')
		return (rc = put(s, i, unix_head, sizeof unix_head, err)) < 0 || (rc = put(s, i, text.p, text.len, err)) < 0 ?
			rc : put(s, i, "", 1, err);
	if (!read_pair(text, &a, &v6))
		return err_set(err, EINVAL, "'%s' wants both ends: 10.0.0.1:40000->10.0.0.2:80, or /run/x.sock",
			       param_of(s, i)->name);
	uint8_t bytes[37], n = v6 ? 16 : 4, *p = bytes;
	*p++ = v6 ? FAMILY_INET6 : FAMILY_INET;
	p = (uint8_t *)memcpy(p, a.src, n) + n;
	p = (uint8_t *)memcpy(p, &a.sport, 2) + 2;
	p = (uint8_t *)memcpy(p, a.dst, n) + n;
	p = (uint8_t *)memcpy(p, &a.dport, 2) + 2;
	return put(s, i, bytes, (size_t)(p - bytes), err);
}

int tale_text(struct tale *s, uint32_t i, const char *p, uint32_t len, struct err *err)
{
	const struct param_info *param = param_of(s, i);
	struct str text = { p, len };
	int64_t v;
	int rc;

	switch (param->type) {
	case PT_CHARBUF: case PT_FSPATH: case PT_FSRELPATH:
		return (rc = put(s, i, p, len, err)) < 0 ? rc : put(s, i, "", 1, err);
	case PT_BYTEBUF:
		return put(s, i, p, len, err);
	case PT_SOCKADDR:
		return put_address(s, i, text, err);
	case PT_SOCKTUPLE:
		return put_tuple(s, i, text, err);
	}
	if (param->flags)
		return put_flags(s, i, text, err);
	if (word_number(param->type, text, &v))
		return tale_number(s, i, v, err);
	return err_set(err, EINVAL, "'%s' wants a number, not '%.*s'", param->name, (int)(len < 60 ? len : 60), p);
}

int tale_end(struct tale *s, struct err *err)
{
	int rc;

	if (!take(s, sizeof(struct event_hdr) + 4 * s->rec.nparams + s->used))
		return err_set(err, EMSGSIZE, "the events have more than %d MB", TALE_MAX >> 20);
	rc = scap_write(s->writer, &s->rec);

	return rc < 0 ? err_set(err, -rc, "%s", scap_writer_error(s->writer)) : 0;
}
