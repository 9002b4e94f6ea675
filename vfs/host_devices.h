/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices are floe's own FUSE mounts: the host view stays out of those, or it would ask itself.
 * Any thread; blocks on /proc only. */
#ifndef FLOE_VFS_HOST_DEVICES_H
#define FLOE_VFS_HOST_DEVICES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct host_devices; /* opaque */

int host_devices_open(struct host_devices **ret, struct err *e) FLOE_MUST_USE;
void host_devices_close(struct host_devices *d); /* NULL ok */
/* From /proc/self/mountinfo, remembered for a second or two: numbers are used again. */
bool host_devices_is_ours(struct host_devices *d, dev_t dev);

#endif
