/* SPDX-License-Identifier: Apache-2.0 */
/* A directory tree as a layer: the host's, or a frozen upper; see cow_layer.h.
 *
 * Everything is relative to an open directory and one component long, and no symbolic link is followed, so
 * whatever is renamed or replaced meanwhile, no step leaves the tree. The magic links of /proc/self/fd are
 * used on descriptors of our own only.
 *
 * floe's own FUSE mounts may lie inside the host's tree. A request to one of them might wait for the thread
 * that makes it, so attributes are first asked for as the kernel has them at hand, and again, properly,
 * when it is known that the device is somebody else's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_layer.h"
#include "vfs/cow_upper.h"
#include "vfs/cow_xattr_at.h"
#include "vfs/host_devices.h"
#include "vfs/upper_content.h"

enum {
	DIRENTS_LEN = 32 * 1024,
	DIR_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

struct dir_layer {
	struct cow_layer base; /* first */
	int root;
	dev_t local_dev; /* here the kernel's attributes are never out of date; 0 = nowhere */
	uid_t euid;
	struct host_devices *devices; /* NULL: frozen */
};

static const struct dir_layer *dir_of(const struct cow_layer *l)
{
	return (const struct dir_layer *)l;
}

/* ---- names --------------------------------------------------------------------------------- */

static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_MAX)
		return ENAMETOOLONG;
	return len == 0 || path_is_dot(name) || memchr(name, '/', len) ? EINVAL : 0;
}

/* What may not be searched is empty, and what a file system finds too long for it is not there. */
static int name_errno(int sys)
{
	return sys == EACCES || sys == EPERM || sys == ENAMETOOLONG ? ENOENT : sys;
}

/* ---- attributes ---------------------------------------------------------------------------- */

static void stat_of(const struct statx *x, struct stat *ret)
{
	*ret = (struct stat){
		.st_dev = makedev(x->stx_dev_major, x->stx_dev_minor),
		.st_ino = x->stx_ino,
		.st_mode = x->stx_mode,
		.st_nlink = x->stx_nlink,
		.st_uid = x->stx_uid,
		.st_gid = x->stx_gid,
		.st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
		.st_size = (off_t)x->stx_size,
		.st_blksize = x->stx_blksize,
		.st_blocks = (blkcnt_t)x->stx_blocks,
		.st_atim = { .tv_sec = x->stx_atime.tv_sec, .tv_nsec = x->stx_atime.tv_nsec },
		.st_mtim = { .tv_sec = x->stx_mtime.tv_sec, .tv_nsec = x->stx_mtime.tv_nsec },
		.st_ctim = { .tv_sec = x->stx_ctime.tv_sec, .tv_nsec = x->stx_ctime.tv_nsec },
	};
}

/* "" = what dir_fd is itself. `known_dev`: a device that is no mount of ours. ENOENT: none of this layer's.
 */
static int stat_at(const struct dir_layer *d, int dir_fd, dev_t known_dev, const char *name, struct stat *ret)
{
	const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
	struct statx x;
	dev_t dev;

	if (statx(dir_fd, name, flags | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &x) < 0)
		return errno;
	dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	if (!d->devices || dev == d->local_dev) {
		stat_of(&x, ret);
		return !d->devices && (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) ? ENOENT : 0;
	}
	if (dev != known_dev && host_devices_is_ours(d->devices, dev))
		return ENOENT;
	return fstatat(dir_fd, name, ret, flags) < 0 ? errno : 0;
}

