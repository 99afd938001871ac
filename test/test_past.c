/* SPDX-License-Identifier: Apache-2.0 */
/* Captures that are remembered: read in part, to the end, not at all for want of room, and damaged. */
#include "check.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../c/engine/past.h"

static const char *const one[] = { "test/data/procs.scap" };
static const char *const two[] = { "test/data/procs.scap", "test/data/sensitive.scap" };

/* Everything that rules can see. */
struct all {
	uint8_t *types;
	struct past_variant variant;
	struct past_query query;
};

static void all_init(struct all *a)
{
	*a = (struct all){ .types = malloc(past_types()) };
	memset(a->types, 1, past_types());
	a->query = (struct past_query){ .variants = &a->variant, .nvariants = 1, .types = a->types, .output = -1 };
}

static int run(struct past_pass *pass, uint32_t budget, struct past_count *count, struct err *err)
{
	int rc;

	do
		rc = past_pass_go(pass, budget, err);
	while (rc == NEXT_IDLE || rc == NEXT_EVENT);
	past_pass_count(pass, count);
	return rc;
}

static uint64_t found(struct past *p, const struct past_query *q, enum past_way way)
{
	struct past_count count;
	struct err err;
	struct past_pass *pass = past_pass_new(p, q, &err);

	assert_non_null(pass);
	assert_int_equal(run(pass, 1000, &count, &err), NEXT_END);
	assert_int_equal(count.way, way);
	assert_int_equal(count.found, count.looked);
	past_pass_free(pass);
	return count.found;
}

static void test_again(void **state)
{
	struct past_facts facts;
	struct err err;
	struct all a;
	struct past *p = past_new(two, 2, NULL, 64 << 20, &err);
	uint64_t n;

	all_init(&a);
	n = found(p, &a.query, PAST_FIRST);
	assert_true(n > 10000);
	assert_int_equal(found(p, &a.query, PAST_MEMORY), n);
	past_facts(p, &facts);
	assert_true(facts.complete && facts.kept && facts.events >= n && facts.bytes > facts.image_bytes);
	a.query.tables = true;
	assert_int_equal(found(p, &a.query, PAST_REPLAY), n);
	past_free(p);
	free(a.types);
}

/* What is open is kept once, however often it is opened. */
static void test_records_once(void **state)
{
	static const char *const thrice[] = { "test/data/procs.scap", "test/data/procs.scap", "test/data/procs.scap" };
	struct past_facts facts[2];
	struct err err;
	struct all a;

	all_init(&a);
	for (uint32_t i = 0; i < 2; i++) {
		struct past *p = past_new(thrice, i ? 3 : 1, NULL, 64 << 20, &err);

		found(p, &a.query, PAST_FIRST);
		past_facts(p, &facts[i]);
		past_free(p);
	}
	assert_true(facts[1].events == 3 * facts[0].events);
	assert_true(facts[0].records > 10);
	assert_int_equal(facts[1].records, facts[0].records);
	free(a.types);
}

static void test_in_parts(void **state)
{
	struct err err;
	struct all a;
	struct past *p = past_new(two, 2, NULL, 64 << 20, &err);
	struct past_pass *pass;
	struct past_count count;

	all_init(&a);
	pass = past_pass_new(p, &a.query, &err);
	for (int i = 0; i < 3; i++)
		assert_int_equal(past_pass_go(pass, 100, &err), NEXT_IDLE);
	past_pass_free(pass);
	/* the rest, behind what is remembered */
	pass = past_pass_new(p, &a.query, &err);
	assert_int_equal(run(pass, 100, &count, &err), NEXT_END);
	assert_int_equal(count.looked, count.found);
	past_pass_free(pass);
	assert_int_equal(found(p, &a.query, PAST_MEMORY), count.found);
	past_free(p);

	/* a replay that is wanted meanwhile reads to the end first */
	p = past_new(two, 2, NULL, 64 << 20, &err);
	pass = past_pass_new(p, &a.query, &err);
	assert_int_equal(past_pass_go(pass, 100, &err), NEXT_IDLE);
	past_pass_free(pass);
	a.query.tables = true;
	pass = past_pass_new(p, &a.query, &err);
	uint64_t n = count.found;
	assert_int_equal(run(pass, 100, &count, &err), NEXT_END);
	assert_int_equal(count.found, n);
	assert_int_equal(count.way, PAST_REPLAY);
	past_pass_free(pass);
	past_free(p);
	free(a.types);
}

