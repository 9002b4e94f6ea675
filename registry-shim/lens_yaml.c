/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML lens; see lens_yaml.h.
 *
 * A name with a value is one piece, its line; what has no key is a piece without a name (DOC_NONE), of as
 * many lines as it has. A map is the line that opens it and what follows; doc_name.mark is the indentation of
 * its names and doc_name.end its last piece, DOC_NONE for a name that is no map. */
#include "registry-shim/lens_yaml.h"

#include <string.h>

#include "registry-shim/lens_json_value.h"
#include "registry-shim/lens_text.h"
#include "registry-shim/lens_tree.h"
#include "registry-shim/lens_yaml_value.h"

enum { UNIT = 2 }; /* of indentation */

struct line {
	size_t off, len; /* without its end */
	size_t next;     /* where the next begins */
	size_t indent;
	bool is_content; /* neither blank nor a comment */
};

struct entry {
	size_t name_off, name_len; /* quotes included */
	size_t value_off, value_len;
};

/* ---- lines ---------------------------------------------------------------------------------- */

static struct line line_at(const struct reg_doc *d, size_t off)
{
	const char *feed = memchr(d->text + off, '\n', d->len - off);
	struct line l = { .off = off, .len = feed ? (size_t)(feed - d->text) - off : d->len - off };

	l.next = off + l.len + (feed != NULL);
	while (l.len && d->text[off + l.len - 1] == '\r')
		l.len--;
	while (l.indent < l.len && d->text[off + l.indent] == ' ')
		l.indent++;
	l.is_content = l.indent < l.len && d->text[off + l.indent] != '#';
	return l;
}

static bool is_item(const struct reg_doc *d, const struct line *l)
{
	const char *s = d->text + l->off + l->indent;
	size_t len = l->len - l->indent;

	return len && s[0] == '-' && (len == 1 || s[1] == ' ');
}

/* The next line with content from off on. At the end one with neither. */
static struct line content_after(const struct reg_doc *d, size_t off)
{
	struct line l = { .off = d->len, .next = d->len };

	while (off < d->len) {
		l = line_at(d, off);
		if (l.is_content)
			return l;
		off = l.next;
	}
	return (struct line){ .off = d->len, .next = d->len };
}

/* The end of what belongs to a name at `indent`: all that is indented further, and a list that is not. A text
 * in a block takes the blank lines behind it along. */
static size_t region_end(const struct reg_doc *d, size_t off, size_t indent, bool is_block)
{
	size_t end = off;

	while (off < d->len) {
		struct line l = line_at(d, off);
		bool is_blank = l.indent == l.len, is_inside = l.indent > indent && !is_blank;

		off = l.next;
		if (is_inside || (l.indent == indent && l.is_content && !is_block && is_item(d, &l)) ||
		    (is_block && is_blank))
			end = off;
		else if (l.is_content || is_block)
			break;
	}
	return end;
}

/* The ':' behind a plain name, or len. */
static size_t find_colon(const char *s, size_t at, size_t len)
{
	for (; at < len; at++)
		if (s[at] == ':' && (at + 1 == len || s[at + 1] == ' ' || s[at + 1] == '\t'))
			return at;
	return len;
}

/* `name: value`, places from the line's beginning. */
static int read_entry(const char *s, const struct line *l, struct entry *ret, struct err *e)
{
	size_t at = l->indent, colon, end;

	ret->name_off = at;
	if (s[at] == '"' || s[at] == '\'') {
		end = yaml_skip_quoted(s, at, l->len);
		colon = end ? text_skip_blanks(s, end, l->len) : l->len;
		if (colon < l->len && s[colon] == ':' && colon + 1 < l->len && s[colon + 1] != ' ')
			colon = l->len;
	} else {
		colon = find_colon(s, at, l->len);
		for (end = colon; end > at && (s[end - 1] == ' ' || s[end - 1] == '\t');)
			end--;
		if (!yaml_is_plain(s + at, end - at))
			colon = l->len;
	}
	if (colon >= l->len || s[colon] != ':')
		return err_set(e, ERR_FORMAT, "neither a name with a value nor a list below one");
	ret->name_len = end - at;
	ret->value_off = text_skip_blanks(s, colon + 1, l->len);
	if (ret->value_off < l->len && s[ret->value_off] == '#')
		ret->value_off = colon + 1;
	ret->value_len = 0;
	return 0;
}

