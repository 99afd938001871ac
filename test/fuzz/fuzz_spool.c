/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spools that anybody may have written: opened, read to the end, written to.
 * link: c/output/spool.c
 *
 * The first byte says how: even, the rest is a segment as it is; odd, its entries get right checksums first, so that what is behind
 * them is reached, too.
 */
#include <fcntl.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../c/output/note.h"

struct entry {
	uint32_t magic, size;
	uint64_t seq;
	uint32_t crc, unused;
};

static void mend(uint8_t *p, size_t len)
{
	uint64_t seq = 1;

	while (len >= sizeof(struct entry)) {
		struct entry e;

		memcpy(&e, p, sizeof e);
		e.size = e.size % 2048 / 8 * 8 + (uint32_t)(sizeof e + sizeof(struct note_head));
		if (e.size > len)
			return;
		e.magic = 0x4f504c46;
		e.seq = seq++;
		/* the note's own size, or the next check stops it */
		uint32_t size = e.size - (uint32_t)sizeof e;
		if (e.unused & 1)
			memcpy(p + sizeof e + offsetof(struct note_head, size), &size, sizeof size);
		e.crc = crc32_gzip_refl(crc32_gzip_refl(0, (uint8_t *)&e.size, 12), p + sizeof e, size);
		memcpy(p, &e, sizeof e);
		p += e.size;
		len -= e.size;
	}
}

static void write_file(const char *dir, const char *name, const uint8_t *p, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	REQUIRE(fd >= 0 && write(fd, p, len) == (ssize_t)len);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char dir[64];
	struct err err;
	struct note n, put = { .line = "x\n", .line_len = 2 };
	uint64_t sum = 0, seen = 0;

	if (!dir[0]) {
		strcpy(dir, "/tmp/falco-fuzz-XXXXXX");
		REQUIRE(mkdtemp(dir));
	}
	if (len < 2)
		return 0;
	uint8_t *copy = malloc(len);
	memcpy(copy, data + 1, len - 1);
	if (data[0] & 1)
		mend(copy, len - 1);
	size_t half = data[0] & 2 ? (len - 1) / 2 / 8 * 8 : len - 1;
	write_file(dir, "0000000000000001.spool", copy, half);
	write_file(dir, "0000000000000003.spool", copy + half, len - 1 - half);
	write_file(dir, "acked", copy, len - 1 < 16 ? len - 1 : 16);
	free(copy);

	struct spool *s = spool_open(dir, 1 << 20, &err);
	REQUIRE(s);
	for (int round = 0; round < 2; round++) {
		while (spool_next(s, &n) == 1) {
			for (uint32_t i = 0; i < n.line_len; i++)
				sum += (uint8_t)n.line[i];
			for (uint32_t i = 0; i < n.tags_len; i++)
				sum += (uint8_t)n.tags[i];
			sum += n.rule_len ? (uint8_t)n.rule[n.rule_len - 1] : 0;
			spool_step(s);
			REQUIRE(++seen <= 2 * len);
			if (sum & 1)
				spool_ack(s, 1);
		}
		spool_ack(s, spool_under_way(s));
		REQUIRE(spool_put(s, &put) == 0);
	}
	spool_notice(s);
	spool_close(s);
	return 0;
}
