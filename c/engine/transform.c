/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transformers: functions over field values, in conditions and outputs.
 *   toupper tolower basename b64    text to text, item by item over lists
 *   len                             bytes of a text, items of a list
 *   join(sep, list) concat(a, ...)  to one text
 *   getopt(list, "ab:")[x]          options of a command line; with [x] the value of that one option
 * Results live in the event's scratch memory; when that is used up, the value is missing.
 */
#include <errno.h>
#include "ruleset.h"

static struct str value_bytes(const struct value *v)
{
	return (struct str){ v->p ? v->p : "", v->len };
}

/* ------------------------------------------------------------------ one text to another */

typedef bool (*text_fn)(struct arena *a, struct str in, struct str *out);

static bool to_lower(struct arena *a, struct str in, struct str *out)
{
	char *p = arena_get(a, in.len);

	for (uint32_t i = 0; p && i < in.len; i++)
		p[i] = fold_byte(in.p[i]);
	*out = (struct str){ p, in.len };
	return p;
}

static bool to_upper(struct arena *a, struct str in, struct str *out)
{
	char *p = arena_get(a, in.len);

	for (uint32_t i = 0; p && i < in.len; i++)
		p[i] = in.p[i] >= 'a' && in.p[i] <= 'z' ? in.p[i] - 32 : in.p[i];
	*out = (struct str){ p, in.len };
	return p;
}

static bool to_basename(struct arena *a, struct str in, struct str *out)
{
	uint32_t skip = (uint32_t)(str_rfind(in, '/') + 1);

	*out = (struct str){ in.p + skip, in.len - skip };
	return true;
}

static int b64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padding may be left out, but bits beyond the last byte must be 0. Not base64: the value is missing. */
static bool from_base64(struct arena *a, struct str in, struct str *out)
{
	uint32_t n = in.len, bits = 0, have = 0, len = 0;
	char *p = arena_get(a, (size_t)n / 4 * 3 + 3);

	if (!p)
		return false;
	for (int pad = 0; pad < 2 && n && in.p[n - 1] == '='; pad++)
		n--;
	if (n % 4 == 1 || (n == 0 && in.len))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		int digit = b64_digit(in.p[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			p[len++] = (char)(bits >> have);
		}
	}
	*out = (struct str){ p, len };
	return !(bits & ((1u << have) - 1));
}

/* Text ends before its trailing NULs, which base64 may bring in; bytes keep them. */
static bool from_base64_text(struct arena *a, struct str in, struct str *out)
{
	if (!from_base64(a, in, out))
		return false;
	while (out->len && !out->p[out->len - 1])
		out->len--;
	return true;
}

static bool map_value(const struct evt *e, text_fn fn, const struct value *in, struct value *v)
{
	struct value *items;
	struct str s;

	*v = *in;
	if (!(in->flags & VALUE_LIST))
		return fn(e->scratch, value_bytes(in), &s) && value_str(v, s);
	if (!(items = arena_get(e->scratch, in->num.n * sizeof *items)))
		return false;
	for (uint64_t i = 0; i < in->num.n; i++) {
		items[i] = ((const struct value *)in->p)[i];
		if (!fn(e->scratch, value_bytes(&items[i]), &s))
			return false;
		value_str(&items[i], s);
	}
	v->p = items;
	return true;
}

/* ------------------------------------------------------------------ texts put together */

/* Any single value as text; numbers and addresses as alerts show them. */
static bool as_text(const struct evt *e, const struct value *v, struct str *out)
{
	char *p;

	if (type_class(v->type) == CLASS_TEXT || type_class(v->type) == CLASS_BYTES) {
		*out = value_bytes(v);
		return true;
	}
	if (!(p = arena_get(e->scratch, 64)))
		return false;
	out->p = p;
	out->len = value_text(v, p, 64);
	return out->len <= 64;
}

/* Items of a value: of a list its own, else the value itself. */
static const struct value *items_of(const struct value *v, uint64_t *n)
{
	*n = v->flags & VALUE_LIST ? v->num.n : 1;
	return v->flags & VALUE_LIST ? v->p : v;
}

