/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts to an HTTP server. One request is under way at a time, since that alone keeps the order; what the server did not take
 * stays in the outbox and is sent again. What an answer means:
 *	2xx					taken
 *	400, 405, 406, 409-423, 426, 431 ...	refused: the same alert would be refused again. Counted, told, gone
 *	401, 403, 404, 407, 408, 421, 425, 429	the server is not ready or not set up: later again
 *	3xx, 5xx, no answer			later again
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include "http_easy.h"
#include "sender.h"

enum {
	ANSWER_KEPT = 16384,		/* bytes of an answer, for echo and messages */
	ANSWER_SHOWN = 200,		/* of them in a message */
	ANSWER_READ = 1 << 20,		/* what is longer is not read to its end */
	IDLE_MS = 1000,			/* the longest sleep */
	BATCH_BYTES = 1 << 20,
	KEPT_GZIP_BUFFER = 1 << 20,
};

struct http_sender {
	struct sender base;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	char errors[CURL_ERROR_SIZE];
	bool echo, keep_alive, compress;
	uint32_t max_timeouts, timeouts, max_batch;
	uint32_t alone;			/* so many alerts go one by one: the batch that held them was refused */
	struct str *batch;
	char *body;			/* of a batch, or packed */
	size_t body_cap;
	char *plain;			/* of a batch that is to be packed */
	size_t plain_cap;
	z_stream zip;
	bool has_zip;
	/* the request under way */
	uint64_t first;
	uint32_t n;			/* alerts from `first` on; 0: none is under way */
	char answer[ANSWER_KEPT];
	uint32_t answer_len;
	uint64_t answer_all;
};

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
	struct http_sender *h = arg;
	size_t len = size * n, room = sizeof h->answer - h->answer_len;

	memcpy(h->answer + h->answer_len, p, len < room ? len : room);
	h->answer_len += len < room ? len : room;
	h->answer_all += len;
	return h->answer_all <= ANSWER_READ ? len : 0;
}

/* ------------------------------------------------------------------ a request */

static bool room_for(char **p, size_t *cap, size_t want)
{
	if (*cap >= want)
		return true;
	char *bigger = realloc(*p, want);
	if (!bigger)
		return false;
	*p = bigger;
	*cap = want;
	return true;
}

/* As many of the n waiting alerts as one request takes, one a line. */
static uint32_t fit_batch(const struct str *msgs, uint32_t n, size_t *len)
{
	uint32_t i;

	*len = msgs[0].len;
	for (i = 1; i < n && *len + 1 + msgs[i].len <= BATCH_BYTES; i++)
		*len += 1 + msgs[i].len;
	return i;
}

static void join_lines(char *at, const struct str *msgs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			*at++ = '\n';
		memcpy(at, msgs[i].p, msgs[i].len);
		at += msgs[i].len;
	}
}

static bool pack(struct http_sender *h, struct str plain, struct str *packed)
{
	/* of a stream that has ended the bound would lack what gzip adds */
	deflateReset(&h->zip);
	size_t most = deflateBound(&h->zip, plain.len);

	if (!room_for(&h->body, &h->body_cap, most))
		return false;
	h->zip.next_in = (Bytef *)plain.p;
	h->zip.avail_in = plain.len;
	h->zip.next_out = (Bytef *)h->body;
	h->zip.avail_out = most;
	REQUIRE(deflate(&h->zip, Z_FINISH) == Z_STREAM_END);
	*packed = (struct str){ h->body, (uint32_t)(most - h->zip.avail_out) };
	return true;
}

/* The body for the next alerts; *n of them. A single one that is not packed is sent from where it lies. */
static bool make_body(struct http_sender *h, struct str *body, uint32_t *n)
{
	size_t len;
	char **into = h->compress ? &h->plain : &h->body;
	size_t *cap = h->compress ? &h->plain_cap : &h->body_cap;

	*n = fit_batch(h->batch, *n, &len);
	*body = h->batch[0];
	if (*n > 1) {
		if (!room_for(into, cap, len))
			return false;
		join_lines(*into, h->batch, *n);
		*body = (struct str){ *into, (uint32_t)len };
	}
	return !h->compress || pack(h, *body, body);
}

