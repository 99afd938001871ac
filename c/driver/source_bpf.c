/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The eBPF source: loads the programs of probe.bpf.c, which the build embeds here, and reads their rings. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "../err.h"
#include "probe.h"
#include "ring.h"
#include "source.h"

/* The object file. */
__asm__(".section .rodata\n.balign 16\nprobe_object: .incbin \"" PROBE_OBJECT "\"\nprobe_object_end:\n.previous\n");
extern const uint8_t probe_object[] __attribute__((visibility("hidden")));
extern const uint8_t probe_object_end[] __attribute__((visibility("hidden")));

/* What is attached by itself. Calls' own programs are reached from sys_exit. */
enum hook { HOOK_SYS_EXIT, HOOK_EXEC, HOOK_EXIT, HOOK_SIGNAL, HOOK_SWITCH, HOOK_FAULT_USER, HOOK_FAULT_KERNEL, HOOKS };

/*
 * Nearly every set of rules wants the first ones: they stay attached from the first source_want() on and look into the
 * settings, so that another set takes no right of the process. The others happen too often to be hooked for nothing.
 * Attaching them later takes CAP_BPF before 5.19 (c8644cd0efe7), unless the kernel lets everybody use bpf().
 */
static const struct {
	const char *program;
	bool stays;
} hooks[HOOKS] = {
	[HOOK_SYS_EXIT] = { "sys_exit", true }, [HOOK_EXEC] = { "process_exec", true },
	[HOOK_EXIT] = { "process_exit", true }, [HOOK_SIGNAL] = { "signal_deliver", true },
	[HOOK_SWITCH] = { "sched_switch", false }, [HOOK_FAULT_USER] = { "fault_user", false },
	[HOOK_FAULT_KERNEL] = { "fault_kernel", false },
};

struct bpf_source {
	struct source src;		/* first: what callers hold */
	struct bpf_object *object;
	struct bpf_link *links[HOOKS];
	struct probe_settings *settings;
	const struct probe_counters *counters;
	struct rings *rings;
	uint32_t ncpus, nrings;
	uint64_t delivered;
	struct err said;		/* libbpf's first complaint: it names the cause, later ones what came of it */
};

static const struct source_ops bpf_ops;

#define BTF_PATH "/sys/kernel/btf/vmlinux"

/* ------------------------------------------------------------------ why it does not work */

static struct err *listener;		/* of the source that is being opened; libbpf's hook has no argument */

static int keep_complaint(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	struct err line;

	if (level != LIBBPF_WARN || !listener)
		return 0;
	vsnprintf(line.text, sizeof line.text, fmt, ap);
	if (listener->text[0] || strstr(line.text, "BEGIN PROG LOAD LOG"))
		return 0;
	line.text[strcspn(line.text, "\n")] = 0;
	*listener = line;
	return 0;
}

static bool reads(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(buf, 1, size - 1, f) : 0;

	if (f)
		fclose(f);
	buf[n] = 0;
	return f != NULL;
}

static uint64_t own_capabilities(void)
{
	char text[8192], *line;

	if (!reads("/proc/self/status", text, sizeof text) || !(line = strstr(text, "CapEff:")))
		return 0;
	return strtoull(line + 7, NULL, 16);
}

enum capability { CAPABILITY_SYS_ADMIN = 21, CAPABILITY_PERFMON = 38, CAPABILITY_BPF = 39 };

static bool has_capability(enum capability which)
{
	return own_capabilities() >> which & 1;
}

/* Those of root in a user namespace of its own rule over nothing but that namespace. */
static bool in_user_namespace(void)
{
	char map[256];
	unsigned long long inside, outside, count;

	return reads("/proc/self/uid_map", map, sizeof map) &&
	       (sscanf(map, "%llu %llu %llu", &inside, &outside, &count) != 3 || outside || count != UINT32_MAX);
}

static int check_capabilities(struct err *err)
{
	bool admin = has_capability(CAPABILITY_SYS_ADMIN);
	bool bpf = has_capability(CAPABILITY_BPF), perfmon = has_capability(CAPABILITY_PERFMON);

	if (in_user_namespace())
		return err_set(err, EPERM, "watching this host needs capabilities of the host, and this process is in a user namespace: "
			       "run it outside, or in a container without one");
	if (admin || (bpf && perfmon))
		return 0;
	return err_set(err, EPERM, "watching this host needs %s%s%s%s: run as root, or with both capabilities",
		       bpf ? "" : "CAP_BPF", !bpf && !perfmon ? " and " : "", perfmon ? "" : "CAP_PERFMON",
		       geteuid() == 0 ? ", which this container or service took away" : "");
}

