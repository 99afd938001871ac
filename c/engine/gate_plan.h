/* SPDX-License-Identifier: Apache-2.0 */
/* What gate.c (events) and gate_plan.c (what Lua tells of the rules) share. */
#ifndef FALCO_GATE_PLAN_H
#define FALCO_GATE_PLAN_H

#include "gate.h"
#include "matcher.h"

/* Two parts whose answers stay as long as a key does, and one that is asked anew. */
enum part { PART_PROCESS, PART_DESCRIPTOR, KEPT_PARTS, PART_EVENT = KEPT_PARTS, PARTS };

struct program {
	const struct gate_step *steps;
	const int32_t *triggers;	/* leaves: if none holds, the program says no. None: nothing is known */
	uint32_t n, ntriggers;
	uint32_t serial, answer;	/* the answer for event `serial` */
};

/* Some of the entries of one word of a bit set. */
struct bits {
	uint32_t word;
	uint64_t bits;
};

/* Entries that have one program. */
struct cohort {
	uint32_t program;
	uint32_t first, n;		/* in sieve.bits */
};

struct trigger {
	uint32_t leaf, cohort;
};

/* What the entries of one plan ask in one part: each program once, for all entries that have it. */
struct sieve {
	uint64_t *asks;			/* the entries that have a program */
	struct cohort *cohorts;		/* those without a trigger come first */
	uint32_t ncohorts, nfree;
	struct bits *bits;
	uint32_t nbits;
	struct trigger *triggers;	/* by leaf */
	uint32_t ntriggers;
	struct matcher **matchers;	/* of the triggers' leaves */
	uint32_t nmatchers;
};

/* What one entry asks when the event's code is known. -1: nothing. */
struct ask {
	uint32_t entry;
	int32_t event;			/* its literals that neither process nor descriptor answers */
	int32_t whole;			/* all its literals */
};

/* For all codes that have the same entries, asking the same. */
struct plan {
	uint64_t *entries;
	uint32_t from, to;		/* words of bit sets that are not empty: from .. to - 1 */
	uint32_t *before;		/* by word: how many entries earlier words have */
	int32_t *wholes;		/* in order of entries */
	struct sieve parts[PARTS];
};

struct type {
	struct ask *asks;		/* in order of entries */
	uint32_t n, cap;
	const struct plan *plan;	/* NULL: before ruleset_gate_ready() */
};

struct memo_cache {
	uint32_t slots;			/* power of two; 0: not allocated yet */
	char *memos;
};

struct gate {
	uint32_t entries, words;	/* words: of a bit set over entries */
	struct program *programs;
	uint32_t nprograms, programs_cap;
	struct map program_by_hash;	/* hash -> 1 + number of the latest program that has it */
	int32_t *kept[KEPT_PARTS];	/* programs by entry; -1: none */
	struct type types[EV_COUNT];
	struct plan **plans;
	uint32_t nplans, plans_cap;
	struct matcher **matchers;
	uint32_t nmatchers, matchers_cap;
	struct matcher **matcher_of;	/* by leaf; NULL: none */
	uint32_t nleaves;
	uint64_t *passing, *unknown, *yes;	/* scratch: bit sets */
	int32_t *hits;			/* how many, and which entries got past everything */
	struct memo_cache caches[KEPT_PARTS];
	struct gate_stats stats[EV_COUNT];
	struct {			/* what entries cost, measured on few events */
		struct { uint64_t ticks, asked; } *of;	/* by entry */
		uint64_t samples;
		uint32_t left, seed;		/* events until the next one */
		uint64_t since_ticks, since_ns;
	} cost;
};

#endif
