/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves, transformers and alerts over fields of the test's own: each row below reads fixture[variant], so what a
 * comparison should say does not depend on captures or on other rooms.
 */
#include "check.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include "../c/engine/ruleset.h"

enum row { NAME, OTHER, PATH, I64, I16, U8, U32, U64, DBL, FLAG, PORT, IP, NET, END_IP, END_PORT, END_NET, BUF, LIST,
	   NUMS, EMPTY, ANC, RAW, TICK, NEAR, FIXED, SOCK, HOST, ROWS };

static struct value fixture[ROWS];
static bool present[ROWS];
static int reads[ROWS];
static struct value items[3];

static int get_fixture(const struct field_ctx *c, struct value *v)
{
	uint8_t format = v->format;

	reads[c->variant]++;
	if (!present[c->variant])
		return 0;
	*v = fixture[c->variant];
	v->format = format;
	return 1;
}

/* proc.aname without index: all for a comparison, one text for people */
static int get_ancestors(const struct field_ctx *c, struct value *v)
{
	return c->compare ? get_fixture(c, v) : value_str(v, STR("sh bash init"));
}

static int get_tick(const struct field_ctx *c, struct value *v)
{
	reads[TICK]++;
	return value_uint(v, c->memo[0]++);
}

static int check_raw(struct field_arg *arg, struct value *type, struct err *err)
{
	type->type = str_is(arg->key, "path") ? PT_FSPATH : str_is(arg->key, "fd") ? PT_FD : PT_UINT32;
	return str_is(arg->key, "nope") ? err_set(err, EINVAL, "no event has a parameter nope") : 0;
}

#define ROW(name_, type_, scope_, arg_, flags_, row) \
	[row] = { .info = { .name = name_, .class_name = "test", .doc = "", .type = PT_##type_, .format = PF_DEC, \
		  .scope = SCOPE_##scope_, .arg = arg_, .flags = flags_ }, .get = get_fixture, .variant = row }
static struct field_def defs[ROWS] = {
	ROW("t.name", CHARBUF, SELF, ARG_INDEX, 0, NAME),
	ROW("t.other", CHARBUF, LINEAGE, 0, 0, OTHER),
	ROW("t.path", FSPATH, FD, 0, 0, PATH),
	ROW("t.i64", INT64, SELF, 0, 0, I64),
	ROW("t.i16", INT16, EVENT, 0, 0, I16),
	ROW("t.u8", UINT8, EVENT, 0, 0, U8),
	ROW("t.u32", UINT32, SELF, 0, 0, U32),
	ROW("t.u64", UINT64, SELF, 0, 0, U64),
	ROW("t.dbl", DOUBLE, SELF, 0, 0, DBL),
	ROW("t.flag", BOOL, SELF, 0, 0, FLAG),
	ROW("t.port", PORT, FD, 0, 0, PORT),
	ROW("t.ip", IPADDR, FD, 0, 0, IP),
	ROW("t.net", IPNET, FD, 0, FIELD_NO_RHS | FIELD_NO_TRANSFORM, NET),
	ROW("t.end.ip", IPADDR, FD, 0, FIELD_EITHER | FIELD_FILTER_ONLY, END_IP),
	ROW("t.end.port", PORT, FD, 0, FIELD_EITHER, END_PORT),
	ROW("t.end.net", IPNET, FD, 0, FIELD_EITHER | FIELD_NET, END_NET),
	ROW("t.buf", BYTEBUF, EVENT, 0, 0, BUF),
	ROW("t.list", CHARBUF, EVENT, 0, FIELD_LIST, LIST),
	ROW("t.nums", UINT64, EVENT, 0, FIELD_LIST, NUMS),
	ROW("t.empty", CHARBUF, EVENT, 0, FIELD_LIST, EMPTY),
	ROW("t.anc", CHARBUF, LINEAGE, ARG_INDEX, FIELD_NO_RHS | FIELD_NO_TRANSFORM, ANC),
	ROW("t.raw", DYN, EVENT, ARG_KEY | ARG_REQUIRED | ARG_DOT, FIELD_NO_RHS | FIELD_NO_TRANSFORM, RAW),
	ROW("t.tick", UINT64, STATEFUL, 0, 0, TICK),
	ROW("t.near", UINT64, EVENT, ARG_INDEX | ARG_REQUIRED, FIELD_AT_MOST | FIELD_NO_RHS, NEAR),
	ROW("t.fixed", CHARBUF, SELF, 0, FIELD_NO_RHS, FIXED),
	ROW("t.sock", SOCKADDR, SELF, 0, 0, SOCK),
	ROW("evt.type", CHARBUF, EVENT, 0, FIELD_EVENT_NAME, HOST),
};

static struct ruleset *rs;
static struct arena scratch;
static struct evt ev;
static struct err err;
static int32_t bad;

static void set_text(enum row r, const char *z)
{
	fixture[r] = (struct value){ .type = defs[r].info.type };
	present[r] = value_str(&fixture[r], str_of(z));
}

static void set_num(enum row r, int64_t n)
{
	fixture[r] = (struct value){ .type = defs[r].info.type, .num.i = n };
	present[r] = true;
}

static struct value addr_value(uint8_t type, const char *text)
{
	static uint8_t store[8][16];
	static int next;
	uint8_t *p = store[next++ % 8];
	bool v6 = strchr(text, ':');

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, p), 1);
	return (struct value){ .type = type, .p = p, .len = v6 ? 16 : 4 };
}

static void set_addr(enum row r, const char *text)
{
	fixture[r] = addr_value(defs[r].info.type, text);
	present[r] = true;
}

static void set_items(enum row r, uint32_t n)
{
	fixture[r] = (struct value){ .type = defs[r].info.type, .flags = VALUE_LIST, .p = items, .num.n = n };
	present[r] = true;
}

static void set_texts(enum row r, const char *a, const char *b, const char *c)
{
	const char *all[] = { a, b, c };
	uint32_t n = 0;

	for (; n < 3 && all[n]; n++) {
		items[n] = (struct value){ .type = PT_CHARBUF };
		value_str(&items[n], str_of(all[n]));
	}
	set_items(r, n);
}

static int setup(void **unused)
{
	memset(present, 0, sizeof present);
	memset(reads, 0, sizeof reads);
	defs[ANC].get = get_ancestors;
	defs[TICK].get = get_tick;
	defs[RAW].check = check_raw;
	scratch = (struct arena){ .limit = 1 << 20 };
	rs = ruleset_new();
	ev = (struct evt){ .serial = 1, .scratch = &scratch, .rules = rs };
	return !rs;
}

static int teardown(void **unused)
{
	ruleset_free(rs);
	arena_free(&scratch);
	return 0;
}

