/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include "match.h"

/* ------------------------------------------------------------------ text */

int text_cmp(struct str a, struct str b)
{
	uint32_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* A few candidates by the first byte cost less than what memmem sets up; it takes over where they are many. */
bool text_contains(struct str hay, struct str needle)
{
	const char *p = hay.p, *end = hay.p + hay.len;

	if (needle.len == 0)
		return true;
	for (int tries = 0; tries < 8; tries++) {
		if (end - p < needle.len || !(p = memchr(p, needle.p[0], end - p - needle.len + 1)))
			return false;
		if (memcmp(p, needle.p, needle.len) == 0)
			return true;
		p++;
	}
	return memmem(p, end - p, needle.p, needle.len);
}

static bool fold_eq(const char *p, const char *folded, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (fold_byte(p[i]) != (unsigned char)folded[i])
			return false;
	return true;
}

bool text_icontains(struct str hay, struct str folded)
{
	if (folded.len == 0)
		return true;
	if (hay.len < folded.len)
		return false;

	const char *last = hay.p + (hay.len - folded.len);
	unsigned char first = folded.p[0];
	for (const char *p = hay.p; p <= last; p++)
		if (fold_byte(*p) == first && fold_eq(p + 1, folded.p + 1, folded.len - 1))
			return true;
	return false;
}

uint32_t text_distance(struct str a, struct str b)
{
	uint8_t row[64];

	if (a.len > 63 || b.len > 63)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= a.len; i++) {
		uint8_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= b.len; j++) {
			uint8_t best = diagonal + (a.p[i - 1] != b.p[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.len];
}

uint32_t text_unlike(struct str wrong, struct str known)
{
	uint32_t distance = text_distance(wrong, known);
	bool begun = known.len > wrong.len && memcmp(known.p, wrong.p, wrong.len) == 0;

	return distance > wrong.len / 3 + 1 ? UINT32_MAX : 2 * distance - begun;
}

static bool text_fold(struct arena *a, struct str s, struct str *out)
{
	char *p = arena_get(a, s.len);

	if (!p)
		return false;
	for (uint32_t i = 0; i < s.len; i++)
		p[i] = fold_byte(s.p[i]);
	*out = (struct str){ p, s.len };
	return true;
}

/*
 * Length of the sequence at p: > 0 valid; < 0 that many bytes are invalid together (the longest start of a valid
 * sequence, as Unicode recommends to replace). The second byte's range tells overlong forms, surrogates and what lies
 * beyond U+10FFFF.
 */
static int utf8_step(const unsigned char *p, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf;
	int need;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return -1;
	need = p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
	switch (p[0]) {
	case 0xe0: lo = 0xa0; break;
	case 0xed: hi = 0x9f; break;
	case 0xf0: lo = 0x90; break;
	case 0xf4: hi = 0x8f; break;
	}
	for (int i = 1; i <= need; i++) {
		if ((size_t)i >= left || p[i] < lo || p[i] > hi)
			return -i;
		lo = 0x80;
		hi = 0xbf;
	}
	return need + 1;
}

uint32_t utf8_valid(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	uint32_t i = 0;
	uint64_t w;

	while (i < s.len) {
		if (s.len - i >= 8 && (memcpy(&w, p + i, 8), !(w & 0x8080808080808080u))) {
			i += 8;
			continue;
		}
		int step = utf8_step(p + i, s.len - i);
		if (step < 0)
			return i;
		i += step;
	}
	return i;
}

bool utf8_repair(struct str s, struct arena *a, struct str *out)
{
	char *to = arena_get(a, (size_t)s.len * 3);	/* worst case: each byte becomes EF BF BD */
	const unsigned char *p = (const unsigned char *)s.p;
	uint32_t n = 0;

	if (!to)
		return false;
	for (uint32_t i = 0; i < s.len;) {
		int step = utf8_step(p + i, s.len - i);

		if (step > 0) {
			memcpy(to + n, p + i, step);
			n += step;
		} else {
			memcpy(to + n, "\xef\xbf\xbd", 3);
			n += 3;
		}
		i += abs(step);
	}
	*out = (struct str){ to, n };
	return true;
}

/* ------------------------------------------------------------------ sets */

struct strset_slot {
	uint64_t hash;		/* 0: free */
	struct str s;
};

static uint32_t table_size(uint64_t n)
{
	uint32_t cap = 4;

	while (cap < n * 2 && cap < 1u << 31)
		cap *= 2;
	return cap;
}

bool strset_build(struct strset *set, struct arena *a, const struct str *values, uint32_t n, uint64_t seed)
{
	uint32_t cap = table_size(n);
	struct strset_slot *slots = arena_get(a, (size_t)cap * sizeof *slots);

	if (!slots)
		return false;
	memset(slots, 0, (size_t)cap * sizeof *slots);
	*set = (struct strset){ .slots = slots, .mask = cap - 1 };
	for (uint32_t v = 0; v < n; v++) {
		uint64_t hash = text_hash(values[v], seed);
		uint32_t i = hash >> 1 & set->mask;

		if (strset_may_have(set, values[v]) && strset_probe(set, values[v], hash))
			continue;
		while (slots[i].hash)
			i = (i + 1) & set->mask;
		slots[i] = (struct strset_slot){ hash, values[v] };
		set->lengths |= 1ull << (values[v].len < 63 ? values[v].len : 63);
	}
	return true;
}

bool strset_probe(const struct strset *set, struct str s, uint64_t hash)
{
	for (uint32_t i = hash >> 1 & set->mask; set->slots[i].hash; i = (i + 1) & set->mask)
		if (set->slots[i].hash == hash && str_eq(set->slots[i].s, s))
			return true;
	return false;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

bool numset_build(struct numset *set, struct arena *a, const uint64_t *values, uint32_t n)
{
	uint64_t *sorted = arena_get(a, n * sizeof *sorted);

	if (!sorted)
		return false;
	if (n)
		memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_u64);
	*set = (struct numset){ sorted, n };
	return true;
}

bool numset_has(const struct numset *set, uint64_t x)
{
	uint32_t lo = 0, hi = set->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (set->sorted[mid] == x)
			return true;
		if (set->sorted[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

void net_trim(struct net *net)
{
	for (uint32_t i = 0; i < net->addr_len; i++) {
		int keep = (int)net->bits - (int)i * 8;

		net->addr[i] &= keep >= 8 ? 0xff : keep <= 0 ? 0 : 0xff << (8 - keep);
	}
}

bool net_has(const struct net *net, const void *addr, uint32_t addr_len)
{
	const uint8_t *p = addr;
	uint32_t whole = net->bits / 8, rest = net->bits % 8;

	return addr_len == net->addr_len && memcmp(p, net->addr, whole) == 0 &&
	       (!rest || ((p[whole] ^ net->addr[whole]) >> (8 - rest)) == 0);
}

bool netset_build(struct netset *set, struct arena *a, const struct net *nets, uint32_t n)
{
	struct net *copy = arena_get(a, n * sizeof *copy);

	if (!copy)
		return false;
	if (n)
		memcpy(copy, nets, n * sizeof *copy);
	*set = (struct netset){ copy, n };
	return true;
}

bool netset_has(const struct netset *set, const void *addr, uint32_t addr_len)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (net_has(&set->nets[i], addr, addr_len))
			return true;
	return false;
}

/* ------------------------------------------------------------------ globs */

struct char_class {
	const char *name;
	int (*is)(int);
};

/* In the C locale these are ASCII; bytes above 127 are kept out whatever the locale. */
static const struct char_class char_classes[] = {
	{ "alpha", isalpha }, { "digit", isdigit }, { "alnum", isalnum }, { "upper", isupper },
	{ "lower", islower }, { "space", isspace }, { "blank", isblank }, { "punct", ispunct },
	{ "print", isprint }, { "graph", isgraph }, { "cntrl", iscntrl }, { "xdigit", isxdigit },
};

struct cursor {
	const unsigned char *p, *end;
};

/* "[:name:]" at the cursor (behind "[:"): 1 c is in it, 0 it is not, -1 no such class, -2 no class at all. */
static int class_has(struct cursor *at, unsigned char c)
{
	const unsigned char *name = at->p, *q = name;

	while (q < at->end && *q >= 'a' && *q <= 'z')
		q++;
	if (at->end - q < 2 || q[0] != ':' || q[1] != ']')
		return -2;
	at->p = q + 2;
	for (size_t i = 0; i < sizeof char_classes / sizeof char_classes[0]; i++)
		if (strlen(char_classes[i].name) == (size_t)(q - name) &&
		    memcmp(char_classes[i].name, name, q - name) == 0)
			return c < 128 && char_classes[i].is(c);
	return -1;
}

/* One end of a range, or a member: plain, escaped, or "[.x.]" / "[=x=]". false: the pattern ends here. */
static bool bracket_char(struct cursor *at, unsigned char *c)
{
	if (at->p >= at->end)
		return false;
	if (at->end - at->p >= 5 && at->p[0] == '[' && (at->p[1] == '.' || at->p[1] == '=') && at->p[3] == at->p[1] &&
	    at->p[4] == ']') {
		*c = at->p[2];
		at->p += 5;
		return true;
	}
	if (*at->p == '\\' && ++at->p >= at->end)
		return false;
	*c = *at->p++;
	return true;
}

enum bracket { BRACKET_NO, BRACKET_YES, BRACKET_BROKEN, BRACKET_OPEN };

/* Behind "[": is c in it? Leaves the cursor behind "]". OPEN: there is no "]", so that the "[" stands for itself.
 * BROKEN: matches nothing, as fnmatch has it for unknown classes and a range without its end. */
static enum bracket bracket_has(struct cursor *at, unsigned char c, bool fold)
{
	bool negated = at->p < at->end && (*at->p == '!' || *at->p == '^'), hit = false, first = true;
	unsigned char folded = fold ? fold_byte(c) : c, lo, hi;

	at->p += negated;
	for (;; first = false) {
		if (at->p >= at->end)
			return BRACKET_OPEN;
		if (*at->p == ']' && !first) {
			at->p++;
			return hit != negated ? BRACKET_YES : BRACKET_NO;
		}
		if (at->end - at->p >= 2 && at->p[0] == '[' && at->p[1] == ':') {
			struct cursor inner = { at->p + 2, at->end };
			int in = class_has(&inner, c);

			if (in == -1)
				return BRACKET_BROKEN;
			if (in >= 0) {
				hit |= in;
				at->p = inner.p;
				continue;
			}
		}
		if (!bracket_char(at, &lo))
			return BRACKET_OPEN;
		hi = lo;
		if (at->p < at->end && *at->p == '-' && !(at->p + 1 < at->end && at->p[1] == ']')) {
			at->p++;
			if (!bracket_char(at, &hi))
				return hit || folded == (fold ? fold_byte(lo) : lo) ? BRACKET_OPEN : BRACKET_BROKEN;
		}
		if (fold) {
			lo = fold_byte(lo);
			hi = fold_byte(hi);
		}
		hit |= folded >= lo && folded <= hi;
	}
}

/* Does the pattern's next element, which is no "*", take the byte c? Leaves the cursor behind the element. */
static bool glob_step(struct cursor *at, unsigned char c, bool fold)
{
	unsigned char want = *at->p++;

	if (want == '?')
		return true;
	if (want == '[') {
		struct cursor inside = *at;

		switch (bracket_has(&inside, c, fold)) {
		case BRACKET_YES:
			*at = inside;
			return true;
		case BRACKET_OPEN:
			break;
		default:
			return false;
		}
	} else if (want == '\\') {
		if (at->p >= at->end)
			return false;
		want = *at->p++;
	}
	return fold ? fold_byte(c) == fold_byte(want) : c == want;
}

/* On a mismatch only the last star need be tried further on: work is bounded by length times length. */
bool glob_text(struct str pattern, struct str s, bool fold)
{
	struct cursor at = { (const unsigned char *)pattern.p, (const unsigned char *)pattern.p + pattern.len };
	const unsigned char *c = (const unsigned char *)s.p, *end = c + s.len, *star = NULL, *star_c = NULL;

	while (c < end) {
		if (at.p < at.end && *at.p == '*') {
			star = ++at.p;
			star_c = c;
			if (star == at.end)
				return true;
		} else if (at.p < at.end && glob_step(&at, *c, fold)) {
			c++;
		} else if (star) {
			at.p = star;
			c = ++star_c;
		} else {
			return false;
		}
	}
	while (at.p < at.end && *at.p == '*')
		at.p++;
	return at.p == at.end;
}

static bool is_plain(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (memchr("*?[\\", s.p[i], 4))
			return false;
	return true;
}

bool glob_build(struct glob *g, struct arena *a, struct str pattern, bool fold)
{
	struct str s = pattern;
	bool head = s.len && s.p[0] == '*', tail;

	while (s.len && s.p[0] == '*') {
		s.p++;
		s.len--;
	}
	tail = s.len && s.p[s.len - 1] == '*';
	while (s.len && s.p[s.len - 1] == '*')
		s.len--;
	*g = (struct glob){ pattern, GLOB_GENERAL, fold };
	if (!is_plain(s))
		return true;
	g->text = s;
	g->shape = head && (tail || !s.len) ? GLOB_INFIX : head ? GLOB_SUFFIX : tail ? GLOB_PREFIX : GLOB_EXACT;
	return !fold || text_fold(a, s, &g->text);
}

bool glob_has(const struct glob *g, struct str s)
{
	uint32_t n = g->text.len;
	const char *at = s.p;

	switch (g->shape) {
	case GLOB_GENERAL:
		return glob_text(g->text, s, g->fold);
	case GLOB_INFIX:
		return g->fold ? text_icontains(s, g->text) : text_contains(s, g->text);
	case GLOB_EXACT:
		if (s.len != n)
			return false;
		break;
	case GLOB_SUFFIX:
		if (s.len < n)
			return false;
		at += s.len - n;
		break;
	default:
		if (s.len < n)
			return false;
	}
	return n == 0 || (g->fold ? fold_eq(at, g->text.p, n) : memcmp(at, g->text.p, n) == 0);
}

/* ------------------------------------------------------------------ paths */

struct path_glob {
	struct glob glob;
	uint32_t child, next;		/* next: index + 1 of the same node's next one, 0: none */
};

struct path_edge {
	uint64_t hash;			/* of parent and name; 0: free */
	struct str name;
	uint32_t parent, child;
};

struct path_node {
	bool end;			/* a constant ends here: everything below matches */
	uint32_t globs;			/* index + 1 into globs, 0: none */
	uint64_t literals;		/* name_bit() of the names below that are no globs */
};

/* Node 0 is the root. Each node belongs to one depth, so that a match visits no node twice, whatever the globs. */
struct pathset {
	uint64_t seed;
	uint32_t mask, nnodes, nglobs;
	struct path_node *nodes;
	struct path_edge *edges;
	struct path_glob *globs;
};

static bool next_component(struct str *path, struct str *name)
{
	while (path->len && path->p[0] == '/') {
		path->p++;
		path->len--;
	}
	if (!path->len)
		return false;

	const char *slash = memchr(path->p, '/', path->len);
	name->p = path->p;
	name->len = slash ? (uint32_t)(slash - path->p) : path->len;
	path->p += name->len;
	path->len -= name->len;
	return true;
}

uint32_t path_depth(struct str path)
{
	struct str name;
	uint32_t n = 0;

	while (next_component(&path, &name))
		n++;
	return n;
}

static struct path_edge *edge_find(const struct pathset *set, uint32_t parent, struct str name, uint64_t hash)
{
	uint32_t i = hash >> 1 & set->mask;

	for (; set->edges[i].hash; i = (i + 1) & set->mask)
		if (set->edges[i].hash == hash && set->edges[i].parent == parent &&
		    str_eq(set->edges[i].name, name))
			break;
	return &set->edges[i];
}

/* Tells most names that are not there without hashing them. */
static uint64_t name_bit(struct str name)
{
	return 1ull << ((name.len * 7u + (unsigned char)name.p[0] * 3u + (unsigned char)name.p[name.len - 1]) & 63);
}

static uint64_t edge_hash(const struct pathset *set, uint32_t parent, struct str name)
{
	return text_hash(name, set->seed + parent);
}

static uint32_t literal_child(struct pathset *set, uint32_t node, struct str name)
{
	uint64_t hash = edge_hash(set, node, name);
	struct path_edge *e = edge_find(set, node, name, hash);

	if (!e->hash) {
		*e = (struct path_edge){ hash, name, node, set->nnodes++ };
		set->nodes[node].literals |= name_bit(name);
	}
	return e->child;
}

static bool glob_child(struct pathset *set, struct arena *a, uint32_t node, struct str name, uint32_t *child)
{
	struct path_glob *g = &set->globs[set->nglobs];

	if (!glob_build(&g->glob, a, name, false))
		return false;
	g->child = *child = set->nnodes++;
	g->next = set->nodes[node].globs;
	set->nodes[node].globs = ++set->nglobs;
	return true;
}

/* Components with "?", "*" or "[" are globs; in the others a backslash is a backslash. */
static bool is_glob(struct str name)
{
	return memchr(name.p, '*', name.len) || memchr(name.p, '?', name.len) || memchr(name.p, '[', name.len);
}

static bool pathset_add(struct pathset *set, struct arena *a, struct str path)
{
	struct str name;
	uint32_t node = 0;

	while (next_component(&path, &name) && !set->nodes[node].end) {
		if (!is_glob(name))
			node = literal_child(set, node, name);
		else if (!glob_child(set, a, node, name, &node))
			return false;
	}
	set->nodes[node].end = true;
	return true;
}

static void *arena_zero(struct arena *a, size_t n)
{
	void *p = arena_get(a, n);

	return p ? memset(p, 0, n) : NULL;
}

struct pathset *pathset_build(struct arena *a, const struct str *values, uint32_t n, uint64_t seed)
{
	struct pathset *set = arena_zero(a, sizeof *set);
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += path_depth(values[i]);
	if (!set || total > UINT32_MAX / 4)
		return NULL;
	set->seed = seed;
	set->nnodes = 1;
	set->mask = table_size(total) - 1;
	if (!(set->nodes = arena_zero(a, (total + 1) * sizeof *set->nodes)) ||
	    !(set->edges = arena_zero(a, ((size_t)set->mask + 1) * sizeof *set->edges)) ||
	    !(set->globs = arena_zero(a, total * sizeof *set->globs)))
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		if (!pathset_add(set, a, values[i]))
			return NULL;
	return set;
}

/* The node below `node` for a plain name; 0: none. */
static uint32_t child_find(const struct pathset *set, uint32_t node, struct str name)
{
	const struct path_edge *e;

	if (!(set->nodes[node].literals & name_bit(name)))
		return 0;
	e = edge_find(set, node, name, edge_hash(set, node, name));
	return e->hash ? e->child : 0;
}

/* Recursion goes no deeper than the deepest constant has globs. */
static bool match_below(const struct pathset *set, uint32_t node, struct str path)
{
	struct str name;

	while (!set->nodes[node].end) {
		if (!next_component(&path, &name))
			return false;

		uint32_t child = child_find(set, node, name), g = set->nodes[node].globs;
		if (!g) {
			if (!child)
				return false;
			node = child;
			continue;
		}
		if (child && match_below(set, child, path))
			return true;
		for (; g; g = set->globs[g - 1].next)
			if (glob_has(&set->globs[g - 1].glob, name) &&
			    match_below(set, set->globs[g - 1].child, path))
				return true;
		return false;
	}
	return true;
}

bool pathset_has(const struct pathset *set, struct str path)
{
	return match_below(set, 0, path);
}
