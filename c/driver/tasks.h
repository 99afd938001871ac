/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * tasks: all threads of the machine and their descriptors, as the kernel's own tables have them: what programs of the
 * driver (tasks.bpf.h) write, and source_tasks() and source_fds() hand on. It is much faster than /proc, and without what
 * only /proc tells, such as arguments. Kernel threads are left out.
 *
 * Numbers are those of the first pid namespace; only who is in it sees all.
 */
#ifndef FALCO_DRIVER_TASKS_H
#define FALCO_DRIVER_TASKS_H

#include <stdbool.h>
#include <stdint.h>

enum { TASK_EXEPATH, TASK_CWD, TASK_ROOT, TASK_CGROUPS, TASK_TEXTS };

/* Of a path. */
enum text_flag {
	TEXT_DELETED = 1,		/* its file has no name any more */
	TEXT_BARE = 2,			/* a name that is in no directory, as of memory files */
	TEXT_TOO_LONG = 4,		/* for the kernel too */
	TEXT_ASK = 8,			/* it is not all of it */
};

enum task_flag {
	TASK_HAS_MEMORY = 1,		/* it has not ended */
};

struct task_entry {
	uint32_t size;			/* of it with its texts, padded to 8 bytes */
	int32_t tid, pid, ptid, sid, pgid, vpgid, vtid, vpid;
	uint32_t uid, gid, loginuid, tty, vm_size, vm_rss, vm_swap, flags, nthreads;
	uint64_t faults_major, faults_minor;
	uint64_t group_major, group_minor;	/* of threads that have ended */
	uint64_t fdlimit, cap_inheritable, cap_permitted, cap_effective;
	uint64_t exe_ino, exe_ctime, exe_mtime, space_start;	/* of its pid namespace, if that is not the first; else 0 */
	uint32_t exe_flags;
	char comm[16];
	uint8_t text_flags[TASK_TEXTS];
	uint16_t text_len[TASK_TEXTS];	/* with a NUL each; 0: none. Of a thread that is not the first: only control groups */
};

enum fd_entry_flag {
	FD_ENTRY_CLOEXEC = 1,
	FD_ENTRY_SOCKET = 2,
};

/* AF_UNIX ... */
enum fd_entry_family { FD_ENTRY_UNIX = 1, FD_ENTRY_INET = 2, FD_ENTRY_INET6 = 10, FD_ENTRY_NETLINK = 16 };

struct fd_entry {
	uint32_t size;			/* of it with its name, padded to 8 bytes */
	int32_t pid, fd;
	uint32_t open_flags;		/* as open() takes them */
	uint32_t dev, mode, flags;
	uint16_t family, protocol, type;	/* of a socket */
	uint8_t tcp_state;
	uint8_t name_flags;		/* TEXT_* */
	uint64_t ino, magic;		/* magic: of the file system */
	uint64_t unix_addr;
	uint8_t here[16], there[16];
	uint16_t here_port, there_port;	/* host order */
	uint16_t name_len;		/* of a file's path, with its NUL; of a UNIX socket's name, without one */
	uint16_t reserved;
};

enum { TASKS_MAX_ENTRY = 24 << 10 };	/* bytes; the kernel has room for 32 KiB */

/* Negative: it goes no further. */
typedef int task_seen(void *ctx, const struct task_entry *e);
typedef int fd_seen(void *ctx, const struct fd_entry *e);

#ifndef __bpf__
struct bpf_program;

/* Runs a program over all it knows (tasks.c). 0, what `see` returned below 0, or -errno. */
int tasks_read(const struct bpf_program *program, task_seen *see, void *ctx);
int tasks_read_fds(const struct bpf_program *program, fd_seen *see, void *ctx);
#endif

#endif
