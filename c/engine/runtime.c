/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime thread, what it is asked, and what it answered. Sources are in runtime_source.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "../array.h"
#include "container_match.h"
#include "evt.h"
#include "runtime.h"
#include "runtime_source.h"

/* ------------------------------------------------------------------ all sources */

/* A bundle is the container's if it lies where its name says so, or if it sets up its control group. */
static bool is_bundle_of(const struct quest *q, const char *dir, json_t *spec)
{
	const char *group = json_text(json_object_get(spec, "linux"), "cgroupsPath"), *at;

	if (group && strstr(group, q->id))
		return true;
	for (at = dir; (at = strstr(at, q->id)); at++)
		if (at > dir && at[-1] == '/' && (at[strlen(q->id)] == '\0' || at[strlen(q->id)] == '/'))
			return true;
	return false;
}

/* A bundle that no runtime we know of has its records beside. */
static json_t *bare_bundle(const struct quest *q, json_t *spec)
{
	json_t *meta = meta_new(RUNTIME_UNKNOWN, q->id);

	if (meta) {
		meta_set(meta, "name", q->id);
		meta_spec(meta, spec);
	}
	return meta;
}

static json_t *bundle_find(const struct quest *q, const char *dir)
{
	char path[RUNTIME_PATH];
	json_t *spec, *meta = NULL;

	if (snprintf(path, sizeof path, "%s/config.json", dir) >= (int)sizeof path || !(spec = host_json(q, path)))
		return NULL;
	if (is_bundle_of(q, dir, spec)) {
		if (q->options->engines & RUNTIME_USE_PODMAN)
			meta = podman_of_spec(q, dir, spec);
		if (!meta && q->options->engines & RUNTIME_USE_CRI)
			meta = crio_of_spec(q, spec);
		if (!meta && q->options->engines & RUNTIME_USE_DOCKER)
			meta = docker_of_spec(q, spec);
		if (!meta && q->options->engines & (RUNTIME_USE_CONTAINERD | RUNTIME_USE_CRI))
			meta = containerd_of_bundle(q, dir, spec);
		if (!meta)
			meta = bare_bundle(q, spec);
	}
	json_decref(spec);
	return meta;
}

static json_t *bundle_in(const struct quest *q, const char *dir)
{
	char path[RUNTIME_PATH];

	return snprintf(path, sizeof path, "%s/%s", dir, q->id) < (int)sizeof path ? bundle_find(q, path) : NULL;
}

/* Bundles in a directory for each namespace. */
static json_t *tasks_find(const struct quest *q, const char *dir)
{
	return host_each(q, dir, bundle_in);
}

static json_t *crio_find(const struct quest *q, const char *dir)
{
	char path[RUNTIME_PATH];

	snprintf(path, sizeof path, "%s/overlay-containers/%s/userdata", dir, q->id);
	return bundle_find(q, path);
}

/* Where runtimes keep things unless told otherwise. */
static const struct {
	uint32_t engines;
	json_t *(*find)(const struct quest *q, const char *dir);
	const char *dir;
} standard[] = {
	{ RUNTIME_USE_DOCKER, docker_find, "/var/lib/docker" },
	{ RUNTIME_USE_DOCKER, docker_find, "/var/snap/docker/common/var-lib-docker" },
	{ RUNTIME_USE_CRI | RUNTIME_USE_CONTAINERD, tasks_find, "/run/containerd/io.containerd.runtime.v2.task" },
	{ RUNTIME_USE_CRI | RUNTIME_USE_CONTAINERD, tasks_find, "/run/k3s/containerd/io.containerd.runtime.v2.task" },
	{ RUNTIME_USE_DOCKER, tasks_find, "/run/docker/containerd/daemon/io.containerd.runtime.v2.task" },
	{ RUNTIME_USE_PODMAN, podman_find, "/var/lib/containers/storage" },
	{ RUNTIME_USE_CRI, crio_find, "/run/containers/storage" },
	{ RUNTIME_USE_CRI, crio_find, "/var/lib/containers/storage" },
};

