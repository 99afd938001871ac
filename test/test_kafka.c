/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts to librdkafka's own mock of a Kafka cluster, whose broker goes down, answers with errors and forgets the producer. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include "check.h"
#include "../c/engine/ffi.h"

enum { PATIENCE_MS = 30000, PARTITIONS = 3, PRODUCE = 0 };

static rd_kafka_t *owner;
static rd_kafka_mock_cluster_t *cluster;
static struct err err;

static int up(void **state)
{
	char text[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set(conf, "client.id", "MOCK", text, sizeof text);
	owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	cluster = rd_kafka_mock_cluster_new(owner, 1);
	return rd_kafka_mock_topic_create(cluster, "falco", PARTITIONS, 1) ? -1 : 0;
}

static int down(void **state)
{
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(owner);
	return 0;
}

static const char *brokers(void)
{
	return rd_kafka_mock_cluster_bootstraps(cluster);
}

static struct sender *sender_with(const char *name, const char *value)
{
	const char *settings[] = {
		"bootstrap.servers", brokers(), "enable.idempotence", "true", "message.timeout.ms", "0", "linger.ms", "5",
		"reconnect.backoff.ms", "50", "reconnect.backoff.max.ms", "500", name, value,
	};
	struct kafka_options o = { .brokers = brokers(), .topic = "falco", .key = "host", .settings = settings,
				   .nsettings = name ? 7 : 6, .limits = { 20000, 8 << 20 } };

	return kafka_sender_new(&o, &err);
}

static struct sender *sender(void)
{
	struct sender *s = sender_with(NULL, NULL);

	if (!s)
		print_error("%s\n", err.text);
	assert_non_null(s);
	return s;
}

static void put_numbers(struct sender *s, uint32_t from, uint32_t to)
{
	char text[16];

	for (uint32_t i = from; i < to; i++) {
		snprintf(text, sizeof text, "%u", i);
		assert_int_equal(sender_put(s, text, (uint32_t)strlen(text)), 0);
	}
}

static bool settled(struct sender *s, uint64_t n, uint32_t patience_ms)
{
	for (uint32_t ms = 0; ms < patience_ms; ms++) {
		if (sender_settled(s) >= n)
			return true;
		sys_sleep(1);
	}
	return false;
}

static void expect_notice(struct sender *s, int kind, const char *part)
{
	char text[1024];
	uint32_t len = 0;
	int got = 0;

	for (uint32_t ms = 0; ms < PATIENCE_MS && !(got = sender_notice(s, text, sizeof text - 1, &len)); ms++)
		sys_sleep(1);
	text[len] = '\0';
	if (!strstr(text, part))
		print_error("'%s' does not hold '%s'\n", text, part);
	assert_int_equal(got, kind);
	assert_non_null(strstr(text, part));
}

/* All that the topic holds: "0" ... n-1 in one partition, in order, once each. */
static void expect_topic(uint32_t n)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
	uint32_t got = 0, ends = 0;
	int partition = -1;
	char text[256], want[16];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", brokers(), text, sizeof text);
	rd_kafka_conf_set(conf, "group.id", "test", text, sizeof text);
	rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
	assert_non_null(rk);
	rd_kafka_poll_set_consumer(rk);
	for (int i = 0; i < PARTITIONS; i++)
		rd_kafka_topic_partition_list_add(list, "falco", i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	assert_int_equal(rd_kafka_assign(rk, list), 0);
	while (ends < PARTITIONS) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, PATIENCE_MS);

		assert_non_null(m);
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
			ends++;
		} else {
			assert_int_equal(m->err, 0);
			snprintf(want, sizeof want, "%u", got++);
			assert_int_equal(m->len, strlen(want));
			assert_memory_equal(m->payload, want, m->len);
			assert_int_equal(m->key_len, 4);
			assert_true(partition < 0 || partition == m->partition);
			partition = m->partition;
		}
		rd_kafka_message_destroy(m);
	}
	assert_int_equal(got, n);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void test_in_order(void **state)
{
	struct sender *s = sender();
	struct sender_stats last;

	assert_non_null(strstr(sender_name(s), "kafka://127.0.0.1:"));
	put_numbers(s, 0, 5000);
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 5000);
	assert_int_equal(last.failures, 0);
	expect_topic(5000);
}

static void test_down_and_back(void **state)
{
	struct sender *s = sender();
	struct sender_stats last;

	put_numbers(s, 0, 2000);
	assert_true(settled(s, 1, PATIENCE_MS));
	rd_kafka_mock_broker_set_down(cluster, 1);
	put_numbers(s, 2000, 4000);
	expect_notice(s, SENDER_DOWN, "kafka://");
	assert_false(settled(s, 4000, 500));
	rd_kafka_mock_broker_set_up(cluster, 1);
	put_numbers(s, 4000, 6000);
	expect_notice(s, SENDER_UP, "takes alerts again");
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 6000);
	expect_topic(6000);
}

static void test_errors_that_pass(void **state)
{
	struct sender *s = sender();
	struct sender_stats last;

	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
					  RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
	put_numbers(s, 0, 1000);
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 1000);
	assert_int_equal(last.refused, 0);
	expect_topic(1000);
}

/* An error that librdkafka does not try again after: nothing is lost, nothing comes twice, the order stays. */
static void test_given_up_and_made_anew(void **state)
{
	struct sender *s = sender();
	struct sender_stats last;

	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	put_numbers(s, 0, 1000);
	expect_notice(s, SENDER_DOWN, "");
	expect_notice(s, SENDER_UP, "");
	put_numbers(s, 1000, 2000);
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 2000);
	assert_true(last.again > 0);
	expect_topic(2000);
}

static void test_refused_for_good(void **state)
{
	struct sender *s = sender_with("message.max.bytes", "1000");
	struct sender_stats last;
	static char large[3000];

	assert_non_null(s);
	put_numbers(s, 0, 10);
	assert_int_equal(sender_put(s, large, sizeof large), 0);
	put_numbers(s, 10, 20);
	expect_notice(s, SENDER_ERROR, "refused 1 alert");
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 21);
	assert_int_equal(last.refused, 1);
	expect_topic(20);
}

static void test_nobody_there(void **state)
{
	struct sender *s;
	struct sender_stats last;
	uint64_t start;

	rd_kafka_mock_broker_set_down(cluster, 1);
	s = sender();
	put_numbers(s, 0, 10);
	expect_notice(s, SENDER_DOWN, "kafka://");
	start = sys_now_ns();
	sender_close(s, 100, &last);
	assert_true(sys_now_ns() - start < 10000000000u);
	assert_int_equal(last.waiting, 10);
	assert_true(last.down);
}

static void test_set_up_wrong(void **state)
{
	assert_null(sender_with("acks", "many"));
	assert_non_null(strstr(err.text, "acks"));
	assert_null(sender_with("no.such.setting", "1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, up, down),
		cmocka_unit_test_setup_teardown(test_down_and_back, up, down),
		cmocka_unit_test_setup_teardown(test_errors_that_pass, up, down),
		cmocka_unit_test_setup_teardown(test_given_up_and_made_anew, up, down),
		cmocka_unit_test_setup_teardown(test_refused_for_good, up, down),
		cmocka_unit_test_setup_teardown(test_nobody_there, up, down),
		cmocka_unit_test_setup_teardown(test_set_up_wrong, up, down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
