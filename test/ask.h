/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of fields: a host, one event, and asking for a field by the text that a rule would use. */
#ifndef FALCO_TEST_ASK_H
#define FALCO_TEST_ASK_H

#include <stdio.h>
#include <string.h>
#include "check.h"
#include "../c/engine/field.h"
#include "../c/engine/state.h"

#define MISSING "(missing)"

static struct state st;
static struct evt evt;
static struct arena scratch = { .limit = 1 << 20 };

static int setup(void **state)
{
	struct engine_limits limits = { .max_threads = 50 };

	evt = (struct evt){ .st = &st, .scratch = &scratch, .serial = 1 };
	return state_init(&st, &limits);
}

static int teardown(void **state)
{
	arena_free(&scratch);
	state_free(&st);
	return 0;
}

static inline void event_is(uint32_t code, struct thread *t)
{
	evt.h.code = code;
	evt.info = event_row(code);
	evt.thread = t;
	evt.h.tid = t ? t->tid : -1;
	evt.uses_fd = evt.info->flags & (EF_USES_FD | EF_CREATES_FD | EF_DESTROYS_FD);
	evt.fd = NULL;
	evt.h.nparams = 0;
}

static inline struct thread *add_thread(int64_t tid, int64_t pid, int64_t ptid, const struct image_parts *parts)
{
	struct thread *t = thread_new(st.threads, tid);

	t->pid = pid;
	t->ptid = ptid;
	t->vtid = tid;
	t->vpid = pid;
	if (tid != pid)
		t->flags = THREAD_CLONE_THREAD | THREAD_CLONE_FILES;
	thread_set_image(st.threads, t, image_new(st.threads, parts));
	return thread_insert(st.threads, t, true) ? t : NULL;
}

static inline struct thread *add_process(int64_t pid, int64_t ptid, const char *comm)
{
	struct image_parts parts = { .comm = str_of(comm), .exe = str_of(comm) };
	return add_thread(pid, pid, ptid, &parts);
}

/* The field's value: of the event at hand, for an output or for a comparison. false: missing. */
static inline bool ask_value(const char *text, bool compare, struct value *v)
{
	uint32_t name_len, arg_at, len = (uint32_t)strlen(text);
	int32_t arg_len;
	struct field_arg arg = { 0 };

	assert_int_equal(field_prefix(text, len, &name_len, &arg_at, &arg_len), len);
	const struct field_def *def = &field_table[field_find(text, name_len)];
	if (arg_len >= 0) {
		arg = (struct field_arg){ .given = true, .key = { text + arg_at, (uint32_t)arg_len } };
		arg.is_index = strspn(arg.key.p, "0123456789") >= arg.key.len;
		arg.index = arg.is_index ? (uint32_t)strtoul(arg.key.p, NULL, 10) : 0;
	}
	struct field_ctx c = { .e = &evt, .arg = &arg, .variant = def->variant, .compare = compare };
	*v = (struct value){ .type = def->info.type, .format = def->info.format };
	return def->get(&c, v);
}

static inline const char *text_of(const struct value *v)
{
	static char buf[4][512];
	static int turn;
	char *out = buf[turn++ % 4];

	out[value_text(v, out, sizeof buf[0] - 1)] = 0;
	return out;
}

static inline const char *ask(const char *text)
{
	struct value v;
	return ask_value(text, false, &v) ? text_of(&v) : MISSING;
}

/* What a comparison gets: the items with bars between. */
static inline const char *ask_items(const char *text)
{
	static char all[1024];
	struct value v;

	if (!ask_value(text, true, &v))
		return MISSING;
	all[0] = 0;
	assert_true(v.flags & VALUE_LIST);
	for (uint32_t i = 0; i < v.num.n; i++)
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "|" : "",
			 text_of((const struct value *)v.p + i));
	return all;
}

#define expect(text, want) assert_string_equal(ask(text), want)
#define expect_items(text, want) assert_string_equal(ask_items(text), want)

#endif
