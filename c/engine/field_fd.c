/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd.*: the descriptor that an event works on.
 *
 * What is known of the descriptor decides: its record; without one (an open that failed) some fields read the event's
 * own parameters instead; events that neither make, use nor close a descriptor have none of these fields.
 */
#include "getters.h"
#include "field_container.h"
#include "field_fd.h"
#include "field_proc.h"
#include "parse.h"
#include "path.h"

bool field_fd(const struct evt *e, struct fd_rec **rec)
{
	struct thread *t;

	if (!e->uses_fd || !(t = evt_thread(e)))
		return false;
	*rec = e->fd ? e->fd : fdtable_get(thread_fds(e->st->threads, t), t->last_fd);
	return true;
}

static struct fd_rec *record_of(const struct field_ctx *c)
{
	struct fd_rec *r;
	return field_fd(c->e, &r) ? r : NULL;
}

/* ------------------------------------------------------------------ kinds */

static const struct {
	const char *word;
	char letter;
} kinds[FD_TYPE_COUNT] = {
	[FD_UNKNOWN] = { "<NA>", 'o' },
	[FD_FILE] = { "file", 'f' },
	[FD_FILE_V2] = { "file", 'f' },
	[FD_DIRECTORY] = { "directory", 'd' },
	[FD_IPV4] = { "ipv4", '4' },
	[FD_IPV6] = { "ipv6", '6' },
	[FD_IPV4_LISTEN] = { "ipv4", '4' },
	[FD_IPV6_LISTEN] = { "ipv6", '6' },
	[FD_FIFO] = { "pipe", 'p' },
	[FD_UNIX] = { "unix", 'u' },
	[FD_EVENT] = { "event", 'e' },
	[FD_UNSUPPORTED] = { "<NA>", 'X' },
	[FD_SIGNALFD] = { "signalfd", 's' },
	[FD_EVENTPOLL] = { "eventpoll", 'l' },
	[FD_INOTIFY] = { "inotify", 'i' },
	[FD_TIMERFD] = { "timerfd", 't' },
	[FD_NETLINK] = { "netlink", 'n' },
	[FD_BPF] = { "bpf", 'b' },
	[FD_USERFAULTFD] = { "userfaultfd", 'u' },
	[FD_IO_URING] = { "io_uring", 'r' },
	[FD_MEMFD] = { "memfd", 'm' },
	[FD_PIDFD] = { "pidfd", 'P' },
};

const char *fd_type_word(const struct fd_rec *r)
{
	return kinds[r->d.type < FD_TYPE_COUNT ? r->d.type : FD_UNKNOWN].word;
}

uint8_t fd_type_of_word(const char *word)
{
	for (uint8_t type = FD_FILE; type < FD_TYPE_COUNT; type++)
		if (kinds[type].word[0] != '<' && strcmp(kinds[type].word, word) == 0)
			return type;
	return FD_UNKNOWN;
}

char fd_type_letter(const struct fd_rec *r)
{
	return r->d.type < FD_TYPE_COUNT ? kinds[r->d.type].letter : '?';
}

int get_fd_type(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	return r && value_str(v, str_of(fd_type_word(r)));
}

/* What an event would have made, had it worked. */
static const char kind_of_event[EV_COUNT] = {
	[EV_SYSCALL_OPENAT_2_X] = 'f', [EV_SYSCALL_OPENAT2_X] = 'f', [EV_SYSCALL_CREAT_X] = 'f',
	[EV_SOCKET_SOCKET_X] = '4', [EV_SOCKET_ACCEPT_5_X] = '4', [EV_SOCKET_ACCEPT4_6_X] = '4',
	[EV_SYSCALL_PIPE_X] = 'p', [EV_SYSCALL_PIPE2_X] = 'p',
	[EV_SYSCALL_EVENTFD_X] = 'e', [EV_SYSCALL_EVENTFD2_X] = 'e',
	[EV_SYSCALL_SIGNALFD_X] = 's', [EV_SYSCALL_SIGNALFD4_X] = 's',
	[EV_SYSCALL_TIMERFD_CREATE_X] = 't',
	[EV_SYSCALL_INOTIFY_INIT_X] = 'i', [EV_SYSCALL_INOTIFY_INIT1_X] = 'i',
};

int get_fd_typechar(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r;

	if (!field_fd(c->e, &r))
		return 0;
	char letter = r ? fd_type_letter(r) : kind_of_event[c->e->h.code | 1];
	char *text = arena_get(c->e->scratch, 1);
	if (!text)
		return 0;
	*text = letter ? letter : 'o';
	return value_str(v, (struct str){ text, 1 });
}

