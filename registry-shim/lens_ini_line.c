/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of INI texts; see lens_ini_line.h. */
#include "registry-shim/lens_ini_line.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static size_t skip_blanks(const char *s, size_t off, size_t len)
{
	while (off < len && is_blank(s[off]))
		off++;
	return off;
}

/* What may follow a header's bracket: nothing, or a comment. */
static bool is_header_tail(const char *s, size_t off, size_t len)
{
	off = skip_blanks(s, off, len);
	return off == len || s[off] == ';' || s[off] == '#';
}

/* `[name]`. When text follows the first bracket, as in `[a][b]` or `[x "y]z"]`, the last one counts. */
static struct ini_line read_header(const char *s, size_t open, size_t len)
{
	struct ini_line r = { .kind = INI_BROKEN, .name_off = open + 1 };
	const char *close = memchr(s + open, ']', len - open);

	if (close && !is_header_tail(s, (size_t)(close - s) + 1, len)) {
		close = memrchr(s + open, ']', len - open);
		if (!is_header_tail(s, (size_t)(close - s) + 1, len))
			return r;
	}
	if (!close)
		return r;
	r.kind = INI_SECTION;
	r.name_len = (size_t)(close - s) - r.name_off;
	return r;
}

struct ini_line ini_line_read(const char *s, size_t len)
{
	struct ini_line r = { .kind = INI_OTHER };
	size_t start = skip_blanks(s, 0, len), end;
	const char *equals;

	if (start == len || s[start] == ';' || s[start] == '#')
		return r;
	if (s[start] == '[')
		return read_header(s, start, len);
	/* Markup; a byte-order mark in the middle, which would count when it came to stand in front. */
	if (s[start] == '<' || (len - start >= 3 && !memcmp(s + start, "\xef\xbb\xbf", 3)))
		return (struct ini_line){ .kind = INI_BROKEN };
	equals = memchr(s + start, '=', len - start);
	r.kind = s[start] == '{' ? INI_BROKEN : INI_STRAY;
	if (!equals || equals == s + start)
		return r;
	for (end = (size_t)(equals - s); is_blank(s[end - 1]);)
		end--;
	r.kind = INI_KEY;
	r.name_off = start;
	r.name_len = end - start;
	r.value_off = skip_blanks(s, (size_t)(equals - s) + 1, len);
	return r;
}
