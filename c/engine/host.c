/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "host.h"

void host_view_init(struct host_view *h)
{
	const char *root = getenv("HOST_ROOT");

	h->root_len = root ? (uint32_t)strnlen(root, sizeof h->root) : 0;
	if (root)
		memcpy(h->root, root, h->root_len);
}
