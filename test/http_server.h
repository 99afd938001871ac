/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server for tests, in threads of the test: real sockets, real TLS, and as badly behaved as answer() says.
 *
 *	struct http_server s = { .answer = on_request, .certs = dir, .mtls = true };
 *	http_server_start(&s);		the port is in s.port; one that is set before is taken again
 *	http_server_stop(&s);		breaks all connections
 */
#ifndef FALCO_TEST_HTTP_SERVER_H
#define FALCO_TEST_HTTP_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum {
	HTTP_HANG = -1,			/* takes the request and says nothing */
	HTTP_CLOSE = -2,		/* closes without an answer */
	HTTP_CLOSE_MIDDLE = -3,		/* closes in the middle of the answer */
	HTTP_ENDLESS = -4,		/* 200, and an answer that does not end */
	HTTP_HEAD_MAX = 16384, HTTP_CONNECTIONS = 64,
};

struct http_seen {
	char head[HTTP_HEAD_MAX];	/* request line and headers */
	char *body;			/* unpacked */
	size_t len;
	bool packed;
};

struct http_server;

struct http_connection {
	struct http_server *server;
	pthread_t thread;
	int fd;
	bool used;
	SSL *ssl;
	char buf[65536];
	size_t have, at;
};

struct http_server {
	/* status, with an answer in text[cap]; or HTTP_*. Called one at a time. */
	int (*answer)(struct http_server *s, const struct http_seen *seen, char *text, size_t cap);
	void *arg;
	const char *certs;		/* of test/peers/certs; NULL: no TLS */
	bool mtls;
	int port;
	/* its own */
	int listener;
	SSL_CTX *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	bool stopping;
	unsigned connections, requests;	/* TLS connections count once they are agreed on */
	struct http_connection *c[HTTP_CONNECTIONS];
};

static ssize_t http_read_some(struct http_connection *c, char *p, size_t n)
{
	return c->ssl ? SSL_read(c->ssl, p, (int)n) : read(c->fd, p, n);
}

static bool http_send(struct http_connection *c, const char *p, size_t n)
{
	for (ssize_t done; n > 0; p += done, n -= (size_t)done) {
		done = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
		if (done <= 0)
			return false;
	}
	return true;
}

static int http_byte(struct http_connection *c)
{
	if (c->at == c->have) {
		ssize_t n = http_read_some(c, c->buf, sizeof c->buf);

		if (n <= 0)
			return -1;
		c->have = (size_t)n;
		c->at = 0;
	}
	return (unsigned char)c->buf[c->at++];
}

static bool http_read_head(struct http_connection *c, char *head)
{
	for (size_t n = 0; n < HTTP_HEAD_MAX - 1;) {
		int byte = http_byte(c);

		if (byte < 0)
			return false;
		head[n++] = (char)byte;
		head[n] = '\0';
		if (n >= 4 && !memcmp(head + n - 4, "\r\n\r\n", 4))
			return true;
	}
	return false;
}

