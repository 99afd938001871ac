/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts to streams of a real redis-server, which is killed, stopped and badly set up meanwhile; and to what is no Redis. */
#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "../c/engine/ffi.h"

enum { PATIENCE_MS = 20000 };

static char dir[64];
static char port[8], tls_port[8], unix_path[96];
static pid_t redis;
static struct err err;

/* ------------------------------------------------------------------ a server of our own */

static void free_port(char text[8])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	snprintf(text, 8, "%d", ntohs(a.sin_port));
	close(fd);
}

static redisContext *talk(void)
{
	for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
		redisContext *c = redisConnectUnix(unix_path);
		redisReply *r = c && !c->err ? redisCommand(c, "PING") : NULL;
		bool up = r && r->type != REDIS_REPLY_ERROR;

		if (r && r->type == REDIS_REPLY_ERROR && strstr(r->str, "NOAUTH"))
			up = true;
		if (r)
			freeReplyObject(r);
		if (up)
			return c;
		if (c)
			redisFree(c);
		sys_sleep(10);
	}
	fail_msg("redis-server does not start");
	return NULL;
}

static void start(const char *more, const char *value)
{
	char cert[96], key[96], ca[96], log[96];

	snprintf(cert, sizeof cert, "%s/server.pem", dir);
	snprintf(key, sizeof key, "%s/server.key", dir);
	snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	snprintf(log, sizeof log, "%s/redis.log", dir);
	redis = fork();
	assert_true(redis >= 0);
	if (!redis) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", unix_path, "--dir",
		       dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--logfile", log, "--tls-port", tls_port,
		       "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--daemonize", "no", more,
		       value, NULL);
		_exit(127);
	}
	redisFree(talk());
}

static void stop(void)
{
	int status;

	kill(redis, SIGKILL);
	waitpid(redis, &status, 0);
	redis = 0;
}

static void run(const char *command)
{
	redisContext *c = talk();
	redisReply *r = redisCommand(c, command);

	assert_true(r && r->type != REDIS_REPLY_ERROR);
	freeReplyObject(r);
	redisFree(c);
}

static long long number(const char *command)
{
	redisContext *c = talk();
	redisReply *r = redisCommand(c, command);
	long long n;

	assert_true(r && r->type == REDIS_REPLY_INTEGER);
	n = r->integer;
	freeReplyObject(r);
	redisFree(c);
	return n;
}

/* The stream holds "0", "1", ... n-1 as alerts, in order and once each. */
static void expect_stream(const char *stream, uint32_t n)
{
	redisContext *c = talk();
	redisReply *r = redisCommand(c, "XRANGE %s - +", stream);
	char want[16];

	assert_int_equal(r->type, REDIS_REPLY_ARRAY);
	for (uint32_t i = 0; i < n && i < r->elements; i++) {
		redisReply *fields = r->element[i]->element[1];

		assert_int_equal(fields->elements, 4);
		assert_string_equal(fields->element[0]->str, "id");
		assert_string_equal(fields->element[2]->str, "alert");
		snprintf(want, sizeof want, "%u", i);
		assert_string_equal(fields->element[3]->str, want);
	}
	assert_int_equal(r->elements, n);
	freeReplyObject(r);
	redisFree(c);
}

/* ------------------------------------------------------------------ senders */

static struct redis_options options(void)
{
	return (struct redis_options){ .host = "127.0.0.1", .port = port, .timeout_ms = 2000, .stream = "falco",
				       .limits = { 20000, 4 << 20 } };
}

static struct sender *sender_of(struct redis_options o)
{
	struct sender *s = redis_sender_new(&o, &err);

