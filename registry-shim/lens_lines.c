/* SPDX-License-Identifier: Apache-2.0 */
/* Files made of lines; see lens_lines.h. */
#include "registry-shim/lens_lines.h"

#include <string.h>

static const struct line_syntax *syntax_of(const struct reg_doc *d)
{
	return d->lens->syntax;
}

/* ---- scan ----------------------------------------------------------------------------------- */

static size_t line_extent(const struct line_syntax *s, const char *text, size_t len)
{
	const char *feed;

	if (s->extent)
		return s->extent(text, len);
	feed = memchr(text, '\n', len);
	return feed ? (size_t)(feed - text) + 1 : len;
}

/* Without the feed and the carriage returns in front of it. */
static size_t without_end(const char *line, size_t len)
{
	if (len && line[len - 1] == '\n')
		len--;
	while (len && line[len - 1] == '\r')
		len--;
	return len;
}

static int spelling(line_spelling_fn *fn, const char *text, size_t len, struct buf *ret, struct err *e)
{
	buf_reset(ret);
	return fn ? fn(text, len, ret, e) : buf_add(ret, text, len, e);
}

/* A key's container may lie below the section: dotted names do that. */
static void bind_setting(struct reg_doc *d, uint32_t piece, uint32_t section, uint32_t key)
{
	doc_bind(d, piece, key);
	d->names[section].end = piece;
	d->names[d->names[key].container].end = piece;
}

static void bind_header(struct reg_doc *d, uint32_t piece, uint32_t section)
{
	doc_bind(d, piece, section);
	d->names[section].end = DOC_NONE;
}

static uint32_t read_key(struct reg_doc *d, uint32_t section, const char *name, size_t len, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);

	return s->key ? s->key(d, section, name, len, e) : doc_key(d, section, name, len, e);
}

static int take_setting(struct reg_doc *d, size_t whole, const struct line_parts *r, uint32_t section,
			struct err *e)
{
	const char *line = d->text + d->at;
	uint32_t key, piece;

	if (d->names[section].mark == LINES_NO_KEYS)
		return doc_gap(d, d->at, whole, e);
	key = read_key(d, section, line + r->name_off, r->name_len, e);
	if (key == DOC_NONE)
		return -1;
	piece = doc_insert(d, d->pieces[0].prev, DOC_SETTING, line, whole, e);
	if (piece == DOC_NONE)
		return -1;
	d->pieces[piece].value_off = (uint32_t)r->value_off;
	d->pieces[piece].value_len = (uint32_t)r->value_len;
	if (spelling(syntax_of(d)->read_value, line + r->value_off, r->value_len, &d->plain, e) < 0 ||
	    doc_value(d, piece, &d->plain, e) < 0)
		return -1;
	bind_setting(d, piece, section, key);
	return 0;
}

static int take_header(struct reg_doc *d, size_t whole, const struct line_parts *r, uint32_t *section,
		       struct err *e)
{
	const char *line = d->text + d->at;
	uint32_t piece;

	if (r->name_len > REG_KEY_MAX)
		return err_set(e, ERR_LIMIT, "a section's name is too long");
	*section = syntax_of(d)->section(d, line + r->name_off, r->name_len, e);
	piece = *section ? doc_insert(d, d->pieces[0].prev, DOC_OPEN, line, whole, e) : DOC_NONE;
	if (piece == DOC_NONE)
		return -1;
	bind_header(d, piece, *section);
	return 0;
}

static bool has_blanks_around_equals(const struct doc_piece *p)
{
	return p->value_off >= 3 && !memcmp(p->text + p->value_off - 3, " = ", 3);
}

int lines_scan(struct reg_doc *d, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);
	uint32_t section = DOC_TOP;
	int rc = 0;

	while (rc == 0 && d->at < d->len) {
		size_t whole = line_extent(s, d->text + d->at, d->len - d->at);
		struct line_parts r = s->read(d->text + d->at, without_end(d->text + d->at, whole));

		if (r.kind == LINE_BROKEN)
			return err_set(e, ERR_FORMAT, "neither a section, a setting nor a comment");
		if (r.kind == LINE_SECTION)
			rc = take_header(d, whole, &r, &section, e);
		else if (r.kind == LINE_KEY)
			rc = take_setting(d, whole, &r, section, e);
		else
			rc = doc_gap(d, d->at, whole, e);
		if (rc == 0)
			d->at += whole;
	}
	/* The first setting shows how this file likes its equals signs. */
	for (uint32_t i = d->pieces[0].next; rc == 0 && i != DOC_NONE; i = d->pieces[i].next)
		if (d->pieces[i].kind == DOC_SETTING) {
			d->own = has_blanks_around_equals(&d->pieces[i]) ? d : NULL;
			break;
		}
	return rc;
}

