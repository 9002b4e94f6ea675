/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of Augeas' tree; see augeas_tree.h.
 *
 * Augeas' paths are expressions; here they always end in the one node that is meant: "/tree/Match[1]/...". */
#include "registry-shim/augeas_tree.h"

#include <augeas.h>
#include <string.h>

#include "registry-shim/lens_part.h"

enum { PATH_MAX_LEN = 64 * 1024 };

bool augeas_is_comment(const char *label)
{
	return (*label == '#' || *label == '!') && strstr(label, "comment");
}

/* ---- nodes ---------------------------------------------------------------------------------- */

struct nodes {
	char **paths;
	int count;
};

static void nodes_fini(struct nodes *n)
{
	for (int i = 0; i < n->count; i++)
		free(n->paths[i]);
	free(n->paths);
}
#define auto_nodes __attribute__((cleanup(nodes_fini))) struct nodes

static int find(struct augeas *a, const char *path, const char *below, struct nodes *ret, struct err *e)
{
	auto_free char *expression = mem_printf(e, "%s%s", path, below);

	if (!expression)
		return -1;
	ret->count = aug_match(a, expression, &ret->paths);
	if (ret->count >= 0)
		return 0;
	ret->count = 0;
	return err_set(e, ERR_USAGE, "no name for Augeas: %s", aug_error_message(a));
}

static const char *label_of(struct augeas *a, const char *path)
{
	const char *label = NULL;

	return aug_label(a, path, &label) == 1 && label ? label : "";
}

static bool has_value(struct augeas *a, const char *path)
{
	const char *value = NULL;

	return aug_get(a, path, &value) == 1 && value;
}

/* Whether anything but comments is below. -1 on error. */
static int has_settings(struct augeas *a, const char *path, struct err *e)
{
	auto_nodes below = { 0 };
	int any = 0;

	if (find(a, path, "/*", &below, e) < 0)
		return -1;
	for (int i = 0; i < below.count; i++)
		any |= !augeas_is_comment(label_of(a, below.paths[i]));
	return any;
}

static int set_value(struct augeas *a, const char *path, const char *value, struct err *e)
{
	return aug_set(a, path, value) < 0 ? err_set(e, ERR_USAGE, "%s", aug_error_message(a)) : 0;
}

static int give_value(struct augeas *a, const char *path, const struct augeas_change *c, struct err *e)
{
	return set_value(a, path, c->is_flag && !*c->value ? NULL : c->value, e);
}

/* ---- a key as a path ------------------------------------------------------------------------ */

struct step {
	char *label;   /* owned */
	char *escaped; /* for expressions; owned */
	long index;    /* from 1 */
};

static void step_fini(struct step *s)
{
	free(s->label);
	free(s->escaped);
}
#define auto_step __attribute__((cleanup(step_fini))) struct step

/* "label[3]": the index, and the label's length. "[1]" is not spelled. */
static int split_index(const char *part, size_t *len, long *ret, struct err *e)
{
	const char *open = memrchr(part, '[', *len);
	char *end;

	*ret = 1;
	if (!open)
		return 0;
	*ret = strtol(open + 1, &end, 10);
	if (open[1] < '1' || open[1] > '9' || *end != ']' || end + 1 != part + *len || *ret < 2)
		return err_set(e, ERR_USAGE,
			       "%.*s: [2] and so on number what stands repeatedly, %%5B is a '['", (int)*len,
			       part);
	*len = (size_t)(open - part);
	return 0;
}

static int read_step(struct augeas *a, const char *part, size_t len, struct step *ret, struct err *e)
{
	auto_buf struct buf spelled = BUF_INIT(PATH_MAX_LEN), label = BUF_INIT(PATH_MAX_LEN);
	const char *at, *end, *text;

	if (split_index(part, &len, &ret->index, e) < 0)
		return -1;
	end = part + len;
	while ((at = memmem(part, (size_t)(end - part), "%5B", 3))) {
		if (buf_add(&spelled, part, (size_t)(at - part), e) < 0 || buf_add(&spelled, "[", 1, e) < 0)
			return -1;
		part = at + 3;
	}
	if (buf_add(&spelled, part, (size_t)(end - part), e) < 0 ||
	    doc_unspell((const char *)spelled.data, spelled.len, &label, e) < 0)
		return -1;
	text = buf_text(&label, e);
	if (text && !*text)
		return err_set(e, ERR_USAGE, "Augeas has no settings without a name");
	ret->label = text ? mem_strdup(text, e) : NULL;
	if (!ret->label)
		return -1;
	if (aug_escape_name(a, ret->label, &ret->escaped) < 0)
		return err_set(e, ERR_USAGE, "%s", aug_error_message(a));
	if (!ret->escaped)
		ret->escaped = mem_strdup(ret->label, e);
	return ret->escaped ? 0 : -1;
}

static int go_down(struct buf *path, const struct step *s, struct err *e)
{
	return buf_printf(path, e, "/%s[%ld]", s->escaped, s->index) < 0 || !buf_text(path, e) ? -1 : 0;
}