static void http_unpack(struct http_seen *seen)
{
	z_stream z = { .next_in = (Bytef *)seen->body, .avail_in = (uInt)seen->len };
	size_t cap = 16 << 20;
	char *plain = malloc(cap);

	z.next_out = (Bytef *)plain;
	z.avail_out = (uInt)cap;
	if (inflateInit2(&z, 15 + 16) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	inflateEnd(&z);
	free(seen->body);
	seen->body = plain;
	seen->len = z.total_out;
	seen->packed = true;
}

static bool http_read_request(struct http_connection *c, struct http_seen *seen)
{
	const char *length;

	if (!http_read_head(c, seen->head))
		return false;
	length = strcasestr(seen->head, "\r\nContent-Length:");
	seen->len = length ? strtoul(length + 17, NULL, 10) : 0;
	seen->body = malloc(seen->len + 1);
	for (size_t i = 0; i < seen->len; i++) {
		int byte = http_byte(c);

		if (byte < 0)
			return false;
		seen->body[i] = (char)byte;
	}
	if (strcasestr(seen->head, "\r\nContent-Encoding: gzip"))
		http_unpack(seen);
	return true;
}

static bool http_one(struct http_connection *c)
{
	struct http_server *s = c->server;
	struct http_seen seen = { .body = NULL };
	char text[65536] = "", *answer = NULL;
	int status, len;
	bool go_on = false;

	if (!http_read_request(c, &seen))
		goto out;
	pthread_mutex_lock(&s->lock);
	s->requests++;
	status = s->answer(s, &seen, text, sizeof text);
	pthread_mutex_unlock(&s->lock);
	if (status == HTTP_HANG)
		while (http_byte(c) >= 0)
			;
	if (status == HTTP_ENDLESS && http_send(c, "HTTP/1.1 200 Answer\r\n\r\n", 23))
		while (http_send(c, c->buf, sizeof c->buf))
			;
	if (status == HTTP_CLOSE || status == HTTP_HANG || status == HTTP_ENDLESS)
		goto out;
	len = asprintf(&answer, "HTTP/1.1 %d Answer\r\nContent-Length: %zu\r\n%s\r\n%s", status < 0 ? 200 : status, strlen(text) +
		(status == HTTP_CLOSE_MIDDLE ? 100 : 0), status == 503 ? "Retry-After: 1\r\n" : "", text);
	go_on = http_send(c, answer, (size_t)len) && status != HTTP_CLOSE_MIDDLE;
out:
	free(answer);
	free(seen.body);
	return go_on;
}

static void *http_connection_main(void *arg)
{
	struct http_connection *c = arg;
	struct http_server *s = c->server;
	bool ok = true;

	if (s->ctx) {
		c->ssl = SSL_new(s->ctx);
		SSL_set_fd(c->ssl, c->fd);
		ok = SSL_accept(c->ssl) == 1;
	}
	if (ok) {
		pthread_mutex_lock(&s->lock);
		s->connections++;
		pthread_mutex_unlock(&s->lock);
	}
	while (ok && http_one(c))
		;
	if (c->ssl)
		SSL_free(c->ssl);
	pthread_mutex_lock(&s->lock);
	shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void *http_server_main(void *arg)
{
	struct http_server *s = arg;
	int fd, one = 1;

	while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct http_connection *c = NULL;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		for (int i = 0; i < HTTP_CONNECTIONS && !c; i++) {
			pthread_mutex_lock(&s->lock);
			bool over = s->c[i]->used && s->c[i]->fd < 0;
			pthread_mutex_unlock(&s->lock);
			if (over) {		/* its thread is at its end */
				pthread_join(s->c[i]->thread, NULL);
				s->c[i]->used = false;
			}
			if (!s->c[i]->used)
				c = s->c[i];
		}
		if (!c)
			abort();
		pthread_mutex_lock(&s->lock);
		*c = (struct http_connection){ .server = s, .fd = fd, .used = true };
		if (s->stopping)
			shutdown(fd, SHUT_RDWR);
		pthread_mutex_unlock(&s->lock);
		pthread_create(&c->thread, NULL, http_connection_main, c);
	}
	return NULL;
}

static SSL_CTX *http_server_ctx(const struct http_server *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char path[512];

	snprintf(path, sizeof path, "%s/server.pem", s->certs);
	if (SSL_CTX_use_certificate_file(ctx, path, SSL_FILETYPE_PEM) != 1)
		abort();
	snprintf(path, sizeof path, "%s/server.key", s->certs);
	if (SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) != 1)
		abort();
	/* without it, sessions of clients that showed a certificate cannot be resumed */
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
	if (s->mtls) {
		snprintf(path, sizeof path, "%s/ca.pem", s->certs);
		if (SSL_CTX_load_verify_locations(ctx, path, NULL) != 1)
			abort();
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}

static inline void http_server_start(struct http_server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int one = 1;

	s->ctx = s->certs ? http_server_ctx(s) : NULL;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->listener, 64) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&a, &len) < 0) {
		perror("http_server_start");
		abort();
	}
	s->port = ntohs(a.sin_port);
	s->stopping = false;
	s->connections = s->requests = 0;
	pthread_mutex_init(&s->lock, NULL);
	for (int i = 0; i < HTTP_CONNECTIONS; i++)
		s->c[i] = calloc(1, sizeof *s->c[i]);
	pthread_create(&s->thread, NULL, http_server_main, s);
}

static inline void http_server_stop(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	for (int i = 0; i < HTTP_CONNECTIONS; i++)
		if (s->c[i]->used && s->c[i]->fd >= 0)
			shutdown(s->c[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	for (int i = 0; i < HTTP_CONNECTIONS; i++) {
		if (s->c[i]->used)
			pthread_join(s->c[i]->thread, NULL);
		free(s->c[i]);
	}
	if (s->ctx)
		SSL_CTX_free(s->ctx);
	pthread_mutex_destroy(&s->lock);
}

#endif
