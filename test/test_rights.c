/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up capabilities: in children, for it is for good. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "../c/engine/ffi.h"
#include "../c/err.h"

static uint64_t status_of(const char *key, unsigned base)
{
	char text[8192] = "", *at;
	int fd = open("/proc/self/status", O_RDONLY);

	if (read(fd, text, sizeof text - 1) < 0)
		return 77;
	close(fd);
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, (int)base) : 77;
}

/* Runs `act` in a child; its result is the child's status. */
static int in_child(int (*act)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(act());
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool keep(uint64_t rights, uint32_t flags)
{
	struct err err = { 0 };
	int rc = sys_keep_rights(rights, flags, &err);

	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	return rc == 0;
}

#define WANT(n, x) do { if (!(x)) return n; } while (0)

static int keep_two(void)
{
	uint64_t had, effective, permitted;

	WANT(1, sys_rights(&effective, &had) == 0 && had == status_of("\nCapPrm:", 16));
	WANT(2, keep(RIGHTS_TO_LOOK_UP, 0));
	WANT(3, status_of("\nCapEff:", 16) == (had & RIGHTS_TO_LOOK_UP));
	WANT(4, status_of("\nCapPrm:", 16) == (had & RIGHTS_TO_LOOK_UP));
	WANT(5, status_of("\nCapInh:", 16) == 0 && status_of("\nCapAmb:", 16) == 0);
	WANT(6, status_of("\nNoNewPrivs:", 10) == 1);
	WANT(7, sys_rights(&effective, &permitted) == 0 && effective == permitted && permitted == (had & RIGHTS_TO_LOOK_UP));
	if (had >> 8 & 1)	/* CAP_SETPCAP */
		WANT(8, status_of("\nCapBnd:", 16) == (status_of("\nCapBnd:", 16) & RIGHTS_TO_LOOK_UP));
	WANT(9, keep(~0ull, 0) && status_of("\nCapPrm:", 16) == (had & RIGHTS_TO_LOOK_UP));	/* nothing comes back */
	WANT(10, keep(0, 0) && status_of("\nCapPrm:", 16) == 0);
	return 0;
}

static int keep_for_programs(void)
{
	uint64_t bounding = status_of("\nCapBnd:", 16);

	WANT(1, keep(RIGHT_SYS_PTRACE, RIGHTS_FOR_PROGRAMS));
	WANT(2, status_of("\nNoNewPrivs:", 10) == 0);
	WANT(3, status_of("\nCapBnd:", 16) == bounding);
	WANT(4, (status_of("\nCapEff:", 16) & ~(uint64_t)RIGHT_SYS_PTRACE) == 0);
	return 0;
}

static void what_is_not_kept_is_gone(void **state)
{
	assert_int_equal(in_child(keep_two), 0);
}

static void programs_may_have_more(void **state)
{
	assert_int_equal(in_child(keep_for_programs), 0);
}

static void links_are_read(void **state)
{
	char buf[64], small[4];

	assert_true(sys_link("/proc/self/ns/pid", buf, sizeof buf) > 0);
	assert_int_equal(strncmp(buf, "pid:[", 5), 0);
	assert_int_equal(sys_link("/proc/self/ns/pid", small, sizeof small), 3);
	assert_string_equal(small, "pid");
	assert_true(sys_link("/nowhere", buf, sizeof buf) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_kept_is_gone), cmocka_unit_test(programs_may_have_more),
		cmocka_unit_test(links_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
