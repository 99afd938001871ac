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
#define SYSCALL(nr, sc, exit_event, flags) EVENT_OF_##sc = EV_##exit_event, NPARAMS_OF_##sc = NPARAMS_##exit_event, \
	NR_OF_##sc = nr,
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

/* How a file is opened is a number in the kernel, and bits in events: 1 to read, 2 to write. */
static inline uint32_t open_flags(uint32_t flags)
{
	uint32_t way = flags & 3;

	return convert_open(flags) | (way == 1 ? 2 : way == 2 ? 3 : 1);
}

static inline uint32_t open_mode(uint64_t flags, uint64_t mode)
{
	enum { CREATES = 0x410040 };	/* O_CREAT, O_TMPFILE */

	return flags & CREATES ? convert_mode((uint32_t)mode) : 0;
}

static inline uint32_t futex_wire(uint32_t op)
{
	return convert_futex_op(op & 127) | (op & 128) | (op & 256);
}

static inline uint32_t node_mode(uint32_t mode)
{
	uint32_t type = mode & 0170000;

	if (!type)
		type = 0100000;
	if (type != 0140000 && type != 0100000 && type != 0060000 && type != 0020000 && type != 0010000)
		type = 0;
	return convert_mode(mode) | type;
}

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
#define NOTHING ((void)0)
#define FLAGS(n, table) put_u32(f, convert_##table(ARG(n)))
#define FLAGS16(n, table) put_u16(f, convert_##table(ARG(n)))
#define FLAGS8(n, table) put_u8(f, convert_##table(ARG(n)))
#define TASK_MEMORY put_memory(f)		/* vm_size, vm_rss, vm_swap */
#define TASK_CAPS put_caps(f)		/* inheritable, permitted, effective */
#define LOOK(fd) (f->opened = file_opened(f->task, fd))		/* no parameter: before those that need it */
#define OPEN_FLAGS(n) put_u32(f, open_wire(f, ARG(n)))
#define OPEN_MODE(flags, mode) put_u32(f, open_mode(ARG(flags), ARG(mode)))
#define DEV put_u32(f, f->opened.dev)
#define INO put_u64(f, f->opened.ino)
#define CREAT_FLAGS put_u16(f, f->opened.layer == LAYER_UPPER ? 1 : f->opened.layer == LAYER_LOWER ? 2 : 0)
#define NODE_MODE(n) put_u32(f, node_mode(ARG(n)))
#define NODE_DEV(n) put_u32(f, dev_wire_user(ARG(n)))
#define SOCKADDR(n, len) put_sockaddr(f, ARG(n), (uint16_t)ARG(len))
#define TIMESPEC(n) put_u64(f, user_timespec(f, ARG(n)))
#define UINT_AT(n) put_u32(f, USER(uint32_t, ARG(n)))
#define ULONG_AT(n) put_u64(f, f->compat ? USER(uint32_t, ARG(n)) : USER(uint64_t, ARG(n)))
#define RLIMIT_OUT(n) put_rlimit(f, ARG(n), RET == 0, -1)		/* what the call found */
#define RLIMIT_IN(n) put_rlimit(f, ARG(n), 1, 0)			/* what it was given */
#define RLIMIT64_OUT(n) put_rlimit64(f, ARG(n), RET == 0, -1)
#define RLIMIT64_IN(n) put_rlimit64(f, ARG(n), 1, 0)
#define POLLED(n, count) put_fdlist(f, ARG(n), ARG(count))
/* data: of reads what came, of writes what was to go if the call failed; `name` of snaplen is an address or 0 */
#define DATA_IN(n, size) \
	(RET > 0 ? put_user_bytes(f, ARG(n), least(snaplen(f, ARG(0), 0, ARG(n), ARG(size)), RET)) : put_empty(f))
#define DATA_OUT(n, size) \
	put_user_bytes(f, ARG(n), least(snaplen(f, ARG(0), 0, ARG(n), ARG(size)), RET > 0 ? RET : ARG(size)))
#define IOV_IN(n, count) \
	(RET > 0 ? (void)put_iov(f, ARG(n), ARG(count), least(snaplen(f, ARG(0), 0, 0, 0), RET)) : put_empty(f))
#define IOV_OUT(n, count) put_iov(f, ARG(n), ARG(count), \
				  RET > 0 ? least(snaplen(f, ARG(0), 0, 0, 0), RET) : snaplen(f, ARG(0), 0, 0, 0))
#define IOV_SIZE(n, count) put_iov_size(f, ARG(n), ARG(count))
#define RES_SIZE put_u32(f, RET > 0 ? RET : 0)
#define IF_OK(what) (RET >= 0 ? (void)(what) : put_empty(f))
/* flags that the kernel takes for a signed number: none of a negative one */
#define POSITIVE(n, table) ((int32_t)ARG(n) < 0 ? 0 : convert_##table(ARG(n)))

#endif
