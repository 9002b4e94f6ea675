/* SPDX-License-Identifier: Apache-2.0 */
/* The INI lens; see lens_ini.h. */
#include "registry-shim/lens_ini.h"

#include <string.h>

static size_t skip_blanks(const char *s, size_t off, size_t len)
{
	while (off < len &&
	       (s[off] == ' ' || s[off] == '\t' || s[off] == '\r' || s[off] == '\f' || s[off] == '\v'))
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
static struct line_parts read_header(const char *s, size_t open, size_t len)
{
	struct line_parts r = { .kind = LINE_BROKEN, .name_off = open + 1 };
	const char *close = memchr(s + open, ']', len - open);

	if (close && !is_header_tail(s, (size_t)(close - s) + 1, len)) {
		close = memrchr(s + open, ']', len - open);
		if (!is_header_tail(s, (size_t)(close - s) + 1, len))
			return r;
	}
	if (!close)
		return r;
	r.kind = LINE_SECTION;
	r.name_len = (size_t)(close - s) - r.name_off;
	return r;
}

struct line_parts ini_read(const char *s, size_t len)
{
	struct line_parts r = { .kind = LINE_OTHER };
	size_t start = skip_blanks(s, 0, len), end;
	const char *equals;

	if (start == len || s[start] == ';' || s[start] == '#')
		return r;
	if (s[start] == '[')
		return read_header(s, start, len);
	/* Markup; a byte-order mark in the middle, which would count when it came to stand in front. */
	if (s[start] == '<' || (len - start >= 3 && !memcmp(s + start, "\xef\xbb\xbf", 3)))
		return (struct line_parts){ .kind = LINE_BROKEN };
	equals = memchr(s + start, '=', len - start);
	r.kind = s[start] == '{' ? LINE_BROKEN : LINE_STRAY;
	if (!equals || equals == s + start)
		return r;
	for (end = (size_t)(equals - s); skip_blanks(s, end - 1, end) == end;)
		end--;
	r.kind = LINE_KEY;
	r.name_off = start;
	r.name_len = end - start;
	r.value_off = skip_blanks(s, (size_t)(equals - s) + 1, len);
	r.value_len = len - r.value_off;
	return r;
}

static uint32_t ini_section(struct reg_doc *d, const char *name, size_t len, struct err *e)
{
	return doc_container(d, DOC_TOP, name, len, e);
}

static int ini_header(struct reg_doc *d, uint32_t section, struct buf *ret, struct err *e)
{
	const struct doc_name *n = &d->names[section];

	return buf_add(ret, "[", 1, e) < 0 || doc_unspell(n->text, n->len, ret, e) < 0
		       ? -1
		       : buf_add(ret, "]", 1, e);
}

static const struct line_syntax ini_syntax = {
	.equals = "=", .read = ini_read, .section = ini_section, .header = ini_header
};

static bool ini_fits(const char *base, const char *text, size_t len)
{
	(void)base; /* INI files have any name */
	return lines_fit(&ini_syntax, text, len);
}

const struct reg_lens reg_lens_ini = {
	.name = "ini",
	.files = ".ini .desktop",
	.paths = DOC_SECTION,
	.syntax = &ini_syntax,
	.scan = lines_scan,
	.change = lines_change,
	.add = lines_add,
	.remove = lines_remove,
	.fits = ini_fits,
};
