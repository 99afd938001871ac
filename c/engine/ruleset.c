/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include "../array.h"
#include "ruleset.h"

#define RULESET_MAX_BYTES ((size_t)1 << 30)

static int no_memory(struct err *err)
{
	return err_set(err, ENOMEM, "out of memory while loading rules");
}

/* ------------------------------------------------------------------ life */

struct ruleset *ruleset_new(void)
{
	struct ruleset *rs = calloc(1, sizeof *rs);

	if (!rs)
		return NULL;
	rs->arena.limit = RULESET_MAX_BYTES;
	if (getrandom(&rs->seed, sizeof rs->seed, GRND_NONBLOCK) != sizeof rs->seed)
		rs->seed = hash_u64((uintptr_t)rs);
	return rs;
}

void ruleset_free(struct ruleset *rs)
{
	if (!rs)
		return;
	for (uint32_t i = 0; i < rs->nregexes; i++)
		regex_free(rs->regexes[i]);
	free(rs->regexes);
	free(rs->memo);
	free(rs->leaves);
	free(rs->exprs);
	free(rs->outputs);
	free(rs->alert);
	map_free(&rs->expr_by_hash);
	map_free(&rs->leaf_by_hash);
	arena_free(&rs->arena);
	free(rs);
}

void ruleset_forget(struct ruleset *rs)
{
	for (uint32_t i = 0; i < rs->nleaves; i++)
		rs->memo[i].serial = 0;
	for (uint32_t i = 0; i < rs->nexprs; i++)
		rs->exprs[i]->serial = 0;
}

static void *rs_zero(struct ruleset *rs, size_t n)
{
	void *p = arena_get(&rs->arena, n);

	return p ? memset(p, 0, n) : NULL;
}

/* A copy with a NUL behind it. */
static bool rs_copy(struct ruleset *rs, struct str s, struct str *out)
{
	char *p = arena_get(&rs->arena, (size_t)s.len + 1);

	if (!p)
		return false;
	if (s.len)
		memcpy(p, s.p, s.len);
	p[s.len] = 0;
	*out = (struct str){ p, s.len };
	return true;
}

/* ------------------------------------------------------------------ what is wanted */

void ruleset_want(struct ruleset *rs, uint32_t code, int32_t sc)
{
	if (code >= EV_COUNT)
		return;
	rs->want.code[code / 64] |= 1ull << code % 64;
	if (code != EV_GENERIC_E && code != EV_GENERIC_X)
		return;
	if (sc < 0)
		memset(rs->want.sc[code & 1], 0xff, sizeof rs->want.sc[0]);
	else if (sc < SC_COUNT)
		rs->want.sc[code & 1][sc / 64] |= 1ull << sc % 64;
}

/* ------------------------------------------------------------------ expressions: finding equal ones */

static struct expr *expr_at(const struct ruleset *rs, int32_t id)
{
	return id >= 0 && (uint32_t)id < rs->nexprs ? rs->exprs[id] : NULL;
}

const struct expr_info *ruleset_expr(const struct ruleset *rs, int expr)
{
	struct expr *x = expr_at(rs, expr);

	return x ? &x->info : NULL;
}

static bool arg_eq(struct str a, struct str b)
{
	return !a.p == !b.p && str_eq(a, b);
}

static bool expr_eq(const struct expr *a, const struct expr *b)
{
	return a->kind == b->kind && a->transformer == b->transformer && a->def == b->def &&
	       arg_eq(a->text, b->text) && a->ninputs == b->ninputs &&
	       (!a->ninputs || memcmp(a->inputs, b->inputs, a->ninputs * sizeof *a->inputs) == 0);
}

static uint64_t expr_hash(const struct expr *x, uint64_t seed)
{
	uint64_t h = seed ^ (uint64_t)x->kind << 8 ^ x->transformer ^ (uint64_t)!x->text.p << 16;

	h = hash_u64(h ^ (uintptr_t)x->def);
	for (uint32_t i = 0; i < x->ninputs; i++)
		h = hash_u64(h ^ (uint32_t)x->inputs[i]->id);
	return x->text.p ? hash_bytes(x->text.p, x->text.len, h) : h;
}

/*
 * Adds a copy of `x`, whose texts and inputs are still the caller's, unless there is an equal one. Stateful expressions
 * are never equal to others.
 */
