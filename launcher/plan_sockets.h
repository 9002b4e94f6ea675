/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets and FIFOs of the host that an application must reach as they are: through a union they would be
 * dead copies. /run has its own treatment in vfs/union.h. */
#ifndef FLOE_LAUNCH_PLAN_SOCKETS_H
#define FLOE_LAUNCH_PLAN_SOCKETS_H

#include "base/err.h"

typedef int launch_socket_fn(void *arg, const char *path, struct err *e);
/* Calls back for X11's and ICE's directories, and for each socket or FIFO in /tmp and its directories, in
 * `home`, and named by SSH_AUTH_SOCK. Looks at a bounded number of entries; what cannot be read is passed
 * over. */
int launch_plan_sockets(const char *home, launch_socket_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;

#endif
