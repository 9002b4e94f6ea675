/* SPDX-License-Identifier: Apache-2.0 */
/* The user's persistent chunk cache: verified, decompressed content by digest, shared by all
 * packages, versions and processes of the user.
 *
 *   DIR/chunks.dat   sparse; content at 4 KiB-aligned offsets, grows at its end, holes where evicted
 *   DIR/cache.db     SQLite (WAL): digest -> offset, length, last use; package -> header, index, source
 *   DIR/index/HEX    compressed indexes, by digest
 *
 * A row is committed only after its bytes are durable, in batches. The database is disposable: lost
 * or damaged, the cache is empty, not wrong. Content is compared with its digest before it is handed
 * out; a mismatch is a miss, counted, and its row goes. Several processes work on one cache at once;
 * one that is killed at any point leaves it usable. Full disk: content is simply not kept.
 * Threads: any. Calls block on the local disk only. <sqlite3.h> only in cache.c (and cache_*.c). */
#ifndef FLOE_STREAM_CACHE_H
#define FLOE_STREAM_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"
#include "package-format/header.h"

struct stream_cache; /* opaque */

/* Makes the directory. Fails (ERR_IO, ERR_DENIED) when it is read-only, full, or on a file system without
 * shared memory maps; the caller says so and goes on with NULL for a cache. */
int stream_cache_open(const char *dir, struct stream_cache **ret, struct err *e) FLOE_MUST_USE;
void stream_cache_close(struct stream_cache *c); /* NULL ok; writes out what waits */

/* Fills ret[len] with the content of that digest; ERR_NOTFOUND is a miss, with sys = EBADMSG when
 * there was content but not the right one. */
int stream_cache_get(struct stream_cache *c, const struct pkg_digest *digest, uint8_t *ret, size_t len,
		     struct err *e) FLOE_MUST_USE;
/* Takes a copy and returns at once; a thread of the cache makes it durable. Failures are only counted. */
void stream_cache_put(struct stream_cache *c, const struct pkg_digest *digest, const uint8_t *data,
		      size_t len);
/* Blocks up to `ms` milliseconds while too much waits to be written; for whoever reads ahead faster than the
 * disk writes. False when there still is no room: a put would be dropped. */
bool stream_cache_wait_room(struct stream_cache *c, unsigned ms);
bool stream_cache_has(struct stream_cache *c, const struct pkg_digest *digest);
int stream_cache_sync(struct stream_cache *c, struct err *e) FLOE_MUST_USE; /* waits for the above */

/* What is remembered of a source so that it opens without the network. */
int stream_cache_save_package(struct stream_cache *c, const char *source, const char *identity,
			      const uint8_t header[PKG_HEADER_LEN], const void *index, size_t index_len,
			      struct err *e) FLOE_MUST_USE;
/* ERR_NOTFOUND when the source or its index is not here. `index` receives the compressed, digest-checked
 * index. */
int stream_cache_load_package(struct stream_cache *c, const char *source, char identity[],
			      size_t identity_cap, uint8_t header[PKG_HEADER_LEN], struct buf *index,
			      struct err *e) FLOE_MUST_USE;
/* Records that a package (by root digest) refers to these chunks, for status and eviction. */
int stream_cache_note_package(struct stream_cache *c, const struct pkg_digest *root, const char *name,
			      const char *version, uint64_t content_bytes, struct err *e) FLOE_MUST_USE;

struct stream_cache_status {
	uint64_t chunks, bytes /* content kept */, file_bytes /* blocks on disk */,
		wrong /* found and dropped so far */;
	uint64_t packages;
};
int stream_cache_status(struct stream_cache *c, struct stream_cache_status *ret, struct err *e) FLOE_MUST_USE;
/* Reads everything; drops what is wrong. */
int stream_cache_verify(struct stream_cache *c, uint64_t *ret_checked, uint64_t *ret_wrong,
			struct err *e) FLOE_MUST_USE;
/* Evicts least recently used content down to `keep_bytes`, punches unreferenced ranges. */
int stream_cache_gc(struct stream_cache *c, uint64_t keep_bytes, uint64_t *ret_freed,
		    struct err *e) FLOE_MUST_USE;

#endif
