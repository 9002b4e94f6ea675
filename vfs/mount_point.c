/* SPDX-License-Identifier: Apache-2.0 */
/* Places to mount on; see mount_point.h. */
#include "vfs/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x1
struct mount_attr {
	unsigned long long attr_set, attr_clr, propagation, userns_fd;
};
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

int vfs_point_make_like(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *e)
{
	if (mkdir(path, 0700) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(e, errno, "cannot make %s", path);
	}
	if (geteuid() == 0 && lchown(path, uid, gid) < 0 && errno != EINVAL && errno != EPERM)
		return err_sys(e, errno, "cannot give %s its owner", path);
	if (chmod(path, mode) < 0)
		return err_sys(e, errno, "cannot set permissions of %s", path);
	return 0;
}

int vfs_point_bind(const char *source, const char *target, unsigned long extra, struct err *e)
{
	if (mount(source, target, NULL, MS_BIND | extra, NULL) < 0)
		return err_sys(e, errno, "cannot bind %s on %s", source, target);
	return 0;
}

void vfs_point_make_read_only(const char *target)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)syscall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &attr, sizeof(attr));
}

bool vfs_point_is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int vfs_point_require_plain(const char *base, const char *relative, struct err *e)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	auto_fd int top = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = -1;

	while (*relative == '/')
		relative++;
	if (top >= 0)
		fd = (int)syscall(SYS_openat2, top, relative, &how, sizeof(how));
	if (fd < 0)
		return err_sys(e, errno, "%s/%s is not a plain directory; floe env reset puts it right", base,
			       relative);
	return 0;
}
