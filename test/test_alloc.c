/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out, at each place where it can: every scenario runs again and again, with the 1st, 2nd, 3rd ...
 * allocation failing, alone or with all that follow, until none is left to fail. Nothing may crash or leak, and what a
 * table then says is right or nothing. (Linked with --wrap for the allocator: see the Makefile.)
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "../c/engine/ffi.h"
#include "../c/engine/state.h"

/* ------------------------------------------------------------------ the allocator */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

static struct {
	atomic_bool armed;
	atomic_long left;	/* allocations until one fails */
	bool for_good;		/* and all after it */
	atomic_bool failed;	/* one has */
	atomic_long live;	/* blocks */
} heap;

static bool fails(void)
{
	if (!heap.armed)
		return false;
	long left = atomic_fetch_sub(&heap.left, 1);
	if (left > 1 || (left < 1 && !heap.for_good))
		return false;
	heap.failed = true;
	return true;
}

static void *counted(void *p)
{
	heap.live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (fails())
		return NULL;
	return p ? __real_realloc(p, n) : counted(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
	heap.live -= p != NULL;
	__real_free(p);
}

char *__wrap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = __wrap_malloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}

/* Runs `scenario` with each allocation failing in turn; step: permille to go on by in between, for long ones. */
static void with_failures(void (*scenario)(void), uint32_t step)
{
	for (int for_good = 0; for_good < 2; for_good++) {
		bool failed = true;
		int runs = 0;

		for (long n = 1; failed; n += 1 + n * step / 1000, runs++) {
			long before = heap.live;

			heap.left = n;
			heap.for_good = for_good;
			heap.failed = false;
			heap.armed = true;
			scenario();
			heap.armed = false;
			failed = heap.failed;
			assert_int_equal(heap.live, before);
		}
		assert_true(runs > 20);
	}
}

/* ------------------------------------------------------------------ strings */

static void strings(void)
{
	enum { N = 1200 };	/* the table grows once */
	struct intern *t = intern_new(1 << 20);
	static struct istr *s[N];
	char text[20];
	uint64_t missing = 0;

	if (!t)
		return;
	for (int i = 0; i < N; i++) {
		struct str want = { text, (uint32_t)sprintf(text, "name %d", i % 1100) };

		s[i] = intern_get(t, want);
		missing += s[i]->len == 0;
		assert_true(s[i]->len == 0 || str_eq(istr_str(s[i]), want));
	}
	assert_int_equal(intern_overflow(t), missing);
	for (int i = 0; i < N; i++)
		intern_drop(t, s[i]);
	assert_int_equal(intern_bytes(t), 0);
	intern_free(t);
}

static void of_strings(void **state)
{
	with_failures(strings, 20);
}

/* ------------------------------------------------------------------ descriptors */

enum { TABLES = 4, NUMBERS = 40 };

struct model {
	struct fds *fds;
	struct fdtable *t[TABLES];
	int name[TABLES][NUMBERS];	/* 0: none */
	int last;
};

static void model_open(struct model *m, int k, int64_t fd)
{
	char name[20];
	struct fd_draft d = { .type = FD_FILE, .name = { name, (uint32_t)sprintf(name, "%d", ++m->last) } };

	fd_publish(m->fds, &m->t[k], fd, &d);
	m->name[k][fd] = m->last;
}

/* Every number shows what it should, or nothing. */
static void model_check(const struct model *m)
{
	char name[20];
	struct fd_rec *r;
	int64_t fd;

	for (int k = 0; k < TABLES; k++) {
		uint32_t n = 0;

		for (fd = 0; fd < NUMBERS; fd++) {
			if (!(r = fdtable_get(m->t[k], fd)))
				continue;
			sprintf(name, "%d", m->name[k][fd]);
			assert_str(r->d.name, name);
		}
		for (uint32_t pos = 0; fdtable_next(m->t[k], &pos, &fd, &r); n++)
			assert_ptr_equal(fdtable_get(m->t[k], fd), r);
		assert_int_equal(n, fdtable_count(m->t[k]));
	}
}

static void model_fork(struct model *m, int from, int to)
{
	fdtable_drop(m->fds, m->t[to]);
	m->t[to] = m->t[from] ? fdtable_share(m->fds, m->t[from]) : NULL;
	memcpy(m->name[to], m->name[from], sizeof m->name[to]);
}

static void model_step(struct model *m, uint32_t r)
{
	int k = r % TABLES, to = (r >> 4) % TABLES;
	int64_t fd = (r >> 8) % NUMBERS, other = (r >> 16) % NUMBERS;
	struct fd_rec *rec = fdtable_get(m->t[k], fd);

	switch ((r >> 24) % 8) {
	case 0:
		fd_remove(m->fds, &m->t[k], fd);
		m->name[k][fd] = 0;
		break;
	case 1:
		if (k != to)
			model_fork(m, k, to);
		break;
	case 2:
		if (rec) {
			fd_alias(m->fds, &m->t[to], other, rec);
			m->name[to][other] = m->name[k][fd];
		}
		break;
	case 3:
		fdtable_settle(m->fds, &m->t[k]);
		break;
	default:
		model_open(m, k, fd);
	}
}

