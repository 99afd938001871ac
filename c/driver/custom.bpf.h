/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* CUSTOM rows of syscalls.def: calls whose records take more than a list of values. Each appends all parameters. */
#ifndef FALCO_DRIVER_CUSTOM_BPF_H
#define FALCO_DRIVER_CUSTOM_BPF_H

#include "image.bpf.h"
#include "net.bpf.h"
#include "fill.h"

#define ARG(n) (f->arg[n])
#define RET (f->ret)

/* ------------------------------------------------------------------ processes */

INLINE __u64 clone_wire(struct task_struct *task, __u64 flags)
{
	__u64 wire = convert_clone(flags);
	struct pid_namespace *ns = task_pidns(task, PIDTYPE_PID);

	if (READ(ns, level) || READ(task, nsproxy, pid_ns_for_children) != ns)
		wire |= CHILD_IN_PIDNS;
	return wire;
}

/* A new process is reported twice: by its parent, and by itself with result 0. */
SUB int put_clone(struct fill *f, __u64 flags)
{
	struct task_struct *task = f->task;
	struct task_struct *reaper;
	struct pid_namespace *ns;

	RES;
	if (RET >= 0) {
		put_args(f, task_mm(task));
	} else {
		put_empty(f);
		put_empty(f);
	}
	put_process(f, task);
	put_u32(f, clone_wire(task, flags));
	put_u32(f, READ(task, cred, euid.val));
	put_u32(f, READ(task, cred, egid.val));
	put_s64(f, task_vnr(task, PIDTYPE_PID));
	put_s64(f, task_vnr(task, PIDTYPE_TGID));
	if (RET) {
		put_u64(f, 0);
	} else {
		ns = task_pidns(task, PIDTYPE_TGID);
		reaper = ns ? READ(ns, child_reaper) : NULL;
		put_u64(f, reaper ? READ(reaper, start_time) : 0);
	}
	return 0;
}

INLINE void custom_CLONE(struct fill *f)
{
	put_clone(f, ARG(0));
}

INLINE void custom_FORK(struct fill *f)
{
	put_clone(f, 0);
}

INLINE void custom_VFORK(struct fill *f)
{
	put_clone(f, 0);
}

INLINE void custom_CLONE3(struct fill *f)
{
	put_clone(f, USER(__u64, ARG(0)));
}

/* Of programs that did not start: what was asked for. Those that did are process_exec()'s. */
INLINE void put_exec_failed(struct fill *f, __u64 argv, __u64 envp)
{
	RES;
	put_wanted_args(f, argv);
	put_process(f, f->task);
	put_wanted_env(f, envp);
	put_program(f, f->task);
}

INLINE void custom_EXECVE(struct fill *f)
{
	put_exec_failed(f, ARG(1), ARG(2));
	USTR(0);
}

INLINE void custom_EXECVEAT(struct fill *f)
{
	put_exec_failed(f, ARG(2), ARG(3));
}

INLINE void custom_PRCTL(struct fill *f)
{
	enum { PR_SET_NAME = 15, PR_GET_NAME = 16, PR_GET_CHILD_SUBREAPER = 37 };
	__u32 option = ARG(0);

	RES;
	put_u32(f, option);
	if (option == PR_SET_NAME || option == PR_GET_NAME) {
		USTR(1);
		put_s64(f, 0);
	} else {
		put_empty(f);
		put_s64(f, option == PR_GET_CHILD_SUBREAPER ? USER(__s32, ARG(1)) : (__s64)ARG(1));
	}
}