/* Where a plain value ends: before a comment and blanks. */
static size_t plain_end(const char *s, size_t at, size_t len)
{
	size_t end = at;

	for (; at < len; at++) {
		if (s[at] == '#' && at > 0 && (s[at - 1] == ' ' || s[at - 1] == '\t'))
			break;
		if (s[at] != ' ' && s[at] != '\t')
			end = at + 1;
	}
	return end;
}

/* ---- scan ----------------------------------------------------------------------------------- */

/* Every map around a piece ends with it, for now. */
static void extend(struct reg_doc *d, uint32_t container, uint32_t piece)
{
	for (; container != DOC_NONE; container = d->names[container].container)
		d->names[container].end = piece;
}

/* Up to `end`, as a piece. */
static uint32_t take(struct reg_doc *d, uint32_t container, enum doc_kind kind, size_t end, struct err *e)
{
	uint32_t piece = doc_insert(d, d->pieces[0].prev, kind, d->text + d->at, end - d->at, e);

	if (piece == DOC_NONE)
		return DOC_NONE;
	extend(d, container, piece);
	d->at = end;
	return piece;
}

/* A name's text, into d->plain. */
static int read_name(struct reg_doc *d, const char *s, size_t len, struct err *e)
{
	buf_reset(&d->plain);
	if (s[0] != '"' && s[0] != '\'')
		return buf_add(&d->plain, s, len, e);
	return yaml_read_quoted(s, len, &d->plain, e) ? err_set(e, ERR_FORMAT, "a name that is no text") : 0;
}

/* The key of this name in a map, new; DOC_NONE on failure. */
static uint32_t make_key(struct reg_doc *d, uint32_t map, const char *s, const struct entry *r, struct err *e)
{
	uint32_t key, same;

	if (read_name(d, s + r->name_off, r->name_len, e) < 0)
		return DOC_NONE;
	key = doc_key_buf(d, map, &d->plain, e);
	same = key ? doc_find_container(d, d->names[key].text, d->names[key].len) : DOC_NONE;
	if (key != DOC_NONE && (d->names[key].piece != DOC_NONE || d->names[same].piece != DOC_NONE)) {
		(void)err_set(e, ERR_FORMAT, "a name that is there twice");
		return DOC_NONE;
	}
	return key;
}

/* What has no key takes its name, which has just been read, all the same. */
static int take_opaque(struct reg_doc *d, uint32_t map, size_t end, struct err *e)
{
	uint32_t inner = doc_container_buf(d, map, &d->plain, e);
	uint32_t piece = inner ? take(d, map, DOC_SETTING, end, e) : DOC_NONE;

	if (piece == DOC_NONE)
		return -1;
	d->names[inner].piece = piece;
	return 0;
}

static int take_setting(struct reg_doc *d, uint32_t map, uint32_t key, const struct line *l,
			const struct entry *r, struct err *e)
{
	const char *s = d->text + l->off;
	uint32_t piece = take(d, map, DOC_SETTING, l->next, e);

	if (piece == DOC_NONE)
		return -1;
	d->pieces[piece].value_off = (uint32_t)r->value_off;
	d->pieces[piece].value_len = (uint32_t)r->value_len;
	doc_bind(d, piece, key);
	buf_reset(&d->plain);
	if (yaml_read_value(s + r->value_off, r->value_len, &d->plain, e) < 0)
		return -1;
	return doc_value(d, piece, &d->plain, e);
}

