/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything Lua may see of the C core: declarations only. The build runs this file through `cc -E -P -DFALCO_CDEF`
 * and embeds the result as the FFI's cdef text, so there is no second copy of any declaration or number.
 *
 * Conventions
 *   - int results: 0 or a count / id >= 0 on success, -errno on failure; `struct err` then holds one line for people.
 *   - pointers handed out are borrowed. Whatever hangs off an event dies at the next engine_next().
 *   - hot: leaf() and the first four members of struct evt_head are all that generated code touches per event.
 */
#ifndef FALCO_FFI_H
#define FALCO_FFI_H

#ifndef FALCO_CDEF
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../err.h"
#include "../str.h"
#else
struct err { char text[512]; };
struct str { const char *p; uint32_t len; };
#endif

/* ------------------------------------------------------------------ tables (tables.c): rows of the .def files */

struct flag_info {
	const char *name;
	uint32_t value;
};

struct flag_table {
	const char *name;
	uint32_t n;
	const struct flag_info *rows;
};

struct dyn_table;

struct param_info {
	const char *name;
	uint8_t type;			/* PT_* */
	uint8_t format;			/* PF_* */
	uint8_t dirfd;			/* PT_FSRELPATH: index of the fd parameter it is relative to */
	const struct flag_table *flags;	/* NULL: none */
	const struct dyn_table *dyn;	/* PT_DYN only */
};

struct event_info {
	const char *name;
	uint16_t flags;			/* EF_* */
	uint8_t kind;			/* CAT_* */
	uint8_t origin;			/* FROM_* */
	uint8_t nparams;
	const struct param_info *params;
};

uint32_t event_count(void);
const struct event_info *event_info(uint32_t code);	/* never NULL for code < event_count() */
bool event_is_old(uint32_t code);			/* not written by current drivers */
bool event_is_unused(uint32_t code);
bool event_is_generic(uint32_t code);			/* carries any syscall without an event of its own */
bool event_is_exit(uint32_t code);
bool event_is_seen(uint32_t code);			/* rules can see events of this code */
bool event_is_from_syscall(uint32_t code);
uint32_t event_async_code(void);
uint32_t event_page_fault_code(void);
uint32_t event_plugin_code(void);
uint32_t syscall_count(void);
const char *syscall_name(uint32_t sc);			/* "" for holes */
uint32_t syscall_event(uint32_t sc);			/* that reports it, maybe a generic one; 0: none on this machine */
const char *origin_name(uint32_t origin);		/* of event_info.origin: "syscall" "tracepoint" "plugin" "meta" "iterator" */
const char *type_name(uint32_t type);			/* "CHARBUF" */
const char *format_name(uint32_t format);		/* "DEC" */

/* ------------------------------------------------------------------ values (value.c) */

enum value_flags {
	VALUE_LIST = 1,			/* num.n items at p, each a struct value */
	VALUE_JSON_NUM = 2,		/* whatever its text, its JSON form is the number num.i (time stamps) */
};

struct value {
	uint8_t type;			/* PT_*; PT_NONE (0): missing */
	uint8_t format;			/* PF_* */
	uint8_t flags;			/* VALUE_* */
	uint32_t len;			/* bytes at p: strings (without NUL), buffers, addresses */
	const void *p;
	union {
		uint64_t u;
		int64_t i;
		double d;
		uint64_t n;
	} num;				/* integers are sign- or zero-extended from their type; bool is 0 or 1 */
};

/* Both write at most cap bytes, no NUL, and return how many the whole text has. A missing value is <NA> / null. */
uint32_t value_text(const struct value *v, char *buf, uint32_t cap);
uint32_t value_json(const struct value *v, char *buf, uint32_t cap);
/* The body of a JSON string: escapes, invalid UTF-8 replaced by U+FFFD. */
uint32_t json_escape(const char *s, uint32_t len, char *buf, uint32_t cap);
enum time_form {
	TIME_CLOCK_NS = 0,		/* HH:MM:SS.nnnnnnnnn, local */
	TIME_ISO = 1,			/* ISO 8601, UTC, nine decimals, +0000 */
	TIME_ISO_Z = 2,			/* the same with Z: the time of a JSON alert */
	TIME_CLOCK = 3,			/* HH:MM:SS, local */
	TIME_DATE_NS = 4,		/* YYYY-MM-DD HH:MM:SS.nnnnnnnnn, local */
	TIME_DATE = 5,			/* YYYY-MM-DD HH:MM:SS, local */
};
uint32_t time_text(uint64_t ns, int form, char *buf, uint32_t cap);

/* ------------------------------------------------------------------ fields (field.c): rows of fields.def */

enum field_scope { SCOPE_SELF, SCOPE_LINEAGE, SCOPE_FD, SCOPE_EVENT, SCOPE_STATEFUL };

enum field_arg_kind {
	ARG_NONE = 0,
	ARG_INDEX = 1,			/* field[3] */
	ARG_KEY = 2,			/* field[name] */
	ARG_REQUIRED = 4,
	ARG_DOT = 8,			/* also field.name, e.g. evt.arg.flags */
};

enum field_flags {
	FIELD_LIST = 1,			/* yields a list */
	FIELD_FILTER_ONLY = 2,		/* conditions only, not outputs */
	FIELD_PRINT_ONLY = 4,
	FIELD_NO_RHS = 8,		/* not inside val() */
	FIELD_NO_TRANSFORM = 16,
	FIELD_DEPRECATED = 32,
	FIELD_HIDDEN = 64,
	FIELD_EITHER = 128,		/* several ends: "=" true if any equals, "!=" true if none does */
	FIELD_NET = 256,		/* constants are networks a.b.c.d/n */
	FIELD_AT_MOST = 512,		/* only "=", and it is true up to the constant: evt.around[T] = D */
	FIELD_SUGGESTED = 1024,		/* `append_output: suggested_output` adds it to alerts */
	FIELD_CONTAINER = 2048,		/* tells of containers; reading one has the effect of ruleset_use_containers() */
	FIELD_PATTERN = 4096,		/* its key is a regular expression; one that is none is taken as a glob */
	FIELD_EVENT_NAME = 8192,	/* the event's name: comparing it decides which events a condition can hold for */
	FIELD_SYSCALL_NAME = 16384,	/* likewise, and missing for events that no system call made */
	FIELD_ORDINAL = 32768,		/* counts from 1 */
	/* what it takes to read it of an event long past (past.h), besides the event, its descriptor, its thread and the
	 * threads that one descends from or is led by */
	FIELD_REPLAY = 65536,		/* counts, or whole tables: only a replay up to the event can tell */
	FIELD_TABLES = 131072,		/* users, groups, containers, interfaces, the machine */
	FIELD_BY_NUMBER = 262144,	/* descriptors and threads that parameters name by number */
	FIELD_STD = 2097152,		/* descriptors 0 to 2 of the thread */
	/* scope EVENT, but what is remembered decides it alone: */
	FIELD_OF_THREAD = 524288,	/* of the thread and those around it */
	FIELD_OF_BOTH = 1048576,	/* of them and the descriptor's record */
};

struct field_info {
	const char *name;
	const char *class_name;		/* evt proc fd ... as --list groups them */
	const char *doc;
	uint8_t type, format;
	uint8_t scope;			/* SCOPE_* */
	uint8_t arg;			/* ARG_* bits */
	uint32_t flags;			/* FIELD_* */
};

uint32_t field_count(void);
const struct field_info *field_info(uint32_t i);
int field_find(const char *name, uint32_t len);		/* exact name without argument; -ENOENT */
/* The longest prefix of `text` that is a field with its argument, as output formats want it: its length in bytes and
 * where name and argument lie in it (arg_len < 0: no argument). 0: none. */
uint32_t field_prefix(const char *text, uint32_t len, uint32_t *name_len, uint32_t *arg_at, int32_t *arg_len);

/* ------------------------------------------------------------------ rulesets (ruleset.c, leaf.c, match.c) */

struct ruleset;
struct evt;

