// SPDX-License-Identifier: Apache-2.0
/* Typed values as text and as JSON. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "value.h"

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD in UTF-8 */

/* Where text goes: at most cap bytes are kept, all are counted. */
struct sink {
	char *p;
	uint32_t cap, len;
};

static void sink_bytes(struct sink *s, const void *p, uint32_t len)
{
	if (s->len < s->cap)
		memcpy(s->p + s->len, p, len < s->cap - s->len ? len : s->cap - s->len);
	s->len += len;
}

static void sink_char(struct sink *s, char c)
{
	if (s->len < s->cap)
		s->p[s->len] = c;
	s->len++;
}

static void sink_str(struct sink *s, const char *z)
{
	sink_bytes(s, z, (uint32_t)strlen(z));
}

__attribute__((format(printf, 2, 3))) static void sink_fmt(struct sink *s, const char *fmt, ...)
{
	char buf[128];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	sink_bytes(s, buf, n < 0 ? 0 : (uint32_t)n < sizeof buf ? (uint32_t)n : (uint32_t)sizeof buf - 1);
}

/* ------------------------------------------------------------------ UTF-8 and JSON strings */

static void sink_utf8(struct sink *s, uint32_t c)
{
	if (c < 0x80) {
		sink_char(s, (char)c);
	} else if (c < 0x800) {
		sink_char(s, (char)(0xc0 | c >> 6));
		sink_char(s, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		sink_char(s, (char)(0xe0 | c >> 12));
		sink_char(s, (char)(0x80 | (c >> 6 & 0x3f)));
		sink_char(s, (char)(0x80 | (c & 0x3f)));
	} else {
		sink_char(s, (char)(0xf0 | c >> 18));
		sink_char(s, (char)(0x80 | (c >> 12 & 0x3f)));
		sink_char(s, (char)(0x80 | (c >> 6 & 0x3f)));
		sink_char(s, (char)(0x80 | (c & 0x3f)));
	}
}

static bool needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

static void sink_ascii_escaped(struct sink *s, unsigned char c)
{
	static const char letters[32] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };

	if (!needs_escape(c)) {
		sink_char(s, (char)c);
	} else if (c >= 0x20 || letters[c]) {
		sink_char(s, '\\');
		sink_char(s, c >= 0x20 ? (char)c : letters[c]);
	} else {
		sink_fmt(s, "\\u%04x", c);
	}
}

/*
 * Length of the well-formed sequence at p, or minus the length of the maximal part of one (at least 1): what Unicode
 * recommends to replace by one U+FFFD.
 */
static int utf8_step(const unsigned char *p, uint32_t left)
{
	unsigned char lead = p[0], low = 0x80, high = 0xbf;
	int need;

	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		need = 2;
	else if (lead >= 0xe0 && lead <= 0xef)
		need = 3;
	else if (lead >= 0xf0 && lead <= 0xf4)
		need = 4;
	else
		return -1;
	/* no overlong forms, no surrogates, nothing above U+10FFFF: all visible in the second byte */
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	for (int i = 1; i < need; i++) {
		if ((uint32_t)i >= left || p[i] < low || p[i] > high)
			return -i;
		low = 0x80;
		high = 0xbf;
	}
	return need;
}

static void sink_escaped(struct sink *s, const char *text, uint32_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (uint32_t i = 0; i < len;) {
		int n = utf8_step(p + i, len - i);

		if (p[i] < 0x80)
			sink_ascii_escaped(s, p[i]);
		else if (n > 0)
			sink_bytes(s, p + i, (uint32_t)n);
		else
			sink_str(s, REPLACEMENT);
		i += (uint32_t)abs(n);
	}
}

/*
 * Alert fields are read the way the reference's JSON writer reads them: the first byte alone says how many follow,
 * and what follows is not looked at. So a stray byte takes its neighbours with it, and damaged names come out the
 * same as there. Well-formed text is not affected.
 */
