/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Reads what the programs of tasks.bpf.h write. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "tasks.h"

enum { ROOM = 64 << 10 };

struct reading {
	int fd;
	uint32_t have;			/* bytes of buf */
	uint32_t least;			/* of an entry */
	int (*see)(const struct reading *r, const void *entry);
	task_seen *see_task;
	fd_seen *see_fd;
	void *ctx;
	_Alignas(8) uint8_t buf[ROOM];
};

/* Entries are whole in the kernel's buffer, but reading may cut one. 0 or -errno. */
static int take(struct reading *r)
{
	uint32_t at = 0, size;
	int rc;

	while (r->have - at >= sizeof size) {
		memcpy(&size, r->buf + at, sizeof size);
		if (size < r->least || size > TASKS_MAX_ENTRY || size % 8)
			return -EPROTO;
		if (size > r->have - at)
			break;
		if ((rc = r->see(r, r->buf + at)) < 0)
			return rc;
		at += size;
	}
	r->have -= at;
	memmove(r->buf, r->buf + at, r->have);
	return 0;
}

static int take_all(struct reading *r)
{
	ssize_t n;
	int rc;

	/* the kernel may find nothing to say for a while, and wants to be asked again */
	while ((n = read(r->fd, r->buf + r->have, ROOM - r->have)) != 0) {
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		r->have += (uint32_t)n;
		if ((rc = take(r)) < 0)
			return rc;
	}
	return r->have ? -EPROTO : 0;
}

static int run(const struct bpf_program *program, struct reading *r)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	int rc;

	if (!link)
		return -errno;
	r->fd = bpf_iter_create(bpf_link__fd(link));
	rc = r->fd < 0 ? -errno : take_all(r);
	if (r->fd >= 0)
		close(r->fd);
	bpf_link__destroy(link);
	return rc;
}

static int see_task(const struct reading *r, const void *entry)
{
	const struct task_entry *e = entry;
	uint32_t texts = 0;

	for (uint32_t i = 0; i < TASK_TEXTS; i++)
		texts += e->text_len[i];
	return sizeof *e + texts > e->size ? -EPROTO : r->see_task(r->ctx, e);
}

static int see_fd(const struct reading *r, const void *entry)
{
	const struct fd_entry *e = entry;

	return sizeof *e + e->name_len > e->size ? -EPROTO : r->see_fd(r->ctx, e);
}

int tasks_read(const struct bpf_program *program, task_seen *see, void *ctx)
{
	struct reading *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return -ENOMEM;
	*r = (struct reading){ .least = sizeof(struct task_entry), .see = see_task, .see_task = see, .ctx = ctx };
	rc = run(program, r);
	free(r);
	return rc;
}

int tasks_read_fds(const struct bpf_program *program, fd_seen *see, void *ctx)
{
	struct reading *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return -ENOMEM;
	*r = (struct reading){ .least = sizeof(struct fd_entry), .see = see_fd, .see_fd = see, .ctx = ctx };
	rc = run(program, r);
	free(r);
	return rc;
}
