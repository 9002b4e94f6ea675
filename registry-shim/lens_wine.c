/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for registry texts; see lens_wine.h. */
#include "registry-shim/lens_wine.h"

#include <string.h>

#include "registry-shim/lens_lines.h"
#include "registry-shim/lens_text.h"

static const char *const first_lines[] = { "WINE REGISTRY Version 2", "REGEDIT4",
					   "Windows Registry Editor Version 5.00" };

static bool is_wine(const char *text)
{
	return strstr(text, first_lines[0]);
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Past the string in quotes at `at`, or 0. */
static size_t skip_string(const char *s, size_t at, size_t len)
{
	for (at++; at < len && s[at] != '"' && s[at] != '\n'; at++)
		if (s[at] == '\\')
			at++;
	return at < len && s[at] == '"' ? at + 1 : 0;
}

static bool is_hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* `word:` or `word(number):` at s: its length, or 0. */
static size_t type_len(const char *s, size_t len, const char *word)
{
	size_t at = strlen(word);

	if (len <= at || memcmp(s, word, at) != 0)
		return 0;
	if (s[at] == '(') {
		for (at++; at < len && is_hex_digit(s[at]);)
			at++;
		if (at == len || s[at] != ')')
			return 0;
		at++;
	}
	return at < len && s[at] == ':' ? at + 1 : 0;
}

/* Whether a text is a value as files spell it. */
static bool is_spelled(const char *s, size_t len)
{
	size_t at = type_len(s, len, "dword");

	if (len && s[0] == '"')
		return skip_string(s, 0, len) == len;
	if (at) {
		while (at < len && is_hex_digit(s[at]))
			at++;
		return at == len && len - 6 <= 8 && len > 6;
	}
	at = type_len(s, len, "str");
	if (at)
		return at < len && s[at] == '"' && skip_string(s, at, len) == len;
	at = type_len(s, len, "hex");
	for (; at && at < len; at++)
		if (!is_hex_digit(s[at]) && !strchr(", \t\\\r\n", s[at]))
			return false;
	return at;
}

static struct line_parts read_header(const char *s, size_t len)
{
	struct line_parts r = { .kind = LINE_BROKEN, .name_off = 1 };
	size_t end = len;

	/* Wine writes a time behind the bracket. */
	while (end > 1 &&
	       ((s[end - 1] >= '0' && s[end - 1] <= '9') || s[end - 1] == ' ' || s[end - 1] == '\t'))
		end--;
	if (end < 3 || s[end - 1] != ']')
		return r;
	r.kind = LINE_SECTION;
	r.name_len = end - 2;
	return r;
}

static struct line_parts wine_read(const char *s, size_t len)
{
	struct line_parts r = { .kind = LINE_OTHER };
	size_t at = 1;

	if (len == 0 || s[0] == ';' || s[0] == '#')
		return r;
	if (s[0] == '[')
		return read_header(s, len);
	r.kind = LINE_BROKEN;
	for (size_t i = 0; i < ARRAY_LEN(first_lines); i++)
		if (len == strlen(first_lines[i]) && !memcmp(s, first_lines[i], len))
			r.kind = LINE_OTHER;
	if (s[0] == '"')
		at = skip_string(s, 0, len);
	else if (s[0] != '@')
		return r;
	if (at == 0 || at >= len || s[at] != '=')
		return r;
	r.name_len = at;
	r.value_off = at + 1;
	r.value_len = len - r.value_off;
	r.kind = is_spelled(s + r.value_off, r.value_len) ? LINE_KEY : LINE_BROKEN;
	return r;
}

static size_t wine_extent(const char *s, size_t len)
{
	bool may_go_on = len && (s[0] == '"' || s[0] == '@'), is_whole;
	size_t at = 0;

	do {
		const char *feed = memchr(s + at, '\n', len - at);
		size_t stop = feed ? (size_t)(feed - s) : len;

		at = feed ? stop + 1 : len;
		if (stop && s[stop - 1] == '\r')
			stop--;
		is_whole = !may_go_on || !feed || !stop || s[stop - 1] != '\\';
	} while (!is_whole);
	return at;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Parts are divided by one backslash, or by two in Wine's own files. */
static uint32_t wine_section(struct reg_doc *d, const char *name, size_t len, struct err *e)
{
	uint32_t container = DOC_TOP;
	bool is_deletion = len && *name == '-';

	for (size_t at = 0; at < len && container != DOC_NONE;) {
		const char *slash = memchr(name + at, '\\', len - at);
		size_t end = slash ? (size_t)(slash - name) : len;

		container = doc_container(d, container, name + at, end - at, e);
		at = end;
		while (at < len && name[at] == '\\')
			at++;
	}
	if (container != DOC_NONE && is_deletion)
		d->names[container].mark = LINES_NO_KEYS;
	return container;
}

static int wine_header(struct reg_doc *d, uint32_t section, struct buf *ret, struct err *e)
{
	return lines_header(d, section, is_wine(d->text) ? "\\\\" : "\\", ret, e);
}

/* What stands within quotes, escapes resolved. 1: there are others than two. */
static int read_string(const char *s, size_t len, struct buf *ret, struct err *e)
{
	for (size_t i = 1; i + 1 < len; i++) {
		if (s[i] == '\\' && s[i + 1] != '\\' && s[i + 1] != '"')
			return 1;
		i += s[i] == '\\';
		if (buf_add(ret, s + i, 1, e) < 0)
			return -1;
	}
	return 0;
}

static int write_string(const char *text, size_t len, struct buf *ret, struct err *e)
{
	if (buf_add(ret, "\"", 1, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++)
		if ((strchr("\"\\", text[i]) && buf_add(ret, "\\", 1, e) < 0) ||
		    buf_add(ret, text + i, 1, e) < 0)
			return -1;
	return buf_add(ret, "\"", 1, e);
}

static uint32_t wine_key(struct reg_doc *d, uint32_t section, const char *name, size_t len, struct err *e)
{
	int other;

	buf_reset(&d->plain);
	if (*name == '@')
		return doc_key(d, section, name, 1, e);
	other = read_string(name, len, &d->plain, e);
	if (other > 0) { /* as it stands */
		buf_reset(&d->plain);
		other = buf_add(&d->plain, name + 1, len - 2, e);
	}
	return other < 0 ? DOC_NONE : doc_key_buf(d, section, &d->plain, e);
}

static int wine_write_name(struct reg_doc *d, uint32_t section, uint32_t key, struct buf *ret, struct err *e)
{
	auto_buf struct buf name = BUF_INIT(REG_KEY_MAX);

	(void)section;
	if (lines_name(d, key, &name, e) < 0)
		return -1;
	if (name.len == 1 && name.data[0] == '@')
		return buf_add(ret, "@", 1, e);
	return write_string(name.len ? (char *)name.data : "", name.len, ret, e);
}

static int wine_read_value(const char *s, size_t len, struct buf *ret, struct err *e)
{
	return s[0] == '"' ? text_string_value(s, len, read_string, is_spelled, ret, e)
			   : buf_add(ret, s, len, e);
}

static int wine_write_value(const char *old, size_t old_len, const char *value, struct buf *ret,
			    struct err *e)
{
	(void)old;
	(void)old_len;
	return is_spelled(value, strlen(value)) ? buf_add_str(ret, value, e)
						: write_string(value, strlen(value), ret, e);
}

static int wine_scan(struct reg_doc *d, struct err *e)
{
	const char *first = d->text + d->at;
	bool is_known = d->at == d->len;

	for (size_t i = 0; i < ARRAY_LEN(first_lines); i++)
		is_known = is_known || !strncmp(first, first_lines[i], strlen(first_lines[i]));
	return is_known ? lines_scan(d, e) : err_set(e, ERR_FORMAT, "not a registry's text");
}

static int wine_add(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	if (!strchr(key, '/'))
		return err_set(e, ERR_USAGE, "%s: a value lies in a key: Software/...", key);
	if (d->len == 0)
		return err_set(e, ERR_USAGE, "an empty file is no registry: the program has to make it");
	return lines_add(d, key, value, e);
}

static const struct line_syntax wine_syntax = {
	.has_spellings = true,
	.equals = "=",
	.extent = wine_extent,
	.read = wine_read,
	.section = wine_section,
	.header = wine_header,
	.key = wine_key,
	.write_name = wine_write_name,
	.read_value = wine_read_value,
	.write_value = wine_write_value,
};

static bool wine_fits(const char *base, const char *text, size_t len)
{
	return doc_is_named(&reg_lens_wine, base) && lines_fit(&wine_syntax, text, len);
}

const struct reg_lens reg_lens_wine = {
	.name = "wine",
	.files = ".reg",
	.paths = DOC_NESTED,
	.syntax = &wine_syntax,
	.scan = wine_scan,
	.change = lines_change,
	.add = wine_add,
	.remove = lines_remove,
	.fits = wine_fits,
};
