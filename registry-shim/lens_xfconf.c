/* SPDX-License-Identifier: Apache-2.0 */
/* The xfconf lens; see lens_xfconf.h.
 *
 * A property without properties in it is one piece. Another is the piece that opens it - a setting with the
 * mark OPENS when it has a value as well -, what is in it, and the piece that closes it. Arrays are gaps. */
#include "registry-shim/lens_xfconf.h"

#include <string.h>

#include "registry-shim/lens_tree.h"
#include "registry-shim/lens_xml_tag.h"

enum { OPENS = 1 };

static const char *const types[] = { "string", "bool",  "int",  "uint",  "double", "int64",
				     "uint64", "float", "char", "uchar", "int16",  "uint16" };

/* ---- values --------------------------------------------------------------------------------- */

/* The type that a value has when nothing is said about it. */
static const char *type_of(const char *text)
{
	size_t sign = *text == '-', digits = strspn(text + sign, "0123456789");
	const char *rest = text + sign + digits;

	if (!strcmp(text, "true") || !strcmp(text, "false"))
		return "bool";
	if (digits && !*rest)
		return "int";
	if (digits && *rest == '.' && rest[1] && !rest[1 + strspn(rest + 1, "0123456789")])
		return "double";
	return "string";
}

/* The type that a value is given with, or NULL. */
static const char *type_in_front(const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t len = strlen(types[i]);

		if (!strncmp(value, types[i], len) && value[len] == ':')
			return types[i];
	}
	return NULL;
}

/* The value that a piece's tag has, as the registry spells it. */
static int note_value(struct reg_doc *d, uint32_t piece, const char *type, const char *text, struct err *e)
{
	buf_reset(&d->plain);
	if ((strcmp(type_of(text), type) != 0 || type_in_front(text)) &&
	    buf_printf(&d->plain, e, "%s:", type) < 0)
		return -1;
	return buf_add_str(&d->plain, text, e) < 0 ? -1 : doc_value(d, piece, &d->plain, e);
}

/* The other way round; the text is part of the value. */
static const char *split_value(const char *value, const char **ret_text)
{
	const char *type = type_in_front(value);

	*ret_text = type ? value + strlen(type) + 1 : value;
	return type ? type : type_of(value);
}

/* ---- scan ----------------------------------------------------------------------------------- */

/* Whether a property has a value that a key can have. */
static const char *known_type(const char *s, const struct xml_tag *t)
{
	for (size_t i = 0; t->value.off && t->type.off && i < ARRAY_LEN(types); i++)
		if (xml_is(s, t->type, types[i]))
			return types[i];
	return NULL;
}

/* Past an array, whose opening tag has been read. */
static int skip_array(struct reg_doc *d, struct err *e)
{
	size_t depth = 1, lead;
	struct xml_tag t;

	while (depth) {
		if (xml_skip_blanks(d->text, d->len, &d->at, &lead, e) < 0 ||
		    xml_read_tag(d->text, d->len, &d->at, &t, e) < 0)
			return -1;
		if (!xml_is(d->text, t.element, "value") && !xml_is(d->text, t.element, "property"))
			return err_set(e, ERR_FORMAT, "an element that xfconf does not know");
		depth += t.kind == XML_OPEN ? 1 : t.kind == XML_CLOSE ? SIZE_MAX : 0;
		if (depth > XML_DEPTH_MAX)
			return err_set(e, ERR_LIMIT, "nested deeper than %d", XML_DEPTH_MAX);
	}
	return 0;
}

/* The piece at hand gets its key and value. */
static int take_value(struct reg_doc *d, uint32_t piece, uint32_t container, const struct xml_tag *t,
		      const char *type, struct err *e)
{
	uint32_t key;
	const char *text;

	buf_reset(&d->plain);
	if (xml_read_text(d->text + t->name.off, t->name.len, &d->plain, e) < 0)
		return -1;
	key = doc_key_buf(d, container, &d->plain, e);
	buf_reset(&d->line);
	if (key == DOC_NONE || xml_read_text(d->text + t->value.off, t->value.len, &d->line, e) < 0)
		return -1;
	text = buf_text(&d->line, e);
	if (!text || note_value(d, piece, type, text, e) < 0)
		return -1;
	d->pieces[piece].kind = DOC_SETTING;
	doc_bind(d, piece, key);
	return 0;
}

