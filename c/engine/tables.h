/* SPDX-License-Identifier: Apache-2.0 */
/* The .def rows of the driver as C tables. ffi.h has the parts that Lua reads too. */
#ifndef FALCO_TABLES_H
#define FALCO_TABLES_H

#include "../driver/event.h"
#include "ffi.h"

struct dyn_table {
	uint32_t n;
	const struct param_info *alternatives;	/* name "" */
};

extern const struct event_info event_table[EV_COUNT];
extern const uint8_t type_size[PT_COUNT];	/* bytes on the wire, 0 = varies */

static inline const struct event_info *event_row(uint32_t code)
{
	return &event_table[code];
}

/* Portable code of an x86-64 system call number; SC_UNKNOWN: none. */
uint32_t syscall_of_native(uint32_t nr);
/* The errno's name ("ENOENT"), or NULL. The signal's name ("SIGTERM"), or NULL. */
const char *errno_name(int err);
const char *signal_name(int sig);

#endif
