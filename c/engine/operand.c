/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include "operand.h"

/* ------------------------------------------------------------------ types */

static const uint8_t classes[PT_COUNT] = {
	[PT_INT8] = CLASS_SIGNED, [PT_INT16] = CLASS_SIGNED, [PT_INT32] = CLASS_SIGNED, [PT_INT64] = CLASS_SIGNED,
	[PT_ERRNO] = CLASS_SIGNED, [PT_FD] = CLASS_SIGNED, [PT_PID] = CLASS_SIGNED, [PT_FD32] = CLASS_SIGNED,
	[PT_PID32] = CLASS_SIGNED,
	[PT_UINT8] = CLASS_UNSIGNED, [PT_UINT16] = CLASS_UNSIGNED, [PT_UINT32] = CLASS_UNSIGNED,
	[PT_UINT64] = CLASS_UNSIGNED, [PT_SYSCALLID] = CLASS_UNSIGNED, [PT_SIGTYPE] = CLASS_UNSIGNED,
	[PT_RELTIME] = CLASS_UNSIGNED, [PT_ABSTIME] = CLASS_UNSIGNED, [PT_PORT] = CLASS_UNSIGNED,
	[PT_L4PROTO] = CLASS_UNSIGNED, [PT_FLAGS8] = CLASS_UNSIGNED, [PT_FLAGS16] = CLASS_UNSIGNED,
	[PT_FLAGS32] = CLASS_UNSIGNED, [PT_UID] = CLASS_UNSIGNED, [PT_GID] = CLASS_UNSIGNED,
	[PT_MODE] = CLASS_UNSIGNED, [PT_ENUMFLAGS8] = CLASS_UNSIGNED, [PT_ENUMFLAGS16] = CLASS_UNSIGNED,
	[PT_ENUMFLAGS32] = CLASS_UNSIGNED,
	[PT_CHARBUF] = CLASS_TEXT, [PT_FSPATH] = CLASS_TEXT, [PT_FSRELPATH] = CLASS_TEXT,
	[PT_BYTEBUF] = CLASS_BYTES,
	[PT_DOUBLE] = CLASS_DOUBLE,
	[PT_BOOL] = CLASS_BOOL,
	[PT_IPV4ADDR] = CLASS_ADDR, [PT_IPV6ADDR] = CLASS_ADDR, [PT_IPADDR] = CLASS_ADDR,
	[PT_IPV4NET] = CLASS_NET, [PT_IPV6NET] = CLASS_NET, [PT_IPNET] = CLASS_NET,
};

enum value_class type_class(uint8_t type)
{
	return type < PT_COUNT ? classes[type] : CLASS_NONE;
}

const char *class_words(enum value_class c)
{
	static const char *const words[CLASS_COUNT] = {
		[CLASS_NONE] = "a value without comparisons", [CLASS_TEXT] = "text", [CLASS_BYTES] = "bytes",
		[CLASS_SIGNED] = "a number", [CLASS_UNSIGNED] = "a number", [CLASS_DOUBLE] = "a number",
		[CLASS_BOOL] = "true or false", [CLASS_ADDR] = "an IP address", [CLASS_NET] = "an IP network",
	};
	return words[c];
}

static uint64_t extend(uint64_t u, uint8_t type)
{
	uint32_t unused = 64 - 8 * (type_size[type] ? type_size[type] : 8);

	u <<= unused;
	return classes[type] == CLASS_SIGNED ? (uint64_t)((int64_t)u >> unused) : u >> unused;
}

uint64_t operand_recast(uint64_t u, uint8_t from, uint8_t to)
{
	uint32_t unused = 64 - 8 * (type_size[from] ? type_size[from] : 8);

	return extend(u << unused >> unused, to);
}

struct quoted quote(struct str s)
{
	struct quoted q;
	uint32_t n = 1, room = sizeof q.text - 6;

	q.text[0] = '\'';
	for (uint32_t i = 0; i < s.len && i < room; i++) {
		unsigned char c = s.p[i];
		q.text[n++] = c < 32 || c == 127 ? '.' : c;
	}
	memcpy(q.text + n, s.len > room ? "...'" : "'", s.len > room ? 5 : 2);
	return q;
}

/* ------------------------------------------------------------------ numbers */

