/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files. Reading: blocks -> list entries handed to a sink, then raw events one at a time, already upgraded to
 * the current layout (scap_compat.c).
 *
 *	struct scap *s = scap_open(path, &limits, &sink, &err);	// reads up to the first event
 *	while ((rc = scap_next(s, &rec)) == 1) ...
 *	if (rc < 0) puts(scap_error(s));			// names file, offset and what was wrong
 *	scap_close(s);
 */
#ifndef FALCO_SCAP_H
#define FALCO_SCAP_H

#include "../driver/event.h"
#include "fd.h"
#include "ffi.h"
#include "iface.h"
#include "user.h"

struct machine;

/* One entry of a process list; strings point into the block. */
struct scap_proc {
	int64_t tid, pid, ptid, sid, vpgid, pgid, vtid, vpid;	/* absent: -1 */
	struct str comm, exe, exepath, args, cwd, env, cgroups, root;
	uint64_t fdlimit;
	uint32_t flags, uid, gid, loginuid, tty;
	uint32_t vm_size, vm_rss, vm_swap;
	uint64_t pfmajor, pfminor, pidns_start_ts;
	uint64_t cap_inheritable, cap_permitted, cap_effective;
	uint64_t exe_ino, exe_ctime, exe_mtime;
	uint32_t exe_flags;					/* EXE_* of proc.h */
};

/* Receives what stands before the events. Each returns 0 or -ENOMEM. `reset` comes first for every section: forget
 * everything (captures can be concatenated). */
struct scap_sink {
	void *ctx;
	int (*reset)(void *ctx);
	int (*machine)(void *ctx, const struct machine *m);
	int (*proc)(void *ctx, const struct scap_proc *p);
	int (*fd)(void *ctx, int64_t tid, int64_t fd, const struct fd_draft *d);
	int (*users_begin)(void *ctx);				/* a user list replaces the earlier one */
	int (*user)(void *ctx, const struct user *u);
	int (*group)(void *ctx, const struct group *g);
	int (*ifaces_begin)(void *ctx);
	int (*iface)(void *ctx, const struct iface *i);
	int (*lists_end)(void *ctx);				/* the first event follows */
};

struct scap_param {
	const uint8_t *p;			/* NULL allowed while len is 0 */
	uint32_t len;
};

/* One event in the current layout; everything borrowed until the next scap_next(). */
struct scap_rec {
	uint64_t ts;
	int64_t tid;
	uint16_t code, cpu;
	uint32_t flags;				/* SCAP_* */
	uint32_t nparams;
	uint32_t bad_params;			/* parameters dropped because their length does not fit their type */
	struct scap_param param[EVENT_MAX_PARAMS];
};

enum scap_rec_flags {
	SCAP_STATE_ONLY = 1,	/* update state, show rules nothing; numbered like others */
	SCAP_HEAD = 2,		/* describes the host at the head of a section: likewise */
	SCAP_UNNUMBERED = 4,	/* takes no evt.num: the head of a section behind another one */
};

struct scap;

/* path "-" is stdin. NULL on failure, err says why. */
struct scap *scap_open(const char *path, const struct engine_limits *limits, const struct scap_sink *sink,
		       struct err *err);
/* The same from memory that outlives it: for fuzzers and tests. */
struct scap *scap_open_memory(const void *data, size_t len, const struct engine_limits *limits,
			      const struct scap_sink *sink, struct err *err);
/* 1: `rec` is the next event; 0: clean end; negative -errno, for good: see scap_error(). But -EINTR: a signal came
 * while a pipe was quiet, call again. */
int scap_next(struct scap *s, struct scap_rec *rec);
const char *scap_error(const struct scap *s);
double scap_progress(const struct scap *s);	/* 0..1 of the file read, or -1 */
uint64_t scap_skipped(const struct scap *s);	/* events of unknown codes */
void scap_close(struct scap *s);

/* ---- scap_compat.c */

struct compat;

enum compat_result { COMPAT_PASS, COMPAT_DROP };	/* negative: -errno, err filled */

struct compat *compat_new(void);
void compat_free(struct compat *c);
void compat_reset(struct compat *c);
/* Upgrades `rec` in place (parameters may come to point into compat's own memory). */
int compat_convert(struct compat *c, struct scap_rec *rec, struct err *err);

#endif
