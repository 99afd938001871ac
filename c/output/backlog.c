/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts that wait for one channel, in memory, in order. Declared in ffi.h.
 *
 *	acked and freed | under way (taken, not yet acked) | waiting
 *	                ^ oldest                           ^ cursor
 *
 * Notes lie in chunks, one behind the other, and a chunk is freed once all of its notes are acked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "note.h"

enum { CHUNK = 256 << 10 };

struct chunk {
	struct chunk *next;
	uint32_t used, cap;
	_Alignas(NOTE_ALIGN) char bytes[];
};

struct place {
	struct chunk *chunk;		/* NULL: the list is empty */
	uint32_t at;
};

struct backlog {
	struct place oldest, cursor;
	struct chunk *last;
	struct chunk *spare;		/* one is kept: a channel that keeps up would make and free one all the time */
	uint64_t bytes, max_bytes;
	uint64_t count, under_way;
};

struct backlog *backlog_new(uint64_t max_bytes)
{
	struct backlog *b = calloc(1, sizeof *b);

	if (b)
		b->max_bytes = max_bytes;
	return b;
}

void backlog_free(struct backlog *b)
{
	if (!b)
		return;
	for (struct chunk *c = b->oldest.chunk, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(b->spare);
	free(b);
}

/* A chunk with room for so many bytes, at the end of the list. */
static struct chunk *room_for(struct backlog *b, uint32_t size)
{
	struct chunk *c = b->last;
	uint32_t cap = size > CHUNK ? size : CHUNK;

	if (c && c->cap - c->used >= size)
		return c;
	if (cap == CHUNK && b->spare) {
		c = b->spare;
		b->spare = NULL;
	} else if (!(c = malloc(sizeof *c + cap))) {
		return NULL;
	}
	c->next = NULL;
	c->used = 0;
	c->cap = cap;
	if (b->last)
		b->last->next = c;
	else
		b->oldest = b->cursor = (struct place){ .chunk = c };
	b->last = c;
	return c;
}

/* Full is what has reached its bound: the last note may go over it, so that one that is larger still fits an empty one. */
bool backlog_has_room(const struct backlog *b)
{
	return b->bytes < b->max_bytes;
}

int backlog_put(struct backlog *b, const struct note *n)
{
	uint64_t size = note_size(n);
	struct chunk *c;

	if (!backlog_has_room(b) || size > NOTE_MAX)
		return size > NOTE_MAX ? -EMSGSIZE : -EAGAIN;
	if (!(c = room_for(b, (uint32_t)size)))
		return -ENOMEM;
	note_pack(n, c->bytes + c->used);
	c->used += (uint32_t)size;
	b->bytes += size;
	b->count++;
	return 0;
}

static void to_next_chunk(struct place *p)
{
	if (p->chunk->next && p->at == p->chunk->used)
		*p = (struct place){ .chunk = p->chunk->next };
}

bool backlog_next(struct backlog *b, struct note *n)
{
	if (b->under_way == b->count)
		return false;
	to_next_chunk(&b->cursor);
	REQUIRE(note_unpack(b->cursor.chunk->bytes + b->cursor.at, b->cursor.chunk->used - b->cursor.at, n) > 0);
	return true;
}

void backlog_step(struct backlog *b)
{
	struct note n;

	REQUIRE(backlog_next(b, &n));
	b->cursor.at += (uint32_t)note_size(&n);
	b->under_way++;
}

static void free_first(struct backlog *b)
{
	struct chunk *c = b->oldest.chunk;

	b->oldest = (struct place){ .chunk = c->next };
	if (b->cursor.chunk == c)
		b->cursor = b->oldest;
	if (b->last == c)
		b->last = NULL;
	if (c->cap == CHUNK && !b->spare)
		b->spare = c;
	else
		free(c);
}

void backlog_ack(struct backlog *b, uint64_t n)
{
	REQUIRE(n <= b->under_way);
	for (; n > 0; n--) {
		struct chunk *c = b->oldest.chunk;
		struct note note;

		if (b->oldest.at == c->used) {
			free_first(b);
			c = b->oldest.chunk;
		}
		REQUIRE(note_unpack(c->bytes + b->oldest.at, c->used - b->oldest.at, &note) > 0);
		b->oldest.at += (uint32_t)note_size(&note);
		b->bytes -= note_size(&note);
		b->under_way--;
		b->count--;
	}
	if (b->count == 0 && b->oldest.chunk)
		while (b->oldest.chunk)
			free_first(b);
}

void backlog_rewind(struct backlog *b)
{
	b->cursor = b->oldest;
	b->under_way = 0;
}

uint64_t backlog_count(const struct backlog *b)
{
	return b->count;
}

uint64_t backlog_under_way(const struct backlog *b)
{
	return b->under_way;
}
