/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row, one call: it is made, and the event that the driver reports is compared with what is known of it.
 *
 *	ROW(openat, (AT_FDCWD, file, O_RDONLY), SYSCALL_OPENAT_2_X, S64(res), S64(-100), STR(file), U32(1), U32(0), DEV(res),
 *	    INO(res))
 *
 * res is the call's result, -errno if it failed. Lengths count as much as bytes.
 */
#ifndef TEST_SYSCALLS_EXPECT_H
#define TEST_SYSCALLS_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct expected {
	bool any;			/* whatever it is; len: its length, or -1 */
	int len;
	uint8_t bytes[4200];
};

static inline struct expected bytes_of(const void *p, size_t n)
{
	struct expected e = { .len = (int)n };

	if (n > sizeof e.bytes)
		n = sizeof e.bytes;
	if (n)
		memcpy(e.bytes, p, n);
	return e;
}

#define NUM(type, v) ({ type v_ = (type)(v); bytes_of(&v_, sizeof v_); })
#define U8(v) NUM(uint8_t, v)
#define U16(v) NUM(uint16_t, v)
#define U32(v) NUM(uint32_t, v)
#define U64(v) NUM(uint64_t, v)
#define S32(v) NUM(int32_t, v)
#define S64(v) NUM(int64_t, v)
#define STR(s) ({ const char *s_ = (s); bytes_of(s_, strlen(s_) + 1); })
#define BYTES(p, n) bytes_of(p, n)
#define NONE bytes_of("", 0)
#define ANY(n) ((struct expected){ .any = true, .len = (n) })
#define ANYTHING ANY(-1)

#endif
