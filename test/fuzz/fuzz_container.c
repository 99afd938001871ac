/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes what tells of containers: metadata (first byte even: learn, odd: forget), control groups. Every text handed
 * out must lie where it says, and nothing may be left behind.
 * link: c/engine/container.c c/engine/container_info.c c/engine/container_match.c c/engine/intern.c
 * seed: test/fuzz/seed_container.lua
 */
#include "../../c/engine/container.h"
#include "../../c/engine/container_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint64_t sum;

static void touch(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		sum += (uint8_t)s.p[i];
}

static void touch_labels(const struct container_labels *labels)
{
	touch(labels->text);
	for (uint32_t i = 0; i < labels->n; i++) {
		const struct str *found = container_label_find(labels, labels->sorted[i].key);

		REQUIRE(found && str_eq(*found, labels->sorted[i].value));
		touch(*found);
	}
}

static void touch_info(const struct container_info *info)
{
	const struct str texts[] = { info->id, info->full_id, info->name, info->type, info->user, info->image,
				     info->image_id, info->image_repo, info->image_tag, info->image_digest, info->ip,
				     info->cni, info->sandbox_id, info->mounts_text };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		touch(texts[i]);
	touch_labels(&info->labels);
	touch_labels(&info->pod_labels);
	for (uint32_t i = 0; i < info->nmounts; i++) {
		const struct container_mount *m = &info->mounts[i];

		touch(m->text);
		REQUIRE(m->text.len == m->source.len + m->dest.len + m->mode.len + m->writable.len +
				       m->propagation.len + 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct intern *strings = intern_new(1 << 16);
	struct containers *t = containers_new(strings, 1 << 16);
	struct str text = { (const char *)data + (len > 0), (uint32_t)(len - (len > 0)) };
	struct istr *cgroups = intern_get(strings, text);

	containers_learn(t, STR("{\"id\":\"redis\"}"));
	struct container *place = containers_place(t, cgroups, text);
	(len && data[0] & 1 ? containers_forget : containers_learn)(t, text);
	const struct container *told = containers_told(t);
	if (told)
		touch(told->id);
	if (told && told->info)
		touch_info(told->info);
	if (place)
		touch(place->id);
	container_drop(t, place);
	intern_drop(strings, cgroups);
	containers_free(t);
	intern_free(strings);
	return 0;
}
