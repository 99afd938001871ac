/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the state with what a capture lists before its events: machine, processes, descriptors, users, interfaces. */
#ifndef FALCO_LOAD_H
#define FALCO_LOAD_H

#include "scap.h"
#include "state.h"

struct scap_sink load_sink(struct state *st);

#endif
