/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd: a bundle lies in STATE/io.containerd.runtime.v2.task/NAMESPACE/ID and has a link "work" into the same
 * place below ROOT. ROOT/io.containerd.metadata.v1.bolt/meta.db holds v1/NAMESPACE/containers/ID with image, labels
 * and extensions, and v1/NAMESPACE/images/NAME/target/digest. The CRI plugin keeps what Kubernetes asked for in
 * extensions, as JSON in a protobuf Any; of pods the bundle's annotations tell the most important part too.
 */
#include "bolt.h"
#include "runtime_source.h"

#define KEY(name) "io.kubernetes.cri." name
#define KIND_LABEL "io.cri-containerd.kind"

enum { DB_TRIES = 3 };

/* What the database says; all may be NULL. */
struct record {
	json_t *labels, *image_name, *digest, *names;		/* names: of the same image */
	json_t *container, *sandbox;				/* what Kubernetes asked for */
};

static void record_free(struct record *r)
{
	json_decref(r->labels);
	json_decref(r->image_name);
	json_decref(r->digest);
	json_decref(r->names);
	json_decref(r->container);
	json_decref(r->sandbox);
	*r = (struct record){ 0 };
}

/* ------------------------------------------------------------------ database */

static json_t *text_json(struct str s)
{
	return json_stringn(s.p, s.len);
}

/* `names`: to the bucket, NULL-ended. */
static bool enter(struct bolt *b, struct bolt_bucket *at, const char *const names[])
{
	for (; *names; names++)
		if (!bolt_enter(b, at, str_of(*names)))
			return false;
	return true;
}

static bool take_label(void *ctx, struct str key, struct str value)
{
	char name[256];

	if (value.p && key.len < sizeof name) {
		snprintf(name, sizeof name, "%.*s", (int)key.len, key.p);
		json_object_set_new(ctx, name, text_json(value));
	}
	return true;
}

static json_t *labels_at(struct bolt *b, struct bolt_bucket at)
{
	json_t *labels = json_object();

	if (bolt_enter(b, &at, STR("labels")))
		bolt_each(b, &at, take_label, labels);
	return labels;
}

static bool take_varint(struct str *s, uint32_t *value)
{
	*value = 0;
	for (uint32_t i = 0; i < s->len && i < 5; i++) {
		*value |= (uint32_t)(s->p[i] & 0x7f) << 7 * i;
		if (!(s->p[i] & 0x80)) {
			*s = (struct str){ s->p + i + 1, s->len - i - 1 };
			return true;
		}
	}
	return false;
}

/* The second field of an Any, as JSON. */
static json_t *any_json(struct str any)
{
	enum { TYPE_URL = 1 << 3 | 2, VALUE = 2 << 3 | 2 };
	uint32_t tag, len;

	while (take_varint(&any, &tag) && take_varint(&any, &len) && len <= any.len && (tag == TYPE_URL || tag == VALUE)) {
		if (tag == VALUE)
			return json_loadb(any.p, len, 0, NULL);
		any = (struct str){ any.p + len, any.len - len };
	}
	return NULL;
}

/* An extension's "Metadata". */
static json_t *extension_at(struct bolt *b, struct bolt_bucket at, struct str name)
{
	struct str any;
	json_t *whole, *inner = NULL;

	if (!bolt_enter(b, &at, STR("extensions")) || !bolt_get(b, &at, name, &any) || !(whole = any_json(any)))
		return NULL;
	inner = json_incref(json_object_get(whole, "Metadata"));
	json_decref(whole);
	return inner;
}

struct same_image {
	struct bolt *b;
	struct bolt_bucket images;
	struct str digest;
	json_t *names;
};

static bool image_digest(struct bolt *b, struct bolt_bucket images, struct str name, struct str *digest)
{
	return bolt_enter(b, &images, name) && bolt_enter(b, &images, STR("target")) &&
	       bolt_get(b, &images, STR("digest"), digest);
}

static bool take_same(void *ctx, struct str key, struct str value)
{
	struct same_image *same = ctx;
	struct str digest;

	if (image_digest(same->b, same->images, key, &digest) && str_eq(digest, same->digest))
		json_array_append_new(same->names, text_json(key));
	return true;
}

