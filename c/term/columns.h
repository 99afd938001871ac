/* SPDX-License-Identifier: Apache-2.0 */
/* Widths of characters on a terminal, in columns. The rest is declared in ../engine/ffi.h. */
#ifndef FALCO_COLUMNS_H
#define FALCO_COLUMNS_H

#include <wchar.h>

int columns_of(wchar_t c);	/* 0, 1 or 2; 1 for what has no width of its own. In the locale of the calling thread */

#endif