static void next_event(void)
{
	arena_reset(&scratch);
	ruleset_next_event(rs, &ev);
}

static int field(enum row r)
{
	int id = ruleset_field_row(rs, &defs[r], (struct str){ 0 }, &err);

	assert_true(id >= 0);
	return id;
}

static int field_with(enum row r, const char *arg)
{
	return ruleset_field_row(rs, &defs[r], str_of(arg), &err);
}

static int text(const char *z)
{
	return ruleset_text(rs, z, (uint32_t)strlen(z), &err);
}

static int list_of(const char *a, const char *b, const char *c)
{
	const char *all[] = { a, b, c };
	int32_t ids[3];
	uint32_t n = 0;

	for (; n < 3 && all[n]; n++)
		ids[n] = text(all[n]);
	return ruleset_list(rs, ids, n, &err);
}

static int transform(enum transformer tr, int a, int b, const char *arg)
{
	int32_t in[] = { a, b };

	return ruleset_transform(rs, tr, in, b < 0 ? 1 : 2, arg, arg ? (uint32_t)strlen(arg) : 0, &err);
}

/* Constants end with NULL. */
static int load(int x, uint32_t op, uint32_t modifier, const char *const *constants)
{
	struct str values[16];
	struct leaf_spec spec = { .expr = x, .rhs = -1, .op = op, .modifier = modifier, .values = values };

	assert_true(x >= 0);
	for (; constants && constants[spec.nvalues]; spec.nvalues++)
		values[spec.nvalues] = str_of(constants[spec.nvalues]);
	err.text[0] = 0;
	return ruleset_leaf(rs, &spec, &bad, &err);
}

static bool ask(int x, uint32_t op, uint32_t modifier, const char *const *constants)
{
	int id = load(x, op, modifier, constants);

	if (id < 0)
		print_error("%s\n", err.text);
	assert_true(id >= 0);
	next_event();
	int answer = leaf(&ev, id);
	assert_int_equal(leaf(&ev, id), answer);
	return answer;
}

#define C(...) (const char *const[]){ __VA_ARGS__, NULL }
#define NO_CONSTANTS (const char *const[]){ NULL }
#define yes(x, op, ...) assert_true(ask(x, op, MOD_NONE, C(__VA_ARGS__)))
#define no(x, op, ...) assert_false(ask(x, op, MOD_NONE, C(__VA_ARGS__)))
#define yes_mod(x, op, mod, ...) assert_true(ask(x, op, mod, C(__VA_ARGS__)))
#define no_mod(x, op, mod, ...) assert_false(ask(x, op, mod, C(__VA_ARGS__)))
#define loads(x, op, ...) assert_true(load(x, op, MOD_NONE, C(__VA_ARGS__)) >= 0)
#define refused(x, op, words, ...) \
	do { \
		assert_int_equal(load(x, op, MOD_NONE, C(__VA_ARGS__)), -EINVAL); \
		if (!strstr(err.text, words)) \
			print_error("message: %s\n", err.text); \
		assert_non_null(strstr(err.text, words)); \
	} while (0)

static bool compare(int a, uint32_t op, int b)
{
	struct leaf_spec spec = { .expr = a, .rhs = b, .op = op };
	int id = ruleset_leaf(rs, &spec, &bad, &err);

	assert_true(id >= 0);
	next_event();
	return leaf(&ev, id);
}

static void refuse_compare(int a, uint32_t op, int b)
{
	struct leaf_spec spec = { .expr = a, .rhs = b, .op = op };

	assert_int_equal(ruleset_leaf(rs, &spec, &bad, &err), -EINVAL);
}

/* ------------------------------------------------------------------ meaning */

static void test_missing_is_false_whatever_the_operator(void **unused)
{
	static const char *const one[] = { "1", NULL };

	for (uint32_t op = OP_EQ; op < OP_COUNT; op++) {
		if (class_takes(CLASS_TEXT, op))
			assert_false(ask(field(NAME), op, MOD_NONE, one));
		if (class_takes(CLASS_SIGNED, op))
			assert_false(ask(field(I64), op, MOD_NONE, one));
	}
	assert_false(ask(field(NAME), OP_EXISTS, MOD_NONE, NULL));
	no_mod(field(NAME), OP_NE, MOD_ALLOF, "a");
	set_text(NAME, "");
	assert_true(ask(field(NAME), OP_EXISTS, MOD_NONE, NULL));
	yes(field(NAME), OP_NE, "1");
	assert_false(compare(field(NAME), OP_NE, field(OTHER)));
}

static void test_text(void **unused)
{
	int x = field(NAME);

	set_text(NAME, "/usr/bin/Cat");
	yes(x, OP_EQ, "/usr/bin/Cat");
	no(x, OP_EQ, "/usr/bin/cat");
	yes(x, OP_NE, "/usr/bin/cat");
	yes(x, OP_LT, "/usr/bin/Cau");
	no(x, OP_LT, "/usr/bin/Cat");
	yes(x, OP_LE, "/usr/bin/Cat");
	yes(x, OP_GT, "/usr/bin/Ca");
	yes(x, OP_GE, "/usr/bin/Cat");
	yes(x, OP_CONTAINS, "bin/C");
	no(x, OP_CONTAINS, "bin/c");
	yes(x, OP_CONTAINS, "");
	yes(x, OP_ICONTAINS, "BIN/c");
	yes(x, OP_STARTSWITH, "/usr");
	no(x, OP_STARTSWITH, "usr");
	yes(x, OP_ENDSWITH, "Cat");
	no(x, OP_ENDSWITH, "cat");
	yes(x, OP_GLOB, "/usr*Cat");
	no(x, OP_GLOB, "/usr*cat");
	yes(x, OP_IGLOB, "/USR*ca?");
	yes(x, OP_IGLOB, "/usr/bin/cat");
	yes(x, OP_IN, "a", "/usr/bin/Cat", "b");
	no(x, OP_IN, "a", "/usr/bin/cat", "b");
	yes(x, OP_INTERSECTS, "a", "/usr/bin/Cat");
	yes(x, OP_PMATCH, "/etc", "/usr");
	no(x, OP_PMATCH, "/us", "/etc");
	assert_false(ask(x, OP_IN, MOD_NONE, NO_CONSTANTS));
	assert_false(ask(x, OP_PMATCH, MOD_NONE, NO_CONSTANTS));
	set_text(PATH, "/etc/x");
	yes(field(PATH), OP_STARTSWITH, "/etc");
}