enum transformer { TR_TOLOWER, TR_TOUPPER, TR_B64, TR_BASENAME, TR_LEN, TR_JOIN, TR_CONCAT, TR_GETOPT, TR_COUNT };

enum leaf_op {
	OP_EXISTS, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_CONTAINS, OP_ICONTAINS, OP_BCONTAINS, OP_STARTSWITH,
	OP_BSTARTSWITH, OP_ENDSWITH, OP_GLOB, OP_IGLOB, OP_REGEX, OP_IN, OP_INTERSECTS, OP_PMATCH, OP_COUNT
};

enum modifier { MOD_NONE, MOD_ONEOF, MOD_ANYOF, MOD_ALLOF };

const char *transformer_name(uint32_t transformer);	/* "tolower" */
const char *operator_name(uint32_t op);			/* "startswith" */

struct expr_info {
	uint8_t type, format;
	uint8_t scope;
	uint32_t flags;			/* FIELD_LIST, FIELD_NO_RHS, ... of the field inside */
	const char *field;		/* name of that field */
};

struct leaf_spec {
	int32_t expr;			/* left side */
	int32_t rhs;			/* expression on the right, or -1: constants */
	uint32_t op;			/* OP_* */
	uint32_t modifier;		/* MOD_* */
	uint32_t nvalues;
	const struct str *values;	/* unescaped constants as written */
};

struct ruleset *ruleset_new(void);
void ruleset_free(struct ruleset *rs);
/* An expression: a field with its argument (arg NULL: none), or a transformer over others. Equal ones share an id
 * unless the field is stateful. */
int ruleset_field(struct ruleset *rs, const char *name, uint32_t len, const char *arg, uint32_t arg_len, struct err *err);
int ruleset_transform(struct ruleset *rs, uint32_t transformer, const int32_t *inputs, uint32_t n, const char *arg,
		      uint32_t arg_len, struct err *err);
/* Operands of transformers: a quoted text or number as it stands, and a list "(a, b)" of expressions. */
int ruleset_text(struct ruleset *rs, const char *text, uint32_t len, struct err *err);
int ruleset_list(struct ruleset *rs, const int32_t *items, uint32_t n, struct err *err);
const struct expr_info *ruleset_expr(const struct ruleset *rs, int expr);
/* A comparison. Equal ones share an id. On error *bad_value is the index of the constant at fault, or -1. */
/* Cuts a text at its NUL bytes into exactly n values, the last ones empty if there are fewer: for leaf_spec. */
void values_split(const char *text, uint32_t len, struct str *values, uint32_t n);
int ruleset_leaf(struct ruleset *rs, const struct leaf_spec *spec, int32_t *bad_value, struct err *err);
const struct expr_info *ruleset_leaf_expr(const struct ruleset *rs, int leaf);
/* What the alert of one rule carries: a list of expressions. */
int ruleset_output(struct ruleset *rs, const int32_t *exprs, uint32_t n);
/* Let engine_next() return events of this code (generic codes: only of syscall `sc`; -1 = of any). */
void ruleset_want(struct ruleset *rs, uint32_t code, int32_t sc);
void ruleset_want_nothing(struct ruleset *rs);		/* takes all of that back */
uint32_t ruleset_leaf_count(const struct ruleset *rs);
/* Names of users and groups, fd.containername and the ends of connections are then those that hold in the container a
 * thread runs in, not the host's. */
void ruleset_use_containers(struct ruleset *rs);

/*
 * The gate (gate.h): tell it of the rules, and engine_next() dismisses events that none of them can match. Entries are
 * numbers of the caller's; ruleset_gate() makes room for that many and forgets what was told before. A program decides by
 * asking leaves one after the other: from step i to next[answer], a later step or an end. Equal ones share a number.
 */
enum { GATE_YES = -1, GATE_NO = -2 };

struct gate_step {
	int32_t leaf;
	int32_t next[2];
};

enum gate_verdict { GATE_PASSES, GATE_BY_TYPE, GATE_BY_PROCESS, GATE_BY_DESCRIPTOR, GATE_BY_CONDITION, GATE_VERDICTS };

struct gate_stats {
	uint64_t verdicts[GATE_VERDICTS];	/* events of a wanted type, by what became of them */
};

int ruleset_gate(struct ruleset *rs, uint32_t entries);
/* All leaves that the entries will ask, in any order: before everything else. Comparisons of one text become a matcher. */
int ruleset_gate_leaves(struct ruleset *rs, const int32_t *leaves, uint32_t n);
/* How likely the leaf is to hold, roughly, if a matcher finds it: 1 hardly ever, more for more. 0: none does. */
uint32_t ruleset_gate_likely(const struct ruleset *rs, int32_t leaf);
/* triggers: leaves that matchers find; the program says no if none of them holds. None: nothing of the kind is known. */
int ruleset_gate_program(struct ruleset *rs, const struct gate_step *steps, uint32_t n, const int32_t *triggers,
			 uint32_t ntriggers);
/* What an entry cannot do without, of one scope: SCOPE_SELF or SCOPE_FD, as all leaves of the program. Without: it passes. */
int ruleset_gate_part(struct ruleset *rs, uint32_t entry, uint32_t scope, int32_t program);
/* The entry can match events of this code (sc: as ruleset_want(), which this implies). What it asks of them: `event`, what
 * neither the process nor the descriptor answers, and `whole`, its whole condition; -1: nothing, or nothing that may be
 * asked in advance. Entries of one code come in order; the programs are those of the first call. */
int ruleset_gate_type(struct ruleset *rs, uint32_t entry, uint32_t code, int32_t sc, int32_t event, int32_t whole);
/* Everything was told. */
int ruleset_gate_ready(struct ruleset *rs);
/* After engine_next(): how many entries the event got past the gate with, and behind that which. Stays where it is until
 * ruleset_gate() is called again. */
const int32_t *ruleset_gate_hits(const struct ruleset *rs);
/* The program's answer for the event at hand: 1 or 0, or -EINVAL. */
int ruleset_gate_holds(struct ruleset *rs, const struct evt *e, int32_t program);
/* What the gate would do if this were the only entry: GATE_PASSES, or which part of the condition is in the way. */
int ruleset_gate_verdict(struct ruleset *rs, const struct evt *e, uint32_t entry);
/* Counts since ruleset_gate(), of events of one code. */
void ruleset_gate_stats(const struct ruleset *rs, uint32_t code, struct gate_stats *stats);
/* What an entry would cost alone in the gate: measured on a few of the events that some entry looks at. */
struct gate_cost {
	double ns;			/* of all of them together */
	uint64_t asked;			/* that this entry looks at */
	uint64_t samples;		/* all of them: ns / samples for each event */
};
void ruleset_gate_cost(const struct ruleset *rs, uint32_t entry, struct gate_cost *cost);

/* 1 or 0. The one call that generated predicates make. */
int leaf(const struct evt *e, int id);
/* No event of that code has what the leaf compares, so it never holds there. may_lack: false: of no code is that known. */
bool leaf_may_lack(const struct ruleset *rs, int32_t id);
bool leaf_lacks(const struct ruleset *rs, int32_t id, uint32_t code);
/* What answers it once an event is remembered: PAST_*. */
uint32_t leaf_part(const struct ruleset *rs, int32_t id);
/* After leaf(): the value that it compared, on its left side (0) or of the expression on its right (1). 1, or 0: missing;
 * -ENOENT: there is no such side. Several values are a list. */
int leaf_operand(const struct evt *e, int id, int side, struct value *v);

/* ------------------------------------------------------------------ what to watch (interest.c) */

enum { SYSCALL_SET_SIZE = 512 };

struct syscall_set {
	bool has[SYSCALL_SET_SIZE];	/* by portable code, SC_*; tracepoints have codes too */
};

enum interest_flags {
	INTEREST_REPAIR = 1,		/* the fewest calls that keep the tables right */
	INTEREST_ALL = 2,		/* with reads and writes, if rules want them */
};

struct interest {			/* base_syscalls of falco.yaml */
	uint32_t flags;
	uint32_t ncustom;
	const struct str *custom;	/* names of events or system calls; "!name" takes one away */
	bool *bad;			/* out, one for each: no call has that name */
	struct syscall_set rules;	/* what rules can match */
};

