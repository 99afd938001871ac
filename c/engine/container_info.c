/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include "container_info.h"
#include "container_match.h"

/* ------------------------------------------------------------------ bounds, before anything is built */

/* Skips the text whose opening quote stands before p. */
static const char *behind_text(const char *p, const char *end)
{
	while (p < end && *p != '"')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return p;
}

/* Counts values generously, by the marks between them. */
static bool is_modest(struct str json)
{
	uint32_t depth = 0, values = 1;

	for (const char *p = json.p, *end = p + json.len; p < end; p++) {
		switch (*p) {
		case '"':
			p = behind_text(p + 1, end);
			break;
		case '{':
		case '[':
			depth++;
			[[fallthrough]];
		case ',':
			values++;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		}
		if (depth > CONTAINER_MAX_DEPTH || values > CONTAINER_MAX_VALUES)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------ texts, one behind the other */

struct tape {
	char *at, *end;
};

static struct str put(struct tape *t, struct str s)
{
	struct str out = { t->at, s.len };

	if ((size_t)(t->end - t->at) < s.len)	/* cannot be: the tape was measured */
		return (struct str){ "", 0 };
	if (s.len)
		memcpy(t->at, s.p, s.len);
	t->at += s.len;
	return out;
}

static struct str text_of(const json_t *value)
{
	if (!json_is_string(value))
		return (struct str){ "", 0 };
	return (struct str){ json_string_value(value), (uint32_t)json_string_length(value) };
}

static struct str text_at(const json_t *object, const char *key)
{
	return text_of(json_object_get(object, key));
}

/* ------------------------------------------------------------------ the parts */

static const struct {
	const char *key;
	size_t at;
} texts[] = {
	{ "id", offsetof(struct container_info, id) },
	{ "full_id", offsetof(struct container_info, full_id) },
	{ "name", offsetof(struct container_info, name) },
	{ "User", offsetof(struct container_info, user) },
	{ "image", offsetof(struct container_info, image) },
	{ "imageid", offsetof(struct container_info, image_id) },
	{ "imagerepo", offsetof(struct container_info, image_repo) },
	{ "imagetag", offsetof(struct container_info, image_tag) },
	{ "imagedigest", offsetof(struct container_info, image_digest) },
	{ "ip", offsetof(struct container_info, ip) },
	{ "cni_json", offsetof(struct container_info, cni) },
	{ "pod_sandbox_id", offsetof(struct container_info, sandbox_id) },
}, flags[] = {
	{ "privileged", offsetof(struct container_info, privileged) },
	{ "host_pid", offsetof(struct container_info, host_pid) },
	{ "host_network", offsetof(struct container_info, host_network) },
	{ "host_ipc", offsetof(struct container_info, host_ipc) },
	{ "is_pod_sandbox", offsetof(struct container_info, is_sandbox) },
};

/* By the numbers that events carry. */
static const struct str types[] = {
	STR("docker"), STR("lxc"), STR("libvirt-lxc"), STR("mesos"), STR("rkt"), STR("custom"), STR("cri"),
	STR("containerd"), STR("cri-o"), STR("bpm"), STR("static"), STR("podman"),
};

static struct str type_of(const json_t *value)
{
	json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;
	return n >= 0 && n < (json_int_t)(sizeof types / sizeof types[0]) ? types[n] : STR("unknown");
}

static int by_key(const void *a, const void *b)
{
	struct str x = ((const struct container_label *)a)->key, y = ((const struct container_label *)b)->key;
	int order = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);

	return order ? order : (x.len > y.len) - (x.len < y.len);
}

static void put_labels(struct tape *t, struct container_labels *labels, json_t *object)
{
	const char *key, *start = t->at;
	json_t *value;

	json_object_foreach(object, key, value)
		if (json_is_string(value))
			labels->sorted[labels->n++] = (struct container_label){ str_of(key), text_of(value) };
	qsort(labels->sorted, labels->n, sizeof *labels->sorted, by_key);
	for (uint32_t i = 0; i < labels->n; i++) {
		struct container_label *l = &labels->sorted[i];

		if (i)
			put(t, STR(", "));
		l->key = put(t, l->key);
		put(t, STR(":"));
		l->value = put(t, l->value);
	}
	labels->text = (struct str){ start, (uint32_t)(t->at - start) };
}

static void put_mount(struct tape *t, struct container_mount *m, const json_t *object)
{
	const char *start = t->at;

	m->source = put(t, text_at(object, "Source"));
	put(t, STR(":"));
	m->dest = put(t, text_at(object, "Destination"));
	put(t, STR(":"));
	m->mode = put(t, text_at(object, "Mode"));
	put(t, STR(":"));
	m->writable = put(t, json_is_true(json_object_get(object, "RW")) ? STR("true") : STR("false"));
	put(t, STR(":"));
	m->propagation = put(t, text_at(object, "Propagation"));
	m->text = (struct str){ start, (uint32_t)(t->at - start) };
}

static void put_mounts(struct tape *t, struct container_info *info, const json_t *array)
{
	const char *start = t->at;
	const json_t *mount;
	size_t i;

	json_array_foreach(array, i, mount) {
		if (!json_is_object(mount))
			continue;
		if (info->nmounts)
			put(t, STR(","));
		put_mount(t, &info->mounts[info->nmounts++], mount);
	}
	info->mounts_text = (struct str){ start, (uint32_t)(t->at - start) };
}

/* ------------------------------------------------------------------ the whole */

/*
 * One block: the struct, the arrays, the tape. Each text of the JSON goes onto the tape once at most, and what stands
 * around it there is longer than what we put around it, but for mounts that lack their keys.
 */
static struct container_info *info_new(const json_t *c, size_t json_bytes, struct tape *t)
{
	enum { MOUNT_MARKS = 16 };		/* ":::false:," and some */
	size_t mounts = json_array_size(json_object_get(c, "Mounts"));
	size_t labels = json_object_size(json_object_get(c, "labels"));
	size_t pod_labels = json_object_size(json_object_get(c, "pod_sandbox_labels"));
	size_t tape = json_bytes + mounts * MOUNT_MARKS;
	size_t bytes = sizeof(struct container_info) + mounts * sizeof(struct container_mount) +
		       (labels + pod_labels) * sizeof(struct container_label) + tape;
	struct container_info *info = calloc(1, bytes);

	if (!info)
		return NULL;
	info->bytes = bytes;
	info->mounts = (struct container_mount *)(info + 1);
	info->labels.sorted = (struct container_label *)(info->mounts + mounts);
	info->pod_labels.sorted = info->labels.sorted + labels;
	t->at = (char *)(info->pod_labels.sorted + pod_labels);
	t->end = t->at + tape;
	return info;
}

static void fill(struct container_info *info, const json_t *c, struct tape *t)
{
	for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct str s = put(t, text_at(c, texts[i].key));
		memcpy((char *)info + texts[i].at, &s, sizeof s);
	}
	for (uint32_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		*((bool *)((char *)info + flags[i].at)) = json_is_true(json_object_get(c, flags[i].key));
	if (!info->id.len) {
		info->id = info->full_id;
		info->id.len = info->id.len < CONTAINER_SHORT_ID ? info->id.len : CONTAINER_SHORT_ID;
	}
	info->type = type_of(json_object_get(c, "type"));
	put_labels(t, &info->labels, json_object_get(c, "labels"));
	put_labels(t, &info->pod_labels, json_object_get(c, "pod_sandbox_labels"));
	put_mounts(t, info, json_object_get(c, "Mounts"));

	char ip[INET_ADDRSTRLEN] = "";
	if (info->ip.len < sizeof ip) {
		memcpy(ip, info->ip.p, info->ip.len);
		info->has_ip4 = inet_pton(AF_INET, ip, info->ip4) == 1;
	}
}

static struct container_info *info_from(const json_t *root, size_t json_bytes, struct err *err)
{
	const json_t *inner = json_object_get(root, "container"), *c = json_is_object(inner) ? inner : root;
	struct container_info *info;
	struct tape tape;

	if (!text_at(c, "id").len && !text_at(c, "full_id").len) {
		err_set(err, EINVAL, "container metadata without an id");
		return NULL;
	}
	if (!(info = info_new(c, json_bytes, &tape))) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	fill(info, c, &tape);
	return info;
}

struct container_info *container_info_parse(struct str json, struct err *err)
{
	json_error_t why;

	if (json.len > CONTAINER_MAX_JSON || !is_modest(json)) {
		err_set(err, E2BIG, "container metadata of %u bytes: too large, or too deeply nested", json.len);
		return NULL;
	}
	json_t *root = json_loadb(json.p, json.len, 0, &why);
	if (!root) {
		err_set(err, EINVAL, "container metadata is no JSON: %s", why.text);
		return NULL;
	}
	struct container_info *info = info_from(root, json.len, err);
	json_decref(root);
	return info;
}

/* ------------------------------------------------------------------ and back */

static json_t *json_of(struct str s)
{
	return json_stringn(s.p, s.len);
}

static int type_number(struct str type)
{
	enum { UNKNOWN = 0xffff };

	for (uint32_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (str_eq(types[i], type))
			return (int)i;
	return UNKNOWN;
}

static json_t *labels_json(const struct container_labels *labels)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < labels->n; i++) {
		const struct container_label *l = &labels->sorted[i];
		char *key = strndup(l->key.p, l->key.len);

		if (key)
			json_object_set_new(object, key, json_of(l->value));
		free(key);
	}
	return object;
}

