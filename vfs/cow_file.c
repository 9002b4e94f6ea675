/* SPDX-License-Identifier: Apache-2.0 */
/* Open files of the union; see cow_file.h. */
#include "vfs/cow_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_hold.h"
#include "vfs/cow_place.h"

struct entry {
	struct cow_slot slot; /* first */
	struct cow_file file;
};

static struct entry *entry_of(struct cow_file *f)
{
	return (struct entry *)(void *)((char *)f - offsetof(struct entry, file));
}

static void entry_end(struct cow_slot *s)
{
	struct entry *x = (struct entry *)(void *)s;

	cow_lazy_close(x->file.lazy);
	fd_close(x->file.fd);
	cow_handle_close(&x->file.handle);
	free(x);
}

int cow_files_open(size_t max, struct cow_cache **ret, struct err *e)
{
	return cow_cache_open(max, entry_end, ret, e);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static struct entry *entry_new(uint64_t node)
{
	struct entry *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->slot.node = x->file.node = node;
	x->slot.weight = 1;
	x->file.fd = -1;
	x->file.handle = (struct cow_handle)COW_HANDLE_NONE;
	return x;
}

static int open_upper(struct cow_file *f, int dir, const char *name)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	f->layer = COW_UPPER;
	f->fd = openat(dir, name, O_RDWR | flags);
	f->is_writable = f->fd >= 0;
	if (f->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM || errno == ETXTBSY))
		f->fd = openat(dir, name, O_RDONLY | flags);
	return f->fd < 0 ? errno : 0;
}

/* The path is one of the layers together: frozen ones may have renamed directories. */
static int open_by_path(struct cow_union *u, const struct cow_node *n, char *path, struct cow_file *f)
{
	struct cow_layer *l = u->layers[n->identity.layer];
	struct cow_handle dir = COW_HANDLE_NONE;
	char *name = strrchr(path, '/');
	int sys;

	if (name)
		*name++ = 0;
	sys = cow_dir_find_lower(u, n->identity.layer, name ? path : "", &dir);
	if (!sys)
		sys = l->ops->open_file(l, &dir, name ? name : path, n->identity.dev, n->identity.ino,
					&f->handle);
	cow_handle_close(&dir);
	return sys;
}

static int open_lost(struct cow_union *u, const struct cow_node *n, struct cow_file *f)
{
	struct cow_layer *l = u->layers[n->identity.layer];
	char path[PATH_MAX];
	int sys;

	if (!l)
		return ESTALE;
	f->layer = n->identity.layer;
	if (l->is_streamed) /* which finds it by its number */
		sys = l->ops->open_lost(l, "", n->identity.dev, n->identity.ino, &f->handle);
	else if (cow_nodes_lost_path(u->nodes, n->id, path) == 0)
		sys = open_by_path(u, n, path, f);
	else
		sys = ESTALE;
	return sys == ENOENT || sys == ENOTDIR ? ESTALE : sys;
}

static int open_held(struct cow_union *u, const struct cow_node *n, struct cow_file *f)
{
	f->layer = n->identity.layer;
	return cow_hold_open(u, n, &f->handle);
}

static int open_named(struct cow_union *u, const struct cow_node *n, struct cow_file *f)
{
	struct cow_place p;
	int sys = cow_place_of(u, n, &p);

	if (sys)
		return sys;
	if (p.layer == COW_UPPER) {
		sys = open_upper(f, p.upper_dir, p.name);
	} else {
		struct cow_layer *l = u->layers[p.layer];

		f->layer = p.layer;
		sys = l->ops->open_file(l, p.lower, p.name, n->identity.dev, n->identity.ino, &f->handle);
	}
	cow_place_end(u, &p);
	return sys;
}

static struct cow_layer *layer_of_key(struct cow_union *u, const char *key)
{
	for (unsigned i = 1; i <= u->layer_count; i++)
		if (!strcmp(u->layers[i]->key, key))
			return u->layers[i];
	return NULL;
}

/* Files of the upper's format whose content is partly elsewhere. */
static int attach_lazy(struct cow_union *u, struct cow_file *f)
{
	bool may_be_lazy = f->layer == COW_UPPER ? cow_upper_has(u->upper, COW_FEATURE_LAZY)
						 : u->layers[f->layer]->is_frozen_upper;
	int fd = f->layer == COW_UPPER ? f->fd : f->handle.fd;
	struct cow_handle handle = COW_HANDLE_NONE;
	struct cow_lazy_origin *o;
	struct cow_layer *l;
	int sys;

	if (!may_be_lazy)
		return 0;
	o = malloc(sizeof(*o));
	if (!o)
		return ENOMEM;
	sys = cow_lazy_read_origin(fd, o);
	l = sys ? NULL : layer_of_key(u, o->key);
	if (!sys)
		sys = l ? l->ops->open_lost(l, o->path, o->dev, o->ino, &handle) : EIO;
	free(o);
	if (sys)
		return sys == ENODATA ? 0 : EIO;
	sys = cow_lazy_open(fd, l, &handle, &f->lazy);
	if (sys)
		cow_handle_close(&handle);
	return sys == ENODATA ? 0 : sys; /* it has just become ordinary */
}

int cow_file_ref(struct cow_union *u, uint64_t node, struct cow_file **ret)
{
	enum { TRIES = 100 };
	struct cow_slot *s = cow_cache_ref(u->files, node);
	struct cow_node n;
	int sys = 0;

	for (int i = 0; !s && i < TRIES; i++) {
		uint64_t version = cow_cache_version(u->files);
		struct entry *x;

		sys = cow_nodes_get(u->nodes, node, &n);
		if (sys || !S_ISREG(n.type))
			return sys ? sys : EINVAL;
		x = entry_new(node);
		if (!x)
			return ENOMEM;
		sys = open_held(u, &n, &x->file);
		if (sys == ENOENT)
			sys = n.parent || (n.flags & COW_NODE_ORPHAN) ? open_named(u, &n, &x->file) : ESTALE;
		if (sys == ESTALE && cow_place_adopt(u, &n)) {
			entry_end(&x->slot);
			continue;
		}
		/* Also when the table does not say yet that it is lost. */
		if (sys == ESTALE && n.identity.layer != COW_UPPER)
			sys = open_lost(u, &n, &x->file);
		if (!sys)
			sys = attach_lazy(u, &x->file);
		x->slot.weight += x->file.lazy != NULL;
		if (sys)
			entry_end(&x->slot);
		if (sys && cow_cache_version(u->files) != version)
			continue; /* it was just being moved */
		if (sys)
			return sys;
		s = cow_cache_add(u->files, &x->slot, version);
	}
	if (!s)
		return sys ? sys : ESTALE;
	*ret = &((struct entry *)(void *)s)->file;
	return 0;
}

int cow_file_add(struct cow_union *u, uint64_t node, int fd, struct cow_file **ret)
{
	struct entry *x = entry_new(node);
	int sys;

	if (!x) {
		fd_close(fd);
		return ENOMEM;
	}
	x->file.fd = fd;
	x->file.is_writable = true;
	sys = attach_lazy(u, &x->file);
	x->slot.weight += x->file.lazy != NULL;
	if (sys) {
		entry_end(&x->slot);
		return sys;
	}
	*ret = &((struct entry *)(void *)cow_cache_replace(u->files, &x->slot))->file;
	return 0;
}

void cow_file_unref(struct cow_union *u, struct cow_file *f)
{
	if (f)
		cow_cache_unref(u->files, &entry_of(f)->slot);
}
