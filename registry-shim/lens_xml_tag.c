/* SPDX-License-Identifier: Apache-2.0 */
/* Tags; see lens_xml_tag.h. */
#include "registry-shim/lens_xml_tag.h"

#include <string.h>

#include "registry-shim/lens_text.h"

static const struct {
	const char *name;
	char c;
} entities[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) ||
	       (c && strchr("_:-.", c));
}

static size_t skip_blanks(const char *s, size_t at, size_t len)
{
	while (at < len && is_blank(s[at]))
		at++;
	return at;
}

int xml_skip_blanks(const char *s, size_t len, size_t *at, size_t *ret_lead, struct err *e)
{
	for (;;) {
		size_t i = skip_blanks(s, *at, len);
		bool is_comment = len - i >= 4 && !memcmp(s + i, "<!--", 4);
		const char *end;

		*ret_lead = *at;
		*at = i;
		if (!is_comment && (len - i < 2 || s[i] != '<' || s[i + 1] != '?'))
			return 0;
		end = is_comment ? memmem(s + i + 4, len - i - 4, "-->", 3) : memmem(s + i, len - i, "?>", 2);
		if (!end)
			return err_set(e, ERR_FORMAT, "a comment that does not end");
		*at = (size_t)(end - s) + (is_comment ? 3 : 2);
	}
}

static struct xml_span read_name(const char *s, size_t len, size_t *at)
{
	struct xml_span r = { .off = *at };

	while (*at < len && is_name(s[*at]))
		*at += 1;
	r.len = *at - r.off;
	return r;
}

bool xml_is(const char *s, struct xml_span span, const char *word)
{
	return span.len == strlen(word) && !memcmp(s + span.off, word, span.len);
}

/* `name = "value"` */
static int read_attribute(const char *s, size_t len, size_t *at, struct xml_tag *ret, struct err *e)
{
	struct xml_span name = read_name(s, len, at), *known = NULL, value;
	const char *end;

	*at = skip_blanks(s, *at, len);
	if (!name.len || *at >= len || s[*at] != '=')
		return err_set(e, ERR_FORMAT, "a tag with something that is no attribute");
	*at = skip_blanks(s, *at + 1, len);
	end = *at < len && (s[*at] == '"' || s[*at] == '\'') ? memchr(s + *at + 1, s[*at], len - *at - 1)
							     : NULL;
	value = (struct xml_span){ *at + 1, end ? (size_t)(end - s) - *at - 1 : 0 };
	if (!end || memchr(s + value.off, '<', value.len))
		return err_set(e, ERR_FORMAT, "an attribute without a value in quotes");
	*at = value.off + value.len + 1;
	if (xml_is(s, name, "name"))
		known = &ret->name;
	else if (xml_is(s, name, "type"))
		known = &ret->type;
	else if (xml_is(s, name, "value"))
		known = &ret->value;
	if (known && known->off)
		return err_set(e, ERR_FORMAT, "an attribute that is there twice");
	if (known)
		*known = value;
	return 0;
}

int xml_read_tag(const char *s, size_t len, size_t *at, struct xml_tag *ret, struct err *e)
{
	*ret = (struct xml_tag){ .kind = XML_OPEN };
	if (*at >= len)
		return err_set(e, ERR_FORMAT, "an element that does not end");
	if (s[*at] != '<')
		return err_set(e, ERR_FORMAT, "text between the tags");
	*at += 1;
	if (*at < len && s[*at] == '/') {
		ret->kind = XML_CLOSE;
		*at += 1;
	}
	ret->element = read_name(s, len, at);
	if (!ret->element.len)
		return err_set(e, ERR_FORMAT, "not a tag that we know");
	for (;;) {
		size_t next = skip_blanks(s, *at, len);

		ret->attributes_end = *at;
		if (next < len && s[next] == '/' && ret->kind == XML_OPEN) {
			ret->kind = XML_EMPTY;
			next++;
		} else if (next < len && s[next] != '>' && next > *at && ret->kind == XML_OPEN) {
			*at = next;
			if (read_attribute(s, len, at, ret, e) < 0)
				return -1;
			continue;
		}
		*at = next;
		if (next >= len || s[next] != '>')
			return err_set(e, ERR_FORMAT, "a tag that does not end");
		*at += 1;
		return 0;
	}
}

/* Behind a '&'. Bytes read up to the ';', or 0. */
static size_t read_entity(const char *s, size_t len, unsigned long *ret)
{
	const char *end = memchr(s, ';', len < 12 ? len : 12);
	size_t n = end ? (size_t)(end - s) : 0;
	unsigned long c = 0;

	for (size_t i = 0; i < ARRAY_LEN(entities); i++)
		if (n == strlen(entities[i].name) && !memcmp(s, entities[i].name, n)) {
			*ret = (unsigned char)entities[i].c;
			return n + 1;
		}
	if (n < 2 || s[0] != '#' || (s[1] == 'x' && n < 3))
		return 0;
	for (size_t i = s[1] == 'x' ? 2 : 1; i < n; i++) {
		long digit = text_hex(s + i, 1, 1);

		if (digit < 0 || (s[1] != 'x' && digit > 9))
			return 0;
		c = c * (s[1] == 'x' ? 16 : 10) + (unsigned long)digit;
	}
	*ret = c;
	return n + 1;
}

int xml_read_text(const char *s, size_t len, struct buf *ret, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		char c = is_blank(s[i]) ? ' ' : s[i]; /* line ends in attributes are blanks */
		unsigned long named;
		size_t used;

		if (c != '&') {
			if (buf_add(ret, &c, 1, e) < 0)
				return -1;
			continue;
		}
		used = read_entity(s + i + 1, len - i - 1, &named);
		if (used == 0)
			return err_set(e, ERR_FORMAT, "an entity that is not one of XML's own");
		if (text_add_code_point(named, ret, e) < 0)
			return -1;
		i += used;
	}
	return 0;
}

int xml_write_text(const char *text, size_t len, struct buf *ret, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		const char *name = NULL;
		int rc;

		for (size_t n = 0; n < ARRAY_LEN(entities); n++)
			if (text[i] == entities[n].c)
				name = entities[n].name;
		if (name)
			rc = buf_printf(ret, e, "&%s;", name);
		else if (text[i] == '\n' || text[i] == '\r' || text[i] == '\t')
			rc = buf_printf(ret, e, "&#%d;", text[i]);
		else if ((unsigned char)text[i] < ' ')
			rc = err_set(e, ERR_USAGE, "XML has no place for control characters");
		else
			rc = buf_add(ret, text + i, 1, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}