/* Calls `each` with every step of a key, and the path so far. */
static int walk(struct augeas *a, const char *key, struct buf *path,
		int (*each)(struct augeas *a, const char *path, const struct step *s,
			    const struct augeas_change *c, struct err *e),
		const struct augeas_change *c, struct err *e)
{
	if (buf_add_str(path, AUGEAS_TREE, e) < 0 || !buf_text(path, e))
		return -1;
	for (const char *slash; key; key = slash ? slash + 1 : NULL) {
		auto_step s = { 0 };

		slash = strchr(key, '/');
		if (read_step(a, key, slash ? (size_t)(slash - key) : strlen(key), &s, e) < 0 ||
		    (each && each(a, (const char *)path->data, &s, c, e) < 0) || go_down(path, &s, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- adding --------------------------------------------------------------------------------- */

/* Beside `sibling`; Augeas takes no '/' in a label here: then at the end. */
static int put_beside(struct augeas *a, const char *path, const char *sibling, const struct step *s,
		      bool is_before, struct err *e)
{
	auto_free char *own = mem_printf(e, "%s/%s[%ld]", path, s->escaped, s->index);

	if (!own)
		return -1;
	return sibling && aug_insert(a, sibling, s->label, is_before) == 0 ? 0 : set_value(a, own, NULL, e);
}

static bool has_label(struct augeas *a, const struct nodes *n, const char *label)
{
	for (int i = 0; i < n->count; i++)
		if (!strcmp(label_of(a, n->paths[i]), label))
			return true;
	return false;
}

/* As a sibling of `path` that has such a node has it: behind what it has before it. 1, or 0 when there is no
 * such sibling. */
static int put_as_elsewhere(struct augeas *a, const char *path, const struct step *s, struct err *e)
{
	auto_free char *beside = mem_printf(e, "/../*/%s[1]", s->escaped);
	auto_nodes models = { 0 }, before = { 0 }, own = { 0 };
	const char *behind = NULL;

	if (!beside)
		return -1;
	if (!strcmp(path, AUGEAS_TREE))
		return 0;
	if (find(a, path, beside, &models, e) < 0)
		return -1;
	if (models.count == 0)
		return 0;
	if (find(a, models.paths[0], "/preceding-sibling::*", &before, e) < 0 ||
	    find(a, path, "/*", &own, e) < 0)
		return -1;
	for (int i = 0; i < own.count; i++)
		if (has_label(a, &before, label_of(a, own.paths[i])))
			behind = own.paths[i];
	if (put_beside(a, path, behind ? behind : own.count ? own.paths[0] : NULL, s, !behind, e) < 0)
		return -1;
	return 1;
}

static int put_at(struct augeas *a, const char *path, const struct step *s, enum augeas_place place,
		  struct err *e)
{
	auto_nodes own = { 0 };
	const char *behind = NULL;

	if (place == AUGEAS_AT_END)
		return put_beside(a, path, NULL, s, false, e);
	if (find(a, path, "/*", &own, e) < 0)
		return -1;
	for (int i = 0; place == AUGEAS_BEHIND_SETTINGS && i < own.count; i++)
		if (has_value(a, own.paths[i]) && !augeas_is_comment(label_of(a, own.paths[i])))
			behind = own.paths[i];
	return put_beside(a, path, behind ? behind : own.count ? own.paths[0] : NULL, s, !behind, e);
}

/* Makes the node of a step, unless it is there. */
static int add_step(struct augeas *a, const char *path, const struct step *s, const struct augeas_change *c,
		    struct err *e)
{
	auto_free char *same = mem_printf(e, "/%s", s->escaped);
	auto_nodes there = { 0 };
	int r;

	if (!same || find(a, path, same, &there, e) < 0)
		return -1;
	if (s->index <= there.count)
		return 0;
	if (s->index != there.count + 1)
		return err_set(e, ERR_USAGE, "%s: there are %d of \"%s\" here, so the next one is [%d]",
			       c->key, there.count, s->label, there.count + 1);
	if (there.count)
		return put_beside(a, path, there.paths[there.count - 1], s, false, e);
	r = put_as_elsewhere(a, path, s, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	return put_at(a, path, s, c->place, e);
}

static int add(struct augeas *a, const struct augeas_change *c, struct err *e)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_LEN);

	if (walk(a, c->key, &path, add_step, c, e) < 0)
		return -1;
	return give_value(a, (char *)path.data, c, e);
}

/* ---- changing, removing --------------------------------------------------------------------- */

static int change(struct augeas *a, const struct augeas_change *c, struct err *e)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_LEN);

	return walk(a, c->key, &path, NULL, c, e) < 0 ? -1 : give_value(a, (char *)path.data, c, e);
}

/* With the nodes that are there for nothing else. */
static int take_away(struct augeas *a, const struct augeas_change *c, struct err *e)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_LEN);
	auto_nodes around = { 0 };
	int any = 0;

	if (walk(a, c->key, &path, NULL, c, e) < 0 ||
	    find(a, (char *)path.data, "/ancestor::*", &around, e) < 0) /* from the inside */
		return -1;
	any = has_settings(a, (char *)path.data, e);
	if (any != 0)
		return any < 0 ? -1 : set_value(a, (char *)path.data, NULL, e);
	(void)aug_rm(a, (char *)path.data);
	for (int i = 0; i < around.count && strcmp(around.paths[i], AUGEAS_TREE) != 0; i++) {
		any = has_settings(a, around.paths[i], e);
		if (any != 0 || has_value(a, around.paths[i]))
			break;
		(void)aug_rm(a, around.paths[i]);
	}
	return any < 0 ? -1 : 0;
}

int augeas_tree_change(struct augeas *a, const struct augeas_change *c, struct err *e)
{
	switch (c->what) {
	case '=':
		return change(a, c, e);
	case '+':
		return add(a, c, e);
	case '-':
		return take_away(a, c, e);
	default:
		return err_set(e, ERR_FORMAT, "unknown change");
	}
}
