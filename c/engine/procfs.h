/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host as /proc shows it: what a live source starts from, and threads that it meets later without having seen
 * them made. Everything is handed to the sink that a capture's lists go to, in the same form.
 *
 *	struct procfs *p = procfs_new(&host, NULL);
 *	if (procfs_scan(p, &sink, &err) < 0) puts(err.text);	// machine, interfaces, users, processes, descriptors
 *	...
 *	if (procfs_lookup(p, tid, &sink, &pid) == 1 && pid != tid) ...	// the main thread may not be known either
 *	procfs_free(p);
 *
 * Processes come and go meanwhile, and name things as they please: whatever cannot be read is left out, nothing is
 * waited for (no file of theirs is opened, no file system is asked for what it has not said already), and what is kept
 * between calls is bounded.
 */
#ifndef FALCO_PROCFS_H
#define FALCO_PROCFS_H

#include "host.h"
#include "scap.h"

struct procfs;
struct source;

/* 0 anywhere: the default. */
struct procfs_limits {
	uint32_t max_fds;		/* descriptors of one process */
	uint32_t period_ms;		/* look-ups of single threads and descriptors within one period: */
	uint32_t max_lookups;		/* so many of them, */
	uint32_t max_sockets;		/* so many of them with the addresses of sockets, */
	uint32_t budget_ms;		/* taking so long altogether */
};

enum procfs_default {
	PROCFS_MAX_FDS = 4096,
	PROCFS_PERIOD_MS = 1000,
	PROCFS_MAX_LOOKUPS = 5000,
	PROCFS_MAX_SOCKETS = 1000,
	PROCFS_BUDGET_MS = 100,
	PROCFS_MAX_SOCKET_BYTES = 64 << 20,	/* of the socket tables, kept for the length of a period at most */
	PROCFS_MAX_MOUNTS = 65536,		/* mounts, and pid namespaces, remembered */
};

struct procfs_counts {
	uint64_t scanned, from_driver;	/* threads that scans gave; of these, by way of the driver */
	uint64_t lookups, found;	/* look-ups made, and those that gave something */
	uint64_t refused;		/* look-ups not made: a limit of the period was reached */
	uint64_t ns;			/* time that look-ups took */
	uint64_t overflow;		/* sockets not kept */
};

/* limits NULL: the defaults. NULL: out of memory. */
struct procfs *procfs_new(const struct host_view *host, const struct procfs_limits *limits);
void procfs_free(struct procfs *p);		/* NULL allowed */

/* Everything, from reset to lists_end. Kernel threads and zombies are left out. -errno with err: /proc cannot be
 * read at all, or a sink failed. */
int procfs_scan(struct procfs *p, const struct scap_sink *sink, struct err *err);
/* The parts of it, without reset and lists_end. */
int procfs_scan_host(struct procfs *p, const struct scap_sink *sink, struct err *err);
int procfs_scan_processes(struct procfs *p, const struct scap_sink *sink, struct err *err);

/* One thread; of a main thread also its descriptors. *pid: of its process. 1; 0: there is no such thread;
 * -EAGAIN: not looked, for there were too many of late; -ENOMEM. */
int procfs_lookup(struct procfs *p, int64_t tid, const struct scap_sink *sink, int64_t *pid);
/* One descriptor. Answers likewise. */
int procfs_lookup_fd(struct procfs *p, int64_t pid, int64_t fd, const struct scap_sink *sink);

/* Does the host have this thread? What cannot be found out counts as yes. */
bool procfs_has(struct procfs *p, int64_t tid);
/* Scans take from this driver what it can tell of threads and descriptors, if all numbers are those of the first pid
 * namespace, and only the rest from /proc. Borrowed; NULL: all is from /proc. */
void procfs_use_source(struct procfs *p, struct source *source);

const struct procfs_counts *procfs_counts(const struct procfs *p);

#endif
