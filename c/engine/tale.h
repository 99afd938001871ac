/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture that is made up: state at the start, then events, each of whose parameters is given as a number or as the text
 * that a person would write for it. Tests of rules (lua/ruletest) tell one and replay it; it has nothing that a file would
 * not have, since scap_write.c writes it, into memory.
 *
 *	struct tale *s = tale_new();
 *	tale_proc(s, &proc);				// processes, descriptors, users: before the first event
 *	tale_event(s, code, tid, ts);			// its parameters are empty so far
 *	tale_text(s, 1, "/etc/shadow", 11, &err);
 *	tale_end(s, &err);				// now it is in
 *	engine_open_tale(eng, s, &err);		// as often as wanted; the tale outlives the engine
 *
 * Bounded: one event's parameters have TALE_ROOM bytes, all together TALE_MAX.
 */
#ifndef FALCO_TALE_H
#define FALCO_TALE_H

#include "ffi.h"

enum { TALE_ROOM = 1 << 20, TALE_MAX = 256 << 20 };

/* The whole capture, borrowed until the tale is told on. NULL: it could not be made, err says why. */
const uint8_t *tale_bytes(struct tale *s, size_t *len, struct err *err);

#endif
