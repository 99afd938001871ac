/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How wide text is on a terminal. Declared in ffi.h. Names of files and programs are anybody's: what is no UTF-8, or has no
 * width, counts as one column, as the "?" that is shown for it.
 */
#include <locale.h>
#include <sys/ioctl.h>
#include <wchar.h>
#include "../engine/ffi.h"
#include "columns.h"

/* The characters of all machines, whatever the environment asks for. Made once and kept. */
static locale_t utf8(void)
{
	static locale_t locale;

	if (!locale)
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return locale;
}

int columns_of(wchar_t c)
{
	int width = wcwidth(c);

	return width < 0 ? 1 : width;
}

/* Bytes of s that `limit` columns have room for; how many columns they take. */
static uint32_t measure(const char *s, uint32_t len, uint32_t limit, uint32_t *taken)
{
	locale_t mine = utf8(), before = mine ? uselocale(mine) : (locale_t)0;
	uint32_t at = 0, columns = 0;
	mbstate_t state = {0};

	while (at < len) {
		wchar_t c;
		size_t n = mbrtowc(&c, s + at, len - at, &state);
		uint32_t width = 1;

		if (n == (size_t)-1 || n == (size_t)-2) {
			state = (mbstate_t){0};
			n = 1;
		} else {
			width = (uint32_t)columns_of(c);
			n = n ? n : 1;
		}
		if (columns + width > limit)
			break;
		columns += width;
		at += (uint32_t)n;
	}
	if (before)
		uselocale(before);
	*taken = columns;
	return at;
}

uint32_t text_columns(const char *s, uint32_t len)
{
	uint32_t columns;

	measure(s, len, UINT32_MAX, &columns);
	return columns;
}

uint32_t text_fit(const char *s, uint32_t len, uint32_t columns, uint32_t *taken)
{
	return measure(s, len, columns, taken);
}

uint32_t terminal_rows(int fd)
{
	struct winsize ws;

	return ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 ? ws.ws_row : 24;
}
