/* SPDX-License-Identifier: Apache-2.0 */
/* Open directories of the union; see cow_dir.h. */
#include "vfs/cow_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

struct entry {
	struct cow_slot slot; /* first */
	struct cow_dir dir;
};

static struct entry *entry_of(struct cow_dir *d)
{
	return (struct entry *)(void *)((char *)d - offsetof(struct entry, dir));
}

static void lower_close(struct cow_dir_layer *lower, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		cow_handle_close(&lower[i].handle);
}

static void entry_end(struct cow_slot *s)
{
	struct entry *x = (struct entry *)(void *)s;

	fd_close(x->dir.upper);
	lower_close(x->dir.lower, x->dir.count);
	free(x);
}

int cow_dirs_open(size_t max, struct cow_cache **ret, struct err *e)
{
	return cow_cache_open(max, entry_end, ret, e);
}

/* ---- the layers of one directory -------------------------------------------------------------- */

struct stack {
	struct cow_dir_layer at[COW_LAYERS_MAX];
	unsigned count;
};

static void stack_end(struct stack *s)
{
	lower_close(s->at, s->count);
	s->count = 0;
}

#define auto_stack __attribute__((cleanup(stack_end)))

/* What a directory says about the layers below its own. */
static int info_of(struct cow_layer *l, struct cow_dir_layer *d, struct cow_upper_dir_info *ret)
{
	int sys;

	*ret = (struct cow_upper_dir_info){ .redirect = NULL };
	if (!l->is_frozen_upper)
		return 0;
	sys = cow_upper_dir_info(NULL, d->handle.fd, ret);
	d->is_impure = !sys && ret->is_impure;
	return sys;
}

static int resolve(struct cow_union *u, unsigned first, const char *path, struct stack *ret);

/* Adds what layer `from` and those below it have as directory `name`; *ret_end: nothing below shows. */
static int descend_one(struct cow_union *u, const struct cow_dir_layer *from, const char *name,
		       struct stack *ret, bool *ret_end)
{
	struct cow_layer *l = u->layers[from->number];
	struct cow_dir_layer *to = &ret->at[ret->count];
	struct cow_upper_dir_info info;
	struct cow_found found;
	int sys = l->ops->lookup(l, &from->handle, name, &found, NULL);

	if (sys == ENOENT)
		return 0;
	if (sys)
		return sys;
	if (found.is_whiteout || !S_ISDIR(found.st.st_mode)) {
		*ret_end = true;
		return 0;
	}
	sys = l->ops->open_dir(l, &from->handle, name, &to->handle);
	if (sys)
		return sys == ENOENT ? 0 : sys;
	to->number = from->number;
	to->is_impure = false;
	ret->count++;
	sys = info_of(l, to, &info);
	if (sys)
		return sys;
	*ret_end = info.is_opaque || info.redirect;
	if (info.redirect)
		sys = resolve(u, from->number + 1u, info.redirect, ret);
	free(info.redirect);
	return sys;
}

static int descend(struct cow_union *u, const struct cow_dir_layer *from, unsigned count, const char *name,
		   struct stack *ret)
{
	bool end = false;
	int sys = 0;

	for (unsigned i = 0; !sys && !end && i < count; i++)
		sys = descend_one(u, &from[i], name, ret, &end);
	return sys;
}

static int open_roots(struct cow_union *u, unsigned first, struct stack *ret)
{
	for (unsigned n = first; n <= u->layer_count; n++) {
		struct cow_dir_layer *to = &ret->at[ret->count];
		struct cow_upper_dir_info info = { .redirect = NULL };
		int sys = u->layers[n]->ops->open_root(u->layers[n], &to->handle);

		if (sys)
			return sys;
		to->number = (uint8_t)n;
		to->is_impure = false;
		ret->count++;
		sys = info_of(u->layers[n], to, &info);
		free(info.redirect); /* a root has none */
		if (sys)
			return sys;
	}
	return 0;
}

/* Appends directory `path` of layers `first` and below, seen as a union of their own. */
static int resolve(struct cow_union *u, unsigned first, const char *path, struct stack *ret)
{
	auto_stack struct stack here = { .count = 0 };
	int sys = open_roots(u, first, &here);

	while (!sys && *path) {
		auto_stack struct stack next = { .count = 0 };
		size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];

		if (len > NAME_MAX)
			return ENAMETOOLONG;
		if (len) {
			memcpy(name, path, len);
			name[len] = 0;
			sys = descend(u, here.at, here.count, name, &next);
			stack_end(&here);
			here = next;
			next.count = 0;
		}
		path += len;
		path += strspn(path, "/");
	}
	if (sys || ret->count + here.count > COW_LAYERS_MAX)
		return sys ? sys : EOVERFLOW;
	memcpy(&ret->at[ret->count], here.at, here.count * sizeof(here.at[0]));
	ret->count += here.count;
	here.count = 0;
	return 0;
}

