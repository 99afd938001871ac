// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The programs that report events. Every call's end comes to sys_exit(), which looks into a table first, and goes on by
 * tail call to a program of the call's own, made of its row in syscalls.def. Then come the tracepoints. What lists all threads
 * at the start is in tasks.bpf.h.
 */
#include "maps.bpf.h"
#include "put.bpf.h"
#include "task.bpf.h"
#include "image.bpf.h"
#include "net.bpf.h"
#include <bpf/bpf_tracing.h>
#include "fill.h"
#include "custom.bpf.h"
#include "tasks.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* by x86-64 number; filled in by source_bpf.c */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, PROBE_MAX_NR);
} fillers SEC(".maps");

/* ------------------------------------------------------------------ from the end of a call to its program */

/* socketcall()'s first argument, to what it stands for. */
INLINE __u32 socketcall_nr(__u32 call)
{
	static const __u16 numbers[] = { PROBE_NO_CALL, 41, 49, 42, 50, 43, 51, 52, 53, PROBE_NO_CALL, PROBE_NO_CALL, 44, 45,
		48, 54, 55, 46, 47, 288, 299, 307 };

	/* send() and recv() have events of their own, which only they make */
	return call < sizeof numbers / sizeof numbers[0] ? numbers[call] : PROBE_NO_CALL;
}

/* The x86-64 number of a call; PROBE_NO_CALL: there is none. */
INLINE __u32 call_nr(struct pt_regs *regs, bool compat)
{
	__u64 nr = regs->orig_ax;

	if (!compat)
		return nr < PROBE_MAX_NR ? nr : PROBE_NO_CALL;
	if (nr == PROBE_SOCKETCALL)
		return socketcall_nr(regs->bx);
	return nr < PROBE_MAX_NR ? settings.compat[nr & (PROBE_MAX_NR - 1)] : PROBE_NO_CALL;
}

/* A slot that is known when the program is loaded is jumped to directly; where indirect jumps are guarded (retpolines) that
 * saves as much as all the rest costs. So the calls that are most often made and wanted have one. */
#define CALL_DIRECTLY(n) case n: bpf_tail_call_static(ctx, &fillers, n); break

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	__u64 nr = regs->orig_ax;
	struct task_struct *task;
	__u32 wanted;

	/* nearly all calls of a machine end here */
	if (nr >= PROBE_MAX_NR || !settings.look[nr & (PROBE_MAX_NR - 1)])
		return 0;
	task = current_task();
	if (in_compat_call(task))
		nr = call_nr(regs, true);
	if (nr >= PROBE_MAX_NR || !(wanted = settings.wanted[nr & (PROBE_MAX_NR - 1)]))
		return 0;
	if (result < 0 ? settings.drop_failed : wanted == WANT_FAILED)
		return 0;
	if (settings.skip_pid && current_pid(task) == settings.skip_pid)
		return 0;
	switch (nr) {
	CALL_DIRECTLY(NR_OF_READ);
	CALL_DIRECTLY(NR_OF_WRITE);
	CALL_DIRECTLY(NR_OF_OPEN);
	CALL_DIRECTLY(NR_OF_CLOSE);
	CALL_DIRECTLY(NR_OF_OPENAT);
	default:
		bpf_tail_call(ctx, &fillers, nr);
	}
	return 0;
}

/* ------------------------------------------------------------------ a program for each call */

/* Not given the `struct fill`: a function that knows its address would keep it in memory, where the compiler otherwise has
 * positions and lengths as numbers that it knows beforehand. */
SUB int socketcall_args(__u32 narrow[6], __u64 from)
{
	bpf_probe_read_user(narrow, 6 * sizeof *narrow, (void *)from);
	return 0;
}

INLINE void call_begin(struct fill *f, struct pt_regs *regs, long result)
{
	f->ret = result;
	f->compat = in_compat_call(f->task);
	if (f->compat && regs->orig_ax == PROBE_SOCKETCALL) {
		__u32 narrow[6] = { 0 };

		socketcall_args(narrow, regs->cx);
		f->arg[0] = narrow[0];
		f->arg[1] = narrow[1];
		f->arg[2] = narrow[2];
		f->arg[3] = narrow[3];
		f->arg[4] = narrow[4];
		f->arg[5] = narrow[5];
	} else if (f->compat) {
		f->arg[0] = (__u32)regs->bx;
		f->arg[1] = (__u32)regs->cx;
		f->arg[2] = (__u32)regs->dx;
		f->arg[3] = (__u32)regs->si;
		f->arg[4] = (__u32)regs->di;
		f->arg[5] = (__u32)regs->bp;
	} else {
		f->arg[0] = regs->di;
		f->arg[1] = regs->si;
		f->arg[2] = regs->dx;
		f->arg[3] = regs->r10;
		f->arg[4] = regs->r8;
		f->arg[5] = regs->r9;
	}
}

