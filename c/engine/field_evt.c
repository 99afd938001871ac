// SPDX-License-Identifier: Apache-2.0
/* evt.* and syscall.type: what the event itself says. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "field_evt.h"
#include "getters.h"
#include "match.h"
#include "path.h"
#include "state.h"
#include "value.h"

enum { NS = 1000000000 };

/* Bits of PT_FLAGS32 open flags and of modes, as events carry them. */
enum {
	OF_READ = 0x1,
	OF_WRITE = 0x2,
	OF_CREAT = 0x4,
	OF_TMPFILE = 0x2000,
	OF_CREATED = 0x4000,
	MODE_EXEC = 0111,
};

/* ------------------------------------------------------------------ when */

int get_evt_num(const struct field_ctx *c, struct value *v)
{
	return value_uint(v, c->e->h.num);
}

int get_evt_time(const struct field_ctx *c, struct value *v)
{
	enum { ROOM = 64 };
	char *p = arena_get(c->e->scratch, ROOM);

	if (!p)
		return 0;
	v->flags |= VALUE_JSON_NUM;
	v->num.u = c->e->h.ts;
	return value_str(v, (struct str){ p, time_text(c->e->h.ts, (int)c->variant, p, ROOM) });
}

static int value_time(struct value *v, uint64_t ns, uint32_t part)
{
	v->flags |= VALUE_JSON_NUM;	/* zero padded as text, but not in JSON */
	return value_uint(v, part == PART_S ? ns / NS : part == PART_NS ? ns % NS : ns);
}

int get_evt_rawtime(const struct field_ctx *c, struct value *v)
{
	return value_time(v, c->e->h.ts, c->variant);
}

int get_evt_reltime(const struct field_ctx *c, struct value *v)
{
	return value_time(v, c->e->h.ts - c->e->st->first_ts, c->variant);
}

/*
 * memo[0] holds when this use was last read. The reference reads a field of an alert again for JSON, when no time has
 * passed since the text was made: JSON shows 0.
 */
int get_evt_deltatime(const struct field_ctx *c, struct value *v)
{
	uint64_t now = c->e->h.ts, last = c->memo[0] ? c->memo[0] : now;
	char *p;

	c->memo[0] = now;
	value_time(v, now - last, c->variant);
	if (c->compare)
		return 1;
	if (!(p = arena_get(c->e->scratch, 32)))
		return 0;
	v->flags &= ~VALUE_JSON_NUM;
	uint32_t len = value_text(v, p, 32);
	*v = (struct value){ .type = PT_CHARBUF, .flags = VALUE_JSON_NUM };
	return value_str(v, (struct str){ p, len });
}

int get_evt_zero(const struct field_ctx *c, struct value *v)
{
	return value_time(v, 0, PART_ALL);
}

int get_evt_latency_human(const struct field_ctx *c, struct value *v)
{
	return value_str(v, STR("0ns"));
}

/* Nanoseconds since the epoch, of any size: field_arg.index is too narrow. */
static bool parse_moment(struct str s, uint64_t *ns)
{
	*ns = 0;
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(*ns, 10u, ns) ||
		    __builtin_add_overflow(*ns, (uint64_t)(s.p[i] - '0'), ns))
			return false;
	return s.len > 0;
}

int check_evt_around(struct field_arg *arg, struct value *type, struct err *err)
{
	uint64_t ns;

	if (!parse_moment(arg->key, &ns))
		return err_set(err, EINVAL, "evt.around[%.*s]: the time has to be a number of nanoseconds since 1970",
			       (int)arg->key.len, arg->key.p);
	return 0;
}

/* The distance in ms, rounded up; FIELD_AT_MOST makes "= D" mean "no more than D". */
int get_evt_around(const struct field_ctx *c, struct value *v)
{
	uint64_t at, ts = c->e->h.ts;

	if (!parse_moment(c->arg->key, &at))
		return 0;
	uint64_t apart = ts > at ? ts - at : at - ts;
	return value_uint(v, apart / 1000000 + (apart % 1000000 > 0));
}