/* ---- changes -------------------------------------------------------------------------------- */

static int refuse(const struct reg_doc *d, const char *what, size_t len, struct err *e)
{
	return err_set(e, ERR_USAGE, "a file of the kind \"%s\" cannot hold %.*s", d->lens->name,
		       len > 200 ? 200 : (int)len, what);
}

/* What stands in d->line, as the scanner would read it; LINE_BROKEN when it is not one line. */
static struct line_parts read_back(struct reg_doc *d, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);
	const struct line_parts broken = { .kind = LINE_BROKEN };
	size_t len = d->line.len;

	if (buf_add(&d->line, "\n", 1, e) < 0)
		return broken;
	d->line.len = len;
	if (line_extent(s, (char *)d->line.data, len + 1) != len + 1 ||
	    without_end((char *)d->line.data, len + 1) != len)
		return broken;
	return s->read((char *)d->line.data, len);
}

static bool is_text(const struct buf *b, const char *text, size_t len)
{
	return b->len == len && (!len || !memcmp(b->data, text, len));
}

/* Checks the value in d->line. Where values have several spellings *value becomes the one that is read, kept.
 */
static int check_value(struct reg_doc *d, const struct line_parts *r, const char **value, struct err *e)
{
	const char *line = (char *)d->line.data;

	if (r->kind != LINE_KEY ||
	    spelling(syntax_of(d)->read_value, line + r->value_off, r->value_len, &d->plain, e) < 0 ||
	    (!syntax_of(d)->has_spellings && !is_text(&d->plain, *value, strlen(*value))))
		return refuse(d, line, d->line.len, e);
	*value = doc_keep_buf(d, &d->plain, e);
	return *value ? 0 : -1;
}

static int write_value(const struct reg_doc *d, const char *old, size_t old_len, const char *value,
		       struct buf *ret, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);

	return s->write_value ? s->write_value(old, old_len, value, ret, e) : buf_add_str(ret, value, e);
}

int lines_change(struct reg_doc *d, uint32_t piece, const char *value, struct err *e)
{
	struct doc_piece *p = &d->pieces[piece];
	size_t end = without_end(p->text, p->len), tail = p->value_off + p->value_len, raw;
	const struct line_parts old = syntax_of(d)->read(p->text, end);
	bool is_bare = p->value_off == old.name_off + old.name_len; /* a name alone */
	struct line_parts r;

	buf_reset(&d->line);
	if (buf_add(&d->line, p->text, p->value_off, e) < 0 ||
	    (is_bare && buf_add_str(&d->line, syntax_of(d)->equals, e) < 0))
		return -1;
	raw = d->line.len;
	if (write_value(d, p->text + p->value_off, p->value_len, value, &d->line, e) < 0)
		return -1;
	raw = d->line.len - raw;
	if (buf_add(&d->line, p->text + tail, end - tail, e) < 0)
		return -1;
	r = read_back(d, e);
	if (check_value(d, &r, &value, e) < 0)
		return -1;
	if (r.value_len != raw || r.name_off != old.name_off || r.name_len != old.name_len)
		return refuse(d, value, strlen(value), e);
	if (doc_splice(d, piece, 0, end, (char *)d->line.data, d->line.len, e) < 0)
		return -1;
	p->value = value;
	p->value_off = (uint32_t)r.value_off;
	p->value_len = (uint32_t)raw;
	return 0;
}

/* A piece gets a line's end when another follows. */
static int end_line(struct reg_doc *d, uint32_t piece, struct err *e)
{
	const struct doc_piece *p = &d->pieces[piece];

	if (piece == DOC_NONE || p->name == DOC_TOP || (p->len && p->text[p->len - 1] == '\n'))
		return 0;
	return doc_splice(d, piece, p->len, 0, d->feed, strlen(d->feed), e);
}

static bool ends_with_blank_line(const struct doc_piece *p)
{
	size_t len = without_end(p->text, p->len);

	return len == 0 || p->text[len - 1] == '\n';
}

