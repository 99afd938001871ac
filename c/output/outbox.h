/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that a sender was given and its peer has not taken yet, in order. One thread puts, one other sends:
 *
 *	outbox_put(box, text, len)                  -EAGAIN: full, try again when some are settled
 *	n = outbox_peek(box, seq, msgs, 100)        messages seq, seq + 1, ... as far as there are
 *	outbox_settle(box, seq + n)                 all before that number are done with
 *
 * Messages are numbered from 0 in the order of outbox_put(). What outbox_peek() shows is borrowed until it is settled.
 * Bounded by count and bytes; buffers are used again, so that nothing is allocated once it has settled.
 */
#ifndef FALCO_OUTPUT_OUTBOX_H
#define FALCO_OUTPUT_OUTBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "../str.h"

struct outbox_slot {
	char *p;
	uint32_t len, cap;
};

struct outbox {
	pthread_mutex_t lock;		/* of all below */
	struct outbox_slot *slots;
	uint32_t nslots;
	uint64_t max_bytes, bytes;
	uint64_t put, settled;		/* messages so far; slots[settled % nslots] is the oldest there is */
	int wake;			/* an eventfd, readable when the sender should look */
	bool asleep;
};

/* 0 or -errno. */
int outbox_init(struct outbox *box, uint32_t max_messages, uint64_t max_bytes);
void outbox_fini(struct outbox *box);

/* Copies. 0; -EAGAIN: no room now; -EMSGSIZE: there never will be; -ENOMEM. */
int outbox_put(struct outbox *box, const char *p, uint32_t len);
uint64_t outbox_settled(struct outbox *box);
void outbox_waiting(struct outbox *box, uint64_t *messages, uint64_t *bytes);

/* The sender's side. */
uint32_t outbox_peek(struct outbox *box, uint64_t seq, struct str *msgs, uint32_t n);
bool outbox_settle(struct outbox *box, uint64_t upto);		/* true: it is empty now */
/* true: there is no message `seq` yet, and `wake` will become readable when there is. */
bool outbox_sleep(struct outbox *box, uint64_t seq);
void outbox_wake(struct outbox *box);
void outbox_awake(struct outbox *box);		/* after a wake-up: `wake` is no longer readable */

#endif