static void descriptors(void)
{
	struct model m = { .fds = fds_new(NUMBERS, 1 << 20) };
	uint32_t seed = 3;

	if (!m.fds)
		return;
	for (int step = 0; step < 400; step++) {
		seed = seed * 1664525 + 1013904223;
		model_step(&m, seed ^ seed >> 15);
		fds_sweep(m.fds);
		if (step % 10 == 0)
			model_check(&m);
	}
	model_check(&m);
	for (int k = 0; k < TABLES; k++)
		fdtable_drop(m.fds, m.t[k]);
	fds_free(m.fds);	/* requires that nothing is left */
}

static void of_descriptors(void **state)
{
	with_failures(descriptors, 5);
}

/* ------------------------------------------------------------------ threads */

static void check_thread(const struct threads *threads, const struct thread *t)
{
	char comm[20];
	uint32_t alive = 0;

	sprintf(comm, "t%lld", (long long)t->tid);
	assert_true(str_is(thread_comm(t), comm) || str_is(thread_comm(t), "<NA>") || !thread_comm(t).len);
	if (t->parent) {
		assert_int_equal(t->ptid, t->parent->tid);
		assert_ptr_equal(thread_find(threads, t->ptid), t->parent);
	}
	for (const struct thread *child = t->child; child; child = child->next_sibling)
		assert_ptr_equal(child->parent, t);
	if (!t->group)
		return;
	for (const struct thread *member = t->group->first; member; member = member->next_in_group) {
		assert_ptr_equal(member->group, t->group);
		alive += !(member->flags & THREAD_DEAD);
	}
	assert_int_equal(alive, t->group->alive);
}

static void check_threads(const struct threads *threads)
{
	struct thread *t;
	uint32_t n = 0;

	for (uint32_t pos = 0; thread_next(threads, &pos, &t); n++) {
		assert_ptr_equal(thread_find(threads, t->tid), t);
		check_thread(threads, t);
	}
	assert_int_equal(n, threads_count(threads));
}

static void add_thread(struct state *st, int64_t tid, int64_t pid, int64_t ptid)
{
	struct thread *t = thread_new(st->threads, tid);
	char comm[20];
	struct image_parts parts = { .comm = { comm, (uint32_t)sprintf(comm, "t%lld", (long long)tid) },
				     .args = STR("a\0b"), .cgroups = STR("cpu=/docker/0123456789abcdef") };

	if (!t)
		return;
	t->pid = t->vpid = pid;
	t->ptid = ptid;
	t->vtid = tid;
	t->flags = tid != pid ? THREAD_CLONE_THREAD | THREAD_CLONE_FILES : 0;
	thread_set_image(st->threads, t, image_new(st->threads, &parts));
	thread_set_text(st->threads, &t->cwd, STR("/tmp/"));
	thread_insert(st->threads, t, true);
}

static void threads(void)
{
	struct state st;
	uint32_t seed = 11;

	if (state_init(&st, NULL) != 0)
		return;
	add_thread(&st, 1, 1, 0);
	for (int step = 0; step < 300; step++) {
		seed = seed * 1664525 + 1013904223;
		int64_t tid = 2 + (seed >> 8) % 40, other = 1 + (seed >> 16) % 40;

		switch (seed >> 29) {
		case 0:
		case 1:
			thread_remove(st.threads, tid);
			break;
		case 2:
			thread_get(st.threads, tid);
			break;
		case 3:
			add_thread(&st, tid, tid == other ? 1 : other, 1);
			break;
		default:
			add_thread(&st, tid, tid, tid == other ? 1 : other);
		}
		check_threads(st.threads);
	}
	state_reset(&st);
	assert_int_equal(threads_count(st.threads), 0);
	state_free(&st);
}

static void of_threads(void **state)
{
	with_failures(threads, 10);
}

/* ------------------------------------------------------------------ users, interfaces */

static void users(void)
{
	struct users *u = users_new(1 << 20);
	char name[20], container[20];

	if (!u)
		return;
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t id = i * 7 % 20;
		struct str in = { container, (uint32_t)sprintf(container, "c%u", id % 3) };
		struct str text = { name, (uint32_t)sprintf(name, "u%u", i) };
		struct user user = { .uid = id, .name = text, .home = STR("/h") };
		struct group group = { .gid = id, .name = text };
		bool user_kept = users_put(u, in, &user), group_kept = users_put_group(u, in, &group);

		assert_int_equal(users_find(u, in, id) != NULL, user_kept);
		assert_int_equal(users_find_group(u, in, id) != NULL, group_kept);
		if (user_kept)
			assert_str(users_find(u, in, id)->name, name);
		if (i % 5 == 0) {
			users_remove(u, in, id);
			assert_null(users_find(u, in, id));
		}
	}
	users_clear(u);
	assert_int_equal(users_count(u), 0);
	users_free(u);
}

