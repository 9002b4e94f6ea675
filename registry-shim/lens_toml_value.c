/* SPDX-License-Identifier: Apache-2.0 */
/* TOML's values; see lens_toml_value.h. */
#include "registry-shim/lens_toml_value.h"

#include <string.h>

#include "registry-shim/lens_text.h"
#include "registry-shim/lens_toml.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_bare(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("+-_.:", c));
}

/* ---- where values end ----------------------------------------------------------------------- */

static bool is_triple(const char *s, size_t at, size_t len)
{
	return len - at >= 3 && s[at + 1] == s[at] && s[at + 2] == s[at];
}

size_t toml_skip_string(const char *s, size_t at, size_t len)
{
	char quote = s[at];
	size_t quotes = is_triple(s, at, len) ? 3 : 1;

	for (at += quotes; at < len; at++) {
		if (s[at] == '\\' && quote == '"')
			at++;
		else if (s[at] == quote && quotes == 1)
			return at + 1;
		else if (s[at] == '\n' && quotes == 1)
			return 0;
		else if (s[at] == quote && is_triple(s, at, len)) {
			for (at += 3, quotes = 0; quotes < 2 && at < len && s[at] == quote; quotes++)
				at++; /* up to two quotes belong to the text */
			return at;
		}
	}
	return 0;
}

/* Digits with single '_' between them. */
static size_t skip_digits(const char *s, size_t at, size_t len, const char *digits)
{
	while (at < len && s[at] && (strchr(digits, s[at]) || (s[at] == '_' && at > 0 && s[at - 1] != '_')))
		at++;
	return at;
}

static bool is_number(const char *s, size_t len)
{
	static const char *const digits[] = { "0123456789abcdefABCDEF", "01234567", "01" };
	static const char *const decimal = "0123456789", *const marks = "xob";
	size_t at = len && (*s == '+' || *s == '-'), start = at;
	const char *mark = len > 2 && s[0] == '0' && s[1] ? strchr(marks, s[1]) : NULL;

	if (mark)
		return s[2] != '_' && s[len - 1] != '_' &&
		       skip_digits(s, 2, len, digits[mark - marks]) == len;
	if (at == len || !is_digit(s[at]) || s[len - 1] == '_')
		return false;
	at = skip_digits(s, at, len, decimal);
	if (s[start] == '0' && at - start > 1)
		return false;
	if (at < len && s[at] == '.') {
		if (at + 1 == len || !is_digit(s[at + 1]) || s[at - 1] == '_')
			return false;
		at = skip_digits(s, at + 1, len, decimal);
	}
	if (at < len && (s[at] == 'e' || s[at] == 'E')) {
		at++;
		at += at < len && (s[at] == '+' || s[at] == '-');
		if (at == len || !is_digit(s[at]))
			return false;
		at = skip_digits(s, at, len, decimal);
	}
	return at == len;
}

/* The length of what fits the pattern, in which 'd' is a digit and all else itself; or 0. */
static size_t match(const char *s, size_t len, const char *pattern)
{
	size_t i = 0;

	for (; pattern[i]; i++)
		if (i == len || (pattern[i] == 'd' ? !is_digit(s[i]) : s[i] != pattern[i]))
			return 0;
	return i;
}

static size_t match_time(const char *s, size_t len)
{
	size_t at = match(s, len, "dd:dd:dd");

	if (at && at + 1 < len && s[at] == '.' && is_digit(s[at + 1]))
		for (at++; at < len && is_digit(s[at]);)
			at++;
	return at;
}

static bool is_date(const char *s, size_t len)
{
	size_t at = match(s, len, "dddd-dd-dd"), time;

	if (at == 0)
		return len && match_time(s, len) == len;
	if (at == len)
		return true;
	time = strchr("Tt ", s[at]) && s[at] ? match_time(s + at + 1, len - at - 1) : 0;
	at += 1 + time;
	if (!time || at == len)
		return time;
	if (s[at] == 'Z' || s[at] == 'z')
		return at + 1 == len;
	return (s[at] == '+' || s[at] == '-') && at + 1 + match(s + at + 1, len - at - 1, "dd:dd") == len &&
	       at + 1 < len;
}

