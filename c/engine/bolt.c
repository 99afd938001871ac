/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bolt.h"

enum {
	PAGE_HEAD = 16, ELEMENT = 16, BUCKET_HEAD = 16,
	PAGE_BRANCH = 1, PAGE_LEAF = 2, IS_BUCKET = 1,
	META_BYTES = 64, MIN_PAGE = 512, MAX_PAGE = 65536, MAX_OVERFLOW = 4096,
};
static const uint32_t MAGIC = 0xED0CDAED, VERSION = 2;

static uint16_t u16_at(const char *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static uint32_t u32_at(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t u64_at(const char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* ------------------------------------------------------------------ the two places that tell the latest state */

/* magic u32, version u32, page size u32, flags u32, root u64, sequence u64, freelist u64, pages u64, txid u64, sum u64 */
struct meta {
	uint32_t page_size;
	uint64_t root, txid;
};

static uint64_t fnv(const char *p, uint32_t n)
{
	uint64_t h = 14695981039346656037u;

	while (n--)
		h = (h ^ (uint8_t)*p++) * 1099511628211u;
	return h;
}

static bool meta_read(int fd, uint64_t at, struct meta *m)
{
	char buf[META_BYTES];

	if (pread(fd, buf, sizeof buf, (off_t)(at + PAGE_HEAD)) != sizeof buf || u32_at(buf) != MAGIC ||
	    u32_at(buf + 4) != VERSION || fnv(buf, META_BYTES - 8) != u64_at(buf + META_BYTES - 8))
		return false;
	*m = (struct meta){ .page_size = u32_at(buf + 8), .root = u64_at(buf + 16), .txid = u64_at(buf + 48) };
	return m->page_size >= MIN_PAGE && m->page_size <= MAX_PAGE;
}

/* Of the two, the valid one of the later state. The second lies behind the first page, whatever its size is. */
static bool meta_latest(int fd, struct meta *latest)
{
	struct meta m;
	bool found = meta_read(fd, 0, latest);

	for (uint32_t size = MIN_PAGE; size <= MAX_PAGE; size *= 2) {
		if (meta_read(fd, size, &m) && (!found || m.txid > latest->txid)) {
			*latest = m;
			found = true;
		}
	}
	return found;
}

int bolt_open(struct bolt *b, const char *path)
{
	struct meta m;
	struct stat st;

	*b = (struct bolt){ .pages.limit = BOLT_MAX_BYTES };
	if ((b->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0)
		return -errno;
	if (fstat(b->fd, &st) < 0 || !S_ISREG(st.st_mode) || !meta_latest(b->fd, &m))
		return -EINVAL;
	b->page_size = m.page_size;
	b->root = m.root;
	b->txid = m.txid;
	return 0;
}

void bolt_close(struct bolt *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	arena_free(&b->pages);
}

bool bolt_unchanged(const struct bolt *b)
{
	struct meta m;
	return meta_latest(b->fd, &m) && m.txid == b->txid;
}

/* ------------------------------------------------------------------ pages */

/* id u64, flags u16, count u16, overflow u32, then elements of 16 bytes:
 * leaf: flags u32, pos u32, key length u32, value length u32;  branch: pos u32, key length u32, page u64 */
struct page {
	const char *p;
	uint32_t len;
	uint16_t flags, count;
};

struct element {
	struct str key, value;
	uint64_t page;			/* of a branch */
	bool is_bucket;
};

static bool page_of(struct str bytes, struct page *page)
{
	if (bytes.len < PAGE_HEAD)
		return false;
	*page = (struct page){ bytes.p, bytes.len, u16_at(bytes.p + 8), u16_at(bytes.p + 10) };
	return (page->flags == PAGE_LEAF || page->flags == PAGE_BRANCH) &&
	       PAGE_HEAD + (uint32_t)page->count * ELEMENT <= bytes.len;
}

static bool page_read(struct bolt *b, uint64_t id, struct page *page)
{
	char head[PAGE_HEAD], *bytes;
	uint32_t overflow, len;

	if (id > INT64_MAX / b->page_size || pread(b->fd, head, sizeof head, (off_t)(id * b->page_size)) != sizeof head)
		return false;
	overflow = u32_at(head + 12);
	if (u64_at(head) != id || overflow > MAX_OVERFLOW || overflow >= UINT32_MAX / b->page_size)
		return false;
	len = (overflow + 1) * b->page_size;
	if (!(bytes = arena_get(&b->pages, len)) || pread(b->fd, bytes, len, (off_t)(id * b->page_size)) != (ssize_t)len)
		return false;
	return page_of((struct str){ bytes, len }, page);
}

static bool bucket_page(struct bolt *b, const struct bolt_bucket *at, struct page *page)
{
	return at->root ? page_read(b, at->root, page) : page_of(at->inlined, page);
}

static bool element_at(const struct page *page, uint32_t i, struct element *e)
{
	uint32_t at = PAGE_HEAD + i * ELEMENT;
	const char *p = page->p + at;
	bool leaf = page->flags == PAGE_LEAF;
	uint64_t pos = u32_at(leaf ? p + 4 : p), klen = u32_at(leaf ? p + 8 : p + 4), vlen = leaf ? u32_at(p + 12) : 0;

	if (at + pos + klen + vlen > page->len)
		return false;
	*e = (struct element){
		.key = { p + pos, (uint32_t)klen }, .value = { p + pos + klen, (uint32_t)vlen },
		.page = leaf ? 0 : u64_at(p + 8), .is_bucket = leaf && u32_at(p) & IS_BUCKET,
	};
	return true;
}

static int compare(struct str a, struct str b)
{
	int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* The last element whose key is not greater than `key`; of a branch the first, if all are. false: none. */
static bool element_find(const struct page *page, struct str key, struct element *e)
{
	uint32_t lo = 0, hi = page->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (!element_at(page, mid, e))
			return false;
		if (compare(e->key, key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 && (page->flags == PAGE_LEAF || page->count == 0))
		return false;
	return element_at(page, lo ? lo - 1 : 0, e);
}

static bool find(struct bolt *b, const struct bolt_bucket *at, struct str key, struct element *e)
{
	struct page page;

	if (!bucket_page(b, at, &page))
		return false;
	for (uint32_t depth = 0; depth < BOLT_MAX_DEPTH; depth++) {
		if (!element_find(&page, key, e))
			return false;
		if (page.flags == PAGE_LEAF)
			return str_eq(e->key, key);
		if (!page_read(b, e->page, &page))
			return false;
	}
	return false;
}

/* ------------------------------------------------------------------ buckets */

struct bolt_bucket bolt_root(const struct bolt *b)
{
	return (struct bolt_bucket){ .root = b->root };
}

bool bolt_enter(struct bolt *b, struct bolt_bucket *at, struct str key)
{
	struct element e;

	if (!find(b, at, key, &e) || !e.is_bucket || e.value.len < BUCKET_HEAD)
		return false;
	*at = (struct bolt_bucket){ .root = u64_at(e.value.p),
				    .inlined = { e.value.p + BUCKET_HEAD, e.value.len - BUCKET_HEAD } };
	return true;
}

bool bolt_get(struct bolt *b, const struct bolt_bucket *at, struct str key, struct str *value)
{
	struct element e;

	if (!find(b, at, key, &e) || e.is_bucket)
		return false;
	*value = e.value;
	return true;
}

static bool each(struct bolt *b, const struct page *page, uint32_t depth,
		 bool (*see)(void *ctx, struct str key, struct str value), void *ctx)
{
	struct element e;
	struct page child;

	for (uint32_t i = 0; i < page->count; i++) {
		if (!element_at(page, i, &e))
			return false;
		if (page->flags == PAGE_LEAF) {
			if (!see(ctx, e.key, e.is_bucket ? (struct str){ NULL, 0 } : e.value))
				return false;
		} else if (depth >= BOLT_MAX_DEPTH || !page_read(b, e.page, &child) ||
			   !each(b, &child, depth + 1, see, ctx)) {
			return false;
		}
	}
	return true;
}

void bolt_each(struct bolt *b, const struct bolt_bucket *at, bool (*see)(void *ctx, struct str key, struct str value),
	       void *ctx)
{
	struct page page;

	if (bucket_page(b, at, &page))
		each(b, &page, 0, see, ctx);
}
