/* SPDX-License-Identifier: Apache-2.0 */
/* Walking an upper; see upper.h.
 *
 * The stack of directories is our own, not the machine's, and holds descriptors only for the innermost
 * levels: on the way back an outer directory is found again as ".." of the inner one, and trusted only if it
 * is the one that we left. So neither depth nor the limit on descriptors stops the walk before LEVELS_MAX.
 *
 * Below an opaque directory everything is opaque: overlayfs marks only the topmost. Below something that has
 * no lower, nothing is asked. */
#include "vfs/upper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "vfs/upper_content.h"
#include "vfs/upper_names.h"

enum { LEVELS_MAX = 4096, LEVELS_OPEN = 48, PATH_LEN_MAX = LEVELS_MAX * 256 };

struct level {
	int fd; /* -1 while put away */
	dev_t dev;
	ino_t ino;
	struct vfs_upper_names names;
	size_t next;     /* into names */
	size_t path_len; /* of this directory, in walk.path */
	bool has_lower;  /* a directory of this path lies below */
	bool is_opaque;  /* itself, or something above it */
};

struct walk {
	struct level *levels; /* of LEVELS_MAX at most, grown on demand */
	size_t depth, cap;    /* the upper's root is levels[0] */
	struct buf path;      /* "" for the root, then "/a/b" */
	vfs_lower_fn *lower;
	void *lower_arg;
	vfs_change_fn *fn;
	void *arg;
};

/* One entry of the upper, and what lies below it. */
struct entry {
	const char *name;
	struct stat st, below;
	bool has_below;
	bool is_top;
	bool is_redirected; /* a directory that was renamed: its lower is elsewhere */
};

static void walk_fini(struct walk *w)
{
	for (size_t i = 0; i < w->depth; i++) {
		fd_close(w->levels[i].fd);
		vfs_upper_names_fini(&w->levels[i].names);
	}
	free(w->levels);
	buf_fini(&w->path);
}

static int ask_lower(struct walk *w, const char *path, struct stat *ret, bool *ret_found, struct err *e)
{
	if (w->lower(w->lower_arg, path, ret, NULL, e) == 0) {
		*ret_found = true;
		return 0;
	}
	if (e->code != ERR_NOTFOUND && e->sys != ENOTDIR)
		return -1;
	*ret_found = false;
	return 0;
}

/* -1 when there is none to be had: the comparison then ends with "different". */
static int open_lower(struct walk *w, const char *path)
{
	struct err ignored;
	struct stat st;
	int fd = -1;

	return w->lower(w->lower_arg, path, &st, &fd, &ignored) < 0 ? -1 : fd;
}

static int report(struct walk *w, enum vfs_change_kind kind, const char *path, const struct stat *st,
		  bool is_opaque, struct err *e)
{
	const struct vfs_change change = {
		.kind = kind, .path = path, .upper_path = path + 1, .st = *st, .is_opaque = is_opaque
	};

	return w->fn(w->arg, &change, e);
}

/* ---- classifying ------------------------------------------------------------------------ */

/* A copy-up belongs to whoever runs the union, whoever owned the original; only an owner that somebody
 * chose is a change. */
static bool same_owner(const struct entry *x)
{
	return (x->st.st_uid == x->below.st_uid || x->st.st_uid == geteuid()) &&
	       (x->st.st_gid == x->below.st_gid || x->st.st_gid == getegid());
}

static bool same_mode(const struct entry *x)
{
	return (x->st.st_mode & 07777) == (x->below.st_mode & 07777);
}

static bool same_time(const struct entry *x)
{
	return x->st.st_mtim.tv_sec == x->below.st_mtim.tv_sec &&
	       x->st.st_mtim.tv_nsec == x->below.st_mtim.tv_nsec;
}

/* False when there is nothing to report. */
static bool compare_file(struct walk *w, int dir, const struct entry *x, const char *path,
			 enum vfs_change_kind *ret)
{
	enum vfs_upper_sameness same = VFS_UPPER_DIFFERENT;

