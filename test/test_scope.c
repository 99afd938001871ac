/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries to prove the scope column of fields.def wrong. A scope says how long the gate may keep an answer: so whenever the
 * gate's key comes again, every field of that scope must have the value it had then. Held over all captures at hand, and
 * over storms of random events, which meet what captures rarely do: reused pids, lost exits, failed calls.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "check.h"
#include "../c/map.h"
#include "../c/engine/field.h"
#include "../c/engine/gate.h"
#include "../c/engine/load.h"
#include "../c/engine/parse.h"
#include "../c/engine/ruleset.h"
#include "../c/engine/scap.h"

#ifdef __SANITIZE_ADDRESS__
enum { SLOW = 1, STORMS = 4 };
#else
enum { SLOW = 0, STORMS = 20 };
#endif

/* ------------------------------------------------------------------ uses of fields */

/* One way to ask for a field. */
struct use {
	const struct field_def *def;
	struct field_arg arg;
	bool compare;
};

enum { MAX_USES = 1024 };

static struct use uses[MAX_USES];
static uint32_t nuses;

static void add_use(const struct field_def *def, const char *text)
{
	struct field_arg arg = { .ref = -1 };

	if (text) {
		arg = (struct field_arg){ .given = true, .key = str_of(text), .ref = -1 };
		arg.is_index = text[0] >= '0' && text[0] <= '9';
		arg.index = arg.is_index ? (uint32_t)(text[0] - '0') : 0;
	}
	for (int compare = 0; compare < 2; compare++) {
		assert_true(nuses < MAX_USES);
		uses[nuses++] = (struct use){ def, arg, compare };
	}
}

static void list_uses(void)
{
	static const char *const keys[] = { "PATH", "HOME", "memory", "cpu" };

	for (uint32_t i = 0; i < field_count(); i++) {
		const struct field_def *def = &field_table[i];

		if (def->info.scope != SCOPE_SELF && def->info.scope != SCOPE_FD)
			continue;
		if (!(def->info.arg & ARG_REQUIRED))
			add_use(def, NULL);
		for (uint32_t k = 0; def->info.arg & ARG_INDEX && k < 3; k++)
			add_use(def, (const char *[]){ "0", "1", "2" }[k]);
		for (uint32_t k = 0; def->info.arg & ARG_KEY && k < sizeof keys / sizeof keys[0]; k++)
			add_use(def, keys[k]);
	}
}

static uint64_t hash_value(const struct value *v, uint64_t h)
{
	h = hash_u64(h ^ v->type ^ (uint64_t)v->flags << 8 ^ (uint64_t)v->len << 16);
	if (v->flags & VALUE_LIST) {
		for (uint32_t i = 0; i < v->num.n; i++)
			h = hash_value((const struct value *)v->p + i, h);
		return hash_u64(h ^ v->num.n);
	}
	return v->p ? hash_bytes(v->p, v->len, h) : hash_u64(h ^ v->num.u);
}

/* A number that stands for the value; 1: missing, never 0. */
static uint64_t ask(const struct evt *e, const struct use *u, struct value *v)
{
	const struct field_ctx c = { .e = e, .arg = &u->arg, .variant = u->def->variant, .compare = u->compare };

	*v = (struct value){ .type = u->def->info.type, .format = u->def->info.format };
	return u->def->get(&c, v) ? hash_value(v, 7) | 2 : 1;
}

/* ------------------------------------------------------------------ what was seen under which key */

static struct map seen;			/* key -> answers by use; 0: not asked */
static uint64_t comparisons, repeats;
static uint32_t wrong[MAX_USES];

static void forget_all(void)
{
	uint64_t key, *answers;

	for (uint32_t pos = 0; map_next(&seen, &pos, &key, &answers);)
		free(answers);
	map_free(&seen);
}

static void complain(const struct evt *e, const struct use *u, const struct value *v, bool present)
{
	char text[200];
	uint32_t n = present ? value_text(v, text, sizeof text) : 0;

	print_error("%s%s%.*s: %s %s at event %llu of thread %lld: now %.*s\n", u->def->info.name, u->arg.given ? " " : "",
		    (int)u->arg.key.len, u->arg.given ? u->arg.key.p : "", e->info->name, EVENT_IS_EXIT(e->h.code) ? "exit" : "enter",
		    (unsigned long long)e->h.num, (long long)e->h.tid, present ? (int)(n < sizeof text ? n : sizeof text) : 9,
		    present ? text : "(missing)");
}

