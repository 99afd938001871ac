/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	MS = 1000000,
	BACKOFF_FIRST_MS = 50,
	BACKOFF_MOST_MS = 2000,
	WAIT_MOST_MS = 60000,		/* longer than any peer may ask for */
	GRACE_MS = 2000,			/* for a thread to come back from what it does once time is up */
	NOTICE_HEAD = 5,
	REFUSALS_TOLD = 10,		/* one by one; then at most one in REFUSALS_PAUSE_NS */
};
#define REFUSALS_PAUSE_NS 10000000000ull

/* ------------------------------------------------------------------ from start to end */

int sender_init(struct sender *s, const struct sender_ops *ops, const struct sender_limits *limits, const char *name)
{
	int code = outbox_init(&s->box, limits->max_messages, limits->max_bytes);

	if (code < 0)
		return code;
	s->notices = malloc(SENDER_NOTICE_BYTES);
	s->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s->notices || s->news < 0) {
		if (s->news >= 0)
			close(s->news);
		free(s->notices);
		outbox_fini(&s->box);
		return -ENOMEM;
	}
	s->ops = ops;
	snprintf(s->name, sizeof s->name, "%s", name);
	pthread_mutex_init(&s->lock, NULL);
	return 0;
}

void sender_free(struct sender *s)
{
	s->ops->fini(s);
	outbox_fini(&s->box);
	pthread_mutex_destroy(&s->lock);
	close(s->news);
	free(s->notices);
	free(s);
}

static void sender_let_go(struct sender *s)
{
	if (atomic_fetch_sub(&s->holders, 1) == 1)
		sender_free(s);
}

static void *sender_main(void *arg)
{
	struct sender *s = arg;

	/* what comes from a peer meets a thread that may do nothing */
	sys_keep_rights(s->rights, 0, NULL);
	prctl(PR_SET_NAME, "falco-sender");
	s->ops->run(s);
	sender_let_go(s);
	return NULL;
}

/* Signals are for the main thread. */
struct sender *sender_start(struct sender *s, struct err *err)
{
	sigset_t all, before;
	int code;

	atomic_store(&s->holders, 2);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&s->thread, NULL, sender_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code) {
		err_set(err, code, "cannot start a thread: %s", sys_error_text(code));
		sender_free(s);
		return NULL;
	}
	return s;
}

void sender_close(struct sender *s, uint32_t wait_ms, struct sender_stats *last)
{
	struct timespec until;

	if (!s)
		return;
	atomic_store(&s->deadline, sys_now_ns() + (uint64_t)wait_ms * MS);
	atomic_store(&s->stopping, true);
	outbox_wake(&s->box);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (wait_ms + GRACE_MS) / 1000;
	until.tv_nsec += (wait_ms + GRACE_MS) % 1000 * MS;
	until.tv_sec += until.tv_nsec / (1000L * MS);
	until.tv_nsec %= 1000L * MS;
	/* one that hangs in a look-up of a name frees everything itself when it comes back */
	if (pthread_clockjoin_np(s->thread, NULL, CLOCK_MONOTONIC, &until))
		pthread_detach(s->thread);
	if (last)
		sender_stats(s, last);
	sender_let_go(s);
}

/* ------------------------------------------------------------------ the owner's side */

int sender_put(struct sender *s, const char *p, uint32_t len)
{
	return outbox_put(&s->box, p, len);
}

int sender_fd(const struct sender *s)
{
	return s->news;
}

uint64_t sender_settled(struct sender *s)
{
	eventfd_t n;

	eventfd_read(s->news, &n);
	return outbox_settled(&s->box);
}

void sender_stats(struct sender *s, struct sender_stats *stats)
{
	pthread_mutex_lock(&s->lock);
	*stats = s->stats;
	stats->down = s->down_since != 0;
	pthread_mutex_unlock(&s->lock);
	stats->settled = outbox_settled(&s->box);
	outbox_waiting(&s->box, &stats->waiting, &stats->waiting_bytes);
}

const char *sender_name(const struct sender *s)
{
	return s->name;
}

int sender_notice(struct sender *s, char *buf, uint32_t cap, uint32_t *len)
{
	int kind = 0;

	*len = 0;
	pthread_mutex_lock(&s->lock);
	if (s->notice_len) {
		uint32_t n, whole;

		kind = s->notices[0];
		memcpy(&n, s->notices + 1, sizeof n);
		whole = NOTICE_HEAD + n;
		*len = n < cap ? n : cap;
		memcpy(buf, s->notices + NOTICE_HEAD, *len);
		s->notice_len -= whole;
		memmove(s->notices, s->notices + whole, s->notice_len);
	}
	pthread_mutex_unlock(&s->lock);
	return kind;
}

/* ------------------------------------------------------------------ the thread's side */