bool list_apply(const struct evt *e, const struct expr *x, input_reader read, struct value *v)
{
	struct value *inputs = arena_get(e->scratch, x->ninputs * sizeof *inputs), *out;
	uint64_t total = 0, n;
	struct str s;

	if (!inputs)
		return false;
	for (uint32_t i = 0; i < x->ninputs; i++) {
		if (!read(e, x->inputs[i], &inputs[i]))
			return false;
		items_of(&inputs[i], &n);
		total += n;
	}
	if (!(out = arena_get(e->scratch, total * sizeof *out)))
		return false;
	*v = (struct value){ .type = PT_CHARBUF, .flags = VALUE_LIST, .p = out, .num.n = total };
	for (uint32_t i = 0; i < x->ninputs; i++) {
		const struct value *item = items_of(&inputs[i], &n);

		for (; n; n--, item++) {
			if (!as_text(e, item, &s))
				return false;
			*out = (struct value){ .type = PT_CHARBUF };
			value_str(out++, s);
		}
	}
	return true;
}

/* Puts `n` values behind each other with `sep` between. */
static bool put_together(const struct evt *e, const struct value *items, uint64_t n, struct str sep, struct value *v)
{
	struct str *parts = arena_get(e->scratch, n * sizeof *parts);
	uint64_t total = n > 1 ? (n - 1) * sep.len : 0;
	char *p;

	if (!parts)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		if (!as_text(e, &items[i], &parts[i]))
			return false;
		total += parts[i].len;
	}
	if (total > UINT32_MAX || !(p = arena_get(e->scratch, total)))
		return false;
	*v = (struct value){ .type = PT_CHARBUF, .p = p, .len = (uint32_t)total };
	for (uint64_t i = 0; i < n; i++) {
		if (i && sep.len)
			p = (char *)memcpy(p, sep.p, sep.len) + sep.len;
		if (parts[i].len)
			p = (char *)memcpy(p, parts[i].p, parts[i].len) + parts[i].len;
	}
	return true;
}

static bool apply_join(const struct evt *e, const struct expr *x, const struct value *in, struct value *v)
{
	struct str sep;
	uint64_t n;
	const struct value *items = items_of(&in[1], &n);

	return as_text(e, &in[0], &sep) && put_together(e, items, n, sep, v);
}

static bool apply_concat(const struct evt *e, const struct expr *x, const struct value *in, struct value *v)
{
	return put_together(e, in, x->ninputs, (struct str){ 0 }, v);
}

/* ------------------------------------------------------------------ len */

static bool apply_len(const struct evt *e, const struct expr *x, const struct value *in, struct value *v)
{
	*v = (struct value){ .type = PT_UINT64, .format = PF_DEC };
	if (in->flags & VALUE_LIST)
		v->num.u = in->num.n;
	else
		v->num.u = type_class(in->type) == CLASS_TEXT ? strnlen(in->p, in->len) : in->len;
	v->p = "";
	return true;
}

/* ------------------------------------------------------------------ getopt */

/* What getopt finds. The first pass only counts: items is NULL. */
struct options {
	struct value *items;
	uint64_t n;
	int selected;			/* the one option that is asked for, or -1: all */
	bool found;
	struct str value;		/* of the last time the selected one was seen */
};

static void option_text(struct options *o, struct str s)
{
	if (o->items) {
		o->items[o->n] = (struct value){ .type = PT_CHARBUF };
		value_str(&o->items[o->n], s);
	}
	o->n++;
}

/* Option `name` (one byte), with its value if it takes one (p NULL: it takes none). */
static void option_seen(struct options *o, struct str name, struct str value)
{
	if (o->selected < 0) {
		option_text(o, name);
		if (value.p)
			option_text(o, value);
	} else if (o->selected == (unsigned char)name.p[0]) {
		o->found = true;
		o->value = value.p ? value : name;
	}
}

/* The option wants a value and there is none left: an empty text stands for both. */
static void option_broken(struct options *o, struct str name)
{
	if (o->selected < 0)
		option_text(o, STR(""));
	else
		option_seen(o, name, STR(""));
}

struct optspec {
	uint8_t kind[256];		/* 0: no such option, 1: alone, 2: with a value */
};

