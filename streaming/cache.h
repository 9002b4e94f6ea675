/* SPDX-License-Identifier: Apache-2.0 */
/* The user's persistent chunk cache: verified, decompressed content by digest, shared by all
 * packages, versions and processes of the user.
 *
 *   DIR/chunks.dat   sparse; content at 4 KiB-aligned offsets, grows at its end, holes where evicted
 *   DIR/cache.db     SQLite (WAL): digest -> offset, length, last use; package -> header, index, source
 *   DIR/index/HEX    compressed indexes, by digest
 *   DIR/use/HEX      locked while a package is in use, by root digest
 *   DIR/transit      what is being fetched, and what is not durable yet (transit.h)
 *
 * A row is committed only after its bytes are durable, in batches. The database is disposable: lost
 * or damaged, the cache is empty, not wrong. Content is compared with its digest before it is handed
 * out; a mismatch is a miss, counted, and its row goes. Several processes work on one cache at once;
 * one that is killed at any point leaves it usable. Full disk: content is simply not kept. A cache made by a
 * newer floe is left alone. Quota: the least recently used chunks go, never those of packages that are pinned
 * or in use; when these alone fill it, new content is not kept.
 *
 * A shared store is a directory of the same layout that many machines read (local or over a network) and
 * nobody writes meanwhile: no locks, no companion files. It is asked after the user's own cache; what is
 * missing or wrong there is just not there. stream_cache_export makes one. Threads: any. Calls block on the
 * local disk only. <sqlite3.h> only in cache.c (and cache_*.c). */
#ifndef FLOE_STREAM_CACHE_H
#define FLOE_STREAM_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"
#include "package-format/header.h"
#include "streaming/transit.h"

struct stream_cache; /* opaque */

/* Makes the directory. ERR_UNSUPPORTED: made by a newer floe. Fails (ERR_IO, ERR_DENIED) when it is
 * read-only, full, or on a file system without shared memory maps; the caller says so and goes on with NULL
 * for a cache. */
int stream_cache_open(const char *dir, struct stream_cache **ret, struct err *e) FLOE_MUST_USE;
void stream_cache_close(struct stream_cache *c); /* NULL ok; writes out what waits */
/* At any time. 0 = the default: a tenth of the file system or 10 GiB, whichever is less, and at most half of
 * what is free. */
void stream_cache_limit(struct stream_cache *c, uint64_t quota_bytes);
/* Once, before other threads use the cache. After a failure the cache is as it was. */
int stream_cache_share(struct stream_cache *c, const char *dir, struct err *e) FLOE_MUST_USE;
/* An empty file without a name on the cache's disk, the caller's own: for what is too long for memory. Fails
 * where the file system cannot make one. */
int stream_cache_scratch(struct stream_cache *c, struct err *e) FLOE_MUST_USE;

/* Fills ret[len] with the content of that digest, also with what another process has yet to make durable;
 * ERR_NOTFOUND is a miss, with sys = EBADMSG when
 * there was content but not the right one. */
int stream_cache_get(struct stream_cache *c, const struct pkg_digest *digest, uint8_t *ret, size_t len,
		     struct err *e) FLOE_MUST_USE;
struct stream_cache_content {
	const uint8_t *data;
	size_t len;
	/* The data stay as they are until this is called: once, by any thread, under no lock, at the latest
	 * before stream_cache_close returns. NULL: they are copied. */
	void (*let_go)(void *arg);
	void *arg;
};
/* Returns at once; a thread of the cache makes it durable. Failures are only counted. `claim` (transit.h; 0 =
 * none) ends when the content is durable, or dropped. */
void stream_cache_put(struct stream_cache *c, const struct pkg_digest *digest,
		      const struct stream_cache_content *content, uint64_t claim);
/* What the processes that share the cache are just fetching; borrowed. */
const struct transit *stream_cache_transit(const struct stream_cache *c);
/* Blocks up to `ms` milliseconds while too much waits to be written; for whoever reads ahead faster than the
 * disk writes. False when there still is no room: a put would be dropped. */
bool stream_cache_wait_room(struct stream_cache *c, unsigned ms);
/* True when it is durable, or waits here to be. */
bool stream_cache_has(struct stream_cache *c, const struct pkg_digest *digest);
/* The same of `count`, for much less than as many calls. */
void stream_cache_has_each(struct stream_cache *c, const struct pkg_digest *digests, size_t count, bool *ret);
int stream_cache_sync(struct stream_cache *c, struct err *e) FLOE_MUST_USE; /* waits for the above */

