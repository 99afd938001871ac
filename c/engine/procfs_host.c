/* SPDX-License-Identifier: Apache-2.0 */
/* What the host is like apart from its processes: machine, network interfaces, users and groups; its control groups. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "procfs_read.h"
#include "scap_format.h"
#include "state.h"

/* ------------------------------------------------------------------ machine */

static uint64_t boot_time(struct procfs *p)
{
	struct lines l;
	struct scan line;
	uint64_t seconds = 0;

	if (!lines_open(&l, p->proc, "stat", p->lines))
		return 0;
	while (lines_next(&l, &line) && !(scan_is(&line, "btime ") && scan_u64(&line, 10, &seconds)))
		;
	lines_close(&l);
	return seconds * 1000000000u;
}

static int give_machine(struct procfs *p, const struct scap_sink *sink)
{
	const char *name = getenv("FALCO_HOSTNAME");
	struct machine m = { .cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), .boot_ts = boot_time(p) };
	struct sysinfo info;

	if (sysinfo(&info) == 0)
		m.memory = (uint64_t)info.totalram * info.mem_unit;
	if (name)
		snprintf(m.hostname, HOSTNAME_BYTES, "%s", name);
	else
		gethostname(m.hostname, HOSTNAME_BYTES - 1);
	return sink->machine(sink->ctx, &m);
}

/* ------------------------------------------------------------------ interfaces */

