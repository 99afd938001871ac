/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often which values occur. A row is kept for each combination that was met, as one text: of each value its length in four
 * bytes (all ones: missing), then its bytes. Rows are bounded in number and bytes; events for which there is no room are counted.
 */
#include <stdlib.h>
#include "../array.h"
#include "../map.h"
#include "past_tally.h"

enum { VALUE_MAX = 4096, FIELDS_MAX = 16, BYTES_MAX = 64 << 20 };

struct row {
	uint64_t count;
	uint32_t len;
	char text[];
};

struct past_tally {
	uint32_t max;
	struct row **rows;
	uint32_t n, cap;
	struct map by_hash;
	struct arena texts;
	uint64_t left_out;
};

struct past_tally *past_tally_new(uint32_t max)
{
	struct past_tally *t = calloc(1, sizeof *t);

	if (t) {
		t->max = max;
		t->texts.limit = BYTES_MAX;
	}
	return t;
}

void past_tally_free(struct past_tally *t)
{
	if (!t)
		return;
	free(t->rows);
	map_free(&t->by_hash);
	arena_free(&t->texts);
	free(t);
}

uint32_t past_tally_rows(const struct past_tally *t, uint64_t *left_out)
{
	*left_out = t->left_out;
	return t->n;
}

uint64_t past_tally_row(const struct past_tally *t, uint32_t i, struct str *text)
{
	*text = (struct str){ t->rows[i]->text, t->rows[i]->len };
	return t->rows[i]->count;
}

static struct row *row_add(struct past_tally *t, uint64_t hash, struct str text)
{
	struct row *r;

	if (t->n >= t->max || !array_room(&t->rows, t->n, &t->cap, sizeof *t->rows) ||
	    !(r = arena_get(&t->texts, sizeof *r + text.len)) || !map_put(&t->by_hash, hash, r))
		return NULL;
	r->count = 0;
	r->len = text.len;
	memcpy(r->text, text.p, text.len);
	return t->rows[t->n++] = r;
}

/* Texts of one hash follow one another under numbers that do. */
static struct row *row_of(struct past_tally *t, uint64_t seed, struct str text)
{
	uint64_t hash = hash_bytes(text.p, text.len, seed);
	struct row *r;

	for (; (r = map_get(&t->by_hash, hash)); hash++)
		if (r->len == text.len && memcmp(r->text, text.p, text.len) == 0)
			return r;
	return row_add(t, hash, text);
}

void *past_tally_read(struct past_tally *t, const struct evt *e, struct expr *const *exprs, uint32_t n)
{
	static const uint32_t missing = UINT32_MAX;
	char text[FIELDS_MAX * (VALUE_MAX + sizeof missing)];
	struct str all = { text, 0 };
	struct fd_rec *fd = e->fd;

	for (uint32_t i = 0; i < n && i < FIELDS_MAX; i++) {
		struct value v;
		uint32_t len;

		if (!expr_read(e, exprs[i], &v)) {
			memcpy(text + all.len, &missing, sizeof missing);
			all.len += (uint32_t)sizeof missing;
			continue;
		}
		len = value_text(&v, text + all.len + sizeof len, VALUE_MAX);
		len = len < VALUE_MAX ? len : VALUE_MAX;
		memcpy(text + all.len, &len, sizeof len);
		all.len += (uint32_t)sizeof len + len;
	}
	((struct evt *)e)->fd = fd;	/* as alert_fill() does */
	return row_of(t, e->rules->seed, all);
}

void past_tally_add(struct past_tally *t, void *row)
{
	if (row)
		((struct row *)row)->count++;
	else
		t->left_out++;
}
