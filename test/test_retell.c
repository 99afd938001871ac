/* SPDX-License-Identifier: Apache-2.0 */
/* A process that is told by events leaves the same state as one that is listed. */
#include "check.h"
#include <string.h>
#include "../c/engine/dump.h"
#include "../c/engine/load.h"
#include "../c/engine/parse.h"
#include "../c/engine/retell.h"
#include "../c/engine/state.h"

static struct state listed, told;
static struct arena arena = { .limit = 1 << 20 }, scratch = { .limit = 1 << 20 };
static struct evt evt;

static const struct scap_proc parent = {
	.tid = 10, .pid = 10, .ptid = 1, .sid = 10, .vpgid = 10, .pgid = 10, .vtid = 10, .vpid = 10, .comm = STR("sh"),
	.exe = STR("/bin/sh"), .exepath = STR("/usr/bin/dash"), .args = STR("-c\0x\0"), .cwd = STR("/srv"), .env = STR("A=1\0B=2\0"),
	.cgroups = STR("cpu=/a\0memory=/b\0"), .fdlimit = 1024, .uid = 7, .gid = 8, .loginuid = 1000, .tty = 34816, .vm_size = 100,
	.vm_rss = 50, .vm_swap = 3, .pfmajor = 5, .pfminor = 6, .cap_inheritable = 1, .cap_permitted = 7, .cap_effective = 3,
	.exe_ino = 99, .exe_ctime = 12345, .exe_mtime = 23456, .exe_flags = 1,
};

static int setup(void **state)
{
	struct engine_limits limits = { .max_threads = 50 };

	evt = (struct evt){ .st = &told, .scratch = &scratch, .serial = 1 };
	return state_init(&listed, &limits) || state_init(&told, &limits);
}

static int teardown(void **state)
{
	arena_free(&arena);
	arena_free(&scratch);
	state_free(&listed);
	state_free(&told);
	return 0;
}

/* As a reader would: the record is an event. */
static void play(const struct scap_rec *rec)
{
	assert_true(rec->flags & SCAP_STATE_ONLY);
	evt.h = (struct evt_head){ .code = rec->code, .ts = rec->ts, .tid = rec->tid, .nparams = rec->nparams };
	evt.info = event_row(rec->code);
	assert_int_equal(rec->nparams, evt.info->nparams);
	memcpy(evt.param, rec->param, rec->nparams * sizeof evt.param[0]);
	evt.serial++;
	parse_event(&evt);
}

static void tell(const struct scap_proc *p)
{
	struct retelling r = { .arena = &arena };

	assert_true(retell_born(&r, p, 1000));
	play(&r.rec);
	if (retell_exec(&r, p, 1000))
		play(&r.rec);
	if (retell_cwd(&r, p, 1000))
		play(&r.rec);
	arena_reset(&arena);
}

static void list(const struct scap_proc *p)
{
	struct scap_sink sink = load_sink(&listed);

	assert_int_equal(sink.proc(sink.ctx, p), 0);
	thread_adopt(listed.threads, thread_find(listed.threads, p->tid));
}

static int64_t wanted;
static struct scap_proc seen;
static char seen_text[8][256];

static struct str kept(int i, struct str s)
{
	assert_true(s.len < sizeof seen_text[0]);
	memcpy(seen_text[i], s.p, s.len);
	return (struct str){ seen_text[i], s.len };
}

static int see(void *ctx, const struct scap_proc *p)
{
	if (p->tid != wanted)
		return 0;
	seen = *p;
	seen.comm = kept(0, p->comm);
	seen.exe = kept(1, p->exe);
	seen.exepath = kept(2, p->exepath);
	seen.args = kept(3, p->args);
	seen.cwd = kept(4, p->cwd);
	seen.env = kept(5, p->env);
	seen.cgroups = kept(6, p->cgroups);
	return 0;
}

static struct scap_proc dumped(const struct state *st, int64_t tid, char copy[8][256])
{
	struct scap_sink sink = { .proc = see };

	wanted = tid;
	seen = (struct scap_proc){ .tid = -1 };
	assert_int_equal(dump_state(st, &sink), 0);
	assert_int_equal(seen.tid, tid);
	memcpy(copy, seen_text, sizeof seen_text);
	return seen;
}

