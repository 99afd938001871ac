/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "ring.h"

enum {
	RECORD_BUSY = 1u << 31, RECORD_DISCARDED = 1u << 30, RECORD_HEAD = 8,	/* as the kernel has them */
	ENTRIES = 1 << 14,		/* pending records of a ring */
};

struct entry {
	uint64_t ts;
	uint64_t pos;			/* of the record's data, in the endless stream of the ring */
};

struct ring {
	uint64_t *consumer;		/* shared with the kernel */
	const uint64_t *producer;
	const uint8_t *data;		/* mapped twice, one after the other: records are contiguous */
	size_t bytes;
	uint64_t drained;
	uint64_t last_ts;		/* of the newest record that was drained */
	uint64_t most;
	uint32_t head, tail;		/* of entries, counted on */
	struct entry *entries;
};

struct rings {
	uint64_t boot_ns;
	uint64_t horizon;		/* what is not younger may be delivered */
	uint64_t until;			/* likewise from `at`, before another ring's turn comes */
	struct ring *at;
	uint64_t delivered_ts;
	uint64_t late, bad;
	uint32_t n;
	struct ring rings[];
};

static inline struct entry *entry_at(const struct ring *r, uint32_t i)
{
	return &r->entries[i & (ENTRIES - 1)];
}

static uint64_t now_ns(const struct rings *rs)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return rs->boot_ns + (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------ draining */

/* Gives the kernel back what no pending record needs. */
static void release(struct ring *r)
{
	uint64_t least = r->drained;

	for (uint32_t i = r->head; i != r->tail; i++)
		if (entry_at(r, i)->pos - RECORD_HEAD < least)
			least = entry_at(r, i)->pos - RECORD_HEAD;
	__atomic_store_n(r->consumer, least, __ATOMIC_RELEASE);
}

static void take(struct rings *rs, struct ring *r, uint64_t pos, uint32_t len)
{
	const uint8_t *p = r->data + (pos & (r->bytes - 1));
	const struct event_hdr *h = (const void *)(p + sizeof(struct probe_prefix));
	uint32_t i = r->tail;

	if (len < sizeof(struct probe_prefix) + sizeof *h || h->len < sizeof *h ||
	    h->len > len - sizeof(struct probe_prefix)) {
		rs->bad++;
		return;
	}
	uint64_t ts = h->ts;
	for (; i != r->head && entry_at(r, i - 1)->ts > ts; i--)
		*entry_at(r, i) = *entry_at(r, i - 1);
	*entry_at(r, i) = (struct entry){ ts, pos };
	r->tail++;
	if (ts > r->last_ts)
		r->last_ts = ts;
}

/* Takes what is committed up to `end`. false: not all of it. */
static bool drain(struct rings *rs, struct ring *r, uint64_t end)
{
	while (r->drained < end && r->tail - r->head < ENTRIES) {
		const uint32_t *head = (const void *)(r->data + (r->drained & (r->bytes - 1)));
		uint32_t word = __atomic_load_n(head, __ATOMIC_ACQUIRE), len = word & ~(RECORD_BUSY | RECORD_DISCARDED);

		if (word & RECORD_BUSY)
			return false;
		if (!(word & RECORD_DISCARDED))
			take(rs, r, r->drained + RECORD_HEAD, len);
		r->drained += (len + RECORD_HEAD + 7) & ~7u;
	}
	return r->drained >= end;
}

static void collect(struct rings *rs)
{
	uint64_t now = now_ns(rs), horizon = now - HOLDBACK_NS;

	for (uint32_t i = 0; i < rs->n; i++) {
		struct ring *r = &rs->rings[i];
		uint64_t end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);

		release(r);
		if (end - *r->consumer > r->most)
			r->most = end - *r->consumer;
		if (!drain(rs, r, end) && r->last_ts < horizon)
			horizon = r->last_ts;
	}
	if (horizon < now - HOLDBACK_MAX_NS)
		horizon = now - HOLDBACK_MAX_NS;
	rs->horizon = horizon;
}

/* ------------------------------------------------------------------ delivering */

/* Finds the ring with the oldest record, and how far it may go on alone. */
static bool choose(struct rings *rs)
{
	struct ring *oldest = NULL;
	uint64_t first = UINT64_MAX, second = UINT64_MAX;

	for (uint32_t i = 0; i < rs->n; i++) {
		struct ring *r = &rs->rings[i];
		uint64_t ts;

		if (r->head == r->tail)
			continue;
		if ((ts = entry_at(r, r->head)->ts) < first) {
			second = first;
			first = ts;
			oldest = r;
		} else if (ts < second) {
			second = ts;
		}
	}
	rs->at = oldest;
	rs->until = second < rs->horizon ? second : rs->horizon;
	return first <= rs->until;
}

int rings_next(struct rings *rs, struct source_event *ev)
{
	struct ring *r = rs->at;

	if (!r || r->head == r->tail || entry_at(r, r->head)->ts > rs->until) {
		if (!choose(rs)) {
			collect(rs);
			if (!choose(rs))
				return 0;
		}
		r = rs->at;
	}
	const struct entry *e = entry_at(r, r->head++);
	const struct probe_prefix *prefix = (const void *)(r->data + (e->pos & (r->bytes - 1)));
	const struct event_hdr *hdr = (const void *)(prefix + 1);

	if (e->ts < rs->delivered_ts)
		rs->late++;
	else
		rs->delivered_ts = e->ts;
	__builtin_prefetch(r->data + (entry_at(r, r->head)->pos & (r->bytes - 1)));
	*ev = (struct source_event){ .hdr = hdr, .size = hdr->len, .cpu = (uint16_t)prefix->cpu };
	return 1;
}

/* ------------------------------------------------------------------ life, numbers */

struct rings *rings_new(uint32_t n, uint64_t boot_ns)
{
	struct rings *rs = calloc(1, sizeof *rs + n * sizeof rs->rings[0]);

	if (!rs)
		return NULL;
	rs->boot_ns = boot_ns;
	rs->n = n;
	for (uint32_t i = 0; i < n; i++) {
		if (!(rs->rings[i].entries = malloc(ENTRIES * sizeof(struct entry)))) {
			rings_free(rs);
			return NULL;
		}
	}
	return rs;
}

int rings_map(struct rings *rs, uint32_t i, int map_fd, size_t bytes)
{
	struct ring *r = &rs->rings[i];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	r->consumer = p;
	p = mmap(NULL, page + 2 * bytes, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (p == MAP_FAILED)
		return -errno;
	r->producer = p;
	r->data = (const uint8_t *)p + page;
	r->bytes = bytes;
	r->drained = *r->consumer;
	return 0;
}

void rings_free(struct rings *rs)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!rs)
		return;
	for (uint32_t i = 0; i < rs->n; i++) {
		struct ring *r = &rs->rings[i];

		if (r->producer)
			munmap((void *)r->producer, page + 2 * r->bytes);
		if (r->consumer)
			munmap(r->consumer, page);
		free(r->entries);
	}
	free(rs);
}

void rings_fill(const struct rings *rs, uint32_t i, uint64_t *now, uint64_t *most)
{
	const struct ring *r = &rs->rings[i];

	*now = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - *r->consumer;
	*most = r->most;
}

uint64_t rings_late(const struct rings *rs)
{
	return rs->late;
}

uint64_t rings_bad(const struct rings *rs)
{
	return rs->bad;
}
