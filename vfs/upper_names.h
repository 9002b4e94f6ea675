/* SPDX-License-Identifier: Apache-2.0 */
/* The names of one directory, sorted as bytes. Part of the upper's walker; nobody else includes this. */
#ifndef FLOE_VFS_UPPER_NAMES_H
#define FLOE_VFS_UPPER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct vfs_upper_name {
	const char *text; /* borrowed from the list */
	bool is_hidden;   /* not here, but in the opaque directory's lower */
};

struct vfs_upper_names {
	struct buf text; /* names, each with its NUL; first those of the upper */
	struct vfs_upper_name *names;
	size_t count;
};

/* Names of directory `fd` (borrowed; its offset moves), and, with lower_fd >= 0, those of the lower that are
 * not among them. lower_fd: a directory, or a file of names that each end in NUL. On failure nothing is held.
 */
int vfs_upper_names_read(int fd, int lower_fd, struct vfs_upper_names *ret, struct err *e) FLOE_MUST_USE;
void vfs_upper_names_fini(struct vfs_upper_names *n);

#endif
