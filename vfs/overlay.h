/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel overlayfs mount in the userxattr dialect. libc only. One thread. */
#ifndef FLOE_VFS_OVERLAY_H
#define FLOE_VFS_OVERLAY_H

#include <stddef.h>

#include "base/err.h"

/* All paths borrowed. */
struct vfs_overlay {
	const char *lower[16]; /* topmost first */
	size_t count;
	const char *upper, *work, *target;
};

/* nosuid and nodev. Too long paths or too many layers are ERR_LIMIT. */
int vfs_overlay_mount(const struct vfs_overlay *l, struct err *e) FLOE_MUST_USE;

#endif
