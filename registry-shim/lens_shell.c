/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for shell variables; see lens_shell.h. */
#include "registry-shim/lens_shell.h"

#include <string.h>

#include "registry-shim/lens_lines.h"
#include "registry-shim/lens_text.h"

static bool is_name(char c, bool is_first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!is_first && c >= '0' && c <= '9');
}

static bool is_safe(char c)
{
	return is_name(c, false) || (c && strchr("./:,@%+=-", c)) || (c & 0x80);
}

/* `[export ]NAME=`: where the value begins, or 0. */
static size_t read_name(const char *s, size_t len, struct line_parts *ret)
{
	size_t at = 0;

	if (len > 7 && !memcmp(s, "export", 6) && (s[6] == ' ' || s[6] == '\t'))
		at = text_skip_blanks(s, 6, len);
	ret->name_off = at;
	while (at < len && is_name(s[at], at == ret->name_off))
		at++;
	ret->name_len = at - ret->name_off;
	return ret->name_len && at < len && s[at] == '=' ? at + 1 : 0;
}

/* Behind the quote that ends what begins at `at`, or 0. */
static size_t skip_quoted(const char *s, size_t at, size_t len)
{
	char quote = s[at++];

	while (at < len && s[at] != quote)
		at += quote == '"' && s[at] == '\\' ? 2 : 1;
	return at < len ? at + 1 : 0;
}

static size_t shell_extent(const char *s, size_t len)
{
	struct line_parts ignored;
	size_t at = read_name(s, len, &ignored), start = at;
	const char *feed;

	if (at && at < len && (s[at] == '"' || s[at] == '\'')) {
		at = skip_quoted(s, at, len);
		start = at;
		if (at == 0)
			return len;
	}
	do {
		feed = memchr(s + at, '\n', len - at);
		at = feed ? (size_t)(feed - s) + 1 : len;
	} while (feed && feed > s + start && feed[-1] == '\\' && s[0] != '#');
	return at;
}

static bool has_expansion(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '$')
			return true;
	}
	return false;
}

/* Whether a word in quotes is one that we understand: no commands in it. */
static bool is_plain_quoted(const char *s, size_t len)
{
	if (len < 2 || (s[0] != '"' && s[0] != '\'') || skip_quoted(s, 0, len) != len)
		return false;
	if (s[0] == '\'')
		return true;
	for (size_t i = 1; i < len; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '`' || (s[i] == '$' && strchr("({'\"", s[i + 1]) && i + 2 < len))
			return false;
	}
	return true;
}

/* The end of the plain word at `at`, or `at`. */
static size_t skip_word(const char *s, size_t at, size_t len)
{
	while (at < len && (is_safe(s[at]) || s[at] == '\\' || s[at] == '$')) {
		if (s[at] == '\\' && (at + 1 == len || s[at + 1] == '\n' || s[at + 1] == '\r'))
			return 0;
		at += s[at] == '\\' ? 2 : 1;
	}
	return at;
}

static struct line_parts shell_read(const char *s, size_t len)
{
	struct line_parts r = { .kind = LINE_STRAY };
	size_t start = text_skip_blanks(s, 0, len), at, end;

	if (start == len || s[start] == '#') {
		r.kind = LINE_OTHER;
		return r;
	}
	if (s[len - 1] == '\\') /* the text's end cuts it off */
		r.kind = LINE_BROKEN;
	at = read_name(s, len, &r);
	if (at == 0 || r.kind == LINE_BROKEN)
		return r;
	r.value_off = at;
	if (at < len && (s[at] == '"' || s[at] == '\''))
		at = skip_quoted(s, at, len);
	else
		at = skip_word(s, at, len);
	if (at == 0 && strchr("\"'", s[r.value_off]))
		r.kind = LINE_BROKEN;
	end = text_skip_blanks(s, at, len);
	if (at < r.value_off || (end < len && (end == at || s[end] != '#')) ||
	    memchr(s + end, '\n', len - end))
		return r;
	r.value_len = at - r.value_off;
	if (r.value_len && (s[r.value_off] == '"' || s[r.value_off] == '\'') &&
	    !is_plain_quoted(s + r.value_off, r.value_len))
		return r;
	r.kind = LINE_KEY;
	return r;
}

/* What the shell makes of a word without expansions. */
static int resolve(const char *s, size_t len, struct buf *ret, struct err *e)
{
	char quote = len && (s[0] == '"' || s[0] == '\'') ? s[0] : 0;

	if (quote) {
		s++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		bool is_escape = s[i] == '\\' && quote != '\'' && i + 1 < len &&
				 (!quote || strchr("\"\\$`\n", s[i + 1]));

		if (is_escape && s[i + 1] == '\n') {
			i++;
			continue;
		}
		i += is_escape;
		if (buf_add(ret, s + i, 1, e) < 0)
			return -1;
	}
	return 0;
}

static int read_value(const char *s, size_t len, struct buf *ret, struct err *e)
{
	bool is_quoted = len && (s[0] == '"' || s[0] == '\'');
	size_t start = ret->len;

	if ((!len || s[0] != '\'') && has_expansion(s, len)) {
		if (is_quoted)
			return buf_add(ret, s, len, e);
		return buf_add(ret, "\"", 1, e) < 0 || buf_add(ret, s, len, e) < 0 ? -1
										   : buf_add(ret, "\"", 1, e);
	}
	if (resolve(s, len, ret, e) < 0)
		return -1;
	if (ret->len == start || !is_plain_quoted((char *)ret->data + start, ret->len - start))
		return 0;
	ret->len = start; /* a quoted word within quotes */
	if (is_quoted)
		return buf_add(ret, s, len, e);
	return err_set(e, ERR_FORMAT, "quotes behind backslashes");
}

static bool is_word(const char *value)
{
	while (is_safe(*value))
		value++;
	return !*value;
}

static int write_value(const char *old, size_t old_len, const char *value, struct buf *ret, struct err *e)
{
	char quote = old_len && (old[0] == '"' || old[0] == '\'') ? old[0] : 0;

	if (is_plain_quoted(value, strlen(value)) || (!quote && *value && is_word(value)))
		return buf_add_str(ret, value, e);
	if (!quote && !*value)
		return 0;
	if (quote == '\'' && strchr(value, '\''))
		quote = '"';
	if (!quote)
		quote = '"';
	if (buf_add(ret, &quote, 1, e) < 0)
		return -1;
	for (; *value; value++)
		if ((quote == '"' && strchr("\"\\$`", *value) && buf_add(ret, "\\", 1, e) < 0) ||
		    buf_add(ret, value, 1, e) < 0)
			return -1;
	return buf_add(ret, &quote, 1, e);
}

static const struct line_syntax shell_syntax = {
	.has_spellings = true,
	.equals = "=",
	.extent = shell_extent,
	.read = shell_read,
	.read_value = read_value,
	.write_value = write_value,
};

static bool shell_fits(const char *base, const char *text, size_t len)
{
	(void)base; /* variables are in files of any name */
	return lines_fit(&shell_syntax, text, len);
}

const struct reg_lens reg_lens_shell = {
	.name = "shell",
	.files = ".env",
	.paths = DOC_FLAT,
	.syntax = &shell_syntax,
	.scan = lines_scan,
	.change = lines_change,
	.add = lines_add,
	.remove = lines_remove,
	.fits = shell_fits,
};
