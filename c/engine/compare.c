/* SPDX-License-Identifier: Apache-2.0 */
/* Loading comparisons: ruleset_leaf() checks one, reads its constants, and finds an equal leaf or adds one. */
#include <errno.h>
#include <stdio.h>
#include "../array.h"
#include "ruleset.h"

/* ------------------------------------------------------------------ is the comparison possible? */

/* "proc.aname[2]", "evt.arg.flags", "tolower(proc.name)": what messages call an expression. */
struct title {
	char text[128];
};

static struct title title_of(const struct expr *x)
{
	struct title t;
	const char *field = x->info.field ? x->info.field : "...";
	int len = (int)(x->text.len < 48 ? x->text.len : 48);

	if (x->kind == EXPR_TRANSFORM)
		snprintf(t.text, sizeof t.text, "%s(%.64s)", transformer_name(x->transformer), field);
	else if (x->kind != EXPR_FIELD || !x->text.p)
		snprintf(t.text, sizeof t.text, "%.64s", field);
	else
		snprintf(t.text, sizeof t.text, x->def->info.arg & ARG_DOT && !x->arg.is_index ? "%.64s.%.*s" :
			 "%.64s[%.*s]", field, len, x->text.p);
	return t;
}

/* Parameters of these types can be shown, not compared: upstream has no constants of them, or no operators. */
static bool is_mute(const struct expr *x)
{
	switch (x->untyped ? x->info.type : PT_NONE) {
	case PT_UID:
	case PT_GID:
	case PT_BYTEBUF:
	case PT_SIGTYPE:
	case PT_SYSCALLID:
	case PT_L4PROTO:
		return true;
	default:
		return false;
	}
}

static enum value_class expr_class(const struct expr *x)
{
	if (is_mute(x))
		return CLASS_NONE;
	return x->info.flags & FIELD_NET ? CLASS_NET : type_class(x->info.type);
}

static bool takes_modifier(uint32_t op)
{
	return (op >= OP_CONTAINS && op <= OP_REGEX) || op == OP_EQ || op == OP_NE;
}

static int check_list_op(const struct expr *x, const struct leaf_spec *spec, struct err *err)
{
	if (!class_takes(expr_class(x), OP_IN))
		return err_set(err, EINVAL, "%s is a list of %s, which can only be tested with exists",
			       title_of(x).text, type_name(x->info.type));
	if (spec->op != OP_IN && spec->op != OP_INTERSECTS)
		return err_set(err, EINVAL, "'%s' does not work on %s, which is a list: use in, intersects or exists",
			       operator_name(spec->op), title_of(x).text);
	return 0;
}

static int check_op(const struct expr *x, const struct leaf_spec *spec, struct err *err)
{
	enum value_class c = expr_class(x);
	char usable[160];

	if (x->info.flags & FIELD_LIST)
		return check_list_op(x, spec, err);
	if (c == CLASS_NONE)
		return err_set(err, EINVAL, "%s has type %s, which can only be tested with exists", title_of(x).text,
			       type_name(x->info.type));
	if (x->info.flags & FIELD_AT_MOST && spec->op != OP_EQ)
		return err_set(err, EINVAL, "%s works with '=' only, not with '%s'", title_of(x).text,
			       operator_name(spec->op));
	if (class_takes(c, spec->op))
		return 0;
	class_operators(c, usable, sizeof usable);
	return err_set(err, EINVAL, "'%s' does not work on %s, which is %s (%s): use %s", operator_name(spec->op),
		       title_of(x).text, class_words(c), type_name(x->info.type), usable);
}

