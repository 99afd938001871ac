/* SPDX-License-Identifier: Apache-2.0 */
/* What the types of values have in common. struct value and its texts are declared in ffi.h. */
#ifndef FALCO_VALUE_H
#define FALCO_VALUE_H

#include "../driver/event.h"
#include "ffi.h"

/* Integers of any width, flags and times: num holds the value. */
bool type_is_number(uint32_t type);
bool type_is_signed(uint32_t type);
/* Characters at p. */
bool type_is_text(uint32_t type);

#endif