/* The kinds of all descriptors, each once. None: missing in an output, in comparisons the empty list that it is. */
static int all_types(const struct field_ctx *c, struct value *v, struct fdtable **fds)
{
	struct value *items = arena_get(c->e->scratch, FD_TYPE_COUNT * sizeof *items);
	struct fd_rec *r;
	int64_t fd;
	uint32_t n = 0;

	if (!items || (fds && *fds && !fdtable_settle(c->e->st->fds, fds)))
		return 0;
	for (uint32_t pos = 0; fds && fdtable_next(*fds, &pos, &fd, &r);) {
		const char *word = fd_type_word(r);
		uint32_t i = 0;

		while (i < n && strcmp(items[i].p, word) != 0)
			i++;
		if (i == n && n < FD_TYPE_COUNT) {
			items[n] = (struct value){ .type = v->type, .format = v->format };
			value_str(&items[n++], str_of(word));
		}
	}
	v->flags |= VALUE_LIST;
	v->p = items;
	v->num.n = n;
	return c->compare || n > 0;
}

int get_fd_types(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r;
	struct thread *t = evt_thread(c->e);

	if (!field_fd(c->e, &r))
		return 0;
	struct fdtable **fds = thread_fds_slot(c->e->st->threads, t);
	if (!c->arg->given || !c->arg->is_index)
		return all_types(c, v, fds);

	struct value *item = arena_get(c->e->scratch, sizeof *item);
	if (!item || !(r = fdtable_get(fds ? *fds : NULL, c->arg->index)))
		return 0;
	*item = (struct value){ .type = v->type, .format = v->format };
	value_str(item, str_of(fd_type_word(r)));
	v->flags |= VALUE_LIST;
	v->p = item;
	v->num.n = 1;
	return 1;
}

/* ------------------------------------------------------------------ names */

/* Parameter i the way people read it. false: out of scratch memory. */
static bool shown_param(const struct evt *e, uint32_t i, struct str *out)
{
	struct compose plain = { .arena = e->scratch }, resolved = { .arena = e->scratch };

	param_text(e, i, &plain, &resolved);
	*out = resolved.len ? (struct str){ resolved.p, resolved.len } : (struct str){ plain.p, plain.len };
	return !plain.failed && !resolved.failed;
}

/* Path of openat and openat2: directory in parameter 1, name in 2. */
static bool path_of_openat(const struct evt *e, bool raw, struct str *out)
{
	char dir[PATH_ROOM], *path = arena_get(e->scratch, PATH_ROOM);
	struct str name = param_str(e, 2);
	int64_t dirfd;

	if (!path || !name.p)
		return false;
	*out = name;
	if (raw)
		return true;
	if (!param_int(e, 1, &dirfd))
		return false;
	*out = path_join(path, event_dirfd(e, name, dirfd, dir, sizeof dir), name);
	return true;
}

/* The name that an event without a record tells. false: none. */
static bool name_of_event(const struct evt *e, bool raw, struct str *out)
{
	if (!EVENT_IS_EXIT(e->h.code))
		return false;
	switch (e->h.code) {
	case EV_SYSCALL_OPEN_X:
	case EV_SYSCALL_CREAT_X:
	case EV_SOCKET_ACCEPT_5_X:
	case EV_SOCKET_ACCEPT4_6_X:
	case EV_SOCKET_CONNECT_X:
		return shown_param(e, 1, out);
	case EV_SYSCALL_OPENAT_2_X:
	case EV_SYSCALL_OPENAT2_X:
		return path_of_openat(e, raw, out);
	case EV_SYSCALL_OPEN_BY_HANDLE_AT_X:
		*out = param_text_or_na(e, 3);
		return true;
	default:
		*out = (struct str){ "", 0 };
		return true;
	}
}

/* The text, after the container's id and a colon if the variant says so. */
static int value_name(const struct field_ctx *c, struct value *v, struct str s)
{
	struct compose both = { .arena = c->e->scratch };

	if (!(c->variant & FD_OF_CONTAINER))
		return value_str(v, s);
	compose_str(&both, thread_container(c->e, evt_thread(c->e)));
	compose_bytes(&both, ":", 1);
	compose_str(&both, s);
	return value_composed(v, &both);
}

int get_fd_name(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r;
	struct str s;

	if (!field_fd(c->e, &r))
		return 0;
	if (r)
		s = r->d.name;
	else if (!name_of_event(c->e, false, &s))
		return 0;
	return value_name(c, v, s);
}

int get_fd_nameraw(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r;
	struct str s;

	if (!field_fd(c->e, &r))
		return 0;
	if (r)
		s = r->d.raw;
	else if (!name_of_event(c->e, true, &s))
		return 0;
	if (!s.len || !memmem(s.p, s.len, "//", 2))
		return value_str(v, s);

	char *text = arena_get(c->e->scratch, s.len);
	uint32_t n = 0;
	for (uint32_t i = 0; text && i < s.len; i++)
		if (i == 0 || s.p[i] != '/' || s.p[i - 1] != '/')
			text[n++] = s.p[i];
	return text && value_str(v, (struct str){ text, n });
}