/* A <property> whose tag has been read. *container becomes the one that it opens. */
static int take_property(struct reg_doc *d, size_t lead, const struct xml_tag *t, uint32_t *container,
			 struct err *e)
{
	const char *type = known_type(d->text, t);
	uint32_t piece, inner;

	if (!t->name.off)
		return err_set(e, ERR_FORMAT, "a property without a name");
	if (t->kind == XML_OPEN && t->type.off && xml_is(d->text, t->type, "array"))
		return skip_array(d, e) < 0 ? -1 : doc_gap(d, lead, d->at - lead, e);
	if (t->kind == XML_EMPTY && !type)
		return doc_gap(d, lead, d->at - lead, e);
	piece = doc_insert(d, d->pieces[0].prev, DOC_OPEN, d->text + lead, d->at - lead, e);
	if (piece == DOC_NONE || (type && take_value(d, piece, *container, t, type, e) < 0))
		return -1;
	if (t->kind == XML_EMPTY)
		return 0;
	buf_reset(&d->plain);
	if (xml_read_text(d->text + t->name.off, t->name.len, &d->plain, e) < 0)
		return -1;
	inner = doc_container_buf(d, *container, &d->plain, e);
	if (inner == DOC_NONE)
		return -1;
	d->pieces[piece].mark = OPENS;
	if (d->pieces[piece].kind == DOC_OPEN)
		d->pieces[piece].name = inner;
	d->names[inner].piece = piece;
	*container = inner;
	return 0;
}

static int take_blanks(struct reg_doc *d, size_t *ret_lead, struct err *e)
{
	size_t start = d->at;

	if (xml_skip_blanks(d->text, d->len, &d->at, ret_lead, e) < 0)
		return -1;
	return doc_gap(d, start, *ret_lead - start, e);
}

static int take_end(struct reg_doc *d, size_t lead, const struct xml_tag *t, uint32_t *container,
		    struct err *e)
{
	uint32_t piece = doc_insert(d, d->pieces[0].prev, DOC_CLOSE, d->text + lead, d->at - lead, e);

	if (piece == DOC_NONE)
		return -1;
	if (!xml_is(d->text, t->element, *container == DOC_TOP ? "channel" : "property"))
		return err_set(e, ERR_FORMAT, "an element ends that is not the last begun");
	d->pieces[piece].name = *container;
	d->names[*container].end = piece;
	*container = d->names[*container].container;
	return 0;
}

static int take_channel(struct reg_doc *d, size_t lead, struct err *e)
{
	uint32_t container = DOC_TOP, piece;
	size_t depth = 1;
	struct xml_tag t;

	if (xml_read_tag(d->text, d->len, &d->at, &t, e) < 0)
		return -1;
	if (t.kind != XML_OPEN || !xml_is(d->text, t.element, "channel"))
		return err_set(e, ERR_FORMAT, "not a channel of xfconf");
	piece = doc_insert(d, d->pieces[0].prev, DOC_OPEN, d->text + lead, d->at - lead, e);
	if (piece == DOC_NONE)
		return -1;
	doc_bind(d, piece, DOC_TOP);
	while (depth) {
		uint32_t was = container;
		int rc;

		if (take_blanks(d, &lead, e) < 0 || xml_read_tag(d->text, d->len, &d->at, &t, e) < 0)
			return -1;
		if (t.kind == XML_CLOSE)
			rc = take_end(d, lead, &t, &container, e);
		else if (xml_is(d->text, t.element, "property"))
			rc = take_property(d, lead, &t, &container, e);
		else
			rc = err_set(e, ERR_FORMAT, "an element that xfconf does not know");
		if (rc < 0)
			return -1;
		if (container != was)
			depth += t.kind == XML_CLOSE ? SIZE_MAX : 1;
		if (depth > XML_DEPTH_MAX)
			return err_set(e, ERR_LIMIT, "nested deeper than %d", XML_DEPTH_MAX);
	}
	return 0;
}