static bool is_scalar(const char *s, size_t len)
{
	static const char *const words[] = { "true", "false", "inf", "nan", "+inf", "-inf", "+nan", "-nan" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (len == strlen(words[i]) && !memcmp(s, words[i], len))
			return true;
	return is_number(s, len) || is_date(s, len);
}

static size_t skip_scalar(const char *s, size_t at, size_t len)
{
	size_t end = at;

	while (end < len && is_bare(s[end]))
		end++;
	if (len - end >= 6 && match(s + at, end - at, "dddd-dd-dd") == end - at && end > at &&
	    match(s + end, len - end, " dd:dd")) /* a date and a time */
		for (end++; end < len && is_bare(s[end]);)
			end++;
	return is_scalar(s + at, end - at) ? end : 0;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* Past blanks, line ends, commas and comments, none of which end a value in brackets. */
static size_t skip_between(const char *s, size_t at, size_t len)
{
	while (at < len && s[at] && strchr(" \t\r\n,#", s[at])) {
		const char *feed = s[at] == '#' ? memchr(s + at, '\n', len - at) : s + at;

		at = feed ? (size_t)(feed - s) + 1 : len;
	}
	return at;
}

/* Past a name and the '=' in an inline table. */
static size_t skip_name(const char *s, size_t at, size_t len)
{
	while (at < len && s[at] != '=') {
		if (is_quote(s[at]))
			at = toml_skip_string(s, at, len);
		else if (is_bare(s[at]) || s[at] == ' ' || s[at] == '\t')
			at++;
		else
			return 0;
		if (at == 0)
			return 0;
	}
	return at < len ? skip_between(s, at + 1, len) : 0;
}

size_t toml_skip_value(const char *s, size_t at, size_t len)
{
	char closing[TOML_DEPTH_MAX];
	size_t depth = 0;

	do {
		if (at >= len)
			return 0;
		if (depth && s[at] == closing[depth - 1]) {
			depth--;
			at++;
		} else if (depth && closing[depth - 1] == '}' && !(at = skip_name(s, at, len))) {
			return 0;
		} else if (at < len && (s[at] == '[' || s[at] == '{')) {
			if (depth == TOML_DEPTH_MAX)
				return 0;
			closing[depth++] = s[at++] == '[' ? ']' : '}';
		} else {
			at = at >= len         ? 0
			     : is_quote(s[at]) ? toml_skip_string(s, at, len)
					       : skip_scalar(s, at, len);
			if (at == 0)
				return 0;
		}
		if (depth)
			at = skip_between(s, at, len);
	} while (depth);
	return at;
}

/* ---- strings -------------------------------------------------------------------------------- */

/* An escape, from behind its backslash on. Bytes read; 0 on failure, 1 + len when C has no text for it. */
static size_t read_escape(const char *s, size_t len, struct buf *ret, struct err *e)
{
	static const char from[] = "btnfr\"\\e", to[] = "\b\t\n\f\r\"\\\033";
	const char *known = len && *s ? strchr(from, *s) : NULL;
	size_t digits = len && *s == 'u' ? 4 : 8;
	long c;

	if (known)
		return buf_add(ret, to + (known - from), 1, e) < 0 ? 0 : 1;
	c = len && (*s == 'u' || *s == 'U') ? text_hex(s + 1, len - 1, digits) : -1;
	if (c == 0)
		return 1 + len;
	if (c < 0) {
		(void)err_set(e, ERR_FORMAT, "a backslash before nothing that it knows");
		return 0;
	}
	return text_add_code_point((unsigned long)c, ret, e) < 0 ? 0 : 1 + digits;
}

/* Past a line's end behind a backslash and all blanks that follow; 0 when there is no line's end. */
static size_t skip_folded(const char *s, size_t at, size_t len)
{
	size_t end = at;

	while (end < len && (s[end] == ' ' || s[end] == '\t' || s[end] == '\r'))
		end++;
	if (end == len || s[end] != '\n')
		return 0;
	while (end < len && s[end] && strchr(" \t\r\n", s[end]))
		end++;
	return end;
}

int toml_read_string(const char *s, size_t len, struct buf *ret, struct err *e)
{
	bool is_basic = s[0] == '"', is_long = is_triple(s, 0, len) && len >= 6;
	size_t at = is_long ? 3 : 1, end = len - at, used;

	if (is_long && at < end && s[at] == '\r')
		at++;
	if (is_long && at < end && s[at] == '\n')
		at++;
	while (at < end) {
		if (s[at] != '\\' || !is_basic) {
			if (buf_add(ret, s + at++, 1, e) < 0)
				return -1;
			continue;
		}
		used = is_long ? skip_folded(s, at + 1, end) : 0;
		if (used) {
			at = used;
			continue;
		}
		used = read_escape(s + at + 1, end - at - 1, ret, e);
		if (used == 0)
			return -1;
		if (used > end - at - 1)
			return 1;
		at += 1 + used;
	}
	return 0;
}

int toml_write_string(const char *text, size_t len, struct buf *ret, struct err *e)
{
	static const char from[] = "\b\t\n\f\r\"\\", to[] = "btnfr\"\\";

	if (buf_add(ret, "\"", 1, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		const char *known = strchr(from, text[i]);
		int rc;

		if (known)
			rc = buf_printf(ret, e, "\\%c", to[known - from]);
		else if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			rc = buf_printf(ret, e, "\\u%04X", (unsigned)text[i]);
		else
			rc = buf_add(ret, text + i, 1, e);
		if (rc < 0)
			return -1;
	}
	return buf_add(ret, "\"", 1, e);
}

/* ---- values --------------------------------------------------------------------------------- */

static bool is_spelled(const char *value, size_t len)
{
	auto_buf struct buf ignored = BUF_INIT(len + 1);
	struct err e;

	if (len == 0 || toml_skip_value(value, 0, len) != len)
		return false;
	return !is_quote(value[0]) || toml_read_string(value, len, &ignored, &e) >= 0;
}

int toml_read_value(const char *s, size_t len, struct buf *ret, struct err *e)
{
	return is_quote(s[0]) ? text_string_value(s, len, toml_read_string, is_spelled, ret, e)
			      : buf_add(ret, s, len, e);
}

int toml_write_value(const char *old, size_t old_len, const char *value, struct buf *ret, struct err *e)
{
	size_t len = strlen(value);
	bool is_literal = old_len && old[0] == '\'';

	if (is_spelled(value, len))
		return buf_add(ret, value, len, e);
	for (size_t i = 0; i < len; i++)
		is_literal = is_literal && value[i] != '\'' &&
			     ((unsigned char)value[i] >= ' ' || value[i] == '\t') && value[i] != 0x7f;
	if (!is_literal)
		return toml_write_string(value, len, ret, e);
	return buf_printf(ret, e, "'%s'", value);
}
