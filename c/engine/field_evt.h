/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the evt.* getters. */
#ifndef FALCO_FIELD_EVT_H
#define FALCO_FIELD_EVT_H

/* evt.rawtime and its kin: all of it, the seconds, the rest. */
enum time_part { PART_ALL, PART_S, PART_NS };
/* evt.buflen: what direction, on what descriptors (0: any). */
enum buflen_variant { IO_ANY, IO_IN, IO_OUT, IO_DIRECTION = 3, IO_FILE = 4, IO_NET = 8 };
enum error_variant { ERRORS_ALL, ERRORS_FILE, ERRORS_NET, ERRORS_MEMORY, ERRORS_OTHER };
enum open_variant { OPEN_READ, OPEN_WRITE, OPEN_EXEC, OPEN_CREATE };
enum infra_variant { INFRA_NAME, INFRA_ID, INFRA_CONTAINER, INFRA_IMAGE };

#endif
