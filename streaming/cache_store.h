/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct stream_cache, shared by cache.c (reading, packages), cache_writer.c (the thread that
 * makes content durable) and cache_care.c (status, verify, eviction). */
#ifndef FLOE_STREAM_CACHE_STORE_H
#define FLOE_STREAM_CACHE_STORE_H

#include <stdatomic.h>

#include "base/sync.h"
#include "package-format/chunk.h"
#include "streaming/cache.h"
#include "streaming/cache_db.h"

enum { CACHE_BUCKETS = 1024, CACHE_TOUCHED_MAX = 4096 };

/* Content that waits to be written. */
struct cache_pending {
	struct cache_pending *next;      /* in the queue, oldest first */
	struct cache_pending *same_hash; /* in the bucket */
	struct pkg_digest digest;
	size_t len;
	uint8_t data[];
};

struct stream_cache {
	char *dir;
	int dir_fd, data_fd;
	atomic_uint_fast64_t dropped; /* puts that came to nothing */

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
	uint64_t full_until_ms; /* the disk was full: puts are dropped until then */
	uint64_t since_trim;    /* bytes written since the quota was looked at */
	unsigned syncs;         /* callers that wait for an empty queue */
	bool is_closing;
	struct pkg_digest touched[CACHE_TOUCHED_MAX]; /* read, use not yet recorded */
	size_t touched_count;

	pthread_t writer;
};

struct cache_pending *cache_pending_find_locked(struct stream_cache *c, const struct pkg_digest *digest)
	SYNC_REQUIRES(c->lock);
void *cache_writer_main(void *cache);
/* Gives the blocks of unreferenced ranges back. */
int cache_punch(struct stream_cache *c, struct err *e);
/* Evicts when the content outgrew what this disk can spare; at most what the quota says. */
void cache_trim(struct stream_cache *c);
/* Checks one row's bytes against its digest; `data` holds row->len. True when they are right. */
bool cache_read_row(struct stream_cache *c, const struct cache_row *row, uint8_t *data);

#endif
