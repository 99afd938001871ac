/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories that somebody else may change. Declared in ffi.h.
 *
 * inotify only says that something happened somewhere near; whether it matters is told by fingerprints: what stat() says
 * of each path and, for a directory, of what is in it. So it makes no difference how a file was changed: written in place, another one
 * renamed over it, a link on the way (Kubernetes' ..data) led elsewhere, a whole directory exchanged. Directories are
 * watched, not files: those that paths, and what links lead to, lie in.
 *
 * Not those further up, where other programs have their files: a watched directory makes every open and close of a file in it
 * dearer, for everybody (by more than 100 ns; think of /etc, where /etc/falco lies). Every POLL_MS it is looked whether paths
 * still lead to the same files. If inotify is not to be had, whole fingerprints are taken then.
 *
 * A round begins SETTLE_MS after the last event (or what was found so), so that one change of many files is one request, or MOST_MS after the first.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ffi.h"

enum { SETTLE_MS = 200, MOST_MS = 2000, POLL_MS = 2000 };
enum { MAX_DIRS = 4096, MAX_ENTRIES = 16384, MAX_LINKS = 40 };

enum {
	DIR_EVENTS = IN_MOVE_SELF | IN_DELETE_SELF | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
		     IN_ATTRIB
};

struct item {
	char *path;
	uint64_t print, place;		/* fingerprints when it was last looked at: of ALL, of PLACE */
};

struct watch {
	pthread_t thread;
	pthread_mutex_t lock;		/* of what stands below it */
	struct item *items;
	uint32_t nitems;
	uint32_t tick_ms;
	int inotify;			/* -1: there is none */
	int *dirs, ndirs;		/* watch descriptors */
	bool blind;			/* a directory could not be watched */
	int wake;			/* eventfd: look at `ended` and tick_ms */
	bool ended;
	bool started;
};

/* ------------------------------------------------------------------ fingerprints */

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* PLACE: which file it is; ALL: also what can be told of what it holds. */
enum facts { PLACE, ALL };

static uint64_t mix_stat(uint64_t h, const char *path, enum facts which, struct stat *st)
{
	int64_t facts[8];

	if (stat(path, st)) {
		int error = errno;
		st->st_mode = 0;
		return mix(h, &error, sizeof error);
	}
	facts[0] = (int64_t)st->st_dev;
	facts[1] = (int64_t)st->st_ino;
	facts[2] = st->st_mode;
	facts[3] = st->st_size;
	facts[4] = st->st_mtim.tv_sec;
	facts[5] = st->st_mtim.tv_nsec;
	facts[6] = st->st_ctim.tv_sec;
	facts[7] = st->st_ctim.tv_nsec;
	/* directories change with every file that is made beside the ones that count; their entries tell */
	return mix(h, facts, S_ISDIR(st->st_mode) || which == PLACE ? 3 * sizeof facts[0] : sizeof facts);
}

/* The sum of what is in it, in whatever order. */
static uint64_t print_inside(const char *path, enum facts which)
{
	char below[PATH_MAX];
	struct dirent *d;
	struct stat st;
	uint64_t sum = 0;
	DIR *dir = opendir(path);

	if (!dir)
		return (uint64_t)errno;
	for (uint32_t n = 0; n < MAX_ENTRIES && (d = readdir(dir)); n++) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (snprintf(below, sizeof below, "%s/%s", path, d->d_name) >= (int)sizeof below)
			continue;
		sum += mix_stat(mix(0xcbf29ce484222325u, d->d_name, strlen(d->d_name)), below, which, &st);
	}
	closedir(dir);
	return sum;
}

static uint64_t print_of(const char *path, enum facts which)
{
	struct stat st;
	uint64_t h = mix_stat(0xcbf29ce484222325u, path, which, &st), inside;

	if (!S_ISDIR(st.st_mode))
		return h;
	inside = print_inside(path, which);
	return mix(h, &inside, sizeof inside);
}

/* ------------------------------------------------------------------ directories to watch */

struct dirs {
	struct watch *w;
	int wd[MAX_DIRS];
	int n;
};

static void add_dir(struct dirs *ds, const char *path)
{
	int wd;

	if (ds->w->inotify < 0)
		return;
	wd = inotify_add_watch(ds->w->inotify, *path ? path : ".", DIR_EVENTS | IN_ONLYDIR);
	if (wd < 0) {
		/* unreadable or gone: nothing under it can be loaded either; no room: somebody has to look now and then */
		ds->w->blind |= errno == ENOSPC || errno == ENOMEM;
		return;
	}
	for (int i = 0; i < ds->n; i++)
		if (ds->wd[i] == wd)
			return;
	if (ds->n < MAX_DIRS)
		ds->wd[ds->n++] = wd;
	else
		ds->w->blind = true;
}

static void add_chain(struct dirs *ds, const char *path, int *links);