static int check_btf(struct err *err)
{
	struct utsname u = { 0 };

	if (access(BTF_PATH, R_OK) == 0)
		return 0;
	int code = errno;
	uname(&u);
	if (code == EACCES || code == EPERM)
		return err_set(err, code, "cannot read " BTF_PATH ": %s", strerror(code));
	return err_set(err, ENOENT, "kernel %s has no type information (" BTF_PATH " is missing): engine.kind "
		       "modern_ebpf needs one built with CONFIG_DEBUG_INFO_BTF", u.release);
}

static int load_failed(struct bpf_source *s, int code, struct err *err)
{
	char lockdown[128];

	if (reads("/sys/kernel/security/lockdown", lockdown, sizeof lockdown) && strstr(lockdown, "[confidentiality]"))
		return err_set(err, EPERM, "the kernel is locked down (confidentiality) and refuses eBPF programs that read its "
			       "memory; see /sys/kernel/security/lockdown");
	/* before 6.2 a function of the kernel is missing, which libbpf then looks for among the modules' */
	if (code == EPERM && !has_capability(CAPABILITY_SYS_ADMIN) && strstr(s->said.text, "bpf_rdonly_cast"))
		return err_set(err, code, "loading eBPF programs takes CAP_SYS_ADMIN on this kernel: run as root");
	if (code == EPERM)
		return err_set(err, code, "the kernel refuses to load eBPF programs although capabilities are there%s%s: a "
			       "seccomp filter or security module may forbid bpf()", s->said.text[0] ? ": " : "", s->said.text);
	return err_set(err, code, "cannot load the eBPF programs: %s%s%s", strerror(code), s->said.text[0] ? ": " : "",
		       s->said.text);
}

/* ------------------------------------------------------------------ opening */

static uint64_t boot_time(void)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (uint64_t)(real.tv_sec - boot.tv_sec) * 1000000000 + (uint64_t)real.tv_nsec - (uint64_t)boot.tv_nsec;
}

static struct bpf_map *map_of(struct bpf_source *s, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(s->object, name);

	REQUIRE(map);
	return map;
}

static const char task_program[] = "each_task", fd_program[] = "each_fd";

static int open_object(struct bpf_source *s, bool tasks)
{
	struct bpf_object_open_opts opts = { .sz = sizeof opts, .object_name = "falco" };

	/* Else libbpf, for types that this kernel does not have, goes on to its modules' BTF, and what is not allowed to list those
	 * ends the loading. */
	if (!has_capability(CAPABILITY_SYS_ADMIN))
		opts.btf_custom_path = BTF_PATH;
	s->object = bpf_object__open_mem(probe_object, (size_t)(probe_object_end - probe_object), &opts);
	if (!s->object)
		return -errno;
	bpf_map__set_max_entries(map_of(s, "rings"), s->ncpus);
	bpf_map__set_max_entries(map_of(s, "counters"), s->ncpus);
	bpf_map__set_max_entries(map_of(s, "scratches"), 2 * s->ncpus);
	bpf_map__set_autocreate(map_of(s, "task_scratch"), tasks);
	bpf_program__set_autoload(bpf_object__find_program_by_name(s->object, task_program), tasks);
	bpf_program__set_autoload(bpf_object__find_program_by_name(s->object, fd_program), tasks);
	return bpf_object__load(s->object);
}

/* A kernel that takes all but the programs that list threads can do without: /proc lists them too. */
static int load(struct bpf_source *s, bool tasks, struct err *err)
{
	int rc;

	listener = &s->said;
	libbpf_set_print(keep_complaint);
	rc = open_object(s, tasks);
	if (rc < 0 && tasks) {
		bpf_object__close(s->object);
		s->said.text[0] = 0;
		rc = open_object(s, false);
	}
	listener = NULL;
	return rc < 0 ? load_failed(s, -rc, err) : 0;
}