static int check_rhs(const struct expr *x, const struct expr *rhs, const struct leaf_spec *spec, struct err *err)
{
	bool list = x->info.flags & FIELD_LIST, rhs_list = rhs->info.flags & FIELD_LIST;

	if (spec->nvalues || spec->modifier != MOD_NONE)
		return err_set(err, EINVAL, "%s is compared with another field, so constants cannot follow",
			       title_of(x).text);
	if (spec->op == OP_PMATCH || spec->op == OP_REGEX)
		return err_set(err, EINVAL, "'%s' needs constants; it cannot compare with a field",
			       operator_name(spec->op));
	if (expr_class(x) == CLASS_NET || x->info.flags & (FIELD_NO_RHS | FIELD_AT_MOST))
		return err_set(err, EINVAL, "%s can only be compared with constants", title_of(x).text);
	if (rhs->info.flags & FIELD_NO_RHS)
		return err_set(err, EINVAL, "%s cannot stand on the right side of a comparison", title_of(rhs).text);
	if (x->info.type == rhs->info.type && list == rhs_list)
		return 0;
	return err_set(err, EINVAL, "%s (%s%s) and %s (%s%s) cannot be compared: their types differ",
		       title_of(x).text, list ? "list of " : "", type_name(x->info.type), title_of(rhs).text,
		       rhs_list ? "list of " : "", type_name(rhs->info.type));
}

static int check_constants(const struct expr *x, const struct leaf_spec *spec, struct err *err)
{
	bool many = spec->modifier != MOD_NONE || spec->op == OP_IN || spec->op == OP_INTERSECTS ||
		    spec->op == OP_PMATCH;

	if (spec->modifier != MOD_NONE && (x->info.flags & (FIELD_LIST | FIELD_AT_MOST) || !takes_modifier(spec->op)))
		return err_set(err, EINVAL, "oneof, anyof and allof do not go with '%s' on %s",
			       operator_name(spec->op), title_of(x).text);
	if (!many && spec->nvalues != 1)
		return err_set(err, EINVAL, "'%s' wants one value, not %u", operator_name(spec->op), spec->nvalues);
	return 0;
}

/* The event's name, inside transformers or bare. */
static bool has_event_name(const struct expr *x)
{
	if (x->kind == EXPR_FIELD)
		return x->info.flags & FIELD_EVENT_NAME;
	for (uint32_t i = 0; i < x->ninputs; i++)
		if (has_event_name(x->inputs[i]))
			return true;
	return false;
}

/* Under these operators upstream reads the events that a rule is for off the names, and takes plain ones only. */
static int check_event_name(const struct expr *x, const struct expr *rhs, const struct leaf_spec *spec, struct err *err)
{
	bool decides = spec->op == OP_EQ || spec->op == OP_NE || spec->op == OP_IN || spec->op == OP_EXISTS;

	if (decides && !(x->kind == EXPR_FIELD && !rhs) && has_event_name(x))
		return err_set(err, EINVAL, "the event's name cannot be %s: it says which events the rule is for",
			       rhs ? "compared with a field" : "transformed before it is compared");
	return 0;
}

static int check_leaf(const struct expr *x, const struct expr *rhs, const struct leaf_spec *spec, struct err *err)
{
	int rc = check_event_name(x, rhs, spec, err);

	if (rc)
		return rc;
	if (spec->op == OP_EXISTS)
		return spec->nvalues || rhs || spec->modifier ?
			       err_set(err, EINVAL, "nothing can stand behind 'exists'") : 0;
	if ((rc = check_op(x, spec, err)))
		return rc;
	return rhs ? check_rhs(x, rhs, spec, err) : check_constants(x, spec, err);
}

/* The expression without the transformers of one value around it. */
static const struct expr *bare(const struct expr *x)
{
	while (x->kind == EXPR_TRANSFORM && x->ninputs == 1)
		x = x->inputs[0];
	return x;
}

/* Reads one constant, with the field in front of what is wrong with it. */
static int parse_constant(struct ruleset *rs, const struct expr *x, const struct leaf_spec *spec, struct str text,
			  struct operand *o, struct err *err)
{
	bool hex = spec->op == OP_BCONTAINS || spec->op == OP_BSTARTSWITH;
	bool event = (bare(x)->info.flags & (FIELD_EVENT_NAME | FIELD_SYSCALL_NAME)) == FIELD_EVENT_NAME;
	uint8_t type = x->info.flags & FIELD_NET ? PT_IPNET : x->info.type;
	struct err why = { 0 };
	int rc = operand_parse(o, type, hex, text, &rs->arena, &why);

