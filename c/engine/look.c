/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the tables of an engine as they stand: rows for people, not for rules. See ffi.h. */
#include <errno.h>
#include "engine.h"
#include "field_fd.h"

static void fill(const struct threads *threads, const struct thread *t, struct thread_row *row)
{
	const struct thread *leader = thread_main(threads, t), *parent = thread_parent(threads, t);
	const struct image *image = t->image;

	*row = (struct thread_row){
		.tid = t->tid, .pid = t->pid, .ptid = t->ptid, .parent = parent ? parent->pid : -1, .vtid = t->vtid,
		.vpid = t->vpid, .sid = t->sid, .pgid = t->pgid, .uid = t->uid, .gid = t->gid, .loginuid = t->loginuid,
		.tty = t->tty, .threads = thread_group_alive(t), .fds = fdtable_count(thread_fds(threads, t)),
		.clone_ts = t->clone_ts, .exec_ts = t->exec_ts, .is_main = thread_is_main(t),
		.is_dead = t->flags & THREAD_DEAD, .is_known = !thread_is_placeholder(t),
		.comm = istr_str(image->comm), .exe = istr_str(image->exe), .exepath = istr_str(image->exepath),
		.args = istr_str(image->args), .env = istr_str((leader ? leader : t)->image->env),
		.cgroups = istr_str(image->cgroups), .cwd = thread_cwd(threads, t), .container = container_id(image->container),
	};
}

int engine_thread(struct engine *eng, int64_t tid, struct thread_row *row)
{
	const struct threads *threads = engine_state(eng)->threads;
	const struct thread *t = thread_find(threads, tid);

	if (!t)
		return -ENOENT;
	fill(threads, t, row);
	return 0;
}

uint32_t engine_threads(struct engine *eng, int64_t *tids, uint32_t cap)
{
	const struct threads *threads = engine_state(eng)->threads;
	struct thread *t;

	for (uint32_t pos = 0, n = 0; n < cap && thread_next(threads, &pos, &t); n++)
		tids[n] = t->tid;
	return threads_count(threads);
}

uint32_t engine_fds(struct engine *eng, int64_t tid, struct fd_row *rows, uint32_t cap)
{
	const struct threads *threads = engine_state(eng)->threads;
	const struct thread *t = thread_find(threads, tid);
	const struct fdtable *fds = t ? thread_fds(threads, t) : NULL;
	struct fd_rec *rec;
	int64_t fd;

	for (uint32_t pos = 0, n = 0; n < cap && fdtable_next(fds, &pos, &fd, &rec); n++)
		rows[n] = (struct fd_row){
			.fd = fd, .ino = rec->d.ino, .dev = rec->d.dev, .openflags = rec->d.openflags,
			.letter = fd_type_letter(rec), .type = fd_type_word(rec), .name = rec->d.name, .raw = rec->d.raw,
		};
	return fdtable_count(fds);
}
