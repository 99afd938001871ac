// SPDX-License-Identifier: Apache-2.0
/* fdlist.*: the descriptors that poll and ppoll were asked about. */
#include <arpa/inet.h>
#include <inttypes.h>
#include "field_fdlist.h"
#include "getters.h"
#include "state.h"

static bool compose_ip(struct compose *c, int family, const uint8_t *addr)
{
	char buf[INET6_ADDRSTRLEN];

	if (inet_ntop(family, addr, buf, sizeof buf))
		compose_str(c, str_of(buf));
	return true;
}

static bool is_connection(const struct fd_rec *r)
{
	return r->d.type == FD_IPV4 || r->d.type == FD_IPV6;
}

/* false: this descriptor has no place in the list. */
static bool compose_item(struct compose *c, uint32_t what, int64_t fd, const struct fd_rec *r)
{
	switch (what) {
	case FDLIST_NUMS:
		compose_int(c, fd);
		return true;
	case FDLIST_NAMES:
		compose_str(c, r && r->d.name.len ? r->d.name : STR("<NA>"));
		return true;
	}
	if (!r || !fd_is_ip(r))
		return false;
	switch (what) {
	case FDLIST_CIPS:
		return is_connection(r) && compose_ip(c, fd_is_v4(r) ? AF_INET : AF_INET6, r->d.addr.src);
	case FDLIST_SIPS:
		/* upstream shows the first four bytes of a listener's IPv6 address */
		return compose_ip(c, r->d.type == FD_IPV6 ? AF_INET6 : AF_INET, r->d.addr.dst);
	case FDLIST_CPORTS:
	case FDLIST_SPORTS:
		if (is_connection(r))
			compose_fmt(c, "%u", what == FDLIST_CPORTS ? r->d.addr.sport : r->d.addr.dport);
		return is_connection(r);
	}
	return false;
}

int get_fdlist(const struct field_ctx *c, struct value *v)
{
	const struct evt *e = c->e;
	const struct thread *thread = evt_thread(e);
	struct compose list = { .arena = e->scratch };
	int64_t fd;
	int16_t flags;

	if ((e->h.code != EV_SYSCALL_POLL_X && e->h.code != EV_SYSCALL_PPOLL_X) || !thread)
		return 0;
	const struct fdtable *fds = thread_fds(e->st->threads, thread);
	for (uint32_t pos = 0; fdlist_next(evt_param(e, 1), &pos, &fd, &flags);)
		if (compose_item(&list, c->variant, fd, fdtable_get(fds, fd)))
			compose_str(&list, STR(","));
	if (!list.len)
		return 0;
	list.len -= list.p[list.len - 1] == ',';
	return value_composed(v, &list);
}
