/* SPDX-License-Identifier: Apache-2.0 */
/* What socket events do to descriptors: kinds, addresses, names, and who is client and who is server. */
#include <errno.h>
#include <stdio.h>
#include "parse.h"
#include "sock.h"

enum { TYPE_STREAM = 1, TYPE_DGRAM = 2, TYPE_RAW = 3, TYPE_MASK = 0xff };	/* socket types, socket(2) */
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_RAW = 255 };			/* protocol numbers, RFC 1700 */

/* ------------------------------------------------------------------ socket, socketpair */

static uint8_t l4_of(uint32_t type, uint32_t protocol)
{
	bool raw = type == TYPE_RAW;

	switch (protocol) {
	case 0:
		return (type & TYPE_MASK) == TYPE_STREAM ? L4_TCP : (type & TYPE_MASK) == TYPE_DGRAM ? L4_UDP : L4_UNKNOWN;
	case IP_TCP:
		return raw ? L4_RAW : L4_TCP;
	case IP_UDP:
		return raw ? L4_RAW : L4_UDP;
	case IP_ICMP:
		return raw ? L4_RAW : L4_ICMP;
	case IP_RAW:
		return L4_RAW;
	}
	return L4_UNKNOWN;
}

static void add_socket(struct evt *e, int64_t fd, uint32_t domain, uint32_t type, uint32_t protocol, uint32_t flags)
{
	struct fd_draft d = { .openflags = flags };

	switch (domain) {
	case FAMILY_UNIX:
		d.type = FD_UNIX;
		break;
	case FAMILY_INET:
	case FAMILY_INET6:
		d.type = domain == FAMILY_INET ? FD_IPV4 : FD_IPV6;
		d.l4 = l4_of(type, protocol);
		break;
	case FAMILY_NETLINK:
		d.type = FD_NETLINK;
		break;
	}
	event_add_fd(e, fd, &d);
}

void parse_socket(struct evt *e)
{
	int64_t fd;

	if (e->thread && param_int(e, 0, &fd) && fd >= 0)
		add_socket(e, fd, (uint32_t)param_int_or(e, 1, 0), (uint32_t)param_int_or(e, 2, 0),
			   (uint32_t)param_int_or(e, 3, 0), (uint32_t)param_int_or(e, 4, 0));
}

void parse_socketpair(struct evt *e)
{
	int64_t res, fd1 = param_int_or(e, 1, -1), fd2 = param_int_or(e, 2, -1);
	struct fd_draft d = { .type = FD_UNIX, .unix_src = (uint64_t)param_int_or(e, 3, 0),
			      .unix_dst = (uint64_t)param_int_or(e, 4, 0) };

	if (!e->thread || !param_int(e, 0, &res) || res < 0)
		return;
	if (fd1 == fd2) {
		e->fd = NULL;
		return;
	}
	event_add_fd(e, fd1, &d);
	struct fd_rec *first = e->fd;
	event_add_fd(e, fd2, &d);
	e->fd = first;
}

/* ------------------------------------------------------------------ bind */

void parse_bind(struct evt *e)
{
	struct param p = event_param(e, 1);
	struct sock_addr a;
	struct str name;
	int64_t res;

	if (!e->fd || !param_int(e, 0, &res) || res < 0 || !sock_parse_addr(&p, &a))
		return;
	struct fd_draft d = e->fd->d;
	if ((a.family == FAMILY_INET || a.family == FAMILY_INET6) && a.port) {
		bool v4 = a.family == FAMILY_INET || sock_is_mapped(a.ip);

		d.type = v4 ? FD_IPV4_LISTEN : FD_IPV6_LISTEN;
		memset(&d.addr, 0, sizeof d.addr);
		memcpy(d.addr.dst, a.family == FAMILY_INET6 && v4 ? a.ip + 12 : a.ip, v4 ? 4 : 16);
		d.addr.dport = a.port;
		d.bits |= FD_SERVER;
	}
	if (!sock_addr_param_text(e->scratch, &p, &name))
		return;
	d.name = name;
	event_change_fd(e, &d);
}

/* ------------------------------------------------------------------ tuples */

