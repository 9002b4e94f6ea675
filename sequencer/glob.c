/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns over paths; see glob.h.
 *
 * The usual backtracking to the last star, once for '*' and once for "**": when neither can take one more
 * character the match fails. A later star makes an earlier one of its kind final, which is sound for
 * '*' between two "**" and for "**" altogether. */
#include "sequencer/glob.h"

#include <stddef.h>
#include <string.h>

/* Matches one character against a set at p ("[a-z]"); *ret_end is behind it. A '[' that nothing closes
 * is an ordinary character. */
static bool match_set(const char *p, char c, const char **ret_end)
{
	bool invert = p[1] == '!' || p[1] == '^';
	const char *q = p + 1 + invert;
	bool hit = false;

	for (const char *first = q; *q && (*q != ']' || q == first); q++) {
		if (q[1] == '-' && q[2] && q[2] != ']') {
			hit |= c >= q[0] && c <= q[2];
			q += 2;
		} else {
			hit |= c == *q;
		}
	}
	if (!*q) {
		*ret_end = p + 1;
		return c == '[';
	}
	*ret_end = q + 1;
	return hit != invert && c != '/';
}

static bool match_one(const char *p, char c, const char **ret_end)
{
	if (*p == '[')
		return match_set(p, c, ret_end);
	*ret_end = p + 1;
	return *p == '?' ? c != '/' : *p == c;
}

bool seq_glob_match(const char *pattern, const char *path)
{
	const char *p = pattern, *s = path, *end;
	const char *star = NULL, *star_at = NULL; /* behind the last '*', and what it has taken so far */
	const char *deep = NULL, *deep_at = NULL; /* the same for the last "**" */

	if (!strchr(pattern, '/')) {
		const char *slash = strrchr(path, '/');

		s = slash ? slash + 1 : path;
	}
	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			p += 2;
			deep = p;
			deep_at = s;
			star = NULL;
			continue;
		}
		if (*p == '*') {
			star = ++p;
			star_at = s;
			continue;
		}
		if (!*s && !*p)
			return true;
		if (*s && *p && match_one(p, *s, &end)) {
			p = end;
			s++;
			continue;
		}
		if (star && *star_at && *star_at != '/') {
			p = star;
			s = ++star_at;
		} else if (deep && *deep_at) {
			p = deep;
			s = ++deep_at;
			star = NULL;
		} else {
			return false;
		}
	}
}
