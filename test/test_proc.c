/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "check.h"
#include "../c/engine/state.h"

static struct state st;

static int setup(void **state)
{
	struct engine_limits limits = { .max_threads = 50 };
	return state_init(&st, &limits);
}

static int teardown(void **state)
{
	state_free(&st);	/* requires that every string and record is gone */
	return 0;
}

static struct thread *add(int64_t tid, int64_t pid, int64_t ptid)
{
	struct thread *t = thread_new(st.threads, tid);

	t->pid = pid;
	t->ptid = ptid;
	t->vtid = tid;
	t->vpid = pid;
	if (tid != pid)
		t->flags = THREAD_CLONE_THREAD | THREAD_CLONE_FILES;
	return thread_insert(st.threads, t, true) ? t : NULL;
}

static void families(void **state)
{
	struct thread *init = add(1, 1, 0), *shell = add(10, 10, 1), *tool = add(20, 20, 10);

	assert_ptr_equal(thread_parent(st.threads, tool), shell);
	assert_ptr_equal(thread_ancestor(st.threads, tool, 0), tool);
	assert_ptr_equal(thread_ancestor(st.threads, tool, 2), init);
	assert_null(thread_ancestor(st.threads, tool, 3));
}

static void children_of_the_dead_go_to_init(void **state)
{
	struct thread *init = add(1, 1, 0);
	add(10, 10, 1);
	struct thread *tool = add(20, 20, 10);

	thread_remove(st.threads, 10);
	assert_null(thread_find(st.threads, 10));
	assert_int_equal(tool->ptid, 1);
	assert_ptr_equal(thread_parent(st.threads, tool), init);
}

static void children_go_to_the_reaper_that_the_kernel_named(void **state)
{
	add(1, 1, 0);
	struct thread *manager = add(5, 5, 1), *dying = add(10, 10, 1), *tool = add(20, 20, 10);

	dying->reaper_tid = 5;
	thread_remove(st.threads, 10);
	assert_ptr_equal(thread_parent(st.threads, tool), manager);
	assert_true(manager->group->reaper);
}

static void children_go_to_a_sibling_thread_first(void **state)
{
	add(1, 1, 0);
	struct thread *leader = add(10, 10, 1), *second = add(11, 10, 1), *tool = add(20, 20, 10);

	thread_remove(st.threads, 10);
	assert_int_equal(tool->ptid, 11);
	assert_ptr_equal(thread_find(st.threads, 10), leader);	/* stays while the second thread lives */
	assert_true(leader->flags & THREAD_DEAD);
	assert_ptr_equal(thread_main(st.threads, second), leader);
	thread_remove(st.threads, 11);
	assert_null(thread_find(st.threads, 10));
	assert_null(thread_find(st.threads, 11));
}

static void without_a_known_parent_the_parent_is_0(void **state)
{
	assert_int_equal(add(10, 10, 999)->ptid, 0);
}

static void threads_share_the_descriptors_of_their_leader(void **state)
{
	struct thread *leader = add(10, 10, 0), *second = add(11, 10, 0);
	struct fd_draft d = { .type = FD_FIFO };

	fd_publish(st.fds, thread_fds_slot(st.threads, second), 3, &d);
	assert_non_null(fdtable_get(leader->fds, 3));
	assert_ptr_equal(thread_fds(st.threads, second), leader->fds);
	assert_int_equal(thread_group_alive(second), 2);
}

static void a_placeholder_knows_its_number_only(void **state)
{
	struct thread *t = thread_get(st.threads, 77);

	assert_true(thread_is_placeholder(t));
	assert_str(thread_comm(t), "<NA>");
	assert_int_equal(t->pid, -1);
	assert_int_equal(t->uid, UINT32_MAX);
	assert_null(thread_main(st.threads, t));
	assert_ptr_equal(thread_get(st.threads, 77), t);
}

static void a_full_table_refuses_and_counts(void **state)
{
	for (int64_t tid = 1; tid <= 50; tid++)
		assert_non_null(thread_get(st.threads, tid));
	assert_null(thread_get(st.threads, 51));
	assert_int_equal(threads_count(st.threads), 50);
	assert_int_equal(threads_overflow(st.threads), 1);
}

static void a_loop_of_parents_ends(void **state)
{
	struct thread *a = add(10, 10, 0), *b = add(20, 20, 10);

	a->ptid = 20;
	for (uint32_t n = 1; n < 100; n++)
		thread_ancestor(st.threads, b, n);
	assert_null(thread_ancestor(st.threads, b, 1000));
	thread_remove(st.threads, 10);
	thread_remove(st.threads, 20);
	assert_int_equal(threads_count(st.threads), 0);
}

static void a_thread_of_the_same_number_replaces(void **state)
{
	add(1, 1, 0);
	add(10, 10, 1);
	struct thread *child = add(20, 20, 10), *other = add(10, 10, 1);

	assert_ptr_equal(thread_find(st.threads, 10), other);
	assert_null(child->parent);
	assert_int_equal(thread_group_alive(other), 1);
}

static void images_are_shared_until_they_differ(void **state)
{
	struct image_parts p = { .comm = STR("a"), .exe = STR("/bin/a"), .args = { "x\0y", 3 } };
	struct thread *t = add(10, 10, 0);
	struct image *image = image_new(st.threads, &p);
	struct str item;
	uint32_t pos = 0;

	image->refs++;
	thread_set_image(st.threads, t, image);
	p.comm = STR("b");
	thread_set_image(st.threads, t, image_new(st.threads, &p));
	assert_str(istr_str(image->comm), "a");
	assert_str(thread_comm(t), "b");
	assert_ptr_equal(image->exe, t->image->exe);
	assert_true(blob_next(istr_str(image->args), &pos, &item));
	assert_str(item, "x");
	assert_true(blob_next(istr_str(image->args), &pos, &item));
	assert_str(item, "y");
	assert_false(blob_next(istr_str(image->args), &pos, &item));
	image_drop(st.threads, image);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(families),
		TEST(children_of_the_dead_go_to_init),
		TEST(children_go_to_the_reaper_that_the_kernel_named),
		TEST(children_go_to_a_sibling_thread_first),
		TEST(without_a_known_parent_the_parent_is_0),
		TEST(threads_share_the_descriptors_of_their_leader),
		TEST(a_placeholder_knows_its_number_only),
		TEST(a_full_table_refuses_and_counts),
		TEST(a_loop_of_parents_ends),
		TEST(a_thread_of_the_same_number_replaces),
		TEST(images_are_shared_until_they_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