static void *map_memory(struct bpf_source *s, const char *name, size_t bytes, int prot)
{
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, bpf_map__fd(map_of(s, name)), 0);
	return p == MAP_FAILED ? NULL : p;
}

/* One ring for each group of CPUs; the programs find theirs by CPU. */
static int make_rings(struct bpf_source *s, const struct source_options *o, uint64_t boot_ns, struct err *err)
{
	uint64_t bytes = o->ring_bytes ? o->ring_bytes : SOURCE_RING_BYTES;
	uint32_t group = o->cpus_per_ring ? o->cpus_per_ring : s->ncpus;
	int outer = bpf_map__fd(map_of(s, "rings")), fd = -1, rc = 0;

	s->nrings = (s->ncpus + group - 1) / group;
	if (!(s->rings = rings_new(s->nrings, boot_ns)))
		return err_set(err, ENOMEM, "out of memory for %u rings", s->nrings);
	for (uint32_t cpu = 0; cpu < s->ncpus && !rc; cpu++) {
		if (cpu % group == 0) {
			if (fd >= 0)
				close(fd);
			fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "falco_ring", 0, 0, (uint32_t)bytes, NULL);
			rc = fd < 0 ? -errno : rings_map(s->rings, cpu / group, fd, bytes);
		}
		if (!rc && bpf_map_update_elem(outer, &cpu, &fd, BPF_ANY))
			rc = -errno;
	}
	if (fd >= 0)
		close(fd);
	if (rc)
		return err_set(err, -rc, "cannot make %u rings of %llu bytes: %s", s->nrings, (unsigned long long)bytes,
			       strerror(-rc));
	return 0;
}

/* Puts the programs of calls where sys_exit finds them. */
static int plug_calls(struct bpf_source *s, struct err *err)
{
	static const struct {
		uint16_t nr;
		const char *program;
	} calls[] = {
#define SYSCALL(nr, sc, exit_event, flags) { nr, "fill_" #sc },
#include "syscalls.def"
	};
	struct bpf_program *generic = bpf_object__find_program_by_name(s->object, "fill_generic");
	int table = bpf_map__fd(map_of(s, "fillers"));

	for (uint32_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(s->object, calls[i].program);
		uint32_t nr = calls[i].nr;
		int fd = bpf_program__fd(p ? p : generic);

		if (fd >= 0 && bpf_map_update_elem(table, &nr, &fd, BPF_ANY))
			return err_set(err, errno, "cannot set up the eBPF program %s: %s", calls[i].program, strerror(errno));
	}
	return 0;
}

static void configure(struct bpf_source *s, const struct source_options *o, uint64_t boot_ns)
{
	struct probe_settings *set = s->settings;

	for (uint32_t nr = 0; nr < PROBE_MAX_NR; nr++)
		set->compat[nr] = PROBE_NO_CALL;
#define COMPAT(i386, x86_64) set->compat[i386] = x86_64;
#include "compat.def"
#define SYSCALL(nr, sc, exit_event, flags) set->code[nr] = SC_##sc;
#include "syscalls.def"
	set->boot_ns = boot_ns;
	set->snaplen = o->snaplen ? o->snaplen : SOURCE_SNAPLEN;
	set->full_port_first = o->full_port_first;
	set->full_port_last = o->full_port_last;
	set->drop_failed = o->drop_failed;
	set->skip_pid = o->self ? 0 : (uint32_t)getpid();
}

struct source *source_bpf_open(const struct source_options *options, struct err *err)
{
	uint64_t boot_ns = boot_time();
	struct bpf_source *s;
	int ncpus = libbpf_num_possible_cpus();

	if (check_btf(err) < 0 || check_capabilities(err) < 0)
		return NULL;
	if (ncpus <= 0 || !(s = calloc(1, sizeof *s))) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	s->src.ops = &bpf_ops;
	s->ncpus = (uint32_t)ncpus;
	if (load(s, !options->no_tasks, err) < 0)
		goto fail;
	s->settings = map_memory(s, ".data.settings", sizeof *s->settings, PROT_READ | PROT_WRITE);
	s->counters = map_memory(s, "counters", s->ncpus * sizeof *s->counters, PROT_READ);
	if (!s->settings || !s->counters) {
		err_set(err, errno, "cannot map the memory of eBPF programs: %s", strerror(errno));
		goto fail;
	}
	configure(s, options, boot_ns);
	if (make_rings(s, options, boot_ns, err) < 0 || plug_calls(s, err) < 0)
		goto fail;
	return &s->src;
fail:
	source_close(&s->src);
	return NULL;
}

