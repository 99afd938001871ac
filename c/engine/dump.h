/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror image of load.h: lists what the state knows of the host, for a capture that begins here.
 *
 * Not everything has a place in such lists. Lost are: when processes were started, and whether they are reapers; of
 * descriptors, paths as they were passed, close-on-exec flags but for files, layers of overlay file systems, and who
 * is client and who is server, which load.c then works out anew; what is known of containers, and their users;
 * threads known by number alone.
 */
#ifndef FALCO_DUMP_H
#define FALCO_DUMP_H

#include "scap.h"
#include "state.h"

/* 0, or what a function of the sink returned that was not. */
int dump_state(const struct state *st, const struct scap_sink *sink);

#endif
