// SPDX-License-Identifier: Apache-2.0
/* fs.path.*: the paths that successful file system calls work on. */
#include "field_fspath.h"
#include "getters.h"
#include "path.h"
#include "state.h"

/* Where a path comes from: parameter 1 ... of the event, or */
enum { NOWHERE = 0, FROM_FD = -1 };

/* What a relative path is relative to. */
enum base {
	BASE_CWD,
	BASE_DIR,		/* the directory that is the event's descriptor */
	BASE_DIRFD,		/* the descriptor in the parameter before the path */
	BASE_OPENED,		/* none: the opened file's name is the answer */
	BASE_UNKNOWN,
};

static const struct fspath_row {
	uint32_t code;
	int8_t at[3];		/* name, source, target */
	uint8_t base[3];
} rows[] = {
#define ONE(code, at_, base_) { EV_SYSCALL_##code, { at_ }, { BASE_##base_ } },
#define TWO(code, src, src_base, dst, dst_base) \
	{ EV_SYSCALL_##code, { NOWHERE, src, dst }, { BASE_CWD, BASE_##src_base, BASE_##dst_base } },
	ONE(MKDIR_2_X, 1, CWD)
	ONE(MKDIRAT_X, 2, DIR)
	ONE(RMDIR_2_X, 1, CWD)
	ONE(UNLINK_2_X, 1, CWD)
	ONE(UNLINKAT_2_X, 2, DIR)
	ONE(OPEN_X, 1, CWD)
	ONE(OPENAT_2_X, 2, OPENED)
	ONE(OPENAT2_X, 2, OPENED)
	ONE(FCHMODAT_X, 2, DIR)
	ONE(CHMOD_X, 1, CWD)
	ONE(FCHMOD_X, FROM_FD, CWD)
	ONE(CHOWN_X, 1, CWD)
	ONE(LCHOWN_X, 1, CWD)
	ONE(FCHOWN_X, FROM_FD, CWD)
	ONE(FCHOWNAT_X, 2, DIR)
	ONE(QUOTACTL_X, 1, CWD)
	ONE(UMOUNT_1_X, 1, CWD)
	ONE(UMOUNT2_X, 1, CWD)
	TWO(RENAME_X, 1, CWD, 2, CWD)
	TWO(RENAMEAT_X, 2, CWD, 4, CWD)
	TWO(RENAMEAT2_X, 2, DIRFD, 4, DIRFD)
	/* of links, the source is the new name: upstream's rules count on it */
	TWO(LINK_2_X, 2, CWD, 1, CWD)
	TWO(LINKAT_2_X, 4, CWD, 2, CWD)
	TWO(SYMLINK_X, 2, CWD, 1, CWD)
	TWO(SYMLINKAT_X, 3, DIR, 1, UNKNOWN)
	TWO(MOUNT_X, 1, CWD, 2, CWD)
};

static const struct fspath_row *row_of(uint32_t code)
{
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

bool fspath_has(uint32_t code, uint32_t variant)
{
	const struct fspath_row *row = row_of(code);

	return row && row->at[variant & FSPATH_WHICH];
}

/* Open calls count as successful unless they failed with exactly -1 (EPERM): as upstream has it. */
static bool succeeded(const struct evt *e)
{
	int64_t res;

	if (!param_int(e, 0, &res))
		return false;
	return e->info->params[0].type == PT_FD ? res != -1 : res == 0;
}

/* A directory's name with a slash after it. false: out of memory. */
static bool as_directory(const struct evt *e, const struct fd_rec *rec, struct str *dir)
{
	struct compose c = { .arena = e->scratch };

	if (!rec) {
		*dir = STR("<UNKNOWN>");
		return true;
	}
	compose_str(&c, rec->d.name);
	if (rec->d.name.len && !str_ends(rec->d.name, STR("/")))
		compose_str(&c, STR("/"));
	*dir = (struct str){ c.p ? c.p : "", c.len };
	return !c.failed;
}

static bool dir_of_param(const struct evt *e, const struct thread *thread, uint32_t i, struct str *dir)
{
	enum { AT_CWD = -100 };
	int64_t fd = param_int_or(e, i, -1);

	if (fd == AT_CWD) {
		*dir = thread_cwd(e->st->threads, thread);
		return true;
	}
	return as_directory(e, fdtable_get(thread_fds(e->st->threads, thread), fd), dir);
}

static bool base_dir(const struct evt *e, const struct thread *thread, const struct fspath_row *row, uint32_t which,
		     struct str *dir)
{
	switch (row->base[which]) {
	case BASE_DIR:
		return as_directory(e, e->fd && fd_is_dir(e->fd) ? e->fd : NULL, dir);
	case BASE_DIRFD:
		return dir_of_param(e, thread, (uint32_t)row->at[which] - 1, dir);
	case BASE_UNKNOWN:
		*dir = STR("<UNKNOWN>");
		return true;
	}
	*dir = thread_cwd(e->st->threads, thread);
	return true;
}

static struct str raw_path(const struct evt *e, int8_t at)
{
	if (at == FROM_FD)
		return e->fd ? e->fd->d.name : STR("");
	struct str s = param_str(e, (uint32_t)at);
	return s.p ? s : STR("<NA>");
}

int get_fspath(const struct field_ctx *c, struct value *v)
{
	const struct evt *e = c->e;
	const struct fspath_row *row = row_of(e->h.code);
	uint32_t which = c->variant & FSPATH_WHICH;

	if (!row || !row->at[which] || !succeeded(e))
		return 0;
	struct str path = raw_path(e, row->at[which]), dir = STR("");
	if (c->variant & FSPATH_RAW)
		return value_str(v, path);

	const struct thread *thread = evt_thread(e);
	char *buf = thread ? arena_get(e->scratch, PATH_ROOM) : NULL;
	if (!buf)
		return 0;
	if (!path.len || path.p[0] != '/') {
		if (row->base[which] == BASE_OPENED)
			path = e->fd ? e->fd->d.name : STR("<UNKNOWN>");
		else if (!base_dir(e, thread, row, which, &dir))
			return 0;
	}
	return value_str(v, path_join(buf, dir, path));
}
