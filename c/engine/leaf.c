/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include "../array.h"
#include "ruleset.h"

#define hot(x) __builtin_expect(!!(x), 1)

/* ------------------------------------------------------------------ tests: one value against prepared constants */

static inline struct str text_of(const struct subject *s)
{
	return (struct str){ s->v->p, s->v->len };
}

static bool text_eq(const struct cmp *c, const struct subject *s)
{
	return str_eq(text_of(s), c->one.s);
}

static bool text_ne(const struct cmp *c, const struct subject *s)
{
	return !str_eq(text_of(s), c->one.s);
}

#define TEXT_ORDER(name, op) \
	static bool name(const struct cmp *c, const struct subject *s) \
	{ \
		return text_cmp(text_of(s), c->one.s) op 0; \
	}
TEXT_ORDER(text_lt, <)
TEXT_ORDER(text_le, <=)
TEXT_ORDER(text_gt, >)
TEXT_ORDER(text_ge, >=)

static bool text_has(const struct cmp *c, const struct subject *s)
{
	return text_contains(text_of(s), c->one.s);
}

/* The constant is in lower case. */
static bool text_ihas(const struct cmp *c, const struct subject *s)
{
	return text_icontains(text_of(s), c->one.s);
}

static bool text_starts(const struct cmp *c, const struct subject *s)
{
	return str_starts(text_of(s), c->one.s);
}

static bool text_ends(const struct cmp *c, const struct subject *s)
{
	return str_ends(text_of(s), c->one.s);
}

static bool text_glob(const struct cmp *c, const struct subject *s)
{
	return glob_has(&c->glob, text_of(s));
}

/* Patterns know UTF-8 only, so what is none is replaced first. */
static bool text_regex(const struct cmp *c, const struct subject *s)
{
	struct str t = text_of(s);

	if (utf8_valid(t) < t.len && !utf8_repair(t, s->e->scratch, &t))
		return false;
	return regex_match(c->re, t.p, t.len);
}

static bool text_in(const struct cmp *c, const struct subject *s)
{
	struct str t = text_of(s);
	uint64_t hash;

	if (!strset_may_have(&c->strs, t))
		return false;
	if (!s->hash)
		hash = text_hash(t, s->seed);
	else if (!(hash = *s->hash))
		hash = *s->hash = text_hash(t, s->seed);
	return strset_probe(&c->strs, t, hash);
}

static bool text_not_in(const struct cmp *c, const struct subject *s)
{
	return !text_in(c, s);
}

static bool text_under(const struct cmp *c, const struct subject *s)
{
	return pathset_has(c->paths, text_of(s));
}

#define NUM_TEST(name, member, op) \
	static bool name(const struct cmp *c, const struct subject *s) \
	{ \
		return s->v->num.member op c->one.num.member; \
	}
