/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All threads and descriptors, see tasks.h: the kernel calls these programs for each of them while somebody reads. One
 * reads at a time, so there is one scratch. What found no room in the reader's buffer is asked for again by the kernel.
 */
#ifndef FALCO_DRIVER_TASKS_BPF_H
#define FALCO_DRIVER_TASKS_BPF_H

#include "image.bpf.h"
#include "tasks.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(max_entries, 1);
} task_scratch SEC(".maps");

/*
 * Parts that branch a lot are functions that the verifier looks at by themselves, once, whoever calls them: with static
 * ones it follows every way through one part into every way through the next. They take numbers only.
 */
#define APART __attribute__((noinline))

/* Where functions of the other headers may write lengths: over an entry's size, which comes last. */
enum { LENS_APART = 0 };

/* The same pointer, as a mere number for the verifier, which such functions take. */
INLINE void *as_number(const void *p)
{
	void *number = NULL;

	bpf_probe_read_kernel(&number, sizeof number, &p);
	return number;
}

INLINE struct scratch *tasks_scratch(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&task_scratch, &zero);
}

/* An entry lies at the start of the data, and ends at `end`. */
INLINE void entry_send(struct scratch *s, __u64 end, struct seq_file *seq)
{
	__u64 size = (end + 7) & ~7ULL;

	asm volatile("" : "+r"(size));
	if (size > TASKS_MAX_ENTRY)
		return;
	*(__u32 *)s->data = size;
	bpf_seq_write(seq, s->data, size);
}

INLINE bool is_unhashed(struct dentry *dentry)
{
	return !READ(dentry, d_hash.pprev);
}

/* What a text was like that was written at `pos` and is to begin there. */
struct text {
	__u64 end;
	__u16 len;
	__u8 flags;
};

INLINE struct text text_of(__u64 pos, __u64 result)
{
	return (struct text){ pos + (__u32)result, (__u32)result, result >> 32 };
}

/* Writes a path. Returns its length, and above 32 bits enum text_flag. */
APART __u64 write_path(__u64 path_at, __u64 pos)
{
	struct path *path = (void *)path_at;
	struct dentry *dentry = READ(path, dentry), *end;
	struct vfsmount *mnt = READ(path, mnt);
	struct fill fill_, *f = &fill_;
	struct mount *top;
	struct walk *w;
	__u64 len;

	f->s = tasks_scratch();
	if (!f->s || !dentry || !mnt)
		return 0;
	f->pos = pos;
	f->lens = LENS_APART;
	w = &f->s->walk;
	put_path(f, path);
	len = f->pos - pos;
	if (len > PATH_SIZE)
		return (__u64)TEXT_TOO_LONG << 32;
	if (READ(dentry, d_parent) == dentry)
		return len | (READ(mnt, mnt_root) == dentry ? 0 : (__u64)TEXT_BARE << 32);
	end = w->dentry;
	top = w->mnt;
	if (READ(end, d_parent) != end && (end != w->mnt_root || READ(top, mnt_parent) != top))
		return (__u64)TEXT_ASK << 32;
	return len | (is_unhashed(dentry) ? (__u64)TEXT_DELETED << 32 : 0);
}

/* ------------------------------------------------------------------ threads */

/* The number of a process group within the thread's own pid namespace; 0: it has none there. */
INLINE __s32 group_vnr(struct task_struct *task)
{
	struct pid *own = task_pid(task, PIDTYPE_PID), *group = task_pid(task, PIDTYPE_PGID);
	__u32 level = own ? READ(own, level) : 0;

	return group && level <= READ(group, level) ? pid_at(group, level).nr : 0;
}

