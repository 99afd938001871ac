/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "parse.h"

static const parse_fn parsers[EV_COUNT] = {
	[EV_SYSCALL_CLONE_20_X] = parse_clone,
	[EV_SYSCALL_FORK_20_X] = parse_clone,
	[EV_SYSCALL_VFORK_20_X] = parse_clone,
	[EV_SYSCALL_CLONE3_X] = parse_clone,
	[EV_SYSCALL_EXECVE_19_X] = parse_execve,
	[EV_SYSCALL_EXECVEAT_X] = parse_execve,
	[EV_PROCEXIT_1_E] = parse_procexit,
	[EV_SYSCALL_CHDIR_X] = parse_chdir,
	[EV_SYSCALL_FCHDIR_X] = parse_fchdir,
	[EV_SYSCALL_GETCWD_X] = parse_getcwd,
	[EV_SYSCALL_CHROOT_X] = parse_chroot,
	[EV_SYSCALL_SETSID_X] = parse_setsid,
	[EV_SYSCALL_PRCTL_X] = parse_prctl,
	[EV_SYSCALL_CAPSET_X] = parse_capset,
	[EV_SYSCALL_UNSHARE_X] = parse_namespaces,
	[EV_SYSCALL_SETNS_X] = parse_namespaces,
	[EV_SYSCALL_SETUID_X] = parse_setuid,
	[EV_SYSCALL_SETREUID_X] = parse_setresuid,
	[EV_SYSCALL_SETRESUID_X] = parse_setresuid,
	[EV_SYSCALL_SETGID_X] = parse_setgid,
	[EV_SYSCALL_SETREGID_X] = parse_setresgid,
	[EV_SYSCALL_SETRESGID_X] = parse_setresgid,
	[EV_SYSCALL_GETRLIMIT_X] = parse_rlimit,
	[EV_SYSCALL_SETRLIMIT_X] = parse_rlimit,
	[EV_SYSCALL_PRLIMIT_X] = parse_prlimit,
	[EV_SCHEDSWITCH_6_E] = parse_switch,
	[EV_SYSCALL_BRK_4_X] = parse_memory,
	[EV_SYSCALL_MMAP_X] = parse_memory,
	[EV_SYSCALL_MMAP2_X] = parse_memory,
	[EV_SYSCALL_MUNMAP_X] = parse_memory,
	[EV_USER_ADDED_E] = parse_user,
	[EV_USER_DELETED_E] = parse_user,
	[EV_GROUP_ADDED_E] = parse_group,
	[EV_GROUP_DELETED_E] = parse_group,
	[EV_CONTAINER_JSON_2_E] = parse_container,
	[EV_ASYNCEVENT_E] = parse_async,

	[EV_SYSCALL_OPEN_X] = parse_open,
	[EV_SYSCALL_CREAT_X] = parse_creat,
	[EV_SYSCALL_OPENAT_2_X] = parse_openat,
	[EV_SYSCALL_OPENAT2_X] = parse_openat,
	[EV_SYSCALL_OPEN_BY_HANDLE_AT_X] = parse_open_by_handle,
	[EV_SYSCALL_CLOSE_X] = parse_close,
	[EV_SYSCALL_CLOSE_RANGE_X] = parse_close_range,
	[EV_SYSCALL_DUP_1_X] = parse_dup,
	[EV_SYSCALL_DUP2_X] = parse_dup,
	[EV_SYSCALL_DUP3_X] = parse_dup,
	[EV_SYSCALL_FCNTL_X] = parse_fcntl,
	[EV_SYSCALL_PIPE_X] = parse_pipe,
	[EV_SYSCALL_PIPE2_X] = parse_pipe,
	[EV_SYSCALL_EVENTFD_X] = parse_simple_fd,
	[EV_SYSCALL_EVENTFD2_X] = parse_simple_fd,
	[EV_SYSCALL_SIGNALFD_X] = parse_simple_fd,
	[EV_SYSCALL_SIGNALFD4_X] = parse_simple_fd,
	[EV_SYSCALL_TIMERFD_CREATE_X] = parse_simple_fd,
	[EV_SYSCALL_INOTIFY_INIT_X] = parse_simple_fd,
	[EV_SYSCALL_INOTIFY_INIT1_X] = parse_simple_fd,
	[EV_SYSCALL_BPF_2_X] = parse_simple_fd,
	[EV_SYSCALL_USERFAULTFD_X] = parse_simple_fd,
	[EV_SYSCALL_IO_URING_SETUP_X] = parse_simple_fd,
	[EV_SYSCALL_EPOLL_CREATE_X] = parse_simple_fd,
	[EV_SYSCALL_EPOLL_CREATE1_X] = parse_simple_fd,
	[EV_SYSCALL_MEMFD_CREATE_X] = parse_memfd,
	[EV_SYSCALL_PIDFD_OPEN_X] = parse_pidfd_open,
	[EV_SYSCALL_PIDFD_GETFD_X] = parse_pidfd_getfd,

	[EV_SOCKET_SOCKET_X] = parse_socket,
	[EV_SOCKET_BIND_X] = parse_bind,
	[EV_SOCKET_CONNECT_X] = parse_connect,
	[EV_SOCKET_ACCEPT_5_X] = parse_accept,
	[EV_SOCKET_ACCEPT4_6_X] = parse_accept,
	[EV_SOCKET_SOCKETPAIR_X] = parse_socketpair,
	[EV_SYSCALL_READ_X] = parse_receive,
	[EV_SYSCALL_READV_X] = parse_receive,
	[EV_SYSCALL_PREAD_X] = parse_receive,
	[EV_SYSCALL_PREADV_X] = parse_receive,
	[EV_SOCKET_RECV_X] = parse_receive,
	[EV_SOCKET_RECVFROM_X] = parse_receive,
	[EV_SOCKET_RECVMSG_X] = parse_receive,
	[EV_SOCKET_RECVMMSG_X] = parse_receive,
	[EV_SYSCALL_WRITE_X] = parse_send,
	[EV_SYSCALL_WRITEV_X] = parse_send,
	[EV_SYSCALL_PWRITE_X] = parse_send,
	[EV_SYSCALL_PWRITEV_X] = parse_send,
	[EV_SOCKET_SEND_X] = parse_send,
	[EV_SOCKET_SENDTO_X] = parse_send,
	[EV_SOCKET_SENDMSG_X] = parse_send,
	[EV_SOCKET_SENDMMSG_X] = parse_send,
};