static void swap_ends(struct fd_draft *d)
{
	struct fd_addr a = d->addr;

	memcpy(d->addr.src, a.dst, 16);
	memcpy(d->addr.dst, a.src, 16);
	d->addr.sport = a.dport;
	d->addr.dport = a.sport;
}

static bool same_end(const uint8_t *ip1, uint16_t port1, const uint8_t *ip2, uint16_t port2, uint32_t n)
{
	return port1 == port2 && memcmp(ip1, ip2, n) == 0;
}

/* Takes over the two ends of a tuple. false: they are known already, in this order or the other. */
static bool set_ends(struct fd_draft *d, const struct fd_addr *a, bool v6)
{
	uint32_t n = v6 ? 16 : 4;

	if (d->type == (v6 ? FD_IPV6 : FD_IPV4) && same_end(a->dst, a->dport, d->addr.src, d->addr.sport, n) &&
	    same_end(a->src, a->sport, d->addr.dst, d->addr.dport, n))
		return false;
	if (same_end(a->src, a->sport, d->addr.src, d->addr.sport, n) &&
	    same_end(a->dst, a->dport, d->addr.dst, d->addr.dport, n))
		return false;
	memcpy(d->addr.src, a->src, n);
	memcpy(d->addr.dst, a->dst, n);
	d->addr.sport = a->sport;
	d->addr.dport = a->dport;
	return true;
}

/*
 * A bound IPv6 datagram socket that gets a tuple stays a listener. In the reference the tuple then lies where the
 * listener's address, port and protocol are: what those show from now on is the source address, and the first bytes of the
 * destination address. A later connect still knows the tuple, so it is kept: destination address and port where a listener
 * has no use for them, source port and the protocol proper in the numbers of unix sockets.
 */
static struct fd_addr kept_tuple(const struct fd_draft *d)
{
	struct fd_addr a = { .sport = (uint16_t)d->unix_src, .dport = d->addr.sport };

	memcpy(a.src, d->addr.dst, 16);
	memcpy(a.dst, d->addr.src, 16);
	return a;
}

static bool listener_takes(struct fd_draft *d, const struct fd_addr *a)
{
	if (d->bits & FD_TUPLE_KEPT) {
		struct fd_addr known = kept_tuple(d);

		if (same_end(known.src, known.sport, a->src, a->sport, 16) && same_end(known.dst, known.dport, a->dst, a->dport, 16))
			return false;
	} else {
		d->unix_dst = d->l4;
	}
	d->bits |= FD_TUPLE_KEPT;
	memcpy(d->addr.dst, a->src, 16);
	memcpy(&d->addr.dport, a->dst, 2);
	memcpy(d->addr.src, a->dst, 16);
	d->addr.sport = a->dport;
	d->unix_src = a->sport;
	d->l4 = a->dst[2] <= L4_RAW ? a->dst[2] : L4_NA;
	return true;
}

static void stop_listening(struct fd_draft *d)
{
	if (!(d->bits & FD_TUPLE_KEPT))
		return;
	d->addr = kept_tuple(d);
	d->l4 = (uint8_t)d->unix_dst;
	d->unix_src = d->unix_dst = 0;
	d->bits &= (uint16_t)~FD_TUPLE_KEPT;
}

/*
 * The record becomes an IPv4 connection. An IPv6 socket used with mapped addresses keeps its protocol elsewhere: the
 * reference finds it where the last bytes of an IPv6 source address begin, which for an unused socket is "unknown".
 */
static void become_v4(struct fd_draft *d)
{
	if (d->type == FD_IPV6)
		d->l4 = d->addr.src[12];
	else if (d->type == FD_IPV6_LISTEN)
		d->l4 = d->addr.dst[12];
	d->type = FD_IPV4;
}

/* ------------------------------------------------------------------ connect */

/*
 * The destination that was really used. The exit event's tuple comes from the kernel, unless it merely repeats the
 * address argument: then the address seen at entry, which no other thread could change in between, is the better one.
 */