static void optspec_parse(struct optspec *spec, struct str s)
{
	memset(spec, 0, sizeof *spec);
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] != ':')
			spec->kind[(unsigned char)s.p[i]] = i + 1 < s.len && s.p[i + 1] == ':' ? 2 : 1;
}

/* A word like -xvf; the value may be the rest of the word or the next word. Returns how many words it used. */
static uint64_t option_word(struct options *o, const struct optspec *spec, const struct value *word, uint64_t left)
{
	struct str s = value_bytes(word);

	for (uint32_t i = 1; i < s.len; i++) {
		struct str name = { s.p + i, 1 }, rest = { s.p + i + 1, s.len - i - 1 };
		uint8_t kind = spec->kind[(unsigned char)s.p[i]];

		if (kind == 2) {
			if (rest.len)
				option_seen(o, name, rest);
			else if (left > 1)
				option_seen(o, name, value_bytes(&word[1]));
			else
				option_broken(o, name);
			return rest.len || left <= 1 ? 1 : 2;
		}
		if (kind == 1)
			option_seen(o, name, (struct str){ 0 });
		else if (o->selected < 0)
			option_text(o, STR("?"));
	}
	return 1;
}

/* Options end at "--" and at the first word that is none; long ones are skipped. */
static void options_scan(struct options *o, const struct optspec *spec, const struct value *words, uint64_t n)
{
	o->n = 0;
	for (uint64_t i = 0; i < n;) {
		struct str s = value_bytes(&words[i]);

		if (s.len < 2 || s.p[0] != '-' || (s.len == 2 && s.p[1] == '-'))
			return;
		i += s.p[1] == '-' ? 1 : option_word(o, spec, &words[i], n - i);
	}
}

static bool apply_getopt(const struct evt *e, const struct expr *x, const struct value *in, struct value *v)
{
	struct options o = { .selected = x->text.p ? (unsigned char)x->text.p[0] : -1 };
	struct optspec spec;
	uint64_t n;
	const struct value *words = items_of(&in[0], &n);

	optspec_parse(&spec, value_bytes(&in[1]));
	options_scan(&o, &spec, words, n);
	*v = (struct value){ .type = PT_CHARBUF };
	if (o.selected >= 0)
		return o.found && value_str(v, o.value);
	if (!(o.items = arena_get(e->scratch, o.n * sizeof *o.items)))
		return false;
	options_scan(&o, &spec, words, n);
	v->flags = VALUE_LIST;
	v->p = o.items;
	v->num.n = o.n;
	return true;
}

/* ------------------------------------------------------------------ the table */

struct transformer_row {
	const char *name;
	bool (*apply)(const struct evt *e, const struct expr *x, const struct value *in, struct value *v);
	text_fn map;			/* instead of apply: one input, item by item */
	uint8_t least, most;		/* inputs */
	const char *usage;
};

static const struct transformer_row rows[TR_COUNT] = {
	[TR_TOLOWER] = { "tolower", NULL, to_lower, 1, 1, "tolower(field)" },
	[TR_TOUPPER] = { "toupper", NULL, to_upper, 1, 1, "toupper(field)" },
	[TR_B64] = { "b64", NULL, from_base64_text, 1, 1, "b64(field)" },
	[TR_BASENAME] = { "basename", NULL, to_basename, 1, 1, "basename(field)" },
	[TR_LEN] = { "len", apply_len, NULL, 1, 1, "len(field)" },
	[TR_JOIN] = { "join", apply_join, NULL, 2, 2, "join(\", \", (field, field))" },
	[TR_CONCAT] = { "concat", apply_concat, NULL, 2, 255, "concat(field, field)" },
	[TR_GETOPT] = { "getopt", apply_getopt, NULL, 2, 2, "getopt((\"-n\", \"x\"), \"n:\")" },
};

const char *transformer_name(uint32_t transformer)
{
	return transformer < TR_COUNT ? rows[transformer].name : NULL;
}

bool transform_apply(const struct evt *e, const struct expr *x, input_reader read, struct value *v)
{
	const struct transformer_row *row = &rows[x->transformer];
	struct value one, *in = x->ninputs == 1 ? &one : arena_get(e->scratch, x->ninputs * sizeof *in);

	if (!in)
		return false;
	for (uint32_t i = 0; i < x->ninputs; i++)
		if (!read(e, x->inputs[i], &in[i]))
			return false;
	if (!row->map)
		return row->apply(e, x, in, v);

	bool raw = x->transformer == TR_B64 && type_class(x->info.type) == CLASS_BYTES;
	return map_value(e, raw ? from_base64 : row->map, in, v);
}

