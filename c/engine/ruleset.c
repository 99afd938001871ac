/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include "../array.h"
#include "gate.h"
#include "getters.h"
#include "ruleset.h"

#define RULESET_MAX_BYTES ((size_t)1 << 30)

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
	gate_free(rs->gate);
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
	gate_forget(rs->gate);
}

void *ruleset_zero(struct ruleset *rs, size_t n)
{
	void *p = arena_get(&rs->arena, n);

	return p ? memset(p, 0, n) : NULL;
}

bool ruleset_copy(struct ruleset *rs, struct str s, struct str *out)
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

void ruleset_want_nothing(struct ruleset *rs)
{
	memset(&rs->want, 0, sizeof rs->want);
}

/* ------------------------------------------------------------------ expressions: finding equal ones */

struct expr *expr_at(const struct ruleset *rs, int32_t id)
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
 * Adds a copy of `x`, whose texts and inputs are still the caller's, unless there is an equal one. Stateful
 * expressions are never equal to others.
 */
static int expr_add(struct ruleset *rs, const struct expr *x, struct err *err)
{
	bool shared = x->info.scope != SCOPE_STATEFUL;
	uint64_t hash = expr_hash(x, rs->seed);
	struct expr *same = shared ? map_get(&rs->expr_by_hash, hash) : NULL, *mine;

	if (same && expr_eq(same, x))
		return same->id;
	if (!array_room(&rs->exprs, rs->nexprs, &rs->exprs_cap, sizeof *rs->exprs) ||
	    !(mine = ruleset_zero(rs, sizeof *mine)))
		return no_memory(err);
	*mine = *x;
	mine->id = (int32_t)rs->nexprs;
	if (x->text.p && !ruleset_copy(rs, x->text, &mine->text))
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
	uint32_t least = UINT32_MAX;
	const char *best = NULL;

	for (uint32_t i = 0; i < field_count(); i++) {
		const struct field_info *info = field_info(i);
		uint32_t unlike = text_unlike(name, str_of(info->name));

		if (!(info->flags & FIELD_HIDDEN) && unlike < least) {
			best = info->name;
			least = unlike;
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

static bool is_negative(struct str s)
{
	uint32_t ignored;

	return s.len && s.p[0] == '-' && parse_index((struct str){ s.p + 1, s.len - 1 }, &ignored);
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
		if (info->arg & ARG_REQUIRED || !is_negative(text))
			return err_set(err, EINVAL, "%s: the argument must be a number, not %s", info->name,
				       quote(text).text);
		arg->given = false;		/* as if there were none: that is how the field always worked */
	}
	return 0;
}

static int add_pattern(struct ruleset *rs, struct field_arg *arg, struct err *err)
{
	struct regex *re;
	char why[160];
	int rc;

	if (!array_room(&rs->regexes, rs->nregexes, &rs->regexes_cap, sizeof *rs->regexes) ||
	    (rc = regex_new(&re, arg->key.p, arg->key.len, why, sizeof why)) == -ENOMEM)
		return no_memory(err);
	if (rc == 0)
		arg->pattern = rs->regexes[rs->nregexes++] = re;
	return 0;
}

void ruleset_use_containers(struct ruleset *rs)
{
	rs->containers = true;
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
	if (rc == 0 && def->info.flags & FIELD_PATTERN && !x.arg.is_index)
		rc = add_pattern(rs, &x.arg, err);
	if (rc)
		return rc;
	rs->containers |= (def->info.flags & FIELD_CONTAINER) != 0;
	x.untyped = def->info.type == PT_DYN;
	x.info.type = type.type;
	x.info.format = type.format;
	return expr_add(rs, &x, err);
}

int ruleset_field(struct ruleset *rs, const char *name, uint32_t len, const char *arg, uint32_t arg_len,
		  struct err *err)
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
	/* a name that evt.arg and its like do not take: they know best what is wrong with it */
	for (uint32_t i = 0; row < 0 && !arg && i < field_count(); i++) {
		name_len = (uint32_t)strlen(field_table[i].info.name);
		if (field_table[i].info.arg & ARG_DOT && len > name_len + 1 && name[name_len] == '.' &&
		    memcmp(name, field_table[i].info.name, name_len) == 0) {
			row = (int)i;
			text = (struct str){ name + name_len + 1, len - name_len - 1 };
		}
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

uint8_t expr_join_scope(const struct expr *a, uint8_t scope, const struct expr *b)
{
	if (a->constant || b->info.scope == SCOPE_STATEFUL)
		return b->info.scope;
	return b->constant || scope == SCOPE_STATEFUL || scope == b->info.scope ? scope : SCOPE_EVENT;
}

/* Resolves the inputs (x->inputs is the caller's to free) and derives what does not depend on the transformer. */
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
		x->info.scope = expr_join_scope(x, x->info.scope, in);
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

/* ------------------------------------------------------------------ reading the past */

void ruleset_restart(struct ruleset *rs)
{
	for (uint32_t i = 0; i < rs->nexprs; i++)
		memset(rs->exprs[i]->memo, 0, sizeof rs->exprs[i]->memo);
	ruleset_forget(rs);
}

/* The row's flags, less what this argument does without. */
static uint32_t field_needs(const struct expr *x)
{
	uint32_t flags = x->def->info.flags;

	if (x->def->get == get_evt_arg && !evt_arg_looks_up(&x->arg))
		flags &= ~(uint32_t)FIELD_BY_NUMBER;
	if (x->def->get == get_ancestor_env && !x->arg.is_index)	/* one by number stops at how many threads there are */
		flags &= ~(uint32_t)FIELD_REPLAY;
	return flags;
}

uint32_t expr_needs(const struct expr *x)
{
	uint32_t needs = 0;

	if (x->kind == EXPR_FIELD) {
		uint32_t scope = x->def->info.scope, flags = field_needs(x);

		return (flags & (FIELD_REPLAY | FIELD_TABLES | FIELD_BY_NUMBER | FIELD_STD)) |
		       (scope == SCOPE_LINEAGE ? NEEDS_LINEAGE : scope == SCOPE_STATEFUL ? NEEDS_ORDER : 0);
	}
	for (uint32_t i = 0; i < x->ninputs; i++)
		needs |= expr_needs(x->inputs[i]);
	return needs;
}

uint32_t leaf_needs(const struct ruleset *rs, uint32_t leaf)
{
	const struct leaf *l = rs->leaves[leaf];

	return expr_needs(l->expr) | (l->rhs ? expr_needs(l->rhs) : 0);
}

static uint32_t field_part(const struct field_info *info)
{
	switch (info->scope) {
	case SCOPE_SELF:
	case SCOPE_LINEAGE:
		return PAST_PROCESS;
	case SCOPE_FD:
		return PAST_DESCRIPTOR;
	case SCOPE_EVENT:
		return info->flags & FIELD_OF_THREAD ? PAST_PROCESS : info->flags & FIELD_OF_BOTH ? PAST_BOTH : PAST_WHOLE;
	}
	return PAST_WHOLE;
}

static uint32_t parts_join(uint32_t a, uint32_t b)
{
	return a == b || b == PAST_PARTS ? a : a == PAST_PARTS ? b : a == PAST_WHOLE || b == PAST_WHOLE ? PAST_WHOLE : PAST_BOTH;
}

/* PAST_PARTS: of a constant. */
static uint32_t expr_part(const struct expr *x)
{
	uint32_t part = PAST_PARTS;

	if (x->kind == EXPR_FIELD)
		return field_part(&x->def->info);
	for (uint32_t i = 0; i < x->ninputs; i++)
		part = parts_join(part, expr_part(x->inputs[i]));
	return part;
}

uint32_t leaf_part(const struct ruleset *rs, int32_t id)
{
	const struct leaf *l = rs->leaves[id];
	uint32_t part = parts_join(expr_part(l->expr), l->rhs ? expr_part(l->rhs) : PAST_PARTS);

	return part == PAST_PARTS ? PAST_WHOLE : part;
}

uint32_t output_needs(const struct ruleset *rs, uint32_t output)
{
	const struct output *o = &rs->outputs[output];
	uint32_t needs = 0;

	for (uint32_t i = 0; i < o->n; i++)
		needs |= expr_needs(o->exprs[i]);
	return needs;
}
