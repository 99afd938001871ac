/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded (LD_PRELOAD) by test/quiet: tells at the end, as the last line on stderr, how often memory was asked for. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static _Atomic unsigned long asked;

void *malloc(size_t n)
{
	atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
	return __libc_realloc(p, n);
}

__attribute__((destructor))
static void tell(void)
{
	fprintf(stderr, "allocations: %lu\n", atomic_load(&asked));
}
