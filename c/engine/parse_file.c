/* SPDX-License-Identifier: Apache-2.0 */
/* What file events do to descriptor tables: opening, closing, copying, and descriptors that are no files. */
#include <stdio.h>
#include "parse.h"
#include "path.h"

static bool result_fd(const struct evt *e, int64_t *fd)
{
	return e->thread && param_int(e, 0, fd) && *fd >= 0;
}

/* ------------------------------------------------------------------ open family */

/* What was opened: from the exit event, or, as less open to races, from the enter event where there is one. */
struct opened {
	struct str name, dir;
	uint32_t flags, dev;
	uint64_t ino;
};

static void prefer_enter(struct opened *o, const struct stored *enter, uint32_t name, uint32_t flags)
{
	struct str entered = stored_str(enter, name);

	if (str_is(entered, "<NA>"))
		return;
	o->name = entered;
	/* bits from OPEN_CREATED up are the kernel's findings at the end of the call */
	o->flags = (uint32_t)stored_int(enter, flags, 0) | (o->flags & ~(uint32_t)(OPEN_CREATED - 1));
}

static void set_device(const struct evt *e, struct opened *o, uint32_t dev, uint32_t ino)
{
	o->dev = (uint32_t)param_int_or(e, dev, 0);
	o->ino = (uint64_t)param_int_or(e, ino, 0);
}

static void add_opened(struct evt *e, const struct opened *o)
{
	char buf[PATH_ROOM];
	int64_t fd;
	struct fd_draft d = {
		.type = o->flags & OPEN_DIRECTORY ? FD_DIRECTORY : FD_FILE_V2,
		.bits = (uint16_t)((o->flags & OPEN_UPPER_LAYER ? FD_UPPER_LAYER : 0) |
				   (o->flags & OPEN_LOWER_LAYER ? FD_LOWER_LAYER : 0)),
		.openflags = o->flags, .dev = o->dev, .ino = o->ino, .raw = o->name,
	};

	if (!result_fd(e, &fd))
		return;
	d.name = path_join(buf, o->dir, o->name);
	event_add_fd(e, fd, &d);
}

void parse_open(struct evt *e)
{
	const struct stored *enter = stored_for(e);
	struct opened o = { .name = param_text_or_na(e, 1), .flags = (uint32_t)param_int_or(e, 2, 0) };

	if (!e->thread)
		return;
	set_device(e, &o, 4, 5);
	if (enter)
		prefer_enter(&o, enter, 0, 1);
	o.dir = thread_cwd(e->st->threads, e->thread);
	add_opened(e, &o);
}

void parse_creat(struct evt *e)
{
	enum { CREAT_UPPER_LAYER = 1, CREAT_LOWER_LAYER = 2 };	/* creat_flags of flags.def */
	const struct stored *enter = stored_for(e);
	struct opened o = { .name = param_text_or_na(e, 1) };
	int64_t layer = param_int_or(e, 5, 0);

	if (!e->thread)
		return;
	set_device(e, &o, 3, 4);
	o.flags = layer & CREAT_UPPER_LAYER ? OPEN_UPPER_LAYER : layer & CREAT_LOWER_LAYER ? OPEN_LOWER_LAYER : 0;
	if (enter && !str_is(stored_str(enter, 0), "<NA>"))
		o.name = stored_str(enter, 0);
	o.dir = thread_cwd(e->st->threads, e->thread);
	add_opened(e, &o);
}

/* openat and openat2 */
void parse_openat(struct evt *e)
{
	const struct stored *enter = stored_for(e);
	struct opened o = { .name = param_text_or_na(e, 2), .flags = (uint32_t)param_int_or(e, 3, 0) };
	uint32_t dev = e->h.code == EV_SYSCALL_OPENAT2_X ? 6 : 5;
	char dir_buf[PATH_ROOM + 1];
	int64_t dirfd;
	bool has_dirfd = param_int(e, 1, &dirfd);

	if (!e->thread)
		return;
	if (event_param(e, dev + 1).len)	/* the reference takes both or none here */
		set_device(e, &o, dev, dev + 1);
	if (enter && !str_is(stored_str(enter, 1), "<NA>")) {
		prefer_enter(&o, enter, 1, 2);
		dirfd = stored_int(enter, 0, -1);
		has_dirfd = enter->nparams > 0 && enter->param[0].len;
	}
	if (has_dirfd)
		o.dir = event_dirfd(e, o.name, dirfd, dir_buf, sizeof dir_buf);
	add_opened(e, &o);
}

