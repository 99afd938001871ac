/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves: one comparison each, `expression operator constants` or `expression operator expression`. Built by
 * ruleset_leaf(); evaluated by leaf() without allocation (a regex may grow its automaton within RE2's own bound).
 */
#ifndef FALCO_LEAF_H
#define FALCO_LEAF_H

#include "operand.h"
#include "regex.h"

struct expr;
struct ruleset;
struct leaf;

/* What is compared: a value of the event, or one item of it. */
struct subject {
	const struct evt *e;
	const struct value *v;
	uint64_t *hash;			/* where its hash is kept for the next leaf; NULL: nowhere */
	uint64_t seed;
};

/* One test against constants prepared for it. */
struct cmp {
	bool (*test)(const struct cmp *c, const struct subject *s);
	union {
		struct operand one;
		struct strset strs;
		struct numset nums;
		struct netset nets;
		struct pathset *paths;
		struct glob glob;
		struct regex *re;
	};
};

struct leaf {
	bool (*judge)(const struct leaf *l, const struct subject *s);
	struct expr *expr, *rhs;	/* rhs NULL: constants */
	struct cmp cmp;			/* all constants at once */
	struct cmp *each;		/* one by one: modifiers, untyped expressions */
	uint32_t n;			/* constants */
	uint8_t op, modifier;
	const uint32_t *settled;	/* of which event a matcher has found all leaves like this; NULL: no matcher does */
	bool stateful;
	bool all_items;			/* a value of several items must pass with each, not with any */

	const struct expr_info *info;	/* of the left side; scope joined with the right side's */
	const struct str *values;	/* canonical spec, for finding equal ones */
};

/* Fills l->judge, cmp and each from op, modifier, expr, rhs and the parsed constants. 0, -EINVAL or -ENOMEM. */
int leaf_build(struct ruleset *rs, struct leaf *l, const struct operand *operands, struct err *err);
/* Does the operator exist for values of this class? What works, as words for a message. */
bool class_takes(enum value_class c, uint32_t op);
void class_operators(enum value_class c, char *buf, size_t cap);

#endif
