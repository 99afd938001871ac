/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What events of new processes and programs carry: paths, control groups, arguments, the program's file. */
#ifndef FALCO_DRIVER_IMAGE_BPF_H
#define FALCO_DRIVER_IMAGE_BPF_H

#include "put.bpf.h"
#include "task.bpf.h"

enum {
	MAX_DEPTH = 96,			/* parts of a file's path */
	MAX_GROUP_DEPTH = 16,		/* parts of a control group's path */
	MAX_STRINGS = 16,		/* of an argument list that the kernel did not take */
	STRINGS_SIZE = 4096,
};

/* ------------------------------------------------------------------ paths: names collected upwards, written downwards */

SUB int name_write(struct scratch *s)
{
	struct walk *w = &s->walk;
	__u64 n = w->n;
	long len;

	if (!n)
		return 0;
	w->n = --n;
	s->data[w->pos & DATA_MASK] = '/';
	len = bpf_probe_read_kernel_str(&s->data[(w->pos + 1) & DATA_MASK], 256, w->names[n & (MAX_NAMES - 1)]);
	w->pos += len > 0 ? len : 1;
	return 1;
}

/* Writes what was collected, and the final NUL. */
#define NAMES_WRITE(s, most) do { \
	for (int i_ = 0; i_ < (most); i_++) \
		if (!name_write(s)) \
			break; \
	(s)->data[(s)->walk.pos & DATA_MASK] = 0; \
	(s)->walk.pos++; } while (0)

SUB int dentry_up(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct dentry *dentry = w->dentry, *parent = READ(dentry, d_parent);
	__u64 n = w->n;

	if (dentry == w->mnt_root) {
		struct mount *mnt = w->mnt, *up = READ(mnt, mnt_parent);

		if (up == mnt)
			return 0;
		w->dentry = READ(mnt, mnt_mountpoint);
		w->mnt_root = READ(up, mnt.mnt_root);
		w->mnt = up;
		return 1;
	}
	if (dentry == parent)
		return 0;
	w->names[n & (MAX_NAMES - 1)] = READ(dentry, d_name.name);
	w->n = n + 1;
	w->dentry = parent;
	return 1;
}