/* What a live source has to report, see interest.h. */
void interest(const struct interest *want, struct syscall_set *set);
/* A read or write that no table learns from: left out of every set without INTEREST_ALL. */
bool event_is_left_out(uint32_t code);

/* ------------------------------------------------------------------ alerts (alert.c) */

struct alert {
	uint64_t ts, num;
	uint32_t n;			/* values, in the order of the output's expressions */
	uint32_t size;			/* bytes from here to the end of all that the values point to */
	const struct value *values;
};

/* Copies the values of output `id` out of the event, typed. Borrowed from the ruleset until its next alert. */
const struct alert *alert_fill(const struct evt *e, int id);

/* ------------------------------------------------------------------ engine (engine.c) */

struct engine;

/* What state may take. What exceeds it is not known from then on, and counted: see engine_stat(). */
struct engine_limits {
	uint32_t max_threads;		/* 0 anywhere: the default */
	uint32_t max_fds;		/* descriptors of one process */
	uint32_t max_fd_bytes;		/* bytes of all descriptors */
	uint32_t max_strings;		/* bytes of the strings that repeat: names, arguments, environments ... */
	uint32_t max_user_bytes;	/* bytes of users and groups */
	uint32_t max_container_bytes;	/* bytes of what is known of containers */
	uint32_t max_block;		/* bytes of one capture block */
	uint32_t max_scratch;		/* bytes that fields may compose per event */
};

enum engine_default {
	ENGINE_MAX_THREADS = 262144,
	ENGINE_MAX_FDS = 4096,		/* as many as upstream keeps */
	ENGINE_MAX_FD_BYTES = 256 << 20,
	ENGINE_MAX_STRINGS = 256 << 20,
	ENGINE_MAX_USER_BYTES = 16 << 20,
	ENGINE_MAX_CONTAINER_BYTES = 64 << 20,
	ENGINE_MAX_BLOCK = 64 << 20,
	ENGINE_MAX_SCRATCH = 16 << 20,
};

struct evt_head {
	uint32_t code;			/* after conversion of old events */
	uint32_t sc;			/* generic events: which syscall */
	uint32_t cpu;
	uint32_t nparams;
	uint64_t num;			/* ordinal among delivered events, from 1 */
	uint64_t ts;			/* ns since the epoch */
	int64_t tid;
};

/* NEXT_IDLE: a live source has nothing now, or went on for a while: time to look after other things. */
enum next_result { NEXT_END = 0, NEXT_EVENT = 1, NEXT_STOPPED = 2, NEXT_IDLE = 3 };

/* Where metadata of live containers comes from: plugins[container].init_config of falco.yaml. */
enum runtime_engine {
	RUNTIME_USE_DOCKER = 1, RUNTIME_USE_PODMAN = 2, RUNTIME_USE_CRI = 4, RUNTIME_USE_CONTAINERD = 8,
	RUNTIME_USE_ALL = 15,
};
enum { RUNTIME_SOCKETS = 8, RUNTIME_SOCKET_PATH = 108, RUNTIME_LABEL_LEN = 100 };
struct runtime_socket {
	uint32_t engine;		/* RUNTIME_USE_DOCKER or _PODMAN: whose API it is; 0: none */
	char path[RUNTIME_SOCKET_PATH];
};
struct runtime_options {
	uint32_t engines;		/* RUNTIME_USE_* */
	uint32_t label_max_len;		/* longer labels are left out */
	struct runtime_socket sockets[RUNTIME_SOCKETS];
};
void runtime_defaults(struct runtime_options *options);

struct engine *engine_new(const struct engine_limits *limits, struct err *err);	/* limits NULL: the defaults */
void engine_free(struct engine *eng);
/* path "-" is stdin. */
int engine_open_replay(struct engine *eng, const char *path, struct err *err);
/* This host: what the driver reports, and the state at the start, from the driver and /proc. 0 anywhere: the default. */
struct live_options {
	struct syscall_set want;	/* see interest() */
	uint64_t ring_bytes;		/* of each buffer between kernel and engine: a power of two */
	uint32_t cpus_per_ring;		/* 0: one buffer for all */
	uint32_t snaplen;		/* bytes of data that events keep */
	uint32_t seconds;		/* after which engine_next() says NEXT_END; 0: never */
	uint16_t full_port_first, full_port_last;	/* more bytes for these ports; last 0: none */
	uint32_t purge_interval_s;	/* between looks for threads whose end was lost; 0: none */
	uint32_t purge_patience_s;	/* that such a thread is kept for */
	const struct runtime_options *containers;	/* NULL: the defaults */
	bool drop_failed;		/* without calls that failed */
	bool self;			/* with what this process does */
	bool no_iterators;		/* the start's state is from /proc alone */
};
int engine_open_live(struct engine *eng, const struct live_options *options, struct err *err);
/* What was lost between kernel and engine since the start. `events` counts the lost ones too; of those in `full`, lost for
 * want of room in a buffer, the next eight say which. false: the source is not live. */
struct live_losses {
	uint64_t events, lost, full, forks, execs, exits, opens, closes, connects, files, others, too_big, busy;
};
bool engine_losses(const struct engine *eng, struct live_losses *losses);
/* Other rules: what is reported from now on. */
int engine_live_want(struct engine *eng, const struct syscall_set *set, struct err *err);
/*
 * What the next engine_open_replay() or engine_open_live() opens is also written to a capture (record.h): its chosen events, and unless
 * RECORD_ONLY, for state only, those that their tables need. path "-" is stdout.
 */
enum record_flags {
	RECORD_PLAIN = 1,		/* without gzip */
	RECORD_ALL = 2,			/* every event is chosen */
	RECORD_ONLY = 4,		/* leave out what was not chosen */
};
void engine_record(struct engine *eng, const char *path, uint32_t flags);
void engine_choose(struct engine *eng);			/* the event that engine_next() returned */
/* Events written so far: chosen ones, and those for state only. */
void engine_recorded(const struct engine *eng, uint64_t *chosen, uint64_t *state_only);
/* Finishes that capture. The last event is in it if engine_next() was called once more. */
int engine_record_end(struct engine *eng, struct err *err);
/*
 * A window: a capture of the state and of all events from the one at hand on, until an event as late as `until` (ns since
 * the epoch), or until the file has grown to max_bytes (0: no limit; checked as it is written, a MB at a time).
 */
enum window_state { WINDOW_NONE, WINDOW_OPEN, WINDOW_OVER, WINDOW_FULL, WINDOW_FAILED };
int engine_window_open(struct engine *eng, const char *path, uint64_t max_bytes, struct err *err);
void engine_window_until(struct engine *eng, uint64_t until);		/* later than now: longer; else as it is */
/* How the last one stands, and bytes of its file. What failed is in engine_window_error(). */
uint32_t engine_window(const struct engine *eng, uint64_t *bytes);
const char *engine_window_error(const struct engine *eng);
void engine_window_close(struct engine *eng);				/* now */
void engine_use(struct engine *eng, struct ruleset *rs);	/* NULL: none, every event passes unseen */
/* Goes on to the next event that the ruleset wants. Negative: -errno, see engine_error(). */
int engine_next(struct engine *eng);
/* Goes on by one event, whatever it is and whoever wants it. NEXT_EVENT: it is at hand, and engine_shows() tells whether
 * rules may see it. */
int engine_step(struct engine *eng);
bool engine_shows(const struct engine *eng);
const char *engine_error(const struct engine *eng);
struct evt *engine_evt(struct engine *eng);		/* one constant address per engine */
struct evt_head *evt_head(struct evt *e);
void engine_stop(struct engine *eng);			/* async-signal-safe: engine_next returns NEXT_STOPPED */
void engine_resume(struct engine *eng);			/* takes engine_stop() back; no event was lost */
/* Counters: name and value of the i-th, or NULL; alarming: it tells that something was not as it should be. */
const char *engine_stat(const struct engine *eng, uint32_t i, uint64_t *value, bool *alarming);
uint64_t engine_delivered(const struct engine *eng);	/* events numbered so far */
double engine_progress(const struct engine *eng);	/* 0..1 of the file, < 0 unknown */

