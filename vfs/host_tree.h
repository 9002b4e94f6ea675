/* SPDX-License-Identifier: Apache-2.0 */
/* The host's tree as the host view sees it: by node, with owners and modes made usable, and what may not
 * be read shown as empty. Below one descriptor, following no symbolic link and no magic one.
 *
 * Errors here are errno values, 0 = success: they go to the kernel as they are. ESTALE = the host has put
 * another file there. Any thread; blocks on the host's file systems. */
#ifndef FLOE_VFS_HOST_TREE_H
#define FLOE_VFS_HOST_TREE_H

#include <stdint.h>
#include <sys/stat.h>

#include "vfs/host_devices.h"
#include "vfs/host_fds.h"
#include "vfs/host_nodes.h"

struct host_tree {
	int root_fd; /* borrowed */
	dev_t root_dev;
	uid_t uid, euid;
	gid_t gid;
	struct host_nodes *nodes;
	/* Directories, and files that were read; apart from those, so that a walk over many names does not
	 * push them out, files that were only looked up. */
	struct host_fds *fds, *looked_up;
	struct host_devices *devices;
};

int host_tree_init(struct host_tree *t, int root_fd, uid_t uid, gid_t gid, struct err *e) FLOE_MUST_USE;
void host_tree_fini(struct host_tree *t);

/* A directory as O_PATH, a regular file for reading; give back with host_fds_unref. EACCES for a file that
 * may not be read. */
int host_tree_open(struct host_tree *t, uint64_t id, struct host_fd **ret) FLOE_MUST_USE;
/* Keeps a regular file open that the kernel is about to know: opening it sends no message, and when the host
 * puts another file in its place, whoever opened this one must still read this one. Failure is no error. */
void host_tree_hold(struct host_tree *t, uint64_t id, uint64_t generation, int dir_fd, const char *name,
		    const struct stat *host);
/* What the host has there, and what the view shows of it. `dir_dev`: the directory's device. ENOENT also for
 * what floe itself has mounted. */
int host_tree_stat_at(struct host_tree *t, int dir_fd, dev_t dir_dev, const char *name, struct stat *ret_host,
		      struct stat *ret_shown) FLOE_MUST_USE;
int host_tree_stat(struct host_tree *t, uint64_t id, struct stat *ret_shown) FLOE_MUST_USE;
/* The inode number to show: the host's on the root's device, marked with the device elsewhere. */
uint64_t host_tree_ino(const struct host_tree *t, dev_t dev, uint64_t ino);

#endif
