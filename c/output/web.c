/* SPDX-License-Identifier: Apache-2.0 */
/* See web.h. HTTP and TLS are libmicrohttpd's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "web.h"

enum { FRESH_MS = 1000, PATIENCE_MS = 400 };
enum { MAX_CONNECTIONS = 256, CROWD = 128, IDLE_S = 10, MAX_AGE_S = 30, BACKLOG = 512 };
enum { REQUEST_BYTES = 16 << 10 };	/* of one connection's headers and buffers */
enum { MAX_PEM = 1 << 20 };

#define NS_PER_MS 1000000ull

struct page {
	char *text;			/* NULL: nobody has put it yet */
	size_t len;
	uint64_t at;			/* sys_now_ns() when it was put */
};

/* A connection, from accept to close; also `asks`, while it waits for a page. */
struct client {
	struct client *next, **back;
	struct MHD_Connection *connection;
	uint64_t since, until;		/* until: its patience with the worker; 0: it does not wait */
	uint32_t page;			/* that it waits for */
	bool ended;			/* to make room */
};

struct web {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	bool started;
	atomic_bool ended;
	char healthz[128];
	bool metrics;
	uint16_t port;
	char *pem;
	struct client *clients;		/* the thread's; the youngest first */
	struct client *eldest;
	uint32_t nclients;
	pthread_mutex_t lock;		/* of the pages */
	struct page pages[WEB_PAGES];
	atomic_ullong requests, refused, cut;
};

static const struct {
	const char *path, *type;
	bool on_demand;
} PAGES[WEB_PAGES] = {
	[WEB_METRICS] = { "/metrics", "text/plain; version=0.0.4; charset=utf-8", true },
	[WEB_VERSIONS] = { "/versions", "application/json", false },
	[WEB_RULES] = { "/rules", "application/json", true },
};

/* ------------------------------------------------------------------ answers */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, const char *text, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	if (status >= 400)
		MHD_add_response_header(r, "Connection", "close");
	rc = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result refuse(struct web *w, struct MHD_Connection *c, unsigned status, const char *text)
{
	atomic_fetch_add(&w->refused, 1);
	return answer(c, status, "text/plain", text, strlen(text));
}

static bool is_fresh(struct web *w, uint32_t page)
{
	bool fresh;

	pthread_mutex_lock(&w->lock);
	fresh = w->pages[page].text && (!PAGES[page].on_demand || sys_now_ns() - w->pages[page].at < FRESH_MS * NS_PER_MS);
	pthread_mutex_unlock(&w->lock);
	return fresh;
}

static enum MHD_Result answer_page(struct web *w, struct MHD_Connection *c, uint32_t page)
{
	char *copy = NULL;
	size_t len = 0;
	enum MHD_Result rc;

	pthread_mutex_lock(&w->lock);
	if (w->pages[page].text && (copy = malloc(w->pages[page].len + 1))) {
		len = w->pages[page].len;
		memcpy(copy, w->pages[page].text, len);
	}
	pthread_mutex_unlock(&w->lock);
	if (!copy)
		return refuse(w, c, MHD_HTTP_SERVICE_UNAVAILABLE, "not yet\n");
	rc = answer(c, MHD_HTTP_OK, PAGES[page].type, copy, len);
	free(copy);
	return rc;
}

/* Of a request that a page answers. The second call, after it waited, takes what there is. */
static enum MHD_Result get_page(struct web *w, struct client *client, struct MHD_Connection *c, uint32_t page)
{
	if (is_fresh(w, page) || client->until) {
		client->until = 0;
		return answer_page(w, c, page);
	}
	client->page = page;
	client->until = sys_now_ns() + PATIENCE_MS * NS_PER_MS;
	MHD_suspend_connection(c);
	sys_request(REQUEST_SNAPSHOT);
	return MHD_YES;
}

static struct client *client_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				  const char *data, size_t *size, void **state)
{
	static const char ok[] = "{\"status\": \"ok\"}";
	struct client *client = client_of(c);
	struct web *w = ctx;

