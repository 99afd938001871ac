/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts to a stream of Redis. A batch of alerts goes out as MULTI, XADD ..., EXEC: Redis takes all of it or nothing, so that
 * what cannot be taken now can be sent again without a change of order. One batch is under way at a time.
 *
 * When a connection ends before the answer to a batch has come, nobody knows yet whether Redis has it. Each entry carries an id
 * of ours beside the alert; the next connection first ends the old one, should Redis still hold it, and then looks for the id
 * of the batch's last alert among the youngest entries. Only if that is not there the batch is sent again.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include "link.h"
#include "sender.h"

enum {
	BATCH = 256,
	BATCH_BYTES = 1 << 20,
	LOOK_BACK = 1000,		/* entries that are looked at for one of ours */
	MAX_REPLY = 64 << 20,		/* bytes of all replies to one write */
	MAX_ITEMS = 100000,		/* of a list in a reply */
	READ_BYTES = 16384,
	IDLE_MS = 1000,
	DEFAULT_TIMEOUT_MS = 60000,
	ID_LEN = 48,
};

struct redis_sender {
	struct sender base;
	struct link link;
	struct link_target target;
	char *host, *port, *path, *user, *password, *stream;
	char database[16], maxlen[24];
	uint32_t timeout_ms;
	char who[24];			/* the front of our ids: chance, so that no two senders share it */
	redisReader *reader;
	redisReplyObjectFunctions functions;
	void *(*make_array)(const redisReadTask *task, int n);
	long long client;		/* of the connection: what Redis calls it */
	struct str batch[BATCH];
	char *out;			/* what is to be written */
	size_t out_len, out_cap;
	bool unsure;			/* whether messages below `unsure_upto`, all that are unsettled below it, have arrived */
	uint64_t unsure_upto;
	long long old_client;
	char old_local[64];
};

/* ------------------------------------------------------------------ commands */

static bool command(struct redis_sender *r, int argc, const char **argv, const size_t *lens)
{
	char *text;
	int len = redisFormatCommandArgv(&text, argc, argv, lens);

	if (len < 0)
		return false;
	if (r->out_len + (size_t)len > r->out_cap) {
		size_t cap = (r->out_len + (size_t)len) * 2;
		char *bigger = realloc(r->out, cap);

		if (!bigger) {
			redisFreeCommand(text);
			return false;
		}
		r->out = bigger;
		r->out_cap = cap;
	}
	memcpy(r->out + r->out_len, text, (size_t)len);
	r->out_len += (size_t)len;
	redisFreeCommand(text);
	return true;
}

#define COMMAND(r, ...) \
	command(r, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), (const char *[]){ __VA_ARGS__ }, NULL)

static void id_of(const struct redis_sender *r, uint64_t seq, char id[ID_LEN])
{
	snprintf(id, ID_LEN, "%s-%llu", r->who, (unsigned long long)seq);
}

static bool add_alert(struct redis_sender *r, uint64_t seq, struct str alert)
{
	const char *argv[10];
	size_t lens[10];
	char id[ID_LEN];
	int n = 0;

	id_of(r, seq, id);
	argv[n++] = "XADD";
	argv[n++] = r->stream;
	if (*r->maxlen) {
		argv[n++] = "MAXLEN";
		argv[n++] = "~";
		argv[n++] = r->maxlen;
	}
	argv[n++] = "*";
	argv[n++] = "id";
	argv[n++] = id;
	argv[n++] = "alert";
	for (int i = 0; i < n; i++)
		lens[i] = strlen(argv[i]);
	argv[n] = alert.p;
	lens[n++] = alert.len;
	return command(r, n, argv, lens);
}

/* ------------------------------------------------------------------ replies */

static void *bounded_array(const redisReadTask *task, int n)
{
	const struct redis_sender *r = task->privdata;

	return n > MAX_ITEMS ? NULL : r->make_array(task, n);
}

static uint64_t deadline_of(const struct redis_sender *r)
{
	return sys_now_ns() + (uint64_t)(r->timeout_ms ? r->timeout_ms : DEFAULT_TIMEOUT_MS) * 1000000;
}