static void test_regex_is_posix_and_takes_the_whole_value(void **unused)
{
	int x = field(NAME);

	set_text(NAME, "/p\xff/q\xff");
	yes(x, OP_REGEX, "/p./q.");		/* what is not UTF-8 reads as one replacement character */
	no(x, OP_REGEX, "/p./q");
	no(x, OP_REGEX, "p./q.");
	set_text(NAME, "abc");
	yes(x, OP_REGEX, "a(b|x)[[:alpha:]]");
	yes(x, OP_REGEX, "^abc$");
	refused(x, OP_REGEX, "no regular expression", "a[");
	refused(x, OP_REGEX, "no regular expression", "\\d+");	/* Perl's */
	assert_int_equal(bad, 0);
	assert_int_equal(load(x, OP_REGEX, MOD_ANYOF, C("z(", "ok", "a.c")), -EINVAL);
	assert_int_equal(bad, 0);
}

static void test_bytes(void **unused)
{
	int x = field(BUF);

	fixture[BUF] = (struct value){ .type = PT_BYTEBUF, .p = "a\0b\x7f", .len = 4 };
	present[BUF] = true;
	yes(x, OP_BCONTAINS, "0062");
	yes(x, OP_BCONTAINS, "7F");
	no(x, OP_BCONTAINS, "7e");
	yes(x, OP_BSTARTSWITH, "6100");
	no(x, OP_BSTARTSWITH, "00");
	yes(x, OP_STARTSWITH, "a");
	yes(x, OP_CONTAINS, "b");
	no(x, OP_EQ, "a");
	refused(x, OP_BCONTAINS, "hexadecimal", "6");
	refused(x, OP_BCONTAINS, "hexadecimal", "6g");
	refused(x, OP_GLOB, "does not work on t.buf", "a");
	refused(field(NAME), OP_BCONTAINS, "does not work on t.name", "61");

	/* bytes may hold what texts may not */
	struct str nul = { "a\0b\x7f", 4 };
	struct leaf_spec spec = { .expr = x, .rhs = -1, .op = OP_EQ, .nvalues = 1, .values = &nul };
	int id = ruleset_leaf(rs, &spec, &bad, &err);
	assert_true(id >= 0 && leaf(&ev, id));
	spec.expr = field(NAME);
	assert_int_equal(ruleset_leaf(rs, &spec, &bad, &err), -EINVAL);
	assert_non_null(strstr(err.text, "NUL"));
}

static void test_numbers(void **unused)
{
	int i = field(I64), s = field(I16), u = field(U32), w = field(U64);

	set_num(I64, -5);
	yes(i, OP_LT, "0");
	yes(i, OP_EQ, "-5");
	no(i, OP_GT, "4294967295");
	yes(i, OP_IN, "1", "-5");
	no(i, OP_IN, "1", "5");
	set_num(I16, 300);
	yes(s, OP_GT, "-500");
	yes(s, OP_LE, "300");
	set_num(U32, 4294967295);
	yes(u, OP_EQ, "-1");			/* all ones */
	yes(u, OP_EQ, "4294967295");
	yes(u, OP_GT, "7");
	set_num(U64, -1);
	yes(w, OP_EQ, "18446744073709551615");
	yes(w, OP_GT, "9223372036854775807");
	no(w, OP_LT, "1");
	yes(w, OP_NE, "0");
	yes(w, OP_EQ, " +18446744073709551615");	/* blanks in front, as scanf takes them */
}

static void test_numbers_that_are_none(void **unused)
{
	int x = field(I64);

	refused(x, OP_EQ, "t.i64: 'abc' is no decimal number", "abc");
	refused(x, OP_EQ, "is no decimal number", "1.5");
	refused(x, OP_EQ, "is no decimal number", "5 ");
	refused(x, OP_EQ, "is no decimal number", "10ms");
	refused(x, OP_EQ, "is no decimal number", "-");
	refused(x, OP_EQ, "hexadecimal", "0x10");
	refused(x, OP_EQ, "empty", "");
	refused(x, OP_IN, "abc", "1", "2", "abc", "4");
	assert_int_equal(bad, 2);
	refused(x, OP_CONTAINS, "a number (INT64): use = != < <= > >= in intersects exists", "1");
	assert_int_equal(bad, -1);
}

/* As the reference reads them: saturated at 64 bits, then cut down to the type's. */
static void test_numbers_that_do_not_fit_are_cut(void **unused)
{
	set_num(U8, 44);
	yes(field(U8), OP_EQ, "300");
	yes(field(U8), OP_IN, "1", "-212");
	no(field(U8), OP_EQ, "45");
	set_num(I64, INT64_MAX);
	yes(field(I64), OP_EQ, "99999999999999999999");
	set_num(I64, INT64_MIN);
	yes(field(I64), OP_EQ, "-99999999999999999999");
}

static void test_doubles_take_whole_numbers(void **unused)
{
	int x = field(DBL);

	set_num(DBL, 0);
	fixture[DBL].num.d = 1.5;
	yes(x, OP_GT, "1");
	yes(x, OP_LT, "2");
	no(x, OP_EQ, "1");
	fixture[DBL].num.d = 3;
	yes(x, OP_IN, "1", "2", "3");
	fixture[DBL].num.d = -0.0;
	yes(x, OP_IN, "1", "0");
	refused(x, OP_EQ, "whole numbers", "1.0");
}

static void test_bools(void **unused)
{
	int x = field(FLAG);

	set_num(FLAG, 1);
	yes(x, OP_EQ, "true");
	yes(x, OP_NE, "false");
	yes(x, OP_IN, "false", "true");
	refused(x, OP_EQ, "neither true nor false", "1");
	refused(x, OP_EQ, "neither true nor false", "True");
	refused(x, OP_LT, "does not work", "true");
}

static void test_ports(void **unused)
{
	int x = field(PORT);

	set_num(PORT, 443);
	yes(x, OP_EQ, "443");
	yes(x, OP_GE, "400");
	no(x, OP_EQ, "");			/* port 0 */
	refused(x, OP_EQ, "neither a port number nor a service", "no-such-service");
	yes(x, OP_EQ, "65979");			/* the lower 16 bits, as the reference has it */
	refused(x, OP_EQ, "65535", "2147483648");
	if (load(x, OP_EQ, MOD_NONE, C("https")) >= 0)	/* a machine without /etc/services has no names */
		yes(x, OP_EQ, "https");
}

static void test_addresses(void **unused)
{
	int x = field(IP);

	set_addr(IP, "10.1.2.3");
	yes(x, OP_EQ, "10.1.2.3");
	no(x, OP_EQ, "10.1.2.4");
	no(x, OP_EQ, "::1");
	yes(x, OP_NE, "::1");			/* another family is different, not missing */
	yes(x, OP_IN, "::1", "10.1.2.3");
	set_addr(IP, "fe80::1");
	yes(x, OP_EQ, "fe80:0:0::1");
	no(x, OP_EQ, "10.1.2.3");
	refused(x, OP_EQ, "no IPv4 address", "10.1.2");
	refused(x, OP_EQ, "no IPv6 address", "localhost");
	refused(x, OP_EQ, "no IPv4 address", "10.0.0.0/8");
	refused(x, OP_LT, "does not work", "10.0.0.1");
}

