/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is known of a task, as values. */
#ifndef FALCO_DRIVER_TASK_BPF_H
#define FALCO_DRIVER_TASK_BPF_H

#include "maps.bpf.h"
#include "put.bpf.h"
#include "fill.h"

enum { PF_EXITING = 4, PF_KTHREAD = 0x200000 };

INLINE struct mm_struct *task_mm(struct task_struct *t)
{
	return READ(t, mm);
}

enum { PAGE_KB_SHIFT = 2 };		/* pages of 4 KiB to KiB */

INLINE __u32 mm_size(struct mm_struct *mm)
{
	return mm ? READ(mm, total_vm) << PAGE_KB_SHIFT : 0;
}

INLINE __u32 mm_rss(struct mm_struct *mm)
{
	return mm ? (mm_count(mm, MM_FILEPAGES) + mm_count(mm, MM_ANONPAGES) + mm_count(mm, MM_SHMEMPAGES))
		    << PAGE_KB_SHIFT : 0;
}

INLINE __u32 mm_swap(struct mm_struct *mm)
{
	return mm ? mm_count(mm, MM_SWAPENTS) << PAGE_KB_SHIFT : 0;
}

INLINE struct pid *task_pid(struct task_struct *t, enum pid_type type)
{
	struct pid **pids = MEMBER(READ(t, signal), struct signal_struct, pids);

	return type == PIDTYPE_PID ? READ(t, thread_pid) : READ_POINTER(&pids[type]);
}

INLINE __s64 pid_global(struct pid *p)
{
	return p ? READ(p, numbers[0].nr) : 0;
}

/* level: not more than the pid's own. */
INLINE struct upid pid_at(struct pid *p, unsigned int level)
{
	struct upid u = { 0 };
	struct upid *at = (void *)((char *)MEMBER(p, struct pid, numbers) + level * bpf_core_type_size(struct upid));

	u.nr = READ(at, nr);
	u.ns = READ(at, ns);
	return u;
}

INLINE struct upid pid_innermost(struct pid *p)
{
	return pid_at(p, READ(p, level));
}

/* The number as processes of its own namespace see it. */
INLINE __s64 task_vnr(struct task_struct *t, enum pid_type type)
{
	struct pid *p = task_pid(t, type);
	return p ? pid_innermost(p).nr : 0;
}

INLINE struct pid_namespace *task_pidns(struct task_struct *t, enum pid_type type)
{
	struct pid *p = task_pid(t, type);
	return p ? pid_innermost(p).ns : NULL;
}

INLINE void put_memory(struct fill *f)
{
	struct mm_struct *mm = task_mm(f->task);

	put_u32(f, mm_size(mm));
	put_u32(f, mm_rss(mm));
	put_u32(f, mm_swap(mm));
}

INLINE void put_caps(struct fill *f)
{
	put_u64(f, task_caps(f->task, cap_inheritable));
	put_u64(f, task_caps(f->task, cap_permitted));
	put_u64(f, task_caps(f->task, cap_effective));
}

/* A device as mknod() takes it, read as if it were one of the kernel's: that is what events have. */
#define dev_wire_user(dev) dev_wire(dev)

