/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"
#include "ruleset.h"

bool gate_pass(const struct ruleset *rules, const struct evt *e)
{
	return rules && event_is_seen(e->h.code) && ruleset_wants(rules, e->h.code, e->h.sc);
}