/* The link leads to a text that starts from the directory `in`; `rest` comes behind it. */
static void add_link(struct dirs *ds, const char *in, const char *link, const char *rest, int *links)
{
	char target[PATH_MAX], next[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof target - 1);
	int len;

	if (n <= 0 || ++*links > MAX_LINKS)
		return;
	target[n] = '\0';
	len = snprintf(next, sizeof next, "%s%s%s%s%s", target[0] == '/' ? "" : *in ? in : ".", target[0] == '/' ? "" : "/", target,
		       *rest ? "/" : "", rest);
	if (len < (int)sizeof next)
		add_chain(ds, next, links);
}

/* The directory that `path` lies in, and itself, if it is one; likewise of where links on the way lead. */
static void add_chain(struct dirs *ds, const char *path, int *links)
{
	char at[PATH_MAX], in[PATH_MAX];
	size_t len = strlen(path), from = 0;
	struct stat st;

	if (len >= sizeof at)
		return;
	memcpy(at, path, len + 1);
	memcpy(in, *at == '/' ? "/" : "", *at == '/' ? 2 : 1);
	while (from < len) {
		size_t start = from + strspn(at + from, "/"), end = start + strcspn(at + start, "/");
		char behind = at[end];
		bool last;

		if (start == end)
			return;
		at[end] = '\0';
		last = !behind || !at[end + 1 + strspn(at + end + 1, "/")];
		if (last)
			add_dir(ds, in);
		if (lstat(at, &st))
			return;
		if (S_ISLNK(st.st_mode)) {
			add_link(ds, in, at, behind ? at + end + 1 : "", links);
			return;
		}
		if (last && S_ISDIR(st.st_mode))
			add_dir(ds, at);
		memcpy(in, at, end + 1);
		at[end] = behind;
		from = end;
	}
}

/* Links in a directory lead to files that may be changed where they are. */
static void add_links_inside(struct dirs *ds, const char *path)
{
	char below[PATH_MAX];
	struct dirent *d;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	for (uint32_t n = 0; n < MAX_ENTRIES && (d = readdir(dir)); n++) {
		int links = 0;

		if (d->d_type != DT_LNK && d->d_type != DT_UNKNOWN)
			continue;
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
		    snprintf(below, sizeof below, "%s/%s", path, d->d_name) < (int)sizeof below)
			add_chain(ds, below, &links);
	}
	closedir(dir);
}

static bool has(const struct dirs *ds, int wd)
{
	for (int i = 0; i < ds->n; i++)
		if (ds->wd[i] == wd)
			return true;
	return false;
}

/* Watches what the paths go through now. */
static void watch_dirs(struct watch *w)
{
	struct dirs *ds = malloc(sizeof *ds);
	int *kept;

	if (!ds) {
		w->blind = true;
		return;
	}
	ds->w = w;
	ds->n = 0;
	w->blind = w->inotify < 0;
	for (uint32_t i = 0; i < w->nitems; i++) {
		int links = 0;

		add_chain(ds, w->items[i].path, &links);
		add_links_inside(ds, w->items[i].path);
	}
	for (int i = 0; i < w->ndirs; i++)
		if (!has(ds, w->dirs[i]))
			inotify_rm_watch(w->inotify, w->dirs[i]);
	kept = realloc(w->dirs, (size_t)(ds->n ? ds->n : 1) * sizeof *kept);
	if (kept) {
		memcpy(kept, ds->wd, (size_t)ds->n * sizeof *kept);
		w->dirs = kept;
		w->ndirs = ds->n;
	}
	free(ds);
}

/* ------------------------------------------------------------------ the thread */

/* Directories first: what changes while it looks makes an event. */
static bool has_changed(struct watch *w)
{
	bool changed = false;

	watch_dirs(w);
	for (uint32_t i = 0; i < w->nitems; i++) {
		struct item *item = &w->items[i];
		uint64_t print = print_of(item->path, ALL);

		changed |= print != item->print;
		item->print = print;
		item->place = print_of(item->path, PLACE);
	}
	return changed;
}

/* A path led elsewhere and no event told so: the way to it changed. What a file holds does not count here, which may not be all
 * written yet. */
static bool has_moved(const struct watch *w)
{
	for (uint32_t i = 0; i < w->nitems; i++)
		if (print_of(w->items[i].path, PLACE) != w->items[i].place)
			return true;
	return false;
}

