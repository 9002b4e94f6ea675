/* SPDX-License-Identifier: Apache-2.0 */
/* Where the holder is found. A user has one holder for each set of directories (data, configuration, cache,
 * home): whoever sets HOME or an XDG variable differently gets an own world, as with every other program.
 * libc only. */
#ifndef FLOE_LAUNCH_HOLDER_ADDRESS_H
#define FLOE_LAUNCH_HOLDER_ADDRESS_H

#include <stdbool.h>

#include "base/mem.h"

struct holder_address {
	char *runtime; /* RUNTIME/TAG: directory of this holder, 0700 */
	char *socket;  /* RUNTIME/TAG/holder.sock */
	char *lock;    /* flock: held while a holder lives */
	char *stage;   /* where the holder mounts, in its own namespace */
	char *envs;    /* one directory per active environment: what the application sees as /.floe/run */
};

/* Makes the directories when `make`. */
int holder_address_find(bool make, struct holder_address *ret, struct err *e) FLOE_MUST_USE;
void holder_address_fini(struct holder_address *a);

#endif
