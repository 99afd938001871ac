/* SPDX-License-Identifier: Apache-2.0 */
/* What scripts do to processes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "../c/engine/ffi.h"

static uint64_t now(void)
{
	return sys_wall_ns();
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(pid > 1);
	return pid;
}

static int reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void knows_signals_by_name(void **state)
{
	assert_int_equal(act_signal("KILL"), SIGKILL);
	assert_int_equal(act_signal("SIGTERM"), SIGTERM);
	assert_int_equal(act_signal("SEGV"), -EINVAL);
	assert_int_equal(act_signal(""), -EINVAL);
}

static void signals_a_process(void **state)
{
	struct err err = { 0 };
	pid_t pid = sleeper();

	assert_int_equal(act_kill(pid, SIGTERM, now(), &err), 0);
	assert_int_equal(WTERMSIG(reap(pid)), SIGTERM);
	assert_int_equal(act_kill(pid, SIGTERM, now(), &err), -ESRCH);
}

static void spares_one_that_began_later(void **state)
{
	struct err err = { 0 };
	uint64_t event = now() - 1000000000u;
	pid_t pid = sleeper();

	assert_int_equal(act_kill(pid, SIGKILL, event, &err), -ESRCH);
	assert_non_null(strstr(err.text, "began later"));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(act_kill(pid, SIGKILL, now(), &err), 0);
	reap(pid);
}

static void spares_the_first_itself_and_groups(void **state)
{
	struct err err = { 0 };
	int32_t never[] = { 1, 0, -1, -2, INT32_MIN, getpid() };

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		assert_int_equal(act_kill(never[i], SIGCONT, now(), &err), -EPERM);
}

/* ------------------------------------------------------------------ programs */

static struct program *run(const char *const *argv, const char *input, uint32_t timeout_ms, uint32_t max)
{
	struct err err = { 0 };
	struct program *p = act_program(argv, input, (uint32_t)strlen(input), timeout_ms, max, &err);

	if (!p)
		fail_msg("%s", err.text);
	return p;
}

/* As the output thread does it. */
static struct program_end wait_for(struct program *p)
{
	struct program_end end;

	for (int i = 0; i < 10000; i++) {
		if (act_program_step(p, &end))
			return end;
		struct pollfd fds[3] = {
			{ .fd = act_program_fd(p, 0), .events = POLLIN },
			{ .fd = act_program_fd(p, 1), .events = POLLOUT },
			{ .fd = act_program_fd(p, 2), .events = POLLIN },
		};
		uint64_t at = sys_now_ns(), until = act_program_deadline(p);
		poll(fds, 3, until > at ? (int)((until - at) / 1000000 + 1) : 20);
	}
	fail_msg("it does not end");
	return end;
}

static void runs_a_program(void **state)
{
	const char *const argv[] = { "/bin/cat", "-", NULL };
	struct program *p = run(argv, "some input", 5000, 100);
	struct program_end end = wait_for(p);

	assert_int_equal(end.status, 0);
	assert_int_equal(end.output_len, 10);
	assert_memory_equal(end.output, "some input", 10);
	act_program_free(p);
}

static void passes_arguments_as_they_are(void **state)
{
	const char *const argv[] = { "/bin/echo", "$(id); `id` | \"x\" *", NULL };
	struct program *p = run(argv, "", 5000, 100);
	struct program_end end = wait_for(p);

	assert_int_equal(end.output_len, strlen(argv[1]) + 1);
	assert_memory_equal(end.output, argv[1], strlen(argv[1]));
	act_program_free(p);
}

static void tells_how_it_ended(void **state)
{
	const char *const fails[] = { "/bin/sh", "-c", "echo oops >&2; exit 3", NULL };
	const char *const dies[] = { "/bin/sh", "-c", "kill -9 $$", NULL };
	struct program *p = run(fails, "", 5000, 100);
	struct program_end end = wait_for(p);

	assert_int_equal(end.status, 3);
	assert_memory_equal(end.output, "oops\n", 5);
	act_program_free(p);
	p = run(dies, "", 5000, 100);
	end = wait_for(p);
	assert_int_equal(end.status, -1);
	assert_int_equal(end.signal, SIGKILL);
	act_program_free(p);
}