static bool drain(int fd)
{
	char buf[4096];
	bool any = false;

	while (read(fd, buf, sizeof buf) > 0)
		any = true;
	return any;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* When there is something to do next, in ns; 0: never. */
struct times {
	uint64_t tick, poll, round, last_round;	/* last_round: it does not wait any longer */
};

static void plan_round(struct watch *w, struct times *t, uint64_t now, bool event)
{
	if (event) {
		if (!t->last_round)
			t->last_round = now + MOST_MS * 1000000ull;
		t->round = now + SETTLE_MS * 1000000ull;
		if (t->round > t->last_round)
			t->round = t->last_round;
	} else if (w->nitems && !t->poll) {
		t->poll = now + POLL_MS * 1000000ull;
	}
}

static bool one_turn(struct watch *w, struct times *t)
{
	struct pollfd fds[2] = { { .fd = w->wake, .events = POLLIN }, { .fd = w->inotify, .events = POLLIN } };
	uint64_t next, now = sys_now_ns();
	uint32_t ask = 0;
	bool event;
	int wait;

	pthread_mutex_lock(&w->lock);
	if (w->tick_ms && !t->tick)
		t->tick = now + w->tick_ms * 1000000ull;
	plan_round(w, t, now, false);
	pthread_mutex_unlock(&w->lock);
	next = earliest(t->tick, t->round ? t->round : t->poll);
	wait = !next ? -1 : next <= now ? 0 : (int)((next - now) / 1000000 + 1);
	poll(fds, 2, wait);
	now = sys_now_ns();
	event = w->inotify >= 0 && drain(w->inotify);
	pthread_mutex_lock(&w->lock);
	if (fds[0].revents) {
		drain(w->wake);
		t->tick = 0;
	}
	if (!t->round && t->poll && now >= t->poll) {
		watch_dirs(w);		/* some may have come */
		event |= w->blind || has_moved(w);
		t->poll = 0;
	}
	plan_round(w, t, now, event);
	if (t->round && now >= t->round) {
		ask |= has_changed(w) ? REQUEST_CHANGED : 0;
		t->round = t->last_round = t->poll = 0;
	}
	if (t->tick && now >= t->tick) {
		ask |= REQUEST_TICK;
		t->tick = 0;
	}
	event = !w->ended;
	pthread_mutex_unlock(&w->lock);
	if (event && ask)
		sys_request(ask);
	return event;
}

static void *watch_run(void *arg)
{
	struct times times = { 0 };

	while (one_turn(arg, &times))
		;
	return NULL;
}

/* ------------------------------------------------------------------ from outside */

static void wake(struct watch *w)
{
	uint64_t one = 1;

	if (w->started && write(w->wake, &one, sizeof one) < 0)
		return;		/* it is full of them already */
}

struct watch *watch_new(uint32_t tick_ms, struct err *err)
{
	struct watch *w = calloc(1, sizeof *w);

	if (!w) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	w->tick_ms = tick_ms;
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->blind = w->inotify < 0;
	return w;
}

int watch_start(struct watch *w, struct err *err)
{
	sigset_t all, before;
	int rc;

	if (w->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = w->wake < 0 ? EMFILE : pthread_create(&w->thread, NULL, watch_run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_set(err, rc, "cannot start a thread to watch files: %s", strerror(rc));
	w->started = true;
	return 0;
}

static const struct item *item_of(const struct watch *w, const char *path)
{
	for (uint32_t i = 0; i < w->nitems; i++)
		if (!strcmp(w->items[i].path, path))
			return &w->items[i];
	return NULL;
}

static void free_items(struct item *items, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(items[i].path);
	free(items);
}

/* Takes the items over; what was known of those that stay is kept, and the old ones are freed. */
static void put_items(struct watch *w, struct item *items, uint32_t n)
{
	struct item *old = w->items;
	uint32_t nold = w->nitems;

	for (uint32_t i = 0; i < n; i++) {
		const struct item *known = item_of(w, items[i].path);

		items[i].print = known ? known->print : 0;
		items[i].place = known ? known->place : 0;
	}
	w->items = items;
	w->nitems = n;
	free_items(old, nold);
	watch_dirs(w);
	for (uint32_t i = 0; i < n; i++)
		if (!items[i].print) {
			items[i].print = print_of(items[i].path, ALL);
			items[i].place = print_of(items[i].path, PLACE);
		}
}

int watch_paths(struct watch *w, const char *const *paths, uint32_t n, struct err *err)
{
	uint32_t left = n > WATCH_MAX_PATHS ? n - WATCH_MAX_PATHS : 0, made = 0;
	struct item *items = calloc(n - left + 1, sizeof *items);
	bool blind;

	while (items && made < n - left && (items[made].path = strdup(paths[made])))
		made++;
	if (!items || made < n - left) {
		if (items)
			free_items(items, made);
		return err_set(err, ENOMEM, "out of memory");
	}
	pthread_mutex_lock(&w->lock);
	put_items(w, items, made);
	blind = w->blind && made;
	pthread_mutex_unlock(&w->lock);
	wake(w);
	if (blind)
		return err_set(err, EMFILE, "the kernel has no room for more inotify watches (fs.inotify.max_user_instances, "
			       "fs.inotify.max_user_watches); files are looked at every two seconds instead");
	return (int)left;
}

void watch_tick(struct watch *w, uint32_t tick_ms)
{
	pthread_mutex_lock(&w->lock);
	w->tick_ms = tick_ms;
	pthread_mutex_unlock(&w->lock);
	wake(w);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->ended = true;
		pthread_mutex_unlock(&w->lock);
		wake(w);
		pthread_join(w->thread, NULL);
	}
	if (w->inotify >= 0)
		close(w->inotify);
	if (w->wake >= 0)
		close(w->wake);
	free_items(w->items, w->nitems);
	free(w->dirs);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
