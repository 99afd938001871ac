// SPDX-License-Identifier: Apache-2.0
/* Parameters of events as text and as typed values: one small function per kind of parameter. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include "field.h"
#include "field_container.h"
#include "field_fd.h"
#include "path.h"
#include "sock.h"
#include "state.h"
#include "value.h"

enum { AT_CWD = -100 };			/* AT_FDCWD as events carry it */

/* One parameter on its way to text. */
struct rendering {
	const struct evt *e;
	const struct param_info *info;	/* as declared: format and flag names */
	uint8_t type;			/* of the value at hand: the alternative's, if the declared one is PT_DYN */
	struct param param;
	struct compose *plain, *resolved;
};

typedef void (*renderer)(struct rendering *r);

struct thread *evt_thread(const struct evt *e)
{
	return e->thread ? e->thread : thread_find(e->st->threads, e->h.tid);
}

static struct fd_rec *evt_find_fd(const struct evt *e, const struct thread *thread, int64_t fd)
{
	return thread ? fdtable_get(thread_fds(e->st->threads, thread), fd) : NULL;
}

/* The number in a parameter. A parameter that is no number of its type shows as missing. */
static bool rendering_int(struct rendering *r, int64_t *v)
{
	if (param_read(&r->param, r->type, v))
		return true;
	compose_str(r->plain, STR("<NA>"));
	return false;
}

static void render_number(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	/* unsigned ones are shown with their sign bit, too: all ones is -1 */
	bool wide = type_size[r->type] == 8;
	uint64_t bits = wide ? (uint64_t)v : (uint32_t)v;
	int64_t shown = wide ? v : (int32_t)v;

	switch (r->info->format) {
	case PF_OCT:
		compose_fmt(r->plain, "%#" PRIo64, bits);
		break;
	case PF_HEX:
		compose_fmt(r->plain, "%" PRIX64, bits);
		break;
	case PF_10_PADDED_DEC:
		compose_fmt(r->plain, "%09" PRId64, shown);
		break;
	default:
		compose_int(r->plain, shown);
	}
}

static void compose_z(struct compose *c, const char *z)
{
	if (z)
		compose_bytes(c, z, (uint32_t)strlen(z));
}

static void render_errno(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	compose_int(r->plain, v);
	if (v < 0 && v >= -INT32_MAX)
		compose_z(r->resolved, errno_name((int)-v));
}

static void render_fd(struct rendering *r)
{
	static const char protocols[] = { [L4_TCP] = 't', [L4_UDP] = 'u', [L4_ICMP] = 'i', [L4_RAW] = 'r' };
	struct thread *thread = evt_thread(r->e);
	int64_t fd;

	if (!rendering_int(r, &fd))
		return;
	compose_int(r->plain, fd);
	if (!thread)
		return;
	if (fd == AT_CWD) {
		compose_str(r->resolved, STR("AT_FDCWD"));
	} else if (fd < 0) {
		compose_z(r->resolved, fd >= -INT32_MAX ? errno_name((int)-fd) : NULL);
	} else {
		const struct fd_rec *rec = evt_find_fd(r->e, thread, fd);

		if (!rec)
			return;
		char protocol = fd_is_ip(rec) ? protocols[fd_shown_l4(rec)] : 0;
		char kind[] = { '<', fd_type_letter(rec), protocol ? protocol : '>', '>' };

		compose_bytes(r->resolved, kind, protocol ? 4 : 3);
		compose_str(r->resolved, rec->d.name);
	}
}

static void render_pid(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	compose_int(r->plain, v);
	struct thread *thread = thread_find(r->e->st->threads, v);
	if (thread)
		compose_str(r->resolved, thread_comm(thread));
}

/* Text without its NUL; what is missing reads <NA>. */
static struct str text_of(const struct param *a)
{
	struct str s = { (const char *)a->p, a->len };

