/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded cache of what is open, by node id: the least recently used goes first. What is in use is never
 * closed; more in use than the bound is closed as soon as it is given back. Any thread; blocks only where
 * `end` does. */
#ifndef FLOE_VFS_COW_CACHE_H
#define FLOE_VFS_COW_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cow_cache; /* opaque */

struct cow_slot { /* first member of what is kept; the caller sets node and weight, the rest is the cache's */
	uint64_t node;
	unsigned weight; /* descriptors */
	unsigned users;
	bool is_dropped;
	struct cow_slot *next_in_bucket, *newer, *older;
};

/* `end` frees one; called without the cache's lock. max: total weight. */
int cow_cache_open(size_t max, void (*end)(struct cow_slot *s), struct cow_cache **ret,
		   struct err *e) FLOE_MUST_USE;
void cow_cache_close(struct cow_cache *c); /* NULL ok; nothing may be in use */

struct cow_slot *cow_cache_ref(struct cow_cache *c, uint64_t node); /* NULL = not here */
/* Grows with every _forget, before it drops: what was put together across one is not believed. */
uint64_t cow_cache_version(struct cow_cache *c);
/* Takes `s`, made since the cache had `version`, and returns it, in use; or, when another thread was faster,
 * that one's; NULL when something has been forgotten meanwhile: then it has ended. */
struct cow_slot *cow_cache_add(struct cow_cache *c, struct cow_slot *s, uint64_t version);
/* The same, but what was there before is dropped. */
struct cow_slot *cow_cache_replace(struct cow_cache *c, struct cow_slot *s);
void cow_cache_unref(struct cow_cache *c, struct cow_slot *s);
/* Something about it has changed: it ends with its last user, and whoever opens it just now begins anew. */
void cow_cache_forget(struct cow_cache *c, uint64_t node);
void cow_cache_forget_all(struct cow_cache *c);
/* The same for a node that has ended: nobody can be about to open it. Never blocks: what has no user ends
 * with the next call that may block, or _sweep. */
void cow_cache_drop(struct cow_cache *c, uint64_t node);
void cow_cache_sweep(struct cow_cache *c);
size_t cow_cache_weight(struct cow_cache *c);

#endif
