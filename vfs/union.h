/* SPDX-License-Identifier: Apache-2.0 */
/* The union: one tree that shows upper over packages over host. Two engines make it.
 *
 * overlay: kernel overlayfs. It cannot take / as a lower when other file systems are mounted below it, so
 * that every top-level directory gets an overlay of its own, and the tree's root is the upper itself:
 *
 *   TARGET/          bind of the upper (what is made in / stays there)
 *   TARGET/usr ...   overlay: lower = package roots' usr, host's usr; upper = UPPER/usr; work = WORK/usr
 *   TARGET/HOME      a second overlay when a package has an @home tree
 *   TARGET/bin ...   symbolic links at the top are copied
 *
 * fuse (`is_served`): TARGET is a FUSE mount of the whole union already, served by somebody else
 * (vfs/cow_union.h).
 *
 * Both have on top of that:
 *
 *   TARGET/dev sys   bound from the host, with everything below; proc: an empty directory, mounted per launch
 *   TARGET/run       tmpfs; the host's directories and sockets bound read-only, small files copied,
 *                    /run/user as it is
 *   TARGET/.floe     tmpfs with what floe itself shows the application
 *
 * With overlay, a host directory with mounts inside it, or on a file system that overlayfs refuses, is shown
 * through the host view (a union of the host alone, vfs/cow_union.h) instead of directly.
 *
 * Must run in a mount namespace of our own, with CAP_SYS_ADMIN there, single-threaded. On failure
 * everything mounted so far at and below TARGET is detached. libc only. */
#ifndef FLOE_VFS_UNION_H
#define FLOE_VFS_UNION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct vfs_union_spec {
	bool is_served; /* the `fuse` engine; only target, own_mounts and private_tmp count then */
	const char *const *packages; /* mounted package roots, topmost first */
	size_t package_count;
	const char *upper, *work; /* directories on one file system */
	const char *target;       /* an empty directory, or the served mount */
	const char *home;         /* the running user's, absolute; where @home goes */
	/* A mounted host view of "/", or NULL: then a tree that needs it is an error that says so. */
	const char *host_view;
	const char *own_mounts;     /* mounts at and below it are floe's own, not the host's; may be NULL */
	bool all_through_host_view; /* the sequencer's union: everything appears as the user's own */
	bool private_tmp;           /* a fresh tmpfs on /tmp instead of a union */
};

/* True when some top-level directory cannot be a lower directly, so that a host view is needed. */
int vfs_union_needs_host_view(const struct vfs_union_spec *spec, bool *ret, struct err *e) FLOE_MUST_USE;
int vfs_union_mount(const struct vfs_union_spec *spec, struct err *e) FLOE_MUST_USE;
/* The same in two steps (overlay engine): what needs no package, then the rest. Packages are looked at by the
 * second. What _prepare has mounted is detached when _complete fails, too, which frees the object in any
 * case; the spec must live until then. */
struct vfs_union_begun; /* opaque */
int vfs_union_prepare(const struct vfs_union_spec *spec, struct vfs_union_begun **ret,
		      struct err *e) FLOE_MUST_USE;
int vfs_union_complete(struct vfs_union_begun *begun, struct err *e) FLOE_MUST_USE;
/* Detaches TARGET and all below it; processes that still use it keep it alive. */
int vfs_union_unmount(const char *target, struct err *e) FLOE_MUST_USE;

/* Tries overlay with userxattr in scratch directories below `dir`: 0, or why not. For floe doctor. */
int vfs_union_probe(const char *dir, struct err *e) FLOE_MUST_USE;

#endif