int cow_dir_find_lower(struct cow_union *u, uint8_t layer, const char *path, struct cow_handle *ret)
{
	auto_stack struct stack s = { .count = 0 };
	int sys = resolve(u, 1, path, &s);

	for (unsigned i = 0; !sys && i < s.count; i++) {
		if (s.at[i].number != layer)
			continue;
		*ret = s.at[i].handle;
		s.at[i].handle = (struct cow_handle)COW_HANDLE_NONE;
		return 0;
	}
	return sys ? sys : ENOENT;
}

/* ---- making one ------------------------------------------------------------------------------- */

static struct entry *entry_new(uint64_t node)
{
	struct entry *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->slot.node = x->dir.node = node;
	x->dir.upper = -1;
	return x;
}

/* Takes what the stack holds. */
static void entry_take(struct entry *x, struct stack *s)
{
	memcpy(x->dir.lower, s->at, s->count * sizeof(s->at[0]));
	x->dir.count = s->count;
	s->count = 0;
	x->slot.weight = x->dir.upper >= 0;
	for (unsigned i = 0; i < x->dir.count; i++)
		x->slot.weight += x->dir.lower[i].handle.fd >= 0;
}

static int make_root(struct cow_union *u, struct entry *x)
{
	auto_stack struct stack s = { .count = 0 };
	struct cow_upper_dir_info info = { .redirect = NULL };
	int sys = 0;

	if (u->upper) {
		x->dir.upper = openat(cow_upper_root(u->upper), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (x->dir.upper < 0)
			return errno;
		sys = cow_upper_dir_info(u->upper, x->dir.upper, &info);
		free(info.redirect);
		x->dir.is_impure = info.is_impure;
	}
	if (!sys)
		sys = open_roots(u, 1, &s);
	if (!sys)
		entry_take(x, &s);
	return sys;
}

/* The upper's part of a child. *ret_lower: what is below shows as well, at *ret_redirect or under its name.
 */
static int open_upper(struct cow_union *u, const struct cow_dir *parent, const char *name, struct entry *x,
		      bool *ret_lower, char **ret_redirect)
{
	struct cow_upper_dir_info info = { .redirect = NULL };
	struct stat st;
	bool is_whiteout;
	int sys;

	*ret_lower = true;
	if (parent->upper < 0)
		return 0;
	sys = cow_upper_lookup(u->upper, parent->upper, name, &st, &is_whiteout);
	if (sys)
		return sys == ENOENT ? 0 : sys;
	if (is_whiteout || !S_ISDIR(st.st_mode))
		return ESTALE;
	x->dir.upper = openat(parent->upper, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (x->dir.upper < 0)
		return errno == ENOENT || errno == ENOTDIR ? ESTALE : errno;
	sys = cow_upper_dir_info(u->upper, x->dir.upper, &info);
	if (sys)
		return sys;
	x->dir.is_opaque = info.is_opaque;
	x->dir.is_impure = info.is_impure;
	*ret_lower = !info.is_opaque || info.redirect;
	*ret_redirect = info.redirect;
	return 0;
}

static int make_child(struct cow_union *u, const struct cow_dir *parent, const char *name, struct entry *x)
{
	auto_stack struct stack s = { .count = 0 };
	auto_free char *redirect = NULL;
	bool has_lower;
	int sys = open_upper(u, parent, name, x, &has_lower, &redirect);

	if (!sys && has_lower && redirect)
		sys = resolve(u, 1, redirect, &s);
	else if (!sys && has_lower)
		sys = descend(u, parent->lower, parent->count, name, &s);
	if (sys)
		return sys;
	entry_take(x, &s);
	return x->dir.upper < 0 && x->dir.count == 0 ? ESTALE : 0;
}

/* One level: `parent` is NULL for the root and for what has been deleted. */
static int make(struct cow_union *u, const struct cow_dir *parent, const struct cow_node *n,
		struct cow_dir **ret)
{
	uint64_t version = cow_cache_version(u->dirs);
	struct entry *x = entry_new(n->id);
	struct cow_slot *s;
	int sys;

	if (!x)
		return ENOMEM;
	if (n->id == COW_ROOT)
		sys = make_root(u, x);
	else
		sys = parent ? make_child(u, parent, n->name, x) : 0;
	if (sys) {
		entry_end(&x->slot);
		return sys;
	}
	s = cow_cache_add(u->dirs, &x->slot, version);
	if (!s)
		return EAGAIN;
	*ret = &((struct entry *)(void *)s)->dir;
	return 0;
}

/* ---- asking ------------------------------------------------------------------------------------ */

struct chain {
	uint64_t *ids; /* from the one wanted upwards */
	size_t count, cap;
};

static int chain_add(struct chain *c, uint64_t id)
{
	if (c->count == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 32;
		uint64_t *ids = realloc(c->ids, cap * sizeof(*ids));

		if (!ids)
			return ENOMEM;
		c->ids = ids;
		c->cap = cap;
	}
	c->ids[c->count++] = id;
	return 0;
}

/* Goes up to the first that is open, or that has nothing above it. *ret_above: that one, or NULL. */
static int climb(struct cow_union *u, uint64_t node, struct chain *c, struct cow_dir **ret_above)
{
	struct cow_node n;
	struct cow_slot *s;
	int sys;

	*ret_above = NULL;
	for (;;) {
		s = cow_cache_ref(u->dirs, node);
		if (s) {
			*ret_above = &((struct entry *)(void *)s)->dir;
			return 0;
		}
		sys = cow_nodes_get(u->nodes, node, &n);
		if (!sys && !S_ISDIR(n.type))
			sys = ENOTDIR;
		if (!sys)
			sys = chain_add(c, node);
		if (sys || node == COW_ROOT || n.parent == 0)
			return sys;
		node = n.parent;
	}
}

static int open_chain(struct cow_union *u, struct chain *c, struct cow_dir *above, struct cow_dir **ret)
{
	struct cow_node n;
	int sys = 0;

	while (!sys && c->count) {
		struct cow_dir *made = NULL;

		sys = cow_nodes_get(u->nodes, c->ids[--c->count], &n);
		/* Moved or deleted meanwhile: the caller tries again. */
		if (!sys && above && n.parent != above->node)
			sys = EAGAIN;
		if (!sys)
			sys = make(u, above, &n, &made);
		cow_dir_unref(u, above);
		above = made;
	}
	if (!sys)
		*ret = above;
	return sys;
}

/* A directory above may be moved just now: on the disk already, in the table not yet. */
int cow_dir_ref(struct cow_union *u, uint64_t node, struct cow_dir **ret)
{
	enum { TRIES = 100 };
	struct cow_slot *s = cow_cache_ref(u->dirs, node);
	struct cow_patience patience = { 0 };
	struct chain c = { 0 };
	int sys = EAGAIN, tries = 0;

	if (s) {
		*ret = &((struct entry *)(void *)s)->dir;
		return 0;
	}
	while ((sys == EAGAIN && tries++ < TRIES) || (sys == ESTALE && cow_step_wait(u, &patience))) {
		struct cow_dir *above;
		struct cow_node n;

		if (cow_nodes_get(u->nodes, node, &n) != 0) {
			sys = ESTALE;
			break;
		}
		c.count = 0;
		sys = climb(u, node, &c, &above);
		if (!sys)
			sys = open_chain(u, &c, above, ret);
		else
			cow_dir_unref(u, above);
	}
	free(c.ids);
	return sys == EAGAIN ? ESTALE : sys;
}

void cow_dir_unref(struct cow_union *u, struct cow_dir *d)
{
	if (d)
		cow_cache_unref(u->dirs, &entry_of(d)->slot);
}

void cow_dir_check(struct cow_union *u, uint64_t node, uint64_t dev, uint64_t ino)
{
	struct cow_slot *s = cow_cache_ref(u->dirs, node);
	const struct cow_dir *d = s ? &((struct entry *)(void *)s)->dir : NULL;
	bool is_other = d && d->upper < 0 && d->count &&
			(d->lower[0].handle.dev != dev || d->lower[0].handle.ino != ino);

	if (s)
		cow_cache_unref(u->dirs, s);
	if (is_other)
		cow_cache_forget(u->dirs, node);
}

bool cow_dir_is_volatile(const struct cow_union *u, const struct cow_dir *d)
{
	for (unsigned i = 0; i < d->count; i++)
		if (!u->layers[d->lower[i].number]->is_immutable)
			return true;
	return false;
}
