/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include "sock.h"

static uint16_t u16_at(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

bool sock_parse_addr(const struct param *p, struct sock_addr *a)
{
	*a = (struct sock_addr){ 0 };
	if (!p->len)
		return false;
	a->family = p->p[0];
	switch (a->family) {
	case FAMILY_INET:
	case FAMILY_INET6: {
		uint32_t n = a->family == FAMILY_INET ? 4 : 16;

		if (p->len < n + 3)
			return false;
		memcpy(a->ip, p->p + 1, n);
		a->port = u16_at(p->p + 1 + n);
		return true;
	}
	case FAMILY_UNIX:
		if (p->len < 2 || p->p[p->len - 1])
			return false;
		a->path = str_of((const char *)p->p + 1);
		return true;
	}
	return true;
}

bool sock_parse_tuple(const struct param *p, struct sock_tuple *t)
{
	*t = (struct sock_tuple){ 0 };
	if (!p->len)
		return false;
	t->family = p->p[0];
	switch (t->family) {
	case FAMILY_INET:
	case FAMILY_INET6: {
		uint32_t n = t->family == FAMILY_INET ? 4 : 16;

		if (p->len < 2 * n + 5)
			return false;
		memcpy(t->addr.src, p->p + 1, n);
		t->addr.sport = u16_at(p->p + 1 + n);
		memcpy(t->addr.dst, p->p + 3 + n, n);
		t->addr.dport = u16_at(p->p + 3 + 2 * n);
		return true;
	}
	case FAMILY_UNIX:
		if (p->len < 18 || p->p[p->len - 1])
			return false;
		memcpy(&t->unix_src, p->p + 1, 8);
		memcpy(&t->unix_dst, p->p + 9, 8);
		t->path = str_of((const char *)p->p + 17);
		return true;
	}
	return true;
}

bool sock_is_mapped(const uint8_t ip[16])
{
	static const uint8_t zero[16];

	return memcmp(ip, zero, 10) == 0 && ((ip[10] == 0xff && ip[11] == 0xff) || memcmp(ip + 10, zero, 6) == 0);
}

void sock_unmap(struct sock_tuple *t)
{
	if (t->family != FAMILY_INET6 || !sock_is_mapped(t->addr.src) || !sock_is_mapped(t->addr.dst))
		return;
	t->family = FAMILY_INET;
	memmove(t->addr.src, t->addr.src + 12, 4);
	memset(t->addr.src + 4, 0, 12);
	memmove(t->addr.dst, t->addr.dst + 12, 4);
	memset(t->addr.dst + 4, 0, 12);
}

/* Decimal digits of v; returns how many. Names are made for every connection, so printf is kept out of it. */
static uint32_t put_number(char *buf, uint32_t v)
{
	char digits[10];
	uint32_t n = 0, i;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (i = 0; i < n; i++)
		buf[i] = digits[n - 1 - i];
	return n;
}

static uint32_t ip_text(char *buf, bool v6, const uint8_t *ip)
{
	uint32_t n = 0;

	if (v6) {
		inet_ntop(AF_INET6, ip, buf, INET6_ADDRSTRLEN);
		return (uint32_t)strlen(buf);
	}
	for (int i = 0; i < 4; i++) {
		if (i)
			buf[n++] = '.';
		n += put_number(buf + n, ip[i]);
	}
	return n;
}

uint32_t sock_addr_text(char *buf, bool v6, const uint8_t *ip, uint16_t port)
{
	uint32_t n = ip_text(buf, v6, ip);

	buf[n++] = ':';
	return n + put_number(buf + n, port);
}

static uint32_t put_arrow(char *buf)
{
	buf[0] = '-';
	buf[1] = '>';
	return 2;
}

uint32_t sock_pair_text(char *buf, bool v6, const struct fd_addr *a)
{
	uint32_t n = sock_addr_text(buf, v6, a->src, a->sport);

	n += put_arrow(buf + n);
	return n + sock_addr_text(buf + n, v6, a->dst, a->dport);
}

uint32_t sock_name_text(char *buf, const struct fd_draft *d)
{
	bool v6 = d->type == FD_IPV6;
	struct sock_tuple t = { .family = v6 ? FAMILY_INET6 : FAMILY_INET, .addr = d->addr };

	sock_unmap(&t);
	v6 = t.family == FAMILY_INET6;
	switch (d->l4) {
	case L4_TCP:
	case L4_UDP:
		return sock_pair_text(buf, v6, &t.addr);
	case L4_RAW:
		if (d->type == FD_IPV6)		/* the reference has no form for raw IPv6 */
			break;
		[[fallthrough]];
	case L4_ICMP: {
		uint32_t n = ip_text(buf, v6, t.addr.src);

		n += put_arrow(buf + n);
		return n + ip_text(buf + n, v6, t.addr.dst);
	}
	}
	return (uint32_t)sprintf(buf, "<unknown>");
}

static bool is_zero(const uint8_t *ip, uint32_t n)
{
	static const uint8_t zero[16];
	return memcmp(ip, zero, n) == 0;
}

void sock_fill_own_end(const struct ifaces *ifaces, struct fd_draft *d)
{
	bool v6 = d->type == FD_IPV6;
	uint32_t n = v6 ? 16 : 4;
	uint8_t own[16];
	uint8_t *empty, *peer;

	if (d->type != FD_IPV4 && d->type != FD_IPV6)
		return;
	if (is_zero(d->addr.src, n)) {
		empty = d->addr.src;
		peer = d->addr.dst;
	} else if (is_zero(d->addr.dst, n)) {
		empty = d->addr.dst;
		peer = d->addr.src;
	} else {
		return;
	}
	if (v6)
		iface_guess_v6(ifaces, peer, own);
	else
		iface_guess_v4(ifaces, peer, own);
	if (memcmp(own, peer, n) == 0 && d->addr.sport == d->addr.dport)
		return;
	memcpy(empty, own, n);
}

/* ------------------------------------------------------------------ parameters as text */

static bool keep(struct arena *scratch, struct str *text, const char *s, uint32_t len)
{
	char *p = arena_get(scratch, len + 1ull);

	if (!p)
		return false;
	memcpy(p, s, len);
	p[len] = 0;
	*text = (struct str){ p, len };
	return true;
}

static bool broken_text(struct arena *scratch, const struct param *p, const char *empty, struct str *text)
{
	const char *s = !p->len ? empty
		      : p->p[0] == FAMILY_UNIX ? "INVALID PATH"
		      : p->p[0] == FAMILY_INET ? "INVALID IPv4"
		      : "INVALID IPv6";
	return keep(scratch, text, s, (uint32_t)strlen(s));
}

bool sock_tuple_param_text(struct arena *scratch, const struct param *p, struct str *text)
{
	struct sock_tuple t;
	char buf[SOCK_TEXT];
	uint32_t n;

	if (!sock_parse_tuple(p, &t))
		return broken_text(scratch, p, "NULL", text);
	sock_unmap(&t);
	switch (t.family) {
	case FAMILY_UNIX: {
		char *s = arena_get(scratch, t.path.len + 40ull);

		if (!s)
			return false;
		n = (uint32_t)sprintf(s, "%llx->%llx ", (unsigned long long)t.unix_src, (unsigned long long)t.unix_dst);
		memcpy(s + n, t.path.p, t.path.len);
		s[n + t.path.len] = 0;
		*text = (struct str){ s, n + t.path.len };
		return true;
	}
	case FAMILY_INET:
	case FAMILY_INET6:
		n = sock_pair_text(buf, t.family == FAMILY_INET6, &t.addr);
		break;
	default:
		n = (uint32_t)sprintf(buf, "family %d", t.family);
	}
	return keep(scratch, text, buf, n);
}

bool sock_addr_param_text(struct arena *scratch, const struct param *p, struct str *text)
{
	struct sock_addr a;
	char buf[SOCK_TEXT];
	uint32_t n;

	if (!sock_parse_addr(p, &a))
		return broken_text(scratch, p, "<NA>", text);
	switch (a.family) {
	case FAMILY_UNIX:
		return keep(scratch, text, a.path.p, a.path.len);
	case FAMILY_INET:
	case FAMILY_INET6:
		n = sock_addr_text(buf, a.family == FAMILY_INET6, a.ip, a.port);
		break;
	default:
		n = (uint32_t)sprintf(buf, "family %d", a.family);
	}
	return keep(scratch, text, buf, n);
}