static void settle_destination(struct sock_tuple *t, const struct sock_addr *at_exit, const struct sock_addr *at_entry)
{
	if (!at_exit || !at_entry || at_exit->family != t->family || at_entry->family != t->family)
		return;
	if (t->family == FAMILY_UNIX) {
		if (str_eq(t->path, at_exit->path))
			t->path = at_entry->path;
		return;
	}
	if (same_end(t->addr.dst, t->addr.dport, at_exit->ip, at_exit->port, t->family == FAMILY_INET ? 4 : 16)) {
		memcpy(t->addr.dst, at_entry->ip, 16);
		t->addr.dport = at_entry->port;
	}
}

/* No tuple: the address at entry is all there is. */
static void connect_by_address(struct evt *e, struct fd_draft *d, const struct sock_addr *a)
{
	struct param tuple = event_param(e, 1);

	switch (a->family) {
	case FAMILY_INET6:
		if (!sock_is_mapped(a->ip)) {
			stop_listening(d);
			d->type = FD_IPV6;
			memcpy(d->addr.dst, a->ip, 16);
			d->addr.dport = a->port;
			break;
		}
		[[fallthrough]];
	case FAMILY_INET:
		become_v4(d);
		memcpy(d->addr.dst, a->family == FAMILY_INET6 ? a->ip + 12 : a->ip, 4);
		d->addr.dport = a->port;
		break;
	default:
		if (!sock_tuple_param_text(e->scratch, &tuple, &d->name))
			return;
	}
	event_change_fd(e, d);
}

void parse_connect(struct evt *e)
{
	const struct stored *enter = stored_for(e);
	struct param tuple_param = event_param(e, 1), addr_param = event_param(e, 3);
	struct sock_addr at_entry, at_exit;
	struct sock_tuple t;
	char buf[SOCK_TEXT];
	int64_t res;

	if (!e->thread || !e->fd || !param_int(e, 0, &res) || (res < 0 && res != -EINPROGRESS))
		return;
	struct fd_draft d = e->fd->d;
	d.bits |= FD_CONNECTED;
	bool has_entry = enter && enter->nparams > 1 && sock_parse_addr(&enter->param[1], &at_entry);
	if (!tuple_param.len) {
		if (has_entry)
			connect_by_address(e, &d, &at_entry);
		else
			event_change_fd(e, &d);
		return;
	}
	bool has_exit = sock_parse_addr(&addr_param, &at_exit);
	if (!sock_parse_tuple(&tuple_param, &t))
		return;
	settle_destination(&t, has_exit ? &at_exit : NULL, has_entry ? &at_entry : NULL);

	if (t.family == FAMILY_INET || t.family == FAMILY_INET6) {
		sock_unmap(&t);
		if (t.family == FAMILY_INET)
			become_v4(&d);
		else
			stop_listening(&d);
		d.type = t.family == FAMILY_INET ? FD_IPV4 : FD_IPV6;
		bool changed = set_ends(&d, &t.addr, d.type == FD_IPV6);
		if (changed && d.bits & FD_SERVER && d.type == FD_IPV4 && d.l4 == L4_UDP)
			swap_ends(&d);
		d.name = (struct str){ buf, sock_name_text(buf, &d) };
	} else {
		if (d.type != FD_UNIX)
			return;
		d.unix_src = t.unix_src;
		d.unix_dst = t.unix_dst;
		char *text = arena_get(e->scratch, t.path.len + 40ull);
		if (!text)
			return;
		int n = sprintf(text, "%llx->%llx ", (unsigned long long)t.unix_src, (unsigned long long)t.unix_dst);
		memcpy(text + n, t.path.p, t.path.len);
		d.name = (struct str){ text, (uint32_t)n + t.path.len };
	}
	if (!(d.bits & (FD_CLIENT | FD_SERVER)))
		d.bits |= FD_CLIENT;
	event_change_fd(e, &d);
}

/* ------------------------------------------------------------------ accept */

