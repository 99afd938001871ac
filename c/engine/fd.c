/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../err.h"
#include "fd.h"

struct fds {
	uint32_t max_per_table;
	uint32_t last_gen;
	uint64_t live, overflow;
};

struct fds *fds_new(uint32_t max_per_table)
{
	struct fds *f = calloc(1, sizeof *f);

	if (f)
		f->max_per_table = max_per_table;
	return f;
}

void fds_free(struct fds *f)
{
	if (!f)
		return;
	REQUIRE(f->live == 0);
	free(f);
}

/* ------------------------------------------------------------------ records */

static char *put_text(char *at, struct str *s)
{
	if (s->len)
		memcpy(at, s->p, s->len);
	at[s->len] = 0;
	s->p = at;
	return at + s->len + 1;
}

static struct fd_rec *rec_new(struct fds *f, const struct fd_draft *d)
{
	struct fd_rec *r = malloc(sizeof *r + (size_t)d->name.len + d->raw.len + 2);

	if (!r)
		return NULL;
	r->refs = 1;
	r->gen = ++f->last_gen;
	r->d = *d;
	put_text(put_text(r->text, &r->d.name), &r->d.raw);
	f->live++;
	return r;
}

struct fd_rec *fd_rec_ref(struct fd_rec *r)
{
	r->refs++;
	return r;
}

void fd_rec_drop(struct fds *f, struct fd_rec *r)
{
	if (!r || --r->refs)
		return;
	f->live--;
	free(r);
}

/* ------------------------------------------------------------------ tables */

struct fdtable *fdtable_new(struct fds *f)
{
	struct fdtable *t = calloc(1, sizeof *t);

	if (t)
		t->refs = 1;
	else
		f->overflow++;
	return t;
}

struct fdtable *fdtable_share(struct fdtable *t)
{
	t->refs++;
	return t;
}

void fdtable_drop(struct fds *f, struct fdtable *t)
{
	uint64_t fd;
	struct fd_rec *r;

	if (!t || --t->refs)
		return;
	for (uint32_t i = 0; map_next(&t->map, &i, &fd, &r);)
		fd_rec_drop(f, r);
	map_free(&t->map);
	free(t);
}

/* Makes *t a table of its holder's own: new if there is none, a copy if others hold it too. */
static bool make_own(struct fds *f, struct fdtable **t)
{
	struct fdtable *old = *t, *own;
	uint64_t fd;
	struct fd_rec *r;

	if (old && old->refs == 1)
		return true;
	own = fdtable_new(f);
	if (!own)
		return false;
	if (old && old->map.n) {
		own->map = (struct map){ .n = old->map.n, .cap = old->map.cap };
		own->map.slots = malloc(old->map.cap * sizeof *own->map.slots);
		if (!own->map.slots) {
			free(own);
			f->overflow++;
			return false;
		}
		memcpy(own->map.slots, old->map.slots, old->map.cap * sizeof *own->map.slots);
		for (uint32_t i = 0; map_next(&own->map, &i, &fd, &r);)
			r->refs++;
	}
	fdtable_drop(f, old);
	*t = own;
	return true;
}

/* Takes over one reference to `rec`. */
static struct fd_rec *put(struct fds *f, struct fdtable **t, int64_t fd, struct fd_rec *rec)
{
	struct fd_rec *old;

	if (!rec || fd < 0 || !make_own(f, t))
		goto refuse;
	old = map_get(&(*t)->map, (uint64_t)fd);
	if ((!old && (*t)->map.n >= f->max_per_table) || !map_put(&(*t)->map, (uint64_t)fd, rec))
		goto refuse;
	fd_rec_drop(f, old);
	return rec;
refuse:
	f->overflow += fd >= 0;
	fd_rec_drop(f, rec);
	return NULL;
}

struct fd_rec *fd_publish(struct fds *f, struct fdtable **t, int64_t fd, const struct fd_draft *d)
{
	return put(f, t, fd, rec_new(f, d));
}

struct fd_rec *fd_alias(struct fds *f, struct fdtable **t, int64_t fd, struct fd_rec *rec)
{
	return put(f, t, fd, fd_rec_ref(rec));
}

void fd_remove(struct fds *f, struct fdtable **t, int64_t fd)
{
	if (fdtable_get(*t, fd) && make_own(f, t))
		fd_rec_drop(f, map_take(&(*t)->map, (uint64_t)fd));
}

uint64_t fds_overflow(const struct fds *f)
{
	return f->overflow;
}

uint64_t fds_live(const struct fds *f)
{
	return f->live;
}
