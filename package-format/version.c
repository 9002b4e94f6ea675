/* SPDX-License-Identifier: Apache-2.0 */
/* Versions in order; see version.h. */
#include "package-format/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *at, *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "~" < the end (and digits, which end a part) < letters < all else. */
static int weight(const struct span *s)
{
	unsigned char c = s->at < s->end ? (unsigned char)*s->at : 0;

	if (c == '~')
		return -1;
	if (!c || is_digit((char)c))
		return 0;
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? c : c + 256;
}

static bool has_text(const struct span *s)
{
	return s->at < s->end && !is_digit(*s->at);
}

/* A run of digits without its leading zeros; moves behind it. */
static struct span take_number(struct span *s)
{
	struct span number;

	while (s->at < s->end && *s->at == '0')
		s->at++;
	number.at = s->at;
	while (s->at < s->end && is_digit(*s->at))
		s->at++;
	number.end = s->at;
	return number;
}

/* As long as they like: the longer number is the larger one. */
static int compare_numbers(struct span a, struct span b)
{
	ptrdiff_t la = a.end - a.at, lb = b.end - b.at;

	return la != lb ? (la > lb) - (la < lb) : memcmp(a.at, b.at, (size_t)la);
}

/* Text and numbers in turns. */
static int compare_part(struct span a, struct span b)
{
	while (a.at < a.end || b.at < b.end) {
		int r;

		while (has_text(&a) || has_text(&b)) {
			r = weight(&a) - weight(&b);
			if (r)
				return r;
			a.at++;
			b.at++;
		}
		r = compare_numbers(take_number(&a), take_number(&b));
		if (r)
			return r;
	}
	return 0;
}

struct parts {
	struct span epoch, upstream, revision;
};

static struct parts split(const char *version)
{
	const char *end = version + strlen(version), *digits = version + strspn(version, "0123456789");
	const char *start = digits > version && *digits == ':' ? digits + 1 : version;
	const char *dash = strrchr(start, '-');
	struct parts p = { .epoch = { version, start > version ? digits : version },
			   .upstream = { start, dash ? dash : end },
			   .revision = { dash ? dash + 1 : end, end } };

	return p;
}

int pkg_version_compare(const char *a, const char *b)
{
	struct parts x = split(a), y = split(b);
	int r = compare_part(x.epoch, y.epoch);

	if (!r)
		r = compare_part(x.upstream, y.upstream);
	return r ? r : compare_part(x.revision, y.revision);
}