/* What is remembered of a source so that it opens without the network. */
int stream_cache_save_package(struct stream_cache *c, const char *source, const char *identity,
			      const uint8_t header[PKG_HEADER_LEN], const void *index, size_t index_len,
			      struct err *e) FLOE_MUST_USE;
/* The end of the index of another version of the package at `source`, of which this cache has or had content:
 * one from beside it, when `source` is called after that one's name, a dash and a digit, as repositories have
 * it. 0 = none is known. Blocks on the local disk. */
uint64_t stream_cache_kin(struct stream_cache *c, const char *source);
/* ERR_NOTFOUND when the source or its index is not here. `index` receives the compressed, digest-checked
 * index. */
int stream_cache_load_package(struct stream_cache *c, const char *source, char identity[],
			      size_t identity_cap, uint8_t header[PKG_HEADER_LEN], struct buf *index,
			      struct err *e) FLOE_MUST_USE;
/* Records what a package (by root digest) is called, for people. */
int stream_cache_note_package(struct stream_cache *c, const struct pkg_digest *root, const char *name,
			      const char *version, uint64_t content_bytes, struct err *e) FLOE_MUST_USE;
/* The package is in use, by this process, until the cache is closed or the process ends however it may: its
 * chunks are not evicted. May wait a moment for an eviction that is going on. */
int stream_cache_hold(struct stream_cache *c, const struct pkg_digest *root, struct err *e) FLOE_MUST_USE;
/* The chunks of a pinned package are never evicted. ERR_NOTFOUND when the package is not known. */
int stream_cache_pin(struct stream_cache *c, const struct pkg_digest *root, bool is_pinned,
		     struct err *e) FLOE_MUST_USE;
/* What `ref` means of what is known here: a source, a name, NAME@VERSION, or a root digest (8 digits at
 * least); the one last used when several fit. ERR_NOTFOUND. *ret_source is the caller's to free, "" when not
 * known; NULL = not wanted. */
int stream_cache_resolve(struct stream_cache *c, const char *ref, bool only_pinned, struct pkg_digest *ret,
			 char **ret_source, struct err *e) FLOE_MUST_USE;

struct stream_cache_status {
	uint64_t chunks, bytes /* content kept */, file_bytes /* blocks on disk */,
		wrong /* found and dropped so far */;
	uint64_t packages, quota_bytes;
	const char *shared; /* borrowed: the shared store's directory; NULL = none */
};
int stream_cache_status(struct stream_cache *c, struct stream_cache_status *ret, struct err *e) FLOE_MUST_USE;

struct stream_cache_package { /* borrowed for the callback */
	struct pkg_digest root;
	const char *name, *version, *source; /* "" = not known */
	bool is_known;                       /* the index is here; else there are no figures */
	uint64_t bytes, present_bytes;       /* of content: all, and what is here */
	uint64_t shared_bytes;               /* what only the shared store has */
	bool is_pinned, is_used;
	int64_t used_s; /* wall clock */
};
typedef int stream_cache_package_fn(void *arg, const struct stream_cache_package *p, struct err *e);
/* Last used first; the callback's -1 ends the walk and is returned. Reads the packages' indexes. */
int stream_cache_packages(struct stream_cache *c, stream_cache_package_fn *fn, void *arg,
			  struct err *e) FLOE_MUST_USE;

/* For long work; false ends it with ERR_INTERRUPTED. */
struct stream_cache_progress {
	bool (*step)(void *arg, uint64_t done_bytes, uint64_t all_bytes);
	void *arg;
};
/* Reads everything; drops what is wrong. `progress` may be NULL. */
int stream_cache_verify(struct stream_cache *c, const struct stream_cache_progress *progress,
			uint64_t *ret_checked, uint64_t *ret_wrong, struct err *e) FLOE_MUST_USE;
/* Evicts least recently used content down to `keep_bytes` (or to what is pinned or in use), punches
 * unreferenced ranges, forgets packages of which nothing is left. */
int stream_cache_gc(struct stream_cache *c, uint64_t keep_bytes, uint64_t *ret_freed,
		    struct err *e) FLOE_MUST_USE;

struct stream_cache_export {
	uint64_t packages, chunks, bytes; /* written now */
	uint64_t lacking;                 /* chunks of these packages that are not here */
};
/* Makes the shared store `dir`, or adds to it what it lacks: everything that is here of the packages `roots`
 * (count 0: of all). Readers see the old store or the new one. Interrupted, it leaves the old one.
 * ERR_NOTFOUND when a package's index is not here. */
int stream_cache_export(struct stream_cache *c, const char *dir, const struct pkg_digest *roots, size_t count,
			const struct stream_cache_progress *progress, struct stream_cache_export *ret,
			struct err *e) FLOE_MUST_USE;

#endif
