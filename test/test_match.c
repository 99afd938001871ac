/* SPDX-License-Identifier: Apache-2.0 */
/* Matchers against naive ones: fnmatch(3), linear search, a walk over all constants. */
#include "check.h"
#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdio.h>
#include "../c/engine/match.h"

#define SEED 0x5eed

static uint64_t state = 88172645463325252u;

static uint32_t rnd(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

static struct str random_text(char *buf, uint32_t max, const char *alphabet)
{
	uint32_t n = rnd(max + 1), letters = (uint32_t)strlen(alphabet);

	for (uint32_t i = 0; i < n; i++)
		buf[i] = alphabet[rnd(letters)];
	buf[n] = 0;
	return (struct str){ buf, n };
}

static bool same_as_fnmatch(struct arena *a, struct str pattern, struct str s, bool fold)
{
	bool want = fnmatch(pattern.p, s.p, fold ? FNM_CASEFOLD : 0) == 0;
	struct glob g;

	assert_true(glob_build(&g, a, pattern, fold));
	if (glob_text(pattern, s, fold) == want && glob_has(&g, s) == want)
		return true;
	print_error("pattern '%s', text '%s', fold %d: fnmatch says %d\n", pattern.p, s.p, fold, want);
	return false;
}

static void test_glob_is_fnmatch(void **unused)
{
	static const char *const cases[][2] = {
		{ "", "" }, { "*", "" }, { "?", "" }, { "a", "a" }, { "a*", "a/b/c" }, { "*c", "a/b/c" },
		{ "*b*", "a/b/c" },
		{ "a?c", "a/c" }, { "[a-c]x", "bx" }, { "[!a-c]x", "bx" }, { "[^a-c]x", "dx" }, { "[]a]", "]" },
		{ "[]-a]", "^" }, { "[!]a]", "b" }, { "[a", "[a" }, { "a[", "a[" }, { "a]", "a]" }, { "\\*", "*" },
		{ "\\*", "x" }, { "a\\", "a\\" }, { "\\", "\\" }, { "[\\]]", "]" }, { "[a-]", "-" }, { "[-a]", "-" },
		{ "[[:digit:]]x", "7x" }, { "[[:digit:]a]", "a" }, { "[[:nosuch:]]", "a" }, { "[[:alpha:]-z]", "-" },
		{ "[[.a.]]", "a" }, { "[[=a=]]", "a" }, { "[[.-.]]", "-" }, { "[a-[.c.]]", "b" },
		{ "[:alpha:]", "p" },
		{ "/p?/q?", "/p\xff/q\xff" }, { "*a*b*c*d", "abcabcabcd" }, { "**a", "ba" }, { ".*", ".x" },
		{ "*", ".x" },
		{ "[A-C]", "b" }, { "X*y", "xY" }, { "[[:upper:]]", "a" }, { "[[:upper:]]", "A" }, { "[b-a]", "a" },
		{ "a**", "a" }, { "***", "x" }, { "[*]", "*" }, { "[?]x", "?x" }, { "[!*]", "*" }, { "a[b", "a[b" },
		{ "[*-", "[x-" }, { "[a-\\", "[a-\\" },
	};
	struct arena a = { .limit = 1 << 20 };
	bool good = true;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int fold = 0; fold < 2; fold++)
			good &= same_as_fnmatch(&a, str_of(cases[i][0]), str_of(cases[i][1]), fold);
	arena_free(&a);
	assert_true(good);
}

static void test_random_globs_are_fnmatch(void **unused)
{
	static const char *const alphabets[][2] = {
		{ "ab*?", "ab" }, { "abAB*?[]-!^\\", "abAB-]![\\" }, { "ab*", "ab" }, { "a-cB[]!", "abcB-]" },
	};
	struct arena a = { .limit = 1 << 20 };
	char p[16], s[16];
	bool good = true;

	for (int i = 0; i < 200000 && good; i++) {
		const char *const *set = alphabets[rnd(4)];
		struct str pattern = random_text(p, 8, set[0]), text = random_text(s, 8, set[1]);

		good = same_as_fnmatch(&a, pattern, text, i & 1);
		if (i % 512 == 0)
			arena_reset(&a);
	}
	arena_free(&a);
	assert_true(good);
}