static void test_networks(void **unused)
{
	int x = field(NET);

	set_addr(NET, "10.1.2.3");
	yes(x, OP_EQ, "10.0.0.0/8");
	no(x, OP_EQ, "11.0.0.0/8");
	yes(x, OP_IN, "11.0.0.0/8", "fe80::/10", "10.1.0.0/16");
	no(x, OP_EQ, "fe80::/10");
	yes(x, OP_NE, "fe80::/10");
	yes_mod(x, OP_NE, MOD_ALLOF, "11.0.0.0/8", "12.0.0.0/8");
	no_mod(x, OP_NE, MOD_ALLOF, "11.0.0.0/8", "10.0.0.0/8");
	refused(x, OP_EQ, "prefix length", "10.0.0.0");
	refused(x, OP_EQ, "from 0 to 32", "10.0.0.0/33");
	refused(x, OP_EQ, "from 0 to 128", "fe80::/129");
	refused(x, OP_EQ, "from 0 to 32", "10.0.0.0/");
}

static void set_ends(enum row r, const char *a, const char *b)
{
	items[0] = addr_value(PT_IPADDR, a);
	items[1] = addr_value(PT_IPADDR, b);
	set_items(r, 2);
}

static void test_either_end(void **unused)
{
	int ip = field(END_IP), port = field(END_PORT), net = field(END_NET);

	set_ends(END_IP, "10.0.0.1", "192.168.0.1");
	yes(ip, OP_EQ, "192.168.0.1");
	yes(ip, OP_IN, "1.1.1.1", "192.168.0.1");
	no(ip, OP_EQ, "1.1.1.1");
	no(ip, OP_NE, "192.168.0.1");		/* one end is equal */
	yes(ip, OP_NE, "1.1.1.1");
	yes(ip, OP_NE, "::1");
	no(ip, OP_EQ, "::1");
	no_mod(ip, OP_NE, MOD_ALLOF, "1.1.1.1", "10.0.0.1");
	yes_mod(ip, OP_NE, MOD_ALLOF, "1.1.1.1", "2.2.2.2");

	set_ends(END_NET, "10.0.0.1", "192.168.0.1");
	yes(net, OP_EQ, "192.168.0.0/16");
	no(net, OP_NE, "192.168.0.0/16");
	yes(net, OP_NE, "172.16.0.0/12");
	yes(net, OP_IN, "10.0.0.0/8", "1.0.0.0/8");
	no(net, OP_IN, "1.0.0.0/8", "10.0.0.0/8");	/* only the first one counts */

	items[0] = (struct value){ .type = PT_PORT, .num.u = 80 };
	items[1] = (struct value){ .type = PT_PORT, .num.u = 5000 };
	set_items(END_PORT, 2);
	yes(port, OP_EQ, "80");
	yes(port, OP_LT, "100");
	yes(port, OP_GT, "100");
	no(port, OP_NE, "5000");
	yes(port, OP_IN, "1", "5000");

	set_items(END_IP, 0);			/* a descriptor that is no socket */
	no(ip, OP_EQ, "1.1.1.1");
	no(ip, OP_NE, "1.1.1.1");
	assert_true(ask(ip, OP_EXISTS, MOD_NONE, NULL));
}

static void test_any_of_several_values(void **unused)
{
	int x = field(ANC);

	set_texts(ANC, "sh", "bash", "init");
	yes(x, OP_EQ, "bash");
	yes(x, OP_NE, "bash");			/* some ancestor has another name */
	yes(x, OP_IN, "zsh", "init");
	yes(x, OP_PMATCH, "init");
	yes(x, OP_GLOB, "in*");
	no(x, OP_EQ, "sh bash init");
}

static void test_lists(void **unused)
{
	int x = field(LIST), nums = field(NUMS);

	set_texts(LIST, "file", "ipv4", NULL);
	yes(x, OP_IN, "ipv4", "file", "pipe");
	no(x, OP_IN, "ipv4", "pipe");
	yes(x, OP_INTERSECTS, "ipv4", "pipe");
	no(x, OP_INTERSECTS, "pipe", "unix");
	no(x, OP_IN, "file");
	assert_true(ask(x, OP_EXISTS, MOD_NONE, NULL));
	refused(x, OP_EQ, "a list: use in, intersects or exists", "file");
	refused(x, OP_PMATCH, "a list: use in, intersects or exists", "file");
	assert_int_equal(load(x, OP_EQ, MOD_ANYOF, C("file")), -EINVAL);
	items[0] = (struct value){ .type = PT_UINT64, .num.u = 7 };
	items[1] = (struct value){ .type = PT_UINT64, .num.u = 9 };
	set_items(NUMS, 2);
	yes(nums, OP_IN, "7", "8", "9");
	yes(nums, OP_INTERSECTS, "9");
	no(nums, OP_IN, "7", "8");
	set_items(EMPTY, 0);			/* there, with every item it has in any set */
	assert_true(ask(field(EMPTY), OP_EXISTS, MOD_NONE, NULL));
	yes(field(EMPTY), OP_IN, "a");
	no(field(EMPTY), OP_INTERSECTS, "a");
}

static void test_modifiers(void **unused)
{
	int x = field(NAME);

	set_text(NAME, "myexe");
	yes_mod(x, OP_EQ, MOD_ONEOF, "myexe", "bash");
	no_mod(x, OP_EQ, MOD_ONEOF, "myexe", "myexe");	/* two that fit */
	yes_mod(x, OP_EQ, MOD_ANYOF, "myexe", "myexe");
	yes_mod(x, OP_EQ, MOD_ALLOF, "myexe", "myexe");
	no_mod(x, OP_EQ, MOD_ALLOF, "myexe", "bash");
	yes_mod(x, OP_NE, MOD_ONEOF, "myexe", "myexe", "bash");
	no_mod(x, OP_NE, MOD_ONEOF, "bash", "sh");
	yes_mod(x, OP_NE, MOD_ANYOF, "myexe", "bash");
	yes_mod(x, OP_NE, MOD_ALLOF, "bash", "sh");
	no_mod(x, OP_NE, MOD_ALLOF, "myexe", "bash");
	no_mod(x, OP_CONTAINS, MOD_ONEOF, "my", "exe");
	yes_mod(x, OP_CONTAINS, MOD_ALLOF, "my", "exe");
	yes_mod(x, OP_ICONTAINS, MOD_ANYOF, "ZZ", "EXE");
	yes_mod(x, OP_STARTSWITH, MOD_ALLOF, "my", "mye");
	yes_mod(x, OP_ENDSWITH, MOD_ONEOF, "exe", "sh");
	yes_mod(x, OP_GLOB, MOD_ALLOF, "my*", "*exe");
	yes_mod(x, OP_IGLOB, MOD_ANYOF, "MY*", "b");
	yes_mod(x, OP_REGEX, MOD_ALLOF, "my.*", ".*exe");
	no_mod(x, OP_REGEX, MOD_ONEOF, "my.*", ".*exe");
	for (uint32_t mod = MOD_ONEOF; mod <= MOD_ALLOF; mod++) {
		assert_false(ask(x, OP_EQ, mod, NO_CONSTANTS));
		assert_false(ask(x, OP_NE, mod, NO_CONSTANTS));
	}
	assert_int_equal(load(x, OP_IN, MOD_ANYOF, C("a")), -EINVAL);
	assert_int_equal(load(x, OP_LT, MOD_ANYOF, C("a")), -EINVAL);
	set_num(I64, 5);
	yes_mod(field(I64), OP_EQ, MOD_ANYOF, "4", "5");
	yes_mod(field(I64), OP_NE, MOD_ALLOF, "4", "6");
}