static void compare(const struct evt *e, uint8_t scope, uint64_t key)
{
	uint64_t *answers = map_get(&seen, key);
	struct value v;

	if (!answers) {
		answers = calloc(nuses, sizeof *answers);
		assert_true(answers && map_put(&seen, key, answers));
	}
	for (uint32_t i = 0; i < nuses; i++) {
		if (uses[i].def->info.scope != scope)
			continue;
		uint64_t answer = ask(e, &uses[i], &v);

		comparisons++;
		repeats += answers[i] != 0;
		if (answers[i] && answers[i] != answer && wrong[i]++ < 3)
			complain(e, &uses[i], &v, answer != 1);
		answers[i] = answer;
	}
}

static uint64_t hash_key(uint8_t scope, const struct gate_key *key)
{
	return hash_u64(hash_u64(hash_u64(hash_u64(key->gen) ^ key->leader_gen) ^ key->epoch) + scope);
}

/* The event is parsed; its fields may be read. */
static void look(const struct evt *e)
{
	struct gate_key key;

	if (!event_is_seen(e->h.code))
		return;
	if (gate_process_key(e, &key))
		compare(e, SCOPE_SELF, hash_key(SCOPE_SELF, &key));
	if (gate_descriptor_key(e, &key))
		compare(e, SCOPE_FD, hash_key(SCOPE_FD, &key));
}

/* ------------------------------------------------------------------ captures */

static uint32_t replay(const char *path)
{
	struct engine_limits limits = { 0 };
	struct err err = { 0 };
	struct engine *eng = engine_new(&limits, &err);
	struct ruleset *rs = ruleset_new();
	uint32_t n = 0;

	assert_non_null(eng);
	if (engine_open_replay(eng, path, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t code = 0; code < EV_COUNT; code++)
		ruleset_want(rs, code, -1);
	ruleset_use_containers(rs);
	engine_use(eng, rs);
	for (; n < 200000 && engine_next(eng) == NEXT_EVENT; n++)
		look(engine_evt(eng));
	engine_use(eng, NULL);
	ruleset_free(rs);
	engine_free(eng);
	forget_all();
	return n;
}

static uint32_t replay_all(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[1024];
	uint32_t n = 0;

	while (d && (entry = readdir(d))) {
		uint32_t len = (uint32_t)strlen(entry->d_name);

		if (len > 5 && strcmp(entry->d_name + len - 5, ".scap") == 0) {
			snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
			n += replay(path);
		}
	}
	if (d)
		closedir(d);
	return n;
}

static void expect_none_wrong(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < nuses; i++)
		n += wrong[i] != 0;
	assert_int_equal(n, 0);
}

static void fields_keep_their_scope_in_captures(void **state)
{
	uint32_t n = replay_all("test/data");

	assert_true(n > 50000);
	if (!SLOW)
		n += replay_all("../shared/traces") + replay_all("../shared/traces/scenarios");
	print_message("%u events, %llu answers, %llu of them asked again\n", n, (unsigned long long)comparisons,
		      (unsigned long long)repeats);
	assert_true(repeats > n);
	expect_none_wrong();
}

/* ------------------------------------------------------------------ storms */

static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
	dice_state = hash_u64(dice_state + 0x9e3779b97f4a7c15ull);
	return (uint32_t)(dice_state >> 32) % n;
}

static const int64_t ids[] = { 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 30, 31, 40, 41, 42, 50 };
#define PICK(list) list[dice(sizeof list / sizeof list[0])]

static uint8_t bytes[65536];		/* parameters of the event at hand */
static uint32_t nbytes;

static struct param put(const void *p, uint32_t len)
{
	struct param param = { bytes + nbytes, len };

	memcpy(bytes + nbytes, p, len);
	nbytes += len;
	return param;
}

static struct param put_text(const char *s)
{
	return put(s, (uint32_t)strlen(s) + 1);
}

