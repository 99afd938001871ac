/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include "load.h"
#include "parse.h"
#include "path.h"
#include "sock.h"

static int load_reset(void *ctx)
{
	state_reset(ctx);
	return 0;
}

static int load_machine(void *ctx, const struct machine *m)
{
	((struct state *)ctx)->machine = *m;
	return 0;
}

/* ------------------------------------------------------------------ processes */

static void set_cwd(struct threads *threads, struct thread *t, struct str cwd)
{
	char buf[PATH_ROOM + 1];
	struct str s = path_join(buf, (struct str){ 0 }, cwd);

	if (!s.len || s.p[s.len - 1] != '/') {
		if (s.p != buf)
			memcpy(buf, s.p, s.len);
		buf[s.len] = '/';
		s = (struct str){ buf, s.len + 1 };
	}
	thread_set_text(threads, &t->cwd, s);
}

static int load_proc(void *ctx, const struct scap_proc *p)
{
	struct state *st = ctx;
	struct thread *t = thread_new(st->threads, p->tid);

	if (!t)
		return -ENOMEM;
	t->pid = p->pid;
	t->ptid = p->ptid;
	t->vtid = p->vtid;
	t->vpid = p->vpid;
	t->sid = p->sid;
	t->vpgid = p->vpgid;
	t->pgid = p->pgid;
	t->flags = p->flags;
	t->uid = p->uid;
	t->gid = p->gid;
	t->loginuid = p->loginuid;
	t->tty = p->tty;
	t->fdlimit = (int64_t)p->fdlimit;
	t->vm_size = p->vm_size;
	t->vm_rss = p->vm_rss;
	t->vm_swap = p->vm_swap;
	t->pfmajor = p->pfmajor;
	t->pfminor = p->pfminor;
	t->pidns_start_ts = p->pidns_start_ts;
	t->cap_inheritable = p->cap_inheritable;
	t->cap_permitted = p->cap_permitted;
	t->cap_effective = p->cap_effective;
	thread_set_text(st->threads, &t->root, p->root);

	struct image_parts parts = {
		.comm = p->comm, .exe = p->exe, .exepath = path_without_deleted(p->exepath), .args = blob_trim(p->args),
		.cgroups = blob_trim(p->cgroups), .flags = p->exe_flags, .ino = p->exe_ino, .ctime = p->exe_ctime,
		.mtime = p->exe_mtime,
	};
	/* the process's own, kept by its main thread */
	if (p->tid == p->pid) {
		parts.env = blob_trim(p->env);
		set_cwd(st->threads, t, p->cwd);
	}
	thread_set_image(st->threads, t, image_new(st->threads, &parts));
	thread_insert(st->threads, t, false);	/* a full table is counted, not fatal */
	return 0;
}

/* ------------------------------------------------------------------ descriptors */

static void set_socket_name(struct fd_draft *d, char buf[SOCK_TEXT])
{
	bool v6 = d->type == FD_IPV6 || d->type == FD_IPV6_LISTEN;
	bool listens = d->type == FD_IPV4_LISTEN || d->type == FD_IPV6_LISTEN;
	uint32_t n = listens ? sock_addr_text(buf, v6, d->addr.dst, d->addr.dport) : sock_pair_text(buf, v6, &d->addr);

	d->name = (struct str){ buf, n };
}

