/* SPDX-License-Identifier: Apache-2.0 */
/* Which container a process runs in, told by the paths of its control groups: how runtimes name their groups. */
#ifndef FALCO_CONTAINER_MATCH_H
#define FALCO_CONTAINER_MATCH_H

#include <stdbool.h>
#include "../str.h"

enum { CONTAINER_SHORT_ID = 12, CONTAINER_FULL_ID = 64 };

/* One control group's path. The id lies in `path`; long ones are cut to CONTAINER_SHORT_ID bytes. false: it is no
 * runtime's. */
bool container_match_path(struct str path, struct str *id);
/* NUL-separated "subsystem=path" items: the first one that is some runtime's decides. `path`: of that one. */
bool container_match(struct str cgroups, struct str *id, struct str *path);
/* The whole id that stands in the path of a container's control group; empty: it stands nowhere. */
struct str container_whole_id(struct str path);

#endif