/* A value that is there: sets its length. 1: one that has no key and ends at *ret_end. */
static int read_value(const struct reg_doc *d, const struct line *l, struct entry *r, size_t *ret_end,
		      struct err *e)
{
	const char *s = d->text + l->off;
	size_t at = r->value_off, end;
	bool is_quoted = s[at] == '"' || s[at] == '\'', is_flow = s[at] == '[' || s[at] == '{';

	*ret_end = l->next;
	if (is_quoted || is_flow) {
		end = is_quoted ? yaml_skip_quoted(s, at, d->len - l->off)
				: yaml_skip_flow(s, at, d->len - l->off);
		if (end == 0)
			return err_set(e, ERR_FORMAT, "quotes or brackets that do not end");
		if (end > l->len) {
			*ret_end = line_at(d, l->off + end).next;
			return 1;
		}
		if (plain_end(s, end, l->len) != end)
			return err_set(e, ERR_FORMAT, "text behind a value");
		r->value_len = end - at;
		return 0;
	}
	if (strchr("|>&*!", s[at])) {
		*ret_end = region_end(d, l->next, l->indent, s[at] == '|' || s[at] == '>');
		return 1;
	}
	end = plain_end(s, at, l->len);
	if (!yaml_is_plain(s + at, end - at))
		return err_set(e, ERR_FORMAT, "a value that needs quotes");
	r->value_len = end - at;
	return 0;
}

/* One name of a map and what belongs to it. *map becomes the one that it opens. */
static int take_entry(struct reg_doc *d, const struct line *l, uint32_t *map, struct err *e)
{
	struct line next = content_after(d, l->next);
	const char *s = d->text + l->off;
	uint32_t inner, key, piece;
	size_t end = l->next;
	struct entry r;
	int opaque;

	if (read_entry(s, l, &r, e) < 0)
		return -1;
	key = make_key(d, *map, s, &r, e);
	if (key == DOC_NONE)
		return -1;
	if (text_skip_blanks(s, r.value_off, l->len) < l->len && s[r.value_off] != ' ' &&
	    r.value_off < l->len) {
		opaque = read_value(d, l, &r, &end, e);
		if (opaque == 0 && next.is_content && next.indent > l->indent) {
			opaque = 1; /* a text that goes on */
			end = region_end(d, l->next, l->indent, false);
		}
		if (opaque)
			return opaque < 0 ? -1 : take_opaque(d, *map, end, e);
		return take_setting(d, *map, key, l, &r, e);
	}
	if (next.is_content && is_item(d, &next) && next.indent >= l->indent)
		return take_opaque(d, *map, region_end(d, l->next, l->indent, false), e);
	if (!next.is_content || next.indent <= l->indent)
		return take_setting(d, *map, key, l, &r, e);
	if (next.indent > YAML_INDENT_MAX)
		return err_set(e, ERR_LIMIT, "indented by more than %d", YAML_INDENT_MAX);
	inner = doc_container_buf(d, *map, &d->plain, e);
	piece = inner ? take(d, inner, DOC_OPEN, l->next, e) : DOC_NONE;
	if (piece == DOC_NONE)
		return -1;
	doc_bind(d, piece, inner);
	d->names[inner].mark = (uint8_t)next.indent;
	*map = inner;
	return 0;
}

/* A line that is no part of a map: comments, blank lines, and what comes before the first. */
static bool is_prologue(const struct reg_doc *d, const struct line *l)
{
	const char *s = d->text + l->off;

	return !l->is_content ||
	       (d->names[DOC_TOP].end == DOC_NONE && (*s == '%' || (l->len == 3 && !memcmp(s, "---", 3))));
}

