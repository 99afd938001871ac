/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../c/engine/ffi.h"

/* What can be read from a pipe right now. */
static size_t available(int fd, char *buf, size_t cap)
{
	ssize_t n = read(fd, buf, cap);
	return n > 0 ? (size_t)n : 0;
}

static void open_pipe(int p[2])
{
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
}

static void close_pipe(int p[2])
{
	close(p[0]);
	close(p[1]);
}

static void writes_at_once_unless_buffered(void **state)
{
	struct writer *w;
	char buf[64];
	int p[2];

	open_pipe(p);
	assert_non_null(w = writer_new(p[1]));
	assert_int_equal(writer_put(w, "one", 3), 0);
	assert_int_equal(available(p[0], buf, sizeof buf), 3);
	writer_set_buffered(w, true);
	assert_int_equal(writer_put(w, "two", 3), 0);
	assert_int_equal(available(p[0], buf, sizeof buf), 0);
	assert_int_equal(writer_flush(w), 0);
	assert_int_equal(available(p[0], buf, sizeof buf), 3);
	assert_memory_equal(buf, "two", 3);
	writer_put(w, "three", 5);
	writer_set_buffered(w, false);
	assert_int_equal(available(p[0], buf, sizeof buf), 5);
	writer_set_buffered(w, true);
	writer_put(w, "four", 4);
	writer_free(w);
	assert_int_equal(available(p[0], buf, sizeof buf), 4);
	close_pipe(p);
}

static void two_writers_do_not_know_of_each_other(void **state)
{
	struct writer *a, *b;
	char buf[64];
	int p[2];

	open_pipe(p);
	assert_non_null(a = writer_new(p[1]));
	assert_non_null(b = writer_new(p[1]));
	writer_set_buffered(a, true);
	assert_int_equal(writer_put(a, "a", 1), 0);
	assert_int_equal(writer_put(b, "b", 1), 0);
	writer_free(a);
	assert_int_equal(available(p[0], buf, sizeof buf), 2);
	assert_memory_equal(buf, "ba", 2);
	writer_free(b);
	close_pipe(p);
}

static void keeps_the_order_of_small_and_large(void **state)
{
	static char large[200 << 10], back[sizeof large + 16];
	char path[] = "/tmp/test_sysXXXXXX";
	int fd = mkstemp(path);
	struct writer *w = writer_new(fd);

	memset(large, 'x', sizeof large);
	assert_non_null(w);
	writer_set_buffered(w, true);
	assert_int_equal(writer_put(w, "<", 1), 0);
	assert_int_equal(writer_put(w, large, sizeof large), 0);
	assert_int_equal(writer_put(w, ">", 1), 0);
	assert_int_equal(writer_flush(w), 0);
	assert_int_equal(pread(fd, back, sizeof back, 0), sizeof large + 2);
	assert_int_equal(back[0], '<');
	assert_int_equal(back[sizeof large], 'x');
	assert_int_equal(back[sizeof large + 1], '>');
	writer_free(w);
	close(fd);
	unlink(path);
}

static void an_error_stays(void **state)
{
	struct writer *w;
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	open_pipe(p);
	close(p[0]);
	assert_non_null(w = writer_new(p[1]));
	assert_int_equal(writer_put(w, "x", 1), -SYS_EPIPE);
	assert_int_equal(writer_put(w, "x", 1), -EPIPE);
	assert_int_equal(writer_flush(w), -EPIPE);
	close(p[1]);
	writer_free(w);
	assert_int_equal(sys_write(1000000, "x", 1), -EBADF);
	assert_int_equal(sys_write(-1, "x", 1), -EBADF);
}

static void directories_are_sorted_by_bytes(void **state)
{
	static const char *const names[] = { "b", "a", "B", "10", "9", ".hidden" };
	static const char *const sorted[] = { ".hidden", "10", "9", "B", "a", "b" };
	char dir[] = "/tmp/test_sysXXXXXX", path[64];
	struct sys_dir *d;
	int error;

	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	assert_int_equal(sys_kind(dir), SYS_DIR);
	assert_int_equal(sys_kind(path), SYS_FILE);
	assert_int_equal(sys_kind("/dev/null"), SYS_OTHER);
	d = sys_dir_open(dir, &error);
	assert_non_null(d);
	for (uint32_t i = 0; i < 6; i++)
		assert_string_equal(sys_dir_name(d, i), sorted[i]);
	assert_null(sys_dir_name(d, 6));
	sys_dir_free(d);
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	assert_int_equal(sys_kind(dir), SYS_MISSING);
	assert_null(sys_dir_open(dir, &error));
	assert_int_equal(error, -ENOENT);
}

