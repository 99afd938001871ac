/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "../c/engine/intern.h"

static void equal_strings_are_one(void **state)
{
	struct intern *t = intern_new(1000);
	struct istr *a = intern_get(t, STR("bash")), *b = intern_get(t, STR("bash")), *c = intern_get(t, STR("sh"));

	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_true(istr_eq(a, b));
	assert_false(istr_eq(a, c));
	intern_drop(t, a);
	assert_str(istr_str(b), "bash");
	intern_drop(t, b);
	intern_drop(t, c);
	intern_free(t);
}

static void nuls_inside_count(void **state)
{
	struct intern *t = intern_new(1000);
	struct istr *a = intern_get(t, (struct str){ "a\0b", 3 }), *b = intern_get(t, (struct str){ "a\0c", 3 });

	assert_ptr_not_equal(a, b);
	assert_int_equal(a->len, 3);
	intern_drop(t, a);
	intern_drop(t, b);
	intern_free(t);
}

static void beyond_the_limit_strings_are_private(void **state)
{
	struct intern *t = intern_new(4);
	struct istr *a = intern_get(t, STR("1234")), *b = intern_get(t, STR("long")), *c = intern_get(t, STR("long"));

	assert_ptr_not_equal(b, c);
	assert_true(istr_eq(b, c));
	assert_int_equal(intern_overflow(t), 2);
	intern_drop(t, a);
	struct istr *d = intern_get(t, STR("now"));
	assert_true(d->shared);
	intern_drop(t, b);
	intern_drop(t, c);
	intern_drop(t, d);
	intern_free(t);
}

static void survives_growing(void **state)
{
	enum { N = 5000 };
	struct intern *t = intern_new(1 << 20);
	static struct istr *s[N];
	char text[20];

	for (int i = 0; i < N; i++)
		s[i] = intern_get(t, (struct str){ text, (uint32_t)sprintf(text, "s%d", i) });
	for (int i = 0; i < N; i++) {
		struct istr *again = intern_get(t, (struct str){ text, (uint32_t)sprintf(text, "s%d", i) });
		assert_ptr_equal(again, s[i]);
		intern_drop(t, again);
		intern_drop(t, s[i]);
	}
	intern_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_strings_are_one),
		cmocka_unit_test(nuls_inside_count),
		cmocka_unit_test(beyond_the_limit_strings_are_private),
		cmocka_unit_test(survives_growing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
