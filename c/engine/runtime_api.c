/* SPDX-License-Identifier: Apache-2.0 */
/* The docker-compatible API over a UNIX socket: asked where files did not tell. One deadline for all of an answer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "runtime.h"
#include "runtime_source.h"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool ready(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = deadline - now_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

static int connect_to(const struct quest *q, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char whole[RUNTIME_PATH];
	int fd;

	if (!host_path(q, whole, "%s", path) || strlen(whole) >= sizeof a.sun_path)
		return -1;
	memcpy(a.sun_path, whole, strlen(whole));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {	/* at once, or the other end is not well */
		close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *text, size_t len, int64_t deadline)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR) || !ready(fd, POLLOUT, deadline)) {
			return false;
		}
	}
	return true;
}

/* Up to the end of the stream. NULL: too late, too much. */
static char *receive_all(int fd, size_t *len, int64_t deadline)
{
	size_t room = 65536;
	char *text = malloc(room), *more;
	ssize_t n;

	for (*len = 0; text;) {
		if (*len == room) {
			if (room >= RUNTIME_MAX_FILE || !(more = realloc(text, room *= 2)))
				break;
			text = more;
		}
		if ((n = recv(fd, text + *len, room - *len, 0)) > 0)
			*len += (size_t)n;
		else if (n == 0)
			return text;
		else if ((errno != EAGAIN && errno != EINTR) || !ready(fd, POLLIN, deadline))
			break;
	}
	free(text);
	return NULL;
}

/* An HTTP/1.0 answer: no chunks, ends where the stream does. */
static json_t *body_of(const char *text, size_t len)
{
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	bool fine = len > 12 && memcmp(text, "HTTP/1.", 7) == 0 && memcmp(text + 8, " 200", 4) == 0;

	return fine && end ? json_loadb(end + 4, len - (size_t)(end + 4 - text), JSON_DISABLE_EOF_CHECK, NULL) : NULL;
}

static json_t *api_get(const struct quest *q, const char *socket_path, const char *what, const char *name,
		       int64_t deadline)
{
	char request[512], *answer = NULL;
	json_t *json = NULL;
	size_t len;
	int n, fd;

	/* names become part of a path: ids of the host's control groups, and of images */
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-") != strlen(name))
		return NULL;
	n = snprintf(request, sizeof request, "GET /%s/%s/json HTTP/1.0\r\nHost: localhost\r\n\r\n", what, name);
	if (n >= (int)sizeof request || (fd = connect_to(q, socket_path)) < 0)
		return NULL;
	if (send_all(fd, request, (size_t)n, deadline) && (answer = receive_all(fd, &len, deadline)))
		json = body_of(answer, len);
	free(answer);
	close(fd);
	return json;
}

static json_t *api_ask(const struct quest *q, const struct runtime_socket *s)
{
	int64_t deadline = now_ms() + RUNTIME_API_MS;
	json_t *inspect = api_get(q, s->path, "containers", q->id, deadline), *image = NULL, *meta = NULL;
	const char *image_id = json_text(inspect, "Image");

	if (inspect && image_id)
		image = api_get(q, s->path, "images", image_id, deadline);
	if (inspect)
		meta = docker_of_inspect(q, inspect, image, s->engine == RUNTIME_USE_PODMAN ? RUNTIME_PODMAN : RUNTIME_DOCKER);
	json_decref(image);
	json_decref(inspect);
	return meta;
}

json_t *api_find(const struct quest *q)
{
	json_t *meta = NULL;

	for (uint32_t i = 0; !meta && i < RUNTIME_SOCKETS; i++)
		if (q->options->sockets[i].engine & q->options->engines)
			meta = api_ask(q, &q->options->sockets[i]);
	return meta;
}
