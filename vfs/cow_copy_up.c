/* SPDX-License-Identifier: Apache-2.0 */
/* Copy-up; see cow_copy_up.h.
 *
 * Everything is prepared under another name in work/tmp and then put into place in one step. A server that
 * dies right behind that step leaves a node that the table still places in the lower; whoever finds the
 * object in the upper afterwards lets the node follow (cow_tree.c). */
#include "vfs/cow_copy_up.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_attr_name.h"
#include "vfs/cow_file.h"
#include "vfs/cow_place.h"
#include "vfs/cow_tree.h"

enum { LAZY_MIN = 256 * 1024, NAMES_MAX = 64 * 1024, VALUE_MAX = 64 * 1024 };

void cow_lock(struct cow_union *u, uint64_t node)
{
	(void)pthread_mutex_lock(&u->stripes[node % COW_STRIPES].raw);
}

void cow_unlock(struct cow_union *u, uint64_t node)
{
	(void)pthread_mutex_unlock(&u->stripes[node % COW_STRIPES].raw);
}

/* ---- attributes of the copy ------------------------------------------------------------------------- */

/* The name under which the upper keeps an attribute of a layer; NULL: it is not copied. */
static const char *stored_name(const struct cow_layer *l, const char *name, char room[COW_ATTR_NAME_SIZE])
{
	if (!l->is_frozen_upper)
		return cow_attr_is_private(name) ? NULL : cow_attr_stored(true, name, room);
	/* Escaped ones stay so, and owners; what else is noted is noted anew. */
	return !strcmp(name, COW_ATTR_OVERRIDE) || cow_attr_shown(true, name, room) ? name : NULL;
}

/* An attribute that the upper's file system has no place for is lost only if it is one of the system's. */
static int copy_attribute(struct cow_union *u, struct cow_layer *l, const struct cow_handle *dir,
			  const char *from, const char *name, const char *path, char *value)
{
	char room[COW_ATTR_NAME_SIZE];
	const char *stored = stored_name(l, name, room);
	size_t len;
	int sys;

	if (!stored)
		return 0;
	sys = l->ops->getxattr(l, dir, from, name, value, VALUE_MAX, &len);
	if (sys)
		return sys == ENODATA ? 0 : sys;
	sys = cow_attr_is_private(stored) ? cow_upper_use(u->upper, COW_FEATURE_OWNER) : 0;
	if (sys)
		return sys;
	if (setxattr(path, stored, value, len, 0) == 0)
		return 0;
	return strncmp(name, "user.", 5) != 0 && (errno == EPERM || errno == ENOTSUP || errno == EINVAL)
		       ? 0
		       : errno;
}

static int copy_attributes(struct cow_union *u, struct cow_layer *l, const struct cow_handle *dir,
			   const char *from, const char *path)
{
	char *names = malloc(NAMES_MAX), *value = malloc(VALUE_MAX);
	size_t len = 0;
	int sys = names && value ? 0 : ENOMEM;

	if (!sys)
		sys = l->ops->listxattr(l, dir, from, names, NAMES_MAX, &len);
	for (const char *p = names; !sys && p < names + len; p += strlen(p) + 1)
		sys = copy_attribute(u, l, dir, from, p, path, value);
	free(names);
	free(value);
	return sys == ENOTSUP ? 0 : sys;
}

/* Owner, mode, times of what is half made, in the order in which they do not undo each other. */
static int copy_stat(const struct cow_union *u, int dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (!u->opt.map_owners && fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0)
		return errno;
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? errno : 0;
}

static int dress(struct cow_union *u, struct cow_temp *t, struct cow_layer *l, const struct cow_handle *dir,
		 const char *from, const struct stat *st)
{
	char path[FD_PATH_LEN];
	int sys = 0;

	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		fd_path(t->fd, path);
		sys = copy_attributes(u, l, dir, from, path);
	}
	return sys ? sys : copy_stat(u, cow_temp_dir_fd(u->upper), t->name, st);
}

