/* SPDX-License-Identifier: Apache-2.0 */
/* The TOML lens; see lens_toml.h. */
#include "registry-shim/lens_toml.h"

#include <string.h>

#include "registry-shim/lens_lines.h"
#include "registry-shim/lens_text.h"
#include "registry-shim/lens_toml_value.h"

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

/* Past one part of a name, or 0. */
static size_t skip_part(const char *s, size_t at, size_t len)
{
	size_t start = at;

	if (at < len && (s[at] == '"' || s[at] == '\'')) /* three quotes are no name */
		return len - at >= 3 && s[at + 1] == s[at] && s[at + 2] == s[at]
			       ? 0
			       : toml_skip_string(s, at, len);
	while (at < len && is_bare(s[at]))
		at++;
	return at > start ? at : 0;
}

/* Past `part . part`, or 0. */
static size_t skip_name(const char *s, size_t at, size_t len)
{
	for (;;) {
		size_t dot;

		at = skip_part(s, at, len);
		dot = at ? text_skip_blanks(s, at, len) : len;
		if (dot >= len || s[dot] != '.')
			return at;
		at = text_skip_blanks(s, dot + 1, len);
	}
}

static bool is_end(const char *s, size_t at, size_t len)
{
	at = text_skip_blanks(s, at, len);
	return at >= len || s[at] == '#';
}

static struct line_parts read_header(const char *s, size_t at, size_t len)
{
	struct line_parts r = { .kind = LINE_BROKEN };
	size_t brackets = at + 1 < len && s[at + 1] == '[' ? 2 : 1, end;

	end = skip_name(s, text_skip_blanks(s, at + brackets, len), len);
	end = end ? text_skip_blanks(s, end, len) : len;
	if (len - end < brackets || s[end] != ']' || s[end + brackets - 1] != ']' ||
	    !is_end(s, end + brackets, len))
		return r;
	r.kind = LINE_SECTION; /* an array's name with a bracket in front */
	r.name_off = at + 1;
	r.name_len = end - r.name_off;
	return r;
}

/* Up to the value's end, whatever follows on the line. */
static struct line_parts read_setting(const char *s, size_t at, size_t len)
{
	struct line_parts r = { .kind = LINE_BROKEN, .name_off = at };
	size_t end = skip_name(s, at, len);

	if (end == 0)
		return r;
	r.name_len = end - at;
	at = text_skip_blanks(s, end, len);
	if (at >= len || s[at] != '=')
		return r;
	r.value_off = text_skip_blanks(s, at + 1, len);
	end = toml_skip_value(s, r.value_off, len);
	if (end == 0)
		return r;
	r.value_len = end - r.value_off;
	r.kind = LINE_KEY;
	return r;
}

static struct line_parts toml_read(const char *s, size_t len)
{
	struct line_parts r = { .kind = LINE_OTHER };
	size_t at = text_skip_blanks(s, 0, len);

	if (is_end(s, at, len))
		return r;
	if (s[at] == '[')
		return read_header(s, at, len);
	r = read_setting(s, at, len);
	if (r.kind == LINE_KEY && !is_end(s, r.value_off + r.value_len, len))
		r.kind = LINE_BROKEN;
	return r;
}