static int next_reply(struct redis_sender *r, uint64_t deadline, size_t *bytes, redisReply **reply, struct err *err)
{
	char buf[READ_BYTES];

	*reply = NULL;
	for (;;) {
		if (redisReaderGetReply(r->reader, (void **)reply) != REDIS_OK)
			return err_set(err, EPROTO, "what answers is no Redis: %s", r->reader->errstr);
		if (*reply)
			return 0;
		ssize_t n = link_read(&r->link, buf, sizeof buf, deadline, err);
		if (n < 0)
			return (int)n;
		*bytes += (size_t)n;
		if (*bytes > MAX_REPLY || redisReaderFeed(r->reader, buf, (size_t)n) != REDIS_OK)
			return err_set(err, EPROTO, "the answer is too long");
	}
}

/*
 * Writes the commands that were gathered and reads n replies. 0 and the last of them, to be freed; -EREMOTEIO: all came, and err
 * has the first that is an error; else what happened to the connection.
 */
static int exchange(struct redis_sender *r, uint32_t n, redisReply **reply, struct err *err)
{
	uint64_t deadline = deadline_of(r);
	struct err first;
	size_t bytes = 0;
	int code = link_write(&r->link, r->out, r->out_len, deadline, err), verdict = 0;

	*reply = NULL;
	r->out_len = 0;
	for (uint32_t i = 0; i < n && !code; i++) {
		if (*reply)
			freeReplyObject(*reply);
		code = next_reply(r, deadline, &bytes, reply, err);
		if (!code && !verdict && (*reply)->type == REDIS_REPLY_ERROR)
			verdict = err_set(&first, EREMOTEIO, "Redis says: %.200s", (*reply)->str);
	}
	if (!code && verdict) {
		freeReplyObject(*reply);
		*reply = NULL;
		*err = first;
		code = verdict;
	}
	return code;
}

/* ------------------------------------------------------------------ connecting */

static void hang_up(struct redis_sender *r)
{
	link_close(&r->link);
	if (r->reader)
		redisReaderFree(r->reader);
	r->reader = NULL;
	r->out_len = 0;
}

static bool has_id(const redisReply *entry, const char *id)
{
	const redisReply *fields = entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 ? entry->element[1] : NULL;

	return fields && fields->type == REDIS_REPLY_ARRAY && fields->elements >= 2 &&
	       fields->element[1]->type == REDIS_REPLY_STRING && fields->element[1]->len == strlen(id) &&
	       !memcmp(fields->element[1]->str, id, strlen(id));
}

/* Has the batch that is in doubt arrived? 1, 0, or -errno. */
static int look_for_batch(struct redis_sender *r, struct err *err)
{
	char id[ID_LEN], n[16], client[24];
	redisReply *reply;
	int found = 0, code;

	/* What the old connection still holds must not come after we have looked. Most of the time it is gone: an error. */
	if (*r->old_local) {
		snprintf(client, sizeof client, "%lld", r->old_client);
		if (!COMMAND(r, "CLIENT", "KILL", "ID", client, "ADDR", r->old_local))
			return err_set(err, ENOMEM, "out of memory");
		code = exchange(r, 1, &reply, err);
		if (!code)
			freeReplyObject(reply);
		else if (code != -EREMOTEIO)
			return code;
	}
	snprintf(n, sizeof n, "%d", LOOK_BACK);
	if (!COMMAND(r, "XREVRANGE", r->stream, "+", "-", "COUNT", n))
		return err_set(err, ENOMEM, "out of memory");
	code = exchange(r, 1, &reply, err);
	if (code < 0)
		return code;
	id_of(r, r->unsure_upto - 1, id);
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements && !found; i++)
		found = has_id(reply->element[i], id);
	freeReplyObject(reply);
	return found;
}

static int settle_doubt(struct redis_sender *r, struct err *err)
{
	int found = look_for_batch(r, err);

	if (found < 0)
		return found;
	if (found) {
		sender_settle(&r->base, r->unsure_upto);
		sender_worked(&r->base);
	} else {
		sender_count_again(&r->base, r->unsure_upto - outbox_settled(&r->base.box));
	}
	r->unsure = false;
	return 0;
}