	if (s.len && !s.p[s.len - 1])
		s.len--;
	return !a->len || str_eq(s, STR("(NULL)")) ? STR("<NA>") : s;
}

static void render_text(struct rendering *r)
{
	compose_str(r->plain, text_of(&r->param));
}

/* Where the path in parameter `info` starts from. */
static struct str base_of(const struct evt *e, const struct param_info *info, const struct thread *thread,
			  struct compose *room)
{
	struct str cwd = thread_cwd(e->st->threads, thread);
	int64_t dirfd;

	if (info->type != PT_FSRELPATH || info->dirfd >= e->info->nparams)
		return cwd;
	if (e->info->params[info->dirfd].type != PT_FD || !param_int(e, info->dirfd, &dirfd) || dirfd == AT_CWD)
		return cwd;
	const struct fd_rec *dir = evt_find_fd(e, thread, dirfd);
	if (!dir || !dir->d.name.len)
		return STR("");
	if (str_ends(dir->d.name, STR("/")))
		return dir->d.name;
	compose_str(room, dir->d.name);
	compose_str(room, STR("/"));
	return (struct str){ room->p, room->len };
}

static void render_path(struct rendering *r)
{
	struct str path = text_of(&r->param);
	struct thread *thread = evt_thread(r->e);
	struct compose room = { .arena = r->e->scratch };
	char buf[PATH_ROOM];

	compose_str(r->plain, path);
	if (!thread || !path.len || path.p[0] == '/' || str_eq(path, STR("<NA>")))
		return;
	struct str base = base_of(r->e, r->info, thread, &room);
	if (!room.failed)
		compose_str(r->resolved, path_join(buf, base, path));
}

static void render_bytes(struct rendering *r)
{
	char dots[256];

	for (uint32_t i = 0; i < r->param.len;) {
		uint32_t n = 0;

		for (; n < sizeof dots && i < r->param.len; n++, i++)
			dots[n] = r->param.p[i] >= 0x20 && r->param.p[i] < 0x7f ? (char)r->param.p[i] : '.';
		compose_bytes(r->plain, dots, n);
	}
}

static void render_sockaddr(struct rendering *r)
{
	struct str s;

	if (sock_addr_param_text(r->e->scratch, &r->param, &s))
		compose_str(r->plain, s);
	else
		r->plain->failed = true;
}

static void render_socktuple(struct rendering *r)
{
	struct str s;

	if (sock_tuple_param_text(r->e->scratch, &r->param, &s))
		compose_str(r->plain, s);
	else
		r->plain->failed = true;
}

bool fdlist_next(const struct param *list, uint32_t *pos, int64_t *fd, int16_t *flags)
{
	uint16_t n;

	if (list->len < sizeof n)
		return false;
	memcpy(&n, list->p, sizeof n);
	uint64_t at = sizeof n + (uint64_t)*pos * 10;
	if (*pos >= n || at + 10 > list->len)
		return false;
	memcpy(fd, list->p + at, sizeof *fd);
	memcpy(flags, list->p + at + sizeof *fd, sizeof *flags);
	++*pos;
	return true;
}

static void render_fdlist(struct rendering *r)
{
	struct thread *thread = evt_thread(r->e);
	int16_t flags;
	int64_t fd;

	if (!thread)
		return;
	for (uint32_t pos = 0; fdlist_next(&r->param, &pos, &fd, &flags);) {
		const struct fd_rec *rec = evt_find_fd(r->e, thread, fd);

		compose_fmt(r->plain, "%s%" PRIu64 ":%c%x", pos > 1 ? " " : "", (uint64_t)fd,
			    rec ? fd_type_letter(rec) : '?', (unsigned)flags);
	}
}

static void render_syscall(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	if (v >= SC_COUNT) {
		compose_str(r->plain, STR("<unknown syscall>"));
		return;
	}
	compose_int(r->plain, v);
	compose_z(r->resolved, syscall_name((uint32_t)v));
}