static int expr_add(struct ruleset *rs, const struct expr *x, struct err *err)
{
	bool shared = x->info.scope != SCOPE_STATEFUL;
	uint64_t hash = expr_hash(x, rs->seed);
	struct expr *same = shared ? map_get(&rs->expr_by_hash, hash) : NULL, *mine;

	if (same && expr_eq(same, x))
		return same->id;
	if (!array_room(&rs->exprs, rs->nexprs, &rs->exprs_cap, sizeof *rs->exprs) ||
	    !(mine = rs_zero(rs, sizeof *mine)))
		return no_memory(err);
	*mine = *x;
	mine->id = (int32_t)rs->nexprs;
	if (x->text.p && !rs_copy(rs, x->text, &mine->text))
		return no_memory(err);
	if (x->ninputs) {
		if (!(mine->inputs = arena_get(&rs->arena, x->ninputs * sizeof *mine->inputs)))
			return no_memory(err);
		memcpy(mine->inputs, x->inputs, x->ninputs * sizeof *mine->inputs);
	}
	if (x->arg.key.p)	/* a part of the text */
		mine->arg.key.p = mine->text.p + (x->arg.key.p - x->text.p);
	if (shared && !map_put(&rs->expr_by_hash, hash, mine))
		return no_memory(err);
	rs->exprs[rs->nexprs++] = mine;
	return mine->id;
}

/* ------------------------------------------------------------------ fields */

static int unknown_field(struct str name, struct err *err)
{
	uint32_t least = name.len / 3 + 1;
	const char *best = NULL;

	for (uint32_t i = 0; i < field_count(); i++) {
		const struct field_info *info = field_info(i);
		uint32_t distance = text_distance(name, str_of(info->name));

		if (!(info->flags & FIELD_HIDDEN) && distance <= least && (!best || distance < least)) {
			best = info->name;
			least = distance;
		}
	}
	if (best)
		return err_set(err, ENOENT, "unknown field %s (did you mean '%s'?)", quote(name).text, best);
	return err_set(err, ENOENT, "unknown field %s; --list shows all", quote(name).text);
}

static bool parse_index(struct str s, uint32_t *index)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		n = n * 10 + (s.p[i] - '0');
		if (n > UINT32_MAX)
			n = UINT32_MAX;		/* nothing has that many items; the text is kept beside it */
	}
	*index = (uint32_t)n;
	return s.len > 0;
}

/* Fills `arg` from its text, or says why the field does not take it. */
static int parse_arg(const struct field_def *def, struct str text, struct field_arg *arg, struct err *err)
{
	const struct field_info *info = &def->info;

	*arg = (struct field_arg){ .ref = -1 };
	if (!text.p) {
		if (!(info->arg & ARG_REQUIRED))
			return 0;
		return err_set(err, EINVAL, info->arg & ARG_DOT ? "%s needs an argument: %s.NAME" :
					    info->arg & ARG_KEY ? "%s needs an argument: %s[NAME]" :
								  "%s needs an argument: %s[NUMBER]",
			       info->name, info->name);
	}
	if (!(info->arg & (ARG_INDEX | ARG_KEY | ARG_DOT)))
		return err_set(err, EINVAL, "%s takes no argument, so %s cannot stand behind it", info->name,
			       quote(text).text);
	if (text.len && memchr(text.p, 0, text.len))
		return err_set(err, EINVAL, "the argument of %s holds a NUL byte", info->name);
	arg->given = true;
	arg->key = text;
	arg->is_index = parse_index(text, &arg->index);
	if (!arg->is_index && !(info->arg & (ARG_KEY | ARG_DOT))) {
		if (info->arg & ARG_REQUIRED)
			return err_set(err, EINVAL, "%s: the argument must be a number, not %s", info->name,
				       quote(text).text);
		arg->given = false;		/* as if there were none: that is how the field always worked */
	}
	return 0;
}

int ruleset_field_row(struct ruleset *rs, const struct field_def *def, struct str text, struct err *err)
{
	struct expr x = { .info = { .type = def->info.type, .format = def->info.format, .scope = def->info.scope,
				    .flags = def->info.flags, .field = def->info.name },
			  .kind = EXPR_FIELD, .def = def, .text = text };
	struct value type = { .type = def->info.type, .format = def->info.format };
	int rc = parse_arg(def, text, &x.arg, err);

	if (rc == 0 && def->check)
		rc = def->check(&x.arg, &type, err);
	if (rc)
		return rc;
	x.untyped = def->info.type == PT_DYN;
	x.info.type = type.type;
	x.info.format = type.format;
	return expr_add(rs, &x, err);
}

int ruleset_field(struct ruleset *rs, const char *name, uint32_t len, const char *arg, uint32_t arg_len, struct err *err)
{
	struct str text = { arg, arg ? arg_len : 0 };
	uint32_t name_len, arg_at;
	int32_t dotted_len;
	int row = field_find(name, len);

	/* evt.arg.NAME, not split by the caller */
	if (row < 0 && !arg && field_prefix(name, len, &name_len, &arg_at, &dotted_len) == len && dotted_len >= 0) {
		row = field_find(name, name_len);
		text = (struct str){ name + arg_at, (uint32_t)dotted_len };
	}
	if (row < 0)
		return unknown_field((struct str){ name, len }, err);
	return ruleset_field_row(rs, &field_table[row], text, err);
}