bool sender_should_stop(struct sender *s)
{
	uint64_t messages, bytes;

	if (!atomic_load(&s->stopping))
		return false;
	outbox_waiting(&s->box, &messages, &bytes);
	return !messages || sys_now_ns() >= atomic_load(&s->deadline);
}

static uint64_t ms_until(uint64_t then, uint64_t now)
{
	return then <= now ? 0 : (then - now + MS - 1) / MS;
}

uint64_t sender_deadline_left(struct sender *s, uint64_t most_ms)
{
	uint64_t left = ms_until(atomic_load(&s->deadline), sys_now_ns());

	return atomic_load(&s->stopping) && left < most_ms ? left : most_ms;
}

uint64_t sender_time_left(struct sender *s, uint64_t most_ms)
{
	uint64_t left = ms_until(s->not_before, sys_now_ns());

	if (left > 0 && left < most_ms)
		most_ms = left;
	return sender_deadline_left(s, most_ms);
}

/* A notice that finds no room is counted. */
static void add_notice(struct sender *s, int kind, const char *text, uint32_t len)
{
	pthread_mutex_lock(&s->lock);
	if (s->notice_len + NOTICE_HEAD + len > SENDER_NOTICE_BYTES) {
		s->stats.notices_lost++;
	} else {
		s->notices[s->notice_len] = (char)kind;
		memcpy(s->notices + s->notice_len + 1, &len, sizeof len);
		memcpy(s->notices + s->notice_len + NOTICE_HEAD, text, len);
		s->notice_len += NOTICE_HEAD + len;
	}
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->news, 1);
}

void sender_tell(struct sender *s, int kind, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	add_notice(s, kind, text, strlen(text));
}

void sender_echo(struct sender *s, const char *text, uint32_t len)
{
	add_notice(s, SENDER_ECHO, text, len);
}

/* Half of the wait is chance, so that a fleet does not come back in one wave. */
static uint64_t backoff_ms(uint32_t failures, uint64_t least_ms)
{
	uint32_t doublings = failures < 16 ? failures : 16;
	uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << doublings;

	if (ms > BACKOFF_MOST_MS)
		ms = BACKOFF_MOST_MS;
	ms = ms / 2 + sys_now_ns() / 1000 % (ms / 2 + 1);
	if (ms < least_ms)
		ms = least_ms;
	return ms < WAIT_MOST_MS ? ms : WAIT_MOST_MS;
}

void sender_failed(struct sender *s, bool timed_out, uint64_t least_ms, const char *why)
{
	uint64_t now = sys_now_ns();

	s->not_before = now + backoff_ms(s->failures, least_ms) * MS;
	s->failures++;
	pthread_mutex_lock(&s->lock);
	bool first = s->down_since == 0;
	s->stats.failures++;
	s->stats.timeouts += timed_out;
	if (first)
		s->down_since = now;
	pthread_mutex_unlock(&s->lock);
	if (first)
		sender_tell(s, SENDER_DOWN, "%s: %s", s->name, why);
}

void sender_timed_out(struct sender *s)
{
	pthread_mutex_lock(&s->lock);
	s->stats.failures++;
	s->stats.timeouts++;
	pthread_mutex_unlock(&s->lock);
	s->not_before = 0;
}

void sender_worked(struct sender *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t since = s->down_since;
	s->down_since = 0;
	pthread_mutex_unlock(&s->lock);
	s->failures = 0;
	s->not_before = 0;
	if (since)
		sender_tell(s, SENDER_UP, "%s: takes alerts again after %.1f s", s->name, (sys_now_ns() - since) / 1e9);
}

/* Who waits for news is not woken for every message: a quarter of the outbox, or that it is empty, is news. */
void sender_settle(struct sender *s, uint64_t upto)
{
	if (outbox_settle(&s->box, upto) || upto - s->told >= s->box.nslots / 4) {
		s->told = upto;
		eventfd_write(s->news, 1);
	}
}

void sender_refused(struct sender *s, uint64_t n, const char *why)
{
	uint64_t now = sys_now_ns();

	pthread_mutex_lock(&s->lock);
	s->stats.refused += n;
	uint64_t so_far = s->stats.refused;
	pthread_mutex_unlock(&s->lock);
	if (so_far > REFUSALS_TOLD && now < s->refusals_told + REFUSALS_PAUSE_NS)
		return;
	s->refusals_told = now;
	sender_tell(s, SENDER_ERROR, "%s: refused %llu alert%s, not sent again: %s (%llu so far)", s->name,
		    (unsigned long long)n, n == 1 ? "" : "s", why, (unsigned long long)so_far);
}

void sender_count_again(struct sender *s, uint64_t n)
{
	pthread_mutex_lock(&s->lock);
	s->stats.again += n;
	pthread_mutex_unlock(&s->lock);
}
