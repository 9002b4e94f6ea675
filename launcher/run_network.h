/* SPDX-License-Identifier: Apache-2.0 */
/* What `floe run` has to do with the network: how its user reaches it, where else the package is, and what to
 * tell him when it goes. libc only; one thread. */
#ifndef FLOE_LAUNCH_RUN_NETWORK_H
#define FLOE_LAUNCH_RUN_NETWORK_H

#include <stddef.h>

#include "base/wire.h"
#include "launcher/sandbox.h"
#include "launcher/stall_notice.h"

enum { RUN_MIRRORS_MAX = 15 };

struct run_network {
	char *mirrors[RUN_MIRRORS_MAX];
	size_t mirror_count;
	struct stall_notice notice;
	int sock; /* to the holder, borrowed */
};

/* Takes a copy; what others may not see of the text is blotted out, as it is in our command line. */
int run_network_mirror(struct run_network *n, char *url, struct err *e) FLOE_MUST_USE;
void run_network_fini(struct run_network *n);
/* Proxies of our environment, for the package's servers. */
int run_network_put(struct wire_out *m, struct err *e) FLOE_MUST_USE;
/* Tells the user what the holder says about stalls on `sock` while the application runs. */
struct launch_watch run_network_watch(struct run_network *n, int sock);

#endif
