/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as lines of text; see setting_line.h. */
#include "registry-shim/setting_line.h"

#include <stdbool.h>
#include <string.h>

void reg_line_fini(struct reg_line *l)
{
	free(l->word);
	free(l->file);
	free(l->key);
	free(l->value);
	*l = (struct reg_line){ 0 };
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* ---- reading -------------------------------------------------------------------------------- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' - 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape at *at (behind the backslash), which moves on. */
static int unescape(const char **at, const char *end, char *ret, struct err *e)
{
	static const char names[] = "nrt\\=", meant[] = "\n\r\t\\=";
	const char *s = *at, *name = s < end ? strchr(names, *s) : NULL;

	if (name && *name) {
		*ret = meant[name - names];
		*at = s + 1;
		return 0;
	}
	if (end - s < 3 || *s != 'x' || digit(s[1]) < 0 || digit(s[2]) < 0)
		return err_set(e, ERR_FORMAT, "behind a backslash stands n, r, t, =, xNN or another one");
	*ret = (char)(digit(s[1]) * 16 + digit(s[2]));
	*at = s + 3;
	return *ret ? 0 : err_set(e, ERR_FORMAT, "a setting has no byte 00");
}

/* The text from `at` to `end` without the blanks at its ends, escapes resolved. Caller frees. */
static char *take(const char *at, const char *end, struct err *e)
{
	auto_free char *r = NULL;
	size_t len = 0;

	while (at < end && is_blank(*at))
		at++;
	while (end > at && is_blank(end[-1]))
		end--;
	r = mem_alloc((size_t)(end - at) + 1, 1, e);
	if (!r)
		return NULL;
	while (at < end) {
		char c = *at++;

		if (c == '\\' && unescape(&at, end, &c, e) < 0)
			return NULL;
		r[len++] = c;
	}
	return mem_steal(r);
}

/* The '=' that ends the key; `end` when there is none. */
static const char *find_equals(const char *at, const char *end)
{
	for (; at < end && *at != '='; at++)
		at += *at == '\\' && at + 1 < end;
	return at;
}

int reg_line_parse(const char *line, struct reg_line *ret, struct err *e)
{
	auto_reg_line l = { 0 };
	auto_free char *name = NULL;
	const char *end = line + strlen(line), *word, *equals;

	*ret = l;
	while (is_blank(*line))
		line++;
	if (!*line || *line == '#')
		return 0;
	for (word = line; *line && !is_blank(*line); line++)
		;
	equals = find_equals(line, end);
	l.word = mem_strndup(word, (size_t)(line - word), e);
	name = l.word ? take(line, equals, e) : NULL;
	if (!name)
		return -1;
	if (!*name)
		return err_set(e, ERR_FORMAT, "%.80s: a key is missing", l.word);
	if (strchr(name, ':')) {
		if (reg_key_split(name, &l.file, &l.key, e) < 0)
			return -1;
	} else {
		l.file = mem_steal(name);
	}
	if (equals < end) {
		l.value = take(equals + 1, end, e);
		if (!l.value)
			return -1;
	}
	*ret = l;
	l = (struct reg_line){ 0 };
	return 0;
}

const char *reg_key_plain(const char *key)
{
	return *key == '/' && key[1] && !strchr(key + 1, '/') ? key + 1 : key;
}

int reg_key_split(const char *text, char **ret_file, char **ret_key, struct err *e)
{
	const char *colon = strchr(text, ':');
	auto_free char *file = NULL;
	char *key;

	if (!colon || colon == text || !colon[1])
		return err_set(e, ERR_USAGE, "'%.200s' is no key: write FILE:SECTION/NAME or FILE:NAME",
			       text);
	file = mem_strndup(text, (size_t)(colon - text), e);
	key = file ? mem_strdup(reg_key_plain(colon + 1), e) : NULL;
	if (!key)
		return -1;
	*ret_file = mem_steal(file);
	*ret_key = key;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int add_escaped(struct buf *text, const char *s, bool is_key, struct err *e)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		bool is_end = i == 0 || i == len - 1;
		char c = s[i];
		int r;

		if (c == '\\' || (c == '=' && is_key))
			r = buf_printf(text, e, "\\%c", c);
		else if (c == '\n' || c == '\t' || c == '\r')
			r = buf_printf(text, e, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
		else if ((c == ' ' && is_end) || (c > 0 && c < ' ') || c == 127)
			r = buf_printf(text, e, "\\x%02x", (unsigned char)c);
		else
			r = buf_add(text, &c, 1, e);
		if (r < 0)
			return -1;
	}
	return 0;
}

int reg_line_add(struct buf *text, const char *word, const char *file, const char *key, const char *value,
		 struct err *e)
{
	if (buf_printf(text, e, "%s ", word) < 0 || add_escaped(text, file, true, e) < 0)
		return -1;
	if (key && (buf_add(text, ":", 1, e) < 0 || add_escaped(text, key, true, e) < 0))
		return -1;
	if (value &&
	    (buf_add_str(text, *value ? " = " : " =", e) < 0 || add_escaped(text, value, false, e) < 0))
		return -1;
	return buf_add(text, "\n", 1, e);
}
