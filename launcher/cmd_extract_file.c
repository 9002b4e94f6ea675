/* SPDX-License-Identifier: Apache-2.0 */
/* Things on disk for floe extract; see cmd_extract.h. A file is written under a temporary name and gets its
 * own when it is complete, so an interruption leaves no half files behind under names that mean something. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "launcher/cmd_extract.h"
#include "launcher/cmd_package.h"

static int exists(const char *path, struct err *e)
{
	return err_set(e, ERR_EXISTS, "%.300s: is there already (--overwrite replaces files)", path);
}

/* A name that nothing in a package is likely to have, and that fits beside a name of any length. */
static void temporary_name(char ret[48])
{
	(void)snprintf(ret, 48, ".floe-extract-%ld", (long)getpid());
}

/* Gives the finished temporary thing its name. */
static int put_in_place(struct cmd_extract *x, int dir_fd, const char *tmp, const char *name,
			const char *path, struct err *e)
{
	int sys;

	if (renameat2(dir_fd, tmp, dir_fd, name, x->overwrite ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	sys = errno;
	/* A file system that cannot refuse to replace: link() does. */
	if (sys == EINVAL && !x->overwrite) {
		if (linkat(dir_fd, tmp, dir_fd, name, 0) == 0) {
			(void)unlinkat(dir_fd, tmp, 0);
			return 0;
		}
		sys = errno;
	}
	(void)unlinkat(dir_fd, tmp, 0);
	return sys == EEXIST ? exists(path, e) : err_sys(e, sys, "%s", path);
}

/* ---- metadata ------------------------------------------------------------------------------- */

static int put_xattrs(struct cmd_extract *x, int fd, const char *path, uint64_t ino, struct err *e)
{
	auto_buf struct buf names = BUF_INIT(1 << 20), value = BUF_INIT(1 << 20);

	if (pkg_index_xattr_list(x->index, ino, &names, e) < 0)
		return -1;
	for (size_t at = 0; at < names.len;) {
		const char *name = (const char *)names.data + at;

		at += strlen(name) + 1;
		if (strncmp(name, "user.", 5))
			continue;
		buf_reset(&value);
		if (pkg_index_xattr_get(x->index, ino, name, &value, e) < 0)
			return -1;
		if (fsetxattr(fd, name, value.data, value.len, 0) < 0 && errno != EOPNOTSUPP)
			return err_sys(e, errno, "%s: attribute %s", path, name);
	}
	return 0;
}

static void times_of(const struct pkg_inode *i, struct timespec ret[2])
{
	ret[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
	ret[1] = (struct timespec){ .tv_sec = i->mtime_s, .tv_nsec = (long)i->mtime_ns };
}

int cmd_extract_finish(struct cmd_extract *x, int fd, const char *path, const struct pkg_inode *i,
		       struct err *e)
{
	const mode_t kept = S_ISDIR(i->mode) ? 01777 : 0777;
	struct timespec t[2];

	times_of(i, t);
	if (put_xattrs(x, fd, path, i->ino, e) < 0)
		return -1;
	if (fchmod(fd, i->mode & kept) < 0 || futimens(fd, t) < 0)
		return err_sys(e, errno, "%s", path);
	return 0;
}

/* ---- content -------------------------------------------------------------------------------- */

/* Only what extents cover is written: holes stay holes. */
static int write_content(struct cmd_extract *x, int fd, const struct pkg_inode *i, struct err *e)
{
	struct pkg_extents extents = { .index = x->index, .ino = i->ino, .end = i->size };
	const struct pkg_extent *at;
	int rc;

	if (ftruncate(fd, (off_t)i->size) < 0)
		return err_sys(e, errno, "cannot set the length");
	while ((rc = pkg_extents_next(&extents, &at, e)) > 0) {
		if (cmd_package_is_interrupted(NULL))
			return err_set(e, ERR_INTERRUPTED, "interrupted");
		if (at->file_off + at->len > i->size)
			return err_set(e, ERR_FORMAT, "package index: content behind a file's end");
		if (cmd_spool_write(&x->spool, at, fd, e) < 0)
			return -1;
		x->done += at->len;
		log_progress_step(&x->progress, x->done);
	}
	return rc;
}

/* ---- hard links ----------------------------------------------------------------------------- */

/* Where an inode is in the list, which is in order of inodes, or where it belongs. */
static size_t link_slot(const struct cmd_extract *x, uint64_t ino)
{
	size_t low = 0, high = x->link_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->links[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const char *first_name(const struct cmd_extract *x, uint64_t ino)
{
	size_t at = link_slot(x, ino);

	return at < x->link_count && x->links[at].ino == ino ? x->links[at].path : NULL;
}

static int remember_link(struct cmd_extract *x, uint64_t ino, const char *path, struct err *e)
{
	size_t at = link_slot(x, ino); /* the end, mostly: inodes are numbered in path order */
	char *copy;

	if (x->link_count == x->link_cap) {
		size_t cap = x->link_cap ? 2 * x->link_cap : 64;
		void *more = mem_grow(x->links, cap, sizeof(*x->links), e);

		if (!more)
			return -1;
		x->links = more;
		x->link_cap = cap;
	}
	copy = mem_strdup(path, e);
	if (!copy)
		return -1;
	memmove(&x->links[at + 1], &x->links[at], (x->link_count - at) * sizeof(*x->links));
	x->links[at] = (struct cmd_extract_link){ ino, copy };
	x->link_count++;
	return 0;
}

/* The directory of a path that was made earlier, without following a link that came there since. */
static int open_parent(struct cmd_extract *x, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir = slash ? mem_strndup(path, (size_t)(slash - path), e) : mem_strdup(".", e);
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	long fd;

	if (!dir)
		return -1;
	fd = syscall(SYS_openat2, x->root_fd, dir, &how, sizeof(how));
	return fd < 0 ? err_sys(e, errno, "%s", path) : (int)fd;
}

static int link_to(struct cmd_extract *x, const char *first, int dir_fd, const char *name, const char *path,
		   struct err *e)
{
	const char *slash = strrchr(first, '/');
	auto_fd int first_fd = open_parent(x, first, e);
	char tmp[48];

	if (first_fd < 0)
		return -1;
	temporary_name(tmp);
	(void)unlinkat(dir_fd, tmp, 0);
	if (linkat(first_fd, slash ? slash + 1 : first, dir_fd, tmp, 0) < 0)
		return err_sys(e, errno, "%s", path);
	return put_in_place(x, dir_fd, tmp, name, path, e);
}

/* ---- things --------------------------------------------------------------------------------- */

static int make_file(struct cmd_extract *x, int dir_fd, const char *tmp, const char *path,
		     const struct pkg_inode *i, struct err *e)
{
	auto_fd int fd = -1;

	(void)unlinkat(dir_fd, tmp, 0);
	fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (write_content(x, fd, i, e) < 0)
		return err_wrap(e, "%s", path);
	return cmd_extract_finish(x, fd, path, i, e);
}

static int refuse_existing(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
			   struct err *e)
{
	struct stat st;

	if (x->overwrite || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return exists(path, e);
}

int cmd_extract_file(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
		     const struct pkg_inode *i, struct err *e)
{
	const char *first = i->nlink > 1 ? first_name(x, i->ino) : NULL;
	char tmp[48];

	if (refuse_existing(x, dir_fd, name, path, e) < 0) /* before much is written */
		return -1;
	if (first)
		return link_to(x, first, dir_fd, name, path, e);
	temporary_name(tmp);
	if (make_file(x, dir_fd, tmp, path, i, e) < 0) {
		(void)unlinkat(dir_fd, tmp, 0);
		return -1;
	}
	if (put_in_place(x, dir_fd, tmp, name, path, e) < 0)
		return -1;
	return i->nlink > 1 ? remember_link(x, i->ino, path, e) : 0;
}

int cmd_extract_symlink(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
			const struct pkg_inode *i, struct err *e)
{
	char target[PKG_SYMLINK_MAX + 1], tmp[48];
	struct timespec t[2];

	if (refuse_existing(x, dir_fd, name, path, e) < 0 ||
	    pkg_index_readlink(x->index, i->ino, target, e) < 0)
		return -1;
	temporary_name(tmp);
	(void)unlinkat(dir_fd, tmp, 0);
	if (symlinkat(target, dir_fd, tmp) < 0)
		return err_sys(e, errno, "%s", path);
	times_of(i, t);
	(void)utimensat(dir_fd, tmp, t, AT_SYMLINK_NOFOLLOW);
	return put_in_place(x, dir_fd, tmp, name, path, e);
}

int cmd_extract_fifo(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
		     const struct pkg_inode *i, struct err *e)
{
	struct timespec t[2];
	char tmp[48];

	if (refuse_existing(x, dir_fd, name, path, e) < 0)
		return -1;
	temporary_name(tmp);
	(void)unlinkat(dir_fd, tmp, 0);
	if (mkfifoat(dir_fd, tmp, i->mode & 0777) < 0)
		return err_sys(e, errno, "%s", path);
	times_of(i, t);
	(void)utimensat(dir_fd, tmp, t, AT_SYMLINK_NOFOLLOW);
	return put_in_place(x, dir_fd, tmp, name, path, e);
}

int cmd_extract_dir(int dir_fd, const char *name, const char *path, bool *ret_is_new, struct err *e)
{
	bool is_new = mkdirat(dir_fd, name, 0700) == 0;
	int fd;

	if (!is_new && errno != EEXIST)
		return err_sys(e, errno, "%s", path);
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_set(e, ERR_EXISTS, "%.300s: something that is not a directory is there already",
			       path);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	*ret_is_new = is_new;
	return fd;
}