static int yaml_scan(struct reg_doc *d, struct err *e)
{
	uint32_t map = DOC_TOP;

	while (d->at < d->len) {
		struct line l = line_at(d, d->at);

		if (is_prologue(d, &l)) {
			if (doc_gap(d, l.off, l.next - l.off, e) < 0)
				return -1;
			d->at = l.next;
			continue;
		}
		if (memchr(d->text + l.off, '\r', l.len))
			return err_set(e, ERR_FORMAT, "a carriage return inside a line");
		while (map != DOC_TOP && l.indent < d->names[map].mark)
			map = d->names[map].container;
		if (l.indent != d->names[map].mark)
			return err_set(e, ERR_FORMAT, "indented like nothing around it");
		if (take_entry(d, &l, &map, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- changes -------------------------------------------------------------------------------- */

static int yaml_change(struct reg_doc *d, uint32_t piece, const char *value, struct err *e)
{
	struct doc_piece *p = &d->pieces[piece];
	const char *kept;

	buf_reset(&d->line);
	buf_reset(&d->plain);
	if (p->text[p->value_off - 1] == ':' && buf_add(&d->line, " ", 1, e) < 0)
		return -1;
	if (yaml_write_value(p->text + p->value_off, p->value_len, value, &d->line, e) < 0)
		return -1;
	kept = (char *)d->line.data + (d->line.data[0] == ' ');
	if (yaml_read_value(kept, d->line.len - (d->line.data[0] == ' '), &d->plain, e) < 0)
		return -1;
	kept = doc_keep_buf(d, &d->plain, e);
	if (!kept ||
	    doc_splice(d, piece, p->value_off, p->value_len, (char *)d->line.data, d->line.len, e) < 0)
		return -1;
	p->value = kept;
	p->value_len = (uint32_t)d->line.len;
	if (d->line.data[0] == ' ') {
		p->value_off++;
		p->value_len--;
	}
	return 0;
}

/* What ended with this piece ends with the one before. */
static void shrink(struct reg_doc *d, uint32_t container, uint32_t piece)
{
	uint32_t before = tree_before(d, piece);

	for (; container != DOC_NONE && d->names[container].end == piece;
	     container = d->names[container].container)
		d->names[container].end = before;
	doc_unlink(d, piece);
}

static int yaml_remove(struct reg_doc *d, uint32_t piece, struct err *e)
{
	uint32_t map = d->names[d->pieces[piece].name].container;

	(void)e;
	shrink(d, map, piece);
	while (map != DOC_TOP && d->names[map].end == d->names[map].piece) {
		uint32_t outer = d->names[map].container;

		piece = d->names[map].piece;
		d->names[map].piece = d->names[map].end = DOC_NONE;
		shrink(d, outer, piece);
		map = outer;
	}
	return 0;
}

/* `indent` blanks and a name, in d->line. */
static int begin_line(struct reg_doc *d, size_t indent, const char *part, struct err *e)
{
	buf_reset(&d->plain);
	buf_reset(&d->line);
	if (buf_printf(&d->line, e, "%*s", (int)indent, "") < 0 ||
	    doc_unspell(part, strlen(part), &d->plain, e) < 0)
		return -1;
	if ((yaml_is_plain((char *)d->plain.data, d->plain.len)
		     ? buf_add(&d->line, d->plain.data, d->plain.len, e)
		     : json_write_string((char *)d->plain.data, d->plain.len, &d->line, e)) < 0)
		return -1;
	return buf_add(&d->line, ":", 1, e);
}

/* What d->line holds, behind what a map has. */
static uint32_t end_line(struct reg_doc *d, uint32_t map, enum doc_kind kind, struct err *e)
{
	uint32_t after = d->names[map].end, piece;
	const struct doc_piece *p;
	const char *text;

	if (after == DOC_NONE)
		after = d->pieces[0].prev;
	p = &d->pieces[after];
	if (after != DOC_NONE && p->name != DOC_TOP && p->text[p->len - 1] != '\n' &&
	    doc_splice(d, after, p->len, 0, d->feed, strlen(d->feed), e) < 0)
		return DOC_NONE;
	text = buf_add_str(&d->line, d->feed, e) < 0 ? NULL : doc_keep_buf(d, &d->line, e);
	piece = text ? doc_insert(d, after, kind, text, d->line.len, e) : DOC_NONE;
	if (piece == DOC_NONE)
		return DOC_NONE;
	/* Maps that ended there end here now, the innermost of them with this one. */
	for (uint32_t i = map; i != DOC_NONE; i = d->names[i].container)
		if (d->names[i].end == after || d->names[i].end == DOC_NONE)
			d->names[i].end = piece;
	return piece;
}

static int add_map(struct reg_doc *d, uint32_t map, struct err *e)
{
	uint32_t outer = d->names[map].container, piece;
	size_t indent = d->names[outer].mark;

	if (indent + UNIT > YAML_INDENT_MAX)
		return err_set(e, ERR_USAGE, "%s: nested too deeply", d->names[map].text);
	if (begin_line(d, indent, tree_last_part(d, map), e) < 0)
		return -1;
	piece = end_line(d, outer, DOC_OPEN, e);
	if (piece == DOC_NONE)
		return -1;
	doc_bind(d, piece, map);
	d->names[map].end = piece;
	d->names[map].mark = (uint8_t)(indent + UNIT);
	return 0;
}

/* A map that is not there, or one; no name that is something else on the way. */
static int check_place(const struct reg_doc *d, uint32_t map, const char *key, struct err *e)
{
	uint32_t same = doc_find_container(d, key, strlen(key));

	if (same != DOC_NONE && d->names[same].piece != DOC_NONE)
		return err_set(e, ERR_USAGE, "%s is a map, a list or a text of several lines", key);
	for (; map != DOC_TOP; map = d->names[map].container)
		if (reg_doc_get(d, d->names[map].text) ||
		    (d->names[map].piece != DOC_NONE && d->names[map].end == DOC_NONE))
			return err_set(e, ERR_USAGE, "%s is no map, so there are no keys in it",
				       d->names[map].text);
	return 0;
}

static int add_setting(struct reg_doc *d, uint32_t map, const char *part, const char *value, struct err *e)
{
	uint32_t key, piece;
	size_t value_off;

	if (begin_line(d, d->names[map].mark, part, e) < 0)
		return -1;
	key = doc_key_buf(d, map, &d->plain, e);
	if (key == DOC_NONE || buf_add(&d->line, " ", 1, e) < 0)
		return -1;
	value_off = d->line.len;
	buf_reset(&d->plain);
	if (yaml_write_value(NULL, 0, value, &d->line, e) < 0 ||
	    yaml_read_value((char *)d->line.data + value_off, d->line.len - value_off, &d->plain, e) < 0)
		return -1;
	piece = end_line(d, map, DOC_SETTING, e);
	if (piece == DOC_NONE || doc_value(d, piece, &d->plain, e) < 0)
		return -1;
	d->pieces[piece].value_off = (uint32_t)value_off;
	d->pieces[piece].value_len = (uint32_t)(d->line.len - value_off - strlen(d->feed));
	doc_bind(d, piece, key);
	return 0;
}

static int yaml_add(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	size_t path_len;
	const char *part = doc_last_part(d, key, &path_len);
	uint32_t map = doc_container_at(d, key, path_len, e);

	buf_reset(&d->plain);
	if (map == DOC_NONE || doc_unspell(part, strlen(part), &d->plain, e) < 0 ||
	    check_place(d, map, key, e) < 0)
		return -1;
	while (map != DOC_TOP && d->names[map].end == DOC_NONE)
		if (add_map(d, tree_outermost_missing(d, map), e) < 0)
			return -1;
	return add_setting(d, map, part, value, e);
}

static bool yaml_fits(const char *base, const char *text, size_t len)
{
	return doc_is_named(&reg_lens_yaml, base) && doc_has_keys(&reg_lens_yaml, text, len);
}

const struct reg_lens reg_lens_yaml = {
	.name = "yaml",
	.files = ".yaml .yml",
	.paths = DOC_NESTED,
	.scan = yaml_scan,
	.change = yaml_change,
	.add = yaml_add,
	.remove = yaml_remove,
	.fits = yaml_fits,
};
