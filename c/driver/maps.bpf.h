/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Memory of the programs, and how a record gets from it into a ring.
 *
 *	scratch of this CPU:  | prefix | header | lengths | values ... up to 64 KiB | room for what overshoots |
 *
 * A record is composed in the scratch and copied into the ring in one go. Positions are masked to 64 KiB before each
 * write and no write is longer than that, so the verifier sees that all is in bounds; what grew beyond is noticed when it
 * is sent, and dropped.
 */
#ifndef FALCO_DRIVER_MAPS_BPF_H
#define FALCO_DRIVER_MAPS_BPF_H

#include "core_fixes.bpf.h"
#include "event.h"
#include "probe.h"

enum {
	DATA_MASK = PROBE_MAX_EVENT - 1,
	RECORD_AT = sizeof(struct probe_prefix),
	LENS_AT = RECORD_AT + sizeof(struct event_hdr),
	PATH_SIZE = 4096,
	MAX_NAMES = 128,
	NESTING = 2,		/* a program of another kind may interrupt one that is composing */
};

/* State of loops, kept in map memory: they forget it each turn, so that the verifier need not follow it. */
struct walk {
	struct dentry *dentry, *mnt_root;
	struct mount *mnt;
	struct kernfs_node *kn;
	__u64 pos;			/* where the loop writes in data */
	__u64 from, count, left;	/* of arrays in the process's memory */
	__u64 n;			/* entries of names */
	const void *names[MAX_NAMES];	/* parts of a path, the last one first */
};

struct scratch {
	__u32 busy;
	__u32 message;			/* of a call that moves several: the one whose turn it is */
	struct walk walk;
	__u8 input[4096];		/* read from the process to be looked at */
	__u8 data[2 * PROBE_MAX_EVENT];
};

/* sizes: source_bpf.c */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(max_entries, NESTING);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct probe_counters);
	__uint(max_entries, 1);
} counters SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
	__array(values, struct ring);
} rings SEC(".maps");

/* A section of its own is a map of its own, which source_bpf.c maps. Programs reach it without a look-up. */
struct probe_settings settings SEC(".data.settings");

/* ------------------------------------------------------------------ composing a record */

struct fill {
	struct scratch *s;
	struct task_struct *task;
	__u64 arg[6];
	long ret;
	__u64 pos;			/* in s->data */
	__u32 lens;			/* where the next length goes */
	__u32 code;
	struct opened {
		__u32 dev;
		__u64 ino;
		__u8 layer;		/* enum layer of task.bpf.h */
		bool created;
	} opened;			/* what LOOK() saw */
	bool compat;			/* a call of a 32-bit process: pointers and structures are narrow */
};

INLINE struct probe_counters *my_counters(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&counters, &cpu);
}

/* Takes a scratch and starts a record; false: there is none. fill_send() gives it back, or fill_drop(). */
INLINE bool fill_begin(struct fill *f, __u32 code, __u32 nparams)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot = cpu * NESTING;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (s && s->busy) {
		slot++;
		s = bpf_map_lookup_elem(&scratches, &slot);
	}
	if (!s || s->busy) {
		struct probe_counters *c = my_counters();
		if (c)
			c->busy++;
		return false;
	}
	s->busy = 1;
	f->s = s;
	f->code = code;
	f->lens = LENS_AT;
	f->pos = LENS_AT + 2 * nparams;
	f->task = current_task();
	*(__u64 *)&s->data[0] = cpu;
	*(__u64 *)&s->data[RECORD_AT + 8] = current_tid(f->task);
	*(__u16 *)&s->data[RECORD_AT + 20] = code;
	*(__u32 *)&s->data[RECORD_AT + 22] = nparams;
	return true;
}

INLINE __u32 class_of(__u32 code)
{
	switch (code) {
	case EV_SYSCALL_CLONE_20_X: case EV_SYSCALL_FORK_20_X: case EV_SYSCALL_VFORK_20_X: case EV_SYSCALL_CLONE3_X:
		return CLASS_FORK;
	case EV_SYSCALL_EXECVE_19_X: case EV_SYSCALL_EXECVEAT_X:
		return CLASS_EXEC;
	case EV_PROCEXIT_1_E:
		return CLASS_EXIT;
	case EV_SYSCALL_OPEN_X: case EV_SYSCALL_OPENAT_2_X: case EV_SYSCALL_OPENAT2_X: case EV_SYSCALL_CREAT_X:
	case EV_SYSCALL_OPEN_BY_HANDLE_AT_X:
		return CLASS_OPEN;
	case EV_SYSCALL_CLOSE_X:
		return CLASS_CLOSE;
	case EV_SOCKET_CONNECT_X: case EV_SOCKET_ACCEPT_5_X: case EV_SOCKET_ACCEPT4_6_X:
		return CLASS_CONNECT;
	case EV_SYSCALL_UNLINK_2_X: case EV_SYSCALL_UNLINKAT_2_X: case EV_SYSCALL_RENAME_X: case EV_SYSCALL_RENAMEAT_X:
	case EV_SYSCALL_RENAMEAT2_X: case EV_SYSCALL_MKDIR_2_X: case EV_SYSCALL_MKDIRAT_X: case EV_SYSCALL_RMDIR_2_X:
	case EV_SYSCALL_LINK_2_X: case EV_SYSCALL_LINKAT_2_X: case EV_SYSCALL_SYMLINK_X: case EV_SYSCALL_SYMLINKAT_X:
		return CLASS_FILE;
	default:
		return CLASS_OTHER;
	}
}

INLINE void fill_drop(struct fill *f)
{
	f->s->busy = 0;
}

/* The time is taken as late as can be: what is older is then in a ring soon, which the reader counts on. */
INLINE void fill_send(struct fill *f)
{
	struct scratch *s = f->s;
	__u64 len = f->pos;
	__u32 cpu = bpf_get_smp_processor_id();
	struct probe_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);

	if (!c || !ring) {
		fill_drop(f);
		return;
	}
	c->events++;
	asm volatile("" : "+r"(len));
	if (len > PROBE_MAX_EVENT) {
		c->too_big++;
		fill_drop(f);
		return;
	}
	*(__u32 *)&s->data[RECORD_AT + 16] = len - RECORD_AT;
	*(__u64 *)&s->data[RECORD_AT] = settings.boot_ns + bpf_ktime_get_boot_ns();
	if (bpf_ringbuf_output(ring, s->data, len, BPF_RB_NO_WAKEUP))
		c->full[class_of(f->code) & 7]++;
	fill_drop(f);
}

#endif
