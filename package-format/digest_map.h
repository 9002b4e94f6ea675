/* SPDX-License-Identifier: Apache-2.0 */
/* Digest -> number, for deduplication while packing. Open addressing; digests are uniform already, so
 * their first bytes are the hash. One thread at a time; never blocks. */
#ifndef FLOE_PKG_DIGEST_MAP_H
#define FLOE_PKG_DIGEST_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "package-format/digest.h"

struct pkg_digest_map { /* zero-initialised is empty */
	struct pkg_digest_slot {
		struct pkg_digest digest;
		uint32_t value; /* UINT32_MAX = free */
	} * slots;
	size_t count, cap;
};

void pkg_digest_map_fini(struct pkg_digest_map *m);
/* The value kept for that digest, which is `value` (not UINT32_MAX) when there was none. Borrowed until the
 * next put; NULL on lack of memory. */
uint32_t *pkg_digest_map_put(struct pkg_digest_map *m, const struct pkg_digest *d, uint32_t value,
			     struct err *e) FLOE_MUST_USE;

#endif