	if (!s)
		print_error("%s\n", err.text);
	assert_non_null(s);
	return s;
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

static void put_numbers(struct sender *s, uint32_t from, uint32_t to)
{
	char text[16];

	for (uint32_t i = from; i < to; i++) {
		int code;

		snprintf(text, sizeof text, "%u", i);
		while ((code = sender_put(s, text, (uint32_t)strlen(text))) == -SENDER_EAGAIN)
			sys_sleep(1);
		assert_int_equal(code, 0);
	}
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

static int up(void **state)
{
	start("--maxmemory", "0");
	return 0;
}

static int down(void **state)
{
	char command[160];

	stop();
	snprintf(command, sizeof command, "rm -rf %s/appendonlydir %s/dump.rdb", dir, dir);
	return system(command);
}

/* ------------------------------------------------------------------ tests */

static void test_in_order(void **state)
{
	struct redis_options o = options();
	struct sender *s = sender_of(o);
	struct sender_stats last;

	put_numbers(s, 0, 3000);
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 3000);
	assert_int_equal(last.failures, 0);
	expect_stream("falco", 3000);

	o.path = unix_path;
	o.host = NULL;
	o.stream = "other";
	o.database = 3;
	s = sender_of(o);
	assert_non_null(strstr(sender_name(s), unix_path));
	put_numbers(s, 0, 10);
	assert_true(settled(s, 10, PATIENCE_MS));
	/* the connection is closed while it lies idle: no failure */
	run("CLIENT KILL TYPE normal");
	sys_sleep(100);
	put_numbers(s, 10, 20);
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 20);
	assert_int_equal(last.failures, 0);
	run("SELECT 3");
	redisContext *c = talk();
	freeReplyObject(redisCommand(c, "SELECT 3"));
	redisReply *r = redisCommand(c, "XLEN other");
	assert_int_equal(r->integer, 20);
	freeReplyObject(r);
	redisFree(c);
}

static void test_stream_is_cut(void **state)
{
	struct redis_options o = options();
	struct sender *s;
	struct sender_stats last;

	o.maxlen = 100;
	s = sender_of(o);
	put_numbers(s, 0, 3000);
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 3000);
	assert_in_range(number("XLEN falco"), 100, 400);
}

static void test_killed_and_back(void **state)
{
	struct sender *s = sender_of(options());
	struct sender_stats last;

	put_numbers(s, 0, 5000);
	stop();				/* in the middle of the last batches */
	put_numbers(s, 5000, 7000);
	expect_notice(s, SENDER_DOWN, "redis://127.0.0.1:");
	sys_sleep(200);
	start("--maxmemory", "0");
	put_numbers(s, 7000, 12000);
	expect_notice(s, SENDER_UP, "takes alerts again");
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 12000);
	assert_int_equal(last.waiting, 0);
	expect_stream("falco", 12000);
}

/* Time and again it takes a batch, but its answer comes too late: what it has already must not be sent again. */
static void test_stopped_and_back(void **state)
{
	struct redis_options o = options();
	struct sender *s;
	struct sender_stats last;

	o.timeout_ms = 150;
	s = sender_of(o);
	for (uint32_t i = 0; i < 5; i++) {
		put_numbers(s, i * 1000, i * 1000 + 500);
		kill(redis, SIGSTOP);
		put_numbers(s, i * 1000 + 500, i * 1000 + 1000);
		sys_sleep(300);
		kill(redis, SIGCONT);
		assert_true(settled(s, (i + 1) * 1000, PATIENCE_MS));
	}
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 5000);
	assert_true(last.timeouts > 0);
	expect_stream("falco", 5000);
}

static void test_says_no(void **state)
{
	struct sender *s;
	struct sender_stats last;

	run("SET falco text");
	s = sender_of(options());
	put_numbers(s, 0, 10);
	expect_notice(s, SENDER_DOWN, "Redis says: WRONGTYPE");
	assert_int_equal(sender_settled(s), 0);
	run("DEL falco");
	assert_true(settled(s, 10, PATIENCE_MS));
	run("CONFIG SET maxmemory 1");
	put_numbers(s, 10, 20);
	expect_notice(s, SENDER_UP, "");
	expect_notice(s, SENDER_DOWN, "Redis says: OOM");
	run("CONFIG SET maxmemory 0");
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 20);
	assert_int_equal(last.again, 0);
	expect_stream("falco", 20);
}

static void test_password(void **state)
{
	struct redis_options o = options();
	struct sender *s;

	run("CONFIG SET requirepass geheim");
	s = sender_of(o);
	expect_notice(s, SENDER_DOWN, "Redis says: NOAUTH");
	sender_close(s, 0, NULL);
	o.password = "falsch";
	s = sender_of(o);
	expect_notice(s, SENDER_DOWN, "Redis says: WRONGPASS");
	sender_close(s, 0, NULL);
	o.password = "geheim";
	s = sender_of(o);
	put_numbers(s, 0, 10);
	assert_true(settled(s, 10, PATIENCE_MS));
	sender_close(s, 0, NULL);
	o.user = "default";
	s = sender_of(o);
	put_numbers(s, 10, 20);
	assert_true(settled(s, 10, PATIENCE_MS));
	sender_close(s, 0, NULL);
}

