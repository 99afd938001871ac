/* SPDX-License-Identifier: Apache-2.0 */
#include "scap_shape.h"

enum {
#define TYPE(number, name, bytes) WIDTH_##name = bytes,
#include "../driver/types.def"
};

#define IS_TEXT(type) (PT_##type == PT_CHARBUF || PT_##type == PT_FSPATH || PT_##type == PT_FSRELPATH)
#define WANT(type) (IS_TEXT(type) ? WANT_TEXT : WIDTH_##type)
#define P(name, type, format) WANT(type)
#define PF(name, type, format, table) WANT(type)
#define PREL(name, type, format, dirfd) WANT(type)
#define PDYN(name, format, table) WANT(DYN)
#define EACH(...) __VA_OPT__(__VA_ARGS__,)
#define EVENT(code_, symbol, name, kind, origin, flags_, ...) [code_] = { \
	.nparams = sizeof (const uint8_t[]){ EACH(__VA_ARGS__) 0 } - 1, .wide = ((flags_) & EF_LARGE) != 0, \
	.current = !((flags_) & (EF_UNUSED | EF_OLD | EF_CONVERTED)), \
	.current_if_full = ((flags_) & (EF_UNUSED | EF_OLD | EF_CONVERTED)) == EF_CONVERTED && EVENT_IS_EXIT(code_), \
	.want = { EACH(__VA_ARGS__) } },
const struct shape scap_shapes[EV_COUNT] = {
#include "../driver/events.def"
};
