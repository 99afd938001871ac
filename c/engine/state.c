/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include "parse.h"
#include "state.h"

enum { MAX_THREADS = 262144, MAX_FDS = 65536, MAX_STRINGS = 64 << 20 };

static uint32_t limit(uint32_t wanted, uint32_t otherwise)
{
	return wanted ? wanted : otherwise;
}

int state_init(struct state *st, const struct engine_limits *limits)
{
	*st = (struct state){ 0 };
	st->strings = intern_new(limit(limits->max_strings, MAX_STRINGS));
	st->fds = fds_new(limit(limits->max_fds, MAX_FDS));
	st->users = users_new();
	st->ifaces = ifaces_new();
	if (st->strings)
		st->threads = threads_new(st, limit(limits->max_threads, MAX_THREADS));
	if (st->threads && st->fds && st->users && st->ifaces)
		return 0;
	state_free(st);
	return -ENOMEM;
}

void state_free(struct state *st)
{
	threads_free(st->threads);
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
	users_clear(st->users);
	ifaces_clear(st->ifaces);
	recent_free(st->recent);
	st->recent = NULL;
	st->machine = (struct machine){ 0 };
	st->after = (struct aftermath){ 0 };
	st->first_ts = 0;
	st->table_epoch++;
	st->lineage_epoch++;
}
