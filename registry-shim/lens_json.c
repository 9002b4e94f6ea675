/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON lens; see lens_json.h.
 *
 * A member is one piece: the blanks in front, name, value, and the comma behind. An object is the piece that
 * opens it, its members, and the piece that closes it with its comma (doc_name.end). So whether a member has
 * a comma is what its piece ends with. Comments are gaps; the mark of one says that it ends within a line
 * comment, so that what follows has to begin with a line's end. A member without a key has no name
 * (DOC_NONE). */
#include "registry-shim/lens_json.h"

#include <string.h>

#include "registry-shim/lens_json_value.h"
#include "registry-shim/lens_tree.h"

enum { GAP_IN_LINE_COMMENT = 1 };

struct style {
	const char *unit;  /* of indentation */
	const char *colon; /* between name and value */
};

/* ---- scan ----------------------------------------------------------------------------------- */

/* Past what lies before the next member or brace: comments become a gap. *ret_lead: where the member begins.
 */
static int take_blanks(struct reg_doc *d, size_t *ret_lead, struct err *e)
{
	size_t start = d->at, lead;
	uint32_t last;

	if (json_skip_blanks(d->text, d->len, &d->at, &lead, e) < 0 || doc_gap(d, start, lead - start, e) < 0)
		return -1;
	last = d->pieces[0].prev;
	if (lead > start && (d->text[lead] == '\n' || d->text[lead] == '\r') &&
	    d->pieces[last].kind == DOC_GAP)
		d->pieces[last].mark = GAP_IN_LINE_COMMENT;
	*ret_lead = lead;
	return 0;
}

/* Past a comma and what stands before it, where there is one. */
static int take_comma(struct reg_doc *d, struct err *e)
{
	size_t at = d->at;

	if (json_skip_blanks(d->text, d->len, &at, NULL, e) < 0)
		return -1;
	if (at < d->len && d->text[at] == ',')
		d->at = at + 1;
	return 0;
}

static uint32_t append(struct reg_doc *d, enum doc_kind kind, size_t lead, struct err *e)
{
	return doc_insert(d, d->pieces[0].prev, kind, d->text + lead, d->at - lead, e);
}

static int open_object(struct reg_doc *d, size_t lead, uint32_t object, struct err *e)
{
	uint32_t piece;

	d->at++;
	piece = append(d, DOC_OPEN, lead, e);
	if (piece == DOC_NONE)
		return -1;
	doc_bind(d, piece, object);
	return 0;
}

static int close_object(struct reg_doc *d, size_t lead, uint32_t object, struct err *e)
{
	d->at++;
	if (object != DOC_TOP && take_comma(d, e) < 0)
		return -1;
	return tree_close(d, d->pieces[0].prev, object, d->text + lead, d->at - lead, e);
}

/* A value that is no object, or one that no key can name. */
static int take_value(struct reg_doc *d, size_t lead, uint32_t key, struct err *e)
{
	size_t value = d->at, end;
	uint32_t piece;

	if (json_skip_value(d->text, d->len, &d->at, e) < 0)
		return -1;
	end = d->at;
	if (take_comma(d, e) < 0)
		return -1;
	piece = append(d, DOC_SETTING, lead, e);
	if (piece == DOC_NONE)
		return -1;
	d->pieces[piece].value_off = (uint32_t)(value - lead);
	d->pieces[piece].value_len = (uint32_t)(end - value);
	buf_reset(&d->plain);
	if (key == DOC_NONE)
		return 0;
	doc_bind(d, piece, key);
	if (json_read_value(d->text + value, end - value, &d->plain, e) < 0)
		return -1;
	return doc_value(d, piece, &d->plain, e);
}

/* From its name on. *object becomes the one that it opens. */
static int take_member(struct reg_doc *d, size_t lead, uint32_t *object, struct err *e)
{
	size_t name = d->at, name_end;
	uint32_t inner;
	int none;

	if (d->text[name] != '"')
		return err_set(e, ERR_FORMAT, "a name in quotes is missing");
	if (json_skip_string(d->text, d->len, &d->at, e) < 0)
		return -1;
	name_end = d->at;
	if (json_skip_blanks(d->text, d->len, &d->at, NULL, e) < 0)
		return -1;
	if (d->text[d->at] != ':')
		return err_set(e, ERR_FORMAT, "a ':' is missing");
	d->at++;
	buf_reset(&d->plain);
	if (json_skip_blanks(d->text, d->len, &d->at, NULL, e) < 0)
		return -1;
	none = json_read_string(d->text + name, name_end - name, &d->plain, e);
	if (none)
		return none < 0 ? -1 : take_value(d, lead, DOC_NONE, e);
	if (d->text[d->at] != '{') {
		uint32_t key = doc_key_buf(d, *object, &d->plain, e);

		return key == DOC_NONE ? -1 : take_value(d, lead, key, e);
	}
	inner = doc_container_buf(d, *object, &d->plain, e);
	if (inner == DOC_NONE)
		return -1;
	*object = inner;
	return open_object(d, lead, inner, e);
}