/* What d->line holds, as a line of the document. */
static uint32_t insert_line(struct reg_doc *d, uint32_t after, enum doc_kind kind, struct err *e)
{
	const char *text;

	if (buf_add_str(&d->line, d->feed, e) < 0)
		return DOC_NONE;
	text = doc_keep_buf(d, &d->line, e);
	return text && end_line(d, after, e) == 0 ? doc_insert(d, after, kind, text, d->line.len, e)
						  : DOC_NONE;
}

/* The section's header, added at the end. */
static int add_header(struct reg_doc *d, uint32_t section, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);
	uint32_t last = d->pieces[0].prev, piece;
	struct line_parts r;

	buf_reset(&d->line);
	if (s->header(d, section, &d->line, e) < 0)
		return -1;
	r = read_back(d, e);
	if (r.kind != LINE_SECTION ||
	    s->section(d, (char *)d->line.data + r.name_off, r.name_len, e) != section)
		return refuse(d, (char *)d->line.data, d->line.len, e);
	if (last != DOC_NONE && d->pieces[last].name != DOC_TOP) {
		if (end_line(d, last, e) < 0)
			return -1;
		if (!ends_with_blank_line(&d->pieces[last]))
			last = doc_insert(d, last, DOC_GAP, d->feed, strlen(d->feed), e);
		if (last == DOC_NONE)
			return -1;
	}
	piece = insert_line(d, last, DOC_OPEN, e);
	if (piece == DOC_NONE)
		return -1;
	bind_header(d, piece, section);
	return 0;
}

static const char *equals_for(const struct reg_doc *d, uint32_t near)
{
	bool blanks = near != DOC_NONE ? has_blanks_around_equals(&d->pieces[near]) : d->own != NULL;

	return blanks ? " = " : syntax_of(d)->equals;
}

/* Writes a setting that is missing into d->line, and checks it. */
static int write_setting(struct reg_doc *d, uint32_t section, uint32_t key, const char **value,
			 struct line_parts *ret, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);
	uint32_t near = d->names[section].end;

	buf_reset(&d->line);
	if ((s->write_name ? s->write_name(d, section, key, &d->line, e) : lines_name(d, key, &d->line, e)) <
		    0 ||
	    buf_add_str(&d->line, equals_for(d, near), e) < 0 ||
	    write_value(d, NULL, 0, *value, &d->line, e) < 0)
		return -1;
	*ret = read_back(d, e);
	if (ret->kind != LINE_KEY ||
	    read_key(d, section, (char *)d->line.data + ret->name_off, ret->name_len, e) != key)
		return refuse(d, (char *)d->line.data, d->line.len, e);
	return check_value(d, ret, value, e);
}

static int add_setting(struct reg_doc *d, uint32_t section, uint32_t key, const char *value, struct err *e)
{
	const struct line_syntax *s = syntax_of(d);
	auto_buf struct buf line = BUF_INIT(REG_TEXT_MAX);
	uint32_t after = d->names[d->names[key].container].end, piece;
	struct line_parts r;

	if (write_setting(d, section, key, &value, &r, e) < 0 ||
	    buf_add(&line, d->line.data, d->line.len, e) < 0)
		return -1;
	if (section != DOC_TOP && d->names[section].piece == DOC_NONE && add_header(d, section, e) < 0)
		return -1;
	if (after == DOC_NONE)
		after = d->names[section].end;
	if (after == DOC_NONE) /* behind the header; without one in front of the first, or at the end */
		after = s->section ? d->names[section].piece : d->pieces[0].prev;
	buf_reset(&d->line);
	if (buf_add(&d->line, line.data, line.len, e) < 0)
		return -1;
	piece = insert_line(d, after, DOC_SETTING, e);
	if (piece == DOC_NONE)
		return -1;
	d->pieces[piece].value = value;
	d->pieces[piece].value_off = (uint32_t)r.value_off;
	d->pieces[piece].value_len = (uint32_t)r.value_len;
	bind_setting(d, piece, section, key);
	return 0;
}