/* ------------------------------------------------------------------ what */

static bool is_meta(const struct evt *e)
{
	return e->info->origin == FROM_METAEVENT;
}

int get_evt_none(const struct field_ctx *c, struct value *v)
{
	return 0;
}

int get_evt_source(const struct field_ctx *c, struct value *v)
{
	return value_str(v, STR("syscall"));
}

int get_evt_is_async(const struct field_ctx *c, struct value *v)
{
	return value_uint(v, is_meta(c->e));
}

/* The name of the event's kind: async events bring their own. */
static int value_kind(const struct evt *e, struct value *v)
{
	if (e->h.code != EV_ASYNCEVENT_E)
		return value_str(v, str_of(e->info->name));
	struct str name = param_str(e, 1);
	return value_str(v, name.p ? name : STR("<NA>"));
}

int get_evt_asynctype(const struct field_ctx *c, struct value *v)
{
	return is_meta(c->e) && value_kind(c->e, v);
}

int get_evt_hostname(const struct field_ctx *c, struct value *v)
{
	enum { ROOM = 256 };
	const char *name = getenv("FALCO_HOSTNAME");
	char *p;

	if (!name)
		name = c->e->st->machine.hostname;
	if (!*name) {
		if (!(p = arena_get(c->e->scratch, ROOM)) || gethostname(p, ROOM - 1) < 0)
			return 0;
		p[ROOM - 1] = 0;
		name = p;
	}
	return value_str(v, str_of(name));
}

int get_evt_dir(const struct field_ctx *c, struct value *v)
{
	return value_str(v, EVENT_IS_EXIT(c->e->h.code) ? STR("<") : STR(">"));
}

int get_evt_type(const struct field_ctx *c, struct value *v)
{
	if (event_is_generic(c->e->h.code))
		return value_str(v, str_of(syscall_name(c->e->h.sc)));
	return value_kind(c->e, v);
}

int get_syscall_type(const struct field_ctx *c, struct value *v)
{
	return c->e->info->origin == FROM_SYSCALL && get_evt_type(c, v);
}

/* The first code of that name (its exit follows it), or a code by number. */
int check_evt_type_is(struct field_arg *arg, struct value *type, struct err *err)
{
	uint64_t number;

	if (parse_moment(arg->key, &number)) {
		arg->ref = number < EV_COUNT ? (int32_t)number : -1;
		return 0;
	}
	for (int32_t code = 0; code < EV_COUNT; code++) {
		if (str_is(arg->key, event_table[code].name)) {
			arg->ref = code;
			return 0;
		}
	}
	return err_set(err, EINVAL, "evt.type.is.%.*s: no event has that name", (int)arg->key.len, arg->key.p);
}

int get_evt_type_is(const struct field_ctx *c, struct value *v)
{
	uint32_t code = c->e->h.code, first = (uint32_t)c->arg->ref;
	bool by_number = c->arg->key.len && c->arg->key.p[0] >= '0' && c->arg->key.p[0] <= '9';

	return value_uint(v, code == first || (!by_number && code == first + 1));
}

/* What input and output deal with depends on the descriptor. */
static struct str io_category(const struct fd_rec *fd)
{
	if (!fd)
		return STR("unknown");
	switch (fd->d.type) {
	case FD_FILE:
	case FD_FILE_V2:
	case FD_DIRECTORY:
		return STR("file");
	case FD_IPV4:
	case FD_IPV6:
	case FD_IPV4_LISTEN:
	case FD_IPV6_LISTEN:
		return STR("net");
	case FD_FIFO:
	case FD_UNIX:
	case FD_EVENT:
	case FD_SIGNALFD:
	case FD_INOTIFY:
	case FD_USERFAULTFD:
		return STR("ipc");
	}
	return STR("unknown");
}

