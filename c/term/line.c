/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line that is edited, by libedit in its unbuffered mode: it returns after every key, so that nothing has to call back.
 * Keys come through get_char(), which also sees signals. Declared in ffi.h; one at a time, as there is one terminal.
 *
 * libedit draws without colours and remembers what it drew. line_paint() draws the same characters at the same places in
 * colours, which it does not notice. Both must agree where a character is:
 *
 *	column = (columns of the prompt + columns of what is in front) % width, and a character of two columns that does not
 *	fit into what is left of a row begins the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include "../engine/ffi.h"
#include "columns.h"

enum {
	NOTHING = -1,			/* no LINE_* yet */
	MAX_CHARS = LINE_MAX_BYTES / 4,	/* whatever they are, they fit */
	MAX_PROMPT = 64,
	END_OF_INPUT = 4,		/* libedit's word for Ctrl-D on an empty line */
};

struct line {
	EditLine *el;
	HistoryW *history;
	wchar_t prompt[MAX_PROMPT];
	char text[LINE_MAX_BYTES + 1];
	char *drawn;			/* LINE_MAX_BYTES * 8: what line_paint() writes at once */
	int result;			/* LINE_*, of a key's function; or NOTHING */
	bool is_dumb;			/* the terminal cannot move its cursor */
	bool is_begun;
	struct sigaction before[4];	/* of SIGNALS, while a line is edited */
};

/* ------------------------------------------------------------------ signals */

static const int SIGNALS[] = { SIGINT, SIGWINCH, SIGCONT, SIGTERM };
static volatile sig_atomic_t came[4];

static void on_signal(int sig)
{
	for (int i = 0; i < 4; i++)
		if (SIGNALS[i] == sig)
			came[i] = 1;
}

static void take_signals(struct line *l)
{
	struct sigaction sa = { .sa_handler = on_signal };

	for (int i = 0; i < 4; i++) {
		came[i] = 0;
		sigaction(SIGNALS[i], &sa, &l->before[i]);
	}
}

static void give_signals_back(struct line *l)
{
	for (int i = 0; i < 4; i++)
		sigaction(SIGNALS[i], &l->before[i], NULL);
}

