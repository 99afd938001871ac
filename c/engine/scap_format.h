/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capture file format as tables: what reading (scap_read.c) and writing (scap_write.c) both go by.
 *
 * A capture is a run of blocks: u32 type, u32 total length, body, padding to four bytes, the length again. A section
 * header and lists (processes, descriptors, users, interfaces) come first, then events. A later section header starts
 * over: captures can be put one behind the other.
 */
#ifndef FALCO_SCAP_FORMAT_H
#define FALCO_SCAP_FORMAT_H

#include <stdint.h>
#include "fd.h"
#include "ffi.h"

enum {
	SECTION_MAGIC = 0x1a2b3c4d, SECTION_MAGIC_SWAPPED = 0x4d3c2b1a, SECTION_BODY = 16, SECTION_MAJOR = 1,
	SECTION_MINOR = 2,
	MACHINE_BODY = 180, HOSTNAME_BYTES = 128,
	BLOCK_HEAD = 8, BLOCK_TAIL = 4, BLOCK_FRAME = BLOCK_HEAD + BLOCK_TAIL,
	SMALL_EVENT_MAX = 65536 + BLOCK_HEAD,	/* whole event blocks, but those of kind "large" */
	MAX_BLOCK = ENGINE_MAX_BLOCK,
	PATH_MAX_BYTES = 1024, BLOB_MAX_BYTES = 4096, USER_MAX_BYTES = 255,
};

/* ------------------------------------------------------------------ kinds of blocks */

enum block_kind {
	BLOCK_UNKNOWN, BLOCK_SECTION, BLOCK_MACHINE, BLOCK_PROCS, BLOCK_FDS, BLOCK_IFACES, BLOCK_USERS, BLOCK_EVENT,
	BLOCK_PCAPNG,
};

enum event_form { EVF_FLAGS = 1, EVF_V1 = 2, EVF_LARGE = 4 };	/* version of event blocks */

/* The latest version of each list: the one that is written. */
enum list_version { PROCS_VERSION = 9, FDS_VERSION = 2, IFACES_VERSION = 2, USERS_VERSION = 2 };

struct block_row {
	uint32_t code, old_code;	/* old_code 0: none */
	uint8_t kind, version;
	const char *name;
};

enum { SCAP_BLOCK_ROWS = 26 };
extern const struct block_row scap_block_rows[SCAP_BLOCK_ROWS];	/* most frequent first */

/* ------------------------------------------------------------------ process list entries */

enum item_kind { ITEM_U64, ITEM_U32, ITEM_TEXT, ITEM_BLOB, ITEM_FLAG };

struct proc_item {
	uint8_t since;			/* version of the list */
	uint8_t kind;			/* ITEM_* */
	uint16_t at;			/* in struct scap_proc; ITEM_FLAG: the bit of exe_flags */
};

enum { SCAP_PROC_ITEMS = 24, SCAP_PROC_EXTRAS = 14 };
extern const struct proc_item scap_proc_items[SCAP_PROC_ITEMS];
/* Version 9 goes on with as many of these as the entry's length has room for. */
extern const struct proc_item scap_proc_extras[SCAP_PROC_EXTRAS];

/* ------------------------------------------------------------------ descriptor list entries */

/* What follows number, inode and type: s, d addresses of 4 bytes and S, D of 16, p, q their ports, l layer 4
 * protocol, u, w kernel addresses of a UNIX socket, o open flags, n name, v device if there is room. */
extern const char *const scap_fd_layouts[FD_TYPE_COUNT];

/*
 * Readers of 2022 (sysdig 0.29) refuse a capture whose descriptor list has a type they do not know, although they
 * skip what an entry has behind its known part. So these types are written as FD_UNSUPPORTED with the type behind the
 * name, after this mark; readers that do not look for it show an unsupported descriptor of that name.
 */
enum { FD_TYPE_KNOWN_TO_ALL = FD_FILE_V2, FD_REAL_TYPE_MARK = 0x65707974 /* "type" */, FD_REAL_TYPE_BYTES = 5 };

/* ------------------------------------------------------------------ interface list entries */

enum iface_type { IFACE_V4 = 1, IFACE_V6 = 2, IFACE_V4_NO_SPEED = 3, IFACE_V6_NO_SPEED = 4 };

/* The path as messages show it: one line, whatever it holds; `standard` for "-". To be freed; NULL: out of memory. */
char *scap_name(const char *path, const char *standard);

#endif
