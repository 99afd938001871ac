/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sockets, their addresses, and the data that calls move. */
#ifndef FALCO_DRIVER_NET_BPF_H
#define FALCO_DRIVER_NET_BPF_H

#include "put.bpf.h"
#include "task.bpf.h"

enum {
	FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10,
	UNIX_PATH = 108,
	MAX_IOV = 32,
	SNAPLEN_PORT = 16000, SNAPLEN_CONTENT = 2000, SNAPLEN_DNS = 512,
};

enum direction { OUTBOUND, INBOUND };

struct user_inet {
	__u16 family;
	__be16 port;
	__be32 addr;
};

struct user_inet6 {
	__u16 family;
	__be16 port;
	__u32 flow;
	__u32 addr[4];
};

INLINE struct sock *sock_of(struct task_struct *task, __s32 fd)
{
	enum { SOCKFS_MAGIC = 0x534F434B, S_IFMT = 0170000, S_IFSOCK = 0140000 };
	struct file *file = file_of(task, fd);
	struct inode *inode = file ? READ(file, f_inode) : NULL;
	struct socket *socket;

	if (!inode || (READ(inode, i_mode) & S_IFMT) != S_IFSOCK ||
	    READ(inode, i_sb, s_magic) != SOCKFS_MAGIC)
		return NULL;
	socket = READ(file, private_data);
	return socket ? READ(socket, sk) : NULL;
}

INLINE __u16 ntoh16(__be16 v)
{
	return v >> 8 | v << 8;
}

INLINE void raw_addr6(struct fill *f, const __u32 addr[4])
{
	__builtin_memcpy(&f->s->data[f->pos & DATA_MASK], addr, 16);
	f->pos += 16;
}

/* The path that lies in s->input, as a name: of an abstract one without its NUL. */
INLINE void raw_unix_path(struct fill *f)
{
	struct scratch *s = f->s;

	s->input[UNIX_PATH] = 0;
	raw_text(f, s->input + (s->input[0] ? 0 : 1), UNIX_PATH + 1);
}

/* ------------------------------------------------------------------ addresses as processes give them */

SUB int put_sockaddr(struct fill *f, __u64 from, __u64 len)
{
	struct scratch *s = f->s;
	__u64 start = f->pos, n = len > 128 ? 128 : len;
	__u16 family;

	asm volatile("" : "+r"(n));
	n &= 255;
	__builtin_memset(s->input, 0, 128);
	if (!len || !from || bpf_probe_read_user(s->input, n, (void *)from)) {
		put_empty(f);
		return 0;
	}
	family = *(__u16 *)s->input;
	if (family == FAMILY_INET) {
		struct user_inet *in = (void *)s->input;

		raw_u8(f, family);
		raw_u32(f, in->addr);
		raw_u16(f, ntoh16(in->port));
	} else if (family == FAMILY_INET6) {
		struct user_inet6 *in = (void *)s->input;

		raw_u8(f, family);
		raw_addr6(f, in->addr);
		raw_u16(f, ntoh16(in->port));
	} else if (family == FAMILY_UNIX) {
		raw_u8(f, family);
		s->input[2 + UNIX_PATH] = 0;
		raw_text(f, s->input + (s->input[2] ? 2 : 3), UNIX_PATH + 1);
	}
	put_len(f, f->pos - start);
	return 0;
}

/* ------------------------------------------------------------------ both ends of a socket */

INLINE void raw_tuple4(struct fill *f, struct sock *sk, enum direction dir, __u64 name)
{
	struct inet_sock *inet = (struct inet_sock *)sk;
	struct user_inet given = { 0 };
	__u32 here = READ(inet, inet_saddr), there = READ(sk, __sk_common.skc_daddr);
	__u16 hport = READ(inet, inet_sport), tport = READ(sk, __sk_common.skc_dport);

	if (!tport && name) {
		bpf_probe_read_user(&given, sizeof given, (void *)name);
		there = given.addr;
		tport = given.port;
	}
	raw_u8(f, FAMILY_INET);
	raw_u32(f, dir == OUTBOUND ? here : there);
	raw_u16(f, ntoh16(dir == OUTBOUND ? hport : tport));
	raw_u32(f, dir == OUTBOUND ? there : here);
	raw_u16(f, ntoh16(dir == OUTBOUND ? tport : hport));
}

