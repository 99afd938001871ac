/* SPDX-License-Identifier: Apache-2.0 */
/* What every cmocka test includes: cmocka wants these four before itself. */
#ifndef FALCO_TEST_CHECK_H
#define FALCO_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define assert_str(s, z) \
	do { \
		struct str s_ = (s); \
		assert_int_equal(s_.len, strlen(z)); \
		assert_memory_equal(s_.p, z, s_.len); \
	} while (0)

#endif
