/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "../c/output/queue.h"

enum { TEXT = 5, MANY = 200000 };

/* An alert as alert_fill() makes them: two values, a text of n bytes and a list of two texts, all behind it. */
static struct alert *alert_of(uint64_t num, uint32_t n)
{
	uint32_t size = (uint32_t)sizeof(struct alert) + 4 * (uint32_t)sizeof(struct value) + n + 6;
	struct alert *a = calloc(1, size);
	struct value *v = (struct value *)(a + 1), *items = v + 2;
	char *p = (char *)(items + 2);

	memset(p, 'a' + (int)(num % 26), n);
	v[0] = (struct value){ .type = TEXT, .len = n, .p = p };
	memcpy(p + n, "onetwo", 6);
	items[0] = (struct value){ .type = TEXT, .len = 3, .p = p + n };
	items[1] = (struct value){ .type = TEXT, .len = 3, .p = p + n + 3 };
	v[1] = (struct value){ .type = TEXT, .flags = VALUE_LIST, .p = items, .num.n = 2 };
	*a = (struct alert){ .ts = num * 10, .num = num, .n = 2, .size = size, .values = v };
	return a;
}

static int put(struct queue *q, uint64_t num, uint32_t n)
{
	struct alert *a = alert_of(num, n);
	int rc = queue_alert(q, 1, (uint32_t)num, a);

	memset(a, 0xee, a->size);	/* whoever still points there shows it */
	free(a);
	return rc;
}

/* The next one must be this. */
static void expect(struct queue *q, uint64_t num, uint32_t n)
{
	const struct parcel *b = queue_peek(q);
	const struct alert *a;

	assert_non_null(b);
	assert_int_equal(b->kind, PARCEL_ALERT);
	assert_int_equal(b->rule, (uint32_t)num);
	a = parcel_alert(b);
	assert_int_equal(a->num, num);
	assert_int_equal(a->ts, num * 10);
	assert_int_equal(a->values[0].len, n);
	if (n) {
		assert_int_equal(((const char *)a->values[0].p)[0], 'a' + (int)(num % 26));
		assert_int_equal(((const char *)a->values[0].p)[n - 1], 'a' + (int)(num % 26));
	}
	const struct value *items = a->values[1].p;
	assert_memory_equal(items[0].p, "one", 3);
	assert_memory_equal(items[1].p, "two", 3);
	queue_done(q);
}

static struct queue *make(uint32_t alerts, bool waits)
{
	struct err err;
	struct queue *q = queue_new(&(struct queue_limits){ .alerts = alerts, .waits = waits }, &err);

	assert_non_null(q);
	queue_set_state(q, OUTPUT_OPEN);
	return q;
}

static void what_goes_in_comes_out(void **state)
{
	struct queue *q = make(0, false);

	assert_null(queue_peek(q));
	assert_int_equal(put(q, 1, 100), 0);
	assert_int_equal(queue_data(q, 7, 3, "plan", 4), 0);
	assert_int_equal(put(q, 2, 0), 0);
	expect(q, 1, 100);
	const struct parcel *b = queue_peek(q);
	assert_int_equal(b->kind, PARCEL_DATA);
	assert_int_equal(b->generation, 7);
	assert_int_equal(b->rule, 3);
	assert_memory_equal(parcel_data(b), "plan", b->len);
	queue_done(q);
	expect(q, 2, 0);
	assert_null(queue_peek(q));
	queue_free(q);
}

static void full_by_count_drops_the_newest(void **state)
{
	struct queue *q = make(3, false);
	struct queue_stats stats;

	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(put(q, i, 10), i < 3 ? 0 : -EAGAIN);
	queue_stats(q, &stats);
	assert_int_equal(stats.dropped, 2);
	assert_int_equal(stats.peak, 3);
	expect(q, 0, 10);
	assert_int_equal(put(q, 9, 10), 0);
	expect(q, 1, 10);
	expect(q, 2, 10);
	expect(q, 9, 10);
	queue_free(q);
}

/* Plans of rules get through when alerts do not. */
static void full_by_bytes_has_room_for_data(void **state)
{
	struct queue *q = make(0, false);
	uint64_t n = 0;

	while (put(q, n, 100000) == 0)
		n++;
	assert_in_range(n, 50, 62);	/* 8 MiB without the 2 that are kept */
	assert_int_equal(queue_data(q, 1, 0, "plan", 4), 0);
	for (uint64_t i = 0; i < n; i++)
		expect(q, i, 100000);
	assert_int_equal(queue_peek(q)->kind, PARCEL_DATA);
	queue_free(q);
}

static void too_large_is_refused(void **state)
{
	struct queue *q = make(0, true);

	assert_int_equal(put(q, 1, 3 << 20), -E2BIG);
	assert_int_equal(put(q, 2, 1 << 20), 0);
	expect(q, 2, 1 << 20);
	queue_free(q);
}

static void nobody_left_is_told(void **state)
{
	struct queue *q = make(1, true);

	assert_int_equal(put(q, 1, 1), 0);
	queue_set_state(q, OUTPUT_LOST);
	assert_int_equal(put(q, 2, 1), -EPIPE);
	queue_free(q);
}