	if (!client)
		return MHD_NO;
	if (!*state) {			/* headers alone so far */
		*state = client;
		client->until = 0;
		atomic_fetch_add(&w->requests, 1);
		if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
			return refuse(w, c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are served\n");
		if (MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length") ||
		    MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding"))
			return refuse(w, c, MHD_HTTP_BAD_REQUEST, "a request has no body here\n");
		return MHD_YES;
	}
	if (*size)
		return MHD_NO;
	if (!strcmp(url, w->healthz))
		return answer(c, MHD_HTTP_OK, "application/json", ok, sizeof ok - 1);
	for (uint32_t page = 0; page < WEB_PAGES; page++)
		if (!strcmp(url, PAGES[page].path) && (page != WEB_METRICS || w->metrics))
			return get_page(w, client, c, page);
	return refuse(w, c, MHD_HTTP_NOT_FOUND, "no such page\n");
}

/* ------------------------------------------------------------------ connections */

/* The next younger one. */
static struct client *client_before(const struct web *w, const struct client *client)
{
	return client->back == &w->clients ? NULL : (struct client *)((char *)client->back - offsetof(struct client, next));
}

static void unlink_client(struct web *w, struct client *client)
{
	*client->back = client->next;
	if (client->next)
		client->next->back = client->back;
	if (w->eldest == client)
		w->eldest = client_before(w, client);
	w->nclients--;
}

static void link_client(struct web *w, struct client *client)
{
	client->next = w->clients;
	client->back = &w->clients;
	if (client->next)
		client->next->back = &client->next;
	else
		w->eldest = client;
	w->clients = client;
	w->nclients++;
}

/* The connection ends as soon as the daemon looks at it. */
static void end_client(struct web *w, struct client *client)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (info)
		shutdown(info->connect_fd, SHUT_RDWR);
	atomic_fetch_add(&w->cut, 1);
}

/*
 * Somebody who holds connections open and asks for nothing must not keep others from asking: of a crowd those that came first and
 * are not being answered make room. Whoever really asks is answered long before it is one of them.
 */
static void thin_out(struct web *w)
{
	struct client *client = w->eldest;

	for (uint32_t n = w->nclients; n > CROWD && client; n--) {
		struct client *before = client_before(w, client);

		if (!client->until && !client->ended) {
			client->ended = true;
			end_client(w, client);
		}
		client = before;
	}
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode what)
{
	struct web *w = ctx;
	struct client *client = *state;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		if (!(client = calloc(1, sizeof *client)))
			return;
		client->connection = c;
		client->since = sys_now_ns();
		link_client(w, client);
		*state = client;
		thin_out(w);
	} else if (client) {
		unlink_client(w, client);
		free(client);
		*state = NULL;
	}
}

/* Lets those go on that waited, and ends those that take too long. Returns whether somebody waits. */
static bool look_after(struct web *w)
{
	uint64_t now = sys_now_ns();
	bool waiting = false;

	for (struct client *client = w->clients, *next; client; client = next) {
		next = client->next;
		if (client->until && client->until != UINT64_MAX) {
			if (is_fresh(w, client->page) || now >= client->until) {
				client->until = UINT64_MAX;	/* once */
				MHD_resume_connection(client->connection);
			} else {
				waiting = true;
			}
		} else if (now - client->since > MAX_AGE_S * 1000 * NS_PER_MS) {
			client->since = now;	/* one that sends a byte now and then is never idle */
			end_client(w, client);
		}
	}
	return waiting;
}

static void *web_run(void *arg)
{
	struct web *w = arg;
	bool waiting = false;

	while (!atomic_load(&w->ended)) {
		MHD_run_wait(w->daemon, waiting ? 5 : 250);
		waiting = look_after(w);
	}
	for (struct client *client = w->clients; client; client = client->next)
		if (client->until && client->until != UINT64_MAX)
			MHD_resume_connection(client->connection);
	return NULL;
}

