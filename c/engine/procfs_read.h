/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of procfs share: reading small files below /proc, and what is remembered between processes. */
#ifndef FALCO_PROCFS_READ_H
#define FALCO_PROCFS_READ_H

#include <sys/stat.h>
#include "../arena.h"
#include "../map.h"
#include "../scan.h"
#include "procfs.h"

enum {
	LINE_ROOM = 65536,		/* longer lines are skipped */
	LINK_ROOM = 4096,		/* what the kernel gives of a path */
	PATH_TEXT = 1023,		/* what captures hold of one */
	BLOB_ROOM = 4096,		/* arguments, environment, control groups */
};

/* ------------------------------------------------------------------ files (procfs_read.c) */

/* Lines of a file, one at a time. */
struct lines {
	int fd;				/* -1: there are none */
	char *buf;			/* LINE_ROOM bytes, lent */
	uint32_t start, used;
	bool skipping;			/* the rest of a line that was too long */
};

/* No file is ever waited for. -errno. */
int proc_open(int dir, const char *name, int flags);
/* Borrows `buf`, of LINE_ROOM bytes. false: cannot be opened. */
bool lines_open(struct lines *l, int dir, const char *name, char *buf);
/* Without its end; may be written to, and is followed by a NUL. */
bool lines_next(struct lines *l, struct scan *line);
void lines_close(struct lines *l);
/* A whole file, cut to the room; -errno. */
int file_text(int dir, const char *name, char *buf, uint32_t room, struct str *text);
/* Where a link leads, cut to PATH_TEXT; PATH_TOO_LONG if the kernel has no room for it. false: nowhere. */
bool link_text(int dir, const char *name, char buf[LINK_ROOM], struct str *text);
/* The number of "word:[number]", as the kernel names namespaces, sockets and pipes. */
bool link_number(struct str link, const char *word, uint64_t *number);
bool namespace_of(int dir, const char *name, uint64_t *number);	/* name: "ns/net" ... */
/* As cached: a file system that answers others' questions is not asked. */
bool stat_cached(int dir, const char *name, struct statx *st);
uint32_t device_number(uint32_t major, uint32_t minor);	/* as events have it */
/* The name is a number, as those of processes, threads and descriptors are. */
bool name_number(const char *name, int64_t *number);

/* ------------------------------------------------------------------ sockets (procfs_sock.c) */

struct sock_tables {
	struct map by_ino;		/* -> struct sock_entry */
	struct map namespaces;		/* read so far */
	struct arena bytes;
	uint64_t since_ns;		/* when the first was read */
	uint64_t overflow;
};

void sock_tables_init(struct sock_tables *t);
void sock_tables_clear(struct sock_tables *t);
void sock_tables_free(struct sock_tables *t);
/* Reads the tables of a process's network namespace, unless they were. `deadline` 0: takes the time it takes. */
void sock_tables_read(struct sock_tables *t, int dir, uint64_t ns, char *buf, uint64_t deadline);
/* The type of a socket whose own address is `src`. Without another end its own is the server's. */
uint8_t sock_settle(struct fd_addr *a, bool v6);
/* Fills in type, addresses and name. false: not known. */
bool sock_tables_find(const struct sock_tables *t, uint64_t ino, struct fd_draft *d);

/* ------------------------------------------------------------------ all together */

struct mount_facts {
	uint32_t dev;
	bool known, read_only;		/* the file system, not only this mount of it */
};

struct procfs {
	char root[sizeof ((struct host_view *)NULL)->root + 1];	/* in front of the host's paths */
	int proc;			/* the directory; -1: not opened yet */
	struct procfs_limits limits;
	struct procfs_counts counts;
	struct source *source;		/* that lists threads; NULL: none */
	struct sock_tables socks;
	struct map mounts;		/* id -> packed mount_facts */
	struct map mount_spaces;	/* namespaces whose mounts were read */
	struct map pid_spaces;		/* -> when their first process started, in ns */
	bool pid_spaces_read;
	bool with_sockets;		/* this look-up may read socket tables */
	uint64_t deadline;		/* of this look-up, 0: none */
	uint64_t period_start, period_ns;	/* time spent in this period */
	uint32_t period_lookups;
	long ticks;			/* of the clock per second */
	char cgroup2[PATH_ROOM];	/* where the second hierarchy is mounted, below the root; empty: nowhere */
	char group2[PATH_ROOM];		/* the last group asked about there, and for each controller, how much of the */
	uint32_t group2_len, managed2[5];	/* path is the group that it manages; 0: none */
	char lines[LINE_ROOM], link[LINK_ROOM];
	char exe[LINK_ROOM], cwd[LINK_ROOM], chroot[LINK_ROOM];
	char args[BLOB_ROOM + 1], env[BLOB_ROOM + 1], cgroups[BLOB_ROOM + 1], comm[32], name[PATH_TEXT + 1];
};

uint64_t procfs_now(void);
int procfs_open(struct procfs *p, struct err *err);		/* the directory, once */
struct mount_facts procfs_mount(struct procfs *p, int dir, uint64_t id);
/* Descriptors of the process at `dir`, which others know by `pid`; only number `only` unless it is negative. Returns
 * how many, or a sink's error. */
int procfs_fds(struct procfs *p, int dir, int64_t pid, int64_t only, const struct scap_sink *sink);
/* Control groups of the thread at `dir`, as events have them, in p->cgroups. */
struct str procfs_cgroups(struct procfs *p, int dir);
void procfs_find_cgroup2(struct procfs *p);

int procfs_process_dir(struct procfs *p, int64_t pid);		/* to be closed; -errno */
/* A process with its threads and descriptors, if it is there. 0, or a sink's error. */
int procfs_process(struct procfs *p, int64_t pid, const struct scap_sink *sink);
struct scap_proc procfs_blank(int64_t tid);
/* The parts of a process that is read from `dir`; they stay until the next one. */
void procfs_command(struct procfs *p, int dir, struct scap_proc *proc);		/* exe and args */
void procfs_environment(struct procfs *p, int dir, struct scap_proc *proc);
int procfs_give(struct procfs *p, const struct scap_proc *proc, const struct scap_sink *sink);

/* ------------------------------------------------------------------ descriptors (procfs_fd.c) */

/* As the kernel has flags of open files, to those that events have. */
uint32_t portable_flags(uint64_t flags);
/* Of a file without a path, by what follows "anon_inode:". */
uint8_t anon_type(struct str name);
/* Type and name, of something with a path or that looks like it. true: a file, with a device and flags. */
bool path_kind(struct fd_draft *d, uint32_t mode, struct str link);

/* ------------------------------------------------------------------ by way of the driver (procfs_tasks.c) */

/* All processes with their threads and descriptors. 0; a sink's error; -EOPNOTSUPP: they are to be read here, and nothing
 * was given yet. */
int procfs_scan_tasks(struct procfs *p, const struct scap_sink *sink);

#endif
