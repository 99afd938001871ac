/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the fs.path.* getter. */
#ifndef FALCO_FIELD_FSPATH_H
#define FALCO_FIELD_FSPATH_H

enum fspath_variant { FSPATH_NAME, FSPATH_SOURCE, FSPATH_TARGET, FSPATH_WHICH = 3, FSPATH_RAW = 4 };

#endif
