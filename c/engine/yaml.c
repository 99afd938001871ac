/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events as one flat array. libyaml counts characters; people and this project count bytes, lines as
 * editors do, and columns in characters, so every mark is translated through checkpoints set STRIDE characters apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "../array.h"
#include "ffi.h"

#define MAX_DEPTH 64
#define MAX_TEXT (64u << 20)
#define MAX_EVENTS (1u << 20)	/* a large set of rules has some ten thousand */
#define MAX_STRINGS (256u << 20)
#define STRIDE 64

struct place {
	uint32_t byte;			/* from 0 */
	uint32_t line, column;		/* from 1 */
};

struct event {
	uint32_t words[YAML_WORDS];
};

struct yaml_doc {
	struct event *events;
	uint32_t n, cap;
	char *texts;
	size_t len, texts_cap;
};

struct reading {
	const char *text;
	uint32_t len;
	struct place *points;		/* points[k]: where character k * STRIDE is */
	uint32_t npoints, cap;
	struct yaml_doc *doc;
	struct err *err;
	struct place at;		/* of an error */
};

/* ------------------------------------------------------------------ places */

static uint32_t char_width(const struct reading *r, uint32_t byte)
{
	unsigned char c = (unsigned char)r->text[byte];
	uint32_t width = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return width < r->len - byte ? width : r->len - byte;
}

static void place_step(const struct reading *r, struct place *p)
{
	char c = r->text[p->byte];
	char next = p->byte + 1 < r->len ? r->text[p->byte + 1] : 0;

	p->byte += char_width(r, p->byte);
	if (c == '\n' || (c == '\r' && next != '\n')) {
		p->line++;
		p->column = 1;
	} else {
		p->column++;
	}
}

static bool set_points(struct reading *r, uint32_t start)
{
	struct place p = { start, 1, 1 };

	for (uint32_t i = 0;; i++) {
		if (i % STRIDE == 0) {
			if (!array_room(&r->points, r->npoints, &r->cap, sizeof *r->points))
				return false;
			r->points[r->npoints++] = p;
		}
		if (p.byte >= r->len)
			return true;
		place_step(r, &p);
	}
}

static struct place place_of(const struct reading *r, size_t index)
{
	size_t k = index / STRIDE;
	size_t steps = index % STRIDE;

	if (k >= r->npoints) {
		k = r->npoints - 1;
		steps = STRIDE;
	}
	struct place p = r->points[k];
	while (steps-- && p.byte < r->len)
		place_step(r, &p);
	return p;
}

static struct place place_of_byte(const struct reading *r, size_t byte)
{
	struct place p = r->points[0];

	while (p.byte < byte && p.byte < r->len)
		place_step(r, &p);
	return p;
}

/* ------------------------------------------------------------------ events */

/* Adds a text; where it is goes to words[at]. */
static bool keep(struct reading *r, struct event *to, enum yaml_word at, const void *p, size_t len)
{
	struct yaml_doc *doc = r->doc;
	size_t need = doc->len + len + 1;

	if (need > MAX_STRINGS)
		return false;
	if (need > doc->texts_cap) {
		size_t cap = need + need / 2;
		char *texts = realloc(doc->texts, cap);

		if (!texts)
			return false;
		doc->texts = texts;
		doc->texts_cap = cap;
	}
	memcpy(doc->texts + doc->len, p, len);
	doc->texts[need - 1] = 0;
	to->words[at] = (uint32_t)doc->len;
	doc->len = need;
	return true;
}

static bool keep_value(struct reading *r, struct event *to, const void *p, size_t len)
{
	to->words[YAML_VALUE_LEN] = (uint32_t)len;
	return keep(r, to, YAML_VALUE, p, len);
}

/* Anchor and tag, each NULL when there is none. */
static bool keep_properties(struct reading *r, struct event *to, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	to->words[YAML_HAS] |= (anchor ? YAML_HAS_ANCHOR : 0) | (tag ? YAML_HAS_TAG : 0);
	return (!anchor || keep(r, to, YAML_ANCHOR, anchor, strlen((const char *)anchor))) &&
	       (!tag || keep(r, to, YAML_TAG, tag, strlen((const char *)tag)));
}

static uint32_t kind_of(yaml_event_type_t type)
{
	static const uint32_t kinds[] = {
		[YAML_DOCUMENT_START_EVENT] = YAML_DOCUMENT_START, [YAML_DOCUMENT_END_EVENT] = YAML_DOCUMENT_END,
		[YAML_ALIAS_EVENT] = YAML_ALIAS, [YAML_SCALAR_EVENT] = YAML_SCALAR,
		[YAML_SEQUENCE_START_EVENT] = YAML_SEQ_START, [YAML_SEQUENCE_END_EVENT] = YAML_SEQ_END,
		[YAML_MAPPING_START_EVENT] = YAML_MAP_START, [YAML_MAPPING_END_EVENT] = YAML_MAP_END,
	};
	return (size_t)type < sizeof kinds / sizeof kinds[0] ? kinds[type] : 0;
}