INLINE void custom_PTRACE(struct fill *f)
{
	enum { WORD = DYN_PTRACE_U64, SIGNAL = DYN_PTRACE_SIGNAL };
	enum { PEEKTEXT = 1, PEEKDATA, PEEKUSR, CONT = 7, SINGLESTEP = 9, DETACH = 17, SYSCALL_ = 24 };
	__u64 request = ARG(0);

	RES;
	raw_u8(f, WORD);
	raw_u64(f, RET < 0 ? 0 : ARG(2));
	put_len(f, 9);
	if (RET >= 0 && (request == CONT || request == SINGLESTEP || request == DETACH || request == SYSCALL_)) {
		raw_u8(f, SIGNAL);
		raw_u8(f, ARG(3));
		put_len(f, 2);
	} else {
		raw_u8(f, WORD);
		if (RET < 0)
			raw_u64(f, 0);
		else if (request >= PEEKTEXT && request <= PEEKUSR)
			raw_u64(f, USER(__u64, ARG(3)));
		else
			raw_u64(f, ARG(3));
		put_len(f, 9);
	}
	put_u16(f, convert_ptrace(request));
	PID(1);
}

/* ------------------------------------------------------------------ files */

INLINE void put_open_how(struct fill *f)
{
	struct {
		__u64 flags, mode, resolve;
	} how = { 0 };

	bpf_probe_read_user(&how, sizeof how, (void *)ARG(2));
	put_u32(f, open_wire(f, how.flags));
	put_u32(f, open_mode(how.flags, how.mode));
	put_u32(f, convert_openat2_resolve(how.resolve));
}

INLINE void custom_OPENAT2(struct fill *f)
{
	LOOK(RET);
	RES_FD;
	DIRFD(0);
	USTR(1);
	put_open_how(f);
	DEV;
	INO;
}

INLINE void custom_OPEN_BY_HANDLE_AT(struct fill *f)
{
	f->opened = file_opened(f->task, RET);
	RES_FD;
	DIRFD(0);
	put_u32(f, RET > 0 ? open_wire(f, ARG(2)) : open_flags(ARG(2)));
	if (RET > 0)
		put_file_path(f, file_of(f->task, RET));
	else
		put_empty(f);
	DEV;
	INO;
}

INLINE void put_pipe(struct fill *f)
{
	__s32 ends[2] = { -1, -1 };

	RES;
	if (bpf_probe_read_user(ends, sizeof ends, (void *)ARG(0)))
		ends[0] = ends[1] = -1;
	put_s64(f, ends[0]);
	put_s64(f, ends[1]);
	put_u64(f, RET == 0 ? fd_inode(f->task, ends[0]) : 0);
}

INLINE void custom_PIPE(struct fill *f)
{
	put_pipe(f);
}

INLINE void custom_PIPE2(struct fill *f)
{
	put_pipe(f);
	put_u32(f, POSITIVE(1, pipe2));
}

INLINE void custom_FSCONFIG(struct fill *f)
{
	enum { SET_STRING = 1, SET_BINARY = 2, SET_PATH = 3, SET_PATH_EMPTY = 4 };
	__u32 cmd = ARG(1);

	RES;
	FD(0);
	put_u32(f, cmd);
	USTR(2);
	if (RET >= 0 && cmd == SET_BINARY)
		put_user_bytes(f, ARG(3), (__u16)ARG(4));
	else
		put_empty(f);
	if (RET >= 0 && (cmd == SET_STRING || cmd == SET_PATH || cmd == SET_PATH_EMPTY))
		USTR(3);
	else
		put_empty(f);
	S32(4);
}

