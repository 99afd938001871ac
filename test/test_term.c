/* SPDX-License-Identifier: Apache-2.0 */
/* Widths of text on a terminal, and the history's file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../c/engine/ffi.h"
#include "check.h"

static uint32_t columns(const char *s)
{
	return text_columns(s, (uint32_t)strlen(s));
}

static void test_columns(void **state)
{
	assert_int_equal(columns(""), 0);
	assert_int_equal(columns("cat"), 3);
	assert_int_equal(columns("кот"), 3);
	assert_int_equal(columns("日本"), 4);
	assert_int_equal(columns("e\xcc\x81x"), 2);		/* an accent that combines */
	assert_int_equal(columns("\xff\xfe"), 2);		/* no UTF-8: one column each */
	assert_int_equal(columns("\xe6\x97"), 2);		/* half a character */
	assert_int_equal(columns("a\x01z"), 3);
	assert_int_equal(text_columns("a\0b", 3), 3 - 1);
}

static void test_fit(void **state)
{
	const char *s = "日本語";
	uint32_t taken;

	assert_int_equal(text_fit(s, 9, 6, &taken), 9);
	assert_int_equal(taken, 6);
	assert_int_equal(text_fit(s, 9, 5, &taken), 6);
	assert_int_equal(taken, 4);
	assert_int_equal(text_fit(s, 9, 1, &taken), 0);
	assert_int_equal(taken, 0);
}

static void test_keep(void **state)
{
	char dir[] = "/tmp/falco-term-XXXXXX", path[64], text[64];
	struct stat st;
	FILE *f;
	size_t n;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/history", dir);
	assert_int_equal(line_keep(path, "one\n", 4, false), 0);
	assert_int_equal(line_keep(path, "two\n", 4, false), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	assert_int_equal(n, 8);
	assert_int_equal(line_keep(path, "new\n", 4, true), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_true(line_keep("/nonexistent/history", "x", 1, false) < 0);
	unlink(path);
	rmdir(dir);
}

static void test_no_terminal(void **state)
{
	struct err err = {0};

	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return;
	assert_null(line_new(&err));
	assert_string_equal(err.text, "standard input or output is no terminal");
	line_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns), cmocka_unit_test(test_fit), cmocka_unit_test(test_keep),
		cmocka_unit_test(test_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