static bool fill(struct reading *r, struct event *to, const yaml_event_t *from)
{
	const char *alias;

	to->words[YAML_KIND] = kind_of(from->type);
	switch (from->type) {
	case YAML_ALIAS_EVENT:
		alias = (const char *)from->data.alias.anchor;
		return keep_value(r, to, alias, strlen(alias));
	case YAML_SCALAR_EVENT:
		if (from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
			to->words[YAML_HAS] |= YAML_HAS_NO_QUOTES;
		return keep_value(r, to, from->data.scalar.value, from->data.scalar.length) &&
		       keep_properties(r, to, from->data.scalar.anchor, from->data.scalar.tag);
	case YAML_SEQUENCE_START_EVENT:
		return keep_properties(r, to, from->data.sequence_start.anchor, from->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return keep_properties(r, to, from->data.mapping_start.anchor, from->data.mapping_start.tag);
	default:
		return true;
	}
}

static int fail(struct reading *r, struct place at, int code, const char *what)
{
	r->at = at;
	return err_set(r->err, code, "%s", what);
}

static int add(struct reading *r, const yaml_event_t *from)
{
	struct yaml_doc *doc = r->doc;
	struct place a = place_of(r, from->start_mark.index), b = place_of(r, from->end_mark.index);
	struct event to = { {
		[YAML_LINE] = a.line, [YAML_COLUMN] = a.column, [YAML_OFFSET] = a.byte, [YAML_END_OFFSET] = b.byte,
	} };

	if (doc->n >= MAX_EVENTS)
		return fail(r, a, E2BIG, "too many YAML nodes in one file");
	if (!fill(r, &to, from) || !array_room(&doc->events, doc->n, &doc->cap, sizeof to))
		return fail(r, a, ENOMEM, "not enough memory for this YAML file");
	if (to.words[YAML_KIND])
		doc->events[doc->n++] = to;
	return 0;
}

static int parser_failed(struct reading *r, const yaml_parser_t *p)
{
	const char *problem = p->problem ? p->problem : "not YAML";

	switch (p->error) {
	case YAML_READER_ERROR:
		r->at = place_of_byte(r, r->points[0].byte + p->problem_offset);
		return err_set(r->err, EINVAL, "%s", problem);
	case YAML_MEMORY_ERROR:
		return fail(r, r->points[0], ENOMEM, "not enough memory for this YAML file");
	default:
		r->at = place_of(r, p->problem_mark.index);
		if (!p->context)
			return err_set(r->err, EINVAL, "%s", problem);
		return err_set(r->err, EINVAL, "%s, %s that starts in line %u", problem, p->context,
			       place_of(r, p->context_mark.index).line);
	}
}

static int depth_change(yaml_event_type_t type)
{
	return (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) -
	       (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT);
}

static int read_all(struct reading *r, yaml_parser_t *p)
{
	yaml_event_t e;
	int depth = 0, error = 0;

	for (bool end = false; !end && !error;) {
		if (!yaml_parser_parse(p, &e))
			return parser_failed(r, p);
		depth += depth_change(e.type);
		end = e.type == YAML_STREAM_END_EVENT;
		error = depth > MAX_DEPTH ? fail(r, place_of(r, e.start_mark.index), E2BIG, "nested too deep (64 levels)")
					  : add(r, &e);
		yaml_event_delete(&e);
	}
	return error;
}

static int read_text(struct reading *r)
{
	yaml_parser_t p;
	uint32_t start = r->len >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	r->at = (struct place){ 0, 1, 1 };
	if (!set_points(r, start) || !yaml_parser_initialize(&p))
		return err_set(r->err, ENOMEM, "not enough memory for this YAML file");
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)r->text + start, r->len - start);

	int error = read_all(r, &p);
	yaml_parser_delete(&p);
	return error;
}

struct yaml_doc *yaml_parse(const char *text, size_t len, struct err *err, uint32_t *line, uint32_t *column)
{
	struct reading r = { .text = text, .len = (uint32_t)len, .err = err };
	int error;

	*line = *column = 1;
	if (len > MAX_TEXT) {
		err_set(err, E2BIG, "YAML file of more than %u bytes", MAX_TEXT);
		return NULL;
	}
	if (!(r.doc = calloc(1, sizeof *r.doc))) {
		err_set(err, ENOMEM, "not enough memory for this YAML file");
		return NULL;
	}
	error = read_text(&r);
	free(r.points);
	if (!error)
		return r.doc;
	*line = r.at.line;
	*column = r.at.column;
	yaml_doc_free(r.doc);
	return NULL;
}

uint32_t yaml_count(const struct yaml_doc *doc)
{
	return doc->n;
}

const uint32_t *yaml_words(const struct yaml_doc *doc)
{
	return doc->events ? doc->events->words : NULL;
}

const char *yaml_texts(const struct yaml_doc *doc)
{
	return doc->texts;
}

void yaml_doc_free(struct yaml_doc *doc)
{
	if (!doc)
		return;
	free(doc->texts);
	free(doc->events);
	free(doc);
}