void parse_accept(struct evt *e)
{
	struct param p = event_param(e, 1);
	struct fd_draft d = { .bits = FD_SERVER | FD_CONNECTED };
	struct sock_tuple t;
	int64_t fd;

	if (!e->thread || !param_int(e, 0, &fd) || fd < 0)
		return;
	e->thread->last_fd = fd;
	if (!sock_parse_tuple(&p, &t) || !sock_tuple_param_text(e->scratch, &p, &d.name))
		return;
	sock_unmap(&t);
	switch (t.family) {
	case FAMILY_INET:
	case FAMILY_INET6:
		d.type = t.family == FAMILY_INET6 ? FD_IPV6 : FD_IPV4;
		d.l4 = L4_TCP;
		d.addr = t.addr;
		break;
	case FAMILY_UNIX:
		d.type = FD_UNIX;
		d.unix_src = t.unix_src;
		d.unix_dst = t.unix_dst;
		break;
	default:
		return;
	}
	if (e->h.code == EV_SOCKET_ACCEPT4_6_X)
		d.openflags = (uint32_t)param_int_or(e, 5, 0) & OPEN_CLOEXEC;
	event_add_fd(e, fd, &d);
}

/* ------------------------------------------------------------------ send, receive */

/* Does some IPv4 connection or listener of the process have this port at its second end? */
static bool has_server_port(const struct fdtable *fds, uint16_t port)
{
	struct fd_rec *r;
	int64_t fd;

	for (uint32_t pos = 0; fdtable_next(fds, &pos, &fd, &r);)
		if (fd_is_v4(r) && r->d.addr.dport == port)
			return true;
	return false;
}

static bool has_client_port(const struct fdtable *fds, uint16_t port)
{
	struct fd_rec *r;
	int64_t fd;

	for (uint32_t pos = 0; fdtable_next(fds, &pos, &fd, &r);)
		if (r->d.type == FD_IPV4 && r->d.addr.sport == port)
			return true;
	return false;
}

/*
 * Client or server, when neither connect nor accept told. An IPv4 socket finds its own ports in the table, so only the
 * direction is left to decide by. For IPv6 the reference takes the ports from the place an IPv4 record has them, which is
 * inside the source address.
 */
static void guess_role(const struct evt *e, struct fd_draft *d, bool receiving)
{
	const struct fdtable *fds = thread_fds(e->st->threads, e->thread);
	uint16_t sport, dport;

	memcpy(&sport, d->addr.src + 8, 2);
	memcpy(&dport, d->addr.src + 10, 2);
	if (d->type == FD_IPV6 && !has_server_port(fds, dport))
		d->bits |= FD_CLIENT;
	else if (d->type == FD_IPV6 && !has_client_port(fds, sport))
		d->bits |= FD_SERVER;
	else
		d->bits |= receiving ? FD_SERVER : FD_CLIENT;
}

/* Takes the tuple of a datagram over into the record. false: nothing new in it. */
static bool take_tuple(const struct evt *e, struct fd_draft *d, const struct param *p, char buf[SOCK_TEXT], bool receiving)
{
	struct sock_tuple t;

	if (!sock_parse_tuple(p, &t))
		return false;
	sock_unmap(&t);
	switch (t.family) {
	case FAMILY_INET:
		become_v4(d);
		if (!set_ends(d, &t.addr, false))
			return false;
		break;
	case FAMILY_INET6:
		if (d->type == FD_IPV6_LISTEN) {
			if (!listener_takes(d, &t.addr))
				return false;
		} else if (!set_ends(d, &t.addr, true)) {
			return false;
		}
		break;
	case FAMILY_UNIX:
		d->type = FD_UNIX;
		d->unix_src = t.unix_src;
		d->unix_dst = t.unix_dst;
		return sock_tuple_param_text(e->scratch, p, &d->name);
	default:
		return sock_tuple_param_text(e->scratch, p, &d->name);
	}
	if (d->type != FD_IPV4 && d->type != FD_IPV6)
		return sock_tuple_param_text(e->scratch, p, &d->name);
	if (d->l4 == L4_UNKNOWN)
		d->l4 = L4_UDP;
	sock_fill_own_end(e->st->ifaces, d);
	if (!(d->bits & (FD_CLIENT | FD_SERVER)))
		guess_role(e, d, receiving);
	if (d->bits & (receiving ? FD_CLIENT : FD_SERVER))
		swap_ends(d);
	d->name = (struct str){ buf, sock_name_text(buf, d) };
	return true;
}

static bool is_ip_connection(const struct fd_draft *d)
{
	return d->type == FD_IPV4 || d->type == FD_IPV6;
}

