/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live: this host as a source of events. Opens the driver, fills the state from /proc, decodes what the driver gives, and
 * looks up threads and descriptors that the state meets without having seen them made.
 *
 *	struct live *l = live_open(&options, &st, &sink, &err);	// sink: where the start state goes
 *	while ((rc = live_next(l, &rec)) != 0) ...
 *	live_close(l);
 */
#ifndef FALCO_LIVE_H
#define FALCO_LIVE_H

#include "../driver/source.h"
#include "scap.h"
#include "state.h"

struct live;

enum { LIVE_EVENT = 1, LIVE_IDLE = 2 };

/* sink: where the start state goes; late: where what is looked up afterwards goes. NULL: err says why. The state and the sink's owner outlive it. */
struct live *live_open(const struct live_options *options, struct state *st, const struct scap_sink *sink,
		       const struct scap_sink *late, struct err *err);
/* LIVE_EVENT: `rec` is the next event, borrowed until the next call; LIVE_IDLE: none now, a few milliseconds were waited;
 * 0: the time is over; -errno, for good. */
int live_next(struct live *l, struct scap_rec *rec);
int live_want(struct live *l, const struct syscall_set *set, struct err *err);
/* The i-th counter, as engine_stat(). */
const char *live_stat(const struct live *l, uint32_t i, uint64_t *value, bool *alarming);
void live_losses(const struct live *l, struct source_losses *losses);
void live_close(struct live *l);	/* NULL allowed */

#endif
