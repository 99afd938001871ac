/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files. Reading: blocks -> list entries handed to a sink, then raw events one at a time, already upgraded to
 * the current layout (scap_compat.c).
 *
 *	struct scap *s = scap_open(path, &limits, &sink, &err);	// reads up to the first event
 *	while ((rc = scap_next(s, &rec)) == 1) ...
 *	if (rc < 0) puts(scap_error(s));			// names file, offset and what was wrong
 *	scap_close(s);
 *
 * Writing is the same road backwards: the writer is a sink, and takes events.
 *
 *	struct scap_writer *w = scap_writer_new(SCAP_GZIP);
 *	struct scap_sink sink = scap_writer_sink(w);		// reset starts a section, lists_end ends its lists
 *	if (scap_writer_open(w, path, -1, &err) < 0) ...	// at any time: until then it collects in memory
 *	while (... && scap_write(w, &rec) == 0) ...
 *	if (scap_writer_close(w, &err) < 0) puts(err.text);
 */
#ifndef FALCO_SCAP_H
#define FALCO_SCAP_H

#include "../driver/event.h"
#include "fd.h"
#include "ffi.h"
#include "iface.h"
#include "user.h"

struct machine;

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
	SCAP_CONVERTED = 8,	/* not as it stands in the capture: of an older form, or with parameters taken out */
};

struct scap;

/* path "-" is stdin. NULL on failure, err says why. */
struct scap *scap_open(const char *path, const struct engine_limits *limits, const struct scap_sink *sink,
		       struct err *err);
/* What is read is kept in `copy` too, if it is not NULL. */
struct stream_copy;
struct scap *scap_open_copied(const char *path, const struct engine_limits *limits, const struct scap_sink *sink,
			      struct stream_copy *copy, struct err *err);
/* Where in its (uncompressed) bytes the block of the last event begins. */
uint64_t scap_event_at(const struct scap *s);
/* The event in a block that scap_next() has read, if it was not SCAP_CONVERTED; lengths and values of its parameters follow. */
const struct event_hdr *scap_event_header(const uint8_t *block, uint16_t *cpu);
/* A capture in memory that outlives it: for fuzzers and tests. */
struct scap *scap_open_memory(const void *data, size_t len, const struct engine_limits *limits,
			      const struct scap_sink *sink, struct err *err);
/* 1: `rec` is the next event; 0: clean end; negative -errno, for good: see scap_error(). But -EINTR: a signal came
 * while a pipe was quiet, call again. */
int scap_next(struct scap *s, struct scap_rec *rec);
const char *scap_error(const struct scap *s);
double scap_progress(const struct scap *s);	/* 0..1 of the file read, or -1 */
int scap_fd(const struct scap *s);		/* the descriptor it is read from, or -1 */
uint64_t scap_skipped(const struct scap *s);	/* events of unknown codes */
void scap_close(struct scap *s);
/* An event that only says what the host is like: users, containers and so on. */
bool scap_describes_host(uint32_t code);

/* ---- scap_write.c */

enum scap_writer_flags { SCAP_GZIP = 1 };

struct scap_writer;

/* NULL: out of memory. */
struct scap_writer *scap_writer_new(uint32_t flags);
/* Opens the file, emptied, for what was written so far and what will be. path "-" is stdout. source_fd: the capture
 * that is being read, which is not written over; -1: none. 0 or -errno with err; the writer is then of no more use. */
int scap_writer_open(struct scap_writer *w, const char *path, int source_fd, struct err *err);
/* Its functions always return 0: what goes wrong is kept for scap_write() and scap_writer_close(). Lists may come in any
 * order, entries of one process's descriptors one after the other. */
struct scap_sink scap_writer_sink(struct scap_writer *w);
/* Of rec->flags only SCAP_STATE_ONLY is written. 0 or -errno, for good; see scap_writer_error(). */
int scap_write(struct scap_writer *w, const struct scap_rec *rec);
uint64_t scap_writer_bytes(const struct scap_writer *w);	/* of the file, so far */
/* Of a plain writer that was never opened: all that was written, borrowed until it is used again. It is a whole capture.
 * NULL: the writer has failed, see err. */
const uint8_t *scap_writer_memory(struct scap_writer *w, size_t *len, struct err *err);
const char *scap_writer_error(const struct scap_writer *w);
/* Writes what is left and frees the writer, NULL allowed. -errno with err if anything failed since scap_writer_new(). */
int scap_writer_close(struct scap_writer *w, struct err *err);

/* ---- scap_compat.c */

struct compat;

enum compat_result { COMPAT_PASS, COMPAT_DROP };	/* negative: -errno, err filled */

struct compat *compat_new(void);
void compat_free(struct compat *c);
void compat_reset(struct compat *c);
/* Upgrades `rec` in place (parameters may come to point into compat's own memory). */
int compat_convert(struct compat *c, struct scap_rec *rec, struct err *err);

#endif
