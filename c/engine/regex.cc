// SPDX-License-Identifier: Apache-2.0
#include "regex.h"

#include <errno.h>
#include <stdio.h>
#include <new>
#include <re2/re2.h>

struct regex {
	re2::RE2 re;

	regex(const re2::StringPiece &pattern, const re2::RE2::Options &options) : re(pattern, options) {}
};

int regex_new(struct regex **out, const char *pattern, size_t len, char *why, size_t cap)
{
	try {
		re2::RE2::Options options(re2::RE2::POSIX);

		options.set_log_errors(false);
		regex *re = new regex(re2::StringPiece(pattern, len), options);
		if (!re->re.ok()) {
			snprintf(why, cap, "%s", re->re.error().c_str());
			delete re;
			return -EINVAL;
		}
		*out = re;
		return 0;
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
}

void regex_free(struct regex *re)
{
	delete re;
}

static bool match(const struct regex *re, const char *text, size_t len, re2::RE2::Anchor anchor)
{
	try {
		return re->re.Match(re2::StringPiece(text, len), 0, len, anchor, nullptr, 0);
	} catch (const std::bad_alloc &) {
		return false;
	}
}

bool regex_match(const struct regex *re, const char *text, size_t len)
{
	return match(re, text, len, re2::RE2::ANCHOR_BOTH);
}

bool regex_search(const struct regex *re, const char *text, size_t len)
{
	return match(re, text, len, re2::RE2::UNANCHORED);
}