/* ------------------------------------------------------------------ texts, lists, transformers */

int ruleset_text(struct ruleset *rs, const char *text, uint32_t len, struct err *err)
{
	struct expr x = { .info = { .type = PT_CHARBUF, .scope = SCOPE_SELF }, .kind = EXPR_TEXT, .constant = true,
			  .text = { text ? text : "", text ? len : 0 } };

	return expr_add(rs, &x, err);
}

/* All alike: that scope; else it is the event's. One stateful input makes the whole stateful; texts do not count. */
static uint8_t join_scope(const struct expr *a, uint8_t scope, const struct expr *b)
{
	if (a->constant || b->info.scope == SCOPE_STATEFUL)
		return b->info.scope;
	return b->constant || scope == SCOPE_STATEFUL || scope == b->info.scope ? scope : SCOPE_EVENT;
}

/* Resolves the inputs (x->inputs is the caller's to free) and derives from them what does not depend on the transformer. */
static int take_inputs(struct ruleset *rs, struct expr *x, const int32_t *ids, uint32_t n, struct err *err)
{
	x->constant = true;
	x->info.scope = SCOPE_SELF;
	x->ninputs = n;
	if (!(x->inputs = calloc(n ? n : 1, sizeof *x->inputs)))
		return no_memory(err);
	for (uint32_t i = 0; i < n; i++) {
		struct expr *in = expr_at(rs, ids[i]);

		if (!in)
			return err_set(err, EINVAL, "expression %d does not exist", ids[i]);
		x->inputs[i] = in;
		x->info.scope = join_scope(x, x->info.scope, in);
		x->constant &= in->constant;
		x->info.field = x->info.field ? x->info.field : in->info.field;
		if (in->nesting >= x->nesting)
			x->nesting = in->nesting + 1;
	}
	if (x->nesting > RULESET_MAX_NESTING)
		return err_set(err, EINVAL, "transformers are nested deeper than %d", RULESET_MAX_NESTING);
	return 0;
}

int ruleset_list(struct ruleset *rs, const int32_t *items, uint32_t n, struct err *err)
{
	struct expr x = { .info = { .type = PT_CHARBUF, .flags = FIELD_LIST }, .kind = EXPR_LIST };
	int rc = take_inputs(rs, &x, items, n, err);

	if (rc == 0)
		rc = expr_add(rs, &x, err);
	free(x.inputs);
	return rc;
}

int ruleset_transform(struct ruleset *rs, uint32_t transformer, const int32_t *inputs, uint32_t n, const char *arg,
		      uint32_t arg_len, struct err *err)
{
	struct expr x = { .kind = EXPR_TRANSFORM, .transformer = (uint8_t)transformer,
			  .text = { arg, arg ? arg_len : 0 } };
	int rc;

	if (transformer >= TR_COUNT)
		return err_set(err, EINVAL, "there is no transformer number %u", transformer);
	rc = take_inputs(rs, &x, inputs, n, err);
	if (rc == 0)
		rc = transform_check(&x, err);
	if (rc == 0)
		rc = expr_add(rs, &x, err);
	free(x.inputs);
	return rc;
}

/* ------------------------------------------------------------------ reading expressions */

static bool read_field(const struct evt *e, struct expr *x, bool compare, struct value *v)
{
	const struct field_ctx ctx = { .e = e, .arg = &x->arg, .variant = x->def->variant, .compare = compare,
				       .memo = x->info.scope == SCOPE_STATEFUL ? x->memo : NULL };

	*v = (struct value){ .type = x->info.type, .format = x->info.format };
	if (!x->def->get(&ctx, v))
		return false;
	if (!v->p)
		v->p = "";
	return true;
}

static bool read_text(const struct expr *x, struct value *v)
{
	*v = (struct value){ .type = PT_CHARBUF };
	return value_str(v, x->text);
}

static bool read_input(const struct evt *e, struct expr *x, struct value *v)
{
	/* such fields may answer comparisons with several values, but here one is wanted */
	if (x->kind == EXPR_FIELD && x->info.flags & FIELD_NO_TRANSFORM)
		return expr_read(e, x, v);

	const struct value *cached = expr_value(e, x);
	if (cached)
		*v = *cached;
	return cached;
}

