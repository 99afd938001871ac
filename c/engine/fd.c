/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../err.h"
#include "fd.h"

struct fds {
	uint32_t max_per_table;
	uint64_t last_gen, live, overflow;
	uint64_t std_changes;
	struct fd_pool pool;
	struct fd_rec *dead;
};

struct fds *fds_new(uint32_t max_per_table, uint64_t max_bytes)
{
	struct fds *f = calloc(1, sizeof *f);

	if (f) {
		f->max_per_table = max_per_table;
		f->pool.max = max_bytes;
	}
	return f;
}

void fds_free(struct fds *f)
{
	if (!f)
		return;
	fds_sweep(f);
	REQUIRE(f->live == 0 && f->pool.used == 0);
	fd_pool_empty(&f->pool);
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

static size_t rec_size(const struct fd_draft *d)
{
	return sizeof(struct fd_rec) + d->name.len + (size_t)d->raw.len + 2;
}

static struct fd_rec *rec_new(struct fds *f, const struct fd_draft *d)
{
	struct fd_rec *r = fd_pool_get(&f->pool, rec_size(d));

	if (!r)
		return NULL;
	r->refs = 1;
	r->past = 0;
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
	r->next_dead = f->dead;
	f->dead = r;
}

void fds_sweep(struct fds *f)
{
	while (f->dead) {
		struct fd_rec *r = f->dead;

		f->dead = r->next_dead;
		fd_pool_put(&f->pool, r, rec_size(&r->d));
	}
}

/* ------------------------------------------------------------------ tables */

struct fdtable *fdtable_share(struct fds *f, struct fdtable *t)
{
	struct fdtable *fork = fd_pool_get(&f->pool, sizeof *fork);

	if (!fork) {
		f->overflow++;
		return NULL;
	}
	*fork = (struct fdtable){ t->order, t->copies + 1 };
	t->order->refs++;
	return fork;
}

void fdtable_drop(struct fds *f, struct fdtable *t)
{
	struct fd_rec *r;
	int64_t fd;

	if (!t)
		return;
	if (--t->order->refs == 0) {
		for (uint32_t pos = 0; fdtable_next(t, &pos, &fd, &r);)
			fd_rec_drop(f, r);
		fd_order_free(&f->pool, t->order);
	}
	fd_pool_put(&f->pool, t, sizeof *t);
}

static void ref_rec(struct fd_rec *r)
{
	r->refs++;
}

bool fdtable_settle(struct fds *f, struct fdtable **t)
{
	return *t ? fdtable_own(&f->pool, *t, ref_rec) : (*t = fdtable_alloc(&f->pool)) != NULL;
}

bool fdtable_writable(struct fds *f, struct fdtable **t)
{
	if (fdtable_settle(f, t))
		return true;
	f->overflow += fdtable_count(*t);
	f->std_changes++;
	fdtable_drop(f, *t);
	*t = NULL;
	return false;
}

/* Takes over one reference to `rec`; NULL: there was no memory for it. */
static struct fd_rec *put(struct fds *f, struct fdtable **t, int64_t fd, struct fd_rec *rec)
{
	struct fd_node *node;

	f->std_changes += fd < 3;
	if (fd < 0)
		goto drop;
	if (!rec) {
		fd_remove(f, t, fd);
		goto refuse;
	}
	if (!fdtable_writable(f, t))
		goto refuse;
	if ((node = fdtable_node(*t, fd))) {
		fd_rec_drop(f, node->rec);
		node->rec = rec;
		return rec;
	}
	if (fdtable_count(*t) < f->max_per_table && fdtable_put(&f->pool, *t, fd, rec))
		return rec;
refuse:
	f->overflow++;
drop:
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
	f->std_changes += fd < 3;
	if (fdtable_get(*t, fd) && fdtable_writable(f, t))
		fd_rec_drop(f, fdtable_take(*t, fd));
}

uint64_t fds_std_changes(const struct fds *f)
{
	return f->std_changes;
}

uint64_t fds_overflow(const struct fds *f)
{
	return f->overflow;
}

uint64_t fds_live(const struct fds *f)
{
	return f->live;
}

uint64_t fds_bytes(const struct fds *f)
{
	return f->pool.used;
}
