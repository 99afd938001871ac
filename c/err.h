/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of failure.
 *   REQUIRE(x)   a bug if false: prints where and aborts.
 *   struct err   the world's fault: one line of text for a person, and a negative errno for the caller.
 *
 *	struct err err = {0};
 *	if (block_len > left)
 *		return err_set(&err, EINVAL, "block at %llu: length %u exceeds %u left", at, block_len, left);
 */
#ifndef FALCO_ERR_H
#define FALCO_ERR_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(x) ((x) ? (void)0 : require_failed(#x, __FILE__, __LINE__))

struct err {
	char text[512];
};

_Noreturn static inline void require_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "falco: bug: %s:%d: '%s' does not hold\n", file, line, what);
	abort();
}

/* Fills `err` (may be NULL) and returns -code, so that it can be returned at once. */
__attribute__((format(printf, 3, 4)))
static inline int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof err->text, fmt, ap);
		va_end(ap);
	}
	return -code;
}

#endif
