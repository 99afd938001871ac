/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
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
	begin(r, EV_SOCKET_SOCKET_X, tid, ts);
	num(r, (uint64_t)fd);
	num(r, d->type == FD_IPV6 ? FAMILY_INET6 : FAMILY_INET);
	num(r, d->l4 == L4_UDP ? SOCK_DGRAM : SOCK_STREAM);
	num(r, 0);
	num(r, 0);
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

bool retell_fd(struct retelling *r, uint32_t step, int64_t tid, int64_t fd, const struct fd_draft *d, uint64_t ts)
{
	switch (d->type) {
	case FD_FILE:
	case FD_FILE_V2:
	case FD_DIRECTORY:
		return step == 0 && d->name.len && retell_file(r, tid, fd, d, ts);
	case FD_IPV4:
	case FD_IPV6:
		return step == 0 ? retell_socket(r, tid, fd, d, ts) : step == 1 && retell_connect(r, tid, fd, d, ts);
	default:
		return false;		/* no such event would make it what it is */
	}
}