static struct param random_number(uint8_t type)
{
	static const uint32_t flags[] = { 0, 1, 4, 0x400, 0x1000, 0x8000, 0x10000, THREAD_CLONE_THREAD,
		THREAD_CLONE_THREAD | THREAD_CLONE_FILES, THREAD_CLONE_NEWPID, THREAD_CLONE_VFORK, THREAD_CLONE_NEWUSER,
		THREAD_CHILD_IN_PIDNS, THREAD_CHILD_IN_PIDNS | THREAD_CLONE_THREAD, THREAD_CLONE_PARENT };
	uint64_t v = dice(4), wide[2] = { 0 };

	switch (type) {
	case PT_ERRNO:
		v = dice(8) ? 0 : (uint64_t)-2;
		break;
	case PT_FD:
		v = dice(20) ? dice(5) : (uint64_t)(dice(2) ? -100 : -1);
		break;
	case PT_PID:
		v = (uint64_t)(dice(4) ? PICK(ids) : (int64_t)dice(2) - 1);
		break;
	case PT_FLAGS32:
		v = PICK(flags);
		break;
	case PT_ENUMFLAGS8:
	case PT_ENUMFLAGS32:
		v = dice(3) ? (uint64_t[]){ 1, 2, 3, 7, 10, 26, 36 }[dice(7)] : dice(12);
		break;
	}
	wide[0] = v;
	return put(wide, type_size[type]);
}

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void container_news(struct evt *e)
{
	char json[200];

	snprintf(json, sizeof json, "{\"container\":{\"id\":\"%.12s\",\"name\":\"n%u\",\"ip\":\"0.0.0.%u\",\"User\":\"u%u\"}}",
		 dice(2) ? ID_A : ID_B, dice(3), dice(3), dice(2));
	e->h.code = dice(3) ? EV_ASYNCEVENT_E : EV_CONTAINER_JSON_2_E;
	e->param[0] = e->param[2] = put_text(json);
	e->param[1] = put_text(dice(3) ? "container" : "container_removed");
}

static struct param random_address(bool tuple)
{
	uint8_t a[64] = { 0 };
	uint32_t kind = dice(3), n = 0, ip = kind == 1 ? 16 : 4;

	a[n++] = kind == 0 ? 2 : kind == 1 ? 10 : 1;
	if (kind == 2) {
		n += tuple ? 16 : 0;
		memcpy(a + n, "/s", 3);
		return put(a, n + 3);
	}
	for (uint32_t end = 0; end < 1u + tuple; end++) {
		if (ip == 16 && dice(2))
			a[n + 10] = a[n + 11] = 0xff;
		a[n + ip - 1] = (uint8_t)dice(3);
		a[n + ip] = (uint8_t)dice(3);
		n += ip + 2;
	}
	return put(a, n);
}

static struct param random_param(uint8_t type)
{
	static const char *const texts[] = { "/", "/a", "b", "sh", "bash", "../c", "/etc/passwd", "", "(NULL)", "x//y" };
	static const struct str blobs[] = { STR("-a\0b\0"), STR("HOME=/r\0PATH=/b\0"), STR("cpu=/a\0memory=/b\0"), STR("x"), STR(""),
		STR("cpu=/docker/" ID_A "\0"), STR("cpu=/docker/" ID_B "\0") };

	if (!dice(30))
		return (struct param){ 0 };
	switch (type) {
	case PT_CHARBUF:
	case PT_FSPATH:
	case PT_FSRELPATH:
		return put_text(PICK(texts));
	case PT_BYTEBUF: {
		struct str blob = PICK(blobs);
		return put(blob.p, blob.len);
	}
	case PT_SOCKADDR:
		return random_address(false);
	case PT_SOCKTUPLE:
		return random_address(true);
	}
	return type_size[type] ? random_number(type) : (struct param){ 0 };
}

/* Codes that current drivers write, those that change state more often than others. */
static uint16_t codes[EV_COUNT * 8];
static uint32_t ncodes;

