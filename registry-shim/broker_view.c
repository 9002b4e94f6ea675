/* SPDX-License-Identifier: Apache-2.0 */
/* Files in RUN; see broker_view.h. They are derived from the hive, so they are replaced atomically but not
 * forced to the disk. */
#include "registry-shim/broker_view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

static int read_regular(int fd, struct buf *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "not a regular file");
	if ((uint64_t)st.st_size > ret->max)
		return err_set(e, ERR_LIMIT, "more than %zu bytes", ret->max);
	return fd_read_to_end(fd, ret, e);
}

int view_read(int dirfd, const char *name, struct buf *ret, struct err *e)
{
	auto_fd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOTFOUND, "%s: no such file", name);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return err_set(e, ERR_FORMAT, "%s: not a regular file", name);
	if (fd < 0)
		return err_sys(e, errno, "%s", name);
	return read_regular(fd, ret, e) < 0 ? err_wrap(e, "%s", name) : 0;
}

int view_read_fd(int fd, struct buf *ret, struct err *e)
{
	char link[FD_PATH_LEN];
	auto_fd int own = -1;
	struct stat st;

	/* Checked before it is opened again: opening a device or a FIFO may do things. */
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "not a regular file");
	fd_path(fd, link);
	own = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (own < 0)
		return err_sys(e, errno, "open again");
	return read_regular(own, ret, e);
}

bool view_is_held(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

int view_open_in(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int view_write(int dirfd, const char *name, const void *text, size_t len, mode_t mode, struct err *e)
{
	auto_free char *tmp = mem_printf(e, ".%s.new", name);
	auto_fd int fd = -1;
	struct stat st;

	if (!tmp)
		return -1;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		mode = st.st_mode & 07777;
	(void)unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "%s", tmp);
	if (fd_write_all(fd, text, len, e) < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return err_wrap(e, "%s", tmp);
	}
	if (fchmod(fd, mode) < 0 || renameat(dirfd, tmp, dirfd, name) < 0) {
		int sys = errno;

		(void)unlinkat(dirfd, tmp, 0);
		return err_sys(e, sys, "%s", name);
	}
	return 0;
}

int view_remove(int dirfd, const char *name, struct err *e)
{
	return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? err_sys(e, errno, "%s", name) : 0;
}
