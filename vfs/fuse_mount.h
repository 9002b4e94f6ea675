/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting a FUSE file system without a helper: mount(2) in a user and mount namespace of our own (or
 * as root). libc only. One thread (the caller's namespace); blocks no longer than mount(2). */
#ifndef FLOE_VFS_FUSE_MOUNT_H
#define FLOE_VFS_FUSE_MOUNT_H

#include <stdbool.h>

#include "base/err.h"

/* Opens /dev/fuse and mounts it on `target`; the descriptor goes to the server. The kernel keeps
 * requests waiting until the server has answered INIT. nosuid, nodev and allow_other always;
 * default_permissions; read-only by flag. */
int vfs_fuse_mount(const char *target, const char *label, bool read_only, int *ret_fd,
		   struct err *e) FLOE_MUST_USE;

#endif
