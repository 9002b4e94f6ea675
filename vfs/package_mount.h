/* SPDX-License-Identifier: Apache-2.0 */
/* The package mount: a read-only FUSE file system that shows one package.
 *
 * Immutable, therefore free when warm: infinite entry, attribute and negative timeouts, cached
 * symbolic links and directories, zero-message open and opendir, no FLUSH, no GETXATTR unless the
 * package has extended attributes. Node ids are the index's inode numbers, so that a server which
 * dies can be replaced by another on the same descriptor (`takeover_init`). Whiteouts are shown as
 * character devices 0:0, as overlayfs expects of a lower layer. The tree is shown exactly as it is in
 * the index: "@home" is an ordinary top-level directory here; the union places it.
 *
 * <fuse_lowlevel.h> is included only in package_mount.c and its parts. */
#ifndef FLOE_VFS_PACKAGE_MOUNT_H
#define FLOE_VFS_PACKAGE_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "streaming/package.h"

struct vfs_package_stats {
	uint64_t operations; /* requests the kernel has sent, INIT not counted */
	uint64_t lookups, reads, readdirs, getattrs, others;
	uint64_t bytes_read, bytes_pushed /* into the page cache by NOTIFY_STORE */;
};

struct fuse_notify; /* vfs/fuse_notify.h */

enum {
	VFS_PACKAGE_STORE_ROOM = 256 * 1024, /* what `store` is started with */
	/* A launch's package is opened with that (stream_package_opt.memory_first): its first transfer may be
	 * faster than its mount. The mount sees to it from then on. */
	VFS_PACKAGE_LAUNCH_MEMORY = 64 << 20,
};

struct vfs_package_mount_opt {
	uid_t uid; /* shown as the owner of files that the package gives to root */
	gid_t gid;
	bool record;      /* keep first-touch ranges for vfs_package_touches */
	unsigned threads; /* 0 = a sane number */
	/* Started and not attached yet: writes what is profiled to the page cache ahead of time. NULL:
	 * nothing is. Borrowed until _close. */
	struct fuse_notify *store;
	/* Takeover: the INIT request that the first server of this connection got. NULL = first server. */
	const uint8_t *takeover_init;
	size_t takeover_init_len;
	/* Called once from the serving thread when INIT has been answered (or taken over), with the bytes
	 * of the INIT request to keep for the next server. Borrowed for the call. */
	void (*on_serving)(void *arg, const uint8_t *init, size_t init_len);
	void *on_serving_arg;
};

struct vfs_package_mount; /* opaque */

/* fuse_fd: a /dev/fuse descriptor whose mount(2) has been done; owned on success. `p` is borrowed. */
int vfs_package_mount_open(struct stream_package *p, int fuse_fd, const struct vfs_package_mount_opt *opt,
			   struct vfs_package_mount **ret, struct err *e) FLOE_MUST_USE;
/* Serves until the file system is unmounted or vfs_package_mount_stop is called. Blocks. */
int vfs_package_mount_run(struct vfs_package_mount *m, struct err *e) FLOE_MUST_USE;
void vfs_package_mount_stop(struct vfs_package_mount *m);  /* any thread */
void vfs_package_mount_close(struct vfs_package_mount *m); /* NULL ok; not while _run runs */

/* Whether `store` is of any use to it. */
bool vfs_package_mount_stores(const struct vfs_package_mount *m);
void vfs_package_mount_stats(struct vfs_package_mount *m, struct vfs_package_stats *ret); /* any thread */
/* With opt.record: a copy of the first touches so far, caller frees. Any thread. */
int vfs_package_mount_touches(struct vfs_package_mount *m, struct pkg_touch **ret, size_t *ret_count,
			      struct err *e) FLOE_MUST_USE;

#endif
