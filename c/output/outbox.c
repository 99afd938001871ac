/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "../err.h"

enum { KEPT_BUFFER = 16384 };		/* larger ones are given back once their message is settled */

int outbox_init(struct outbox *box, uint32_t max_messages, uint64_t max_bytes)
{
	*box = (struct outbox){ .nslots = max_messages, .max_bytes = max_bytes };
	REQUIRE(max_messages > 0);
	box->slots = calloc(max_messages, sizeof *box->slots);
	if (!box->slots)
		return -ENOMEM;
	box->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->wake < 0) {
		int code = -errno;

		free(box->slots);
		return code;
	}
	pthread_mutex_init(&box->lock, NULL);
	return 0;
}

void outbox_fini(struct outbox *box)
{
	for (uint32_t i = 0; i < box->nslots; i++)
		free(box->slots[i].p);
	free(box->slots);
	close(box->wake);
	pthread_mutex_destroy(&box->lock);
}

static bool slot_fill(struct outbox_slot *slot, const char *p, uint32_t len)
{
	if (!slot->p || slot->cap < len) {
		uint32_t cap = len < 512 ? 512 : len;
		char *bigger = malloc(cap);

		if (!bigger)
			return false;
		free(slot->p);
		slot->p = bigger;
		slot->cap = cap;
	}
	memcpy(slot->p, p, len);
	slot->len = len;
	return true;
}

int outbox_put(struct outbox *box, const char *p, uint32_t len)
{
	int code = 0;
	bool wake = false;

	if (len > box->max_bytes)
		return -EMSGSIZE;
	pthread_mutex_lock(&box->lock);
	if (box->put - box->settled == box->nslots || box->bytes + len > box->max_bytes) {
		code = -EAGAIN;
	} else if (!slot_fill(&box->slots[box->put % box->nslots], p, len)) {
		code = -ENOMEM;
	} else {
		box->put++;
		box->bytes += len;
		wake = box->asleep;
		box->asleep = false;
	}
	pthread_mutex_unlock(&box->lock);
	if (wake)
		outbox_wake(box);
	return code;
}

uint64_t outbox_settled(struct outbox *box)
{
	pthread_mutex_lock(&box->lock);
	uint64_t n = box->settled;
	pthread_mutex_unlock(&box->lock);
	return n;
}

void outbox_waiting(struct outbox *box, uint64_t *messages, uint64_t *bytes)
{
	pthread_mutex_lock(&box->lock);
	*messages = box->put - box->settled;
	*bytes = box->bytes;
	pthread_mutex_unlock(&box->lock);
}

uint32_t outbox_peek(struct outbox *box, uint64_t seq, struct str *msgs, uint32_t n)
{
	pthread_mutex_lock(&box->lock);
	REQUIRE(seq >= box->settled && seq <= box->put);
	if (n > box->put - seq)
		n = box->put - seq;
	for (uint32_t i = 0; i < n; i++) {
		const struct outbox_slot *slot = &box->slots[(seq + i) % box->nslots];

		msgs[i] = (struct str){ slot->p, slot->len };
	}
	pthread_mutex_unlock(&box->lock);
	return n;
}

bool outbox_settle(struct outbox *box, uint64_t upto)
{
	pthread_mutex_lock(&box->lock);
	REQUIRE(upto >= box->settled && upto <= box->put);
	for (; box->settled < upto; box->settled++) {
		struct outbox_slot *slot = &box->slots[box->settled % box->nslots];

		box->bytes -= slot->len;
		if (slot->cap > KEPT_BUFFER) {
			free(slot->p);
			*slot = (struct outbox_slot){ 0 };
		}
	}
	bool empty = box->settled == box->put;
	pthread_mutex_unlock(&box->lock);
	return empty;
}

bool outbox_sleep(struct outbox *box, uint64_t seq)
{
	pthread_mutex_lock(&box->lock);
	box->asleep = box->put == seq;
	bool asleep = box->asleep;
	pthread_mutex_unlock(&box->lock);
	return asleep;
}

void outbox_wake(struct outbox *box)
{
	eventfd_write(box->wake, 1);
}

void outbox_awake(struct outbox *box)
{
	eventfd_t n;

	eventfd_read(box->wake, &n);
}
