/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of one process, as /proc/PID/fd and fdinfo show them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "procfs_read.h"
#include "parse.h"

/* ------------------------------------------------------------------ mounts */

/* Facts fit the pointer that the map keeps; the bit keeps it from being NULL. */
static void *mount_pack(uint32_t dev, bool read_only)
{
	return (void *)((uintptr_t)dev << 2 | (uintptr_t)read_only << 1 | 1);
}

static struct mount_facts mount_unpack(const void *value)
{
	uintptr_t v = (uintptr_t)value;
	return (struct mount_facts){ .dev = (uint32_t)(v >> 2), .known = v & 1, .read_only = v & 2 };
}

/* Options of the file system are the last word of a line. */
static bool super_read_only(struct str line)
{
	int64_t at = str_rfind(line, ' ');
	struct scan s = { line.p + at + 1, line.p + line.len };

	return str_is(scan_until(&s, ','), "ro");
}

static void mounts_read(struct procfs *p, int dir)
{
	struct lines l;
	struct scan s;
	uint64_t id, major, minor;

	if (!lines_open(&l, dir, "mountinfo", p->lines))
		return;
	while (p->mounts.n < PROCFS_MAX_MOUNTS && lines_next(&l, &s)) {
		struct str line = scan_rest(&s);

		if (!scan_u64(&s, 10, &id))
			continue;
		scan_skip(&s, 1);
		if (scan_u64(&s, 10, &major) && scan_is(&s, ":") && scan_u64(&s, 10, &minor))
			map_put(&p->mounts, id,
				mount_pack(device_number((uint32_t)major, (uint32_t)minor), super_read_only(line)));
	}
	lines_close(&l);
}

struct mount_facts procfs_mount(struct procfs *p, int dir, uint64_t id)
{
	void *known = map_get(&p->mounts, id);
	uint64_t ns;

	if (known)
		return mount_unpack(known);
	if (namespace_of(dir, "ns/mnt", &ns) && !map_get(&p->mount_spaces, ns) &&
	    p->mount_spaces.n < PROCFS_MAX_MOUNTS && map_put(&p->mount_spaces, ns, p))
		mounts_read(p, dir);
	return mount_unpack(map_get(&p->mounts, id));
}

/* ------------------------------------------------------------------ fdinfo */

struct fd_info {
	uint64_t flags, mount, pid;
	bool has_flags, has_mount, has_pid;
};

/* Flags as the kernel has them, which on this machine is also what programs use, but for the last. */
uint32_t portable_flags(uint64_t flags)
{
	static const struct {
		uint64_t kernel;
		uint32_t portable;
	} rows[] = {
		{ O_CREAT, 1 << 2 }, { O_APPEND, 1 << 3 }, { O_DSYNC, 1 << 4 }, { O_EXCL, 1 << 5 },
		{ O_NONBLOCK, 1 << 6 }, { O_SYNC & ~O_DSYNC, 1 << 7 }, { O_TRUNC, 1 << 8 }, { O_DIRECT, 1 << 9 },
		{ O_DIRECTORY, OPEN_DIRECTORY }, { O_TMPFILE & ~O_DIRECTORY, 1 << 13 }, { O_CLOEXEC, OPEN_CLOEXEC },
		{ 0100000 /* O_LARGEFILE, which the C library calls 0 */, 1 << 11 },
	};
	static const uint8_t access[] = { [O_RDONLY] = 1, [O_WRONLY] = 2, [O_RDWR] = 3, [O_ACCMODE] = 1 };
	uint32_t out = access[flags & O_ACCMODE];

	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		out |= flags & rows[i].kernel ? rows[i].portable : 0;
	return out;
}

static struct fd_info fd_info(int dir, const char *number)
{
	char name[32], buf[512];
	struct fd_info info = { 0 };
	struct str text;

	snprintf(name, sizeof name, "fdinfo/%s", number);
	if (file_text(dir, name, buf, sizeof buf, &text) < 0)
		return info;
	for (struct scan s = scan_of(text); s.p < s.end;) {
		struct scan line = scan_of(scan_until(&s, '\n'));

		if (scan_is(&line, "flags:"))
			info.has_flags = scan_u64(&line, 8, &info.flags);
		else if (scan_is(&line, "mnt_id:"))
			info.has_mount = scan_u64(&line, 10, &info.mount);
		else if (scan_is(&line, "Pid:"))
			info.has_pid = scan_u64(&line, 10, &info.pid);
	}
	return info;
}

/* ------------------------------------------------------------------ kinds */

uint8_t anon_type(struct str name)
{
	static const struct {
		const char *name;
		uint8_t type;
	} rows[] = {
		{ "[eventfd]", FD_EVENT }, { "[eventpoll]", FD_EVENTPOLL }, { "inotify", FD_INOTIFY },
		{ "[signalfd]", FD_SIGNALFD }, { "[timerfd]", FD_TIMERFD }, { "[io_uring]", FD_IO_URING },
		{ "[userfaultfd]", FD_USERFAULTFD }, { "[pidfd]", FD_PIDFD }, { "bpf-map", FD_BPF },
		{ "bpf-prog", FD_BPF }, { "bpf-link", FD_BPF }, { "bpf_iter", FD_BPF }, { "bpf_link", FD_BPF },
	};

	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (str_is(name, rows[i].name))
			return rows[i].type;
	return FD_UNSUPPORTED;
}

