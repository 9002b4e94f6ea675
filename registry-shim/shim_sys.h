/* SPDX-License-Identifier: Apache-2.0 */
/* Raw system calls for the shim's own business: they cannot end up in a wrapper. Results and errno as libc's.
 * (syscall(2) itself is not wrapped by the shim.) */
#ifndef FLOE_REG_SHIM_SYS_H
#define FLOE_REG_SHIM_SYS_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	return (int)syscall(SYS_openat, dirfd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
}

static inline void sys_close(int fd)
{
	(void)syscall(SYS_close, fd);
}

static inline ssize_t sys_read(int fd, void *data, size_t len)
{
	return syscall(SYS_read, fd, data, len);
}

static inline ssize_t sys_write(int fd, const void *data, size_t len)
{
	return syscall(SYS_write, fd, data, len);
}

static inline ssize_t sys_readlink(const char *path, char *ret, size_t cap)
{
	return syscall(SYS_readlinkat, AT_FDCWD, path, ret, cap);
}

static inline int sys_unlinkat(int dirfd, const char *path)
{
	return (int)syscall(SYS_unlinkat, dirfd, path, 0);
}

static inline int sys_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

/* Not libc's fstat, which older libcs do not export. (On 64-bit machines struct stat is the kernel's.) */
static inline int sys_fstat(int fd, struct stat *ret)
{
	return (int)syscall(SYS_newfstatat, fd, "", ret, AT_EMPTY_PATH);
}

static inline bool sys_exists(int dirfd, const char *path)
{
	int fd = sys_openat(dirfd, path, O_PATH | O_NOFOLLOW, 0);

	if (fd >= 0)
		sys_close(fd);
	return fd >= 0;
}

#endif