#define same(member) assert_int_equal(a.member, b.member)
#define same_text(member, i) \
	do { \
		assert_int_equal(a.member.len, b.member.len); \
		assert_memory_equal(one[i], two[i], a.member.len); \
	} while (0)

static void expect_same(int64_t tid)
{
	char one[8][256], two[8][256];
	struct scap_proc a = dumped(&listed, tid, one), b = dumped(&told, tid, two);

	same(pid);
	same(ptid);
	same(vtid);
	same(vpid);
	same(vpgid);
	same(pgid);
	same(uid);
	same(gid);
	same(loginuid);
	same(tty);
	same(fdlimit);
	same(vm_size);
	same(vm_rss);
	same(vm_swap);
	same(pfmajor);
	same(pfminor);
	same(cap_inheritable);
	same(cap_permitted);
	same(cap_effective);
	same(exe_ino);
	same(exe_ctime);
	same(exe_mtime);
	same(exe_flags);
	same_text(comm, 0);
	same_text(exe, 1);
	same_text(exepath, 2);
	same_text(args, 3);
	same_text(cwd, 4);
	same_text(env, 5);
	same_text(cgroups, 6);
}

static void a_process(void **state)
{
	list(&parent);
	tell(&parent);
	expect_same(10);
}

static void a_child_in_a_pid_namespace(void **state)
{
	struct scap_proc child = parent;

	child.tid = child.pid = 20;
	child.ptid = 10;
	child.vtid = child.vpid = 1;
	child.comm = STR("inner");
	child.args = STR("");
	child.env = STR("C=3\0");
	list(&parent);
	tell(&parent);
	list(&child);
	tell(&child);
	expect_same(20);
	expect_same(10);
}

static void a_thread(void **state)
{
	struct scap_proc thread = parent;

	thread.tid = thread.vtid = 11;
	thread.flags = THREAD_CLONE_THREAD | THREAD_CLONE_FILES;
	list(&parent);
	tell(&parent);
	tell(&thread);
	struct thread *t = thread_find(told.threads, 11);
	assert_non_null(t);
	assert_int_equal(t->pid, 10);
	assert_true(thread_main(told.threads, t) == thread_find(told.threads, 10));
}

static struct fd_rec *told_fd(int64_t tid, int64_t fd)
{
	return fdtable_get(thread_find(told.threads, tid)->fds, fd);
}

/* Who watches has what a reader has. */
static void expect_learnt(int64_t fd, const struct fd_draft *d)
{
	const struct fd_rec *rec = told_fd(10, fd);

	assert_non_null(rec);
	assert_int_equal(fd_is_file(rec) ? FD_FILE_V2 : rec->d.type, d->type == FD_FILE ? FD_FILE_V2 : d->type);
	assert_int_equal(rec->d.name.len, d->name.len);
	assert_memory_equal(rec->d.name.p, d->name.p, d->name.len);
	assert_int_equal(rec->d.ino, d->ino);
	assert_int_equal(rec->d.dev, d->dev);
	assert_int_equal(rec->d.pid, d->pid);
	assert_int_equal(rec->d.l4, d->l4);
	assert_int_equal(rec->d.bits, d->bits);
	assert_int_equal(rec->d.unix_src | rec->d.unix_dst, 0);
	assert_memory_equal(&rec->d.addr, &d->addr, sizeof d->addr);
}

static uint32_t tell_fd(int64_t fd, const struct fd_draft *found)
{
	struct retelling r = { .arena = &arena };
	struct fd_draft d = *found;
	char name[RETELL_NAME];
	uint32_t step = 0;

	retell_learnt(&d, STR(""), name);
	for (; retell_fd(&r, step, 10, fd, &d, 1000); step++)
		play(&r.rec);
	if (step)
		expect_learnt(fd, &d);
	return step;
}

