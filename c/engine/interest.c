/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include "../driver/event.h"
#include "interest.h"
#include "tables.h"

_Static_assert((int)SC_COUNT <= (int)SYSCALL_SET_SIZE, "sets have room for every system call");

/* ------------------------------------------------------------------ what the tables say of a call */

static const struct {
	uint16_t event;			/* that reports it; 0: not on this machine */
	uint16_t flags;			/* SCF_* */
} calls[SC_COUNT] = {
#define SYSCALL(nr, sc, exit_event, flags_) [SC_##sc] = { EV_##exit_event, flags_ },
#define TRACEPOINT(sc, event_, flags_) [SC_##sc] = { EV_##event_, flags_ },
#include "../driver/syscalls.def"
};

static const struct event_info *event_of(uint32_t sc)
{
	return event_row(calls[sc].event);
}

uint32_t syscall_event(uint32_t sc)
{
	return sc < SC_COUNT ? calls[sc].event : 0;
}

/* Any version of the event: what one learns from old ones, one learns from current ones in another form. */
static bool event_changes_state(uint32_t code)
{
	for (uint32_t i = 0; i < EV_COUNT; i++)
		if (event_row(i)->flags & EF_MODIFIES_STATE && event_row(i)->origin == event_row(code)->origin &&
		    strcmp(event_row(i)->name, event_row(code)->name) == 0)
			return true;
	return false;
}

static bool changes_state(uint32_t sc)
{
	uint32_t code = calls[sc].event;

	return calls[sc].flags & SCF_NEVER_DROP || (!event_is_generic(code) && event_changes_state(code));
}

bool event_is_left_out(uint32_t code)
{
	uint8_t kind = code < EV_COUNT ? event_row(code)->kind : CAT_INTERNAL;

	return (kind == CAT_IO_READ || kind == CAT_IO_WRITE) && !event_changes_state(code);
}

uint32_t syscall_traits(uint32_t sc)
{
	static const uint32_t of_kind[] = {
		[CAT_FILE] = TRAIT_FD, [CAT_IO_OTHER] = TRAIT_FD, [CAT_NET] = TRAIT_NET | TRAIT_FD,
		[CAT_IO_READ] = TRAIT_TRANSFER | TRAIT_FD, [CAT_IO_WRITE] = TRAIT_TRANSFER | TRAIT_FD, [CAT_INTERNAL] = 0,
	};

	if (sc >= SC_COUNT || !calls[sc].event)
		return 0;
	uint32_t traits = TRAIT_PRESENT | of_kind[event_of(sc)->kind];
	if (changes_state(sc))
		traits |= TRAIT_STATE;
	if (calls[sc].flags & SCF_PROCESS_STATE)
		traits |= TRAIT_PROCESS;
	if (sc == SC_ACCEPT || sc == SC_ACCEPT4 || sc == SC_LISTEN)
		traits |= TRAIT_SERVER;
	return traits;
}

/* ------------------------------------------------------------------ names */

/* Calls of an event's name, or of that name themselves, put into the set; how many. */
static uint32_t add_named(struct syscall_set *set, struct str name)
{
	uint32_t n = 0;

	for (uint32_t sc = 0; sc < SC_COUNT; sc++) {
		uint32_t code = syscall_event(sc);
		const char *known = !code || event_is_generic(code) ? syscall_name(sc) : event_of(sc)->name;

		if (code && strlen(known) == name.len && memcmp(known, name.p, name.len) == 0) {
			set->has[sc] = true;
			n++;
		}
	}
	return n;
}

/* ------------------------------------------------------------------ sets */

static void add_traits(struct syscall_set *set, uint32_t traits)
{
	for (uint32_t sc = 0; sc < SC_COUNT; sc++)
		set->has[sc] |= (syscall_traits(sc) & traits) != 0;
}

static void add_set(struct syscall_set *set, const struct syscall_set *more)
{
	for (uint32_t sc = 0; sc < SC_COUNT; sc++)
		set->has[sc] |= more->has[sc];
}

static void remove_set(struct syscall_set *set, const struct syscall_set *less)
{
	for (uint32_t sc = 0; sc < SC_COUNT; sc++)
		set->has[sc] &= !less->has[sc];
}

static void remove_transfers(struct syscall_set *set)
{
	for (uint32_t sc = 0; sc < SC_COUNT; sc++) {
		uint32_t traits = syscall_traits(sc);

		if (traits & TRAIT_TRANSFER && !(traits & TRAIT_STATE))
			set->has[sc] = false;
	}
}

/* Adds the least without which what is in the set would be told of the wrong process or descriptor. */
static void repair(struct syscall_set *set)
{
	uint32_t traits = 0;

	for (uint32_t sc = 0; sc < SC_COUNT; sc++)
		if (set->has[sc])
			traits |= syscall_traits(sc);
	add_traits(set, TRAIT_PROCESS);
	if (traits & TRAIT_NET)
		set->has[SC_SOCKET] = set->has[SC_GETSOCKOPT] = true;
	if (traits & TRAIT_SERVER)
		set->has[SC_BIND] = true;
	if (traits & TRAIT_FD)
		set->has[SC_CLOSE] = true;
}

/* Names of the custom set; bad[i] is set for those that no call has. */
static void read_custom(const struct interest *want, struct syscall_set *in, struct syscall_set *out, uint32_t *n_in)
{
	for (uint32_t i = 0; i < want->ncustom; i++) {
		struct str name = want->custom[i];
		bool negative = name.len && name.p[0] == '!';

		if (negative)
			name = (struct str){ name.p + 1, name.len - 1 };
		uint32_t n = name.len ? add_named(negative ? out : in, name) : 0;
		want->bad[i] = n == 0;
		*n_in += negative ? 0 : n;
	}
}

void interest(const struct interest *want, struct syscall_set *set)
{
	struct syscall_set custom = { 0 }, without = { 0 };
	uint32_t positive = 0;

	read_custom(want, &custom, &without, &positive);
	*set = want->rules;
	if (positive)
		add_set(set, &custom);
	else if (want->flags & INTEREST_REPAIR)
		repair(set);
	else
		add_traits(set, TRAIT_STATE);
	remove_set(set, &without);
	if (!(want->flags & INTEREST_ALL))
		remove_transfers(set);
	if (want->flags & INTEREST_REPAIR && want->ncustom)
		repair(set);
	set->has[SC_SCHED_PROCESS_EXIT] = true;
	for (uint32_t sc = 0; sc < SC_COUNT; sc++)
		set->has[sc] &= (syscall_traits(sc) & TRAIT_PRESENT) != 0;
}
