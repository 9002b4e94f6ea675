/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_ranges.h. The list is in the order of asking; few are in it at a time (a thread has one). */
#include "vfs/cow_ranges.h"

#include <stdbool.h>
#include <stddef.h>

void cow_ranges_init(struct cow_ranges *r)
{
	sync_mutex_init(&r->mutex);
	sync_cond_init(&r->released);
	r->first = NULL;
}

void cow_ranges_fini(struct cow_ranges *r)
{
	sync_cond_fini(&r->released);
	sync_mutex_fini(&r->mutex);
}

static bool is_clear_locked(const struct cow_ranges *r, const struct cow_range *range) SYNC_REQUIRES(r->mutex)
{
	for (const struct cow_range *o = r->first; o && o != range; o = o->next)
		if (o->start < range->end && range->start < o->end)
			return false;
	return true;
}

static void add_locked(struct cow_ranges *r, struct cow_range *range) SYNC_REQUIRES(r->mutex)
{
	struct cow_range **at = &r->first;

	while (*at)
		at = &(*at)->next;
	range->next = NULL;
	*at = range;
}

static void remove_locked(struct cow_ranges *r, struct cow_range *range) SYNC_REQUIRES(r->mutex)
{
	struct cow_range **at = &r->first;

	while (*at != range)
		at = &(*at)->next;
	*at = range->next;
	sync_wake_all(&r->released);
}

void cow_ranges_lock(struct cow_ranges *r, struct cow_range *range, uint64_t start, uint64_t end)
{
	range->start = start;
	range->end = end;
	sync_lock(&r->mutex);
	add_locked(r, range);
	while (!is_clear_locked(r, range))
		sync_wait(&r->released, &r->mutex);
	sync_unlock(&r->mutex);
}

void cow_ranges_unlock(struct cow_ranges *r, struct cow_range *range)
{
	sync_lock(&r->mutex);
	remove_locked(r, range);
	sync_unlock(&r->mutex);
}

void cow_ranges_wait(struct cow_ranges *r, uint64_t start, uint64_t end)
{
	struct cow_range range = { .start = start, .end = end };

	sync_lock(&r->mutex);
	if (!is_clear_locked(r, &range)) {
		add_locked(r, &range);
		while (!is_clear_locked(r, &range))
			sync_wait(&r->released, &r->mutex);
		remove_locked(r, &range);
	}
	sync_unlock(&r->mutex);
}
