/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets by inode, from the tables of network namespaces.
 *
 * The kernel prints the name of a UNIX socket as its owner chose it, line ends included, so a name can pose as lines
 * about other sockets. A socket that two lines tell differently about has no name here, and what another table says
 * of an inode is not replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include "procfs_read.h"

struct sock_entry {
	uint64_t unix_addr;
	uint8_t type, l4;
	struct fd_addr addr;
	uint16_t name_len;
	char name[];
};

enum { UNIX_NAME_MAX = 108, DEADLINE_EVERY = 256 };

void sock_tables_init(struct sock_tables *t)
{
	*t = (struct sock_tables){ .bytes.limit = PROCFS_MAX_SOCKET_BYTES };
}

void sock_tables_clear(struct sock_tables *t)
{
	map_free(&t->by_ino);
	map_free(&t->namespaces);
	arena_reset(&t->bytes);
	t->since_ns = 0;
}

void sock_tables_free(struct sock_tables *t)
{
	sock_tables_clear(t);
	arena_free(&t->bytes);
}

static void add(struct sock_tables *t, uint64_t ino, const struct sock_entry *e, struct str name)
{
	struct sock_entry *old, *copy;

	if (!ino)			/* connections that wait to be accepted, or are over, are nobody's */
		return;
	if ((old = map_get(&t->by_ino, ino))) {
		if (old->type == FD_UNIX && !str_eq((struct str){ old->name, old->name_len }, name))
			old->name_len = 0;
		return;
	}
	if (!(copy = arena_get(&t->bytes, sizeof *copy + name.len)) || !map_put(&t->by_ino, ino, copy)) {
		t->overflow++;
		return;
	}
	*copy = *e;
	copy->name_len = (uint16_t)name.len;
	memcpy(copy->name, name.p, name.len);
}

/* ------------------------------------------------------------------ one line */

/* HEX:PORT, the address in the machine's words. */
static bool take_address(struct scan *line, uint32_t words, uint8_t addr[16], uint16_t *port)
{
	struct str text = scan_word(line);
	struct scan s = scan_of(text);
	uint64_t v;

	for (uint32_t i = 0; i < words; i++) {
		struct scan word = { s.p, s.p + 8 };
		uint32_t w;

		if (s.end - s.p < 8 || !scan_u64(&word, 16, &v) || word.p != word.end)
			return false;
		w = (uint32_t)v;
		memcpy(addr + i * 4, &w, 4);
		s.p = word.p;
	}
	if (!scan_is(&s, ":") || !scan_u64(&s, 16, &v) || v > UINT16_MAX)
		return false;
	*port = (uint16_t)v;
	return true;
}

uint8_t sock_settle(struct fd_addr *a, bool v6)
{
	static const uint8_t none[16];

	if (memcmp(a->dst, none, sizeof none) != 0)
		return v6 ? FD_IPV6 : FD_IPV4;
	memcpy(a->dst, a->src, sizeof a->dst);
	a->dport = a->sport;
	memset(a->src, 0, sizeof a->src);
	a->sport = 0;
	return v6 ? FD_IPV6_LISTEN : FD_IPV4_LISTEN;
}

static void take_ip(struct sock_tables *t, struct scan line, uint32_t words, uint8_t l4)
{
	struct sock_entry e = { .l4 = l4 };
	uint64_t ino;

	scan_word(&line);		/* its place in the table */
	if (!take_address(&line, words, e.addr.src, &e.addr.sport) ||
	    !take_address(&line, words, e.addr.dst, &e.addr.dport))
		return;
	scan_skip(&line, 6);		/* state, queues, timer, retransmits, uid, timeout */
	if (!scan_u64(&line, 10, &ino))
		return;
	e.type = sock_settle(&e.addr, words == 4);
	add(t, ino, &e, STR(""));
}

static void take_v4(struct sock_tables *t, struct scan line, uint8_t l4)
{
	take_ip(t, line, 1, l4);
}

static void take_v6(struct sock_tables *t, struct scan line, uint8_t l4)
{
	take_ip(t, line, 4, l4);
}

static void take_unix(struct sock_tables *t, struct scan line, uint8_t l4)
{
	struct sock_entry e = { .type = FD_UNIX, .l4 = l4 };
	struct str name;
	uint64_t ino;

	if (!scan_u64(&line, 16, &e.unix_addr) || !scan_is(&line, ":"))
		return;
	scan_skip(&line, 5);		/* references, protocol, flags, type, state */
	if (!scan_u64(&line, 10, &ino))
		return;
	scan_is(&line, " ");
	name = scan_rest(&line);
	name.len = name.len < UNIX_NAME_MAX ? name.len : UNIX_NAME_MAX;
	add(t, ino, &e, name);
}

static void take_netlink(struct sock_tables *t, struct scan line, uint8_t l4)
{
	struct sock_entry e = { .type = FD_NETLINK, .l4 = l4 };
	uint64_t ino;

	scan_skip(&line, 9);		/* address, protocol, port, groups, memory, dumps, locks, drops */
	if (scan_u64(&line, 10, &ino))
		add(t, ino, &e, STR(""));
}

/* ------------------------------------------------------------------ all tables of a namespace */

static const struct {
	const char *file;
	void (*take)(struct sock_tables *t, struct scan line, uint8_t l4);
	uint8_t l4;
} tables[] = {
	{ "net/tcp", take_v4, L4_TCP }, { "net/udp", take_v4, L4_UDP }, { "net/raw", take_v4, L4_RAW },
	{ "net/tcp6", take_v6, L4_TCP }, { "net/udp6", take_v6, L4_UDP }, { "net/raw6", take_v6, L4_RAW },
	{ "net/netlink", take_netlink, L4_UNKNOWN }, { "net/unix", take_unix, L4_UNKNOWN },
};

void sock_tables_read(struct sock_tables *t, int dir, uint64_t ns, char *buf, uint64_t deadline)
{
	struct lines l;
	struct scan line;

	if (map_get(&t->namespaces, ns) || !map_put(&t->namespaces, ns, t))
		return;
	if (!t->since_ns)
		t->since_ns = procfs_now();
	for (uint32_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		if (!lines_open(&l, dir, tables[i].file, buf))
			continue;
		lines_next(&l, &line);		/* the heading */
		for (uint32_t n = 1; lines_next(&l, &line); n++) {
			tables[i].take(t, line, tables[i].l4);
			if (deadline && n % DEADLINE_EVERY == 0 && procfs_now() > deadline)
				break;
		}
		lines_close(&l);
	}
}

bool sock_tables_find(const struct sock_tables *t, uint64_t ino, struct fd_draft *d)
{
	const struct sock_entry *e = map_get(&t->by_ino, ino);

	if (!e)
		return false;
	d->type = e->type;
	d->l4 = e->l4;
	d->addr = e->addr;
	d->unix_src = e->unix_addr;
	d->name = (struct str){ e->name, e->name_len };
	return true;
}