/* ---- putting into place ---------------------------------------------------------------------------------
 */

static void set_time(int dir, const struct timespec *mtime)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };
	char path[FD_PATH_LEN];

	fd_path(dir, path);
	(void)utimensat(AT_FDCWD, path, times, 0);
}

/* The directory does not look touched by it. */
static int place(struct cow_union *u, struct cow_temp *t, const struct cow_dir *dir, const char *name,
		 uint64_t ino)
{
	struct stat st;
	int sys;

	if (fstatat(dir->upper, "", &st, AT_EMPTY_PATH) < 0)
		return errno;
	/* The number before the place: whoever finds it there finds the number with it. Only a hint. */
	if (cow_upper_note_ino(u->upper, cow_temp_dir_fd(u->upper), t->name, ino) == 0)
		(void)!cow_upper_set_impure(u->upper, dir->upper);
	cow_nodes_time_begin(u->nodes, dir->node, &st.st_mtim);
	sys = cow_temp_place(u->upper, t, dir->upper, name);
	if (!sys)
		set_time(dir->upper, &st.st_mtim);
	cow_nodes_time_end(u->nodes, dir->node);
	return sys;
}

static void set_back(void *arg, uint64_t node, const struct timespec *mtime)
{
	struct cow_union *u = arg;
	struct cow_dir *d;

	if (cow_dir_ref(u, node, &d) != 0)
		return;
	if (d->upper >= 0)
		set_time(d->upper, mtime);
	cow_dir_unref(u, d);
}

void cow_copy_up_take_over(struct cow_union *u)
{
	cow_nodes_time_pending(u->nodes, set_back, u);
}

/* ---- directories ------------------------------------------------------------------------------------------
 */

static int make_directory(struct cow_union *u, const struct cow_node *n, const struct cow_dir *parent,
			  const struct cow_dir *d)
{
	const struct cow_dir_layer *from = &d->lower[0];
	struct cow_layer *l = u->layers[from->number];
	struct cow_found found;
	struct cow_temp t;
	int sys = l->ops->stat(l, &from->handle, &found);

	if (!sys)
		sys = cow_temp_dir(u->upper, 0700, &t);
	if (sys)
		return sys;
	sys = dress(u, &t, l, &from->handle, "", &found.st);
	if (!sys)
		sys = place(u, &t, parent, n->name, n->shown_ino);
	cow_temp_drop(u->upper, &t);
	return sys;
}

/* The parent is in the upper already. */
static int copy_one_directory(struct cow_union *u, uint64_t id)
{
	struct cow_dir *parent = NULL, *d = NULL;
	struct cow_node n;
	int sys;

	cow_lock(u, id);
	cow_cache_forget(u->dirs, id);
	sys = cow_nodes_get(u->nodes, id, &n);
	if (!sys)
		sys = n.parent ? cow_dir_ref(u, n.parent, &parent) : ENOENT;
	if (!sys)
		sys = cow_dir_ref(u, id, &d);
	if (!sys && d->upper < 0) {
		if (parent->upper < 0)
			sys = EAGAIN;
		else if (d->count == 0)
			sys = ENOENT;
		else
			sys = make_directory(u, &n, parent, d);
		cow_cache_forget(u->dirs, id);
		cow_cache_forget(u->dirs, n.parent); /* it has become impure */
		if (!sys)
			atomic_fetch_add(&u->copy_ups, 1);
	}
	cow_dir_unref(u, d);
	cow_dir_unref(u, parent);
	cow_unlock(u, id);
	return sys;
}

/* The topmost directory above `id`, or itself, that is not in the upper; 0 = all are. */
static int first_missing(struct cow_union *u, uint64_t id, uint64_t *ret)
{
	struct cow_node n;
	struct cow_dir *d;
	int sys = 0;

	*ret = 0;
	while (!sys && id) {
		bool is_there;

		sys = cow_dir_ref(u, id, &d);
		if (sys)
			break;
		is_there = d->upper >= 0;
		if (!is_there && d->count == 0)
			sys = ENOENT; /* deleted */
		cow_dir_unref(u, d);
		if (is_there || sys)
			break;
		*ret = id;
		sys = cow_nodes_get(u->nodes, id, &n);
		id = sys ? 0 : n.parent;
	}
	return sys;
}

