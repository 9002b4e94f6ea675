/* SPDX-License-Identifier: Apache-2.0 */
/* What lies below an environment's upper: a package's tree over the host's files, as the union shows them.
 * For programs with verbs only. One thread; blocks on the disk and on the package's chunks. */
#ifndef FLOE_LAUNCH_LOWER_VIEW_H
#define FLOE_LAUNCH_LOWER_VIEW_H

#include "streaming/package.h"
#include "vfs/upper.h"

struct launch_lower_view {
	struct stream_package *package; /* borrowed; NULL: only the host */
	const char *home;               /* absolute: where the package's "@home" is placed */
};

/* A vfs_lower_fn; arg is a struct launch_lower_view. What the user may not see of the host is not there. */
int launch_lower_view_ask(void *arg, const char *path, struct stat *ret, int *ret_fd, struct err *e);

#endif
