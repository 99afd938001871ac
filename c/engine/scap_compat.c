/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Older drivers wrote fewer parameters, other event codes, and what a system call was given in an enter event of its
 * own. conversions.def says, per code and number of parameters, how such an event becomes one of today's; a step may
 * lead to an event that needs another step.
 *
 * Nothing is copied but enter events that wait for their exit: an upgraded record's parameters point into the block,
 * into the kept enter event, or to constants.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../map.h"
#include "scap.h"
#include "tables.h"

enum action { PASS, STORE, STORE_AND_PASS, ADD_PARAMS, CHANGE_TYPE };

/* Where a parameter comes from: a source in the upper bits, an index in the lower five. */
enum { SRC_OLD = 0, SRC_ENTER = 32, SRC_ENTER_EMPTY = 64, SRC_DEFAULT = 96, SRC_EMPTY = 128, SRC_CALLBACK = 160,
	SRC_MASK = 224, SRC_INDEX = 31 };

struct conversion {
	uint16_t code, new_code;
	uint8_t nparams, action, nsources;
	const uint8_t *sources;
};

#define OLD(i) (SRC_OLD | (i))
#define ENTER(i) (SRC_ENTER | (i))
#define ENTER_EMPTY(i) (SRC_ENTER_EMPTY | (i))
#define DEFAULT SRC_DEFAULT
#define EMPTY SRC_EMPTY
#define CALLBACK SRC_CALLBACK
#define LIST(...) (const uint8_t[]){ __VA_ARGS__ __VA_OPT__(,) 0 }
#define CONVERSION(code_, nparams_, action_, new_, ...) { \
	.code = EV_##code_, .nparams = nparams_, .action = action_, .new_code = EV_##new_, \
	.sources = LIST(__VA_ARGS__), .nsources = sizeof LIST(__VA_ARGS__) - 1 },
static const struct conversion conversions[] = {
#include "conversions.def"
};
#undef EMPTY
#undef DEFAULT
#undef CALLBACK

enum { ROWS = sizeof conversions / sizeof conversions[0], STEPS_MAX = 50 };
enum { KEPT_PARAMS = 8, KEPT_MAX = 65536, KEPT_BYTES_MAX = 16 << 20, KEPT_IDLE = 4096 };

#define CONVERSION(code_, nparams_, action_, new_, ...) \
	_Static_assert((action_ != STORE && action_ != STORE_AND_PASS) || nparams_ <= KEPT_PARAMS, "see struct kept");
#include "conversions.def"

struct place {
	struct place *prev, *next;
};

/* An enter event that waits for its exit, or the empty shell of one. */
struct kept {
	struct place place;		/* first: in the line */
	int64_t tid;
	uint32_t cap;			/* of bytes */
	uint16_t code;
	uint8_t nparams;
	bool full;
	uint32_t len[KEPT_PARAMS];
	uint8_t bytes[];
};

struct compat {
	struct place line;		/* head of a circle: shells first, then kept events from old to new */
	struct map by_tid;		/* tid -> struct kept * */
	size_t bytes;			/* all shells and kept events */
	char *json;			/* made by a CALLBACK */
	size_t json_cap;
	uint16_t first[EV_COUNT + 1];	/* code -> its first row; the rows of one code follow one another */
	uint16_t order[ROWS];
};

/* ------------------------------------------------------------------ kept enter events */

/* Moves or puts k behind `where`. */
static void kept_place(struct kept *k, struct place *where)
{
	struct place *p = &k->place;

	if (p->next) {
		p->prev->next = p->next;
		p->next->prev = p->prev;
	}
	*p = (struct place){ where, where->next };
	where->next->prev = p;
	where->next = p;
}

/* The one to give up first; NULL: there is none. */
static struct kept *kept_first(const struct compat *c)
{
	return c->line.next == &c->line ? NULL : (struct kept *)c->line.next;
}

