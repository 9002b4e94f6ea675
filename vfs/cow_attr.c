/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of the union's objects; see cow_change.h. The names are cow_attr_name.h's; ACLs are
 * attributes like others, and a new one changes the mode where the file is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "vfs/cow_attr_name.h"
#include "vfs/cow_change.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_file.h"
#include "vfs/cow_place.h"
#include "vfs/cow_xattr_at.h"

/* Something above may be renamed, or it itself copied up, between finding and asking. */
enum { TRIES = 4 };

/* Where the attributes are asked for. */
struct owner {
	struct cow_layer *layer; /* NULL: the upper */
	int dir;                 /* the upper's */
	const struct cow_handle *handle;
	const char *name; /* "" = the directory, or the open file, itself */
	struct cow_place place;
	struct cow_file *file; /* when there is no place */
};

static void owner_end(struct cow_union *u, struct owner *o)
{
	if (o->file)
		cow_file_unref(u, o->file);
	else
		cow_place_end(u, &o->place);
}

/* A file that has lost its name is asked through its descriptor. */
static int owner_of_nameless(struct cow_union *u, const struct cow_node *n, struct owner *ret)
{
	int sys = S_ISREG(n->type) ? cow_file_ref(u, n->id, &ret->file) : ESTALE;

	if (sys)
		return sys == EACCES ? ENODATA : sys;
	ret->layer = ret->file->layer == COW_UPPER ? NULL : u->layers[ret->file->layer];
	ret->dir = ret->file->fd;
	ret->handle = &ret->file->handle;
	ret->name = "";
	return 0;
}

static int owner_of(struct cow_union *u, uint64_t id, struct owner *ret)
{
	struct cow_node n;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (sys)
		return sys;
	*ret = (struct owner){ .dir = -1 };
	sys = cow_place_of(u, &n, &ret->place);
	if (sys == ENOENT && S_ISDIR(n.type)) /* deleted: like an empty one */
		return ENODATA;
	if (sys == ENOENT || sys == ESTALE)
		return owner_of_nameless(u, &n, ret);
	if (sys)
		return sys;
	ret->layer = ret->place.layer == COW_UPPER ? NULL : u->layers[ret->place.layer];
	ret->dir = ret->place.upper_dir;
	ret->handle = ret->place.lower;
	ret->name = strcmp(ret->place.name, ".") ? ret->place.name : "";
	return 0;
}

static bool is_upper_format(const struct owner *o)
{
	return !o->layer || o->layer->is_frozen_upper;
}

/* ---- asking -------------------------------------------------------------------------------- */

static int get(const struct owner *o, const char *attr, void *value, size_t cap, size_t *ret_len)
{
	char room[COW_ATTR_NAME_SIZE];
	const char *stored = cow_attr_stored(is_upper_format(o), attr, room);

	if (!stored)
		return ENODATA;
	if (o->layer)
		return o->layer->ops->getxattr(o->layer, o->handle, o->name, stored, value, cap, ret_len);
	return cow_xattr_at_get(o->dir, o->name, stored, value, cap, ret_len);
}

int cow_getxattr(struct cow_union *u, uint64_t id, const char *attr, void *value, size_t cap, size_t *ret_len)
{
	int sys = ENODATA;

	if (cow_attr_is_private(attr))
		return ENODATA;
	for (int i = 0; i < TRIES; i++) {
		struct owner o;

		sys = owner_of(u, id, &o);
		if (!sys) {
			sys = get(&o, attr, value, cap, ret_len);
			owner_end(u, &o);
		}
		if (sys != ENOENT && sys != ESTALE)
			break;
	}
	return sys == ENOENT ? ESTALE : sys;
}

static const char *show(void *arg, const char *stored, char room[XATTR_NAME_MAX + 1])
{
	return cow_attr_shown(*(const bool *)arg, stored, room);
}

static int list_layer(const struct owner *o, char *names, size_t cap, size_t *ret_len)
{
	auto_free char *all = malloc(XATTR_LIST_MAX);
	bool upper_format = is_upper_format(o);
	size_t len;
	int sys;

	if (!all)
		return ENOMEM;
	sys = o->layer->ops->listxattr(o->layer, o->handle, o->name, all, XATTR_LIST_MAX, &len);
	return sys ? sys : cow_xattr_show(all, len, show, &upper_format, names, cap, ret_len);
}

