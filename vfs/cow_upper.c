/* SPDX-License-Identifier: Apache-2.0 */
/* The upper's life, its features in use, and looking at names; see cow_upper.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_upper_state.h"
#include "vfs/upper_content.h"

/* ---- life ------------------------------------------------------------------------------------- */

/* What cannot be removed stays: names in there are never taken for granted. */
static void empty(struct cow_upper *u, int dir, bool takeover)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = own < 0 ? NULL : fdopendir(own);
	const struct dirent *de;
	struct err ignored;

	if (!d) {
		fd_close(own);
		return;
	}
	while ((de = readdir(d))) {
		if (path_is_dot(de->d_name))
			continue;
		if (takeover && cow_orphan_arrive(u, de->d_name))
			continue;
		if (path_remove_tree(dir, de->d_name, &ignored) < 0)
			continue;
	}
}

static int open_dir(const char *path, int *ret, struct err *e)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, errno, "%s", path) : 0;
}

/* Whatever the umask and the attributes that directories inherit. */
static int open_work(int work, const char *name, int *ret, struct err *e)
{
	if (mkdirat(work, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "work directory: %s", name);
	if (fchmodat(work, name, 0700, 0) < 0)
		return err_sys(e, errno, "work directory: %s", name);
	*ret = openat(work, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret < 0)
		return err_sys(e, errno, "work directory: %s", name);
	(void)fremovexattr(*ret, "system.posix_acl_default");
	return 0;
}

/* Two mounts of one file system do not do, either: a rename of nothing tells. */
static int check_together(const struct cow_upper *u, const char *upper, const char *work, struct err *e)
{
	struct stat a, b;

	if (fstat(u->root, &a) < 0 || fstat(u->tmp, &b) < 0)
		return err_sys(e, errno, "%s", upper);
	if (a.st_dev != b.st_dev ||
	    (renameat2(u->tmp, "probe-absent", u->root, "probe-absent", RENAME_NOREPLACE) < 0 &&
	     errno == EXDEV))
		return err_set(e, ERR_UNSUPPORTED, "%s and %s are not on one mounted file system", upper,
			       work);
	return 0;
}

static int open_in(struct cow_upper *u, const char *upper, const char *work, bool takeover, struct err *e)
{
	auto_fd int work_fd = -1;
	unsigned features;
	int sys;

	if (open_dir(upper, &u->root, e) < 0 || open_dir(work, &work_fd, e) < 0 ||
	    cow_upper_features(upper, &features, e) < 0)
		return -1;
	atomic_store(&u->features, features);
	if (open_work(work_fd, "tmp", &u->tmp, e) < 0 || open_work(work_fd, "orphans", &u->orphans, e) < 0 ||
	    open_work(work_fd, "trash", &u->trash, e) < 0 || check_together(u, upper, work, e) < 0)
		return -1;
	empty(u, u->tmp, takeover);
	if (!takeover) {
		empty(u, u->orphans, false);
		empty(u, u->trash, false);
	}
	if (cow_upper_probe(u, e) < 0)
		return err_wrap(e, "%s", upper);
	sys = cow_links_open(u);
	if (sys)
		return err_sys(e, sys, "%s: index of links", upper);
	/* Left when a freeze was interrupted after its one step. Should it stay, the next freeze sees to it.
	 */
	(void)fremovexattr(u->root, COW_ATTR_FRESH);
	return 0;
}

int cow_upper_open(const char *upper, const char *work, bool takeover, struct cow_upper **ret, struct err *e)
{
	struct cow_upper *u = mem_alloc(1, sizeof(*u), e);

	if (!u)
		return -1;
	u->root = u->tmp = u->orphans = u->trash = -1;
	atomic_init(&u->links, -1);
	sync_mutex_init(&u->lock);
	if (open_in(u, upper, work, takeover, e) < 0) {
		cow_upper_close(u);
		return -1;
	}
	*ret = u;
	return 0;
}

void cow_upper_close(struct cow_upper *u)
{
	if (!u)
		return;
	fd_close(u->root);
	fd_close(u->tmp);
	fd_close(u->orphans);
	fd_close(u->trash);
	fd_close(atomic_load(&u->links));
	sync_mutex_fini(&u->lock);
	free(u);
}

int cow_upper_root(const struct cow_upper *u)
{
	return u->root;
}

bool cow_upper_can_be_lazy(const struct cow_upper *u)
{
	return u->block != 0;
}

/* ---- features --------------------------------------------------------------------------------- */

bool cow_upper_has(const struct cow_upper *u, enum cow_feature f)
{
	return atomic_load_explicit(&u->features, memory_order_acquire) & f;
}

static int use_locked(struct cow_upper *u, enum cow_feature f) SYNC_REQUIRES(u->lock)
{
	unsigned features = atomic_load(&u->features) | f;
	char text[COW_FEATURES_TEXT_MAX];
	int sys;

	if (cow_upper_has(u, f))
		return 0;
	cow_features_text(features, text);
	sys = cow_upper_attr_set(u->root, ".", COW_ATTR_FEATURES, text, strlen(text));
	if (sys || fsync(u->root) < 0)
		return sys ? sys : errno;
	atomic_store_explicit(&u->features, features, memory_order_release);
	return 0;
}

int cow_upper_use(struct cow_upper *u, enum cow_feature f)
{
	int sys;

	if (cow_upper_has(u, f))
		return 0;
	sync_lock(&u->lock);
	sys = use_locked(u, f);
	sync_unlock(&u->lock);
	return sys;
}

/* ---- looking ---------------------------------------------------------------------------------- */

int cow_upper_lookup(const struct cow_upper *u, int dir, const char *name, struct stat *ret,
		     bool *ret_whiteout)
{
	struct stat st;

	(void)u;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	*ret_whiteout = vfs_upper_is_whiteout(dir, name, &st);
	*ret = st;
	return 0;
}
