/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the package mount share: package_mount.c (life), package_ops.c (requests),
 * package_push.c (page cache ahead of time). Private to them. */
#ifndef FLOE_VFS_PACKAGE_STATE_H
#define FLOE_VFS_PACKAGE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "package-format/index.h"
#include "vfs/fuse_session.h"
#include "vfs/package_mount.h"
#include "vfs/package_touches.h"

struct package_push; /* opaque */

struct vfs_package_mount {
	struct stream_package *package; /* borrowed */
	struct pkg_index *index;        /* borrowed, the package's */
	struct pkg_index_counts counts;
	struct vfs_package_mount_opt opt;
	bool is_every_owner_ours; /* uids of the package mean nothing in this user namespace */
	struct vfs_fuse_session *session;
	struct package_push *push;       /* NULL = nothing to push, or recording */
	struct package_touches *touches; /* NULL = not recording */
	atomic_bool is_stopping;
	atomic_uint_fast64_t bytes_read;
};

/* package_ops.c: the request handlers; owner of the session = struct vfs_package_mount. */
extern const struct fuse_lowlevel_ops package_ops;

/* package_push.c. The pusher has a thread of its own from _open on. NULL in *ret when the package has no
 * profile, or there is nothing to `store` with. _seen: the kernel is about to know this inode; never blocks;
 * any thread. */
int package_push_open(struct stream_package *p, int fuse_fd, struct fuse_notify *store,
		      struct package_push **ret, struct err *e) FLOE_MUST_USE;
void package_push_seen(struct package_push *push, uint64_t ino); /* NULL ok */
uint64_t package_push_bytes(struct package_push *push);          /* NULL ok */
/* Ends the thread. NULL ok. */
void package_push_close(struct package_push *push);

#endif