static void list_codes(void)
{
	ncodes = 0;
	for (uint16_t code = 0; code < EV_COUNT; code++) {
		const struct event_info *info = event_row(code);
		bool exit_of_enter = !EVENT_IS_EXIT(code) && info->origin == FROM_SYSCALL;

		if (info->flags & (EF_UNUSED) || (info->flags & EF_OLD && !exit_of_enter) || !event_is_seen(code))
			continue;
		bool changes = info->flags & (EF_MODIFIES_STATE | EF_CREATES_FD | EF_DESTROYS_FD);
		for (uint32_t k = 0; k < (exit_of_enter ? 1u : changes ? 8u : 2u); k++)
			codes[ncodes++] = code;
	}
	codes[ncodes++] = EV_PROCEXIT_1_E;	/* rules do not see it */
}

static void random_event(struct evt *e)
{
	static const uint16_t often[] = { EV_SYSCALL_CLONE_20_X, EV_SYSCALL_EXECVE_19_X, EV_PROCEXIT_1_E, EV_SYSCALL_PRLIMIT_X,
		EV_SYSCALL_SETRLIMIT_X, EV_SOCKET_SOCKET_X, EV_SOCKET_CONNECT_X, EV_SOCKET_CONNECT_X, EV_SOCKET_ACCEPT4_6_X,
		EV_SYSCALL_READ_X, EV_SYSCALL_READ_X, EV_SYSCALL_WRITE_X };

	nbytes = 0;
	e->h.tid = PICK(ids);
	e->h.ts += dice(50) ? 1000 : 3000000000u;
	e->h.num++;
	if (!dice(60)) {
		container_news(e);
		e->info = event_row(e->h.code);
		e->h.nparams = e->info->nparams;
		return;
	}
	e->h.code = dice(2) ? codes[dice(ncodes)] : PICK(often);
	e->info = event_row(e->h.code);
	e->h.nparams = e->info->nparams;
	for (uint32_t i = 0; i < e->h.nparams; i++)
		e->param[i] = random_param(e->info->params[i].type);
}

/* What captures tell beside events. */
static void random_lists(struct state *st)
{
	struct scap_sink sink = load_sink(st);
	struct iface iface = { .addr = { 0, 0, 0, (uint8_t)dice(3) }, .netmask = { 255, 255, 255, 255 }, .name = STR("e") };
	struct user user = { .uid = dice(4), .gid = dice(4), .name = STR("u"), .home = STR("/"), .shell = STR("sh") };

	switch (dice(3)) {
	case 0:
		sink.ifaces_begin(sink.ctx);
		sink.iface(sink.ctx, &iface);
		break;
	case 1:
		sink.users_begin(sink.ctx);
		sink.user(sink.ctx, &user);
		break;
	default:
		if (!dice(10))
			sink.reset(sink.ctx);
	}
}

static void storm(uint64_t seed, uint32_t events)
{
	struct engine_limits limits = { .max_threads = 64 };
	struct arena scratch = { .limit = 1 << 20 };
	struct state st;
	struct evt e = { .st = &st, .scratch = &scratch, .h.ts = 1000000000 };

	dice_state = seed;
	e.rules = ruleset_new();
	assert_non_null(e.rules);
	ruleset_use_containers(e.rules);
	assert_int_equal(state_init(&st, &limits), 0);
	for (uint32_t i = 0; i < events; i++) {
		arena_reset(&scratch);
		if (!dice(40))
			random_lists(&st);
		random_event(&e);
		ruleset_next_event(NULL, &e);
		parse_event(&e);
		look(&e);
	}
	ruleset_free(e.rules);
	state_free(&st);
	arena_free(&scratch);
	forget_all();
}

/* FALCO_SEED=N repeats a run that failed. */
static void fields_keep_their_scope_in_storms(void **state)
{
	const char *text = getenv("FALCO_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	list_codes();
	memset(wrong, 0, sizeof wrong);
	repeats = 0;
	for (uint64_t fixed = 1; fixed <= STORMS; fixed++)
		storm(fixed, 5000);
	print_message("random seed %llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < STORMS; i++)
		storm(seed + i, 5000);
	assert_true(repeats > 100000);
	expect_none_wrong();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_keep_their_scope_in_captures),
		cmocka_unit_test(fields_keep_their_scope_in_storms),
	};

	list_uses();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
