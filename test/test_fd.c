/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "../c/engine/fd.h"

static struct fds *fds;

static int setup(void **state)
{
	return !(fds = fds_new(100, 1 << 20));
}

static int teardown(void **state)
{
	fds_free(fds);		/* requires that every record is gone */
	return 0;
}

static struct fd_rec *open_file(struct fdtable **t, int64_t fd, const char *name)
{
	struct fd_draft d = { .type = FD_FILE_V2, .name = str_of(name), .raw = STR("raw") };
	return fd_publish(fds, t, fd, &d);
}

static void records_keep_their_names(void **state)
{
	struct fdtable *t = NULL;
	char name[] = "/etc/passwd";
	struct fd_rec *r = open_file(&t, 3, name);

	memset(name, 'x', sizeof name - 1);
	assert_str(r->d.name, "/etc/passwd");
	assert_str(r->d.raw, "raw");
	assert_ptr_equal(fdtable_get(t, 3), r);
	assert_null(fdtable_get(t, 4));
	assert_null(fdtable_get(t, -1));
	fdtable_drop(fds, t);
}

static void a_change_is_a_new_record(void **state)
{
	struct fdtable *t = NULL;
	struct fd_rec *old = fd_rec_ref(open_file(&t, 3, "a"));
	struct fd_draft d = old->d;

	d.name = STR("b");
	struct fd_rec *new = fd_publish(fds, &t, 3, &d);
	assert_str(old->d.name, "a");
	assert_str(new->d.name, "b");
	assert_int_not_equal(old->gen, new->gen);
	fd_rec_drop(fds, old);
	fdtable_drop(fds, t);
}

static void a_shared_table_is_copied_on_write(void **state)
{
	struct fdtable *parent = NULL, *child;

	for (int fd = 0; fd < 20; fd++)
		open_file(&parent, fd, "f");
	child = fdtable_share(fds, parent);
	struct fd_rec *kept = fdtable_get(parent, 7);

	fd_remove(fds, &child, 7);
	assert_ptr_not_equal(child->order, parent->order);
	assert_ptr_equal(fdtable_get(parent, 7), kept);
	assert_null(fdtable_get(child, 7));
	assert_ptr_equal(fdtable_get(child, 8), fdtable_get(parent, 8));

	open_file(&parent, 8, "new");
	assert_str(fdtable_get(child, 8)->d.name, "f");
	fdtable_drop(fds, parent);
	fdtable_drop(fds, child);
}

static void removing_from_a_shared_table_what_is_not_there_copies_nothing(void **state)
{
	struct fdtable *t = NULL, *shared;

	open_file(&t, 1, "f");
	shared = fdtable_share(fds, t);
	fd_remove(fds, &shared, 99);
	assert_ptr_equal(shared->order, t->order);
	fdtable_drop(fds, t);
	fdtable_drop(fds, shared);
}

static void a_full_table_refuses_and_counts(void **state)
{
	struct fdtable *t = NULL;

	for (int fd = 0; fd < 100; fd++)
		assert_non_null(open_file(&t, fd, "f"));
	assert_null(open_file(&t, 100, "f"));
	assert_non_null(open_file(&t, 5, "replaced"));
	assert_int_equal(fdtable_count(t), 100);
	assert_int_equal(fds_overflow(fds), 1);
	fdtable_drop(fds, t);
}

static void a_borrowed_record_stays_until_the_sweep(void **state)
{
	struct fdtable *t = NULL;
	struct fd_rec *r = open_file(&t, 3, "f");
	uint64_t bytes = fds_bytes(fds);

	fd_remove(fds, &t, 3);
	assert_null(fdtable_get(t, 3));
	assert_int_equal(fds_live(fds), 0);
	assert_str(r->d.name, "f");
	assert_int_equal(fds_bytes(fds), bytes);
	fds_sweep(fds);
	assert_true(fds_bytes(fds) < bytes);
	fdtable_drop(fds, t);
}

/* The limit counts what tables and records really take. */
static void bytes_are_bounded(void **state)
{
	static char name[5000];
	struct fdtable *t[50] = { NULL };
	struct fd_draft d = { .type = FD_FILE_V2, .name = { name, sizeof name }, .raw = { name, sizeof name } };
	int published = 0;

	for (int k = 0; k < 50; k++)
		for (int fd = 0; fd < 90; fd++)
			published += fd_publish(fds, &t[k], fd, &d) != NULL;
	assert_in_range(published, (1 << 20) / 11000, (1 << 20) / 10000);
	assert_int_equal(fds_live(fds), published);
	assert_int_equal(fds_overflow(fds), 50 * 90 - published);
	assert_true(fds_bytes(fds) <= 1 << 20);
	for (int k = 0; k < 50; k++)
		fdtable_drop(fds, t[k]);
	fds_sweep(fds);
	assert_int_equal(fds_bytes(fds), 0);
}

static void fill_the_pool(struct fdtable **t)
{
	static char name[100000];
	struct fd_draft d = { .type = FD_FILE_V2, .name = { name, 1 } };

	for (uint32_t len = sizeof name; len > 1; len /= 2) {
		d.name.len = len;
		for (int fd = (int)fdtable_count(*t); fd_publish(fds, t, fd, &d); fd++)
			;
	}
}

