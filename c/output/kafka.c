/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts to a topic of Kafka. librdkafka has threads, a queue and retries of its own; as a producer that is idempotent it
 * keeps the order within a partition and stores nothing twice. All alerts of a sender have one key, and so one partition.
 *
 * Alerts are not copied: what librdkafka holds lies in the outbox until it reports that the brokers have it. When it gives up
 * on one, or on itself (a fatal error), it is taken down and made anew, and what is not settled is given to it again in order.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdlib.h>
#include "sender.h"

enum { IDLE_MS = 1000, REASON_LEN = 256, PEEK = 64 };

struct kafka_setting {
	char *name, *value;
};

struct kafka_sender {
	struct sender base;
	struct kafka_setting *settings;
	uint32_t nsettings;
	char *topic_name, *key;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	uint64_t next;			/* the message that is given to librdkafka next */
	uint8_t *settled;		/* by seq % nslots: needs no more, though an older one may */
	bool broken;			/* make librdkafka anew */
	char reason[REASON_LEN];	/* of the last error */
};

/* ------------------------------------------------------------------ what librdkafka reports, in our thread */

/* What the brokers will never take, whenever it is sent. */
static bool is_for_good(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG ||
	       code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void advance(struct kafka_sender *k)
{
	uint32_t nslots = k->base.box.nslots;
	uint64_t first = outbox_settled(&k->base.box), upto = first;

	while (upto < k->next && k->settled[upto % nslots])
		k->settled[upto++ % nslots] = 0;
	if (upto > first)
		sender_settle(&k->base, upto);
}

static void settle(struct kafka_sender *k, uint64_t seq)
{
	k->settled[seq % k->base.box.nslots] = 1;
	advance(k);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
	struct kafka_sender *k = arg;
	uint64_t seq = (uintptr_t)m->_private;

	if (!m->err) {
		settle(k, seq);
		if (k->base.failures)
			sender_worked(&k->base);
	} else if (is_for_good(m->err)) {
		sender_refused(&k->base, 1, rd_kafka_err2str(m->err));
		settle(k, seq);
	} else if (m->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE && m->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
		snprintf(k->reason, sizeof k->reason, "%s", rd_kafka_err2str(m->err));
		k->broken = true;
	}
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *arg)
{
	struct kafka_sender *k = arg;

	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		char text[REASON_LEN];

		rd_kafka_fatal_error(rk, text, sizeof text);
		snprintf(k->reason, sizeof k->reason, "%s", text);
		k->broken = true;
	} else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		sender_failed(&k->base, false, 0, *k->reason ? k->reason : reason);
	} else {
		snprintf(k->reason, sizeof k->reason, "%s", reason);
	}
}

/* What matters comes as an error, too. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
}

/* ------------------------------------------------------------------ making and unmaking */

static int make(struct kafka_sender *k, struct err *err)
{
	static const char wake[8] = { 1 };	/* what an eventfd wants written: the number 1, in little-endian */
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_queue_t *queue;
	char text[400];

	for (uint32_t i = 0; i < k->nsettings; i++)
		if (rd_kafka_conf_set(conf, k->settings[i].name, k->settings[i].value, text, sizeof text) != RD_KAFKA_CONF_OK) {
			rd_kafka_conf_destroy(conf);
			return err_set(err, EINVAL, "%s", text);
		}
	rd_kafka_conf_set_opaque(conf, k);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	k->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	if (!k->rk) {
		rd_kafka_conf_destroy(conf);
		return err_set(err, EINVAL, "%s", text);
	}
	k->topic = rd_kafka_topic_new(k->rk, k->topic_name, NULL);
	if (!k->topic)
		return err_set(err, EINVAL, "topic '%s': %s", k->topic_name, rd_kafka_err2str(rd_kafka_last_error()));
	queue = rd_kafka_queue_get_main(k->rk);
	rd_kafka_queue_io_event_enable(queue, k->base.box.wake, wake, sizeof wake);
	rd_kafka_queue_destroy(queue);
	k->next = outbox_settled(&k->base.box);
	k->broken = false;
	return 0;
}

