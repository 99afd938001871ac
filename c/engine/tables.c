/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "tables.h"

/* ------------------------------------------------------------------ flag tables */

#define FLAGS(table) static const struct flag_info rows_##table[] = {
#define FLAG(name, value) { #name, value },
#define FLAGS_END(table) };
#include "../driver/flags.def"

#define FLAGS(table) static const struct flag_table flags_##table = { \
	#table, sizeof rows_##table / sizeof rows_##table[0], rows_##table };
#define FLAG(name, value)
#define FLAGS_END(table)
#include "../driver/flags.def"

/* ------------------------------------------------------------------ alternatives of PT_DYN parameters */

#define ALT(type_, format_) { .name = "", .type = PT_##type_, .format = PF_##format_ }
static const struct param_info alt_sockopt[] = {
	[DYN_SOCKOPT_UNKNOWN] = ALT(BYTEBUF, HEX),
	[DYN_SOCKOPT_ERRNO] = ALT(ERRNO, DEC),
	[DYN_SOCKOPT_U32] = ALT(UINT32, DEC),
	[DYN_SOCKOPT_U64] = ALT(UINT64, DEC),
	[DYN_SOCKOPT_TIMEVAL] = ALT(RELTIME, DEC),
};
static const struct param_info alt_ptrace[] = {
	[DYN_PTRACE_U64] = ALT(UINT64, HEX),
	[DYN_PTRACE_SIGNAL] = ALT(SIGTYPE, DEC),
};
static const struct param_info alt_bpf[] = {
	[DYN_BPF_FD] = ALT(FD, DEC),
	[DYN_BPF_RES] = ALT(ERRNO, DEC),
};
static const struct param_info alt_keyctl[] = {
	[DYN_KEYCTL_I64] = ALT(INT64, DEC),
	[DYN_KEYCTL_TEXT] = ALT(CHARBUF, NA),
};
#define DYN_TABLE(x) __attribute__((unused)) static const struct dyn_table dyn_##x = { sizeof alt_##x / sizeof alt_##x[0], alt_##x };
DYN_TABLE(sockopt)
DYN_TABLE(ptrace)
DYN_TABLE(bpf)
DYN_TABLE(keyctl)

/* ------------------------------------------------------------------ events */

