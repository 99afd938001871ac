/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C stops what the REPL is at, not the REPL. Declared in ffi.h. */
#include <signal.h>
#include <stddef.h>
#include "../engine/ffi.h"

static struct engine *volatile stops;

static void on_interrupt(int sig)
{
	struct engine *eng = stops;

	sys_interrupt(true);
	if (eng)
		engine_stop(eng);
}

void interrupts_take(void)
{
	/* A handler, so that programs that are started (pagers) get the default back. */
	struct sigaction sa = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &sa, NULL);
}

void interrupts_stop(struct engine *eng)
{
	stops = eng;
}

bool interrupts_seen(bool forget)
{
	bool was = sys_is_interrupted();

	if (forget)
		sys_interrupt(false);
	return was;
}