static void test_comparing_two_fields(void **unused)
{
	int a = field(NAME), b = field(OTHER), i = field(I64);

	set_text(NAME, "/usr/bin");
	set_text(OTHER, "/usr");
	assert_false(compare(a, OP_EQ, b));
	assert_true(compare(a, OP_NE, b));
	assert_true(compare(a, OP_GT, b));
	assert_true(compare(a, OP_STARTSWITH, b));
	assert_true(compare(a, OP_CONTAINS, b));
	assert_false(compare(a, OP_IN, b));
	assert_true(compare(a, OP_IN, a));
	assert_true(compare(a, OP_EQ, a));
	set_text(OTHER, "/USR*");
	assert_false(compare(a, OP_GLOB, b));
	assert_true(compare(a, OP_IGLOB, b));
	set_text(OTHER, "R/BIN");
	assert_true(compare(a, OP_ICONTAINS, b));
	set_num(I64, -3);
	assert_true(compare(i, OP_LE, i));
	set_texts(LIST, "a", "b", NULL);
	assert_true(compare(field(LIST), OP_IN, field(LIST)));
	assert_true(compare(field(LIST), OP_IN, list_of("b", "x", "a")));
	assert_false(compare(field(LIST), OP_IN, list_of("b", "x", NULL)));
	assert_true(compare(field(LIST), OP_INTERSECTS, list_of("b", "x", NULL)));
	refuse_compare(a, OP_EQ, i);
	refuse_compare(a, OP_EQ, field(PATH));		/* equal kind is not equal type */
	refuse_compare(a, OP_PMATCH, b);
	refuse_compare(a, OP_REGEX, b);
	refuse_compare(a, OP_EQ, field(FIXED));
	refuse_compare(field(FIXED), OP_EQ, a);
	refuse_compare(a, OP_IN, field(LIST));
	refuse_compare(field(NET), OP_EQ, field(NET));
	refuse_compare(a, OP_EXISTS, b);
}

static void test_types_that_events_decide(void **unused)
{
	int fd = field_with(RAW, "fd"), size = field_with(RAW, "size"), path = field_with(RAW, "path");

	fixture[RAW] = (struct value){ .type = PT_FD, .num.i = -2 };
	present[RAW] = true;
	yes(fd, OP_GE, "-2");
	yes(fd, OP_IN, "-2", "4");
	no(size, OP_EQ, "-2");				/* the 32 bits of this -2 ... */
	fixture[RAW] = (struct value){ .type = PT_UINT64, .num.u = 4294967294 };
	yes(size, OP_EQ, "-2");				/* ... are another number in 64 */
	yes(size, OP_GT, "5");
	no(size, OP_IN, "5", "6");
	yes(size, OP_IN, "5", "4294967294");
	yes_mod(size, OP_NE, MOD_ALLOF, "5", "6");
	fixture[RAW] = (struct value){ .type = PT_CHARBUF, .p = "5", .len = 1 };
	no(size, OP_EQ, "5");
	no(size, OP_NE, "5");
	yes(path, OP_PMATCH, "5");
	yes(path, OP_IN, "5", "6");
	no(fd, OP_LT, "9");
	refused(fd, OP_EQ, "t.raw.fd: 'x' is no decimal number", "x");
	assert_int_equal(field_with(RAW, "nope"), -EINVAL);
}

static void test_near(void **unused)
{
	int x = field_with(NEAR, "1404996934793590564");

	set_num(NEAR, 10);
	yes(x, OP_EQ, "10");
	yes(x, OP_EQ, "11");
	no(x, OP_EQ, "9");
	refused(x, OP_LT, "'=' only", "9");
}

static void test_only_presence_of_other_types(void **unused)
{
	set_text(SOCK, "x");
	assert_true(ask(field(SOCK), OP_EXISTS, MOD_NONE, NULL));
	refused(field(SOCK), OP_EQ, "only be tested with exists", "x");
}

static void test_event_types_are_known(void **unused)
{
	int x = field(HOST);

	loads(x, OP_EQ, "open");
	loads(x, OP_IN, "open", "brk", "container");
	refused(x, OP_EQ, "did you mean 'openat'", "openatt");
	refused(x, OP_IN, "no event type", "open", "nonsense_of_a_name");
	assert_int_equal(bad, 1);
	refused(x, OP_STARTSWITH, "did you mean", "opena");
	loads(x, OP_STARTSWITH, "openat");
	loads(x, OP_EQ, "");			/* some calls have no name */
}

/* ------------------------------------------------------------------ fields and their arguments */

static void test_arguments(void **unused)
{
	assert_int_equal(field_with(OTHER, "1"), -EINVAL);
	assert_non_null(strstr(err.text, "takes no argument"));
	assert_int_equal(ruleset_field_row(rs, &defs[RAW], (struct str){ 0 }, &err), -EINVAL);
	assert_non_null(strstr(err.text, "needs an argument"));
	assert_int_equal(field_with(NEAR, "soon"), -EINVAL);
	assert_true(field_with(NAME, "2") >= 0);
	assert_int_not_equal(field_with(NAME, "2"), field(NAME));
	assert_int_equal(field_with(NAME, "2"), field_with(NAME, "2"));
}

static void test_unknown_field(void **unused)
{
	assert_int_equal(ruleset_field(rs, "evt.nun", 7, NULL, 0, &err), -ENOENT);
	assert_non_null(strstr(err.text, "unknown field 'evt.nun' (did you mean 'evt.num'?)"));
	assert_true(ruleset_field(rs, "evt.num", 7, NULL, 0, &err) >= 0);
}

