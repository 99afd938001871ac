/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single HTTP requests, asked for by one thread and carried out by another. Bounded: requests that wait, requests at once, bytes
 * of an answer, time.
 */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "http_easy.h"

enum {
	MAX_ANSWER = 1 << 20,
	DEFAULT_ANSWER = 65536,
	DEFAULT_TIMEOUT_MS = 10000,
	MAX_TIMEOUT_MS = 300000,
	MAX_HEADERS = 64,
	GRACE_S = 2,
	IDLE_MS = 1000,
};

struct request {
	struct request *next;
	uint32_t id;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	char *answer;
	uint32_t len, most;
	bool cut;
	int status;
	char errors[CURL_ERROR_SIZE];
};

struct queue {
	struct request *first, **last;
};

struct http_client {
	CURLM *multi;
	pthread_t thread;
	atomic_int holders;		/* the thread and the owner; the last one frees */
	atomic_bool stopping;
	int wake;			/* an eventfd */
	uint32_t max_running, max_waiting;
	pthread_mutex_t lock;		/* of all below */
	struct queue asked, done;
	uint32_t known;			/* requests whose answer was not taken yet */
	uint32_t last_id;
	/* the thread's alone */
	struct request *running;
	uint32_t nrunning;
	/* the owner's alone */
	struct request *shown;
};

/* ------------------------------------------------------------------ requests */

static void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->easy)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	free(r->body);
	free(r->answer);
	free(r);
}

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_put(struct queue *q, struct request *r)
{
	r->next = NULL;
	*q->last = r;
	q->last = &r->next;
}

static struct request *queue_take(struct queue *q)
{
	struct request *r = q->first;

	if (r && !(q->first = r->next))
		q->last = &q->first;
	return r;
}

/* An answer that is too long is cut there, not an error. */
static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	size_t len = size * n, room = r->most - r->len, take = len < room ? len : room;

	r->cut |= take < len;
	if (take) {
		char *longer = realloc(r->answer, r->len + take);

		if (!longer)
			return 0;
		memcpy(longer + r->len, p, take);
		r->answer = longer;
		r->len += take;
	}
	return r->cut ? 0 : len;
}

/* A header with a line break in it would be several, or the end of them. */
static int add_headers(struct request *r, const struct http_request *q, struct err *err)
{
	if (q->nheaders > MAX_HEADERS)
		return err_set(err, E2BIG, "a request has at most %d headers, not %u", MAX_HEADERS, q->nheaders);
	for (uint32_t i = 0; i < q->nheaders; i++) {
		struct curl_slist *longer;

		if (strpbrk(q->headers[i], "\r\n"))
			return err_set(err, EINVAL, "header %u has a line break in it", i + 1);
		longer = curl_slist_append(r->headers, q->headers[i]);
		if (!longer)
			return err_set(err, ENOMEM, "out of memory");
		r->headers = longer;
	}
	return 0;
}

static bool is_token(const char *method)
{
	size_t n = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");

	return n > 0 && n < 32 && !method[n];
}

static uint32_t bounded(uint32_t value, uint32_t fallback, uint32_t most)
{
	return !value ? fallback : value < most ? value : most;
}

static bool set_method(struct request *r, const struct http_request *q)
{
	const char *method = q->method ? q->method : q->body ? "POST" : "GET";

	if (!strcmp(method, "HEAD") && !q->body)
		return !curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
	if (!q->body)
		return !curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, method);
	r->body = malloc(q->body_len ? q->body_len : 1);
	if (!r->body)
		return false;
	memcpy(r->body, q->body, q->body_len);
	return !curl_easy_setopt(r->easy, CURLOPT_POST, 1L) && !curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body) &&
	       !curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len) &&
	       !curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, method);
}

static struct request *request_new(const struct http_request *q, struct err *err)
{
	struct request *r = calloc(1, sizeof *r);

	if (!r || !(r->easy = curl_easy_init()))
		goto no_memory;
	r->most = bounded(q->max_answer, DEFAULT_ANSWER, MAX_ANSWER);
	if (add_headers(r, q, err) < 0) {
		request_free(r);
		return NULL;
	}
	if (!http_easy_set(r->easy, q->url, &q->tls, bounded(q->timeout_ms, DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS), r->errors) ||
	    !set_method(r, q) || curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers) ||
	    curl_easy_setopt(r->easy, CURLOPT_USERAGENT, q->user_agent ? q->user_agent : "falco") ||
	    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_answer) || curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r) ||
	    curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r))
		goto no_memory;
	return r;

no_memory:
	request_free(r);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

/* ------------------------------------------------------------------ the thread */

static void start_more(struct http_client *c)
{
	while (c->nrunning < c->max_running) {
		pthread_mutex_lock(&c->lock);
		struct request *r = queue_take(&c->asked);
		pthread_mutex_unlock(&c->lock);
		if (!r)
			return;
		r->next = c->running;
		c->running = r;
		c->nrunning++;
		curl_multi_add_handle(c->multi, r->easy);
	}
}

