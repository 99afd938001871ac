/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that events of some codes never have: a comparison of one need not be asked of those. */
#include "field_fspath.h"
#include "getters.h"
#include "ruleset.h"

static bool has_param(uint32_t code, const struct field_arg *arg)
{
	const struct event_info *info = event_row(code);

	if (arg->is_index)
		return arg->index < info->nparams;
	for (uint32_t i = 0; i < info->nparams; i++)
		if (str_is(arg->key, info->params[i].name))
			return true;
	return false;
}

static bool has_data(uint32_t code)
{
	const struct field_arg data = { .key = STR("data") };

	return has_param(code, &data);
}

static bool works_on_fd(uint32_t code)
{
	return event_row(code)->flags & (EF_USES_FD | EF_CREATES_FD | EF_DESTROYS_FD);
}

/* 1: events of the code may have the field; 0: none has; -1: its getter says nothing about codes. */
static int field_has(const struct field_def *def, const struct field_arg *arg, uint32_t code)
{
	if (def->get == get_evt_arg || def->get == get_evt_rawarg)
		return has_param(code, arg);
	if (def->get == get_evt_buffer)
		return has_data(code);
	if (def->get == get_fspath)
		return fspath_has(code, def->variant);
	if (def->get == get_evt_abspath)
		return evt_abspath_has(code);
	if (def->get == get_fdlist)
		return code == EV_SYSCALL_POLL_X || code == EV_SYSCALL_PPOLL_X;
	if (!strcmp(def->info.class_name, "fd"))
		return works_on_fd(code);
	return -1;
}

bool leaf_may_lack(const struct ruleset *rs, int32_t id)
{
	const struct expr *x = rs->leaves[id]->expr;

	return x->kind == EXPR_FIELD && field_has(x->def, &x->arg, 0) >= 0;
}

bool leaf_lacks(const struct ruleset *rs, int32_t id, uint32_t code)
{
	const struct expr *x = rs->leaves[id]->expr;

	return x->kind == EXPR_FIELD && field_has(x->def, &x->arg, code) == 0;
}
