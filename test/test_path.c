/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "check.h"
#include "../c/engine/path.h"

static void joins(void **state)
{
	static const struct {
		const char *base, *path, *want;
	} cases[] = {
		{ "/home/", "a", "/home/a" },
		{ "/home/", "/etc/passwd", "/etc/passwd" },
		{ "/home/", "../etc", "/etc" },
		{ "/home/", "../../../etc", "/etc" },
		{ "/", "..", "/" },
		{ "/a/b/", "./c//d/./e/", "/a/b/c/d/e" },
		{ "/a/b/", "", "" },
		{ "", "x/../y", "y" },
		{ "", "a/b", "a/b" },
		{ "", "/", "/" },
		{ "", "//etc///x", "/etc/x" },
		{ "", "/a/./b/..", "/a" },
		{ "/a/", ".hidden", "/a/.hidden" },
		{ "/a/", "..data", "/a/..data" },
		{ "/a/", "...", "/a/..." },
	};
	char buf[PATH_ROOM];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_str(path_join(buf, str_of(cases[i].base), str_of(cases[i].path)), cases[i].want);
}

static void too_long_becomes_a_fixed_text(void **state)
{
	char buf[PATH_ROOM], path[PATH_ROOM];

	memset(path, 'x', sizeof path);
	path[0] = '/';
	assert_int_equal(path_join(buf, (struct str){ 0 }, (struct str){ path, PATH_ROOM - 1 }).len, PATH_ROOM - 1);
	assert_str(path_join(buf, (struct str){ 0 }, (struct str){ path, PATH_ROOM }), "/DIR_TOO_LONG/FILENAME_TOO_LONG");
	assert_str(path_join(buf, STR("/tmp/"), (struct str){ path + 1, PATH_ROOM - 5 }), "/DIR_TOO_LONG/FILENAME_TOO_LONG");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins),
		cmocka_unit_test(too_long_becomes_a_fixed_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
