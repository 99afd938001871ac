/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: walks borrowed text that a kernel or a person wrote: lines, words, numbers. What is not there is not taken.
 *
 *	struct scan s = { text, text + n };
 *	if (scan_is(&s, "Uid:") && scan_u64(&s, 10, &real) && scan_u64(&s, 10, &effective)) ...
 */
#ifndef FALCO_SCAN_H
#define FALCO_SCAN_H

#include "str.h"

struct scan {
	const char *p, *end;
};

static inline struct scan scan_of(struct str s)
{
	return (struct scan){ s.p, s.p + s.len };
}

static inline struct str scan_rest(const struct scan *s)
{
	return (struct str){ s->p, (uint32_t)(s->end - s->p) };
}

static inline bool scan_is(struct scan *s, const char *start)
{
	size_t n = strlen(start);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, start, n) != 0)
		return false;
	s->p += n;
	return true;
}

/* Up to `c`, which is taken too; to the end if there is none. */
static inline struct str scan_until(struct scan *s, char c)
{
	const char *at = s->p < s->end ? memchr(s->p, c, (size_t)(s->end - s->p)) : NULL;
	struct str out = { s->p, (uint32_t)((at ? at : s->end) - s->p) };

	s->p = at ? at + 1 : s->end;
	return out;
}

static inline void scan_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		s->p++;
}

/* The next run of what is not blank; empty: none. */
static inline struct str scan_word(struct scan *s)
{
	const char *start;

	scan_blanks(s);
	for (start = s->p; s->p < s->end && *s->p != ' ' && *s->p != '\t';)
		s->p++;
	return (struct str){ start, (uint32_t)(s->p - start) };
}

static inline void scan_skip(struct scan *s, uint32_t words)
{
	while (words--)
		scan_word(s);
}

static inline int scan_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Digits behind blanks. false: none, or more than 64 bits hold; nothing is taken then. */
static inline bool scan_u64(struct scan *s, unsigned base, uint64_t *value)
{
	struct scan at = *s;
	const char *start;
	uint64_t v = 0;

	scan_blanks(&at);
	for (start = at.p; at.p < at.end && (unsigned)scan_digit(*at.p) < base; at.p++)
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, (unsigned)scan_digit(*at.p), &v))
			return false;
	if (at.p == start)
		return false;
	*value = v;
	*s = at;
	return true;
}

#endif