static bool is_io(const struct evt *e)
{
	return e->info->kind >= CAT_IO_READ && e->info->kind <= CAT_IO_OTHER;
}

int get_evt_category(const struct field_ctx *c, struct value *v)
{
	static const char *const names[] = {
		[CAT_UNKNOWN] = "unknown", [CAT_OTHER] = "other", [CAT_FILE] = "file", [CAT_NET] = "net",
		[CAT_IPC] = "IPC", [CAT_MEMORY] = "memory", [CAT_PROCESS] = "process", [CAT_SLEEP] = "sleep",
		[CAT_SYSTEM] = "system", [CAT_SIGNAL] = "signal", [CAT_USER] = "user", [CAT_TIME] = "time",
		[CAT_WAIT] = "wait", [CAT_SCHEDULER] = "scheduler", [CAT_INTERNAL] = "internal",
	};

	if (is_io(c->e))
		return value_str(v, io_category(c->e->fd));
	return value_str(v, str_of(names[c->e->info->kind]));
}

int get_evt_cpu(const struct field_ctx *c, struct value *v)
{
	return value_int(v, (int16_t)c->e->h.cpu);
}

int get_evt_flag(const struct field_ctx *c, struct value *v)
{
	return value_uint(v, (c->e->info->flags & c->variant) != 0);
}

int get_evt_io_dir(const struct field_ctx *c, struct value *v)
{
	uint32_t flags = c->e->info->flags;

	if (!(flags & (EF_WRITES_TO_FD | EF_READS_FROM_FD)))
		return 0;
	return value_str(v, flags & EF_WRITES_TO_FD ? STR("write") : STR("read"));
}

int get_evt_is_syslog(const struct field_ctx *c, struct value *v)
{
	const struct fd_rec *fd = c->e->fd;

	return value_uint(v, c->e->info->flags & EF_WRITES_TO_FD && fd &&
				     memmem(fd->d.name.p, fd->d.name.len, "/dev/log", 8));
}

int get_evt_count(const struct field_ctx *c, struct value *v)
{
	return value_uint(v, 1);
}

int get_evt_count_exit(const struct field_ctx *c, struct value *v)
{
	return EVENT_IS_EXIT(c->e->h.code) && value_uint(v, 1);
}

int get_evt_count_procinfo(const struct field_ctx *c, struct value *v)
{
	bool only_main = c->variant, counts = c->e->h.code == EV_PROCINFO_E;

	if (counts && only_main) {
		const struct thread *thread = evt_thread(c->e);
		counts = thread && thread_is_main(thread);
	}
	return value_uint(v, counts);
}

int get_util_cnt(const struct field_ctx *c, struct value *v)
{
	uint64_t n = ++c->memo[0];
	char *p;

	value_uint(v, n);
	if (c->compare)
		return 1;
	/* an alert's fields are read once for text and thrice for JSON, which shows the second of each three */
	if (!(p = arena_get(c->e->scratch, 32)))
		return 0;
	uint32_t len = value_text(v, p, 32);
	*v = (struct value){ .type = PT_CHARBUF, .flags = VALUE_JSON_NUM };
	v->num.u = 3 * n - 1;
	return value_str(v, (struct str){ p, len });
}

/* ------------------------------------------------------------------ parameters */

int get_evt_args(const struct field_ctx *c, struct value *v)
{
	const struct evt *e = c->e;
	struct compose all = { .arena = e->scratch };

	if (event_is_generic(e->h.code))
		return value_str(v, STR(""));
	for (uint32_t i = 0; i < e->h.nparams && i < e->info->nparams; i++) {
		struct compose resolved = { .arena = e->scratch };

		if (i)
			compose_str(&all, STR(" "));
		compose_str(&all, str_of(e->info->params[i].name));
		compose_str(&all, STR("="));
		param_text(e, i, &all, &resolved);
		if (resolved.len) {
			compose_str(&all, STR("("));
			compose_bytes(&all, resolved.p, resolved.len);
			compose_str(&all, STR(")"));
		}
		all.failed |= resolved.failed;
	}
	return value_composed(v, &all);
}

