/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matcher: which of all comparisons that rules make with one text hold, found in one pass over the text instead of one
 * by one. The cost hangs on the text's length and on how many hold, hardly on how many there are.
 *
 *	struct matcher *m = matcher_new(rs, expr);
 *	if (!matcher_add(m, leaf_id)) ...		// each leaf_findable() one, all on `expr`
 *	n = matcher_run(m, e, &ids);			// after expr_value() would do; at most once per event does any work
 *
 * It proposes leaves by hashes of what they look for (the whole text, its head, its tail, four bytes somewhere inside,
 * the directories on the way down), and each leaf has the last word: whatever the hashes do, a leaf that is found holds.
 * That each leaf that holds is found is what test/test_matcher.c tries to refute.
 */
#ifndef FALCO_MATCHER_H
#define FALCO_MATCHER_H

#include "ruleset.h"

struct matcher;

/* Can a matcher find this leaf? If so, how likely it is to hold, roughly: 1 hardly ever, more for more; else 0. */
uint32_t leaf_findable(const struct leaf *l);

/* NULL, false: out of memory. */
struct matcher *matcher_new(struct ruleset *rs, struct expr *x);
bool matcher_add(struct matcher *m, uint32_t leaf);
void matcher_free(struct matcher *m);		/* NULL allowed */
void matcher_forget(struct matcher *m);		/* serials of another engine come */

/* Leaves of the matcher that hold for the event; valid until its next event. The others' answers are 0 from then on. */
uint32_t matcher_run(struct matcher *m, const struct evt *e, const uint32_t **ids);

#endif
