/* SPDX-License-Identifier: Apache-2.0 */
/* The upper: what an environment has written, in overlayfs's own userxattr dialect.
 *
 * Real files at real paths below DIR; whiteout = character device 0:0 (or an empty file with
 * user.overlay.whiteout); opaque directory = user.overlay.opaque "y". Top-level directories of the
 * upper are mount points of the union and say nothing by being there (only their mode can have been changed).
 * Paths in here are those that the application sees, absolute.
 *
 * Reading is relative to descriptors, follows no symbolic links, and needs no lock: an upper that
 * changes meanwhile gives some true mixture. libc only. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_UPPER_H
#define FLOE_VFS_UPPER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

enum vfs_change_kind {
	VFS_ADDED,    /* nothing of that name below                                */
	VFS_MODIFIED, /* content, or type, differs from below                       */
	VFS_METADATA, /* only mode, owner, time or xattrs of a file, or mode or owner of a directory differ */
	VFS_DELETED,  /* a whiteout over something below                            */
};

struct vfs_change {
	enum vfs_change_kind kind;
	const char *path;       /* absolute, as the application sees it */
	const char *upper_path; /* relative to the upper */
	struct stat st;         /* of the upper's entry; of the lower's when deleted */
	bool is_opaque;         /* a directory that hides what is below it */
};

/* What lies below, for comparison: absolute path -> 0 and *ret, or ENOENT as ERR_NOTFOUND. `ret_fd`
 * (NULL = not wanted): a descriptor to compare with, owned by the caller, or -1. Of a regular file: its
 * bytes. Of a symbolic link: O_PATH of it, or its target as bytes. Of a directory: itself, or a file of its
 * names, each with a NUL behind it. Without one, files and links of equal size count as modified, and what an
 * opaque directory hides is not reported. `ret_fd` is wanted only for paths that were found without it
 * before. */
typedef int vfs_lower_fn(void *arg, const char *path, struct stat *ret, int *ret_fd, struct err *e);
/* -1 ends the walk and is returned. The change is borrowed for the call. */
typedef int vfs_change_fn(void *arg, const struct vfs_change *change, struct err *e);

/* Depth first, parents before children, names sorted. A directory that only exists because something
 * below it changed is not reported. An opaque directory reports VFS_DELETED for each entry it hides.
 * An owner counts as different only when it is not the caller's: copy-ups are. Up to 4,096 levels
 * (ERR_LIMIT). A directory that may not be read is ERR_DENIED; nothing is changed to read it. floe's own
 * entries (the mount point "/.floe", with the index of links in it, symbolic links and empty directories at
 * the top that equal the lower's) are skipped. A renamed directory (user.floe.redirect) is VFS_ADDED, or
 * VFS_MODIFIED where the lower has something of that name, and opaque; so is what the upper holds below it
 * VFS_ADDED, copies of what came along among it. What came along unchanged, and what was deleted in it since,
 * is not reported; its old place is VFS_DELETED. A lazy file is VFS_MODIFIED as soon as it has
 * a byte of its own. */
int vfs_upper_walk(int upper_fd, vfs_lower_fn *lower, void *lower_arg, vfs_change_fn *fn, void *arg,
		   struct err *e) FLOE_MUST_USE;

#endif
