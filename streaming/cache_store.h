/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct stream_cache, shared by cache.c (reading), cache_writer.c (the thread that makes
 * content durable), cache_package.c (what is remembered of packages), cache_lease.c (which are in use),
 * cache_evict.c (quota), cache_care.c (status, verify) and cache_export.c (shared stores). */
#ifndef FLOE_STREAM_CACHE_STORE_H
#define FLOE_STREAM_CACHE_STORE_H

#include <stdatomic.h>

#include "base/sync.h"
#include "package-format/chunk.h"
#include "package-format/index.h"
#include "streaming/cache.h"
#include "streaming/cache_db.h"
#include "streaming/cache_set.h"
#include "streaming/cache_shared.h"

enum { CACHE_BUCKETS = 1024, CACHE_TOUCHED_MAX = 4096 };

/* Content that waits to be written. */
struct cache_pending {
	struct cache_pending *next;      /* in the queue, oldest first */
	struct cache_pending *same_hash; /* in the bucket */
	struct pkg_digest digest;
	uint64_t claim; /* 0 = none */
	struct stream_cache_content content;
	uint8_t copy[];
};

struct stream_cache {
	char *dir;
	int dir_fd, data_fd;
	struct transit transit;
	bool is_new;                  /* chunks.dat may not survive a crash yet; the writer's own */
	atomic_uint_fast64_t dropped; /* puts that came to nothing */
	atomic_uint_fast64_t quota;   /* bytes; 0 = what this disk can spare */
	struct cache_shared *shared;  /* NULL = none; set before other threads come */

	/* Connections. Their mutexes are the one exception to "no lock across I/O": they make one SQLite
	 * connection safe for many threads, for one short statement or transaction. */
	struct sync_mutex find_lock;
	struct cache_db *find_db; /* guarded by find_lock; reads only */
	struct sync_mutex change_lock;
	struct cache_db *change_db; /* guarded by change_lock */

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	struct cache_pending *first, **last;
	struct cache_pending *buckets[CACHE_BUCKETS];
	size_t pending_bytes;
	uint64_t oldest_ms;     /* when the first of the queue came */
	uint64_t full_until_ms; /* the disk or the quota was full: puts are dropped until then */
	bool is_used_up;        /* it was the quota */
	unsigned syncs;         /* callers that wait for an empty queue */
	bool is_closing;
	struct pkg_digest touched[CACHE_TOUCHED_MAX]; /* read, use not yet recorded */
	size_t touched_count;
	int *leases; /* descriptors whose locks say what is in use; owned */
	size_t lease_count;

	/* only the writer's: */
	uint64_t room;       /* bytes to write before the quota is looked at again, */
	uint64_t room_quota; /* as long as it is this one */
	uint64_t swept_ms;   /* when indexes were last looked over */

	pthread_t writer;
};

struct cache_pending *cache_pending_find_locked(struct stream_cache *c, const struct pkg_digest *digest)
	SYNC_REQUIRES(c->lock);
void *cache_writer_main(void *cache);
/* Gives the blocks of unreferenced ranges back. */
int cache_punch(struct stream_cache *c, struct err *e) FLOE_MUST_USE;
/* Evicts what is necessary to write `len` bytes, when `unpublished` ones are written of which the database
 * does not know yet; false when the quota does not allow them. Writer only. */
bool cache_make_room(struct stream_cache *c, uint64_t unpublished, uint64_t len);
/* What content may take, of which `used_bytes` are taken now. */
uint64_t cache_quota(struct stream_cache *c, uint64_t used_bytes);
int cache_totals(struct stream_cache *c, struct cache_totals *ret, struct err *e) FLOE_MUST_USE;
/* Is the package in use by any process? Never blocks. */
bool cache_lease_is_held(struct stream_cache *c, const struct pkg_digest *root);

/* A package as the database has it, copied. */
struct cache_known {
	struct pkg_digest root, index;
	char *name, *version, *source; /* owned */
	bool has_index, is_pinned;
	int64_t used_s;
	uint8_t header[PKG_HEADER_LEN];
};
struct cache_known_list {
	struct cache_known **list; /* owned */
	size_t count, cap;
};
#define auto_cache_known __attribute__((cleanup(cache_known_fini)))
void cache_known_fini(struct cache_known_list *k);
/* Last used first. */
int cache_known_read(struct stream_cache *c, struct cache_known_list *ret, struct err *e) FLOE_MUST_USE;
/* The package's index, opened; the caller closes it. ERR_NOTFOUND when it is not here or wrong. */
int cache_known_index(struct stream_cache *c, const struct cache_known *known, struct pkg_index **ret,
		      struct err *e) FLOE_MUST_USE;
/* The compressed index of that digest, checked; from our directory or the shared store. */
int cache_read_index(struct stream_cache *c, const struct pkg_digest *digest, struct buf *ret,
		     struct err *e) FLOE_MUST_USE;
/* Every digest that our own database has. */
int cache_present(struct stream_cache *c, struct cache_set *ret, struct err *e) FLOE_MUST_USE;
/* Removes what is known of packages of which nothing is left, and indexes that nothing refers to. */
void cache_forget_gone(struct stream_cache *c);
/* Ends its claim, lets go of the content and frees it; not in the queue any more. */
void cache_pending_free(struct stream_cache *c, struct cache_pending *p);
/* Checks one row's bytes against its digest; `data` holds row->len. True when they are right. */
bool cache_read_row(struct stream_cache *c, const struct cache_row *row, uint8_t *data);

#endif