static int xfconf_scan(struct reg_doc *d, struct err *e)
{
	size_t lead;

	if (take_blanks(d, &lead, e) < 0)
		return -1;
	if (d->at < d->len && (take_channel(d, lead, e) < 0 || take_blanks(d, &lead, e) < 0))
		return -1;
	if (d->at < d->len)
		return err_set(e, ERR_FORMAT, "text behind the channel");
	return doc_gap(d, lead, d->len - lead, e);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Replaces an attribute of the tag that a piece is, or adds it in the tag's last place. NULL: takes it away.
 */
static int write_attribute(struct reg_doc *d, uint32_t piece, const char *attribute, const char *text,
			   struct err *e)
{
	const struct doc_piece *p = &d->pieces[piece];
	auto_buf struct buf spelled = BUF_INIT(8 * REG_VALUE_MAX);
	struct xml_span there;
	struct xml_tag t;
	size_t at, start;

	at = strspn(p->text, " \t\r\n");
	if (xml_read_tag(p->text, p->len, &at, &t, e) < 0)
		return -1;
	there = *attribute == 't' ? t.type : t.value;
	if (!text) {
		for (start = there.off; p->text[start - 1] != *attribute; start--)
			;
		for (start--; strchr(" \t\r\n", p->text[start - 1]); start--)
			;
		return doc_splice(d, piece, start, there.off + there.len + 1 - start, "", 0, e);
	}
	if (!there.off && buf_printf(&spelled, e, " %s=\"", attribute) < 0)
		return -1;
	if (xml_write_text(text, strlen(text), &spelled, e) < 0 ||
	    (!there.off && buf_add(&spelled, "\"", 1, e) < 0))
		return -1;
	return doc_splice(d, piece, there.off ? there.off : t.attributes_end, there.off ? there.len : 0,
			  spelled.len ? (char *)spelled.data : "", spelled.len, e);
}

static int xfconf_change(struct reg_doc *d, uint32_t piece, const char *value, struct err *e)
{
	const char *text, *type = split_value(value, &text);

	return write_attribute(d, piece, "value", text, e) < 0 ||
			       write_attribute(d, piece, "type", type, e) < 0
		       ? -1
		       : note_value(d, piece, type, text, e);
}

static int xfconf_remove(struct reg_doc *d, uint32_t piece, struct err *e)
{
	struct doc_piece *p = &d->pieces[piece];
	uint32_t key = p->name;

	if (p->mark != OPENS) {
		doc_unlink(d, piece);
		return 0;
	}
	if (write_attribute(d, piece, "value", NULL, e) < 0 ||
	    write_attribute(d, piece, "type", "empty", e) < 0)
		return -1;
	p->kind = DOC_OPEN;
	p->name = doc_find_container(d, d->names[key].text, d->names[key].len);
	return 0;
}

/* The blanks before a new property, in d->line. */
static int begin_line(struct reg_doc *d, uint32_t container, struct err *e)
{
	uint32_t open = d->names[container].piece, sibling = tree_before(d, d->names[container].end);
	const struct doc_piece *like = &d->pieces[sibling];
	const char *lead;
	size_t len;

	if (like->kind == DOC_CLOSE)
		like = &d->pieces[d->names[like->name].piece];
	lead = tree_lead(like, &len);
	buf_reset(&d->line);
	if (sibling == open && container == DOC_TOP)
		return buf_printf(&d->line, e, "%s  ", d->feed);
	if (buf_add(&d->line, lead, len, e) < 0)
		return -1;
	return sibling == open && memchr(lead, '\n', len) ? buf_add_str(&d->line, "  ", e) : 0;
}

static int add_name(struct reg_doc *d, const char *part, struct err *e)
{
	buf_reset(&d->plain);
	if (buf_add_str(&d->line, "<property name=\"", e) < 0 ||
	    doc_unspell(part, strlen(part), &d->plain, e) < 0 ||
	    xml_write_text((char *)d->plain.data, d->plain.len, &d->line, e) < 0)
		return -1;
	return buf_add_str(&d->line, "\" type=\"", e);
}

/* The property at `piece` gets an end tag behind it. */
static int add_end(struct reg_doc *d, uint32_t piece, uint32_t container, struct err *e)
{
	if (tree_close_like(d, piece, container, "</property>", e) < 0)
		return -1;
	d->pieces[piece].mark = OPENS;
	d->names[container].piece = piece;
	return 0;
}

/* Makes a property into which others can be put. */
static int add_container(struct reg_doc *d, uint32_t container, struct err *e)
{
	uint32_t outer = d->names[container].container;
	uint32_t piece = d->names[doc_find_key(d, d->names[container].text)].piece; /* of the same name */

	if (piece != DOC_NONE) /* "/>" becomes ">" */
		return doc_splice(d, piece, d->pieces[piece].len - 2, 1, "", 0, e) < 0
			       ? -1
			       : add_end(d, piece, container, e);
	if (begin_line(d, outer, e) < 0 || add_name(d, tree_last_part(d, container), e) < 0 ||
	    buf_add_str(&d->line, "empty\">", e) < 0)
		return -1;
	piece = tree_append(d, outer, DOC_OPEN, e);
	if (piece == DOC_NONE)
		return -1;
	d->pieces[piece].name = container;
	return add_end(d, piece, container, e);
}

/* A property that is there for what is in it gets a value. */
static int add_to_container(struct reg_doc *d, uint32_t container, uint32_t key, const char *value,
			    struct err *e)
{
	uint32_t piece = d->names[container].piece;

	if (xfconf_change(d, piece, value, e) < 0)
		return -1;
	d->pieces[piece].kind = DOC_SETTING;
	doc_bind(d, piece, key);
	return 0;
}

static int add_setting(struct reg_doc *d, uint32_t container, const char *part, uint32_t key,
		       const char *value, struct err *e)
{
	const char *text, *type = split_value(value, &text);
	uint32_t piece;

	if (begin_line(d, container, e) < 0 || add_name(d, part, e) < 0 ||
	    buf_printf(&d->line, e, "%s\" value=\"", type) < 0 ||
	    xml_write_text(text, strlen(text), &d->line, e) < 0 || buf_add_str(&d->line, "\"/>", e) < 0)
		return -1;
	piece = tree_append(d, container, DOC_SETTING, e);
	if (piece == DOC_NONE || note_value(d, piece, type, text, e) < 0)
		return -1;
	doc_bind(d, piece, key);
	return 0;
}

static int xfconf_add(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	auto_buf struct buf spelled = BUF_INIT(8 * REG_VALUE_MAX);
	size_t path_len;
	const char *part = doc_last_part(d, key, &path_len);
	uint32_t container = doc_container_at(d, key, path_len, e), same, number;

	if (d->names[DOC_TOP].end == DOC_NONE)
		return err_set(e, ERR_USAGE,
			       "a channel's name is needed first: the program has to make the file");
	if (container == DOC_NONE || xml_write_text(value, strlen(value), &spelled, e) < 0 ||
	    xml_write_text(key, strlen(key), &spelled, e) < 0)
		return -1;
	buf_reset(&d->plain);
	if (doc_unspell(part, strlen(part), &d->plain, e) < 0)
		return -1;
	number = doc_key_buf(d, container, &d->plain, e);
	if (number == DOC_NONE)
		return -1;
	same = doc_find_container(d, key, strlen(key));
	if (same != DOC_NONE && d->names[same].end != DOC_NONE)
		return add_to_container(d, same, number, value, e);
	while (d->names[container].end == DOC_NONE)
		if (add_container(d, tree_outermost_missing(d, container), e) < 0)
			return -1;
	return add_setting(d, container, part, number, value, e);
}

static bool xfconf_fits(const char *base, const char *text, size_t len)
{
	(void)base;
	return len <= REG_TEXT_MAX && len && memmem(text, len, "<channel", 8) &&
	       doc_has_keys(&reg_lens_xfconf, text, len);
}

const struct reg_lens reg_lens_xfconf = {
	.name = "xfconf",
	.paths = DOC_NESTED,
	.scan = xfconf_scan,
	.change = xfconf_change,
	.add = xfconf_add,
	.remove = xfconf_remove,
	.fits = xfconf_fits,
};
