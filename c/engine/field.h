/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields: what conditions and outputs can name. One row of fields.def and one getter each.
 *
 * A getter answers 1 and fills `v` (type and format are preset from the row), or answers 0: missing. Strings it
 * composes go to e->scratch; what it borrows must live until the next event.
 *
 *	int get_thread_tid(const struct field_ctx *c, struct value *v) { ... }
 */
#ifndef FALCO_FIELD_H
#define FALCO_FIELD_H

#include "evt.h"

/* The argument of one use of a field, parsed once. */
struct field_arg {
	bool given;
	bool is_index;			/* digits only: index holds the number */
	uint32_t index;
	struct str key;			/* the text, also of an index; owned by the ruleset */
	const struct regex *pattern;	/* FIELD_PATTERN: of the key, NULL if it is none; owned by the ruleset */
	/* resolved at load by the field's `check`, e.g. the parameter's name that evt.arg.NAME fell back to */
	int32_t ref;
};

/* One use of a field on one event. */
struct field_ctx {
	const struct evt *e;
	const struct field_arg *arg;
	uint64_t *memo;			/* 2 words that outlive the event; stateful fields only, else NULL */
	uint32_t variant;		/* the row's last column: lets one getter serve several rows */
	bool compare;			/* a comparison asks, not an output; see below */
};

/*
 * Fields that stand for several values though they are no lists (proc.aname without an index, fd.ip) answer a
 * comparison with all of them as a VALUE_LIST: it holds if it does for any item (FIELD_EITHER: "!=" for all). No
 * item: present, so "exists" holds, but nothing else does. An output gets one value: what people shall read.
 */

typedef int (*field_getter)(const struct field_ctx *c, struct value *v);
/* Looks at an argument at load time. 0, or -EINVAL with err. */
typedef int (*field_check)(struct field_arg *arg, struct value *type, struct err *err);

struct field_def {
	struct field_info info;
	field_getter get;
	field_check check;		/* NULL: nothing to check */
	uint32_t variant;
};

extern const struct field_def field_table[];

/* ---- for getters: fill and answer */

static inline int value_str(struct value *v, struct str s)
{
	v->p = s.p ? s.p : "";
	v->len = s.len;
	return 1;
}

static inline int value_int(struct value *v, int64_t i)
{
	v->num.i = i;
	return 1;
}

static inline int value_uint(struct value *v, uint64_t u)
{
	v->num.u = u;
	return 1;
}

/* Text composed piece by piece in the event's scratch memory; too long or out of memory: the value is missing. */
struct compose {
	struct arena *arena;
	char *p;
	uint32_t len, cap;
	bool failed;
};

void compose_bytes(struct compose *c, const void *p, uint32_t len);
void compose_int(struct compose *c, int64_t n);
__attribute__((format(printf, 2, 3))) void compose_fmt(struct compose *c, const char *fmt, ...);

static inline void compose_str(struct compose *c, struct str s)
{
	compose_bytes(c, s.p, s.len);
}

static inline int value_composed(struct value *v, const struct compose *c)
{
	return !c->failed && value_str(v, (struct str){ c->p, c->len });
}

/* ---- parameters as text (field_arg.c): what evt.args, evt.arg and evt.res show */

/* The plain text of parameter i ("3", "<NA>") and its resolved form ("<f>/etc/passwd"; empty: none). */
void param_text(const struct evt *e, uint32_t i, struct compose *plain, struct compose *resolved);
/* Does an argument of evt.arg name a parameter whose text has descriptors or threads in it? */
bool evt_arg_looks_up(const struct field_arg *arg);
/* May events of that code have evt.abspath? */
bool evt_abspath_has(uint32_t code);
/* Its typed value, for evt.rawarg. 0: missing. */
int param_value(const struct evt *e, uint32_t i, struct value *v);
/* Steps over the selector of a PT_DYN to the alternative it names. NULL: there is none. */
const struct param_info *dyn_select(const struct param_info *info, struct param *a);
/* Walks a PT_FDLIST: *pos from 0; false at the end. */
bool fdlist_next(const struct param *list, uint32_t *pos, int64_t *fd, int16_t *flags);

/* The thread of the event; events that leave their thread alone get it by its number. NULL: not known. */
struct thread *evt_thread(const struct evt *e);

#endif
