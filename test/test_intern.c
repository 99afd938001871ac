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

static void the_empty_string_is_one(void **state)
{
	struct intern *t = intern_new(0);
	struct istr *a = intern_get(t, (struct str){ 0 }), *b = intern_get(t, STR(""));

	assert_ptr_equal(a, b);
	assert_int_equal(intern_overflow(t), 0);
	intern_drop(t, a);
	intern_drop(t, b);
	intern_free(t);
}

static void beyond_the_limit_strings_are_empty(void **state)
{
	struct intern *t = intern_new(100);
	struct istr *a = intern_get(t, STR("1234")), *b = intern_get(t, STR("long")), *again = intern_get(t, STR("1234"));

	assert_str(istr_str(a), "1234");
	assert_str(istr_str(b), "");
	assert_int_equal(intern_overflow(t), 1);
	assert_ptr_equal(again, a);		/* what is there costs nothing */
	assert_int_equal(intern_count(t), 1);
	intern_drop(t, a);
	intern_drop(t, again);
	assert_int_equal(intern_bytes(t), 0);
	struct istr *c = intern_get(t, STR("now"));
	assert_str(istr_str(c), "now");
	intern_drop(t, b);
	intern_drop(t, c);
	intern_free(t);
}

/* Environments that differ in every process must not push out names. */
static void the_last_quarter_is_for_short_strings(void **state)
{
	enum { MAX = 100000 };
	struct intern *t = intern_new(MAX);
	static struct istr *s[1000];
	static char env[1000];
	uint32_t n = 0;

	while (intern_bytes(t) < MAX * 3 / 4 - sizeof env && n < 500) {
		sprintf(env, "N=%u", n);
		s[n++] = intern_get(t, (struct str){ env, sizeof env });
	}
	sprintf(env, "N=%u", n);
	s[n++] = intern_get(t, (struct str){ env, sizeof env });
	assert_true(intern_overflow(t) > 0);
	assert_int_equal(s[n - 1]->len, 0);
	s[n++] = intern_get(t, STR("/usr/bin/true"));
	assert_str(istr_str(s[n - 1]), "/usr/bin/true");
	assert_true(intern_bytes(t) <= MAX);
	while (n)
		intern_drop(t, s[--n]);
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
		cmocka_unit_test(the_empty_string_is_one),
		cmocka_unit_test(beyond_the_limit_strings_are_empty),
		cmocka_unit_test(the_last_quarter_is_for_short_strings),
		cmocka_unit_test(survives_growing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
