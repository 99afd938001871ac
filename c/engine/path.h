/* SPDX-License-Identifier: Apache-2.0 */
/* Path texts as the events' state wants them: joined, with "//", "." and ".." folded, never looked up anywhere. */
#ifndef FALCO_PATH_H
#define FALCO_PATH_H

#include "../str.h"

enum { PATH_ROOM = 1024 };	/* longest path kept, with its NUL; longer ones become PATH_TOO_LONG */

#define PATH_TOO_LONG STR("/DIR_TOO_LONG/FILENAME_TOO_LONG")

/*
 * Joins: an absolute (or empty) `path` stands alone, a relative one is appended to `base`, which is taken as it is.
 * A trailing slash goes, except of "/". The text is in `buf`, NUL-ended.
 */
struct str path_join(char buf[PATH_ROOM], struct str base, struct str path);

#endif
