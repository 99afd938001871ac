/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: dismisses events that no rule can match before any rule's own code runs.
 *
 * Every rule's condition, in negation normal form, has three projections by the scope of its literals: event type,
 * process and descriptor. Each is a necessary condition. So far the gate knows the type part, which the ruleset keeps as
 * bit sets over event codes and, for generic events, over system calls.
 */
#ifndef FALCO_GATE_H
#define FALCO_GATE_H

#include "evt.h"
#include "ffi.h"

/* May some rule match this event? */
bool gate_pass(const struct ruleset *rules, const struct evt *e);

#endif
