/* SPDX-License-Identifier: Apache-2.0 */
/* HOST_ROOT, and the one place where a replay shows it: the names of descriptors that stand for processes. */
#include <stdlib.h>
#include "ask.h"
#include "../c/engine/parse.h"

static void an_engine_of(const char *root)
{
	teardown(NULL);
	if (root)
		setenv("HOST_ROOT", root, 1);
	else
		unsetenv("HOST_ROOT");
	assert_int_equal(setup(NULL), 0);
}

/* Process 4 opens process 77 as descriptor 3. */
static void pidfd_open(void)
{
	int64_t fd = 3, pid = 77;
	uint32_t flags = 0;

	event_is(EV_SYSCALL_PIDFD_OPEN_X, add_process(4, 0, "tool"));
	evt.param[0] = (struct param){ (const uint8_t *)&fd, sizeof fd };
	evt.param[1] = (struct param){ (const uint8_t *)&pid, sizeof pid };
	evt.param[2] = (struct param){ (const uint8_t *)&flags, sizeof flags };
	evt.h.nparams = 3;
	parse_pidfd_open(&evt);
}

static void pidfds_are_named_below_the_hosts_root(void **state)
{
	an_engine_of(NULL);
	pidfd_open();
	expect("fd.name", "/proc/77");
	an_engine_of("/host");
	pidfd_open();
	expect("fd.name", "/host/proc/77");
	assert_int_equal(evt.fd->d.pid, 77);
}

static void a_long_root_is_cut(void **state)
{
	char root[5000];

	memset(root, 'x', sizeof root - 1);
	root[sizeof root - 1] = '\0';
	an_engine_of(root);
	assert_int_equal(host_root(&st.host).len, sizeof st.host.root);
	pidfd_open();
	assert_int_equal(evt.fd->d.name.len, sizeof st.host.root + strlen("/proc/77"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pidfds_are_named_below_the_hosts_root), cmocka_unit_test(a_long_root_is_cut),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
