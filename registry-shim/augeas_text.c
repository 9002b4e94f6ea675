/* SPDX-License-Identifier: Apache-2.0 */
/* Texts under Augeas' lenses; see augeas_text.h. */
#include "registry-shim/augeas_text.h"

#include <augeas.h>
#include <search.h>
#include <string.h>

#include "registry-shim/augeas_tree.h"
#include "registry-shim/lens_part.h"

#define TEXT    "/text"
#define CHANGED "/changed"
#define FAILURE "/augeas/text" AUGEAS_TREE "/error"

enum { KEY_LEN_MAX = 64 * 1024 };

/* ---- Augeas --------------------------------------------------------------------------------- */

int augeas_text_open(struct augeas **ret, struct err *e)
{
	struct augeas *a = aug_init("/", NULL, AUG_NO_LOAD | AUG_NO_MODL_AUTOLOAD);

	if (!a)
		return err_set(e, ERR_IO, "Augeas does not start");
	*ret = a;
	return 0;
}

void augeas_text_close(struct augeas *a)
{
	aug_close(a);
}

static const char *get(struct augeas *a, const char *path)
{
	const char *value = NULL;

	return aug_get(a, path, &value) == 1 && value ? value : "";
}

/* Nothing is left of an earlier text. */
static void forget(struct augeas *a)
{
	(void)aug_rm(a, TEXT);
	(void)aug_rm(a, CHANGED);
	(void)aug_rm(a, AUGEAS_TREE);
	(void)aug_rm(a, "/augeas/text");
}

/* What Augeas itself cannot; it forgets that at the next call. 0 when it is about the text. */
static int tell_error(struct augeas *a, const char *module, struct err *e)
{
	const char *details;

	switch (aug_error(a)) {
	case AUG_NOERROR:
		return 0;
	case AUG_ENOMEM:
		return err_set(e, ERR_LIMIT, "Augeas needs more memory than it may have");
	case AUG_ENOLENS:
		return err_set(e, ERR_NOTFOUND, "Augeas has no lens %s.lns on this machine", module);
	default:
		details = aug_error_details(a);
		return err_set(e, ERR_FORMAT, "Augeas' lens %s: %s: %.*s", module, aug_error_message(a),
			       details ? (int)strcspn(details, "\n") : 0, details ? details : "");
	}
}

/* Why Augeas cannot, in one line; its own messages may be pages. */
static int refuse(struct augeas *a, enum err_code code, const char *module, struct err *e)
{
	const char *message, *where, *slash;

	if (tell_error(a, module, e) < 0)
		return -1;
	message = get(a, FAILURE "/message");
	if (!*message)
		message = get(a, FAILURE);
	where = get(a, FAILURE "/lens");
	slash = strrchr(where, '/');
	where = slash ? slash + 1 : where;
	return err_set(e, code, "Augeas' lens %s: %.*s%s%.*s%s", module, (int)strcspn(message, "\n"), message,
		       *where ? " (" : "", (int)strcspn(where, "-"), where, *where ? ")" : "");
}

static int store(struct augeas *a, const char *module, const char *text, size_t *ret_at, struct err *e)
{
	auto_free char *lens = mem_printf(e, "%s.lns", module);

	if (!lens)
		return -1;
	forget(a);
	if (aug_set(a, TEXT, text) == 0 && aug_text_store(a, lens, TEXT, AUGEAS_TREE) == 0)
		return 0;
	(void)refuse(a, ERR_FORMAT, module, e);
	*ret_at = strtoul(get(a, FAILURE "/pos"), NULL, 10);
	return -1;
}