SUB int put_quota(struct fill *f)
{
	enum { QUOTAON = 1 << 0, GETFMT = 1 << 2, GETINFO = 1 << 3, SETINFO = 1 << 4, GETQUOTA = 1 << 5, SETQUOTA = 1 << 6 };
	enum { XGETQUOTA = 0x5803 - 0x5800, NOT_USED = 0 };
	struct {
		__u64 bhard, bsoft, space, ihard, isoft, inodes, btime, itime;
		__u32 valid, pad;
	} q = { 0 };
	struct {
		__u64 bgrace, igrace;
		__u32 flags, valid;
	} info = { 0 };
	__u32 cmd = convert_quota_cmd((__u32)ARG(0) >> 8);

	RES;
	USTR(1);
	if (cmd == convert_quota_cmd(0x800002))
		USTR(3);
	else
		put_empty(f);
	if (cmd == convert_quota_cmd(0x800007) || cmd == convert_quota_cmd(0x800008))
		bpf_probe_read_user(&q, sizeof q, (void *)ARG(3));
	if (cmd == convert_quota_cmd(0x800005) || cmd == convert_quota_cmd(0x800006))
		bpf_probe_read_user(&info, sizeof info, (void *)ARG(3));
	put_u64(f, q.valid & 1 ? q.bhard : 0);
	put_u64(f, q.valid & 1 ? q.bsoft : 0);
	put_u64(f, q.valid & 2 ? q.space : 0);
	put_u64(f, q.valid & 4 ? q.ihard : 0);
	put_u64(f, q.valid & 4 ? q.isoft : 0);
	put_u64(f, q.valid & 16 ? q.btime : 0);
	put_u64(f, q.valid & 32 ? q.itime : 0);
	put_u64(f, info.valid & 1 ? info.bgrace : 0);
	put_u64(f, info.valid & 2 ? info.igrace : 0);
	put_u8(f, info.valid & 4 ? info.flags : 0);
	put_u8(f, cmd == convert_quota_cmd(0x800004) ? convert_quota_fmt(USER(__u32, ARG(3))) : convert_quota_fmt(0));
	put_u16(f, cmd);
	put_u8(f, convert_quota_type((__u32)ARG(0) & 0xff));
	put_u32(f, cmd == convert_quota_cmd(0x800007) || cmd == convert_quota_cmd(0x800008) ||
			   cmd == convert_quota_cmd(0x5803) || cmd == convert_quota_cmd(0x5804) ? (__u32)ARG(2) : 0);
	put_u8(f, cmd == convert_quota_cmd(0x800002) ? convert_quota_fmt(ARG(2)) : convert_quota_fmt(0));
	return 0;
}

INLINE void custom_QUOTACTL(struct fill *f)
{
	put_quota(f);
}

/* ------------------------------------------------------------------ waiting */

SUB int pollfd_next(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct {
		__s32 fd;
		__u16 events, revents;
	} p = { 0 };

	if (!w->count)
		return 0;
	w->count--;
	bpf_probe_read_user(&p, sizeof p, (void *)w->from);
	w->from += sizeof p;
	*(__s64 *)&s->data[w->pos & DATA_MASK] = p.fd;
	*(__u16 *)&s->data[(w->pos + 8) & DATA_MASK] = convert_poll(p.revents);
	w->pos += 10;
	return 1;
}

/* Descriptors and what happened on them, 16 at most. */
SUB int put_fdlist(struct fill *f, __u64 from, __u32 count)
{
	enum { MAX_POLLED = 16 };
	struct walk *w = &f->s->walk;
	__u64 start = f->pos;
	__u64 first;

	if (bpf_probe_read_user(&first, 8, (void *)from) && count) {
		put_u16(f, 0);
		return 0;
	}
	w->from = from;
	w->count = count < MAX_POLLED ? count : MAX_POLLED;
	raw_u16(f, w->count);
	w->pos = f->pos;
	for (int i = 0; i < MAX_POLLED; i++)
		if (!pollfd_next(f->s))
			break;
	f->pos = w->pos;
	put_len(f, f->pos - start);
	return 0;
}

INLINE void custom_PPOLL(struct fill *f)
{
	RES;
	put_fdlist(f, ARG(0), ARG(1));
	put_u64(f, user_timespec(f, ARG(2)));
	put_u32(f, USER(__u64, ARG(3)));
}

INLINE void custom_SEMOP(struct fill *f)
{
	struct {
		__u16 num;
		__s16 op, flags;
	} ops[2] = { 0 };
	__u32 n = ARG(2);

	RES;
	put_u32(f, n);
	if (RET == 0 && n == 1)
		bpf_probe_read_user(ops, sizeof ops[0], (void *)ARG(1));
	else if (RET == 0 && n > 1)
		bpf_probe_read_user(ops, sizeof ops, (void *)ARG(1));
	put_u16(f, ops[0].num);
	put_u16(f, ops[0].op);
	put_u16(f, convert_semop(ops[0].flags));
	put_u16(f, ops[1].num);
	put_u16(f, ops[1].op);
	put_u16(f, convert_semop(ops[1].flags));
	S32(0);
}

