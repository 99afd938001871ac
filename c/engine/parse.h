/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing: what an event does to the tables. parse_event() prepares the event (thread, descriptor, result) and calls the
 * one function that its code has in the table of parse.c; those live in parse_proc.c, parse_file.c and parse_net.c.
 *
 * Order for each event: remove what the previous one ended; look up thread and descriptor; change state; only then are
 * fields read.
 */
#ifndef FALCO_PARSE_H
#define FALCO_PARSE_H

#include "evt.h"
#include "state.h"

void parse_event(struct evt *e);
/* Did the event just parsed change what later ones find in the tables? May err towards yes. A thread that is new because
 * somebody did something is not counted. */
bool parse_had_effect(const struct evt *e);

/* ---- enter events kept for their exits: old captures, and open, execve and connect enters of any */

enum { STORED_PARAMS = 6 };

struct stored {
	uint32_t code, nparams, size;
	struct param param[STORED_PARAMS];
	uint8_t bytes[];
};

void stored_free(struct state *st, struct stored *s);	/* NULL allowed */
/* The enter event that belongs to this exit, or NULL. */
const struct stored *stored_for(const struct evt *e);
struct str stored_str(const struct stored *s, uint32_t i);
int64_t stored_int(const struct stored *s, uint32_t i, int64_t fallback);

/* ---- helpers of the parsers */

static inline struct param event_param(const struct evt *e, uint32_t i)
{
	return *evt_param(e, i);
}

/* The text a parameter stands for in state: an empty one and "(NULL)" are "<NA>". */
static inline struct str param_text_or_na(const struct evt *e, uint32_t i)
{
	struct str s = param_str(e, i);
	return s.p ? s : STR("<NA>");
}

/* Puts a new record under `fd` in the table the event's thread works with; it becomes the event's record. */
void event_add_fd(struct evt *e, int64_t fd, const struct fd_draft *d);
/* Replaces the event's record by a changed one. */
void event_change_fd(struct evt *e, const struct fd_draft *d);
/* Directory that a relative `name` starts from: "<UNKNOWN>" if dirfd is not known, "." for absolute names. */
struct str event_dirfd(const struct evt *e, struct str name, int64_t dirfd, char *buf, uint32_t cap);

enum { AT_CWD = -100 };		/* AT_FDCWD, as events carry it */

/* Portable open flags, as events carry them (file_flags of flags.def). */
enum open_flags {
	OPEN_DIRECTORY = 0x400,
	OPEN_CLOEXEC = 0x1000,
	OPEN_CREATED = 0x4000,		/* this bit and those above come from the kernel's exit side */
	OPEN_UPPER_LAYER = 0x8000,
	OPEN_LOWER_LAYER = 0x10000,
};

typedef void (*parse_fn)(struct evt *e);

void parse_clone(struct evt *e);
void parse_execve(struct evt *e);
void parse_procexit(struct evt *e);
void parse_chdir(struct evt *e);
void parse_fchdir(struct evt *e);
void parse_getcwd(struct evt *e);
void parse_chroot(struct evt *e);
void parse_setsid(struct evt *e);
void parse_prctl(struct evt *e);
void parse_capset(struct evt *e);
void parse_namespaces(struct evt *e);
void parse_setuid(struct evt *e);
void parse_setresuid(struct evt *e);
void parse_setgid(struct evt *e);
void parse_setresgid(struct evt *e);
void parse_rlimit(struct evt *e);
void parse_prlimit(struct evt *e);
void parse_switch(struct evt *e);
void parse_memory(struct evt *e);
void parse_user(struct evt *e);
void parse_group(struct evt *e);
void parse_container(struct evt *e);
void parse_async(struct evt *e);
void recent_free(struct recent *r);

void parse_open(struct evt *e);
void parse_openat(struct evt *e);
void parse_creat(struct evt *e);
void parse_open_by_handle(struct evt *e);
void parse_close(struct evt *e);
void parse_close_range(struct evt *e);
void parse_dup(struct evt *e);
void parse_fcntl(struct evt *e);
void parse_pipe(struct evt *e);
void parse_simple_fd(struct evt *e);
void parse_memfd(struct evt *e);
void parse_pidfd_open(struct evt *e);
void parse_pidfd_getfd(struct evt *e);

void parse_socket(struct evt *e);
void parse_bind(struct evt *e);
void parse_connect(struct evt *e);
void parse_accept(struct evt *e);
void parse_receive(struct evt *e);
void parse_send(struct evt *e);
void parse_socketpair(struct evt *e);

#endif
