/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "check.h"
#include "../c/engine/user.h"

static void users_by_container(void **state)
{
	struct users *u = users_new(16 << 20);
	struct user root = { .uid = 0, .name = STR("root"), .home = STR("/root"), .shell = STR("/bin/sh") };
	struct user boxed = { .uid = 0, .name = STR("boxroot") };

	assert_true(users_put(u, STR(""), &root));
	assert_true(users_put(u, STR("c0ffee"), &boxed));
	assert_str(users_find(u, STR(""), 0)->name, "root");
	assert_str(users_find(u, STR("c0ffee"), 0)->name, "boxroot");
	assert_null(users_find(u, STR(""), 1));
	assert_null(users_find_group(u, STR(""), 0));
	root.name = STR("toor");
	users_put(u, STR(""), &root);
	assert_str(users_find(u, STR(""), 0)->name, "toor");
	users_remove(u, STR("c0ffee"), 0);
	assert_null(users_find(u, STR("c0ffee"), 0));
	assert_non_null(users_find(u, STR(""), 0));
	users_free(u);
}

static void groups(void **state)
{
	struct users *u = users_new(16 << 20);
	struct group wheel = { .gid = 10, .name = STR("wheel") };

	users_put_group(u, STR(""), &wheel);
	assert_str(users_find_group(u, STR(""), 10)->name, "wheel");
	users_remove_group(u, STR(""), 10);
	assert_null(users_find_group(u, STR(""), 10));
	users_free(u);
}

static void a_full_table_refuses_and_counts(void **state)
{
	struct users *u = users_new(16 << 20);
	struct user user = { .name = STR("x") };

	for (user.uid = 0; users_put(u, STR(""), &user); user.uid++)
		;
	assert_int_equal(user.uid, 65536);
	assert_int_equal(users_overflow(u), 1);
	user.uid = 5;
	assert_true(users_put(u, STR(""), &user));
	users_free(u);
}

static void bytes_are_bounded(void **state)
{
	struct users *u = users_new(10000);
	static char home[900];
	struct user user = { .name = STR("x"), .home = { home, sizeof home } };

	for (user.uid = 0; users_put(u, STR(""), &user); user.uid++)
		;
	assert_in_range(user.uid, 8, 10);
	assert_int_equal(users_count(u), user.uid);
	assert_int_equal(users_overflow(u), 1);

	/* what finds no room does not go on under its old name */
	user.uid = 0;
	user.name = (struct str){ home, sizeof home };
	assert_false(users_put(u, STR(""), &user));
	assert_null(users_find(u, STR(""), 0));
	users_clear(u);
	assert_true(users_put(u, STR(""), &user));
	users_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_by_container),
		cmocka_unit_test(groups),
		cmocka_unit_test(a_full_table_refuses_and_counts),
		cmocka_unit_test(bytes_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
