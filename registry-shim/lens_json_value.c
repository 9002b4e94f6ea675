/* SPDX-License-Identifier: Apache-2.0 */
/* JSON's values (RFC 8259, and the comments and trailing commas of JSONC); see lens_json_value.h. */
#include "registry-shim/lens_json_value.h"

#include <string.h>

#include "registry-shim/lens_json.h"
#include "registry-shim/lens_text.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int json_skip_blanks(const char *s, size_t len, size_t *at, size_t *ret_lead, struct err *e)
{
	size_t lead = *at, i = *at;

	for (;;) {
		const char *end;

		while (i < len && is_blank(s[i]))
			i++;
		if (i + 1 >= len || s[i] != '/' || (s[i + 1] != '/' && s[i + 1] != '*'))
			break;
		if (s[i + 1] == '/') { /* its line's end is a blank */
			end = memchr(s + i, '\n', len - i);
			i = end ? (size_t)(end - s) : len;
			if (i < len && s[i - 1] == '\r')
				i--;
		} else {
			end = memmem(s + i + 2, len - i - 2, "*/", 2);
			*at = i;
			if (!end)
				return err_set(e, ERR_FORMAT, "a comment that does not end");
			i = (size_t)(end - s) + 2;
		}
		lead = i;
	}
	*at = i;
	if (ret_lead)
		*ret_lead = lead;
	return 0;
}

int json_skip_string(const char *s, size_t len, size_t *at, struct err *e)
{
	for (size_t i = *at + 1; i < len; i++) {
		if (s[i] == '"') {
			*at = i + 1;
			return 0;
		}
		if ((unsigned char)s[i] < ' ')
			break;
		if (s[i] != '\\')
			continue;
		i++;
		if (i == len || !strchr("\"\\/bfnrtu", s[i]) || !s[i])
			return err_set(e, ERR_FORMAT, "a backslash before nothing that it knows");
		if (s[i] == 'u' && (len - i < 5 || strspn(s + i + 1, "0123456789abcdefABCDEF") < 4))
			return err_set(e, ERR_FORMAT, "\\u without four digits");
	}
	return err_set(e, ERR_FORMAT, "a string that does not end");
}

/* The length of the number that s begins with, or 0. */
static size_t number_len(const char *s, size_t len)
{
	size_t i = len && s[0] == '-', digits = i;

	while (i < len && is_digit(s[i]))
		i++;
	if (i == digits || (i - digits > 1 && s[digits] == '0'))
		return 0;
	if (i < len && s[i] == '.') {
		digits = ++i;
		while (i < len && is_digit(s[i]))
			i++;
		if (i == digits)
			return 0;
	}
	if (i < len && (s[i] == 'e' || s[i] == 'E')) {
		i++;
		if (i < len && (s[i] == '+' || s[i] == '-'))
			i++;
		digits = i;
		while (i < len && is_digit(s[i]))
			i++;
		if (i == digits)
			return 0;
	}
	return i;
}

static size_t literal_len(const char *s, size_t len)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if (len >= n && !memcmp(s, words[i], n))
			return n;
	}
	return number_len(s, len);
}

static int skip_scalar(const char *s, size_t len, size_t *at, struct err *e)
{
	size_t n;

	if (*at < len && s[*at] == '"')
		return json_skip_string(s, len, at, e);
	n = literal_len(s + *at, len - *at);
	if (n == 0)
		return err_set(e, ERR_FORMAT, "a value is missing");
	*at += n;
	return 0;
}

/* `"name" :` and the blanks around. */
static int skip_name(const char *s, size_t len, size_t *at, struct err *e)
{
	if (*at >= len || s[*at] != '"')
		return err_set(e, ERR_FORMAT, "a name in quotes is missing");
	if (json_skip_string(s, len, at, e) < 0 || json_skip_blanks(s, len, at, NULL, e) < 0)
		return -1;
	if (*at >= len || s[*at] != ':')
		return err_set(e, ERR_FORMAT, "a ':' is missing");
	*at += 1;
	return json_skip_blanks(s, len, at, NULL, e);
}