static bool has_comma(const struct doc_piece *p)
{
	return p->text[p->len - 1] == ',';
}

/* Everything between the outermost braces, and the last of these. */
static int take_members(struct reg_doc *d, struct err *e)
{
	uint32_t object = DOC_TOP, depth = 1;
	bool may_follow = true; /* another member */

	while (depth) {
		uint32_t was = object;
		size_t lead;

		if (take_blanks(d, &lead, e) < 0)
			return -1;
		if (d->text[d->at] == '}') {
			if (close_object(d, lead, object, e) < 0)
				return -1;
			object = d->names[object].container;
			depth--;
			may_follow = has_comma(&d->pieces[d->pieces[0].prev]);
			continue;
		}
		if (!may_follow)
			return err_set(e, ERR_FORMAT, "a ',' or a '}' is missing");
		if (take_member(d, lead, &object, e) < 0)
			return -1;
		if (object != was && ++depth > JSON_DEPTH_MAX)
			return err_set(e, ERR_LIMIT, "nested deeper than %d", JSON_DEPTH_MAX);
		may_follow = object != was || has_comma(&d->pieces[d->pieces[0].prev]);
	}
	return 0;
}

static bool is_member(const struct doc_piece *p)
{
	return p->kind == DOC_SETTING || (p->kind == DOC_OPEN && p->name != DOC_TOP);
}

/* From the first member. */
static int learn_style(struct reg_doc *d, struct err *e)
{
	struct style *style = arena_alloc(&d->arena, 1, sizeof(*style), e);
	uint32_t i = d->pieces[0].next;
	size_t len, indent;
	const char *lead;

	if (!style)
		return -1;
	*style = (struct style){ "  ", ": " };
	d->own = style;
	while (i != DOC_NONE && !is_member(&d->pieces[i]))
		i = d->pieces[i].next;
	if (i == DOC_NONE)
		return 0;
	lead = tree_lead(&d->pieces[i], &len);
	indent = len - strspn(lead, "\r\n");
	if (len > indent && indent > 0)
		style->unit = doc_keep(d, lead + len - indent, indent, e);
	if (d->pieces[i].kind == DOC_SETTING && d->pieces[i].text[d->pieces[i].value_off - 1] == ':')
		style->colon = ":";
	return style->unit ? 0 : -1;
}

static int json_scan(struct reg_doc *d, struct err *e)
{
	size_t lead;

	if (take_blanks(d, &lead, e) < 0)
		return -1;
	if (d->at < d->len && d->text[d->at] != '{')
		return err_set(e, ERR_FORMAT, "not a JSON object");
	if (d->at < d->len &&
	    (open_object(d, lead, DOC_TOP, e) < 0 || take_members(d, e) < 0 || take_blanks(d, &lead, e) < 0))
		return -1;
	if (d->at < d->len)
		return err_set(e, ERR_FORMAT, "text behind the object");
	return doc_gap(d, lead, d->len - lead, e) < 0 ? -1 : learn_style(d, e);
}

/* ---- change, remove ------------------------------------------------------------------------- */

static int json_change(struct reg_doc *d, uint32_t piece, const char *value, struct err *e)
{
	struct doc_piece *p = &d->pieces[piece];
	const char *kept;

	buf_reset(&d->line);
	buf_reset(&d->plain);
	if (json_write_value(value, &d->line, e) < 0 ||
	    json_read_value((char *)d->line.data, d->line.len, &d->plain, e) < 0)
		return -1;
	kept = doc_keep_buf(d, &d->plain, e);
	if (!kept ||
	    doc_splice(d, piece, p->value_off, p->value_len, (char *)d->line.data, d->line.len, e) < 0)
		return -1;
	p->value = kept;
	p->value_len = (uint32_t)d->line.len;
	return 0;
}

