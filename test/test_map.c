/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "../c/map.h"

static int cell[4096];

static void holds_what_was_put(void **state)
{
	struct map m = { 0 };

	for (uint64_t k = 0; k < 4096; k++)
		assert_true(map_put(&m, k * 7919, &cell[k]));
	assert_int_equal(m.n, 4096);
	for (uint64_t k = 0; k < 4096; k++)
		assert_ptr_equal(map_get(&m, k * 7919), &cell[k]);
	assert_null(map_get(&m, 1));
	map_free(&m);
}

static void replacing_moves_nothing(void **state)
{
	struct map m = { 0 };

	for (uint64_t k = 0; k < 6; k++)
		map_put(&m, k, &cell[k]);
	struct map_slot *slots = m.slots;
	for (uint64_t k = 0; k < 6; k++)
		map_put(&m, k, &cell[k + 10]);
	assert_ptr_equal(m.slots, slots);
	assert_int_equal(m.n, 6);
	assert_ptr_equal(map_get(&m, 5), &cell[15]);
	map_free(&m);
}

/* Against a plain array, over a small key space so that probe runs are long and deletion has to shift entries back. */
static void agrees_with_an_array(void **state)
{
	struct map m = { 0 };
	int *model[64] = { 0 };
	uint32_t seed = 1, n = 0;

	for (int step = 0; step < 200000; step++) {
		seed = seed * 1664525 + 1013904223;
		uint64_t key = seed >> 8 & 63;
		if (seed >> 30) {
			n += !model[key];
			model[key] = &cell[step & 4095];
			assert_true(map_put(&m, key, model[key]));
		} else {
			n -= model[key] != NULL;
			assert_ptr_equal(map_take(&m, key), model[key]);
			model[key] = NULL;
		}
		assert_int_equal(m.n, n);
		assert_ptr_equal(map_get(&m, key), model[key]);
	}
	for (uint64_t key = 0; key < 64; key++)
		assert_ptr_equal(map_get(&m, key), model[key]);
	uint32_t seen = 0;
	uint64_t key;
	int *value;
	for (uint32_t i = 0; map_next(&m, &i, &key, &value); seen++)
		assert_ptr_equal(value, model[key]);
	assert_int_equal(seen, n);
	map_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_was_put),
		cmocka_unit_test(replacing_moves_nothing),
		cmocka_unit_test(agrees_with_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