static bool has_come(int sig)
{
	for (int i = 0; i < 4; i++) {
		if (SIGNALS[i] == sig && came[i]) {
			came[i] = 0;
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------------ where things are */

static int width_of(void)
{
	return sys_columns(STDOUT_FILENO);
}

struct place {
	int row, column;
};

static void put(struct place *at, wchar_t c, int width)
{
	int columns = columns_of(c);

	if (at->column + columns > width) {
		at->row++;
		at->column = 0;
	}
	at->column += columns;
	if (at->column >= width) {
		at->row++;
		at->column = 0;
	}
}

static struct place place_of(const struct line *l, const wchar_t *from, const wchar_t *to, int width)
{
	struct place at = { 0, 0 };

	for (const wchar_t *p = l->prompt; *p; p++)
		put(&at, *p, width);
	for (const wchar_t *p = from; p < to; p++)
		put(&at, *p, width);
	return at;
}

/* Draws all of it where the cursor stands, which is where the prompt begins. libedit goes through stdout's buffer, we do not. */
static void draw(struct line *l)
{
	el_wset(l->el, EL_REFRESH);
	fflush(stdout);
}

/*
 * Back to where the prompt begins, in a terminal that is so wide, and nothing from there on. Row by row: some terminals take a
 * screen that is cleared from its first cell on for one to be kept in their history.
 */
static void erase(struct line *l, int width)
{
	const LineInfoW *line = el_wline(l->el);
	struct place cursor = place_of(l, line->buffer, line->cursor, width);

	fflush(stdout);
	if (l->is_dumb) {
		sys_write(STDOUT_FILENO, "\r\n", 2);
		return;
	}
	sys_write(STDOUT_FILENO, "\033[J\r\033[K", 7);
	for (int row = cursor.row; row > 0; row--)
		sys_write(STDOUT_FILENO, "\033[A\033[K", 6);
}

/* ------------------------------------------------------------------ keys */

/* The terminal has another size. Most terminals break lines anew, which moved the prompt: found again, all is drawn. */
static void resize(struct line *l)
{
	erase(l, width_of());
	el_resize(l->el);
	draw(l);
}

/* A signal that ends the wait for a key: -1, and l->result says why; else 0. */
static int see_signals(struct line *l)
{
	if (has_come(SIGINT))
		return l->result = LINE_INTERRUPTED, -1;
	if (has_come(SIGTERM))
		return l->result = LINE_END, -1;
	if (has_come(SIGCONT)) {
		el_wset(l->el, EL_PREP_TERM, 1);
		draw(l);
	}
	if (has_come(SIGWINCH))
		resize(l);
	return 0;
}

/* 0, or -1 if there will be no key. Signals go before keys that came after them. */
static int wait_for_key(struct line *l)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	for (;;) {
		/* a signal that comes behind the questions is seen half a second later */
		int n = see_signals(l) ? -1 : poll(&p, 1, 500);

		if (l->result != NOTHING || see_signals(l))
			return -1;
		if (n > 0)
			return 0;
	}
}

static int read_byte(struct line *l, unsigned char *byte)
{
	for (;;) {
		ssize_t n;

		if (wait_for_key(l))
			return -1;
		n = read(STDIN_FILENO, byte, 1);
		if (n == 1)
			return 0;
		if (n == 0 || (errno != EINTR && errno != EAGAIN))
			return l->result = LINE_END, -1;
	}
}

/* libedit's question for a character: 1, or -1 */
static int get_char(EditLine *el, wchar_t *out)
{
	struct line *l;
	mbstate_t state = {0};

	el_wget(el, EL_CLIENTDATA, &l);
	for (int i = 0; i < 4; i++) {
		unsigned char byte;
		size_t n;

		if (read_byte(l, &byte))
			return -1;
		n = mbrtowc(out, (char *)&byte, 1, &state);
		if (n == (size_t)-1) {
			*out = L'?';
			return 1;
		}
		if (n != (size_t)-2)
			return 1;
	}
	*out = L'?';
	return 1;
}

static bool more_waits(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static bool has_room(const struct line *l, size_t more)
{
	const LineInfoW *line = el_wline(l->el);

	return (size_t)(line->lastchar - line->buffer) + more <= MAX_CHARS;
}

/* ------------------------------------------------------------------ functions that keys are bound to */

static unsigned char on_complete(EditLine *el, wint_t key)
{
	struct line *l;

	el_wget(el, EL_CLIENTDATA, &l);
	l->result = LINE_COMPLETE;
	return CC_NORM;
}

/* Reads up to the mark behind a paste. Characters that would be keys become blanks. Returns how many there are; more than `room`:
 * not all were kept. */
static size_t read_paste(struct line *l, wchar_t *out, size_t room)
{
	static const wchar_t mark[] = L"\033[201~";
	size_t n = 0, seen = 0;
	wchar_t c;

	while (mark[seen] && get_char(l->el, &c) == 1) {
		if (c == mark[seen]) {
			seen++;
			continue;
		}
		seen = c == mark[0];
		if (!seen && n < room)
			out[n] = c < 32 || c == 127 ? L' ' : c;
		n += !seen && n <= room;
	}
	return n;
}

/* A paste is text: what looks like a key in it is none. */
static unsigned char on_paste(EditLine *el, wint_t key)
{
	struct line *l;
	wchar_t *text = malloc((MAX_CHARS + 1) * sizeof *text);
	size_t n;

	el_wget(el, EL_CLIENTDATA, &l);
	if (!text)
		return CC_ERROR;
	n = read_paste(l, text, MAX_CHARS);
	if (n > MAX_CHARS)
		n = 0;			/* half of a condition would be another one */
	while (n > 0 && text[n - 1] == L' ')
		n--;			/* the end of the last line is no reason for a blank */
	text[n] = L'\0';
	if (n > 0 && has_room(l, n))
		el_winsertstr(el, text);
	else
		n = 0;
	free(text);
	return n > 0 ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* ------------------------------------------------------------------ life */

static wchar_t *prompt_of(EditLine *el)
{
	struct line *l;

	el_wget(el, EL_CLIENTDATA, &l);
	return l->prompt;
}

static void bind_keys(EditLine *el)
{
	static const wchar_t *const keys[][2] = {
		{ L"\t", L"falco-complete" }, { L"\\e[200~", L"falco-paste" }, { L"^R", L"em-inc-search-prev" },
		{ L"\\e[1~", L"ed-move-to-beg" }, { L"\\e[4~", L"ed-move-to-end" }, { L"\\e[3~", L"ed-delete-next-char" },
		{ L"\\e[H", L"ed-move-to-beg" }, { L"\\e[F", L"ed-move-to-end" }, { L"\\e[1;5C", L"em-next-word" },
		{ L"\\e[1;5D", L"ed-prev-word" }, { L"^W", L"ed-delete-prev-word" }, { L"^L", L"ed-clear-screen" },
		{ L"^U", L"em-kill-line" },
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		el_wset(el, EL_BIND, keys[i][0], keys[i][1], NULL);
}

static bool set_up(struct line *l)
{
	HistEventW event;

	l->el = el_init("falco", stdin, stdout, stderr);
	l->history = history_winit();
	l->drawn = malloc(LINE_MAX_BYTES * 8);
	if (!l->el || !l->history || !l->drawn)
		return false;
	history_w(l->history, &event, H_SETSIZE, LINE_MAX_HISTORY);
	history_w(l->history, &event, H_SETUNIQUE, 1);
	el_wset(l->el, EL_CLIENTDATA, l);
	el_wset(l->el, EL_EDITOR, L"emacs");
	el_wset(l->el, EL_SIGNAL, 0);
	el_wset(l->el, EL_PROMPT, prompt_of);
	el_wset(l->el, EL_HIST, history_w, l->history);
	el_wset(l->el, EL_GETCFN, get_char);
	el_wset(l->el, EL_ADDFN, L"falco-complete", L"Complete a word", on_complete);
	el_wset(l->el, EL_ADDFN, L"falco-paste", L"Take what the terminal pastes", on_paste);
	bind_keys(l->el);
	el_source(l->el, NULL);		/* the user's own keys */
	return true;
}

struct line *line_new(struct err *err)
{
	const char *term = getenv("TERM");
	struct line *l;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		err_set(err, ENOTTY, "standard input or output is no terminal");
		return NULL;
	}
	setlocale(LC_CTYPE, "C.UTF-8");
	l = calloc(1, sizeof *l);
	if (!l || !set_up(l)) {
		line_free(l);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	l->is_dumb = !term || !*term || strcmp(term, "dumb") == 0;
	return l;
}

void line_free(struct line *l)
{
	if (!l)
		return;
	if (l->is_begun)
		line_end(l);
	if (l->el)
		el_end(l->el);
	if (l->history)
		history_wend(l->history);
	free(l->drawn);
	free(l);
}

/* ------------------------------------------------------------------ a line, from its prompt to Enter */

static void bracketed_paste(const struct line *l, bool on)
{
	if (!l->is_dumb)
		sys_write(STDOUT_FILENO, on ? "\033[?2004h" : "\033[?2004l", 8);
}

void line_begin(struct line *l, const char *prompt)
{
	size_t n = mbstowcs(l->prompt, prompt, MAX_PROMPT - 1);

	l->prompt[n == (size_t)-1 ? 0 : n] = L'\0';
	l->is_begun = true;
	take_signals(l);
	el_resize(l->el);		/* it may have changed since the last line */
	bracketed_paste(l, true);
	el_wset(l->el, EL_UNBUFFERED, 1);
}

int line_read(struct line *l)
{
	for (;;) {
		const wchar_t *text;
		int n = 0;

		l->result = NOTHING;
		text = el_wgets(l->el, &n);
		if (l->result != NOTHING)
			return l->result;
		if (text && n > 0 && (text[n - 1] == L'\n' || text[n - 1] == L'\r'))
			return LINE_DONE;
		/* n is -1 for an empty line, too: an end of input is told by get_char() */
		if (text && n == 1 && text[0] == END_OF_INPUT)
			return LINE_END;
		if (!has_room(l, 1))
			el_deletestr(l->el, 1);
		if (!more_waits())
			return LINE_CHANGED;
	}
}

void line_end(struct line *l)
{
	if (!l->is_begun)
		return;
	l->is_begun = false;
	el_wset(l->el, EL_UNBUFFERED, 0);
	bracketed_paste(l, false);
	give_signals_back(l);
}

const char *line_text(struct line *l, uint32_t *len, uint32_t *cursor)
{
	const LineInfoW *line = el_wline(l->el);
	mbstate_t state = {0};
	uint32_t at = 0;

	*cursor = 0;
	for (const wchar_t *p = line->buffer; p < line->lastchar && at + MB_LEN_MAX < sizeof l->text; p++) {
		size_t n;

		if (p == line->cursor)
			*cursor = at;
		if (*p == L'\n' || *p == L'\r' || *p == L'\0')
			continue;
		n = wcrtomb(l->text + at, *p, &state);
		at += n == (size_t)-1 ? 0 : (uint32_t)n;
	}
	if (line->cursor >= line->lastchar)
		*cursor = at;
	l->text[at] = '\0';
	*len = at;
	return l->text;
}

/* How many characters the last `bytes` bytes in front of the cursor are. */
static int chars_before(const struct line *l, uint32_t bytes)
{
	const LineInfoW *line = el_wline(l->el);
	const wchar_t *p = line->cursor;
	char one[MB_LEN_MAX];

	while (p > line->buffer && bytes > 0) {
		mbstate_t state = {0};
		size_t n = wcrtomb(one, p[-1], &state);

		n = n == (size_t)-1 ? 1 : n;
		if (n > bytes)
			break;
		bytes -= (uint32_t)n;
		p--;
	}
	return (int)(line->cursor - p);
}

void line_replace(struct line *l, uint32_t before, const char *text, uint32_t len)
{
	wchar_t *wide = calloc((size_t)len + 1, sizeof *wide);
	const char *p = text;
	mbstate_t state = {0};
	size_t n;

	if (!wide)
		return;
	erase(l, width_of());
	n = mbsnrtowcs(wide, &p, len, len, &state);
	if (n != (size_t)-1 && has_room(l, n)) {
		if (before > 0)
			el_deletestr(l->el, chars_before(l, before));
		if (n > 0)
			el_winsertstr(l->el, wide);
	}
	free(wide);
	draw(l);
}

/* ------------------------------------------------------------------ colours */

static bool can_be_painted(const struct line *l, const LineInfoW *line, struct place end)
{
	for (const wchar_t *p = line->buffer; p < line->lastchar; p++)
		if (wcwidth(*p) <= 0)
			return false;	/* shown as something else, of a width that we do not know */
	return !l->is_dumb && end.row < (int)terminal_rows(STDOUT_FILENO);
}

/* From `from` to `to`, both inside what is drawn. */
static size_t move(char *out, struct place from, struct place to)
{
	size_t n = 1;

	out[0] = '\r';
	if (to.row != from.row)
		n += (size_t)sprintf(out + n, "\033[%d%c", abs(to.row - from.row), to.row > from.row ? 'B' : 'A');
	if (to.column > 0)
		n += (size_t)sprintf(out + n, "\033[%dC", to.column);
	return n;
}

/* Character by character; rows are begun by moving there, so that nothing depends on how a terminal wraps. */
static size_t paint(struct line *l, const LineInfoW *line, const uint8_t *styles, uint32_t len, struct place at, int width)
{
	char *out = l->drawn;
	size_t n = 0, room = LINE_MAX_BYTES * 8 - 64;
	mbstate_t state = {0};
	uint32_t byte = 0;
	int style = 0, row = at.row;

	for (const wchar_t *p = line->buffer; p < line->lastchar && n < room; p++) {
		struct place here = at;
		size_t bytes;

		put(&at, *p, width);
		if (here.column + columns_of(*p) > width)
			here = (struct place){ here.row + 1, 0 };
		if (here.row != row) {
			n += move(out + n, (struct place){ row, 0 }, here);
			row = here.row;
		}
		if (byte < len && styles[byte] != style) {
			style = styles[byte];
			n += (size_t)sprintf(out + n, style ? "\033[0;%dm" : "\033[0m", style);
		}
		bytes = wcrtomb(out + n, *p, &state);
		if (bytes == (size_t)-1)
			break;
		n += bytes;
		byte += (uint32_t)bytes;
	}
	n += (size_t)sprintf(out + n, "\033[0m");
	return n + move(out + n, (struct place){ row, 0 }, place_of(l, line->buffer, line->cursor, width));
}

void line_paint(struct line *l, const uint8_t *styles, uint32_t len)
{
	const LineInfoW *line = el_wline(l->el);
	int width = width_of();
	struct place end = place_of(l, line->buffer, line->lastchar, width);
	struct place cursor = place_of(l, line->buffer, line->cursor, width);
	struct place start = place_of(l, line->buffer, line->buffer, width);
	char go[64];
	size_t n;

	fflush(stdout);
	if (!can_be_painted(l, line, end))
		return;
	n = move(go, cursor, start);
	sys_write(STDOUT_FILENO, go, n);
	n = paint(l, line, styles, len, start, width);
	sys_write(STDOUT_FILENO, l->drawn, n);
}

/* ------------------------------------------------------------------ in between */

void line_leave(struct line *l)
{
	const LineInfoW *line = el_wline(l->el);
	int width = width_of();
	struct place end = place_of(l, line->buffer, line->lastchar, width);
	struct place cursor = place_of(l, line->buffer, line->cursor, width);
	char go[64];

	fflush(stdout);
	sys_write(STDOUT_FILENO, go, move(go, cursor, end));
	sys_write(STDOUT_FILENO, "\r\n", 2);
}

void line_return(struct line *l)
{
	draw(l);
}

void line_beep(struct line *l)
{
	sys_write(STDOUT_FILENO, "\a", 1);
}

/* ------------------------------------------------------------------ history */

void line_remember(struct line *l, const char *text)
{
	size_t len = strlen(text);
	wchar_t *wide = calloc(len + 2, sizeof *wide);
	HistEventW event;

	if (wide && mbstowcs(wide, text, len + 1) != (size_t)-1)
		history_w(l->history, &event, H_ENTER, wide);
	free(wide);
}

int line_keep(const char *path, const char *text, uint32_t len, bool anew)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (anew ? O_TRUNC : O_APPEND), 0600);
	int result;

	if (fd < 0)
		return -errno;
	result = fchmod(fd, 0600) ? -errno : sys_write(fd, text, len);
	close(fd);
	return result;
}