int cow_copy_up_dir(struct cow_union *u, uint64_t node)
{
	enum { TRIES = 100 };
	int tries = 0;

	if (!u->upper)
		return EROFS;
	for (;;) {
		uint64_t missing;
		int sys = first_missing(u, node, &missing);

		if (sys || !missing)
			return sys;
		sys = copy_one_directory(u, missing);
		if ((sys == EAGAIN || sys == EEXIST) && ++tries < TRIES)
			continue; /* something above has just been moved */
		if (sys)
			return sys;
	}
}

/* ---- files
 * -------------------------------------------------------------------------------------------------- */

struct source {
	struct cow_layer *layer;
	const struct cow_handle *dir; /* NULL: it has lost its name */
	const char *name;
	struct stat st;
	bool is_empty;
	const struct cow_handle *self; /* without a name: it, open */
	unsigned links;                /* names that the union shows; 0 = nobody asks */
};

static bool wants_lazy(const struct cow_union *u, const struct source *s)
{
	return s->layer->is_streamed && s->st.st_size >= LAZY_MIN && cow_upper_can_be_lazy(u->upper);
}

static int make_lazy(struct cow_union *u, const struct source *s, int fd)
{
	struct cow_lazy_origin *o = calloc(1, sizeof(*o));
	int sys = o ? cow_upper_use(u->upper, COW_FEATURE_LAZY) : ENOMEM;

	if (!sys) {
		o->limit = (uint64_t)s->st.st_size;
		o->dev = s->st.st_dev;
		o->ino = s->st.st_ino;
		(void)snprintf(o->key, sizeof(o->key), "%s", s->layer->key);
		(void)snprintf(o->path, sizeof(o->path), "-");
		sys = cow_lazy_make(fd, o);
	}
	free(o);
	return sys;
}

/* What a frozen upper has not changed of a streamed file stays where it is. */
static int copy_lazily(struct cow_union *u, const struct cow_file *f, uint64_t size, int fd)
{
	int sys;

	if (!cow_upper_can_be_lazy(u->upper))
		return EOPNOTSUPP;
	sys = cow_upper_use(u->upper, COW_FEATURE_LAZY);
	return sys ? sys : cow_lazy_copy(f->handle.fd, size, fd);
}

static int copy_content(struct cow_union *u, uint64_t id, const struct source *s, int fd)
{
	struct cow_source from = { .fd = -1 };
	struct cow_file *f;
	int sys;

	if (s->is_empty || s->st.st_size == 0)
		return 0;
	if (wants_lazy(u, s)) {
		sys = make_lazy(u, s, fd);
		if (sys != EOPNOTSUPP)
			return sys;
	}
	sys = cow_file_ref(u, id, &f);
	if (sys)
		return sys;
	if (f->lazy) {
		from.fd = f->handle.fd;
		from.lazy = f->lazy;
	} else {
		from.layer = s->layer;
		from.handle = &f->handle;
	}
	if (f->layer == COW_UPPER)
		sys = EAGAIN;
	else
		sys = f->lazy ? copy_lazily(u, f, (uint64_t)s->st.st_size, fd) : EOPNOTSUPP;
	if (sys == EOPNOTSUPP) {
		sys = cow_content_copy_whole(&from, (uint64_t)s->st.st_size, fd);
		atomic_fetch_add(&u->bytes_copied_up, sys ? 0 : (uint64_t)s->st.st_size);
	}
	cow_file_unref(u, f);
	/* A crash must not leave a name in the upper that hides the lower's content behind nothing. */
	return !sys && fdatasync(fd) < 0 ? errno : sys;
}

