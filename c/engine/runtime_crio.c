/* SPDX-License-Identifier: Apache-2.0 */
/* CRI-O writes everything it knows into the bundle's annotations, some of it as JSON inside of them. */
#include "runtime_source.h"

#define KEY(name) "io.kubernetes.cri-o." name

static json_t *inner(json_t *annotations, const char *key)
{
	const char *text = json_text(annotations, key);
	return text ? json_loads(text, 0, NULL) : NULL;
}

/* [{"container_path", "host_path", "readonly", "propagation"}] */
static void set_volumes(json_t *meta, json_t *annotations)
{
	static const char *const propagation[] = { "private", "rslave", "rshared" };
	json_t *volumes = inner(annotations, KEY("Volumes")), *v;
	size_t i;

	json_array_foreach(volumes, i, v) {
		json_int_t p = json_integer_value(json_object_get(v, "propagation"));

		meta_mount(meta, json_text(v, "host_path"), json_text(v, "container_path"), "",
			   !json_is_true(json_object_get(v, "readonly")), p >= 0 && p < 3 ? propagation[p] : "unknown");
	}
	json_decref(volumes);
}

static void set_labels(const struct quest *q, json_t *meta, json_t *annotations, bool sandbox)
{
	json_t *labels = inner(annotations, KEY("Labels"));

	meta_labels(meta, "labels", labels, NULL, q->options);
	if (sandbox)
		meta_labels(meta, "pod_sandbox_labels", labels, NULL, q->options);
	json_decref(labels);
	meta_label(meta, "io.kubernetes.sandbox.id", json_text(annotations, KEY("SandboxID")));
	meta_label(meta, "io.kubernetes.pod.namespace", json_text(annotations, KEY("Namespace")));
}

json_t *crio_of_spec(const struct quest *q, json_t *spec)
{
	json_t *annotations = json_object_get(spec, "annotations"), *meta, *metadata;
	const char *kind = json_text(annotations, KEY("ContainerType")), *image;
	bool sandbox = kind && strcmp(kind, "sandbox") == 0;

	if (!kind || !(meta = meta_new(RUNTIME_CRIO, q->id)))
		return NULL;
	meta_spec(meta, spec);
	json_array_clear(json_object_get(meta, "Mounts"));
	set_volumes(meta, annotations);
	set_labels(q, meta, annotations, sandbox);
	if ((metadata = inner(annotations, KEY("Metadata"))))
		meta_set(meta, "name", json_text(metadata, "name"));
	json_decref(metadata);
	image = json_text(annotations, KEY("ImageName"));
	meta_image(meta, image && *image ? image : json_text(annotations, KEY("Image")));
	image = json_text(annotations, KEY("ImageRef"));
	if (image && strstr(image, "sha256:"))
		meta_set(meta, "imagedigest", strstr(image, "sha256:"));
	else
		meta_set(meta, "imageid", image);
	meta_set(meta, "ip", json_text(annotations, KEY("IP.0")));
	meta_set(meta, "cni_json", json_text(annotations, KEY("CNIResult")));
	meta_set(meta, "pod_sandbox_id", json_text(annotations, KEY("SandboxID")));
	meta_flag(meta, "is_pod_sandbox", sandbox);
	return meta;
}
