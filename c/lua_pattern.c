/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backtracking matcher with a meter. A pattern is a row of pieces; a piece that stands for one character is compared by
 * one_char(), and what may follow it (* + - ?) decides in repeat_*() how often. Recursion goes as deep as the pattern has pieces
 * that can be tried again, and DEPTH_MAX at most: never as deep as the text is long.
 */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <lauxlib.h>
#include <lua.h>
#include "lua_pattern.h"

#define CAPTURES_MAX 32
#define DEPTH_MAX 200
#define METER 256		/* steps between two charges */

enum { OPEN = -1, POSITION = -2 };

struct capture {
	const char *at;
	ptrdiff_t len;		/* or OPEN, or POSITION */
};

struct matcher {
	lua_State *L;
	const char *text, *end;		/* the subject */
	const char *pend;		/* end of the pattern */
	int ncaptures, depth;
	unsigned steps;
	struct capture captures[CAPTURES_MAX];
};

static const char *match_from(struct matcher *m, const char *s, const char *p);

static inline void step(struct matcher *m)
{
	if (++m->steps >= METER) {
		m->steps = 0;
		sandbox_charge(m->L, METER);
	}
}

/* Where the piece at p, without what says how often, ends. */
static const char *piece_end(struct matcher *m, const char *p)
{
	char c = *p++;

	if (c == '%') {
		if (p >= m->pend)
			luaL_error(m->L, "malformed pattern (ends with '%%')");
		return p + 1;
	}
	if (c != '[')
		return p;
	if (p < m->pend && *p == '^')
		p++;
	do {			/* a ']' that comes first is a member */
		if (p >= m->pend)
			luaL_error(m->L, "malformed pattern (missing ']')");
		if (*p++ == '%') {
			if (p >= m->pend)
				luaL_error(m->L, "malformed pattern (missing ']')");
			p++;
		}
	} while (p >= m->pend || *p != ']');
	return p + 1;
}

static bool is_class(unsigned char c, unsigned char class)
{
	bool is;

	switch (tolower(class)) {
	case 'a': is = isalpha(c); break;
	case 'c': is = iscntrl(c); break;
	case 'd': is = isdigit(c); break;
	case 'g': is = isgraph(c); break;
	case 'l': is = islower(c); break;
	case 'p': is = ispunct(c); break;
	case 's': is = isspace(c); break;
	case 'u': is = isupper(c); break;
	case 'w': is = isalnum(c); break;
	case 'x': is = isxdigit(c); break;
	case 'z': is = c == 0; break;
	default: return c == class;
	}
	return isupper(class) ? !is : is;
}

/* set: from behind its '[' to its ']'. */
static bool is_in_set(struct matcher *m, unsigned char c, const char *set, const char *close)
{
	bool wanted = true;

	if (*set == '^') {
		wanted = false;
		set++;
	}
	while (set < close) {
		step(m);
		if (*set == '%') {
			if (is_class(c, (unsigned char)set[1]))
				return wanted;
			set += 2;
		} else if (set + 2 < close && set[1] == '-') {
			if ((unsigned char)set[0] <= c && c <= (unsigned char)set[2])
				return wanted;
			set += 3;
		} else if ((unsigned char)*set++ == c) {
			return wanted;
		}
	}
	return !wanted;
}

/* Is the character at s, if there is one, what the piece [p, next) stands for? */
static bool one_char(struct matcher *m, const char *s, const char *p, const char *next)
{
	step(m);
	if (s >= m->end)
		return false;
	switch (*p) {
	case '.': return true;
	case '%': return is_class((unsigned char)*s, (unsigned char)p[1]);
	case '[': return is_in_set(m, (unsigned char)*s, p + 1, next - 1);
	default: return *s == *p;
	}
}

static const char *repeat_most(struct matcher *m, const char *s, const char *p, const char *next, ptrdiff_t least)
{
	ptrdiff_t n = 0;

	while (one_char(m, s + n, p, next))
		n++;
	for (; n >= least; n--) {
		const char *e = match_from(m, s + n, next + 1);
		if (e)
			return e;
	}
	return NULL;
}

