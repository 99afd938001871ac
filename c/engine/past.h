/* SPDX-License-Identifier: Apache-2.0 */
/*
 * past: a capture that was read once and is remembered, so that more conditions can be asked about its events without
 * reading, decoding and changing state again.
 *
 * Of each numbered event stay, column by column,
 *
 *	type     its code, and for generic events the system call: what past_type() numbers
 *	at       where its bytes are in `image`, the capture as it was read, unpacked
 *	view     the thread as the event saw it, with all threads whose fields may be read through it: its main thread, those
 *	         that it descends from, the leaders of its session and groups
 *	fd       the record of the descriptor that it works on
 *
 * and what else parsing left in struct evt. Threads, images and records are copied once for each change, never referenced, so
 * that what is remembered does not count towards the limits of the engine and cannot change what it knows.
 *
 * A field then is read of a struct evt that is put together from this. What that cannot answer has a FIELD_REPLAY, or flags
 * that say under which circumstances; such conditions are asked of an engine that replays the image (past_pass.c). So are single
 * events that are marked PAST_ODD or PAST_PARTIAL.
 *
 * All of it takes at most max_bytes. A capture that takes more is read again for each pass.
 */
#ifndef FALCO_PAST_H
#define FALCO_PAST_H

#include "../room.h"
#include "engine.h"
#include "evt.h"

enum past_flags {
	PAST_HAS_THREAD = 1,		/* evt.thread was set; else only its number may tell the thread */
	PAST_FD_REPLACED = 2, PAST_FD_RENAMED = 4,
	PAST_SIDE = 8,			/* `at` is a struct past_side in `pieces`, in steps of SIDE_STEP bytes */
	PAST_EXTRA = 16,		/* there are entries in `extras` */
	PAST_PARTIAL = 32,		/* its parameters name more descriptors than are kept */
	PAST_ODD = 64,			/* ask a replay about this one */
	PAST_THREADS = 128,		/* among its extras are threads */
};

enum { PAST_NO_RECORD = 0, PAST_NO_FD = 1, PAST_FIRST_FD = 2 };	/* column fd */
enum { PAST_UNSEEN = UINT16_MAX };				/* column type: no rule can see it */

enum { PAST_COLUMNS = 6, SIDE_STEP = 16 };

struct past_copy {			/* of a thread, between two changes */
	struct thread t;
	struct thread_group group;
	uint32_t alive;			/* in its group */
	bool in_group;
};

struct past_member {			/* numbers of copies; 0: none */
	uint32_t copy, leader;
};

struct past_view {
	uint32_t first, n;		/* in `members`; the thread itself first */
	uint32_t std_seen[3], std[3];	/* records of descriptors 0 to 2: serials (past_rec.c), and as in the column fd */
	bool partial;			/* not all threads that LINEAGE fields may reach */
};

struct past_extra {			/* a descriptor or thread that a parameter names */
	uint32_t event;
	uint32_t fd;			/* as in the column; of a thread PAST_NO_RECORD */
	uint32_t copy;			/* of the thread; 0: a descriptor */
	int64_t number;
};

struct past_since {			/* from that event on */
	uint32_t event;
	uint64_t first_ts;
};

/* A record that does not stand in the image as it was seen. Lengths and bytes of its parameters follow. */
struct past_side {
	uint64_t ts;
	int64_t tid;
	uint16_t code, cpu;
	uint32_t nparams;
	uint32_t len[];
};

struct past_file {
	size_t from, len;		/* in the image */
};

struct past {
	struct engine_limits limits;
	char **paths;
	struct past_file *files;
	uint32_t npaths, file;		/* file: how many were begun */
	struct engine *eng;		/* reads, and has the state of the end */
	bool begun;			/* an event was read */
	bool complete;
	int failed;			/* -errno, for good: err says why */
	struct err err;

	bool kept;			/* the rest is there, for the first n events */
	struct err why_not;
	uint64_t max_bytes;
	struct stream_copy image;
	struct room bytes;		/* of the image */
	struct room pieces;		/* copies of threads, images and records, sides */
	struct intern *strings;
	uint32_t n, cap;		/* cap: what the columns have room for */
	struct room columns[PAST_COLUMNS];
	uint32_t *at;
	uint32_t *view, *fd;
	int32_t *fdnum;
	uint16_t *type;
	uint8_t *flags;
	struct past_copy **copies;	/* number 0 is no one */
	struct image **images;
	struct fd_rec **recs;
	struct past_view *views;
	struct past_member *members;
	struct past_extra *extras;
	struct past_since *since;
	struct past_names *names;
	uint32_t ncopies, copies_cap, nimages, images_cap, nrecs, recs_cap, nviews, views_cap, nmembers, members_cap;
	uint32_t nextras, extras_cap, nsince, since_cap;
	struct past_recs *by_hash;	/* finds those that are the same */
	bool tables_known, tables_changed;
	uint32_t table_epoch;
	uint64_t first_seen_ts, last_ts;	/* of the first and latest event */

	/* the event that past_show() puts together */
	struct evt evt;
	struct state st;
	struct arena scratch;
	uint32_t shown_view;		/* whose threads st.threads has; UINT32_MAX: none */
	bool shown_lineage;
	struct fd_pool pool;
	struct fdtable *fds;		/* what thread_fds() gives; entries of the event at hand */
	int64_t fds_numbers[256];
	uint32_t nfds;
};

/* ---- past.c: reading */

/* Goes on by one event: NEXT_EVENT (it is at hand in p->eng, and remembered unless it has no number), NEXT_END or -errno. */
int past_read(struct past *p);
/* Gives up remembering; why: for people. */
__attribute__((format(printf, 2, 3))) void past_forget(struct past *p, const char *why, ...);
void past_too_large(struct past *p);

/* ---- past_extra.c: what parameters of the event at hand name by number */

struct past_names *past_names_new(void);
/* Adds flags of the event. false: out of memory. */
bool past_keep_extras(struct past *p, const struct evt *e, struct thread *t, uint8_t *flags);

/* ---- past_view.c */

/* The thread as it is now, NULL: none. 0: none, or out of memory, which past_forget() then knows. */
uint32_t past_copy_of(struct past *p, struct thread *t);
uint32_t past_view_of(struct past *p, const struct state *st, struct thread *t);

/* ---- past_rec.c */

struct past_recs *past_recs_new(void);
void past_recs_free(struct past_recs *r);
uint64_t past_recs_bytes(const struct past_recs *r);
/* A number for the columns, 0: out of memory. Whose record it is shows past_settle(), which puts final numbers (of `recs`) in its
 * place; before a pass through memory, and at the end. */
uint32_t past_rec_of(struct past *p, struct fd_rec *rec);
void past_settle(struct past *p);

/* ---- past_show.c: the remembered event i (its evt.num - 1) as p->evt */

enum { SHOW_LINEAGE = 1, SHOW_FDS = 2, SHOW_STD = 4 };	/* what fields may want besides thread and descriptor */

static inline const struct past_side *past_side_at(const struct past *p, uint32_t at)
{
	return (const struct past_side *)(const void *)(p->pieces.mem + (size_t)at * SIDE_STEP);
}

/* For whom: before the first, and whenever past_read() went on since. */
void past_show_to(struct past *p, struct ruleset *rules);
void past_show(struct past *p, uint32_t i, uint32_t wants);
void past_hide(struct past *p);
uint64_t past_ts(const struct past *p, uint32_t i);

#endif
