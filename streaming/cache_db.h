/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's database: which digest lies where in chunks.dat, and what is known of packages.
 *
 * One connection, one thread at a time; processes are kept apart by SQLite. Every change is one short
 * transaction. ERR_FORMAT means that the database is damaged: it has been marked, and the next
 * cache_db_open starts afresh. */
#ifndef FLOE_STREAM_CACHE_DB_H
#define FLOE_STREAM_CACHE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"

struct cache_db; /* opaque */

struct cache_row {
	struct pkg_digest digest;
	uint64_t off; /* in chunks.dat */
	uint32_t len;
	int64_t used_s; /* wall clock */
};

/* ERR_UNSUPPORTED: made by a newer floe, and left alone. An older one's is brought up to date. */
int cache_db_open(const char *dir, struct cache_db **ret, struct err *e) FLOE_MUST_USE;
/* A shared store's: nothing is written, locked or asked again (SQLite's "immutable"). Errors as above, but
 * damage is not marked. Only the calls that look may be used. */
int cache_db_open_shared(const char *dir, struct cache_db **ret, struct err *e) FLOE_MUST_USE;
/* Makes cache.db one plain file without companions, as shared stores have it; the last call before close. */
int cache_db_seal(struct cache_db *db, struct err *e) FLOE_MUST_USE;
void cache_db_close(struct cache_db *db); /* NULL ok */

/* Sets ret[i] where digests[i] is there; the others stay. */
void cache_db_mark(struct cache_db *db, const struct pkg_digest *digests, size_t count, bool *ret);
/* ERR_NOTFOUND when absent. */
int cache_db_find(struct cache_db *db, const struct pkg_digest *digest, struct cache_row *ret,
		  struct err *e) FLOE_MUST_USE;
/* Removes the row if it still names that place; counts it as wrong. */
int cache_db_drop_wrong(struct cache_db *db, const struct cache_row *row, struct err *e);
int cache_db_touch(struct cache_db *db, const struct pkg_digest *digests, size_t count, struct err *e);

/* Space at the end of chunks.dat. It is ours until cache_db_commit or cache_db_release, or for ten minutes:
 * reservations of killed processes expire. */
int cache_db_reserve(struct cache_db *db, uint64_t len, uint64_t *ret_off, int64_t *ret_id,
		     struct err *e) FLOE_MUST_USE;
/* Publishes the rows, whose bytes are durable, in the order of their offsets. ERR_BUSY when the reservation
 * has expired. */
int cache_db_commit(struct cache_db *db, int64_t reservation, const struct cache_row *rows, size_t count,
		    struct err *e) FLOE_MUST_USE;
int cache_db_release(struct cache_db *db, int64_t reservation, struct err *e);

struct cache_totals {
	uint64_t chunks, bytes, wrong, packages;
};
int cache_db_totals(struct cache_db *db, struct cache_totals *ret, struct err *e) FLOE_MUST_USE;
/* Rows behind `after` in digest order, at most `cap`; start with NULL. */
int cache_db_list(struct cache_db *db, const struct pkg_digest *after, struct cache_row *ret, size_t cap,
		  size_t *ret_count, struct err *e) FLOE_MUST_USE;
/* Removes least recently used rows until at most keep_bytes of content are left, or only what is spared.
 * ERR_BUSY when `is_current`, asked inside the transaction, says that the spared ones have changed. */
struct cache_spared {
	bool (*is_current)(void *arg);
	bool (*has)(void *arg, const struct pkg_digest *digest);
	void *arg;
};
int cache_db_evict(struct cache_db *db, uint64_t keep_bytes, const struct cache_spared *spared,
		   struct err *e) FLOE_MUST_USE;
/* Calls back for each range of chunks.dat that nothing refers to and nothing ever will. */
typedef void cache_hole_fn(void *arg, uint64_t off, uint64_t len);
int cache_db_holes(struct cache_db *db, cache_hole_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;
/* The whole database checked by SQLite; ERR_FORMAT when damaged. Slow. */
int cache_db_check(struct cache_db *db, struct err *e) FLOE_MUST_USE;

struct cache_source { /* borrowed */
	const char *name, *identity;
	const void *header;
	size_t header_len;
	struct pkg_digest index;
	const struct pkg_digest *root; /* NULL = not known: only the source is remembered */
};
int cache_db_save_package(struct cache_db *db, const struct cache_source *source,
			  struct err *e) FLOE_MUST_USE;
int cache_db_load_package(struct cache_db *db, const char *source, char *identity, size_t identity_cap,
			  void *header, size_t header_len, struct pkg_digest *index,
			  struct err *e) FLOE_MUST_USE;
/* Whether a source or a version refers to it. */
int cache_db_has_index(struct cache_db *db, const struct pkg_digest *index, bool *ret,
		       struct err *e) FLOE_MUST_USE;
int cache_db_note_version(struct cache_db *db, const struct pkg_digest *root, const char *name,
			  const char *version, uint64_t content_bytes, struct err *e) FLOE_MUST_USE;
int cache_db_use_version(struct cache_db *db, const struct pkg_digest *root, struct err *e) FLOE_MUST_USE;
/* ERR_NOTFOUND when the version is not known. */
int cache_db_pin_version(struct cache_db *db, const struct pkg_digest *root, bool is_pinned,
			 struct err *e) FLOE_MUST_USE;
/* The version, and the sources that had it last. */
int cache_db_forget_version(struct cache_db *db, const struct pkg_digest *root, struct err *e) FLOE_MUST_USE;

struct cache_version { /* borrowed for the callback */
	struct pkg_digest root, index;
	const char *name, *version, *source; /* "" = not known */
	const void *header; /* not checked; header_len 0 = neither it nor the index is known */
	size_t header_len;
	bool is_pinned;
	int64_t used_s;
};
/* Last used first; the callback's -1 ends the walk and is returned. It may not change versions. */
typedef int cache_version_fn(void *arg, const struct cache_version *v, struct err *e);
int cache_db_versions(struct cache_db *db, cache_version_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;

#endif
