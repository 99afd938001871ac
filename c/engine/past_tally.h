/* SPDX-License-Identifier: Apache-2.0 */
/* Counting values (past_tally.c), from the side of whoever meets the events; ffi.h has the other side. */
#ifndef FALCO_PAST_TALLY_H
#define FALCO_PAST_TALLY_H

#include "ruleset.h"

/* The row of the values that the event has, to be given to past_tally_add(); NULL: there is no room for another one. */
void *past_tally_read(struct past_tally *t, const struct evt *e, struct expr *const *exprs, uint32_t n);
void past_tally_add(struct past_tally *t, void *row);

#endif
