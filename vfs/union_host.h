/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's root directory consists of, as the union sees it. libc only. One thread. */
#ifndef FLOE_VFS_UNION_HOST_H
#define FLOE_VFS_UNION_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/mem.h"

enum vfs_host_kind {
	VFS_HOST_UNION,   /* an ordinary directory: gets an overlay              */
	VFS_HOST_BIND,    /* dev, sys: shown as they are, with everything below  */
	VFS_HOST_PROC,    /* an empty directory; mounted per launch              */
	VFS_HOST_RUN,     /* a tmpfs of our own over read-only binds             */
	VFS_HOST_SYMLINK, /* copied                                              */
};

struct vfs_host_entry {
	char *name; /* "usr" */
	enum vfs_host_kind kind;
	bool has_submounts;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	char *target; /* of a symbolic link */
};

struct vfs_host_root {
	struct vfs_host_entry *entries; /* sorted by name */
	size_t count;
};

/* Reads "/" and the mount table of the calling process. Mounts at or below `own` (NULL = none) do not count.
 */
int vfs_host_root_read(const char *own, struct vfs_host_root *ret, struct err *e) FLOE_MUST_USE;
void vfs_host_root_fini(struct vfs_host_root *r);
const struct vfs_host_entry *vfs_host_root_find(const struct vfs_host_root *r, const char *name);

#endif