/* Common end of reads and writes: mark the socket connected, take over the tuple the event may carry (-1: none). */
static void after_transfer(struct evt *e, int tuple_param, bool receiving)
{
	struct fd_draft d = e->fd->d;
	char buf[SOCK_TEXT];
	bool changed = false;

	if (is_ip_connection(&d) && !(d.bits & FD_CONNECTED)) {
		d.bits |= FD_CONNECTED;
		changed = true;
	}
	if (tuple_param >= 0 && (!d.name.len || !(d.type == FD_IPV4 && d.l4 == L4_TCP))) {
		struct param p = event_param(e, (uint32_t)tuple_param);
		struct fd_draft taken = d;

		if (take_tuple(e, &taken, &p, buf, receiving)) {
			d = taken;
			changed = true;
		} else if (taken.type != d.type) {
			d.type = taken.type;
			d.addr = taken.addr;
			changed = true;
		}
	}
	if (changed)
		event_change_fd(e, &d);
}

static bool transferred(const struct evt *e)
{
	int64_t res;
	return e->thread && e->fd && param_int(e, 0, &res) && res >= 0;
}

/*
 * Descriptors that another process sent along (SCM_RIGHTS): the control data has their numbers, and only the host knows what
 * they are. A recording tells them as events of their own, so a reader does not ask.
 *
 *	control data:	| u64 length | u32 level | u32 type | length - 16 bytes, and up to 8 to round |  and again
 */
static void look_up_received(struct evt *e, uint32_t control_param)
{
	enum { LEVEL_SOCKET = 1, TYPE_RIGHTS = 1, HEAD = 16 };
	struct param p = event_param(e, control_param);
	const struct lookup *host = e->st->lookup;
	int64_t pid = e->thread->pid;

	for (uint64_t at = 0, len; p.len - at >= HEAD; at += (len + 7) & ~7ull) {
		uint32_t kind[2];

		memcpy(&len, p.p + at, 8);
		memcpy(kind, p.p + at + 8, 8);
		if (len < HEAD || len > p.len - at)
			return;
		if (kind[0] == LEVEL_SOCKET && kind[1] == TYPE_RIGHTS) {
			for (uint64_t i = HEAD; i + 4 <= len; i += 4) {
				int32_t fd;

				memcpy(&fd, p.p + at + i, 4);
				host->fd(host->ctx, pid, fd);
			}
		}
		if (((len + 7) & ~7ull) >= p.len - at)
			return;
	}
}

void parse_receive(struct evt *e)
{
	int64_t res;

	if (e->st->lookup && (e->h.code == EV_SOCKET_RECVMSG_X || e->h.code == EV_SOCKET_RECVMMSG_X) && e->thread &&
	    param_int(e, 0, &res) && res >= 0)
		look_up_received(e, e->h.code == EV_SOCKET_RECVMSG_X ? 4 : 5);
	int tuple = e->h.code == EV_SOCKET_RECVFROM_X ? 2
		  : e->h.code == EV_SOCKET_RECVMSG_X ? 3
		  : e->h.code == EV_SOCKET_RECVMMSG_X || e->h.code == EV_SOCKET_RECV_X ? 4 : -1;

	/* nearly all reads are from files and pipes */
	if (transferred(e) && (tuple >= 0 || is_ip_connection(&e->fd->d)))
		after_transfer(e, tuple, true);
}

void parse_send(struct evt *e)
{
	bool single = e->h.code == EV_SOCKET_SEND_X || e->h.code == EV_SOCKET_SENDTO_X || e->h.code == EV_SOCKET_SENDMSG_X;
	int tuple = single || e->h.code == EV_SOCKET_SENDMMSG_X ? 4 : -1;
	struct param p = event_param(e, 4);
	int64_t res, fd;

	/* the socket() call was missed: take it for UDP, the likeliest to show an address here */
	if (single && e->thread && !e->fd && param_int(e, 0, &res) && res >= 0 && p.len &&
	    (p.p[0] == FAMILY_INET || p.p[0] == FAMILY_INET6) && param_int(e, 2, &fd))
		add_socket(e, fd, p.p[0], TYPE_DGRAM, IP_UDP, 0);
	if (transferred(e) && (tuple >= 0 || is_ip_connection(&e->fd->d)))
		after_transfer(e, tuple, false);
}
