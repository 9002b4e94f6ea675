/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing with the lower; see upper_content.h. What cannot be read counts as different: to show a change
 * too many is better than to hide one. */
#include "vfs/upper_content.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"

enum { BLOCK = 16 * 1024 };

bool vfs_upper_is_whiteout(int dir_fd, const char *name, const struct stat *st)
{
	auto_fd int fd = -1;

	if (S_ISCHR(st->st_mode))
		return st->st_rdev == 0;
	if (!S_ISREG(st->st_mode) || st->st_size != 0)
		return false;
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && fgetxattr(fd, "user.overlay.whiteout", NULL, 0) >= 0;
}

bool vfs_upper_is_opaque(int dir_fd)
{
	char value[2];

	return fgetxattr(dir_fd, "user.overlay.opaque", value, sizeof(value)) == 1 && *value == 'y';
}

bool vfs_upper_is_redirected(int dir_fd)
{
	return vfs_upper_is_opaque(dir_fd) && fgetxattr(dir_fd, "user.floe.redirect", NULL, 0) > 0;
}

/* "1 LIMIT LAYERKEY DEV INO PATH": false when it is not lazy. It equals what is below as long as that is what
 * it was made from, no byte is its own and none was cut off. */
static bool is_lazy(int fd, const struct stat *below, bool *ret_touched)
{
	unsigned long long limit, dev, ino;
	char value[8192];
	ssize_t len = fgetxattr(fd, "user.floe.lazy", value, sizeof(value) - 1);

	if (len < 0)
		return false;
	value[len] = 0;
	*ret_touched = sscanf(value, "1 %llu %*s %llu %llu ", &limit, &dev, &ino) != 3 ||
		       dev != below->st_dev || ino != below->st_ino ||
		       limit < (unsigned long long)below->st_size || lseek(fd, 0, SEEK_DATA) >= 0 ||
		       errno != ENXIO;
	return true;
}

static ssize_t read_block(int fd, char *data, off_t off)
{
	size_t got = 0;

	while (got < BLOCK) {
		ssize_t n = pread(fd, data + got, BLOCK - got, off + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static bool same_bytes(int a, int b)
{
	char x[BLOCK], y[BLOCK];

	for (off_t off = 0;; off += BLOCK) {
		ssize_t n = read_block(a, x, off);

		if (n < 0 || read_block(b, y, off) != n || memcmp(x, y, (size_t)n) != 0)
			return false;
		if (n < BLOCK)
			return true;
	}
}

/* Attributes that belong to overlayfs and to us say nothing about the file. */
static bool is_bookkeeping(const char *name)
{
	return !strncmp(name, "user.overlay.", 13) || !strncmp(name, "user.floe.", 10);
}

static ssize_t list_attributes(int fd, char *names, size_t cap)
{
	ssize_t n = flistxattr(fd, names, cap);

	return n < 0 && errno == ENOTSUP ? 0 : n;
}

static size_t count_attributes(const char *names, size_t len)
{
	size_t count = 0;

	for (const char *p = names; p < names + len; p += strlen(p) + 1)
		count += !is_bookkeeping(p);
	return count;
}

static bool same_attributes(int a, int b)
{
	char names[4096], others[4096], x[4096], y[4096];
	ssize_t len = list_attributes(a, names, sizeof(names)), others_len;

	others_len = list_attributes(b, others, sizeof(others));
	if (len < 0 || others_len < 0 ||
	    count_attributes(names, (size_t)len) != count_attributes(others, (size_t)others_len))
		return false;
	for (const char *p = names; p < names + len; p += strlen(p) + 1) {
		ssize_t n;

		if (is_bookkeeping(p))
			continue;
		n = fgetxattr(a, p, x, sizeof(x));
		if (n < 0 || fgetxattr(b, p, y, sizeof(y)) != n || memcmp(x, y, (size_t)n) != 0)
			return false;
	}
	return true;
}

enum vfs_upper_sameness vfs_upper_compare_files(int dir_fd, const char *name, const struct stat *below,
						int lower_fd)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is_touched = false;

	if (fd < 0 || (!is_lazy(fd, below, &is_touched) && !same_bytes(fd, lower_fd)) || is_touched)
		return VFS_UPPER_DIFFERENT;
	return same_attributes(fd, lower_fd) ? VFS_UPPER_SAME : VFS_UPPER_SAME_BYTES;
}

bool vfs_upper_same_target(int dir_fd, const char *name, int lower_fd)
{
	char x[PATH_MAX], y[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, x, sizeof(x)), m;

	m = readlinkat(lower_fd, "", y, sizeof(y));
	if (m < 0)
		m = pread(lower_fd, y, sizeof(y), 0);
	return n >= 0 && n == m && memcmp(x, y, (size_t)n) == 0;
}