INLINE void custom_IO_URING_SETUP(struct fill *f)
{
	struct {
		__u32 sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features;
	} p = { 0 };

	bpf_probe_read_user(&p, sizeof p, (void *)ARG(1));
	RES;
	U32(0);
	put_u32(f, p.sq_entries);
	put_u32(f, p.cq_entries);
	put_u32(f, convert_io_uring_setup(p.flags));
	put_u32(f, p.sq_thread_cpu);
	put_u32(f, p.sq_thread_idle);
	put_u32(f, convert_io_uring_feats(p.features));
}

/* ------------------------------------------------------------------ keys */

/* How each operation uses its four arguments: n not at all (0), i a number, t a text. */
INLINE void put_key_arg(struct fill *f, char how, __u64 arg)
{
	if (how == 't') {
		__u64 start = f->pos;

		raw_u8(f, DYN_KEYCTL_TEXT);
		raw_user_text(f, arg, PATH_SIZE);
		put_len(f, f->pos - start);
	} else {
		raw_u8(f, DYN_KEYCTL_I64);
		raw_u64(f, how == 'i' ? arg : 0);
		put_len(f, 9);
	}
}

static const char key_ops[33][4] = {
	"iinn", "tnnn", "iiin", "innn", "iiin", "iinn", "iiin", "innn", "iinn", "iinn", "itti", "iiin",	/* to READ */
	"iiii", "iiin", "innn", "iinn", "innn", "iiin", "nnnn", "iiii", "iiii", "innn", "iinn", "iiii",	/* to DH_COMPUTE */
	"iitn", "itii", "itii", "itii", "itii", "ittn", "iiii", "iinn", "iiin",				/* to WATCH_KEY */
};

INLINE void custom_KEYCTL(struct fill *f)
{
	__u32 op = ARG(0);
	const char *how;

	RES;
	put_u32(f, op);
	how = key_ops[op < 33 ? op : 18];
	put_key_arg(f, how[0], ARG(1));
	put_key_arg(f, how[1], ARG(2));
	put_key_arg(f, how[2], ARG(3));
	put_key_arg(f, how[3], ARG(4));
}

/* ------------------------------------------------------------------ sockets */

INLINE void put_accept(struct fill *f)
{
	__u32 queue = 0, queue_max = 0;

	RES_FD;
	if (RET >= 0) {
		struct sock *sk = sock_of(f->task, ARG(0));

		put_tuple(f, RET, INBOUND, 0);
		if (sk) {
			queue = READ(sk, sk_ack_backlog);
			queue_max = READ(sk, sk_max_ack_backlog);
		}
	} else {
		put_empty(f);
	}
	put_u8(f, queue && queue_max ? (__u64)queue * 100 / queue_max : 0);
	put_u32(f, queue);
	put_u32(f, queue_max);
}

INLINE void custom_ACCEPT(struct fill *f)
{
	put_accept(f);
}

INLINE void custom_ACCEPT4(struct fill *f)
{
	put_accept(f);
	FLAGS(3, socket);
}

INLINE void custom_CONNECT(struct fill *f)
{
	enum { EINPROGRESS = 115 };

	RES;
	if (RET == 0 || RET == -EINPROGRESS)
		put_tuple(f, ARG(0), OUTBOUND, ARG(1));
	else
		put_empty(f);
	FD(0);
	SOCKADDR(1, 2);
}

INLINE void custom_SOCKETPAIR(struct fill *f)
{
	__s32 ends[2] = { -1, -1 };
	struct sock *sk = NULL, *peer = NULL;

	RES;
	if (RET == 0) {
		bpf_probe_read_user(ends, sizeof ends, (void *)ARG(3));
		sk = sock_of(f->task, ends[0]);
		if (sk) {
			struct unix_sock *u = (struct unix_sock *)sk;
			peer = READ(u, peer);
		}
	}
	put_s64(f, ends[0]);
	put_s64(f, ends[1]);
	put_u64(f, (__u64)sk);
	put_u64(f, (__u64)peer);
	put_u32(f, convert_family((__u8)ARG(0)));
	U32(1);
	U32(2);
}

