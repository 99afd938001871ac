/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts to HTTP servers that are well, slow, broken, gone and not who they say they are; and single requests. */
#include <errno.h>
#include <signal.h>
#include "check.h"
#include "http_server.h"
#include "../c/engine/ffi.h"

enum { PATIENCE_MS = 10000 };

static char dir[64];

/* What the server below saw, one request a line. */
static struct seen_all {
	char text[1 << 20];
	size_t len;
	char head[HTTP_HEAD_MAX];
	bool packed;
	int script[16], at;		/* answers to come; then 200 */
	const char *answer;		/* text with each */
	const char *poison;		/* 400 for bodies that hold it */
} seen;

static int on_request(struct http_server *s, const struct http_seen *r, char *text, size_t cap)
{
	memcpy(seen.head, r->head, sizeof seen.head);
	seen.packed = r->packed;
	if (seen.len + r->len + 2 < sizeof seen.text) {
		memcpy(seen.text + seen.len, r->body, r->len);
		seen.len += r->len;
		seen.text[seen.len++] = '\n';
		seen.text[seen.len] = '\0';
	}
	snprintf(text, cap, "%s", seen.answer ? seen.answer : "");
	if (seen.poison && memmem(r->body, r->len, seen.poison, strlen(seen.poison)))
		return 400;
	return seen.at < 16 && seen.script[seen.at] ? seen.script[seen.at++] : 200;
}

static struct http_server server;
static struct err err;
static char url[128];

static void serve(const char *certs, bool mtls, int port)
{
	server = (struct http_server){ .answer = on_request, .certs = certs, .mtls = mtls, .port = port };
	http_server_start(&server);
	snprintf(url, sizeof url, "%s://localhost:%d/alerts", certs ? "https" : "http", server.port);
}

static struct http_options options(void)
{
	return (struct http_options){
		.url = url, .user_agent = "falcosecurity/falco", .content_type = "application/json", .keep_alive = true,
		.timeout_ms = 2000, .max_timeouts = 5, .max_batch = 1, .limits = { 100, 1 << 20 },
	};
}

static const char *file(const char *name)
{
	static char paths[8][128];
	static int at;

	at = (at + 1) % 8;
	snprintf(paths[at], sizeof paths[at], "%s/%s", dir, name);
	return paths[at];
}

static struct sender *sender_of(struct http_options o)
{
	struct sender *s = http_sender_new(&o, &err);

	if (!s)
		print_error("%s\n", err.text);
	assert_non_null(s);
	return s;
}

static void put(struct sender *s, const char *text)
{
	assert_int_equal(sender_put(s, text, (uint32_t)strlen(text)), 0);
}

/* Waits; false when patience is at its end. */
static bool settled(struct sender *s, uint64_t n, uint32_t patience_ms)
{
	for (uint32_t ms = 0; ms < patience_ms; ms++) {
		if (sender_settled(s) >= n)
			return true;
		sys_sleep(1);
	}
	return false;
}

static void done(struct sender *s, uint64_t n)
{
	assert_true(settled(s, n, PATIENCE_MS));
}

/* The next notice, waited for. */
static int notice(struct sender *s, char *text, uint32_t cap)
{
	uint32_t len;
	int kind = 0;

	for (uint32_t ms = 0; ms < PATIENCE_MS && !(kind = sender_notice(s, text, cap - 1, &len)); ms++)
		sys_sleep(1);
	text[len] = '\0';
	return kind;
}

static void expect_notice(struct sender *s, int kind, const char *part)
{
	char text[1024];

	assert_int_equal(notice(s, text, sizeof text), kind);
	if (!strstr(text, part))
		print_error("'%s' does not hold '%s'\n", text, part);
	assert_non_null(strstr(text, part));
}

static struct sender_stats stats_of(struct sender *s)
{
	struct sender_stats stats;

	sender_stats(s, &stats);
	return stats;
}

static int clean(void **state)
{
	memset(&seen, 0, sizeof seen);
	return 0;
}

/* ------------------------------------------------------------------ a server that is well */