/* Position of the parameter of that name in this event, or -1. */
static int param_find(const struct evt *e, struct str name)
{
	for (uint32_t i = 0; i < e->h.nparams && i < e->info->nparams; i++)
		if (str_is(name, e->info->params[i].name))
			return (int)i;
	return -1;
}

/* The first parameter of that name in the table of events. */
static const struct param_info *param_named(struct str name)
{
	for (uint32_t code = 0; code < EV_COUNT; code++)
		for (uint32_t i = 0; i < event_table[code].nparams; i++)
			if (str_is(name, event_table[code].params[i].name))
				return &event_table[code].params[i];
	return NULL;
}

static const char *param_like(struct str name)
{
	const char *best = NULL;
	uint32_t least = UINT32_MAX;

	for (uint32_t code = 0; code < EV_COUNT; code++) {
		for (uint32_t i = 0; i < event_table[code].nparams; i++) {
			uint32_t unlike = text_unlike(name, str_of(event_table[code].params[i].name));

			if (unlike < least) {
				best = event_table[code].params[i].name;
				least = unlike;
			}
		}
	}
	return best;
}

static int no_such_param(const struct field_arg *arg, const char *field, struct err *err)
{
	const char *near = err ? param_like(arg->key) : NULL;

	if (near)
		return err_set(err, EINVAL, "%s.%.*s: no event has a parameter of that name (did you mean '%s.%s'?)", field,
			       (int)arg->key.len, arg->key.p, field, near);
	return err_set(err, EINVAL, "%s.%.*s: no event has a parameter of that name", field, (int)arg->key.len,
		       arg->key.p);
}

int check_evt_arg(struct field_arg *arg, struct value *type, struct err *err)
{
	return arg->is_index || param_named(arg->key) ? 0 : no_such_param(arg, "evt.arg", err);
}

/* Constants are read with the type that the first parameter of the name has. */
int check_evt_rawarg(struct field_arg *arg, struct value *type, struct err *err)
{
	const struct param_info *info = param_named(arg->key);

	if (!info)
		return no_such_param(arg, "evt.rawarg", err);
	type->type = info->type;
	type->format = info->format;
	return 0;
}

static int value_param_text(const struct evt *e, uint32_t i, struct value *v)
{
	struct compose plain = { .arena = e->scratch }, resolved = { .arena = e->scratch };

	param_text(e, i, &plain, &resolved);
	return value_composed(v, resolved.len || resolved.failed ? &resolved : &plain);
}

static bool looks_up(uint8_t type)
{
	return type == PT_FD || type == PT_PID || type == PT_FDLIST || type == PT_FSRELPATH || type == PT_DYN;
}

bool evt_arg_looks_up(const struct field_arg *arg)
{
	for (uint32_t code = 0; code < EV_COUNT; code++) {
		const struct event_info *info = event_row(code);

		for (uint32_t i = 0; i < info->nparams; i++)
			if (looks_up(info->params[i].type) &&
			    (arg->is_index ? i == arg->index : str_eq(str_of(info->params[i].name), arg->key)))
				return true;
	}
	return false;
}

int get_evt_arg(const struct field_ctx *c, struct value *v)
{
	int64_t i = c->arg->is_index ? (int64_t)c->arg->index : param_find(c->e, c->arg->key);

	if (i < 0 || i >= c->e->h.nparams || i >= c->e->info->nparams)
		return 0;
	return value_param_text(c->e, (uint32_t)i, v);
}

int get_evt_rawarg(const struct field_ctx *c, struct value *v)
{
	int i = param_find(c->e, c->arg->key);

	if (i < 0)
		return 0;
	/* nothing of no length compares, texts apart; an empty number shows as 0 */
	if (param_value(c->e, (uint32_t)i, v))
		return !c->compare || v->len || type_is_text(v->type) || type_is_number(v->type);
	v->type = c->e->info->params[i].type;
	v->format = c->e->info->params[i].format;
	return !c->compare && type_is_number(v->type) && value_int(v, 0);
}

