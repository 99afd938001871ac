/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that watches files: what it notices, what it lets pass, what it does without inotify. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../c/engine/ffi.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const char *text)
{
	int fd = open(in_dir(name), O_CREAT | O_WRONLY | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int new_dir(void **state)
{
	strcpy(dir, "/tmp/test_watchXXXXXX");
	sys_requests();
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[100];

	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

/* Waits up to 5 s for a request, or, if none is expected, 600 ms for its absence. */
static bool asked(uint32_t what, bool expected)
{
	for (int i = 0; i < (expected ? 250 : 30); i++) {
		if (sys_requests() & what)
			return true;
		sys_sleep(20);
	}
	return false;
}

static struct watch *watch_of(const char *a, const char *b, int result)
{
	struct err err = { 0 };
	struct watch *w = watch_new(0, &err);
	const char *paths[] = { a, b };

	assert_non_null(w);
	assert_int_equal(watch_paths(w, paths, b ? 2 : 1, &err), result);
	assert_int_equal(watch_start(w, &err), 0);
	return w;
}

static void only_what_counts_is_noticed(void **state)
{
	struct watch *w;

	put("a", "1");
	w = watch_of(in_dir("a"), NULL, 0);
	put("b", "1");
	assert_false(asked(REQUEST_CHANGED, false));
	put("a", "2");
	assert_true(asked(REQUEST_CHANGED, true));
	assert_false(asked(REQUEST_CHANGED, false));
	unlink(in_dir("a"));
	assert_true(asked(REQUEST_CHANGED, true));
	watch_free(w);
}

static void what_is_not_there_may_come(void **state)
{
	struct watch *w = watch_of(in_dir("x/y/z"), NULL, 0);

	mkdir(in_dir("x"), 0700);
	assert_false(asked(REQUEST_CHANGED, false));
	mkdir(in_dir("x/y"), 0700);
	assert_false(asked(REQUEST_CHANGED, false));
	put("x/y/z", "1");
	assert_true(asked(REQUEST_CHANGED, true));
	watch_free(w);
}

/* Neither is in a directory that is watched. */
static void the_way_to_a_path_may_change(void **state)
{
	struct watch *w;

	mkdir(in_dir("x"), 0700);
	mkdir(in_dir("y"), 0700);
	mkdir(in_dir("x/z"), 0700);
	mkdir(in_dir("y/z"), 0700);
	put("x/z/a", "1");
	put("y/z/a", "1");
	put("y/z/b", "1");
	assert_int_equal(symlink("x", in_dir("link")), 0);
	w = watch_of(in_dir("x/z/a"), in_dir("link/z"), 0);
	assert_false(asked(REQUEST_CHANGED, false));
	assert_int_equal(symlink("y", in_dir("new")), 0);
	assert_int_equal(rename(in_dir("new"), in_dir("link")), 0);
	assert_true(asked(REQUEST_CHANGED, true));
	put("y/z/b", "22");
	assert_true(asked(REQUEST_CHANGED, true));
	assert_int_equal(rename(in_dir("x"), in_dir("gone")), 0);
	assert_true(asked(REQUEST_CHANGED, true));
	assert_false(asked(REQUEST_CHANGED, false));
	watch_free(w);
}

static uint32_t inotify_watches(void)
{
	char line[256];
	uint32_t n = 0;
	FILE *f = popen("cat /proc/$PPID/fdinfo/*", "r");

	while (f && fgets(line, sizeof line, f))
		n += !strncmp(line, "inotify wd:", 11);
	if (f)
		pclose(f);
	return n;
}

/* That would make every open of a file in them dearer, for all programs. */
static void directories_of_others_are_not_watched(void **state)
{
	struct watch *w;
	uint32_t before = inotify_watches();

	mkdir(in_dir("x"), 0700);
	mkdir(in_dir("x/y"), 0700);
	w = watch_of(in_dir("x/y/a"), in_dir("missing/y/a"), 0);
	assert_int_equal(inotify_watches() - before, 1);
	watch_free(w);
}

static void links_that_lead_to_themselves_end(void **state)
{
	struct watch *w;

	assert_int_equal(symlink("loop", in_dir("loop")), 0);
	assert_int_equal(symlink("../../../../..", in_dir("up")), 0);
	w = watch_of(in_dir("loop/x"), in_dir("up/up/up"), 0);
	unlink(in_dir("loop"));
	assert_true(asked(REQUEST_CHANGED, true));
	watch_free(w);
}

/* What stays is compared with what it was when it was first looked at, not with what it is now. */
static void a_change_while_paths_are_changed_is_not_missed(void **state)
{
	const char *paths[2] = { strdup(in_dir("a")), strdup(in_dir("b")) };
	struct err err;
	struct watch *w;

	put("a", "1");
	w = watch_of(in_dir("a"), NULL, 0);
	put("a", "22");
	assert_int_equal(watch_paths(w, paths, 2, &err), 0);
	assert_true(asked(REQUEST_CHANGED, true));
	put("b", "1");
	assert_true(asked(REQUEST_CHANGED, true));
	assert_int_equal(watch_paths(w, paths, 0, &err), 0);
	put("a", "333");
	assert_false(asked(REQUEST_CHANGED, false));
	watch_free(w);
	free((char *)paths[0]);
	free((char *)paths[1]);
}

static void a_change_before_the_thread_starts_is_not_missed(void **state)
{
	const char *path = in_dir("a");
	struct err err = { 0 };
	struct watch *w = watch_new(0, &err);

	put("a", "1");
	assert_int_equal(watch_paths(w, &path, 1, &err), 0);
	put("a", "22");
	assert_int_equal(watch_start(w, &err), 0);
	assert_true(asked(REQUEST_CHANGED, true));
	watch_free(w);
}

static void too_many_paths_are_counted(void **state)
{
	static const char *paths[WATCH_MAX_PATHS + 5];
	struct err err = { 0 };
	struct watch *w = watch_new(0, &err);

	for (int i = 0; i < WATCH_MAX_PATHS + 5; i++)
		paths[i] = "/proc/version";
	assert_int_equal(watch_paths(w, paths, WATCH_MAX_PATHS + 5, &err), 5);
	watch_free(w);
}

static void time_passes(void **state)
{
	struct err err = { 0 };
	struct watch *w = watch_new(30, &err);

	assert_int_equal(watch_start(w, &err), 0);
	assert_true(asked(REQUEST_TICK, true));
	assert_true(asked(REQUEST_TICK, true));
	watch_tick(w, 0);
	sys_sleep(50);
	sys_requests();
	assert_false(asked(REQUEST_TICK, false));
	watch_tick(w, 30);
	assert_true(asked(REQUEST_TICK, true));
	watch_free(w);
}

/* What the Makefile links in the place of the real one. */
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
static bool no_inotify;

int __wrap_inotify_init1(int flags)
{
	errno = EMFILE;
	return no_inotify ? -1 : __real_inotify_init1(flags);
}

static void without_inotify_it_looks_now_and_then(void **state)
{
	struct watch *w;

	put("a", "1");
	no_inotify = true;
	w = watch_of(in_dir("a"), NULL, -EMFILE);
	no_inotify = false;
	put("a", "22");
	assert_true(asked(REQUEST_CHANGED, true));
	assert_false(asked(REQUEST_CHANGED, false));
	watch_free(w);
}

static void without_descriptors_it_says_so(void **state)
{
	struct rlimit before, few;
	struct err err = { 0 };
	struct watch *w;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_non_null(w = watch_new(0, &err));
	setrlimit(RLIMIT_NOFILE, &before);
	assert_true(watch_start(w, &err) < 0);
	watch_free(w);
	assert_non_null(strstr(err.text, "cannot start a thread to watch files"));
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, new_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		IN_DIR(only_what_counts_is_noticed), IN_DIR(what_is_not_there_may_come), IN_DIR(the_way_to_a_path_may_change),
		IN_DIR(directories_of_others_are_not_watched), IN_DIR(links_that_lead_to_themselves_end),
		IN_DIR(a_change_while_paths_are_changed_is_not_missed), 
		IN_DIR(a_change_before_the_thread_starts_is_not_missed), IN_DIR(too_many_paths_are_counted), IN_DIR(time_passes),
		IN_DIR(without_inotify_it_looks_now_and_then), cmocka_unit_test(without_descriptors_it_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