/* ------------------------------------------------------------------ what is reported */

static int hook_failed(struct bpf_source *s, enum hook which, int code, struct err *err)
{
	if (code == EPERM && s->links[HOOK_SYS_EXIT])
		return err_set(err, code, "the eBPF program %s cannot be attached any more, for the rights to do so were given up; "
			       "start anew with these rules", hooks[which].program);
	return err_set(err, code, "cannot attach the eBPF program %s: %s%s%s", hooks[which].program, strerror(code),
		       s->said.text[0] ? ": " : "", s->said.text);
}

static int hook(struct bpf_source *s, enum hook which, bool wanted, struct err *err)
{
	struct bpf_program *p = bpf_object__find_program_by_name(s->object, hooks[which].program);

	wanted |= hooks[which].stays;
	if (!wanted && s->links[which]) {
		bpf_link__destroy(s->links[which]);
		s->links[which] = NULL;
	}
	if (!wanted || s->links[which] || !p)
		return 0;
	s->said.text[0] = 0;
	listener = &s->said;
	s->links[which] = bpf_program__attach(p);
	listener = NULL;
	return s->links[which] ? 0 : hook_failed(s, which, errno, err);
}

/* A program that started is told of by process_exec(), which sees all ways to start one. */
static uint8_t call_wanted(uint32_t sc)
{
	return sc == SC_EXECVE || sc == SC_EXECVEAT ? WANT_FAILED : WANT_ALL;
}

static int bpf_want(struct source *src, const bool codes[SC_COUNT], struct err *err)
{
	struct bpf_source *s = (struct bpf_source *)src;
	struct probe_settings *set = s->settings;
	int rc;

#define SYSCALL(nr, sc, exit_event, flags) set->wanted[nr] = codes[SC_##sc] ? call_wanted(SC_##sc) : 0;
#include "syscalls.def"
	for (uint32_t nr = 0; nr < PROBE_MAX_NR; nr++) {
		uint32_t other = set->compat[nr];

		set->look[nr] = nr == PROBE_SOCKETCALL || set->wanted[nr] || (other < PROBE_MAX_NR && set->wanted[other]);
	}
	set->exec = codes[SC_EXECVE] || codes[SC_EXECVEAT];
	set->proc_exit = codes[SC_SCHED_PROCESS_EXIT];
	set->sched_switch = codes[SC_SCHED_SWITCH];
	set->signal_deliver = codes[SC_SIGNAL_DELIVER];
	set->fault_user = codes[SC_PAGE_FAULT_USER];
	set->fault_kernel = codes[SC_PAGE_FAULT_KERNEL];
	const bool wanted[HOOKS] = {
		[HOOK_SWITCH] = set->sched_switch, [HOOK_FAULT_USER] = set->fault_user,
		[HOOK_FAULT_KERNEL] = set->fault_kernel,
	};
	for (int i = 0; i < HOOKS; i++)
		if ((rc = hook(s, (enum hook)i, wanted[i], err)) < 0)
			return rc;
	return 0;
}

/* ------------------------------------------------------------------ events */

static int bpf_next(struct source *src, struct source_event *ev)
{
	struct bpf_source *s = (struct bpf_source *)src;
	int rc = rings_next(s->rings, ev);

	s->delivered += rc > 0;
	return rc;
}

static struct probe_counters counters_of(const struct bpf_source *s)
{
	struct probe_counters sum = { 0 };

	for (uint32_t cpu = 0; cpu < s->ncpus; cpu++) {
		const struct probe_counters *c = &s->counters[cpu];

		sum.events += c->events;
		sum.too_big += c->too_big;
		sum.busy += c->busy;
		for (int k = 0; k < CLASS_COUNT; k++)
			sum.full[k] += c->full[k];
	}
	return sum;
}

