/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that makes content durable.
 *
 * A batch: reserve space (transaction), pwrite what comes a moment after it came and tell the other processes
 * where it is (transit.h), and after a while fdatasync, and publish the rows (transaction). Killed in
 * between, it leaves a reservation that expires and blocks that the next gc gives back; never a row without
 * its bytes. A full disk makes puts be dropped for a while. */
#include <string.h>

#include "base/fd.h"
#include "streaming/cache_store.h"

enum {
	PLACE_MS = 20,   /* a launch that waits for content has more use for the processors */
	LINGER_MS = 400, /* for more to come, so that few batches are synced */
	BATCH_BYTES = 8 * 1024 * 1024,
	BATCH_MAX = 1024,
	FULL_MS = 30000,
	TOUCH_MS = 30000,
	PAGE = 4096,
};

struct batch {
	struct cache_pending *items[BATCH_MAX]; /* borrowed from the queue, whose head they are */
	size_t count, placed;                   /* so many of them are written, or need not be */
	struct cache_row rows[BATCH_MAX];       /* of those that are new */
	size_t row_count;
	uint64_t bytes, bytes_max;
	int64_t reservation;
	uint64_t written; /* bytes that only a commit will make known */
	uint64_t off;     /* where the next one goes */
	bool is_reserved;
};