static int make_copy(struct cow_union *u, uint64_t id, const struct source *s, enum cow_copy_content content,
		     struct cow_temp *ret)
{
	char target[PATH_MAX + 1];
	struct stat made;
	size_t len;
	int sys;

	switch (s->st.st_mode & S_IFMT) {
	case S_IFREG:
		sys = cow_temp_file(u->upper, 0600, ret);
		if (!sys && content == COW_COPY_ALL)
			sys = copy_content(u, id, s, ret->fd);
		break;
	case S_IFLNK:
		if (!s->dir)
			return ESTALE;
		sys = s->layer->ops->readlink(s->layer, s->dir, s->name, target, sizeof(target) - 1, &len);
		if (sys)
			return sys;
		target[len] = 0;
		sys = cow_temp_symlink(u->upper, target, ret);
		break;
	default:
		sys = cow_temp_node(u->upper, s->st.st_mode, s->st.st_rdev, ret);
		break;
	}
	if (!sys && fstatat(cow_temp_dir_fd(u->upper), ret->name, &made, AT_SYMLINK_NOFOLLOW) < 0)
		sys = errno;
	if (sys)
		return sys;
	cow_tree_made(u, &made);
	return dress(u, ret, s->layer, s->dir ? s->dir : s->self, s->dir ? s->name : "", &s->st);
}

/* Its other names below will find it by the index. */
static int enter_index(struct cow_union *u, const struct source *s, struct cow_temp *t, bool *ret_entered)
{
	char key[96];
	int sys;

	*ret_entered = false;
	if (s->links < 2)
		return 0;
	sys = cow_upper_use(u->upper, COW_FEATURE_LINKS);
	if (sys)
		return sys;
	cow_links_key(s->layer->key, s->st.st_dev, s->st.st_ino, key);
	sys = cow_links_add(u->upper, key, cow_temp_dir_fd(u->upper), t->name, s->links);
	*ret_entered = !sys;
	/* What can have no attributes cannot be counted: the copy is a file of its own. */
	return sys == EPERM && !S_ISREG(s->st.st_mode) ? 0 : sys;
}

/* The table, and what is open, follow. The descriptor is taken. */
static int follow(struct cow_union *u, const struct cow_node *n, struct cow_temp *t)
{
	struct cow_identity to = { .layer = COW_UPPER };
	struct cow_file *f;
	struct stat st;
	int sys, fd = t->fd;

	t->fd = -1;
	if (fd < 0)
		return EINVAL;
	if (fstat(fd, &st) < 0)
		sys = errno;
	else
		sys = 0;
	to.dev = st.st_dev;
	to.ino = st.st_ino;
	if (!sys)
		sys = cow_place_follow(u, n, n->parent, n->name, &to);
	if (sys) {
		(void)close(fd);
		return sys;
	}
	sys = cow_file_add(u, n->id, fd, &f);
	if (!sys)
		cow_file_unref(u, f);
	atomic_fetch_add(&u->copy_ups, 1);
	return sys;
}

/* Of anything but a regular file: by its name. */
static int follow_name(struct cow_union *u, const struct cow_node *n, int dir, const char *name)
{
	struct cow_identity to = { .layer = COW_UPPER };
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	to.dev = st.st_dev;
	to.ino = st.st_ino;
	atomic_fetch_add(&u->copy_ups, 1);
	return cow_place_follow(u, n, n->parent, n->name, &to);
}