/* As stat() has it. */
INLINE __u32 dev_wire(__u32 dev)
{
	__u32 major = dev >> 20, minor = dev & 0xfffff;
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

INLINE __u32 task_tty(struct task_struct *t)
{
	struct tty_struct *tty = READ(t, signal, tty);
	struct tty_driver *driver = tty ? READ(tty, driver) : NULL;

	if (!driver)
		return 0;
	return dev_wire((READ(driver, major) << 20 | READ(driver, minor_start)) +
			READ(tty, index));
}

enum { CHILD_IN_PIDNS = 1 << 29 };

INLINE bool task_in_pidns(struct task_struct *t)
{
	return READ(task_pidns(t, PIDTYPE_PID), level) != 0;
}

/* ------------------------------------------------------------------ files */

INLINE struct file *file_of(struct task_struct *t, __s32 fd)
{
	struct fdtable *table = READ(t, files, fdt);
	struct file **files;

	if (fd < 0 || !table || (__u32)fd >= READ(table, max_fds))
		return NULL;
	files = READ(table, fd);
	return files ? READ_POINTER(&files[fd]) : NULL;
}

INLINE __u64 fd_inode(struct task_struct *t, __s32 fd)
{
	struct file *file = file_of(t, fd);
	return file ? READ(file, f_inode, i_ino) : 0;
}

enum { OVERLAY_MAGIC = 0x794c7630 };
enum layer { LAYER_NONE, LAYER_LOWER, LAYER_UPPER };

/* Of an overlay file system, which one the file is in. The pointer to the upper dentry stands right after the inode in
 * the file system's own inode. */
INLINE enum layer file_layer(struct file *file)
{
	struct dentry *dentry = READ(file, f_path.dentry), *upper;
	char *inode = (char *)READ(dentry, d_inode);

	if (READ(dentry, d_sb, s_magic) != OVERLAY_MAGIC)
		return LAYER_NONE;
	upper = READ_POINTER(inode + bpf_core_type_size(struct inode));
	return upper && READ(upper, d_inode, i_ino) ? LAYER_UPPER : LAYER_LOWER;
}

INLINE struct opened file_opened(struct task_struct *t, __s64 fd)
{
	enum { FMODE_CREATED = 1 << 20 };
	struct opened o = { 0 };
	struct file *file = file_of(t, fd);
	struct super_block *sb;
	struct inode *inode;

	if (!file)
		return o;
	o.created = READ(file, f_mode) & FMODE_CREATED;
	if (fd == 0)
		return o;
	inode = READ(file, f_inode);
	sb = READ(inode, i_sb);
	o.dev = dev_wire(READ(sb, s_dev));
	o.ino = READ(inode, i_ino);
	if (READ(sb, s_magic) == OVERLAY_MAGIC)
		o.layer = file_layer(file);
	return o;
}

/* Flags of an open call: what was asked for, and what LOOK() saw. */
INLINE __u32 open_wire(struct fill *f, __u32 flags)
{
	enum { F_CREATED = 1 << 14, F_UPPER = 1 << 15, F_LOWER = 1 << 16 };

	return open_flags(flags) | (f->opened.created ? F_CREATED : 0) |
	       (f->opened.layer == LAYER_UPPER ? F_UPPER : f->opened.layer == LAYER_LOWER ? F_LOWER : 0);
}

/* ------------------------------------------------------------------ values of the process's memory */

INLINE __u64 user_timespec(struct fill *f, __u64 from)
{
	__u64 t[2] = { 0 };
	__u32 narrow[2] = { 0 };

	if (f->compat) {
		bpf_probe_read_user(narrow, sizeof narrow, (void *)from);
		return narrow[0] * 1000000000ULL + narrow[1];
	}
	bpf_probe_read_user(t, sizeof t, (void *)from);
	return t[0] * 1000000000ULL + t[1];
}

INLINE void put_rlimit64(struct fill *f, __u64 from, bool readable, __u64 otherwise)
{
	__u64 r[2] = { 0 };

	bpf_probe_read_user(r, sizeof r, (void *)from);
	put_u64(f, readable ? r[0] : otherwise);
	put_u64(f, readable ? r[1] : otherwise);
}

/* A struct rlimit, as two parameters. */
INLINE void put_rlimit(struct fill *f, __u64 from, bool readable, __u64 otherwise)
{
	__u64 r[2] = { 0 };
	__u32 narrow[2] = { 0 };

	if (f->compat && !bpf_probe_read_user(narrow, sizeof narrow, (void *)from)) {
		r[0] = narrow[0];
		r[1] = narrow[1];
	} else if (!f->compat) {
		bpf_probe_read_user(r, sizeof r, (void *)from);
	}
	put_u64(f, readable ? r[0] : otherwise);
	put_u64(f, readable ? r[1] : otherwise);
}

#endif
