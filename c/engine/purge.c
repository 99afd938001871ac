/* SPDX-License-Identifier: Apache-2.0 */
#include "purge.h"

/* When a thread was missed first, and which one it was: its number may be given to another one. */
struct gone {
	uint64_t since_ns;
	uint64_t gen;
};

static uint64_t cut(const struct purge *p, uint64_t ns, uint64_t now)
{
	return now < p->hurry_until && ns > PURGE_HURRY_NS ? PURGE_HURRY_NS : ns;
}

static void forget(struct purge *p, int64_t tid)
{
	free(map_take(&p->gone, (uint64_t)tid));
}

static void remember(struct purge *p, const struct thread *t, uint64_t now)
{
	struct gone *g = p->gone.n < PURGE_MAX_GONE ? malloc(sizeof *g) : NULL;

	if (!g)
		return;		/* the next walk finds it again */
	*g = (struct gone){ now, t->gen };
	if (!map_put(&p->gone, (uint64_t)t->tid, g))
		free(g);
}

static void look(struct purge *p, struct threads *threads, const struct thread *t, uint64_t now)
{
	struct gone *g = map_get(&p->gone, (uint64_t)t->tid);
	int64_t tid = t->tid;

	if (g && (g->gen != t->gen || p->is_there(p->ctx, tid)))
		forget(p, tid);
	else if (!g && !p->is_there(p->ctx, tid))
		remember(p, t, now);
	else if (g && now - g->since_ns >= cut(p, p->patience_ns, now)) {
		forget(p, tid);
		thread_remove(threads, tid);
		p->removed++;
	}
}

/* Those that ended in the ordinary way meanwhile. */
static void tidy(struct purge *p, const struct threads *threads)
{
	uint64_t tid;
	struct gone *g;

	for (uint32_t i = 0; map_next(&p->gone, &i, &tid, &g);) {
		if (thread_find(threads, (int64_t)tid))
			continue;
		forget(p, (int64_t)tid);
		i = 0;		/* what follows may have moved */
	}
}

/* Long enough for who is missed in the first walk to be taken out in the third. */
void purge_hurry(struct purge *p, uint64_t now)
{
	if (now >= p->hurry_until && (!p->due || p->due > now + PURGE_HURRY_NS))
		p->due = now + PURGE_HURRY_NS;
	p->hurry_until = now + 4 * PURGE_HURRY_NS;
}

void purge_some(struct purge *p, struct threads *threads, uint64_t now)
{
	struct thread *t;

	if (!p->interval_ns)
		return;
	if (!p->due)
		p->due = now + p->interval_ns;
	if (now < p->due)
		return;
	for (uint32_t n = 0; n < PURGE_AT_ONCE; n++) {
		if (!thread_next(threads, &p->at, &t)) {
			tidy(p, threads);
			p->at = 0;
			p->due = now + cut(p, p->interval_ns, now);
			return;
		}
		if (t->tid > 0)
			look(p, threads, t, now);
	}
}

void purge_free(struct purge *p)
{
	struct gone *g;
	uint64_t tid;

	for (uint32_t i = 0; map_next(&p->gone, &i, &tid, &g);)
		free(g);
	map_free(&p->gone);
}