void parse_open_by_handle(struct evt *e)
{
	struct opened o = { .name = param_text_or_na(e, 3), .flags = (uint32_t)param_int_or(e, 2, 0) };

	set_device(e, &o, 4, 5);
	add_opened(e, &o);
}

/* ------------------------------------------------------------------ closing */

void parse_close(struct evt *e)
{
	int64_t res;

	if (!e->thread || !e->fd || !param_int(e, 0, &res) || res < 0)
		return;
	e->st->after.fd = true;
	e->st->after.fd_tid = e->thread->tid;
	e->st->after.fd_num = e->thread->last_fd;
}

void parse_close_range(struct evt *e)
{
	enum { RANGE_CLOEXEC = 4 };	/* close_range_flags of flags.def */
	int64_t res, first = param_int_or(e, 1, 0), last = param_int_or(e, 2, 0);
	bool mark = param_int_or(e, 3, 0) & RANGE_CLOEXEC;
	struct fdtable **slot = e->thread ? thread_fds_slot(e->st->threads, e->thread) : NULL;

	if (!slot || !*slot || !param_int(e, 0, &res) || res < 0)
		return;
	if (!fdtable_writable(e->st->fds, slot))
		return;
	struct fd_rec *rec;
	int64_t fd;
	for (uint32_t pos = 0; fdtable_next(*slot, &pos, &fd, &rec);) {
		if (fd < first || fd > last)
			continue;
		if (!mark) {
			fd_remove(e->st->fds, slot, fd);
		} else if (!(rec->d.openflags & OPEN_CLOEXEC)) {
			struct fd_draft d = rec->d;
			d.openflags |= OPEN_CLOEXEC;
			fd_publish(e->st->fds, slot, fd, &d);
		}
	}
}

/* ------------------------------------------------------------------ copies */

enum { ANY_CLOEXEC = OPEN_CLOEXEC | 0x1 /* epoll_create1, memfd_create */ };

/* The record under one more number, closing on exec or not. */
static void add_copy(struct evt *e, int64_t fd, struct fd_rec *rec, bool cloexec)
{
	uint32_t flags = (rec->d.openflags & ~(uint32_t)ANY_CLOEXEC) | (cloexec ? OPEN_CLOEXEC : 0);
	struct fdtable **slot = thread_fds_slot(e->st->threads, e->thread);

	if (!slot)
		return;
	if (flags == rec->d.openflags) {
		e->fd = fd_alias(e->st->fds, slot, fd, rec);
		e->thread->last_fd = fd;
		return;
	}
	struct fd_draft d = rec->d;
	d.openflags = flags;
	event_add_fd(e, fd, &d);
}

/* dup, dup2, dup3 */
void parse_dup(struct evt *e)
{
	int64_t fd;

	if (!result_fd(e, &fd) || !e->fd)
		return;
	if (fd == 0)
		e->thread->flags |= THREAD_PIPE_DST;
	if (fd == 1)
		e->thread->flags |= THREAD_PIPE_SRC;
	add_copy(e, fd, e->fd, e->h.code == EV_SYSCALL_DUP3_X && param_int_or(e, 3, 0) & OPEN_CLOEXEC);
}

void parse_fcntl(struct evt *e)
{
	enum { DUPFD = 1, SETFD = 3, DUPFD_CLOEXEC = 26, FD_CLOEXEC_BIT = 1 };	/* fcntl_commands of flags.def */
	int64_t fd, command = param_int_or(e, 2, 0);

	if (!result_fd(e, &fd) || !e->fd)
		return;
	if (command == DUPFD || command == DUPFD_CLOEXEC) {
		add_copy(e, fd, e->fd, command == DUPFD_CLOEXEC);
	} else if (command == SETFD) {
		struct fd_draft d = e->fd->d;
		d.openflags &= ~(uint32_t)ANY_CLOEXEC;
		if (param_int_or(e, 3, 0) & FD_CLOEXEC_BIT)
			d.openflags |= OPEN_CLOEXEC;
		if (d.openflags != e->fd->d.openflags)
			event_change_fd(e, &d);
	}
}

