/* SPDX-License-Identifier: Apache-2.0 */
/* The host view: a read-only FUSE file system that shows a host directory tree, submounts included,
 * with every owner mapped to the running user's, so that a union above it may write everywhere.
 *
 * What the running user may not read appears as an empty directory or an empty file, replaceable,
 * never as an error. Sockets and FIFOs appear as such (they are bound, not used through here).
 * Host files change underneath: timeouts are short and nothing is assumed immutable. */
#ifndef FLOE_VFS_HOST_VIEW_H
#define FLOE_VFS_HOST_VIEW_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct vfs_host_view_opt {
	uid_t uid; /* shown for every file, as numbers of the mount's user namespace */
	gid_t gid;
	unsigned timeout_ms; /* of names and attributes; 0 = 1,000 */
	/* Called once when INIT has been answered; may be NULL. */
	void (*on_serving)(void *arg);
	void *on_serving_arg;
};

/* Serves the tree below root_fd (O_PATH or O_RDONLY directory, borrowed) on fuse_fd (mounted already,
 * owned) until it is unmounted. Blocks. Opens on demand, keeps no descriptor per inode (a bounded cache);
 * never resolves an absolute path, so it cannot walk into its own mount. */
int vfs_host_view_serve(int root_fd, int fuse_fd, const struct vfs_host_view_opt *opt,
			struct err *e) FLOE_MUST_USE;

#endif
