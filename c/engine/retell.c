/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/socket.h>
#include "path.h"
#include "proc.h"
#include "retell.h"
#include "sock.h"
#include "tables.h"

enum { AT_CWD = -100, OPEN_DIRECTORY = 0x400 };	/* portable O_DIRECTORY */

static void begin(struct retelling *r, uint16_t code, int64_t tid, uint64_t ts)
{
	r->failed = false;
	r->rec = (struct scap_rec){ .ts = ts, .tid = tid, .code = code, .flags = SCAP_STATE_ONLY };
}

/* The next parameter: so many bytes. NULL: out of memory. */
static uint8_t *next_param(struct retelling *r, uint32_t len)
{
	uint8_t *p = arena_get(r->arena, len);

	if (!p) {
		r->failed = true;
		return NULL;
	}
	r->rec.param[r->rec.nparams++] = (struct scap_param){ p, len };
	return p;
}

/* A number, as wide as the next parameter's type; little-endian: its low bytes come first. */
static void num(struct retelling *r, uint64_t n)
{
	uint32_t bytes = type_size[event_row(r->rec.code)->params[r->rec.nparams].type];
	uint8_t *p = next_param(r, bytes);

	if (p)
		memcpy(p, &n, bytes);
}

static void text(struct retelling *r, struct str s)
{
	uint8_t *p = next_param(r, s.len + 1);

	if (!p)
		return;
	if (s.len)
		memcpy(p, s.p, s.len);
	p[s.len] = 0;
}

static void bytes(struct retelling *r, struct str s)
{
	uint8_t *p = next_param(r, s.len);

	if (p && s.len)
		memcpy(p, s.p, s.len);
}

/* Every event has all of its parameters. */
static bool end(const struct retelling *r)
{
	return !r->failed && r->rec.nparams == event_row(r->rec.code)->nparams;
}

/* What clone and execve begin with. */
static void process(struct retelling *r, const struct scap_proc *p)
{
	num(r, 0);
	text(r, p->exe);
	bytes(r, p->args);
	num(r, (uint64_t)p->tid);
	num(r, (uint64_t)p->pid);
	num(r, (uint64_t)p->ptid);
	text(r, p->cwd);
	num(r, p->fdlimit);
	num(r, p->pfmajor);
	num(r, p->pfminor);
	num(r, p->vm_size);
	num(r, p->vm_rss);
	num(r, p->vm_swap);
	text(r, p->comm);
	bytes(r, p->cgroups);
}

bool retell_born(struct retelling *r, const struct scap_proc *p, uint64_t ts)
{
	begin(r, EV_SYSCALL_CLONE_20_X, p->tid, ts);
	process(r, p);
	num(r, p->flags | (p->vtid >= 0 && p->vtid != p->tid ? THREAD_CHILD_IN_PIDNS : 0));
	num(r, p->uid);
	num(r, p->gid);
	num(r, (uint64_t)(p->vtid >= 0 ? p->vtid : p->tid));
	num(r, (uint64_t)(p->vpid >= 0 ? p->vpid : p->pid));
	num(r, p->pidns_start_ts);
	return end(r);
}

bool retell_exec(struct retelling *r, const struct scap_proc *p, uint64_t ts)
{
	if (p->tid != p->pid)
		return false;
	begin(r, EV_SYSCALL_EXECVE_19_X, p->tid, ts);
	process(r, p);
	bytes(r, p->env);
	num(r, p->tty);
	num(r, (uint64_t)p->vpgid);
	num(r, p->loginuid);
	num(r, p->exe_flags);
	num(r, p->cap_inheritable);
	num(r, p->cap_permitted);
	num(r, p->cap_effective);
	num(r, p->exe_ino);
	num(r, p->exe_ctime);
	num(r, p->exe_mtime);
	num(r, p->uid);
	text(r, p->exepath);
	num(r, (uint64_t)p->pgid);
	num(r, p->gid);
	text(r, p->exepath);
	return end(r);
}

/* Of a process whose parent is not known, clone and execve do not tell it. */
bool retell_cwd(struct retelling *r, const struct scap_proc *p, uint64_t ts)
{
	if (p->tid != p->pid || !p->cwd.len)
		return false;
	begin(r, EV_SYSCALL_CHDIR_X, p->tid, ts);
	num(r, 0);
	text(r, p->cwd);
	return end(r);
}

/* ------------------------------------------------------------------ descriptors */

/* As memfd_create() was given it: the host says "/memfd:NAME (deleted)". */
static struct str memfd_name(struct str s)
{
	if (str_starts(s, STR("/memfd:")))
		s = (struct str){ s.p + 7, s.len - 7 };
	return path_without_deleted(s);
}