char *runtime_lookup(const struct quest *q)
{
	json_t *meta = NULL, *whole;
	char *text;

	for (uint32_t i = 0; !meta && i < q->nhints; i++)
		meta = bundle_find(q, q->hints[i]);
	for (uint32_t i = 0; !meta && i < sizeof standard / sizeof standard[0]; i++)
		if (q->options->engines & standard[i].engines)
			meta = standard[i].find(q, standard[i].dir);
	if (!meta && q->api)
		meta = api_find(q);
	if (!meta)
		return NULL;
	whole = json_pack("{s:o}", "container", meta);
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	return text;
}

void runtime_defaults(struct runtime_options *options)
{
	*options = (struct runtime_options){
		.engines = RUNTIME_USE_ALL, .label_max_len = RUNTIME_LABEL_LEN,
		.sockets = { { RUNTIME_USE_DOCKER, "/var/run/docker.sock" },
			     { RUNTIME_USE_PODMAN, "/run/podman/podman.sock" } },
	};
}

/* ------------------------------------------------------------------ questions and answers */

struct question {
	struct question *next;
	struct container *container;	/* a reference; touched by the event loop alone */
	uint32_t tries;
	uint64_t due;			/* of the next try, ns */
	bool awaited;			/* the loop waits for it right now */
	char *answer;			/* NULL: not found */
	struct quest quest;
};

struct list {
	struct question *first, *last;
};

struct runtime {
	struct runtime_options options;
	struct host_view host;
	struct runtime_counts counts;
	uint32_t open;			/* questions without an answer */
	struct list later;		/* to be asked once more */
	uint64_t second, waited;	/* how long events of this second waited */
	uint64_t swept;

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t asked_cond, answered_cond;
	struct list asked, answered;
	bool stop;
};

static void push(struct list *l, struct question *q)
{
	q->next = NULL;
	if (l->last)
		l->last->next = q;
	else
		l->first = q;
	l->last = q;
}

static struct question *pop(struct list *l)
{
	struct question *q = l->first;

