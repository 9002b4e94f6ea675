/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing an upper; see cow_upper.h. libc only.
 *
 *   1. WORK is emptied (nothing in it is worth anything while the union is not mounted)
 *   2. WORK/fresh is made: an empty directory like the old upper, marked COW_ATTR_FRESH
 *   3. WORK/fresh becomes FROZEN
 *   4. UPPER and FROZEN change names: the one step
 *   5. the mark goes
 *
 * A crash before 4 leaves an empty FROZEN, which its mark tells from a frozen upper that happens to be empty.
 */
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

enum { NAMES_MAX = 64 * 1024, VALUE_MAX = 64 * 1024 };

static int empty_work(int work, struct err *e)
{
	auto_fd int own = openat(work, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = own < 0 ? NULL : fdopendir(own);
	const struct dirent *de;

	if (!d)
		return err_sys(e, errno, "work directory");
	own = -1; /* the stream's now */
	while ((de = readdir(d)))
		if (!path_is_dot(de->d_name) && path_remove_tree(work, de->d_name, e) < 0)
			return err_wrap(e, "work directory");
	return 0;
}

/* ---- the new upper ------------------------------------------------------------------------------ */

/* What applications have set is kept escaped, as user.overlay.overlay.*. */
static bool is_bookkeeping(const char *name)
{
	return !strncmp(name, "user.floe.", 10) ||
	       (!strncmp(name, "user.overlay.", 13) && strncmp(name, "user.overlay.overlay.", 21) != 0);
}

/* What the machine's administration puts on files is not ours to copy. */
static bool must_copy(const char *name)
{
	return !strncmp(name, "user.", 5) || !strncmp(name, "system.posix_acl_", 17);
}

static int copy_attribute(int from, int to, const char *name, struct err *e)
{
	auto_free char *value = mem_alloc(VALUE_MAX, 1, e);
	ssize_t len = value ? fgetxattr(from, name, value, VALUE_MAX) : -1;

	if (!value)
		return -1;
	if (len < 0 || fsetxattr(to, name, value, (size_t)len, 0) < 0)
		return must_copy(name) ? err_sys(e, errno, "attribute %s", name) : 0;
	/* Owners that are kept as attributes are a feature, of the new upper, too. */
	if (!strcmp(name, COW_ATTR_OVERRIDE) && fsetxattr(to, COW_ATTR_FEATURES, "owner", 5, 0) < 0)
		return err_sys(e, errno, "attribute " COW_ATTR_FEATURES);
	return 0;
}

static int copy_attributes(int from, int to, struct err *e)
{
	auto_free char *names = mem_alloc(NAMES_MAX, 1, e);
	ssize_t len = names ? flistxattr(from, names, NAMES_MAX) : -1;

	if (!names)
		return -1;
	if (len < 0)
		return err_sys(e, errno, "attributes");
	for (const char *p = names; p < names + len; p += strlen(p) + 1)
		if (!is_bookkeeping(p) && copy_attribute(from, to, p, e) < 0)
			return -1;
	return 0;
}

/* All but mode and times: closed directories do not move. */
static int make_like(int root, int fresh, struct err *e)
{
	struct stat st, own;

	if (fsetxattr(fresh, COW_ATTR_FRESH, "y", 1, 0) < 0)
		return err_sys(e, errno, "attribute " COW_ATTR_FRESH);
	if (fstat(root, &st) < 0 || fstat(fresh, &own) < 0)
		return err_sys(e, errno, "stat");
	if ((st.st_uid != own.st_uid || st.st_gid != own.st_gid) && fchown(fresh, st.st_uid, st.st_gid) < 0)
		return err_sys(e, errno, "owner");
	return copy_attributes(root, fresh, e);
}

static int make_fresh(int work, int root, struct err *e)
{
	auto_fd int fresh = -1;

	if (mkdirat(work, "fresh", 0700) < 0)
		return err_sys(e, errno, "new upper");
	fresh = openat(work, "fresh", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fresh < 0)
		return err_sys(e, errno, "new upper");
	return make_like(root, fresh, e) < 0 ? err_wrap(e, "new upper") : 0;
}

/* ---- putting it into place ------------------------------------------------------------------------ */

static bool remove_leftover(const char *frozen)
{
	char value[4];

	return lgetxattr(frozen, COW_ATTR_FRESH, value, sizeof(value)) == 1 && rmdir(frozen) == 0;
}

static int place_fresh(int work, const char *frozen, struct err *e)
{
	for (int tries = 0;; tries++) {
		if (renameat2(work, "fresh", AT_FDCWD, frozen, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return err_sys(e, errno, "%s", frozen);
		if (tries || !remove_leftover(frozen))
			return err_set(e, ERR_EXISTS, "%s: exists", frozen);
	}
}

/* Of an upper that its owner may not write, too. */
static int remove_mark(int fd)
{
	struct stat st;
	int rc;

	if (fgetxattr(fd, COW_ATTR_FRESH, NULL, 0) < 0 || fremovexattr(fd, COW_ATTR_FRESH) == 0)
		return 0;
	if (errno != EACCES || fstat(fd, &st) < 0 || fchmod(fd, (st.st_mode & 07777) | 0200) < 0)
		return -1;
	rc = fremovexattr(fd, COW_ATTR_FRESH);
	return fchmod(fd, st.st_mode & 07777) < 0 ? -1 : rc;
}

/* Both, so that whichever name they have in the end, a crash finds the new upper complete. */
static int set_modes(int root, int fresh, mode_t mode)
{
	return fchmod(fresh, mode & 07777) < 0 || fchmod(root, mode & 07777) < 0 ? -1 : 0;
}

/* A directory that its owner may not write does not change its parent. */
static int exchange_closed(const char *upper, const char *frozen, int root, int fresh, mode_t mode)
{
	int rc, sys;

	if ((mode & 0200) || set_modes(root, fresh, mode | 0200) < 0) {
		errno = EACCES;
		return -1;
	}
	rc = renameat2(AT_FDCWD, upper, AT_FDCWD, frozen, RENAME_EXCHANGE);
	sys = errno;
	if (set_modes(root, fresh, mode) < 0)
		return -1;
	errno = sys;
	return rc;
}

static int exchange(const char *upper, const char *frozen, int root, int fresh, const struct stat *st,
		    struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int rc;

	if (fchmod(fresh, st->st_mode & 07777) < 0 || futimens(fresh, times) < 0)
		return err_sys(e, errno, "new upper");
	rc = renameat2(AT_FDCWD, upper, AT_FDCWD, frozen, RENAME_EXCHANGE);
	if (rc < 0 && errno == EACCES)
		rc = exchange_closed(upper, frozen, root, fresh, st->st_mode);
	if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
		return err_set(e, ERR_UNSUPPORTED,
			       "cannot freeze %s: the file system cannot exchange two names", upper);
	return rc < 0 ? err_sys(e, errno, "cannot freeze %s", upper) : 0;
}

static int sync_parent(const char *path, struct err *e)
{
	auto_free char *parent = mem_printf(e, "%s/..", path);
	auto_fd int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (!parent)
		return -1;
	return fd < 0 || fsync(fd) < 0 ? err_sys(e, errno, "%s", parent) : 0;
}

int cow_upper_freeze(const char *upper, const char *work, const char *frozen, struct err *e)
{
	auto_fd int root = open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fresh = -1, dir = -1;
	struct stat st;

	if (root < 0 || fstat(root, &st) < 0)
		return err_sys(e, errno, "%s", upper);
	dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "%s", work);
	/* The upper may be fresh itself: its last freeze was interrupted after step 4. */
	if (remove_mark(root) < 0)
		return err_sys(e, errno, "%s", upper);
	if (empty_work(dir, e) < 0)
		return -1;
	if (make_fresh(dir, root, e) < 0 || place_fresh(dir, frozen, e) < 0)
		return -1;
	fresh = open(frozen, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fresh < 0)
		return err_sys(e, errno, "%s", frozen);
	if (exchange(upper, frozen, root, fresh, &st, e) < 0) {
		(void)rmdir(frozen);
		return -1;
	}
	if (remove_mark(fresh) < 0)
		return err_sys(e, errno, "%s", upper);
	return sync_parent(upper, e) < 0 || sync_parent(frozen, e) < 0 ? -1 : 0;
}