	if (x->st.st_size == x->below.st_size) {
		auto_fd int fd = open_lower(w, path);

		if (fd >= 0)
			same = vfs_upper_compare_files(dir, x->name, &x->below, fd);
	}
	*ret = same == VFS_UPPER_DIFFERENT ? VFS_MODIFIED : VFS_METADATA;
	return same != VFS_UPPER_SAME || !same_mode(x) || !same_owner(x) || !same_time(x);
}

static bool compare_link(struct walk *w, int dir, const struct entry *x, const char *path,
			 enum vfs_change_kind *ret)
{
	*ret = VFS_MODIFIED;
	if (x->st.st_size == x->below.st_size) {
		auto_fd int fd = open_lower(w, path);

		if (fd >= 0 && vfs_upper_same_target(dir, x->name, fd)) {
			*ret = VFS_METADATA;
			return !x->is_top && !same_owner(x);
		}
	}
	return true;
}

static bool compare_entry(struct walk *w, int dir, const struct entry *x, const char *path,
			  enum vfs_change_kind *ret)
{
	if (!x->has_below) {
		*ret = VFS_ADDED;
		return true;
	}
	*ret = VFS_MODIFIED;
	if ((x->st.st_mode & S_IFMT) != (x->below.st_mode & S_IFMT) || x->is_redirected)
		return true;
	if (S_ISREG(x->st.st_mode))
		return compare_file(w, dir, x, path, ret);
	if (S_ISLNK(x->st.st_mode))
		return compare_link(w, dir, x, path, ret);
	if ((S_ISCHR(x->st.st_mode) || S_ISBLK(x->st.st_mode)) && x->st.st_rdev != x->below.st_rdev)
		return true;
	*ret = VFS_METADATA;
	return !same_mode(x) || (!x->is_top && !same_owner(x));
}

/* ---- walking ---------------------------------------------------------------------------- */

static int grow_levels(struct walk *w, const char *path, struct err *e)
{
	struct level *grown;

	if (w->depth == LEVELS_MAX)
		return err_set(e, ERR_LIMIT, "%.80s...: more than %d levels of directories", path,
			       LEVELS_MAX);
	if (w->depth < w->cap)
		return 0;
	grown = mem_grow(w->levels, w->cap ? w->cap * 2 : 64, sizeof(*grown), e);
	if (!grown)
		return -1;
	w->levels = grown;
	w->cap = w->cap ? w->cap * 2 : 64;
	return 0;
}