	if (q && !(l->first = q->next))
		l->last = NULL;
	return q;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Looks up, and notices when that takes too long: of files alone it does not. */
static void answer(struct question *q, uint64_t *api_from)
{
	uint64_t since = now_ns();

	q->quest.api = q->tries > 0 && since >= *api_from;
	q->answer = runtime_lookup(&q->quest);
	if (now_ns() - since > RUNTIME_API_SLOW_MS * 1000000ull)
		*api_from = now_ns() + RUNTIME_API_PAUSE_MS * 1000000ull;
}

static void *work(void *arg)
{
	struct runtime *r = arg;
	struct question *q;
	uint64_t api_from = 0;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->stop && !(q = pop(&r->asked)))
			pthread_cond_wait(&r->asked_cond, &r->lock);
		if (r->stop)
			break;
		pthread_mutex_unlock(&r->lock);
		answer(q, &api_from);
		pthread_mutex_lock(&r->lock);
		push(&r->answered, q);
		pthread_cond_signal(&r->answered_cond);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Not before there is something to ask, so that it has the rights that are left to the process by then. Signals are
 * the others' business. */
static bool start(struct runtime *r)
{
	sigset_t all, old;

	if (r->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r->started = pthread_create(&r->thread, NULL, work, r) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r->started;
}

struct runtime *runtime_new(const struct host_view *host, const struct runtime_options *options, struct err *err)
{
	struct runtime *r = calloc(1, sizeof *r);
	pthread_condattr_t attr;

	if (!r) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	r->host = *host;
	if (options)
		r->options = *options;
	else
		runtime_defaults(&r->options);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->asked_cond, &attr);
	pthread_cond_init(&r->answered_cond, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

static void free_all(struct list *l, struct state *st)
{
	for (struct question *q; (q = pop(l));) {
		container_drop(st->containers, q->container);
		free(q->answer);
		free(q);
	}
}

void runtime_free(struct runtime *r, struct state *st)
{
	if (!r)
		return;
	if (r->started) {
		pthread_mutex_lock(&r->lock);
		r->stop = true;
		pthread_cond_signal(&r->asked_cond);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->thread, NULL);
	}
	free_all(&r->asked, st);
	free_all(&r->answered, st);
	free_all(&r->later, st);
	pthread_cond_destroy(&r->asked_cond);
	pthread_cond_destroy(&r->answered_cond);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void runtime_counts(const struct runtime *r, struct runtime_counts *counts)
{
	*counts = r->counts;
}

/* ------------------------------------------------------------------ where the bundle may be */

static void add_hint(struct quest *q, struct str dir, struct str base)
{
	char *out = q->hints[q->nhints];
	int n;

	if (!dir.len || q->nhints == RUNTIME_MAX_HINTS)
		return;
	n = dir.p[0] == '/' ? snprintf(out, RUNTIME_PATH, "%.*s", (int)dir.len, dir.p)
			    : snprintf(out, RUNTIME_PATH, "%.*s%.*s", (int)base.len, base.p, (int)dir.len, dir.p);
	if (n >= RUNTIME_PATH)
		return;
	while (n > 1 && out[n - 1] == '/')
		out[--n] = '\0';
	for (uint32_t i = 0; i < q->nhints; i++)
		if (strcmp(q->hints[i], out) == 0)
			return;
	q->nhints++;
}

/* The value of "--bundle DIR", "--bundle=DIR", "-bundle DIR" or "-b DIR". */
static struct str bundle_argument(struct str args)
{
	struct str item, value;
	struct str names[] = { STR("--bundle"), STR("-bundle"), STR("-b") };

	for (uint32_t pos = 0; blob_next(args, &pos, &item);) {
		if (str_starts(item, STR("--bundle=")))
			return (struct str){ item.p + 9, item.len - 9 };
		for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
			if (str_eq(item, names[i]) && blob_next(args, &pos, &value))
				return value;
	}
	return (struct str){ 0 };
}

/* By number: one that was not seen to make it is looked up. */
static struct thread *parent_of(struct state *st, const struct thread *t)
{
	int64_t ptid = t->ptid;
	struct thread *parent = thread_find(st->threads, ptid);

	if (!parent && ptid > 0 && st->lookup) {
		st->lookup->thread(st->lookup->ctx, ptid);
		parent = thread_find(st->threads, ptid);
	}
	return parent;
}

/*
 * A container's first process is started by its runtime or its monitor: those are told where the bundle is, or are in
 * it. Processes of containers are not believed: they would lead to files that they wrote.
 */
static void gather_hints(struct quest *q, struct state *st, const struct container *c, struct thread *t)
{
	for (uint32_t i = 0; i < RUNTIME_MAX_HINTS && (t = parent_of(st, t)); i++) {
		struct str cwd = thread_cwd(st->threads, t);

		if (t->image->container == c || thread_in_pidns(t))
			continue;
		add_hint(q, bundle_argument(istr_str(t->image->args)), cwd);
		if (cwd.len > 1 && cwd.p[0] == '/')
			add_hint(q, cwd, (struct str){ 0 });
	}
}

/* Some thread of the container, if it is not the one at hand. */
static struct thread *member_of(struct state *st, const struct container *c, struct thread *t)
{
	if (t && t->image->container == c)
		return t;
	for (uint32_t pos = 0; thread_next(st->threads, &pos, &t);)
		if (t->image->container == c)
			return t;
	return NULL;
}

/* ------------------------------------------------------------------ the event loop's side */

static void ask(struct runtime *r, struct question *q)
{
	pthread_mutex_lock(&r->lock);
	push(&r->asked, q);
	pthread_cond_signal(&r->asked_cond);
	pthread_mutex_unlock(&r->lock);
}

static struct question *question_new(struct runtime *r, struct state *st, const struct fresh_container *f,
				     struct thread *t)
{
	struct str id = container_whole_id(str_of(f->path));
	struct question *q;

	if (!id.len || id.len > RUNTIME_MAX_ID || !start(r) || !(q = calloc(1, sizeof *q)))
		return NULL;
	q->container = f->container;
	q->quest.options = &r->options;
	q->quest.root = host_root(&r->host);
	memcpy(q->quest.id, id.p, id.len);
	if ((t = member_of(st, f->container, t)))
		gather_hints(&q->quest, st, f->container, t);
	return q;
}

/* Until all that is awaited was answered, or the time for it is over. */
static void await(struct runtime *r, uint32_t n)
{
	uint64_t since = now_ns(), left, until;
	struct timespec deadline;

	if (since / 1000000000u != r->second) {
		r->second = since / 1000000000u;
		r->waited = 0;
	}
	left = RUNTIME_WAIT_SUM_MS * 1000000ull;
	left = left > r->waited ? left - r->waited : 0;
	until = since + (left < RUNTIME_WAIT_MS * 1000000ull ? left : RUNTIME_WAIT_MS * 1000000ull);
	deadline = (struct timespec){ (time_t)(until / 1000000000u), (long)(until % 1000000000u) };
	pthread_mutex_lock(&r->lock);
	for (int rc = 0; rc == 0;) {
		uint32_t done = 0;

		for (struct question *q = r->answered.first; q; q = q->next)
			done += q->awaited;
		if (done >= n)
			break;
		rc = pthread_cond_timedwait(&r->answered_cond, &r->lock, &deadline);
	}
	pthread_mutex_unlock(&r->lock);
	since = now_ns() - since;
	r->waited += since;
	r->counts.waited_ns += since;
}

void runtime_meet(struct runtime *r, struct state *st, struct thread *t)
{
	struct fresh_container f;
	uint32_t n = 0;

	/* those that find no room now stay fresh */
	while (r->open < RUNTIME_MAX_QUEUE && containers_fresh(st->containers, &f)) {
		struct question *q = question_new(r, st, &f, t);

		free(f.path);
		if (!q) {
			container_drop(st->containers, f.container);
			continue;
		}
		q->awaited = true;
		r->counts.asked++;
		r->open++;
		n++;
		ask(r, q);
	}
	if (n)
		await(r, n);
}

static void ask_again(struct runtime *r)
{
	uint64_t now = now_ns();
	struct list all = r->later;
	struct question *q;

	r->later = (struct list){ 0 };
	while ((q = pop(&all))) {
		if (q->due <= now)
			ask(r, q);
		else
			push(&r->later, q);
	}
}

/* An answer that is none: later, or not at all. */
static bool try_later(struct runtime *r, struct question *q)
{
	if (++q->tries >= RUNTIME_TRIES || q->container->info)
		return false;
	q->awaited = false;
	q->due = now_ns() + (RUNTIME_RETRY_MS * 1000000ull << 2 * (q->tries - 1));
	push(&r->later, q);
	return true;
}

static void take(struct runtime *r, struct state *st, struct question *q, void (*learnt)(void *, struct str), void *ctx)
{
	if (q->answer && !q->container->info) {
		struct str json = str_of(q->answer);

		containers_learn(st->containers, json);
		st->table_epoch++;
		r->counts.answered++;
		r->counts.late += !q->awaited;
		if (learnt)
			learnt(ctx, json);
	} else if (!q->answer) {
		r->counts.unknown += !q->container->info;
	}
	r->open--;
	container_drop(st->containers, q->container);
	free(q->answer);
	free(q);
}

void runtime_poll(struct runtime *r, struct state *st, void (*learnt)(void *ctx, struct str json), void *ctx)
{
	enum { SWEEP_S = 60 };
	struct list answered;
	struct question *q;
	uint64_t now;

	if (!r->open && !r->started)
		return;
	pthread_mutex_lock(&r->lock);
	answered = r->answered;
	r->answered = (struct list){ 0 };
	pthread_mutex_unlock(&r->lock);
	while ((q = pop(&answered)))
		if (q->answer || !try_later(r, q))
			take(r, st, q, learnt, ctx);
	ask_again(r);
	now = now_ns();
	if (now - r->swept > SWEEP_S * 1000000000ull) {
		r->swept = now;
		containers_forget_unused(st->containers);
	}
}
