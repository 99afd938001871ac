/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls and tracepoints a live source must report: those that rules can match, and those that the state
 * tables learn from. Declared in ffi.h: interest(), syscall_event(), syscall_find().
 *
 *   rules'                          what conditions can be true for
 *   + state                         calls whose events change tables, and those that drivers never drop
 *     | the custom set              instead of state, when it names any call
 *     | the least that keeps processes right, and what the rules' own descriptors need   with INTEREST_REPAIR
 *   - names with ! in the custom set
 *   - reads and writes              unless INTEREST_ALL; those that state needs stay
 *   + INTEREST_REPAIR's again       when there is a custom set
 *   + exits of processes            always: tables would only grow
 */
#ifndef FALCO_INTEREST_H
#define FALCO_INTEREST_H

#include "ffi.h"

/* What a system call, or tracepoint with a number like one, means to the tables. */
enum syscall_trait {
	TRAIT_PRESENT = 1 << 0,		/* this machine has it */
	TRAIT_STATE = 1 << 1,
	TRAIT_PROCESS = 1 << 2,		/* processes cannot be followed without it */
	TRAIT_TRANSFER = 1 << 3,	/* reads or writes: frequent */
	TRAIT_FD = 1 << 4,		/* works on a descriptor or a path */
	TRAIT_NET = 1 << 5,
	TRAIT_SERVER = 1 << 6,		/* its meaning hangs on an earlier bind() */
};

uint32_t syscall_traits(uint32_t sc);

#endif