static void ends_one_that_takes_too_long_with_all_it_started(void **state)
{
	const char *const argv[] = { "/bin/sh", "-c", "sleep 100 & echo $!; wait", NULL };
	uint64_t began = sys_now_ns();
	struct program *p = run(argv, "", 300, 100);
	struct program_end end = wait_for(p);

	assert_true(end.timed_out);
	assert_int_equal(end.signal, SIGKILL);
	assert_true(sys_now_ns() - began < 5000000000u);
	int child = atoi(end.output_len ? end.output : "0");
	assert_true(child > 1);
	for (int i = 0; i < 200 && kill(child, 0) == 0; i++)	/* until its new parent has reaped it */
		usleep(10000);
	char path[64], text[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", child);
	int fd = open(path, O_RDONLY);
	if (fd >= 0) {		/* or stays a zombie where nobody reaps */
		assert_true(read(fd, text, sizeof text - 1) > 0);
		close(fd);
		assert_non_null(strstr(text, ") Z"));
	}
	act_program_free(p);
}

static void keeps_so_much_output(void **state)
{
	const char *const argv[] = { "/usr/bin/head", "-c", "3000000", "/dev/zero", NULL };
	struct program *p = run(argv, "", 20000, 1000);
	struct program_end end = wait_for(p);

	assert_int_equal(end.status, 0);
	assert_int_equal(end.output_len, 1000);
	assert_true(end.cut);
	act_program_free(p);
}

static void survives_one_that_does_not_read(void **state)
{
	const char *const argv[] = { "/bin/true", NULL };
	static char much[1 << 20];

	memset(much, 'x', sizeof much - 1);
	struct program *p = run(argv, much, 5000, 100);
	struct program_end end = wait_for(p);
	assert_int_equal(end.status, 0);
	act_program_free(p);
}

static void hands_on_no_descriptor_and_no_secret(void **state)
{
	const char *const argv[] = { "/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; pwd; env | sort | tr '\\n' ' '", NULL };
	int open_one = open("/dev/null", O_RDONLY);		/* not close-on-exec */

	assert_true(open_one > 2);
	setenv("SECRET", "xyzzy", 1);
	struct program *p = run(argv, "", 5000, 1000);
	struct program_end end = wait_for(p);
	assert_true(end.output_len > 8 && end.output_len < 1000);
	char text[1001] = "";
	memcpy(text, end.output, end.output_len);
	assert_int_equal(strncmp(text, "0 1 2 3 /\n", 10), 0);	/* 3: ls reads the directory */
	assert_null(strstr(text, "SECRET"));
	act_program_free(p);
	close(open_one);
}

static void refuses_what_is_no_program(void **state)
{
	struct err err = { 0 };
	const char *const relative[] = { "true", NULL }, *const missing[] = { "/nonexistent/program", NULL }, *const none[] = { NULL };

	assert_null(act_program(relative, "", 0, 1000, 100, &err));
	assert_non_null(strstr(err.text, "whole path"));
	assert_null(act_program(missing, "", 0, 1000, 100, &err));
	assert_non_null(strstr(err.text, "/nonexistent/program"));
	assert_null(act_program(none, "", 0, 1000, 100, &err));
}

static void takes_one_that_runs_with_it(void **state)
{
	const char *const argv[] = { "/bin/sleep", "100", NULL };
	uint64_t began = sys_now_ns();

	act_program_free(run(argv, "", 100000, 100));
	assert_true(sys_now_ns() - began < 5000000000u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_signals_by_name),
		cmocka_unit_test(signals_a_process),
		cmocka_unit_test(spares_one_that_began_later),
		cmocka_unit_test(spares_the_first_itself_and_groups),
		cmocka_unit_test(runs_a_program),
		cmocka_unit_test(passes_arguments_as_they_are),
		cmocka_unit_test(tells_how_it_ended),
		cmocka_unit_test(ends_one_that_takes_too_long_with_all_it_started),
		cmocka_unit_test(keeps_so_much_output),
		cmocka_unit_test(survives_one_that_does_not_read),
		cmocka_unit_test(hands_on_no_descriptor_and_no_secret),
		cmocka_unit_test(refuses_what_is_no_program),
		cmocka_unit_test(takes_one_that_runs_with_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
