/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the programs in the kernel (probe.bpf.c) and who loads them (source_bpf.c) share: settings, counters, and what
 * stands before a record in a ring.
 */
#ifndef FALCO_DRIVER_PROBE_H
#define FALCO_DRIVER_PROBE_H

#include <stdint.h>

enum { PROBE_MAX_NR = 512, PROBE_MAX_EVENT = 1 << 16, PROBE_NO_CALL = 0xffff, PROBE_SOCKETCALL = 102 /* of i386 */ };

/* Before each record, so that records of CPUs that share a ring tell whence they came. */
struct probe_prefix {
	uint32_t cpu;
	uint32_t reserved;
};

/* What tells the programs what to do; written at any time while they run. */
struct probe_settings {
	uint64_t boot_ns;		/* when the machine started, ns since the epoch */
	uint8_t look[PROBE_MAX_NR];	/* by number, of either kind: it may be a call that is wanted */
	uint8_t wanted[PROBE_MAX_NR];	/* by x86-64 system call number: WANT_* */
	uint8_t exec, proc_exit, sched_switch, signal_deliver, fault_user, fault_kernel;
	uint8_t drop_failed;		/* calls that failed are not reported */
	uint32_t skip_pid;		/* a process that is not reported; 0: none */
	uint32_t snaplen;		/* bytes of data that are kept */
	uint16_t full_port_first, full_port_last;	/* more of them for these ports; last 0: none */
	uint16_t statsd_port;
	uint8_t by_content;		/* more bytes also by protocol and port */
	uint8_t reserved[2];
	uint16_t code[PROBE_MAX_NR];	/* by x86-64 number: the portable code, for generic events */
	uint16_t compat[PROBE_MAX_NR];	/* by i386 number: the x86-64 number, or PROBE_NO_CALL */
};

/* WANT_FAILED: only calls that failed; what became of the others is told elsewhere. */
enum { WANT_ALL = 1, WANT_FAILED = 2 };

enum probe_class {
	CLASS_FORK, CLASS_EXEC, CLASS_EXIT, CLASS_OPEN, CLASS_CLOSE, CLASS_CONNECT, CLASS_FILE, CLASS_OTHER, CLASS_COUNT
};

/* One for each CPU, counted by the programs that run on it. */
struct probe_counters {
	uint64_t events;		/* that were to be sent */
	uint64_t full[CLASS_COUNT];	/* lost: no room in the ring */
	uint64_t too_big;		/* lost: more than PROBE_MAX_EVENT */
	uint64_t busy;			/* lost: too many programs interrupted each other */
	uint64_t reserved[5];
};

#endif