/* Text before the last slash; a name that ends in one is left whole. */
static struct str directory_of(struct str name)
{
	int64_t slash = str_rfind(name, '/');

	if (slash <= 0)
		return STR("/");
	if (slash < (int64_t)name.len - 1)
		name.len = (uint32_t)slash;
	return name;
}

int get_fd_directory(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r;
	struct str s;

	if (!field_fd(c->e, &r))
		return 0;
	if (r && !fd_is_file(r) && !fd_is_dir(r))
		return 0;
	if (r)
		s = r->d.name;
	else if (!name_of_event(c->e, false, &s))
		return 0;
	return value_name(c, v, r && fd_is_dir(r) ? s : directory_of(s));
}

int get_fd_filename(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);

	if (!r || !fd_is_file(r))
		return 0;
	struct str s = r->d.name;
	int64_t slash = str_rfind(s, '/');
	if (slash < 0)
		return value_str(v, STR("/"));
	if (slash < (int64_t)s.len - 1)
		s = (struct str){ s.p + slash + 1, s.len - (uint32_t)slash - 1 };
	return value_str(v, s);
}

/* ------------------------------------------------------------------ sockets */

static bool has_role(const struct fd_rec *r)
{
	return r->d.bits & (FD_CLIENT | FD_SERVER);
}

static bool is_connection(const struct fd_rec *r)
{
	return r->d.type == FD_IPV4 || r->d.type == FD_IPV6;
}

/* Whether the container has it; what is not known of its addresses the others' and the host's stand in for. */
static bool container_owns(const struct evt *e, const struct container *c, const struct fd_rec *r, const uint8_t *ip)
{
	if (!fd_is_v4(r))
		return false;		/* nobody tells a container's IPv6 addresses */
	if (!c->info || !c->info->ip.len)
		return containers_have_ip4(e->st->containers, ip);
	return (c->info->has_ip4 && memcmp(c->info->ip4, ip, 4) == 0) || iface_is_local_v4(e->st->ifaces, ip);
}

static bool is_own_address(const struct evt *e, const struct fd_rec *r, const uint8_t *ip)
{
	const struct container *c = container_of_thread(e, evt_thread(e));

	if (c)
		return container_owns(e, c, r, ip);
	return fd_is_v4(r) ? iface_is_local_v4(e->st->ifaces, ip) : iface_is_local_v6(e->st->ifaces, ip);
}

bool fd_end_of(const struct evt *e, const struct fd_rec *r, enum fd_end end, struct fd_point *p)
{
	const struct fd_addr *a = &r->d.addr;

	if (!(is_connection(r) || (fd_is_listen(r) && end == END_SERVER)) || !has_role(r))
		return false;
	if (end == END_LOCAL)
		end = is_own_address(e, r, a->src) ? END_CLIENT : END_SERVER;
	else if (end == END_REMOTE)
		end = is_own_address(e, r, a->src) ? END_SERVER : END_CLIENT;
	*p = end == END_CLIENT ? (struct fd_point){ a->src, a->sport } : (struct fd_point){ a->dst, a->dport };
	return true;
}

enum fd_l4 fd_shown_l4(const struct fd_rec *r)
{
	if (!fd_is_ip(r))
		return L4_NA;
	return has_role(r) || fd_is_listen(r) || r->d.l4 == L4_RAW ? (enum fd_l4)r->d.l4 : L4_NA;
}

static struct value address(const struct fd_rec *r, const uint8_t *ip)
{
	return (struct value){ .type = PT_IPADDR, .format = PF_NA, .p = ip, .len = fd_is_v4(r) ? 4 : 16 };
}

static struct value port(uint16_t number)
{
	return (struct value){ .type = PT_PORT, .format = PF_DEC, .num.u = number };
}

int get_fd_ip(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	struct fd_point p;

	if (!r || !fd_end_of(c->e, r, c->variant, &p))
		return 0;
	*v = address(r, p.ip);
	return 1;
}

/* A listener's port is told even while its role is not known. */
static bool port_of(const struct field_ctx *c, const struct fd_rec *r, uint16_t *number)
{
	struct fd_point p = { .port = r->d.addr.dport };

	if (!(fd_is_listen(r) && c->variant == END_SERVER) && !fd_end_of(c->e, r, c->variant, &p))
		return false;
	*number = p.port;
	return true;
}

int get_fd_port(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	uint16_t number;

	return r && port_of(c, r, &number) && value_uint(v, number);
}

