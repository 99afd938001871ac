/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: dismisses events that no rule can match before any rule's own code runs.
 *
 * Each rule (an "entry" here) has a condition in negation normal form. Replacing every literal of other scopes by "true"
 * leaves a necessary condition, because a literal that reads the state of one scope alone has the same answer as long as
 * that state stays. An event has to get past five of these:
 *
 *	type         which event codes can match at all: a bit set over entries per code
 *	process      literals of scope "self": the thread itself, its image, its leader
 *	descriptor   literals of scope "fd": the record the event works on
 *	event        all other literals, as far as the code does not decide them
 *	whole        all literals; one entry after the other, of those that are left
 *
 * The latter four are programs over leaves (struct gate_step). Entries that have the same program are asked together.
 * Where many compare one text with constants, a matcher (matcher.h) tells which of these comparisons hold, and only
 * programs that one of them can make true, their triggers, are asked at all: thousands of rules cost what the few cost
 * that have something to do with the event.
 *
 * Answers of process and descriptor are remembered under keys, as bit sets over entries, and filled in only as far as
 * some event asks. Whatever can change a field of such a scope must change the key: thread_touch(), a new record,
 * table_epoch++. test/test_scope.c tries to prove that wrong.
 *
 * Entries that remember something from event to event are held back by their type alone.
 */
#ifndef FALCO_GATE_H
#define FALCO_GATE_H

#include "evt.h"
#include "ffi.h"

struct gate;

/*
 * What all fields of one scope depend on.
 *	process      gens of the thread and of its leader (0: not known), and the table epoch
 *	descriptor   gen of the record; 0: the event works on none, so that all fields of the scope are missing
 */
struct gate_key {
	uint64_t gen, leader_gen;
	uint32_t epoch;
};

/* false: there is nothing to remember an answer by. */
bool gate_process_key(const struct evt *e, struct gate_key *key);
bool gate_descriptor_key(const struct evt *e, struct gate_key *key);

/* May some rule match this event? Needs the event's serial and state to be those of the event at hand. */
bool gate_pass(struct ruleset *rules, const struct evt *e);

/* Both take NULL. Forgetting is due when another engine's gens come. */
void gate_forget(struct gate *g);
void gate_free(struct gate *g);

#endif