int json_skip_value(const char *s, size_t len, size_t *at, struct err *e)
{
	char closing[JSON_DEPTH_MAX];
	size_t depth = 0;

	for (;;) {
		bool is_begin = *at < len && (s[*at] == '[' || s[*at] == '{');

		if (is_begin && depth == JSON_DEPTH_MAX)
			return err_set(e, ERR_LIMIT, "nested deeper than %d", JSON_DEPTH_MAX);
		if (is_begin)
			closing[depth++] = s[(*at)++] == '[' ? ']' : '}';
		else if (skip_scalar(s, len, at, e) < 0)
			return -1;
		/* Behind a value, or at the beginning of a list: a comma or ends, up to the next value. */
		for (bool has_comma = is_begin; depth; has_comma = false) {
			if (json_skip_blanks(s, len, at, NULL, e) < 0)
				return -1;
			if (!has_comma && *at < len && s[*at] == ',') {
				has_comma = true;
				*at += 1;
				if (json_skip_blanks(s, len, at, NULL, e) < 0)
					return -1;
			}
			if (*at < len && s[*at] == closing[depth - 1]) {
				*at += 1;
				depth--;
				continue;
			}
			if (!has_comma)
				return err_set(e, ERR_FORMAT, "a ',' or a '%c' is missing",
					       closing[depth - 1]);
			if (closing[depth - 1] == '}' && skip_name(s, len, at, e) < 0)
				return -1;
			break;
		}
		if (depth == 0)
			return 0;
	}
}

/* ---- strings -------------------------------------------------------------------------------- */

int json_read_string(const char *s, size_t len, struct buf *ret, struct err *e)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	size_t end = len - 1;

	for (size_t i = 1, plain; i < end;) {
		const char *escape = memchr(s + i, '\\', end - i), *known;
		unsigned long c;

		plain = escape ? (size_t)(escape - s) - i : end - i;
		if (buf_add(ret, s + i, plain, e) < 0)
			return -1;
		i += plain;
		if (!escape)
			break;
		if (s[i + 1] == 'u') {
			size_t used = text_utf16(s + i + 2, end - i - 2, &c);

			if (used == 0)
				return 1;
			if (text_add_code_point(c, ret, e) < 0)
				return -1;
			i += used + 2;
			continue;
		}
		known = strchr(from, s[i + 1]);
		if (buf_add(ret, known ? to + (known - from) : s + i + 1, 1, e) < 0)
			return -1;
		i += 2;
	}
	return 0;
}

int json_write_string(const char *text, size_t len, struct buf *ret, struct err *e)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";

	if (buf_add(ret, "\"", 1, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		const char *known = text[i] ? strchr(from, text[i]) : NULL;
		char escape[7] = { '\\', known ? to[known - from] : 'u' };
		size_t n = 2;

		if (!known && (unsigned char)text[i] < ' ')
			n = (size_t)sprintf(escape, "\\u%04x", (unsigned)text[i]);
		else if (!known)
			n = 0;
		if (buf_add(ret, n ? escape : &text[i], n ? n : 1, e) < 0)
			return -1;
	}
	return buf_add(ret, "\"", 1, e);
}

/* ---- values --------------------------------------------------------------------------------- */

/* Whether a registry value is a value in JSON's spelling, and not the text of a string. */
static bool is_spelled(const char *value, size_t len)
{
	struct err ignored;
	size_t at = 0;

	if (len == 0 || (!strchr("\"[{-tfn", value[0]) && !is_digit(value[0])))
		return false;
	return json_skip_value(value, len, &at, &ignored) == 0 && at == len;
}

int json_read_value(const char *s, size_t len, struct buf *ret, struct err *e)
{
	return s[0] == '"' ? text_string_value(s, len, json_read_string, is_spelled, ret, e)
			   : buf_add(ret, s, len, e);
}

int json_write_value(const char *value, struct buf *ret, struct err *e)
{
	size_t len = strlen(value);

	if (!is_spelled(value, len))
		return json_write_string(value, len, ret, e);
	if (value[0] == '{')
		return err_set(e, ERR_USAGE, "an object is set key by key, not as %.100s", value);
	return buf_add(ret, value, len, e);
}
