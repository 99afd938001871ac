/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the fdlist.* getter. */
#ifndef FALCO_FIELD_FDLIST_H
#define FALCO_FIELD_FDLIST_H

enum fdlist_variant { FDLIST_NUMS, FDLIST_NAMES, FDLIST_CIPS, FDLIST_SIPS, FDLIST_CPORTS, FDLIST_SPORTS };

#endif