static const char *repeat_least(struct matcher *m, const char *s, const char *p, const char *next)
{
	for (;; s++) {
		const char *e = match_from(m, s, next + 1);
		if (e || !one_char(m, s, p, next))
			return e;
	}
}

/* %bxy */
static const char *balanced(struct matcher *m, const char *s, const char *p)
{
	int depth = 1;

	if (p + 1 >= m->pend)
		luaL_error(m->L, "malformed pattern ('%%b' wants two characters)");
	if (s >= m->end || *s != p[0])
		return NULL;
	while (++s < m->end) {
		step(m);
		if (*s == p[1]) {
			if (--depth == 0)
				return s + 1;
		} else if (*s == p[0]) {
			depth++;
		}
	}
	return NULL;
}

static const char *frontier(struct matcher *m, const char *s, const char *p)
{
	if (p >= m->pend || *p != '[')
		luaL_error(m->L, "malformed pattern (a '[' must follow '%%f')");
	const char *next = piece_end(m, p);
	unsigned char before = s == m->text ? 0 : (unsigned char)s[-1], here = s < m->end ? (unsigned char)*s : 0;

	if (is_in_set(m, before, p + 1, next - 1) || !is_in_set(m, here, p + 1, next - 1))
		return NULL;
	return match_from(m, s, next);
}

static const char *capture_begin(struct matcher *m, const char *s, const char *p, ptrdiff_t what)
{
	if (m->ncaptures >= CAPTURES_MAX)
		luaL_error(m->L, "too many captures");
	m->captures[m->ncaptures++] = (struct capture){ s, what };
	const char *e = match_from(m, s, p);
	if (!e)
		m->ncaptures--;
	return e;
}

static const char *capture_finish(struct matcher *m, const char *s, const char *p)
{
	int i = m->ncaptures - 1;

	while (i >= 0 && m->captures[i].len != OPEN)
		i--;
	if (i < 0)
		luaL_error(m->L, "malformed pattern (')' without '(')");
	m->captures[i].len = s - m->captures[i].at;
	const char *e = match_from(m, s, p);
	if (!e)
		m->captures[i].len = OPEN;
	return e;
}

/* %1: what the first capture holds, once more */
static const char *again(struct matcher *m, const char *s, char digit)
{
	int i = digit - '1';

	if (i < 0 || i >= m->ncaptures || m->captures[i].len < 0)
		luaL_error(m->L, "invalid capture index %%%d", i + 1);
	const struct capture *c = &m->captures[i];
	if (m->end - s < c->len)
		return NULL;
	sandbox_charge(m->L, (size_t)c->len / 16 + 1);
	return memcmp(c->at, s, (size_t)c->len) == 0 ? s + c->len : NULL;
}

/* What begins with '%' or a bracket and is no character; *more: go on behind it at *p. NULL and !*more: nothing of the kind. */
static const char *special(struct matcher *m, const char *s, const char **p, bool *is)
{
	const char *at = *p;

	*is = true;
	if (*at == '(') {
		if (at + 1 < m->pend && at[1] == ')')
			return capture_begin(m, s, at + 2, POSITION);
		return capture_begin(m, s, at + 1, OPEN);
	}
	if (*at == ')')
		return capture_finish(m, s, at + 1);
	if (*at == '$' && at + 1 == m->pend)
		return s == m->end ? s : NULL;
	if (*at == '%' && at + 1 < m->pend) {
		if (at[1] == 'f')
			return frontier(m, s, at + 2);
		if (at[1] == 'b') {
			*p = at + 4;
			return (s = balanced(m, s, at + 2)) ? match_from(m, s, *p) : NULL;
		}
		if (isdigit((unsigned char)at[1])) {
			*p = at + 2;
			return (s = again(m, s, at[1])) ? match_from(m, s, *p) : NULL;
		}
	}
	*is = false;
	return NULL;
}

