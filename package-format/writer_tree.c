/* SPDX-License-Identifier: Apache-2.0 */
/* pkg_writer_add_tree: entries from a directory on disk; see writer.h.
 *
 * A directory's names are read before any of them is entered, so that depth costs no descriptors. POSIX
 * ACLs and SELinux labels speak of the machine they were made on and are left out; sockets are skipped. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/path.h"
#include "package-format/writer_state.h"

enum { XATTR_TEXT_MAX = 65536, XATTRS_MAX = 256 };

struct tree {
	struct pkg_writer *w;
	dev_t dev;
};

/* Names as NUL-terminated strings one behind the other. */
static int read_names(const char *dir, struct buf *ret, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	int rc = 0;

	if (!d)
		return err_sys(e, errno, "%s", dir);
	while (rc == 0 && (errno = 0, de = readdir(d)))
		if (!path_is_dot(de->d_name))
			rc = buf_add(ret, de->d_name, strlen(de->d_name) + 1, e);
	if (rc == 0 && errno)
		rc = err_sys(e, errno, "%s", dir);
	(void)closedir(d);
	return rc;
}

static int read_link(const char *path, char ret[PKG_SYMLINK_MAX + 1], struct err *e)
{
	ssize_t n = readlink(path, ret, PKG_SYMLINK_MAX + 1);

	if (n < 0)
		return err_sys(e, errno, "%s", path);
	if (n > PKG_SYMLINK_MAX)
		return err_set(e, ERR_LIMIT, "%.200s: its target is too long", path);
	ret[n] = 0;
	return 0;
}

static bool is_kept(const char *name)
{
	return strncmp(name, "system.", 7) && strcmp(name, "security.selinux");
}

static int read_value(const char *path, const char *name, struct buf *values, struct pkg_writer_xattr *ret,
		      struct err *e)
{
	ssize_t n;

	if (buf_reserve(values, XATTR_TEXT_MAX, e) < 0)
		return -1;
	n = lgetxattr(path, name, values->data + values->len, XATTR_TEXT_MAX);
	if (n < 0)
		return err_sys(e, errno, "%s: attribute %s", path, name);
	/* The buffer may move: `value` is an offset until all are read. */
	*ret = (struct pkg_writer_xattr){ name, (void *)values->len, (size_t)n };
	values->len += (size_t)n;
	return 0;
}

static int add_with_xattrs(struct tree *t, const char *path, struct pkg_writer_entry *entry,
			   uint64_t link_major, struct err *e)
{
	auto_buf struct buf names = BUF_INIT(XATTR_TEXT_MAX);
	auto_buf struct buf values = BUF_INIT((size_t)XATTRS_MAX * XATTR_TEXT_MAX);
	struct pkg_writer_xattr xattrs[XATTRS_MAX];
	ssize_t len = llistxattr(path, NULL, 0);

	if (len > 0 && buf_reserve(&names, (size_t)len, e) < 0)
		return -1;
	if (len > 0)
		len = llistxattr(path, (char *)names.data, (size_t)len);
	if (len < 0 && errno != EOPNOTSUPP)
		return err_sys(e, errno, "%s: attributes", path);
	for (ssize_t at = 0; at < len;) {
		const char *name = (const char *)names.data + at;

		at += (ssize_t)strlen(name) + 1;
		if (!is_kept(name))
			continue;
		if (entry->xattr_count == XATTRS_MAX)
			return err_set(e, ERR_LIMIT, "%.200s: too many attributes", path);
		if (read_value(path, name, &values, &xattrs[entry->xattr_count], e) < 0)
			return -1;
		entry->xattr_count++;
	}
	for (size_t i = 0; i < entry->xattr_count; i++)
		xattrs[i].value = values.data + (size_t)xattrs[i].value;
	entry->xattrs = xattrs;
	return pkg_plan_add(&t->w->plan, entry, link_major, e);
}

/* Not inlined: its buffers must not be on the stack of every level of the walk. */
__attribute__((noinline)) static int add_one(struct tree *t, const char *path, const char *inside,
					     const struct stat *st, struct err *e)
{
	char target[PKG_SYMLINK_MAX + 1];
	struct pkg_writer_entry entry = { .path = inside,
					  .mode = st->st_mode,
					  .uid = st->st_uid,
					  .gid = st->st_gid,
					  .mtime_s = st->st_mtim.tv_sec,
					  .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
					  .rdev = st->st_rdev };

	if (S_ISDIR(st->st_mode)) {
		const struct pkg_plan_entry *old = pkg_plan_find(&t->w->plan, inside);

		if (old && S_ISDIR(old->mode)) /* an earlier tree brought it */
			return 0;
	} else if (st->st_nlink > 1) {
		entry.hard_link = st->st_ino;
	}
	if (S_ISREG(st->st_mode)) {
		entry.size = (uint64_t)st->st_size;
		entry.content_path = path;
	} else if (S_ISLNK(st->st_mode)) {
		if (read_link(path, target, e) < 0)
			return -1;
		entry.symlink = target;
	}
	/* + 1: numbers that the caller of pkg_writer_add chose are in group 0. */
	return add_with_xattrs(t, path, &entry, (uint64_t)st->st_dev + 1, e);
}

static int add_below(struct tree *t, const char *path, const char *inside, struct err *e);

static int visit(struct tree *t, const char *path, const char *inside, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (add_one(t, path, inside, &st, e) < 0)
		return -1;
	if (S_ISDIR(st.st_mode) && st.st_dev == t->dev)
		return add_below(t, path, inside, e);
	return 0;
}

static int add_below(struct tree *t, const char *path, const char *inside, struct err *e)
{
	auto_buf struct buf names = BUF_INIT((size_t)1 << 30);

	if (t->w->opt.cancel && *t->w->opt.cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (strlen(inside) > PKG_PATH_MAX)
		return err_set(e, ERR_LIMIT, "%.60s...: path too long", inside);
	if (read_names(path, &names, e) < 0)
		return -1;
	for (size_t at = 0; at < names.len;) {
		const char *name = (const char *)names.data + at;
		auto_free char *sub = path_join(path, name, e);
		auto_free char *sub_inside = sub ? path_join(inside, name, e) : NULL;

		if (!sub_inside || visit(t, sub, sub_inside, e) < 0)
			return -1;
		at += strlen(name) + 1;
	}
	return 0;
}

int pkg_writer_add_tree(struct pkg_writer *w, const char *dir, const char *prefix, struct err *e)
{
	struct tree t = { .w = w };
	struct stat st;

	if (w->is_finished)
		return err_set(e, ERR_USAGE, "the package is finished");
	if (stat(dir, &st) < 0)
		return err_sys(e, errno, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: not a directory", dir);
	t.dev = st.st_dev;
	if (add_one(&t, dir, prefix, &st, e) < 0)
		return -1;
	return add_below(&t, dir, prefix, e);
}
