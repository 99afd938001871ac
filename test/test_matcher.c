/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher finds every leaf that holds, and no other: held against asking the leaves one by one. */
#include "check.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../c/engine/matcher.h"

enum { LEAVES = 120, TEXTS = 3000, ROUNDS = 6, LONGEST = 700 };

static struct str at_hand;		/* the text; p NULL: missing */

static int get_text(const struct field_ctx *c, struct value *v)
{
	return at_hand.p && value_str(v, at_hand);
}

static struct field_def text_field = {
	.info = { .name = "t.text", .class_name = "test", .doc = "", .type = PT_FSPATH, .scope = SCOPE_EVENT },
	.get = get_text,
};

static struct value items[2];

static int get_items(const struct field_ctx *c, struct value *v)
{
	*v = (struct value){ .type = PT_CHARBUF, .flags = VALUE_LIST, .p = items, .num.n = 2 };
	return 1;
}

static struct field_def items_field = {
	.info = { .name = "t.items", .class_name = "test", .doc = "", .type = PT_CHARBUF, .scope = SCOPE_EVENT },
	.get = get_items,
};

static struct ruleset *rs;
static struct arena scratch = { .limit = 1 << 20 };
static struct evt evt;
static uint64_t dice;

static uint32_t roll(uint32_t n)
{
	dice = hash_u64(dice + 1);
	return (uint32_t)(dice >> 20) % n;
}

static int setup(void **state)
{
	rs = ruleset_new();
	evt = (struct evt){ .serial = 1, .scratch = &scratch, .rules = rs };
	return !rs;
}

static int teardown(void **state)
{
	ruleset_free(rs);
	arena_free(&scratch);
	return 0;
}

static int leaf_of(struct field_def *def, uint32_t op, const struct str *constants, uint32_t n)
{
	struct err err;
	struct leaf_spec spec = { .expr = ruleset_field_row(rs, def, (struct str){ 0 }, &err), .rhs = -1, .op = op, .nvalues = n,
				  .values = constants };
	int rc = ruleset_leaf(rs, &spec, NULL, &err);

	if (rc < 0)
		print_error("%s\n", err.text);
	assert_true(rc >= 0);
	return rc;
}

/* Few different pieces, so that texts often have constants in them. */
static struct str random_text(char *buf, uint32_t pieces)
{
	static const char *const known[] = { "/", "/", "//", "etc", "usr", "a", "b", "ab", "passwd", "/etc/", ".", "x1", "lib64",
					     "\xc3\xa9", "*", "log" };
	uint32_t n = 0;

	for (uint32_t i = roll(pieces + 1); i; i--) {
		const char *piece = known[roll(sizeof known / sizeof known[0])];
		uint32_t len = (uint32_t)strlen(piece);

		if (n + len > LONGEST)
			break;
		memcpy(buf + n, piece, len);
		n += len;
	}
	return (struct str){ buf, n };
}

static uint32_t random_op(void)
{
	static const uint32_t ops[] = { OP_EQ, OP_IN, OP_STARTSWITH, OP_ENDSWITH, OP_CONTAINS, OP_GLOB, OP_PMATCH };

	return ops[roll(sizeof ops / sizeof ops[0])];
}

static int random_leaf(void)
{
	static char bufs[4][LONGEST + 1];
	struct str constants[4];
	uint32_t op = random_op(), n = op == OP_IN || op == OP_PMATCH ? 1 + roll(4) : 1;

	for (uint32_t i = 0; i < n; i++)
		constants[i] = random_text(bufs[i], roll(20) ? 5 : 250);
	return leaf_of(&text_field, op, constants, n);
}

static struct matcher *matcher_of(const int *leaves, uint32_t n, uint32_t *taken)
{
	struct matcher *m = matcher_new(rs, rs->leaves[leaves[0]]->expr);
	bool has[LEAVES * 2] = { false };

	assert_non_null(m);
	*taken = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (has[leaves[i]] || !leaf_findable(rs->leaves[leaves[i]]))
			continue;
		assert_true(matcher_add(m, (uint32_t)leaves[i]));
		has[leaves[i]] = true;
		++*taken;
	}
	return m;
}