static int greet(struct redis_sender *r, struct err *err)
{
	uint32_t n = 1;
	bool ok = true;
	redisReply *reply;
	int code;

	if (r->user) {
		ok = COMMAND(r, "AUTH", r->user, r->password ? r->password : "");
		n++;
	} else if (r->password) {
		ok = COMMAND(r, "AUTH", r->password);
		n++;
	}
	if (*r->database) {
		ok = ok && COMMAND(r, "SELECT", r->database);
		n++;
	}
	if (!ok || !COMMAND(r, "CLIENT", "ID"))
		return err_set(err, ENOMEM, "out of memory");
	code = exchange(r, n, &reply, err);
	if (code < 0)
		return code;
	r->client = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
	freeReplyObject(reply);
	return 0;
}

static bool make_reader(struct redis_sender *r)
{
	r->reader = redisReaderCreate();
	if (!r->reader)
		return false;
	r->functions = *r->reader->fn;
	r->make_array = r->functions.createArray;
	r->functions.createArray = bounded_array;
	r->reader->fn = &r->functions;
	r->reader->privdata = r;
	return true;
}

static int call(struct redis_sender *r, struct err *err)
{
	int code = link_open(&r->link, &r->target, deadline_of(r), err);

	if (code < 0)
		return code;
	if (!make_reader(r))
		code = err_set(err, ENOMEM, "out of memory");
	if (!code)
		code = greet(r, err);
	if (!code && r->unsure)
		code = settle_doubt(r, err);
	if (code < 0)
		hang_up(r);
	return code;
}

/* ------------------------------------------------------------------ the thread */

static void failed(struct redis_sender *r, int code, const struct err *err)
{
	hang_up(r);
	if (code != -ECANCELED)
		sender_failed(&r->base, code == -ETIMEDOUT, 0, err->text);
}

static uint32_t gather(struct redis_sender *r, uint64_t first)
{
	uint32_t n = outbox_peek(&r->base.box, first, r->batch, BATCH), bytes = 0, i;

	for (i = 0; i < n && (!i || bytes + r->batch[i].len <= BATCH_BYTES); i++)
		bytes += r->batch[i].len;
	return i;
}

static bool compose(struct redis_sender *r, uint64_t first, uint32_t n)
{
	bool ok = COMMAND(r, "MULTI");

	for (uint32_t i = 0; ok && i < n; i++)
		ok = add_alert(r, first + i, r->batch[i]);
	return ok && COMMAND(r, "EXEC");
}

/* EXEC answers with what each XADD said: 0 if all have an id. */
static int check_exec(const redisReply *reply, uint32_t n, struct err *err)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)
		return err_set(err, EREMOTEIO, "Redis did not carry out the transaction");
	for (uint32_t i = 0; i < n; i++)
		if (reply->element[i]->type == REDIS_REPLY_ERROR)
			return err_set(err, EREMOTEIO, "Redis says: %.200s", reply->element[i]->str);
	return 0;
}

static void send_batch(struct redis_sender *r)
{
	uint64_t first = outbox_settled(&r->base.box);
	uint32_t n = gather(r, first);
	struct err err = { "" };
	redisReply *reply;
	int code;

	if (!compose(r, first, n)) {
		failed(r, -ENOMEM, &(struct err){ "out of memory" });
		return;
	}
	r->unsure = true;
	r->unsure_upto = first + n;
	r->old_client = r->client;
	snprintf(r->old_local, sizeof r->old_local, "%s", r->link.local);
	code = exchange(r, n + 2, &reply, &err);
	if (!code) {
		code = check_exec(reply, n, &err);
		freeReplyObject(reply);
	}
	if (code < 0) {
		if (code == -EREMOTEIO)		/* it said no: there is no doubt */
			r->unsure = false;
		failed(r, code, &err);
		return;
	}
	r->unsure = false;
	sender_settle(&r->base, first + n);
	sender_worked(&r->base);
}

