/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "dump.h"
#include "scap_format.h"

#define GIVE(sink, call, ...) ((sink)->call ? (sink)->call((sink)->ctx __VA_OPT__(,) __VA_ARGS__) : 0)

/* ------------------------------------------------------------------ interfaces, users */

static int dump_ifaces(const struct state *st, const struct scap_sink *sink)
{
	int rc = GIVE(sink, ifaces_begin);

	for (uint32_t i = 0; rc == 0 && i < ifaces_count(st->ifaces); i++)
		rc = GIVE(sink, iface, iface_at(st->ifaces, i));
	return rc;
}

static int dump_users(const struct state *st, const struct scap_sink *sink)
{
	const struct user *user;
	const struct group *group;
	int rc = GIVE(sink, users_begin);

	for (uint32_t pos = 0; rc == 0 && (user = users_next(st->users, &pos));)
		rc = GIVE(sink, user, user);
	for (uint32_t pos = 0; rc == 0 && (group = users_next_group(st->users, &pos));)
		rc = GIVE(sink, group, group);
	return rc;
}

/* ------------------------------------------------------------------ processes */

/* Images keep their blobs without the NUL that ends the last item; lists have it. */
static struct str blob_ended(struct str s, char buf[BLOB_MAX_BYTES])
{
	uint32_t n = s.len < BLOB_MAX_BYTES ? s.len : BLOB_MAX_BYTES - 1;

	if (!n)
		return s;
	memcpy(buf, s.p, n);
	buf[n] = 0;
	return (struct str){ buf, n + 1 };
}

static int dump_proc(const struct thread *t, const struct scap_sink *sink)
{
	char args[BLOB_MAX_BYTES], env[BLOB_MAX_BYTES], cgroups[BLOB_MAX_BYTES];
	struct image_parts i = image_parts(t->image);
	struct scap_proc p = {
		.tid = t->tid, .pid = t->pid, .ptid = t->ptid, .sid = t->sid, .vpgid = t->vpgid, .pgid = t->pgid,
		.vtid = t->vtid, .vpid = t->vpid, .comm = i.comm, .exe = i.exe, .exepath = i.exepath,
		.args = blob_ended(i.args, args), .env = blob_ended(i.env, env),
		.cgroups = blob_ended(i.cgroups, cgroups), .cwd = istr_str(t->cwd), .root = istr_str(t->root),
		.fdlimit = (uint64_t)t->fdlimit, .flags = t->flags, .uid = t->uid, .gid = t->gid,
		.loginuid = t->loginuid, .tty = t->tty, .vm_size = t->vm_size, .vm_rss = t->vm_rss,
		.vm_swap = t->vm_swap, .pfmajor = t->pfmajor, .pfminor = t->pfminor,
		.pidns_start_ts = t->pidns_start_ts, .cap_inheritable = t->cap_inheritable,
		.cap_permitted = t->cap_permitted, .cap_effective = t->cap_effective, .exe_ino = i.ino,
		.exe_ctime = i.ctime, .exe_mtime = i.mtime, .exe_flags = i.flags,
	};

	return GIVE(sink, proc, &p);
}

/* ------------------------------------------------------------------ descriptors */

struct listed {
	int64_t fd;
	const struct fd_rec *rec;
};

/* A list has a connection's own end first; records have the client's. */
static struct fd_draft own_end_first(const struct fd_rec *rec)
{
	struct fd_draft d = rec->d;

	if (d.type == FD_IPV4 && d.bits & FD_SERVER) {
		memcpy(d.addr.src, rec->d.addr.dst, 16);
		memcpy(d.addr.dst, rec->d.addr.src, 16);
		d.addr.sport = rec->d.addr.dport;
		d.addr.dport = rec->d.addr.sport;
	}
	return d;
}

static int dump_fd(const struct thread *t, const struct listed *row, const struct scap_sink *sink)
{
	struct fd_draft d = own_end_first(row->rec);
	return GIVE(sink, fd, t->tid, row->fd, &d);
}

/* In the opposite order: a table lists first what was added last. Without memory for that, in its own. */
static int dump_fds(const struct thread *t, const struct scap_sink *sink)
{
	uint32_t n = 0, total = fdtable_count(t->fds);
	struct listed *rows = total ? malloc(total * sizeof *rows) : NULL, one;
	struct fd_rec *rec;
	int64_t fd;
	int rc = 0;

	for (uint32_t pos = 0; rc == 0 && fdtable_next(t->fds, &pos, &fd, &rec);) {
		one = (struct listed){ fd, rec };
		if (rows && n < total)
			rows[n++] = one;
		else
			rc = dump_fd(t, &one, sink);
	}
	while (rc == 0 && n)
		rc = dump_fd(t, &rows[--n], sink);
	free(rows);
	return rc;
}

/* ------------------------------------------------------------------ all */

int dump_state(const struct state *st, const struct scap_sink *sink)
{
	struct thread *t;
	int rc = GIVE(sink, reset);

	if (rc == 0)
		rc = GIVE(sink, machine, &st->machine);
	if (rc == 0)
		rc = dump_ifaces(st, sink);
	if (rc == 0)
		rc = dump_users(st, sink);
	for (uint32_t pos = 0; rc == 0 && thread_next(st->threads, &pos, &t);)
		if (!thread_is_placeholder(t))
			rc = dump_proc(t, sink);
	for (uint32_t pos = 0; rc == 0 && thread_next(st->threads, &pos, &t);)
		if (!thread_is_placeholder(t))
			rc = dump_fds(t, sink);
	return rc == 0 ? GIVE(sink, lists_end) : rc;
}