/* ------------------------------------------------------------------ sharing and caching */

static void test_equal_ones_are_one(void **unused)
{
	int x = field(NAME);

	assert_int_equal(x, field(NAME));
	assert_int_equal(load(x, OP_IN, MOD_NONE, C("a", "b")), load(x, OP_IN, MOD_NONE, C("b", "a", "b")));
	assert_int_equal(load(x, OP_IN, MOD_NONE, C("a", "b")), load(x, OP_INTERSECTS, MOD_NONE, C("a", "b")));
	assert_int_equal(load(x, OP_IN, MOD_NONE, C("a", "b")), load(x, OP_EQ, MOD_ANYOF, C("a", "b")));
	assert_int_equal(load(x, OP_IN, MOD_NONE, C("a")), load(x, OP_EQ, MOD_NONE, C("a")));
	assert_int_not_equal(load(x, OP_EQ, MOD_NONE, C("a")), load(x, OP_NE, MOD_NONE, C("a")));
	assert_int_not_equal(load(x, OP_EQ, MOD_ONEOF, C("a", "b")), load(x, OP_EQ, MOD_ONEOF, C("a", "b", "b")));
	assert_int_not_equal(load(x, OP_EQ, MOD_NONE, C("a")), load(field(OTHER), OP_EQ, MOD_NONE, C("a")));
	assert_int_equal(transform(TR_TOLOWER, x, -1, NULL), transform(TR_TOLOWER, x, -1, NULL));
	assert_int_not_equal(transform(TR_TOLOWER, x, -1, NULL), transform(TR_TOUPPER, x, -1, NULL));
	assert_int_equal(load(field(END_NET), OP_IN, MOD_NONE, C("1.0.0.0/8", "2.0.0.0/8")),
			 load(field(END_NET), OP_EQ, MOD_NONE, C("1.0.0.0/8")));
	assert_int_equal(ruleset_leaf_count(rs), 7);
}

static void test_each_field_is_read_once_per_event(void **unused)
{
	int x = field(NAME), low = transform(TR_TOLOWER, x, -1, NULL);
	int a = load(x, OP_EQ, MOD_NONE, C("a")), b = load(x, OP_IN, MOD_NONE, C("b", "c"));
	int c = load(low, OP_EQ, MOD_NONE, C("a")), d = load(field(OTHER), OP_EXISTS, MOD_NONE, NULL);

	set_text(NAME, "a");
	for (int i = 1; i < 4; i++) {
		next_event();
		assert_true(leaf(&ev, a) && leaf(&ev, c));
		assert_false(leaf(&ev, b) || leaf(&ev, d));
		assert_true(leaf(&ev, a));
		assert_false(leaf(&ev, d));
		assert_int_equal(reads[NAME], i);
		assert_int_equal(reads[OTHER], i);
	}
}

static void test_stateful_fields_are_read_each_time(void **unused)
{
	int x = field(TICK), y = field(TICK);
	int a = load(x, OP_EQ, MOD_NONE, C("0")), b = load(x, OP_EQ, MOD_NONE, C("0"));

	assert_int_not_equal(x, y);
	assert_int_not_equal(a, b);
	next_event();
	assert_true(leaf(&ev, a));
	assert_false(leaf(&ev, a));		/* counted on */
	assert_true(leaf(&ev, load(y, OP_EQ, MOD_NONE, C("0"))));
	int32_t in[] = { x };
	int n = ruleset_transform(rs, TR_LEN, in, 1, NULL, 0, &err);
	assert_true(n < 0);			/* len() of a number */
	int list = ruleset_list(rs, in, 1, &err);
	assert_int_equal(ruleset_expr(rs, list)->scope, SCOPE_STATEFUL);
	assert_int_not_equal(list, ruleset_list(rs, in, 1, &err));
}

static void test_answers_of_long_ago_are_forgotten(void **unused)
{
	int a = load(field(NAME), OP_EQ, MOD_NONE, C("a"));

	set_text(NAME, "a");
	ev.serial = 1;
	assert_true(leaf(&ev, a));
	set_text(NAME, "b");
	ev.serial = UINT32_MAX;
	next_event();
	assert_int_equal(ev.serial, 1);
	assert_false(leaf(&ev, a));
}

static void test_scopes_are_joined(void **unused)
{
	int self = field(NAME), lineage = field(OTHER), fd = field(PATH);
	int32_t mixed[] = { self, lineage }, same[] = { self, self }, with_text[] = { text("x"), lineage };
	struct leaf_spec spec = { .expr = self, .rhs = lineage, .op = OP_EQ };

	assert_int_equal(ruleset_expr(rs, transform(TR_BASENAME, fd, -1, NULL))->scope, SCOPE_FD);
	assert_int_equal(ruleset_expr(rs, ruleset_list(rs, mixed, 2, &err))->scope, SCOPE_EVENT);
	assert_int_equal(ruleset_expr(rs, ruleset_list(rs, same, 2, &err))->scope, SCOPE_SELF);
	assert_int_equal(ruleset_expr(rs, ruleset_list(rs, with_text, 2, &err))->scope, SCOPE_LINEAGE);
	assert_int_equal(ruleset_leaf_expr(rs, ruleset_leaf(rs, &spec, &bad, &err))->scope, SCOPE_EVENT);
	assert_int_equal(ruleset_leaf_expr(rs, load(self, OP_EXISTS, MOD_NONE, NULL))->scope, SCOPE_SELF);
	assert_null(ruleset_leaf_expr(rs, 99));
	assert_null(ruleset_expr(rs, -1));
}

/* ------------------------------------------------------------------ transformers */

static void assert_value(int x, const char *want)
{
	const struct value *v;

	assert_true(x >= 0);
	next_event();
	v = expr_value(&ev, rs->exprs[x]);
	if (!want) {
		assert_null(v);
		return;
	}
	assert_non_null(v);
	assert_str(((struct str){ v->p, v->len }), want);
}

static void test_letters(void **unused)
{
	int x = field(NAME);

	set_text(NAME, "/Tmp/File_1\xc4");
	assert_value(transform(TR_TOUPPER, x, -1, NULL), "/TMP/FILE_1\xc4");
	assert_value(transform(TR_TOLOWER, x, -1, NULL), "/tmp/file_1\xc4");
	assert_value(transform(TR_BASENAME, x, -1, NULL), "File_1\xc4");
	assert_value(transform(TR_TOUPPER, transform(TR_BASENAME, x, -1, NULL), -1, NULL), "FILE_1\xc4");
	set_text(NAME, "/");
	assert_value(transform(TR_BASENAME, x, -1, NULL), "");
	assert_value(transform(TR_TOLOWER, field(OTHER), -1, NULL), NULL);
	set_texts(LIST, "File", "IPv4", NULL);
	yes(transform(TR_TOLOWER, field(LIST), -1, NULL), OP_IN, "file", "ipv4");
}