/* ------------------------------------------------------------------ captures that are remembered (past.c, past_pass.c) */

struct past;
struct past_pass;

struct past_facts {
	uint64_t events;		/* numbered so far */
	uint64_t first_ts, last_ts;
	uint64_t bytes, image_bytes;	/* that it takes; of them the capture's own, unpacked */
	uint32_t threads, views, records, extras;	/* copies */
	bool complete;			/* read to its end */
	bool kept;			/* remembered; if not: */
	const char *why_not;
	bool tables_changed;		/* users, groups, containers or interfaces changed among the events */
};

/* Captures one after the other, "-" is stdin. Nothing is read yet. max_bytes: that may be remembered; 0: nothing. */
struct past *past_new(const char *const *paths, uint32_t n, const struct engine_limits *limits, uint64_t max_bytes,
		      struct err *err);
/* Opens the first of them, so that a first mistake is told early. 0 or -errno. */
int past_begin(struct past *p, struct err *err);
void past_free(struct past *p);			/* NULL allowed; its passes must have been freed */
void past_facts(const struct past *p, struct past_facts *f);

/* A type number is what an event's code and system call decide together: there are past_types() of them. */
uint32_t past_types(void);
uint32_t past_type(uint32_t code, uint32_t sc);

/* Programs as the gate has them: what only the thread and those around it answer, what only the descriptor does, what the two
 * do together, and all of it. n 0: nothing is asked. exact: the first three together say the same as all of it. */
enum past_part { PAST_PROCESS, PAST_DESCRIPTOR, PAST_BOTH, PAST_WHOLE, PAST_PARTS };
struct past_variant {
	const struct gate_step *steps[PAST_PARTS];
	uint32_t n[PAST_PARTS];
	bool exact;
};

/* Counts how often which values occur; max: different ones at most. */
struct past_tally;
struct past_tally *past_tally_new(uint32_t max);	/* NULL: out of memory */
void past_tally_free(struct past_tally *t);
uint32_t past_tally_rows(const struct past_tally *t, uint64_t *left_out);	/* left_out: events that found no room */
/* How often; text: of each value its length in four bytes (all ones: missing), then its bytes, at most 4096. */
uint64_t past_tally_row(const struct past_tally *t, uint32_t i, struct str *text);

struct past_query {
	struct ruleset *rules;
	const struct past_variant *variants;	/* 255 at most */
	uint32_t nvariants;
	const uint8_t *types;		/* by type number: 0: no event of it is wanted; else 1 + number of the variant */
	const uint32_t *only;		/* a set of numbers of events, 32 in a word; NULL: all */
	uint32_t only_words;
	int32_t output;			/* what will be read of the events that are visited; -1: nothing */
	const int32_t *leaves;		/* leaves that will be asked about them, besides the programs' */
	uint32_t nleaves;
	struct past_tally *tally;	/* counts the values of `output` in the events found; NULL: nobody does */
	bool visit;			/* past_pass_go() returns for each event found, which is at hand then */
	bool tables;			/* the tables of the engine will be looked at then */
	bool remembers;			/* answers depend on earlier events */
};

enum past_way { PAST_FIRST, PAST_MEMORY, PAST_REPLAY };

struct past_count {
	uint64_t looked;		/* events that rules can see, so far */
	uint64_t found;
	uint64_t late;			/* of those in memory: a replay had to tell */
	uint32_t way;			/* PAST_*: the most expensive one that was needed */
	double progress;		/* 0..1 */
};

/* The query, with all that it points to, must stay as it is until past_pass_free(). One pass at a time per `past`. */
struct past_pass *past_pass_new(struct past *p, const struct past_query *query, struct err *err);
/* Goes on for `budget` events or so: NEXT_IDLE: there are more; NEXT_EVENT: see `visit`; NEXT_END; -errno with err. */
int past_pass_go(struct past_pass *pass, uint32_t budget, struct err *err);
struct evt *past_pass_evt(struct past_pass *pass);		/* at hand; not always the same address */
struct engine *past_pass_engine(struct past_pass *pass);	/* with `tables`: whose state it is */
void past_pass_count(const struct past_pass *pass, struct past_count *count);
/* Without `visit`: the numbers of the events found, as a set. Borrowed; grows while the pass goes on. */
const uint32_t *past_pass_found(const struct past_pass *pass, uint32_t *words);
void past_pass_free(struct past_pass *pass);			/* NULL allowed */

/* The source of an engine of its own becomes file number `file`: as it is remembered, or else read again. 0 or -errno. */
int past_open_again(struct past *p, struct engine *eng, uint32_t file, struct err *err);
/* Counts the numbers of a set by time, in equal parts from the first event to the last. false: they are not remembered. */
bool past_times(const struct past *p, const uint32_t *set, uint32_t words, uint64_t *counts, uint32_t parts);

/* ------------------------------------------------------------------ the tables of an engine, for people (look.c) */

struct thread_row {
	int64_t tid, pid, ptid, parent;		/* parent: pid of the process above; -1 anywhere: not known */
	int64_t vtid, vpid, sid, pgid;
	uint32_t uid, gid, loginuid, tty;
	uint32_t threads, fds;			/* of its process: alive, open */
	uint64_t clone_ts, exec_ts;		/* ns since the epoch; 0: before the capture */
	bool is_main, is_dead, is_known;	/* is_known: more than its number */
	struct str comm, exe, exepath, cwd, container;
	struct str args, env, cgroups;		/* items with a NUL between them */
};

struct fd_row {
	int64_t fd;
	uint64_t ino;
	uint32_t dev, openflags;		/* openflags: portable O_* */
	char letter;				/* fd.typechar */
	const char *type;			/* fd.type */
	struct str name, raw;			/* raw: path as passed; empty: none */
};

/* What is borrowed stays until the engine goes on. */
int engine_thread(struct engine *eng, int64_t tid, struct thread_row *row);	/* 0, or -ENOENT */
/* Both: at most `cap`, in no order; how many there are. */
uint32_t engine_threads(struct engine *eng, int64_t *tids, uint32_t cap);
uint32_t engine_fds(struct engine *eng, int64_t tid, struct fd_row *rows, uint32_t cap);
/* ------------------------------------------------------------------ alerts that wait for one output (output/) */

/* A finished alert. What backlog_next() and spool_next() show is borrowed until the next call that is not for asking. */
struct note {
	uint64_t ts;
	const char *line;		/* its last byte is the newline */
	const char *rule, *source;
	const char *tags;		/* with a NUL behind each */
	uint32_t line_len;		/* with its newline */
	uint32_t mark_at, mark_len;	/* where the priority's name stands in the line */
	uint32_t rule_len, source_len, tags_len;
	uint32_t priority;
};

/*
 * Both kinds of waiting go alike: put at one end; next shows the note at the cursor, step says that it was taken and is under way;
 * ack, that the n oldest of those have arrived; rewind, that those under way must be taken again. A backlog lies in memory.
 * put: 0; -EAGAIN: full; -EMSGSIZE: larger than 16 MiB; -ENOMEM.
 */
struct backlog;
struct backlog *backlog_new(uint64_t max_bytes);	/* NULL: no memory */
void backlog_free(struct backlog *b);
bool backlog_has_room(const struct backlog *b);
int backlog_put(struct backlog *b, const struct note *n);
bool backlog_next(struct backlog *b, struct note *n);
void backlog_step(struct backlog *b);
void backlog_ack(struct backlog *b, uint64_t n);
void backlog_rewind(struct backlog *b);
uint64_t backlog_count(const struct backlog *b);	/* not acked yet */
uint64_t backlog_under_way(const struct backlog *b);

/*
 * A spool lies in a directory of its own and is there again after a restart (spool.c). put also fails with -errno of the disk.
 * next: 1, 0: there is none; what is damaged is passed over, counted and told by spool_notice().
 */
