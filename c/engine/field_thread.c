/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a thread: capabilities, control groups, memory, and its process's three standard descriptors. */
#include "getters.h"
#include "field_fd.h"
#include "field_proc.h"

/* ------------------------------------------------------------------ capabilities */

/* By number, as in linux/capability.h. */
#define CAP(name) STR("CAP_" #name)
static const struct str cap_names[] = {
	CAP(CHOWN), CAP(DAC_OVERRIDE), CAP(DAC_READ_SEARCH), CAP(FOWNER), CAP(FSETID), CAP(KILL), CAP(SETGID),
	CAP(SETUID), CAP(SETPCAP), CAP(LINUX_IMMUTABLE), CAP(NET_BIND_SERVICE), CAP(NET_BROADCAST), CAP(NET_ADMIN),
	CAP(NET_RAW), CAP(IPC_LOCK), CAP(IPC_OWNER), CAP(SYS_MODULE), CAP(SYS_RAWIO), CAP(SYS_CHROOT),
	CAP(SYS_PTRACE), CAP(SYS_PACCT), CAP(SYS_ADMIN), CAP(SYS_BOOT), CAP(SYS_NICE), CAP(SYS_RESOURCE),
	CAP(SYS_TIME), CAP(SYS_TTY_CONFIG), CAP(MKNOD), CAP(LEASE), CAP(AUDIT_WRITE), CAP(AUDIT_CONTROL),
	CAP(SETFCAP), CAP(MAC_OVERRIDE), CAP(MAC_ADMIN), CAP(SYSLOG), CAP(WAKE_ALARM), CAP(BLOCK_SUSPEND),
	CAP(AUDIT_READ), CAP(PERFMON), CAP(BPF), CAP(CHECKPOINT_RESTORE),
};

int get_caps(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct compose names = { .arena = c->e->scratch };
	uint64_t caps;

	if (!t)
		return 0;
	memcpy(&caps, (const char *)t + c->variant, sizeof caps);
	for (uint32_t i = 0; i < sizeof cap_names / sizeof cap_names[0]; i++) {
		if (!(caps >> i & 1))
			continue;
		if (names.len)
			compose_str(&names, STR(" "));
		compose_str(&names, cap_names[i]);
	}
	return value_composed(v, &names);
}

/* ------------------------------------------------------------------ control groups */

struct cgroup {
	struct str name, name_tail;	/* the subsystem; "_cgroup" may have been cut out between the two */
	struct str path;
};

static struct str cgroup_alias(struct str name)
{
	static const struct { struct str from, to; } aliases[] = {
		{ STR("perf"), STR("perf_event") }, { STR("mem"), STR("memory") }, { STR("io"), STR("blkio") },
	};

	for (uint32_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (str_eq(name, aliases[i].from))
			return aliases[i].to;
	return name;
}

/* Splits "subsystem=path". false: no such thing. */
static bool cgroup_split(struct str item, struct cgroup *g)
{
	const char *equals = item.len ? memchr(item.p, '=', item.len) : NULL;

	if (!equals)
		return false;
	struct str name = { item.p, (uint32_t)(equals - item.p) };
	const struct str affix = STR("_cgroup");
	const char *cut = memmem(name.p, name.len, affix.p, affix.len);

	*g = (struct cgroup){ .path = { equals + 1, item.len - name.len - 1 } };
	if (cut) {
		g->name_tail = (struct str){ cut + affix.len, (uint32_t)(equals - cut) - affix.len };
		name.len = (uint32_t)(cut - name.p);
	}
	g->name = g->name_tail.len ? name : cgroup_alias(name);
	return true;
}

/* One item that is no control group spoils them all. */
static bool cgroups_valid(struct str blob)
{
	struct cgroup g;
	struct str rest = blob;

	for (uint32_t left = items_count(blob); left; left--)
		if (!cgroup_split(items_cut(&rest), &g))
			return false;
	return blob.len;
}

static bool cgroup_is(const struct cgroup *g, struct str name)
{
	return g->name.len + g->name_tail.len == name.len && str_starts(name, g->name) &&
	       str_ends(name, g->name_tail);
}

int get_cgroups(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct compose all = { .arena = c->e->scratch };
	struct cgroup g;

	if (!t || !cgroups_valid(istr_str(t->image->cgroups)))
		return 0;
	struct str rest = istr_str(t->image->cgroups);
	while (rest.len) {
		cgroup_split(items_cut(&rest), &g);
		if (all.len)
			compose_bytes(&all, " ", 1);
		compose_str(&all, g.name);
		compose_str(&all, g.name_tail);
		compose_bytes(&all, "=", 1);
		compose_str(&all, g.path);
	}
	return all.len && value_composed(v, &all);
}

int get_cgroup(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct cgroup g;

	if (!t || !cgroups_valid(istr_str(t->image->cgroups)))
		return 0;
	struct str rest = istr_str(t->image->cgroups);
	while (rest.len)
		if (cgroup_split(items_cut(&rest), &g) && cgroup_is(&g, c->arg->key))
			return value_str(v, g.path);
	return 0;
}

/* ------------------------------------------------------------------ numbers */

int get_thread_ismain(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	return t && value_uint(v, thread_is_main(t));
}

int get_thread_nametid(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct compose both = { .arena = c->e->scratch };

	if (!t)
		return 0;
	compose_str(&both, thread_comm(t));
	compose_fmt(&both, "%lld", (long long)c->e->h.tid);
	return value_composed(v, &both);
}

int get_thread_vm(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);

	if (!t)
		return 0;
	uint64_t kb = c->variant & VM_RSS ? t->vm_rss : t->vm_size;
	return value_uint(v, thread_is_main(t) ? kb * (c->variant & VM_BYTES ? 1024 : 1) : 0);
}

/* CPU time never adds up upstream, on any event: rules may name these fields, and see what they see there. */
int get_exectime(const struct field_ctx *c, struct value *v)
{
	return value_uint(v, 0);
}

int get_totexectime(const struct field_ctx *c, struct value *v)
{
	return evt_thread(c->e) && value_uint(v, 0);
}

int get_thread_cpu(const struct field_ctx *c, struct value *v)
{
	v->num.d = 0;
	return c->e->h.code == EV_PROCINFO_E && evt_thread(c->e);
}

/* ------------------------------------------------------------------ standard input, output, error */

int get_std(const struct field_ctx *c, struct value *v)
{
	struct thread *t = evt_thread(c->e);
	struct fd_rec *r = t ? fdtable_get(thread_fds(c->e->st->threads, t), c->variant & ~STD_NAME) : NULL;

	if (!r)
		return 0;
	return value_str(v, c->variant & STD_NAME ? r->d.name : str_of(fd_type_word(r)));
}
