/* SPDX-License-Identifier: Apache-2.0 */
/* The chunk cache: opening, reading and putting; see cache.h. */
#include "streaming/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/path.h"
#include "streaming/cache_store.h"

enum {
	TOUCH_AGE_S = 3600, /* how exact "last used" is kept */
	PENDING_MAX = 64 * 1024 * 1024,
	PENDING_SPARE = 8 * 1024 * 1024, /* for those who have waited for room side by side */
};

/* ---- lifecycle -------------------------------------------------------------------------- */

static int open_files(struct stream_cache *c, struct err *e)
{
	struct stat st;

	c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir_fd < 0)
		return err_sys(e, errno, "%s", c->dir);
	if (mkdirat(c->dir_fd, "index", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s/index", c->dir);
	if (mkdirat(c->dir_fd, "use", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s/use", c->dir);
	if (cache_db_open(c->dir, &c->change_db, e) < 0 || cache_db_open(c->dir, &c->find_db, e) < 0)
		return -1;
	c->data_fd = openat(c->dir_fd, "chunks.dat", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->data_fd < 0)
		return err_sys(e, errno, "%s/chunks.dat", c->dir);
	if (fstat(c->data_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "%s/chunks.dat: not a file", c->dir);
	c->is_new = !st.st_size;
	transit_open(c->dir_fd, &c->transit);
	return 0;
}

int stream_cache_scratch(struct stream_cache *c, struct err *e)
{
	int fd = openat(c->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	return fd < 0 ? err_sys(e, errno, "%s: a file without a name", c->dir) : fd;
}

static void cache_free(struct stream_cache *c)
{
	cache_db_close(c->find_db);
	cache_db_close(c->change_db);
	cache_shared_close(c->shared);
	for (size_t i = 0; i < c->lease_count; i++)
		fd_close(c->leases[i]);
	free(c->leases);
	transit_close(&c->transit);
	fd_close(c->data_fd);
	fd_close(c->dir_fd);
	sync_cond_fini(&c->changed);
	sync_mutex_fini(&c->lock);
	sync_mutex_fini(&c->find_lock);
	sync_mutex_fini(&c->change_lock);
	free(c->dir);
	free(c);
}

int stream_cache_open(const char *dir, struct stream_cache **ret, struct err *e)
{
	struct stream_cache *c = mem_alloc(1, sizeof(*c), e);
	int rc;

	if (!c)
		return -1;
	c->dir_fd = c->data_fd = c->transit.fd = -1;
	c->last = &c->first;
	sync_mutex_init(&c->lock);
	sync_mutex_init(&c->find_lock);
	sync_mutex_init(&c->change_lock);
	sync_cond_init(&c->changed);
	c->dir = mem_strdup(dir, e);
	rc = c->dir && path_make_dirs(dir, 0700, e) == 0 ? open_files(c, e) : -1;
	if (rc == 0 && pthread_create(&c->writer, NULL, cache_writer_main, c) != 0)
		rc = err_set(e, ERR_NOMEM, "cannot start a thread");
	if (rc < 0) {
		cache_free(c);
		return err_wrap(e, "chunk cache");
	}
	*ret = c;
	return 0;
}

void stream_cache_close(struct stream_cache *c)
{
	if (!c)
		return;
	sync_lock(&c->lock);
	c->is_closing = true;
	sync_wake_all(&c->changed);
	sync_unlock(&c->lock);
	(void)pthread_join(c->writer, NULL);
	cache_free(c);
}

void stream_cache_limit(struct stream_cache *c, uint64_t quota_bytes)
{
	atomic_store(&c->quota, quota_bytes);
}

int stream_cache_share(struct stream_cache *c, const char *dir, struct err *e)
{
	return cache_shared_open(dir, &c->shared, e);
}

/* ---- chunks ----------------------------------------------------------------------------- */

static int find_row(struct stream_cache *c, const struct pkg_digest *digest, struct cache_row *ret,
		    struct err *e)
{
	int rc;

	sync_lock(&c->find_lock);
	rc = cache_db_find(c->find_db, digest, ret, e);
	sync_unlock(&c->find_lock);
	return rc;
}

/* True when the content still waits to be written; copied out then. */
static bool get_pending(struct stream_cache *c, const struct pkg_digest *digest, uint8_t *ret, size_t len)
{
	struct cache_pending *p;
	bool found;

	sync_lock(&c->lock);
	p = cache_pending_find_locked(c, digest);
	found = p && p->content.len == len;
	if (found && ret)
		memcpy(ret, p->content.data, len);
	sync_unlock(&c->lock);
	return found;
}

bool cache_read_row(struct stream_cache *c, const struct cache_row *row, uint8_t *data)
{
	struct pkg_digest found;
	struct err ignored;

	if (fd_pread_exact(c->data_fd, data, row->len, row->off, &ignored) < 0)
		return false;
	pkg_digest_of(data, row->len, &found);
	return pkg_digest_equal(&found, &row->digest);
}

static void note_use(struct stream_cache *c, const struct cache_row *row)
{
	if (time(NULL) - row->used_s < TOUCH_AGE_S)
		return;
	sync_lock(&c->lock);
	if (c->touched_count < CACHE_TOUCHED_MAX)
		c->touched[c->touched_count++] = row->digest;
	sync_unlock(&c->lock);
}

/* ERR_NOTFOUND with sys = EBADMSG when what was there was wrong; it is gone then. */
static int get_own(struct stream_cache *c, const struct pkg_digest *digest, uint8_t *ret, size_t len,
		   struct err *e)
{
	struct cache_row row, again;
	struct err ignored;

	/* A damaged database is a cache without content; the next process makes a new one. */
	if (find_row(c, digest, &row, e) < 0 || row.len != len)
		return err_set(e, ERR_NOTFOUND, "not in the cache");
	if (cache_read_row(c, &row, ret)) {
		note_use(c, &row);
		return 0;
	}
	/* Evicted while we read: a plain miss. Still there: the bytes are wrong. */
	if (find_row(c, digest, &again, &ignored) == 0 && again.off == row.off) {
		sync_lock(&c->change_lock);
		(void)cache_db_drop_wrong(c->change_db, &row, &ignored);
		sync_unlock(&c->change_lock);
		(void)err_set(e, ERR_NOTFOUND, "the cached content was wrong");
		e->sys = EBADMSG;
		return -1;
	}
	return err_set(e, ERR_NOTFOUND, "not in the cache");
}

/* What another process has written, but not yet made durable. */
static bool get_in_transit(struct stream_cache *c, const struct pkg_digest *digest, uint8_t *ret, size_t len)
{
	struct transit_place place;
	struct cache_row row = { .digest = *digest };

	if (!transit_find(&c->transit, digest, &place) || place.len != len)
		return false;
	row.off = place.off;
	row.len = place.len;
	if (cache_read_row(c, &row, ret))
		return true;
	transit_withdraw(&c->transit, digest);
	return false;
}

int stream_cache_get(struct stream_cache *c, const struct pkg_digest *digest, uint8_t *ret, size_t len,
		     struct err *e)
{
	if (get_pending(c, digest, ret, len) || get_own(c, digest, ret, len, e) == 0 ||
	    get_in_transit(c, digest, ret, len))
		return 0;
	return c->shared && cache_shared_get(c->shared, digest, ret, len) ? 0 : -1;
}

bool stream_cache_has(struct stream_cache *c, const struct pkg_digest *digest)
{
	bool found;

	stream_cache_has_each(c, digest, 1, &found);
	return found;
}

void stream_cache_has_each(struct stream_cache *c, const struct pkg_digest *digests, size_t count, bool *ret)
{
	sync_lock(&c->lock);
	for (size_t i = 0; i < count; i++)
		ret[i] = cache_pending_find_locked(c, &digests[i]) != NULL;
	sync_unlock(&c->lock);
	sync_lock(&c->find_lock);
	cache_db_mark(c->find_db, digests, count, ret);
	sync_unlock(&c->find_lock);
	for (size_t i = 0; c->shared && i < count; i++)
		ret[i] = ret[i] || cache_shared_has(c->shared, &digests[i]);
}

static size_t bucket_of(const struct pkg_digest *digest)
{
	return (size_t)(digest->b[0] | digest->b[1] << 8) % CACHE_BUCKETS;
}

struct cache_pending *cache_pending_find_locked(struct stream_cache *c, const struct pkg_digest *digest)
{
	struct cache_pending *p = c->buckets[bucket_of(digest)];

	while (p && !pkg_digest_equal(&p->digest, digest))
		p = p->same_hash;
	return p;
}

static bool has_room_locked(struct stream_cache *c, size_t max) SYNC_REQUIRES(c->lock)
{
	return c->pending_bytes < max && sync_now_ms() >= c->full_until_ms;
}

void cache_pending_free(struct stream_cache *c, struct cache_pending *p)
{
	if (p->claim)
		transit_unclaim(&c->transit, p->claim, 1);
	if (p->content.let_go)
		p->content.let_go(p->content.arg);
	free(p);
}

const struct transit *stream_cache_transit(const struct stream_cache *c)
{
	return &c->transit;
}

void stream_cache_put(struct stream_cache *c, const struct pkg_digest *digest,
		      const struct stream_cache_content *content, uint64_t claim)
{
	struct cache_pending *p = NULL, **bucket = &c->buckets[bucket_of(digest)];
	const size_t len = content->len;
	bool is_taken;

	if (len && len <= PKG_CHUNK_MAX)
		p = malloc(sizeof(*p) + (content->let_go ? 0 : len));
	if (!p) {
		atomic_fetch_add(&c->dropped, 1);
		if (claim)
			transit_unclaim(&c->transit, claim, 1);
		if (content->let_go)
			content->let_go(content->arg);
		return;
	}
	p->next = NULL;
	p->claim = claim;
	p->digest = *digest;
	p->content = *content;
	if (!content->let_go)
		p->content.data = memcpy(p->copy, content->data, len);
	sync_lock(&c->lock);
	is_taken = has_room_locked(c, PENDING_MAX + PENDING_SPARE) && !c->is_closing &&
		   !cache_pending_find_locked(c, digest);
	if (is_taken) {
		if (!c->first)
			c->oldest_ms = sync_now_ms();
		*c->last = p;
		c->last = &p->next;
		p->same_hash = *bucket;
		*bucket = p;
		c->pending_bytes += len;
		sync_wake_all(&c->changed);
	}
	sync_unlock(&c->lock);
	if (!is_taken) {
		atomic_fetch_add(&c->dropped, 1);
		cache_pending_free(c, p);
	}
}

bool stream_cache_wait_room(struct stream_cache *c, unsigned ms)
{
	uint64_t end = sync_now_ms() + ms;
	bool has_room;

	sync_lock(&c->lock);
	for (uint64_t now = sync_now_ms(); c->pending_bytes >= PENDING_MAX && now < end; now = sync_now_ms())
		(void)sync_wait_ms(&c->changed, &c->lock, end - now);
	has_room = has_room_locked(c, PENDING_MAX);
	sync_unlock(&c->lock);
	return has_room;
}

int stream_cache_sync(struct stream_cache *c, struct err *e)
{
	bool is_full, is_used_up;

	sync_lock(&c->lock);
	c->syncs++;
	sync_wake_all(&c->changed);
	while (c->first)
		sync_wait(&c->changed, &c->lock);
	c->syncs--;
	is_full = sync_now_ms() < c->full_until_ms;
	is_used_up = c->is_used_up;
	sync_unlock(&c->lock);
	if (is_full && is_used_up)
		return err_set(
			e, ERR_LIMIT,
			"%s: the quota is used up by packages that are pinned or in use; new content is not "
			"kept: unpin some (floe cache status) or allow more (floe cache quota SIZE)",
			c->dir);
	return is_full ? err_set(e, ERR_IO, "%s: the disk is full or broken; new content is not kept", c->dir)
		       : 0;
}