/* Upstream shows an empty text where it could have said nothing: of listeners, and of clients without an address. */
int get_fd_proto(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	struct compose text = { .arena = c->e->scratch };
	uint16_t number;

	if (!r)
		return 0;
	if (c->variant == END_CLIENT ? has_role(r) && !is_connection(r) : c->variant == END_SERVER && fd_is_listen(r))
		return value_str(v, STR(""));
	if (!port_of(c, r, &number))
		return 0;
	compose_fmt(&text, "%u", number);
	return value_composed(v, &text);
}

/* Answers a comparison with what both ends have. A record that is no IP socket gives no items. */
static int both_ends(const struct field_ctx *c, struct value *v, bool ports)
{
	struct fd_rec *r = record_of(c);
	struct value *items = arena_get(c->e->scratch, 2 * sizeof *items);
	uint32_t n = 0;

	if (!r || !items || !c->compare)
		return 0;
	if (is_connection(r))
		items[n++] = ports ? port(r->d.addr.sport) : address(r, r->d.addr.src);
	if (fd_is_ip(r))
		items[n++] = ports ? port(r->d.addr.dport) : address(r, r->d.addr.dst);
	v->flags |= VALUE_LIST;
	v->p = items;
	v->num.n = n;
	return 1;
}

int get_fd_ips(const struct field_ctx *c, struct value *v)
{
	return both_ends(c, v, false);
}

int get_fd_ports(const struct field_ctx *c, struct value *v)
{
	return both_ends(c, v, true);
}

/*
 * Names of addresses are not looked up: no end has one. A comparison still sees a record (exists), and of a
 * connection a name that equals no other (!=).
 */
int get_fd_domain(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	struct value *item = arena_get(c->e->scratch, sizeof *item);

	if (!r || !item || !c->compare)
		return 0;
	*item = (struct value){ .type = v->type, .format = v->format, .p = "" };
	v->flags |= VALUE_LIST;
	v->p = item;
	v->num.n = is_connection(r) && has_role(r);
	return 1;
}

int get_fd_l4proto(const struct field_ctx *c, struct value *v)
{
	static const struct str words[] = {
		[L4_UNKNOWN] = STR("<NA>"), [L4_NA] = STR("<NA>"), [L4_TCP] = STR("tcp"), [L4_UDP] = STR("udp"),
		[L4_ICMP] = STR("icmp"), [L4_RAW] = STR("raw"),
	};
	struct fd_rec *r = record_of(c);

	if (!r)
		return 0;
	uint32_t l4 = fd_shown_l4(r);
	return value_str(v, words[l4 < sizeof words / sizeof words[0] ? l4 : L4_NA]);
}

int get_fd_sockfamily(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);

	if (!r || !(fd_is_ip(r) || r->d.type == FD_UNIX))
		return 0;
	return value_str(v, fd_is_ip(r) ? STR("ip") : STR("unix"));
}

int get_fd_is_server(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);

	if (!r)
		return 0;
	return value_uint(v, fd_is_listen(r) || (is_connection(r) && is_own_address(c->e, r, r->d.addr.dst)));
}

/* ------------------------------------------------------------------ numbers and bits */

int get_fd_num(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r;
	return field_fd(c->e, &r) && value_int(v, evt_thread(c->e)->last_fd);
}

int get_fd_uid(const struct field_ctx *c, struct value *v)
{
	struct compose both = { .arena = c->e->scratch };
	struct thread *t = evt_thread(c->e);
	struct fd_rec *r;

	if (!field_fd(c->e, &r))
		return 0;
	compose_fmt(&both, "%lld%lld", (long long)t->tid, (long long)t->last_fd);
	return value_composed(v, &both);
}

int get_fd_bit(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	return r && value_uint(v, (r->d.bits & c->variant) != 0);
}

int get_fd_name_changed(const struct field_ctx *c, struct value *v)
{
	return record_of(c) && value_uint(v, c->e->fd_name_changed);
}

int get_fd_ino(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);
	return r && value_uint(v, r->d.ino);
}

/* The kernel's encoding of a device number in 32 bits: mmmM MMmm, i.e. 8 low bits of the minor, 12 of the major, the
 * rest of the minor. */
int get_fd_dev(const struct field_ctx *c, struct value *v)
{
	struct fd_rec *r = record_of(c);

	if (!r)
		return 0;
	uint32_t dev = r->d.dev;
	if (c->variant == DEV_MAJOR)
		dev = (dev & 0xfff00) >> 8;
	else if (c->variant == DEV_MINOR)
		dev = (dev & 0xff) | (dev >> 12 & 0xfff00);
	return value_int(v, (int32_t)dev);
}
