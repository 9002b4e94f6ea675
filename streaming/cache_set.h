/* SPDX-License-Identifier: Apache-2.0 */
/* A set of digests in 8 bytes each: by their beginning. Digests are as good as random, so that two of them
 * are taken for one practically never; where they are, something is kept longer or fetched again.
 *
 * Zero-filled is empty. One thread at a time; never blocks. */
#ifndef FLOE_STREAM_CACHE_SET_H
#define FLOE_STREAM_CACHE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/digest.h"

struct cache_set {
	uint64_t *slots; /* owned; 0 = free */
	size_t cap, count;
};

#define auto_cache_set __attribute__((cleanup(cache_set_fini)))

void cache_set_fini(struct cache_set *s);
/* ERR_NOMEM leaves it as it was. */
int cache_set_add(struct cache_set *s, const struct pkg_digest *digest, struct err *e) FLOE_MUST_USE;
bool cache_set_has(const struct cache_set *s, const struct pkg_digest *digest);

#endif