int get_evt_buffer(const struct field_ctx *c, struct value *v)
{
	int i = param_find(c->e, STR("data"));

	if (i < 0)
		return 0;
	if (!c->compare && c->e->info->params[i].type != PT_BYTEBUF) {
		v->type = PT_CHARBUF;
		return value_param_text(c->e, (uint32_t)i, v);
	}
	return value_str(v, param_bytes(c->e, (uint32_t)i));
}

/* ------------------------------------------------------------------ results */

int get_evt_rawres(const struct field_ctx *c, struct value *v)
{
	int64_t res;

	return evt_result(c->e, &res) && value_int(v, res);
}

int get_evt_res(const struct field_ctx *c, struct value *v)
{
	int64_t res;

	if (!evt_result(c->e, &res))
		return 0;
	return res >= 0 ? value_str(v, STR("SUCCESS")) : value_param_text(c->e, 0, v);
}

static bool is_socket(const struct fd_rec *fd)
{
	return fd_is_ip(fd) || fd->d.type == FD_UNIX;
}

/* Calls that open files, and calls that make connections: what they fail on has no descriptor yet. */
static bool opens_file(uint32_t code)
{
	return code == EV_SYSCALL_OPEN_X || code == EV_SYSCALL_CREAT_X || code == EV_SYSCALL_OPENAT_2_X ||
	       code == EV_SYSCALL_OPENAT2_X || code == EV_SYSCALL_OPEN_BY_HANDLE_AT_X;
}

static bool connects(uint32_t code)
{
	return code == EV_SOCKET_ACCEPT_5_X || code == EV_SOCKET_ACCEPT4_6_X || code == EV_SOCKET_CONNECT_X;
}

static bool counts_as(const struct evt *e, uint32_t what)
{
	const struct fd_rec *fd = e->fd;

	if (what == ERRORS_ALL)
		return true;
	bool file = fd ? fd_is_file(fd) || fd_is_dir(fd) : opens_file(e->h.code);
	bool net = fd ? is_socket(fd) : connects(e->h.code);
	bool memory = e->info->kind == CAT_MEMORY;

	switch (what) {
	case ERRORS_FILE:
		return file;
	case ERRORS_NET:
		return net;
	case ERRORS_MEMORY:
		return memory;
	case ERRORS_OTHER:
		return !file && !net && (fd || !memory);
	}
	return true;
}

int get_evt_failed(const struct field_ctx *c, struct value *v)
{
	int64_t res;

	return counts_as(c->e, c->variant) && evt_result(c->e, &res) && value_uint(v, res < 0);
}

int get_evt_buflen(const struct field_ctx *c, struct value *v)
{
	const struct evt *e = c->e;
	uint32_t direction = c->variant & IO_DIRECTION;
	int64_t res;

	if (!e->fd || !is_io(e) || (direction == IO_IN && e->info->kind != CAT_IO_READ) ||
	    (direction == IO_OUT && e->info->kind != CAT_IO_WRITE) || (c->variant & IO_FILE && !fd_is_file(e->fd)) ||
	    (c->variant & IO_NET && !fd_is_ip(e->fd)))
		return 0;
	return evt_result(e, &res) && res >= 0 && value_int(v, res);
}

/* ------------------------------------------------------------------ opening files */

/* Where open calls have their flags and mode; mode 0: none. */
static const struct open_row {
	uint32_t code;
	uint8_t flags, mode;
} open_rows[] = {
	{ EV_SYSCALL_OPEN_X, 2, 3 },
	{ EV_SYSCALL_OPENAT_2_X, 3, 4 },
	{ EV_SYSCALL_OPENAT2_X, 3, 4 },
	{ EV_SYSCALL_OPEN_BY_HANDLE_AT_X, 2, 0 },
};