/* Unlinks a piece; what stood behind a line comment leaves that its line's end. */
static void unlink_behind(struct reg_doc *d, uint32_t piece, uint32_t next)
{
	struct doc_piece *p = &d->pieces[piece], *n = &d->pieces[next];
	const char *feed = memchr(p->text, '\n', p->len);

	if (d->pieces[p->prev].mark == GAP_IN_LINE_COMMENT && *n->text != '\n' && *n->text != '\r' && feed) {
		p->kind = DOC_GAP;
		p->name = DOC_NONE;
		p->len = (uint32_t)(feed + 1 - p->text);
		return;
	}
	doc_unlink(d, piece);
}

static int json_remove(struct reg_doc *d, uint32_t piece, struct err *e)
{
	struct doc_piece *before = &d->pieces[tree_before(d, piece)];

	(void)e;
	if (!has_comma(&d->pieces[piece]) && before->kind != DOC_OPEN)
		before->len--; /* it is the last now */
	unlink_behind(d, piece, d->pieces[piece].next);
	return 0;
}

/* ---- add ------------------------------------------------------------------------------------ */

static int make_top(struct reg_doc *d, struct err *e)
{
	uint32_t last = d->pieces[0].prev, open;
	const struct doc_piece *p = &d->pieces[last];
	bool on_line = last == DOC_NONE || p->name == DOC_TOP || p->text[p->len - 1] == '\n';
	const char *text;

	buf_reset(&d->line);
	if (buf_printf(&d->line, e, "}%s", d->feed) < 0)
		return -1;
	text = doc_keep_buf(d, &d->line, e);
	if (!on_line)
		last = doc_insert(d, last, DOC_GAP, d->feed, strlen(d->feed), e);
	if (!text || (!on_line && last == DOC_NONE))
		return -1;
	open = doc_insert(d, last, DOC_OPEN, "{", 1, e);
	if (open == DOC_NONE || tree_close(d, open, DOC_TOP, text, d->line.len, e) < 0)
		return -1;
	doc_bind(d, open, DOC_TOP);
	return 0;
}

/* The blanks before a new member of an object, into ret. */
static int new_lead(const struct reg_doc *d, uint32_t object, uint32_t sibling, struct buf *ret,
		    struct err *e)
{
	const struct style *style = d->own;
	const struct doc_piece *like = &d->pieces[sibling];
	const char *lead;
	size_t len;

	if (like->kind == DOC_CLOSE)
		like = &d->pieces[d->names[like->name].piece];
	lead = tree_lead(like, &len);
	if (like->kind != DOC_OPEN || sibling != d->names[object].piece)
		return buf_add(ret, lead, len, e);
	if (object == DOC_TOP)
		return buf_printf(ret, e, "%s%s", d->feed, style->unit);
	if (!memchr(lead, '\n', len)) /* an object on one line */
		return 0;
	return buf_add(ret, lead, len, e) < 0 ? -1 : buf_add_str(ret, style->unit, e);
}

/* Gives the last member its comma; *ret_has: it had one, as trailing commas are the custom here. */
static int want_comma(struct reg_doc *d, uint32_t sibling, bool *ret_has, struct err *e)
{
	const struct doc_piece *p = &d->pieces[sibling];

	*ret_has = false;
	if (p->kind == DOC_OPEN)
		return 0;
	*ret_has = has_comma(p);
	return *ret_has ? 0 : doc_splice(d, sibling, p->len, 0, ",", 1, e);
}

/* Writes a new member of an object up to its value into d->line. *ret_comma: it is to end with a comma. */
static int begin_member(struct reg_doc *d, uint32_t object, const char *name, size_t name_len,
			bool *ret_comma, struct err *e)
{
	const struct style *style = d->own;
	uint32_t close = d->names[object].end, sibling = tree_before(d, close);
	bool in_comment = d->pieces[d->pieces[close].prev].mark == GAP_IN_LINE_COMMENT;

	buf_reset(&d->plain);
	buf_reset(&d->line);
	if (new_lead(d, object, sibling, &d->plain, e) < 0 || want_comma(d, sibling, ret_comma, e) < 0)
		return -1;
	if (in_comment && (!d->plain.len || !strchr("\r\n", d->plain.data[0])) &&
	    buf_add_str(&d->line, d->feed, e) < 0)
		return -1;
	if (buf_add(&d->line, d->plain.data, d->plain.len, e) < 0 ||
	    json_write_string(name, name_len, &d->line, e) < 0)
		return -1;
	return buf_add_str(&d->line, style->colon, e);
}

