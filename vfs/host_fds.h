/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's open descriptors: a bounded number, the least recently used go first. One per node
 * at most. A descriptor that is in use is never closed; more in use than the bound are closed as soon
 * as they are given back. Any thread; blocks on close(2) only. */
#ifndef FLOE_VFS_HOST_FDS_H
#define FLOE_VFS_HOST_FDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct host_fds; /* opaque */
struct host_fd {
	int fd; /* borrowed until host_fds_unref */
};

int host_fds_open(size_t max, struct host_fds **ret, struct err *e) FLOE_MUST_USE;
void host_fds_close(struct host_fds *c); /* NULL ok */

/* NULL = not here. */
struct host_fd *host_fds_ref(struct host_fds *c, uint64_t node, uint64_t generation);
/* Takes fd, also on failure; when another thread was faster, its descriptor is returned. */
int host_fds_add(struct host_fds *c, uint64_t node, uint64_t generation, int fd, struct host_fd **ret,
		 struct err *e) FLOE_MUST_USE;
void host_fds_unref(struct host_fds *c, struct host_fd *f);

#endif
