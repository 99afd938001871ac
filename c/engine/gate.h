/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: dismisses events that no rule can match before any rule's own code runs.
 *
 * Each rule (an "entry" here) has a condition in negation normal form. Replacing every literal of other scopes by "true"
 * leaves a necessary condition, because a literal that reads the state of one scope alone has the same answer as long as
 * that state stays. There are three such projections:
 *
 *	type         which event codes can match at all: a bit set over entries per code
 *	process      literals of scope "self": the thread itself, its image, its leader
 *	descriptor   literals of scope "fd": the record the event works on
 *
 * The latter two are programs over leaves (struct gate_step). Their answers are remembered per thread and per record, as
 * bit sets over entries, and filled in only as far as some event asks. What they depend on is in the key: gen of thread and
 * leader, or gen of the record, each unique for good, and the table epoch (users, groups, containers, interfaces).
 * Whatever can change a field of such a scope must change one of these: thread_touch(), a new record, table_epoch++.
 *
 * Entries that remember something from event to event, and events without a thread or record, are not held back.
 */
#ifndef FALCO_GATE_H
#define FALCO_GATE_H

#include "evt.h"
#include "ffi.h"

struct gate;

/* May some rule match this event? Needs the event's serial and state to be those of the event at hand. */
bool gate_pass(struct ruleset *rules, const struct evt *e);

/* Both take NULL. Forgetting is due when another engine's gens come. */
void gate_forget(struct gate *g);
void gate_free(struct gate *g);

#endif
