/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses and tuples in event parameters, and their texts.
 *
 *	PT_SOCKADDR    family u8, then  2: ip[4] port u16 | 10: ip[16] port u16 | 1: NUL-ended path
 *	PT_SOCKTUPLE   family u8, then  2: ip port ip port | 10: the same with 16-byte ips
 *	               | 1: source u64, destination u64 (kernel addresses), NUL-ended path
 *
 * Addresses in network order, ports in host order (little-endian).
 */
#ifndef FALCO_SOCK_H
#define FALCO_SOCK_H

#include "evt.h"
#include "fd.h"
#include "iface.h"

enum sock_family { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16, FAMILY_PACKET = 17 };

struct sock_addr {
	uint8_t family;		/* FAMILY_* or any other number */
	uint8_t ip[16];		/* IPv4: the first four bytes */
	uint16_t port;
	struct str path;	/* unix */
};

struct sock_tuple {
	uint8_t family;
	struct fd_addr addr;
	uint64_t unix_src, unix_dst;
	struct str path;
};

enum { SOCK_TEXT = 512 };	/* room for any address text */

/* false: empty, too short, or a path without its NUL. */
bool sock_parse_addr(const struct param *p, struct sock_addr *a);
bool sock_parse_tuple(const struct param *p, struct sock_tuple *t);
/* ::ffff:a.b.c.d, or all zero, which passes for an IPv4 address too. */
bool sock_is_mapped(const uint8_t ip[16]);
/* Both ends mapped: becomes the IPv4 tuple it stands for. */
void sock_unmap(struct sock_tuple *t);

/* An end that is all zero is one of the machine's own addresses: puts the likely one there. */
void sock_fill_own_end(const struct ifaces *ifaces, struct fd_draft *d);

/* "1.2.3.4:80", "::1:80". Returns the length; cap is at least SOCK_TEXT. */
uint32_t sock_addr_text(char *buf, bool v6, const uint8_t *ip, uint16_t port);
/* "1.2.3.4:5->6.7.8.9:10" */
uint32_t sock_pair_text(char *buf, bool v6, const struct fd_addr *a);
/* The name that a socket record bears, by its type and protocol ("<unknown>" if the protocol is not known). */
uint32_t sock_name_text(char *buf, const struct fd_draft *d);
/* The text of a whole tuple or address parameter, as evt.args shows it; empty and broken ones included. `text` may be
 * longer than SOCK_TEXT for unix paths: it is composed in `scratch`. false: out of scratch memory. */
bool sock_tuple_param_text(struct arena *scratch, const struct param *p, struct str *text);
bool sock_addr_param_text(struct arena *scratch, const struct param *p, struct str *text);

#endif