/* Names of socket options (SOL_SOCKET) by what their values are: 4 the usual number, 8 a longer one, 't' a time, 'e' an
 * error, 0 bytes that nobody looks into. */
static const char sockopt_kinds[128] = {
	[1] = 4, [2] = 4, [3] = 4, [4] = 'e', [5] = 4, [6] = 4, [7] = 4, [8] = 4, [9] = 4, [10] = 4, [11] = 4, [12] = 4,
	[14] = 4, [15] = 4, [16] = 4, [18] = 4, [19] = 4, [20] = 't', [21] = 't', [22] = 4, [23] = 4, [24] = 4, [25] = 4,
	[27] = 4, [29] = 4, [30] = 4, [31] = 4, [32] = 4, [33] = 4, [34] = 4, [35] = 4, [36] = 4, [37] = 4, [38] = 4,
	[39] = 4, [40] = 4, [41] = 4, [42] = 4, [43] = 4, [44] = 4, [45] = 4, [46] = 4, [47] = 4, [48] = 4, [49] = 4,
	[57] = 8, [66] = 't', [67] = 't',
};

SUB int put_sockopt_value(struct fill *f, __u64 value, __u32 len)
{
	__u32 level = ARG(1), name = ARG(2);
	__u64 start = f->pos;
	char kind = level == 1 && name < 128 ? sockopt_kinds[name & 127] : 0;

	if (kind == 4) {
		raw_u8(f, DYN_SOCKOPT_U32);
		raw_u32(f, USER(__u32, value));
	} else if (kind == 8) {
		raw_u8(f, DYN_SOCKOPT_U64);
		raw_u64(f, USER(__u64, value));
	} else if (kind == 't') {
		raw_u8(f, DYN_SOCKOPT_TIMEVAL);
		raw_u64(f, f->compat && name < 66 ? USER(__u32, value) * 1000000000ULL + USER(__u32, value + 4) * 1000ULL
						  : USER(__u64, value) * 1000000000ULL + USER(__u64, value + 8) * 1000ULL);
	} else if (kind == 'e') {
		raw_u8(f, DYN_SOCKOPT_ERRNO);
		raw_u64(f, (__s64)-USER(__s32, value));
	} else {
		raw_u8(f, DYN_SOCKOPT_UNKNOWN);
		raw_user_bytes(f, value, (__u16)len);
	}
	put_len(f, f->pos - start);
	return 0;
}

INLINE void put_sockopt(struct fill *f, __u32 len)
{
	RES;
	FD(0);
	put_u8(f, convert_sockopt_level(ARG(1)));
	put_u8(f, (__u32)ARG(1) == 1 ? convert_sockopt(ARG(2)) : 0);
	put_sockopt_value(f, ARG(3), len);
	put_u32(f, len);
}

INLINE void custom_SETSOCKOPT(struct fill *f)
{
	put_sockopt(f, (__u16)ARG(4));
}

INLINE void custom_GETSOCKOPT(struct fill *f)
{
	put_sockopt(f, USER(__u32, ARG(4)));
}

INLINE void custom_SENDTO(struct fill *f)
{
	RES;
	put_user_bytes(f, ARG(1), least(snaplen(f, ARG(0), ARG(4), ARG(1), ARG(2)), RET > 0 ? RET : (__u32)ARG(2)));
	FD(0);
	U32(2);
	if (RET >= 0)
		put_tuple(f, ARG(0), OUTBOUND, ARG(4));
	else
		put_empty(f);
}

INLINE void custom_RECVFROM(struct fill *f)
{
	RES;
	if (RET >= 0) {
		put_user_bytes(f, ARG(1), least(snaplen(f, ARG(0), ARG(4), ARG(1), ARG(2)), RET));
		put_tuple(f, ARG(0), INBOUND, ARG(4));
	} else {
		put_empty(f);
		put_empty(f);
	}
	/* the order of events.def */
	FD(0);
	U32(2);
}

