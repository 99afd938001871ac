/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

/* Drops the last component of buf[0..n); a root's slash stays. */
static uint32_t parent(const char *buf, uint32_t n)
{
	if (n <= 1)
		return n;
	n--;
	while (n > 0 && buf[n - 1] != '/')
		n--;
	return n;
}

struct str path_join(char buf[PATH_ROOM], struct str base, struct str path)
{
	uint32_t n = 0;
	bool relative = path.len && path.p[0] != '/';

	if (base.len + (uint64_t)path.len + 1 > PATH_ROOM)
		return PATH_TOO_LONG;
	if (relative && base.len) {
		memcpy(buf, base.p, base.len);
		n = base.len;
	}
	bool had_base = n > 0;

	for (uint32_t i = 0; i < path.len && path.p[i];) {
		const char *p = path.p + i;
		uint32_t left = path.len - i;
		bool at_start = n == 0 || buf[n - 1] == '/';

		if (*p == '.' && at_start) {
			char c1 = left > 1 ? p[1] : 0, c2 = left > 2 ? p[2] : 0;

			if (c1 == '.' && (c2 == '/' || !c2)) {
				n = parent(buf, n);
				i += c2 ? 3 : 2;
				continue;
			}
			if (c1 == '/' || !c1) {
				i += c1 ? 2 : 1;
				continue;
			}
		} else if (*p == '/' && ((n && buf[n - 1] == '/') || (!n && had_base))) {
			i++;		/* a slash is there already, or the base was all climbed away */
			continue;
		}
		buf[n++] = *p;
		i++;
	}
	if (n > 1 && buf[n - 1] == '/')
		n--;
	buf[n] = 0;
	return (struct str){ buf, n };
}
