/* SPDX-License-Identifier: Apache-2.0 */
/* path_remove_tree; see path.h. A tree may be deeper than a process may have descriptors: what lies deeper
 * than DEPTH_MAX is moved up to the tree's top, where a later pass finds it. So depth costs passes, not
 * descriptors, and an interrupted removal leaves less of the same tree. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

enum { DEPTH_MAX = 32 };

struct removal {
	int top; /* the tree's root directory */
	dev_t dev;
	unsigned serial; /* of the names that moved directories get */
	unsigned moved;  /* in this pass */
};

/* Emptying a directory needs its owner's permissions. A failure shows in the removal that follows. */
static void make_removable(int dir, const char *name, const struct stat *st)
{
	if ((st->st_mode & 0700) != 0700 && fchmodat(dir, name, 0700, 0) < 0)
		errno = 0;
}

static int move_up(struct removal *r, int dir, const char *name, struct err *e)
{
	char up[32];

	do {
		(void)snprintf(up, sizeof(up), ".removed-%u", r->serial++);
		if (renameat2(dir, name, r->top, up, RENAME_NOREPLACE) == 0) {
			r->moved++;
			return 0;
		}
	} while (errno == EEXIST);
	return err_sys(e, errno, "cannot remove %s", name);
}

static int remove_entries(struct removal *r, int fd, int depth, struct err *e);

static int remove_entry(struct removal *r, int dir, const char *name, int depth, struct err *e)
{
	struct stat st;
	int sub;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "%s", name);
	if (!S_ISDIR(st.st_mode) || st.st_dev != r->dev)
		return err_sys(e, S_ISDIR(st.st_mode) ? EXDEV : EACCES, "cannot remove %s", name);
	make_removable(dir, name, &st);
	if (depth >= DEPTH_MAX)
		return move_up(r, dir, name, e);
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return err_sys(e, errno, "%s", name);
	if (remove_entries(r, sub, depth + 1, e) < 0)
		return -1;
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
		return err_sys(e, errno, "cannot remove %s", name);
	return 0;
}

/* Owns fd. */
static int remove_entries(struct removal *r, int fd, int depth, struct err *e)
{
	DIR *d = fdopendir(fd);
	struct dirent *de;
	int rc = 0;

	if (!d) {
		int sys = errno;

		fd_close(fd);
		return err_sys(e, sys, "cannot read directory");
	}
	while (rc == 0 && (de = readdir(d)))
		if (!path_is_dot(de->d_name))
			rc = remove_entry(r, dirfd(d), de->d_name, depth, e);
	(void)closedir(d);
	return rc;
}

int path_remove_tree(int dirfd, const char *name, struct err *e)
{
	struct removal r = { 0 };
	struct stat st;
	auto_fd int top = -1;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "%s", name);
	if (!S_ISDIR(st.st_mode))
		return err_sys(e, EACCES, "cannot remove %s", name);
	make_removable(dirfd, name, &st);
	top = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return err_sys(e, errno, "%s", name);
	r.top = top;
	r.dev = st.st_dev;
	do {
		int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r.moved = 0;
		if (fd < 0)
			return err_sys(e, errno, "%s", name);
		if (remove_entries(&r, fd, 0, e) < 0)
			return err_wrap(e, "%s", name);
	} while (r.moved);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		return err_sys(e, errno, "cannot remove %s", name);
	return 0;
}