/* ------------------------------------------------------------------ from outside */

static char *read_pem(const char *path, struct err *err)
{
	char *text = malloc(MAX_PEM + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = -1;

	if (text && fd >= 0)
		while (len < MAX_PEM && (n = read(fd, text + len, MAX_PEM - len)) > 0)
			len += (size_t)n;
	if (!text || fd < 0 || n != 0) {
		err_set(err, errno, "webserver.ssl_certificate: %s: %s", path, n > 0 ? "it is too large" : strerror(errno));
		free(text);
		text = NULL;
	} else {
		text[len] = '\0';
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static int listen_on(const struct web_options *o, uint16_t *port, struct err *err)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
	socklen_t len = sizeof *v4;
	int fd, on = 1;

	if (inet_pton(AF_INET, o->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(o->port);
	} else if (inet_pton(AF_INET6, o->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(o->port);
		len = sizeof *v6;
	} else {
		return err_set(err, EINVAL, "webserver.listen_address: '%s' is no address", o->address);
	}
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) || listen(fd, BACKLOG)) {
		err_set(err, errno, "webserver: cannot listen on %s port %u: %s", o->address, o->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -EADDRINUSE;
	}
	len = sizeof at;
	getsockname(fd, (struct sockaddr *)&at, &len);
	*port = ntohs(at.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
	return fd;
}

static struct MHD_Daemon *start_daemon(struct web *w, int fd)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | (w->pem ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, w->pem }, { MHD_OPTION_HTTPS_MEM_CERT, 0, w->pem }, { MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, w, MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, w, MHD_OPTION_ARRAY, w->pem ? tls : none,
				MHD_OPTION_END);
}

struct web *web_new(const struct web_options *o, struct err *err)
{
	struct web *w = calloc(1, sizeof *w);
	int fd;

	if (!w) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	w->metrics = o->metrics;
	snprintf(w->healthz, sizeof w->healthz, "%s", o->healthz);
	if (o->certificate && !(w->pem = read_pem(o->certificate, err)))
		goto fail;
	if ((fd = listen_on(o, &w->port, err)) < 0)
		goto fail;
	if ((w->daemon = start_daemon(w, fd)))
		return w;
	close(fd);
	if (o->certificate)
		err_set(err, EINVAL, "webserver.ssl_certificate: %s: a certificate and its key are wanted there, as PEM",
			o->certificate);
	else
		err_set(err, EINVAL, "webserver: it cannot be started");
fail:
	web_free(w);
	return NULL;
}

int web_start(struct web *w, struct err *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);		/* they are for the worker */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = w->started ? 0 : pthread_create(&w->thread, NULL, web_run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_set(err, rc, "webserver: cannot start its thread: %s", strerror(rc));
	w->started = true;
	return 0;
}

uint16_t web_port(const struct web *w)
{
	return w->port;
}

int web_put(struct web *w, uint32_t page, const char *text, size_t len)
{
	char *copy = malloc(len + 1), *old;

	REQUIRE(page < WEB_PAGES);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	pthread_mutex_lock(&w->lock);
	old = w->pages[page].text;
	w->pages[page] = (struct page){ .text = copy, .len = len, .at = sys_now_ns() };
	pthread_mutex_unlock(&w->lock);
	free(old);
	return 0;
}

void web_stats(const struct web *w, struct web_stats *stats)
{
	*stats = (struct web_stats){
		.requests = atomic_load(&w->requests), .refused = atomic_load(&w->refused), .cut = atomic_load(&w->cut),
	};
}

void web_free(struct web *w)
{
	if (!w)
		return;
	if (w->started) {
		atomic_store(&w->ended, true);
		pthread_join(w->thread, NULL);
	}
	if (w->daemon)
		MHD_stop_daemon(w->daemon);
	for (uint32_t i = 0; i < WEB_PAGES; i++)
		free(w->pages[i].text);
	pthread_mutex_destroy(&w->lock);
	free(w->pem);
	free(w);
}
