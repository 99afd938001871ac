/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a row FILL(sc, ...) of syscalls.def becomes: one expression that appends parameters to the record `f`. Every
 * primitive is a value of the call (result, arguments, what they point to) handed to a put_*() of the backend, which also
 * defines RET, ARG(n) and the functions that look into tasks and files.
 */
#ifndef FALCO_DRIVER_FILL_H
#define FALCO_DRIVER_FILL_H

#include "event.h"

/* How many parameters an event has. */
#define FILL_ONE(...) 0
#define P(...) 0
#define PF(...) 0
#define PREL(...) 0
#define PDYN(...) 0
#define FILL_EACH(...) __VA_OPT__(__VA_ARGS__,)
enum fill_nparams {
#define EVENT(code, symbol, name, kind, origin, flags, ...) \
	NPARAMS_##symbol = sizeof (const char[]){ FILL_EACH(__VA_ARGS__) 0 } - 1,
#include "events.def"
};
#undef P
#undef PF
#undef PREL
#undef PDYN

/* Which event reports a call. */
enum fill_event {
#define SYSCALL(nr, sc, exit_event, flags) EVENT_OF_##sc = EV_##exit_event, NPARAMS_OF_##sc = NPARAMS_##exit_event,
#include "syscalls.def"
};

/* Flags and values, from the kernel's to the event's. */
#define CONVERT(name) \
	static inline uint32_t convert_##name(uint32_t in) \
	{ \
		uint32_t out = 0;
#define BIT(label, kernel, event) \
		if (in & (kernel)) \
			out |= (event);
#define VALUE(label, kernel, event) \
		if (in == (kernel)) \
			return (event);
#define CONVERT_END(name, otherwise) \
		return out ? out : (otherwise); \
	}
#include "convert.def"
#undef CONVERT
#undef BIT
#undef VALUE
#undef CONVERT_END

/* ------------------------------------------------------------------ primitives */

#define RES put_s64(f, RET)
#define RES_FD put_s64(f, RET)
#define RES_FD32 put_s64(f, (int32_t)RET)
#define RES_U32 put_u32(f, RET)
#define RES_U64 put_u64(f, RET)
#define FD(n) put_s64(f, (int32_t)ARG(n))
#define DIRFD(n) FD(n)			/* AT_FDCWD is the same in events */
#define PID(n) FD(n)
#define USTR(n) put_user_text(f, ARG(n))
#define U8(n) put_u8(f, ARG(n))
#define U16(n) put_u16(f, ARG(n))
#define U32(n) put_u32(f, ARG(n))
#define U64(n) put_u64(f, ARG(n))
#define S32(n) put_s32(f, ARG(n))
#define S64(n) put_s64(f, ARG(n))
#define CONST8(v) put_u8(f, v)
#define CONST32(v) put_u32(f, v)
#define EMPTY put_empty(f)
#define FLAGS(n, table) put_u32(f, convert_##table(ARG(n)))
#define FLAGS16(n, table) put_u16(f, convert_##table(ARG(n)))
#define FLAGS8(n, table) put_u8(f, convert_##table(ARG(n)))
/* flags that the kernel takes for a signed number: none of a negative one */
#define POSITIVE(n, table) ((int32_t)ARG(n) < 0 ? 0 : convert_##table(ARG(n)))

#endif
