/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ruleset as the engine runs it: expressions (fields and transformers over them), leaves (comparisons), the value
 * lists of alerts, and which events it wants. Rules themselves, and/or/not, live in Lua. ffi.h has what Lua calls.
 *
 * Ownership: everything built at load lives in one arena and dies with ruleset_free(). Pointers to expressions and to
 * expr_info stay valid that long. A ruleset serves one event at a time, so one engine at a time.
 *
 * Per event each expression is read at most once and each leaf judged at most once: answers are stamped with the
 * event's serial. Stateful expressions (SCOPE_STATEFUL) are the exception: never cached, never shared.
 *
 * What the engine must do:
 *   - ruleset_next_event() before each event; it advances the serial. The event's scratch arena is reset then too.
 *   - ruleset_forget() when it starts to use a ruleset (serials of another engine would look like its own).
 *   - return only events that ruleset_wants().
 */
#ifndef FALCO_RULESET_H
#define FALCO_RULESET_H

#include <errno.h>
#include "field.h"
#include "leaf.h"
#include "../map.h"

#define RULESET_MAX_NESTING 128		/* transformers in transformers */

struct want {
	uint64_t code[(EV_COUNT + 63) / 64];
	uint64_t sc[2][(SC_COUNT + 63) / 64];		/* of generic enters, exits */
};

enum expr_kind { EXPR_FIELD, EXPR_TEXT, EXPR_LIST, EXPR_TRANSFORM };

struct expr {
	struct expr_info info;				/* first: what ruleset_expr() returns */
	uint8_t kind;					/* EXPR_* */
	uint8_t transformer;				/* TR_* */
	bool constant;					/* no field inside */
	bool untyped;					/* the type is only known per event (evt.rawarg) */
	uint8_t nesting;
	uint32_t ninputs;

	/* the answer for event `serial` */
	uint32_t serial;
	bool present;
	uint64_t hash;					/* of the value as text; 0: not computed */
	struct value value;

	const struct field_def *def;			/* EXPR_FIELD */
	struct field_arg arg;
	uint64_t memo[2];
	struct expr **inputs;				/* EXPR_LIST, EXPR_TRANSFORM */
	struct str text;				/* EXPR_TEXT; EXPR_TRANSFORM: argument, p NULL: none */
	int32_t id;
};

struct output {
	uint32_t n;
	struct expr **exprs;
};

struct leaf_memo {
	uint32_t serial;
	uint32_t answer;
};

struct ruleset {
	struct want want;
	struct leaf_memo *memo;				/* one per leaf */
	struct leaf **leaves;
	uint32_t nleaves, leaves_cap, memo_cap;
	struct expr **exprs;
	uint32_t nexprs, exprs_cap;
	struct output *outputs;
	uint32_t noutputs, outputs_cap;
	struct map expr_by_hash, leaf_by_hash;
	struct regex **regexes;				/* what the arena does not own */
	uint32_t nregexes, regexes_cap;
	struct gate *gate;				/* NULL: events are chosen by their type alone */
	struct arena arena;
	uint64_t seed;
	bool containers;				/* see ruleset_use_containers() */

	/* the block of alert_fill */
	struct alert *alert;
	size_t alert_cap;
	uint64_t alert_cuts;				/* strings and lists cut for want of room */
};

/* While loading. Memory that dies with the ruleset, zeroed; a copy of a text with a NUL behind it. */
void *ruleset_zero(struct ruleset *rs, size_t n);
bool ruleset_copy(struct ruleset *rs, struct str s, struct str *out);

static inline int no_memory(struct err *err)
{
	return err_set(err, ENOMEM, "out of memory while loading rules");
}

struct expr *expr_at(const struct ruleset *rs, int32_t id);	/* NULL: no such one */
/* What depends on `a` of that scope and on `b`. Scopes all alike: that one; else the event's. One that is stateful
 * makes the whole stateful; constants do not count. */
uint8_t expr_join_scope(const struct expr *a, uint8_t scope, const struct expr *b);

/* A field by its row: ruleset_field() looks the row up by name. arg.p NULL: no argument. */
int ruleset_field_row(struct ruleset *rs, const struct field_def *def, struct str arg, struct err *err);

/* The expression's answer for a comparison, read once per event; NULL: missing. */
const struct value *expr_value(const struct evt *e, struct expr *x);
/* The same for an output: read afresh, one value for people. */
bool expr_read(const struct evt *e, struct expr *x, struct value *v);

/* transform.c: the type of a transformer's result (x->info filled from x->inputs), or why there is none. */
int transform_check(struct expr *x, struct err *err);
/* Reads one input of a transformer for the event. */
typedef bool (*input_reader)(const struct evt *e, struct expr *x, struct value *v);
bool transform_apply(const struct evt *e, const struct expr *x, input_reader read, struct value *v);
bool list_apply(const struct evt *e, const struct expr *x, input_reader read, struct value *v);

/* Drops all answers. */
void ruleset_forget(struct ruleset *rs);

/* What remembers something from event to event forgets it: another pass over the same events begins. */
void ruleset_restart(struct ruleset *rs);
/* FIELD_REPLAY, FIELD_TABLES, FIELD_BY_NUMBER and these: what it takes to read this of an event long past. */
enum {
	NEEDS_LINEAGE = 1,
	NEEDS_ORDER = 2,		/* each event that it is read of, one after the other */
};
uint32_t expr_needs(const struct expr *x);
uint32_t leaf_needs(const struct ruleset *rs, uint32_t leaf);
uint32_t output_needs(const struct ruleset *rs, uint32_t output);

/* rs may be NULL. */
static inline void ruleset_next_event(struct ruleset *rs, struct evt *e)
{
	if (++e->serial == 0) {		/* 2^32 events on: stamps of long ago must not look like this event's */
		e->serial = 1;
		if (rs)
			ruleset_forget(rs);
	}
}

static inline bool ruleset_wants(const struct ruleset *rs, uint32_t code, uint32_t sc)
{
	if (!rs || code >= EV_COUNT || !(rs->want.code[code / 64] >> code % 64 & 1))
		return false;
	if (code != EV_GENERIC_E && code != EV_GENERIC_X)
		return true;
	return sc < SC_COUNT && rs->want.sc[code & 1][sc / 64] >> sc % 64 & 1;
}

#endif