INLINE void raw_tuple6(struct fill *f, struct sock *sk, enum direction dir, __u64 name)
{
	struct inet_sock *inet = (struct inet_sock *)sk;
	struct ipv6_pinfo *info = READ(inet, pinet6);
	struct user_inet6 given = { 0 };
	__u32 here[4] = { 0 }, there[4] = { 0 };
	__u16 hport = READ(inet, inet_sport), tport = READ(sk, __sk_common.skc_dport);

	bpf_core_read(here, sizeof here, &info->saddr);
	bpf_core_read(there, sizeof there, &sk->__sk_common.skc_v6_daddr);
	if (!tport && name) {
		bpf_probe_read_user(&given, sizeof given, (void *)name);
		__builtin_memcpy(there, given.addr, sizeof there);
		tport = given.port;
	}
	raw_u8(f, FAMILY_INET6);
	raw_addr6(f, dir == OUTBOUND ? here : there);
	raw_u16(f, ntoh16(dir == OUTBOUND ? hport : tport));
	raw_addr6(f, dir == OUTBOUND ? there : here);
	raw_u16(f, ntoh16(dir == OUTBOUND ? tport : hport));
}

INLINE void raw_tuple_unix(struct fill *f, struct sock *sk, enum direction dir, __u64 name)
{
	struct scratch *s = f->s;
	struct unix_sock *here = (struct unix_sock *)sk;
	struct sock *there = READ(here, peer);
	struct unix_sock *named = dir == OUTBOUND ? (struct unix_sock *)there : here;

	__builtin_memset(s->input, 0, UNIX_PATH);
	raw_u8(f, FAMILY_UNIX);
	raw_u64(f, dir == OUTBOUND ? (__u64)there : (__u64)sk);
	raw_u64(f, dir == OUTBOUND ? (__u64)sk : (__u64)there);
	if (dir == OUTBOUND && !there && name) {
		bpf_probe_read_user(s->input, UNIX_PATH, (void *)(name + 2));
	} else if (named) {
		struct unix_address *addr = READ(named, addr);

		/* sockaddr_un lies at the end of the address; its length says how much of it is there */
		if (addr) {
			__s32 len = READ(addr, len) - 2;

			bpf_probe_read_kernel(s->input, UNIX_PATH, (char *)MEMBER(addr, struct unix_address, name) + 2);
			if (len >= 0 && len < UNIX_PATH)
				s->input[len & 127] = 0;
		}
	}
	raw_unix_path(f);
}

/* name: an address that the process gave, for sockets that are not connected; 0: none. */
SUB int put_tuple(struct fill *f, __s32 fd, enum direction dir, __u64 name)
{
	struct sock *sk = sock_of(f->task, fd);
	__u64 start = f->pos;

	if (sk) {
		__u16 family = READ(sk, __sk_common.skc_family);

		if (family == FAMILY_INET)
			raw_tuple4(f, sk, dir, name);
		else if (family == FAMILY_INET6)
			raw_tuple6(f, sk, dir, name);
		else if (family == FAMILY_UNIX)
			raw_tuple_unix(f, sk, dir, name);
	}
	put_len(f, f->pos - start);
	return 0;
}

/* ------------------------------------------------------------------ how much data to keep */

/* The 16 bytes at data tell a protocol that one wants more of. */
INLINE bool content_wanted(__u16 here, __u16 there, __u64 data, __u32 size)
{
	enum { MYSQL = 3306, POSTGRES = 5432, MONGODB = 27017 };
	__u8 b[16] = { 0 };
	__u32 word, op;

	if (bpf_probe_read_user(b, sizeof b, (void *)data))
		return false;
	if ((here == MYSQL || there == MYSQL) && size >= 5)
		return b[0] == 3 || b[1] == 3 || b[2] == 3 || b[3] == 3 || b[4] == 3 || (!b[2] && !b[3]);
	if ((here == POSTGRES || there == POSTGRES) && size >= 7)
		return (b[0] == 'Q' && !b[1]) || (b[0] == 'P' && !b[1]) || (!b[4] && b[5] == 3 && !b[6]) ||
		       (b[0] == 'E' && !b[1]);
	op = *(__u32 *)&b[12];
	if (here == MONGODB || there == MONGODB || (size >= 16 && (op == 1 || (op >= 2001 && op <= 2007))))
		return true;
	word = *(__u32 *)b;
#define WORD(a, b_, c, d) ((a) | (b_) << 8 | (c) << 16 | (__u32)(d) << 24)
	return size >= 5 &&
	       (word == WORD('G', 'E', 'T', ' ') || word == WORD('P', 'O', 'S', 'T') || word == WORD('P', 'U', 'T', ' ') ||
		word == WORD('D', 'E', 'L', 'E') || word == WORD('T', 'R', 'A', 'C') || word == WORD('C', 'O', 'N', 'N') ||
		word == WORD('O', 'P', 'T', 'I') || (word == WORD('H', 'T', 'T', 'P') && b[4] == '/'));
#undef WORD
}