static void test_base64(void **unused)
{
	static const char *const cases[][2] = {
		{ "aGVsbG8=", "hello" }, { "d29ybGQgIQ==", "world !" }, { "d29ybGQgIQ", "world !" }, { "", "" },
		{ "YWFhYmJi", "aaabbb" }, { "a", NULL }, { "=", NULL }, { "==", NULL }, { "aGV*", NULL },
		{ "aGVsbG9=", NULL }, { "aGVs====", NULL }, { "aGkA", "hi" },
	};
	int x = transform(TR_B64, field(NAME), -1, NULL);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		set_text(NAME, cases[i][0]);
		assert_value(x, cases[i][1]);
	}
	fixture[BUF] = (struct value){ .type = PT_BYTEBUF, .p = "aGkA", .len = 4 };
	present[BUF] = true;
	yes(transform(TR_B64, field(BUF), -1, NULL), OP_BCONTAINS, "686900");
}

static void test_len(void **unused)
{
	int x = transform(TR_LEN, field(NAME), -1, NULL), list = transform(TR_LEN, field(LIST), -1, NULL);

	set_text(NAME, "/tmp/file_to_run");
	yes(x, OP_EQ, "16");
	yes(x, OP_GT, "15");
	assert_int_equal(ruleset_expr(rs, x)->type, PT_UINT64);
	set_texts(LIST, "a", "b", "c");
	yes(list, OP_EQ, "3");
	fixture[BUF] = (struct value){ .type = PT_BYTEBUF, .p = "a\0b", .len = 3 };
	present[BUF] = true;
	yes(transform(TR_LEN, field(BUF), -1, NULL), OP_EQ, "3");
	yes(transform(TR_LEN, list_of(NULL, NULL, NULL), -1, NULL), OP_EQ, "0");
}

static void test_join_and_concat(void **unused)
{
	int name = field(NAME), low = transform(TR_TOLOWER, name, -1, NULL);
	int32_t mixed[] = { name, text("x"), field(U64) }, nothing[] = { name, field(OTHER) };

	set_text(NAME, "A");
	set_num(U64, 42);
	assert_value(transform(TR_JOIN, text("->"), ruleset_list(rs, mixed, 3, &err), NULL), "A->x->42");
	assert_value(transform(TR_JOIN, text(","), list_of("a", NULL, NULL), NULL), "a");
	assert_value(transform(TR_JOIN, text(","), list_of(NULL, NULL, NULL), NULL), "");
	assert_value(transform(TR_JOIN, name, list_of("x", "y", NULL), NULL), "xAy");
	assert_value(transform(TR_JOIN, text(","), ruleset_list(rs, nothing, 2, &err), NULL), NULL);
	assert_value(transform(TR_CONCAT, low, text("b"), NULL), "ab");
	set_texts(LIST, "p", "q", NULL);
	assert_value(transform(TR_JOIN, text("+"), field(LIST), NULL), "p+q");
	/* a field of several values gives transformers the one that people see */
	assert_value(transform(TR_CONCAT, field(ANC), text("!"), NULL), "sh bash init!");
}

