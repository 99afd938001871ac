/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes state and fields: a capture goes through the whole engine, and every field is asked of every event, for outputs
 * and for comparisons, with and without an argument. Regular expressions are left out: they are a library's.
 * link: c/engine/[a-z]*.c
 * seed: test/fuzz/seed_scap.lua
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../../c/engine/field.h"
#include "../../c/engine/regex.h"
#include "../../c/engine/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int regex_new(struct regex **out, const char *pattern, size_t len, char *why, size_t cap)
{
	return -EINVAL;
}

void regex_free(struct regex *re)
{
}

bool regex_match(const struct regex *re, const char *text, size_t len)
{
	return false;
}

bool regex_search(const struct regex *re, const char *text, size_t len)
{
	return false;
}

static int add_field(struct ruleset *rs, const struct field_info *info, const char *arg)
{
	struct err err;
	return ruleset_field(rs, info->name, (uint32_t)strlen(info->name), arg, arg ? (uint32_t)strlen(arg) : 0, &err);
}

/* All fields as one output, and an "exists" leaf of each. */
static struct ruleset *all_fields(int *output, int *leaves)
{
	static const char *const args[] = { NULL, "0", "1", "name", "data", "PATH", "cpu" };
	struct ruleset *rs = ruleset_new();
	int32_t exprs[2048];
	uint32_t n = 0;

	*leaves = 0;
	for (uint32_t i = 0; i < field_count(); i++) {
		for (size_t a = 0; a < sizeof args / sizeof args[0]; a++) {
			int id = n < 2048 ? add_field(rs, field_info(i), args[a]) : -1;
			struct leaf_spec spec = { .expr = id, .rhs = -1, .op = OP_EXISTS };
			int32_t bad;
			struct err err;

			if (id < 0)
				continue;
			if (!(field_info(i)->flags & FIELD_FILTER_ONLY))
				exprs[n++] = id;
			int leaf_id = ruleset_leaf(rs, &spec, &bad, &err);
			if (leaf_id >= *leaves)
				*leaves = leaf_id + 1;
		}
	}
	*output = ruleset_output(rs, exprs, n);
	for (uint32_t code = 0; code < event_count(); code++)
		ruleset_want(rs, code, -1);
	return rs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ruleset *rs;
	static int output, leaves;
	static char text[1 << 16];
	struct engine_limits limits = { .max_threads = 1000, .max_fds = 1000, .max_block = 1 << 20, .max_strings = 1 << 20,
					.max_scratch = 1 << 20 };
	struct err err;
	char path[40];
	int fd = memfd_create("capture", 0);

	if (!rs)
		rs = all_fields(&output, &leaves);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

	struct engine *eng = engine_new(&limits, &err);
	if (engine_open_replay(eng, path, &err) == 0) {
		engine_use(eng, rs);
		for (int events = 0; events < 500 && engine_next(eng) == NEXT_EVENT; events++) {
			struct evt *e = engine_evt(eng);
			for (int id = 0; id < leaves; id++)
				leaf(e, id);
			const struct alert *a = alert_fill(e, output);
			for (uint32_t i = 0; a && i < a->n; i++) {
				value_text(&a->values[i], text, sizeof text);
				value_json(&a->values[i], text, sizeof text);
			}
		}
	}
	engine_free(eng);
	close(fd);
	return 0;
}
