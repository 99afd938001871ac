/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.*, k8s.*: what is known of the container that the event's thread runs in; events that bring news of a
 * container speak of that one. The host shows as a container named "host". Of a container without metadata the id is
 * all there is: every other field is missing.
 */
#include "getters.h"
#include "field_container.h"
#include "match.h"
#include "regex.h"
#include "ruleset.h"

const struct container *container_of_thread(const struct evt *e, const struct thread *t)
{
	return t && e->rules && e->rules->containers ? t->image->container : NULL;
}

struct str thread_container(const struct evt *e, const struct thread *t)
{
	const struct container *c = container_of_thread(e, t);
	return c ? c->id : (struct str){ "", 0 };
}

/* The one that the event itself brings news of, or NULL. */
static const struct container *container_in_event(const struct evt *e)
{
	bool may = e->h.code == EV_CONTAINER_JSON_2_E || e->h.code == EV_ASYNCEVENT_E;
	return may ? containers_told(e->st->containers) : NULL;
}

struct str container_event_user(const struct evt *e, const struct thread *t)
{
	const struct container *c = container_in_event(e) ? container_of_thread(e, t) : NULL;
	return c && c->info ? c->info->user : (struct str){ "", 0 };
}

/* false: nobody knows the thread. *c NULL: the host. */
static bool container_at(const struct evt *e, const struct container **c)
{
	const struct thread *t;

	if ((*c = container_in_event(e)))
		return true;
	if (!(t = evt_thread(e)))
		return false;
	*c = t->image->container;
	return true;
}

static const struct container_info *info_at(const struct evt *e)
{
	const struct container *c;
	return container_at(e, &c) ? container_info(c) : NULL;
}

/* What `variant`, an offset in struct container_info, stands for. */
static const void *part(const struct container_info *info, uint32_t variant)
{
	return (const char *)info + variant;
}

/* ------------------------------------------------------------------ the container */

int get_container_id(const struct field_ctx *c, struct value *v)
{
	const struct container *container;
	return container_at(c->e, &container) && value_str(v, container_id(container));
}

int get_container_text(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	return info && value_str(v, *(const struct str *)part(info, c->variant));
}

int get_container_flag(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	return info && value_uint(v, *(const bool *)part(info, c->variant));
}

/* A container starts when its pid namespace does; told as captures tell it, since boot. */
int get_container_time(const struct field_ctx *c, struct value *v)
{
	const struct thread *t = evt_thread(c->e);

	if (!t || !t->pidns_start_ts)
		return 0;
	if (c->variant == CONTAINER_START)
		return value_uint(v, t->pidns_start_ts);
	return c->e->h.ts >= t->pidns_start_ts && value_uint(v, c->e->h.ts - t->pidns_start_ts);
}

/* ------------------------------------------------------------------ labels */

int get_container_labels(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	return info && value_str(v, ((const struct container_labels *)part(info, c->variant))->text);
}

static int value_label(struct value *v, const struct container_labels *labels, struct str key)
{
	const struct str *text = container_label_find(labels, key);
	return text && value_str(v, *text);
}

int get_container_label(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	return info && value_label(v, part(info, c->variant), c->arg->key);
}

/* ------------------------------------------------------------------ mounts */

static bool key_fits(const struct field_arg *arg, struct str path)
{
	return arg->pattern ? regex_search(arg->pattern, path.p, path.len) : glob_text(arg->key, path, false);
}

/* By number, or the first whose source fits the key; to find out about the source, the destination is looked at. */
static const struct container_mount *find_mount(const struct container_info *info, const struct field_arg *arg,
						bool by_dest)
{
	if (arg->is_index)
		return arg->index < info->nmounts ? &info->mounts[arg->index] : NULL;
	for (uint32_t i = 0; i < info->nmounts; i++)
		if (key_fits(arg, by_dest ? info->mounts[i].dest : info->mounts[i].source))
			return &info->mounts[i];
	return NULL;
}

int get_container_mount(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	bool by_dest = c->variant == offsetof(struct container_mount, source);
	const struct container_mount *m = info ? find_mount(info, c->arg, by_dest) : NULL;

	return m && value_str(v, *(const struct str *)((const char *)m + c->variant));
}

/* ------------------------------------------------------------------ pods */

int get_pod_fact(const struct field_ctx *c, struct value *v)
{
	static const struct str keys[] = {
		[POD_NAME] = STR("io.kubernetes.pod.name"),
		[POD_NAMESPACE] = STR("io.kubernetes.pod.namespace"),
		[POD_UID] = STR("io.kubernetes.pod.uid"),
	};
	const struct container_info *info = info_at(c->e);

	return info && value_label(v, &info->labels, keys[c->variant]);
}

static struct str short_id(struct str id)
{
	enum { SHORT = 12 };

	id.len = id.len < SHORT ? id.len : SHORT;
	return id;
}

int get_pod_sandbox(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	return info && value_str(v, short_id(info->sandbox_id));
}

/* Containers of a pod share the network of its sandbox container. Outside of pods the text is empty. */
int get_pod_text(const struct field_ctx *c, struct value *v)
{
	const struct container_info *info = info_at(c->e);
	const struct container *sandbox;

	if (!info)
		return 0;
	if (!info->is_sandbox && !info->sandbox_id.len)
		return value_str(v, STR(""));
	sandbox = info->is_sandbox ? NULL : containers_find(c->e->st->containers, short_id(info->sandbox_id));
	if (sandbox && sandbox->info)
		info = sandbox->info;
	return value_str(v, *(const struct str *)part(info, c->variant));
}
