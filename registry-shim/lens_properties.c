/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for Java's properties; see lens_properties.h. */
#include "registry-shim/lens_properties.h"

#include <string.h>

#include "registry-shim/lens_lines.h"
#include "registry-shim/lens_text.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static size_t skip_blanks(const char *s, size_t off, size_t len)
{
	while (off < len && is_blank(s[off]))
		off++;
	return off;
}

static bool is_comment(const char *s, size_t len)
{
	size_t start = skip_blanks(s, 0, len);

	return start < len && (s[start] == '#' || s[start] == '!');
}

static bool ends_with_escape(const char *s, size_t len)
{
	size_t slashes = 0;

	while (slashes < len && s[len - slashes - 1] == '\\')
		slashes++;
	return slashes % 2;
}

static size_t properties_extent(const char *s, size_t len)
{
	bool is_whole = is_comment(s, len);
	size_t end = 0;

	do {
		const char *feed = memchr(s + end, '\n', len - end);
		size_t start = end, stop = feed ? (size_t)(feed - s) : len;

		end = feed ? stop + 1 : len;
		if (stop > start && s[stop - 1] == '\r')
			stop--;
		is_whole = is_whole || !feed || !ends_with_escape(s + start, stop - start);
	} while (!is_whole);
	return end;
}

/* Java ends a line at any carriage return; ours are only in front of feeds. */
static bool has_lone_return(const char *s, size_t len)
{
	for (const char *p = s; (p = memchr(p, '\r', len - (size_t)(p - s))); p++)
		if (p + 1 == s + len || p[1] != '\n')
			return true;
	return false;
}

static struct line_parts properties_read(const char *s, size_t len)
{
	struct line_parts r = { .kind = LINE_OTHER };
	size_t at = skip_blanks(s, 0, len);

	if (has_lone_return(s, len))
		r.kind = LINE_BROKEN;
	if (r.kind == LINE_BROKEN || at == len || is_comment(s, len))
		return r;
	if (ends_with_escape(s, len)) /* the text's end cuts it off */
		return (struct line_parts){ .kind = LINE_BROKEN };
	r.name_off = at;
	while (at < len && !is_blank(s[at]) && s[at] != '=' && s[at] != ':')
		at += s[at] == '\\' && at + 1 < len ? 2 : 1;
	r.name_len = at - r.name_off;
	at = skip_blanks(s, at, len);
	if (at < len && (s[at] == '=' || s[at] == ':'))
		at = skip_blanks(s, at + 1, len);
	r.kind = r.name_len ? LINE_KEY : LINE_STRAY;
	r.value_off = at;
	r.value_len = len - at;
	return r;
}

/* Past a line's end and the blanks that begin the next. */
static size_t skip_continuation(const char *s, size_t at, size_t len)
{
	if (s[at] == '\r')
		at++;
	return skip_blanks(s, at + 1, len);
}

static int read_escapes(const char *s, size_t len, struct buf *ret, struct err *e)
{
	static const char from[] = "tnrf", to[] = "\t\n\r\f";

	for (size_t i = 0; i < len;) {
		const char *known;
		unsigned long c;
		size_t used;

		if (s[i] != '\\') {
			if (buf_add(ret, s + i++, 1, e) < 0)
				return -1;
			continue;
		}
		if (++i == len)
			return err_set(e, ERR_FORMAT, "a backslash at the end");
		if (s[i] == '\n' || (s[i] == '\r' && i + 1 < len)) {
			i = skip_continuation(s, i, len);
		} else if (s[i] == 'u') {
			used = text_utf16(s + i + 1, len - i - 1, &c);
			if (used == 0)
				return err_set(e, ERR_FORMAT, "a \\u that names no character");
			if (text_add_code_point(c, ret, e) < 0)
				return -1;
			i += used + 1;
		} else {
			known = s[i] ? strchr(from, s[i]) : NULL;
			if (buf_add(ret, known ? to + (known - from) : s + i, 1, e) < 0)
				return -1;
			i++;
		}
	}
	return 0;
}

/* One character, escaped where it has to be. Bytes read, or 0 on failure. */
static size_t write_character(const char *s, size_t len, bool is_plain, bool is_raw, struct buf *ret,
			      struct err *e)
{
	static const char from[] = "\t\n\r\f\\", to[] = "tnrf\\";
	const char *known = strchr(from, *s);
	char escape[2] = { '\\', known ? to[known - from] : *s };
	unsigned long c = 0;
	size_t used = is_raw ? 0 : text_code_point(s, len, &c);

	if (c >= 0x10000)
		return buf_printf(ret, e, "\\u%04lX\\u%04lX", 0xd800 + ((c - 0x10000) >> 10),
				  0xdc00 + (c & 0x3ff)) < 0
			       ? 0
			       : used;
	if (c >= 0x80)
		return buf_printf(ret, e, "\\u%04lX", c) < 0 ? 0 : used;
	if (known || !is_plain)
		return buf_add(ret, escape, 2, e) < 0 ? 0 : 1;
	return buf_add(ret, s, 1, e) < 0 ? 0 : 1;
}

static uint32_t properties_key(struct reg_doc *d, uint32_t section, const char *name, size_t len,
			       struct err *e)
{
	buf_reset(&d->plain);
	return read_escapes(name, len, &d->plain, e) < 0 ? DOC_NONE : doc_key_buf(d, section, &d->plain, e);
}

static int write_name(struct reg_doc *d, uint32_t section, uint32_t key, struct buf *ret, struct err *e)
{
	size_t ignored;
	const char *name = doc_last_part(d, d->names[key].text, &ignored);
	size_t len = strlen(name);

	(void)section;
	for (size_t i = 0, used; i < len; i += used) {
		used = write_character(name + i, len - i, !strchr(" :=#!", name[i]), false, ret, e);
		if (used == 0)
			return -1;
	}
	return 0;
}

static int write_value(const char *old, size_t old_len, const char *value, struct buf *ret, struct err *e)
{
	size_t len = strlen(value);
	bool is_raw = false;

	for (size_t i = 0; i < old_len; i++)
		is_raw = is_raw || (old[i] & 0x80);
	for (size_t i = 0, used; i < len; i += used) {
		used = write_character(value + i, len - i, i > 0 || value[i] != ' ', is_raw, ret, e);
		if (used == 0)
			return -1;
	}
	return 0;
}

static const struct line_syntax properties_syntax = {
	.equals = "=",
	.extent = properties_extent,
	.read = properties_read,
	.key = properties_key,
	.write_name = write_name,
	.read_value = read_escapes,
	.write_value = write_value,
};

static bool properties_fits(const char *base, const char *text, size_t len)
{
	return doc_is_named(&reg_lens_properties, base) && lines_fit(&properties_syntax, text, len);
}

const struct reg_lens reg_lens_properties = {
	.name = "properties",
	.files = ".properties",
	.paths = DOC_FLAT,
	.syntax = &properties_syntax,
	.scan = lines_scan,
	.change = lines_change,
	.add = lines_add,
	.remove = lines_remove,
	.fits = properties_fits,
};