/* Until there is something to do: alerts, time for the next attempt, or the end of a connection that lies idle. */
static void redis_sleep(struct redis_sender *r)
{
	struct pollfd p[] = { { .fd = r->base.box.wake, .events = POLLIN }, { .fd = r->link.fd, .events = POLLIN } };

	poll(p, r->link.fd >= 0 ? 2 : 1, (int)sender_time_left(&r->base, IDLE_MS));
	if (p[0].revents)
		outbox_awake(&r->base.box);
	if (r->link.fd >= 0 && p[1].revents)
		hang_up(r);
}

static void redis_run(struct sender *s)
{
	struct redis_sender *r = (struct redis_sender *)s;
	bool greeted = false;

	while (!sender_should_stop(s)) {
		bool idle = outbox_sleep(&s->box, outbox_settled(&s->box));
		struct err err;
		int code;

		if (sys_now_ns() < s->not_before || (idle && greeted)) {
			redis_sleep(r);
			continue;
		}
		/* the first call comes before the first alert: what is set up wrong is told at the start */
		if (r->link.fd < 0 && (code = call(r, &err)) < 0) {
			failed(r, code, &err);
			continue;
		}
		greeted = true;
		if (idle)
			sender_worked(s);
		else if (!outbox_sleep(&s->box, outbox_settled(&s->box)))
			send_batch(r);
	}
}

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void redis_fini(struct sender *s)
{
	struct redis_sender *r = (struct redis_sender *)s;

	hang_up(r);
	link_fini(&r->link);
	free(r->host);
	free(r->port);
	free(r->path);
	free(r->user);
	free_secret(r->password);
	free(r->stream);
	free(r->out);
}

static const struct sender_ops redis_ops = { redis_run, redis_fini };

/* ------------------------------------------------------------------ opening */

static bool given(const char *text)
{
	return text && *text;
}

static bool copy(char **to, const char *text)
{
	if (!given(text))
		return true;
	*to = strdup(text);
	return *to != NULL;
}

static bool should_stop(void *arg)
{
	return sender_should_stop(arg);
}

static bool redis_prepare(struct redis_sender *r, const struct redis_options *o)
{
	unsigned char chance[8];

	if (getrandom(chance, sizeof chance, 0) != sizeof chance)
		return false;
	for (int i = 0; i < 8; i++)
		snprintf(r->who + 2 * i, 3, "%02x", chance[i]);
	if (o->database)
		snprintf(r->database, sizeof r->database, "%u", o->database);
	if (o->maxlen)
		snprintf(r->maxlen, sizeof r->maxlen, "%llu", (unsigned long long)o->maxlen);
	r->timeout_ms = o->timeout_ms;
	if (!copy(&r->host, o->host) || !copy(&r->port, o->port) || !copy(&r->path, o->path) || !copy(&r->user, o->user) ||
	    !copy(&r->password, o->password) || !copy(&r->stream, o->stream))
		return false;
	r->target = (struct link_target){ r->host, r->port, r->path };
	r->base.rights = r->path ? RIGHT_DAC_OVERRIDE : 0;	/* sockets of others */
	return true;
}

struct sender *redis_sender_new(const struct redis_options *o, struct err *err)
{
	struct redis_sender *r;
	char name[SENDER_NAME_LEN];

	if (!given(o->stream) || (!given(o->path) && (!given(o->host) || !given(o->port)))) {
		err_set(err, EINVAL, "host and stream are not set");
		return NULL;
	}
	if (given(o->path))
		snprintf(name, sizeof name, "redis at %s", o->path);
	else
		snprintf(name, sizeof name, "%s://%s:%s", o->use_tls ? "rediss" : "redis", o->host, o->port);
	r = calloc(1, sizeof *r);
	if (!r || sender_init(&r->base, &redis_ops, &o->limits, name) < 0) {
		free(r);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	r->link.fd = -1;
	if (!redis_prepare(r, o)) {
		err_set(err, ENOMEM, "out of memory");
		sender_free(&r->base);
		return NULL;
	}
	if (link_init(&r->link, o->use_tls ? &o->tls : NULL, should_stop, r, err) < 0) {
		sender_free(&r->base);
		return NULL;
	}
	return sender_start(&r->base, err);
}