static int retrieve(struct augeas *a, const char *module, struct buf *ret, struct err *e)
{
	auto_free char *lens = mem_printf(e, "%s.lns", module);

	if (!lens)
		return -1;
	if (aug_text_retrieve(a, lens, TEXT, AUGEAS_TREE, CHANGED) < 0)
		return refuse(a, ERR_USAGE, module, e);
	return buf_add_str(ret, get(a, CHANGED), e);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Which of its siblings a node is, by label. */
struct numbers {
	struct hsearch_data table;
};

static void numbers_fini(struct numbers *n)
{
	hdestroy_r(&n->table);
}
#define auto_numbers __attribute__((cleanup(numbers_fini))) struct numbers

static size_t number(struct numbers *n, const char *label, struct err *e)
{
	ENTRY one = { .key = (char *)(uintptr_t)label, .data = NULL }, *found;

	if (!hsearch_r(one, ENTER, &found, &n->table)) {
		(void)err_set(e, ERR_LIMIT, "Augeas needs more memory than it may have");
		return 0;
	}
	found->data = (void *)((uintptr_t)found->data + 1);
	return (size_t)(uintptr_t)found->data;
}

static const xmlNode *first_node(const xmlNode *n)
{
	while (n && (n->type != XML_ELEMENT_NODE || strcmp((const char *)n->name, "node") != 0))
		n = n->next;
	return n;
}

/* NULL where Augeas has none. */
static const char *node_label(const xmlNode *n)
{
	for (const xmlAttr *p = n->properties; p; p = p->next)
		if (!strcmp((const char *)p->name, "label") && p->children && p->children->content)
			return (const char *)p->children->content;
	return NULL;
}

static const char *node_value(const xmlNode *n)
{
	for (const xmlNode *c = n->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE && !strcmp((const char *)c->name, "value"))
			return c->children && c->children->content ? (const char *)c->children->content : "";
	return NULL;
}

/* One step of a key, behind what is there. */
static int spell(struct buf *key, const char *label, size_t index, struct err *e)
{
	auto_buf struct buf part = BUF_INIT(KEY_LEN_MAX);
	const char *at, *open;

	if (key->len && buf_add(key, "/", 1, e) < 0)
		return -1;
	if (doc_spell(label, strlen(label), &part, e) < 0 || !buf_text(&part, e))
		return -1;
	for (at = (char *)part.data; (open = strchr(at, '[')); at = open + 1)
		if (buf_add(key, at, (size_t)(open - at), e) < 0 || buf_add_str(key, "%5B", e) < 0)
			return -1;
	if (buf_add_str(key, at, e) < 0)
		return -1;
	return index > 1 ? buf_printf(key, e, "[%zu]", index) : 0;
}

static int add_key(const struct buf *key, const char *value, struct buf *ret, struct err *e)
{
	return buf_add(ret, key->data, key->len, e) < 0 || buf_add(ret, "", 1, e) < 0
		       ? -1
		       : buf_add(ret, value, strlen(value) + 1, e);
}

static int add_keys(const xmlNode *parent, struct buf *key, struct buf *ret, bool *ret_any, struct err *e)
{
	auto_numbers numbers = { 0 };
	size_t count = 0, len = key->len;

	*ret_any = false;
	for (const xmlNode *n = first_node(parent->children); n; n = first_node(n->next))
		count++;
	if (!hcreate_r(count + count / 4 + 1, &numbers.table))
		return err_set(e, ERR_LIMIT, "Augeas needs more memory than it may have");
	for (const xmlNode *n = first_node(parent->children); n; n = first_node(n->next)) {
		const char *label = node_label(n), *value = node_value(n);
		size_t index, before = ret->len;
		bool any;

		if (!label || augeas_is_comment(label))
			continue;
		*ret_any = true;
		index = number(&numbers, label, e);
		if (index == 0 || spell(key, label, index, e) < 0 ||
		    (value && add_key(key, value, ret, e) < 0) || add_keys(n, key, ret, &any, e) < 0 ||
		    (!value && !any && ret->len == before && add_key(key, "", ret, e) < 0))
			return -1;
		key->len = len;
	}
	return 0;
}

int augeas_text_keys(struct augeas *a, const char *module, const char *text, struct buf *ret, size_t *ret_at,
		     struct err *e)
{
	auto_buf struct buf key = BUF_INIT(KEY_LEN_MAX);
	xmlNode *tree = NULL;
	const xmlNode *top;
	bool any;
	int r;

	*ret_at = 0;
	if (store(a, module, text, ret_at, e) < 0)
		return -1;
	if (aug_to_xml(a, AUGEAS_TREE, &tree, 0) < 0 || !tree)
		return refuse(a, ERR_FORMAT, module, e);
	top = first_node(tree->children);
	r = top ? add_keys(top, &key, ret, &any, e) : 0;
	xmlFreeNode(tree);
	return r;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* The next of a list; false at the end, and where it is cut off. */
static bool next_change(const char **at, const char *end, struct augeas_change *ret)
{
	const char *stop, *value;

	if (*at >= end || !(stop = memchr(*at, 0, (size_t)(end - *at))))
		return false;
	value = stop + 1;
	if (value >= end || !(stop = memchr(value, 0, (size_t)(end - value))))
		return false;
	ret->what = **at;
	ret->key = *at + 1;
	ret->value = value;
	*at = stop + 1;
	return true;
}

/* One try. ERR_USAGE from the tree itself is final, from the lens not: *ret_is_final. */
static int try_change(struct augeas *a, const char *module, const char *text, const char *changes,
		      const char *end, struct augeas_change how, bool *ret_is_final, struct buf *ret,
		      struct err *e)
{
	size_t at;

	*ret_is_final = true;
	if (store(a, module, text, &at, e) < 0)
		return -1;
	while (next_change(&changes, end, &how))
		if (augeas_tree_change(a, &how, e) < 0)
			return -1;
	*ret_is_final = false;
	return retrieve(a, module, ret, e);
}

int augeas_text_change(struct augeas *a, const char *module, const char *text, const char *changes,
		       size_t changes_len, struct buf *ret, struct err *e)
{
	const char *end = changes + changes_len;
	struct augeas_change c;
	bool adds = false, has_empty = false, is_final = false;
	struct err later;

	for (const char *at = changes; next_change(&at, end, &c);) {
		adds |= c.what == '+';
		has_empty |= c.what != '-' && !*c.value;
	}
	/* The first refusal is the one to tell of. */
	for (int place = 0; place < (adds ? AUGEAS_PLACES : 1); place++)
		for (int is_text = 0; is_text <= has_empty; is_text++) {
			struct augeas_change how = { .place = (enum augeas_place)place, .is_flag = !is_text };
			struct err *why = place || is_text ? &later : e;

			if (try_change(a, module, text, changes, end, how, &is_final, ret, why) == 0)
				return 0;
			if (is_final)
				return -1;
		}
	return -1;
}