static void take_running(struct http_client *c, struct request *r)
{
	struct request **at = &c->running;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	c->nrunning--;
	curl_multi_remove_handle(c->multi, r->easy);
}

static void finish(struct http_client *c, struct request *r, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_WRITE_ERROR && r->cut)
		code = CURLE_OK;
	r->status = code == CURLE_OK ? (int)status : 0;
	if (code != CURLE_OK && !r->errors[0])
		snprintf(r->errors, sizeof r->errors, "%s", curl_easy_strerror(code));
	if (code == CURLE_OK)
		r->errors[0] = '\0';
	take_running(c, r);
	pthread_mutex_lock(&c->lock);
	queue_put(&c->done, r);
	pthread_mutex_unlock(&c->lock);
}

static void client_free(struct http_client *c)
{
	struct request *r;

	while ((r = c->running)) {
		take_running(c, r);
		request_free(r);
	}
	while ((r = queue_take(&c->asked)) || (r = queue_take(&c->done)))
		request_free(r);
	request_free(c->shown);
	curl_multi_cleanup(c->multi);
	close(c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void client_let_go(struct http_client *c)
{
	if (atomic_fetch_sub(&c->holders, 1) == 1)
		client_free(c);
}

/* Whether a request has come to its end. */
static bool finish_some(struct http_client *c)
{
	bool any = false;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		struct request *r;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		finish(c, r, msg->data.result);
		any = true;
	}
	return any;
}

static void *client_main(void *arg)
{
	struct http_client *c = arg;
	int running;
	eventfd_t n;

	/* what comes from a peer meets a thread that may do nothing */
	sys_keep_rights(0, 0, NULL);
	prctl(PR_SET_NAME, "falco-http");
	while (!atomic_load(&c->stopping)) {
		start_more(c);
		curl_multi_perform(c->multi, &running);
		if (finish_some(c))
			continue;		/* there is room for one that waits */
		struct curl_waitfd wake = { .fd = c->wake, .events = CURL_WAIT_POLLIN };
		curl_multi_poll(c->multi, &wake, 1, IDLE_MS, NULL);
		if (wake.revents)
			eventfd_read(c->wake, &n);
	}
	client_let_go(c);
	return NULL;
}

/* ------------------------------------------------------------------ the owner's side */

static bool client_start(struct http_client *c)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&c->thread, NULL, client_main, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code == 0;
}

struct http_client *http_client_new(uint32_t max_running, uint32_t max_waiting, struct err *err)
{
	struct http_client *c;

	if (http_global_init(err) < 0)
		return NULL;
	c = calloc(1, sizeof *c);
	if (!c || !(c->multi = curl_multi_init())) {
		free(c);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	queue_init(&c->asked);
	queue_init(&c->done);
	c->max_running = max_running;
	c->max_waiting = max_waiting;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_store(&c->holders, 2);
	if (c->wake < 0 || !client_start(c)) {
		err_set(err, EAGAIN, "no thread can be started for HTTP requests");
		client_free(c);
		return NULL;
	}
	return c;
}

int http_client_ask(struct http_client *c, const struct http_request *q, struct err *err)
{
	char name[256];
	struct request *r;
	int id = -EAGAIN, code;

	if (q->method && !is_token(q->method))
		return err_set(err, EINVAL, "the method is no word");
	if ((code = http_url_name(q->url, name, sizeof name, err)) < 0 || (code = tls_files_check(&q->tls, err)) < 0)
		return code;
	r = request_new(q, err);
	if (!r)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	if (c->known < c->max_waiting) {
		c->known++;
		c->last_id = c->last_id % INT32_MAX + 1;
		id = (int)c->last_id;
		r->id = c->last_id;
		queue_put(&c->asked, r);
		r = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	request_free(r);
	if (id < 0)
		return err_set(err, EAGAIN, "%u requests have no answer yet, no more are taken", c->max_waiting);
	eventfd_write(c->wake, 1);
	return id;
}

bool http_client_answer(struct http_client *c, struct http_answer *a)
{
	struct request *r;

	pthread_mutex_lock(&c->lock);
	r = queue_take(&c->done);
	c->known -= r != NULL;
	pthread_mutex_unlock(&c->lock);
	request_free(c->shown);
	c->shown = r;
	if (!r)
		return false;
	*a = (struct http_answer){ .id = r->id, .status = r->status, .body = r->answer, .body_len = r->len, .cut = r->cut,
				   .error = r->errors };
	return true;
}

void http_client_free(struct http_client *c)
{
	struct timespec until;

	if (!c)
		return;
	atomic_store(&c->stopping, true);
	eventfd_write(c->wake, 1);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += GRACE_S;
	if (pthread_clockjoin_np(c->thread, NULL, CLOCK_MONOTONIC, &until))
		pthread_detach(c->thread);
	client_let_go(c);
}
