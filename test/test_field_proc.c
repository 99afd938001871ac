/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

static void command_lines(void **state)
{
	struct image_parts parts = { .comm = STR("ls"), .exe = STR("/bin/ls"), .exepath = STR("/usr/bin/ls"),
				     .args = STR("-l\0\0/tmp") };
	event_is(EV_SYSCALL_GETCWD_X, add_thread(7, 7, 0, &parts));

	expect("proc.name", "ls");
	expect("proc.exepath", "/usr/bin/ls");
	expect("proc.args", "-l  /tmp");
	expect("proc.cmdline", "ls -l  /tmp");
	expect("proc.exeline", "/bin/ls -l  /tmp");
	expect("proc.cmdnargs", "3");
	expect("proc.cmdlenargs", "6");
	expect("proc.args[0]", "-l");
	expect("proc.args[1]", "");
	expect("proc.args[2]", "/tmp");
	expect("proc.args[3]", "");
}

static void a_last_argument_may_be_empty(void **state)
{
	struct image_parts parts = { .comm = STR("sh"), .args = STR("-c\0") };
	event_is(EV_SYSCALL_GETCWD_X, add_thread(7, 7, 0, &parts));

	expect("proc.cmdnargs", "2");
	expect("proc.cmdline", "sh -c ");
	expect("proc.args[1]", "");
}

static void without_arguments_only_exeline_ends_in_a_blank(void **state)
{
	event_is(EV_SYSCALL_GETCWD_X, add_process(7, 0, "ls"));

	expect("proc.args", "");
	expect("proc.cmdline", "ls");
	expect("proc.exeline", "ls ");
	expect("proc.cmdnargs", "0");
	expect("proc.cmdlenargs", "0");
}

static void variables_of_the_environment(void **state)
{
	struct image_parts parts = { .comm = STR("a"),
				     .env = STR("HOME= /root \0EMPTY=\0PATHS=x\0PATH=/bin\0PATH=/sbin") };
	add_thread(7, 7, 0, &parts);
	struct image_parts worker = { .comm = STR("b") };
	event_is(EV_SYSCALL_GETCWD_X, add_thread(8, 7, 0, &worker));

	expect("proc.env[HOME]", "/root");
	expect("proc.env[PATH]", "/bin");
	expect("proc.env[EMPTY]", "");
	expect("proc.env[NONE]", "");
	expect("proc.env", "HOME= /root  EMPTY= PATHS=x PATH=/bin PATH=/sbin");
}

static void variables_of_ancestors(void **state)
{
	struct image_parts top = { .comm = STR("a"), .env = STR("TEAM=red") };
	add_thread(1, 1, 0, &top);
	add_process(2, 1, "b");
	event_is(EV_SYSCALL_GETCWD_X, add_process(3, 2, "c"));

	expect("proc.aenv[TEAM]", "red");
	expect("proc.aenv[NONE]", "");
	expect("proc.aenv[2]", "TEAM=red");
	expect("proc.aenv[3]", MISSING);
	expect("proc.aenv[4000000000]", MISSING);
	expect_items("proc.aenv", "|TEAM=red");
}

static void ancestors(void **state)
{
	add_process(1, 0, "init");
	add_process(2, 1, "sshd");
	add_process(3, 2, "bash");
	event_is(EV_SYSCALL_GETCWD_X, add_process(4, 3, "ls"));

	expect("proc.pname", "bash");
	expect("proc.ppid", "3");
	expect("proc.aname[0]", "ls");
	expect("proc.aname[2]", "sshd");
	expect("proc.aname[4]", MISSING);
	expect("proc.aname", "bash sshd init");
	expect_items("proc.aname", "bash|sshd|init");
	expect("proc.apid", "4");
	expect_items("proc.apid", "3|2|1");
	expect("proc.aexepath", MISSING);	/* nothing comes together */
	expect("proc.loginshellid", "3");
}

static void no_ancestor_is_missing_in_outputs_and_comparisons(void **state)
{
	event_is(EV_SYSCALL_GETCWD_X, add_process(4, 0, "ls"));

	expect("proc.pname", MISSING);
	expect("proc.aname", MISSING);
	expect_items("proc.aname", MISSING);
	expect("proc.aargs", MISSING);
	expect("proc.loginshellid", MISSING);
	expect("proc.ppid.duration", MISSING);
}

static void parents_in_a_loop(void **state)
{
	add_process(2, 0, "b")->ptid = 4;
	add_process(3, 2, "c");
	event_is(EV_SYSCALL_GETCWD_X, add_process(4, 3, "d"));

	assert_string_not_equal(ask("proc.aname"), MISSING);
	expect("proc.aname[50]", MISSING);
	expect("proc.aenv[NONE]", "");
	expect("proc.loginshellid", MISSING);
}

