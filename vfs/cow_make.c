/* SPDX-License-Identifier: Apache-2.0 */
/* New objects and new names of the union; see cow_change.h.
 *
 * What is made where nothing was is made in place: one step. Where a whiteout is, it is prepared in work/tmp
 * and takes the whiteout's place. */
#include "vfs/cow_change.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_file.h"
#include "vfs/cow_make.h"
#include "vfs/cow_place.h"

#define DEFAULT_ACL "system.posix_acl_default"
enum { ACL_MAX = 8192 }; /* 1,000 entries; more, and it is ERANGE */

int cow_change_begin(struct cow_union *u, uint64_t parent, struct cow_dir **ret)
{
	struct cow_dir *dir;
	int sys = u->upper ? cow_copy_up_dir(u, parent) : EROFS;

	*ret = NULL;
	if (!sys)
		sys = cow_dir_ref(u, parent, &dir);
	if (sys)
		return sys;
	if (dir->upper < 0) {
		cow_dir_unref(u, dir);
		return ENOENT; /* deleted */
	}
	*ret = dir;
	return 0;
}

/* ---- one new object ------------------------------------------------------------------------------------ */

struct recipe {
	const struct cow_maker *maker;
	mode_t mode; /* with the type */
	dev_t rdev;
	const char *target; /* of a symbolic link */
	int fd;             /* of a regular file, once made; owned until taken */
	bool is_old;        /* a predecessor had made it */
};

static int make_in_place(int dir, const char *name, struct recipe *r)
{
	int rc = -1;

	(void)umask(r->maker->umask); /* this thread's own */
	switch (r->mode & S_IFMT) {
	case S_IFREG:
		rc = r->fd = openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
				    r->mode & 07777);
		break;
	case S_IFDIR:
		rc = mkdirat(dir, name, r->mode & 07777);
		break;
	case S_IFLNK:
		rc = symlinkat(r->target, dir, name);
		break;
	default:
		rc = mknodat(dir, name, r->mode, r->rdev);
		break;
	}
	return rc < 0 ? errno : 0;
}

/* In a directory with that default ACL, so that the kernel says what comes of it. */
static int make_temp_in(struct cow_union *u, int dir, const void *acl, size_t acl_len, struct recipe *r,
			struct cow_temp *ret)
{
	char path[FD_PATH_LEN];
	int sys;

	fd_path(dir, path);
	if (setxattr(path, DEFAULT_ACL, acl, acl_len, 0) < 0)
		return errno;
	sys = make_in_place(dir, "made", r);
	if (sys)
		return sys;
	sys = cow_temp_take(u->upper, dir, "made", ret);
	if (!sys && S_ISDIR(r->mode))
		ret->fd = openat(cow_temp_dir_fd(u->upper), ret->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else if (!sys)
		ret->fd = fd_steal(&r->fd);
	fd_close(fd_steal(&r->fd));
	return sys;
}

static int make_temp_with_acl(struct cow_union *u, const void *acl, size_t acl_len, struct recipe *r,
			      struct cow_temp *ret)
{
	struct cow_temp nest = { .fd = -1 };
	int sys = cow_temp_dir(u->upper, 0700, &nest);