static void test_in_order_on_one_connection(void **state)
{
	struct sender *s;

	serve(NULL, false, 0);
	s = sender_of(options());
	put(s, "one");
	put(s, "two");
	done(s, 2);
	put(s, "three");
	done(s, 3);
	assert_string_equal(seen.text, "one\ntwo\nthree\n");
	assert_int_equal(server.connections, 1);
	assert_non_null(strstr(seen.head, "POST /alerts HTTP/1.1\r\n"));
	assert_non_null(strstr(seen.head, "\r\nUser-Agent: falcosecurity/falco\r\n"));
	assert_non_null(strstr(seen.head, "\r\nContent-Type: application/json\r\n"));
	assert_null(strstr(seen.head, "Expect:"));
	assert_int_equal(stats_of(s).failures, 0);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_connection_ends_without_keep_alive(void **state)
{
	struct http_options o;
	struct sender *s;

	serve(NULL, false, 0);
	o = options();
	o.keep_alive = false;
	s = sender_of(o);
	for (uint64_t i = 1; i <= 3; i++) {
		put(s, "x");
		done(s, i);
	}
	assert_int_equal(server.connections, 3);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_packed(void **state)
{
	struct http_options o;
	struct sender *s;
	char *text = malloc(100001);

	memset(text, 'a', 100000);
	text[100000] = '\0';
	serve(NULL, false, 0);
	o = options();
	o.compress = true;
	s = sender_of(o);
	put(s, text);
	done(s, 1);
	assert_true(seen.packed);
	assert_int_equal(seen.len, 100001);
	assert_memory_equal(seen.text, text, 100000);
	assert_non_null(strstr(seen.head, "\r\nContent-Encoding: gzip\r\n"));
	assert_true(strtoul(strstr(seen.head, "Content-Length:") + 15, NULL, 10) < 1000);
	put(s, "and again");
	done(s, 2);
	assert_memory_equal(seen.text + 100001, "and again\n", 10);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
	free(text);
}

static void test_echo(void **state)
{
	struct http_options o;
	struct sender *s;
	char text[64];

	serve(NULL, false, 0);
	seen.answer = "thank you";
	o = options();
	o.echo = true;
	s = sender_of(o);
	put(s, "x");
	assert_int_equal(notice(s, text, sizeof text), SENDER_ECHO);
	assert_string_equal(text, "thank you");
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_batches(void **state)
{
	struct http_options o;
	struct sender *s;

	serve(NULL, false, 0);
	seen.script[0] = 503;			/* for the second that it asks for, the others gather */
	o = options();
	o.max_batch = 3;
	s = sender_of(o);
	put(s, "1");
	expect_notice(s, SENDER_DOWN, "the server answers 503");
	for (const char *p = "2\0003\0004\0005\0"; *p; p += 2)
		put(s, p);
	done(s, 5);
	assert_string_equal(seen.text, "1\n1\n2\n3\n4\n5\n");
	assert_int_equal(server.requests, 3);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

/* ------------------------------------------------------------------ TLS */

/* One alert over TLS with these files: taken, or not, for a reason that the notice holds. */
static void try_tls(bool mtls, struct tls_options tls, const char *why)
{
	struct http_options o;
	struct sender *s;

	clean(NULL);
	serve(dir, mtls, 0);
	o = options();
	o.tls = tls;
	s = sender_of(o);
	put(s, "secret");
	if (why) {
		expect_notice(s, SENDER_DOWN, why);
		assert_int_equal(sender_settled(s), 0);
		assert_int_equal(seen.len, 0);
		assert_true(stats_of(s).down);
	} else {
		done(s, 1);
		assert_string_equal(seen.text, "secret\n");
	}
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_tls_authorities(void **state)
{
	try_tls(false, (struct tls_options){ .ca_cert = file("ca.pem") }, NULL);
	try_tls(false, (struct tls_options){ .ca_bundle = file("ca.pem") }, NULL);
	try_tls(false, (struct tls_options){ .ca_path = file("path") }, NULL);
	try_tls(false, (struct tls_options){ .insecure = true }, NULL);
	try_tls(false, (struct tls_options){ .ca_cert = file("otherca.pem") }, "certificate");
	try_tls(false, (struct tls_options){ .ca_cert = file("otherca.pem"), .ca_bundle = file("ca.pem") }, "certificate");
	try_tls(false, (struct tls_options){ .ca_path = "/etc/ssl/certs" }, "certificate");
}

static void test_mutual_tls(void **state)
{
	struct tls_options tls = { .ca_cert = file("ca.pem"), .client_cert = file("client.pem"), .client_key = file("client.key") };

	try_tls(true, tls, NULL);
	tls.client_cert = file("other.pem");
	tls.client_key = file("other.key");
	try_tls(true, tls, "");
	try_tls(true, (struct tls_options){ .ca_cert = file("ca.pem") }, "");
}

/* Each alert over a connection of its own, which resumes the session of the one before. */
static void test_mutual_tls_without_keep_alive(void **state)
{
	struct http_options o;
	struct sender *s;

	serve(dir, true, 0);
	o = options();
	o.keep_alive = false;
	o.tls = (struct tls_options){ .ca_cert = file("ca.pem"), .client_cert = file("client.pem"), .client_key = file("client.key") };
	s = sender_of(o);
	for (uint64_t i = 1; i <= 3; i++) {
		put(s, "x");
		done(s, i);
	}
	assert_int_equal(server.connections, 3);
	assert_int_equal(stats_of(s).failures, 0);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_files_that_are_not_there(void **state)
{
	struct http_options o = options();

	snprintf(url, sizeof url, "https://localhost:1/");
	o.tls.ca_cert = "/no/such/ca.pem";
	assert_null(http_sender_new(&o, &err));
	assert_string_equal(err.text, "cannot read the certificate of the CA '/no/such/ca.pem': No such file or directory");
	o.tls = (struct tls_options){ .client_cert = file("client.pem"), .client_key = "/no/key" };
	assert_null(http_sender_new(&o, &err));
	assert_string_equal(err.text, "cannot read the key of the client certificate '/no/key': No such file or directory");
	o.tls = (struct tls_options){ 0 };
	o.url = "ftp://localhost/";
	assert_null(http_sender_new(&o, &err));
	assert_string_equal(err.text, "the URL begins with 'ftp://', not with http:// or https://");
	o.url = "";
	assert_null(http_sender_new(&o, &err));
	assert_non_null(strstr(err.text, "the URL is wrong: "));
}

/* ------------------------------------------------------------------ a server that is not */

static void test_failed_then_taken(void **state)
{
	struct sender *s;

	serve(NULL, false, 0);
	seen.script[0] = 500;
	seen.script[1] = 404;
	seen.answer = "not now\n";
	s = sender_of(options());
	put(s, "one");
	put(s, "two");
	done(s, 2);
	assert_string_equal(seen.text, "one\none\none\ntwo\n");
	expect_notice(s, SENDER_DOWN, ": the server answers 500: not now ");
	expect_notice(s, SENDER_UP, "takes alerts again");
	assert_int_equal(stats_of(s).failures, 2);
	assert_int_equal(stats_of(s).again, 2);
	assert_int_equal(stats_of(s).refused, 0);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_waits_as_long_as_the_server_asks(void **state)
{
	struct sender *s;
	uint64_t start;

	serve(NULL, false, 0);
	seen.script[0] = 503;			/* with Retry-After: 1 */
	s = sender_of(options());
	start = sys_now_ns();
	put(s, "one");
	done(s, 1);
	assert_true(sys_now_ns() - start >= 1000000000u);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_refused_for_good(void **state)
{
	struct sender *s;

	serve(NULL, false, 0);
	seen.poison = "bad";
	s = sender_of(options());
	put(s, "one");
	put(s, "bad");
	put(s, "two");
	done(s, 3);
	assert_string_equal(seen.text, "one\nbad\ntwo\n");
	expect_notice(s, SENDER_ERROR, "refused 1 alert, not sent again: the server answers 400");
	assert_int_equal(stats_of(s).refused, 1);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_refused_batch_is_taken_apart(void **state)
{
	struct http_options o;
	struct sender *s;

	serve(NULL, false, 0);
	seen.script[0] = 503;
	seen.poison = "bad";
	o = options();
	o.max_batch = 3;
	s = sender_of(o);
	put(s, "0");
	expect_notice(s, SENDER_DOWN, "503");
	put(s, "bad");
	put(s, "2");
	put(s, "3");
	put(s, "4");
	done(s, 5);
	assert_string_equal(seen.text, "0\n0\nbad\n2\n0\nbad\n2\n3\n4\n");
	assert_int_equal(stats_of(s).refused, 1);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_hangs(void **state)
{
	struct http_options o;
	struct sender *s;

	serve(NULL, false, 0);
	seen.script[0] = seen.script[1] = seen.script[2] = HTTP_HANG;
	o = options();
	o.timeout_ms = 700;
	o.max_timeouts = 2;
	s = sender_of(o);
	put(s, "one");
	put(s, "two");
	done(s, 2);
	assert_string_equal(seen.text, "one\none\none\none\ntwo\n");
	assert_int_equal(stats_of(s).timeouts, 3);
	/* only the third is a failure to tell of */
	expect_notice(s, SENDER_DOWN, "timed out");
	expect_notice(s, SENDER_UP, "again");
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_closes(void **state)
{
	struct sender *s;

	serve(NULL, false, 0);
	seen.script[0] = HTTP_CLOSE;
	seen.script[1] = HTTP_CLOSE_MIDDLE;
	s = sender_of(options());
	put(s, "one");
	put(s, "two");
	done(s, 2);
	assert_string_equal(seen.text, "one\none\none\ntwo\n");
	assert_int_equal(stats_of(s).again, 2);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_endless_answer(void **state)
{
	struct http_options o;
	struct sender *s;

	serve(NULL, false, 0);
	seen.script[0] = HTTP_ENDLESS;
	o = options();
	o.timeout_ms = 0;
	s = sender_of(o);
	put(s, "one");
	put(s, "two");
	done(s, 2);
	assert_string_equal(seen.text, "one\ntwo\n");
	assert_int_equal(stats_of(s).failures, 0);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

static void test_gone_and_back(void **state)
{
	struct sender *s;
	char text[16], want[1024] = "";

	serve(NULL, false, 0);
	s = sender_of(options());
	for (int i = 0; i < 100; i++) {
		if (i == 30) {
			done(s, 30);
			http_server_stop(&server);
		}
		snprintf(text, sizeof text, "%d", i);
		put(s, text);
		strcat(strcat(want, text), "\n");
	}
	expect_notice(s, SENDER_DOWN, "http://localhost:");
	assert_false(settled(s, 31, 300));
	assert_true(stats_of(s).down);
	assert_int_equal(stats_of(s).waiting, 70);
	serve(NULL, false, server.port);
	done(s, 100);
	assert_string_equal(seen.text, want);
	sender_close(s, 0, NULL);
	http_server_stop(&server);
}

/* ------------------------------------------------------------------ bounds */

static void test_bounded(void **state)
{
	struct http_options o = options();
	struct sender *s;
	struct sender_stats last;
	uint64_t start;

	serve(NULL, false, 0);
	seen.script[0] = HTTP_HANG;
	o.timeout_ms = 0;
	o.limits = (struct sender_limits){ 3, 100 };
	s = sender_of(o);
	assert_int_equal(sender_put(s, seen.text, 101), -SENDER_EMSGSIZE);
	put(s, "1");
	put(s, "2");
	assert_int_equal(sender_put(s, seen.text, 99), -SENDER_EAGAIN);
	put(s, "3");
	assert_int_equal(sender_put(s, "4", 1), -SENDER_EAGAIN);
	start = sys_now_ns();
	sender_close(s, 200, &last);
	uint64_t took = (sys_now_ns() - start) / 1000000;
	assert_true(took >= 190 && took < PATIENCE_MS);
	assert_int_equal(last.waiting, 3);
	assert_int_equal(last.settled, 0);
	http_server_stop(&server);
}

static void test_close_waits_for_the_rest(void **state)
{
	struct sender *s;
	struct sender_stats last;

	serve(NULL, false, 0);
	seen.script[0] = 500;
	s = sender_of(options());
	put(s, "1");
	put(s, "2");
	sender_close(s, PATIENCE_MS, &last);
	assert_int_equal(last.settled, 2);
	assert_string_equal(seen.text, "1\n1\n2\n");
	http_server_stop(&server);
}

/* Once the last alert is taken there is nothing to wait for. (A busy machine may take its time, but not five times.) */
static void test_close_ends_with_the_last_alert(void **state)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t start;
		struct sender *s;

		serve(NULL, false, 0);
		s = sender_of(options());
		put(s, "1");
		start = sys_now_ns();
		sender_close(s, PATIENCE_MS, NULL);
		if (sys_now_ns() - start < least)
			least = sys_now_ns() - start;
		http_server_stop(&server);
	}
	assert_true(least < 900000000u);
}

static void test_no_password_in_messages(void **state)
{
	struct http_options o = options();
	struct sender *s;
	char text[1024];

	o.url = "http://falco:geheim@127.0.0.1:1/hook/token?key=token";
	s = sender_of(o);
	assert_string_equal(sender_name(s), "http://127.0.0.1:1");
	put(s, "x");
	assert_int_equal(notice(s, text, sizeof text), SENDER_DOWN);
	assert_null(strstr(text, "geheim"));
	assert_null(strstr(text, "token"));
	sender_close(s, 0, NULL);
}

/* ------------------------------------------------------------------ single requests */

static struct http_answer answer_of(struct http_client *c)
{
	struct http_answer a = { 0 };

	for (uint32_t ms = 0; ms < PATIENCE_MS && !http_client_answer(c, &a); ms++)
		sys_sleep(1);
	assert_true(a.id > 0);
	return a;
}

static int ask(struct http_client *c, struct http_request r)
{
	r.url = r.url ? r.url : url;
	return http_client_ask(c, &r, &err);
}

static void test_single_requests(void **state)
{
	struct http_client *c = http_client_new(2, 4, &err);
	const char *headers[] = { "X-One: 1", "Content-Type: text/x-two" };
	struct http_answer a;
	int id;

	serve(NULL, false, 0);
	seen.answer = "here you are";
	assert_non_null(c);
	id = ask(c, (struct http_request){ .headers = headers, .nheaders = 1 });
	assert_true(id > 0);
	a = answer_of(c);
	assert_int_equal(a.id, id);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.body_len, 12);
	assert_memory_equal(a.body, "here you are", 12);
	assert_string_equal(a.error, "");
	assert_false(a.cut);
	assert_non_null(strstr(seen.head, "GET /alerts HTTP/1.1\r\n"));
	assert_non_null(strstr(seen.head, "\r\nX-One: 1\r\n"));
	assert_non_null(strstr(seen.head, "\r\nUser-Agent: falco\r\n"));

	seen.script[0] = 418;
	assert_true(ask(c, (struct http_request){ .method = "PUT", .headers = headers, .nheaders = 2, .body = "text",
						  .body_len = 4, .max_answer = 4 }) > id);
	a = answer_of(c);
	assert_int_equal(a.status, 418);
	assert_int_equal(a.body_len, 4);
	assert_true(a.cut);
	assert_non_null(strstr(seen.head, "PUT /alerts HTTP/1.1\r\n"));
	assert_non_null(strstr(seen.head, "\r\nContent-Type: text/x-two\r\n"));
	assert_non_null(strstr(seen.text, "text\n"));
	http_client_free(c);
	http_server_stop(&server);
}

static void test_single_request_fails(void **state)
{
	struct http_client *c = http_client_new(2, 4, &err);
	struct http_answer a;

	serve(NULL, false, 0);
	seen.script[0] = HTTP_HANG;
	assert_true(ask(c, (struct http_request){ .timeout_ms = 100 }) > 0);
	a = answer_of(c);
	assert_int_equal(a.status, 0);
	assert_non_null(strstr(a.error, "timed out"));
	assert_true(ask(c, (struct http_request){ .url = "http://127.0.0.1:1/" }) > 0);
	assert_non_null(strstr(answer_of(c).error, "onnect"));
	http_server_stop(&server);

	serve(dir, false, 0);
	assert_true(ask(c, (struct http_request){ .tls.ca_cert = file("otherca.pem") }) > 0);
	assert_non_null(strstr(answer_of(c).error, "certificate"));
	assert_true(ask(c, (struct http_request){ .tls.ca_cert = file("ca.pem") }) > 0);
	assert_int_equal(answer_of(c).status, 200);
	http_client_free(c);
	http_server_stop(&server);
}

/* One after the other, each as soon as the one before has its answer: not when something else wakes the thread. */
static void test_single_requests_that_wait_have_their_turn(void **state)
{
	enum { N = 20 };
	struct http_client *c = http_client_new(1, N, &err);
	uint64_t start = sys_now_ns();

	serve(NULL, false, 0);
	assert_non_null(c);
	for (int i = 0; i < N; i++)
		assert_true(ask(c, (struct http_request){ 0 }) > 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(answer_of(c).status, 200);
	assert_true(sys_now_ns() - start < N / 2 * 1000000000ull);	/* the thread looks up every second anyway */
	http_client_free(c);
	http_server_stop(&server);
}

static void test_single_requests_are_bounded(void **state)
{
	struct http_client *c = http_client_new(1, 2, &err);
	const char *bad[] = { "X: 1\r\nY: 2" };
	uint64_t start;

	serve(NULL, false, 0);
	seen.script[0] = seen.script[1] = HTTP_HANG;
	assert_int_equal(ask(c, (struct http_request){ .url = "file:///etc/shadow" }), -EINVAL);
	assert_int_equal(ask(c, (struct http_request){ .url = "no url" }), -EINVAL);
	assert_int_equal(ask(c, (struct http_request){ .headers = bad, .nheaders = 1 }), -EINVAL);
	assert_string_equal(err.text, "header 1 has a line break in it");
	assert_int_equal(ask(c, (struct http_request){ .method = "GET / HTTP/1.1\r\nX: 1\r\n" }), -EINVAL);
	assert_true(ask(c, (struct http_request){ 0 }) > 0);
	assert_true(ask(c, (struct http_request){ 0 }) > 0);
	assert_int_equal(ask(c, (struct http_request){ 0 }), -SENDER_EAGAIN);
	start = sys_now_ns();
	http_client_free(c);
	assert_true(sys_now_ns() - start < 5000000000u);	/* their own time is 10 s */
	http_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_in_order_on_one_connection, clean),
		cmocka_unit_test_setup(test_connection_ends_without_keep_alive, clean),
		cmocka_unit_test_setup(test_packed, clean),
		cmocka_unit_test_setup(test_echo, clean),
		cmocka_unit_test_setup(test_batches, clean),
		cmocka_unit_test_setup(test_tls_authorities, clean),
		cmocka_unit_test_setup(test_mutual_tls, clean),
		cmocka_unit_test_setup(test_mutual_tls_without_keep_alive, clean),
		cmocka_unit_test_setup(test_files_that_are_not_there, clean),
		cmocka_unit_test_setup(test_failed_then_taken, clean),
		cmocka_unit_test_setup(test_waits_as_long_as_the_server_asks, clean),
		cmocka_unit_test_setup(test_refused_for_good, clean),
		cmocka_unit_test_setup(test_refused_batch_is_taken_apart, clean),
		cmocka_unit_test_setup(test_hangs, clean),
		cmocka_unit_test_setup(test_closes, clean),
		cmocka_unit_test_setup(test_endless_answer, clean),
		cmocka_unit_test_setup(test_gone_and_back, clean),
		cmocka_unit_test_setup(test_bounded, clean),
		cmocka_unit_test_setup(test_close_waits_for_the_rest, clean),
		cmocka_unit_test_setup(test_close_ends_with_the_last_alert, clean),
		cmocka_unit_test_setup(test_no_password_in_messages, clean),
		cmocka_unit_test_setup(test_single_requests, clean),
		cmocka_unit_test_setup(test_single_request_fails, clean),
		cmocka_unit_test_setup(test_single_requests_that_wait_have_their_turn, clean),
		cmocka_unit_test_setup(test_single_requests_are_bounded, clean),
	};
	char command[128];
	int failures;

	signal(SIGPIPE, SIG_IGN);
	strcpy(dir, "/tmp/test_http-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(command, sizeof command, "test/peers/certs %s", dir);
	if (system(command) != 0) {
		fprintf(stderr, "test/peers/certs failed (openssl)\n");
		return 1;
	}
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) == 0 ? failures : 1;
}
