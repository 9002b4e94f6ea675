/* SPDX-License-Identifier: Apache-2.0 */
/* YAML's scalars; see lens_yaml_value.h. */
#include "registry-shim/lens_yaml_value.h"

#include <string.h>
#include <strings.h>

#include "registry-shim/lens_json_value.h"
#include "registry-shim/lens_text.h"

enum { FLOW_DEPTH_MAX = 1000 };

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

size_t yaml_skip_quoted(const char *s, size_t at, size_t len)
{
	char quote = s[at++];

	for (; at < len; at++) {
		if (quote == '"' && s[at] == '\\')
			at++;
		else if (s[at] == quote && quote == '\'' && at + 1 < len && s[at + 1] == '\'')
			at++;
		else if (s[at] == quote)
			return at + 1;
	}
	return 0;
}

size_t yaml_skip_flow(const char *s, size_t at, size_t len)
{
	char closing[FLOW_DEPTH_MAX];
	size_t depth = 0;
	bool may_quote = true; /* a quote begins a string only where a value could */

	for (; at < len; at++) {
		if (is_quote(s[at]) && may_quote) {
			at = yaml_skip_quoted(s, at, len);
			if (at == 0)
				return 0;
			at--;
		} else if (s[at] == '[' || s[at] == '{') {
			if (depth == FLOW_DEPTH_MAX)
				return 0;
			closing[depth++] = s[at] == '[' ? ']' : '}';
		} else if (s[at] == ']' || s[at] == '}') {
			if (s[at] != closing[depth - 1])
				return 0;
			if (--depth == 0)
				return at + 1;
		} else if (s[at] == '#' && (s[at - 1] == ' ' || s[at - 1] == '\n')) {
			const char *feed = memchr(s + at, '\n', len - at);

			at = feed ? (size_t)(feed - s) : len - 1;
		}
		may_quote = s[at] && strchr(" \t\r\n,:[{", s[at]);
	}
	return 0;
}

bool yaml_is_plain(const char *s, size_t len)
{
	if (len == 0 || s[0] == ' ' || s[len - 1] == ' ' || s[len - 1] == ':' ||
	    strchr(",[]{}#&*!|>'\"%@`", s[0]))
		return false;
	if (strchr("-?:", s[0]) && (len == 1 || s[1] == ' '))
		return false;
	if (len >= 3 && (!memcmp(s, "---", 3) || !memcmp(s, "...", 3)))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f ||
		    (i + 1 < len && s[i] == ':' && s[i + 1] == ' ') ||
		    (i > 0 && s[i] == '#' && s[i - 1] == ' '))
			return false;
	return true;
}

/* Whether readers would take a plain text for something else than a string. */
static bool is_typed(const char *s, size_t len)
{
	static const char *const words[] = {
		"null", "~", "true", "false", "yes", "no", "on", "off", "y", "n"
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (len == strlen(words[i]) && !strncasecmp(s, words[i], len))
			return true;
	if (len > 1 && strchr("+-.", s[0]))
		return (s[1] >= '0' && s[1] <= '9') || s[1] == '.' || s[0] == '.';
	return len && s[0] >= '0' && s[0] <= '9';
}

static size_t hex_digits(char c)
{
	return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
}

int yaml_read_quoted(const char *s, size_t len, struct buf *ret, struct err *e)
{
	static const char from[] = "abtnvfre \"/\\", to[] = "\a\b\t\n\v\f\r\033 \"/\\";

	for (size_t i = 1; i + 1 < len; i++) {
		const char *known;
		size_t digits;
		long c;

		if (s[i] == '\'' && s[0] == '\'')
			i++;
		if (s[i] != '\\' || s[0] == '\'') {
			if (buf_add(ret, s + i, 1, e) < 0)
				return -1;
			continue;
		}
		i++;
		known = s[i] ? strchr(from, s[i]) : NULL;
		digits = hex_digits(s[i]);
		if (known) {
			if (buf_add(ret, to + (known - from), 1, e) < 0)
				return -1;
			continue;
		}
		c = digits ? text_hex(s + i + 1, len - i - 2, digits) : s[i] == '0' ? 0 : -1;
		if (c < 0)
			return err_set(e, ERR_FORMAT, "a backslash before nothing that is known");
		if (c == 0 || (c >= 0xd800 && c <= 0xdfff))
			return 1;
		if (text_add_code_point((unsigned long)c, ret, e) < 0)
			return -1;
		i += digits;
	}
	return 0;
}

/* Whether a registry value is a string in quotes, or a list or a map in brackets. */
static bool is_spelled(const char *s, size_t len)
{
	auto_buf struct buf ignored = BUF_INIT(len + 1);
	struct err e;

	if (len < 2 || memchr(s, '\n', len) || memchr(s, '\r', len))
		return false;
	if (is_quote(s[0]))
		return yaml_skip_quoted(s, 0, len) == len && yaml_read_quoted(s, len, &ignored, &e) >= 0;
	return (s[0] == '[' || s[0] == '{') && yaml_skip_flow(s, 0, len) == len;
}

static bool is_other(const char *s, size_t len)
{
	return is_typed(s, len) || is_spelled(s, len);
}

int yaml_read_value(const char *s, size_t len, struct buf *ret, struct err *e)
{
	if (len == 0)
		return buf_add_str(ret, "null", e);
	return is_quote(s[0]) ? text_string_value(s, len, yaml_read_quoted, is_other, ret, e)
			      : buf_add(ret, s, len, e);
}

int yaml_write_value(const char *old, size_t old_len, const char *value, struct buf *ret, struct err *e)
{
	size_t len = strlen(value);
	bool is_quoted = old_len && is_quote(old[0]);

	if (is_spelled(value, len) || is_typed(value, len) || (!is_quoted && yaml_is_plain(value, len)))
		return yaml_is_plain(value, len) || is_spelled(value, len)
			       ? buf_add(ret, value, len, e)
			       : json_write_string(value, len, ret, e);
	if (!is_quoted || old[0] != '\'')
		return json_write_string(value, len, ret, e);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return json_write_string(value, len, ret, e);
	if (buf_add(ret, "'", 1, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (buf_add(ret, "''", value[i] == '\'' ? 2 : 0, e) < 0 ||
		    (value[i] != '\'' && buf_add(ret, value + i, 1, e) < 0))
			return -1;
	return buf_add(ret, "'", 1, e);
}
