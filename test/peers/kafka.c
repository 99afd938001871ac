/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Kafka cluster to send alerts to, librdkafka's own mock, and a consumer that writes what topic "falco" gets to a file, a
 * message a line.
 *	kafka OUT		host:port of its broker comes on standard output
 * What stands on its standard input it does, a line at a time: "stop" (the broker goes down), "start", "end". Ends with its
 * standard input, when nothing has come for five seconds.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { QUIET_POLLS = 50 };

static rd_kafka_mock_cluster_t *cluster;
static atomic_bool ending;
static FILE *out;

static void *consume(void *arg)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	char text[256];
	int quiet = 0;

	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), text, sizeof text);
	rd_kafka_conf_set(conf, "group.id", "test", text, sizeof text);
	rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "200", text, sizeof text);
	rd_kafka_conf_set(conf, "fetch.error.backoff.ms", "100", text, sizeof text);
	rd_kafka_conf_set(conf, "topic.metadata.refresh.interval.ms", "1000", text, sizeof text);
	rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
	if (!rk)
		return NULL;
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(list, "falco", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);
	/* it may take its time to find a broker that was away */
	while (quiet < QUIET_POLLS) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);

		quiet = !ending || (m && !m->err) ? 0 : quiet + 1;
		if (m && !m->err) {
			fwrite(m->payload, 1, m->len, out);
			fputc('\n', out);
		} else {
			fflush(out);
		}
		if (m)
			rd_kafka_message_destroy(m);
	}
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return NULL;
}

int main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	pthread_t thread;
	char line[64], text[256];

	if (argc < 2 || !(out = fopen(argv[1], "a")))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
	rd_kafka_t *owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	if (!owner || !(cluster = rd_kafka_mock_cluster_new(owner, 1)))
		return 1;
	rd_kafka_mock_topic_create(cluster, "falco", 1, 1);
	pthread_create(&thread, NULL, consume, NULL);
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) && strcmp(line, "end\n") != 0) {
		if (!strcmp(line, "stop\n"))
			rd_kafka_mock_broker_set_down(cluster, 1);
		if (!strcmp(line, "start\n"))
			rd_kafka_mock_broker_set_up(cluster, 1);
	}
	ending = true;
	pthread_join(thread, NULL);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(owner);
	return fclose(out);
}