static void tuple(struct retelling *r, bool v6, const struct fd_addr *a)
{
	uint32_t n = v6 ? 16 : 4;
	uint8_t *p = next_param(r, 1 + 2 * n + 4);

	if (!p)
		return;
	*p++ = v6 ? FAMILY_INET6 : FAMILY_INET;
	memcpy(p, a->src, n);
	memcpy(p + n, &a->sport, 2);
	memcpy(p + n + 2, a->dst, n);
	memcpy(p + 2 * n + 2, &a->dport, 2);
}

static bool retell_file(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	begin(r, EV_SYSCALL_OPENAT_2_X, tid, ts);
	num(r, (uint64_t)fd);
	num(r, (uint64_t)(int64_t)AT_CWD);
	text(r, d->name);
	num(r, d->openflags | (d->type == FD_DIRECTORY ? OPEN_DIRECTORY : 0));
	num(r, 0);
	num(r, d->dev);
	num(r, d->ino);
	return end(r);
}

static bool retell_socket(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	enum { PROTOCOL_ICMP = 1, PROTOCOL_RAW = 255 };
	static const uint8_t families[FD_TYPE_COUNT] = {
		[FD_IPV4] = FAMILY_INET, [FD_IPV4_LISTEN] = FAMILY_INET, [FD_IPV6] = FAMILY_INET6, [FD_IPV6_LISTEN] = FAMILY_INET6,
		[FD_UNIX] = FAMILY_UNIX, [FD_NETLINK] = FAMILY_NETLINK,
	};

	begin(r, EV_SOCKET_SOCKET_X, tid, ts);
	num(r, (uint64_t)fd);
	num(r, families[d->type]);
	num(r, d->l4 == L4_RAW ? SOCK_RAW : d->l4 == L4_UDP || d->l4 == L4_ICMP ? SOCK_DGRAM : SOCK_STREAM);
	num(r, d->l4 == L4_RAW ? PROTOCOL_RAW : d->l4 == L4_ICMP ? PROTOCOL_ICMP : 0);
	num(r, 0);
	return end(r);
}

static bool retell_bind(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	uint32_t n = d->type == FD_IPV6_LISTEN ? 16 : 4;
	uint8_t *p;

	begin(r, EV_SOCKET_BIND_X, tid, ts);
	num(r, 0);
	if (d->type == FD_UNIX) {
		if ((p = next_param(r, d->name.len + 2))) {
			*p++ = FAMILY_UNIX;
			memcpy(p, d->name.p, d->name.len);
			p[d->name.len] = 0;
		}
	} else if ((p = next_param(r, 1 + n + 2))) {
		*p++ = n == 16 ? FAMILY_INET6 : FAMILY_INET;
		memcpy(p, d->addr.dst, n);
		memcpy(p + n, &d->addr.dport, 2);
	}
	num(r, (uint64_t)fd);
	return end(r);
}

/* As if this process had connected: nobody knows better. */
static bool retell_connect(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	begin(r, EV_SOCKET_CONNECT_X, tid, ts);
	num(r, 0);
	tuple(r, d->type == FD_IPV6, &d->addr);
	num(r, (uint64_t)fd);
	bytes(r, (struct str){ "", 0 });
	return end(r);
}

static bool retell_pipe(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	begin(r, EV_SYSCALL_PIPE_X, tid, ts);
	num(r, 0);
	num(r, (uint64_t)fd);		/* which end it is nobody says, and nobody asks */
	num(r, (uint64_t)fd);
	num(r, d->ino);
	return end(r);
}

static bool retell_memfd(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	begin(r, EV_SYSCALL_MEMFD_CREATE_X, tid, ts);
	num(r, (uint64_t)fd);
	text(r, memfd_name(d->name));
	num(r, 0);
	return end(r);
}

static bool retell_pidfd(struct retelling *r, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	begin(r, EV_SYSCALL_PIDFD_OPEN_X, tid, ts);
	num(r, (uint64_t)fd);
	num(r, (uint64_t)d->pid);
	num(r, 0);
	return end(r);
}

/* Kinds that have nothing of their own but the number. */
static uint16_t maker_of(uint8_t type)
{
	switch (type) {
	case FD_EVENT:
		return EV_SYSCALL_EVENTFD2_X;
	case FD_SIGNALFD:
		return EV_SYSCALL_SIGNALFD4_X;
	case FD_TIMERFD:
		return EV_SYSCALL_TIMERFD_CREATE_X;
	case FD_INOTIFY:
		return EV_SYSCALL_INOTIFY_INIT1_X;
	case FD_EVENTPOLL:
		return EV_SYSCALL_EPOLL_CREATE1_X;
	case FD_USERFAULTFD:
		return EV_SYSCALL_USERFAULTFD_X;
	case FD_IO_URING:
		return EV_SYSCALL_IO_URING_SETUP_X;
	case FD_BPF:
		return EV_SYSCALL_BPF_2_X;
	}
	return 0;
}

