/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing arrays: three plain variables of the owner (pointer, count, capacity).
 *
 *	struct leaf *leaves; uint32_t n, cap;
 *	if (!array_room(&leaves, n, &cap, sizeof *leaves)) return -ENOMEM;
 *	leaves[n++] = leaf;
 */
#ifndef FALCO_ARRAY_H
#define FALCO_ARRAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more element than `n`; `array` is the address of the pointer. false: out of memory, unchanged. */
static inline bool array_room(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return true;

	uint32_t want = *cap ? *cap * 2 : 8;
	void *p;
	memcpy(&p, array, sizeof p);
	if (want <= *cap || !(p = realloc(p, want * size)))
		return false;
	memcpy(array, &p, sizeof p);
	*cap = want;
	return true;
}

#endif
