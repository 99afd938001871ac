/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all senders (http.c, redis.c, kafka.c) share: an outbox, a thread of their own that empties it, counters, and lines for
 * people. The thread that gives them messages never waits for a peer. Functions for Lua are in ../engine/ffi.h.
 *
 * A kind of sender has struct sender as its first member and provides
 *	run(s)		the thread: until sender_should_stop(); everything that may wait for a peer happens there
 *	fini(s)		frees what is its own; called once run() has returned
 */
#ifndef FALCO_OUTPUT_SENDER_H
#define FALCO_OUTPUT_SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include "../engine/ffi.h"
#include "outbox.h"

enum { SENDER_NOTICE_BYTES = 65536, SENDER_NAME_LEN = 256 };

struct sender_ops {
	void (*run)(struct sender *s);
	void (*fini)(struct sender *s);
};

struct sender {
	const struct sender_ops *ops;
	struct outbox box;
	uint64_t rights;		/* RIGHT_* that the thread keeps; it has no others */
	int news;			/* an eventfd: sender_fd() */
	pthread_t thread;
	atomic_int holders;		/* the thread and the owner; the last one frees */
	atomic_bool stopping;
	atomic_uint_least64_t deadline;	/* once stopping: sys_now_ns() when it stops, whatever is left */
	char name[SENDER_NAME_LEN];	/* of the peer, for people: without passwords */
	pthread_mutex_t lock;		/* of all below */
	struct sender_stats stats;
	char *notices;			/* kind (1 byte), length (4 bytes), text, one after the other */
	uint32_t notice_len;
	uint64_t down_since;		/* sys_now_ns(); 0: the peer answers */
	/* the thread's alone */
	uint64_t told;			/* settled messages that `news` was written for */
	uint32_t failures;		/* attempts in a row that came to nothing */
	uint64_t refusals_told;		/* sys_now_ns() */
	uint64_t not_before;		/* sys_now_ns() of the next attempt */
};

/* Base of a sender, zeroed memory. sender_start() takes it over: also on failure, it is then freed. */
int sender_init(struct sender *s, const struct sender_ops *ops, const struct sender_limits *limits, const char *name);
struct sender *sender_start(struct sender *s, struct err *err);
void sender_free(struct sender *s);	/* one that was not started */

/* The thread's side. */
bool sender_should_stop(struct sender *s);	/* at once, or, once asked to, when all is settled or time is up */
uint64_t sender_time_left(struct sender *s, uint64_t most_ms);	/* ms until `not_before` or the deadline, at most that */
uint64_t sender_deadline_left(struct sender *s, uint64_t most_ms);	/* the deadline alone */
void sender_failed(struct sender *s, bool timed_out, uint64_t least_ms, const char *why);	/* an attempt; sets not_before */
void sender_timed_out(struct sender *s);	/* an attempt, and the next comes at once */
void sender_worked(struct sender *s);		/* an attempt */
void sender_settle(struct sender *s, uint64_t upto);
void sender_refused(struct sender *s, uint64_t n, const char *why);	/* so many messages, for good: the peer will never take them */
void sender_count_again(struct sender *s, uint64_t n);		/* messages that were under way and have to be sent again */
__attribute__((format(printf, 3, 4)))
void sender_tell(struct sender *s, int kind, const char *fmt, ...);
void sender_echo(struct sender *s, const char *text, uint32_t len);

#endif
