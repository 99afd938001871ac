/* SPDX-License-Identifier: Apache-2.0 */
/* user.* and group.*: the ids are the thread's, the names come from the lists of the capture. */
#include "getters.h"
#include "field_container.h"
#include "field_proc.h"
#include "field_user.h"

int get_user_text(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	struct str told = c->variant == USER_NAME ? container_event_user(c->e, t) : STR("");
	if (told.len)
		return value_str(v, told);
	uint32_t uid = c->variant == USER_LOGIN_NAME ? t->loginuid : t->uid;
	const struct user *user = users_find(c->e->st->users, thread_container(c->e, t), uid);
	switch ((enum user_text)c->variant) {
	case USER_NAME:
	case USER_LOGIN_NAME:
		return value_str(v, user ? user->name : uid == 0 ? STR("root") : STR("<NA>"));
	case USER_HOME:
		return value_str(v, user ? user->home : uid == 0 ? STR("/root") : STR("<NA>"));
	case USER_SHELL:
		return value_str(v, user ? user->shell : STR("<NA>"));
	}
	return 0;
}

int get_user_loginuid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_int(v, t->loginuid == UINT32_MAX ? -1 : (int64_t)t->loginuid);
}

int get_group_name(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	const struct group *group = users_find_group(c->e->st->users, thread_container(c->e, t), t->gid);
	return value_str(v, group ? group->name : t->gid == 0 ? STR("root") : STR("<NA>"));
}
