/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder: what of a source goes into a capture that is written while it is read.
 *
 * A section of the capture has the source's own lists. Then come the events that were chosen, as they are, and those
 * that were not but change what later ones find in the tables, marked as for state only: a reader updates its tables
 * by them and does not show them. So a chosen event has the values in the capture that it has here. With RECORD_ONLY
 * only what was chosen is written, and the lists are those of the moment of the first of them.
 *
 * The recorder is told of each event before and after it was parsed; until the next one somebody may choose it.
 *
 *	struct recorder *r = recorder_new(flags, &st);
 *	struct scap_sink sink = recorder_sink(r, load_sink(&st));	// for scap_open()
 *	if (recorder_open(r, path, scap_fd(capture), &err) < 0) ...
 *	while (scap_next(capture, &rec) == 1) {
 *		recorder_before(r);
 *		... parse_event(&evt) ...
 *		recorder_after(r, &evt, &rec);
 *		if (...) recorder_choose(r);
 *		if (recorder_settle(r) < 0) puts(recorder_error(r));
 *	}
 *	if (recorder_close(r, &err) < 0) puts(err.text);
 */
#ifndef FALCO_RECORD_H
#define FALCO_RECORD_H

#include "evt.h"
#include "scap.h"
#include "state.h"

struct recorder;

/* flags: RECORD_* of ffi.h. The state outlives the recorder. NULL: out of memory. */
struct recorder *recorder_new(uint32_t flags, const struct state *st);
/* A sink that passes everything on to `state`; valid as long as the recorder. */
struct scap_sink recorder_sink(struct recorder *r, struct scap_sink state);
int recorder_open(struct recorder *r, const char *path, int source_fd, struct err *err);
void recorder_before(struct recorder *r);
/* The record must stay until recorder_settle(). */
void recorder_after(struct recorder *r, const struct evt *e, const struct scap_rec *rec);
void recorder_choose(struct recorder *r);
/* The event that tells of a container; its parameter is `json`, which has a NUL behind it. */
void container_event(struct scap_rec *rec, uint64_t ts, struct str json);
/* Writes an event of the recorder's own before the one at hand, for state only. 0 or -errno, for good. */
int recorder_insert(struct recorder *r, const struct scap_rec *rec);
/* Writes the event at hand, or not. 0 or -errno, for good. */
int recorder_settle(struct recorder *r);
const char *recorder_error(const struct recorder *r);
/* Events written so far: chosen ones, and those for state only. */
void recorder_counts(const struct recorder *r, uint64_t *chosen, uint64_t *state_only);
/* Finishes the file and frees the recorder, NULL allowed. -errno with err if anything failed since recorder_new().
 * The event at hand is written only if it was settled. */
int recorder_close(struct recorder *r, struct err *err);

#endif
