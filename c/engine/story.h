/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture that is made up: state at the start, then events, each of whose parameters is given as a number or as the text
 * that a person would write for it. Tests of rules (lua/ruletest) tell one and replay it; it has nothing that a file would
 * not have, since scap_write.c writes it, into memory.
 *
 *	struct story *s = story_new();
 *	story_proc(s, &proc);				// processes, descriptors, users: before the first event
 *	story_event(s, code, tid, ts);			// its parameters are empty so far
 *	story_text(s, 1, "/etc/shadow", 11, &err);
 *	story_end(s, &err);				// now it is in
 *	engine_open_story(eng, s, &err);		// as often as wanted; the story outlives the engine
 *
 * Bounded: one event's parameters have STORY_ROOM bytes; how many events there may be is for the caller to say.
 */
#ifndef FALCO_STORY_H
#define FALCO_STORY_H

#include "ffi.h"

enum { STORY_ROOM = 1 << 20 };

/* The whole capture, borrowed until the story is told on. NULL: it could not be made, err says why. */
const uint8_t *story_bytes(struct story *s, size_t *len, struct err *err);

#endif
