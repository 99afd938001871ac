/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where kernels differ in the name or shape of what the programs read. One function for each difference; nothing else
 * tests for versions. A structure's other shape has a suffix after ___, which CO-RE leaves out when it looks it up.
 */
#ifndef FALCO_DRIVER_CORE_FIXES_BPF_H
#define FALCO_DRIVER_CORE_FIXES_BPF_H

#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define INLINE static __attribute__((always_inline)) inline
#define SUB static __attribute__((noinline))

/* Where a member is: for what is indexed by variables, which CO-RE's own accesses cannot be. */
#define MEMBER(p, type, member) ((void *)((char *)(p) + bpf_core_field_offset(type, member)))

enum bpf_func_id___known { BPF_FUNC_get_current_task_btf___known = 158 };

/*
 * READ(p, a, b.c, d) is p->a->b.c->d of the kernel's memory; 0 where a pointer leads nowhere.
 * 6.2 (a35b9af4ec2c): a number can be cast to a pointer to a kernel's type, and is read by a plain load then, an order of
 * magnitude faster than by a helper. Who knows trusted pointers (3f00c5239344, of the same series of patches) knows casts.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
enum bpf_type_flag___casts { PTR_TRUSTED___casts = 1 };

#define HAS_CASTS bpf_core_enum_value_exists(enum bpf_type_flag___casts, PTR_TRUSTED___casts)
#define CAST(p) ((typeof(p))bpf_rdonly_cast(p, bpf_core_type_id_kernel(typeof(*(p)))))
#define READ_1(p, a) ({ \
	typeof(p) p_ = (p); \
	HAS_CASTS ? CAST(p_)->a : ({ typeof(p_->a) v_ = 0; bpf_core_read(&v_, sizeof v_, &p_->a); v_; }); })
#define READ_2(p, a, b) READ_1(READ_1(p, a), b)
#define READ_3(p, a, b, c) READ_1(READ_2(p, a, b), c)
#define READ_4(p, a, b, c, d) READ_1(READ_3(p, a, b, c), d)
#define READ_PICK(_1, _2, _3, _4, name, ...) name
#define READ(p, ...) READ_PICK(__VA_ARGS__, READ_4, READ_3, READ_2, READ_1)(p, __VA_ARGS__)
/* a pointer that is a mere number for the verifier: variables may be added to it */
#define READ_NUMBER(p, a) BPF_CORE_READ(p, a)
/* a pointer that lies at `at`: as the first member of any structure that begins with one */
#define READ_POINTER(at) ((void *)READ_1((struct list_head *)(at), next))

struct cap_set {
	__u64 bits;
};

#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

/* 6.6 (13bc24457850): i_ctime is called __i_ctime; 6.7 (12cd44023651): i_mtime likewise; 6.11 (3aa63a569c64): split */
struct inode___old {
	struct timespec64 i_ctime, i_mtime;
};
struct inode___named {
	struct timespec64 __i_ctime, __i_mtime;
};
struct inode___split {
	__s64 i_ctime_sec, i_mtime_sec;
	__u32 i_ctime_nsec, i_mtime_nsec;
};

/* 6.15 (633488947ef6): parent is called __parent */
struct kernfs_node___old {
	struct kernfs_node___old *parent;
};
struct kernfs_node___new {
	struct kernfs_node___new *__parent;
};

/* 6.2 (f1a7941243c1): rss_stat is an array of per-CPU counters */
struct mm_rss_stat {
};
struct percpu_counter {
	__s64 count;
};
struct mm_struct___new {
	struct percpu_counter rss_stat[4];
};
struct mm_struct___old {
	struct mm_rss_stat rss_stat;
};

/* 6.3 (f122a08b197d): a set of capabilities is one 64-bit number, before two of 32; the bits lie the same */
struct cred___caps {
	struct cap_set cap_inheritable, cap_permitted, cap_effective;
};

/* some kernels keep it elsewhere */
struct audit_task_info___cos {
	kuid_t loginuid;
};
struct task_struct___cos {
	struct audit_task_info___cos *audit;
};

/* what a module's BTF may have instead of vmlinux: then the inode's size tells where the pointer after it lies */
struct ovl_inode {
	struct inode vfs_inode;
	struct dentry *__upperdentry;
};

#pragma clang attribute pop

/* 6.13 (4e40eff0b573): the top bit tells that somebody has asked for the time */
enum { CTIME_QUERIED = 1u << 31 };

struct stamp {
	__s64 sec;
	__u32 nsec;
};

INLINE __u64 stamp_ns(struct stamp t)
{
	return t.sec < 0 ? 0 : (__u64)t.sec * 1000000000ULL + t.nsec;
}