static bool open_is(const struct evt *e, const struct open_row *row, uint32_t what)
{
	uint32_t flags = (uint32_t)param_int_or(e, row->flags, 0);
	int64_t res;

	switch (what) {
	case OPEN_READ:
		return flags & OF_READ;
	case OPEN_WRITE:
		return flags & OF_WRITE;
	case OPEN_CREATE:
		return flags & OF_CREATED || (flags & OF_TMPFILE && evt_result(e, &res) && res >= 0);
	case OPEN_EXEC:
		return flags & (OF_CREAT | OF_TMPFILE) && row->mode && param_int_or(e, row->mode, 0) & MODE_EXEC;
	}
	return false;
}

int get_evt_is_open(const struct field_ctx *c, struct value *v)
{
	const struct evt *e = c->e;

	for (uint32_t i = 0; i < sizeof open_rows / sizeof open_rows[0]; i++)
		if (open_rows[i].code == e->h.code)
			return value_uint(v, open_is(e, &open_rows[i], c->variant));
	if (e->h.code == EV_SYSCALL_CREAT_X && c->variant == OPEN_EXEC)
		return value_uint(v, (param_int_or(e, 2, 0) & MODE_EXEC) != 0);
	return value_uint(v, 0);
}

/* ------------------------------------------------------------------ evt.abspath */

enum abspath_which { ABSPATH_ANY, ABSPATH_SRC, ABSPATH_DST };

int check_evt_abspath(struct field_arg *arg, struct value *type, struct err *err)
{
	arg->ref = str_is(arg->key, "src") ? ABSPATH_SRC : str_is(arg->key, "dst") ? ABSPATH_DST : ABSPATH_ANY;
	if (arg->given && arg->ref == ABSPATH_ANY)
		return err_set(err, EINVAL, "evt.abspath.%.*s: only src and dst can follow", (int)arg->key.len,
			       arg->key.p);
	return 0;
}

/* Positions of directory and path; of calls with two pairs the second is the destination. */
static const struct abspath_row {
	uint32_t code;
	uint8_t dirfd, path, dst_dirfd, dst_path;
} abspath_rows[] = {
	{ EV_SYSCALL_RENAMEAT_X, 1, 2, 3, 4 },
	{ EV_SYSCALL_RENAMEAT2_X, 1, 2, 3, 4 },
	{ EV_SYSCALL_LINKAT_2_X, 1, 2, 3, 4 },
	{ EV_SYSCALL_SYMLINKAT_X, 2, 3, 2, 3 },
	{ EV_SYSCALL_OPENAT_2_X, 1, 2, 1, 2 },
	{ EV_SYSCALL_OPENAT2_X, 1, 2, 1, 2 },
	{ EV_SYSCALL_UNLINKAT_2_X, 1, 2, 1, 2 },
	{ EV_SYSCALL_MKDIRAT_X, 1, 2, 1, 2 },
	{ EV_SYSCALL_FCHMODAT_X, 1, 2, 1, 2 },
	{ EV_SYSCALL_FCHOWNAT_X, 1, 2, 1, 2 },
};

static int value_joined(const struct evt *e, struct value *v, struct str base, struct str path)
{
	char *buf = arena_get(e->scratch, PATH_ROOM);

	return buf && value_str(v, path_join(buf, base, path));
}

static const struct abspath_row *abspath_row(uint32_t code)
{
	for (uint32_t i = 0; i < sizeof abspath_rows / sizeof abspath_rows[0]; i++)
		if (abspath_rows[i].code == code)
			return &abspath_rows[i];
	return NULL;
}

bool evt_abspath_has(uint32_t code)
{
	return code == EV_SYSCALL_OPEN_BY_HANDLE_AT_X || abspath_row(code);
}

/*
 * In the reference, reading this field leaves the directory behind as the event's descriptor, and the fields that an
 * alert shows after it speak of the directory. Its alerts are what people compare ours with, so ours do the same;
 * comparisons do not (the gate may have looked at the descriptor already), and alert_fill() puts it back.
 */
