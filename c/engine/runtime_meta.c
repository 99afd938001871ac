/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a container event, key by key. */
#include <stdarg.h>
#include "runtime_source.h"

/* Those that tell how much of the machine a container may use have no field, but readers of captures expect the keys.
 * The environment is left empty: it is where secrets are. */
json_t *meta_new(enum runtime_type type, const char *full_id)
{
	char id[CONTAINER_SHORT_ID + 1];

	snprintf(id, sizeof id, "%s", full_id);
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:[], s:s,"
			 " s:b, s:b, s:b, s:s, s:i, s:b, s:{}, s:i, s:i, s:s, s:b, s:{}, s:[], s:[]}",
			 "type", (int)type, "id", id, "name", "", "image", "", "imagedigest", "", "imageid", "",
			 "imagerepo", "", "imagetag", "", "User", "", "cni_json", "", "cpu_period", 100000,
			 "cpu_quota", 0, "cpu_shares", 1024, "cpuset_cpu_count", 0, "created_time", 0, "env",
			 "full_id", full_id, "host_ipc", 0, "host_network", 0, "host_pid", 0, "ip", "", "size", -1,
			 "is_pod_sandbox", 0, "labels", "memory_limit", 0, "swap_limit", 0, "pod_sandbox_id", "",
			 "privileged", 0, "pod_sandbox_labels", "port_mappings", "Mounts");
}

void meta_set(json_t *meta, const char *key, const char *value)
{
	if (value)
		json_object_set_new(meta, key, json_string(value));
}

void meta_flag(json_t *meta, const char *key, bool value)
{
	json_object_set_new(meta, key, json_boolean(value));
}

const char *json_text(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_t *json_path(json_t *object, const char *key, ...)
{
	va_list ap;

	va_start(ap, key);
	for (; key; key = va_arg(ap, const char *))
		object = json_object_get(object, key);
	va_end(ap);
	return object;
}

static void set_part(json_t *meta, const char *key, const char *from, const char *to)
{
	json_object_set_new(meta, key, json_stringn(from, (size_t)(to - from)));
}

/* A colon before the last slash belongs to the registry's address. */
void meta_image(json_t *meta, const char *image)
{
	const char *end, *colon, *slash;

	if (!image || !*image)
		return;
	meta_set(meta, "image", image);
	end = strchrnul(image, '@');
	colon = memrchr(image, ':', (size_t)(end - image));
	slash = memrchr(image, '/', (size_t)(end - image));
	if (colon && slash && colon < slash)
		colon = NULL;
	set_part(meta, "imagerepo", image, colon ? colon : end);
	if (colon)
		set_part(meta, "imagetag", colon + 1, end);
	if (*end)
		meta_set(meta, "imagedigest", end + 1);
}

void meta_labels(json_t *meta, const char *key, json_t *labels, const char *skip, const struct runtime_options *o)
{
	json_t *kept = json_object_get(meta, key), *value;
	const char *name;

	json_object_foreach(labels, name, value)
		if (json_string_length(value) <= o->label_max_len && !(skip && strcmp(name, skip) == 0))
			json_object_set(kept, name, value);
}

void meta_label(json_t *meta, const char *key, const char *value)
{
	if (value)
		json_object_set_new(json_object_get(meta, "labels"), key, json_string(value));
}

void meta_mount(json_t *meta, const char *source, const char *dest, const char *mode, bool writable,
		const char *propagation)
{
	json_array_append_new(json_object_get(meta, "Mounts"),
			      json_pack("{s:s, s:s, s:s, s:b, s:s}", "Source", source ? source : "", "Destination",
					dest ? dest : "", "Mode", mode ? mode : "", "RW", (int)writable, "Propagation",
					propagation ? propagation : ""));
}

/* ------------------------------------------------------------------ OCI specifications */

static bool has_option(json_t *options, const char *wanted)
{
	json_t *option;
	size_t i;

	json_array_foreach(options, i, option)
		if (json_is_string(option) && strcmp(json_string_value(option), wanted) == 0)
			return true;
	return false;
}

static const char *propagation_of(json_t *options)
{
	static const char *const words[] = { "private", "rprivate", "slave", "rslave", "shared", "rshared" };

	for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (has_option(options, words[i]))
			return words[i];
	return NULL;
}

static const char *mode_of(json_t *options)
{
	json_t *option;
	size_t i;

	json_array_foreach(options, i, option)
		if (json_is_string(option) && strncmp(json_string_value(option), "mode=", 5) == 0)
			return json_string_value(option) + 5;
	return NULL;
}

static void spec_mounts(json_t *meta, json_t *spec)
{
	const char *rootfs = json_text(json_object_get(spec, "linux"), "rootfsPropagation"), *own;
	json_t *mount;
	size_t i;

	json_array_foreach(json_object_get(spec, "mounts"), i, mount) {
		json_t *options = json_object_get(mount, "options");

		own = propagation_of(options);
		meta_mount(meta, json_text(mount, "source"), json_text(mount, "destination"), mode_of(options),
			   !has_option(options, "ro"), own ? own : rootfs);
	}
}

/* A namespace that is not listed is the host's. */
static bool shares(json_t *spec, const char *type)
{
	json_t *ns;
	size_t i;

	json_array_foreach(json_path(spec, "linux", "namespaces", NULL), i, ns) {
		const char *name = json_text(ns, "type");

		if (name && strcmp(name, type) == 0)
			return false;
	}
	return true;
}

static bool is_empty(json_t *value)
{
	return !value || json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0);
}

/* No specification says so: the marks of one are that nothing is hidden from it, and that /sys can be written to. */
static bool looks_privileged(json_t *spec)
{
	json_t *linux_part = json_object_get(spec, "linux"), *process = json_object_get(spec, "process"), *mount;
	const char *armor = json_text(process, "apparmorProfile"), *selinux = json_text(process, "selinuxLabel");
	size_t i;

	if (!linux_part || !process || !is_empty(json_object_get(linux_part, "maskedPaths")) ||
	    !is_empty(json_object_get(linux_part, "readonlyPaths")) || !is_empty(json_object_get(linux_part, "seccomp")) ||
	    (selinux && *selinux) || (armor && *armor && strcmp(armor, "unconfined") != 0))
		return false;
	json_array_foreach(json_object_get(spec, "mounts"), i, mount) {
		const char *type = json_text(mount, "type");

		if (type && (strcmp(type, "sysfs") == 0 || strcmp(type, "cgroup") == 0) &&
		    has_option(json_object_get(mount, "options"), "ro"))
			return false;
	}
	return true;
}

void meta_spec(json_t *meta, json_t *spec)
{
	json_t *uid = json_path(spec, "process", "user", "uid", NULL);
	char user[24];

	snprintf(user, sizeof user, "%lld", (long long)json_integer_value(uid));
	meta_set(meta, "User", user);
	meta_flag(meta, "host_pid", shares(spec, "pid"));
	meta_flag(meta, "host_network", shares(spec, "network"));
	meta_flag(meta, "host_ipc", shares(spec, "ipc"));
	meta_flag(meta, "privileged", looks_privileged(spec));
	spec_mounts(meta, spec);
}