struct spool;
struct spool_stats {
	uint64_t bytes;			/* on disk */
	uint64_t damaged, lost;		/* places where notes were lost to bad data, and how many, as far as that can be told */
	uint64_t put, acked;
};
struct spool *spool_open(const char *dir, uint64_t max_bytes, struct err *err);
void spool_close(struct spool *s);
bool spool_has_room(const struct spool *s);
int spool_put(struct spool *s, const struct note *n);
int spool_next(struct spool *s, struct note *n);
void spool_step(struct spool *s);
void spool_ack(struct spool *s, uint64_t n);
void spool_rewind(struct spool *s);
uint64_t spool_count(const struct spool *s);
uint64_t spool_under_way(const struct spool *s);
int spool_sync(struct spool *s);			/* to the disk itself, if anything is not there yet */
const char *spool_notice(struct spool *s);		/* one line on damage, once; or NULL */
void spool_stats(const struct spool *s, struct spool_stats *stats);

/*
 * Writing without waiting (sink.c). What a sink has taken and its descriptor has not is kept in a buffer.
 * sink_put: 0: taken; -EAGAIN: not now, nothing of it; -errno: the descriptor is no good. The same again until sink_free().
 * sink_flush: 0: all is out; -EAGAIN: not yet: wait for QUEUE_OUT on sink_fd().
 */
struct sink;
enum sink_flags {
	SINK_OWNS = 1,			/* the descriptor is closed with it */
	SINK_COLLECT = 2,		/* writes when flushed, or full */
	SINK_UNREAD = 4,		/* sink_arrived() is of use */
};
struct sink *sink_new(int fd, uint32_t flags);		/* NULL: no memory */
int sink_put(struct sink *s, const char *p, size_t len);
int sink_flush(struct sink *s);
int sink_fd(const struct sink *s);
uint64_t sink_pending(const struct sink *s);		/* bytes in the buffer */
/* Notes of sink_put() that the reader at the other end of a pipe or socket has read to their ends, since the last call. */
uint32_t sink_arrived(struct sink *s);
void sink_free(struct sink *s);				/* without flushing */
int sink_standard(int fd);				/* a descriptor for the same stream that never waits, or fd itself */

/* Files, programs and sockets for outputs (peer.c). Descriptors, or -errno. */
int file_append(const char *path);
int socket_unix(const char *path, bool stream);		/* connected, and never waits */
bool socket_gone(int fd);				/* the other end has hung up */
int socket_send(int fd, const char *p, size_t len);	/* one datagram: 0; -EAGAIN */
enum { SOCKET_EAGAIN = 11, SOCKET_EMSGSIZE = 90, SOCKET_ENOSPC = 28, SOCKET_EDQUOT = 122, SOCKET_EIO = 5 };
void file_close(int fd);
/* Starts `/bin/sh -c command` with a pipe to its input; *in: our end. Its pid, or -errno. No signal is blocked there, and no other
 * descriptor but standard output and error is open. */
int program_start(const char *command, int *in);
int program_watch(int pid);				/* a descriptor that can be read once it has ended; -errno: none */
/* What became of it: 1: has ended, *status is 0-255, or minus the signal; 0: not yet. */
int program_ended(int pid, int32_t *status);
void program_kill(int pid, bool at_once);

/* ------------------------------------------------------------------ alerts to the output thread (output/queue.c) */

struct queue;

enum parcel_kind {
	PARCEL_SKIP,			/* never seen by who takes */
	PARCEL_ALERT,			/* a struct alert follows, whose pointers lead into the parcel */
	PARCEL_DATA,			/* bytes follow: parcel.len of them */
};

struct parcel {
	uint32_t size;			/* all of it */
	uint32_t len;			/* PARCEL_DATA: bytes */
	uint32_t kind;			/* PARCEL_* */
	uint32_t generation;		/* of the ruleset: 0 is none */
	uint32_t rule;			/* its index there; PARCEL_DATA: or what the two ends agreed on */
	uint32_t unused;
};

enum { QUEUE_BYTES_MIN = 8 << 20 };
struct queue_limits {
	uint64_t bytes;			/* at least QUEUE_BYTES_MIN */
	uint32_t alerts;		/* that may wait; 0: as many as there is room for */
	bool waits;			/* for room; else what does not fit is dropped */
};

struct queue_stats {
	uint64_t put, taken;		/* parcels with alerts */
	uint64_t dropped;		/* alerts for which there was no room */
	uint64_t cut;			/* alerts that were larger than a parcel may be */
	uint64_t waits;			/* how often the worker had to wait */
	uint64_t peak;			/* most alerts that were ever waiting */
};

struct queue *queue_new(const struct queue_limits *limits, struct err *err);
void queue_free(struct queue *q);
/*
 * The worker's end. 0; -EAGAIN: dropped for want of room; -EPIPE: nobody takes any more; -E2BIG: larger than 2 MiB. Who
 * waits and is asked to stop by a signal waits a second more.
 */
int queue_alert(struct queue *q, uint32_t generation, uint32_t rule, const struct alert *alert);
int queue_data(struct queue *q, uint32_t generation, uint32_t rule, const char *data, size_t len);
/* Nothing comes any more. What is left may take until `deadline` (sys_now_ns(); 0: as long as it takes). */
void queue_end(struct queue *q, uint64_t deadline);
/* The output thread's end. The next parcel, borrowed until queue_done(); NULL: none is there now. */
const struct parcel *queue_peek(struct queue *q);
const struct alert *parcel_alert(const struct parcel *b);
const char *parcel_data(const struct parcel *b);
void queue_done(struct queue *q);
bool queue_ended(const struct queue *q, uint64_t *deadline);
uint32_t queue_reopens(const struct queue *q);		/* how often outputs were asked to open their files anew */
/*
 * Waits until there is a parcel, one of the descriptors is ready, outputs were asked to reopen, or ms have passed (negative:
 * for good). nap: the worker need not wake it for a parcel, which is found a millisecond later at the most. full: parcels that are
 * there do not matter.
 */
struct queue_fd {
	int fd;
	int16_t events, revents;	/* QUEUE_IN, QUEUE_OUT; revents has others when something is wrong */
};
enum { QUEUE_IN = 1, QUEUE_OUT = 4 };
void queue_wait(struct queue *q, struct queue_fd *fds, uint32_t n, int ms, bool nap, bool full);
/* From the output thread to the worker: how it stands, and lines of text. */
enum output_state { OUTPUT_STARTING, OUTPUT_OPEN, OUTPUT_LOST, OUTPUT_ENDED };
void queue_set_state(struct queue *q, uint32_t state);
uint32_t queue_state(const struct queue *q);
uint32_t queue_await_start(struct queue *q);		/* waits while it is OUTPUT_STARTING */
void queue_report(struct queue *q, const char *line, size_t len);
const char *queue_reported(struct queue *q, uint32_t i);	/* the i-th line, or NULL; stays where it is */
void queue_stats(const struct queue *q, struct queue_stats *stats);
/* How an output stands: set by the output thread now and then, for people and metrics. */
enum { QUEUE_OUTPUTS = 32 };
struct output_row {
	char name[32];
	uint64_t delivered;		/* alerts */
	uint64_t waiting, spooled;	/* of them on disk */
	uint64_t dropped;
	uint64_t timeouts;		/* how often output_timeout passed */
	bool down;
};
void queue_set_output(struct queue *q, uint32_t i, const struct output_row *row);
bool queue_output(struct queue *q, uint32_t i, struct output_row *row);	/* false: there is no i-th */
/* ns since the output thread last came round; it does not wait for long unless a disk or a system call keeps it. */
uint64_t queue_silence(const struct queue *q);
/* SIGUSR1 asks the outputs of `q` to open their files anew (NULL: is ignored). */
void queue_reopen_on_signal(struct queue *q);

/* A thread with a Lua state of its own that runs module "outputs.main" with `q` and `boot` (lua.c: in the program alone). It
 * gets no signals. output_join(): 0, or -ETIMEDOUT when it is still at it after so many ms (negative: waits for good). */
struct output_thread;
struct output_thread *output_start(struct queue *q, const char *boot, size_t len, struct err *err);
int output_join(struct output_thread *t, int ms);

