/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where metadata comes from. Each source looks one container up and makes the JSON of a container event of it, or
 * NULL: not there. They run in the runtime thread, and share nothing.
 */
#ifndef FALCO_RUNTIME_SOURCE_H
#define FALCO_RUNTIME_SOURCE_H

#include <jansson.h>
#include "container_match.h"
#include "ffi.h"
#include "host.h"

enum {
	RUNTIME_MAX_ID = 128,			/* bytes of a whole id */
	RUNTIME_MAX_HINTS = 8,			/* directories that may be the bundle */
	RUNTIME_PATH = 1024,
	RUNTIME_MAX_FILE = 8 << 20,		/* bytes of a file, or of an API's answer */
};

/* As the "type" of container events numbers them. */
enum runtime_type {
	RUNTIME_DOCKER = 0, RUNTIME_CRI = 6, RUNTIME_CONTAINERD = 7, RUNTIME_CRIO = 8, RUNTIME_PODMAN = 11,
	RUNTIME_UNKNOWN = 0xffff,
};

struct quest {
	const struct runtime_options *options;
	struct str root;			/* in front of the host's paths */
	char id[RUNTIME_MAX_ID + 1];		/* whole */
	char path[RUNTIME_PATH];		/* of its control group */
	bool api;				/* ask the API too */
	uint32_t nhints;
	char hints[RUNTIME_MAX_HINTS][RUNTIME_PATH];
};

/* ------------------------------------------------------------------ reading (runtime_read.c) */

/* Of a host's path; false: too long. */
__attribute__((format(printf, 3, 4)))
bool host_path(const struct quest *q, char out[RUNTIME_PATH], const char *fmt, ...);
json_t *host_json(const struct quest *q, const char *path);		/* of a file; NULL: none */
/* Where a link leads, as the host sees it. */
bool host_link(const struct quest *q, const char *path, char out[RUNTIME_PATH]);
/* The directory inside `dir` whose name is the whole id. */
bool host_has(const struct quest *q, const char *path);
/* Calls for each entry of a directory until one answers. */
json_t *host_each(const struct quest *q, const char *dir, json_t *(*see)(const struct quest *q, const char *path));

/* ------------------------------------------------------------------ making the JSON (runtime_meta.c) */

json_t *meta_new(enum runtime_type type, const char *full_id);		/* every key, empty */
void meta_set(json_t *meta, const char *key, const char *value);	/* NULL: stays */
void meta_flag(json_t *meta, const char *key, bool value);
/* "repository:tag" or "repository@digest": image, imagerepo, imagetag, imagedigest. */
void meta_image(json_t *meta, const char *image);
/* Those that are not too long; `skip` NULL, or a label left out. */
void meta_labels(json_t *meta, const char *key, json_t *labels, const char *skip, const struct runtime_options *o);
void meta_label(json_t *meta, const char *key, const char *value);
void meta_mount(json_t *meta, const char *source, const char *dest, const char *mode, bool writable,
		const char *propagation);
/* From an OCI specification: user, namespaces of the host, mounts, whether it looks privileged. */
void meta_spec(json_t *meta, json_t *spec);
const char *json_text(json_t *object, const char *key);			/* NULL: no such text */
json_t *json_path(json_t *object, const char *key, ...);		/* to the last of the keys, NULL-ended */

/* ------------------------------------------------------------------ sources */

/* All of them, in their order. A text to be freed. */
char *runtime_lookup(const struct quest *q);

json_t *docker_find(const struct quest *q, const char *data_root);	/* runtime_docker.c */
json_t *docker_of_spec(const struct quest *q, json_t *spec);		/* a bundle that docker made */
json_t *docker_of_inspect(const struct quest *q, json_t *inspect, json_t *image, enum runtime_type type);
json_t *podman_find(const struct quest *q, const char *storage);	/* runtime_podman.c */
json_t *podman_of_spec(const struct quest *q, const char *bundle, json_t *spec);
json_t *crio_of_spec(const struct quest *q, json_t *spec);		/* runtime_crio.c */
json_t *containerd_of_bundle(const struct quest *q, const char *bundle, json_t *spec);	/* runtime_containerd.c */
json_t *api_find(const struct quest *q);				/* runtime_api.c: docker and podman */

#endif