INLINE void entry_numbers(struct task_entry *e, struct task_struct *task)
{
	enum { RLIMIT_NOFILE = 7 };
	struct mm_struct *mm = task_mm(task);
	__u64 pages = mm ? READ(mm, total_vm) : 0;

	e->tid = READ(task, pid);
	e->pid = READ(task, tgid);
	e->ptid = READ(task, real_parent, tgid);
	e->sid = pid_global(task_pid(task, PIDTYPE_SID));
	e->pgid = pid_global(task_pid(task, PIDTYPE_PGID));
	e->vpgid = group_vnr(task);
	e->vtid = task_vnr(task, PIDTYPE_PID);
	e->vpid = task_vnr(task, PIDTYPE_TGID);
	e->uid = READ(task, cred, euid.val);
	e->gid = READ(task, cred, egid.val);
	e->loginuid = task_loginuid(task);
	e->tty = task_tty(task);
	e->vm_size = pages < (__u32)-1 >> PAGE_KB_SHIFT ? pages << PAGE_KB_SHIFT : (__u32)-1;
	e->vm_rss = mm_rss(mm);
	e->vm_swap = mm_swap(mm);
	e->flags = mm ? TASK_HAS_MEMORY : 0;
	e->nthreads = READ(task, signal, nr_threads);
	e->faults_major = READ(task, maj_flt);
	e->faults_minor = READ(task, min_flt);
	e->group_major = READ(task, signal, maj_flt);
	e->group_minor = READ(task, signal, min_flt);
	e->fdlimit = READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	e->cap_inheritable = task_caps(task, cap_inheritable);
	e->cap_permitted = task_caps(task, cap_permitted);
	e->cap_effective = task_caps(task, cap_effective);
	bpf_probe_read_kernel(e->comm, sizeof e->comm, MEMBER(task, struct task_struct, comm));
}

/* enum exe_flag */
APART __u32 program_flags(__u64 task, __u64 file)
{
	return exe_flags((void *)task, (void *)file);
}

INLINE void entry_program(struct task_entry *e, struct task_struct *task, struct file *file)
{
	struct inode *inode = file ? READ(file, f_inode) : NULL;
	struct pid_namespace *ns = task_pidns(task, PIDTYPE_TGID);

	e->exe_flags = program_flags((__u64)task, (__u64)as_number(file));
	e->exe_ino = inode ? READ(inode, i_ino) : 0;
	e->exe_ctime = inode ? inode_ctime(inode) : 0;
	e->exe_mtime = inode ? inode_mtime(inode) : 0;
	e->space_start = ns && READ(ns, level) ? READ(ns, child_reaper, start_time) : 0;
}

INLINE __u64 entry_text(struct task_entry *e, __u32 which, struct path *path, __u64 pos)
{
	struct text t = text_of(pos, write_path((__u64)as_number(path), pos));

	e->text_len[which] = t.len;
	e->text_flags[which] = t.flags;
	return t.end;
}

/* Writes where the thread is in one hierarchy. Returns its length. */
APART __u64 write_group(__u64 task, __u32 subsys, __u64 pos)
{
	struct fill fill_, *f = &fill_;

	f->s = tasks_scratch();
	if (!f->s)
		return 0;
	f->pos = pos;
	raw_group(f, (void *)task, subsys);
	return f->pos - pos;
}