static void kept_drop(struct compat *c, struct kept *k)
{
	map_take(&c->by_tid, (uint64_t)k->tid);
	k->place.prev->next = k->place.next;
	k->place.next->prev = k->place.prev;
	c->bytes -= sizeof *k + k->cap;
	free(k);
}

/* A shell for `need` bytes of this thread's event, taken from the oldest where limits ask for it. */
static struct kept *kept_make(struct compat *c, int64_t tid, uint32_t need)
{
	uint32_t cap = (need + 63) & ~63u;
	struct kept *k = map_get(&c->by_tid, (uint64_t)tid);

	if (k && k->cap >= need)
		return k;
	if (k)
		kept_drop(c, k);
	/* threads come and go: shells beyond a few make room */
	while (c->by_tid.n >= KEPT_IDLE && !kept_first(c)->full)
		kept_drop(c, kept_first(c));
	while (kept_first(c) && (c->by_tid.n >= KEPT_MAX || c->bytes + sizeof *k + cap > KEPT_BYTES_MAX))
		kept_drop(c, kept_first(c));

	if (!(k = malloc(sizeof *k + cap)))
		return NULL;
	*k = (struct kept){ .tid = tid, .cap = cap };
	if (!map_put(&c->by_tid, (uint64_t)tid, k)) {
		free(k);
		return NULL;
	}
	kept_place(k, c->line.prev);
	c->bytes += sizeof *k + cap;
	return k;
}

static int kept_store(struct compat *c, const struct scap_rec *rec, struct err *err)
{
	uint32_t need = 0, at = 0;
	struct kept *k;

	for (uint32_t i = 0; i < rec->nparams; i++)
		need += rec->param[i].len;
	if (!(k = kept_make(c, rec->tid, need)))
		return err_set(err, ENOMEM, "out of memory");
	k->code = rec->code;
	k->nparams = (uint8_t)rec->nparams;
	for (uint32_t i = 0; i < rec->nparams; i++) {
		k->len[i] = rec->param[i].len;
		if (k->len[i])
			memcpy(k->bytes + at, rec->param[i].p, k->len[i]);
		at += k->len[i];
	}
	k->full = true;
	if (c->line.prev != &k->place)
		kept_place(k, c->line.prev);
	return 0;
}

/* Its bytes stay as they are until the next event is looked at. */
static void kept_spend(struct compat *c, struct kept *k)
{
	k->full = false;
	if (c->line.next != &k->place)
		kept_place(k, &c->line);
}

/* ------------------------------------------------------------------ container events of old */

static char *json_text(char *out, const char *key, const uint8_t *s, uint32_t len)
{
	out += sprintf(out, "%s\"", key);
	for (uint32_t i = 0; i < len; i++) {
		if (s[i] < ' ')
			out += sprintf(out, "\\u%04x", s[i]);
		else if (s[i] == '"' || s[i] == '\\')
			out += sprintf(out, "\\%c", s[i]);
		else
			*out++ = (char)s[i];
	}
	*out++ = '"';
	return out;
}

/* Parameters 0 id, 1 type, 2 name, 3 image become {"id":"..","type":N,"name":"..","image":".."} and a NUL. Leaves
 * the result empty if one of them is missing. */
static int container_json(struct compat *c, const struct scap_rec *rec, struct scap_param *out, struct err *err)
{
	static const char *const keys[] = { "{\"id\":", NULL, ",\"name\":", ",\"image\":" };
	const struct scap_param *in = rec->param;
	size_t need = 64 + 6 * ((size_t)in[0].len + in[2].len + in[3].len);
	uint32_t type = 0;
	char *end;

	*out = (struct scap_param){ 0 };
	if (!in[0].len || in[1].len > sizeof type || !in[2].len || !in[3].len)
		return 0;
	if (need > c->json_cap) {
		free(c->json);
		c->json_cap = (c->json = malloc(need)) ? need : 0;
		if (!c->json)
			return err_set(err, ENOMEM, "out of memory");
	}
	if (in[1].len)
		memcpy(&type, in[1].p, in[1].len);
	end = json_text(c->json, keys[0], in[0].p, in[0].len - 1);
	end += sprintf(end, ",\"type\":%u", type);
	end = json_text(end, keys[2], in[2].p, in[2].len - 1);
	end = json_text(end, keys[3], in[3].p, in[3].len - 1);
	*end++ = '}';
	*end++ = 0;
	*out = (struct scap_param){ (const uint8_t *)c->json, (uint32_t)(end - c->json) };
	return 0;
}