int get_evt_abspath(const struct field_ctx *c, struct value *v)
{
	enum { AT_CWD = -100 };
	const struct evt *e = c->e;
	const struct thread *thread = evt_thread(e);
	const struct abspath_row *row = abspath_row(e->h.code);
	bool dst = c->arg && c->arg->given && c->arg->ref == ABSPATH_DST;
	struct compose dir = { .arena = e->scratch };
	int64_t dirfd;

	if (!thread)
		return 0;
	if (e->h.code == EV_SYSCALL_OPEN_BY_HANDLE_AT_X)
		return param_int_or(e, 0, 0) > 0 && value_joined(e, v, STR(""), param_str(e, 3));
	if (!row)
		return 0;
	struct str path = param_str(e, dst ? row->dst_path : row->path);
	if (!path.p || !param_int(e, dst ? row->dst_dirfd : row->dirfd, &dirfd))
		return 0;
	if (dirfd == AT_CWD)
		return value_joined(e, v, thread_cwd(e->st->threads, thread), path);
	struct fd_rec *rec = fdtable_get(thread_fds(e->st->threads, thread), dirfd);
	if (!c->compare && path.p[0] != '/')
		((struct evt *)e)->fd = rec;
	compose_str(&dir, rec ? rec->d.name : STR("<UNKNOWN>"));
	compose_str(&dir, STR("/"));
	return !dir.failed && value_joined(e, v, (struct str){ dir.p, dir.len }, path);
}

/* ------------------------------------------------------------------ evt.infra.docker.* */

static struct str trim(struct str s)
{
	while (s.len && strchr(" \t\n\r\v\f", s.p[0]))
		s.p++, s.len--;
	while (s.len && strchr(" \t\n\r\v\f", s.p[s.len - 1]))
		s.len--;
	return s;
}

/* Cuts `s` before the first `c`; what follows it goes to `rest`. */
static bool cut(struct str s, char c, struct str *head, struct str *rest)
{
	const char *at = s.len ? memchr(s.p, c, s.len) : NULL;

	*head = s;
	*rest = (struct str){ NULL, 0 };
	if (!at)
		return false;
	head->len = (uint32_t)(at - s.p);
	*rest = (struct str){ at + 1, s.len - head->len - 1 };
	return true;
}

/* What an "Image" item names: up to a digest, or all of it when the digest comes first. */
static struct str infra_image(struct str item)
{
	struct str head, rest, image;

	cut(item, ':', &head, &rest);
	cut(rest, ':', &image, &head);
	if (memchr(image.p ? image.p : "", '@', image.len))
		cut(image, '@', &image, &head);
	else if (memmem(image.p ? image.p : "", image.len, "sha256", 6))
		image = rest;
	return trim(image);
}

/* "Event: start; ID: 4f2a...; Image: nginx; ..." */
int get_evt_infra(const struct field_ctx *c, struct value *v)
{
	static const char *const keys[] = { [INFRA_NAME] = "Event", [INFRA_ID] = "ID", [INFRA_CONTAINER] = "name",
					    [INFRA_IMAGE] = "Image" };
	enum { SHORT_ID = 12 };
	struct str left, item, rest, head, text;

	if (c->e->h.code != EV_INFRASTRUCTURE_EVENT_E)
		return 0;
	for (left = param_str(c->e, 2); left.len; left = rest) {
		cut(left, ';', &item, &rest);
		item = trim(item);
		if (!str_starts(item, str_of(keys[c->variant])) || !cut(item, ':', &head, &text))
			continue;
		if (c->variant == INFRA_IMAGE)
			return value_str(v, infra_image(item));
		cut(text, ':', &head, &text);
		head = trim(head);
		if (c->variant == INFRA_ID && head.len > SHORT_ID)
			head.len = SHORT_ID;
		return value_str(v, head);
	}
	return 0;
}
