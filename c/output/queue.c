/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "queue.h"

enum {
	PARCEL_ALIGN = 8, PARCEL_MAX = 2 << 20,
	RESERVE = PARCEL_MAX,			/* bytes of the ring that are for data alone */
	FAR = 256 << 10,			/* bytes from the start at which an empty ring begins anew */
	LOOK_MS = 100,				/* at signals, while waiting for room */
	NAP_MS = 1, MAX_FDS = 64, MAX_REPORTS = 64,
};

_Static_assert(QUEUE_IN == POLLIN && QUEUE_OUT == POLLOUT, "numbers of poll()");
_Static_assert(sizeof(struct queue_fd) == sizeof(struct pollfd), "they are handed over as they are");
_Static_assert(sizeof(struct parcel) % PARCEL_ALIGN == 0, "what follows is aligned");

struct queue {
	char *ring;
	uint64_t size;
	struct queue_limits limits;

	/* whoever puts */
	pthread_mutex_t putting;
	_Alignas(64) _Atomic uint64_t tail;
	_Atomic uint64_t put, dropped, cut, waits, peak;

	/* who takes */
	_Alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t taken;
	atomic_bool asleep;			/* wants to be woken */
	atomic_bool starved;			/* who puts wants to be woken: there was no room */
	int wake, room;				/* eventfds */

	_Atomic uint32_t reopens;
	atomic_bool ended;
	_Atomic uint64_t deadline;

	pthread_mutex_t saying;			/* state and reports */
	pthread_cond_t said;
	_Atomic uint32_t state;
	char *reports[MAX_REPORTS];
	uint32_t nreports;
	struct output_row outputs[QUEUE_OUTPUTS];
	uint32_t noutputs;

	_Atomic uint64_t beat;			/* when the output thread came round; 0: it sleeps */
};

static struct queue *volatile reopen_queue;	/* whose outputs SIGUSR1 is for */

struct queue *queue_new(const struct queue_limits *limits, struct err *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bytes = limits->bytes;
	struct queue *q = aligned_alloc(64, (sizeof *q + 63) / 64 * 64);

	if (!q)
		goto no_memory;
	memset(q, 0, sizeof *q);
	if (bytes < QUEUE_BYTES_MIN)
		bytes = QUEUE_BYTES_MIN;
	q->size = (bytes + page - 1) / page * page;
	q->limits = *limits;
	q->ring = mmap(NULL, q->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	q->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->room = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&q->putting, NULL);
	pthread_mutex_init(&q->saying, NULL);
	pthread_cond_init(&q->said, NULL);
	if (q->ring != MAP_FAILED && q->wake >= 0 && q->room >= 0)
		return q;
	queue_free(q);
no_memory:
	err_set(err, ENOMEM, "no room for a queue of %llu bytes (outputs_queue.bytes): %s", (unsigned long long)bytes,
		strerror(errno));
	return NULL;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	if (reopen_queue == q)
		queue_reopen_on_signal(NULL);
	if (q->ring != MAP_FAILED)
		munmap(q->ring, q->size);
	if (q->wake >= 0)
		close(q->wake);
	if (q->room >= 0)
		close(q->room);
	for (uint32_t i = 0; i < q->nreports; i++)
		free(q->reports[i]);
	pthread_mutex_destroy(&q->putting);
	pthread_mutex_destroy(&q->saying);
	pthread_cond_destroy(&q->said);
	free(q);
}

static void ring_bell(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof one);	/* full: it rings already */

	(void)n;
}

static void hush_bell(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof count);

	(void)n;
}

/* ------------------------------------------------------------------ putting */

static struct parcel *parcel_at(const struct queue *q, uint64_t pos)
{
	return (struct parcel *)(q->ring + pos % q->size);
}

/* An empty ring begins anew at its start. Who takes looks at tail first and does not touch head while there is nothing. */
static void begin_anew(struct queue *q, uint64_t tail)
{
	uint64_t start = (tail + q->size - 1) / q->size * q->size;

	atomic_store_explicit(&q->head, start, memory_order_release);
	atomic_store_explicit(&q->tail, start, memory_order_release);
}