/* ------------------------------------------------------------------ one step */

static struct scap_param param_default(uint8_t type)
{
	static const uint8_t zeros[16], ones[4] = { 0xff, 0xff, 0xff, 0xff };

	return (struct scap_param){ type == PT_UID || type == PT_GID ? ones : zeros, type_size[type] };
}

/* A value that comes from elsewhere, no longer than its new type allows. */
static struct scap_param param_moved(const uint8_t *p, uint32_t len, uint8_t type)
{
	uint32_t max = type_size[type];

	return (struct scap_param){ p, max && len > max ? max : len };
}

/* Parameter `index` of the kept enter event. 1: there is none; negative: it is of another system call. */
static int param_of_enter(const struct kept *k, const struct scap_rec *rec, uint32_t index, uint8_t type,
			  struct scap_param *out, struct err *err)
{
	const uint8_t *p;

	if (!k)
		return 1;
	if (k->code != rec->code - 1)
		return err_set(err, EPROTO, "the enter event before the exit of '%s' (code %u) is of '%s' (code %u)",
			       event_row(rec->code)->name, rec->code, event_row(k->code)->name, k->code);
	if (index >= k->nparams)
		return err_set(err, EPROTO, "the enter event of '%s' has %u parameters, number %u is needed",
			       event_row(k->code)->name, k->nparams, index);
	p = k->bytes;
	for (uint32_t i = 0; i < index; i++)
		p += k->len[i];
	*out = param_moved(p, k->len[index], type);
	return 0;
}

static int param_from(struct compat *c, const struct scap_rec *rec, struct kept *k, uint8_t source, uint8_t type,
		      struct scap_param *out, struct err *err)
{
	uint32_t index = source & SRC_INDEX;
	int rc = 0;

	switch (source & SRC_MASK) {
	case SRC_OLD:
		if (index >= rec->nparams)	/* conversions.def asks for less than its row has */
			return err_set(err, EPROTO, "event '%s' lacks parameter %u", event_row(rec->code)->name,
				       index);
		*out = param_moved(rec->param[index].p, rec->param[index].len, type);
		return 0;
	case SRC_ENTER:
		if ((rc = param_of_enter(k, rec, index, type, out, err)) == 1)
			*out = param_default(type);
		break;
	case SRC_ENTER_EMPTY:
		if ((rc = param_of_enter(k, rec, index, type, out, err)) == 1)
			*out = (struct scap_param){ 0 };
		break;
	case SRC_DEFAULT:
		*out = param_default(type);
		break;
	case SRC_EMPTY:
		*out = (struct scap_param){ 0 };
		break;
	case SRC_CALLBACK:
		return container_json(c, rec, out, err);
	}
	return rc < 0 ? rc : 0;
}

static int rec_rebuild(struct compat *c, struct scap_rec *rec, const struct conversion *row, struct err *err)
{
	const struct event_info *info = event_row(row->new_code);
	uint32_t at = row->action == ADD_PARAMS ? rec->nparams : 0;
	struct kept *k = map_get(&c->by_tid, (uint64_t)rec->tid);
	struct scap_param made[EVENT_MAX_PARAMS];
	bool spend = false;

	REQUIRE(at + row->nsources <= info->nparams && info->nparams <= EVENT_MAX_PARAMS);
	if (k && !k->full)
		k = NULL;
	for (uint32_t i = 0; i < row->nsources; i++) {
		uint8_t source = row->sources[i] & SRC_MASK;
		int rc = param_from(c, rec, k, row->sources[i], info->params[at + i].type, &made[i], err);
		if (rc < 0)
			return rc;
		spend |= k && (source == SRC_ENTER || source == SRC_ENTER_EMPTY);
	}
	if (spend)
		kept_spend(c, k);
	memcpy(rec->param + at, made, row->nsources * sizeof made[0]);
	rec->nparams = at + row->nsources;
	rec->code = row->new_code;
	return 0;
}