static void read_image(struct bolt *b, const char *namespace, const char *name, struct record *r)
{
	struct bolt_bucket at = bolt_root(b);
	struct same_image same = { .b = b };

	if (!name || !enter(b, &at, (const char *const[]){ "v1", namespace, "images", NULL }) ||
	    !image_digest(b, at, str_of(name), &same.digest))
		return;
	r->digest = text_json(same.digest);
	same.images = at;
	r->names = same.names = json_array();
	bolt_each(b, &at, take_same, &same);
}

static void read_records(struct bolt *b, const char *namespace, const char *id, const char *sandbox, struct record *r)
{
	struct bolt_bucket containers = bolt_root(b), at;
	struct str text;

	if (!enter(b, &containers, (const char *const[]){ "v1", namespace, "containers", NULL }))
		return;
	at = containers;
	if (bolt_enter(b, &at, str_of(id))) {
		r->labels = labels_at(b, at);
		if (bolt_get(b, &at, STR("image"), &text))
			r->image_name = text_json(text);
		r->container = extension_at(b, at, STR("io.cri-containerd.container.metadata"));
	}
	at = containers;
	if (sandbox && bolt_enter(b, &at, str_of(sandbox)))
		r->sandbox = extension_at(b, at, STR("io.cri-containerd.sandbox.metadata"));
	if (json_text(r->container, "ImageRef"))
		read_image(b, namespace, json_text(r->container, "ImageRef"), r);
	if (!r->names)
		read_image(b, namespace, json_string_value(r->image_name), r);
}

static void read_database(const struct quest *q, const char *root, const char *namespace, const char *sandbox,
			  struct record *r)
{
	char path[RUNTIME_PATH];
	struct bolt b;
	bool whole = false;

	if (!host_path(q, path, "%s/io.containerd.metadata.v1.bolt/meta.db", root))
		return;
	for (uint32_t i = 0; i < DB_TRIES && !whole; i++) {
		record_free(r);
		if (bolt_open(&b, path) == 0) {
			read_records(&b, namespace, q->id, sandbox, r);
			whole = bolt_unchanged(&b);
		}
		bolt_close(&b);
	}
}

/* ------------------------------------------------------------------ what Kubernetes asked for */

static bool is_name(const char *image)
{
	return image && *image && strncmp(image, "sha256:", 7) != 0;
}

/* The image by its best name: the one that was asked for, else one with a tag; and the digest of one that has it. */
static void set_cri_image(json_t *meta, struct record *r, const char *annotation)
{
	const char *wanted = json_text(json_path(r->container, "Config", "image", NULL), "image"), *colon;
	const char *tagged = NULL, *digested = NULL, *name;
	json_t *value;
	size_t i;

	json_array_foreach(r->names, i, value) {
		name = json_string_value(value);
		if (strchr(name, '@'))
			digested = digested ? digested : name;
		else if (is_name(name))
			tagged = tagged ? tagged : name;
	}
	meta_image(meta, is_name(annotation) ? annotation : tagged ? tagged : digested);
	if (digested)
		meta_set(meta, "imagedigest", strchr(digested, '@') + 1);
	else if (!*json_text(meta, "imagedigest"))
		meta_set(meta, "imagedigest", json_text(r->container, "ImageRef"));
	colon = wanted ? strchr(wanted, ':') : NULL;
	meta_set(meta, "imageid", colon && !strchr(wanted, '/') ? colon + 1 : wanted);
}

static void set_cri_mounts(json_t *meta, json_t *config)
{
	static const char *const propagation[] = { "private", "rslave", "rshared" };
	json_t *m;
	size_t i;

	json_array_clear(json_object_get(meta, "Mounts"));
	json_array_foreach(json_object_get(config, "mounts"), i, m) {
		json_int_t p = json_integer_value(json_object_get(m, "propagation"));

		meta_mount(meta, json_text(m, "host_path"), json_text(m, "container_path"), "",
			   !json_is_true(json_object_get(m, "readonly")), p >= 0 && p < 3 ? propagation[p] : "unknown");
	}
}

static bool is_node(json_t *options, const char *which)
{
	enum { NODE = 2 };
	return json_integer_value(json_object_get(options, which)) == NODE;
}