	/* whatever the operator, upstream wants a name there is; its table of calls has nameless rows */
	if (rc == 0 && !hex && text.len && event)
		rc = event_name_check(text, &why);
	if (rc == 0 && spec->op == OP_PMATCH && path_depth(text) > PATH_MAX_DEPTH)
		rc = err_set(&why, EINVAL, "a path of more than %d parts", PATH_MAX_DEPTH);
	return rc ? err_set(err, -rc, "%s: %.380s", title_of(x).text, why.text) : 0;
}

/* ------------------------------------------------------------------ finding equal ones */

/* A constant with its parsed form, so that both are sorted together. */
struct constant {
	struct str text;
	struct operand operand;
	uint32_t place;			/* in the spec */
};

static int by_text(const void *a, const void *b)
{
	return text_cmp(((const struct constant *)a)->text, ((const struct constant *)b)->text);
}

/* Brings a spec into the form that equal ones share: order never matters, repetition only to oneof. Returns how many
 * constants are left. */
static uint32_t canonical(const struct expr *x, uint8_t *op, uint8_t *modifier, struct constant *c, uint32_t n)
{
	bool list = x->info.flags & FIELD_LIST;

	/* the field that looks at both ends tests the first network alone */
	if ((*op == OP_IN || *op == OP_INTERSECTS || *modifier) && x->info.flags & FIELD_EITHER &&
	    x->info.flags & FIELD_NET && n > 1)
		n = 1;
	if (n)
		qsort(c, n, sizeof *c, by_text);
	if (*modifier != MOD_ONEOF && n) {
		uint32_t kept = 1;

		for (uint32_t i = 1; i < n; i++)
			if (!str_eq(c[i].text, c[kept - 1].text))
				c[kept++] = c[i];
		n = kept;
	}
	if (*op == OP_EQ && *modifier == MOD_ANYOF) {
		*op = OP_IN;
		*modifier = MOD_NONE;
	}
	if (!list && *op == OP_INTERSECTS)
		*op = OP_IN;
	if (!list && *op == OP_IN && n == 1)
		*op = OP_EQ;
	if (n == 1)
		*modifier = MOD_NONE;
	if (x->info.flags & FIELD_AT_MOST && *op == OP_EQ)
		*op = OP_LE;
	return n;
}

static uint64_t leaf_hash(const struct leaf *l, const struct constant *c, uint64_t seed)
{
	uint64_t h = seed ^ (uint32_t)l->expr->id ^ (uint64_t)(l->rhs ? l->rhs->id + 1 : 0) << 32;

	h = hash_u64(h) ^ l->op ^ (uint64_t)l->modifier << 8 ^ (uint64_t)l->n << 16;
	for (uint32_t i = 0; i < l->n; i++)
		h = hash_bytes(c[i].text.p, c[i].text.len, h);
	return h;
}

static bool leaf_eq(const struct leaf *a, const struct leaf *b, const struct constant *c)
{
	if (a->expr != b->expr || a->rhs != b->rhs || a->op != b->op || a->modifier != b->modifier || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!str_eq(a->values[i], c[i].text))
			return false;
	return true;
}

/* ------------------------------------------------------------------ adding one */

/* Moves texts into the ruleset; operands that point into them move along. */
static int keep_constants(struct ruleset *rs, struct leaf *l, struct constant *c, struct operand *operands)
{
	struct str *values = arena_get(&rs->arena, l->n * sizeof *values);

	if (!values)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n; i++) {
		if (!ruleset_copy(rs, c[i].text, &values[i]))
			return -ENOMEM;
		if (c[i].operand.s.p == c[i].text.p)
			c[i].operand.s = values[i];
		operands[i] = c[i].operand;
	}
	l->values = values;
	return 0;
}

/* The left side's info; comparing with another expression widens the scope. */
static const struct expr_info *leaf_info(struct ruleset *rs, const struct leaf *l)
{
	struct expr_info *info;

	if (!l->rhs || l->rhs->info.scope == l->expr->info.scope)
		return &l->expr->info;
	if (!(info = arena_get(&rs->arena, sizeof *info)))
		return NULL;
	*info = l->expr->info;
	info->scope = expr_join_scope(l->expr, info->scope, l->rhs);
	return info;
}