static void render_signal(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	compose_int(r->plain, v);
	compose_z(r->resolved, signal_name((int)v));
}

static void render_sigset(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	const char *between = "";
	for (int i = 0; i < 32; i++) {
		const char *name = v >> i & 1 ? signal_name(i + 1) : NULL;

		if (name) {
			compose_fmt(r->plain, "%s%s", between, name);
			between = " ";
		}
	}
}

static void render_reltime(struct rendering *r)
{
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	if (v == -1) {
		compose_str(r->plain, STR("none"));
		return;
	}
	compose_fmt(r->plain, "%" PRIu64, (uint64_t)v);
	compose_fmt(r->resolved, "%gs", (double)(uint64_t)v / 1000000000);
}

static void render_abstime(struct rendering *r)
{
	char buf[64];
	int64_t v;

	if (rendering_int(r, &v))
		compose_bytes(r->plain, buf, time_text((uint64_t)v, TIME_DATE_NS, buf, sizeof buf));
}

static void compose_name(struct compose *c, const char *name)
{
	if (c->len)
		compose_str(c, STR("|"));
	compose_z(c, name);
}

/* Bit by bit in the table's order. A matched row takes its bits away; a row without bits needs the value 0. */
static void render_flags(struct rendering *r)
{
	const struct flag_table *table = r->info->flags;
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	uint32_t all = (uint32_t)v, left = all;

	compose_int(r->plain, all);
	for (uint32_t i = 0; table && i < table->n; i++) {
		uint32_t bits = table->rows[i].value;

		if (bits ? left && (left & bits) == bits : !all) {
			compose_name(r->resolved, table->rows[i].name);
			left &= ~bits;
			if (bits == all)
				break;
		}
	}
}

/* Every name of exactly this value. */
static void render_enum(struct rendering *r)
{
	const struct flag_table *table = r->info->flags;
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	compose_int(r->plain, (uint32_t)v);
	for (uint32_t i = 0; table && i < table->n; i++)
		if (table->rows[i].value == (uint32_t)v)
			compose_name(r->resolved, table->rows[i].name);
}

/* As flags, but a row equal to the whole value ends the search, and is named even if its bits are gone. */
static void render_mode(struct rendering *r)
{
	const struct flag_table *table = r->info->flags;
	int64_t v;

	render_number(r);
	if (!param_read(&r->param, r->type, &v))
		return;
	uint32_t all = (uint32_t)v, left = all;

	for (uint32_t i = 0; table && i < table->n; i++) {
		uint32_t bits = table->rows[i].value;

		if (bits == all) {
			compose_name(r->resolved, table->rows[i].name);
			break;
		}
		if (bits && left && (left & bits) == bits) {
			compose_name(r->resolved, table->rows[i].name);
			left &= ~bits;
		}
	}
}

static void compose_owner(struct rendering *r, int64_t id, struct str name)
{
	compose_int(r->plain, (int32_t)id);
	compose_str(r->resolved, name.len ? name : STR("<NA>"));
}

static void render_uid(struct rendering *r)
{
	struct thread *thread = evt_thread(r->e);
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	const struct user *user = thread && v != UINT32_MAX
		? users_find(r->e->st->users, thread_container(r->e, thread), (uint32_t)v) : NULL;
	compose_owner(r, v, v == UINT32_MAX ? STR("<NONE>") : user ? user->name
			 : thread && v == 0 ? STR("root") : STR("<NA>"));
}

static void render_gid(struct rendering *r)
{
	struct thread *thread = evt_thread(r->e);
	int64_t v;

	if (!rendering_int(r, &v))
		return;
	const struct group *group = thread && v != UINT32_MAX
		? users_find_group(r->e->st->users, thread_container(r->e, thread), (uint32_t)v) : NULL;
	compose_owner(r, v, v == UINT32_MAX ? STR("<NONE>") : group ? group->name
			 : thread && v == 0 ? STR("root") : STR("<NA>"));
}

