/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SLICE_MS = 100, MS = 1000000 };

/* ------------------------------------------------------------------ waiting */

/* 0 when the descriptor is ready for `events`. */
static int link_wait(struct link *l, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = l->fd, .events = events };
		uint64_t now = sys_now_ns(), left;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (l->give_up(l->arg))
			return -ECANCELED;
		left = (deadline - now + MS - 1) / MS;
		int n = poll(&p, 1, left < SLICE_MS ? (int)left : SLICE_MS);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int tls_error(struct link *l, struct err *err, int code)
{
	long verdict = l->ssl ? SSL_get_verify_result(l->ssl) : X509_V_OK;
	unsigned long e = ERR_get_error();

	ERR_clear_error();
	if (verdict != X509_V_OK)
		return err_set(err, EPROTO, "the certificate: %s", X509_verify_cert_error_string(verdict));
	if (e)
		return err_set(err, EPROTO, "TLS: %s", ERR_reason_error_string(e));
	return err_set(err, -code, "%s", code == -EPIPE ? "the connection was closed" : sys_error_text(code));
}

/* What a TLS call that did not get through is waiting for: 0 when it should be called again. */
static int tls_wait(struct link *l, int result, uint64_t deadline, struct err *err)
{
	int saved = errno, code;

	switch (SSL_get_error(l->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		code = link_wait(l, POLLIN, deadline);
		break;
	case SSL_ERROR_WANT_WRITE:
		code = link_wait(l, POLLOUT, deadline);
		break;
	case SSL_ERROR_ZERO_RETURN:
		code = -EPIPE;
		break;
	case SSL_ERROR_SYSCALL:
		return tls_error(l, err, saved ? -saved : -EPIPE);
	default:
		return tls_error(l, err, -EPROTO);
	}
	return code < 0 ? err_set(err, -code, "%s", code == -EPIPE ? "the connection was closed" : sys_error_text(code)) : 0;
}

/* ------------------------------------------------------------------ opening */

static bool given(const char *text)
{
	return text && *text;
}

static int tls_problem(struct err *err, const char *what, const char *path)
{
	unsigned long e = ERR_get_error();

	ERR_clear_error();
	return err_set(err, EINVAL, "the %s '%s' cannot be used: %s", what, path, e ? ERR_reason_error_string(e) : "no reason given");
}

static int set_trust(SSL_CTX *ctx, const struct tls_options *tls, struct err *err)
{
	const char *file = given(tls->ca_cert) ? tls->ca_cert : given(tls->ca_bundle) ? tls->ca_bundle : NULL;
	const char *path = file ? NULL : given(tls->ca_path) ? tls->ca_path : NULL;

	if (tls->insecure) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!file && !path)
		return SSL_CTX_set_default_verify_paths(ctx) == 1 ? 0 : tls_problem(err, "CAs of", "this system");
	return SSL_CTX_load_verify_locations(ctx, file, path) == 1 ? 0 : tls_problem(err, "CA", file ? file : path);
}

static int set_certificate(SSL_CTX *ctx, const struct tls_options *tls, struct err *err)
{
	if (!given(tls->client_cert))
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, tls->client_cert) != 1)
		return tls_problem(err, "client certificate", tls->client_cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, tls->client_key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return tls_problem(err, "key of the client certificate", tls->client_key);
	return 0;
}

