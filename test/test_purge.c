/* SPDX-License-Identifier: Apache-2.0 */
/* Threads whose end was lost leave the table, in time and no others. */
#include "check.h"
#include "../c/engine/purge.h"
#include "../c/engine/state.h"

#define S 1000000000ull

static struct state st;
static int64_t dead[512];
static uint32_t ndead, asked;

static bool is_there(void *ctx, int64_t tid)
{
	asked++;
	for (uint32_t i = 0; i < ndead; i++)
		if (dead[i] == tid)
			return false;
	return true;
}

static int setup(void **state)
{
	struct engine_limits limits = { .max_threads = 1000 };

	ndead = asked = 0;
	return state_init(&st, &limits);
}

static int teardown(void **state)
{
	state_free(&st);
	return 0;
}

static void add(int64_t tid)
{
	struct thread *t = thread_new(st.threads, tid);

	t->pid = tid;
	assert_true(thread_insert(st.threads, t, true));
}

/* All of one walk. */
static void walk(struct purge *p, uint64_t now)
{
	for (int i = 0; i < 20; i++)
		purge_some(p, st.threads, now);
}

static void gone_for_long_enough(void **state)
{
	struct purge p = { .interval_ns = 10 * S, .patience_ns = 30 * S, .is_there = is_there };

	add(1);
	add(2);
	dead[ndead++] = 2;
	walk(&p, 5 * S);
	assert_int_equal(asked, 0);		/* not before the first interval is over */
	walk(&p, 16 * S);
	assert_int_equal(asked, 2);
	walk(&p, 30 * S);
	assert_non_null(thread_find(st.threads, 2));
	walk(&p, 50 * S);
	assert_null(thread_find(st.threads, 2));
	assert_non_null(thread_find(st.threads, 1));
	assert_int_equal(p.removed, 1);
	purge_free(&p);
}

/* Ends are known to have been lost: nobody waits for minutes. */
static void in_a_hurry(void **state)
{
	struct purge p = { .interval_ns = 300 * S, .patience_ns = 300 * S, .is_there = is_there };

	add(1);
	add(2);
	dead[ndead++] = 2;
	walk(&p, S);
	purge_hurry(&p, 2 * S);
	for (uint64_t now = 3; now < 40; now += 2)
		walk(&p, now * S);
	assert_null(thread_find(st.threads, 2));
	assert_non_null(thread_find(st.threads, 1));
	asked = 0;
	for (uint64_t now = 60; now < 300; now += 10)
		walk(&p, now * S);
	assert_true(asked <= 2);		/* and then at leisure again */
	purge_free(&p);
}

static void back_again(void **state)
{
	struct purge p = { .interval_ns = S, .patience_ns = 3 * S, .is_there = is_there };

	add(2);
	dead[ndead++] = 2;
	walk(&p, S);
	walk(&p, 3 * S);
	ndead = 0;
	walk(&p, 5 * S);		/* it is there: only /proc was late */
	dead[ndead++] = 2;
	walk(&p, 7 * S);
	walk(&p, 9 * S);
	assert_non_null(thread_find(st.threads, 2));
	thread_touch(st.threads, thread_find(st.threads, 2), false);	/* somebody of the same number */
	walk(&p, 20 * S);
	walk(&p, 22 * S);
	assert_non_null(thread_find(st.threads, 2));
	walk(&p, 30 * S);
	walk(&p, 40 * S);
	assert_null(thread_find(st.threads, 2));
	purge_free(&p);
}

static void many_in_steps(void **state)
{
	struct purge p = { .interval_ns = S, .patience_ns = 0, .is_there = is_there };

	for (int64_t tid = 1; tid <= 500; tid++) {
		add(tid);
		dead[ndead++] = tid;
	}
	purge_some(&p, st.threads, S);
	purge_some(&p, st.threads, 3 * S);
	assert_int_equal(asked, PURGE_AT_ONCE);
	for (int i = 4; i < 100; i++)
		walk(&p, (uint64_t)i * S);
	assert_int_equal(threads_count(st.threads), 0);
	assert_int_equal(p.removed, 500);
	assert_int_equal(p.gone.n, 0);
	purge_free(&p);
}

static void ended_meanwhile(void **state)
{
	struct purge p = { .interval_ns = S, .patience_ns = 100 * S, .is_there = is_there };

	add(7);
	dead[ndead++] = 7;
	walk(&p, S);
	walk(&p, 3 * S);
	assert_int_equal(p.gone.n, 1);
	thread_remove(st.threads, 7);
	walk(&p, 5 * S);
	assert_int_equal(p.gone.n, 0);
	purge_free(&p);
}

static void switched_off(void **state)
{
	struct purge p = { .is_there = is_there };

	add(7);
	walk(&p, 1000 * S);
	assert_int_equal(asked, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gone_for_long_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(in_a_hurry, setup, teardown),
		cmocka_unit_test_setup_teardown(back_again, setup, teardown),
		cmocka_unit_test_setup_teardown(many_in_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(ended_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(switched_off, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