static json_t *mounts_json(const struct container_info *info)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < info->nmounts; i++) {
		const struct container_mount *m = &info->mounts[i];

		json_array_append_new(array, json_pack("{s:o, s:o, s:o, s:b, s:o}", "Source", json_of(m->source),
						       "Destination", json_of(m->dest), "Mode", json_of(m->mode), "RW",
						       (int)str_is(m->writable, "true"), "Propagation",
						       json_of(m->propagation)));
	}
	return array;
}

char *container_info_json(const struct container_info *info)
{
	json_t *c = json_pack("{s:i, s:o, s:o, s:o}", "type", type_number(info->type), "labels",
			      labels_json(&info->labels), "pod_sandbox_labels", labels_json(&info->pod_labels), "Mounts",
			      mounts_json(info));
	json_t *whole;
	char *text;

	for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		json_object_set_new(c, texts[i].key, json_of(*(const struct str *)((const char *)info + texts[i].at)));
	for (uint32_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		json_object_set_new(c, flags[i].key, json_boolean(*(const bool *)((const char *)info + flags[i].at)));
	whole = json_pack("{s:o}", "container", c);
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	return text;
}

void container_info_free(struct container_info *info)
{
	free(info);
}

const struct str *container_label_find(const struct container_labels *labels, struct str key)
{
	struct container_label wanted = { .key = key }, *found;

	found = labels->n ? bsearch(&wanted, labels->sorted, labels->n, sizeof wanted, by_key) : NULL;
	return found ? &found->value : NULL;
}