/* `fd` is owned, also on failure. */
static int push_level(struct walk *w, int fd, bool has_lower, bool is_opaque, struct err *e)
{
	auto_fd int own = fd, lower_fd = -1;
	struct level *level;
	struct stat st;
	const char *path = buf_text(&w->path, e);

	if (!path || grow_levels(w, path, e) < 0)
		return -1;
	if (fstat(own, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (has_lower && is_opaque)
		lower_fd = open_lower(w, path);
	level = &w->levels[w->depth];
	*level = (struct level){ .dev = st.st_dev,
				 .ino = st.st_ino,
				 .path_len = w->path.len,
				 .has_lower = has_lower,
				 .is_opaque = is_opaque };
	if (vfs_upper_names_read(own, lower_fd, &level->names, e) < 0)
		return err_wrap(e, "%s", *path ? path : "/");
	level->fd = fd_steal(&own);
	if (w->depth >= LEVELS_OPEN) {
		fd_close(w->levels[w->depth - LEVELS_OPEN].fd);
		w->levels[w->depth - LEVELS_OPEN].fd = -1;
	}
	w->depth++;
	return 0;
}

/* Leaves the innermost directory. When its parent is no longer where it was, the rest of that is passed
 * over (and, if ".." cannot be opened at all, that of the levels above). */
static void pop_level(struct walk *w)
{
	struct level *level = &w->levels[--w->depth];
	struct level *outer = w->depth ? level - 1 : NULL;

	if (outer && outer->fd < 0) {
		struct stat st;

		if (level->fd >= 0)
			outer->fd = openat(level->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (outer->fd < 0 || fstat(outer->fd, &st) < 0 || st.st_dev != outer->dev ||
		    st.st_ino != outer->ino)
			outer->next = outer->names.count;
	}
	fd_close(level->fd);
	vfs_upper_names_fini(&level->names);
}

static int enter(struct walk *w, int dir, const struct entry *x, bool has_lower, bool is_opaque,
		 const char *path, struct err *e)
{
	auto_fd int fd = openat(dir, x->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0; /* it went, or became something else, meanwhile */
	if (fd < 0 && errno == EACCES)
		return err_set(e, ERR_DENIED,
			       "directory %s may not be read by its owner (mode %03o): chmod u+rx it in the "
			       "environment's upper",
			       path, (unsigned)(x->st.st_mode & 0777));
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	return push_level(w, fd_steal(&fd), has_lower, is_opaque, e);
}

/* What is merged at the top is merged by mounting, whatever its attribute says; redirects are not. */
static void look_at_directory(int dir, struct entry *x, bool *ret_opaque)
{
	auto_fd int fd = openat(dir, x->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	x->is_redirected = fd >= 0 && vfs_upper_is_redirected(fd);
	if (x->is_redirected || (fd >= 0 && !x->is_top && vfs_upper_is_opaque(fd)))
		*ret_opaque = true;
}

/* A name that an opaque directory hides. */
static int visit_hidden(struct walk *w, const char *path, struct err *e)
{
	struct stat st;
	bool found;

	if (ask_lower(w, path, &st, &found, e) < 0)
		return -1;
	return found ? report(w, VFS_DELETED, path, &st, false, e) : 0;
}

/* `level` is not to be used after a directory was entered: the array may have moved. */
static int visit(struct walk *w, const struct level *level, const char *name, const char *path, struct err *e)
{
	struct entry x = { .name = name, .is_top = w->depth == 1 };
	bool is_opaque = level->is_opaque;
	enum vfs_change_kind kind;

	if (x.is_top && !strcmp(name, ".floe"))
		return 0;
	if (fstatat(level->fd, name, &x.st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", path);
	if (level->has_lower && ask_lower(w, path, &x.below, &x.has_below, e) < 0)
		return -1;
	if (vfs_upper_is_whiteout(level->fd, name, &x.st))
		return x.has_below ? report(w, VFS_DELETED, path, &x.below, false, e) : 0;
	if (S_ISDIR(x.st.st_mode))
		look_at_directory(level->fd, &x, &is_opaque);
	if (compare_entry(w, level->fd, &x, path, &kind) &&
	    report(w, kind, path, &x.st, S_ISDIR(x.st.st_mode) && is_opaque, e) < 0)
		return -1;
	if (!S_ISDIR(x.st.st_mode))
		return 0;
	return enter(w, level->fd, &x, x.has_below && S_ISDIR(x.below.st_mode) && !x.is_redirected, is_opaque,
		     path, e);
}

static int step(struct walk *w, struct err *e)
{
	struct level *level = &w->levels[w->depth - 1];
	const struct vfs_upper_name *name;
	const char *path;

	w->path.len = level->path_len;
	if (level->next == level->names.count) {
		pop_level(w);
		return 0;
	}
	name = &level->names.names[level->next++];
	if (buf_add(&w->path, "/", 1, e) < 0 || buf_add_str(&w->path, name->text, e) < 0)
		return -1;
	path = buf_text(&w->path, e);
	if (!path)
		return -1;
	if (name->is_hidden)
		return visit_hidden(w, path, e);
	return visit(w, level, name->text, path, e);
}

int vfs_upper_walk(int upper_fd, vfs_lower_fn *lower, void *lower_arg, vfs_change_fn *fn, void *arg,
		   struct err *e)
{
	__attribute__((cleanup(walk_fini))) struct walk w = {
		.path = BUF_INIT(PATH_LEN_MAX), .lower = lower, .lower_arg = lower_arg, .fn = fn, .arg = arg
	};
	int fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "upper");
	if (push_level(&w, fd, true, false, e) < 0)
		return -1;
	while (w.depth)
		if (step(&w, e) < 0)
			return -1;
	return 0;
}