static void of_users(void **state)
{
	with_failures(users, 0);
}

static void ifaces(void)
{
	struct ifaces *f = ifaces_new();
	uint32_t kept = 0;

	if (!f)
		return;
	for (uint8_t i = 0; i < 40; i++) {
		struct iface row = { .addr = { 10, 0, 0, i }, .name = STR("eth0") };

		kept += ifaces_put(f, &row);
		assert_int_equal(ifaces_count(f), kept);
		assert_int_equal(ifaces_overflow(f), i + 1 - kept);
	}
	for (uint32_t i = 0; i < kept; i++)
		assert_str(iface_at(f, i)->name, "eth0");
	ifaces_free(f);
}

static void of_interfaces(void **state)
{
	with_failures(ifaces, 0);
}

/* ------------------------------------------------------------------ containers */

static void containers(void)
{
	static const char form[] = "{\"container\":{\"id\":\"%s\",\"name\":\"n%s\",\"type\":0,\"labels\":{\"a\":\"b\"},"
				   "\"Mounts\":[{\"Source\":\"/s\",\"Destination\":\"/d\"}]}}";
	struct state st;
	char json[200], id[20];

	if (state_init(&st, NULL) != 0)
		return;
	for (int i = 0; i < 30; i++) {
		struct str name = { id, (uint32_t)sprintf(id, "%012x", i % 9) };
		struct str text = { json, (uint32_t)sprintf(json, form, id, id) };

		if (i % 4 == 3)
			containers_forget(st.containers, text);
		else
			containers_learn(st.containers, text);
		const struct container *c = containers_find(st.containers, name);
		assert_true(!c || str_eq(container_id(c), name));
		add_thread(&st, 10 + i, 10 + i, 1);
	}
	state_free(&st);
}

static void of_containers(void **state)
{
	with_failures(containers, 0);
}

/* ------------------------------------------------------------------ the whole road */

/* Fields and a comparison of each kind of matcher; an output of several values. NULL: no memory. */
static struct ruleset *make_rules(int *output)
{
	static const char *const fields[] = {
		"proc.name", "fd.name", "proc.cmdline", "proc.aname", "fd.types", "evt.args",
	};
	enum { FIELDS = sizeof fields / sizeof fields[0] };
	static const struct str values[] = { STR("/etc/passwd"), STR("bash"), STR("/usr/*") };
	static const uint32_t ops[] = { OP_EQ, OP_IN, OP_CONTAINS, OP_STARTSWITH, OP_GLOB, OP_PMATCH };
	struct ruleset *rs = ruleset_new();
	int32_t exprs[FIELDS];
	bool good = rs;

	for (uint32_t i = 0; good && i < FIELDS; i++)
		good = (exprs[i] = ruleset_field(rs, fields[i], (uint32_t)strlen(fields[i]), NULL, 0, NULL)) >= 0;
	for (uint32_t i = 0; good && i < sizeof ops / sizeof ops[0]; i++) {
		bool many = ops[i] == OP_IN || ops[i] == OP_PMATCH;
		struct leaf_spec spec = {
			.expr = exprs[1], .rhs = -1, .op = ops[i], .nvalues = many ? 3 : 1, .values = values,
		};
		int32_t bad;

		good = ruleset_leaf(rs, &spec, &bad, NULL) >= 0;
	}
	if (good && (*output = ruleset_output(rs, exprs, FIELDS)) >= 0) {
		for (uint32_t code = 0; code < event_count(); code++)
			ruleset_want(rs, code, -1);
		return rs;
	}
	ruleset_free(rs);
	return NULL;
}

static void drain(struct engine *eng, struct ruleset *rs, int output)
{
	struct evt *e = engine_evt(eng);

	while (engine_next(eng) == NEXT_EVENT) {
		for (uint32_t i = 0; i < ruleset_leaf_count(rs); i++)
			leaf(e, (int)i);
		assert_non_null(alert_fill(e, output));
	}
}

static void replay_of(const char *path)
{
	struct err err;
	int output;
	struct ruleset *rs = make_rules(&output);
	struct engine *eng = rs ? engine_new(NULL, &err) : NULL;

	if (eng && engine_open_replay(eng, path, &err) == 0) {
		engine_use(eng, rs);
		drain(eng, rs, output);
		engine_use(eng, NULL);
	}
	engine_free(eng);
	ruleset_free(rs);
}

static void replay(void)
{
	replay_of("test/data/unix_sock.scap");
}

static void of_a_replay(void **state)
{
	with_failures(replay, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_strings),
		cmocka_unit_test(of_descriptors),
		cmocka_unit_test(of_threads),
		cmocka_unit_test(of_users),
		cmocka_unit_test(of_interfaces),
		cmocka_unit_test(of_containers),
		cmocka_unit_test(of_a_replay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