#define CALL(sc, body) \
	SEC("tp_btf/sys_exit") \
	int BPF_PROG(fill_##sc, struct pt_regs *regs, long result) \
	{ \
		struct fill fill_, *f = &fill_; \
		if (!fill_begin(f, EVENT_OF_##sc, NPARAMS_OF_##sc)) \
			return 0; \
		call_begin(f, regs, result); \
		body; \
		fill_send(f); \
		return 0; \
	}

#define FILL(sc, ...) CALL(sc, (__VA_ARGS__))
#define CUSTOM(sc) CALL(sc, custom_##sc(f))
/* One event for each message: the program calls itself again. Where it is it keeps in the CPU's scratch, 0 at rest. */
#define SEVERAL(sc) \
	SEC("tp_btf/sys_exit") \
	int BPF_PROG(fill_##sc, struct pt_regs *regs, long result) \
	{ \
		struct fill fill_, *f = &fill_; \
		__u32 *message = message_at(); \
		__u32 i = message ? *message : 0; \
		f->task = current_task(); \
		call_begin(f, regs, result); \
		if (!message || result <= 0) { \
			several_none_##sc(f); \
			return 0; \
		} \
		several_one_##sc(f, f->arg[1] + i * message_size(f)); \
		*message = ++i; \
		if (i < result && i < MAX_MESSAGES) \
			bpf_tail_call(ctx, &fillers, NR_OF_##sc); \
		*message = 0; \
		return 0; \
	}
#include "syscalls.def"

/* Calls that have no event of their own. */
SEC("tp_btf/sys_exit")
int BPF_PROG(fill_generic, struct pt_regs *regs, long result)
{
	struct fill fill_, *f = &fill_;
	__u32 nr;

	if (!fill_begin(f, EV_GENERIC_X, NPARAMS_GENERIC_X))
		return 0;
	nr = call_nr(regs, in_compat_call(f->task));
	put_u16(f, settings.code[nr & (PROBE_MAX_NR - 1)]);
	put_u16(f, nr);
	fill_send(f);
	return 0;
}

/* ------------------------------------------------------------------ processes */

INLINE bool not_now(bool wanted)
{
	return !wanted || (settings.skip_pid && current_pid(current_task()) == settings.skip_pid);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct fill fill_, *f = &fill_;
	struct mm_struct *mm;

	if (not_now(settings.exec) || task->flags & PF_KTHREAD)
		return 0;
	if (!fill_begin(f, EV_SYSCALL_EXECVE_19_X, NPARAMS_SYSCALL_EXECVE_19_X))
		return 0;
	f->compat = false;
	mm = task_mm(f->task);
	put_s64(f, 0);
	put_args(f, mm);
	put_process(f, f->task);
	put_env(f, mm);
	put_program(f, f->task);
	put_text(f, READ(bprm, filename), PATH_SIZE);
	fill_send(f);
	return 0;
}

/* ---- who gets the children of a process that ends: the kernel's find_new_reaper(), done again */

enum { MAX_THREADS = 30, MAX_ANCESTORS = 60 };

SUB int thread_alive(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct list_head *at = (void *)w->from;
	struct task_struct *t;

	if (w->from == w->left)
		return 0;			/* round: nobody is */
	t = (void *)((char *)at - bpf_core_field_offset(struct task_struct, thread_node));
	if (!(READ(t, flags) & PF_EXITING)) {
		w->count = READ(t, pid);
		return 0;
	}
	w->from = (__u64)READ(at, next);
	return 1;
}

/* A thread of the process that goes on; 0: none; -1: too many to look at. */
SUB int find_alive(struct fill *f, struct task_struct *task)
{
	struct walk *w = &f->s->walk;
	struct list_head *head = MEMBER(READ(task, signal), struct signal_struct, thread_head);
	int more = 1;

	w->from = (__u64)READ(head, next);
	w->left = (__u64)head;
	w->count = 0;
	for (int i = 0; i < MAX_THREADS && more; i++)
		more = thread_alive(f->s);
	return more ? -1 : (int)w->count;
}

/* The next ancestor: 1 go on, 0 it is the namespace's own reaper's turn, -1 found a subreaper in w->names[0]. */
SUB int subreaper_next(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct task_struct *t = (void *)w->from;

	if (READ(t, thread_pid, level) != w->left || t == (void *)w->names[1])
		return 0;
	if (task_is_subreaper(t)) {
		w->names[0] = t;
		return -1;
	}
	w->from = (__u64)READ(t, real_parent);
	return 1;
}

SUB int find_reaper(struct fill *f, struct task_struct *task)
{
	struct walk *w = &f->s->walk;
	struct pid_namespace *ns;
	struct task_struct *init;
	int pid = find_alive(f, task), more = 1;

	if (pid)
		return pid;
	ns = task_pidns(task, PIDTYPE_PID);
	init = READ(ns, child_reaper);
	if (init == task)
		return 0;
	pid = READ(init, pid);
	if (!task_has_subreaper(task))
		return pid;
	w->from = (__u64)READ(task, real_parent);
	w->left = READ(task, thread_pid, level);
	w->names[1] = init;
	for (int i = 0; i < MAX_ANCESTORS && more == 1; i++)
		more = subreaper_next(f->s);
	if (more == 1)
		return -1;
	if (more == -1) {
		struct task_struct *subreaper = (void *)w->names[0];
		int alive = find_alive(f, subreaper);

		return alive ? alive : pid;
	}
	return pid;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct fill fill_, *f = &fill_;
	struct list_head *children;
	struct task_struct *self;
	__u32 code;

	if (not_now(settings.proc_exit))
		return 0;
	if (!fill_begin(f, EV_PROCEXIT_1_E, NPARAMS_PROCEXIT_1_E))
		return 0;
	self = f->task;
	code = READ(self, exit_code);
	put_s64(f, (__s32)code);
	put_s64(f, code >> 8 & 0xff);
	put_u8(f, (code & 0x7f) != 0 && (code & 0x7f) != 0x7f ? code & 0x7f : 0);
	put_u8(f, (code & 0x80) != 0);
	children = MEMBER(self, struct task_struct, children);
	put_s64(f, READ(children, next) == children ? 0 : find_reaper(f, f->task));
	fill_send(f);
	return 0;
}

/* ------------------------------------------------------------------ small ones, which may interrupt the others */

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct fill fill_, *f = &fill_;

	if (!settings.sched_switch)
		return 0;
	if (!fill_begin(f, EV_SCHEDSWITCH_6_E, NPARAMS_SCHEDSWITCH_6_E))
		return 0;
	f->task = prev;
	put_s64(f, READ(next, pid));
	put_u64(f, READ(prev, maj_flt));
	put_u64(f, READ(prev, min_flt));
	put_memory(f);
	fill_send(f);
	return 0;
}

/* Who sent a signal, if a process did. */
INLINE __s32 sender_of(int sig, struct kernel_siginfo *info)
{
	enum { SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGTERM = 15, SIGCHLD = 17, SIGTSTP = 20, RT_MIN = 32,
	       RT_MAX = 64 };

	if (sig == SIGCHLD)
		return READ(info, _sifields._sigchld._pid);
	if (sig == SIGKILL || (sig >= RT_MIN && sig <= RT_MAX))
		return READ(info, _sifields._kill._pid);
	if ((sig == SIGHUP || sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGTSTP) &&
	    READ(info, si_code) <= 0)
		return READ(info, _sifields._kill._pid);
	return 0;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(signal_deliver, int sig, struct kernel_siginfo *info, void *action)
{
	struct fill fill_, *f = &fill_;

	if (not_now(settings.signal_deliver) || !fill_begin(f, EV_SIGNALDELIVER_E, NPARAMS_SIGNALDELIVER_E))
		return 0;
	put_s64(f, info ? sender_of(sig, info) : 0);
	put_s64(f, current_tid(f->task));
	put_u8(f, sig);
	fill_send(f);
	return 0;
}

INLINE int fault(bool wanted, unsigned long address, struct pt_regs *regs, unsigned long code)
{
	struct fill fill_, *f = &fill_;

	if (not_now(wanted) || !fill_begin(f, EV_PAGE_FAULT_E, NPARAMS_PAGE_FAULT_E))
		return 0;
	put_u64(f, address);
	put_u64(f, regs->ip);
	/* present or not, write or read, user or kernel: a pair of bits each */
	put_u32(f, (code & 1 ? 1 : 2) | (code & 2 ? 4 : 8) | (code & 4 ? 16 : 32) | (code & 8 ? 64 : 0) |
		   (code & 16 ? 128 : 0));
	fill_send(f);
	return 0;
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(fault_user, unsigned long address, struct pt_regs *regs, unsigned long code)
{
	return fault(settings.fault_user, address, regs, code);
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(fault_kernel, unsigned long address, struct pt_regs *regs, unsigned long code)
{
	return fault(settings.fault_kernel, address, regs, code);
}
