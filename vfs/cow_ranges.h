/* SPDX-License-Identifier: Apache-2.0 */
/* Locks on byte ranges of one file, first come, first served: whoever asks waits for all earlier ones that
 * overlap, so that nobody starves. A lock is held across the disk's work, which is what it is for; the mutex
 * inside never is. Any thread. */
#ifndef FLOE_VFS_COW_RANGES_H
#define FLOE_VFS_COW_RANGES_H

#include <stdint.h>

#include "base/sync.h"

struct cow_range { /* a waiter's or holder's; lives on its stack */
	uint64_t start, end;
	struct cow_range *next; /* the next one to have asked */
};

struct cow_ranges {
	struct sync_mutex mutex;
	struct sync_cond released;
	struct cow_range *first; /* guarded by mutex */
};

void cow_ranges_init(struct cow_ranges *r);
void cow_ranges_fini(struct cow_ranges *r);
/* [start, end) is the caller's until _unlock(range). Ranges without a byte overlap nothing. */
void cow_ranges_lock(struct cow_ranges *r, struct cow_range *range, uint64_t start, uint64_t end);
void cow_ranges_unlock(struct cow_ranges *r, struct cow_range *range);
/* Returns when everybody who had asked for a part of it before has released it. */
void cow_ranges_wait(struct cow_ranges *r, uint64_t start, uint64_t end);

#endif