static void request_start(struct http_sender *h)
{
	struct str body;
	uint64_t first = outbox_settled(&h->base.box);
	uint32_t waiting = outbox_peek(&h->base.box, first, h->batch, h->max_batch + 1), n = waiting;

	if (n > (h->alone ? 1 : h->max_batch))
		n = h->alone ? 1 : h->max_batch;
	if (!make_body(h, &body, &n)) {
		sender_failed(&h->base, false, 0, "out of memory");
		return;
	}
	h->errors[0] = '\0';
	h->answer_len = h->answer_all = 0;
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, body.p);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	/* without keep_alive the connection ends with the last alert that waits */
	curl_easy_setopt(h->easy, CURLOPT_FORBID_REUSE, (long)(!h->keep_alive && waiting == n));
	if (curl_multi_add_handle(h->multi, h->easy)) {
		sender_failed(&h->base, false, 0, "libcurl takes no request");
		return;
	}
	h->first = first;
	h->n = n;
}

static bool is_later(long status)
{
	static const short later[] = { 401, 403, 404, 407, 408, 421, 425, 429 };

	for (size_t i = 0; i < sizeof later / sizeof *later; i++)
		if (status == later[i])
			return true;
	return status < 400 || status >= 500;
}

/* The beginning of the answer as one line. */
static const char *answer_line(const struct http_sender *h, char line[ANSWER_SHOWN + 1])
{
	uint32_t n = h->answer_len < ANSWER_SHOWN ? h->answer_len : ANSWER_SHOWN;

	for (uint32_t i = 0; i < n; i++)
		line[i] = h->answer[i] >= ' ' && h->answer[i] < 127 ? h->answer[i] : ' ';
	line[n] = '\0';
	return line;
}

static void request_settled(struct http_sender *h)
{
	sender_settle(&h->base, h->first + h->n);
	sender_worked(&h->base);
	h->alone -= h->alone > 0;
}

static void request_answered(struct http_sender *h, long status)
{
	char line[ANSWER_SHOWN + 1], why[ANSWER_SHOWN + 64];
	curl_off_t retry_after = 0;

	h->timeouts = 0;
	if (h->echo && h->answer_len)
		sender_echo(&h->base, h->answer, h->answer_len);
	answer_line(h, line);
	snprintf(why, sizeof why, "the server answers %ld%s%s", status, *line ? ": " : "", line);
	if (status >= 200 && status < 300) {
		request_settled(h);
	} else if (is_later(status)) {
		curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after);
		sender_count_again(&h->base, h->n);
		sender_failed(&h->base, false, retry_after > 0 ? (uint64_t)retry_after * 1000 : 0, why);
	} else if (h->n > 1) {
		h->alone = h->n;	/* one of them is at fault: find out which */
	} else {
		sender_refused(&h->base, 1, why);
		request_settled(h);
	}
}

static void request_failed(struct http_sender *h, CURLcode code)
{
	bool timed_out = code == CURLE_OPERATION_TIMEDOUT;
	long sent = 0;

	curl_easy_getinfo(h->easy, CURLINFO_REQUEST_SIZE, &sent);
	if (sent > 0)
		sender_count_again(&h->base, h->n);
	if (timed_out && h->timeouts++ < h->max_timeouts) {
		sender_timed_out(&h->base);
		return;
	}
	sender_failed(&h->base, timed_out, 0, http_easy_why(code, h->errors));
}

static void request_end(struct http_sender *h, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && h->answer_all > ANSWER_READ))
		request_answered(h, status);
	else
		request_failed(h, code);
	curl_multi_remove_handle(h->multi, h->easy);
	h->n = 0;
	if (h->body_cap > KEPT_GZIP_BUFFER) {
		free(h->body);
		h->body = NULL;
		h->body_cap = 0;
	}
}