int link_init(struct link *l, const struct tls_options *tls, bool (*give_up)(void *arg), void *arg, struct err *err)
{
	int code;

	*l = (struct link){ .fd = -1, .give_up = give_up, .arg = arg };
	if (!tls)
		return 0;
	l->ctx = SSL_CTX_new(TLS_client_method());
	if (!l->ctx)
		return err_set(err, ENOMEM, "out of memory");
	SSL_CTX_set_min_proto_version(l->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(l->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	code = set_trust(l->ctx, tls, err);
	if (!code)
		code = set_certificate(l->ctx, tls, err);
	if (code < 0)
		link_fini(l);
	return code;
}

void link_close(struct link *l)
{
	if (l->ssl)
		SSL_free(l->ssl);
	l->ssl = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void link_fini(struct link *l)
{
	link_close(l);
	if (l->ctx)
		SSL_CTX_free(l->ctx);
	l->ctx = NULL;
}

static int connect_to(struct link *l, const struct sockaddr *a, socklen_t len, uint64_t deadline)
{
	int code = 0, one = 1;
	socklen_t size = sizeof code;

	l->fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	if (connect(l->fd, a, len) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		code = link_wait(l, POLLOUT, deadline);
		if (code < 0)
			return code;
		getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &code, &size);
		if (code)
			return -code;
	}
	if (a->sa_family != AF_UNIX) {
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	}
	return 0;
}

static int connect_unix(struct link *l, const char *path, uint64_t deadline)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	return connect_to(l, (struct sockaddr *)&a, sizeof a, deadline);
}

static void note_local(struct link *l)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	char host[48] = "", port[8] = "";

	if (getsockname(l->fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family != AF_UNIX &&
	    getnameinfo((struct sockaddr *)&a, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(l->local, sizeof l->local, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int connect_inet(struct link *l, const struct link_target *target, uint64_t deadline, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list;
	int code = getaddrinfo(target->host, target->port, &hints, &list);

	if (code)
		return err_set(err, EHOSTUNREACH, "the name '%s' leads nowhere: %s", target->host, gai_strerror(code));
	code = -EHOSTUNREACH;
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		code = connect_to(l, a->ai_addr, a->ai_addrlen, deadline);
		if (!code || code == -ECANCELED)
			break;
		link_close(l);
	}
	freeaddrinfo(list);
	if (!code)
		note_local(l);
	return code < 0 ? err_set(err, -code, "%s", sys_error_text(code)) : 0;
}

static int agree_on_tls(struct link *l, const char *host, uint64_t deadline, struct err *err)
{
	unsigned char address[16];
	bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	int code = 0, r;

	l->ssl = SSL_new(l->ctx);
	if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
		return err_set(err, ENOMEM, "out of memory");
	if (is_address)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->ssl), host);
	else if (SSL_set1_host(l->ssl, host) != 1 || SSL_set_tlsext_host_name(l->ssl, host) != 1)
		return err_set(err, EINVAL, "'%s' is no name of a host", host);
	while (!code && (r = SSL_connect(l->ssl)) != 1)
		code = tls_wait(l, r, deadline, err);
	return code;
}

int link_open(struct link *l, const struct link_target *target, uint64_t deadline, struct err *err)
{
	int code;

	l->local[0] = '\0';
	if (target->path) {
		code = connect_unix(l, target->path, deadline);
		if (code < 0)
			err_set(err, -code, "%s", sys_error_text(code));
	} else {
		code = connect_inet(l, target, deadline, err);
	}
	if (!code && l->ctx)
		code = agree_on_tls(l, target->host ? target->host : "localhost", deadline, err);
	if (code < 0)
		link_close(l);
	return code;
}

/* ------------------------------------------------------------------ bytes */

int link_write(struct link *l, const char *p, size_t len, uint64_t deadline, struct err *err)
{
	while (len > 0) {
		ssize_t n;
		int code = 0;

		errno = 0;
		n = l->ssl ? SSL_write(l->ssl, p, len < INT32_MAX ? (int)len : INT32_MAX) : send(l->fd, p, len, MSG_NOSIGNAL);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (l->ssl)
			code = tls_wait(l, (int)n, deadline, err);
		else if (errno == EAGAIN || errno == EINTR)
			code = link_wait(l, POLLOUT, deadline);
		else
			code = -errno;
		if (code < 0)
			return l->ssl ? code : err_set(err, -code, "%s", sys_error_text(code));
	}
	return 0;
}

ssize_t link_read(struct link *l, char *p, size_t cap, uint64_t deadline, struct err *err)
{
	for (;;) {
		ssize_t n;
		int code;

		errno = 0;
		n = l->ssl ? SSL_read(l->ssl, p, (int)cap) : recv(l->fd, p, cap, 0);
		if (n > 0)
			return n;
		if (l->ssl)
			code = tls_wait(l, (int)n, deadline, err);
		else if (n == 0)
			return err_set(err, EPIPE, "the connection was closed");
		else if (errno == EAGAIN || errno == EINTR)
			code = link_wait(l, POLLIN, deadline);
		else
			code = -errno;
		if (code < 0)
			return l->ssl ? code : err_set(err, -code, "%s", sys_error_text(code));
	}
}
