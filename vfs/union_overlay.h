/* SPDX-License-Identifier: Apache-2.0 */
/* The `overlay` engine's part of assembling a union; union.h shows the whole. Part of union.c; nobody else
 * includes this. libc only. One thread. */
#ifndef FLOE_VFS_UNION_OVERLAY_H
#define FLOE_VFS_UNION_OVERLAY_H

#include "vfs/union.h"
#include "vfs/union_host.h"

/* Makes the upper the tree's root. */
int vfs_union_overlay_begin(const struct vfs_union_spec *spec, struct err *e) FLOE_MUST_USE;
/* The overlay of a top-level directory of the host, without packages; nothing for those that packages mostly
 * have. */
int vfs_union_overlay_early(const struct vfs_union_spec *spec, const struct vfs_host_entry *h,
			    struct err *e) FLOE_MUST_USE;
/* The rest: what _early has left, anew what packages have as well, what only they have at the top, and their
 * @home. */
int vfs_union_overlay_late(const struct vfs_union_spec *spec, const struct vfs_host_root *host,
			   struct err *e) FLOE_MUST_USE;
/* A directory of the host that is shown as a union. */
bool vfs_union_overlay_has(const struct vfs_union_spec *spec, const struct vfs_host_entry *h);

#endif
