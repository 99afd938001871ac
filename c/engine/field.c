// SPDX-License-Identifier: Apache-2.0
/* The table of fields, how texts are matched to it, and text that getters compose. */
#include <errno.h>
#include <stdio.h>
#include "getters.h"
#include "field_container.h"
#include "field_evt.h"
#include "field_fspath.h"
#include "field_fdlist.h"
#if __has_include("field_proc.h")
#include "field_proc.h"
#endif
#if __has_include("field_user.h")
#include "field_user.h"
#endif
#if __has_include("field_fd.h")
#include "field_fd.h"
#endif

const struct field_def field_table[] = {
#define FIELD(name_, class_, type_, format_, scope_, arg_, flags_, getter_, check_, variant_, doc_) { \
	.info = { .name = name_, .class_name = class_, .doc = doc_, .type = PT_##type_, .format = PF_##format_, \
		  .scope = SCOPE_##scope_, .arg = arg_, .flags = flags_ }, \
	.get = getter_, .check = check_, .variant = variant_ },
#include "fields.def"
};

enum { FIELD_COUNT = sizeof field_table / sizeof field_table[0], FIELD_NAME_MAX = 128 };

uint32_t field_count(void)
{
	return FIELD_COUNT;
}

const struct field_info *field_info(uint32_t i)
{
	return i < FIELD_COUNT ? &field_table[i].info : NULL;
}

int field_find(const char *name, uint32_t len)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		if (strlen(field_table[i].info.name) == len && memcmp(field_table[i].info.name, name, len) == 0)
			return i;
	return -ENOENT;
}

/* ------------------------------------------------------------------ a field with its argument in a text */

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of the longest dotted name at the start: identifiers of letters, digits and _ that start with a letter. */
static uint32_t name_span(const char *text, uint32_t len)
{
	uint32_t end = 0, i = 0;

	while (i < len && is_alpha(text[i])) {
		while (i < len && (is_alpha(text[i]) || is_digit(text[i]) || text[i] == '_'))
			i++;
		end = i;
		if (i == len || text[i] != '.')
			break;
		i++;
	}
	return end < FIELD_NAME_MAX ? end : FIELD_NAME_MAX;
}

static bool all_digits(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (!is_digit(s.p[i]))
			return false;
	return s.len > 0;
}

/* Whether the field takes this argument. Dotted ones are names; fields that have them take digits in brackets. */
static bool argument_fits(int field, struct str text, bool dotted)
{
	const struct field_def *def = &field_table[field];
	struct field_arg arg = { .given = true, .is_index = !dotted && all_digits(text), .key = text };
	struct value type = { .type = def->info.type, .format = def->info.format };

	if (dotted ? !(def->info.arg & ARG_DOT)
		   : !arg.is_index ? !(def->info.arg & ARG_KEY) || def->info.arg & ARG_DOT
				   : !(def->info.arg & (ARG_INDEX | ARG_KEY)))
		return false;
	return !def->check || def->check(&arg, &type, NULL) == 0;
}

/* The bracket that opens at text[at]: where the argument lies and where the text goes on; 0: no argument there. */
static uint32_t bracket_span(const char *text, uint32_t len, uint32_t at, struct str *arg)
{
	uint32_t i = at + 1, start = i;

	if (at >= len || text[at] != '[' || i >= len)
		return 0;
	char quote = text[i] == '"' || text[i] == '\'' ? text[i] : 0;
	if (quote) {
		for (start = ++i; i < len && text[i] != quote; i++)
			if (text[i] == '\\')
				i++;
	} else {
		while (i < len && !memchr("[]\"' \t\n\r\v\f", text[i], 10))
			i++;
	}
	if (i >= len || i == start)
		return 0;
	*arg = (struct str){ text + start, i - start };
	i += !!quote;
	return i < len && text[i] == ']' ? i + 1 : 0;
}

/* NAME or NAME.ARG of exactly these bytes. */
static bool match_whole(const char *text, uint32_t len, uint32_t *name_len, uint32_t *arg_at, int32_t *arg_len)
{
	int field = field_find(text, len);

	*name_len = len;
	*arg_at = 0;
	*arg_len = -1;
	if (field >= 0 && !(field_table[field].info.arg & ARG_REQUIRED))
		return true;
	for (uint32_t dot = len; dot-- > 0;) {
		struct str arg = { text + dot + 1, len - dot - 1 };

		if (text[dot] != '.' || !arg.len || (field = field_find(text, dot)) < 0)
			continue;
		if (argument_fits(field, arg, true)) {
			*name_len = dot;
			*arg_at = dot + 1;
			*arg_len = (int32_t)arg.len;
			return true;
		}
	}
	return false;
}

uint32_t field_prefix(const char *text, uint32_t len, uint32_t *name_len, uint32_t *arg_at, int32_t *arg_len)
{
	uint32_t span = name_span(text, len);
	struct str arg;
	uint32_t end = bracket_span(text, len, span, &arg);
	int field = end ? field_find(text, span) : -ENOENT;

	if (field >= 0 && argument_fits(field, arg, false)) {
		*name_len = span;
		*arg_at = (uint32_t)(arg.p - text);
		*arg_len = (int32_t)arg.len;
		return end;
	}
	for (; span > 0; span--)
		if (match_whole(text, span, name_len, arg_at, arg_len))
			return span;
	return 0;
}

/* ------------------------------------------------------------------ composing */

static bool compose_room(struct compose *c, uint32_t more)
{
	if (c->failed)
		return false;
	if (more <= c->cap - c->len)
		return true;

	uint64_t want = c->cap ? c->cap * 2ull : 128;
	while (want < (uint64_t)c->len + more)
		want *= 2;
	char *p = want <= UINT32_MAX ? arena_get(c->arena, want) : NULL;
	if (!p) {
		c->failed = true;
		return false;
	}
	if (c->len)
		memcpy(p, c->p, c->len);
	c->p = p;
	c->cap = (uint32_t)want;
	return true;
}

void compose_bytes(struct compose *c, const void *p, uint32_t len)
{
	if (len && compose_room(c, len)) {
		memcpy(c->p + c->len, p, len);
		c->len += len;
	}
}

void compose_int(struct compose *c, int64_t n)
{
	uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
	char buf[24], *p = buf + sizeof buf;

	do
		*--p = (char)('0' + rest % 10);
	while (rest /= 10);
	if (n < 0)
		*--p = '-';
	compose_bytes(c, p, (uint32_t)(buf + sizeof buf - p));
}

void compose_fmt(struct compose *c, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof buf)
		c->failed = true;
	else
		compose_bytes(c, buf, (uint32_t)n);
}