static void test_no_room(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 65536, 1 << 20 };
	struct past_facts facts;
	struct err err;
	struct all a;

	all_init(&a);
	for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct past *p = past_new(two, 2, NULL, sizes[i], &err);
		uint64_t n;

		assert_non_null(p);
		n = found(p, &a.query, PAST_FIRST);
		past_facts(p, &facts);
		assert_false(facts.kept);
		assert_non_null(strstr(facts.why_not, "read again each time"));
		assert_int_equal(facts.bytes, 0);
		assert_int_equal(found(p, &a.query, PAST_REPLAY), n);
		past_free(p);
	}
	free(a.types);
}

/* Stopped after the image was full and before that was noticed: nothing is read from behind its end. */
static void test_stopped_when_full(void **state)
{
	struct past_facts facts;
	struct err err;
	struct all a;
	struct past *p;
	struct past_pass *pass;

	all_init(&a);
	p = past_new(one, 1, NULL, 300000, &err);
	pass = past_pass_new(p, &a.query, &err);
	for (int i = 0; i < 3; i++)
		assert_int_equal(past_pass_go(pass, 1200, &err), NEXT_IDLE);
	past_pass_free(pass);
	a.query.visit = true;
	uint64_t n = found(p, &a.query, PAST_REPLAY);
	past_facts(p, &facts);
	assert_true(n > 1500 && !facts.kept);
	past_free(p);
	free(a.types);
}

static void test_visits(void **state)
{
	struct past_count count;
	struct err err;
	struct all a;
	struct past *p = past_new(one, 1, NULL, 64 << 20, &err);
	uint32_t only[16] = { 0 }, met = 0;
	struct past_pass *pass;
	int rc;

	all_init(&a);
	found(p, &a.query, PAST_FIRST);
	only[10] = 0xff00;
	a.query.only = only;
	a.query.only_words = 16;
	a.query.visit = true;
	pass = past_pass_new(p, &a.query, &err);
	while ((rc = past_pass_go(pass, 1000, &err)) == NEXT_IDLE || rc == NEXT_EVENT)
		if (rc == NEXT_EVENT)
			assert_int_equal(past_pass_evt(pass)->h.num, 328 + met++);
	assert_int_equal(rc, NEXT_END);
	assert_int_equal(met, 8);
	past_pass_count(pass, &count);
	assert_int_equal(count.found, 8);
	past_pass_free(pass);
	past_free(p);
	free(a.types);
}

static void test_damaged(void **state)
{
	char path[] = "/tmp/past.XXXXXX";
	const char *paths[] = { path };
	int fd = mkstemp(path), from = open(one[0], O_RDONLY);
	static char bytes[40000];
	struct past_count first, again;
	struct past_pass *pass;
	struct err err;
	struct past *p;
	struct all a;

	assert_true(fd >= 0 && from >= 0);
	assert_int_equal(read(from, bytes, sizeof bytes), sizeof bytes);
	assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
	all_init(&a);
	p = past_new(paths, 1, NULL, 64 << 20, &err);
	pass = past_pass_new(p, &a.query, &err);
	assert_true(run(pass, 1000, &first, &err) < 0);
	assert_non_null(strstr(err.text, path));
	assert_true(first.found > 100);
	past_pass_free(pass);
	/* what could be read is remembered, and so is what went wrong */
	err.text[0] = 0;
	pass = past_pass_new(p, &a.query, &err);
	assert_true(run(pass, 1000, &again, &err) < 0);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(again.found, first.found);
	past_pass_free(pass);
	past_free(p);

	unlink(path);
	p = past_new(paths, 1, NULL, 64 << 20, &err);
	assert_true(past_begin(p, &err) < 0);
	past_free(p);
	close(fd);
	close(from);
	free(a.types);
}

static void test_stdin(void **state)
{
	static const char *const paths[] = { "-" };
	struct past_count count;
	struct past_pass *pass;
	struct err err;
	struct past *p;
	struct all a;

	all_init(&a);
	for (int kept = 0; kept < 2; kept++) {
		int fd = open(one[0], O_RDONLY);

		assert_true(dup2(fd, 0) == 0);
		close(fd);
		p = past_new(paths, 1, NULL, kept ? 64 << 20 : 0, &err);
		uint64_t n = found(p, &a.query, PAST_FIRST);
		a.query.tables = true;
		pass = past_pass_new(p, &a.query, &err);
		if (kept) {
			assert_int_equal(run(pass, 1000, &count, &err), NEXT_END);
			assert_int_equal(count.found, n);
		} else {
			assert_true(run(pass, 1000, &count, &err) < 0);
			assert_non_null(strstr(err.text, "standard input cannot be read twice"));
		}
		a.query.tables = false;
		past_pass_free(pass);
		past_free(p);
	}
	free(a.types);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again), cmocka_unit_test(test_records_once), cmocka_unit_test(test_in_parts), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_stopped_when_full), cmocka_unit_test(test_visits), cmocka_unit_test(test_damaged), cmocka_unit_test(test_stdin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