/* ------------------------------------------------------------------ the thread */

static void http_step(struct http_sender *h)
{
	int left, running;
	CURLMsg *msg;

	curl_multi_perform(h->multi, &running);
	while ((msg = curl_multi_info_read(h->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			request_end(h, msg->data.result);
}

static bool http_may_start(struct http_sender *h)
{
	return !h->n && sys_now_ns() >= h->base.not_before && !outbox_sleep(&h->base.box, outbox_settled(&h->base.box));
}

static void http_run(struct sender *s)
{
	struct http_sender *h = (struct http_sender *)s;

	while (!sender_should_stop(s)) {
		if (http_may_start(h))
			request_start(h);
		http_step(h);
		if (http_may_start(h) || sender_should_stop(s))
			continue;
		struct curl_waitfd wake = { .fd = s->box.wake, .events = CURL_WAIT_POLLIN };
		curl_multi_poll(h->multi, &wake, 1, (int)sender_time_left(s, IDLE_MS), NULL);
		if (wake.revents)
			outbox_awake(&s->box);
	}
	if (h->n) {
		curl_multi_remove_handle(h->multi, h->easy);
		h->n = 0;
	}
}

static void http_fini(struct sender *s)
{
	struct http_sender *h = (struct http_sender *)s;

	if (h->easy)
		curl_easy_cleanup(h->easy);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	if (h->has_zip)
		deflateEnd(&h->zip);
	free(h->batch);
	free(h->body);
	free(h->plain);
}

static const struct sender_ops http_ops = { http_run, http_fini };

/* ------------------------------------------------------------------ opening */

static bool add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (longer)
		*list = longer;
	return longer != NULL;
}

static bool make_headers(struct http_sender *h, const struct http_options *o)
{
	char type[128];

	snprintf(type, sizeof type, "Content-Type: %s", o->content_type);
	return add_header(&h->headers, type) && add_header(&h->headers, "Expect:") &&
	       (!o->compress || add_header(&h->headers, "Content-Encoding: gzip"));
}

static bool http_prepare(struct http_sender *h, const struct http_options *o)
{
	h->max_batch = o->max_batch ? o->max_batch : 1;
	h->batch = calloc(h->max_batch + 1, sizeof *h->batch);
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	h->echo = o->echo;
	h->keep_alive = o->keep_alive;
	h->compress = o->compress;
	h->max_timeouts = o->max_timeouts;
	if (!h->batch || !h->multi || !h->easy)
		return false;
	if (h->compress) {
		h->has_zip = deflateInit2(&h->zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
		if (!h->has_zip)
			return false;
	}
	return make_headers(h, o) && http_easy_set(h->easy, o->url, &o->tls, o->timeout_ms, h->errors) &&
	       !curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers) &&
	       !curl_easy_setopt(h->easy, CURLOPT_POST, 1L) &&
	       !curl_easy_setopt(h->easy, CURLOPT_USERAGENT, o->user_agent) &&
	       !curl_easy_setopt(h->easy, CURLOPT_TCP_KEEPALIVE, (long)o->keep_alive) &&
	       !curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_answer) &&
	       !curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
}

struct sender *http_sender_new(const struct http_options *o, struct err *err)
{
	char name[SENDER_NAME_LEN];
	struct http_sender *h;

	if (http_global_init(err) < 0 || http_url_name(o->url, name, sizeof name, err) < 0 || tls_files_check(&o->tls, err) < 0)
		return NULL;
	h = calloc(1, sizeof *h);
	if (!h || sender_init(&h->base, &http_ops, &o->limits, name) < 0) {
		free(h);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	if (!http_prepare(h, o)) {
		err_set(err, ENOMEM, "libcurl cannot be set up for %s", name);
		sender_free(&h->base);
		return NULL;
	}
	return sender_start(&h->base, err);
}
