/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include "proc.h"
#include "scap.h"
#include "scap_format.h"

const struct block_row scap_block_rows[SCAP_BLOCK_ROWS] = {
	{ 0x216, 0, BLOCK_EVENT, 0, "event" },
	{ 0x221, 0, BLOCK_EVENT, EVF_LARGE, "large event" },
	{ 0x217, 0, BLOCK_EVENT, EVF_FLAGS, "event" },
	{ 0x222, 0, BLOCK_EVENT, EVF_LARGE | EVF_FLAGS, "large event" },
	{ 0x204, 0x8010abcd, BLOCK_EVENT, EVF_V1, "event" },
	{ 0x208, 0, BLOCK_EVENT, EVF_V1 | EVF_FLAGS, "event" },
	{ 0x218, 0, BLOCK_FDS, 2, "descriptor list" },
	{ 0x203, 0x8001abcd, BLOCK_FDS, 1, "descriptor list" },
	{ 0x215, 0, BLOCK_PROCS, 9, "process list" },
	{ 0x214, 0, BLOCK_PROCS, 8, "process list" },
	{ 0x213, 0, BLOCK_PROCS, 7, "process list" },
	{ 0x212, 0, BLOCK_PROCS, 6, "process list" },
	{ 0x211, 0, BLOCK_PROCS, 5, "process list" },
	{ 0x210, 0, BLOCK_PROCS, 4, "process list" },
	{ 0x209, 0x8014abcd, BLOCK_PROCS, 3, "process list" },
	{ 0x207, 0x8013abcd, BLOCK_PROCS, 2, "process list" },
	{ 0x202, 0x8000abcd, BLOCK_PROCS, 1, "process list" },
	{ 0x0a0d0d0a, 0, BLOCK_SECTION, 0, "section header" },
	{ 0x201, 0x8002abcd, BLOCK_MACHINE, 0, "machine" },
	{ 0x219, 0, BLOCK_IFACES, 2, "interface list" },
	{ 0x205, 0x8011abcd, BLOCK_IFACES, 1, "interface list" },
	{ 0x220, 0, BLOCK_USERS, 2, "user list" },
	{ 0x206, 0x8012abcd, BLOCK_USERS, 1, "user list" },
	{ 1, 0, BLOCK_PCAPNG, 0, "network interface" },
	{ 3, 2, BLOCK_PCAPNG, 0, "packet" },
	{ 6, 0, BLOCK_PCAPNG, 0, "packet" },
};

#define AT(member) offsetof(struct scap_proc, member)
const struct proc_item scap_proc_items[SCAP_PROC_ITEMS] = {
	{ 1, ITEM_U64, AT(tid) }, { 1, ITEM_U64, AT(pid) }, { 1, ITEM_U64, AT(ptid) }, { 6, ITEM_U64, AT(sid) },
	{ 8, ITEM_U64, AT(vpgid) }, { 1, ITEM_TEXT, AT(comm) }, { 1, ITEM_TEXT, AT(exe) }, { 7, ITEM_TEXT, AT(exepath) },
	{ 1, ITEM_BLOB, AT(args) }, { 1, ITEM_TEXT, AT(cwd) }, { 1, ITEM_U64, AT(fdlimit) }, { 1, ITEM_U32, AT(flags) },
	{ 1, ITEM_U32, AT(uid) }, { 1, ITEM_U32, AT(gid) }, { 2, ITEM_U32, AT(vm_size) }, { 2, ITEM_U32, AT(vm_rss) },
	{ 2, ITEM_U32, AT(vm_swap) }, { 2, ITEM_U64, AT(pfmajor) }, { 2, ITEM_U64, AT(pfminor) },
	{ 3, ITEM_BLOB, AT(env) }, { 4, ITEM_U64, AT(vtid) }, { 4, ITEM_U64, AT(vpid) }, { 4, ITEM_BLOB, AT(cgroups) },
	{ 5, ITEM_TEXT, AT(root) },
};

const struct proc_item scap_proc_extras[SCAP_PROC_EXTRAS] = {
	{ 9, ITEM_U64, AT(pidns_start_ts) }, { 9, ITEM_U32, AT(tty) },
	{ 9, ITEM_U32, AT(loginuid) }, { 9, ITEM_FLAG, EXE_WRITABLE }, { 9, ITEM_U64, AT(cap_inheritable) },
	{ 9, ITEM_U64, AT(cap_permitted) }, { 9, ITEM_U64, AT(cap_effective) }, { 9, ITEM_FLAG, EXE_UPPER_LAYER },
	{ 9, ITEM_U64, AT(exe_ino) }, { 9, ITEM_U64, AT(exe_ctime) }, { 9, ITEM_U64, AT(exe_mtime) },
	{ 9, ITEM_FLAG, EXE_FROM_MEMFD }, { 9, ITEM_FLAG, EXE_LOWER_LAYER }, { 9, ITEM_U64, AT(pgid) },
};
#undef AT

const char *const scap_fd_layouts[FD_TYPE_COUNT] = {
	[FD_UNKNOWN] = "", [FD_FILE] = "n", [FD_DIRECTORY] = "n", [FD_IPV4] = "sdpql", [FD_IPV6] = "SDpql",
	[FD_IPV4_LISTEN] = "dql", [FD_IPV6_LISTEN] = "Dql", [FD_FIFO] = "n", [FD_UNIX] = "uwn", [FD_EVENT] = "n",
	[FD_UNSUPPORTED] = "n", [FD_SIGNALFD] = "n", [FD_EVENTPOLL] = "n", [FD_INOTIFY] = "n", [FD_TIMERFD] = "n",
	[FD_NETLINK] = "n", [FD_FILE_V2] = "onv", [FD_BPF] = "n", [FD_USERFAULTFD] = "n", [FD_IO_URING] = "n",
	[FD_MEMFD] = "n", [FD_PIDFD] = "n",
};

char *scap_name(const char *path, const char *standard)
{
	char *name = strdup(strcmp(path, "-") ? path : standard);

	for (char *p = name; p && *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	return name;
}
