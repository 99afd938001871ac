/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the reader share: scap_read.c (blocks, events) and scap_lists.c (the lists before them). */
#ifndef FALCO_SCAP_READER_H
#define FALCO_SCAP_READER_H

#include <errno.h>
#include "scap.h"
#include "scap_format.h"
#include "stream.h"

struct block {
	const struct block_row *row;
	uint32_t code, len;		/* len counts all of it */
	uint64_t at;
};

struct scap {
	struct stream in;
	struct scap_sink sink;
	struct compat *compat;
	char *name;			/* for messages */
	uint32_t max_block;
	uint64_t skipped;
	uint32_t head_flags;		/* of the events at a section's head; 0: past it */
	uint32_t sections;
	uint64_t event_at;		/* of the last event's block */
	int ended;			/* 1: clean end; negative: -errno, for good */
	struct err err;
};

#define SINK(s, call, ...) ((s)->sink.call ? (s)->sink.call((s)->sink.ctx __VA_OPT__(,) __VA_ARGS__) : 0)

/* Ends the capture: err becomes "capture 'NAME': at offset N: ...". Returns -code. */
__attribute__((format(printf, 4, 5), cold))
int scap_fail(struct scap *s, int code, uint64_t at, const char *fmt, ...);
#define scap_bad(s, at, ...) scap_fail(s, EBADMSG, at, __VA_ARGS__)

/* Did the sink take it? If not, the capture is ended. */
bool scap_sank(struct scap *s, int rc, uint64_t at);

/* Walks bytes that were read; `bad` stays set once something did not fit. */
struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

/* Both: 0, or -errno with the capture ended. The cursor stands on the block's body. */
int scap_list_read(struct scap *s, const struct block *b, struct cursor list);
int scap_machine_read(struct scap *s, const struct block *b, struct cursor body);

#endif
