/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a source of metadata says about one container. Immutable; one block of memory, all texts inside it.
 * Absent texts are empty, absent flags false.
 */
#ifndef FALCO_CONTAINER_INFO_H
#define FALCO_CONTAINER_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../err.h"
#include "../str.h"

/* Parts of one text "source:destination:mode:true:propagation". */
struct container_mount {
	struct str text, source, dest, mode, writable, propagation;
};

struct container_label {
	struct str key, value;
};

/* text: all of them, "key:value, key:value", by key. */
struct container_labels {
	struct str text;
	uint32_t n;
	struct container_label *sorted;
};

struct container_info {
	size_t bytes;				/* of the block */
	struct str id, full_id, name, type, user;
	struct str image, image_id, image_repo, image_tag, image_digest;
	struct str ip, cni;
	struct str sandbox_id;			/* of the pod's sandbox container, whole; empty: in no pod */
	bool privileged, host_pid, host_network, host_ipc, is_sandbox;
	bool has_ip4;				/* ip4 is `ip`, in network order */
	uint8_t ip4[4];
	struct container_labels labels, pod_labels;
	struct str mounts_text;			/* joined by commas */
	uint32_t nmounts;
	struct container_mount *mounts;
};

enum {
	CONTAINER_MAX_JSON = 1 << 20,		/* bytes; more is refused, as is more of: */
	CONTAINER_MAX_VALUES = 1 << 16,		/* values in it */
	CONTAINER_MAX_DEPTH = 32,		/* arrays and objects in one another */
};

/*
 * Reads {"container":{"id":...}}, or what stands inside, as container events carry it. NULL: not JSON, too much of
 * it, or without an id; err says which.
 */
struct container_info *container_info_parse(struct str json, struct err *err);
void container_info_free(struct container_info *info);		/* NULL allowed */
/* The same backwards: a text to be freed. NULL: out of memory. */
char *container_info_json(const struct container_info *info);

/* NULL: no such label. */
const struct str *container_label_find(const struct container_labels *labels, struct str key);

#endif