#define P(name_, type_, format_) { .name = #name_, .type = PT_##type_, .format = PF_##format_ }
#define PF(name_, type_, format_, table_) \
	{ .name = #name_, .type = PT_##type_, .format = PF_##format_, .flags = &flags_##table_ }
#define PREL(name_, type_, format_, dirfd_) \
	{ .name = #name_, .type = PT_##type_, .format = PF_##format_, .dirfd = dirfd_ }
#define PDYN(name_, format_, table_) { .name = #name_, .type = PT_DYN, .format = PF_##format_, .dyn = &dyn_##table_ }
#define LIST(...) (const struct param_info[]){ __VA_ARGS__ { 0 } }
#define EACH(...) __VA_OPT__(__VA_ARGS__,)
#define NPARAMS(...) (sizeof LIST(EACH(__VA_ARGS__)) / sizeof(struct param_info) - 1)

const struct event_info event_table[EV_COUNT] = {
#define EVENT(code, symbol, name_, kind_, origin_, flags_, ...) [code] = { .name = name_, .flags = flags_, \
	.kind = CAT_##kind_, .origin = FROM_##origin_, .nparams = NPARAMS(__VA_ARGS__), .params = LIST(EACH(__VA_ARGS__)) },
#include "../driver/events.def"
};

const uint8_t type_size[PT_COUNT] = {
#define TYPE(number, name, bytes) [number] = bytes,
#include "../driver/types.def"
};

uint32_t event_count(void)
{
	return EV_COUNT;
}

const struct event_info *event_info(uint32_t code)
{
	return code < EV_COUNT ? &event_table[code] : NULL;
}

bool event_is_old(uint32_t code)
{
	return event_table[code].flags & EF_OLD;
}

bool event_is_unused(uint32_t code)
{
	return event_table[code].flags & EF_UNUSED;
}

bool event_is_generic(uint32_t code)
{
	return code == EV_GENERIC_E || code == EV_GENERIC_X;
}

bool event_is_exit(uint32_t code)
{
	return EVENT_IS_EXIT(code);
}

bool event_is_from_syscall(uint32_t code)
{
	return event_table[code].origin == FROM_SYSCALL;
}

/*
 * Delivered, but kept from rules: the few enter events of system calls that conversion leaves for the sake of state.
 * (A capture's first events may be hidden too, for where they stand: SCAP_HEAD.)
 */
bool event_is_seen(uint32_t code)
{
	const struct event_info *info = &event_table[code];

	if (code >= EV_COUNT || info->flags & (EF_UNUSED | EF_OLD))
		return false;
	return info->origin != FROM_SYSCALL || EVENT_IS_EXIT(code);
}

uint32_t event_async_code(void)
{
	return EV_ASYNCEVENT_E;
}

uint32_t event_page_fault_code(void)
{
	return EV_PAGE_FAULT_E;
}

uint32_t event_plugin_code(void)
{
	return EV_PLUGINEVENT_E;
}

/* ------------------------------------------------------------------ names */

static const char *const syscall_names[SC_COUNT] = {
#define SC(code, symbol, name) [code] = name,
#include "../driver/syscalls.def"
};

uint32_t syscall_count(void)
{
	return SC_COUNT;
}

const char *syscall_name(uint32_t sc)
{
	return sc < SC_COUNT && syscall_names[sc] ? syscall_names[sc] : "";
}

uint32_t syscall_of_native(uint32_t nr)
{
	static const uint16_t codes[] = {
#define SYSCALL(nr, sc, exit_event, flags) [nr] = SC_##sc,
#include "../driver/syscalls.def"
	};
	return nr < sizeof codes / sizeof codes[0] ? codes[nr] : SC_UNKNOWN;
}

const char *origin_name(uint32_t origin)
{
	static const char *const names[] = {
		[FROM_NONE] = "", [FROM_SYSCALL] = "syscall", [FROM_TRACEPOINT] = "tracepoint", [FROM_PLUGIN] = "plugin",
		[FROM_METAEVENT] = "meta", [FROM_ITER] = "iterator",
	};
	return origin < sizeof names / sizeof names[0] ? names[origin] : "";
}

const char *type_name(uint32_t type)
{
	static const char *const names[] = {
#define TYPE(number, name, bytes) [number] = #name,
#include "../driver/types.def"
	};
	return type < PT_COUNT ? names[type] : "?";
}

const char *format_name(uint32_t format)
{
	static const char *const names[] = {
#define FORMAT(number, name) [number] = #name,
#include "../driver/types.def"
	};
	return format < sizeof names / sizeof names[0] ? names[format] : "?";
}

/* Errors that stay inside the kernel, but show in what drivers record. */
static const char *const kernel_errors[] = {
#define E(number, name) [(number) - 512] = #name,
	E(512, ERESTARTSYS) E(513, ERESTARTNOINTR) E(514, ERESTARTNOHAND) E(515, ENOIOCTLCMD)
	E(516, ERESTART_RESTARTBLOCK) E(521, EBADHANDLE) E(522, ENOTSYNC) E(523, EBADCOOKIE) E(524, ENOTSUPP)
	E(525, ETOOSMALL) E(526, ESERVERFAULT) E(527, EBADTYPE) E(528, EJUKEBOX) E(529, EIOCBQUEUED) E(530, EIOCBRETRY)
#undef E
};

const char *errno_name(int err)
{
	unsigned i = (unsigned)err - 512;

	return i < sizeof kernel_errors / sizeof kernel_errors[0] ? kernel_errors[i] : strerrorname_np(err);
}

const char *signal_name(int sig)
{
	static const char *const names[] = {
#define S(name) [name] = #name,
		S(SIGHUP) S(SIGINT) S(SIGQUIT) S(SIGILL) S(SIGTRAP) S(SIGABRT) S(SIGBUS) S(SIGFPE) S(SIGKILL)
		S(SIGUSR1) S(SIGSEGV) S(SIGUSR2) S(SIGPIPE) S(SIGALRM) S(SIGTERM) S(SIGSTKFLT) S(SIGCHLD) S(SIGCONT)
		S(SIGSTOP) S(SIGTSTP) S(SIGTTIN) S(SIGTTOU) S(SIGURG) S(SIGXCPU) S(SIGXFSZ) S(SIGVTALRM) S(SIGPROF)
		S(SIGWINCH) S(SIGIO) S(SIGPWR) S(SIGSYS)
#undef S
	};
	return sig > 0 && sig < (int)(sizeof names / sizeof names[0]) ? names[sig] : NULL;
}
