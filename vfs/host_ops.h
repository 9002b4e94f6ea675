/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's request handlers, and what they work on: the owner of their session. */
#ifndef FLOE_VFS_HOST_OPS_H
#define FLOE_VFS_HOST_OPS_H

#include "vfs/fuse_session.h"
#include "vfs/host_tree.h"
#include "vfs/host_view.h"

struct host_view {
	struct host_tree tree;
	double timeout_s;
	struct vfs_host_view_opt opt;
};

extern const struct fuse_lowlevel_ops host_ops;

#endif