static void address_bytes(const struct sockaddr *a, uint8_t out[16])
{
	if (!a)
		return;
	if (a->sa_family == AF_INET)
		memcpy(out, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
	else if (a->sa_family == AF_INET6)
		memcpy(out, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
}

static int give_ifaces(const struct scap_sink *sink)
{
	struct ifaddrs *all = NULL;
	int rc = sink->ifaces_begin(sink->ctx);

	if (rc == 0 && getifaddrs(&all) < 0)
		all = NULL;		/* without them no address is known as the machine's own */
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		for (struct ifaddrs *i = all; i && rc >= 0; i = i->ifa_next) {
			struct iface f = { .v6 = family == AF_INET6, .name = str_of(i->ifa_name) };

			if (!i->ifa_addr || i->ifa_addr->sa_family != family)
				continue;
			address_bytes(i->ifa_addr, f.addr);
			address_bytes(i->ifa_netmask, f.netmask);
			address_bytes(i->ifa_broadaddr, f.bcast);
			rc = sink->iface(sink->ctx, &f);
		}
	}
	freeifaddrs(all);
	return rc;
}

/* ------------------------------------------------------------------ users and groups */

enum { USER_FIELDS = 7 };

/* Splits a line at its colons; what is not there is empty. All end in a NUL, cut to what captures hold. */
static void split(struct scan line, struct str field[USER_FIELDS])
{
	for (uint32_t i = 0; i < USER_FIELDS; i++) {
		bool last = line.p >= line.end;

		field[i] = last ? STR("") : scan_until(&line, ':');
		if (field[i].len > USER_MAX_BYTES)
			field[i].len = USER_MAX_BYTES;
		if (!last)
			((char *)field[i].p)[field[i].len] = '\0';
	}
}

static bool field_id(struct str field, uint32_t *id)
{
	struct scan s = scan_of(field);
	uint64_t v;

	if (!scan_u64(&s, 10, &v) || s.p != s.end || v > UINT32_MAX)
		return false;
	*id = (uint32_t)v;
	return true;
}

static int give_user(struct str f[USER_FIELDS], const struct scap_sink *sink)
{
	struct user u = { .name = f[0], .home = f[5], .shell = f[6] };
	return field_id(f[2], &u.uid) && field_id(f[3], &u.gid) ? sink->user(sink->ctx, &u) : 0;
}

static int give_group(struct str f[USER_FIELDS], const struct scap_sink *sink)
{
	struct group g = { .name = f[0] };
	return field_id(f[2], &g.gid) ? sink->group(sink->ctx, &g) : 0;
}

static int give_file(struct procfs *p, const char *file, int (*give)(struct str *, const struct scap_sink *),
		     const struct scap_sink *sink)
{
	char path[sizeof p->root + 16];
	struct str field[USER_FIELDS];
	struct lines l;
	struct scan line;
	int rc = 0;

	snprintf(path, sizeof path, "%s%s", p->root, file);
	if (!lines_open(&l, AT_FDCWD, path, p->lines))
		return 0;
	while (rc >= 0 && lines_next(&l, &line)) {
		split(line, field);
		if (field[0].len)
			rc = give(field, sink);
	}
	lines_close(&l);
	return rc;
}

/* The files themselves, and no service behind them: a directory server may take its time, or lists nobody anyway. */
static int give_users(struct procfs *p, const struct scap_sink *sink)
{
	int rc = sink->users_begin(sink->ctx);

	if (rc >= 0)
		rc = give_file(p, "/etc/passwd", give_user, sink);
	if (rc >= 0)
		rc = give_file(p, "/etc/group", give_group, sink);
	return rc;
}

int procfs_scan_host(struct procfs *p, const struct scap_sink *sink, struct err *err)
{
	int rc = procfs_open(p, err);

	if (rc < 0)
		return rc;
	if ((rc = give_machine(p, sink)) < 0 || (rc = give_ifaces(sink)) < 0 || (rc = give_users(p, sink)) < 0)
		return err_set(err, -rc, "out of memory for the lists of the host");
	return 0;
}

/* ------------------------------------------------------------------ control groups */

/*
 * Events name five of a thread's control groups, in this order. A thread's file tells the group of each hierarchy: of
 * the first version for every controller, of the second once for all. There a group that a controller does not manage
 * counts as the nearest one above it that is.
 */
static const struct {
	const char *name, *name2;	/* name2: in the second hierarchy; NULL: not there */
} controllers[] = {
	{ "cpuset", "cpuset" }, { "cpu", "cpu" }, { "cpuacct", NULL }, { "blkio", "io" }, { "memory", "memory" },
};

enum { CONTROLLERS = sizeof controllers / sizeof controllers[0] };

/* A mount's path has octal for blanks; such a place is passed over. */
void procfs_find_cgroup2(struct procfs *p)
{
	struct lines l;
	struct scan line;

	p->cgroup2[0] = '\0';
	if (!lines_open(&l, p->proc, "1/mounts", p->lines))
		return;
	while (!p->cgroup2[0] && lines_next(&l, &line)) {
		scan_skip(&line, 1);
		struct str place = scan_word(&line);

		if (str_is(scan_word(&line), "cgroup2") && place.len < sizeof p->cgroup2 && !memchr(place.p, '\\', place.len))
			memcpy(p->cgroup2, place.p, place.len), p->cgroup2[place.len] = '\0';
	}
	lines_close(&l);
}

static bool has_word(struct str words, const char *word)
{
	struct scan s = scan_of(words);

	for (struct str w = scan_word(&s); w.len; w = scan_word(&s))
		if (str_is(w, word))
			return true;
	return false;
}

/* Which controllers manage the group at `path`: bits in the order of the table. */
static uint32_t managed(struct procfs *p, struct str path)
{
	char name[sizeof p->root + sizeof p->cgroup2 + PATH_ROOM + 32], buf[512];
	struct str words;
	uint32_t bits = 0;

	snprintf(name, sizeof name, "%s%s%.*s/cgroup.controllers", p->root, p->cgroup2, (int)path.len, path.p);
	if (file_text(AT_FDCWD, name, buf, sizeof buf, &words) < 0)
		return 0;
	words.len -= words.len && words.p[words.len - 1] == '\n';
	for (uint32_t i = 0; i < CONTROLLERS; i++)
		if (controllers[i].name2 && has_word(words, controllers[i].name2))
			bits |= 1u << i;
	return bits;
}

/* Finds the groups that manage what is in `path`, into p->managed2. */
static void ask_second(struct procfs *p, struct str path)
{
	memcpy(p->group2, path.p, path.len);
	p->group2_len = path.len;
	memset(p->managed2, 0, sizeof p->managed2);
	while (path.len > 1) {
		uint32_t bits = managed(p, path), missing = 0;

		for (uint32_t i = 0; i < CONTROLLERS; i++) {
			if (bits & 1u << i && !p->managed2[i])
				p->managed2[i] = path.len;
			missing += !p->managed2[i] && controllers[i].name2;
		}
		if (!missing)
			break;
		path.len = (uint32_t)str_rfind(path, '/');
	}
}

/* Fills those groups that are still empty from the path in the second hierarchy. Threads of a process are in the same
 * one, as a rule. */
static void place_in_second(struct procfs *p, struct str path, struct str group[CONTROLLERS])
{
	_Static_assert(sizeof p->managed2 / sizeof p->managed2[0] == CONTROLLERS, "one for each");

	if (!p->cgroup2[0] || path.len <= 1 || path.len >= PATH_ROOM || path.p[0] != '/')
		return;
	if (!str_eq(path, (struct str){ p->group2, p->group2_len }))
		ask_second(p, path);
	for (uint32_t i = 0; i < CONTROLLERS; i++)
		if (!group[i].len)
			group[i] = (struct str){ path.p, p->managed2[i] };
}

/* Seen from within a control group namespace, groups outside of it begin with "/..". */
static struct str below_root(struct str path)
{
	while (str_starts(path, STR("/../")))
		path = (struct str){ path.p + 3, path.len - 3 };
	return path;
}

static void place_in_first(struct str names, struct str path, struct str group[CONTROLLERS])
{
	for (struct scan s = scan_of(names); s.p < s.end;) {
		struct str name = scan_until(&s, ',');

		for (uint32_t i = 0; i < CONTROLLERS; i++)
			if (str_is(name, controllers[i].name))
				group[i] = path;
	}
}

struct str procfs_cgroups(struct procfs *p, int dir)
{
	struct str text, second = { 0 }, group[CONTROLLERS] = { 0 };
	uint32_t len = 0;

	/* one line for each hierarchy: a dozen at most */
	if (file_text(dir, "cgroup", p->lines, LINE_ROOM, &text) < 0)
		return STR("");
	for (struct scan s = scan_of(text); s.p < s.end;) {
		struct scan line = scan_of(scan_until(&s, '\n'));
		struct str number = scan_until(&line, ':'), names = scan_until(&line, ':');
		struct str path = below_root(scan_rest(&line));

		if (names.len)
			place_in_first(names, path, group);
		else if (str_is(number, "0"))
			second = path;
	}
	place_in_second(p, second, group);
	for (uint32_t i = 0; i < CONTROLLERS; i++) {
		struct str path = group[i].len ? group[i] : STR("/");
		uint32_t name = (uint32_t)strlen(controllers[i].name), need = name + 1 + path.len + 1;

		if (len + need > BLOB_ROOM)
			break;
		memcpy(p->cgroups + len, controllers[i].name, name);
		p->cgroups[len + name] = '=';
		memcpy(p->cgroups + len + name + 1, path.p, path.len);
		len += need;
		p->cgroups[len - 1] = '\0';
	}
	return (struct str){ p->cgroups, len };
}
