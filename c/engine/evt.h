/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct evt: the one event an engine is looking at, decoded in place. Parameters point into the record, which lives
 * until the next engine_next(). Numbers in records are unaligned and come from outside: read them with the helpers
 * below, which answer "missing" to a parameter that is absent, empty or of the wrong width.
 */
#ifndef FALCO_EVT_H
#define FALCO_EVT_H

#include "../arena.h"
#include "tables.h"

struct param {
	const uint8_t *p;
	uint32_t len;
};

struct evt {
	struct evt_head h;		/* first: what Lua reads */
	uint32_t serial;		/* changes with every event; stamps per-event caches, never 0 */
	bool uses_fd;			/* the event works on a descriptor: fdnum is valid */
	bool fd_replaced;		/* parsing this event published a record in fd's place */
	bool fd_name_changed;		/* and it has another name */
	const struct event_info *info;
	struct state *st;		/* tables of the host that the event comes from */
	struct thread *thread;		/* NULL: meta event, or thread not known */
	struct fd_rec *fd;		/* record of the descriptor, borrowed; NULL: not known */
	int64_t fdnum;
	struct arena *scratch;		/* for what fields compose; reset before the next event */
	struct ruleset *rules;
	struct param param[EVENT_MAX_PARAMS];
};

static inline const struct param *evt_param(const struct evt *e, uint32_t i)
{
	static const struct param none;
	return i < e->h.nparams ? &e->param[i] : &none;
}

/* Any integer type, extended by its signedness. false: missing, or not as wide as its type. */
static inline bool param_read(const struct param *a, uint8_t type, int64_t *out)
{
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	bool is_signed = type <= PT_INT64 || type == PT_FD32 || type == PT_PID32;

	if (!a->len || a->len != type_size[type])
		return false;
	switch (a->len) {
	case 1:
		memcpy(&u8, a->p, 1);
		*out = is_signed ? (int8_t)u8 : (int64_t)u8;
		return true;
	case 2:
		memcpy(&u16, a->p, 2);
		*out = is_signed ? (int16_t)u16 : (int64_t)u16;
		return true;
	case 4:
		memcpy(&u32, a->p, 4);
		*out = is_signed ? (int32_t)u32 : (int64_t)u32;
		return true;
	case 8:
		memcpy(out, a->p, 8);
		return true;
	}
	return false;
}

static inline bool param_int(const struct evt *e, uint32_t i, int64_t *out)
{
	return i < e->info->nparams && param_read(evt_param(e, i), e->info->params[i].type, out);
}

static inline int64_t param_int_or(const struct evt *e, uint32_t i, int64_t fallback)
{
	int64_t v;
	return param_int(e, i, &v) ? v : fallback;
}

/* A NUL-ended text parameter without its NUL; {NULL, 0} when missing. "(NULL)" on the wire reads as the text <NA>,
 * and so does an empty parameter (they are what the reference shows). */
static inline struct str param_str(const struct evt *e, uint32_t i)
{
	const struct param *a = evt_param(e, i);

	if (!a->len || a->p[a->len - 1])
		return (struct str){ 0 };
	struct str s = { (const char *)a->p, a->len - 1 };
	return str_eq(s, STR("(NULL)")) ? STR("<NA>") : s;
}

/* Bytes of a blob parameter (args, env, data). */
static inline struct str param_bytes(const struct evt *e, uint32_t i)
{
	const struct param *a = evt_param(e, i);
	return (struct str){ (const char *)a->p, a->len };
}

/* Result of a syscall exit: parameter 0, for exits that are not generic and have parameters. */
static inline bool evt_result(const struct evt *e, int64_t *res)
{
	if (!EVENT_IS_EXIT(e->h.code) || e->info->origin != FROM_SYSCALL || e->h.code == EV_GENERIC_X)
		return false;
	return param_int(e, 0, res);
}

#endif