/* Of sockets that are looked into. data 0: the ports alone decide. */
SUB __u32 snaplen_of_socket(struct fill *f, __s32 fd, __u64 name, __u64 data, __u32 size)
{
	const struct probe_settings *set = &settings;
	struct sock *sk = fd >= 0 ? sock_of(f->task, fd) : NULL;
	__u32 usual = set->snaplen, more = usual;
	__u16 here = 0, there = 0, family;

	if (!sk)
		return usual;
	family = READ(sk, __sk_common.skc_family);
	if (family == FAMILY_INET || family == FAMILY_INET6) {
		struct inet_sock *inet = (struct inet_sock *)sk;

		here = ntoh16(READ(inet, inet_sport));
		there = READ(sk, __sk_common.skc_dport);
		if (!there && name)
			bpf_probe_read_user(&there, sizeof there, (void *)(name + 2));
		there = ntoh16(there);
	}
	if (set->full_port_last && ((here >= set->full_port_first && here <= set->full_port_last) ||
				    (there >= set->full_port_first && there <= set->full_port_last)))
		more = SNAPLEN_PORT;
	else if (set->by_content && there == set->statsd_port)
		more = SNAPLEN_CONTENT;
	else if (set->by_content && there == 53)
		more = SNAPLEN_DNS;
	else if (set->by_content && data && content_wanted(here, there, data, size))
		more = SNAPLEN_CONTENT;
	return more > usual ? more : usual;
}

INLINE __u32 snaplen(struct fill *f, __s32 fd, __u64 name, __u64 data, __u32 size)
{
	if (!settings.full_port_last && !settings.by_content)
		return settings.snaplen;
	return snaplen_of_socket(f, fd, name, data, size);
}

INLINE __u32 least(__u32 a, __u64 b)
{
	return a < b ? a : b;
}

/* ------------------------------------------------------------------ vectors */

struct message {
	__u64 name, iov, count, control, control_len;
};

INLINE bool message_read(struct fill *f, struct message *m, __u64 from)
{
	if (f->compat) {
		struct msghdr32 h = { 0 };

		if (bpf_probe_read_user(&h, sizeof h, (void *)from))
			return false;
		*m = (struct message){ h.name, h.iov, h.iovlen, h.control, h.controllen };
	} else {
		struct msghdr64 h = { 0 };

		if (bpf_probe_read_user(&h, sizeof h, (void *)from))
			return false;
		*m = (struct message){ h.name, h.iov, h.iovlen, h.control, h.controllen };
	}
	return true;
}

/* The next vector: base and len. */
INLINE bool iov_read(struct walk *w, struct iovec64 *v)
{
	__u64 at = w->from;

	if (w->n) {			/* narrow ones */
		struct iovec32 narrow = { 0 };

		w->from = at + sizeof narrow;
		if (bpf_probe_read_user(&narrow, sizeof narrow, (void *)at))
			return false;
		v->base = narrow.base;
		v->len = narrow.len;
		return true;
	}
	w->from = at + sizeof *v;
	return !bpf_probe_read_user(v, sizeof *v, (void *)at);
}

SUB int iov_take(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct iovec64 v = { 0 };
	__u64 n;

	if (!w->count || !w->left)
		return 0;
	w->count--;
	if (!iov_read(w, &v))
		return 0;
	n = v.len < w->left ? v.len : w->left;
	asm volatile("" : "+r"(n));
	n &= DATA_MASK;
	if (n && bpf_probe_read_user(&s->data[w->pos & DATA_MASK], n, (void *)v.base))
		return 0;
	w->pos += n;
	w->left -= n;
	return 1;
}

/* What the vectors point to, `most` bytes of it. */
SUB int put_iov(struct fill *f, __u64 iov, __u64 count, __u32 most)
{
	struct walk *w = &f->s->walk;
	__u64 start = f->pos;

	w->from = iov;
	w->count = count;
	w->left = most;
	w->pos = start;
	w->n = f->compat;
	for (int i = 0; i < MAX_IOV; i++)
		if (!iov_take(f->s))
			break;
	f->pos = w->pos;
	put_len(f, f->pos - start);
	return 0;
}

SUB int iov_add(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct iovec64 v = { 0 };

	if (!w->count)
		return 0;
	w->count--;
	if (!iov_read(w, &v))
		return 0;
	w->left += v.len;
	return 1;
}

/* The bytes that the vectors have room for. */
SUB int put_iov_size(struct fill *f, __u64 iov, __u64 count)
{
	struct walk *w = &f->s->walk;

	w->from = iov;
	w->count = count;
	w->left = 0;
	w->n = f->compat;
	for (int i = 0; i < MAX_IOV; i++)
		if (!iov_add(f->s))
			break;
	put_u32(f, w->left);
	return 0;
}

#endif