INLINE void custom_SENDMSG(struct fill *f)
{
	struct message m = { 0 };
	__u32 most;

	RES;
	if (!message_read(f, &m, ARG(1))) {
		put_empty(f);
		FD(0);
		put_empty(f);
		put_empty(f);
		return;
	}
	most = snaplen(f, ARG(0), m.name, 0, 0);
	put_iov(f, m.iov, m.count, RET > 0 ? least(most, RET) : most);
	FD(0);
	put_iov_size(f, m.iov, m.count);
	if (RET >= 0)
		put_tuple(f, ARG(0), OUTBOUND, m.name);
	else
		put_empty(f);
}

INLINE void put_control(struct fill *f, struct message *m)
{
	if (m->control && m->control_len && m->control_len <= 0xffff)
		put_user_bytes(f, m->control, m->control_len);
	else
		put_empty(f);
}

INLINE void custom_RECVMSG(struct fill *f)
{
	struct message m = { 0 };

	RES;
	if (RET >= 0) {
		put_u32(f, RET);
		if (message_read(f, &m, ARG(1)))
			put_iov(f, m.iov, m.count, least(snaplen(f, ARG(0), m.name, 0, 0), RET));
		else
			put_empty(f);
		put_tuple(f, ARG(0), INBOUND, m.name);
		put_control(f, &m);
	} else {
		put_u32(f, 0);
		put_empty(f);
		put_empty(f);
		put_empty(f);
	}
	FD(0);
}

/* ------------------------------------------------------------------ several messages: an event for each */

enum { MAX_MESSAGES = 16 };

INLINE __u64 message_size(struct fill *f)
{
	return f->compat ? sizeof(struct msghdr32) + 4 : sizeof(struct msghdr64) + 8;
}

/* Bytes that were moved: they stand behind the message. */
INLINE __u32 message_moved(struct fill *f, __u64 at)
{
	return USER(__u32, at + (f->compat ? sizeof(struct msghdr32) : sizeof(struct msghdr64)));
}

INLINE __u32 *message_at(void)
{
	__u32 slot = bpf_get_smp_processor_id() * NESTING;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	return s ? &s->message : NULL;
}

INLINE void several_none_SENDMMSG(struct fill *f)
{
	if (!fill_begin(f, EVENT_OF_SENDMMSG, NPARAMS_OF_SENDMMSG))
		return;
	RES;
	FD(0);
	put_u32(f, 0);
	put_empty(f);
	put_empty(f);
	fill_send(f);
}

INLINE void several_one_SENDMMSG(struct fill *f, __u64 at)
{
	struct message m = { 0 };
	__u32 moved, most;

	if (!fill_begin(f, EVENT_OF_SENDMMSG, NPARAMS_OF_SENDMMSG))
		return;
	message_read(f, &m, at);
	moved = message_moved(f, at);
	most = snaplen(f, ARG(0), m.name, 0, 0);
	put_s64(f, moved);
	put_s64(f, (__u32)ARG(0));
	put_iov_size(f, m.iov, m.count);
	put_iov(f, m.iov, m.count, moved ? least(most, moved) : most);
	put_tuple(f, ARG(0), OUTBOUND, m.name);
	fill_send(f);
}

INLINE void several_none_RECVMMSG(struct fill *f)
{
	if (!fill_begin(f, EVENT_OF_RECVMMSG, NPARAMS_OF_RECVMMSG))
		return;
	RES;
	FD(0);
	put_u32(f, 0);
	put_empty(f);
	put_empty(f);
	put_empty(f);
	fill_send(f);
}

INLINE void several_one_RECVMMSG(struct fill *f, __u64 at)
{
	struct message m = { 0 };
	__u32 moved;

	if (!fill_begin(f, EVENT_OF_RECVMMSG, NPARAMS_OF_RECVMMSG))
		return;
	message_read(f, &m, at);
	moved = message_moved(f, at);
	put_s64(f, moved);
	put_s64(f, (__u32)ARG(0));
	put_u32(f, moved);
	put_iov(f, m.iov, m.count, least(snaplen(f, ARG(0), m.name, 0, 0), moved));
	put_tuple(f, ARG(0), INBOUND, m.name);
	put_control(f, &m);
	fill_send(f);
}

#endif