static void the_thread_that_forked_stands_for_its_process_only_by_level(void **state)
{
	struct image_parts worker = { .comm = STR("worker") };
	add_process(2, 0, "server");
	add_thread(5, 2, 0, &worker);
	event_is(EV_SYSCALL_GETCWD_X, add_process(9, 5, "child"));

	expect("proc.pname", "server");
	expect("proc.aname[1]", "server");
	expect("proc.aname", "worker");
	expect("proc.ppid", "2");
}

static void the_session_leader(void **state)
{
	struct thread *shell = add_process(3, 0, "bash"), *tool = add_process(4, 3, "ls");

	shell->sid = tool->sid = 3;
	event_is(EV_SYSCALL_GETCWD_X, tool);
	expect("proc.sname", "bash");
	expect("proc.is_sid_leader", "false");
	tool->sid = 99;
	expect("proc.sname", "");
	tool->sid = -1;
	expect("proc.sname", "");
}

/* Numbers of a pid namespace lead to no thread of ours, or to a wrong one. */
static void the_session_leader_in_a_pid_namespace(void **state)
{
	add_process(1, 0, "systemd")->sid = 1;
	struct thread *top = add_process(30, 1, "nginx"), *tool = add_process(31, 30, "ls");

	top->sid = tool->sid = 1;
	top->pid = 30;
	tool->vtid = tool->vpid = 2;
	tool->ptid = 30;
	event_is(EV_SYSCALL_GETCWD_X, tool);
	thread_find(st.threads, 1)->sid = 0;
	expect("proc.sname", "nginx");
}

static void durations(void **state)
{
	struct thread *shell = add_process(3, 0, "bash"), *tool = add_process(4, 3, "ls");
	struct fd_draft d = { .type = FD_FILE };

	event_is(EV_SYSCALL_GETCWD_X, tool);
	evt.h.ts = 1000;
	expect("proc.duration", MISSING);
	tool->clone_ts = 400;
	expect("proc.duration", "600");
	expect("proc.pid.ts", "400");
	fd_publish(st.fds, &tool->fds, 1, &d);
	expect("proc.ppid.duration", "1");	/* the parent's age is not known: descriptors, as upstream */
	expect("proc.ppid.ts", "0");
	shell->clone_ts = 100;
	expect("proc.ppid.duration", "900");
}

static void share_of_the_descriptor_limit(void **state)
{
	struct thread *t = add_process(4, 0, "ls");
	struct fd_draft d = { .type = FD_FILE };

	event_is(EV_SYSCALL_GETCWD_X, t);
	fd_publish(st.fds, &t->fds, 0, &d);
	fd_publish(st.fds, &t->fds, 1, &d);
	t->fdlimit = 8;
	expect("proc.fdopencount", "2");
	expect("proc.fdusage", "25.0");
	t->fdlimit = 1;
	expect("proc.fdusage", "100.0");
	t->fdlimit = -1;
	expect("proc.fdusage", "0.0");
}

static void threads_of_a_process(void **state)
{
	struct image_parts worker = { .comm = STR("worker") };
	struct thread *leader = add_process(2, 0, "server");
	struct thread *t = add_thread(5, 2, 0, &worker);

	leader->vm_size = t->vm_size = 7;
	event_is(EV_SYSCALL_GETCWD_X, t);
	expect("proc.nthreads", "2");
	expect("proc.nchilds", "1");
	expect("thread.ismain", "false");
	expect("thread.vmsize", "0");
	expect("proc.vmsize", "7");
	expect("thread.nametid", "worker5");
	thread_kill(leader);
	expect("proc.nthreads", "1");
	expect("proc.nchilds", "1");
	event_is(EV_SYSCALL_GETCWD_X, leader);
	expect("thread.vmsize.b", "7168");
}

static void control_groups(void **state)
{
	struct image_parts parts = {
		.cgroups = STR("perf_cgroup=/p\0mem_cgroup=/m\0io=/i\0cpuset=/c=d\0name=systemd=/s"),
	};
	event_is(EV_SYSCALL_GETCWD_X, add_thread(4, 4, 0, &parts));

	expect("thread.cgroups", "perf_event=/p memory=/m blkio=/i cpuset=/c=d name=systemd=/s");
	expect("thread.cgroup.memory", "/m");
	expect("thread.cgroup.cpuset", "/c=d");
	expect("thread.cgroup.none", MISSING);
}

static void one_broken_control_group_spoils_all(void **state)
{
	struct image_parts parts = { .cgroups = STR("cpu=/\0broken") };

	event_is(EV_SYSCALL_GETCWD_X, add_thread(4, 4, 0, &parts));
	expect("thread.cgroups", MISSING);
	expect("thread.cgroup.cpu", MISSING);
}

