/* SPDX-License-Identifier: Apache-2.0 */
#include "container_match.h"

/* ------------------------------------------------------------------ 64 hex digits at the end: most runtimes */

/* What stands around the digits. The prefix counts where it occurs last. */
static const struct layout {
	struct str prefix, suffix;
} layouts[] = {
	{ STR("/libpod-"), STR(".scope") },	/* podman under systemd */
	{ STR("/libpod-"), STR(".scope/container") },
	{ STR("/libpod-"), STR("") },
	{ STR("/libpod-payload-"), STR("") },
	{ STR("/"), STR("") },			/* docker and kubernetes without systemd */
	{ STR("/docker-"), STR(".scope") },
	{ STR("/crio-"), STR("") },
	{ STR("/cri-containerd-"), STR(".scope") },
	{ STR("/crio-"), STR(".scope") },
	{ STR(":cri-containerd:"), STR("") },
	{ STR("/nerdctl-"), STR(".scope") },
};

/* Offset of the last `part` in s, or -1. */
static int64_t last_place(struct str s, struct str part)
{
	for (int64_t at = (int64_t)s.len - part.len; at >= 0; at--)
		if (memcmp(s.p + at, part.p, part.len) == 0)
			return at;
	return -1;
}

static struct str behind(struct str s, uint32_t n)
{
	return (struct str){ s.p + n, s.len - n };
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool match_layout(struct str path, const struct layout *l, struct str *id)
{
	int64_t at = last_place(path, l->prefix);

	if (at < 0)
		return false;
	struct str rest = behind(path, (uint32_t)at + l->prefix.len);
	if (rest.len != CONTAINER_FULL_ID + l->suffix.len || !str_ends(rest, l->suffix))
		return false;
	for (uint32_t i = 0; i < CONTAINER_FULL_ID; i++)
		if (!is_hex(rest.p[i]))
			return false;
	*id = rest;
	return true;
}

static bool match_digits(struct str path, struct str *id)
{
	for (uint32_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
		if (match_layout(path, &layouts[i], id))
			return true;
	return false;
}

/* ------------------------------------------------------------------ names */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters and digits, with single . _ - between them. */
static bool is_namespace(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		bool inner = i > 0 && i + 1 < s.len && is_alnum(s.p[i - 1]);

		if (!is_alnum(s.p[i]) && !(inner && memchr("._-", s.p[i], 3)))
			return false;
	}
	return s.len > 0;
}

/* containerd: /NAMESPACE/ID. Systemd's own units look like it too. */
static bool match_containerd(struct str path, struct str *id)
{
	if (path.len < 4 || path.p[0] != '/' || str_ends(path, STR(".service")) || str_ends(path, STR(".slice")) ||
	    str_ends(path, STR(".scope")))
		return false;
	int64_t slash = str_rfind(path, '/');
	*id = behind(path, (uint32_t)slash + 1);
	return slash > 1 && id->len > 0 && id->len <= CONTAINER_FULL_ID &&
	       is_namespace((struct str){ path.p + 1, (uint32_t)slash - 1 });
}

/* Where `part` first stands: what is behind it. */
static bool after(struct str s, struct str part, struct str *rest)
{
	const char *at = memmem(s.p, s.len, part.p, part.len);

	if (!at)
		return false;
	*rest = behind(s, (uint32_t)(at - s.p) + part.len);
	return true;
}

static struct str until(struct str s, struct str end)
{
	const char *at = memmem(s.p, s.len, end.p, end.len);
	return at ? (struct str){ s.p, (uint32_t)(at - s.p) } : s;
}

static bool match_lxc(struct str path, struct str *id)
{
	static const struct str places[] = { STR("/lxc/"), STR("/lxc.payload/"), STR("/lxc.payload.") };

	for (uint32_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (after(path, places[i], id)) {
			*id = until(*id, STR("/"));
			return id->len > 0;
		}
	}
	return false;
}

/* Three forms: .../NAME.libvirt-lxc, machine-lxc\x2dNAME.scope, /libvirt/lxc/NAME */
static bool match_libvirt(struct str path, struct str *id)
{
	const struct str tail = STR(".libvirt-lxc"), scope = STR(".scope"), dash = STR("-lxc\\x2d");

	if (str_ends(path, tail)) {
		path.len -= tail.len;
		*id = behind(path, (uint32_t)(str_rfind(path, '/') + 1));
		return id->len > 0;
	}
	if (str_ends(path, scope) && after(path, dash, id)) {
		id->len -= id->len < scope.len ? id->len : scope.len;
		return id->len > 0;
	}
	return after(path, STR("/libvirt/lxc/"), id) && id->len > 0;
}

/* Cloud Foundry's process manager. */
static bool match_bpm(struct str path, struct str *id)
{
	if (!after(path, STR("bpm-"), id))
		return false;
	*id = until(*id, STR(".scope"));
	for (uint32_t i = 0; i < id->len; i++)
		if (!is_alnum(id->p[i]) && !memchr("._-", id->p[i], 3))
			return false;
	return id->len > 0;
}

/* ------------------------------------------------------------------ all of them */

static struct str shortened(struct str id)
{
	id.len = id.len < CONTAINER_SHORT_ID ? id.len : CONTAINER_SHORT_ID;
	return id;
}

bool container_match_path(struct str path, struct str *id)
{
	if (match_digits(path, id) || match_containerd(path, id)) {
		*id = shortened(*id);
		return true;
	}
	return match_lxc(path, id) || match_libvirt(path, id) || match_bpm(path, id);
}

bool container_match(struct str cgroups, struct str *id, struct str *path)
{
	while (cgroups.len) {
		struct str item = until(cgroups, (struct str){ "", 1 });

		if (after(item, STR("="), path) && container_match_path(*path, id))
			return true;
		cgroups = behind(cgroups, item.len < cgroups.len ? item.len + 1 : item.len);
	}
	return false;
}

struct str container_whole_id(struct str path)
{
	struct str id = { 0 };

	if (!match_digits(path, &id) && !match_containerd(path, &id))
		return (struct str){ "", 0 };
	if (id.len > CONTAINER_FULL_ID)		/* with what its runtime puts behind it */
		id.len = CONTAINER_FULL_ID;
	return id;
}
