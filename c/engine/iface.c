/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "../array.h"
#include "iface.h"

enum { MAX_IFACES = 16384 };

struct ifaces {
	struct iface *rows;	/* names are owned */
	uint32_t n, cap;
	uint64_t overflow;
};

struct ifaces *ifaces_new(void)
{
	return calloc(1, sizeof(struct ifaces));
}

void ifaces_clear(struct ifaces *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		free((char *)f->rows[i].name.p);
	f->n = 0;
}

void ifaces_free(struct ifaces *f)
{
	if (!f)
		return;
	ifaces_clear(f);
	free(f->rows);
	free(f);
}

bool ifaces_put(struct ifaces *f, const struct iface *iface)
{
	struct iface row = *iface;
	bool room = f->n < MAX_IFACES && array_room(&f->rows, f->n, &f->cap, sizeof *f->rows);
	char *name = room ? malloc(iface->name.len + 1ull) : NULL;

	if (!name) {
		f->overflow++;
		return false;
	}
	if (iface->name.len)
		memcpy(name, iface->name.p, iface->name.len);
	name[iface->name.len] = 0;
	row.name.p = name;
	f->rows[f->n++] = row;
	return true;
}

uint32_t ifaces_count(const struct ifaces *f)
{
	return f->n;
}

uint64_t ifaces_overflow(const struct ifaces *f)
{
	return f->overflow;
}

const struct iface *iface_at(const struct ifaces *f, uint32_t i)
{
	return i < f->n ? &f->rows[i] : NULL;
}

bool iface_is_local_v4(const struct ifaces *f, const uint8_t addr[4])
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!f->rows[i].v6 && memcmp(f->rows[i].addr, addr, 4) == 0)
			return true;
	return false;
}

bool iface_is_local_v6(const struct ifaces *f, const uint8_t addr[16])
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->rows[i].v6 && memcmp(f->rows[i].addr, addr, 8) == 0)
			return true;
	return false;
}

static bool v4_is_loopback(const uint8_t *addr)
{
	return memcmp(addr, (uint8_t[]){ 127, 0, 0, 1 }, 4) == 0;
}

static bool v4_same_net(const struct iface *i, const uint8_t *addr)
{
	for (int k = 0; k < 4; k++)
		if ((i->addr[k] ^ addr[k]) & i->netmask[k])
			return false;
	return true;
}

bool iface_guess_v4(const struct ifaces *f, const uint8_t peer[4], uint8_t out[4])
{
	const struct iface *same_net = NULL, *other = NULL;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct iface *row = &f->rows[i];

		if (row->v6)
			continue;
		if (memcmp(row->addr, peer, 4) == 0) {
			same_net = row;
			break;
		}
		if (!same_net && v4_same_net(row, peer))
			same_net = row;
		if (!other && !v4_is_loopback(row->addr))
			other = row;
	}
	const struct iface *best = same_net ? same_net : other;
	if (best)
		memcpy(out, best->addr, 4);
	else
		memset(out, 0, 4);
	return best;
}

bool iface_guess_v6(const struct ifaces *f, const uint8_t peer[16], uint8_t out[16])
{
	static const uint8_t loopback[16] = { [15] = 1 };
	const struct iface *same_net = NULL, *other = NULL;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct iface *row = &f->rows[i];

		if (!row->v6)
			continue;
		if (memcmp(row->addr, peer, 16) == 0) {
			same_net = row;
			break;
		}
		if (!same_net && memcmp(row->addr, peer, 8) == 0)
			same_net = row;
		if (!other && memcmp(row->addr, loopback, 16) != 0)
			other = row;
	}
	const struct iface *best = same_net ? same_net : other;
	if (best)
		memcpy(out, best->addr, 16);
	else
		memset(out, 0, 16);
	return best;
}
