/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions: RE2 in its POSIX mode (egrep syntax, leftmost-longest, UTF-8), behind a C interface. Matching
 * takes time linear in the text. No exception leaves this room.
 */
#ifndef FALCO_REGEX_H
#define FALCO_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex;

/* 0; -EINVAL: `why` (cap bytes, NUL-ended) says what is wrong with the pattern; -ENOMEM. */
int regex_new(struct regex **out, const char *pattern, size_t len, char *why, size_t cap);
void regex_free(struct regex *re);		/* NULL allowed */
/* Does the whole text match? It must be valid UTF-8. */
bool regex_match(const struct regex *re, const char *text, size_t len);
/* Does some part of it? */
bool regex_search(const struct regex *re, const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
