/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting without fusermount3; see fuse_mount.h.
 *
 * allow_other: the file system is for processes of several namespaces below ours; who may enter those is
 * decided there. default_permissions: the servers never check a mode themselves, because with
 * zero-message open they are not asked.
 *
 * rootmode: the kernel goes by it for as long as it has no attributes of the root; and it does without them
 * for a permission check when a notice, as a successor of a killed server sends, overtakes the first answer.
 * With 040000 that check would fail; with 040755 whoever may be in the file system at all may enter it. */
#include "vfs/fuse_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"

static int open_device(int *ret, struct err *e)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		*ret = fd;
		return 0;
	}
	switch (errno) {
	case ENOENT:
		return err_set(e, ERR_UNSUPPORTED,
			       "/dev/fuse does not exist: load the fuse module (modprobe fuse), or let this "
			       "container have the device");
	case ENODEV:
	case ENXIO:
		return err_set(
			e, ERR_UNSUPPORTED,
			"this kernel has no FUSE behind /dev/fuse: load the fuse module (modprobe fuse)");
	case EACCES:
		return err_set(e, ERR_DENIED,
			       "/dev/fuse may not be opened by this user: chmod 0666 /dev/fuse, as udev does "
			       "elsewhere");
	case EPERM:
		return err_set(
			e, ERR_DENIED,
			"/dev/fuse is closed to this container: allow it the device (--device /dev/fuse)");
	default:
		return err_sys(e, errno, "open /dev/fuse");
	}
}

int vfs_fuse_mount(const char *target, const char *label, bool read_only, int *ret_fd, struct err *e)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0UL);
	auto_fd int fd = -1;
	char opts[192];
	int sys;

	if (open_device(&fd, e) < 0)
		return -1;
	(void)snprintf(opts, sizeof(opts),
		       "fd=%d,rootmode=40755,user_id=%u,group_id=%u,allow_other,default_permissions,"
		       "max_read=1048576",
		       fd, (unsigned)geteuid(), (unsigned)getegid());
	if (mount(label, target, "fuse.floe", flags, opts) == 0) {
		*ret_fd = fd_steal(&fd);
		return 0;
	}
	sys = errno;
	if (sys == ENODEV)
		return err_set(e, ERR_UNSUPPORTED,
			       "mount on %s: this kernel has no FUSE: load the fuse module (modprobe fuse)",
			       target);
	if (sys == EPERM)
		return err_set(
			e, ERR_DENIED,
			"mount on %s: not permitted: a user and mount namespace of our own, or root, is "
			"needed",
			target);
	return err_sys(e, sys, "mount FUSE on %s", target);
}