/* Sizes of all kinds, taken at once or late: order and content stay, round after round of the ring. */
static void rounds_of_the_ring(void **state)
{
	struct queue *q = make(0, false);
	uint64_t in = 0, out = 0;
	uint32_t seed = 1, sizes[4096];

	while (out < 20000) {
		seed = seed * 1103515245 + 12345;
		uint32_t n = seed >> 8 & (seed >> 28 == 0 ? 0x7ffff : 0x3ff);
		if (in - out < 4096 && put(q, in, n) == 0)
			sizes[in++ % 4096] = n;
		else
			seed &= ~(1u << 30);
		if (seed >> 30 & 1 || in - out >= 4096) {
			for (uint32_t k = seed >> 20 & 15; k > 0 && out < in; k--, out++)
				expect(q, out, sizes[out % 4096]);
		}
	}
	while (out < in) {
		expect(q, out, sizes[out % 4096]);
		out++;
	}
	assert_null(queue_peek(q));
	queue_free(q);
}

/* ------------------------------------------------------------------ two threads */

static void *take_all(void *arg)
{
	struct queue *q = arg;
	uint64_t deadline, n = 0;

	for (;;) {
		const struct parcel *b;
		while ((b = queue_peek(q))) {
			const struct alert *a = parcel_alert(b);
			REQUIRE(a->num == n);
			const char *p = a->values[0].p;
			REQUIRE(a->values[0].len == 0 || p[a->values[0].len - 1] == 'a' + (int)(n % 26));
			n++;
			queue_done(q);
		}
		if (queue_ended(q, &deadline) && !queue_peek(q))
			return (void *)(uintptr_t)n;
		queue_wait(q, NULL, 0, -1, n % 2, false);
	}
}

static void between_threads(uint32_t alerts, bool waits)
{
	struct queue *q = make(alerts, waits);
	struct queue_stats stats;
	pthread_t thread;
	void *got;

	pthread_create(&thread, NULL, take_all, q);
	uint64_t n = 0;
	for (uint32_t i = 0; i < MANY; i++)
		n += put(q, n, i % 300) == 0;
	queue_end(q, 0);
	pthread_join(thread, &got);
	queue_stats(q, &stats);
	assert_int_equal((uintptr_t)got, n);
	assert_int_equal(stats.dropped, MANY - n);
	if (waits)
		assert_int_equal(n, MANY);
	queue_free(q);
}

static void a_replay_waits_and_loses_nothing(void **state)
{
	between_threads(0, true);
	between_threads(100, true);
}

static void a_live_source_drops_and_counts(void **state)
{
	between_threads(100, false);
}

static void *put_some(void *arg)
{
	struct queue *q = arg;

	for (uint32_t i = 0; i < 20000; i++)
		REQUIRE(queue_data(q, 1, i, "x", 1) == 0);
	return NULL;
}

static void several_may_put(void **state)
{
	struct queue *q = make(0, true);
	pthread_t threads[3];
	uint32_t n = 0;

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, put_some, q);
	while (n < 60000) {
		for (; queue_peek(q); n++)
			queue_done(q);
		queue_wait(q, NULL, 0, 100, false, false);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_null(queue_peek(q));
	queue_free(q);
}

static void waiting_ends(void **state)
{
	struct queue *q = make(0, false);
	int ends[2];
	uint64_t began = sys_now_ns();

	assert_int_equal(pipe(ends), 0);
	struct queue_fd fds[1] = { { .fd = ends[0], .events = QUEUE_IN } };
	queue_wait(q, fds, 1, 20, false, false);			/* by time */
	assert_true(sys_now_ns() - began >= 19000000);
	assert_int_equal(fds[0].revents, 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	queue_wait(q, fds, 1, -1, false, false);			/* by a descriptor */
	assert_int_equal(fds[0].revents, QUEUE_IN);
	queue_reopen(q);
	queue_wait(q, NULL, 0, -1, false, false);			/* by a signal's handler */
	assert_int_equal(queue_reopens(q), 1);
	put(q, 1, 1);
	queue_wait(q, NULL, 0, -1, false, false);			/* by what is there already */
	expect(q, 1, 1);
	close(ends[0]);
	close(ends[1]);
	queue_free(q);
}

static void reports_are_bounded(void **state)
{
	struct queue *q = make(0, false);
	uint32_t n = 0;

	for (int i = 0; i < 1000; i++)
		queue_report(q, "line", 4);
	while (queue_reported(q, n))
		n++;
	assert_in_range(n, 1, 100);
	assert_string_equal(queue_reported(q, 0), "line");
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out), cmocka_unit_test(full_by_count_drops_the_newest),
		cmocka_unit_test(full_by_bytes_has_room_for_data), cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(nobody_left_is_told), cmocka_unit_test(rounds_of_the_ring),
		cmocka_unit_test(a_replay_waits_and_loses_nothing), cmocka_unit_test(a_live_source_drops_and_counts),
		cmocka_unit_test(several_may_put), cmocka_unit_test(waiting_ends), cmocka_unit_test(reports_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