static int load_fd(void *ctx, int64_t tid, int64_t fd, const struct fd_draft *listed)
{
	struct state *st = ctx;
	struct thread *t = thread_find(st->threads, tid);
	struct fd_draft d = *listed;
	char buf[SOCK_TEXT];

	if (!t)
		return 0;	/* a descriptor of nobody */
	d.bits |= FD_IN_BASELINE;
	switch (d.type) {
	case FD_IPV6:
		if (sock_is_mapped(d.addr.src) && sock_is_mapped(d.addr.dst)) {
			memmove(d.addr.src, d.addr.src + 12, 4);
			memmove(d.addr.dst, d.addr.dst + 12, 4);
			d.type = FD_IPV4;
		}
		[[fallthrough]];
	case FD_IPV4:
		if (d.l4 == L4_TCP)
			d.bits |= FD_CONNECTED;
		set_socket_name(&d, buf);
		break;
	case FD_IPV4_LISTEN:
	case FD_IPV6_LISTEN:
		set_socket_name(&d, buf);
		break;
	case FD_UNIX:
		d.bits |= d.name.len ? FD_SERVER : FD_CLIENT;
		break;
	}
	fd_publish(st->fds, &t->fds, fd, &d);
	fds_sweep(st->fds);
	return 0;
}

/* ------------------------------------------------------------------ users, interfaces */

static int load_users_begin(void *ctx)
{
	struct state *st = ctx;
	users_clear(st->users);
	st->table_epoch++;
	return 0;
}

static int load_user(void *ctx, const struct user *u)
{
	users_put(((struct state *)ctx)->users, (struct str){ 0 }, u);
	return 0;
}

static int load_group(void *ctx, const struct group *g)
{
	users_put_group(((struct state *)ctx)->users, (struct str){ 0 }, g);
	return 0;
}

static int load_ifaces_begin(void *ctx)
{
	struct state *st = ctx;
	ifaces_clear(st->ifaces);
	st->table_epoch++;
	return 0;
}

static int load_iface(void *ctx, const struct iface *i)
{
	ifaces_put(((struct state *)ctx)->ifaces, i);
	return 0;
}

/* ------------------------------------------------------------------ once everything is there */

static bool is_listening(const uint8_t *ports, uint16_t port)
{
	return ports[port / 8] & 1 << port % 8;
}

/* An IPv4 connection of the list has its local end first. A local port that somebody listens on makes it the server's. */
static void settle_role(struct state *st, struct thread *t, int64_t fd, struct fd_rec *rec, const uint8_t *ports)
{
	struct fd_draft d = rec->d;
	char buf[SOCK_TEXT];

	if (is_listening(ports, d.addr.sport)) {
		struct fd_addr a = d.addr;

		memcpy(d.addr.src, a.dst, 16);
		memcpy(d.addr.dst, a.src, 16);
		d.addr.sport = a.dport;
		d.addr.dport = a.sport;
		d.bits |= FD_SERVER;
		set_socket_name(&d, buf);
	} else {
		d.bits |= FD_CLIENT;
	}
	fd_publish(st->fds, &t->fds, fd, &d);
	fds_sweep(st->fds);
}

static int load_lists_end(void *ctx)
{
	struct state *st = ctx;
	uint8_t ports[65536 / 8] = { 0 };
	struct thread *t;
	struct fd_rec *rec;
	int64_t fd;

	for (uint32_t pos = 0; thread_next(st->threads, &pos, &t);) {
		thread_adopt(st->threads, t);
		for (uint32_t i = 0; fdtable_next(t->fds, &i, &fd, &rec);)
			if (fd_is_listen(rec))
				ports[rec->d.addr.dport / 8] |= (uint8_t)(1 << rec->d.addr.dport % 8);
	}
	for (uint32_t pos = 0; thread_next(st->threads, &pos, &t);)
		for (uint32_t i = 0; fdtable_next(t->fds, &i, &fd, &rec);)
			if (rec->d.type == FD_IPV4 && !(rec->d.bits & (FD_CLIENT | FD_SERVER)))
				settle_role(st, t, fd, rec, ports);
	return 0;
}

struct scap_sink load_sink(struct state *st)
{
	return (struct scap_sink){
		.ctx = st, .reset = load_reset, .machine = load_machine, .proc = load_proc, .fd = load_fd,
		.users_begin = load_users_begin, .user = load_user, .group = load_group,
		.ifaces_begin = load_ifaces_begin, .iface = load_iface, .lists_end = load_lists_end,
	};
}
