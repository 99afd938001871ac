/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts have done, for whoever reports it: written by the thread that runs a script, read by any. Declared in ffi.h. A
 * place is taken for good, and found again under its name when a script is loaded anew: counters only go up.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "../engine/ffi.h"

struct place {
	char name[SCRIPT_NAME_MAX];
	_Atomic uint64_t counts[SCRIPT_COUNTS];
};

static struct place places[SCRIPT_MAX];
static _Atomic uint32_t taken;
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;

int script_place(const char *name)
{
	int at = -1;

	pthread_mutex_lock(&taking);
	uint32_t n = atomic_load(&taken);
	for (uint32_t i = 0; i < n && at < 0; i++)
		if (strncmp(places[i].name, name, SCRIPT_NAME_MAX - 1) == 0)
			at = (int)i;
	if (at < 0 && n < SCRIPT_MAX) {
		strncpy(places[n].name, name, SCRIPT_NAME_MAX - 1);
		at = (int)n;
		atomic_store(&taken, n + 1);
	}
	pthread_mutex_unlock(&taking);
	return at;
}

void script_count(int place, uint32_t what, uint64_t n)
{
	if (place >= 0 && place < SCRIPT_MAX && what < SCRIPT_COUNTS)
		atomic_fetch_add_explicit(&places[place].counts[what], n, memory_order_relaxed);
}

bool script_counted(uint32_t i, struct script_counts *counts)
{
	if (i >= atomic_load(&taken))
		return false;
	counts->name = places[i].name;
	for (uint32_t what = 0; what < SCRIPT_COUNTS; what++)
		counts->n[what] = atomic_load_explicit(&places[i].counts[what], memory_order_relaxed);
	return true;
}

const char *script_count_name(uint32_t what)
{
	static const char *const names[SCRIPT_COUNTS] = {
		[SCRIPT_CALLS] = "calls", [SCRIPT_ERRORS] = "errors", [SCRIPT_NS] = "ns", [SCRIPT_OFF] = "switched_off",
		[SCRIPT_OVER_LIMIT] = "over_limit", [SCRIPT_EMITTED] = "emitted", [SCRIPT_DROPPED] = "dropped",
		[SCRIPT_KILLS] = "kills", [SCRIPT_RUNS] = "programs", [SCRIPT_REQUESTS] = "http_requests",
		[SCRIPT_REFUSED] = "refused",
	};
	return what < SCRIPT_COUNTS ? names[what] : NULL;
}