static void capabilities_by_name(void **state)
{
	struct thread *t = add_process(4, 0, "ls");

	event_is(EV_SYSCALL_GETCWD_X, t);
	t->cap_effective = 1 | 1ull << 21 | 1ull << 40 | 1ull << 41;
	expect("thread.cap_effective", "CAP_CHOWN CAP_SYS_ADMIN CAP_CHECKPOINT_RESTORE");
	expect("thread.cap_permitted", "");
}

static void an_unknown_thread(void **state)
{
	event_is(EV_SYSCALL_GETCWD_X, NULL);
	evt.h.tid = 77;

	expect("thread.tid", "77");
	expect("proc.name", MISSING);
	expect("proc.aname", MISSING);
	expect("user.name", MISSING);
	event_is(EV_SYSCALL_GETCWD_X, thread_get(st.threads, 78));
	expect("proc.name", "<NA>");
	expect("proc.exeline", "<NA> ");
	expect("proc.pid", "-1");
	expect("proc.vpid", MISSING);
	expect("proc.cwd", "./");
	expect("proc.aname[0]", MISSING);
	expect("thread.cgroups", MISSING);
	expect("user.loginuid", "-1");
}

static void users_and_groups(void **state)
{
	struct thread *t = add_process(4, 0, "ls");
	struct user u = { .uid = 1000, .name = STR("ann"), .home = STR("/home/ann"), .shell = STR("/bin/bash") };
	struct group g = { .gid = 100, .name = STR("staff") };

	users_put(st.users, STR(""), &u);
	users_put_group(st.users, STR(""), &g);
	event_is(EV_SYSCALL_GETCWD_X, t);
	t->uid = t->loginuid = 1000;
	t->gid = 100;
	expect("user.name", "ann");
	expect("user.homedir", "/home/ann");
	expect("user.shell", "/bin/bash");
	expect("user.loginname", "ann");
	expect("group.name", "staff");
	t->uid = t->gid = 0;
	expect("user.name", "root");
	expect("user.homedir", "/root");
	expect("user.shell", "<NA>");
	expect("group.name", "root");
	t->uid = t->loginuid = t->gid = UINT32_MAX;
	expect("user.uid", "4294967295");
	expect("user.name", "<NA>");
	expect("user.loginuid", "-1");
	expect("user.loginname", "<NA>");
}

static void times_of_the_executable(void **state)
{
	struct image_parts parts = { .ino = 12, .ctime = 300, .mtime = 200, .flags = EXE_FROM_MEMFD };
	struct thread *t = add_thread(4, 4, 0, &parts);

	event_is(EV_SYSCALL_GETCWD_X, t);
	expect("proc.exe_ino", "12");
	expect("proc.exe_ino.ctime", "300");
	expect("proc.exe_ino.mtime", "200");
	expect("proc.is_exe_from_memfd", "true");
	expect("proc.is_exe_writable", "false");
	expect("proc.exe_ino.ctime_duration_proc_start", MISSING);
	expect("proc.exe_ino.ctime_duration_pidns_start", MISSING);
	t->clone_ts = 450;
	t->pidns_start_ts = 100;
	expect("proc.exe_ino.ctime_duration_proc_start", "150");
	expect("proc.exe_ino.ctime_duration_pidns_start", "200");
	t->pidns_start_ts = 301;
	expect("proc.exe_ino.ctime_duration_pidns_start", MISSING);
}

static void standard_descriptors(void **state)
{
	struct thread *t = add_process(4, 0, "ls");
	struct fd_draft d = { .type = FD_FIFO, .name = STR("pipe:[5]") };

	event_is(EV_SYSCALL_GETCWD_X, t);
	expect("proc.stdout.type", MISSING);
	fd_publish(st.fds, &t->fds, 1, &d);
	expect("proc.stdout.type", "pipe");
	expect("proc.stdout.name", "pipe:[5]");
	expect("proc.stdin.name", MISSING);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(command_lines),
		TEST(a_last_argument_may_be_empty),
		TEST(without_arguments_only_exeline_ends_in_a_blank),
		TEST(variables_of_the_environment),
		TEST(variables_of_ancestors),
		TEST(ancestors),
		TEST(no_ancestor_is_missing_in_outputs_and_comparisons),
		TEST(parents_in_a_loop),
		TEST(the_thread_that_forked_stands_for_its_process_only_by_level),
		TEST(the_session_leader),
		TEST(the_session_leader_in_a_pid_namespace),
		TEST(durations),
		TEST(share_of_the_descriptor_limit),
		TEST(threads_of_a_process),
		TEST(control_groups),
		TEST(one_broken_control_group_spoils_all),
		TEST(capabilities_by_name),
		TEST(an_unknown_thread),
		TEST(users_and_groups),
		TEST(times_of_the_executable),
		TEST(standard_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
