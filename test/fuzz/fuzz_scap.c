/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reading of captures: nothing may crash, leak, or hand out bytes that are not there.
 * link: c/engine/scap_read.c c/engine/scap_compat.c c/engine/scap_format.c c/engine/scap_lists.c c/engine/stream.c c/engine/tables.c
 * seed: test/fuzz/seed_scap.lua
 */
#include "../../c/engine/proc.h"
#include "../../c/engine/scap.h"
#include "../../c/engine/state.h"
#include "../../c/engine/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint64_t sum;

/* Reads every byte, so that the sanitizer sees it. */
static void touch(const void *p, uint32_t len)
{
	const uint8_t *bytes = p;

	for (uint32_t i = 0; i < len; i++)
		sum += bytes[i];
}

static int on_reset(void *c)
{
	return 0;
}

static int on_machine(void *c, const struct machine *m)
{
	touch(m, sizeof *m);
	return 0;
}

static int on_proc(void *c, const struct scap_proc *p)
{
	const struct str texts[] = { p->comm, p->exe, p->exepath, p->args, p->cwd, p->env, p->cgroups, p->root };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		touch(texts[i].p, texts[i].len);
	return 0;
}

static int on_fd(void *c, int64_t tid, int64_t fd, const struct fd_draft *d)
{
	REQUIRE(d->type < FD_TYPE_COUNT && d->l4 <= L4_RAW);
	touch(d->name.p, d->name.len);
	return 0;
}

static int on_user(void *c, const struct user *u)
{
	touch(u->name.p, u->name.len + 1);
	touch(u->home.p, u->home.len);
	touch(u->shell.p, u->shell.len);
	return 0;
}

static int on_group(void *c, const struct group *g)
{
	touch(g->name.p, g->name.len + 1);
	return 0;
}

static int on_iface(void *c, const struct iface *i)
{
	touch(i->name.p, i->name.len);
	return 0;
}

static void check_event(const struct scap_rec *rec)
{
	const struct event_info *info = event_row(rec->code);

	REQUIRE(rec->code < EV_COUNT && rec->nparams <= info->nparams && rec->nparams <= EVENT_MAX_PARAMS);
	for (uint32_t i = 0; i < rec->nparams; i++) {
		uint32_t size = type_size[info->params[i].type], len = rec->param[i].len;

		REQUIRE(!len || !size || len == size);
		touch(rec->param[i].p, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct engine_limits limits = { .max_block = 1 << 20 };
	const struct scap_sink sink = { NULL, on_reset, on_machine, on_proc, on_fd, on_reset, on_user, on_group, on_reset,
		on_iface, on_reset };
	struct scap_rec rec;
	struct err err = { 0 };
	struct scap *s = scap_open_memory(data, len, &limits, &sink, &err);
	int rc;

	if (!s) {
		REQUIRE(err.text[0] && !strchr(err.text, '\n'));
		return 0;
	}
	while ((rc = scap_next(s, &rec)) == 1)
		check_event(&rec);
	REQUIRE(rc == 0 || (scap_error(s)[0] && !strchr(scap_error(s), '\n')));
	REQUIRE(scap_progress(s) >= 0 && scap_progress(s) <= 1);
	scap_close(s);
	return 0;
}