/* Enter events whose parameters their exits may need. */
static const bool is_stored[EV_COUNT] = {
	[EV_SYSCALL_OPEN_E] = true,
	[EV_SYSCALL_CREAT_E] = true,
	[EV_SYSCALL_OPENAT_2_E] = true,
	[EV_SYSCALL_OPENAT2_E] = true,
	[EV_SYSCALL_EXECVE_19_E] = true,
	[EV_SYSCALL_EXECVEAT_E] = true,
	[EV_SOCKET_CONNECT_E] = true,
};

/* 1 + index of the parameter that holds the descriptor of an exit event that uses one. 0: none. */
static const uint8_t exit_fd_param[EV_COUNT] = {
#define AT(code, index) [EV_##code##_X] = index + 1
	AT(SYSCALL_SETNS, 1), AT(SOCKET_LISTEN, 1), AT(SOCKET_SHUTDOWN, 1), AT(SYSCALL_FCHDIR, 1), AT(SYSCALL_LSEEK, 1),
	AT(SYSCALL_LLSEEK, 1), AT(SYSCALL_IOCTL_3, 1), AT(SYSCALL_FSTAT, 1), AT(SYSCALL_CLOSE, 1),
	AT(SYSCALL_GETDENTS, 1), AT(SYSCALL_GETDENTS64, 1), AT(SYSCALL_FLOCK, 1), AT(SYSCALL_COPY_FILE_RANGE, 1),
	AT(SYSCALL_FCNTL, 1), AT(SYSCALL_DUP_1, 1), AT(SYSCALL_DUP2, 1), AT(SYSCALL_DUP3, 1), AT(SYSCALL_NEWFSTATAT, 1),
	AT(SYSCALL_FCHOWNAT, 1), AT(SYSCALL_FCHMODAT, 1), AT(SYSCALL_MKDIRAT, 1), AT(SYSCALL_UNLINKAT_2, 1),
	AT(SYSCALL_MKNODAT, 1), AT(SOCKET_SENDMMSG, 1), AT(SOCKET_RECVMMSG, 1), AT(SYSCALL_IO_URING_ENTER, 1),
	AT(SYSCALL_IO_URING_REGISTER, 1), AT(SOCKET_SETSOCKOPT, 1), AT(SOCKET_GETSOCKOPT, 1), AT(SYSCALL_FSCONFIG, 1),
	AT(SYSCALL_FINIT_MODULE, 1), AT(SYSCALL_FCHMOD, 1), AT(SYSCALL_FCHOWN, 1),
	AT(SYSCALL_READ, 2), AT(SYSCALL_PREAD, 2), AT(SOCKET_BIND, 2), AT(SYSCALL_WRITE, 2), AT(SYSCALL_PWRITE, 2),
	AT(SOCKET_RECV, 2), AT(SOCKET_SEND, 2), AT(SOCKET_SENDTO, 2), AT(SOCKET_SENDMSG, 2), AT(SYSCALL_SENDFILE, 2),
	AT(SYSCALL_SPLICE, 2), AT(SYSCALL_WRITEV, 2), AT(SYSCALL_PWRITEV, 2), AT(SOCKET_CONNECT, 2), AT(SYSCALL_SYMLINKAT, 2),
	AT(SOCKET_RECVFROM, 3), AT(SYSCALL_READV, 3), AT(SYSCALL_PREADV, 3),
	AT(SOCKET_RECVMSG, 5),
	AT(SYSCALL_MMAP, 8), AT(SYSCALL_MMAP2, 8),
#undef AT
};