static bool retell_plain(struct retelling *r, int64_t tid, int64_t fd, uint16_t code, uint64_t ts)
{
	begin(r, code, tid, ts);
	num(r, (uint64_t)fd);
	while (!r->failed && r->rec.nparams < event_row(code)->nparams)
		num(r, 0);
	return end(r);
}

static bool is_file(const struct fd_draft *d)
{
	bool fifo = d->type == FD_FIFO && d->name.len && d->name.p[0] == '/';
	return fifo || d->type == FD_FILE || d->type == FD_FILE_V2 || d->type == FD_DIRECTORY;
}

bool retell_fd(struct retelling *r, uint32_t step, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	if (is_file(d))
		return step == 0 && d->name.len && retell_file(r, tid, fd, d, ts);
	switch (d->type) {
	case FD_IPV4:
	case FD_IPV6:
		return step == 0 ? retell_socket(r, tid, fd, d, ts) : step == 1 && retell_connect(r, tid, fd, d, ts);
	case FD_IPV4_LISTEN:
	case FD_IPV6_LISTEN:
		return step == 0 ? retell_socket(r, tid, fd, d, ts) : step == 1 && retell_bind(r, tid, fd, d, ts);
	case FD_UNIX:
		return step == 0 ? retell_socket(r, tid, fd, d, ts) : step == 1 && d->name.len && retell_bind(r, tid, fd, d, ts);
	case FD_NETLINK:
		return step == 0 && retell_socket(r, tid, fd, d, ts);
	case FD_FIFO:
		return step == 0 && retell_pipe(r, tid, fd, d, ts);
	case FD_MEMFD:
		return step == 0 && retell_memfd(r, tid, fd, d, ts);
	case FD_PIDFD:
		return step == 0 && retell_pidfd(r, tid, fd, d, ts);
	}
	/* a kind that no event makes stays untold */
	return step == 0 && maker_of(d->type) && retell_plain(r, tid, fd, maker_of(d->type), ts);
}

void retell_learnt(struct fd_draft *d, struct str root, char buf[RETELL_NAME])
{
	if (d->type == FD_IPV6 && sock_is_mapped(d->addr.src) && sock_is_mapped(d->addr.dst)) {
		d->type = FD_IPV4;
		memmove(d->addr.src, d->addr.src + 12, 4);
		memmove(d->addr.dst, d->addr.dst + 12, 4);
	}
	struct fd_draft out = { .type = d->type, .l4 = d->l4, .name = STR(""), .raw = STR("") };
	bool v6 = d->type == FD_IPV6 || d->type == FD_IPV6_LISTEN;

	if (is_file(d)) {
		if (d->type == FD_FIFO)
			d->type = FD_FILE_V2;
		return;
	}
	switch (d->type) {
	case FD_IPV4:
	case FD_IPV6:
		memcpy(out.addr.src, d->addr.src, v6 ? 16 : 4);
		memcpy(out.addr.dst, d->addr.dst, v6 ? 16 : 4);
		out.addr.sport = d->addr.sport;
		out.addr.dport = d->addr.dport;
		out.bits = FD_CONNECTED | FD_CLIENT;
		out.name = (struct str){ buf, sock_name_text(buf, &out) };
		break;
	case FD_IPV4_LISTEN:
	case FD_IPV6_LISTEN:
		memcpy(out.addr.dst, d->addr.dst, v6 ? 16 : 4);
		out.addr.dport = d->addr.dport;
		out.bits = FD_SERVER;
		out.name = (struct str){ buf, sock_addr_text(buf, v6, out.addr.dst, out.addr.dport) };
		break;
	case FD_UNIX:
		out.name = d->name;
		break;
	case FD_FIFO:
		out.ino = d->ino;
		break;
	case FD_MEMFD:
		out.name = memfd_name(d->name);
		break;
	case FD_PIDFD:
		out.pid = d->pid;
		out.name = (struct str){ buf, (uint32_t)snprintf(buf, RETELL_NAME, "%.*s/proc/%lld", (int)root.len, root.p,
								 (long long)d->pid) };
		break;
	default:
		if (d->type != FD_NETLINK && !maker_of(d->type))
			return;
	}
	*d = out;
}
