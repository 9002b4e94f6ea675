/* SPDX-License-Identifier: Apache-2.0 */
/* A shared store that is only read; see cache.h for what it is. Its content is compared with its digest like
 * all else; a chunk that was wrong once is not offered again by this process.
 *
 * Threads: any. Calls block on the store's file system. */
#ifndef FLOE_STREAM_CACHE_SHARED_H
#define FLOE_STREAM_CACHE_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"
#include "package-format/header.h"

struct cache_shared; /* opaque */

int cache_shared_open(const char *dir, struct cache_shared **ret, struct err *e) FLOE_MUST_USE;
void cache_shared_close(struct cache_shared *s);            /* NULL ok */
const char *cache_shared_dir(const struct cache_shared *s); /* borrowed */

/* True when ret[len] has been filled with the content of that digest. */
bool cache_shared_get(struct cache_shared *s, const struct pkg_digest *digest, uint8_t *ret, size_t len);
bool cache_shared_has(struct cache_shared *s, const struct pkg_digest *digest);
/* What is remembered of a source; the header is not checked. */
bool cache_shared_package(struct cache_shared *s, const char *source, char *identity, size_t identity_cap,
			  uint8_t header[PKG_HEADER_LEN], struct pkg_digest *ret_index);
/* The compressed index of that digest, checked. False leaves anything in `ret`. */
bool cache_shared_index(struct cache_shared *s, const struct pkg_digest *digest, struct buf *ret);

#endif