static int list_upper(const struct owner *o, char *names, size_t cap, size_t *ret_len)
{
	bool upper_format = true;

	return cow_xattr_at_list(o->dir, o->name, show, &upper_format, names, cap, ret_len);
}

int cow_listxattr(struct cow_union *u, uint64_t id, char *names, size_t cap, size_t *ret_len)
{
	int sys = ESTALE;

	for (int i = 0; i < TRIES; i++) {
		struct owner o;

		sys = owner_of(u, id, &o);
		if (!sys) {
			sys = o.layer ? list_layer(&o, names, cap, ret_len)
				      : list_upper(&o, names, cap, ret_len);
			owner_end(u, &o);
		}
		if (sys != ENOENT && sys != ESTALE)
			break;
	}
	if (sys != ENODATA)
		return sys == ENOENT ? ESTALE : sys;
	*ret_len = 0;
	return 0;
}

/* ---- changing ------------------------------------------------------------------------------ */

struct change {
	const char *attr;
	const void *value; /* NULL and is_removal */
	size_t len;
	int flags; /* XATTR_CREATE, XATTR_REPLACE */
	bool is_removal;
};

/* What the change would fail with anyway is told before anything is copied up. */
static int foresee(struct cow_union *u, uint64_t id, const struct change *c)
{
	size_t len;
	int sys;

	if (!c->is_removal && !(c->flags & (XATTR_CREATE | XATTR_REPLACE)))
		return 0;
	sys = cow_getxattr(u, id, c->attr, NULL, 0, &len);
	if (!sys)
		return !c->is_removal && (c->flags & XATTR_CREATE) ? EEXIST : 0;
	return sys == ENODATA && !c->is_removal && !(c->flags & XATTR_REPLACE) ? 0 : sys;
}

static int bring_up(struct cow_union *u, uint64_t id)
{
	struct cow_node n;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (sys)
		return sys;
	return S_ISDIR(n.type) ? cow_copy_up_dir(u, id) : cow_copy_up(u, id, COW_COPY_ALL);
}

static int apply(const struct owner *o, const struct change *c)
{
	char room[COW_ATTR_NAME_SIZE];
	const char *stored = cow_attr_stored(true, c->attr, room);

	if (o->layer)
		return ESTALE; /* it was not brought up, or is another one by now */
	if (!stored)
		return c->is_removal ? ENODATA : ERANGE;
	if (c->is_removal)
		return cow_xattr_at_remove(o->dir, o->name, stored);
	return cow_xattr_at_set(o->dir, o->name, stored, c->value, c->len, c->flags);
}

static int change(struct cow_union *u, uint64_t id, const struct change *c)
{
	int sys;

	if (!u->upper)
		return EROFS;
	if (cow_attr_is_private(c->attr))
		return EPERM;
	sys = foresee(u, id, c);
	for (int i = 0; !sys && i < TRIES; i++) {
		struct owner o;

		sys = bring_up(u, id);
		if (!sys)
			sys = owner_of(u, id, &o);
		if (sys)
			break;
		sys = apply(&o, c);
		owner_end(u, &o);
		if (sys != ENOENT && sys != ESTALE)
			return sys;
		sys = i + 1 < TRIES ? 0 : ESTALE;
	}
	return sys == ENOENT ? ESTALE : sys;
}

static bool has_value(struct cow_union *u, uint64_t id, const char *attr, const void *value, size_t len)
{
	auto_free char *there = malloc(len + 1);
	size_t there_len;

	return there && cow_getxattr(u, id, attr, there, len + 1, &there_len) == 0 && there_len == len &&
	       (len == 0 || memcmp(there, value, len) == 0);
}

int cow_setxattr(struct cow_union *u, uint64_t id, const char *attr, const void *value, size_t len, int flags,
		 bool again)
{
	const struct change c = { .attr = attr, .value = value, .len = len, .flags = flags };
	int sys = change(u, id, &c);

	return sys == EEXIST && again && has_value(u, id, attr, value, len) ? 0 : sys;
}

int cow_removexattr(struct cow_union *u, uint64_t id, const char *attr, bool again)
{
	const struct change c = { .attr = attr, .is_removal = true };
	int sys = change(u, id, &c);

	return sys == ENODATA && again ? 0 : sys;
}