static uint64_t waiting(const struct queue *q)
{
	uint64_t taken = atomic_load_explicit(&q->taken, memory_order_acquire);

	return atomic_load_explicit(&q->put, memory_order_relaxed) - taken;
}

/* Is there room for a parcel of this size? *skip: bytes in front of it that are passed over. */
static bool find_room(struct queue *q, uint32_t kind, uint32_t size, uint64_t *skip)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint64_t reserve = kind == PARCEL_ALERT ? RESERVE : 0, to_end;

	if (kind == PARCEL_ALERT && q->limits.alerts && waiting(q) >= q->limits.alerts)
		return false;
	if (head == tail && tail % q->size > FAR) {
		begin_anew(q, tail);
		tail = head = atomic_load_explicit(&q->tail, memory_order_relaxed);
	}
	to_end = q->size - tail % q->size;
	*skip = to_end < size ? to_end : 0;
	return tail - head + *skip + size + reserve <= q->size;
}

/* Waits for room. false: it is time to give up. */
static bool wait_for_room(struct queue *q, uint32_t kind, uint32_t size, uint64_t *skip)
{
	struct pollfd p = { .fd = q->room, .events = POLLIN };
	uint64_t deadline = 0;

	atomic_fetch_add_explicit(&q->waits, 1, memory_order_relaxed);
	for (;;) {
		hush_bell(q->room);
		atomic_store(&q->starved, true);
		atomic_thread_fence(memory_order_seq_cst);	/* as in queue_wait() */
		if (find_room(q, kind, size, skip))
			break;
		if (atomic_load(&q->state) >= OUTPUT_LOST)
			return false;
		poll(&p, 1, LOOK_MS);
		if (!deadline && sys_stop_signal())
			deadline = sys_now_ns() + 1000000000u;
		if (deadline && sys_now_ns() > deadline)
			return false;
	}
	atomic_store(&q->starved, false);
	return true;
}

static void note_peak(struct queue *q)
{
	uint64_t n = waiting(q);

	if (n > atomic_load_explicit(&q->peak, memory_order_relaxed))
		atomic_store_explicit(&q->peak, n, memory_order_relaxed);
}

/* Begins a parcel, with the lock held; finish with publish(). NULL: *rc says why. */
static struct parcel *begin(struct queue *q, uint32_t kind, uint64_t want, uint64_t *skip, int *rc)
{
	uint32_t size = (uint32_t)((want + sizeof(struct parcel) + PARCEL_ALIGN - 1) / PARCEL_ALIGN * PARCEL_ALIGN);
	struct parcel *b;

	if (want > PARCEL_MAX) {
		atomic_fetch_add_explicit(&q->cut, 1, memory_order_relaxed);
		*rc = -E2BIG;
		return NULL;
	}
	if (atomic_load_explicit(&q->state, memory_order_relaxed) >= OUTPUT_LOST) {
		*rc = -EPIPE;
		return NULL;
	}
	if (!find_room(q, kind, size, skip) && !(q->limits.waits && wait_for_room(q, kind, size, skip))) {
		*rc = -EAGAIN;
		return NULL;
	}
	if (*skip)
		*parcel_at(q, q->tail) = (struct parcel){ .size = (uint32_t)*skip, .kind = PARCEL_SKIP };
	b = parcel_at(q, q->tail + *skip);
	*b = (struct parcel){ .size = size, .kind = kind };
	return b;
}

static void publish(struct queue *q, const struct parcel *b, uint64_t skip)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	atomic_store(&q->tail, tail + skip + b->size);
	if (atomic_load(&q->asleep) && atomic_exchange(&q->asleep, false))
		ring_bell(q->wake);
}

