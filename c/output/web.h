/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server for health checks and numbers. ffi.h has what Lua calls.
 *
 * Pages are texts that others have put; a request copies one out. So nobody who asks can slow the worker down, but for this: the
 * numbers are made when they are asked for, at most once in FRESH_MS. Such a request makes REQUEST_SNAPSHOT of it and waits
 * until the worker has put the page between two events, or PATIENCE_MS; then it gets what there is, however old.
 *
 * One thread. Clients are not trusted: how many there are, what they send and how long they take is bounded, and all that is
 * counted. Those that are too many wait in the kernel's queue.
 */
#ifndef FALCO_WEB_H
#define FALCO_WEB_H

#include "../engine/ffi.h"

#endif
