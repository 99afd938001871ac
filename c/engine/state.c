/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include "parse.h"
#include "state.h"

static uint32_t limit(uint32_t wanted, uint32_t otherwise)
{
	return wanted ? wanted : otherwise;
}

int state_init(struct state *st, const struct engine_limits *limits)
{
	static const struct engine_limits defaults;

	if (!limits)
		limits = &defaults;
	*st = (struct state){ 0 };
	host_view_init(&st->host);
	st->strings = intern_new(limit(limits->max_strings, ENGINE_MAX_STRINGS));
	st->fds = fds_new(limit(limits->max_fds, ENGINE_MAX_FDS), limit(limits->max_fd_bytes, ENGINE_MAX_FD_BYTES));
	st->users = users_new(limit(limits->max_user_bytes, ENGINE_MAX_USER_BYTES));
	st->ifaces = ifaces_new();
	if (st->strings)
		st->containers = containers_new(st->strings, limit(limits->max_container_bytes, ENGINE_MAX_CONTAINER_BYTES));
	if (st->containers)
		st->threads = threads_new(st, limit(limits->max_threads, ENGINE_MAX_THREADS));
	if (st->threads && st->fds && st->users && st->ifaces)
		return 0;
	state_free(st);
	return -ENOMEM;
}

void state_free(struct state *st)
{
	threads_free(st->threads);
	containers_free(st->containers);
	fds_free(st->fds);
	users_free(st->users);
	ifaces_free(st->ifaces);
	recent_free(st->recent);
	intern_free(st->strings);
	*st = (struct state){ 0 };
}

void state_reset(struct state *st)
{
	threads_clear(st->threads);
	containers_clear(st->containers);
	users_clear(st->users);
	ifaces_clear(st->ifaces);
	fds_sweep(st->fds);
	recent_free(st->recent);
	st->recent = NULL;
	st->machine = (struct machine){ 0 };
	st->after = (struct aftermath){ 0 };
	st->first_ts = 0;
	st->table_epoch++;
	st->lineage_epoch++;
}