/* ------------------------------------------------------------------ descriptors that are no files */

void parse_pipe(struct evt *e)
{
	int64_t res;
	struct fd_draft d = { .type = FD_FIFO, .ino = (uint64_t)param_int_or(e, 3, 0) };

	if (!e->thread || !param_int(e, 0, &res) || res < 0)
		return;
	if (e->h.code == EV_SYSCALL_PIPE2_X)
		d.openflags = (uint32_t)param_int_or(e, 4, 0);
	event_add_fd(e, param_int_or(e, 1, -1), &d);
	event_add_fd(e, param_int_or(e, 2, -1), &d);
}

void parse_simple_fd(struct evt *e)
{
	enum { EPOLL_CLOEXEC_BIT = 1 };		/* epoll_create1_flags of flags.def */
	static const struct {
		uint16_t code;
		uint8_t type, flags_param;	/* 0: none */
	} kinds[] = {
		{ EV_SYSCALL_EVENTFD_X, FD_EVENT, 0 }, { EV_SYSCALL_EVENTFD2_X, FD_EVENT, 1 },
		{ EV_SYSCALL_SIGNALFD_X, FD_SIGNALFD, 0 }, { EV_SYSCALL_SIGNALFD4_X, FD_SIGNALFD, 1 },
		{ EV_SYSCALL_TIMERFD_CREATE_X, FD_TIMERFD, 2 }, { EV_SYSCALL_INOTIFY_INIT_X, FD_INOTIFY, 0 },
		{ EV_SYSCALL_INOTIFY_INIT1_X, FD_INOTIFY, 1 }, { EV_SYSCALL_BPF_2_X, FD_BPF, 0 },
		{ EV_SYSCALL_USERFAULTFD_X, FD_USERFAULTFD, 0 }, { EV_SYSCALL_IO_URING_SETUP_X, FD_IO_URING, 0 },
		{ EV_SYSCALL_EPOLL_CREATE_X, FD_EVENTPOLL, 0 }, { EV_SYSCALL_EPOLL_CREATE1_X, FD_EVENTPOLL, 1 },
	};
	struct fd_draft d = { 0 };
	int64_t fd;

	if (!result_fd(e, &fd))
		return;
	for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (kinds[i].code != e->h.code)
			continue;
		d.type = kinds[i].type;
		if (kinds[i].flags_param)
			d.openflags = (uint32_t)param_int_or(e, kinds[i].flags_param, 0);
	}
	if (e->h.code == EV_SYSCALL_EPOLL_CREATE1_X)
		d.openflags = d.openflags & EPOLL_CLOEXEC_BIT ? OPEN_CLOEXEC : 0;
	event_add_fd(e, fd, &d);
}

void parse_memfd(struct evt *e)
{
	int64_t fd;
	struct fd_draft d = { .type = FD_MEMFD, .name = param_text_or_na(e, 1),
			      .openflags = (uint32_t)param_int_or(e, 2, 0) };

	if (result_fd(e, &fd))
		event_add_fd(e, fd, &d);
}

void parse_pidfd_open(struct evt *e)
{
	char name[sizeof e->st->host.root + 32];
	struct str root = host_root(&e->st->host);
	int64_t fd, pid = param_int_or(e, 1, 0);
	struct fd_draft d = { .type = FD_PIDFD, .pid = pid, .openflags = (uint32_t)param_int_or(e, 2, 0) };

	if (!result_fd(e, &fd))
		return;
	d.name = (struct str){ name, (uint32_t)snprintf(name, sizeof name, "%.*s/proc/%lld", (int)root.len, root.p,
							(long long)pid) };
	event_add_fd(e, fd, &d);
}

void parse_pidfd_getfd(struct evt *e)
{
	struct threads *threads = e->st->threads;
	int64_t fd;

	if (!result_fd(e, &fd))
		return;
	struct fd_rec *pidfd = fdtable_get(thread_fds(threads, e->thread), param_int_or(e, 1, -1));
	struct thread *owner = pidfd && pidfd->d.type == FD_PIDFD ? thread_find(threads, pidfd->d.pid) : NULL;
	struct fd_rec *target = owner ? fdtable_get(thread_fds(threads, owner), param_int_or(e, 2, -1)) : NULL;
	if (target)
		add_copy(e, fd, target, true);
}