/* As d_path() would say, without " (deleted)". What has no place in a tree (memfd) has its bare name. */
SUB int put_path(struct fill *f, struct path *path)
{
	struct scratch *s = f->s;
	struct walk *w = &s->walk;
	struct vfsmount *mnt = READ(path, mnt);
	__u64 start = f->pos;

	w->dentry = READ(path, dentry);
	w->mnt_root = READ(mnt, mnt_root);
	w->mnt = (void *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
	w->n = 0;
	w->pos = start;
	for (int i = 0; i < MAX_DEPTH; i++)
		if (!dentry_up(s))
			break;
	if (!w->n) {
		struct dentry *dentry = w->dentry;

		put_text(f, READ(dentry, d_name.name), PATH_SIZE);
		return 0;
	}
	NAMES_WRITE(s, MAX_DEPTH);
	f->pos = w->pos;
	put_len(f, f->pos - start);
	return 0;
}

INLINE void put_file_path(struct fill *f, struct file *file)
{
	if (file)
		put_path(f, MEMBER(file, struct file, f_path));
	else
		put_empty(f);
}

/* ------------------------------------------------------------------ control groups: "cpuset=/a/b" NUL "cpu=..." NUL */

SUB int group_up(struct scratch *s)
{
	struct walk *w = &s->walk;
	struct kernfs_node *kn = w->kn, *parent = kernfs_parent(kn);
	__u64 n = w->n;

	if (!parent)
		return 0;
	w->names[n & (MAX_NAMES - 1)] = READ(kn, name);
	w->n = n + 1;
	w->kn = parent;
	return 1;
}

SUB int raw_group(struct fill *f, struct task_struct *task, int subsys)
{
	struct scratch *s = f->s;
	struct walk *w = &s->walk;
	struct css_set *set = READ_NUMBER(task, cgroups);
	struct cgroup_subsys_state *css = READ_POINTER((struct cgroup_subsys_state **)MEMBER(set, struct css_set, subsys) + subsys);

	if (!css || !raw_text(f, READ(css, ss, name), 64))
		return 0;
	s->data[(f->pos - 1) & DATA_MASK] = '=';
	w->kn = READ(css, cgroup, kn);
	w->n = 0;
	w->pos = f->pos;
	for (int i = 0; i < MAX_GROUP_DEPTH; i++)
		if (!group_up(s))
			break;
	if (!w->n)
		s->data[w->pos++ & DATA_MASK] = '/';
	NAMES_WRITE(s, MAX_GROUP_DEPTH);
	f->pos = w->pos;
	return 0;
}

#define RAW_GROUP(f, task, subsys) \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, subsys##_cgrp_id) \
		 ? raw_group(f, task, bpf_core_enum_value(enum cgroup_subsys_id, subsys##_cgrp_id)) : 0)

INLINE void put_groups(struct fill *f, struct task_struct *task)
{
	__u64 start = f->pos;

	RAW_GROUP(f, task, cpuset);
	RAW_GROUP(f, task, cpu);
	RAW_GROUP(f, task, cpuacct);
	RAW_GROUP(f, task, io);
	RAW_GROUP(f, task, memory);
	put_len(f, f->pos - start);
}

/* ------------------------------------------------------------------ arguments */

/* exe and args of a running program: two parameters. */
INLINE void put_args(struct fill *f, struct mm_struct *mm)
{
	__u64 start = READ(mm, arg_start), end = READ(mm, arg_end);
	__u32 exe = raw_user_text(f, start, PATH_SIZE);

	put_len(f, exe);
	if (exe >= STRINGS_SIZE)
		put_empty(f);
	else
		put_user_strings(f, start + exe, end - start - exe, STRINGS_SIZE - exe);
}

INLINE void put_env(struct fill *f, struct mm_struct *mm)
{
	__u64 start = READ(mm, env_start), end = READ(mm, env_end);

	put_user_strings(f, start, end - start, STRINGS_SIZE);
}

/* The next string of an array of pointers. */
SUB int string_next(struct scratch *s, bool compat)
{
	struct walk *w = &s->walk;
	__u64 at = w->from, string = 0;
	long n;

	w->from += compat ? 4 : 8;
	if (bpf_probe_read_user(&string, compat ? 4 : 8, (void *)at) || !string)
		return 0;
	n = bpf_probe_read_user_str(&s->data[w->pos & DATA_MASK], STRINGS_SIZE, (void *)string);
	if (n > 0) {
		w->pos += n;
		w->count += n;
	}
	return w->count < w->left;
}

/* Strings of an array of pointers, `most` bytes of them. */
SUB __u32 raw_strings(struct fill *f, __u64 array, __u32 most)
{
	struct scratch *s = f->s;
	struct walk *w = &s->walk;
	__u64 n;

	w->from = array;
	w->pos = f->pos;
	w->count = 0;
	w->left = most;
	for (int i = 0; i < MAX_STRINGS; i++)
		if (!string_next(s, f->compat))
			break;
	n = w->count < most ? w->count : most;
	if (n) {
		f->pos += n;
		s->data[(f->pos - 1) & DATA_MASK] = 0;
	}
	return n;
}

/* exe and args that were asked for in vain. */
INLINE void put_wanted_args(struct fill *f, __u64 array)
{
	__u64 first = 0;
	__u32 exe = 0;

	if (!array) {
		raw_u8(f, 0);
		put_len(f, 1);
		put_empty(f);
		return;
	}
	if (!bpf_probe_read_user(&first, f->compat ? 4 : 8, (void *)array))
		exe = raw_user_text(f, first, PATH_SIZE);
	put_len(f, exe);
	put_len(f, exe < STRINGS_SIZE ? raw_strings(f, array + (f->compat ? 4 : 8), STRINGS_SIZE - exe) : 0);
}

INLINE void put_wanted_env(struct fill *f, __u64 array)
{
	put_len(f, array ? raw_strings(f, array, STRINGS_SIZE) : 0);
}

/* ------------------------------------------------------------------ the program's file */

enum exe_flag { EXE_IS_WRITABLE = 1, EXE_IS_UPPER = 2, EXE_IS_MEMFD = 4, EXE_IS_LOWER = 8 };

struct searched {
	__u32 left, right;
};

INLINE bool in_groups(struct cred *cred, __u32 gid)
{
	struct group_info *info = READ_NUMBER(cred, group_info);
	__u32 left = 0, right = info ? READ(info, ngroups) : 0;

	for (int i = 0; i < 16 && left < right; i++) {
		__u32 mid = (left + right) / 2, at = 0;

		bpf_probe_read_kernel(&at, sizeof at, (__u32 *)MEMBER(info, struct group_info, gid) + mid);
		if (at == gid)
			return true;
		if (gid > at)
			left = mid + 1;
		else
			right = mid;
	}
	return false;
}

INLINE bool id_mapped(struct uid_gid_map *map, __u32 id)
{
	__u32 n = READ(map, nr_extents);

	for (int i = 0; i < 5; i++) {
		struct uid_gid_extent *extent = (struct uid_gid_extent *)MEMBER(map, struct uid_gid_map, extent) + i;
		__u32 first, count;

		if (i >= n)
			break;
		first = READ(extent, lower_first);
		count = READ(extent, count);
		if (id - first < count)
			return true;
	}
	return false;
}

/* May the process write to the program that it runs? Its owner always could, by way of chmod. */
SUB int file_writable(struct task_struct *task, struct inode *inode)
{
	enum { SB_RDONLY = 1, S_IMMUTABLE = 8, CAP_DAC_OVERRIDE = 1, CAP_FOWNER = 3, MAY_WRITE = 2 };
	struct cred *cred = READ(task, cred);
	__u32 uid = READ(inode, i_uid.val), gid = READ(inode, i_gid.val);
	__u32 mode = READ(inode, i_mode), type = mode & 0170000;
	struct user_namespace *ns = READ(cred, user_ns);
	__u64 caps;

	if (READ(inode, i_sb, s_flags) & SB_RDONLY && (type == 0100000 || type == 0040000 || type == 0120000))
		return 0;
	if (READ(inode, i_flags) & S_IMMUTABLE || uid == (__u32)-1 || gid == (__u32)-1)
		return 0;
	if (uid == READ(cred, fsuid.val))
		return 1;
	if (gid == READ(cred, fsgid.val) || in_groups(cred, gid))
		mode >>= 3;
	if (mode & MAY_WRITE)
		return 1;
	if (!ns || !id_mapped(&ns->uid_map, uid))
		return 0;
	caps = task_caps(task, cap_effective);
	return caps >> CAP_FOWNER & 1 || (caps >> CAP_DAC_OVERRIDE & 1 && id_mapped(&ns->gid_map, gid));
}

INLINE bool file_is_memfd(struct file *file)
{
	struct dentry *dentry = READ(file, f_path.dentry);
	char name[8] = { 0 };

	if (READ(dentry, d_parent) != dentry)
		return false;
	bpf_probe_read_kernel_str(name, 7, READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

SUB int exe_flags(struct task_struct *task, struct file *file)
{
	enum layer layer;
	int flags;

	if (!file)
		return 0;
	layer = file_layer(file);
	flags = layer == LAYER_UPPER ? EXE_IS_UPPER : layer == LAYER_LOWER ? EXE_IS_LOWER : 0;
	if (file_writable(task, READ(file, f_inode)))
		flags |= EXE_IS_WRITABLE;
	if (file_is_memfd(file))
		flags |= EXE_IS_MEMFD;
	return flags;
}

/* ------------------------------------------------------------------ parameters that such events share */

/* tid, pid, ptid, cwd, fdlimit, pgft_maj, pgft_min, vm_size, vm_rss, vm_swap, comm, cgroups */
SUB int put_process(struct fill *f, struct task_struct *task)
{
	enum { RLIMIT_NOFILE = 7 };
	struct mm_struct *mm = task_mm(task);

	put_s64(f, READ(task, pid));
	put_s64(f, READ(task, tgid));
	put_s64(f, READ(task, real_parent, pid));
	put_empty(f);
	put_u64(f, READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur));
	put_u64(f, READ(task, maj_flt));
	put_u64(f, READ(task, min_flt));
	put_u32(f, mm_size(mm));
	put_u32(f, mm_rss(mm));
	put_u32(f, mm_swap(mm));
	put_text(f, MEMBER(task, struct task_struct, comm), 16);
	put_groups(f, task);
	return 0;
}

/* tty, vpgid, loginuid, flags, caps, exe's inode and times, uid, exepath, pgid, gid */
SUB int put_program(struct fill *f, struct task_struct *task)
{
	struct file *file = READ(task, mm, exe_file);
	struct inode *inode = file ? READ(file, f_inode) : NULL;

	put_u32(f, task_tty(task));
	put_s64(f, task_vnr(task, PIDTYPE_PGID));
	put_u32(f, task_loginuid(task));
	put_u32(f, exe_flags(task, file));
	put_u64(f, task_caps(task, cap_inheritable));
	put_u64(f, task_caps(task, cap_permitted));
	put_u64(f, task_caps(task, cap_effective));
	put_u64(f, inode ? READ(inode, i_ino) : 0);
	put_u64(f, inode ? inode_ctime(inode) : 0);
	put_u64(f, inode ? inode_mtime(inode) : 0);
	put_u32(f, READ(task, cred, euid.val));
	put_file_path(f, file);
	put_s64(f, pid_global(task_pid(task, PIDTYPE_PGID)));
	put_u32(f, READ(task, cred, egid.val));
	return 0;
}

#endif