	if (sys)
		return sys;
	sys = make_temp_in(u, nest.fd, acl, acl_len, r, ret);
	cow_temp_drop(u->upper, &nest);
	return sys;
}

static int make_temp(struct cow_union *u, int parent, struct recipe *r, struct cow_temp *ret)
{
	char path[FD_PATH_LEN], acl[ACL_MAX];
	ssize_t acl_len;
	const mode_t mode = r->mode & 07777 & ~r->maker->umask;

	fd_path(parent, path);
	acl_len = getxattr(path, DEFAULT_ACL, acl, sizeof(acl));
	if (acl_len < 0 && errno != ENODATA && errno != ENOTSUP)
		return errno;
	if (acl_len > 0 && !S_ISLNK(r->mode))
		return make_temp_with_acl(u, acl, (size_t)acl_len, r, ret);
	switch (r->mode & S_IFMT) {
	case S_IFREG:
		return cow_temp_file(u->upper, mode, ret);
	case S_IFDIR:
		return cow_temp_dir(u->upper, mode, ret);
	case S_IFLNK:
		return cow_temp_symlink(u->upper, r->target, ret);
	default:
		return cow_temp_node(u->upper, (r->mode & S_IFMT) | mode, r->rdev, ret);
	}
}

/* As the maker's: only where numbers mean what they say. A directory that gives its group to what is in it
 * has done so already. */
static int give_owner(const struct cow_union *u, const struct recipe *r, int parent, int dir,
		      const char *name)
{
	struct stat st, above;
	gid_t gid = r->maker->gid;

	if (u->opt.map_owners)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(parent, "", &above, AT_EMPTY_PATH) < 0)
		return errno;
	if (above.st_mode & S_ISGID)
		gid = above.st_gid;
	if (st.st_uid == r->maker->uid && st.st_gid == gid)
		return 0;
	if (fchownat(dir, name, r->maker->uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	/* Changing owners takes these bits away. */
	if ((st.st_mode & (S_ISUID | S_ISGID)) && !S_ISLNK(st.st_mode) &&
	    fchmodat(dir, name, st.st_mode & 07777, 0) < 0)
		return errno;
	return 0;
}

static int inherit_group(struct cow_union *u, const struct recipe *r, int parent, const struct cow_temp *t)
{
	const int dir = cow_temp_dir_fd(u->upper);
	struct stat st, above;

	if (fstatat(parent, "", &above, AT_EMPTY_PATH) < 0 ||
	    fstatat(dir, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	if (!(above.st_mode & S_ISGID))
		return 0;
	if (fchownat(dir, t->name, (uid_t)-1, above.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM)
		return errno;
	if (S_ISDIR(r->mode) && fchmodat(dir, t->name, (st.st_mode & 07777) | S_ISGID, 0) < 0)
		return errno;
	return 0;
}

/* Where a whiteout is. */
static int make_over(struct cow_union *u, const struct cow_dir *parent, const char *name, struct recipe *r)
{
	struct cow_temp t = { .fd = -1 };
	int sys = make_temp(u, parent->upper, r, &t);

	if (sys)
		return sys;
	sys = inherit_group(u, r, parent->upper, &t);
	if (!sys)
		sys = give_owner(u, r, parent->upper, cow_temp_dir_fd(u->upper), t.name);
	if (!sys && S_ISDIR(r->mode))
		sys = cow_upper_set_opaque(u->upper, t.fd);
	if (!sys)
		sys = cow_temp_place(u->upper, &t, parent->upper, name);
	if (!sys && S_ISREG(r->mode)) {
		r->fd = t.fd;
		t.fd = -1;
	}
	cow_temp_drop(u->upper, &t);
	return sys;
}

/* A directory made anew hides what a layer below may have, or get, by that name. */
static int hide_below(struct cow_union *u, const struct cow_dir *parent, const char *name)
{
	auto_fd int fd = -1;

	if (parent->count == 0)
		return 0;
	fd = openat(parent->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? errno : cow_upper_set_opaque(u->upper, fd);
}

/* Made by a server that did not live to say so? *ret_sys stays as it is when not. */
static bool is_made_already(const struct cow_dir *parent, const char *name, struct recipe *r)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t len;

	if (!r->maker->again || fstatat(parent->upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (st.st_mode & S_IFMT) != (r->mode & S_IFMT))
		return false;
	if (S_ISREG(st.st_mode))
		r->fd = openat(parent->upper, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (!S_ISLNK(st.st_mode))
		return true;
	len = readlinkat(parent->upper, name, target, sizeof(target));
	return len >= 0 && (size_t)len == strlen(r->target) && !memcmp(target, r->target, (size_t)len);
}

static int make_object(struct cow_union *u, const struct cow_dir *parent, const char *name, struct recipe *r)
{
	bool is_whiteout = false;
	struct stat st;
	int sys = make_in_place(parent->upper, name, r);

	if (sys == EEXIST && cow_upper_lookup(u->upper, parent->upper, name, &st, &is_whiteout) == 0 &&
	    is_whiteout)
		return make_over(u, parent, name, r);
	if (sys == EEXIST && is_made_already(parent, name, r)) {
		r->is_old = true;
		sys = 0;
	}
	if (!sys && S_ISDIR(r->mode))
		sys = hide_below(u, parent, name);
	return sys ? sys : give_owner(u, r, parent->upper, parent->upper, name);
}

static bool is_known(struct cow_union *u, uint64_t parent, const char *name, const struct stat *st)
{
	struct cow_node n;

	return cow_nodes_child(u->nodes, parent, name, &n) == 0 && n.identity.layer == COW_UPPER &&
	       n.identity.dev == st->st_dev && n.identity.ino == st->st_ino;
}

/* The kernel's lookup of what has just been made; of a regular file, it stays open. */
static int announce(struct cow_union *u, const struct cow_dir *parent, const char *name, struct recipe *r,
		    struct cow_entry *ret)
{
	struct cow_file *f;
	struct stat st;
	int sys;

	if (fstatat(r->fd >= 0 ? r->fd : parent->upper, r->fd >= 0 ? "" : name, &st,
		    r->fd >= 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	if (!r->is_old || !is_known(u, parent->node, name, &st))
		cow_tree_made(u, &st);
	sys = cow_tree_seen_upper(u, parent, name, &st, ret);
	if (sys || r->fd < 0)
		return sys;
	/* Without memory to keep it open it is opened again when needed. */
	if (cow_file_add(u, ret->id, fd_steal(&r->fd), &f) == 0)
		cow_file_unref(u, f);
	return 0;
}

static int make(struct cow_union *u, uint64_t parent, const char *name, struct recipe *r,
		struct cow_entry *ret)
{
	struct cow_dir *dir;
	int sys = cow_change_begin(u, parent, &dir);

	r->fd = -1;
	if (sys)
		return sys;
	sys = make_object(u, dir, name, r);
	if (!sys)
		sys = announce(u, dir, name, r, ret);
	fd_close(r->fd);
	cow_dir_unref(u, dir);
	return sys;
}

int cow_make_file(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		  mode_t mode, struct cow_entry *ret)
{
	struct recipe r = { .maker = m, .mode = S_IFREG | (mode & 07777) };

	return make(u, parent, name, &r, ret);
}

int cow_make_dir(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		 mode_t mode, struct cow_entry *ret)
{
	struct recipe r = { .maker = m, .mode = S_IFDIR | (mode & 07777) };

	return make(u, parent, name, &r, ret);
}

int cow_make_symlink(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		     const char *target, struct cow_entry *ret)
{
	struct recipe r = { .maker = m, .mode = S_IFLNK | 0777, .target = target };

	return make(u, parent, name, &r, ret);
}

int cow_make_node(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		  mode_t mode, dev_t rdev, struct cow_entry *ret)
{
	struct recipe r = { .maker = m, .mode = mode, .rdev = rdev };

	if (S_ISCHR(mode) && rdev == 0)
		return EPERM; /* that would be a whiteout */
	return make(u, parent, name, &r, ret);
}

/* As an orphan from the beginning. Its number counts when it has its place: the file of a server that died
 * before that is gone, and the number is another one's. */
static int make_orphan(struct cow_union *u, struct cow_temp *t, struct cow_entry *ret)
{
	struct cow_identity identity = { .layer = COW_UPPER };
	struct cow_sighting s = { .type = S_IFREG, .identity = identity, .flags = COW_NODE_ORPHAN };
	struct cow_file *f;
	struct cow_node n;
	struct stat st;
	char text[24];
	int sys;

	if (fstat(t->fd, &st) < 0)
		return errno;
	identity.dev = st.st_dev;
	identity.ino = st.st_ino;
	cow_tree_made(u, &st);
	s.shown_ino = cow_tree_ino(u, COW_UPPER, st.st_dev, st.st_ino);
	sys = cow_nodes_add_orphan(u->nodes, &s, &n);
	if (sys)
		return sys;
	cow_orphan_text(n.id, text);
	sys = cow_temp_place(u->upper, t, cow_orphans_dir(u->upper), text);
	if (!sys)
		sys = cow_nodes_set_identity(u->nodes, n.id, &identity);
	if (!sys && cow_file_add(u, n.id, fd_steal(&t->fd), &f) == 0)
		cow_file_unref(u, f);
	if (!sys)
		sys = cow_tree_getattr(u, n.id, ret);
	if (sys) {
		cow_orphan_remove(u->upper, n.id);
		(void)cow_nodes_forget(u->nodes, n.id, 1, &n);
		return sys;
	}
	ret->id = n.id;
	ret->generation = n.generation;
	return 0;
}

int cow_make_unnamed(struct cow_union *u, const struct cow_maker *m, uint64_t parent, mode_t mode,
		     struct cow_entry *ret)
{
	struct recipe r = { .maker = m, .mode = S_IFREG | (mode & 07777), .fd = -1 };
	struct cow_temp t = { .fd = -1 };
	struct cow_dir *dir;
	int sys = cow_change_begin(u, parent, &dir);

	if (sys)
		return sys;
	sys = make_temp(u, dir->upper, &r, &t);
	if (!sys)
		sys = inherit_group(u, &r, dir->upper, &t);
	if (!sys)
		sys = give_owner(u, &r, dir->upper, cow_temp_dir_fd(u->upper), t.name);
	if (!sys)
		sys = make_orphan(u, &t, ret);
	cow_temp_drop(u->upper, &t);
	cow_dir_unref(u, dir);
	return sys;
}

/* ---- one more name ------------------------------------------------------------------------------------- */

int cow_make_upper_name(struct cow_union *u, const struct cow_dir *dir, const char *name)
{
	struct cow_spot s;
	int sys = cow_spot_find(u, dir, name, &s);

	if (!sys && (s.place.layer != COW_UPPER || !s.is_linked))
		sys = EAGAIN;
	return sys ? sys : cow_links_place(u->upper, s.place.name, dir->upper, name);
}

static int link_in_upper(struct cow_union *u, const struct cow_place *from, int dir, const char *name)
{
	struct cow_temp t = { .fd = -1 };
	bool is_whiteout = false;
	struct stat st, old;
	int sys = linkat(from->upper_dir, from->name, dir, name, 0) < 0 ? errno : 0;

	if (sys != EEXIST)
		return sys;
	sys = cow_upper_lookup(u->upper, dir, name, &st, &is_whiteout);
	if (sys || !is_whiteout) {
		/* Done by a server that did not live to say so? */
		if (!sys && fstatat(from->upper_dir, from->name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
		    old.st_ino == st.st_ino && old.st_dev == st.st_dev)
			return 0;
		return sys ? sys : EEXIST;
	}
	sys = cow_temp_link(u->upper, from->upper_dir, from->name, &t);
	if (!sys)
		sys = cow_temp_place(u->upper, &t, dir, name);
	cow_temp_drop(u->upper, &t);
	return sys;
}

/* is_there: a server that did not live to say so came as far as the disk. */
static int link_object(struct cow_union *u, const struct cow_node *n, const struct cow_dir *dir,
		       const char *name, const struct cow_attempt *a, bool is_there)
{
	struct cow_place from;
	int sys;

	if (n->flags & COW_NODE_ORPHAN) {
		sys = is_there ? 0 : cow_orphan_name(u->upper, n->id, dir->upper, name);
		return sys ? sys : cow_nodes_set_flags(u->nodes, n->id, 0, COW_NODE_ORPHAN);
	}
	if (is_there && !n->parent) /* or even as far as the flag */
		return 0;
	sys = cow_place_of(u, n, &from);
	if (sys)
		return sys;
	sys = cow_count_links(u, a, &from, 1);
	if (!sys) {
		sys = link_in_upper(u, &from, dir->upper, name);
		if (sys)
			(void)!cow_count_links(u, a, &from, -1);
	}
	cow_place_end(u, &from);
	return sys;
}

int cow_link(struct cow_union *u, uint64_t id, uint64_t parent, const char *name, const struct cow_attempt *a,
	     struct cow_entry *ret)
{
	struct cow_dir *dir;
	struct cow_thing t;
	struct cow_node n;
	bool is_there;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (!sys && S_ISDIR(n.type))
		sys = EPERM;
	if (!sys)
		sys = cow_copy_up(u, id, COW_COPY_ALL);
	if (!sys)
		sys = cow_change_begin(u, parent, &dir);
	if (sys)
		return sys;
	cow_lock(u, id);
	sys = cow_nodes_get(u->nodes, id, &n);
	if (!sys)
		sys = cow_tree_find(u, dir, name, &t);
	is_there = !sys && a->again && cow_identity_is(&n.identity, &t.identity);
	if (sys == ENOENT || is_there)
		sys = link_object(u, &n, dir, name, a, is_there);
	else if (!sys)
		sys = EEXIST;
	cow_unlock(u, id);
	if (!sys)
		sys = cow_nodes_link(u->nodes, id, parent, name);
	cow_dir_unref(u, dir);
	if (!sys) {
		sys = cow_tree_lookup(u, parent, name, ret);
	}
	return sys;
}
