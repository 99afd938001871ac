/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts: what one rule's output shows of an event, copied out of it into one block that stands on its own:
 *
 *	struct alert | value 0 .. n-1 | items of lists | bytes of texts
 *
 * The block belongs to the ruleset and is used again for its next alert. It grows as needed up to ALERT_MAX; beyond
 * that, or without memory, texts and lists are cut, never dropped, and counted.
 */
#include <errno.h>
#include "../array.h"
#include "ruleset.h"

#define ALERT_MAX ((size_t)1 << 20)		/* bytes of texts and list items */
#define ALERT_SPARE 4096			/* kept free for texts, so that an alert needs no memory to be had */

static size_t fixed_size(uint32_t n)
{
	return sizeof(struct alert) + n * sizeof(struct value);
}

/* The block is made while rules are loaded, when failing is still harmless. */
static bool block_grow(struct ruleset *rs, size_t want)
{
	void *p;

	if (want <= rs->alert_cap)
		return true;
	if (!(p = realloc(rs->alert, want)))
		return false;
	rs->alert = p;
	rs->alert_cap = want;
	return true;
}

int ruleset_output(struct ruleset *rs, const int32_t *exprs, uint32_t n)
{
	struct output *o;

	for (uint32_t i = 0; i < n; i++)
		if (exprs[i] < 0 || (uint32_t)exprs[i] >= rs->nexprs ||
		    rs->exprs[exprs[i]]->info.flags & FIELD_FILTER_ONLY)
			return -EINVAL;
	if (!array_room(&rs->outputs, rs->noutputs, &rs->outputs_cap, sizeof *rs->outputs) ||
	    !block_grow(rs, fixed_size(n) + ALERT_SPARE))
		return -ENOMEM;
	o = &rs->outputs[rs->noutputs];
	if (!(o->exprs = arena_get(&rs->arena, n * sizeof *o->exprs)))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		o->exprs[i] = rs->exprs[exprs[i]];
	o->n = n;
	return (int)rs->noutputs++;
}

/* ------------------------------------------------------------------ filling */

/* Bytes that copies of a value need behind the fixed part. */
static size_t value_size(const struct value *v)
{
	const struct value *items = v->p;
	size_t size = v->num.n * sizeof *v;

	if (!(v->flags & VALUE_LIST))
		return v->len;
	for (uint64_t i = 0; i < v->num.n; i++)
		size += items[i].len;
	return size;
}

struct room {
	char *p;		/* aligned while list items are placed: they come first */
	size_t left;
	bool cut;
};

/* Brings the items of a list into the block; their texts still lie in the event. */
static void place_items(struct room *r, struct value *v)
{
	if (!(v->flags & VALUE_LIST))
		return;
	uint64_t fit = r->left / sizeof *v;

	if (v->num.n > fit) {
		v->num.n = fit;
		r->cut = true;
	}
	size_t size = v->num.n * sizeof *v;
	if (size)
		memcpy(r->p, v->p, size);
	v->p = r->p;
	r->p += size;
	r->left -= size;
}

static void place_bytes(struct room *r, struct value *v)
{
	if (v->len > r->left) {
		v->len = (uint32_t)r->left;
		r->cut = true;
	}
	if (v->len)
		memcpy(r->p, v->p, v->len);
	v->p = r->p;
	r->p += v->len;
	r->left -= v->len;
}

static void place_texts(struct room *r, struct value *v)
{
	struct value *items = (struct value *)(uintptr_t)v->p;

	if (!(v->flags & VALUE_LIST)) {
		place_bytes(r, v);
		return;
	}
	for (uint64_t i = 0; i < v->num.n; i++)
		place_bytes(r, &items[i]);
}

const struct alert *alert_fill(const struct evt *e, int id)
{
	struct ruleset *rs = e->rules;
	const struct output *o = &rs->outputs[id];
	struct value *values = (struct value *)(rs->alert + 1);
	struct fd_rec *fd = e->fd;
	size_t size = 0;

	for (uint32_t i = 0; i < o->n; i++) {
		if (!expr_read(e, o->exprs[i], &values[i]))
			values[i] = (struct value){ .type = PT_NONE };
		size += value_size(&values[i]);
	}
	((struct evt *)e)->fd = fd;	/* evt.abspath shows the following fields another one */
	block_grow(rs, fixed_size(o->n) + (size < ALERT_MAX ? size : ALERT_MAX));

	struct alert *alert = rs->alert;
	values = (struct value *)(alert + 1);
	struct room r = { .p = (char *)(values + o->n), .left = rs->alert_cap - fixed_size(o->n) };
	if (r.left > ALERT_MAX)		/* grown for an output of more values */
		r.left = ALERT_MAX;
	for (uint32_t i = 0; i < o->n; i++)
		place_items(&r, &values[i]);
	for (uint32_t i = 0; i < o->n; i++)
		place_texts(&r, &values[i]);
	rs->alert_cuts += r.cut;
	*alert = (struct alert){
		.ts = e->h.ts, .num = e->h.num, .n = o->n, .size = (uint32_t)(r.p - (char *)alert), .values = values,
	};
	return alert;
}
