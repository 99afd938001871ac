/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts on their way from a worker to the output thread. ffi.h has what Lua calls; here is what only C needs to know.
 *
 * The queue is one ring of bytes. Parcels lie in it one behind the other, each whole and aligned to 8:
 *
 *	| parcel | parcel | ........... free ............ | parcel | skip |
 *	                ^ tail % size                     ^ head % size
 *
 * head and tail only grow. A parcel that does not fit before the ring's end is put at its start, behind one that is only
 * there to be skipped. An empty ring begins anew at its start, so that a queue that hardly ever holds much stays in the same few
 * pages. The output thread reads parcels where they lie: queue_done() gives them back.
 *
 * Bounded by bytes, always, and by alerts, if asked for. What does not fit waits for room (a replay), or is dropped and
 * counted (a live source). A part of the ring is for data alone: what a rule's alerts look like must get through when alerts
 * do not.
 *
 * Any number of threads may put, one at a time (a lock that nobody else wants); one thread takes, without it.
 */
#ifndef FALCO_QUEUE_H
#define FALCO_QUEUE_H

#include "../engine/ffi.h"

/* async-signal-safe: the output thread looks up, and finds that queue_reopens() counts one more. */
void queue_reopen(struct queue *q);

#endif
