/* SPDX-License-Identifier: Apache-2.0 */
/* Places to mount on: directories made to resemble others, binds, and the check that no symbolic link leads
 * there. libc only. One thread, in a mount namespace of our own. */
#ifndef FLOE_VFS_MOUNT_POINT_H
#define FLOE_VFS_MOUNT_POINT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Makes one directory with that mode and, as root, that owner, if it is not there. As an ordinary user the
 * owner stays the user. */
int vfs_point_make_like(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *e) FLOE_MUST_USE;
/* `extra`: MS_REC or 0. */
int vfs_point_bind(const char *source, const char *target, unsigned long extra, struct err *e) FLOE_MUST_USE;
/* With everything below. Kernels before 5.12 cannot; then the mount stays as it is. */
void vfs_point_make_read_only(const char *target);
/* A directory itself, not a link to one. */
bool vfs_point_is_dir(const char *path);
/* A directory below `base` that no symbolic link leads to: the application can put links into its upper, and
 * what is mounted or written through one would land where it points. */
int vfs_point_require_plain(const char *base, const char *relative, struct err *e) FLOE_MUST_USE;

#endif
