/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker: DATA_ROOT/containers/ID has config.v2.json and hostconfig.json, DATA_ROOT/image/DRIVER/repositories.json the
 * names of images. What the API says of a container has the same parts in another order, so both take one road.
 */
#include "runtime_source.h"

/* ------------------------------------------------------------------ images */

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* One name of the image: the one that the container was made by is kept, else the first. */
static void take_name(json_t *meta, const char *name)
{
	const char *at = strchr(name, '@'), *colon = strrchr(name, ':');
	const char *asked = json_text(meta, "image");

	if (at) {
		if (!*json_text(meta, "imagedigest"))
			meta_set(meta, "imagedigest", at + 1);
		colon = at;
	} else if (!colon || strchr(colon, '/')) {
		return;
	} else if (!*json_text(meta, "imagetag") || same(asked, name)) {
		meta_set(meta, "imagetag", colon + 1);
	} else {
		return;
	}
	if (!at || !*json_text(meta, "imagerepo"))
		json_object_set_new(meta, "imagerepo", json_stringn(name, (size_t)(colon - name)));
}

static void take_names(json_t *meta, json_t *names)
{
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		if (json_is_string(name))
			take_name(meta, json_string_value(name));
}

/* {"Repositories": {REPOSITORY: {NAME: ID}}} */
static json_t *names_of(json_t *repositories, const char *id)
{
	json_t *names = json_array(), *repository, *value;
	const char *key, *name;

	json_object_foreach(json_object_get(repositories, "Repositories"), key, repository)
		json_object_foreach(repository, name, value)
			if (same(json_string_value(value), id))
				json_array_append_new(names, json_string(name));
	return names;
}

static json_t *repositories_in(const struct quest *q, const char *dir)
{
	char path[RUNTIME_PATH];

	if (snprintf(path, sizeof path, "%s/repositories.json", dir) >= (int)sizeof path)
		return NULL;
	return host_json(q, path);
}

/* ------------------------------------------------------------------ the parts that files and API share */

static void set_image_id(json_t *meta, const char *image)
{
	const char *colon = image ? strchr(image, ':') : NULL;

	if (colon && !strchr(image, '/'))
		meta_set(meta, "imageid", colon + 1);
}

static bool is_host(json_t *host_config, const char *key)
{
	return same(json_text(host_config, key), "host");
}

static void set_common(const struct quest *q, json_t *meta, json_t *c, json_t *host_config)
{
	json_t *config = json_object_get(c, "Config");
	const char *name = json_text(c, "Name");

	name = name && *name == '/' ? name + 1 : name;
	meta_set(meta, "name", name);
	meta_flag(meta, "is_pod_sandbox", name && strstr(name, "k8s_POD"));
	meta_set(meta, "User", json_text(config, "User"));
	set_image_id(meta, json_text(c, "Image"));
	meta_labels(meta, "labels", json_object_get(config, "Labels"), NULL, q->options);
	meta_flag(meta, "privileged", json_is_true(json_object_get(host_config, "Privileged")));
	meta_flag(meta, "host_network", is_host(host_config, "NetworkMode"));
	meta_flag(meta, "host_pid", is_host(host_config, "PidMode"));
	meta_flag(meta, "host_ipc", is_host(host_config, "IpcMode"));
}

static void set_ip(json_t *meta, json_t *settings)
{
	const char *ip = json_text(settings, "IPAddress");

	if (!ip || !*ip)
		ip = json_text(json_path(settings, "Networks", "bridge", NULL), "IPAddress");
	meta_set(meta, "ip", ip);
}

/* ------------------------------------------------------------------ files */