#define WRITE_GROUP(task, subsys, pos) \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, subsys##_cgrp_id) \
		 ? write_group((__u64)(task), bpf_core_enum_value(enum cgroup_subsys_id, subsys##_cgrp_id), pos) : 0)

INLINE __u64 entry_groups(struct task_entry *e, struct task_struct *task, __u64 start)
{
	__u64 pos = start;

	pos += WRITE_GROUP(task, cpuset, pos);
	pos += WRITE_GROUP(task, cpu, pos);
	pos += WRITE_GROUP(task, cpuacct, pos);
	pos += WRITE_GROUP(task, io, pos);
	pos += WRITE_GROUP(task, memory, pos);
	if (pos - start > STRINGS_SIZE) {
		e->text_flags[TASK_CGROUPS] = TEXT_ASK;
		return start;
	}
	e->text_len[TASK_CGROUPS] = pos - start;
	return pos;
}

SEC("iter/task")
int each_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = as_number(ctx->task);
	struct seq_file *seq = ctx->meta->seq;
	struct scratch *s = tasks_scratch();
	__u64 pos = sizeof(struct task_entry);
	struct task_entry *e;
	struct fs_struct *fs;
	struct file *file;

	if (!task || !s || READ(task, flags) & PF_KTHREAD)
		return 0;
	e = (struct task_entry *)s->data;
	__builtin_memset(e, 0, sizeof *e);
	entry_numbers(e, task);
	if (e->flags & TASK_HAS_MEMORY && e->tid == e->pid) {
		file = READ(task, mm, exe_file);
		fs = READ(task, fs);
		entry_program(e, task, file);
		if (file)
			pos = entry_text(e, TASK_EXEPATH, MEMBER(file, struct file, f_path), pos);
		if (fs) {
			pos = entry_text(e, TASK_CWD, MEMBER(fs, struct fs_struct, pwd), pos);
			pos = entry_text(e, TASK_ROOT, MEMBER(fs, struct fs_struct, root), pos);
		}
	}
	entry_send(s, entry_groups(e, task, pos), seq);
	return 0;
}

/* ------------------------------------------------------------------ descriptors */

INLINE bool is_cloexec(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = READ(task, files, fdt);
	unsigned long *bits = table ? READ(table, close_on_exec) : NULL, word = 0;

	if (!bits || fd >= READ(table, max_fds))
		return false;
	bpf_probe_read_kernel(&word, sizeof word, &bits[fd / 64]);
	return word >> (fd & 63) & 1;
}

/* The name that a UNIX socket is bound to, which lies behind the entry. */
INLINE void entry_unix(struct scratch *s, struct fd_entry *e, struct sock *sk)
{
	enum { NAME_MAX = 108 };
	struct unix_address *addr = READ((struct unix_sock *)sk, addr);
	__s32 len = addr ? READ(addr, len) - 2 : 0;

	e->unix_addr = (__u64)sk;
	if (len <= 0 || len > NAME_MAX + 1)
		return;
	bpf_probe_read_kernel(&s->data[sizeof *e], NAME_MAX, (char *)MEMBER(addr, struct unix_address, name) + 2);
	e->name_len = len > NAME_MAX ? NAME_MAX : len;
}

INLINE void entry_inet(struct fd_entry *e, struct sock *sk)
{
	__u16 port = READ(sk, __sk_common.skc_dport);

	if (e->family == FD_ENTRY_INET) {
		*(__u32 *)e->here = READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)e->there = READ(sk, __sk_common.skc_daddr);
	} else {
		bpf_core_read(e->here, sizeof e->here, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(e->there, sizeof e->there, &sk->__sk_common.skc_v6_daddr);
	}
	e->here_port = READ(sk, __sk_common.skc_num);
	e->there_port = port >> 8 | port << 8;
}

INLINE void entry_socket(struct scratch *s, struct fd_entry *e, struct file *file)
{
	struct socket *socket = READ(file, private_data);
	struct sock *sk = socket ? READ(socket, sk) : NULL;

	e->flags |= FD_ENTRY_SOCKET;
	if (!sk)
		return;
	e->family = READ(sk, __sk_common.skc_family);
	e->protocol = READ(sk, sk_protocol);
	e->type = READ(sk, sk_type);
	e->tcp_state = READ(sk, __sk_common.skc_state);
	if (e->family == FD_ENTRY_UNIX)
		entry_unix(s, e, sk);
	else if (e->family == FD_ENTRY_INET || e->family == FD_ENTRY_INET6)
		entry_inet(e, sk);
}

INLINE void entry_file(struct fd_entry *e, struct file *file)
{
	struct text t = text_of(sizeof *e, write_path((__u64)MEMBER(file, struct file, f_path), sizeof *e));

	e->name_len = t.len;
	e->name_flags = t.flags;
}

SEC("iter/task_file")
int each_fd(struct bpf_iter__task_file *ctx)
{
	enum { SOCKFS_MAGIC = 0x534F434B };
	struct task_struct *task = ctx->task;
	struct seq_file *seq = ctx->meta->seq;
	struct file *file = as_number(ctx->file);
	struct scratch *s = tasks_scratch();
	struct inode *inode;
	struct fd_entry *e;
	__u32 fd = ctx->fd;

	/* threads with descriptors of their own are not told apart from their process */
	if (!task || !file || !s || READ(task, pid) != READ(task, tgid))
		return 0;
	e = (struct fd_entry *)s->data;
	__builtin_memset(e, 0, sizeof *e);
	inode = READ(file, f_inode);
	e->pid = READ(task, tgid);
	e->fd = fd;
	e->open_flags = READ(file, f_flags);
	e->flags = is_cloexec(task, fd) ? FD_ENTRY_CLOEXEC : 0;
	e->mode = READ(inode, i_mode);
	e->ino = READ(inode, i_ino);
	e->dev = dev_wire(READ(inode, i_sb, s_dev));
	e->magic = READ(inode, i_sb, s_magic);
	if (e->magic == SOCKFS_MAGIC)
		entry_socket(s, e, file);
	else
		entry_file(e, file);
	entry_send(s, sizeof *e + e->name_len, seq);
	return 0;
}

#endif
