/* SPDX-License-Identifier: Apache-2.0 */
/* A package over the host; see lower_view.h.
 *
 * A path is looked for in the package component by component: a whiteout on the way, or anything that is no
 * directory, hides the host below it. The home directory has two places in a package, "@home" before the
 * plain path. */
#include "launcher/lower_view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/path.h"
#include "package-format/index_cursor.h"

enum { STEP = 256 * 1024, NAMES_MAX = 64 * 1024 * 1024 };

/* Larger files are not read for a comparison; with an equal size they count as modified. */
#define COMPARED_MAX (UINT64_C(512) << 20)

enum found { NOT_THERE, HIDDEN, FOUND };

static int resolve(struct pkg_index *x, const char *path, enum found *ret_found, struct pkg_inode *ret,
		   struct err *e)
{
	struct pkg_inode at;

	if (pkg_index_stat(x, PKG_ROOT_INO, &at, e) < 0)
		return -1;
	while (*path == '/')
		path++;
	while (*path) {
		const char *end = strchrnul(path, '/');

		if (!S_ISDIR(at.mode)) {
			*ret_found = HIDDEN;
			return 0;
		}
		if (pkg_index_lookup(x, at.ino, path, (size_t)(end - path), &at, e) < 0) {
			if (e->code != ERR_NOTFOUND)
				return -1;
			*ret_found = NOT_THERE;
			return 0;
		}
		for (path = end; *path == '/'; path++)
			;
	}
	*ret = at;
	*ret_found = S_ISCHR(at.mode) && at.rdev == 0 ? HIDDEN : FOUND;
	return 0;
}

static int find_in_package(const struct launch_lower_view *v, const char *path, enum found *ret_found,
			   struct pkg_inode *ret, struct err *e)
{
	struct pkg_index *x = stream_package_index(v->package);

	if (path_is_below(path, v->home) && path[strlen(v->home)] == '/') {
		auto_free char *placed = path_join("@home", path + strlen(v->home), e);

		if (!placed || resolve(x, placed, ret_found, ret, e) < 0)
			return -1;
		if (*ret_found != NOT_THERE)
			return 0;
	}
	return resolve(x, path, ret_found, ret, e);
}

static void stat_of(const struct pkg_inode *i, struct stat *ret)
{
	*ret = (struct stat){ .st_ino = i->ino,
			      .st_mode = i->mode,
			      .st_nlink = i->nlink,
			      .st_uid = i->uid,
			      .st_gid = i->gid,
			      .st_size = (off_t)i->size,
			      .st_rdev = (dev_t)i->rdev };
	ret->st_mtim.tv_sec = (time_t)i->mtime_s;
	ret->st_mtim.tv_nsec = (long)i->mtime_ns;
}

/* ---- descriptors ------------------------------------------------------------------------ */

static int memory_file(int *ret, struct err *e)
{
	int fd = memfd_create("lower", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	*ret = fd;
	return 0;
}

static int copy_file(struct stream_package *p, const struct pkg_inode *i, int fd, struct err *e)
{
	auto_free uint8_t *data = mem_alloc(1, STEP, e);

	if (!data)
		return -1;
	if (i->size > COMPARED_MAX)
		return err_set(e, ERR_LIMIT, "too large to compare");
	for (uint64_t off = 0; off < i->size;) {
		size_t len = 0;

		if (stream_package_read(p, i, off, STEP, data, &len, NULL, NULL, e) < 0)
			return -1;
		if (len == 0)
			return err_set(e, ERR_FORMAT, "file ends early");
		if (fd_write_all(fd, data, len, e) < 0)
			return -1;
		off += len;
	}
	return 0;
}

static int put_name(int fd, const char *name, struct err *e)
{
	return fd_write_all(fd, name, strlen(name) + 1, e);
}

static int list_package(struct pkg_index *x, uint64_t ino, int fd, struct err *e)
{
	auto_pkg_entries entries = { .index = x, .dir = ino };
	const struct pkg_dirent *d;
	int rc;

	while ((rc = pkg_entries_next(&entries, &d, e)) > 0)
		if (put_name(fd, d->name, e) < 0)
			return -1;
	return rc;
}

/* Names that the package hides are harmless: they are asked for, and are not there. */
static int list_host(const char *path, int fd, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *de;
	int rc = 0;

	if (!d)
		return 0;
	while (rc == 0 && (de = readdir(d)))
		rc = put_name(fd, de->d_name, e);
	(void)closedir(d);
	return rc;
}

static int open_in_package(const struct launch_lower_view *v, const char *path, const struct pkg_inode *i,
			   int *ret, struct err *e)
{
	struct pkg_index *x = stream_package_index(v->package);
	char target[PKG_SYMLINK_MAX + 1];
	auto_fd int fd = -1;
	int rc = 0;

	if (memory_file(&fd, e) < 0)
		return -1;
	if (S_ISREG(i->mode))
		rc = copy_file(v->package, i, fd, e);
	else if (S_ISLNK(i->mode))
		rc = pkg_index_readlink(x, i->ino, target, e) < 0
			     ? -1
			     : fd_write_all(fd, target, strlen(target), e);
	else if (S_ISDIR(i->mode) && (list_package(x, i->ino, fd, e) < 0 || list_host(path, fd, e) < 0))
		rc = -1;
	if (rc < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	*ret = fd_steal(&fd);
	return 0;
}

static int ask_host(const char *path, struct stat *ret, int *ret_fd, struct err *e)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0) {
		if (errno == EACCES || errno == ENOTDIR || errno == ENAMETOOLONG)
			return err_set(e, ERR_NOTFOUND, "%s", path);
		return err_sys(e, errno, "%s", path);
	}
	if (ret_fd) {
		if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode))
			return err_set(e, ERR_UNSUPPORTED, "%s is not to be read", path);
		fd = open(path,
			  (S_ISLNK(st.st_mode) ? O_PATH : O_RDONLY | O_NONBLOCK) | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "%s", path);
		*ret_fd = fd;
	}
	*ret = st;
	return 0;
}

int launch_lower_view_ask(void *arg, const char *path, struct stat *ret, int *ret_fd, struct err *e)
{
	const struct launch_lower_view *v = arg;
	enum found found = NOT_THERE;
	struct pkg_inode inode;

	if (v->package && find_in_package(v, path, &found, &inode, e) < 0)
		return -1;
	if (found == HIDDEN)
		return err_set(e, ERR_NOTFOUND, "%s", path);
	if (found == NOT_THERE)
		return ask_host(path, ret, ret_fd, e);
	if (ret_fd && open_in_package(v, path, &inode, ret_fd, e) < 0)
		return -1;
	stat_of(&inode, ret);
	return 0;
}