static void try_tls(struct tls_options tls, const char *why)
{
	struct redis_options o = options();
	struct sender *s;

	o.host = "localhost";
	o.port = tls_port;
	o.use_tls = true;
	o.tls = tls;
	s = sender_of(o);
	put_numbers(s, 0, 10);
	if (why)
		expect_notice(s, SENDER_DOWN, why);
	else
		assert_true(settled(s, 10, PATIENCE_MS));
	sender_close(s, 0, NULL);
}

static void test_tls(void **state)
{
	char ca[96], other_ca[96], cert[96], key[96], other[96], other_key[96];
	struct redis_options o = options();

	snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	snprintf(other_ca, sizeof other_ca, "%s/otherca.pem", dir);
	snprintf(cert, sizeof cert, "%s/client.pem", dir);
	snprintf(key, sizeof key, "%s/client.key", dir);
	snprintf(other, sizeof other, "%s/other.pem", dir);
	snprintf(other_key, sizeof other_key, "%s/other.key", dir);
	try_tls((struct tls_options){ .ca_cert = ca, .client_cert = cert, .client_key = key }, NULL);
	assert_int_equal(number("XLEN falco"), 10);
	try_tls((struct tls_options){ .insecure = true, .client_cert = cert, .client_key = key }, NULL);
	try_tls((struct tls_options){ .ca_cert = other_ca, .client_cert = cert, .client_key = key }, "certificate");
	try_tls((struct tls_options){ .ca_cert = ca, .client_cert = other, .client_key = other_key }, "redis");
	try_tls((struct tls_options){ .ca_cert = ca }, "redis");
	assert_int_equal(number("XLEN falco"), 20);
	o.use_tls = true;
	o.tls.ca_cert = "/no/such/ca.pem";
	assert_null(redis_sender_new(&o, &err));
	assert_non_null(strstr(err.text, "the CA '/no/such/ca.pem' cannot be used"));
}

/* ------------------------------------------------------------------ what is no Redis */

static int listener;
static const char *babble;

static void *babble_main(void *arg)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		char buf[256];

		if (read(fd, buf, sizeof buf) > 0 && *babble)
			(void)!write(fd, babble, strlen(babble));
		while (read(fd, buf, sizeof buf) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void test_no_redis(void **state)
{
	static const struct { const char *says, *why; } rows[] = {
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", "no Redis" },
		{ "*1000000000\r\n", "" },
		{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "no Redis" },
		{ "$-5\r\n", "" },
		{ "$99999999999999999999\r\n", "" },
		{ "", "timed out" },
	};
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct redis_options o = options();
	socklen_t len = sizeof a;
	pthread_t thread;
	char there[8];

	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&a, &len);
	snprintf(there, sizeof there, "%d", ntohs(a.sin_port));
	babble = "";
	assert_int_equal(pthread_create(&thread, NULL, babble_main, NULL), 0);
	o.port = there;
	o.timeout_ms = 200;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		babble = rows[i].says;
		struct sender *s = sender_of(o);
		put_numbers(s, 0, 1);
		expect_notice(s, SENDER_DOWN, rows[i].why);
		assert_int_equal(sender_settled(s), 0);
		sender_close(s, 0, NULL);
	}
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, up, down),
		cmocka_unit_test_setup_teardown(test_stream_is_cut, up, down),
		cmocka_unit_test_setup_teardown(test_killed_and_back, up, down),
		cmocka_unit_test_setup_teardown(test_stopped_and_back, up, down),
		cmocka_unit_test_setup_teardown(test_says_no, up, down),
		cmocka_unit_test_setup_teardown(test_password, up, down),
		cmocka_unit_test_setup_teardown(test_tls, up, down),
	}, alone[] = {
		cmocka_unit_test(test_no_redis),
	};
	char command[128];
	int failures;

	signal(SIGPIPE, SIG_IGN);
	strcpy(dir, "/tmp/test_redis-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(unix_path, sizeof unix_path, "%s/socket", dir);
	snprintf(command, sizeof command, "test/peers/certs %s", dir);
	if (system(command) != 0)
		return 1;
	free_port(port);
	free_port(tls_port);
	failures = cmocka_run_group_tests(alone, NULL, NULL);
	if (system("redis-server --version >/dev/null 2>&1") == 0)
		failures += cmocka_run_group_tests(tests, NULL, NULL);
	else
		printf("skipped: test_redis (redis-server is not installed: make deps)\n");
	if (redis)
		stop();
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) == 0 ? failures : 1;
}
