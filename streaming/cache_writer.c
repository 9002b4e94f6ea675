/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that makes content durable.
 *
 * A batch: reserve space (transaction), pwrite, fdatasync, publish the rows (transaction). Killed in
 * between, it leaves a reservation that expires and blocks that the next gc gives back; never a row
 * without its bytes. A full disk makes puts be dropped for a while. */
#include <string.h>

#include "base/fd.h"
#include "streaming/cache_store.h"

enum {
	LINGER_MS = 400, /* for more to come, so that few batches are synced */
	BATCH_BYTES = 8 * 1024 * 1024,
	BATCH_MAX = 1024,
	FULL_MS = 30000,
	TOUCH_MS = 30000,
	PAGE = 4096,
};

struct batch {
	struct cache_pending *items[BATCH_MAX]; /* borrowed from the queue, whose head they are */
	size_t count;
	struct cache_row rows[BATCH_MAX]; /* of those that are new */
	struct cache_pending *fresh[BATCH_MAX];
	size_t row_count;
	uint64_t len;
};

static uint64_t pages(uint64_t len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

/* Leaves out what another process has stored meanwhile; lays out the rest. */
static void lay_out(struct stream_cache *c, struct batch *b)
{
	struct cache_row known;
	struct err ignored;

	b->row_count = 0;
	b->len = 0;
	for (size_t i = 0; i < b->count; i++) {
		struct cache_pending *p = b->items[i];
		bool is_known;

		sync_lock(&c->change_lock);
		is_known = cache_db_find(c->change_db, &p->digest, &known, &ignored) == 0;
		sync_unlock(&c->change_lock);
		if (is_known)
			continue;
		b->fresh[b->row_count] = p;
		b->rows[b->row_count++] = (struct cache_row){ p->digest, b->len, (uint32_t)p->len, 0 };
		b->len += pages(p->len);
	}
}

static int write_rows(struct stream_cache *c, struct batch *b, uint64_t off, struct err *e)
{
	for (size_t i = 0; i < b->row_count; i++) {
		b->rows[i].off += off;
		if (fd_pwrite_all(c->data_fd, b->fresh[i]->data, b->fresh[i]->len, b->rows[i].off, e) < 0)
			return -1;
	}
	if (fdatasync(c->data_fd) < 0)
		return err_set(e, ERR_IO, "fdatasync");
	/* Rows are worth nothing when a crash takes the file's name. */
	if (c->is_new && fsync(c->dir_fd) < 0)
		return err_set(e, ERR_IO, "fsync");
	c->is_new = false;
	return 0;
}

static int write_batch(struct stream_cache *c, struct batch *b, struct err *e)
{
	int64_t reservation;
	uint64_t off;
	int rc;

	lay_out(c, b);
	if (!b->row_count)
		return 0;
	if (!cache_make_room(c, b->len))
		return err_set(e, ERR_LIMIT, "the quota is used up");
	sync_lock(&c->change_lock);
	rc = cache_db_reserve(c->change_db, b->len, &off, &reservation, e);
	sync_unlock(&c->change_lock);
	if (rc < 0)
		return -1;
	rc = write_rows(c, b, off, e);
	sync_lock(&c->change_lock);
	if (rc == 0) {
		rc = cache_db_commit(c->change_db, reservation, b->rows, b->row_count, e);
	} else {
		struct err ignored;

		(void)cache_db_release(c->change_db, reservation, &ignored);
	}
	sync_unlock(&c->change_lock);
	return rc;
}

static void forget_locked(struct stream_cache *c, struct cache_pending *p) SYNC_REQUIRES(c->lock)
{
	struct cache_pending **at =
		&c->buckets[(size_t)(p->digest.b[0] | p->digest.b[1] << 8) % CACHE_BUCKETS];

	while (*at != p)
		at = &(*at)->same_hash;
	*at = p->same_hash;
	c->pending_bytes -= p->len;
}

static void take_batch_locked(struct stream_cache *c, struct batch *b) SYNC_REQUIRES(c->lock)
{
	uint64_t quota = atomic_load(&c->quota), max = BATCH_BYTES, bytes = 0;

	/* A batch must fit into a small cache. */
	if (quota && quota / 4 < max)
		max = quota / 4;
	b->count = 0;
	for (struct cache_pending *p = c->first; p && b->count < BATCH_MAX; p = p->next) {
		bytes += pages(p->len);
		if (b->count && bytes > max)
			break;
		b->items[b->count++] = p;
	}
}

static void drop_batch(struct stream_cache *c, struct batch *b, const struct err *why)
{
	sync_lock(&c->lock);
	for (size_t i = 0; i < b->count; i++) {
		c->first = b->items[i]->next;
		forget_locked(c, b->items[i]);
	}
	if (!c->first)
		c->last = &c->first;
	c->oldest_ms = sync_now_ms();
	if (why) {
		c->full_until_ms = sync_now_ms() + FULL_MS;
		c->is_used_up = why->code == ERR_LIMIT;
	}
	sync_wake_all(&c->changed);
	sync_unlock(&c->lock);
	for (size_t i = 0; i < b->count; i++)
		free(b->items[i]);
}

static void record_uses(struct stream_cache *c)
{
	struct pkg_digest *digests;
	struct err ignored;
	size_t count;

	sync_lock(&c->lock);
	count = c->touched_count;
	digests = count ? mem_alloc(count, sizeof(*digests), &ignored) : NULL;
	if (digests)
		memcpy(digests, c->touched, count * sizeof(*digests));
	c->touched_count = 0;
	sync_unlock(&c->lock);
	if (!digests)
		return;
	sync_lock(&c->change_lock);
	(void)cache_db_touch(c->change_db, digests, count, &ignored);
	sync_unlock(&c->change_lock);
	free(digests);
}

/* Waits for a batch that is worth it. False when there is nothing left and the cache closes. */
static bool wait_for_work(struct stream_cache *c, struct batch *b)
{
	uint64_t touch_at = sync_now_ms() + TOUCH_MS;

	b->count = 0;
	sync_lock(&c->lock);
	for (;;) {
		uint64_t now = sync_now_ms();

		if (c->first && (c->is_closing || c->syncs || c->pending_bytes >= BATCH_BYTES / 2 ||
				 now >= c->oldest_ms + LINGER_MS)) {
			take_batch_locked(c, b);
			break;
		}
		if (c->is_closing || (now >= touch_at && c->touched_count))
			break;
		(void)sync_wait_ms(&c->changed, &c->lock, c->first ? LINGER_MS : TOUCH_MS);
	}
	bool goes_on = b->count || !c->is_closing;
	sync_unlock(&c->lock);
	return goes_on;
}

void *cache_writer_main(void *cache)
{
	struct stream_cache *c = cache;
	struct err why;
	struct batch *b = mem_alloc(1, sizeof(*b), &why);

	if (!b) {
		/* Nothing will be kept; readers do not notice. */
		sync_lock(&c->lock);
		c->full_until_ms = UINT64_MAX;
		sync_unlock(&c->lock);
		return NULL;
	}
	while (wait_for_work(c, b)) {
		bool is_written;

		if (!b->count) {
			record_uses(c);
			continue;
		}
		is_written = write_batch(c, b, &why) == 0;
		if (!is_written)
			atomic_fetch_add(&c->dropped, b->count);
		drop_batch(c, b, is_written ? NULL : &why);
	}
	record_uses(c);
	free(b);
	return NULL;
}