/* The same, for an alert that now lies elsewhere: all its pointers led into itself. */
static void move_pointers(struct alert *alert, ptrdiff_t by)
{
	struct value *values = (struct value *)(alert + 1);

	alert->values = values;
	for (uint32_t i = 0; i < alert->n; i++) {
		if (!values[i].p)
			continue;
		values[i].p = (const char *)values[i].p + by;
		if (!(values[i].flags & VALUE_LIST))
			continue;
		struct value *items = (struct value *)(uintptr_t)values[i].p;
		for (uint64_t k = 0; k < values[i].num.n; k++)
			if (items[k].p)
				items[k].p = (const char *)items[k].p + by;
	}
}

int queue_alert(struct queue *q, uint32_t generation, uint32_t rule, const struct alert *alert)
{
	uint64_t skip;
	struct parcel *b;
	int rc = 0;

	pthread_mutex_lock(&q->putting);
	if ((b = begin(q, PARCEL_ALERT, alert->size, &skip, &rc))) {
		b->generation = generation;
		b->rule = rule;
		memcpy(b + 1, alert, alert->size);
		move_pointers((struct alert *)(b + 1), (char *)(b + 1) - (const char *)alert);
		atomic_fetch_add_explicit(&q->put, 1, memory_order_relaxed);
		publish(q, b, skip);
		note_peak(q);
	} else if (rc != -EPIPE) {
		atomic_fetch_add_explicit(&q->dropped, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&q->putting);
	return rc;
}

int queue_data(struct queue *q, uint32_t generation, uint32_t rule, const char *data, size_t len)
{
	uint64_t skip;
	struct parcel *b;
	int rc = 0;

	pthread_mutex_lock(&q->putting);
	if ((b = begin(q, PARCEL_DATA, len, &skip, &rc))) {
		b->generation = generation;
		b->rule = rule;
		b->len = (uint32_t)len;
		memcpy(b + 1, data, len);
		publish(q, b, skip);
	}
	pthread_mutex_unlock(&q->putting);
	return rc;
}

void queue_end(struct queue *q, uint64_t deadline)
{
	atomic_store(&q->deadline, deadline);
	atomic_store(&q->ended, true);
	ring_bell(q->wake);
}

/* ------------------------------------------------------------------ taking */

const struct parcel *queue_peek(struct queue *q)
{
	for (;;) {
		uint64_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
		uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);
		const struct parcel *b = parcel_at(q, head);

		if (head >= tail)		/* greater: the ring is beginning anew */
			return NULL;
		if (b->kind != PARCEL_SKIP)
			return b;
		atomic_store_explicit(&q->head, head + b->size, memory_order_release);
	}
}

const struct alert *parcel_alert(const struct parcel *b)
{
	return (const struct alert *)(b + 1);
}

const char *parcel_data(const struct parcel *b)
{
	return (const char *)(b + 1);
}

/* Who waits is woken once there is room for many: else both threads would take turns. */
static bool is_half_empty(const struct queue *q)
{
	return atomic_load(&q->tail) - atomic_load(&q->head) <= q->size / 2 && (!q->limits.alerts || waiting(q) * 2 <= q->limits.alerts);
}

void queue_done(struct queue *q)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	const struct parcel *b = parcel_at(q, head);
	uint32_t size = b->size;

	if (b->kind == PARCEL_ALERT)
		atomic_fetch_add_explicit(&q->taken, 1, memory_order_release);
	atomic_store(&q->head, head + size);
	if (atomic_load(&q->starved) && is_half_empty(q) && atomic_exchange(&q->starved, false))
		ring_bell(q->room);
}

bool queue_ended(const struct queue *q, uint64_t *deadline)
{
	*deadline = atomic_load(&q->deadline);
	return atomic_load(&q->ended);
}

uint32_t queue_reopens(const struct queue *q)
{
	return atomic_load(&q->reopens);
}