static void test_getopt(void **unused)
{
	static const struct {
		const char *words[3], *spec, *selected, *want;	/* want: all results joined by blanks */
	} cases[] = {
		{ { "-n" }, "n", NULL, "n" }, { { "-t", "hello" }, "t:", NULL, "t hello" },
		{ { "-nt", "hello" }, "nt:", NULL, "n t hello" }, { { "-thello" }, "t:", NULL, "t hello" },
		{ { "-n", "--", "-t" }, "nt:", NULL, "n" }, { { "-x", "-n" }, "n", NULL, "? n" },
		{ { "-lpe", "/bin/sh" }, "lp:e:", NULL, "l p e" }, { { "-t" }, "t:", NULL, "" },
		{ { "-t" }, ":t:", NULL, "" }, { { "-", "-n" }, "n", NULL, "" }, { { "a", "-n" }, "n", NULL, "" },
		{ { "--exec", "-n" }, "n", NULL, "n" }, { { "-t", "-123" }, "t:", NULL, "t -123" },
		{ { "-n:" }, "n:", NULL, "n :" }, { { "-a:b" }, "ab", NULL, "a ? b" },
		{ { "-n", "-t", "hello" }, "nt:", "t", "hello" }, { { "-n", "-t", "hello" }, "nt:", "n", "n" },
		{ { "-t", "v1", "-tv2" }, "t:", "t", "v2" }, { { "-tv1", "-t" }, "t:", "t", "" },
		{ { "-n" }, "nt:", "t", NULL }, { { "-t?" }, "t:", "t", "?" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int words = list_of(cases[i].words[0], cases[i].words[1], cases[i].words[2]);
		int x = transform(TR_GETOPT, words, text(cases[i].spec), cases[i].selected);

		assert_value(cases[i].selected ? x : transform(TR_JOIN, text(" "), x, NULL), cases[i].want);
	}
	yes(transform(TR_GETOPT, list_of("-l", "-p", "80"), text("lp:"), NULL), OP_INTERSECTS, "80");
}

static void test_transformers_refuse(void **unused)
{
	int name = field(NAME), num = field(I64), list = field(LIST);

	assert_int_equal(transform(TR_TOLOWER, num, -1, NULL), -EINVAL);
	assert_non_null(strstr(err.text, "tolower() wants text"));
	assert_int_equal(transform(TR_B64, num, -1, NULL), -EINVAL);
	assert_int_equal(transform(TR_TOLOWER, field(ANC), -1, NULL), -EINVAL);
	assert_int_equal(transform(TR_TOLOWER, name, name, NULL), -EINVAL);
	assert_int_equal(transform(TR_TOLOWER, name, -1, "x"), -EINVAL);
	assert_int_equal(transform(TR_JOIN, name, -1, NULL), -EINVAL);
	assert_int_equal(transform(TR_JOIN, list, list, NULL), -EINVAL);
	assert_int_equal(transform(TR_JOIN, name, name, NULL), -EINVAL);
	assert_int_equal(transform(TR_CONCAT, name, list, NULL), -EINVAL);
	assert_int_equal(transform(TR_CONCAT, name, num, NULL), -EINVAL);
	assert_int_equal(transform(TR_GETOPT, name, name, NULL), -EINVAL);
	assert_int_equal(transform(TR_GETOPT, list, list, NULL), -EINVAL);
	assert_int_equal(transform(TR_GETOPT, list, name, ""), -EINVAL);
	assert_int_equal(transform(TR_GETOPT, list, name, "xy"), -EINVAL);
	assert_int_equal(transform(TR_COUNT, name, -1, NULL), -EINVAL);
	assert_int_equal(transform(TR_LEN, 9999, -1, NULL), -EINVAL);
	for (int i = 0; i < 200 && name >= 0; i++)
		name = transform(i & 1 ? TR_TOLOWER : TR_TOUPPER, name, -1, NULL);
	assert_int_equal(name, -EINVAL);
	assert_non_null(strstr(err.text, "nested"));
}

static void test_scratch_used_up_is_missing(void **unused)
{
	int x = transform(TR_TOLOWER, field(NAME), -1, NULL);
	static char big[40000];

	memset(big, 'A', sizeof big - 1);
	scratch.limit = 20000;
	set_text(NAME, big);
	assert_value(x, NULL);
	set_text(NAME, "AB");
	assert_value(x, "ab");
}

/* ------------------------------------------------------------------ alerts */

static void test_alert_stands_alone(void **unused)
{
	char name[] = "cat", item[] = "pipe";
	int32_t exprs[] = { field(NAME), field(I64), field(LIST), field(OTHER), field(ANC) };
	int out = ruleset_output(rs, exprs, 5);

	assert_true(out >= 0);
	set_text(NAME, name);
	set_num(I64, -7);
	set_texts(LIST, item, "unix", NULL);
	ev.h.ts = 123;
	ev.h.num = 9;
	const struct alert *a = alert_fill(&ev, out);
	memset(name, 'x', 3);
	memset(item, 'x', 4);
	memset(items, 0, sizeof items);
	assert_int_equal(a->ts, 123);
	assert_int_equal(a->num, 9);
	assert_int_equal(a->n, 5);
	assert_str(((struct str){ a->values[0].p, a->values[0].len }), "cat");
	assert_int_equal(a->values[1].num.i, -7);
	assert_int_equal(a->values[1].type, PT_INT64);
	assert_int_equal(a->values[1].format, PF_DEC);
	const struct value *list = a->values[2].p;
	assert_int_equal(a->values[2].flags, VALUE_LIST);
	assert_int_equal(a->values[2].num.n, 2);
	assert_str(((struct str){ list[0].p, list[0].len }), "pipe");
	assert_str(((struct str){ list[1].p, list[1].len }), "unix");
	assert_int_equal(a->values[3].type, PT_NONE);
	assert_str(((struct str){ a->values[4].p, a->values[4].len }), "sh bash init");
	assert_int_equal(rs->alert_cuts, 0);
}

static void test_alert_is_cut_at_a_megabyte(void **unused)
{
	enum { BIG = 3 << 19 };		/* 1.5 MiB */
	int32_t exprs[] = { field(OTHER), field(NAME), field(PATH) };
	int out = ruleset_output(rs, exprs, 3);
	char *big = malloc(BIG + 1);

	memset(big, 'b', BIG);
	big[BIG] = 0;
	set_text(OTHER, "first");
	set_text(NAME, big);
	set_text(PATH, "last");
	const struct alert *a = alert_fill(&ev, out);
	assert_int_equal(a->values[0].len, 5);
	assert_int_equal(a->values[1].len, (1 << 20) - 5);
	assert_int_equal(a->values[2].len, 0);
	assert_int_equal(rs->alert_cuts, 1);
	set_text(NAME, "short");
	a = alert_fill(&ev, out);
	assert_str(((struct str){ a->values[2].p, a->values[2].len }), "last");
	assert_int_equal(rs->alert_cuts, 1);
	free(big);
}

static void test_outputs_refuse(void **unused)
{
	int32_t filter_only[] = { field(END_IP) }, unknown[] = { 77 };

	assert_int_equal(ruleset_output(rs, filter_only, 1), -EINVAL);
	assert_int_equal(ruleset_output(rs, unknown, 1), -EINVAL);
	assert_true(ruleset_output(rs, NULL, 0) >= 0);
}

/* ------------------------------------------------------------------ what is wanted */

static void test_wanted_events(void **unused)
{
	ruleset_want(rs, EV_SYSCALL_OPEN_X, -1);
	ruleset_want(rs, EV_GENERIC_X, 5);
	ruleset_want(rs, EV_COUNT + 7, -1);
	assert_true(ruleset_wants(rs, EV_SYSCALL_OPEN_X, 0));
	assert_false(ruleset_wants(rs, EV_SYSCALL_OPEN_E, 0));
	assert_true(ruleset_wants(rs, EV_GENERIC_X, 5));
	assert_false(ruleset_wants(rs, EV_GENERIC_X, 6));
	assert_false(ruleset_wants(rs, EV_GENERIC_E, 5));
	ruleset_want(rs, EV_GENERIC_E, -1);
	assert_true(ruleset_wants(rs, EV_GENERIC_E, SC_COUNT - 1));
	assert_false(ruleset_wants(rs, EV_GENERIC_E, SC_COUNT));
	assert_false(ruleset_wants(rs, EV_COUNT + 7, 0));
	assert_false(ruleset_wants(NULL, EV_SYSCALL_OPEN_X, 0));
}

static void test_names(void **unused)
{
	for (uint32_t op = 0; op < OP_COUNT; op++)
		assert_non_null(operator_name(op));
	for (uint32_t tr = 0; tr < TR_COUNT; tr++)
		assert_non_null(transformer_name(tr));
	assert_string_equal(operator_name(OP_BSTARTSWITH), "bstartswith");
	assert_string_equal(transformer_name(TR_B64), "b64");
	assert_null(operator_name(OP_COUNT));
	assert_null(transformer_name(TR_COUNT));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(missing_is_false_whatever_the_operator), T(text), T(regex_is_posix_and_takes_the_whole_value),
		T(bytes), T(numbers), T(numbers_that_are_none), T(numbers_that_do_not_fit_are_cut), T(doubles_take_whole_numbers),
		T(bools), T(ports),
		T(addresses),
		T(networks), T(either_end), T(any_of_several_values), T(lists), T(modifiers), T(comparing_two_fields),
		T(types_that_events_decide), T(near), T(only_presence_of_other_types), T(event_types_are_known),
		T(arguments), T(unknown_field), T(equal_ones_are_one), T(each_field_is_read_once_per_event),
		T(stateful_fields_are_read_each_time), T(answers_of_long_ago_are_forgotten), T(scopes_are_joined),
		T(letters), T(base64), T(len), T(join_and_concat), T(getopt), T(transformers_refuse),
		T(scratch_used_up_is_missing), T(alert_stands_alone), T(alert_is_cut_at_a_megabyte),
		T(outputs_refuse), T(wanted_events), T(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