static const char *match_pieces(struct matcher *m, const char *s, const char *p)
{
	while (p < m->pend) {
		bool is_special;
		const char *e = special(m, s, &p, &is_special);

		if (is_special)
			return e;
		const char *next = piece_end(m, p);
		switch (next < m->pend ? *next : '\0') {
		case '?':
			if (one_char(m, s, p, next) && (e = match_from(m, s + 1, next + 1)))
				return e;
			p = next + 1;
			break;
		case '*': return repeat_most(m, s, p, next, 0);
		case '+': return repeat_most(m, s, p, next, 1);
		case '-': return repeat_least(m, s, p, next);
		default:
			if (!one_char(m, s, p, next))
				return NULL;
			s++;
			p = next;
		}
	}
	return s;
}

/* The end of what the pattern from p on matches at s, or NULL. */
static const char *match_from(struct matcher *m, const char *s, const char *p)
{
	step(m);
	if (++m->depth > DEPTH_MAX)
		luaL_error(m->L, "pattern too complex");
	const char *e = match_pieces(m, s, p);
	m->depth--;
	return e;
}

/* ------------------------------------------------------------------ results */

static void push_capture(struct matcher *m, int i, const char *s, const char *e)
{
	if (i >= m->ncaptures) {
		if (i > 0)
			luaL_error(m->L, "invalid capture index %%%d", i + 1);
		lua_pushlstring(m->L, s, (size_t)(e - s));	/* no captures: all of it */
		return;
	}
	const struct capture *c = &m->captures[i];
	if (c->len == OPEN)
		luaL_error(m->L, "unfinished capture");
	if (c->len == POSITION)
		lua_pushinteger(m->L, c->at - m->text + 1);
	else
		lua_pushlstring(m->L, c->at, (size_t)c->len);
}

/* whole: without captures all of the match counts as one. */
static int push_captures(struct matcher *m, const char *s, const char *e, bool whole)
{
	int n = m->ncaptures == 0 && whole ? 1 : m->ncaptures;

	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		push_capture(m, i, s, e);
	return n;
}

static const char *match_at(struct matcher *m, const char *s, const char *p)
{
	m->ncaptures = 0;
	m->depth = 0;
	return match_from(m, s, p);
}

static struct matcher matcher_of(lua_State *L, const char *text, size_t len, const char *pattern, size_t plen)
{
	return (struct matcher){ .L = L, .text = text, .end = text + len, .pend = pattern + plen };
}

/* ------------------------------------------------------------------ find and match */

static bool is_plain(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr("^$*+?.([%-", p[i]) && p[i])
			return false;
	return true;
}

static size_t start_of(lua_Integer init, size_t len)
{
	if (init < 0)
		init += (lua_Integer)len + 1;
	if (init < 1)
		return 0;
	return (size_t)init > len ? len : (size_t)init - 1;
}

static int find_plain(lua_State *L, const char *s, size_t len, const char *p, size_t plen, size_t from)
{
	sandbox_charge(L, (len - from) / 4 + plen / 4);		/* memmem() is linear */
	const char *at = plen ? memmem(s + from, len - from, p, plen) : s + from;

	if (!at) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, at - s + 1);
	lua_pushinteger(L, at - s + (lua_Integer)plen);
	return 2;
}

static int find_or_match(lua_State *L, bool find)
{
	size_t len, plen;
	const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen);
	size_t from = start_of(luaL_optinteger(L, 3, 1), len);

	if (find && (lua_toboolean(L, 4) || is_plain(p, plen)))
		return find_plain(L, s, len, p, plen, from);

	struct matcher m = matcher_of(L, s, len, p, plen);
	bool anchored = plen > 0 && *p == '^';
	const char *at = s + from;

	p += anchored;
	do {
		const char *e = match_at(&m, at, p);
		if (!e)
			continue;
		if (!find)
			return push_captures(&m, at, e, true);
		lua_pushinteger(L, at - s + 1);
		lua_pushinteger(L, e - s);
		return push_captures(&m, at, e, false) + 2;
	} while (at++ < m.end && !anchored);
	lua_pushnil(L);
	return 1;
}