/* ------------------------------------------------------------------ all steps */

enum need { NEED_NOTHING, NEED_DROP, NEED_STEP };

static int compat_need(const struct scap_rec *rec, struct err *err)
{
	const struct event_info *info = event_row(rec->code);

	if (info->flags & EF_UNUSED)
		return NEED_DROP;
	if (!(info->flags & EF_CONVERTED)) {
		if (!(info->flags & EF_OLD))
			return NEED_NOTHING;
		if (!EVENT_IS_EXIT(rec->code))
			return NEED_DROP;
		return err_set(err, EPROTO, "event '%s' (code %u) is too old", info->name, rec->code);
	}
	if (!EVENT_IS_EXIT(rec->code))
		return NEED_STEP;
	if (rec->nparams > info->nparams)
		return err_set(err, EPROTO, "event '%s' (code %u) has %u parameters, %u are known", info->name,
			       rec->code, rec->nparams, info->nparams);
	return info->flags & EF_OLD || rec->nparams != info->nparams ? NEED_STEP : NEED_NOTHING;
}

static const struct conversion *compat_row(const struct compat *c, const struct scap_rec *rec)
{
	for (uint32_t i = c->first[rec->code]; i < c->first[rec->code + 1]; i++)
		if (conversions[c->order[i]].nparams == rec->nparams)
			return &conversions[c->order[i]];
	return NULL;
}

int compat_convert(struct compat *c, struct scap_rec *rec, struct err *err)
{
	for (int step = 0; step < STEPS_MAX; step++) {
		const struct conversion *row;
		int rc = compat_need(rec, err);

		if (rc != NEED_STEP)
			return rc < 0 ? rc : rc == NEED_DROP ? COMPAT_DROP : COMPAT_PASS;
		if (!(row = compat_row(c, rec)))
			return err_set(err, EPROTO, "event '%s' (code %u) with %u parameters: no version has so many",
				       event_row(rec->code)->name, rec->code, rec->nparams);
		if (row->action == PASS)
			return COMPAT_PASS;
		if (row->action == STORE || row->action == STORE_AND_PASS) {
			rc = kept_store(c, rec, err);
			return rc < 0 ? rc : row->action == STORE ? COMPAT_DROP : COMPAT_PASS;
		}
		if ((rc = rec_rebuild(c, rec, row, err)) < 0)
			return rc;
	}
	return err_set(err, ELOOP, "event '%s' (code %u): its conversion does not end", event_row(rec->code)->name,
		       rec->code);
}

/* ------------------------------------------------------------------ life */

struct compat *compat_new(void)
{
	struct compat *c = calloc(1, sizeof *c);
	uint16_t at[EV_COUNT];

	if (!c)
		return NULL;
	c->line.prev = c->line.next = &c->line;
	for (uint32_t i = 0; i < ROWS; i++)
		c->first[conversions[i].code + 1]++;
	for (uint32_t code = 0; code < EV_COUNT; code++)
		c->first[code + 1] += c->first[code];
	memcpy(at, c->first, sizeof at);
	for (uint32_t i = 0; i < ROWS; i++)
		c->order[at[conversions[i].code]++] = (uint16_t)i;
	return c;
}

void compat_reset(struct compat *c)
{
	while (kept_first(c))
		kept_drop(c, kept_first(c));
}

void compat_free(struct compat *c)
{
	if (!c)
		return;
	compat_reset(c);
	map_free(&c->by_tid);
	free(c->json);
	free(c);
}