#define NUM_ORDER(prefix, member) \
	NUM_TEST(prefix##_lt, member, <) \
	NUM_TEST(prefix##_le, member, <=) \
	NUM_TEST(prefix##_gt, member, >) \
	NUM_TEST(prefix##_ge, member, >=)
NUM_ORDER(signed, i)
NUM_ORDER(unsigned, u)
NUM_ORDER(double, d)
NUM_TEST(num_eq, u, ==)
NUM_TEST(num_ne, u, !=)
NUM_TEST(double_eq, d, ==)
NUM_TEST(double_ne, d, !=)

static bool num_in(const struct cmp *c, const struct subject *s)
{
	return numset_has(&c->nums, s->v->num.u);
}

static bool num_not_in(const struct cmp *c, const struct subject *s)
{
	return !num_in(c, s);
}

/* Sets hold the bits of whole numbers; -0.0 is the one value with other bits than its equal. */
static bool double_in(const struct cmp *c, const struct subject *s)
{
	struct value v = { .num.d = s->v->num.d + 0.0 };

	return numset_has(&c->nums, v.num.u);
}

static bool double_not_in(const struct cmp *c, const struct subject *s)
{
	return !double_in(c, s);
}

static bool bool_eq(const struct cmp *c, const struct subject *s)
{
	return !s->v->num.u == !c->one.num.u;
}

static bool bool_ne(const struct cmp *c, const struct subject *s)
{
	return !bool_eq(c, s);
}

static bool bool_in(const struct cmp *c, const struct subject *s)
{
	return numset_has(&c->nums, !!s->v->num.u);
}

static bool bool_not_in(const struct cmp *c, const struct subject *s)
{
	return !bool_in(c, s);
}

static bool net_eq(const struct cmp *c, const struct subject *s)
{
	return net_has(&c->one.net, s->v->p, s->v->len);
}

static bool net_ne(const struct cmp *c, const struct subject *s)
{
	return !net_eq(c, s);
}

static bool net_in(const struct cmp *c, const struct subject *s)
{
	return netset_has(&c->nets, s->v->p, s->v->len);
}

static bool net_not_in(const struct cmp *c, const struct subject *s)
{
	return !net_in(c, s);
}

/* Patterns and folded texts that are another field's value, not prepared. */
static bool text_glob_raw(const struct cmp *c, const struct subject *s)
{
	return glob_text(c->one.s, text_of(s), false);
}

static bool text_iglob_raw(const struct cmp *c, const struct subject *s)
{
	return glob_text(c->one.s, text_of(s), true);
}

static bool text_ihas_raw(const struct cmp *c, const struct subject *s)
{
	struct str needle = c->one.s;
	char *folded = arena_get(s->e->scratch, needle.len);

	for (uint32_t i = 0; folded && i < needle.len; i++)
		folded[i] = (char)fold_byte(needle.p[i]);
	return folded && text_icontains(text_of(s), (struct str){ folded, needle.len });
}

/* ------------------------------------------------------------------ which test an operator is */

typedef bool (*test_fn)(const struct cmp *c, const struct subject *s);

enum { OP_NOT_IN = OP_COUNT, OP_ALL };	/* "!= allof" */

#define NUMBER(prefix) \
	[OP_EQ] = num_eq, [OP_NE] = num_ne, [OP_IN] = num_in, [OP_NOT_IN] = num_not_in, [OP_LT] = prefix##_lt, \
	[OP_LE] = prefix##_le, [OP_GT] = prefix##_gt, [OP_GE] = prefix##_ge

static const test_fn tests[CLASS_COUNT][OP_ALL] = {
	[CLASS_TEXT] = { [OP_EQ] = text_eq, [OP_NE] = text_ne, [OP_LT] = text_lt, [OP_LE] = text_le,
			 [OP_GT] = text_gt, [OP_GE] = text_ge, [OP_CONTAINS] = text_has, [OP_ICONTAINS] = text_ihas,
			 [OP_STARTSWITH] = text_starts, [OP_ENDSWITH] = text_ends, [OP_GLOB] = text_glob,
			 [OP_IGLOB] = text_glob, [OP_REGEX] = text_regex, [OP_IN] = text_in,
			 [OP_NOT_IN] = text_not_in, [OP_PMATCH] = text_under },
	[CLASS_BYTES] = { [OP_EQ] = text_eq, [OP_NE] = text_ne, [OP_CONTAINS] = text_has, [OP_BCONTAINS] = text_has,
			  [OP_STARTSWITH] = text_starts, [OP_BSTARTSWITH] = text_starts, [OP_ENDSWITH] = text_ends,
			  [OP_IN] = text_in, [OP_NOT_IN] = text_not_in },
	[CLASS_SIGNED] = { NUMBER(signed) },
	[CLASS_UNSIGNED] = { NUMBER(unsigned) },
	[CLASS_DOUBLE] = { [OP_EQ] = double_eq, [OP_NE] = double_ne, [OP_IN] = double_in, [OP_NOT_IN] = double_not_in,
			   [OP_LT] = double_lt, [OP_LE] = double_le, [OP_GT] = double_gt, [OP_GE] = double_ge },
	[CLASS_BOOL] = { [OP_EQ] = bool_eq, [OP_NE] = bool_ne, [OP_IN] = bool_in, [OP_NOT_IN] = bool_not_in },
	[CLASS_ADDR] = { [OP_EQ] = text_eq, [OP_NE] = text_ne, [OP_IN] = text_in, [OP_NOT_IN] = text_not_in },
	[CLASS_NET] = { [OP_EQ] = net_eq, [OP_NE] = net_ne, [OP_IN] = net_in, [OP_NOT_IN] = net_not_in },
};

bool class_takes(enum value_class c, uint32_t op)
{
	return op == OP_EXISTS || tests[c][op == OP_INTERSECTS ? OP_IN : op];
}

void class_operators(enum value_class c, char *buf, size_t cap)
{
	size_t n = 0;

	buf[0] = 0;
	for (uint32_t op = OP_EQ; op < OP_COUNT && n < cap; op++)
		if (class_takes(c, op))
			n += (size_t)snprintf(buf + n, cap - n, "%s%s", n ? " " : "", operator_name(op));
	if (n < cap)
		snprintf(buf + n, cap - n, " exists");
}

static enum value_class class_of(const struct expr *x)
{
	return x->info.flags & FIELD_NET ? CLASS_NET : type_class(x->info.type);
}

/* ------------------------------------------------------------------ judges: what a leaf makes of tests */

/* The test on a value; on a value of several items, on any of them, or on all. None: false. */
static inline bool holds(const struct leaf *l, const struct cmp *c, const struct subject *s)
{
	if (hot(!(s->v->flags & VALUE_LIST)))
		return c->test(c, s);

	const struct value *items = s->v->p;
	for (uint64_t i = 0; i < s->v->num.n; i++) {
		struct subject item = { s->e, &items[i], NULL, s->seed };

		if (c->test(c, &item) != l->all_items)
			return !l->all_items;
	}
	return l->all_items && s->v->num.n;
}

static bool judge_exists(const struct leaf *l, const struct subject *s)
{
	return true;
}

/* A distance in time is there only when it is compared. */
static bool judge_never(const struct leaf *l, const struct subject *s)
{
	return false;
}

static bool judge_constants(const struct leaf *l, const struct subject *s)
{
	return holds(l, &l->cmp, s);
}

static bool enough(const struct leaf *l, uint32_t hits)
{
	switch (l->modifier) {
	case MOD_ONEOF:
		return hits == 1;
	case MOD_ALLOF:
		return hits == l->n && l->n;
	default:
		return hits;
	}
}

static bool judge_modifier(const struct leaf *l, const struct subject *s)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < l->n; i++)
		hits += holds(l, &l->each[i], s);
	return enough(l, hits);
}

/* Lists: "in" wants every item in the set, "intersects" one. */
static bool judge_list(const struct leaf *l, const struct subject *s)
{
	bool one = !(s->v->flags & VALUE_LIST), every = l->op == OP_IN;
	const struct value *items = one ? s->v : s->v->p;
	uint64_t n = one ? 1 : s->v->num.n;

	for (uint64_t i = 0; i < n; i++) {
		struct subject item = { s->e, &items[i], NULL, s->seed };

		if (l->cmp.test(&l->cmp, &item) != every)
			return !every;
	}
	return every;
}

static struct operand operand_of(const struct value *v)
{
	return (struct operand){ .s = { v->p, v->len }, .num.u = v->num.u };
}

static bool judge_rhs(const struct leaf *l, const struct subject *s)
{
	const struct value *right = expr_value(s->e, l->rhs);
	struct cmp c = { .test = l->cmp.test };

	if (!right)
		return false;
	c.one = operand_of(right);
	return holds(l, &c, s);
}

/* Both sides are lists. */
static bool judge_rhs_list(const struct leaf *l, const struct subject *s)
{
	const struct value *right = expr_value(s->e, l->rhs), *a = s->v->p, *b = right ? right->p : NULL;
	struct cmp c = { .test = l->cmp.test };
	bool every = l->op == OP_IN;

	if (!right)
		return false;
	for (uint64_t i = 0; i < s->v->num.n; i++) {
		struct subject item = { s->e, &a[i], NULL, s->seed };
		bool found = false;

		for (uint64_t k = 0; k < right->num.n && !found; k++) {
			c.one = operand_of(&b[k]);
			found = c.test(&c, &item);
		}
		if (found != every)
			return !every;
	}
	return every;
}

static bool is_integer(enum value_class c)
{
	return c == CLASS_SIGNED || c == CLASS_UNSIGNED;
}

/*
 * The field's type differs from event to event, and constants were read for the type of the first event that has such
 * a parameter: integers are then taken by their bytes. What cannot be compared is false.
 */
static bool judge_untyped(const struct leaf *l, const struct subject *s)
{
	uint8_t written = l->expr->info.type, actual = s->v->type;
	enum value_class was = type_class(written), is = type_class(actual);
	bool texts = (was == CLASS_TEXT || was == CLASS_BYTES) && (is == CLASS_TEXT || is == CLASS_BYTES);
	uint32_t hits = 0;

	if (written == actual || texts)
		return l->modifier ? judge_modifier(l, s) : judge_constants(l, s);
	if (!is_integer(was) || !is_integer(is))
		return false;
	for (uint32_t i = 0; i < l->n; i++) {
		struct cmp c = { .test = tests[is][l->op == OP_IN ? OP_EQ : l->op], .one = l->each[i].one };

		c.one.num.u = operand_recast(c.one.num.u, written, actual);
		hits += c.test(&c, s);
	}
	return enough(l, hits);
}

/* ------------------------------------------------------------------ building */

static int keep_regex(struct ruleset *rs, struct cmp *c, struct str pattern, struct err *err)
{
	char why[160] = "";
	int rc;

	if (!array_room(&rs->regexes, rs->nregexes, &rs->regexes_cap, sizeof *rs->regexes))
		return -ENOMEM;
	rc = regex_new(&c->re, pattern.p, pattern.len, why, sizeof why);
	if (rc == 0)
		rs->regexes[rs->nregexes++] = c->re;
	return rc != -EINVAL ? rc : err_set(err, EINVAL, "%s is no regular expression (POSIX extended, by RE2): %s",
					    quote(pattern).text, why);
}

/* One constant. */
static int build_one(struct ruleset *rs, const struct leaf *l, struct cmp *c, const struct operand *o,
		     struct err *err)
{
	char *folded;

	c->test = tests[class_of(l->expr)][l->op];
	switch (l->op) {
	case OP_GLOB:
	case OP_IGLOB:
		return glob_build(&c->glob, &rs->arena, o->s, l->op == OP_IGLOB) ? 0 : -ENOMEM;
	case OP_REGEX:
		return keep_regex(rs, c, o->s, err);
	case OP_ICONTAINS:
		if (!(folded = arena_get(&rs->arena, o->s.len)))
			return -ENOMEM;
		for (uint32_t i = 0; i < o->s.len; i++)
			folded[i] = (char)fold_byte(o->s.p[i]);
		c->one.s = (struct str){ folded, o->s.len };
		return 0;
	default:
		c->one = *o;
		return 0;
	}
}

/* All constants as a set. */
static int build_set(struct ruleset *rs, const struct leaf *l, struct cmp *c, const struct operand *o, uint32_t op)
{
	enum value_class class = class_of(l->expr);
	bool ok;

	c->test = tests[class][op];
	if (class == CLASS_NET) {
		struct net *nets = calloc(l->n + 1, sizeof *nets);

		for (uint32_t i = 0; nets && i < l->n; i++)
			nets[i] = o[i].net;
		ok = nets && netset_build(&c->nets, &rs->arena, nets, l->n);
		free(nets);
	} else if (class == CLASS_TEXT || class == CLASS_BYTES || class == CLASS_ADDR) {
		struct str *texts = calloc(l->n + 1, sizeof *texts);

		for (uint32_t i = 0; texts && i < l->n; i++)
			texts[i] = o[i].s;
		if (op == OP_PMATCH)
			ok = texts && (c->paths = pathset_build(&rs->arena, texts, l->n, rs->seed));
		else
			ok = texts && strset_build(&c->strs, &rs->arena, texts, l->n, rs->seed);
		free(texts);
	} else {
		uint64_t *nums = calloc(l->n + 1, sizeof *nums);

		for (uint32_t i = 0; nums && i < l->n; i++)
			nums[i] = o[i].num.u;
		ok = nums && numset_build(&c->nums, &rs->arena, nums, l->n);
		free(nums);
	}
	return ok ? 0 : -ENOMEM;
}

/* Each constant alone. On an error l->n tells how far it came. */
static int build_each(struct ruleset *rs, struct leaf *l, const struct operand *o, struct err *err)
{
	uint32_t n = l->n;

	if (!(l->each = arena_get(&rs->arena, n * sizeof *l->each)))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int rc = build_one(rs, l, &l->each[i], &o[i], err);

		if (rc) {
			l->n = i + 1;
			return rc;
		}
	}
	return 0;
}

static test_fn rhs_test(const struct leaf *l)
{
	switch (l->op) {
	case OP_IN:
	case OP_INTERSECTS:
		return tests[class_of(l->expr)][OP_EQ];
	case OP_GLOB:
		return text_glob_raw;
	case OP_IGLOB:
		return text_iglob_raw;
	case OP_ICONTAINS:
		return text_ihas_raw;
	default:
		return tests[class_of(l->expr)][l->op];
	}
}

int leaf_build(struct ruleset *rs, struct leaf *l, const struct operand *o, struct err *err)
{
	bool list = l->expr->info.flags & FIELD_LIST, untyped = l->expr->untyped;
	bool not_in = l->op == OP_NE && l->modifier == MOD_ALLOF && l->n && !untyped;
	int rc = 0;

	l->all_items = l->op == OP_NE && l->expr->info.flags & FIELD_EITHER;
	if (l->op == OP_EXISTS) {
		l->judge = l->expr->info.flags & FIELD_AT_MOST ? judge_never : judge_exists;
	} else if (l->rhs) {
		l->cmp.test = rhs_test(l);
		l->judge = list ? judge_rhs_list : judge_rhs;
	} else if (l->modifier != MOD_NONE && !not_in) {
		l->judge = judge_modifier;
		rc = build_each(rs, l, o, err);
	} else if (l->op == OP_IN || l->op == OP_INTERSECTS || l->op == OP_PMATCH || not_in) {
		l->judge = list ? judge_list : judge_constants;
		rc = build_set(rs, l, &l->cmp, o, not_in ? OP_NOT_IN : l->op == OP_INTERSECTS ? OP_IN : l->op);
	} else {
		l->judge = judge_constants;
		rc = build_one(rs, l, &l->cmp, o, err);
	}
	if (rc || !untyped || l->op == OP_EXISTS)
		return rc;
	l->judge = judge_untyped;
	return l->each || !is_integer(class_of(l->expr)) ? 0 : build_each(rs, l, o, err);
}

/* ------------------------------------------------------------------ evaluating */

static __attribute__((noinline)) int leaf_judge(const struct evt *e, struct ruleset *rs, uint32_t id)
{
	const struct leaf *l = rs->leaves[id];

	if (l->settled && *l->settled == e->serial)
		return 0;

	const struct value *v = expr_value(e, l->expr);
	struct subject s = { e, v, &l->expr->hash, rs->seed };
	int answer = v && l->judge(l, &s);

	if (!l->stateful)
		rs->memo[id] = (struct leaf_memo){ e->serial, (uint32_t)answer };
	return answer;
}

int leaf(const struct evt *e, int id)
{
	struct ruleset *rs = e->rules;
	struct leaf_memo *m = &rs->memo[id];

	if (m->serial == e->serial)
		return (int)m->answer;
	return leaf_judge(e, rs, (uint32_t)id);
}

int leaf_operand(const struct evt *e, int id, int side, struct value *v)
{
	struct leaf *l = e->rules->leaves[id];
	struct expr *x = side ? l->rhs : l->expr;

	*v = (struct value){ 0 };
	if (!x)
		return -ENOENT;
	/* what remembers was read by leaf(); to read it again would change it */
	if (x->info.scope != SCOPE_STATEFUL)
		expr_value(e, x);
	if (x->present)
		*v = x->value;
	return x->present;
}