static int leaf_add(struct ruleset *rs, struct leaf *l, struct constant *c, uint64_t hash, struct err *err)
{
	struct operand *operands = calloc(l->n + 1, sizeof *operands);
	struct leaf *mine = ruleset_zero(rs, sizeof *mine);
	int rc = -ENOMEM;

	if (!operands || !mine || keep_constants(rs, l, c, operands) || !(l->info = leaf_info(rs, l)) ||
	    !array_room(&rs->leaves, rs->nleaves, &rs->leaves_cap, sizeof *rs->leaves) ||
	    !array_room(&rs->memo, rs->nleaves, &rs->memo_cap, sizeof *rs->memo))
		goto out;
	rc = leaf_build(rs, l, operands, err);
	if (rc)
		goto out;
	*mine = *l;
	rc = -ENOMEM;
	if (!l->stateful && !map_put(&rs->leaf_by_hash, hash, (void *)(uintptr_t)(rs->nleaves + 1)))
		goto out;
	rs->memo[rs->nleaves] = (struct leaf_memo){ 0 };
	rs->leaves[rs->nleaves] = mine;
	rc = (int)rs->nleaves++;
out:
	free(operands);
	return rc == -ENOMEM ? no_memory(err) : rc;
}

void values_split(const char *text, uint32_t len, struct str *values, uint32_t n)
{
	const char *end = text + len;

	for (uint32_t i = 0; i < n; i++) {
		const char *stop = i + 1 < n ? memchr(text, 0, (size_t)(end - text)) : NULL;

		stop = stop ? stop : end;
		values[i] = (struct str){ text, (uint32_t)(stop - text) };
		text = stop < end ? stop + 1 : end;
	}
}

int ruleset_leaf(struct ruleset *rs, const struct leaf_spec *spec, int32_t *bad_value, struct err *err)
{
	struct expr *x = expr_at(rs, spec->expr), *rhs = spec->rhs < 0 ? NULL : expr_at(rs, spec->rhs);
	int32_t ignored;
	int rc;

	bad_value = bad_value ? bad_value : &ignored;
	*bad_value = -1;
	if (!x || (spec->rhs >= 0 && !rhs) || spec->op >= OP_COUNT || spec->modifier > MOD_ALLOF)
		return err_set(err, EINVAL, "a comparison of what does not exist");
	if ((rc = check_leaf(x, rhs, spec, err)))
		return rc;

	struct constant *c = calloc((size_t)spec->nvalues + 1, sizeof *c);
	struct leaf l = { .expr = x, .rhs = rhs, .op = (uint8_t)spec->op, .modifier = (uint8_t)spec->modifier };
	if (!c)
		return no_memory(err);
	for (uint32_t i = 0; i < spec->nvalues; i++) {
		c[i].text = (struct str){ spec->values[i].p ? spec->values[i].p : "", spec->values[i].len };
		c[i].place = i;
		if ((rc = parse_constant(rs, x, spec, c[i].text, &c[i].operand, err))) {
			*bad_value = (int32_t)i;
			goto out;
		}
	}
	l.n = canonical(x, &l.op, &l.modifier, c, spec->nvalues);
	l.stateful = x->info.scope == SCOPE_STATEFUL || (rhs && rhs->info.scope == SCOPE_STATEFUL);

	uint64_t hash = leaf_hash(&l, c, rs->seed);
	uintptr_t same = l.stateful ? 0 : (uintptr_t)map_get(&rs->leaf_by_hash, hash);
	if (same && leaf_eq(rs->leaves[same - 1], &l, c)) {
		rc = (int)(same - 1);
		goto out;
	}
	rc = leaf_add(rs, &l, c, hash, err);
	if (rc == -EINVAL && l.n)		/* a regex: leaf_build stopped at the l.n-th of the sorted ones */
		*bad_value = (int32_t)c[l.n - 1].place;
out:
	free(c);
	return rc;
}

const struct expr_info *ruleset_leaf_expr(const struct ruleset *rs, int leaf)
{
	return leaf >= 0 && (uint32_t)leaf < rs->nleaves ? rs->leaves[leaf]->info : NULL;
}

uint32_t ruleset_leaf_count(const struct ruleset *rs)
{
	return rs->nleaves;
}
