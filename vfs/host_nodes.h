/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's node table: what the kernel knows of the host's tree, by node id.
 *
 * A node is a name in a directory node, together with the (device, inode) found there: two names of one
 * file, or two mounts of one directory, are two nodes; a name at which another file appears gets
 * another node. Nodes live as long as the kernel's lookups, or their children, need them.
 * Any thread; never blocks on anything but memory. */
#ifndef FLOE_VFS_HOST_NODES_H
#define FLOE_VFS_HOST_NODES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { HOST_ROOT = 1 };

struct host_nodes; /* opaque */

struct host_node { /* a copy */
	uint64_t id, generation;
	uint64_t parent; /* HOST_ROOT's own is HOST_ROOT */
	uint64_t dev, ino;
	mode_t type; /* S_IFMT bits */
	char name[NAME_MAX + 1];
};

int host_nodes_open(const struct stat *root, struct host_nodes **ret, struct err *e) FLOE_MUST_USE;
void host_nodes_close(struct host_nodes *t); /* NULL ok */

/* The node of that name, made when need be; the kernel's lookups grow by one. ERR_NOTFOUND: no such parent.
 */
int host_nodes_seen(struct host_nodes *t, uint64_t parent, const char *name, const struct stat *st,
		    uint64_t *ret_id, uint64_t *ret_generation, struct err *e) FLOE_MUST_USE;
void host_nodes_forget(struct host_nodes *t, uint64_t id, uint64_t lookups);
/* ERR_NOTFOUND when the kernel names a node that it should not know. */
int host_nodes_get(struct host_nodes *t, uint64_t id, struct host_node *ret, struct err *e) FLOE_MUST_USE;
/* Appends the node's path from the root ("" for the root), NUL-terminated. */
int host_nodes_path(struct host_nodes *t, uint64_t id, struct buf *ret, struct err *e) FLOE_MUST_USE;

#endif