static void set_pod(const struct quest *q, json_t *meta, struct record *r, json_t *annotations, const char *sandbox)
{
	static const char *const names[][2] = {
		{ "io.kubernetes.pod.name", KEY("sandbox-name") }, { "io.kubernetes.pod.namespace", KEY("sandbox-namespace") },
		{ "io.kubernetes.pod.uid", KEY("sandbox-uid") },
	};
	json_t *pod = json_object_get(r->sandbox, "Config"), *cni = json_path(r->sandbox, "CNIResult", "Interfaces", NULL);
	json_t *options = json_path(pod, "linux", "security_context", "namespace_options", NULL);
	char *text;

	for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
		meta_label(meta, names[i][0], json_text(annotations, names[i][1]));
	meta_label(meta, "io.kubernetes.sandbox.id", sandbox);
	meta_set(meta, "pod_sandbox_id", sandbox);
	if (!r->sandbox)
		return;
	meta_labels(meta, "pod_sandbox_labels", json_object_get(pod, "labels"), NULL, q->options);
	meta_set(meta, "ip", json_text(r->sandbox, "IP"));
	meta_flag(meta, "host_network", is_node(options, "network"));
	meta_flag(meta, "host_pid", is_node(options, "pid"));
	meta_flag(meta, "host_ipc", is_node(options, "ipc"));
	if (cni && (text = json_dumps(cni, JSON_COMPACT))) {
		meta_set(meta, "cni_json", text);
		free(text);
	}
}

static void set_cri(const struct quest *q, json_t *meta, struct record *r, json_t *annotations)
{
	const char *kind = json_text(annotations, KEY("container-type")), *sandbox = json_text(annotations, KEY("sandbox-id"));
	json_t *config = json_object_get(r->container, "Config"), *security = json_path(config, "linux", "security_context", NULL);
	bool is_sandbox = strcmp(kind, "sandbox") == 0;
	const char *name = json_text(json_object_get(config, "metadata"), "name");

	if (!is_sandbox) {
		meta_set(meta, "name", name ? name : json_text(annotations, KEY("container-name")));
		set_cri_image(meta, r, json_text(annotations, KEY("image-name")));
	}
	if (config) {
		set_cri_mounts(meta, config);
		meta_flag(meta, "privileged", json_is_true(json_object_get(security, "privileged")));
	}
	set_pod(q, meta, r, annotations, sandbox);
	meta_flag(meta, "is_pod_sandbox", is_sandbox);
}

/* ------------------------------------------------------------------ the whole */

/* ROOT and NAMESPACE out of ".../io.containerd.runtime.v2.task/NAMESPACE/ID". */
static bool split_task(const char *path, char root[RUNTIME_PATH], char namespace[RUNTIME_PATH])
{
	const char *at = strstr(path, "/io.containerd.runtime.v"), *task = at ? strstr(at, ".task/") : NULL, *end;

	if (!task || !(end = strchr(task + 6, '/')))
		return false;
	snprintf(root, RUNTIME_PATH, "%.*s", (int)(at - path), path);
	snprintf(namespace, RUNTIME_PATH, "%.*s", (int)(end - task - 6), task + 6);
	return true;
}

json_t *containerd_of_bundle(const struct quest *q, const char *bundle, json_t *spec)
{
	char link[RUNTIME_PATH], work[RUNTIME_PATH], root[RUNTIME_PATH], namespace[RUNTIME_PATH];
	json_t *annotations = json_object_get(spec, "annotations"), *meta;
	struct record r = { 0 };
	char id[CONTAINER_SHORT_ID + 1];

	snprintf(link, sizeof link, "%s/work", bundle);
	if (!host_link(q, link, work))
		snprintf(work, sizeof work, "%s", bundle);
	if (!split_task(work, root, namespace) || !(meta = meta_new(RUNTIME_CONTAINERD, q->id)))
		return NULL;
	read_database(q, root, namespace, json_text(annotations, KEY("sandbox-id")), &r);
	snprintf(id, sizeof id, "%s", q->id);
	meta_set(meta, "name", id);
	meta_spec(meta, spec);
	meta_image(meta, json_string_value(r.image_name));
	meta_set(meta, "imagedigest", json_string_value(r.digest));
	meta_labels(meta, "labels", r.labels, json_text(annotations, KEY("container-type")) ? KIND_LABEL : NULL, q->options);
	if (json_text(annotations, KEY("container-type")))
		set_cri(q, meta, &r, annotations);
	record_free(&r);
	return meta;
}