static int copy_named(struct cow_union *u, const struct cow_node *n, enum cow_copy_content content)
{
	struct cow_temp t = { .fd = -1 };
	struct cow_dir *parent;
	struct source s;
	struct cow_spot spot;
	bool is_indexed;
	int sys = cow_dir_ref(u, n->parent, &parent);

	if (sys)
		return sys;
	sys = cow_spot_find(u, parent, n->name, &spot);
	if (!sys && spot.place.layer == COW_UPPER) {
		sys = follow_name(u, n, spot.place.upper_dir, spot.place.name); /* see above */
		cow_dir_unref(u, parent);
		return sys;
	}
	if (!sys && (spot.st.st_ino != n->identity.ino || spot.st.st_dev != n->identity.dev))
		sys = ESTALE;
	if (!sys && parent->upper < 0)
		sys = EAGAIN;
	if (!sys) {
		s = (struct source){
			.layer = u->layers[spot.place.layer],
			.dir = spot.place.lower,
			.name = spot.place.name,
			.st = spot.st,
			.is_empty = spot.is_empty,
			.links = cow_spot_links(u, &spot),
		};
		sys = make_copy(u, n->id, &s, content, &t);
		if (!sys)
			sys = enter_index(u, &s, &t, &is_indexed);
		if (!sys && is_indexed) /* now, for it is found by its other names already */
			sys = follow(u, n, &t);
		if (!sys)
			sys = place(u, &t, parent, n->name, n->shown_ino);
		if (!sys && !is_indexed)
			sys = S_ISREG(n->type) ? follow(u, n, &t) : follow_name(u, n, parent->upper, n->name);
		cow_temp_drop(u->upper, &t);
		cow_cache_forget(u->dirs, n->parent); /* it has become impure */
	}
	cow_dir_unref(u, parent);
	return sys;
}

/* A file that has been deleted, and that somebody who has it open now writes to. */
static int copy_lost(struct cow_union *u, const struct cow_node *n, enum cow_copy_content content)
{
	struct source s = { .layer = u->layers[n->identity.layer] };
	struct cow_temp t = { .fd = -1 };
	struct cow_found found;
	struct cow_file *f;
	char text[24];
	int sys;

	if (!S_ISREG(n->type))
		return ESTALE;
	cow_orphan_text(n->id, text);
	if (n->flags & COW_NODE_ORPHAN) /* copied by a server that died before the table could follow */
		return follow_name(u, n, cow_orphans_dir(u->upper), text);
	sys = cow_file_ref(u, n->id, &f);
	if (sys)
		return sys;
	sys = s.layer->ops->stat(s.layer, &f->handle, &found);
	if (!sys) {
		s.st = found.st;
		s.is_empty = found.is_empty;
		s.self = &f->handle;
		sys = make_copy(u, n->id, &s, content, &t);
	}
	cow_file_unref(u, f);
	if (sys) {
		cow_temp_drop(u->upper, &t);
		return sys;
	}
	sys = cow_temp_place(u->upper, &t, cow_orphans_dir(u->upper), text);
	if (sys == EEXIST) { /* as above, but for the flag: nobody has written to it */
		cow_orphan_remove(u->upper, n->id);
		sys = cow_temp_place(u->upper, &t, cow_orphans_dir(u->upper), text);
	}
	if (!sys)
		sys = cow_nodes_set_flags(u->nodes, n->id, COW_NODE_ORPHAN, COW_NODE_LOST);
	if (!sys)
		sys = follow(u, n, &t);
	cow_temp_drop(u->upper, &t);
	return sys;
}

int cow_copy_up(struct cow_union *u, uint64_t node, enum cow_copy_content content)
{
	enum { TRIES = 100 };
	struct cow_node n;
	int sys = EAGAIN;

	if (!u->upper)
		return EROFS;
	for (int i = 0; i < TRIES && sys == EAGAIN; i++) {
		sys = cow_nodes_get(u->nodes, node, &n);
		if (sys || n.identity.layer == COW_UPPER)
			return sys;
		if (n.parent)
			sys = cow_copy_up_dir(u, n.parent);
		if (sys)
			return sys;
		cow_lock(u, node);
		sys = cow_nodes_get(u->nodes, node, &n);
		if (!sys && n.identity.layer != COW_UPPER)
			sys = n.parent ? copy_named(u, &n, content) : copy_lost(u, &n, content);
		cow_unlock(u, node);
		if (sys == EEXIST)
			sys = EAGAIN;
	}
	return sys == EAGAIN ? EIO : sys;
}
