/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching what a profile (profile.h) says, ahead of the reads that will want it.
 *
 * Only the command's own profile is replayed, nothing of other commands': what they need costs bytes that may
 * never be wanted, and background completion, where the user allows it, fetches it in any case. A command
 * without a profile, such as a program inside the package or one that was never launched, starts with the
 * default command's, as programs of one package share much. */
#ifndef FLOE_STREAM_REPLAY_H
#define FLOE_STREAM_REPLAY_H

#include "package-format/digest.h"

struct stream_package;

/* Prefetches what is lacking of the profile with that key. Blocks until it is all requested. */
void replay_run(struct stream_package *p, const struct pkg_digest *key);

#endif