/* A link that leads to itself is there, and cannot be looked at: not the same as missing. */
static void what_cannot_be_looked_at_is_not_missing(void **state)
{
	char dir[] = "/tmp/test_sysXXXXXX", path[64], below[80];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/loop", dir);
	snprintf(below, sizeof below, "%s/x", path);
	assert_int_equal(symlink(path, path), 0);
	assert_int_equal(sys_kind(path), -ELOOP);
	assert_int_equal(sys_kind(below), -ELOOP);
	unlink(path);
	assert_int_equal(sys_kind(below), SYS_MISSING);
	assert_int_equal(sys_kind("/dev/null/x"), SYS_MISSING);
	rmdir(dir);
}

static void a_hangup_is_a_request_if_those_are_served(void **state)
{
	struct err err = { 0 };
	struct engine *eng = engine_new(NULL, &err);
	struct sigaction now;

	assert_non_null(eng);
	sys_serve_requests(true);		/* before there is an engine, too */
	raise(SIGHUP);
	assert_true(sys_has_requests());
	sys_stop_on_signals(eng);
	assert_int_equal(sys_requests(), REQUEST_RELOAD);
	raise(SIGHUP);
	raise(SIGHUP);
	sys_request(REQUEST_TICK);
	assert_int_equal(sys_stop_signal(), 0);
	assert_int_equal(sys_requests(), REQUEST_RELOAD | REQUEST_TICK);
	assert_int_equal(sys_requests(), 0);
	sys_stop_on_signals(NULL);
	sys_serve_requests(false);
	sigaction(SIGHUP, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	sys_stop_on_signals(eng);
	sigaction(SIGHUP, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	sys_stop_on_signals(NULL);
	signal(SIGHUP, SIG_DFL);
	engine_free(eng);
}

static void a_signal_is_remembered_and_the_second_is_not_ours(void **state)
{
	struct err err = { 0 };
	struct engine_limits limits = { 0 };
	struct engine *eng = engine_new(&limits, &err);
	struct sigaction now;

	assert_non_null(eng);
	sys_stop_on_signals(eng);
	assert_int_equal(sys_stop_signal(), 0);
	raise(SIGTERM);
	assert_int_equal(sys_stop_signal(), SIGTERM);
	sigaction(SIGTERM, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	sys_stop_on_signals(NULL);
	engine_free(eng);
}

static void clocks_go_on(void **state)
{
	uint64_t before = sys_now_ns();

	sys_sleep(2);
	assert_true(sys_now_ns() - before >= 2000000);
	assert_true(sys_cpu_ns() > 0);
}

static void the_rest_of_the_machine(void **state)
{
	char name[8];

	assert_true(sys_columns(-1) > 0);
	assert_false(sys_isatty(-1));
	assert_int_equal(sys_hostname(name, 0), -EINVAL);
	assert_string_equal(sys_error_text(-ENOENT), sys_error_text(ENOENT));
	assert_true(sys_page_size() >= 4096);
	assert_int_equal(sys_pid(), getpid());
	assert_true(falco_version()[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_at_once_unless_buffered), cmocka_unit_test(keeps_the_order_of_small_and_large),
		cmocka_unit_test(two_writers_do_not_know_of_each_other), cmocka_unit_test(an_error_stays),
		cmocka_unit_test(directories_are_sorted_by_bytes),
		cmocka_unit_test(what_cannot_be_looked_at_is_not_missing),
		cmocka_unit_test(a_hangup_is_a_request_if_those_are_served),	/* before any signal that is remembered */
		cmocka_unit_test(a_signal_is_remembered_and_the_second_is_not_ours), cmocka_unit_test(clocks_go_on),
		cmocka_unit_test(the_rest_of_the_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