/* ------------------------------------------------------------------ captures that are made up (tale.c): tests of rules */

/* Of an executable. */
enum image_flags { EXE_WRITABLE = 1, EXE_UPPER_LAYER = 2, EXE_FROM_MEMFD = 4, EXE_LOWER_LAYER = 8 };

/* One entry of a process list. */
struct scap_proc {
	int64_t tid, pid, ptid, sid, vpgid, pgid, vtid, vpid;	/* absent: -1 */
	struct str comm, exe, exepath, args, cwd, env, cgroups, root;
	uint64_t fdlimit;
	uint32_t flags, uid, gid, loginuid, tty;
	uint32_t vm_size, vm_rss, vm_swap;
	uint64_t pfmajor, pfminor, pidns_start_ts;
	uint64_t cap_inheritable, cap_permitted, cap_effective;
	uint64_t exe_ino, exe_ctime, exe_mtime;
	uint32_t exe_flags;			/* EXE_* */
};

struct tale_user {
	uint32_t id, gid;
	struct str name, home, shell;
	bool is_group;				/* then only id and name count */
};

struct tale;
struct tale *tale_new(void);			/* NULL: out of memory */
void tale_free(struct tale *s);		/* NULL allowed; after the engines that replay it */
/* The state at the start, before the first event. type: a word of fd.type; name: as fd.name has it. */
int tale_proc(struct tale *s, const struct scap_proc *p);
int tale_fd(struct tale *s, int64_t tid, int64_t fd, const char *type, const char *name, uint32_t len, bool udp,
	     struct err *err);
int tale_user(struct tale *s, const struct tale_user *u);
int tale_iface(struct tale *s, const char *address, struct err *err);
/* An event: its beginning, then some of its parameters, each once, then its end. Those that are not given are empty. Texts
 * stand for what a person means by them: paths, names of flags ("O_WRONLY|O_CREAT"), of errors and signals, addresses. */
void tale_event(struct tale *s, uint32_t code, int64_t tid, uint64_t ts);
int tale_number(struct tale *s, uint32_t param, int64_t v, struct err *err);
int tale_text(struct tale *s, uint32_t param, const char *p, uint32_t len, struct err *err);
int tale_end(struct tale *s, struct err *err);
uint64_t tale_size(const struct tale *s);	/* bytes, roughly */
int engine_open_tale(struct engine *eng, struct tale *s, struct err *err);	/* like engine_open_replay() */

/* ------------------------------------------------------------------ YAML (yaml.c): libyaml's events, with places */

enum yaml_kind {
	YAML_DOCUMENT_START = 1, YAML_DOCUMENT_END, YAML_ALIAS, YAML_SCALAR, YAML_SEQ_START, YAML_SEQ_END,
	YAML_MAP_START, YAML_MAP_END,
};

/* An event as Lua reads it fastest: so many numbers in a row. Texts are places in yaml_texts(), each with a NUL behind it. */
enum yaml_word {
	YAML_KIND,
	YAML_LINE, YAML_COLUMN, YAML_OFFSET,	/* start; lines and columns from 1, offset in bytes from 0 */
	YAML_END_OFFSET,
	YAML_HAS,				/* YAML_HAS_* */
	YAML_VALUE, YAML_VALUE_LEN,		/* scalar text, or alias name */
	YAML_ANCHOR, YAML_TAG,
	YAML_WORDS,
};
enum yaml_has {
	YAML_HAS_ANCHOR = 1,
	YAML_HAS_TAG = 2,
	YAML_HAS_NO_QUOTES = 4,			/* scalar that may be a number, bool or null */
};

struct yaml_doc;
/* Parses all documents at once. On a syntax error: NULL, and `err`, *line, *column say where. Bounded depth. */
struct yaml_doc *yaml_parse(const char *text, size_t len, struct err *err, uint32_t *line, uint32_t *column);
uint32_t yaml_count(const struct yaml_doc *doc);
const uint32_t *yaml_words(const struct yaml_doc *doc);	/* YAML_WORDS for each event */
const char *yaml_texts(const struct yaml_doc *doc);
void yaml_doc_free(struct yaml_doc *doc);		/* libyaml has a yaml_free of its own */

/* ------------------------------------------------------------------ senders (c/output): alerts to other machines */

/*
 * A sender keeps what it is given, in order, until its peer has taken it; a thread of its own sends, and tries again for as long
 * as it takes. No call below waits for a peer but sender_close(), and that as long as it is told to.
 */
struct sender;

struct sender_limits {
	uint32_t max_messages;		/* that the peer has not taken yet */
	uint64_t max_bytes;
};

/* NULL or "" anywhere: none. Texts are copied. */
struct tls_options {
	const char *ca_cert;		/* file; the only CAs that are trusted then */
	const char *ca_bundle;		/* likewise, without ca_cert */
	const char *ca_path;		/* directory, without either */
	const char *client_cert, *client_key;
	bool insecure;			/* any certificate will do */
};

struct sender_stats {
	uint64_t settled;		/* messages that need no more: taken, or refused for good */
	uint64_t refused;
	uint64_t again;			/* messages that had to be sent once more: the peer may have them twice */
	uint64_t failures;		/* attempts that came to nothing */
	uint64_t timeouts;
	uint64_t waiting, waiting_bytes;
	uint64_t notices_lost;
	bool down;			/* the last attempt failed */
};

enum sender_notice {
	SENDER_NONE,
	SENDER_DOWN,			/* why; said once until SENDER_UP */
	SENDER_UP,
	SENDER_ERROR,			/* something was lost or is wrong */
	SENDER_ECHO,			/* what the peer answers */
};
enum { SENDER_EAGAIN = 11, SENDER_EMSGSIZE = 90, SENDER_NOTICE_MAX = 16384 };

/* Copies. 0; -SENDER_EAGAIN: full, until the peer has taken some; -SENDER_EMSGSIZE: larger than max_bytes; -ENOMEM. */
int sender_put(struct sender *s, const char *p, uint32_t len);
/* Readable when there is something to learn: room after the outbox was full or for a good part of it, that it is empty, a notice. */
int sender_fd(const struct sender *s);
/* How many of the messages that were put, from the first on, need no more. sender_fd() is then no longer readable. */
uint64_t sender_settled(struct sender *s);
void sender_stats(struct sender *s, struct sender_stats *stats);
const char *sender_name(const struct sender *s);	/* of the peer; without passwords */
/* The next line for people, or answer of the peer: its kind and text, cut to cap bytes; or SENDER_NONE. */
int sender_notice(struct sender *s, char *buf, uint32_t cap, uint32_t *len);
/* Waits up to wait_ms for what is there to be taken. last: the counters at the end, or NULL. Frees. */
void sender_close(struct sender *s, uint32_t wait_ms, struct sender_stats *last);

struct http_options {
	const char *url, *user_agent, *content_type;
	struct tls_options tls;
	bool echo;			/* answers become notices */
	bool compress;			/* gzip */
	bool keep_alive;		/* keep the connection while nothing waits */
	uint32_t timeout_ms;		/* of one attempt; 0: none */
	uint32_t max_timeouts;		/* attempts that may time out in a row before it counts as failure */
	uint32_t max_batch;		/* messages in one request, one a line, when several wait */
	struct sender_limits limits;
};
struct sender *http_sender_new(const struct http_options *options, struct err *err);

/* A stream of Redis: entries "id", which tells repeated ones, and "alert". */
struct redis_options {
	const char *host, *port;
	const char *path;		/* of a unix socket, instead */
	const char *user, *password;	/* NULL or "": none */
	uint32_t database;
	uint32_t timeout_ms;		/* of one exchange; 0: a minute */
	const char *stream;
	uint64_t maxlen;		/* the stream is cut to about that many entries; 0: never */
	bool use_tls;
	struct tls_options tls;
	struct sender_limits limits;
};
struct sender *redis_sender_new(const struct redis_options *options, struct err *err);