static uint32_t utf8_loose(const unsigned char *p, uint32_t left, uint32_t *used)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t lead = p[0];
	uint32_t n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;

	*used = 1;
	if (!n || left < n)
		return 0xfffd;
	uint32_t c = lead & (0x7fu >> n);
	for (uint32_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	*used = n;
	return c < least[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff ? 0xfffd : c;
}

static void sink_json_string(struct sink *s, const char *text, uint32_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	sink_char(s, '"');
	for (uint32_t i = 0; i < len;) {
		uint32_t used = 1;

		if (p[i] < 0x80)
			sink_ascii_escaped(s, p[i]);
		else
			sink_utf8(s, utf8_loose(p + i, len - i, &used));
		i += used;
	}
	sink_char(s, '"');
}

uint32_t json_escape(const char *s, uint32_t len, char *buf, uint32_t cap)
{
	struct sink out = { buf, cap, 0 };

	sink_escaped(&out, s, len);
	return out.len;
}

/* ------------------------------------------------------------------ time */

/* Events come many to a second, so each thread keeps the text of the last one: "2024-02-29 23:59:59". */
struct second {
	time_t sec;
	long zone;			/* seconds off UTC, if it is local time: tests change it */
	bool known;
	char text[64];
	uint32_t len, clock;		/* clock: where the time of day begins */
};

static const struct second *second_of(struct second *s, time_t sec, bool utc)
{
	struct tm tm = { 0 };
	int n;

	if (s->known && s->sec == sec && s->zone == timezone)
		return s;
	if (!(utc ? gmtime_r(&sec, &tm) : localtime_r(&sec, &tm)))
		memset(&tm, 0, sizeof tm);
	n = snprintf(s->text, sizeof s->text, "%04d-%02d-%02d%c", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, utc ? 'T' : ' ');
	s->clock = (uint32_t)n;
	n = snprintf(s->text + n, sizeof s->text - s->clock, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
	s->len = s->clock + (uint32_t)n;
	s->sec = sec;
	s->zone = timezone;
	s->known = true;
	return s;
}

static void sink_nanoseconds(struct sink *s, uint32_t part)
{
	char text[10] = ".";

	for (uint32_t i = 9; i; i--, part /= 10)
		text[i] = (char)('0' + part % 10);
	sink_bytes(s, text, sizeof text);
}

uint32_t time_text(uint64_t ns, int form, char *buf, uint32_t cap)
{
	static _Thread_local struct second seconds[2];
	bool utc = form == TIME_ISO || form == TIME_ISO_Z, date = utc || form == TIME_DATE || form == TIME_DATE_NS;
	const struct second *second = second_of(&seconds[utc], (time_t)(ns / 1000000000u), utc);
	uint32_t from = date ? 0 : second->clock;
	struct sink s = { buf, cap, 0 };

	sink_bytes(&s, second->text + from, second->len - from);
	if (form != TIME_CLOCK && form != TIME_DATE)
		sink_nanoseconds(&s, (uint32_t)(ns % 1000000000u));
	if (utc)
		sink_str(&s, form == TIME_ISO ? "+0000" : "Z");
	return s.len;
}

/* ------------------------------------------------------------------ numbers */

enum shape { SHAPE_OTHER, SHAPE_INT, SHAPE_UINT, SHAPE_TEXT };

static const struct {
	uint8_t shape, bytes;
} shapes[PT_COUNT] = {
	[PT_INT8] = { SHAPE_INT, 1 },	     [PT_INT16] = { SHAPE_INT, 2 },	 [PT_INT32] = { SHAPE_INT, 4 },
	[PT_INT64] = { SHAPE_INT, 8 },	     [PT_FD] = { SHAPE_INT, 8 },	 [PT_PID] = { SHAPE_INT, 8 },
	[PT_ERRNO] = { SHAPE_INT, 8 },	     [PT_FD32] = { SHAPE_INT, 4 },	 [PT_PID32] = { SHAPE_INT, 4 },
	[PT_UINT8] = { SHAPE_UINT, 1 },	     [PT_L4PROTO] = { SHAPE_UINT, 1 },	 [PT_SIGTYPE] = { SHAPE_UINT, 1 },
	[PT_FLAGS8] = { SHAPE_UINT, 1 },     [PT_ENUMFLAGS8] = { SHAPE_UINT, 1 }, [PT_UINT16] = { SHAPE_UINT, 2 },
	[PT_PORT] = { SHAPE_UINT, 2 },	     [PT_SYSCALLID] = { SHAPE_UINT, 2 }, [PT_FLAGS16] = { SHAPE_UINT, 2 },
	[PT_ENUMFLAGS16] = { SHAPE_UINT, 2 }, [PT_UINT32] = { SHAPE_UINT, 4 },	 [PT_FLAGS32] = { SHAPE_UINT, 4 },
	[PT_ENUMFLAGS32] = { SHAPE_UINT, 4 }, [PT_UID] = { SHAPE_UINT, 4 },	 [PT_GID] = { SHAPE_UINT, 4 },
	[PT_MODE] = { SHAPE_UINT, 4 },	     [PT_SIGSET] = { SHAPE_UINT, 4 },	 [PT_UINT64] = { SHAPE_UINT, 8 },
	[PT_RELTIME] = { SHAPE_UINT, 8 },    [PT_ABSTIME] = { SHAPE_UINT, 8 },	 [PT_CHARBUF] = { SHAPE_TEXT, 0 },
	[PT_FSPATH] = { SHAPE_TEXT, 0 },     [PT_FSRELPATH] = { SHAPE_TEXT, 0 },
};

bool type_is_number(uint32_t type)
{
	return type < PT_COUNT && (shapes[type].shape == SHAPE_INT || shapes[type].shape == SHAPE_UINT);
}

bool type_is_signed(uint32_t type)
{
	return type < PT_COUNT && shapes[type].shape == SHAPE_INT;
}

bool type_is_text(uint32_t type)
{
	return type < PT_COUNT && shapes[type].shape == SHAPE_TEXT;
}

/* The print format that a number of this type is shown in, or PF_NA when it has no text at all. */
static uint8_t number_format(const struct value *v)
{
	bool wide = shapes[v->type].bytes == 8, is_signed = type_is_signed(v->type);

	switch (v->format) {
	case PF_ID:
		return PF_DEC;
	case PF_DEC:
	case PF_HEX:
	case PF_OCT:
		return v->format;
	case PF_10_PADDED_DEC:
		return wide ? PF_10_PADDED_DEC : PF_NA;
	}
	return wide && is_signed ? PF_DEC : PF_NA;
}

static void sink_number(struct sink *s, const struct value *v, uint8_t format)
{
	/* narrow negative numbers show 32 bits in hex and octal */
	uint64_t u = shapes[v->type].bytes == 8 ? v->num.u : (uint32_t)v->num.u;

	switch (format) {
	case PF_HEX:
		sink_fmt(s, "%" PRIX64, u);
		break;
	case PF_OCT:
		sink_fmt(s, "%" PRIo64, u);
		break;
	case PF_10_PADDED_DEC:
		if (type_is_signed(v->type))
			sink_fmt(s, "%09" PRId64, v->num.i);
		else
			sink_fmt(s, "%09" PRIu64, v->num.u);
		break;
	default:
		if (type_is_signed(v->type))
			sink_fmt(s, "%" PRId64, v->num.i);
		else
			sink_fmt(s, "%" PRIu64, v->num.u);
	}
}

/* The fewest digits that read back as the same number; a point or an exponent always shows. */
static void sink_double(struct sink *s, double d)
{
	char buf[40], digits[24];
	int precision = 0, n = 0, exp;

	if (!isfinite(d)) {
		sink_str(s, "null");
		return;
	}
	do
		snprintf(buf, sizeof buf, "%.*e", precision, d);
	while (++precision < 17 && strtod(buf, NULL) != d);
	if (buf[0] == '-')
		sink_char(s, '-');
	for (const char *c = buf; *c && *c != 'e'; c++)
		if (*c >= '0' && *c <= '9' && n < (int)sizeof digits)
			digits[n++] = *c;
	exp = atoi(strchr(buf, 'e') + 1) + 1;	/* d = 0.digits * 10^exp */
	if (d == 0)
		exp = 1;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (n <= exp && exp <= 15) {
		sink_bytes(s, digits, (uint32_t)n);
		for (int i = n; i < exp; i++)
			sink_char(s, '0');
		sink_str(s, ".0");
	} else if (exp > 0 && exp <= 15) {
		sink_bytes(s, digits, (uint32_t)exp);
		sink_char(s, '.');
		sink_bytes(s, digits + exp, (uint32_t)(n - exp));
	} else if (exp > -4 && exp <= 0) {
		sink_str(s, "0.");
		for (int i = exp; i < 0; i++)
			sink_char(s, '0');
		sink_bytes(s, digits, (uint32_t)n);
	} else {
		sink_char(s, digits[0]);
		if (n > 1)
			sink_char(s, '.');
		sink_bytes(s, digits + 1, (uint32_t)(n - 1));
		sink_fmt(s, "e%c%02d", exp - 1 < 0 ? '-' : '+', abs(exp - 1));
	}
}

/* ------------------------------------------------------------------ values */

/* How much of a buffer is shown: the reference prints it through a buffer of 1024 bytes. */
enum { BUFFER_SHOWN = 1022, LIST_SHOWN = 1023 };

static void sink_buffer(struct sink *s, const struct value *v)
{
	const unsigned char *p = v->p;
	uint32_t n = v->len <= BUFFER_SHOWN ? v->len : BUFFER_SHOWN - 1;

	for (uint32_t i = 0; i < n; i++)
		sink_char(s, p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '.');
}

static bool sink_ip(struct sink *s, const struct value *v)
{
	char buf[INET6_ADDRSTRLEN];
	int family = v->len == 4 ? AF_INET : v->len == 16 ? AF_INET6 : -1;

	if (family < 0 || !inet_ntop(family, v->p, buf, sizeof buf))
		return false;
	sink_str(s, buf);
	return true;
}

static const struct value *value_items(const struct value *v)
{
	return v->p;
}

/* false: a value that has no text. */
static bool sink_text(struct sink *s, const struct value *v)
{
	if (v->type >= PT_COUNT)
		return false;
	switch (v->type) {
	case PT_NONE:
		return false;
	case PT_CHARBUF:
	case PT_FSPATH:
	case PT_FSRELPATH:
		sink_bytes(s, v->p, v->len);
		return true;
	case PT_BYTEBUF:
		sink_buffer(s, v);
		return true;
	case PT_BOOL:
		sink_str(s, v->num.u ? "true" : "false");
		return true;
	case PT_DOUBLE:
		sink_fmt(s, "%.1f", v->num.d);
		return true;
	case PT_IPV4ADDR:
	case PT_IPV6ADDR:
	case PT_IPADDR:
		return sink_ip(s, v);
	case PT_IPNET:
	case PT_IPV4NET:
	case PT_IPV6NET:
		sink_str(s, "<IPNET>");
		return true;
	}
	uint8_t format = type_is_number(v->type) ? number_format(v) : PF_NA;
	if (format == PF_NA)
		return false;
	sink_number(s, v, format);
	return true;
}

uint32_t value_text(const struct value *v, char *buf, uint32_t cap)
{
	struct sink s = { buf, cap, 0 };

	if (v->type && v->flags & VALUE_LIST) {
		if (s.cap > LIST_SHOWN)
			s.cap = LIST_SHOWN;
		sink_char(&s, '(');
		for (uint64_t i = 0; i < v->num.n; i++) {
			if (i)
				sink_char(&s, ',');
			if (!sink_text(&s, &value_items(v)[i]))
				sink_str(&s, "<NA>");
		}
		sink_char(&s, ')');
		return s.len < LIST_SHOWN ? s.len : LIST_SHOWN;
	}
	if (!sink_text(&s, v))
		sink_str(&s, "<NA>");
	return s.len;
}

static void sink_json(struct sink *s, const struct value *v)
{
	char buf[BUFFER_SHOWN];
	struct sink text = { buf, sizeof buf, 0 };

	if (v->flags & VALUE_JSON_NUM) {
		sink_fmt(s, "%" PRId64, v->num.i);
	} else if (v->type == PT_BOOL) {
		sink_str(s, v->num.u ? "true" : "false");
	} else if (v->type == PT_DOUBLE) {
		if (v->format != PF_DEC)
			sink_double(s, v->num.d);
		else if (fabs(v->num.d) < 9.2e18)
			sink_fmt(s, "%" PRId64, (int64_t)v->num.d);
		else
			sink_str(s, "null");
	} else if (type_is_text(v->type)) {
		sink_json_string(s, v->p, v->len);
	} else if (type_is_number(v->type) && (v->format == PF_DEC || v->format == PF_ID)) {
		sink_number(s, v, PF_DEC);
	} else if (sink_text(&text, v)) {
		sink_json_string(s, buf, text.len);
	} else {
		sink_str(s, "null");
	}
}

uint32_t value_json(const struct value *v, char *buf, uint32_t cap)
{
	struct sink s = { buf, cap, 0 };

	if (v->type && v->flags & VALUE_LIST) {
		sink_char(&s, '[');
		for (uint64_t i = 0; i < v->num.n; i++) {
			if (i)
				sink_char(&s, ',');
			sink_json(&s, &value_items(v)[i]);
		}
		sink_char(&s, ']');
	} else {
		sink_json(&s, v);
	}
	return s.len;
}
