/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that come by SCM_RIGHTS: which numbers the host is asked about, whatever the control data says. */
#include "check.h"
#include <string.h>
#include <stdlib.h>
#include "../c/engine/parse.h"
#include "../c/engine/scap.h"
#include "../c/engine/state.h"

static struct state st;
static struct arena scratch = { .limit = 1 << 20 };
static int64_t asked[16];
static int nasked;

static void ask(void *ctx, int64_t pid, int64_t fd)
{
	assert_int_equal(pid, 10);
	assert_true(nasked < 16);
	asked[nasked++] = fd;
}

static const struct lookup host = { .fd = ask };

static int setup(void **state)
{
	struct engine_limits limits = { .max_threads = 50 };
	struct thread *t;

	nasked = 0;
	if (state_init(&st, &limits) || !(t = thread_new(st.threads, 10)))
		return -1;
	t->pid = 10;
	thread_insert(st.threads, t, false);
	st.lookup = &host;
	return 0;
}

static int teardown(void **state)
{
	arena_free(&scratch);
	state_free(&st);
	return 0;
}

static void receive(uint16_t code, int64_t res, const void *control, uint32_t len)
{
	static const uint8_t zeros[8];
	bool many = code == EV_SOCKET_RECVMMSG_X;
	struct evt e = { .st = &st, .scratch = &scratch, .serial = 1, .info = event_row(code) };
	/* recvmsg: res, size, data, tuple, msgcontrol, fd; recvmmsg: res, fd, size, data, tuple, msgcontrol */
	const struct scap_param params[6] = {
		{ (const uint8_t *)&res, 8 }, { zeros, many ? 8 : 4 }, { zeros, many ? 4 : 0 }, { zeros, 0 },
		{ many ? zeros : control, many ? 0 : len }, { many ? control : zeros, many ? len : 8 },
	};

	e.h = (struct evt_head){ .code = code, .ts = 1000, .tid = 10, .nparams = 6 };
	memcpy(e.param, params, sizeof params);
	parse_event(&e);
}

struct head {
	uint64_t len;
	uint32_t level, type;
	int32_t data[4];
};

static void rights(void **state)
{
	struct head control[2] = { { 16 + 12, 1, 1, { 7, 8, 9 } }, { 16 + 4, 1, 1, { 12 } } };

	receive(EV_SOCKET_RECVMSG_X, 1, control, sizeof control);
	assert_int_equal(nasked, 4);
	assert_int_equal(asked[0], 7);
	assert_int_equal(asked[2], 9);
	assert_int_equal(asked[3], 12);
	nasked = 0;
	receive(EV_SOCKET_RECVMMSG_X, 1, control, sizeof control[0]);
	assert_int_equal(nasked, 3);
}

static void nothing_to_ask(void **state)
{
	struct head credentials = { 16 + 12, 1, 2, { 7, 8, 9 } }, other_level = { 16 + 4, 41, 1, { 7 } };
	struct head good = { 16 + 4, 1, 1, { 7 } };

	receive(EV_SOCKET_RECVMSG_X, 1, &credentials, sizeof credentials);
	receive(EV_SOCKET_RECVMSG_X, 1, &other_level, sizeof other_level);
	receive(EV_SOCKET_RECVMSG_X, -11, &good, sizeof good);
	receive(EV_SOCKET_RECVMSG_X, 1, "", 0);
	st.lookup = NULL;
	receive(EV_SOCKET_RECVMSG_X, 1, &good, sizeof good);
	assert_int_equal(nasked, 0);
}

/* No length leads out of the data, or round in circles. */
static void lies(void **state)
{
	static const uint64_t lens[] = { 0, 1, 15, 16, 17, 19, 33, 1 << 20, UINT64_MAX, UINT64_MAX - 6, (uint64_t)1 << 63 };
	struct head control[2] = { { 0, 1, 1, { 1, 2, 3, 4 } }, { 16 + 4, 1, 1, { 5 } } };

	for (uint32_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		for (uint32_t size = 0; size <= sizeof control; size++) {
			uint8_t *exact = malloc(size ? size : 1);

			control[0].len = lens[i];
			memcpy(exact, control, size);
			nasked = 0;
			receive(EV_SOCKET_RECVMSG_X, 1, exact, size);
			assert_true(nasked <= 5);
			free(exact);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rights, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(lies, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