/*
 * Decimal, blanks and a sign in front allowed, nothing behind. What does not fit the type's bits is cut down to them, as
 * upstream reads numbers (sscanf(3) into the type): rules load there, and -1 is how they write "all ones" of an unsigned field.
 */
static int parse_integer(struct operand *o, uint8_t type, struct str text, struct err *err)
{
	char buf[64], *end;

	if (text.len == 0)
		return err_set(err, EINVAL, "a number is expected here, e.g. 42, not an empty text");
	if (text.len >= sizeof buf)
		return err_set(err, EINVAL, "%s is too long for a number", quote(text).text);
	memcpy(buf, text.p, text.len);
	buf[text.len] = 0;

	uint64_t u = classes[type] == CLASS_SIGNED ? (uint64_t)strtoll(buf, &end, 10) : strtoull(buf, &end, 10);
	if (end == buf || *end) {
		bool hex = (*end == 'x' || *end == 'X') && end > buf && end[-1] == '0';
		return err_set(err, EINVAL, "%s is no decimal number%s", quote(text).text,
			       hex ? "; hexadecimal is not understood here" : ", e.g. 42 or -1");
	}
	o->num.u = extend(u, type);
	return 0;
}

static int parse_double(struct operand *o, struct str text, struct err *err)
{
	struct operand whole;
	int rc = parse_integer(&whole, PT_INT32, text, err);

	if (rc)
		return memchr(text.p, '.', text.len) ?
			       err_set(err, EINVAL, "%s: only whole numbers can be compared with", quote(text).text) :
			       rc;
	o->num.d = (double)whole.num.i;
	return 0;
}

static int parse_bool(struct operand *o, struct str text, struct err *err)
{
	bool yes = str_eq(text, STR("true"));

	if (!yes && !str_eq(text, STR("false")))
		return err_set(err, EINVAL, "%s is neither true nor false", quote(text).text);
	o->num.u = yes;
	return 0;
}

/* A number, or the name of a service; an empty text is port 0. */
static int parse_port(struct operand *o, struct str text, struct err *err)
{
	char name[64];
	struct servent *service;

	o->num.u = 0;
	if (text.len == 0)
		return 0;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.p[i] >= '0' && text.p[i] <= '9')
			continue;
		if (text.len >= sizeof name)
			return err_set(err, EINVAL, "%s is too long for a service", quote(text).text);
		memcpy(name, text.p, text.len);
		name[text.len] = 0;
		if (!(service = getservbyname(name, NULL)))
			return err_set(err, EINVAL, "%s is neither a port number nor a service of /etc/services",
				       quote(text).text);
		o->num.u = ntohs(service->s_port);
		return 0;
	}
	/* upstream takes what fits an int, and of that the lower 16 bits */
	struct operand whole;
	if (parse_integer(&whole, PT_UINT64, text, NULL) || whole.num.u > INT32_MAX)
		return err_set(err, EINVAL, "%s: ports go up to 65535", quote(text).text);
	o->num.u = (uint16_t)whole.num.u;
	return 0;
}

/* ------------------------------------------------------------------ addresses */

static bool read_address(struct net *net, struct str text, int family)
{
	char buf[INET6_ADDRSTRLEN];

	if (text.len >= sizeof buf)
		return false;
	memcpy(buf, text.p, text.len);
	buf[text.len] = 0;
	net->addr_len = family == AF_INET ? 4 : 16;
	net->bits = net->addr_len * 8;
	return inet_pton(family, buf, net->addr) == 1;
}

/* A dot tells IPv4 from IPv6. */
static int address_family(struct str text)
{
	return memchr(text.p, '.', text.len) ? AF_INET : AF_INET6;
}

static int parse_address(struct operand *o, struct str text, struct arena *a, struct err *err)
{
	int family = address_family(text);
	char *bytes;

	if (!read_address(&o->net, text, family))
		return err_set(err, EINVAL, "%s is no %s address, e.g. %s", quote(text).text,
			       family == AF_INET ? "IPv4" : "IPv6", family == AF_INET ? "10.0.0.1" : "fe80::1");
	if (!(bytes = arena_get(a, o->net.addr_len)))
		return err_set(err, ENOMEM, "out of memory");
	memcpy(bytes, o->net.addr, o->net.addr_len);
	o->s = (struct str){ bytes, o->net.addr_len };
	return 0;
}