/* {DESTINATION: {Source, Destination, Relabel: the mode, RW, Propagation, Name and Driver of a volume}} */
static void set_mount_points(json_t *meta, json_t *points, const char *data_root)
{
	const char *key, *source, *volume;
	char path[RUNTIME_PATH];
	json_t *point;

	json_object_foreach(points, key, point) {
		source = json_text(point, "Source");
		volume = json_text(point, "Name");
		if ((!source || !*source) && volume && *volume && same(json_text(point, "Driver"), "local")) {
			snprintf(path, sizeof path, "%s/volumes/%s/_data", data_root, volume);
			source = path;
		}
		meta_mount(meta, source, json_text(point, "Destination"), json_text(point, "Relabel"),
			   json_is_true(json_object_get(point, "RW")), json_text(point, "Propagation"));
	}
}

static void set_image_names(const struct quest *q, json_t *meta, const char *data_root, const char *id)
{
	char dir[RUNTIME_PATH];
	json_t *repositories, *names;

	if (!id || snprintf(dir, sizeof dir, "%s/image", data_root) >= (int)sizeof dir ||
	    !(repositories = host_each(q, dir, repositories_in)))
		return;
	names = names_of(repositories, id);
	take_names(meta, names);
	json_decref(names);
	json_decref(repositories);
}

json_t *docker_find(const struct quest *q, const char *data_root)
{
	char path[RUNTIME_PATH];
	json_t *c, *host_config, *meta;

	if (strlen(q->id) != CONTAINER_FULL_ID ||
	    snprintf(path, sizeof path, "%s/containers/%s/config.v2.json", data_root, q->id) >= (int)sizeof path ||
	    !(c = host_json(q, path)))
		return NULL;
	snprintf(path, sizeof path, "%s/containers/%s/hostconfig.json", data_root, q->id);
	host_config = host_json(q, path);
	if ((meta = meta_new(RUNTIME_DOCKER, q->id))) {
		meta_set(meta, "image", json_text(json_object_get(c, "Config"), "Image"));
		set_common(q, meta, c, host_config);
		set_image_names(q, meta, data_root, json_text(c, "Image"));
		set_ip(meta, json_object_get(c, "NetworkSettings"));
		set_mount_points(meta, json_object_get(c, "MountPoints"), data_root);
	}
	json_decref(host_config);
	json_decref(c);
	return meta;
}

/* Docker mounts files from its own directory of a container: DATA_ROOT/containers/ID/hosts. (Of another container,
 * if they share a network.) */
json_t *docker_of_spec(const struct quest *q, json_t *spec)
{
	json_t *mount, *meta;
	size_t i;

	json_array_foreach(json_object_get(spec, "mounts"), i, mount) {
		const char *source = json_text(mount, "source"), *at = source ? strstr(source, "/containers/") : NULL;
		char root[RUNTIME_PATH];

		if (!at || at - source >= RUNTIME_PATH)
			continue;
		snprintf(root, sizeof root, "%.*s", (int)(at - source), source);
		if ((meta = docker_find(q, root)))
			return meta;
	}
	return NULL;
}

/* ------------------------------------------------------------------ the API's answers */

static void set_mount_list(json_t *meta, json_t *mounts)
{
	json_t *m;
	size_t i;

	json_array_foreach(mounts, i, m)
		meta_mount(meta, json_text(m, "Source"), json_text(m, "Destination"), json_text(m, "Mode"),
			   json_is_true(json_object_get(m, "RW")), json_text(m, "Propagation"));
}

json_t *docker_of_inspect(const struct quest *q, json_t *inspect, json_t *image, enum runtime_type type)
{
	const char *id = json_text(inspect, "Id"), *name = json_text(json_object_get(inspect, "Config"), "Image");
	json_t *meta = id && strncmp(id, q->id, strlen(q->id)) == 0 ? meta_new(type, id) : NULL;

	if (!meta)
		return NULL;
	if (type == RUNTIME_PODMAN)
		meta_image(meta, name);
	else
		meta_set(meta, "image", name);
	set_common(q, meta, inspect, json_object_get(inspect, "HostConfig"));
	take_names(meta, json_object_get(image, "RepoTags"));
	take_names(meta, json_object_get(image, "RepoDigests"));
	set_ip(meta, json_object_get(inspect, "NetworkSettings"));
	set_mount_list(meta, json_object_get(inspect, "Mounts"));
	return meta;
}
