// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The programs that report events. Every call's end comes to sys_exit(), which looks into a bitmap first, and from there by
 * tail call to a program of its own, made of its row in syscalls.def.
 */
#include "maps.bpf.h"
#include "put.bpf.h"
#include "task.bpf.h"
#include "image.bpf.h"
#include <bpf/bpf_tracing.h>
#include "fill.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* by x86-64 number; filled in by source_bpf.c */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, PROBE_MAX_NR);
} fillers SEC(".maps");

#define ARG(n) (f->arg[n])
#define RET (f->ret)

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	struct probe_settings *set = settings();
	__u64 nr = regs->orig_ax;

	if (!set || set->off || nr >= PROBE_MAX_NR || !set->wanted[nr & (PROBE_MAX_NR - 1)])
		return 0;
	if (set->drop_failed && result < 0)
		return 0;
	if (set->skip_pid && bpf_get_current_pid_tgid() >> 32 == set->skip_pid)
		return 0;
	bpf_tail_call(ctx, &fillers, nr);
	return 0;
}

INLINE void call_begin(struct fill *f, struct pt_regs *regs, long result)
{
	f->ret = result;
	f->task = current_task();
	f->compat = false;
	f->arg[0] = regs->di;
	f->arg[1] = regs->si;
	f->arg[2] = regs->dx;
	f->arg[3] = regs->r10;
	f->arg[4] = regs->r8;
	f->arg[5] = regs->r9;
}

#define FILL(sc, ...) \
	SEC("tp_btf/sys_exit") \
	int BPF_PROG(fill_##sc, struct pt_regs *regs, long result) \
	{ \
		struct fill fill_, *f = &fill_; \
		if (!fill_begin(f, EVENT_OF_##sc, NPARAMS_OF_##sc)) \
			return 0; \
		call_begin(f, regs, result); \
		__VA_ARGS__; \
		fill_send(f); \
		return 0; \
	}
#define OPENED(flags) EMPTY
FILL(CLOSE, RES, FD(0))

SEC("tp_btf/sys_exit")
int BPF_PROG(fill_OPENAT, struct pt_regs *regs, long result)
{
	struct fill fill_, *f = &fill_;
	struct opened o;

	if (!fill_begin(f, EVENT_OF_OPENAT, NPARAMS_OF_OPENAT))
		return 0;
	call_begin(f, regs, result);
	o = file_opened(f->task, RET);
	RES_FD;
	DIRFD(0);
	USTR(1);
	put_u32(f, convert_open(ARG(2)) | (o.created ? 1 << 14 : 0) |
		   (o.layer == LAYER_UPPER ? 1 << 15 : o.layer == LAYER_LOWER ? 1 << 16 : 0));
	put_u32(f, ARG(2) & 0x410040 ? convert_mode(ARG(3)) : 0);
	put_u32(f, o.dev);
	put_u64(f, o.ino);
	fill_send(f);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	enum { PF_KTHREAD = 0x200000 };
	struct probe_settings *set = settings();
	struct fill fill_, *f = &fill_;
	struct mm_struct *mm;

	if (!set || set->off || !set->exec || task->flags & PF_KTHREAD)
		return 0;
	if (!fill_begin(f, EV_SYSCALL_EXECVE_19_X, NPARAMS_SYSCALL_EXECVE_19_X))
		return 0;
	f->task = current_task();
	f->compat = false;
	mm = task_mm(f->task);
	put_s64(f, 0);
	put_args(f, mm);
	put_process(f, f->task);
	put_env(f, mm);
	put_program(f, f->task);
	put_text(f, BPF_CORE_READ(bprm, filename), PATH_SIZE);
	fill_send(f);
	return 0;
}
