/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a peer: TCP or a unix socket, TLS or not. For a thread that may wait; every call ends by its deadline
 * (sys_now_ns()), and soon after give_up() says so.
 *
 * Results: bytes, or -errno: -ETIMEDOUT; -EPIPE: the peer has closed; -ECANCELED: given up; -EPROTO: TLS, see `err`.
 */
#ifndef FALCO_OUTPUT_LINK_H
#define FALCO_OUTPUT_LINK_H

#include <openssl/ssl.h>
#include <sys/types.h>
#include "../engine/ffi.h"

struct link {
	int fd;				/* -1: not open */
	SSL_CTX *ctx;			/* NULL: no TLS */
	SSL *ssl;
	bool (*give_up)(void *arg);
	void *arg;
	char local[64];			/* "address:port" of this end; "" of a unix socket */
};

struct link_target {
	const char *host, *port;	/* or */
	const char *path;		/* of a unix socket */
};

/* tls NULL: without. Files are read here: 0, or -errno and why. */
int link_init(struct link *l, const struct tls_options *tls, bool (*give_up)(void *arg), void *arg, struct err *err);
void link_fini(struct link *l);
int link_open(struct link *l, const struct link_target *target, uint64_t deadline, struct err *err);
void link_close(struct link *l);
int link_write(struct link *l, const char *p, size_t len, uint64_t deadline, struct err *err);	/* all of it: 0 */
ssize_t link_read(struct link *l, char *p, size_t cap, uint64_t deadline, struct err *err);

#endif