/* ------------------------------------------------------------------ stored enter events */

enum { ENTERS_BYTES = 16 << 20 };	/* of all threads; what finds no room is not kept */

void stored_free(struct state *st, struct stored *s)
{
	if (!s)
		return;
	st->enter_bytes -= s->size;
	free(s);
}

static void store(struct evt *e)
{
	uint32_t n = e->h.nparams < STORED_PARAMS ? e->h.nparams : STORED_PARAMS;
	size_t bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += e->param[i].len;
	stored_free(e->st, e->thread->stored);
	e->thread->stored = NULL;

	size_t size = sizeof(struct stored) + bytes;
	struct stored *s = size <= ENTERS_BYTES - e->st->enter_bytes ? malloc(size) : NULL;
	if (!s) {
		e->st->enter_overflow++;	/* the exit event then stands for itself */
		return;
	}
	e->st->enter_bytes += size;
	*s = (struct stored){ .code = e->h.code, .nparams = n, .size = (uint32_t)size };
	uint8_t *at = s->bytes;
	for (uint32_t i = 0; i < n; i++) {
		s->param[i] = (struct param){ at, e->param[i].len };
		if (e->param[i].len)
			memcpy(at, e->param[i].p, e->param[i].len);
		at += e->param[i].len;
	}
	e->thread->stored = s;
}

const struct stored *stored_for(const struct evt *e)
{
	const struct stored *s = e->thread ? e->thread->stored : NULL;

	if (!s || !e->thread->last_valid)
		return NULL;
	/* a successful execveat comes back as the exit of an execve */
	bool fits = s->code + 1 == e->h.code || (e->h.code == EV_SYSCALL_EXECVE_19_X && s->code == EV_SYSCALL_EXECVEAT_E);
	return fits ? s : NULL;
}

struct str stored_str(const struct stored *s, uint32_t i)
{
	const struct param *a = &s->param[i];

	if (i >= s->nparams || !a->len || a->p[a->len - 1] || str_is((struct str){ (const char *)a->p, a->len - 1 }, "(NULL)"))
		return STR("<NA>");
	return (struct str){ (const char *)a->p, a->len - 1 };
}

int64_t stored_int(const struct stored *s, uint32_t i, int64_t fallback)
{
	int64_t v;

	if (i < s->nparams && param_read(&s->param[i], event_row(s->code)->params[i].type, &v))
		return v;
	return fallback;
}

/* ------------------------------------------------------------------ helpers */

void event_add_fd(struct evt *e, int64_t fd, const struct fd_draft *d)
{
	struct fdtable **slot = thread_fds_slot(e->st->threads, e->thread);

	e->fd = slot ? fd_publish(e->st->fds, slot, fd, d) : NULL;
	if (slot)
		e->thread->last_fd = fd;
}

void event_change_fd(struct evt *e, const struct fd_draft *d)
{
	struct fdtable **slot = thread_fds_slot(e->st->threads, e->thread);

	if (slot)
		e->fd = fd_publish(e->st->fds, slot, e->thread->last_fd, d);
}

struct str event_dirfd(const struct evt *e, struct str name, int64_t dirfd, char *buf, uint32_t cap)
{
	if (name.len && name.p[0] == '/')
		return STR(".");
	if (!e->thread)
		return STR("<UNKNOWN>");
	if (dirfd == AT_CWD)
		return thread_cwd(e->st->threads, e->thread);

	struct fd_rec *dir = fdtable_get(thread_fds(e->st->threads, e->thread), dirfd);
	if (!dir)
		return STR("<UNKNOWN>");
	struct str s = dir->d.name;
	if (!s.len || s.p[s.len - 1] == '/' || s.len + 2 > cap)
		return s;
	memcpy(buf, s.p, s.len);
	buf[s.len] = '/';
	buf[s.len + 1] = 0;
	return (struct str){ buf, s.len + 1 };
}

/* ------------------------------------------------------------------ one event */

static void remove_ended(struct state *st, struct aftermath after)
{
	st->after = (struct aftermath){ 0 };
	if (after.thread)
		thread_remove(st->threads, after.tid);
	if (after.fd) {
		struct thread *owner = thread_find(st->threads, after.fd_tid);
		struct fdtable **slot = owner ? thread_fds_slot(st->threads, owner) : NULL;

		if (slot)
			fd_remove(st->fds, slot, after.fd_num);
	}
}