/* The usual file is for everybody, which the mode tells without asking. */
static bool is_readable(const struct dir_layer *d, int dir_fd, const char *name, const struct stat *st)
{
	return (st->st_mode & 0444) == 0444 || (st->st_uid == d->euid && (st->st_mode & 0400)) ||
	       faccessat(dir_fd, name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

static int dir_lookup(struct cow_layer *l, const struct cow_handle *dir, const char *name,
		      struct cow_found *ret, struct cow_handle *held)
{
	const struct dir_layer *d = dir_of(l);
	struct cow_found f = { 0 };
	auto_fd int fd = -1;
	int sys = check_name(name);

	if (sys)
		return sys;
	if (cow_layer_hides(l, dir, name))
		return ENOENT;
	if (held && !l->is_immutable) {
		fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno != EMFILE && errno != ENFILE)
			return name_errno(errno);
	}
	if (fd >= 0)
		sys = stat_at(d, fd, (dev_t)dir->dev, "", &f.st);
	else
		sys = stat_at(d, dir->fd, (dev_t)dir->dev, name, &f.st);
	if (sys)
		return name_errno(sys);
	if (l->is_frozen_upper)
		f.is_whiteout = vfs_upper_is_whiteout(dir->fd, name, &f.st);
	if (S_ISREG(f.st.st_mode) && !f.is_whiteout && !is_readable(d, dir->fd, name, &f.st)) {
		f.is_empty = true;
		f.st.st_size = 0;
		f.st.st_blocks = 0;
	} else if (fd >= 0 && S_ISREG(f.st.st_mode)) {
		*held = (struct cow_handle){ .fd = fd_steal(&fd), .dev = f.st.st_dev, .ino = f.st.st_ino };
	}
	*ret = f;
	return 0;
}

static int dir_stat(struct cow_layer *l, const struct cow_handle *h, struct cow_found *ret)
{
	struct cow_found f = { 0 };

	(void)l;
	if (fstat(h->fd, &f.st) < 0)
		return errno;
	*ret = f;
	return 0;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int dir_open_root(struct cow_layer *l, struct cow_handle *ret)
{
	const struct dir_layer *d = dir_of(l);
	auto_fd int fd = fcntl(d->root, F_DUPFD_CLOEXEC, 3);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno;
	*ret = (struct cow_handle){ .fd = fd_steal(&fd), .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

static int dir_open_dir(struct cow_layer *l, const struct cow_handle *dir, const char *name,
			struct cow_handle *ret)
{
	auto_fd int fd = -1;
	struct stat st;
	int sys = check_name(name);

	if (sys)
		return sys;
	if (cow_layer_hides(l, dir, name))
		return ENOENT;
	fd = openat(dir->fd, name, DIR_FLAGS);
	if (fd < 0)
		return errno == ELOOP ? ENOTDIR : name_errno(errno);
	sys = stat_at(dir_of(l), fd, (dev_t)dir->dev, "", &st);
	if (sys)
		return sys;
	*ret = (struct cow_handle){ .fd = fd_steal(&fd), .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

/* Reading leaves a layer's file as it is, its time of access too; a stranger's file cannot be asked for that.
 */
static int dir_open_held(const struct cow_handle *held, struct cow_handle *ret)
{
	const int flags = O_RDONLY | O_NOCTTY | O_CLOEXEC;
	char path[FD_PATH_LEN];
	int fd;

	fd_path(held->fd, path);
	fd = open(path, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(path, flags);
	if (fd < 0)
		return errno == EPERM ? EACCES : errno;
	*ret = (struct cow_handle){ .fd = fd, .dev = held->dev, .ino = held->ino };
	return 0;
}

/* Looks before it opens: opening a device or a FIFO has effects. */
static int dir_open_file(struct cow_layer *l, const struct cow_handle *dir, const char *name, uint64_t dev,
			 uint64_t ino, struct cow_handle *ret)
{
	auto_fd int seen = -1;
	struct stat st;
	int sys = check_name(name);

	if (sys)
		return sys;
	seen = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (seen < 0) {
		sys = name_errno(errno);
		return sys == ENOENT || sys == ENOTDIR ? ESTALE : sys;
	}
	sys = stat_at(dir_of(l), seen, (dev_t)dir->dev, "", &st);
	if (sys)
		return sys == ENOENT ? ESTALE : sys;
	if (st.st_dev != dev || st.st_ino != ino || !S_ISREG(st.st_mode))
		return ESTALE;
	return dir_open_held(&(struct cow_handle){ .fd = seen, .dev = dev, .ino = ino }, ret);
}

/* One component after the other, like everybody else: whoever is renamed meanwhile does no harm. */
static int dir_open_lost(struct cow_layer *l, const char *path, uint64_t dev, uint64_t ino,
			 struct cow_handle *ret)
{
	struct cow_handle at = COW_HANDLE_NONE;
	int sys = dir_open_root(l, &at);

	while (!sys) {
		struct cow_handle below = COW_HANDLE_NONE;
		char name[NAME_MAX + 1];
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len > NAME_MAX) {
			sys = ENAMETOOLONG;
			break;
		}
		memcpy(name, path, len);
		name[len] = 0;
		path += len;
		if (!path[strspn(path, "/")]) {
			sys = dir_open_file(l, &at, name, dev, ino, ret);
			break;
		}
		sys = dir_open_dir(l, &at, name, &below);
		cow_handle_close(&at);
		at = below;
	}
	cow_handle_close(&at);
	return sys == ENOENT || sys == ENOTDIR ? ESTALE : sys;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int dir_read(struct cow_layer *l, const struct cow_handle *h, uint64_t off, size_t size, void *buf,
		    size_t *ret_got, bool (*is_over)(void *arg), void *arg)
{
	size_t got = 0;

	(void)l;
	if (off > INT64_MAX - size)
		return EINVAL;
	while (got < size) {
		ssize_t n = pread(h->fd, (char *)buf + got, size - got, (off_t)(off + got));

		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
		else if (errno != EINTR || (is_over && is_over(arg)))
			return errno;
	}
	*ret_got = got;
	return 0;
}

static int dir_readlink(struct cow_layer *l, const struct cow_handle *dir, const char *name, char *buf,
			size_t cap, size_t *ret_len)
{
	int sys = check_name(name);
	ssize_t n;

	(void)l;
	if (sys)
		return sys;
	n = readlinkat(dir->fd, name, buf, cap);
	if (n < 0)
		return name_errno(errno);
	if ((size_t)n == cap) /* there may be more */
		return ERANGE;
	*ret_len = (size_t)n;
	return 0;
}

/* ---- listing ------------------------------------------------------------------------------- */

/* getdents64 tells of the directory that something is mounted on, and nothing of whiteouts. */
static bool must_ask(const struct cow_layer *l, unsigned char type)
{
	if (type == DT_UNKNOWN)
		return true;
	return l->is_frozen_upper ? type == DT_CHR || type == DT_REG : type == DT_DIR;
}

static bool tell(struct cow_layer *l, const struct cow_handle *dir, const struct dirent64 *de,
		 cow_list_fn *fn, void *arg)
{
	uint64_t dev = dir->dev, ino = de->d_ino;
	unsigned char type = de->d_type;
	struct stat st;
	int sys;

	if (path_is_dot(de->d_name) || cow_layer_hides(l, dir, de->d_name))
		return true;
	if (must_ask(l, type)) {
		sys = stat_at(dir_of(l), dir->fd, (dev_t)dir->dev, de->d_name, &st);
		if (sys == ENOENT)
			return true;
		if (!sys) { /* a dead mount does not answer, and is a name still */
			dev = st.st_dev;
			ino = st.st_ino;
			type = IFTODT(st.st_mode);
			if (l->is_frozen_upper && vfs_upper_is_whiteout(dir->fd, de->d_name, &st))
				type = DT_WHT;
		}
	}
	return fn(arg, de->d_name, dev, ino, type);
}

static int dir_list(struct cow_layer *l, const struct cow_handle *dir, cow_list_fn *fn, void *arg)
{
	auto_free char *dirents = NULL;
	auto_fd int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return name_errno(errno) == ENOENT ? 0 : errno;
	dirents = malloc(DIRENTS_LEN);
	if (!dirents)
		return ENOMEM;
	while ((n = getdents64(fd, dirents, DIRENTS_LEN)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) /* a directory that was removed is empty */
			return errno == ENOENT ? 0 : errno;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *de = (const struct dirent64 *)(void *)(dirents + at);

			if (!tell(l, dir, de, fn, arg))
				return 0;
			at += de->d_reclen;
		}
	}
	return 0;
}

/* ---- extended attributes ------------------------------------------------------------------- */

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* Labels belong to the place where a file lies, not to the file. */
static bool is_shown(const struct cow_layer *l, const char *attr)
{
	if (begins(attr, "user.") || begins(attr, "system.posix_acl_") ||
	    !strcmp(attr, "security.capability"))
		return true;
	return l->is_frozen_upper && begins(attr, "trusted.");
}

static int dir_getxattr(struct cow_layer *l, const struct cow_handle *dir, const char *name, const char *attr,
			void *value, size_t cap, size_t *ret_len)
{
	int sys = *name ? check_name(name) : 0;

	if (sys)
		return sys;
	if (!is_shown(l, attr))
		return ENODATA;
	sys = cow_xattr_at_get(dir->fd, name, attr, value, cap, ret_len);
	/* Nobody here may know, or the file system knows none. */
	return sys == EACCES || sys == EPERM || sys == ENOTSUP ? ENODATA : sys;
}

static const char *shown_attr(void *arg, const char *attr, char room[XATTR_NAME_MAX + 1])
{
	(void)room;
	return is_shown(arg, attr) ? attr : NULL;
}

static int dir_listxattr(struct cow_layer *l, const struct cow_handle *dir, const char *name, char *names,
			 size_t cap, size_t *ret_len)
{
	int sys = *name ? check_name(name) : 0;

	if (sys)
		return sys;
	sys = cow_xattr_at_list(dir->fd, name, shown_attr, l, names, cap, ret_len);
	if (sys != EACCES && sys != EPERM && sys != ENOTSUP)
		return sys;
	*ret_len = 0;
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void dir_close(struct cow_layer *l)
{
	struct dir_layer *d = (struct dir_layer *)l;

	host_devices_close(d->devices);
	if (l->index.is_there)
		cow_handle_close(&l->index.links);
	fd_close(d->root);
	free(l->key);
	free(d);
}

static const struct cow_layer_ops dir_ops = {
	.close = dir_close,
	.open_root = dir_open_root,
	.lookup = dir_lookup,
	.open_dir = dir_open_dir,
	.list = dir_list,
	.open_file = dir_open_file,
	.open_held = dir_open_held,
	.open_lost = dir_open_lost,
	.stat = dir_stat,
	.read = dir_read,
	.readlink = dir_readlink,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
};

/* File systems that only this kernel writes to. */
static bool is_local(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	switch ((unsigned long)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case SQUASHFS_MAGIC:
		return true;
	default:
		return false;
	}
}

/* root_fd may be O_PATH, which has no attributes. */
static int open_frozen(struct cow_layer *l, int root_fd, struct err *e)
{
	char path[FD_PATH_LEN];

	fd_path(root_fd, path);
	if (cow_upper_features(path, &l->features, e) < 0 || cow_layer_index_open(root_fd, &l->index, e) < 0)
		return err_wrap(e, "%s", l->key);
	return 0;
}

int cow_layer_dir_open(int root_fd, bool frozen, const char *key, struct cow_layer **ret, struct err *e)
{
	struct dir_layer *d;
	struct stat st;

	if (fstat(root_fd, &st) < 0)
		return err_sys(e, errno, "layer %s", key);
	if (!S_ISDIR(st.st_mode))
		return err_sys(e, ENOTDIR, "layer %s", key);
	d = mem_alloc(1, sizeof(*d), e);
	if (!d)
		return -1;
	*d = (struct dir_layer){
		.base = { .ops = &dir_ops, .is_immutable = frozen, .is_frozen_upper = frozen },
		.root = -1,
		.local_dev = is_local(root_fd) ? st.st_dev : 0,
		.euid = geteuid(),
	};
	d->base.key = mem_strdup(key, e);
	if (!d->base.key ||
	    (frozen ? open_frozen(&d->base, root_fd, e) : host_devices_open(&d->devices, e)) < 0) {
		dir_close(&d->base);
		return -1;
	}
	d->root = root_fd;
	*ret = &d->base;
	return 0;
}