INLINE __u64 inode_ctime(struct inode *inode)
{
	struct inode___old *old = (void *)inode;
	struct inode___named *named = (void *)inode;
	struct inode___split *split = (void *)inode;
	struct stamp t = { 0 };

	if (bpf_core_field_exists(old->i_ctime)) {
		t.sec = READ(old, i_ctime.tv_sec);
		t.nsec = READ(old, i_ctime.tv_nsec);
	} else if (bpf_core_field_exists(named->__i_ctime)) {
		t.sec = READ(named, __i_ctime.tv_sec);
		t.nsec = READ(named, __i_ctime.tv_nsec);
	} else {
		t.sec = READ(split, i_ctime_sec);
		t.nsec = READ(split, i_ctime_nsec) & ~CTIME_QUERIED;
	}
	return stamp_ns(t);
}

INLINE __u64 inode_mtime(struct inode *inode)
{
	struct inode___old *old = (void *)inode;
	struct inode___named *named = (void *)inode;
	struct inode___split *split = (void *)inode;
	struct stamp t = { 0 };

	if (bpf_core_field_exists(old->i_mtime)) {
		t.sec = READ(old, i_mtime.tv_sec);
		t.nsec = READ(old, i_mtime.tv_nsec);
	} else if (bpf_core_field_exists(named->__i_mtime)) {
		t.sec = READ(named, __i_mtime.tv_sec);
		t.nsec = READ(named, __i_mtime.tv_nsec);
	} else {
		t.sec = READ(split, i_mtime_sec);
		t.nsec = READ(split, i_mtime_nsec);
	}
	return stamp_ns(t);
}

INLINE struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___old *old = (void *)kn;
	struct kernfs_node___new *new = (void *)kn;

	if (bpf_core_field_exists(old->parent))
		return (void *)READ(old, parent);
	return (void *)READ(new, __parent);
}

enum mm_counter { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES };

INLINE __s64 mm_count(struct mm_struct *mm, enum mm_counter which)
{
	char *at;
	__s64 n = 0;

	if (bpf_core_type_exists(struct mm_rss_stat))
		at = (char *)MEMBER(mm, struct mm_struct___old, rss_stat) + which * sizeof n;
	else
		at = (char *)MEMBER(mm, struct mm_struct___new, rss_stat) + which * bpf_core_type_size(struct percpu_counter) +
		     bpf_core_field_offset(struct percpu_counter, count);
	bpf_probe_read_kernel(&n, sizeof n, at);
	return n;
}

INLINE __u32 task_loginuid(struct task_struct *task)
{
	struct task_struct___cos *cos = (void *)task;

	if (bpf_core_field_exists(task->loginuid))
		return READ(task, loginuid.val);
	if (bpf_core_field_exists(cos->audit))
		return READ(cos, audit, loginuid.val);
	return -1;
}

#define task_caps(task, which) ({ \
	struct task_struct *task_ = (task); \
	struct cred___caps *cred_ = (void *)READ(task_, cred); \
	struct cap_set set_ = { 0 }; \
	bpf_core_read(&set_, sizeof set_, &cred_->which); \
	set_.bits & ((1ULL << 41) - 1); })

/* 5.11 (3ca1032ab7ab): a task whose members can be read without a helper */
#define HAS_TASK_BTF bpf_core_enum_value_exists(enum bpf_func_id___known, BPF_FUNC_get_current_task_btf___known)

INLINE struct task_struct *current_task(void)
{
	return HAS_TASK_BTF ? bpf_get_current_task_btf() : (void *)bpf_get_current_task();
}

/* Of current_task(). */
INLINE __u32 current_tid(struct task_struct *task)
{
	return HAS_TASK_BTF ? (__u32)task->pid : (__u32)bpf_get_current_pid_tgid();
}

INLINE __u32 current_pid(struct task_struct *task)
{
	return HAS_TASK_BTF ? (__u32)task->tgid : (__u32)(bpf_get_current_pid_tgid() >> 32);
}

INLINE bool in_compat_call(struct task_struct *task)
{
	enum { TS_COMPAT = 2 };		/* in thread_info.status on x86-64: the call came in the 32-bit way */

	return (HAS_TASK_BTF ? task->thread_info.status : BPF_CORE_READ(task, thread_info.status)) & TS_COMPAT;
}

INLINE bool task_is_subreaper(struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);
	return BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper);
}

INLINE bool task_has_subreaper(struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);
	return BPF_CORE_READ_BITFIELD_PROBED(signal, has_child_subreaper);
}

#endif
