/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished alert outside of the output thread's buffers: in a backlog, or on disk in a spool. Packed, it is
 *
 *	struct note_head | line | rule | source | tags | padding to NOTE_ALIGN
 *
 * with no NULs in between. What is read from a disk may be anything: note_unpack() believes nothing.
 */
#ifndef FALCO_NOTE_H
#define FALCO_NOTE_H

#include <string.h>
#include "../engine/ffi.h"

enum { NOTE_ALIGN = 8, NOTE_MAX = 16 << 20 };

struct note_head {
	uint64_t ts;
	uint32_t line_len, mark_at, mark_len;
	uint32_t rule_len, source_len, tags_len;
	uint32_t priority, size;	/* size: of the whole, packed */
};

static inline uint64_t note_size(const struct note *n)
{
	uint64_t size = sizeof(struct note_head) + (uint64_t)n->line_len + n->rule_len + n->source_len + n->tags_len;

	return (size + NOTE_ALIGN - 1) / NOTE_ALIGN * NOTE_ALIGN;
}

static inline char *note_put(char *to, const char *p, uint32_t len)
{
	if (len)
		memcpy(to, p, len);
	return to + len;
}

/* `to` has room for note_size(n) <= NOTE_MAX bytes. */
static inline void note_pack(const struct note *n, char *to)
{
	uint32_t size = (uint32_t)note_size(n);
	struct note_head h = {
		.ts = n->ts, .line_len = n->line_len, .mark_at = n->mark_at, .mark_len = n->mark_len, .rule_len = n->rule_len,
		.source_len = n->source_len, .tags_len = n->tags_len, .priority = n->priority, .size = size,
	};
	char *p = to + sizeof h, *end = to + size;

	memcpy(to, &h, sizeof h);
	p = note_put(p, n->line, n->line_len);
	p = note_put(p, n->rule, n->rule_len);
	p = note_put(p, n->source, n->source_len);
	p = note_put(p, n->tags, n->tags_len);
	memset(p, 0, (size_t)(end - p));
}

/* Its size, and *n leads into `from`; 0: not all of it is there; -1: that is no note. */
static inline int64_t note_unpack(const char *from, uint64_t left, struct note *n)
{
	struct note_head h;
	const char *p = from + sizeof h;

	if (left < sizeof h)
		return 0;
	memcpy(&h, from, sizeof h);
	*n = (struct note){
		.ts = h.ts, .line_len = h.line_len, .mark_at = h.mark_at, .mark_len = h.mark_len, .rule_len = h.rule_len,
		.source_len = h.source_len, .tags_len = h.tags_len, .priority = h.priority,
	};
	if (note_size(n) != h.size || h.size > NOTE_MAX || h.priority > 7 || h.line_len == 0 || h.mark_at > h.line_len ||
	    h.mark_len > h.line_len - h.mark_at)
		return -1;
	if (h.size > left)
		return 0;
	n->line = p;
	n->rule = (p += n->line_len);
	n->source = (p += n->rule_len);
	n->tags = p + n->source_len;
	return h.size;
}

#endif