/* ------------------------------------------------------------------ checking uses */

static bool is_list(const struct expr *x)
{
	return x->info.flags & FIELD_LIST;
}

static const char *input_name(const struct expr *x)
{
	return x->info.field ? x->info.field : "a constant";
}

static int wrong_input(const struct expr *x, uint32_t i, const char *wants, struct err *err)
{
	const struct expr *in = x->inputs[i];

	return err_set(err, EINVAL, "%s() wants %s as input %u, but %s is %s%s; use it like %s",
		       rows[x->transformer].name, wants, i + 1, input_name(in), is_list(in) ? "a list of " : "",
		       type_name(in->info.type), rows[x->transformer].usage);
}

/* Transformers of one field: what the result is. */
static int check_single(struct expr *x, struct err *err)
{
	const struct expr *in = x->inputs[0];
	enum value_class c = type_class(in->info.type);

	if (in->kind == EXPR_FIELD && in->info.flags & FIELD_NO_TRANSFORM)
		return err_set(err, EINVAL, "%s cannot stand inside %s() or any other transformer", in->info.field,
			       rows[x->transformer].name);
	x->info.type = in->info.type;
	x->info.format = in->info.format;
	x->info.flags = in->info.flags;
	if (x->transformer == TR_LEN) {
		if (!is_list(in) && c != CLASS_TEXT && c != CLASS_BYTES)
			return wrong_input(x, 0, "text, bytes or a list", err);
		x->info.type = PT_UINT64;
		x->info.format = PF_DEC;
		x->info.flags &= ~FIELD_LIST;
		return 0;
	}
	if (x->transformer == TR_B64 && c == CLASS_BYTES)
		return 0;
	return c == CLASS_TEXT ? 0 : wrong_input(x, 0, "text", err);
}

static int check_multiple(struct expr *x, struct err *err)
{
	x->info.type = PT_CHARBUF;
	x->info.format = PF_NA;
	x->info.flags = x->transformer == TR_GETOPT && !x->text.p ? FIELD_LIST : 0;
	switch (x->transformer) {
	case TR_JOIN:
		if (is_list(x->inputs[0]))
			return wrong_input(x, 0, "one text to put between the items", err);
		return is_list(x->inputs[1]) ? 0 : wrong_input(x, 1, "a list", err);
	case TR_GETOPT:
		if (!is_list(x->inputs[0]) || type_class(x->inputs[0]->info.type) != CLASS_TEXT)
			return wrong_input(x, 0, "a list of texts", err);
		if (is_list(x->inputs[1]) || type_class(x->inputs[1]->info.type) != CLASS_TEXT)
			return wrong_input(x, 1, "a text that names the options", err);
		return 0;
	default:
		for (uint32_t i = 0; i < x->ninputs; i++)
			if (is_list(x->inputs[i]) || type_class(x->inputs[i]->info.type) != CLASS_TEXT)
				return wrong_input(x, i, "text", err);
		return 0;
	}
}

int transform_check(struct expr *x, struct err *err)
{
	const struct transformer_row *row = &rows[x->transformer];

	if (x->ninputs > row->most && row->most > row->least)
		return err_set(err, EINVAL, "%s() takes at most %u inputs, not %u", row->name, row->most, x->ninputs);
	if (x->ninputs < row->least || x->ninputs > row->most)
		return err_set(err, EINVAL, "%s() takes %s%u input%s, not %u; use it like %s", row->name,
			       row->most > row->least ? "at least " : "", row->least, row->least == 1 ? "" : "s",
			       x->ninputs, row->usage);
	if (x->text.p && x->transformer != TR_GETOPT)
		return err_set(err, EINVAL, "%s() takes no argument in brackets", row->name);
	if (x->text.p && x->text.len != 1)
		return err_set(err, EINVAL, "what stands in brackets behind getopt() must be one letter, not %s",
			       quote(x->text).text);
	return row->most == 1 ? check_single(x, err) : check_multiple(x, err);
}