/* Adds an object that is missing to the one that it lies in. */
static int add_object(struct reg_doc *d, uint32_t object, struct err *e)
{
	const struct doc_name *n = &d->names[object];
	const char *part = tree_last_part(d, object);
	auto_buf struct buf name = BUF_INIT(REG_KEY_MAX);
	uint32_t open;
	bool comma;

	if (reg_doc_get(d, n->text))
		return err_set(e, ERR_USAGE, "%s has a value, so there are no keys in it", n->text);
	if (doc_unspell(part, strlen(part), &name, e) < 0 ||
	    begin_member(d, n->container, (char *)name.data, name.len, &comma, e) < 0 ||
	    buf_add(&d->line, "{", 1, e) < 0)
		return -1;
	open = tree_append(d, n->container, DOC_OPEN, e);
	if (open == DOC_NONE)
		return -1;
	doc_bind(d, open, object);
	return tree_close_like(d, open, object, comma ? "}," : "}", e);
}

/* Every object on the way to this one. */
static int want_object(struct reg_doc *d, uint32_t object, struct err *e)
{
	if (d->names[DOC_TOP].end == DOC_NONE && make_top(d, e) < 0)
		return -1;
	while (d->names[object].end == DOC_NONE)
		if (add_object(d, tree_outermost_missing(d, object), e) < 0)
			return -1;
	return 0;
}

/* An object without keys makes room for a value of its name. */
static int drop_object(struct reg_doc *d, uint32_t object, struct err *e)
{
	uint32_t open = d->names[object].piece, close = d->names[object].end, before;

	for (uint32_t i = open; i != close; i = d->pieces[i].next)
		if (d->pieces[i].kind == DOC_SETTING || d->pieces[open].same != DOC_NONE)
			return err_set(e, ERR_USAGE, "%s is an object: it has keys and no value of its own",
				       d->names[object].text);
	before = tree_before(d, open);
	if (!has_comma(&d->pieces[close]) && d->pieces[before].kind != DOC_OPEN)
		d->pieces[before].len--;
	while (d->pieces[open].next != close) {
		uint32_t inner = d->pieces[open].next;

		if (d->pieces[inner].kind == DOC_OPEN)
			d->names[d->pieces[inner].name].piece = d->names[d->pieces[inner].name].end =
				DOC_NONE;
		doc_unlink(d, inner);
	}
	doc_unlink(d, close);
	unlink_behind(d, open, d->pieces[open].next);
	d->names[object].piece = d->names[object].end = DOC_NONE;
	return 0;
}

static int add_setting(struct reg_doc *d, uint32_t object, const struct buf *name, const struct buf *value,
		       struct err *e)
{
	uint32_t key = doc_key_buf(d, object, name, e), piece;
	size_t value_off;
	bool comma;

	if (key == DOC_NONE || begin_member(d, object, (char *)name->data, name->len, &comma, e) < 0)
		return -1;
	value_off = d->line.len;
	buf_reset(&d->plain);
	if (buf_add(&d->line, value->data, value->len, e) < 0 ||
	    (comma && buf_add(&d->line, ",", 1, e) < 0) ||
	    json_read_value((char *)value->data, value->len, &d->plain, e) < 0)
		return -1;
	piece = tree_append(d, object, DOC_SETTING, e);
	if (piece == DOC_NONE || doc_value(d, piece, &d->plain, e) < 0)
		return -1;
	d->pieces[piece].value_off = (uint32_t)value_off;
	d->pieces[piece].value_len = (uint32_t)value->len;
	doc_bind(d, piece, key);
	return 0;
}

static int json_add(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	auto_buf struct buf name = BUF_INIT(REG_KEY_MAX), spelled = BUF_INIT(8 * REG_VALUE_MAX);
	size_t path_len;
	const char *part = doc_last_part(d, key, &path_len);
	uint32_t object, same;

	if (json_write_value(value, &spelled, e) < 0 || doc_unspell(part, strlen(part), &name, e) < 0)
		return -1;
	object = doc_container_at(d, key, path_len, e);
	if (object == DOC_NONE)
		return -1;
	same = doc_find_container(d, key, strlen(key));
	if (same != DOC_NONE && d->names[same].end != DOC_NONE && drop_object(d, same, e) < 0)
		return -1;
	return want_object(d, object, e) < 0 ? -1 : add_setting(d, object, &name, &spelled, e);
}

static bool json_fits(const char *base, const char *text, size_t len)
{
	(void)base; /* JSON files have any name */
	return doc_has_keys(&reg_lens_json, text, len);
}

const struct reg_lens reg_lens_json = {
	.name = "json",
	.files = ".json .jsonc",
	.paths = DOC_NESTED,
	.scan = json_scan,
	.change = json_change,
	.add = json_add,
	.remove = json_remove,
	.fits = json_fits,
};