struct kafka_options {
	const char *brokers;		/* for people; the one that counts is among the settings */
	const char *topic;
	const char *key;		/* messages of one key go to one partition */
	const char *const *settings;	/* of librdkafka: name, value, name, value ... */
	uint32_t nsettings;		/* pairs */
	struct sender_limits limits;
};
struct sender *kafka_sender_new(const struct kafka_options *options, struct err *err);

/* Single requests (http_client.c): asked for, and looked after later. http and https, no redirects. */
struct http_client;

struct http_request {
	const char *url;
	const char *method;		/* NULL: POST with a body, else GET */
	const char *const *headers;	/* "Name: value" */
	uint32_t nheaders;
	uint32_t body_len;
	const char *body;		/* NULL: none */
	const char *user_agent;		/* NULL: falco */
	uint32_t timeout_ms;		/* 0: the default, 10 s */
	uint32_t max_answer;		/* bytes; 0: 64 KB. The rest is cut */
	struct tls_options tls;
};

struct http_answer {
	int32_t id;			/* http_client_ask()'s */
	int32_t status;			/* 0: there is no answer, see `error` */
	const char *body;		/* NULL when body_len is 0 */
	uint32_t body_len;
	bool cut;
	const char *error;		/* one line; "" */
};

/* max_waiting: requests whose answer was not fetched yet; max_running: of them, at once. */
struct http_client *http_client_new(uint32_t max_running, uint32_t max_waiting, struct err *err);
/* Copies everything. An id > 0; -SENDER_EAGAIN: too many; -errno. */
int http_client_ask(struct http_client *c, const struct http_request *request, struct err *err);
/* The next answer there is, in the order of coming; borrowed until the next call. false: none now. */
bool http_client_answer(struct http_client *c, struct http_answer *answer);
void http_client_free(struct http_client *c);		/* what is under way is given up */
/* ------------------------------------------------------------------ the terminal (../term): the REPL's line */

/* Display columns of UTF-8 text; and how many bytes fit into so many columns, *taken of them used. */
uint32_t text_columns(const char *s, uint32_t len);
uint32_t text_fit(const char *s, uint32_t len, uint32_t columns, uint32_t *taken);
uint32_t terminal_rows(int fd);

/* Ctrl-C (interrupts.c): from interrupts_take() on it is only noted, and stops `eng`, if one is named. */
void interrupts_take(void);
void interrupts_stop(struct engine *eng);
bool interrupts_seen(bool forget);

/*
 * Line editing (line.c) on standard input and output, which must be a terminal. No callbacks: line_read() returns when the
 * caller has something to do, and goes on from there when it is called again.
 */
struct line;
enum line_result {
	LINE_END,			/* end of input, or the program is asked to end */
	LINE_DONE,			/* Enter: line_text() is the line */
	LINE_CHANGED,			/* a key was seen to, and no other waits: the time to paint */
	LINE_COMPLETE,			/* Tab: candidates are wanted */
	LINE_INTERRUPTED,		/* Ctrl-C */
};
enum { LINE_MAX_BYTES = 65536, LINE_MAX_HISTORY = 1000 };
struct line *line_new(struct err *err);
void line_free(struct line *l);
void line_begin(struct line *l, const char *prompt);	/* an empty line */
int line_read(struct line *l);				/* LINE_* */
void line_end(struct line *l);				/* the terminal as it was */
/* UTF-8, until the next call; bytes in front of the cursor in *cursor. */
const char *line_text(struct line *l, uint32_t *len, uint32_t *cursor);
/* Takes away so many bytes in front of the cursor, puts text in their place. */
void line_replace(struct line *l, uint32_t before, const char *text, uint32_t len);
/* One SGR number for each byte of line_text(): the line once more, in colours. */
void line_paint(struct line *l, const uint8_t *styles, uint32_t len);
/* In between, to print something: below the line; and back to it. */
void line_leave(struct line *l);
void line_return(struct line *l);
void line_beep(struct line *l);
/* What arrow keys and Ctrl-R find, oldest first. */
void line_remember(struct line *l, const char *text);
/* History on disk: appends a line, or makes the file anew; readable by its owner alone. 0 or -errno. */
int line_keep(const char *path, const char *text, uint32_t len, bool anew);

/* ------------------------------------------------------------------ the machine (sys.c) */

bool sys_isatty(int fd);
int sys_columns(int fd);				/* terminal width, or 80 */
int sys_hostname(char *buf, uint32_t cap);
/* All of it, waited for if the descriptor takes no more now: 0, or -errno (SYS_EPIPE: the reader is gone). */
enum { SYS_EPIPE = 32 };
int sys_write(int fd, const char *s, size_t len);
/* Writing through a buffer (writer.c), if it is on: results as of sys_write(); a failure stays. writer_free() writes what is
 * left and leaves the descriptor open. writer_new(): NULL without memory. */
struct writer;
struct writer *writer_new(int fd);
int writer_put(struct writer *w, const char *s, size_t len);
int writer_flush(struct writer *w);
void writer_set_buffered(struct writer *w, bool on);
void writer_free(struct writer *w);
/* Names in a directory, sorted, one at a time: index i, or NULL when there are no more. -errno in *error. */
struct sys_dir;
struct sys_dir *sys_dir_open(const char *path, int *error);
const char *sys_dir_name(const struct sys_dir *dir, uint32_t i);
void sys_dir_free(struct sys_dir *dir);
enum sys_kind { SYS_MISSING, SYS_FILE, SYS_DIR, SYS_OTHER };
int sys_make_dir(const char *path);		/* with those above it, for the owner alone; 0: it is there */
int sys_kind(const char *path);			/* enum sys_kind; -errno: nobody may or can tell */
/*
 * Signals (signals.c). SIGINT, SIGTERM and SIGHUP call engine_stop on `eng` (NULL: they end the program); SIGPIPE is ignored.
 * Requests are what a worker is to do between two events. After sys_serve_requests(true) SIGHUP is one, unless its cause is
 * that the terminal is gone, and SIGUSR1 is ignored until outputs are there. Whoever else asks calls sys_request(), in any
 * thread, also in a signal handler: the engine stops, and a wait of its thread ends. Threads that call it must have ended before the engine is freed.
 * While requests are served SIGINT and SIGTERM are remembered before there is an engine, too, and stop it at once.
 * Held, signals wait for their release; one that would end the program while it starts, or spoil how it ends.
 */
enum sys_requests {
	REQUEST_RELOAD = 1,		/* SIGHUP */
	REQUEST_CHANGED = 2,		/* what a struct watch looks at is not what it was */
	REQUEST_TICK = 4,		/* time has passed */
	REQUEST_SNAPSHOT = 8,		/* somebody wants numbers */
};
void sys_stop_on_signals(struct engine *eng);
int sys_stop_signal(void);				/* the signal that came, or 0 */
void sys_interrupt(bool on);				/* what is being done is to end, if not the program: Ctrl-C in the REPL */
bool sys_is_interrupted(void);				/* one or the other */
void sys_serve_requests(bool on);
void sys_hold_signals(void);				/* SIGHUP, SIGINT, SIGTERM, SIGUSR1, in this thread and those it starts */
void sys_release_signals(void);				/* after it; else nothing */
void sys_request(uint32_t what);
uint32_t sys_requests(void);				/* REQUEST_* since the last call */
bool sys_has_requests(void);
/*
 * Files and directories that somebody else may change (watch.c): a thread makes REQUEST_CHANGED of it, once nothing more
 * happened for a moment; links and directories on the way may change too, which takes two seconds to notice. And REQUEST_TICK every tick_ms (0: never).
 * watch_paths() takes the place of what was looked at before: a change of what stays is not missed. Returns how many paths were too
 * many, or -errno: they are looked at every two seconds then.
 */
enum { WATCH_MAX_PATHS = 1024 };
struct watch;
struct watch *watch_new(uint32_t tick_ms, struct err *err);
int watch_start(struct watch *w, struct err *err);	/* the thread; what changed since watch_paths() it finds */
int watch_paths(struct watch *w, const char *const *paths, uint32_t n, struct err *err);
void watch_tick(struct watch *w, uint32_t tick_ms);
void watch_free(struct watch *w);
/*
 * How falco stands, to the service manager (output/notify.c): lines as of sd_notify(3). 0, also when there is none to tell
 * ($NOTIFY_SOCKET); -errno. And how often it wants to hear WATCHDOG=1, at least; 0: it does not.
 */