static uint64_t pages(uint64_t len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* Another process has stored it meanwhile. */
static bool is_known(struct stream_cache *c, const struct pkg_digest *digest)
{
	struct cache_row known;
	struct err ignored;
	bool found;

	sync_lock(&c->change_lock);
	found = cache_db_find(c->change_db, digest, &known, &ignored) == 0;
	sync_unlock(&c->change_lock);
	return found;
}

/* Room for a whole batch at once: what is not used of it stays a hole. */
static int reserve(struct stream_cache *c, struct batch *b, uint64_t len, struct err *e)
{
	uint64_t room = b->bytes_max > len ? b->bytes_max : len, off;
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_reserve(c->change_db, room, &off, &b->reservation, e);
	sync_unlock(&c->change_lock);
	if (rc < 0)
		return -1;
	b->off = off;
	b->is_reserved = true;
	return 0;
}

static int place_one(struct stream_cache *c, struct batch *b, const struct cache_pending *p, struct err *e)
{
	struct cache_row row = { p->digest, 0, (uint32_t)p->content.len, 0 };
	const uint64_t len = pages(p->content.len);

	if (is_known(c, &p->digest))
		return 0;
	if (!cache_make_room(c, b->written, len))
		return err_set(e, ERR_LIMIT, "the quota is used up");
	if (!b->is_reserved && reserve(c, b, len, e) < 0)
		return -1;
	row.off = b->off;
	if (fd_pwrite_all(c->data_fd, p->content.data, p->content.len, row.off, e) < 0)
		return -1;
	b->off += len;
	b->written += len;
	b->rows[b->row_count++] = row;
	transit_publish(&c->transit, &p->digest, &(struct transit_place){ row.off, row.len });
	return 0;
}

static int place(struct stream_cache *c, struct batch *b, struct err *e)
{
	for (; b->placed < b->count; b->placed++)
		if (place_one(c, b, b->items[b->placed], e) < 0)
			return -1;
	return 0;
}

static int make_durable(struct stream_cache *c, struct err *e)
{
	if (fdatasync(c->data_fd) < 0)
		return err_set(e, ERR_IO, "fdatasync");
	/* Rows are worth nothing when a crash takes the file's name. */
	if (c->is_new && fsync(c->dir_fd) < 0)
		return err_set(e, ERR_IO, "fsync");
	c->is_new = false;
	return 0;
}

/* The end of a batch, of which everything is placed, or not (`rc`, *e). */
static int store(struct stream_cache *c, struct batch *b, int rc, struct err *e)
{
	if (!b->is_reserved)
		return rc;
	if (rc == 0 && b->row_count)
		rc = make_durable(c, e);
	sync_lock(&c->change_lock);
	if (rc == 0) {
		rc = cache_db_commit(c->change_db, b->reservation, b->rows, b->row_count, e);
	} else {
		struct err ignored;

		(void)cache_db_release(c->change_db, b->reservation, &ignored);
	}
	sync_unlock(&c->change_lock);
	for (size_t i = 0; i < b->row_count; i++)
		transit_withdraw(&c->transit, &b->rows[i].digest);
	return rc;
}

/* ---- the queue -------------------------------------------------------------------------- */

static void forget_locked(struct stream_cache *c, struct cache_pending *p) SYNC_REQUIRES(c->lock)
{
	struct cache_pending **at =
		&c->buckets[(size_t)(p->digest.b[0] | p->digest.b[1] << 8) % CACHE_BUCKETS];

	while (*at != p)
		at = &(*at)->same_hash;
	*at = p->same_hash;
	c->pending_bytes -= p->content.len;
}

static void begin_locked(struct stream_cache *c, struct batch *b) SYNC_REQUIRES(c->lock)
{
	uint64_t quota = atomic_load(&c->quota);

	b->count = b->placed = b->row_count = 0;
	b->bytes = b->written = 0;
	b->is_reserved = false;
	/* A batch must fit into a small cache. */
	b->bytes_max = quota && quota / 4 < BATCH_BYTES ? quota / 4 : BATCH_BYTES;
}

/* Adds what has come since, as far as the batch has room. True when it is full. */
static bool take_more_locked(struct stream_cache *c, struct batch *b) SYNC_REQUIRES(c->lock)
{
	struct cache_pending *p = b->count ? b->items[b->count - 1]->next : c->first;

	for (; p && b->count < BATCH_MAX; p = p->next) {
		if (b->count && b->bytes + pages(p->content.len) > b->bytes_max)
			break;
		b->bytes += pages(p->content.len);
		b->items[b->count++] = p;
	}
	return p || b->count == BATCH_MAX || b->bytes >= b->bytes_max / 2;
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
		cache_pending_free(c, b->items[i]);
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

enum writer_step { WRITER_PLACE, WRITER_STORE, WRITER_RECORD, WRITER_END };

/* Waits for something to do. */
static enum writer_step await_step(struct stream_cache *c, struct batch *b)
{
	uint64_t touch_at = sync_now_ms() + TOUCH_MS;
	enum writer_step step = WRITER_END;

	sync_lock(&c->lock);
	for (;;) {
		uint64_t now = sync_now_ms();
		bool is_full;

		if (!b->count)
			begin_locked(c, b);
		is_full = take_more_locked(c, b);
		if (b->placed < b->count &&
		    (is_full || c->is_closing || c->syncs || now >= c->oldest_ms + PLACE_MS))
			step = WRITER_PLACE;
		else if (b->count &&
			 (is_full || c->is_closing || c->syncs || now >= c->oldest_ms + LINGER_MS))
			step = WRITER_STORE;
		else if (now >= touch_at && c->touched_count)
			step = WRITER_RECORD;
		if (step != WRITER_END || (!b->count && c->is_closing))
			break;
		(void)sync_wait_ms(&c->changed, &c->lock,
				   b->placed < b->count ? PLACE_MS
				   : b->count           ? LINGER_MS
							: TOUCH_MS);
	}
	sync_unlock(&c->lock);
	return step;
}

static void end_batch(struct stream_cache *c, struct batch *b, int rc, struct err *why)
{
	rc = store(c, b, rc, why);
	if (rc < 0)
		atomic_fetch_add(&c->dropped, b->count);
	drop_batch(c, b, rc < 0 ? why : NULL);
	b->count = 0;
}

/* Readers do not notice. */
static void keep_nothing(struct stream_cache *c)
{
	struct cache_pending *p, *next;

	sync_lock(&c->lock);
	c->full_until_ms = UINT64_MAX;
	p = c->first;
	c->first = NULL;
	c->last = &c->first;
	memset(c->buckets, 0, sizeof(c->buckets));
	c->pending_bytes = 0;
	sync_wake_all(&c->changed);
	sync_unlock(&c->lock);
	for (; p; p = next) {
		next = p->next;
		cache_pending_free(c, p);
	}
}

void *cache_writer_main(void *cache)
{
	struct stream_cache *c = cache;
	struct err why;
	struct batch *b = mem_alloc(1, sizeof(*b), &why);
	enum writer_step step;

	if (!b) {
		keep_nothing(c);
		return NULL;
	}
	while ((step = await_step(c, b)) != WRITER_END) {
		if (step == WRITER_RECORD)
			record_uses(c);
		else if (step == WRITER_STORE)
			end_batch(c, b, 0, &why);
		else if (place(c, b, &why) < 0)
			end_batch(c, b, -1, &why);
	}
	record_uses(c);
	free(b);
	return NULL;
}