static int string_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* ------------------------------------------------------------------ gmatch */

/* Upvalues: text, pattern, where to go on. */
static int gmatch_next(lua_State *L)
{
	size_t len, plen;
	const char *s = lua_tolstring(L, lua_upvalueindex(1), &len), *p = lua_tolstring(L, lua_upvalueindex(2), &plen);
	struct matcher m = matcher_of(L, s, len, p, plen);

	for (const char *at = s + lua_tointeger(L, lua_upvalueindex(3)); at <= m.end; at++) {
		const char *e = match_at(&m, at, p);
		if (!e)
			continue;
		lua_pushinteger(L, e - s + (e == at));
		lua_replace(L, lua_upvalueindex(3));
		return push_captures(&m, at, e, true);
	}
	return 0;
}

static int string_gmatch(lua_State *L)
{
	luaL_checkstring(L, 1);
	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, gmatch_next, 3);
	return 1;
}

/* ------------------------------------------------------------------ gsub */

/* The replacement text, with %0 to %9 in it. */
static void add_text(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
	size_t len;
	const char *r = lua_tolstring(m->L, 3, &len);

	sandbox_charge(m->L, len / 16 + 1);
	for (size_t i = 0; i < len; i++) {
		if (r[i] != '%') {
			luaL_addchar(b, r[i]);
		} else if (++i < len && r[i] == '0') {
			luaL_addlstring(b, s, (size_t)(e - s));
		} else if (i < len && isdigit((unsigned char)r[i])) {
			push_capture(m, r[i] - '1', s, e);
			luaL_addvalue(b);
		} else if (i < len) {
			luaL_addchar(b, r[i]);
		}
	}
}

/* What a table or function has for the match; nil or false: it stays as it is. */
static void add_value(struct matcher *m, luaL_Buffer *b, const char *s, const char *e, int kind)
{
	lua_State *L = m->L;

	sandbox_check_stack(L);
	if (kind == LUA_TTABLE) {
		push_capture(m, 0, s, e);
		lua_gettable(L, 3);
	} else {
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(m, s, e, true), 1);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		lua_pushlstring(L, s, (size_t)(e - s));
	} else if (!lua_isstring(L, -1)) {
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	}
	luaL_addvalue(b);
}

static int string_gsub(lua_State *L)
{
	size_t len, plen;
	const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen), *at = s;
	int kind = lua_type(L, 3);
	lua_Number most = lua_isnoneornil(L, 4) ? (lua_Number)len + 1 : luaL_checknumber(L, 4);
	bool anchored = plen > 0 && *p == '^';
	lua_Integer n = 0;
	luaL_Buffer b;

	luaL_argcheck(L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
		      "string/function/table expected");
	if (kind == LUA_TNUMBER)
		lua_tostring(L, 3);
	struct matcher m = matcher_of(L, s, len, p, plen);
	p += anchored;
	luaL_buffinit(L, &b);
	while ((lua_Number)n < most) {
		const char *e = match_at(&m, at, p);
		if (e) {
			n++;
			if (kind == LUA_TNUMBER || kind == LUA_TSTRING)
				add_text(&m, &b, at, e);
			else
				add_value(&m, &b, at, e, kind);
		}
		if (e && e > at)
			at = e;
		else if (at < m.end)
			luaL_addchar(&b, *at++);
		else
			break;
		if (anchored)
			break;
	}
	luaL_addlstring(&b, at, (size_t)(m.end - at));
	luaL_pushresult(&b);
	lua_pushinteger(L, n);
	return 2;
}

void pattern_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "find", string_find }, { "match", string_match }, { "gmatch", string_gmatch }, { "gsub", string_gsub },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
