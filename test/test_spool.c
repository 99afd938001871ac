/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts that wait, in memory and on disk: backlog.c, spool.c; and writing without waiting: sink.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "../c/engine/ffi.h"

enum { MB = 1 << 20 };

static char dir[64];

static char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int new_dir(void **state)
{
	strcpy(dir, "/tmp/falco-spool-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

/* Alert number i: its line tells it, and has some length of its own. */
static struct note note_of(uint32_t i)
{
	static char line[8192];
	uint32_t len = (uint32_t)snprintf(line, sizeof line, "alert %u %*s\n", i, (int)(i * 37 % 900), "");

	return (struct note){
		.ts = i, .line = line, .line_len = len, .mark_at = 1, .mark_len = 2, .rule = "a rule", .rule_len = 6, .source = "syscall",
		.source_len = 7, .tags = "a\0bc\0", .tags_len = 5, .priority = i % 8,
	};
}

static void is_note(const struct note *n, uint32_t i)
{
	struct note want = note_of(i);

	assert_int_equal(n->ts, i);
	assert_int_equal(n->line_len, want.line_len);
	assert_memory_equal(n->line, want.line, want.line_len);
	assert_int_equal(n->mark_at, 1);
	assert_int_equal(n->mark_len, 2);
	assert_int_equal(n->rule_len, 6);
	assert_memory_equal(n->rule, "a rule", 6);
	assert_memory_equal(n->source, "syscall", 7);
	assert_int_equal(n->tags_len, 5);
	assert_memory_equal(n->tags, "a\0bc\0", 5);
	assert_int_equal(n->priority, i % 8);
}

static struct spool *open_spool(uint64_t max)
{
	struct err err = { 0 };
	struct spool *s = spool_open(dir, max, &err);

	if (!s)
		fail_msg("%s", err.text);
	return s;
}

static void put_many(struct spool *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct note n = note_of(i);
		assert_int_equal(spool_put(s, &n), 0);
	}
}

static void take_many(struct spool *s, uint32_t from, uint32_t to)
{
	struct note n;

	for (uint32_t i = from; i < to; i++) {
		assert_int_equal(spool_next(s, &n), 1);
		is_note(&n, i);
		spool_step(s);
	}
}

static uint32_t files(void)
{
	char command[160], out[16] = "";
	FILE *p;

	snprintf(command, sizeof command, "ls '%s' | grep -c spool$", dir);
	p = popen(command, "r");
	assert_non_null(fgets(out, sizeof out, p));
	pclose(p);
	return (uint32_t)atoi(out);
}

/* ------------------------------------------------------------------ memory */

static void a_backlog_keeps_order(void **state)
{
	struct backlog *b = backlog_new(8 * MB);
	struct note n;
	uint32_t in = 0, taken = 0, acked = 0, seed = 7;

	while (acked < 5000) {
		seed = seed * 1103515245 + 12345;
		switch (seed >> 16 & 7) {
		case 0: case 1: case 2: case 3:
			n = note_of(in);
			if (in < 5000 && backlog_put(b, &n) == 0)
				in++;
			break;
		case 4: case 5:
			assert_int_equal(backlog_next(b, &n), taken < in);
			if (taken < in) {
				is_note(&n, taken++);
				backlog_step(b);
			}
			break;
		case 6:
			if (acked < taken) {
				uint32_t k = 1 + (seed >> 24) % (taken - acked);
				backlog_ack(b, k);
				acked += k;
			}
			break;
		default:
			if (seed >> 28 == 0) {
				backlog_rewind(b);
				taken = acked;
			}
		}
		assert_int_equal(backlog_count(b), in - acked);
		assert_int_equal(backlog_under_way(b), taken - acked);
	}
	backlog_free(b);
}

static void a_backlog_is_bounded(void **state)
{
	struct backlog *b = backlog_new(100000);
	struct note n;
	uint32_t i = 0;

	for (;; i++) {
		n = note_of(i);
		if (backlog_put(b, &n) < 0)
			break;
	}
	assert_in_range(i, 100, 1000);
	assert_false(backlog_has_room(b));
	assert_true(backlog_next(b, &n));
	backlog_step(b);
	backlog_next(b, &n);
	backlog_step(b);
	backlog_ack(b, 2);
	n = note_of(i);
	assert_int_equal(backlog_put(b, &n), 0);
	backlog_free(b);
}

/* ------------------------------------------------------------------ disk */

static void a_spool_keeps_order(void **state)
{
	struct spool *s = open_spool(64 * MB);
	struct note n;

	assert_int_equal(spool_next(s, &n), 0);
	put_many(s, 0, 3000);
	take_many(s, 0, 1000);
	assert_int_equal(spool_count(s), 3000);
	spool_ack(s, 500);
	assert_int_equal(spool_count(s), 2500);
	assert_int_equal(spool_under_way(s), 500);
	spool_rewind(s);
	take_many(s, 500, 3000);
	put_many(s, 3000, 3100);		/* read while it grows */
	take_many(s, 3000, 3100);
	assert_int_equal(spool_next(s, &n), 0);
	spool_ack(s, 2600);
	assert_int_equal(spool_count(s), 0);
	assert_int_equal(files(), 0);
	put_many(s, 3100, 3110);		/* and used again */
	take_many(s, 3100, 3110);
	spool_close(s);
}

static void a_spool_is_there_after_a_restart(void **state)
{
	struct spool *s = open_spool(8 * MB);

	put_many(s, 0, 5000);
	take_many(s, 0, 2000);
	spool_ack(s, 1500);
	assert_true(files() > 1);
	spool_close(s);
	s = open_spool(8 * MB);
	assert_int_equal(spool_count(s), 3500);
	take_many(s, 1500, 5000);
	put_many(s, 5000, 5010);
	take_many(s, 5000, 5010);
	spool_ack(s, 3510);
	spool_close(s);
	s = open_spool(8 * MB);
	assert_int_equal(spool_count(s), 0);
	put_many(s, 1, 2);
	take_many(s, 1, 2);
	spool_close(s);
}

/* A process that is killed at any time: what it said to have put is there, what it acked is not sent again. */
static void a_spool_survives_kill_9(void **state)
{
	for (int round = 0; round < 5; round++) {
		int ends[2];
		uint32_t told[2] = { 0, 0 }, now[2];
		pid_t pid;
		struct spool *s;
		struct note n;

		assert_int_equal(pipe(ends), 0);
		remove_dir(state);
		assert_int_equal(mkdir(dir, 0700), 0);
		if ((pid = fork()) == 0) {
			struct err err;
			s = spool_open(dir, 256 * MB, &err);
			for (uint32_t i = 0;; i++) {
				n = note_of(i);
				if (spool_put(s, &n) < 0)
					_exit(1);
				if (i % 3 == 0 && spool_next(s, &n)) {
					spool_step(s);
					spool_ack(s, 1);
				}
				now[0] = i + 1;
				now[1] = (uint32_t)(i + 1 - spool_count(s));
				if (write(ends[1], now, sizeof now) < 0)
					_exit(2);
			}
		}
		close(ends[1]);
		usleep(3000 + (useconds_t)round * 7000);
		for (int i = 0; i < 100 && read(ends[0], now, sizeof now) == sizeof now; i++)
			memcpy(told, now, sizeof now);
		kill(pid, SIGKILL);
		while (read(ends[0], now, sizeof now) == sizeof now)
			memcpy(told, now, sizeof now);
		waitpid(pid, NULL, 0);
		close(ends[0]);

		s = open_spool(256 * MB);
		assert_int_equal(spool_next(s, &n), 1);
		assert_in_range(n.ts, told[1], told[1] + 1);
		uint32_t first = (uint32_t)n.ts;
		assert_true(first + spool_count(s) >= told[0]);
		take_many(s, first, told[0]);
		spool_close(s);
	}
}

static void a_spool_is_bounded(void **state)
{
	struct spool *s = open_spool(MB);
	struct spool_stats stats;
	uint32_t i = 0;

	for (;; i++) {
		struct note n = note_of(i);
		if (spool_put(s, &n) < 0)
			break;
	}
	spool_stats(s, &stats);
	assert_in_range(stats.bytes, MB - 2000, MB);
	assert_false(spool_has_room(s));
	take_many(s, 0, i);
	spool_ack(s, i / 2);
	assert_true(spool_has_room(s));
	put_many(s, i, i + 100);
	take_many(s, i, i + 100);
	spool_close(s);
}

static void one_spool_has_one_owner(void **state)
{
	struct spool *s = open_spool(MB);
	struct err err;

	assert_null(spool_open(dir, MB, &err));
	assert_non_null(strstr(err.text, "in use by another process"));
	spool_close(s);
	assert_null(spool_open("/proc/nowhere", MB, &err));
	assert_null(spool_open("/dev/null", MB, &err));
}

/* ------------------------------------------------------------------ damage */

static void make_damaged(const char *file, off_t at, const char *bytes, size_t n)
{
	int fd = open(in_dir(file), O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
}

/* The name of the first segment. */
static const char *first_file(void)
{
	static char name[64];
	char command[128];

	snprintf(command, sizeof command, "ls '%s' | grep spool | head -n 1", dir);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	assert_non_null(fgets(name, sizeof name, p));
	pclose(p);
	name[strcspn(name, "\n")] = '\0';
	return name;
}

static void a_torn_end_is_cut(void **state)
{
	for (off_t cut = 1; cut < 120; cut += 7) {
		struct spool *s;
		struct stat st;
		struct note n;

		remove_dir(state);
		assert_int_equal(mkdir(dir, 0700), 0);
		s = open_spool(64 * MB);
		put_many(s, 0, 100);
		spool_close(s);
		assert_int_equal(stat(in_dir("0000000000000001.spool"), &st), 0);
		assert_int_equal(truncate(in_dir("0000000000000001.spool"), st.st_size - cut), 0);
		s = open_spool(64 * MB);
		assert_int_equal(spool_count(s), 99);
		assert_non_null(strstr(spool_notice(s), "the end was torn"));
		take_many(s, 0, 99);
		assert_int_equal(spool_next(s, &n), 0);
		put_many(s, 99, 101);
		take_many(s, 99, 101);
		spool_close(s);
	}
}

/* Shows all alerts of a damaged spool, some of them under way at a time, and counts; they are what they were, and in order. */
static uint32_t count_whole(struct spool *s, uint32_t window)
{
	uint32_t seen = 0;
	uint64_t last = 0;
	struct note n;

	while (spool_count(s) > 0) {
		for (uint32_t i = 0; i < window && spool_next(s, &n) == 1; i++) {
			assert_true(seen == 0 || n.ts > last);
			last = n.ts;
			is_note(&n, (uint32_t)last);
			spool_step(s);
			seen++;
		}
		spool_ack(s, spool_under_way(s));
	}
	return seen;
}

static void damage_costs_the_alert_that_it_hit(void **state)
{
	static const struct { off_t at; const char *bytes; size_t n; uint32_t lost; } damages[] = {
		{ 5000, "damage", 6, 1 }, { 0, "x", 1, 1 }, { 3000, "FLPOFLPO\377\377\377", 11, 1 },
	};

	for (uint32_t window = 1; window <= 100; window += 33) {
		struct spool *s = open_spool(8 * MB);
		struct spool_stats stats;
		char want[64];
		uint32_t lost = 0;

		put_many(s, 0, 9000);
		assert_true(files() > 3);
		spool_close(s);
		for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
			make_damaged(first_file(), damages[i].at, damages[i].bytes, damages[i].n);
			lost += damages[i].lost;
		}
		s = open_spool(8 * MB);
		assert_null(spool_notice(s));
		assert_int_equal(count_whole(s, window), 9000 - lost);
		spool_stats(s, &stats);
		assert_int_equal(stats.damaged, 3);
		assert_int_equal(stats.lost, lost);
		const char *notice = spool_notice(s);
		assert_non_null(notice);
		assert_non_null(strstr(notice, ".spool: damaged at byte 0, and 2 more places; "));
		snprintf(want, sizeof want, "; %u alerts are lost", lost);
		assert_non_null(strstr(notice, want));
		assert_null(spool_notice(s));
		assert_int_equal(files(), 0);
		spool_close(s);
	}
}

/* Of the last segment the end is not known otherwise. */
static void damage_in_the_last_segment_is_no_torn_end(void **state)
{
	struct spool *s = open_spool(8 * MB);

	put_many(s, 0, 500);
	spool_close(s);
	make_damaged(first_file(), 5000, "damage", 6);
	s = open_spool(8 * MB);
	assert_null(spool_notice(s));
	put_many(s, 500, 600);
	assert_int_equal(count_whole(s, 10), 599);
	assert_non_null(strstr(spool_notice(s), "; 1 alert is lost"));
	spool_close(s);
}

/* What looks like entries all along, and is none, is not looked at for ever. */
static void what_only_looks_like_entries(void **state)
{
	struct spool *s = open_spool(64 * MB);
	uint32_t *fake = malloc(16 * MB);
	uint64_t began = sys_now_ns();

	assert_non_null(fake);
	for (uint32_t i = 0; i < 16 * MB / 4; i += 2) {
		fake[i] = 0x4f504c46;
		fake[i + 1] = 8 * MB;
	}
	put_many(s, 0, 10);
	spool_close(s);
	make_damaged(first_file(), 0, (const char *)fake, 16 * MB);
	free(fake);
	s = open_spool(64 * MB);
	assert_int_equal(spool_count(s), 0);
	assert_non_null(strstr(spool_notice(s), "the end was torn at byte 0"));
	assert_true(sys_now_ns() - began < 5000000000u);
	spool_close(s);
}

static void a_missing_segment_is_passed_over(void **state)
{
	struct spool *s = open_spool(8 * MB);
	struct note n;
	uint32_t seen = 0;
	char command[160];
	const char *notice;

	put_many(s, 0, 9000);
	spool_close(s);
	snprintf(command, sizeof command, "rm $(ls %s/*.spool | sed -n 2p)", dir);
	assert_int_equal(system(command), 0);
	s = open_spool(8 * MB);
	for (; spool_next(s, &n) == 1; seen++)
		spool_step(s);
	if (spool_under_way(s)) {
		spool_ack(s, spool_under_way(s));
		for (; spool_next(s, &n) == 1; seen++)
			spool_step(s);
	}
	assert_int_equal(n.ts, 8999);
	assert_in_range(seen, 4000, 8999);
	assert_non_null(strstr(notice = spool_notice(s), ".spool: ends too early, at byte "));
	snprintf(command, sizeof command, "; %u alerts are lost", 9000 - seen);
	assert_non_null(strstr(notice, command));
	spool_close(s);
}

/* Links, directories, names that are none, numbers that overflow, a count of what has arrived that nobody wrote. */
static void hostile_directories(void **state)
{
	struct note n;
	char command[1024];

	snprintf(command, sizeof command,
		 "cd '%s' && ln -s /etc/passwd 0000000000000002.spool && mkdir 0000000000000003.spool && touch "
		 "ffffffffffffffff.spool 000000000000000g.spool x.spool 7fffffffffffffff.spool && mkfifo 0000000000000004.spool && "
		 "head -c 70000 /dev/urandom >0000000000000005.spool && printf 'FLPO\\377\\377\\377\\377' >0000000000000006.spool && "
		 "head -c 1000 /dev/urandom >acked", dir);
	assert_int_equal(system(command), 0);
	struct spool *s = open_spool(8 * MB);
	assert_int_equal(spool_next(s, &n), 0);
	put_many(s, 1, 50);
	take_many(s, 1, 50);
	spool_ack(s, 49);
	assert_int_equal(spool_count(s), 0);
	spool_close(s);
	struct stat st;
	assert_int_equal(lstat(in_dir("0000000000000002.spool"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

/* Bytes turned over anywhere: never a note that was not put, never an end to it that does not come. */
static void random_damage(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 60; round++) {
		remove_dir(state);
		assert_int_equal(mkdir(dir, 0700), 0);
		struct spool *s = open_spool(MB);
		struct note n;

		put_many(s, 0, 600);
		take_many(s, 0, 50);
		spool_ack(s, 40);
		spool_close(s);
		for (int k = 0; k < 1 + round % 5; k++) {
			char command[200], bytes[8];
			seed = seed * 1103515245 + 12345;
			for (uint32_t i = 0; i < sizeof bytes; i++)
				bytes[i] = (char)(seed >> (i + 8));
			snprintf(command, sizeof command, "ls %s | sed -n %up", dir, 1 + (seed >> 16) % 6);
			FILE *p = popen(command, "r");
			char name[64] = "";
			if (fgets(name, sizeof name, p) && strlen(name) > 1) {
				name[strlen(name) - 1] = '\0';
				make_damaged(name, seed >> 14 & 0x1fff8, bytes, sizeof bytes);
			}
			pclose(p);
		}
		s = open_spool(MB);
		uint32_t seen = 0;
		while (spool_next(s, &n) == 1) {
			assert_true(n.ts < 600);
			is_note(&n, (uint32_t)n.ts);
			spool_step(s);
			spool_ack(s, 1);
			assert_true(++seen <= 600);
		}
		put_many(s, 700, 710);
		take_many(s, 700, 710);
		spool_close(s);
	}
}

/* ------------------------------------------------------------------ sinks */

static void a_sink_waits_for_nobody(void **state)
{
	int ends[2];
	char line[1000], *back = malloc(4 * MB);
	uint64_t put = 0, got = 0;

	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	assert_int_equal(pipe(ends), 0);		/* blocking, as a standard stream may be */
	struct sink *s = sink_new(ends[1], SINK_OWNS | SINK_UNREAD);
	int rc;
	while ((rc = sink_put(s, line, sizeof line)) == 0)
		put++;
	assert_int_equal(rc, -EAGAIN);
	assert_in_range(put, 60, 400);
	assert_int_equal(sink_arrived(s), 0);
	while (got < put * sizeof line) {
		ssize_t n = read(ends[0], back + got, 4 * MB - got);
		assert_true(n > 0);
		got += (uint64_t)n;
		sink_flush(s);
	}
	assert_int_equal(sink_pending(s), 0);
	assert_int_equal(sink_arrived(s), put);
	for (uint64_t i = 0; i < put; i++)
		assert_memory_equal(back + i * sizeof line, line, sizeof line);
	close(ends[0]);
	while ((rc = sink_put(s, line, sizeof line)) == 0)
		;
	assert_int_equal(rc, -EPIPE);
	sink_free(s);
	free(back);
}

/* What a reader that closes has not read has not arrived, though the kernel has thrown it away. */
static void a_socket_tells_what_was_read(void **state)
{
	int ends[2];
	char back[100];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	struct sink *s = sink_new(ends[1], SINK_OWNS | SINK_UNREAD);
	assert_int_equal(sink_put(s, "one\n", 4), 0);
	assert_int_equal(sink_arrived(s), 0);
	assert_int_equal(read(ends[0], back, sizeof back), 4);
	assert_int_equal(sink_arrived(s), 1);
	assert_int_equal(sink_put(s, "two\n", 4), 0);
	close(ends[0]);
	assert_int_equal(sink_arrived(s), 0);
	assert_true(socket_gone(ends[1]));
	sink_free(s);
}

static void a_long_line_is_whole(void **state)
{
	int ends[2];
	char *line = malloc(MB), *back = malloc(MB);
	size_t got = 0;

	memset(line, 'y', MB);
	assert_int_equal(pipe(ends), 0);
	struct sink *s = sink_new(ends[1], SINK_OWNS | SINK_COLLECT);
	assert_int_equal(sink_put(s, "first\n", 6), 0);
	assert_int_equal(sink_put(s, line, MB) == 0 ? 0 : sink_put(s, line, MB), 0);
	while (got < MB + 6) {
		sink_flush(s);
		ssize_t n = read(ends[0], back, MB);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(sink_pending(s), 0);
	sink_free(s);
	close(ends[0]);
	free(line);
	free(back);
}

static void programs_start_and_end(void **state)
{
	int32_t status = 99;
	int in, pid = program_start("read line; trap '' TERM; test \"$line\" = hello && exit 7", &in);

	assert_true(pid > 0);
	assert_int_equal(program_ended(pid, &status), 0);
	assert_int_equal(write(in, "hello\n", 6), 6);
	for (int i = 0; i < 500 && !program_ended(pid, &status); i++)
		usleep(10000);
	assert_int_equal(status, 7);
	file_close(in);
	pid = program_start("exec sleep 100", &in);
	program_kill(pid, false);
	for (int i = 0; i < 500 && !program_ended(pid, &status); i++)
		usleep(10000);
	assert_int_equal(status, -SIGTERM);
	file_close(in);
}

#define with_dir(f) cmocka_unit_test_setup_teardown(f, new_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backlog_keeps_order), cmocka_unit_test(a_backlog_is_bounded), with_dir(a_spool_keeps_order),
		with_dir(a_spool_is_there_after_a_restart), with_dir(a_spool_survives_kill_9), with_dir(a_spool_is_bounded),
		with_dir(one_spool_has_one_owner), with_dir(a_torn_end_is_cut), with_dir(damage_costs_the_alert_that_it_hit),
		with_dir(damage_in_the_last_segment_is_no_torn_end), with_dir(what_only_looks_like_entries),
		with_dir(a_missing_segment_is_passed_over), with_dir(hostile_directories), with_dir(random_damage),
		cmocka_unit_test(a_sink_waits_for_nobody), cmocka_unit_test(a_socket_tells_what_was_read),
		cmocka_unit_test(a_long_line_is_whole), cmocka_unit_test(programs_start_and_end),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
