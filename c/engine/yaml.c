/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events as one flat array. libyaml counts characters; people and this project count bytes, lines as
 * editors do, and columns in characters, so every mark is translated through checkpoints set STRIDE characters apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "../arena.h"
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

struct yaml_doc {
	struct yaml_event *events;
	uint32_t n, cap;
	struct arena strings;
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

static bool keep(struct reading *r, struct str *out, const void *p, size_t len)
{
	if (!p)
		return true;
	char *copy = arena_get(&r->doc->strings, len + 1);
	if (!copy)
		return false;
	memcpy(copy, p, len);
	copy[len] = 0;
	*out = (struct str){ copy, (uint32_t)len };
	return true;
}

static bool keep_z(struct reading *r, struct str *out, const void *z)
{
	return keep(r, out, z, z ? strlen(z) : 0);
}

static bool fill(struct reading *r, struct yaml_event *to, const yaml_event_t *from)
{
	switch (from->type) {
	case YAML_DOCUMENT_START_EVENT:
		to->kind = YAML_DOCUMENT_START;
		return true;
	case YAML_DOCUMENT_END_EVENT:
		to->kind = YAML_DOCUMENT_END;
		return true;
	case YAML_SEQUENCE_END_EVENT:
		to->kind = YAML_SEQ_END;
		return true;
	case YAML_MAPPING_END_EVENT:
		to->kind = YAML_MAP_END;
		return true;
	case YAML_ALIAS_EVENT:
		to->kind = YAML_ALIAS;
		return keep_z(r, &to->value, from->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		to->kind = YAML_SCALAR;
		to->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		return keep(r, &to->value, from->data.scalar.value, from->data.scalar.length) &&
		       keep_z(r, &to->anchor, from->data.scalar.anchor) && keep_z(r, &to->tag, from->data.scalar.tag);
	case YAML_SEQUENCE_START_EVENT:
		to->kind = YAML_SEQ_START;
		return keep_z(r, &to->anchor, from->data.sequence_start.anchor) &&
		       keep_z(r, &to->tag, from->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		to->kind = YAML_MAP_START;
		return keep_z(r, &to->anchor, from->data.mapping_start.anchor) &&
		       keep_z(r, &to->tag, from->data.mapping_start.tag);
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
	struct yaml_event to = {
		.line = a.line, .column = a.column, .offset = a.byte,
		.end_line = b.line, .end_column = b.column, .end_offset = b.byte,
	};

	if (doc->n >= MAX_EVENTS)
		return fail(r, a, E2BIG, "too many YAML nodes in one file");
	if (!fill(r, &to, from) || !array_room(&doc->events, doc->n, &doc->cap, sizeof to))
		return fail(r, a, ENOMEM, "not enough memory for this YAML file");
	if (to.kind)
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
	r.doc->strings.limit = MAX_STRINGS;
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

const struct yaml_event *yaml_event_at(const struct yaml_doc *doc, uint32_t i)
{
	return i < doc->n ? &doc->events[i] : NULL;
}

void yaml_doc_free(struct yaml_doc *doc)
{
	if (!doc)
		return;
	arena_free(&doc->strings);
	free(doc->events);
	free(doc);
}