static bool read_expr(const struct evt *e, struct expr *x, bool compare, struct value *v)
{
	input_reader reader = compare ? read_input : expr_read;

	switch (x->kind) {
	case EXPR_FIELD:
		return read_field(e, x, compare, v);
	case EXPR_TEXT:
		return read_text(x, v);
	case EXPR_LIST:
		return list_apply(e, x, reader, v);
	default:
		return transform_apply(e, x, reader, v);
	}
}

const struct value *expr_value(const struct evt *e, struct expr *x)
{
	if (x->serial != e->serial) {
		x->present = read_expr(e, x, true, &x->value);
		x->hash = 0;
		x->serial = x->info.scope == SCOPE_STATEFUL ? 0 : e->serial;
	}
	return x->present ? &x->value : NULL;
}

bool expr_read(const struct evt *e, struct expr *x, struct value *v)
{
	return read_expr(e, x, false, v);
}

/* ------------------------------------------------------------------ leaves: checking a comparison */

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

static enum value_class expr_class(const struct expr *x)
{
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
	return err_set(err, EINVAL, "%s (%s%s) and %s (%s%s) cannot be compared: their types differ", title_of(x).text,
		       list ? "list of " : "", type_name(x->info.type), title_of(rhs).text, rhs_list ? "list of " : "",
		       type_name(rhs->info.type));
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

static int check_leaf(const struct expr *x, const struct expr *rhs, const struct leaf_spec *spec, struct err *err)
{
	if (spec->op == OP_EXISTS)
		return spec->nvalues || rhs || spec->modifier ?
			       err_set(err, EINVAL, "nothing can stand behind 'exists'") : 0;

	int rc = check_op(x, spec, err);
	if (rc)
		return rc;
	return rhs ? check_rhs(x, rhs, spec, err) : check_constants(x, spec, err);
}

/* Reads one constant, with the field in front of what is wrong with it. */
static int parse_constant(struct ruleset *rs, const struct expr *x, const struct leaf_spec *spec, struct str text,
			  struct operand *o, struct err *err)
{
	bool hex = spec->op == OP_BCONTAINS || spec->op == OP_BSTARTSWITH;
	bool names = spec->op == OP_EQ || spec->op == OP_NE || spec->op == OP_IN || spec->op == OP_INTERSECTS;
	uint8_t type = x->info.flags & FIELD_NET ? PT_IPNET : x->info.type;
	struct err why = { 0 };
	int rc = operand_parse(o, type, hex, text, &rs->arena, &why);

	if (rc == 0 && names && x->kind == EXPR_FIELD && strcmp(x->info.field, "evt.type") == 0)
		rc = event_name_check(text, &why);
	if (rc == 0 && spec->op == OP_PMATCH && path_depth(text) > PATH_MAX_DEPTH)
		rc = err_set(&why, EINVAL, "a path of more than %d parts", PATH_MAX_DEPTH);
	return rc ? err_set(err, -rc, "%s: %.380s", title_of(x).text, why.text) : 0;
}

/* ------------------------------------------------------------------ leaves: finding equal ones */

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

/* ------------------------------------------------------------------ leaves: adding */

/* Moves texts into the ruleset; operands that point into them move along. */
static int keep_constants(struct ruleset *rs, struct leaf *l, struct constant *c, struct operand *operands)
{
	struct str *values = arena_get(&rs->arena, l->n * sizeof *values);

	if (!values)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n; i++) {
		if (!rs_copy(rs, c[i].text, &values[i]))
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
	info->scope = join_scope(l->expr, info->scope, l->rhs);
	return info;
}

static int leaf_add(struct ruleset *rs, struct leaf *l, struct constant *c, uint64_t hash, struct err *err)
{
	struct operand *operands = calloc(l->n + 1, sizeof *operands);
	struct leaf *mine = rs_zero(rs, sizeof *mine);
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

/* ------------------------------------------------------------------ names */

const char *operator_name(uint32_t op)
{
	static const char *const names[OP_COUNT] = {
		[OP_EXISTS] = "exists", [OP_EQ] = "=", [OP_NE] = "!=", [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">",
		[OP_GE] = ">=", [OP_CONTAINS] = "contains", [OP_ICONTAINS] = "icontains",
		[OP_BCONTAINS] = "bcontains", [OP_STARTSWITH] = "startswith", [OP_BSTARTSWITH] = "bstartswith",
		[OP_ENDSWITH] = "endswith", [OP_GLOB] = "glob", [OP_IGLOB] = "iglob", [OP_REGEX] = "regex",
		[OP_IN] = "in", [OP_INTERSECTS] = "intersects", [OP_PMATCH] = "pmatch",
	};
	return op < OP_COUNT ? names[op] : NULL;
}
