/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals, and requests of other threads: what stops an engine between two events. Declared in ffi.h. There is one
 * worker that signals are for, so this has globals, as signals have.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <termios.h>
#include <unistd.h>
#include "ffi.h"

/* Interrupts a wait in the worker's thread. Programs ignore it unless they ask for it, so nobody sends it for another reason. */
enum { WAKE_SIGNAL = SIGURG };

static struct engine *_Atomic stop_engine;
static pthread_t worker;
static volatile sig_atomic_t stop_signal, interrupted;
static atomic_bool serving;
static atomic_uint requests;

static void on_stop_signal(int sig)
{
	struct engine *eng = atomic_load(&stop_engine);

	stop_signal = sig;
	if (eng)
		engine_stop(eng);
}

static void on_wake(int sig)
{
}

void sys_request(uint32_t what)
{
	struct engine *eng;
	int saved = errno;

	atomic_fetch_or(&requests, what);
	eng = atomic_load(&stop_engine);
	if (eng) {
		engine_stop(eng);
		if (!pthread_equal(worker, pthread_self()))
			pthread_kill(worker, WAKE_SIGNAL);
	}
	errno = saved;
}

uint32_t sys_requests(void)
{
	return atomic_exchange(&requests, 0);
}

bool sys_has_requests(void)
{
	return atomic_load(&requests) != 0;
}

/* A terminal that hung up answers nothing but EIO. */
static bool terminal_is_gone(void)
{
	struct termios t;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (tcgetattr(fd, &t) < 0 && errno == EIO)
			return true;
	return false;
}

static void on_hangup(int sig)
{
	int saved = errno;

	if (atomic_load(&serving) && !terminal_is_gone())
		sys_request(REQUEST_RELOAD);
	else
		on_stop_signal(sig);
	errno = saved;
}

static void handle_hangups(bool on)
{
	struct sigaction sa = { .sa_handler = on ? on_hangup : SIG_DFL }, now;

	if (sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler != SIG_IGN)	/* nohup */
		sigaction(SIGHUP, &sa, NULL);
}

static const int HELD[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1 };

static sigset_t unheld;				/* the mask before */
static bool holding;

void sys_hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof HELD / sizeof *HELD; i++)
		sigaddset(&set, HELD[i]);
	if (!holding)
		holding = pthread_sigmask(SIG_BLOCK, &set, &unheld) == 0;
}

void sys_release_signals(void)
{
	if (holding)
		pthread_sigmask(SIG_SETMASK, &unheld, NULL);
	holding = false;
}

/* The first signal asks for an orderly end; a second one, sent by somebody who cannot wait, ends at once. */
static void handle_stops(bool on)
{
	struct sigaction sa = { .sa_flags = SA_RESETHAND, .sa_handler = on ? on_stop_signal : SIG_DFL };

	if (on && stop_signal)			/* the second one is the next */
		return;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

void sys_serve_requests(bool on)
{
	struct sigaction sa = { .sa_handler = SIG_IGN }, now;

	/* outputs that are not there yet have no files to open anew, and a rotation of logs must not end a program that starts */
	if (on && sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		sigaction(SIGUSR1, &sa, NULL);
	atomic_store(&serving, on);
	handle_hangups(on || atomic_load(&stop_engine));
	handle_stops(on || atomic_load(&stop_engine));
}

void sys_stop_on_signals(struct engine *eng)
{
	struct sigaction wake = { .sa_handler = on_wake };

	worker = pthread_self();
	sigaction(WAKE_SIGNAL, &wake, NULL);
	atomic_store(&stop_engine, eng);
	handle_stops(eng || atomic_load(&serving));
	handle_hangups(eng || atomic_load(&serving));
	signal(SIGPIPE, SIG_IGN);
	if (eng && (sys_has_requests() || stop_signal))		/* made before there was an engine */
		engine_stop(eng);
}

int sys_stop_signal(void)
{
	return stop_signal;
}

void sys_interrupt(bool on)
{
	interrupted = on;
}

bool sys_is_interrupted(void)
{
	return stop_signal || interrupted;
}
