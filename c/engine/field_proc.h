/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the getters of process fields share: the variants that rows of fields_proc.def hand them, and the texts of a
 * process. Text borrowed from a thread, or composed in the event's scratch memory, lives until the next event.
 */
#ifndef FALCO_FIELD_PROC_H
#define FALCO_FIELD_PROC_H

#include <stddef.h>
#include "field.h"
#include "state.h"

/* Variants of get_proc_text, get_parent_text, get_ancestor_text, get_leader_text. */
enum proc_text {
	TEXT_NAME, TEXT_EXE, TEXT_EXEPATH, TEXT_ARGS, TEXT_CMDLINE, TEXT_EXELINE, TEXT_ENV, TEXT_CWD,
	TEXT_COUNT,
	/* or'ed to one of them by get_leader_text */
	LEADER_SID = 0, LEADER_VPGID = 0x100, LEADER_PGID = 0x200, LEADER_MASK = 0x300,
};

/* Variants of get_proc_count. */
enum proc_count { COUNT_FDS, COUNT_THREADS, COUNT_OTHER_THREADS, COUNT_ARGS, COUNT_ARG_BYTES };

/* Variants of get_thread_vm: what, or'ed with VM_BYTES if not in kB. */
enum vm_unit { VM_SIZE, VM_RSS, VM_BYTES = 2 };

/* Variants of get_exe_time. */
enum exe_time { EXE_CTIME, EXE_MTIME, EXE_CTIME_TO_START, EXE_PIDNS_TO_CTIME };

/* Variants of get_std: number of the descriptor, or'ed with what to tell of it. */
enum std_part { STD_TYPE = 0, STD_NAME = 0x10 };

/* false: out of scratch memory. */
bool proc_text(const struct evt *e, const struct thread *t, enum proc_text part, struct str *out);

/* Items of a blob as images keep it (blob_trim): "a\0b" and "a\0" have two, "" none. */
uint32_t items_count(struct str blob);
struct str items_cut(struct str *rest);		/* takes the first one off */

/* Value of one variable of the environment without the blanks around it; empty: not set. */
struct str env_get(const struct evt *e, const struct thread *t, struct str name);

/* Ancestors as a walk from a thread's own ptid upwards. Unlike thread_ancestor() it does not go over main threads,
 * and it also ends before an ancestor that is its own parent. */
struct lineage {
	const struct threads *threads;
	struct thread *next, *fast;
};

struct lineage lineage_of(const struct evt *e, const struct thread *t);
struct thread *lineage_next(struct lineage *l);			/* NULL: no more */

#endif
