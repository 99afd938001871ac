/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: records and the tables that hold them.
 *
 * struct fd_rec    immutable once published, reference-counted. A change publishes a new record under the number;
 *                  a dup or a fork shares the old one. `gen` is unique per record, so caches key on it. Whoever
 *                  borrowed one may look at it until fds_sweep(), whatever became of it meanwhile.
 * struct fdtable   number -> record, shared copy-on-write between a process and its forks (fdtable.h).
 *
 * Both are bounded: entries per table, and bytes of everything together. Where there is no room for what a number
 * stands for now, the number is not known any more; a stale record would be worse than none.
 *
 *	struct fd_draft d = { .type = FD_FILE, .name = STR("/etc/passwd") };
 *	fd_publish(fds, &thread->fds, 3, &d);
 */
#ifndef FALCO_FD_H
#define FALCO_FD_H

#include "../str.h"
#include "fdtable.h"

/* Numbers of the capture format's FDL block. */
enum fd_type {
	FD_UNKNOWN, FD_FILE, FD_DIRECTORY, FD_IPV4, FD_IPV6, FD_IPV4_LISTEN, FD_IPV6_LISTEN, FD_FIFO, FD_UNIX, FD_EVENT,
	FD_UNSUPPORTED, FD_SIGNALFD, FD_EVENTPOLL, FD_INOTIFY, FD_TIMERFD, FD_NETLINK, FD_FILE_V2, FD_BPF,
	FD_USERFAULTFD, FD_IO_URING, FD_MEMFD, FD_PIDFD, FD_TYPE_COUNT
};

enum fd_l4 { L4_UNKNOWN, L4_NA, L4_TCP, L4_UDP, L4_ICMP, L4_RAW };

enum fd_bits {
	FD_CLIENT = 1 << 0,		/* this process connected */
	FD_SERVER = 1 << 1,		/* this process listens or accepted */
	FD_CONNECTED = 1 << 2,
	FD_UPPER_LAYER = 1 << 3,	/* overlay file system */
	FD_LOWER_LAYER = 1 << 4,
	FD_IN_BASELINE = 1 << 5,	/* from the capture's own fd list */
	FD_TUPLE_KEPT = 1 << 6,		/* an IPv6 listener with a tuple (parse_net.c) */
};

/* Ends of a socket, addresses in network order (IPv4: the first four bytes), ports in host order. Of a connection
 * "source" is the client. A listener (FD_*_LISTEN) has only the server's end: dst and dport. */
struct fd_addr {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
};

struct fd_draft {
	uint8_t type;			/* FD_* */
	uint8_t l4;			/* L4_* */
	uint16_t bits;			/* FD_CLIENT ... */
	uint32_t openflags;		/* portable O_* */
	uint32_t dev;
	uint64_t ino;
	uint64_t unix_src, unix_dst;	/* kernel addresses */
	int64_t pid;			/* pidfd */
	struct fd_addr addr;
	struct str name, raw;		/* raw: path as passed, empty: none */
};

struct fd_rec {
	uint32_t refs;
	uint32_t past;			/* number of its copy in a struct past; 0: none */
	uint64_t gen;			/* unique among all records ever */
	struct fd_rec *next_dead;	/* dropped by all, awaits fds_sweep() */
	struct fd_draft d;		/* name and raw point behind the struct, NUL-ended */
	char text[];
};

/* The owner of all records and tables of one engine. */
struct fds;

struct fds *fds_new(uint32_t max_per_table, uint64_t max_bytes);
void fds_free(struct fds *f);
void fds_sweep(struct fds *f);			/* frees records that all have dropped; before each event */

struct fdtable *fdtable_share(struct fds *f, struct fdtable *t);	/* a fork's table; NULL: out of memory, counted */
void fdtable_drop(struct fds *f, struct fdtable *t);			/* NULL allowed */
/* Makes *t (NULL: none yet) a table of its holder's own, whose order is right. false: no room; nothing changed. */
bool fdtable_settle(struct fds *f, struct fdtable **t);
/* The same before a change. false: no room; its entries are given up (*t is NULL) and counted. */
bool fdtable_writable(struct fds *f, struct fdtable **t);

static inline struct fd_rec *fdtable_get(const struct fdtable *t, int64_t fd)
{
	struct fd_node *node = t && fd >= 0 ? fdtable_node(t, fd) : NULL;
	return node ? node->rec : NULL;
}

static inline uint32_t fdtable_count(const struct fdtable *t)
{
	return t ? t->order->n : 0;
}

/* Walks all entries; *pos from 0. The order is right in a settled table. The entry just seen may be removed from an own
 * table meanwhile, or its record replaced. */
static inline bool fdtable_next(const struct fdtable *t, uint32_t *pos, int64_t *fd, struct fd_rec **rec)
{
	if (!t || *pos == UINT32_MAX)
		return false;

	const struct fd_node *nodes = t->order->nodes, *node;
	uint32_t i = *pos ? *pos : nodes[0].next;
	if (!i)
		return false;
	node = &nodes[i];
	*fd = node->fd;
	*rec = node->rec;
	*pos = node->next ? node->next : UINT32_MAX;
	return true;
}

/* Publishes a record under `fd` in *t (made or unshared as needed). Returns it, borrowed; NULL: limit reached or out
 * of memory, counted. */
struct fd_rec *fd_publish(struct fds *f, struct fdtable **t, int64_t fd, const struct fd_draft *d);
/* The same record under one more number (in another table, if need be). */
struct fd_rec *fd_alias(struct fds *f, struct fdtable **t, int64_t fd, struct fd_rec *rec);
void fd_remove(struct fds *f, struct fdtable **t, int64_t fd);
struct fd_rec *fd_rec_ref(struct fd_rec *rec);
void fd_rec_drop(struct fds *f, struct fd_rec *rec);		/* NULL allowed */
/* Changes whenever a number below 3 gets another record, or none, in any table that stays where it is. */
uint64_t fds_std_changes(const struct fds *f);
uint64_t fds_overflow(const struct fds *f);
uint64_t fds_live(const struct fds *f);				/* records alive */
uint64_t fds_bytes(const struct fds *f);			/* of records and tables */

static inline bool fd_is_ip(const struct fd_rec *r)
{
	return r->d.type >= FD_IPV4 && r->d.type <= FD_IPV6_LISTEN;
}

static inline bool fd_is_v4(const struct fd_rec *r)
{
	return r->d.type == FD_IPV4 || r->d.type == FD_IPV4_LISTEN;
}

static inline bool fd_is_listen(const struct fd_rec *r)
{
	return r->d.type == FD_IPV4_LISTEN || r->d.type == FD_IPV6_LISTEN;
}

static inline bool fd_is_file(const struct fd_rec *r)
{
	return r->d.type == FD_FILE || r->d.type == FD_FILE_V2;
}

static inline bool fd_is_dir(const struct fd_rec *r)
{
	return r->d.type == FD_DIRECTORY;
}

#endif