static void descriptors(void **state)
{
	struct fd_draft file = { .type = FD_FILE_V2, .name = STR("/etc/passwd"), .dev = 5, .ino = 77, .openflags = 1 },
			dir = { .type = FD_DIRECTORY, .name = STR("/etc") },
			fifo = { .type = FD_FIFO, .name = STR("/run/a fifo"), .ino = 4 },
			v4 = { .type = FD_IPV4, .l4 = L4_TCP, .addr = { { 127, 0, 0, 1 }, { 10, 0, 0, 2 }, 4000, 443 } },
			v6 = { .type = FD_IPV6, .l4 = L4_UDP, .addr = { { [15] = 1 }, { 32, 1, [15] = 2 }, 53, 5353 } },
			mapped = { .type = FD_IPV6, .l4 = L4_TCP, .ino = 9,
				   .addr = { { [10] = 255, 255, 10, 0, 0, 1 }, { [10] = 255, 255, 10, 0, 0, 2 }, 4, 5 } },
			l4 = { .type = FD_IPV4_LISTEN, .l4 = L4_TCP, .addr = { .dst = { 127, 0, 0, 1 }, .dport = 80 } },
			l6 = { .type = FD_IPV6_LISTEN, .l4 = L4_UDP, .addr = { .dst = { [15] = 1 }, .dport = 53 } },
			unix_named = { .type = FD_UNIX, .name = STR("/run/docker.sock"), .ino = 3, .unix_src = 5 },
			unix_bare = { .type = FD_UNIX, .ino = 3, .unix_src = 5 }, netlink = { .type = FD_NETLINK, .ino = 8 },
			pipe = { .type = FD_FIFO, .name = STR("pipe:[12]"), .ino = 12 },
			memfd = { .type = FD_MEMFD, .name = STR("/memfd:secret (deleted)"), .ino = 6 },
			pidfd = { .type = FD_PIDFD, .pid = 4321, .ino = 2 }, strange = { .type = FD_UNSUPPORTED };
	static const uint8_t plain[] = { FD_EVENT, FD_SIGNALFD, FD_TIMERFD, FD_INOTIFY, FD_EVENTPOLL, FD_USERFAULTFD, FD_IO_URING, FD_BPF };
	struct fd_rec *rec;

	tell(&parent);
	assert_int_equal(tell_fd(3, &file), 1);
	assert_non_null(rec = told_fd(10, 3));
	assert_str(rec->d.name, "/etc/passwd");
	assert_int_equal(rec->d.ino, 77);
	assert_int_equal(rec->d.dev, 5);
	assert_int_equal(tell_fd(4, &dir), 1);
	assert_int_equal(told_fd(10, 4)->d.type, FD_DIRECTORY);
	assert_int_equal(tell_fd(4, &fifo), 1);
	assert_int_equal(tell_fd(5, &v4), 2);
	assert_non_null(rec = told_fd(10, 5));
	assert_str(rec->d.name, "127.0.0.1:4000->10.0.0.2:443");
	assert_int_equal(rec->d.l4, L4_TCP);
	assert_int_equal(tell_fd(6, &v6), 2);
	assert_int_equal(told_fd(10, 6)->d.type, FD_IPV6);
	assert_int_equal(tell_fd(7, &mapped), 2);
	assert_str(told_fd(10, 7)->d.name, "10.0.0.1:4->10.0.0.2:5");
	assert_int_equal(tell_fd(8, &l4), 2);
	assert_str(told_fd(10, 8)->d.name, "127.0.0.1:80");
	assert_int_equal(tell_fd(9, &l6), 2);
	assert_int_equal(tell_fd(10, &unix_named), 2);
	assert_str(told_fd(10, 10)->d.name, "/run/docker.sock");
	assert_int_equal(tell_fd(11, &unix_bare), 1);
	assert_int_equal(tell_fd(12, &netlink), 1);
	assert_int_equal(tell_fd(13, &pipe), 1);
	assert_int_equal(tell_fd(14, &memfd), 1);
	assert_str(told_fd(10, 14)->d.name, "secret");
	assert_int_equal(tell_fd(15, &pidfd), 1);
	assert_int_equal(told_fd(10, 15)->d.pid, 4321);
	for (uint32_t i = 0; i < sizeof plain; i++)
		assert_int_equal(tell_fd(20 + i, &(struct fd_draft){ .type = plain[i], .ino = 1 }), 1);
	assert_int_equal(tell_fd(30, &strange), 0);
}

static void no_memory(void **state)
{
	struct arena none = { .limit = 0 };
	struct retelling r = { .arena = &none };

	assert_false(retell_born(&r, &parent, 1));
	assert_int_equal(none.refused > 0, true);
	arena_free(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_process, setup, teardown),
		cmocka_unit_test_setup_teardown(a_child_in_a_pid_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(a_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