/* One text: each leaf alone, then the matcher, then each leaf again. Returns how many the matcher found. */
static uint32_t hold(struct matcher *m, const int *leaves, uint32_t n)
{
	bool alone[LEAVES], found[LEAVES * 2] = { false };
	const uint32_t *ids;
	uint32_t nfound;

	arena_reset(&scratch);
	ruleset_next_event(rs, &evt);
	for (uint32_t i = 0; i < n; i++)
		alone[i] = leaf(&evt, leaves[i]);

	ruleset_next_event(rs, &evt);
	if (n && roll(2))
		leaf(&evt, leaves[roll(n)]);	/* somebody may have asked before */
	nfound = matcher_run(m, &evt, &ids);
	for (uint32_t i = 0; i < nfound; i++) {
		assert_false(found[ids[i]]);
		found[ids[i]] = true;
	}
	assert_int_equal(matcher_run(m, &evt, &ids), nfound);
	for (uint32_t i = 0; i < n; i++) {
		const struct leaf *l = rs->leaves[leaves[i]];

		if (l->settled && found[leaves[i]] != alone[i])
			print_error("op %s, first constant '%.*s', text '%.*s'\n", operator_name(l->op), (int)l->values[0].len,
				    l->values[0].p, (int)at_hand.len, at_hand.p);
		assert_int_equal(l->settled ? found[leaves[i]] : alone[i], alone[i]);
		assert_int_equal(leaf(&evt, leaves[i]), alone[i]);
	}
	return nfound;
}

static void random_round(uint64_t seed)
{
	char buf[LONGEST + 1];
	int leaves[LEAVES];
	uint32_t taken, found = 0;
	struct matcher *m;

	dice = seed;
	for (uint32_t i = 0; i < LEAVES; i++)
		leaves[i] = random_leaf();
	m = matcher_of(leaves, LEAVES, &taken);
	assert_true(taken > LEAVES / 4);
	for (uint32_t i = 0; i < TEXTS; i++) {
		at_hand = random_text(buf, roll(20) ? 8 : 300);
		found += hold(m, leaves, LEAVES);
	}
	at_hand = (struct str){ 0 };
	assert_int_equal(hold(m, leaves, LEAVES), 0);
	assert_true(found > TEXTS);
	matcher_free(m);
	for (uint32_t i = 0; i < LEAVES; i++)
		assert_null(rs->leaves[leaves[i]]->settled);
}

/* FALCO_SEED=N repeats a run that failed. */
static void finds_what_leaves_say_one_by_one(void **state)
{
	const char *text = getenv("FALCO_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	print_message("random seed %llu\n", (unsigned long long)seed);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		random_round(round % 2 ? round : seed + round);
		teardown(NULL);
		setup(NULL);
	}
}

static void ends_longer_than_it_hashes(void **state)
{
	char longs[600], other[600];
	struct str head = { longs, 500 }, tail = { longs + 50, 550 }, text = { longs, 600 }, wrong = { other, 600 };
	uint32_t taken;

	for (int i = 0; i < 600; i++)
		other[i] = longs[i] = (char)('a' + i % 23);
	other[400]++;			/* alike in the first and last 255 bytes */
	int leaves[] = { leaf_of(&text_field, OP_STARTSWITH, &head, 1), leaf_of(&text_field, OP_ENDSWITH, &tail, 1),
			 leaf_of(&text_field, OP_EQ, &text, 1), leaf_of(&text_field, OP_CONTAINS, &head, 1) };
	struct matcher *m = matcher_of(leaves, 4, &taken);

	assert_int_equal(taken, 4);
	at_hand = text;
	assert_int_equal(hold(m, leaves, 4), 4);
	at_hand = wrong;
	assert_int_equal(hold(m, leaves, 4), 0);
	matcher_free(m);
}

static void a_value_of_several_items(void **state)
{
	static const struct str constants[] = { STR("bash"), STR("init"), STR("sh") };
	int leaves[3];
	uint32_t taken;

	for (int i = 0; i < 3; i++)
		leaves[i] = leaf_of(&items_field, OP_EQ, &constants[i], 1);
	struct matcher *m = matcher_of(leaves, 3, &taken);

	assert_int_equal(taken, 3);
	items[0] = (struct value){ .type = PT_CHARBUF, .p = "sh", .len = 2 };
	items[1] = (struct value){ .type = PT_CHARBUF, .p = "init", .len = 4 };
	assert_int_equal(hold(m, leaves, 3), 2);
	matcher_free(m);
}

static void what_it_does_not_take(void **state)
{
	static const struct str globs[] = { STR("/a/*/b"), STR("") };
	int general = leaf_of(&text_field, OP_GLOB, &globs[0], 1), ne = leaf_of(&text_field, OP_NE, &globs[0], 1),
	    regex = leaf_of(&text_field, OP_REGEX, &globs[1], 1), under = leaf_of(&text_field, OP_PMATCH, globs, 1),
	    exists = leaf_of(&text_field, OP_EXISTS, NULL, 0), empty = leaf_of(&text_field, OP_CONTAINS, &globs[1], 1);
	int leaves[] = { general, ne, regex, under, exists, empty };

	for (int i = 0; i < 6; i++)
		assert_int_equal(leaf_findable(rs->leaves[leaves[i]]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_what_leaves_say_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_longer_than_it_hashes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_value_of_several_items, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_does_not_take, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
