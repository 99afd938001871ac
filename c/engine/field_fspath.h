/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the fs.path.* getter. */
#ifndef FALCO_FIELD_FSPATH_H
#define FALCO_FIELD_FSPATH_H

#include <stdbool.h>
#include <stdint.h>

enum fspath_variant { FSPATH_NAME, FSPATH_SOURCE, FSPATH_TARGET, FSPATH_WHICH = 3, FSPATH_RAW = 4 };

/* May events of that code have such a path? */
bool fspath_has(uint32_t code, uint32_t variant);

#endif
