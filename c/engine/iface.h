/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of the machine's network interfaces: which ones are its own. Opaque, bounded. */
#ifndef FALCO_IFACE_H
#define FALCO_IFACE_H

#include <stdbool.h>
#include <stdint.h>
#include "../str.h"

struct ifaces;

struct iface {
	bool v6;
	uint8_t addr[16], netmask[16], bcast[16];	/* IPv4: the first four bytes; network order */
	struct str name;
};

struct ifaces *ifaces_new(void);
void ifaces_free(struct ifaces *f);
void ifaces_clear(struct ifaces *f);
bool ifaces_put(struct ifaces *f, const struct iface *iface);	/* false: limit or memory; counted */
uint32_t ifaces_count(const struct ifaces *f);
uint64_t ifaces_overflow(const struct ifaces *f);
const struct iface *iface_at(const struct ifaces *f, uint32_t i);
/* The address is one of the machine's own. IPv6: any address of a /64 the machine has an address in. */
bool iface_is_local_v4(const struct ifaces *f, const uint8_t addr[4]);
bool iface_is_local_v6(const struct ifaces *f, const uint8_t addr[16]);
/* The machine's likely own address towards `peer`: the same one, one of its network, or the first that is no loopback.
 * false: none, `out` is all zero. */
bool iface_guess_v4(const struct ifaces *f, const uint8_t peer[4], uint8_t out[4]);
bool iface_guess_v6(const struct ifaces *f, const uint8_t peer[16], uint8_t out[16]);

#endif