void queue_wait(struct queue *q, struct queue_fd *fds, uint32_t n, int ms, bool nap, bool full)
{
	struct pollfd all[MAX_FDS + 1] = { { .fd = q->wake, .events = POLLIN } };

	REQUIRE(n <= MAX_FDS);
	if (n)
		memcpy(all + 1, fds, n * sizeof *fds);
	if (nap && !full && (ms < 0 || ms > NAP_MS))
		ms = NAP_MS;
	if (!nap && !full) {
		atomic_store(&q->asleep, true);
		atomic_thread_fence(memory_order_seq_cst);	/* publish() sees that, or queue_peek() below what it published */
	}
	atomic_store(&q->beat, 0);
	poll(all, n + 1, !full && queue_peek(q) ? 0 : ms);
	atomic_store(&q->beat, sys_now_ns());
	atomic_store(&q->asleep, false);
	hush_bell(q->wake);
	for (uint32_t i = 0; i < n; i++)
		fds[i].revents = all[i + 1].revents;
}

/* ------------------------------------------------------------------ from one end to the other */

void queue_set_state(struct queue *q, uint32_t state)
{
	pthread_mutex_lock(&q->saying);
	atomic_store(&q->state, state);
	pthread_cond_broadcast(&q->said);
	pthread_mutex_unlock(&q->saying);
	ring_bell(q->room);
}

uint32_t queue_state(const struct queue *q)
{
	return atomic_load_explicit(&q->state, memory_order_relaxed);
}

uint32_t queue_await_start(struct queue *q)
{
	pthread_mutex_lock(&q->saying);
	while (atomic_load(&q->state) == OUTPUT_STARTING)
		pthread_cond_wait(&q->said, &q->saying);
	pthread_mutex_unlock(&q->saying);
	return queue_state(q);
}

void queue_report(struct queue *q, const char *line, size_t len)
{
	pthread_mutex_lock(&q->saying);
	if (q->nreports < MAX_REPORTS && (q->reports[q->nreports] = strndup(line, len)))
		q->nreports++;
	pthread_mutex_unlock(&q->saying);
}

const char *queue_reported(struct queue *q, uint32_t i)
{
	const char *line;

	pthread_mutex_lock(&q->saying);
	line = i < q->nreports ? q->reports[i] : NULL;
	pthread_mutex_unlock(&q->saying);
	return line;
}

void queue_set_output(struct queue *q, uint32_t i, const struct output_row *row)
{
	if (i >= QUEUE_OUTPUTS)
		return;
	pthread_mutex_lock(&q->saying);
	q->outputs[i] = *row;
	if (i >= q->noutputs)
		q->noutputs = i + 1;
	pthread_mutex_unlock(&q->saying);
}

bool queue_output(struct queue *q, uint32_t i, struct output_row *row)
{
	pthread_mutex_lock(&q->saying);
	bool is = i < q->noutputs;
	if (is)
		*row = q->outputs[i];
	pthread_mutex_unlock(&q->saying);
	return is;
}

uint64_t queue_silence(const struct queue *q)
{
	uint64_t beat = atomic_load(&q->beat), now = sys_now_ns();

	return beat == 0 || beat > now ? 0 : now - beat;
}

void queue_stats(const struct queue *q, struct queue_stats *stats)
{
	*stats = (struct queue_stats){
		.put = atomic_load(&q->put), .taken = atomic_load(&q->taken), .dropped = atomic_load(&q->dropped),
		.cut = atomic_load(&q->cut), .waits = atomic_load(&q->waits), .peak = atomic_load(&q->peak),
	};
}

/* ------------------------------------------------------------------ files that were moved away */

void queue_reopen(struct queue *q)
{
	atomic_fetch_add(&q->reopens, 1);
	ring_bell(q->wake);
}

static void on_reopen_signal(int sig)
{
	struct queue *q = reopen_queue;
	int saved = errno;

	if (q)
		queue_reopen(q);
	errno = saved;
}

void queue_reopen_on_signal(struct queue *q)
{
	struct sigaction sa = { .sa_flags = SA_RESTART };

	reopen_queue = q;
	sa.sa_handler = q ? on_reopen_signal : SIG_IGN;
	sigaction(SIGUSR1, &sa, NULL);
}