static void render_nothing(struct rendering *r)
{
	compose_str(r->plain, STR("(n.a.)"));
}

static void render_bad_dyn(struct rendering *r)
{
	compose_str(r->plain, STR("INVALID DYNAMIC PARAMETER"));
}

static const renderer renderers[PT_COUNT] = {
	[PT_INT8] = render_number, [PT_INT16] = render_number, [PT_INT32] = render_number, [PT_INT64] = render_number,
	[PT_UINT8] = render_number, [PT_UINT16] = render_number, [PT_UINT32] = render_number,
	[PT_UINT64] = render_number, [PT_CHARBUF] = render_text, [PT_BYTEBUF] = render_bytes,
	[PT_ERRNO] = render_errno, [PT_SOCKADDR] = render_sockaddr, [PT_SOCKTUPLE] = render_socktuple,
	[PT_FD] = render_fd, [PT_PID] = render_pid, [PT_FDLIST] = render_fdlist, [PT_FSPATH] = render_path,
	[PT_SYSCALLID] = render_syscall, [PT_SIGTYPE] = render_signal, [PT_RELTIME] = render_reltime,
	[PT_ABSTIME] = render_abstime, [PT_DYN] = render_bad_dyn, [PT_FLAGS8] = render_flags,
	[PT_FLAGS16] = render_flags, [PT_FLAGS32] = render_flags, [PT_UID] = render_uid, [PT_GID] = render_gid,
	[PT_SIGSET] = render_sigset, [PT_MODE] = render_mode, [PT_FSRELPATH] = render_path,
	[PT_ENUMFLAGS8] = render_enum, [PT_ENUMFLAGS16] = render_enum, [PT_ENUMFLAGS32] = render_enum,
};

/* Values that could be absent from the start read NULL; the rest, whose absence came later, <NA>. */
static struct str absent_text(uint8_t type)
{
	switch (type) {
	case PT_BYTEBUF:
	case PT_SOCKTUPLE:
	case PT_FDLIST:
	case PT_CHARBUFARRAY:
	case PT_CHARBUF_PAIR_ARRAY:
	case PT_DYN:
		return STR("NULL");
	}
	return STR("<NA>");
}

const struct param_info *dyn_select(const struct param_info *info, struct param *a)
{
	if (!info->dyn || !a->len || a->p[0] >= info->dyn->n)
		return NULL;
	const struct param_info *alternative = &info->dyn->alternatives[a->p[0]];
	a->p++;
	a->len--;
	return alternative;
}

void param_text(const struct evt *e, uint32_t i, struct compose *plain, struct compose *resolved)
{
	const struct param_info *info = &e->info->params[i];
	struct rendering r = { e, info, info->type, *evt_param(e, i), plain, resolved };

	if (!r.param.len) {
		compose_str(plain, absent_text(info->type));
		return;
	}
	if (info->type == PT_DYN) {
		const struct param_info *alternative = dyn_select(info, &r.param);
		r.type = alternative ? alternative->type : PT_DYN;
	}
	renderer render = r.type < PT_COUNT ? renderers[r.type] : NULL;
	(render ? render : render_nothing)(&r);
}

int param_value(const struct evt *e, uint32_t i, struct value *v)
{
	const struct param_info *info = i < e->info->nparams ? &e->info->params[i] : NULL;
	struct param a = *evt_param(e, i);
	uint8_t format;

	if (!info || i >= e->h.nparams)
		return 0;
	format = info->format;
	if (info->type == PT_DYN && !(info = dyn_select(info, &a)))
		return 0;
	*v = (struct value){ .type = info->type, .format = format };
	if (type_is_text(v->type))
		return value_str(v, text_of(&a));
	if (type_is_number(v->type))
		return param_read(&a, v->type, &v->num.i);
	return value_str(v, (struct str){ (const char *)a.p, a.len });
}