/* These do not bring a thread into the table: its data comes with the event, or it is gone. */
static bool may_add_thread(uint32_t code)
{
	return parsers[code] != parse_clone && code != EV_PROCEXIT_1_E && code != EV_SCHEDSWITCH_6_E;
}

static bool has_no_thread(const struct event_info *info, uint32_t code)
{
	return info->flags & EF_SKIP_RESET ? code != EV_PROCINFO_E
	     : code == EV_CONTAINER_JSON_2_E || code == EV_USER_ADDED_E || code == EV_USER_DELETED_E ||
	       code == EV_GROUP_ADDED_E || code == EV_GROUP_DELETED_E || code == EV_PLUGINEVENT_E || code == EV_ASYNCEVENT_E;
}

/* The descriptor an enter event works on: its first parameter, but for mmap. */
static uint32_t enter_fd_param(uint32_t code)
{
	return code == EV_SYSCALL_MMAP_E || code == EV_SYSCALL_MMAP2_E ? 4 : code == EV_SYSCALL_SPLICE_E ? 1 : 0;
}

/* The thread of an event, which may be the first to name it. */
static struct thread *thread_of(struct state *st, int64_t tid)
{
	struct thread *t = thread_find(st->threads, tid);

	if (!t && st->lookup && tid > 0)
		st->lookup->thread(st->lookup->ctx, tid);
	return t ? t : thread_get(st->threads, tid);
}

/* Finds the event's thread and descriptor. */
static void prepare(struct evt *e)
{
	uint32_t code = e->h.code;
	struct thread *t;

	e->thread = NULL;
	e->fd = NULL;
	e->uses_fd = e->info->flags & (EF_USES_FD | EF_CREATES_FD | EF_DESTROYS_FD);
	if (has_no_thread(e->info, code))
		return;
	t = e->thread = may_add_thread(code) && !(e->info->flags & EF_SKIP_RESET) ? thread_of(e->st, e->h.tid)
										  : thread_find(e->st->threads, e->h.tid);
	if (!t || code == EV_SCHEDSWITCH_6_E || e->info->flags & EF_SKIP_RESET)
		return;

	if (!EVENT_IS_EXIT(code)) {
		t->last_fd = -1;
		t->last_code = code;
		if (e->info->flags & EF_USES_FD) {
			t->last_fd = param_int_or(e, enter_fd_param(code), -1);
			e->fd = fdtable_get(thread_fds(e->st->threads, t), t->last_fd);
		}
		return;
	}
	t->last_valid = code == t->last_code + 1 ||
			(code == EV_SYSCALL_EXECVE_19_X && t->last_code == EV_SYSCALL_EXECVEAT_E);
	if (!t->last_valid)
		t->last_fd = -1;	/* left over from some other call */
	if (!(e->info->flags & EF_USES_FD))
		return;
	if (t->last_fd == -1 && exit_fd_param[code])
		t->last_fd = param_int_or(e, exit_fd_param[code] - 1u, -1);
	e->fd = fdtable_get(thread_fds(e->st->threads, t), t->last_fd);
}

void parse_event(struct evt *e)
{
	struct state *st = e->st;
	struct fd_rec *before;

	fds_sweep(st->fds);
	if (st->after.thread || st->after.fd)
		remove_ended(st, st->after);
	if (!st->first_ts && e->info->origin != FROM_METAEVENT)
		st->first_ts = e->h.ts;
	prepare(e);

	uint32_t code = e->h.code;
	if (e->thread && is_stored[code] && !(code == EV_SYSCALL_EXECVE_19_E && !event_param(e, 0).len))
		store(e);

	/* a parser may replace the record: hold the old one to tell whether its name changed */
	before = e->fd ? fd_rec_ref(e->fd) : NULL;
	if (parsers[code])
		parsers[code](e);
	e->fd_replaced = e->fd && e->fd != before;
	e->fd_name_changed = e->fd_replaced && !str_eq(e->fd->d.name, before ? before->d.name : STR(""));
	fd_rec_drop(st->fds, before);

	if (e->thread) {
		e->fdnum = e->thread->last_fd;
		if (EVENT_IS_EXIT(code) && e->thread->stored) {
			stored_free(st, e->thread->stored);
			e->thread->stored = NULL;
			e->thread->last_valid = false;
		}
	} else {
		e->fdnum = -1;
	}
}

bool parse_had_effect(const struct evt *e)
{
	uint32_t code = e->h.code;
	parse_fn parser = parsers[code];
	int64_t res;

	if (is_stored[code])
		return true;
	if (parser == parse_receive || parser == parse_send)
		return e->fd_replaced;
	if (!parser && !(e->info->flags & EF_MODIFIES_STATE))
		return false;
	/* a call that fails changes nothing, but for these */
	return parser == parse_connect || parser == parse_memory || !evt_result(e, &res) || res >= 0;
}