static size_t toml_extent(const char *s, size_t len)
{
	size_t at = text_skip_blanks(s, 0, len);
	const char *feed;

	if (at < len && s[at] != '[' && s[at] != '#' && s[at] != '\n') {
		const char *first = memchr(s, '\n', len);
		struct line_parts r = read_setting(s, at, len);

		/* Only a value goes on behind its line. */
		if (r.kind == LINE_KEY && (!first || r.value_off < (size_t)(first - s)))
			at = r.value_off + r.value_len;
	}
	feed = memchr(s + at, '\n', len - at);
	return feed ? (size_t)(feed - s) + 1 : len;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* One part's text into d->plain. ERR_FORMAT where it has none. */
static int read_part(struct reg_doc *d, const char *s, size_t len, struct err *e)
{
	int none;

	buf_reset(&d->plain);
	if (s[0] != '"' && s[0] != '\'')
		return buf_add(&d->plain, s, len, e);
	none = toml_read_string(s, len, &d->plain, e);
	return none > 0 ? err_set(e, ERR_FORMAT, "a name with U+0000") : none;
}

/* The container of all parts but the last, which is left in d->plain. */
static uint32_t read_parts(struct reg_doc *d, uint32_t container, const char *s, size_t len, struct err *e)
{
	size_t at = 0;

	for (;;) {
		size_t end = skip_part(s, at, len), next = text_skip_blanks(s, end, len);

		if (read_part(d, s + at, end - at, e) < 0)
			return DOC_NONE;
		if (next >= len || s[next] != '.')
			return container;
		container = doc_container_buf(d, container, &d->plain, e);
		if (container == DOC_NONE)
			return DOC_NONE;
		at = text_skip_blanks(s, next + 1, len);
	}
}

static uint32_t toml_key(struct reg_doc *d, uint32_t section, const char *name, size_t len, struct err *e)
{
	uint32_t container = read_parts(d, section, name, len, e);

	return container ? doc_key_buf(d, container, &d->plain, e) : DOC_NONE;
}

static uint32_t toml_section(struct reg_doc *d, const char *name, size_t len, struct err *e)
{
	size_t is_list = *name == '[', start = text_skip_blanks(name, is_list, len);
	uint32_t container;

	while (len && (name[len - 1] == ' ' || name[len - 1] == '\t'))
		len--;
	container = read_parts(d, DOC_TOP, name + start, len - start, e);
	if (container == DOC_NONE)
		return DOC_NONE;
	container = doc_container_buf(d, container, &d->plain, e);
	for (uint32_t i = container; i != DOC_NONE; i = d->names[i].container)
		is_list |= d->names[i].mark == LINES_NO_KEYS;
	if (container != DOC_NONE && is_list)
		d->names[container].mark = LINES_NO_KEYS;
	return container;
}

/* A part of a key, as TOML spells it. */
static int write_part(const char *part, size_t len, struct buf *ret, struct err *e)
{
	auto_buf struct buf plain = BUF_INIT(REG_KEY_MAX);
	const char *text;
	size_t bare = 0;

	if (doc_unspell(part, len, &plain, e) < 0)
		return -1;
	text = buf_text(&plain, e);
	if (!text)
		return -1;
	while (is_bare(text[bare]))
		bare++;
	return bare && bare == plain.len ? buf_add(ret, text, bare, e)
					 : toml_write_string(text, plain.len, ret, e);
}

/* "a/b/c" as a.b.c */
static int write_parts(const char *path, size_t len, struct buf *ret, struct err *e)
{
	while (len) {
		const char *slash = memchr(path, '/', len);
		size_t part = slash ? (size_t)(slash - path) : len, used = part + (slash != NULL);

		if (write_part(path, part, ret, e) < 0 || (slash && buf_add(ret, ".", 1, e) < 0))
			return -1;
		path += used;
		len -= used;
	}
	return 0;
}

static int toml_header(struct reg_doc *d, uint32_t section, struct buf *ret, struct err *e)
{
	const struct doc_name *n = &d->names[section];

	return buf_add(ret, "[", 1, e) < 0 || write_parts(n->text, n->len, ret, e) < 0
		       ? -1
		       : buf_add(ret, "]", 1, e);
}

static int toml_write_name(struct reg_doc *d, uint32_t section, uint32_t key, struct buf *ret, struct err *e)
{
	size_t skip = section == DOC_TOP ? 0 : d->names[section].len + 1;

	return write_parts(d->names[key].text + skip, d->names[key].len - skip, ret, e);
}

/* A table that only dotted names have made can have no header: its keys are written with dots as well. */
static uint32_t toml_place(const struct reg_doc *d, uint32_t container)
{
	if (d->names[container].end != DOC_NONE)
		while (container != DOC_TOP && d->names[container].piece == DOC_NONE)
			container = d->names[container].container;
	return container;
}

static const struct line_syntax toml_syntax = {
	.has_spellings = true,
	.is_exclusive = true,
	.equals = " = ",
	.extent = toml_extent,
	.read = toml_read,
	.section = toml_section,
	.header = toml_header,
	.key = toml_key,
	.write_name = toml_write_name,
	.place = toml_place,
	.read_value = toml_read_value,
	.write_value = toml_write_value,
};

static bool toml_fits(const char *base, const char *text, size_t len)
{
	return doc_is_named(&reg_lens_toml, base) && doc_has_keys(&reg_lens_toml, text, len);
}

const struct reg_lens reg_lens_toml = {
	.name = "toml",
	.files = ".toml",
	.paths = DOC_NESTED,
	.syntax = &toml_syntax,
	.scan = lines_scan,
	.change = lines_change,
	.add = lines_add,
	.remove = lines_remove,
	.fits = toml_fits,
};