int notify_service(const char *state);
uint32_t notify_watchdog_ms(void);
/* A line for the log, to syslog. socket_path NULL: where it is by default. level: 0 emergency ... 7 debug. Never waits; what did not get
 * through is counted. */
int notify_syslog(const char *socket_path, uint32_t level, const char *text, size_t len);
uint64_t notify_syslog_lost(void);
void digest_sha256(const char *data, size_t len, char hex[65]);	/* "": it cannot be had */
/* Health checks and numbers over HTTP (output/web.h). Ends of its threads as of sys_request(). */
enum web_page { WEB_METRICS, WEB_VERSIONS, WEB_RULES, WEB_PAGES };
struct web_options {
	const char *address;		/* of the host, as digits */
	const char *healthz;		/* path of the health check */
	const char *certificate;	/* file with certificate and key; NULL: no TLS */
	uint16_t port;			/* 0: any that is free */
	bool metrics;			/* serve WEB_METRICS */
};
struct web_stats {
	uint64_t requests, refused;	/* refused ones have an answer, too */
	uint64_t cut;			/* connections that took too long */
};
struct web;
struct web *web_new(const struct web_options *options, struct err *err);	/* listens; */
int web_start(struct web *w, struct err *err);		/* the thread that answers */
uint16_t web_port(const struct web *w);
int web_put(struct web *w, uint32_t page, const char *text, size_t len);	/* from now on; any thread */
void web_stats(const struct web *w, struct web_stats *stats);
void web_free(struct web *w);

uint64_t sys_now_ns(void);				/* monotonic */
uint64_t sys_wall_ns(void);				/* since the epoch */
uint64_t sys_cpu_ns(void);				/* user + system time of this process */
void sys_sleep(uint32_t ms);				/* a signal ends it early */
const char *sys_error_text(int err);			/* of errno or -errno; until the next call */
uint32_t sys_page_size(void);
int32_t sys_pid(void);
int sys_link(const char *path, char *buf, uint32_t cap);	/* where it leads, cut; its length or -errno */
/*
 * Capabilities (sys_rights.c), as bits. Of what the process has, sys_keep_rights() leaves `keep` to the calling thread
 * and to those it will start: call it before others are started. 0 or -errno.
 */
enum {
	RIGHT_DAC_OVERRIDE = 1 << 1, RIGHT_DAC_READ_SEARCH = 1 << 2, RIGHT_KILL = 1 << 5, RIGHT_SYS_PTRACE = 1 << 19,
	RIGHTS_TO_LOOK_UP = RIGHT_DAC_READ_SEARCH | RIGHT_SYS_PTRACE,	/* in /proc, and in files of runtimes */
};
enum rights_flags {
	RIGHTS_FOR_PROGRAMS = 1,	/* programs that are started may have more: program_output */
};
int sys_rights(uint64_t *effective, uint64_t *permitted);
int sys_keep_rights(uint64_t keep, uint32_t flags, struct err *err);
const char *falco_version(void);
/* What of upstream this program behaves like: tools that install rules and plugins ask, and rules files. */
struct upstream_versions {
	const char *engine, *plugin_api, *driver_api, *driver_schema, *libs;
};
const struct upstream_versions *upstream_versions(void);
const char *falco_sysconf_dir(void);			/* configuration lies below its falco/: "/etc" */

/* ------------------------------------------------------------------ sandboxes (c/lua_sandbox.c) */

/*
 * A Lua state for one user script. What goes in and comes out are values serialized by LuaJIT's string.buffer; the prelude
 * (lua/scripts/library.lua, prelude.lua) is the other end. One thread at a time.
 */
struct sandbox;

struct sandbox_limits {
	uint64_t instructions;		/* of one call */
	uint32_t ms;			/* CPU time of one call */
	uint32_t memory;		/* bytes, of all that the script holds */
	uint32_t output;		/* bytes that one call may hand back */
};

struct sandbox_stats {
	uint64_t calls, errors, ns, instructions;
	uint64_t over_instructions, over_time, over_memory, over_output;	/* of the errors */
	uint64_t memory, peak;		/* bytes */
};

/* preludes: chunks that run first, one after the other, with the same table; the last returns dispatch and the script's globals. */
struct sandbox *sandbox_new(const struct sandbox_limits *limits, const struct str *preludes, uint32_t n, struct err *err);
void sandbox_free(struct sandbox *sb);
/* Runs the script's main function (text, never bytecode), or the prelude's dispatch(what, text). 0, or -errno and
 * sandbox_error(): -ETIME (instructions or time), -ENOMEM, -EINVAL (all else). The answer and the error are good until the
 * next call. */
int sandbox_load(struct sandbox *sb, const char *name, const char *text, size_t len);
int sandbox_call(struct sandbox *sb, const char *what, const char *text, size_t len);
/* The same, dispatch("event", text), while evt:get() reads from this event. */
int sandbox_event(struct sandbox *sb, struct evt *e, const char *text, size_t len);
const char *sandbox_answer(const struct sandbox *sb, uint32_t *len);	/* NULL: none */
const char *sandbox_error(const struct sandbox *sb);			/* message and traceback: several lines */
void sandbox_stats(const struct sandbox *sb, struct sandbox_stats *stats);

/* ------------------------------------------------------------------ what scripts may do (c/output/act.c) */

/* The number of "TERM" or "SIGTERM", or -EINVAL. */
int act_signal(const char *name);
/* When this machine was started, ns since the epoch, by the clock as it was at the first call. */
uint64_t act_boot_time(void);
/* Signals a process, unless it is the first one, falco itself, or began after `before` (ns since the epoch): then the one that
 * was meant is gone, and its number is another's now. */
int act_kill(int32_t pid, int signal, uint64_t before, struct err *err);

/* A program that runs beside us, without a shell: argv[0] is a path, a NULL ends the list. Its output and errors are kept up to
 * max_output bytes; after timeout_ms it is killed. */
struct program;

struct program_end {
	int32_t status;			/* exit status; -1: a signal ended it */
	int32_t signal;
	bool timed_out, cut;
	uint32_t output_len;
	const char *output;
};

struct program *act_program(const char *const *argv, const char *input, uint32_t input_len, uint32_t timeout_ms,
			    uint32_t max_output, struct err *err);
/* Goes on with it. true: it is over, and *end is good until it is freed. */
bool act_program_step(struct program *p, struct program_end *end);
/* What to wait for before the next step: 0, 2 to read, 1 to write; -1: nothing there. And when at the latest, as sys_now_ns(). */
int act_program_fd(const struct program *p, uint32_t which);
uint64_t act_program_deadline(const struct program *p);
void act_program_free(struct program *p);		/* one that still runs is killed */

/* ------------------------------------------------------------------ what scripts have done (c/output/script_stats.c) */

enum { SCRIPT_MAX = 256, SCRIPT_NAME_MAX = 128 };

enum script_count {
	SCRIPT_CALLS, SCRIPT_ERRORS, SCRIPT_NS,
	SCRIPT_OVER_LIMIT,		/* of the errors: instructions, time, memory, output */
	SCRIPT_OFF,			/* how often it was switched off */
	SCRIPT_EMITTED, SCRIPT_DROPPED,	/* alerts */
	SCRIPT_KILLS, SCRIPT_RUNS, SCRIPT_REQUESTS,
	SCRIPT_REFUSED,			/* kills, programs, requests that could not be */
	SCRIPT_COUNTS
};

struct script_counts {
	const char *name;
	uint64_t n[SCRIPT_COUNTS];
};

int script_place(const char *name);			/* the same for the same name; -1: there is no more room */
void script_count(int place, uint32_t what, uint64_t n);	/* adds */
bool script_counted(uint32_t i, struct script_counts *counts);	/* of the i-th place; false: there is none. Any thread */
const char *script_count_name(uint32_t what);

#endif
