/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The wire format of one event: what drivers emit and .scap files hold (driver schema 4.5, little-endian).
 *
 *	+--------+--------+-------+--------+-----------+------------------+----------------------+
 *	| ts u64 | tid u64| len u32| type u16| nparams u32| nparams lengths | values, back to back |
 *	+--------+--------+-------+--------+-----------+------------------+----------------------+
 *
 * Packed and unaligned. len counts everything. Lengths are u16, or u32 for events flagged EF_LARGE.
 */
#ifndef FALCO_DRIVER_EVENT_H
#define FALCO_DRIVER_EVENT_H

#include <stdint.h>

struct event_hdr {
	uint64_t ts;		/* ns since the epoch */
	uint64_t tid;		/* all ones: no thread */
	uint32_t len;
	uint16_t type;
	uint32_t nparams;
} __attribute__((packed));

_Static_assert(sizeof(struct event_hdr) == 26, "event header is a wire format");
_Static_assert(__builtin_offsetof(struct event_hdr, type) == 20, "event header is a wire format");

enum event_code {
#define EVENT(code, symbol, ...) EV_##symbol = code,
#include "events.def"
	EV_COUNT
};

enum param_type {
#define TYPE(number, name, bytes) PT_##name = number,
#include "types.def"
	PT_COUNT
};

enum print_format {
#define FORMAT(number, name) PF_##name = number,
#include "types.def"
};

enum event_kind {
	CAT_UNKNOWN, CAT_OTHER, CAT_FILE, CAT_NET, CAT_IPC, CAT_MEMORY, CAT_PROCESS, CAT_SLEEP, CAT_SYSTEM, CAT_SIGNAL,
	CAT_USER, CAT_TIME, CAT_IO_READ, CAT_IO_WRITE, CAT_IO_OTHER, CAT_WAIT, CAT_SCHEDULER, CAT_INTERNAL,
};

enum event_origin { FROM_NONE, FROM_SYSCALL, FROM_TRACEPOINT, FROM_PLUGIN, FROM_METAEVENT, FROM_ITER };

enum event_flags {
	EF_CREATES_FD = 1 << 0,
	EF_DESTROYS_FD = 1 << 1,
	EF_USES_FD = 1 << 2,
	EF_READS_FROM_FD = 1 << 3,
	EF_WRITES_TO_FD = 1 << 4,
	EF_MODIFIES_STATE = 1 << 5,
	EF_UNUSED = 1 << 6,		/* code never met, or met only to be dropped */
	EF_WAITS = 1 << 7,
	EF_SKIP_RESET = 1 << 8,		/* meta event that touches no thread's running state */
	EF_OLD = 1 << 9,		/* no current driver writes it */
	EF_CONVERTED = 1 << 10,		/* conversions.def has the word on it */
	EF_LARGE = 1 << 11,		/* u32 parameter lengths */
};

enum syscall_flags { SCF_USED = 1, SCF_ALWAYS_DROP = 2, SCF_NEVER_DROP = 4, SCF_PROCESS_STATE = 8 };

enum syscall_code {
#define SC(code, symbol, name) SC_##symbol = code,
#include "syscalls.def"
	SC_COUNT
};

/* What a PT_DYN value can be: the byte in front of it selects one. */
enum dyn_sockopt { DYN_SOCKOPT_UNKNOWN, DYN_SOCKOPT_ERRNO, DYN_SOCKOPT_U32, DYN_SOCKOPT_U64, DYN_SOCKOPT_TIMEVAL };
enum dyn_ptrace { DYN_PTRACE_U64, DYN_PTRACE_SIGNAL };
enum dyn_bpf { DYN_BPF_FD, DYN_BPF_RES };
enum dyn_keyctl { DYN_KEYCTL_I64, DYN_KEYCTL_TEXT };

#define EVENT_MAX_PARAMS 32
#define EVENT_IS_EXIT(code) ((code) & 1)

#endif