/* A number whose record cannot be had must not go on showing the one before. */
static void without_room_the_old_record_goes_too(void **state)
{
	struct fdtable *mine = NULL, *other = NULL, *child;

	open_file(&mine, 3, "secret");
	open_file(&mine, 4, "kept");
	child = fdtable_share(fds, mine);
	fill_the_pool(&other);
	assert_null(open_file(&mine, 3, "public"));
	assert_null(fdtable_get(mine, 3));

	/* a fork's table that cannot be copied is given up, and it alone */
	assert_null(open_file(&child, 3, "public"));
	assert_null(fdtable_get(child, 3));
	fdtable_drop(fds, mine);
	fdtable_drop(fds, child);
	fdtable_drop(fds, other);
}

static void closing_in_a_table_that_cannot_be_copied_gives_it_up(void **state)
{
	struct fdtable *mine = NULL, *other = NULL, *child;
	uint64_t before;

	open_file(&mine, 3, "a");
	open_file(&mine, 4, "b");
	child = fdtable_share(fds, mine);
	fill_the_pool(&other);
	before = fds_overflow(fds);
	assert_false(fdtable_settle(fds, &child));	/* merely reading changes nothing */
	assert_int_equal(fdtable_count(child), 2);
	fd_remove(fds, &child, 3);
	assert_null(child);
	assert_int_equal(fds_overflow(fds), before + 2);
	assert_int_equal(fdtable_count(mine), 2);
	fdtable_drop(fds, mine);
	fdtable_drop(fds, other);
}

static void a_negative_number_is_no_overflow(void **state)
{
	struct fdtable *t = NULL;

	assert_null(open_file(&t, -9, "f"));
	assert_int_equal(fds_overflow(fds), 0);
	fdtable_drop(fds, t);
}

static void an_alias_shares_the_record(void **state)
{
	struct fdtable *t = NULL;
	struct fd_rec *r = open_file(&t, 3, "f");

	assert_ptr_equal(fd_alias(fds, &t, 10, r), r);
	fd_remove(fds, &t, 3);
	assert_str(fdtable_get(t, 10)->d.name, "f");
	assert_int_equal(fds_live(fds), 1);
	fdtable_drop(fds, t);
}

static const char *order_of(struct fdtable *t)
{
	static char text[400];
	struct fd_rec *r;
	int64_t fd;
	int n = 0;

	text[0] = 0;
	for (uint32_t pos = 0; fdtable_next(t, &pos, &fd, &r);)
		n += sprintf(text + n, "%d ", (int)fd);
	return text;
}

/* The orders that a table of GCC 12's libstdc++ shows after the same steps. */
static void entries_are_listed_in_the_reference_order(void **state)
{
	static const int first[] = { 0, 1, 2, 3, 14, 27, 5, 100, 13, 26, 39 };
	struct fdtable *t = NULL, *child;

	for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
		open_file(&t, first[i], "f");
	assert_string_equal(order_of(t), "100 5 3 2 27 14 1 39 26 13 0 ");

	child = fdtable_share(fds, t);
	assert_true(fdtable_settle(fds, &child));
	assert_string_equal(order_of(child), "0 13 26 39 1 14 27 2 3 5 100 ");
	assert_string_equal(order_of(t), "100 5 3 2 27 14 1 39 26 13 0 ");

	fd_remove(fds, &child, 14);
	open_file(&child, 40, "f");
	open_file(&child, 1000, "f");
	for (int fd = 50; fd < 58; fd++)
		open_file(&child, fd, "f");
	assert_string_equal(order_of(child), "57 54 53 52 51 5 3 2 56 27 1 40 39 55 26 100 13 0 1000 50 ");
	fdtable_drop(fds, t);
	fdtable_drop(fds, child);
}

/* Against a plain array: numbers that share buckets, added and removed at random. */
static void agrees_with_an_array(void **state)
{
	struct fdtable *t = NULL;
	bool there[90] = { false };
	uint32_t seed = 7, n = 0;

	for (int step = 0; step < 100000; step++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t k = (seed >> 8) % 90;
		int64_t fd = k * 13;
		if (seed >> 31) {
			assert_non_null(open_file(&t, fd, "f"));
			n += !there[k];
			there[k] = true;
		} else {
			fd_remove(fds, &t, fd);
			n -= there[k];
			there[k] = false;
		}
		assert_int_equal(fdtable_count(t), n);
		assert_int_equal(fdtable_get(t, fd) != NULL, there[k]);
		fds_sweep(fds);
	}
	for (int k = 0; k < 90; k++)
		assert_int_equal(fdtable_get(t, k * 13) != NULL, there[k]);
	struct fd_rec *r;
	int64_t fd;
	uint32_t seen = 0;
	for (uint32_t pos = 0; fdtable_next(t, &pos, &fd, &r); seen++)
		assert_true(there[fd / 13]);
	assert_int_equal(seen, n);
	fdtable_drop(fds, t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_keep_their_names, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_is_a_new_record, setup, teardown),
		cmocka_unit_test_setup_teardown(a_shared_table_is_copied_on_write, setup, teardown),
		cmocka_unit_test_setup_teardown(removing_from_a_shared_table_what_is_not_there_copies_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_table_refuses_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_borrowed_record_stays_until_the_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(without_room_the_old_record_goes_too, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_in_a_table_that_cannot_be_copied_gives_it_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_negative_number_is_no_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_are_listed_in_the_reference_order, setup, teardown),
		cmocka_unit_test_setup_teardown(agrees_with_an_array, setup, teardown),
		cmocka_unit_test_setup_teardown(an_alias_shares_the_record, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