/* Many stars must not take exponential time: this would run for hours. */
static void test_glob_with_many_stars_is_quick(void **unused)
{
	char text[4001];

	memset(text, 'a', 4000);
	text[4000] = 0;
	assert_false(glob_text(STR("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), str_of(text), false));
}

static void test_strset(void **unused)
{
	struct arena a = { .limit = 1 << 24 };
	enum { N = 300 };
	static char buf[N][8];
	struct str v[N];
	struct strset set;
	char probe[8];

	for (uint32_t n = 0; n <= N; n += 50) {
		for (uint32_t i = 0; i < n; i++)
			v[i] = random_text(buf[i], 4, "abc/");
		assert_true(strset_build(&set, &a, v, n, SEED));
		for (int k = 0; k < 2000; k++) {
			struct str s = random_text(probe, 5, "abc/");
			bool want = false;

			for (uint32_t i = 0; i < n; i++)
				want |= str_eq(v[i], s);
			assert_int_equal(strset_may_have(&set, s) && strset_probe(&set, s, text_hash(s, SEED)), want);
		}
	}
	arena_free(&a);
}

static void test_strset_of_long_members(void **unused)
{
	struct arena a = { .limit = 1 << 20 };
	char x[100], y[100];
	struct strset set;

	memset(x, 'x', sizeof x);
	memset(y, 'x', sizeof y);
	y[99] = 'y';
	assert_true(strset_build(&set, &a, &(struct str){ x, 100 }, 1, SEED));
	assert_true(strset_probe(&set, (struct str){ x, 100 }, text_hash((struct str){ x, 100 }, SEED)));
	assert_true(strset_may_have(&set, (struct str){ y, 99 }));
	assert_false(strset_probe(&set, (struct str){ y, 100 }, text_hash((struct str){ y, 100 }, SEED)));
	arena_free(&a);
}

static void test_numset(void **unused)
{
	struct arena a = { .limit = 1 << 20 };
	uint64_t v[] = { 7, UINT64_MAX, 0, 7, 1ull << 63 };
	struct numset set;

	assert_true(numset_build(&set, &a, v, 5));
	assert_true(numset_has(&set, 0) && numset_has(&set, 7) && numset_has(&set, UINT64_MAX));
	assert_true(numset_has(&set, 1ull << 63));
	assert_false(numset_has(&set, 8) || numset_has(&set, 1) || numset_has(&set, UINT64_MAX - 1));
	assert_true(numset_build(&set, &a, v, 0));
	assert_false(numset_has(&set, 0));
	arena_free(&a);
}

static struct net net_of(int family, const char *addr, uint8_t bits)
{
	struct net n = { .addr_len = family == AF_INET ? 4 : 16, .bits = bits };

	assert_int_equal(inet_pton(family, addr, n.addr), 1);
	net_trim(&n);
	return n;
}

static bool inside(const struct net *n, int family, const char *addr)
{
	uint8_t bytes[16];

	assert_int_equal(inet_pton(family, addr, bytes), 1);
	return netset_has(&(struct netset){ n, 1 }, bytes, family == AF_INET ? 4 : 16);
}

static void test_networks(void **unused)
{
	struct net ten = net_of(AF_INET, "10.1.2.3", 8), odd = net_of(AF_INET, "192.168.3.77", 26);
	struct net all = net_of(AF_INET, "1.2.3.4", 0), host = net_of(AF_INET, "1.2.3.4", 32);
	struct net six = net_of(AF_INET6, "2001:db8:abcd:12::", 61), six_all = net_of(AF_INET6, "::1", 0);

	assert_true(inside(&ten, AF_INET, "10.255.0.1"));
	assert_false(inside(&ten, AF_INET, "11.0.0.1"));
	assert_true(inside(&odd, AF_INET, "192.168.3.64") && inside(&odd, AF_INET, "192.168.3.127"));
	assert_false(inside(&odd, AF_INET, "192.168.3.63") || inside(&odd, AF_INET, "192.168.3.128"));
	assert_true(inside(&all, AF_INET, "255.255.255.255"));
	assert_true(inside(&host, AF_INET, "1.2.3.4"));
	assert_false(inside(&host, AF_INET, "1.2.3.5"));
	assert_true(inside(&six, AF_INET6, "2001:db8:abcd:17::1"));
	assert_false(inside(&six, AF_INET6, "2001:db8:abcd:18::1"));
	assert_true(inside(&six_all, AF_INET6, "ff::"));
	assert_false(inside(&all, AF_INET6, "::1") || inside(&six_all, AF_INET, "1.1.1.1"));
}

/* What pmatch means, without a tree. */
static bool lies_under(struct str path, struct str constant)
{
	struct str rest[2] = { path, constant }, part[2];

	for (;;) {
		for (int i = 0; i < 2; i++) {
			while (rest[i].len && rest[i].p[0] == '/') {
				rest[i].p++;
				rest[i].len--;
			}
			uint32_t n = 0;
			while (n < rest[i].len && rest[i].p[n] != '/')
				n++;
			part[i] = (struct str){ rest[i].p, n };
			rest[i] = (struct str){ rest[i].p + n, rest[i].len - n };
		}
		if (!part[1].len)
			return true;
		bool glob = strcspn(part[1].p, "*?[") < part[1].len;
		if (!part[0].len || !(glob ? glob_text(part[1], part[0], false) : str_eq(part[0], part[1])))
			return false;
	}
}

static void test_pathset_is_the_walk_over_all(void **unused)
{
	struct arena a = { .limit = 1 << 24 };
	char buf[8][16], p[20];
	struct str v[8];

	for (int i = 0; i < 30000; i++) {
		uint32_t n = rnd(8);

		for (uint32_t k = 0; k < n; k++)
			v[k] = random_text(buf[k], 10, i & 1 ? "ab/" : "ab//*?");
		struct pathset *set = pathset_build(&a, v, n, SEED);
		assert_non_null(set);
		for (int k = 0; k < 5; k++) {
			struct str path = random_text(p, 14, "ab/");
			bool want = false;

			for (uint32_t m = 0; m < n; m++)
				want |= lies_under(path, v[m]);
			if (pathset_has(set, path) != want)
				print_error("path '%s', %u constants, first '%s'\n", p, n, n ? buf[0] : "");
			assert_int_equal(pathset_has(set, path), want);
		}
		arena_reset(&a);
	}
	arena_free(&a);
}

static bool under(const char *path, const char *constant)
{
	struct arena a = { .limit = 1 << 20 };
	struct str v = str_of(constant);
	struct pathset *set = pathset_build(&a, &v, 1, SEED);
	bool is = pathset_has(set, str_of(path));

	arena_free(&a);
	return is;
}

static void test_paths(void **unused)
{
	const char *file = "/opt/dir/subdir/file.txt";

	assert_true(under(file, "/opt/dir") && under(file, "/opt/dir/subdir") && under(file, file));
	assert_false(under(file, "/opt/dir2") || under(file, "/opt/di") || under("/opt", "/opt/dir"));
	assert_true(under(file, "/opt/*") && under(file, "/opt/*/subdir") && under(file, "/opt/di?/subdir"));
	assert_true(under(file, "/opt/di[r]/subdir") && under(file, "/opt/*/*"));
	assert_false(under(file, "/opt/di[!r]/subdir") || under(file, "/opt/*/subdir2") || under(file, "/opt/*/*/x"));
	assert_true(under("opt/dir", "/opt") && under("/opt/dir", "opt") && under("//opt//dir/", "/opt/dir"));
	assert_true(under("", "/") && under("anything", "/") && under("", ""));
	assert_false(under("", "a"));
	assert_true(under("/a\\b/c", "/a\\b"));
}

static void test_contains(void **unused)
{
	assert_true(text_contains(STR("hello"), STR("ell")) && text_contains(STR(""), STR("")));
	assert_false(text_contains(STR("hel"), STR("hell")) || text_contains(STR("hello"), STR("ELL")));
	assert_true(text_icontains(STR("HeLLo"), STR("ello")) && text_icontains(STR("x"), STR("")));
	assert_false(text_icontains(STR("HeLL"), STR("ello")) || text_icontains(STR("\xc4"), STR("\xe4")));
}

static void test_order(void **unused)
{
	assert_true(text_cmp(STR("a"), STR("b")) < 0 && text_cmp(STR("b"), STR("a")) > 0);
	assert_true(text_cmp(STR("a"), STR("ab")) < 0 && text_cmp(STR(""), STR("")) == 0);
	assert_true(text_cmp(STR("\xff"), STR("a")) > 0);
}

static void test_distance(void **unused)
{
	assert_int_equal(text_distance(STR("proc.nam"), STR("proc.name")), 1);
	assert_int_equal(text_distance(STR("kitten"), STR("sitting")), 3);
	assert_int_equal(text_distance(STR(""), STR("abc")), 3);
	assert_true(text_unlike(STR("fd.nam"), STR("fd.name")) < text_unlike(STR("fd.nam"), STR("fd.num")));
	assert_int_equal(text_unlike(STR("fd.nam"), STR("user.name")), UINT32_MAX);
}

static void test_utf8(void **unused)
{
	static const char *const cases[][2] = {
		{ "", "" }, { "plain text of more than eight", "plain text of more than eight" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" }, { "\xff", "?" }, { "a\xc3", "a?" },
		{ "\xc0\x80", "??" },
		{ "\xe2\x82", "?" }, { "\xe2\x82(", "?(" }, { "\xed\xa0\x80", "???" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xf0\x9f\x98", "?" }, { "\xf4\x90\x80\x80", "????" }, { "\xf5", "?" }, { "\xe0\x9f\xbf", "???" },
	};
	struct arena a = { .limit = 1 << 20 };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str s = str_of(cases[i][0]), fixed;
		char want[64];
		uint32_t n = 0;

		for (const char *p = cases[i][1]; *p; p++) {
			if (*p == '?')
				n += (uint32_t)sprintf(want + n, "\xef\xbf\xbd");
			else
				want[n++] = *p;
		}
		assert_true(utf8_repair(s, &a, &fixed));
		assert_true(str_eq(fixed, (struct str){ want, n }));
		assert_int_equal(utf8_valid(s) == s.len, !strchr(cases[i][1], '?'));
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob_is_fnmatch),
		cmocka_unit_test(test_random_globs_are_fnmatch),
		cmocka_unit_test(test_glob_with_many_stars_is_quick),
		cmocka_unit_test(test_strset),
		cmocka_unit_test(test_strset_of_long_members),
		cmocka_unit_test(test_numset),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_pathset_is_the_walk_over_all),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
