/* SPDX-License-Identifier: Apache-2.0 */
/* What the parameters of each event must look like, and how they are found in a record: for whoever reads records,
 * from captures (scap_read.c) or from the kernel (live.c). */
#ifndef FALCO_SCAP_SHAPE_H
#define FALCO_SCAP_SHAPE_H

#include <string.h>
#include "evt.h"
#include "scap.h"

struct shape {
	uint8_t nparams;
	bool wide;			/* 32-bit parameter lengths */
	bool current;			/* never converted */
	bool current_if_full;		/* not converted while it has all parameters */
	uint8_t want[EVENT_MAX_PARAMS];	/* bytes; 0: any number; WANT_TEXT: any number, the last one NUL */
};

enum { WANT_TEXT = 255 };

extern const struct shape scap_shapes[EV_COUNT];

static inline const struct shape *scap_shape(uint32_t code)
{
	return &scap_shapes[code];
}

/* A number of its type's width, a text with its final NUL, or anything where anything goes. */
static inline bool param_good(const uint8_t *p, uint32_t len, uint32_t want)
{
	return len == want || !len || !want || (want == WANT_TEXT && !p[len - 1]);
}

/* Finds the parameters: n lengths of 2 or 4 bytes, then the values, all in `room` bytes; false: they do not fit. What
 * does not look like its type becomes empty; wants NULL: it is too early to tell. */
static inline bool params_find(struct scap_rec *rec, const uint8_t *lens, uint32_t n, uint32_t room, bool wide,
			       const uint8_t *wants)
{
	uint32_t step = wide ? 4 : 2, left = room - n * step, bad = 0;
	const uint8_t *value = lens + n * step;

	rec->nparams = n < EVENT_MAX_PARAMS ? n : EVENT_MAX_PARAMS;
	for (uint32_t i = 0; i < n; i++, lens += step) {
		uint32_t len = 0;
		bool good = true;

		if (wide)
			memcpy(&len, lens, 4);
		else
			memcpy(&len, lens, 2);
		if (len > left)
			return false;
		if (wants && !(good = param_good(value, len, wants[i])))
			bad++;
		if (i < EVENT_MAX_PARAMS)
			rec->param[i] = (struct scap_param){ value, good ? len : 0 };
		value += len;
		left -= len;
	}
	rec->bad_params = bad;
	return true;
}

/* The same check for a converted event, and for one that has more parameters than any table knows: those are cut. */
static inline void params_check(struct scap_rec *rec, const struct shape *shape)
{
	if (rec->nparams > shape->nparams)
		rec->nparams = shape->nparams;
	for (uint32_t i = 0; i < rec->nparams; i++) {
		struct scap_param *a = &rec->param[i];

		if (!param_good(a->p, a->len, shape->want[i])) {
			a->len = 0;
			rec->bad_params++;
		}
	}
}

/* Both for an event that was read so once, and needed no conversion: all of it fits. Returns how many parameters it has. */
static inline uint32_t params_again(const struct event_hdr *h, struct param *to)
{
	const struct shape *shape = scap_shape(h->type);
	uint32_t step = shape->wide ? 4 : 2, n = h->nparams < shape->nparams ? h->nparams : shape->nparams;
	const uint8_t *lens = (const uint8_t *)(h + 1), *value = lens + h->nparams * step;

	for (uint32_t i = 0; i < n; i++, lens += step) {
		uint32_t len = 0;

		if (shape->wide)
			memcpy(&len, lens, 4);
		else
			memcpy(&len, lens, 2);
		to[i] = (struct param){ value, param_good(value, len, shape->want[i]) ? len : 0 };
		value += len;
	}
	return n;
}

#endif