static int parse_net(struct operand *o, struct str text, struct err *err)
{
	int family = address_family(text), most = family == AF_INET ? 32 : 128;
	const char *slash = memchr(text.p, '/', text.len);
	struct operand bits;

	if (!slash)
		return err_set(err, EINVAL, "%s is no network: it needs a prefix length, e.g. %s", quote(text).text,
			       family == AF_INET ? "10.0.0.0/8" : "fe80::/10");
	struct str addr = { text.p, (uint32_t)(slash - text.p) };
	struct str length = { slash + 1, text.len - addr.len - 1 };
	if (!read_address(&o->net, addr, family))
		return err_set(err, EINVAL, "%s is no %s address, e.g. %s", quote(addr).text,
			       family == AF_INET ? "IPv4" : "IPv6", family == AF_INET ? "10.0.0.0/8" : "fe80::/10");
	if (parse_integer(&bits, PT_INT32, length, NULL) || bits.num.i < 0 || bits.num.i > most)
		return err_set(err, EINVAL, "%s: the prefix length must be a number from 0 to %d", quote(text).text,
			       most);
	o->net.bits = (uint8_t)bits.num.u;
	net_trim(&o->net);
	return 0;
}

/* ------------------------------------------------------------------ text */

static int hex_digit(unsigned char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static int parse_hex(struct operand *o, struct str text, struct arena *a, struct err *err)
{
	char *bytes = arena_get(a, text.len / 2 + 1);

	if (!bytes)
		return err_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < text.len; i += 2) {
		int hi = hex_digit(text.p[i]), lo = i + 1 < text.len ? hex_digit(text.p[i + 1]) : -1;

		if (hi < 0 || lo < 0)
			return err_set(err, EINVAL, "%s is not made of pairs of hexadecimal digits, e.g. 7f454c46",
				       quote(text).text);
		bytes[i / 2] = (char)(hi << 4 | lo);
	}
	o->s = (struct str){ bytes, text.len / 2 };
	return 0;
}

int operand_parse(struct operand *o, uint8_t type, bool hex, struct str text, struct arena *a, struct err *err)
{
	*o = (struct operand){ .s = { text.p ? text.p : "", text.len } };
	if (hex)
		return parse_hex(o, o->s, a, err);
	if (type_class(type) == CLASS_BYTES)
		return 0;
	if (text.len && memchr(text.p, 0, text.len))
		return err_set(err, EINVAL, "%s holds a NUL byte, which no value of this kind can", quote(text).text);
	switch (type_class(type)) {
	case CLASS_TEXT:
		return 0;
	case CLASS_SIGNED:
		return parse_integer(o, type, o->s, err);
	case CLASS_UNSIGNED:
		return type == PT_PORT ? parse_port(o, o->s, err) : parse_integer(o, type, o->s, err);
	case CLASS_DOUBLE:
		return parse_double(o, o->s, err);
	case CLASS_BOOL:
		return parse_bool(o, o->s, err);
	case CLASS_ADDR:
		return parse_address(o, o->s, a, err);
	case CLASS_NET:
		return parse_net(o, o->s, err);
	default:
		return err_set(err, EINVAL, "values of type %s cannot be compared", type_name(type));
	}
}

/* ------------------------------------------------------------------ event names */

/* Names that plugins' asynchronous events bring along. */
static const char *const async_names[] = { "container", "container_removed" };

/* The i-th name that evt.type can have; NULL: no more. Names repeat and may be empty. */
static const char *event_name_at(uint32_t i)
{
	if (i < EV_COUNT)
		return event_row(i)->name ? event_row(i)->name : "";
	i -= EV_COUNT;
	if (i < syscall_count())
		return syscall_name(i);
	i -= syscall_count();
	return i < sizeof async_names / sizeof async_names[0] ? async_names[i] : NULL;
}

int event_name_check(struct str name, struct err *err)
{
	const char *at, *best = NULL;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; (at = event_name_at(i)); i++) {
		uint32_t unlike = text_unlike(name, str_of(at));

		if (*at && str_eq(name, str_of(at)))
			return 0;
		if (*at && unlike < least) {
			best = at;
			least = unlike;
		}
	}
	if (best)
		return err_set(err, EINVAL, "there is no event type %s (did you mean '%s'?)", quote(name).text, best);
	return err_set(err, EINVAL, "there is no event type %s; --list-events shows all", quote(name).text);
}