/* Whether there is room for a key below these sections. */
static int check_place(const struct reg_doc *d, uint32_t container, const char *key, struct err *e)
{
	uint32_t same = doc_find_container(d, key, strlen(key));
	bool is_exclusive = syntax_of(d)->is_exclusive;

	if (is_exclusive && same != DOC_NONE &&
	    (d->names[same].piece != DOC_NONE || d->names[same].end != DOC_NONE))
		return err_set(e, ERR_USAGE, "%s is a section: it has keys and no value of its own", key);
	for (uint32_t i = container; i != DOC_TOP; i = d->names[i].container) {
		if (d->names[i].mark == LINES_NO_KEYS)
			return err_set(e, ERR_USAGE, "%s is a list: there are no keys in it",
				       d->names[i].text);
		if (is_exclusive && reg_doc_get(d, d->names[i].text))
			return err_set(e, ERR_USAGE, "%s has a value, so there are no keys in it",
				       d->names[i].text);
	}
	return 0;
}

/* A key's last part, as the text names it, added to ret. */
static int read_part(const struct reg_doc *d, const char *part, struct buf *ret, struct err *e)
{
	return d->lens->paths == DOC_NESTED ? doc_unspell(part, strlen(part), ret, e)
					    : buf_add_str(ret, part, e);
}

int lines_add(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	size_t path_len;
	const char *part = doc_last_part(d, key, &path_len);
	uint32_t container = doc_container_at(d, key, path_len, e), number;

	if (container == DOC_NONE || check_place(d, container, key, e) < 0)
		return -1;
	buf_reset(&d->plain);
	if (read_part(d, part, &d->plain, e) < 0)
		return -1;
	number = doc_key_buf(d, container, &d->plain, e);
	if (number == DOC_NONE)
		return -1;
	if (strcmp(d->names[number].text, key) != 0) /* "/name" */
		return err_set(e, ERR_USAGE, "%s: this key is spelled %s", key, d->names[number].text);
	return add_setting(d, syntax_of(d)->place ? syntax_of(d)->place(d, container) : container, number,
			   value, e);
}

int lines_name(const struct reg_doc *d, uint32_t key, struct buf *ret, struct err *e)
{
	size_t ignored;

	return read_part(d, doc_last_part(d, d->names[key].text, &ignored), ret, e);
}

int lines_header(const struct reg_doc *d, uint32_t section, const char *mark, struct buf *ret, struct err *e)
{
	const char *path = d->names[section].text;

	if (buf_add(ret, "[", 1, e) < 0)
		return -1;
	while (*path) {
		size_t part = strcspn(path, "/");

		if (doc_unspell(path, part, ret, e) < 0 || (path[part] && buf_add_str(ret, mark, e) < 0))
			return -1;
		path += part + (path[part] == '/');
	}
	return buf_add(ret, "]", 1, e);
}

/* The setting before this one below the same header, or DOC_NONE. */
static uint32_t setting_before(const struct reg_doc *d, uint32_t piece)
{
	do
		piece = d->pieces[piece].prev;
	while (piece != DOC_NONE && d->pieces[piece].kind == DOC_GAP);
	return d->pieces[piece].kind == DOC_SETTING ? piece : DOC_NONE;
}

int lines_remove(struct reg_doc *d, uint32_t piece, struct err *e)
{
	uint32_t container = d->names[d->pieces[piece].name].container;
	bool is_section = false;

	(void)e;
	for (; container != DOC_NONE && !is_section; container = d->names[container].container) {
		struct doc_name *n = &d->names[container];

		is_section = container == DOC_TOP || n->piece != DOC_NONE;
		if (n->end != piece)
			continue;
		n->end = setting_before(d, piece);
		if (!is_section && d->names[d->pieces[n->end].name].container != container)
			n->end = DOC_NONE;
	}
	doc_unlink(d, piece);
	return 0;
}

bool lines_fit(const struct line_syntax *s, const char *text, size_t len)
{
	size_t sections = 0, keys = 0;

	if (len > REG_TEXT_MAX || (len && memchr(text, 0, len)))
		return false;
	for (size_t off = 0; off < len;) {
		size_t whole = line_extent(s, text + off, len - off);
		struct line_parts r = s->read(text + off, without_end(text + off, whole));

		if (r.kind == LINE_BROKEN || r.kind == LINE_STRAY ||
		    (r.kind == LINE_KEY && s->section && !sections))
			return false;
		sections += r.kind == LINE_SECTION;
		keys += r.kind == LINE_KEY;
		off += whole;
	}
	return keys && (sections || !s->section);
}
