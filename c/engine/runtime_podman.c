/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Podman: STORAGE/overlay-containers/containers.json names the container and its image, overlay-images/images.json the
 * image's digest; the bundle is in overlay-containers/ID/userdata. Labels and user are in libpod's own database,
 * which was bolt_state.db until podman 4 (later ones use another kind: there the API tells, if anybody).
 */
#include "bolt.h"
#include "runtime_source.h"

static json_t *entry_of(json_t *list, const char *id)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *own = json_text(entry, "id");

		if (own && strcmp(own, id) == 0)
			return entry;
	}
	return NULL;
}

static json_t *list_file(const struct quest *q, const char *storage, const char *name)
{
	char path[RUNTIME_PATH];

	return snprintf(path, sizeof path, "%s/%s", storage, name) < (int)sizeof path ? host_json(q, path) : NULL;
}

static void set_image(const struct quest *q, json_t *meta, const char *storage, const char *id)
{
	json_t *images = list_file(q, storage, "overlay-images/images.json"), *image = id ? entry_of(images, id) : NULL;

	meta_set(meta, "imageid", id);
	meta_set(meta, "imagedigest", json_text(image, "digest"));
	json_decref(images);
}

/* libpod's own configuration of the container. */
static json_t *libpod_config(const struct quest *q, const char *storage)
{
	char path[RUNTIME_PATH];
	struct bolt b;
	struct bolt_bucket at;
	struct str text;
	json_t *config = NULL;

	if (!host_path(q, path, "%s/libpod/bolt_state.db", storage))
		return NULL;
	if (bolt_open(&b, path) == 0) {
		at = bolt_root(&b);
		if (bolt_enter(&b, &at, STR("ctr")) && bolt_enter(&b, &at, str_of(q->id)) &&
		    bolt_get(&b, &at, STR("config"), &text))
			config = json_loadb(text.p, text.len, 0, NULL);
	}
	bolt_close(&b);
	return config;
}

static bool is_listed(json_t *list, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (text && json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

/* What everybody gets is no mount of the user's. */
static bool is_standard(const char *dest)
{
	static const char *const standard[] = {
		"/proc", "/dev", "/sys", "/dev/pts", "/dev/mqueue", "/dev/shm", "/sys/fs/cgroup", "/etc/hosts",
		"/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/etc/group", "/run/.containerenv", "/run/secrets",
	};

	for (uint32_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
		if (dest && strcmp(dest, standard[i]) == 0)
			return true;
	return false;
}

/* Keeps of the specification's mounts those that were asked for. */
static void keep_users_mounts(json_t *meta, json_t *config)
{
	json_t *mounts = json_object_get(meta, "Mounts"), *volumes = json_object_get(config, "userVolumes");

	for (size_t i = json_array_size(mounts); i-- > 0;) {
		const char *dest = json_text(json_array_get(mounts, i), "Destination");

		if (config ? !is_listed(volumes, dest) : is_standard(dest))
			json_array_remove(mounts, i);
	}
}

static json_t *podman_make(const struct quest *q, const char *storage, json_t *spec)
{
	json_t *list = list_file(q, storage, "overlay-containers/containers.json"), *entry = entry_of(list, q->id), *more;
	json_t *config, *meta = entry || spec ? meta_new(RUNTIME_PODMAN, q->id) : NULL;
	const char *text;

	if (meta) {
		config = libpod_config(q, storage);
		if (spec) {
			meta_spec(meta, spec);
			meta_flag(meta, "privileged",
				  (text = json_text(json_object_get(spec, "annotations"),
						    "io.podman.annotations.privileged")) && strcmp(text, "TRUE") == 0);
			keep_users_mounts(meta, config);
		}
		meta_set(meta, "name", json_string_value(json_array_get(json_object_get(entry, "names"), 0)));
		if ((text = json_text(entry, "metadata")) && (more = json_loads(text, 0, NULL))) {
			meta_image(meta, json_text(more, "image-name"));
			json_decref(more);
		}
		set_image(q, meta, storage, json_text(entry, "image"));
		meta_labels(meta, "labels", json_object_get(config, "labels"), NULL, q->options);
		meta_set(meta, "User", config && (text = json_text(config, "user")) ? text : config ? "" : NULL);
		json_decref(config);
	}
	json_decref(list);
	return meta;
}

json_t *podman_of_spec(const struct quest *q, const char *bundle, json_t *spec)
{
	const char *manager = json_text(json_object_get(spec, "annotations"), "io.container.manager");
	const char *at = strstr(bundle, "/overlay-containers/");
	char storage[RUNTIME_PATH];

	if (!manager || strcmp(manager, "libpod") != 0 || !at)
		return NULL;
	snprintf(storage, sizeof storage, "%.*s", (int)(at - bundle), bundle);
	return podman_make(q, storage, spec);
}

json_t *podman_find(const struct quest *q, const char *storage)
{
	char path[RUNTIME_PATH];
	json_t *spec, *meta;

	if (snprintf(path, sizeof path, "%s/overlay-containers/%s/userdata/config.json", storage, q->id) >= (int)sizeof path ||
	    !(spec = host_json(q, path)))
		return NULL;
	meta = podman_of_spec(q, path, spec);
	json_decref(spec);
	return meta;
}
