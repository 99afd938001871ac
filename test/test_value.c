/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"
#include "../c/engine/value.h"

static const char *text(const struct value *v)
{
	static char buf[4096];
	buf[value_text(v, buf, sizeof buf - 1)] = 0;
	return buf;
}

static const char *json(const struct value *v)
{
	static char buf[4096];
	buf[value_json(v, buf, sizeof buf - 1)] = 0;
	return buf;
}

static struct value number(uint8_t type, uint8_t format, int64_t i)
{
	return (struct value){ .type = type, .format = format, .num.i = i };
}

static struct value string(const char *z)
{
	return (struct value){ .type = PT_CHARBUF, .p = z, .len = (uint32_t)strlen(z) };
}

static void numbers(void **state)
{
	static const struct {
		uint8_t type, format;
		int64_t i;
		const char *text, *json;
	} cases[] = {
		{ PT_INT64, PF_DEC, -5, "-5", "-5" },
		{ PT_UINT64, PF_ID, -1, "18446744073709551615", "18446744073709551615" },
		{ PT_UINT32, PF_HEX, 0xfe00, "FE00", "\"FE00\"" },
		{ PT_INT32, PF_HEX, -1, "FFFFFFFF", "\"FFFFFFFF\"" },
		{ PT_UINT32, PF_OCT, 0644, "644", "\"644\"" },
		{ PT_UINT64, PF_10_PADDED_DEC, 1234, "000001234", "\"000001234\"" },
		{ PT_UINT32, PF_NA, 7, "<NA>", "null" },
		{ PT_UINT64, PF_NA, 7, "<NA>", "null" },
		{ PT_FD, PF_NA, 7, "7", "\"7\"" },
		{ PT_INT16, PF_ID, -1, "-1", "-1" },
		{ PT_BOOL, PF_NA, 1, "true", "true" },
		{ PT_BOOL, PF_NA, 0, "false", "false" },
		{ PT_SOCKADDR, PF_NA, 0, "<NA>", "null" },
		{ PT_NONE, PF_NA, 0, "<NA>", "null" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct value v = number(cases[i].type, cases[i].format, cases[i].i);
		assert_string_equal(text(&v), cases[i].text);
		assert_string_equal(json(&v), cases[i].json);
	}
	struct value v = number(PT_RELTIME, PF_10_PADDED_DEC, 50684);
	v.flags = VALUE_JSON_NUM;
	assert_string_equal(text(&v), "000050684");
	assert_string_equal(json(&v), "50684");
}

static void doubles(void **state)
{
	static const struct {
		double d;
		const char *json;
	} cases[] = {
		{ 0, "0.0" }, { -0.0, "-0.0" }, { 1, "1.0" }, { -2.5, "-2.5" }, { 0.1, "0.1" }, { 0.075, "0.075" },
		{ 0.054931640625, "0.054931640625" }, { 1.0 / 3, "0.3333333333333333" }, { 100, "100.0" },
		{ 0.001, "0.001" }, { 0.0001, "0.0001" }, { 0.00001, "1e-05" }, { 1.5e-7, "1.5e-07" },
		{ 1e14, "100000000000000.0" }, { 1e15, "1e+15" }, { 1.25e100, "1.25e+100" }, { 5e-324, "5e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct value v = { .type = PT_DOUBLE, .num.d = cases[i].d };
		assert_string_equal(json(&v), cases[i].json);
		assert_true(strtod(json(&v), NULL) == cases[i].d);
	}
	struct value v = { .type = PT_DOUBLE, .num.d = NAN };
	assert_string_equal(json(&v), "null");
	v.num.d = 0.25;
	assert_string_equal(text(&v), "0.2");
	v = (struct value){ .type = PT_DOUBLE, .format = PF_DEC, .num.d = 3.9 };
	assert_string_equal(json(&v), "3");
}

static void addresses(void **state)
{
	struct value v = { .type = PT_IPADDR, .p = "\x7f\0\0\1", .len = 4 };
	assert_string_equal(text(&v), "127.0.0.1");
	assert_string_equal(json(&v), "\"127.0.0.1\"");
	v = (struct value){ .type = PT_IPADDR, .p = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", .len = 16 };
	assert_string_equal(text(&v), "::1");
	v.len = 5;
	assert_string_equal(text(&v), "<NA>");
	assert_string_equal(json(&v), "null");
}

static void lists(void **state)
{
	struct value items[] = { string("file"), string("a\"b") };
	struct value v = { .type = PT_CHARBUF, .flags = VALUE_LIST, .p = items, .num.n = 2 };

	assert_string_equal(text(&v), "(file,a\"b)");
	assert_string_equal(json(&v), "[\"file\",\"a\\\"b\"]");
	v.num.n = 0;
	assert_string_equal(text(&v), "()");
	assert_string_equal(json(&v), "[]");
}

static void buffers_show_dots_and_end(void **state)
{
	struct value v = { .type = PT_BYTEBUF, .p = "a\0b\n\x80~\x7f", .len = 7 };
	assert_string_equal(text(&v), "a.b..~.");
	assert_string_equal(json(&v), "\"a.b..~.\"");

	char *big = calloc(1, 5000);
	v = (struct value){ .type = PT_BYTEBUF, .p = big, .len = 1022 };
	assert_int_equal(strlen(text(&v)), 1022);
	v.len = 5000;
	assert_int_equal(strlen(text(&v)), 1021);
	assert_int_equal(strlen(json(&v)), 1023);
	free(big);
}

static void nothing_is_written_past_the_end(void **state)
{
	struct value v = string("abc\xff" "def\"");
	char buf[64], want[64];
	uint32_t all = value_json(&v, want, sizeof want);

	for (uint32_t cap = 0; cap <= all; cap++) {
		memset(buf, '#', sizeof buf);
		assert_int_equal(value_json(&v, buf, cap), all);
		assert_memory_equal(buf, want, cap);
		assert_int_equal(buf[cap], '#');
	}
}

static const char *escaped(const char *s, uint32_t len)
{
	static char buf[256];
	buf[json_escape(s, len, buf, sizeof buf - 1)] = 0;
	return buf;
}

#define GOOD "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
#define BAD "\xef\xbf\xbd"

static void escapes(void **state)
{
	assert_string_equal(escaped("a\"b\\c/d", 7), "a\\\"b\\\\c/d");
	assert_string_equal(escaped("\b\t\n\f\r\1\x1f\x7f\0", 9), "\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\\u0000");
	assert_string_equal(escaped(GOOD, 9), GOOD);
}

/* One U+FFFD for each longest piece that could have begun a character; the byte that broke it is read anew. */
static void damaged_text_is_replaced_piece_by_piece(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "\xff", BAD }, { "a\x80z", "a" BAD "z" }, { "\xc0\xaf", BAD BAD }, { "\xe2\x82", BAD },
		{ "\xe2\x82z", BAD "z" }, { "\xe2(\xa1", BAD "(" BAD }, { "\xe0\x80\x80", BAD BAD BAD },
		{ "\xed\xa0\x80", BAD BAD BAD }, { "\xf0\x9f\x98", BAD },
		{ "\xf0\x9f\xf0\x9f\x98\x80", BAD "\xf0\x9f\x98\x80" },
		{ "\xf4\x90\x80\x80", BAD BAD BAD BAD }, { "\xf5z", BAD "z" }, { "\xe2\"", BAD "\\\"" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(escaped(cases[i].in, (uint32_t)strlen(cases[i].in)), cases[i].want);
}

/* Alert fields trust the first byte of a character for its length. */
static void damaged_values_take_their_neighbours_along(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "bad\xff\xfe\x80name", "\"bad" BAD BAD BAD "ame\"" },
		{ "caf\xc3\xa9 \xe2\x98\x83", "\"caf\xc3\xa9 \xe2\x98\x83\"" },
		{ "\xc3(", "\"\xc3\xa8\"" },
		{ "z\xe9", "\"z" BAD "\"" },
		{ "\xed\xa0\x80|", "\"" BAD "|\"" },
		{ "\xf7\xbf\xbf\xbf|", "\"" BAD "|\"" },
		{ "\xf0\x9f\x98\x80\n", "\"\xf0\x9f\x98\x80\\n\"" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct value v = string(cases[i].in);
		assert_string_equal(json(&v), cases[i].want);
	}
}

static void times(void **state)
{
	static const char *const want[] = {
		[TIME_CLOCK_NS] = "16:17:57.081785348", [TIME_ISO] = "2016-08-04T16:17:57.081785348+0000",
		[TIME_ISO_Z] = "2016-08-04T16:17:57.081785348Z", [TIME_CLOCK] = "16:17:57",
		[TIME_DATE_NS] = "2016-08-04 16:17:57.081785348", [TIME_DATE] = "2016-08-04 16:17:57",
	};
	char buf[64];

	setenv("TZ", "UTC", 1);
	tzset();
	for (int form = 0; form < (int)(sizeof want / sizeof want[0]); form++) {
		buf[time_text(1470327477081785348, form, buf, sizeof buf - 1)] = 0;
		assert_string_equal(buf, want[form]);
	}
	setenv("TZ", "XXX-2", 1);
	tzset();
	buf[time_text(1470327477081785348, TIME_DATE, buf, sizeof buf - 1)] = 0;
	assert_string_equal(buf, "2016-08-04 18:17:57");
	buf[time_text(1470327477081785348, TIME_ISO_Z, buf, sizeof buf - 1)] = 0;
	assert_string_equal(buf, want[TIME_ISO_Z]);
	assert_int_not_equal(time_text(UINT64_MAX, TIME_DATE_NS, buf, sizeof buf), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(doubles),
		cmocka_unit_test(addresses),
		cmocka_unit_test(lists),
		cmocka_unit_test(buffers_show_dots_and_end),
		cmocka_unit_test(nothing_is_written_past_the_end),
		cmocka_unit_test(escapes),
		cmocka_unit_test(damaged_text_is_replaced_piece_by_piece),
		cmocka_unit_test(damaged_values_take_their_neighbours_along),
		cmocka_unit_test(times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