static void bpf_losses(struct source *src, struct source_losses *losses)
{
	struct probe_counters sum = counters_of((struct bpf_source *)src);

	*losses = (struct source_losses){
		.forks = sum.full[CLASS_FORK], .execs = sum.full[CLASS_EXEC], .exits = sum.full[CLASS_EXIT],
		.opens = sum.full[CLASS_OPEN], .closes = sum.full[CLASS_CLOSE], .connects = sum.full[CLASS_CONNECT],
		.files = sum.full[CLASS_FILE], .others = sum.full[CLASS_OTHER], .too_big = sum.too_big, .busy = sum.busy,
	};
	for (int k = 0; k < CLASS_COUNT; k++)
		losses->full += sum.full[k];
	losses->lost = losses->full + sum.too_big + sum.busy;
	losses->events = sum.events + sum.busy;
}

static const char *bpf_stat(struct source *src, uint32_t i, uint64_t *value, bool *alarming)
{
	static const char *const lost[CLASS_COUNT] = {
		[CLASS_FORK] = "kernel: lost, ring full: new processes", [CLASS_EXEC] = "kernel: lost, ring full: new programs",
		[CLASS_EXIT] = "kernel: lost, ring full: ends of processes",
		[CLASS_OPEN] = "kernel: lost, ring full: opening files", [CLASS_CLOSE] = "kernel: lost, ring full: closing",
		[CLASS_CONNECT] = "kernel: lost, ring full: connections",
		[CLASS_FILE] = "kernel: lost, ring full: files and directories",
		[CLASS_OTHER] = "kernel: lost, ring full: other calls",
	};
	struct bpf_source *s = (struct bpf_source *)src;
	struct probe_counters sum = counters_of(s);
	uint64_t fill = 0, most = 0;

	for (uint32_t r = 0; r < s->nrings; r++) {
		uint64_t now, peak;

		rings_fill(s->rings, r, &now, &peak);
		fill = now > fill ? now : fill;
		most = peak > most ? peak : most;
	}
	*alarming = false;
	if (i < CLASS_COUNT) {
		*value = sum.full[i];
		*alarming = sum.full[i] > 0;
		return lost[i];
	}
	const struct {
		const char *name;
		uint64_t value;
		bool alarming;
	} rest[] = {
		{ "kernel: events", sum.events, false },
		{ "kernel: lost, too big", sum.too_big, true },
		{ "kernel: lost, programs interrupted each other", sum.busy, true },
		{ "kernel: rings", s->nrings, false },
		{ "kernel: fullest ring, bytes", fill, false },
		{ "kernel: fullest ring at most, bytes", most, false },
		{ "delivered out of order", rings_late(s->rings), false },
		{ "kernel: records not understood", rings_bad(s->rings), true },
	};

	i -= CLASS_COUNT;
	if (i >= sizeof rest / sizeof rest[0])
		return NULL;
	*value = rest[i].value;
	*alarming = rest[i].alarming && rest[i].value;
	return rest[i].name;
}

/* NULL: it was not asked for, or the kernel did not take it. */
static const struct bpf_program *loaded(struct source *src, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(((struct bpf_source *)src)->object, name);

	return p && bpf_program__fd(p) >= 0 ? p : NULL;
}

static int bpf_tasks(struct source *src, task_seen *see, void *ctx)
{
	const struct bpf_program *p = loaded(src, task_program);
	return p ? tasks_read(p, see, ctx) : -EOPNOTSUPP;
}

static int bpf_fds(struct source *src, fd_seen *see, void *ctx)
{
	const struct bpf_program *p = loaded(src, fd_program);
	return p ? tasks_read_fds(p, see, ctx) : -EOPNOTSUPP;
}

static void bpf_close(struct source *src)
{
	struct bpf_source *s = (struct bpf_source *)src;

	for (int i = 0; i < HOOKS; i++)
		bpf_link__destroy(s->links[i]);
	rings_free(s->rings);
	if (s->settings)
		munmap(s->settings, sizeof *s->settings);
	if (s->counters)
		munmap((void *)s->counters, s->ncpus * sizeof *s->counters);
	bpf_object__close(s->object);
	free(s);
}

static const struct source_ops bpf_ops = {
	.name = "modern_ebpf", .next = bpf_next, .want = bpf_want, .stat = bpf_stat,
	.losses = bpf_losses, .tasks = bpf_tasks, .fds = bpf_fds, .close = bpf_close,
};