static void unmake(struct kafka_sender *k)
{
	if (!k->rk)
		return;
	rd_kafka_purge(k->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	while (rd_kafka_poll(k->rk, 0) > 0)
		;
	if (k->topic)
		rd_kafka_topic_destroy(k->topic);
	k->topic = NULL;
	rd_kafka_destroy(k->rk);
	k->rk = NULL;
}

/* ------------------------------------------------------------------ the thread */

/* As many as librdkafka takes: true if that was all. */
static bool give(struct kafka_sender *k)
{
	struct str msgs[PEEK];
	uint32_t n;

	while ((n = outbox_peek(&k->base.box, k->next, msgs, PEEK))) {
		for (uint32_t i = 0; i < n; i++) {
			uint64_t seq = k->next;

			k->next++;
			if (k->settled[seq % k->base.box.nslots]) {	/* from before it was made anew */
				advance(k);
				continue;
			}
			if (!rd_kafka_produce(k->topic, RD_KAFKA_PARTITION_UA, 0, (void *)msgs[i].p, msgs[i].len, k->key,
					      strlen(k->key), (void *)(uintptr_t)seq))
				continue;
			rd_kafka_resp_err_t code = rd_kafka_last_error();
			if (is_for_good(code)) {
				sender_refused(&k->base, 1, rd_kafka_err2str(code));
				settle(k, seq);
				continue;
			}
			k->next--;
			if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
				snprintf(k->reason, sizeof k->reason, "%s", rd_kafka_err2str(code));
				k->broken = true;
			}
			return false;
		}
	}
	return true;
}

static void make_anew(struct kafka_sender *k)
{
	struct err err = { "" };

	if (k->rk) {
		unmake(k);
		sender_count_again(&k->base, k->next - outbox_settled(&k->base.box));
		sender_failed(&k->base, false, 0, k->reason);
	} else if (make(k, &err) < 0) {
		unmake(k);
		sender_failed(&k->base, false, 0, err.text);
	}
}

static void kafka_run(struct sender *s)
{
	struct kafka_sender *k = (struct kafka_sender *)s;

	while (!sender_should_stop(s)) {
		if (k->rk && !k->broken) {
			bool all = give(k);

			while (rd_kafka_poll(k->rk, 0) > 0)
				;
			if (k->broken || sender_should_stop(s) || (all && !outbox_sleep(&s->box, k->next)))
				continue;
		} else if (k->rk || sys_now_ns() >= s->not_before) {
			make_anew(k);
			continue;
		}
		struct pollfd p = { .fd = s->box.wake, .events = POLLIN };
		/* pauses are for making it anew: it has its own between attempts to connect */
		poll(&p, 1, (int)(k->rk ? sender_deadline_left(s, IDLE_MS) : sender_time_left(s, IDLE_MS)));
		if (p.revents)
			outbox_awake(&s->box);
	}
	unmake(k);
}

static void kafka_fini(struct sender *s)
{
	struct kafka_sender *k = (struct kafka_sender *)s;

	unmake(k);
	for (uint32_t i = 0; i < k->nsettings; i++) {
		free(k->settings[i].name);
		explicit_bzero(k->settings[i].value, strlen(k->settings[i].value));
		free(k->settings[i].value);
	}
	free(k->settings);
	free(k->settled);
	free(k->topic_name);
	free(k->key);
}

static const struct sender_ops kafka_ops = { kafka_run, kafka_fini };

/* ------------------------------------------------------------------ opening */

/* Settings of librdkafka come as name, value, name, value ... */
static bool copy_settings(struct kafka_sender *k, const struct kafka_options *o)
{
	k->settings = calloc(o->nsettings + 1, sizeof *k->settings);
	for (uint32_t i = 0; k->settings && i < o->nsettings; i++) {
		char *name = strdup(o->settings[2 * i]), *value = strdup(o->settings[2 * i + 1]);

		if (!name || !value) {
			free(name);
			free(value);
			return false;
		}
		k->settings[k->nsettings++] = (struct kafka_setting){ name, value };
	}
	return k->settings != NULL;
}

static bool kafka_prepare(struct kafka_sender *k, const struct kafka_options *o)
{
	k->topic_name = strdup(o->topic);
	k->key = strdup(o->key ? o->key : "");
	k->settled = calloc(o->limits.max_messages, 1);
	return copy_settings(k, o) && k->topic_name && k->key && k->settled;
}

struct sender *kafka_sender_new(const struct kafka_options *o, struct err *err)
{
	struct kafka_sender *k;
	char name[SENDER_NAME_LEN];

	snprintf(name, sizeof name, "kafka://%s", o->brokers);
	k = calloc(1, sizeof *k);
	if (!k || sender_init(&k->base, &kafka_ops, &o->limits, name) < 0) {
		free(k);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	if (!kafka_prepare(k, o)) {
		err_set(err, ENOMEM, "out of memory");
		sender_free(&k->base);
		return NULL;
	}
	/* whether it can be set up is told here; what runs later is made by our thread, whose lack of rights its threads share */
	if (make(k, err) < 0) {
		sender_free(&k->base);
		return NULL;
	}
	unmake(k);
	return sender_start(&k->base, err);
}
