/* SPDX-License-Identifier: Apache-2.0 */
/* The union's /run: a tmpfs of its own that shows what the host's has. Directories and sockets are the
 * host's, read-only; small files are copied; the user's runtime directory is the real thing. libc only. One
 * thread. */
#ifndef FLOE_VFS_UNION_RUN_H
#define FLOE_VFS_UNION_RUN_H

#include "base/err.h"

/* `target`: a directory. */
int vfs_union_run_mount(const char *target, struct err *e) FLOE_MUST_USE;

#endif