bool path_kind(struct fd_draft *d, uint32_t mode, struct str link)
{
	d->name = link;
	switch (mode & S_IFMT) {
	case S_IFIFO:
		d->type = FD_FIFO;
		return false;
	case S_IFDIR:
		d->type = FD_DIRECTORY;
		return false;
	case S_IFSOCK:
		d->type = FD_UNSUPPORTED;
		return false;
	case S_IFREG:
	case S_IFBLK:
	case S_IFCHR:
	case S_IFLNK:
		d->type = str_starts(link, STR("/memfd:")) ? FD_MEMFD : FD_FILE_V2;
		return d->type == FD_FILE_V2;
	default:
		d->type = FD_UNSUPPORTED;
		d->name = STR("");
		return false;
	}
}

static bool file_draft(struct procfs *p, int dir, int fds, const char *number, struct str link, struct fd_draft *d)
{
	struct statx st;
	struct fd_info info;
	struct mount_facts m;

	if (!stat_cached(fds, number, &st))
		return false;
	d->ino = st.stx_ino;
	if (!path_kind(d, st.stx_mode, link))
		return true;
	info = fd_info(dir, number);
	d->openflags = info.has_flags ? portable_flags(info.flags) : 0;
	m = info.has_mount ? procfs_mount(p, dir, info.mount) : (struct mount_facts){ 0 };
	d->dev = m.known ? m.dev : device_number(st.stx_dev_major, st.stx_dev_minor);
	return true;
}

/* Tables leave out netlink sockets without an address; the socket itself says what it is. */
static bool is_netlink(int fds, const char *number)
{
	char path[64], name[16];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", fds, number);
	n = getxattr(path, "system.sockprotoname", name, sizeof name);
	return n > 0 && str_starts((struct str){ name, (uint32_t)n }, STR("NETLINK"));
}

static bool socket_draft(struct procfs *p, int dir, int fds, const char *number, uint64_t ino, struct fd_draft *d)
{
	uint64_t ns = 0;

	d->ino = ino;
	if (sock_tables_find(&p->socks, ino, d))
		return true;
	if (p->with_sockets) {
		namespace_of(dir, "ns/net", &ns);
		sock_tables_read(&p->socks, dir, ns, p->lines, p->deadline);
		if (sock_tables_find(&p->socks, ino, d))
			return true;
	}
	if (!is_netlink(fds, number))
		return false;
	d->type = FD_NETLINK;
	return true;
}

static bool anon_draft(int dir, int fds, const char *number, struct str link, struct fd_draft *d)
{
	struct scan s = scan_of(link);
	struct statx st;

	scan_is(&s, "anon_inode:");
	d->type = anon_type(scan_rest(&s));
	if (stat_cached(fds, number, &st))
		d->ino = st.stx_ino;
	if (d->type == FD_PIDFD) {
		struct fd_info info = fd_info(dir, number);
		d->pid = info.has_pid && info.pid <= INT32_MAX ? (int64_t)info.pid : 0;
	}
	return true;
}

static bool fd_draft(struct procfs *p, int dir, int fds, const char *number, struct fd_draft *d)
{
	struct str link;
	uint64_t ino;

	*d = (struct fd_draft){ .name = STR(""), .raw = STR("") };
	if (!link_text(fds, number, p->link, &link))
		return false;
	if (link_number(link, "socket", &ino))
		return socket_draft(p, dir, fds, number, ino, d);
	if (link_number(link, "pipe", &ino)) {
		*d = (struct fd_draft){ .type = FD_FIFO, .ino = ino, .name = link, .raw = STR("") };
		return true;
	}
	if (str_starts(link, STR("anon_inode:")))
		return anon_draft(dir, fds, number, link, d);
	return file_draft(p, dir, fds, number, link, d);
}

/* ------------------------------------------------------------------ all of a process */

/* 1: delivered; 0: gone or of no known kind. */
static int one_fd(struct procfs *p, int dir, int fds, const char *number, int64_t pid, const struct scap_sink *sink)
{
	struct fd_draft d;
	int64_t fd;
	int rc;

	if (!name_number(number, &fd) || !fd_draft(p, dir, fds, number, &d))
		return 0;
	rc = sink->fd(sink->ctx, pid, fd, &d);
	return rc < 0 ? rc : 1;
}

int procfs_fds(struct procfs *p, int dir, int64_t pid, int64_t only, const struct scap_sink *sink)
{
	int fds = proc_open(dir, "fd", O_DIRECTORY), rc = 0;
	uint32_t n = 0;
	struct dirent *entry;
	char number[32];
	DIR *list;

	if (fds < 0)
		return 0;
	if (only >= 0) {
		snprintf(number, sizeof number, "%lld", (long long)only);
		rc = one_fd(p, dir, fds, number, pid, sink);
		close(fds);
		return rc;
	}
	if (!(list = fdopendir(fds))) {
		close(fds);
		return 0;
	}
	while (n < p->limits.max_fds && (entry = readdir(list))) {
		if ((rc = one_fd(p, dir, fds, entry->d_name, pid, sink)) < 0)
			break;
		n += (uint32_t)rc;
		if (p->deadline && n % 64 == 63 && procfs_now() > p->deadline)
			break;
	}
	closedir(list);
	return rc < 0 ? rc : (int)n;
}
