/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "../c/engine/field.h"
#include "../c/engine/state.h"

/* ------------------------------------------------------------------ names and arguments */

static void rows_are_sound(void **state)
{
	for (uint32_t i = 0; i < field_count(); i++) {
		const struct field_info *f = field_info(i);

		assert_int_equal(field_find(f->name, (uint32_t)strlen(f->name)), (int)i);
		assert_non_null(field_table[i].get);
		assert_true(f->type > PT_NONE && f->type < PT_COUNT);
		assert_true(strlen(f->doc) > 5);
		assert_false(f->arg & ARG_REQUIRED && !(f->arg & (ARG_INDEX | ARG_KEY)));
	}
	assert_null(field_info(field_count()));
	assert_true(field_find("evt.nu", 6) < 0);
	assert_true(field_find("evt.num.", 8) < 0);
	assert_true(field_find("evt.num\0x", 9) < 0);
	assert_true(field_find("", 0) < 0);
}

static void longest_field_in_a_text(void **state)
{
	static const struct {
		const char *text, *name, *arg;
		uint32_t len;
	} cases[] = {
		{ "evt.num", "evt.num", NULL, 7 },
		{ "evt.num ", "evt.num", NULL, 7 },
		{ "evt.number", "evt.num", NULL, 7 },
		{ "evt.num.x", "evt.num", NULL, 7 },
		{ "evt.time.iso8601Z", "evt.time.iso8601", NULL, 16 },
		{ "evt.time.s)", "evt.time.s", NULL, 10 },
		{ "evt.num[3]", "evt.num", NULL, 7 },
		{ "evt.arg.name", "evt.arg", "name", 12 },
		{ "evt.arg.names", "evt.arg", "name", 12 },
		{ "evt.arg.name.x", "evt.arg", "name", 12 },
		{ "evt.arg.flags|", "evt.arg", "flags", 13 },
		{ "evt.arg[12]x", "evt.arg", "12", 11 },
		{ "evt.args", "evt.args", NULL, 8 },
		{ "evt.argsx", "evt.args", NULL, 8 },
		{ "evt.rawarg.res=", "evt.rawarg", "res", 14 },
		{ "evt.type.is.open ", "evt.type.is", "open", 16 },
		{ "evt.type.isnt", "evt.type", NULL, 8 },
		{ "evt.abspath.dst.", "evt.abspath", "dst", 15 },
		{ "evt.abspath.other", "evt.abspath", NULL, 11 },
		{ "evt.around[1470327477081785348]", "evt.around", "1470327477081785348", 31 },
		{ "evt.arg", NULL, NULL, 0 },
		{ "evt.arg[x]", NULL, NULL, 0 },
		{ "evt.arg[3", NULL, NULL, 0 },
		{ "evt.arg[]", NULL, NULL, 0 },
		{ "evt.rawarg[0]", NULL, NULL, 0 },
		{ "evt.arg.zzz", NULL, NULL, 0 },
		{ "evt.around[x]", NULL, NULL, 0 },
		{ "evt", NULL, NULL, 0 },
		{ "9evt.num", NULL, NULL, 0 },
		{ "", NULL, NULL, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t name_len = 0, arg_at = 0;
		int32_t arg_len = -1;
		const char *text = cases[i].text;
		uint32_t len = field_prefix(text, (uint32_t)strlen(text), &name_len, &arg_at, &arg_len);

		assert_int_equal(len, cases[i].len);
		if (!len)
			continue;
		assert_str(((struct str){ text, name_len }), cases[i].name);
		assert_int_equal(arg_len, cases[i].arg ? (int)strlen(cases[i].arg) : -1);
		if (cases[i].arg)
			assert_memory_equal(text + arg_at, cases[i].arg, strlen(cases[i].arg));
	}
}

/* ------------------------------------------------------------------ events to read from */

struct host {
	struct state st;
	struct arena scratch;
	struct evt e;
	struct field_arg arg;
	uint64_t memo[2];
	uint8_t bytes[1024];
	uint32_t used;
};

static void host_open(struct host *h)
{
	struct engine_limits limits = { 0 };

	*h = (struct host){ .scratch.limit = 1 << 20 };
	assert_int_equal(state_init(&h->st, &limits), 0);
	h->e.st = &h->st;
	h->e.scratch = &h->scratch;
}

static void host_close(struct host *h)
{
	state_free(&h->st);
	arena_free(&h->scratch);
}

/* Starts an event of that code; its parameters follow, one host_param each. */
static void host_event(struct host *h, uint32_t code)
{
	h->e.h = (struct evt_head){ .code = code, .num = 7, .ts = 1470327477081785348, .tid = 42 };
	h->e.info = event_row(code);
	h->e.serial++;
	h->used = 0;
}

static void host_param(struct host *h, const void *p, uint32_t len)
{
	assert_true(h->used + len <= sizeof h->bytes && h->e.h.nparams < EVENT_MAX_PARAMS);
	memcpy(h->bytes + h->used, p, len);
	h->e.param[h->e.h.nparams++] = (struct param){ h->bytes + h->used, len };
	h->used += len;
}

static void host_i64(struct host *h, int64_t v)
{
	host_param(h, &v, sizeof v);
}

static void host_u32(struct host *h, uint32_t v)
{
	host_param(h, &v, sizeof v);
}

static void host_text(struct host *h, const char *z)
{
	host_param(h, z, (uint32_t)strlen(z) + 1);
}

static int read_field(struct host *h, const char *text, bool compare, struct value *v)
{
	uint32_t name_len, arg_at, len = (uint32_t)strlen(text);
	int32_t arg_len;

	assert_int_equal(field_prefix(text, len, &name_len, &arg_at, &arg_len), len);
	const struct field_def *def = &field_table[field_find(text, name_len)];
	h->arg = (struct field_arg){ 0 };
	if (arg_len >= 0) {
		h->arg.given = true;
		h->arg.key = (struct str){ text + arg_at, (uint32_t)arg_len };
		h->arg.is_index = text[arg_at] >= '0' && text[arg_at] <= '9';
		h->arg.index = h->arg.is_index ? (uint32_t)atoi(text + arg_at) : 0;
	}
	*v = (struct value){ .type = def->info.type, .format = def->info.format };
	if (def->check)
		assert_int_equal(def->check(&h->arg, v, NULL), 0);
	struct field_ctx c = { .e = &h->e, .arg = &h->arg, .memo = h->memo, .variant = def->variant };
	c.compare = compare;
	return def->get(&c, v);
}

/* "" for a missing value. */
static const char *shown(struct host *h, const char *field)
{
	static char buf[4096];
	struct value v;

	if (!read_field(h, field, false, &v))
		return "";
	buf[value_text(&v, buf, sizeof buf - 1)] = 0;
	return buf;
}

static void parameters_as_text(void **state)
{
	struct host h;

	host_open(&h);
	host_event(&h, EV_SYSCALL_OPENAT_2_X);
	host_i64(&h, -2);
	host_i64(&h, -100);
	host_text(&h, "etc/passwd");
	host_u32(&h, 0x1001);
	host_u32(&h, 0644);
	host_u32(&h, 0xfe00);
	host_param(&h, "", 0);
	assert_string_equal(shown(&h, "evt.args"), "fd=-2 dirfd=-100 name=etc/passwd flags=4097(O_RDONLY|O_CLOEXEC) "
						   "mode=0644 dev=FE00 ino=<NA>");
	assert_string_equal(shown(&h, "evt.type"), "openat");
	assert_string_equal(shown(&h, "evt.res"), "-2");
	assert_string_equal(shown(&h, "evt.rawres"), "-2");
	assert_string_equal(shown(&h, "evt.failed"), "true");
	assert_string_equal(shown(&h, "evt.count.error.file"), "1");
	assert_string_equal(shown(&h, "evt.count.error.net"), "");
	assert_string_equal(shown(&h, "evt.is_open_read"), "true");
	assert_string_equal(shown(&h, "evt.is_open_write"), "false");
	assert_string_equal(shown(&h, "evt.arg.flags"), "O_RDONLY|O_CLOEXEC");
	assert_string_equal(shown(&h, "evt.rawarg.flags"), "1001");
	assert_string_equal(shown(&h, "evt.arg[4]"), "0644");
	assert_string_equal(shown(&h, "evt.arg[7]"), "");
	assert_string_equal(shown(&h, "evt.arg.backlog"), "");
	/* a thread known by its number alone is enough to name errors and directories */
	h.e.thread = thread_get(h.st.threads, 42);
	assert_non_null(h.e.thread);
	assert_string_equal(shown(&h, "evt.res"), "ENOENT");
	assert_string_equal(shown(&h, "evt.arg[1]"), "AT_FDCWD");
	/* a failed open other than EPERM still has a path, that of no descriptor */
	assert_string_equal(shown(&h, "fs.path.nameraw"), "etc/passwd");
	assert_string_equal(shown(&h, "fs.path.name"), "<UNKNOWN>");
	assert_string_equal(shown(&h, "fs.path.source"), "");
	host_close(&h);
}

static void empty_parameters(void **state)
{
	struct host h;
	struct value v;

	host_open(&h);
	host_event(&h, EV_SYSCALL_READ_X);
	host_i64(&h, 0);
	host_param(&h, "", 0);
	host_i64(&h, 3);
	host_param(&h, "", 0);
	assert_string_equal(shown(&h, "evt.args"), "res=0 data=NULL fd=3 size=<NA>");
	assert_string_equal(shown(&h, "evt.rawarg.size"), "0");
	assert_int_equal(read_field(&h, "evt.rawarg.size", true, &v), 0);
	/* "(NULL)" stands for a text that is not there */
	host_event(&h, EV_SYSCALL_UNLINK_2_X);
	host_i64(&h, 0);
	host_text(&h, "(NULL)");
	assert_string_equal(shown(&h, "evt.arg.path"), "<NA>");
	assert_string_equal(shown(&h, "fs.path.nameraw"), "<NA>");
	host_close(&h);
}

static void time_since_this_use(void **state)
{
	struct host h;
	struct value v;

	host_open(&h);
	host_event(&h, EV_SYSCALL_CLOSE_X);
	assert_int_equal(read_field(&h, "evt.deltatime", true, &v), 1);
	assert_int_equal(v.num.u, 0);
	h.e.h.ts += 1500000000;
	assert_int_equal(read_field(&h, "evt.deltatime", true, &v), 1);
	assert_int_equal(v.num.u, 1500000000);
	h.e.h.ts += 2500000001;
	assert_string_equal(shown(&h, "evt.deltatime.s"), "2");
	h.e.h.ts += 2500000001;
	assert_string_equal(shown(&h, "evt.deltatime.ns"), "500000001");
	host_close(&h);
}

static void around_counts_milliseconds_up(void **state)
{
	struct host h;
	struct value v;

	host_open(&h);
	host_event(&h, EV_SYSCALL_CLOSE_X);
	assert_int_equal(read_field(&h, "evt.around[1470327477081785348]", true, &v), 1);
	assert_int_equal(v.num.u, 0);
	assert_int_equal(read_field(&h, "evt.around[1470327477081785347]", true, &v), 1);
	assert_int_equal(v.num.u, 1);
	assert_int_equal(read_field(&h, "evt.around[1470327477083785348]", true, &v), 1);
	assert_int_equal(v.num.u, 2);
	host_close(&h);
}

/* ------------------------------------------------------------------ records come from outside */

static unsigned seed = 1;

static uint32_t below(uint32_t n)
{
	return (uint32_t)rand_r(&seed) % n;
}

/* An event of that code with random parameters, most of them as wide as they should be. */
static void host_random_event(struct host *h, uint32_t code)
{
	uint8_t bytes[24];

	host_event(h, code);
	for (uint32_t i = 0; i < h->e.info->nparams; i++) {
		uint32_t width = type_size[h->e.info->params[i].type];

		for (uint32_t k = 0; k < sizeof bytes; k++)
			bytes[k] = (uint8_t)below(below(3) ? 256 : 4);
		host_param(h, bytes, width && below(4) ? width : below(sizeof bytes));
	}
}

static void read_all_fields(struct host *h, bool compare)
{
	static struct field_arg none, one = { .given = true, .is_index = true, .index = 1, .key = { "1", 1 } };
	static char buf[1 << 16];

	for (uint32_t f = 0; f < field_count(); f++) {
		const struct field_def *def = &field_table[f];
		struct value v = { .type = def->info.type, .format = def->info.format };
		struct field_ctx c = { .e = &h->e, .memo = h->memo, .variant = def->variant, .compare = compare };

		c.arg = def->info.arg & ARG_REQUIRED ? &one : &none;
		if (def->get(&c, &v)) {
			assert_true(value_text(&v, buf, sizeof buf) < sizeof buf);
			assert_true(value_json(&v, buf, sizeof buf) < sizeof buf);
		}
	}
	arena_reset(&h->scratch);
}

/* Whatever a parameter holds, every field answers something or nothing. */
static void any_bytes_are_survived(void **state)
{
	struct fd_draft draft = { .type = FD_FILE_V2, .name = STR("/tmp/x") };
	struct fdtable *fds = NULL;
	struct host h;

	host_open(&h);
	struct thread *thread = thread_get(h.st.threads, 42);
	struct fd_rec *rec = fd_publish(h.st.fds, &fds, 3, &draft);
	h.e.fdnum = 3;
	for (uint32_t i = 0; i < 3 * EV_COUNT; i++) {
		host_random_event(&h, i / 3);
		h.e.thread = i % 3 ? thread : NULL;
		h.e.fd = i % 3 == 2 ? rec : NULL;
		h.e.uses_fd = h.e.fd;
		read_all_fields(&h, i % 3 == 1);
	}
	fdtable_drop(h.st.fds, fds);
	host_close(&h);
}

static void composing_ends_at_the_limit(void **state)
{
	struct arena scratch = { .limit = 4096 };
	struct compose c = { .arena = &scratch };

	for (int i = 0; i < 100; i++)
		compose_bytes(&c, "0123456789", 10);
	assert_false(c.failed);
	assert_int_equal(c.len, 1000);
	compose_fmt(&c, "%d", 42);
	assert_memory_equal(c.p + 998, "8942", 4);
	for (int i = 0; i < 1000; i++)
		compose_bytes(&c, "0123456789", 10);
	assert_true(c.failed);
	arena_free(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_sound),
		cmocka_unit_test(longest_field_in_a_text),
		cmocka_unit_test(parameters_as_text),
		cmocka_unit_test(empty_parameters),
		cmocka_unit_test(time_since_this_use),
		cmocka_unit_test(around_counts_milliseconds_up),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(composing_ends_at_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
