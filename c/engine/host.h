/* SPDX-License-Identifier: Apache-2.0 */
/* Where the watched host's file system is, seen from this process: elsewhere when falco runs in a container of its own. */
#ifndef FALCO_HOST_H
#define FALCO_HOST_H

#include "path.h"

struct host_view {
	char root[PATH_ROOM - 32];	/* goes in front of an absolute path of the host; mostly empty */
	uint32_t root_len;
};

/* From the environment variable HOST_ROOT, cut to the room there is. */
void host_view_init(struct host_view *h);

static inline struct str host_root(const struct host_view *h)
{
	return (struct str){ h->root, h->root_len };
}

#endif
