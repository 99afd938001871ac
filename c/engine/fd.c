/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "../err.h"
#include "fd.h"

struct fds {
	uint32_t max_per_table;
	uint64_t last_gen, live, overflow;
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

struct fdtable *fdtable_share(struct fds *f, struct fdtable *t)
{
	struct fdtable *fork = malloc(sizeof *fork);

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
		fd_order_free(t->order);
	}
	free(t);
}

static void ref_rec(struct fd_rec *r)
{
	r->refs++;
}

bool fdtable_settle(struct fds *f, struct fdtable **t)
{
	if (*t ? fdtable_own(*t, ref_rec) : (*t = fdtable_alloc()) != NULL)
		return true;
	f->overflow++;
	return false;
}

/* Takes over one reference to `rec`. */
static struct fd_rec *put(struct fds *f, struct fdtable **t, int64_t fd, struct fd_rec *rec)
{
	struct fd_node *node;

	if (!rec || fd < 0)
		goto refuse;
	if (!fdtable_settle(f, t)) {
		fd_rec_drop(f, rec);
		return NULL;
	}
	if ((node = fdtable_node(*t, fd))) {
		fd_rec_drop(f, node->rec);
		node->rec = rec;
		return rec;
	}
	if (fdtable_count(*t) < f->max_per_table && fdtable_put(*t, fd, rec))
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
	if (fdtable_get(*t, fd) && fdtable_settle(f, t))
		fd_rec_drop(f, fdtable_take(*t, fd));
}

uint64_t fds_overflow(const struct fds *f)
{
	return f->overflow;
}

uint64_t fds_live(const struct fds *f)
{
	return f->live;
}
