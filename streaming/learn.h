/* SPDX-License-Identifier: Apache-2.0 */
/* What this launch touches first, and what earlier ones did: kept in a profile (profile.h), and prefetched at
 * the next cold start behind the primary feature block.
 *
 * A launch ends when nothing was read for LEARN_QUIET_MS. */
#ifndef FLOE_STREAM_LEARN_H
#define FLOE_STREAM_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/digest.h"

enum { LEARN_QUIET_MS = 10000 };

struct stream_package;

struct learning {
	char *dir; /* the cache's; NULL = nothing is learnt */
	struct pkg_digest key;

	/* guarded by the package's lock */
	uint32_t *touched; /* STREAM_PROFILE_MAX, in order */
	size_t count;
	uint8_t *is_touched; /* per chunk */
	bool is_over;
};

/* After the index is open. */
int learn_init(struct stream_package *p, const char *dir, struct err *e) FLOE_MUST_USE;
/* Saves what was not saved yet. NULL members ok. */
void learn_fini(struct stream_package *p);
/* Ends the recording and merges it into the profile. Blocks on the local disk. */
void learn_save(struct stream_package *p);
/* Prefetches what earlier launches touched and is lacking. Blocks until it is all requested. */
void learn_replay(struct stream_package *p);

#endif
