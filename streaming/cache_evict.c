/* SPDX-License-Identifier: Apache-2.0 */
/* The quota: least recently used chunks go first, never those of packages that are pinned or in use; see
 * cache.h. When such packages alone fill the quota, new content is not kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/fd.h"
#include "streaming/cache_store.h"

enum { YOUNG_S = 3600, EVICT_TRIES = 4, SWEEP_EVERY_MS = 3600 * 1000 };
#define QUOTA_DEFAULT (UINT64_C(10) << 30)
#define LOOK_EVERY    (UINT64_C(64) << 20) /* other processes write, too */

/* ---- how much --------------------------------------------------------------------------- */

int cache_totals(struct stream_cache *c, struct cache_totals *ret, struct err *e)
{
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_totals(c->change_db, ret, e);
	sync_unlock(&c->change_lock);
	return rc;
}

uint64_t cache_quota(struct stream_cache *c, uint64_t used_bytes)
{
	uint64_t quota = atomic_load(&c->quota), tenth, half;
	struct statvfs disk;

	if (quota)
		return quota;
	quota = QUOTA_DEFAULT;
	if (fstatvfs(c->dir_fd, &disk) < 0)
		return quota;
	tenth = (uint64_t)disk.f_blocks * disk.f_frsize / 10;
	/* And of a disk that is nearly full, half of what would be free without us. */
	half = ((uint64_t)disk.f_bavail * disk.f_frsize + used_bytes) / 2;
	quota = tenth < quota ? tenth : quota;
	return half < quota ? half : quota;
}

/* ---- what is spared --------------------------------------------------------------------- */

struct spared {
	struct stream_cache *c;
	struct cache_set chunks, roots;
};

static void spared_fini(struct spared *s)
{
	cache_set_fini(&s->chunks);
	cache_set_fini(&s->roots);
}

static int spare_chunks(struct spared *s, const struct cache_known *known, struct err *e)
{
	struct pkg_index_counts counts;
	struct pkg_index *index;
	int rc = 0;

	if (cache_set_add(&s->roots, &known->root, e) < 0)
		return -1;
	if (cache_known_index(s->c, known, &index, e) < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1; /* nobody knows its chunks any more */
	pkg_index_counts(index, &counts);
	for (uint32_t i = 0; rc == 0 && i < counts.chunks; i++) {
		struct pkg_chunk_info info;

		rc = pkg_index_chunk(index, i, &info, e);
		if (rc == 0)
			rc = cache_set_add(&s->chunks, &info.digest, e);
	}
	pkg_index_close(index);
	return rc;
}

static int gather_spared(struct spared *s, struct err *e)
{
	auto_cache_known struct cache_known_list known = { 0 };

	if (cache_known_read(s->c, &known, e) < 0)
		return -1;
	for (size_t i = 0; i < known.count; i++) {
		const struct cache_known *k = known.list[i];

		if ((k->is_pinned || cache_lease_is_held(s->c, &k->root)) && spare_chunks(s, k, e) < 0)
			return -1;
	}
	return 0;
}

static int is_still_spared(void *arg, const struct cache_version *v, struct err *e)
{
	struct spared *s = arg;

	if (cache_set_has(&s->roots, &v->root) || (!v->is_pinned && !cache_lease_is_held(s->c, &v->root)))
		return 0;
	return err_set(e, ERR_BUSY, "another package is in use now");
}

static bool spared_is_current(void *arg)
{
	struct spared *s = arg;
	struct err ignored;

	return cache_db_versions(s->c->change_db, is_still_spared, s, &ignored) == 0;
}

static bool spared_has(void *arg, const struct pkg_digest *digest)
{
	const struct spared *s = arg;

	return cache_set_has(&s->chunks, digest);
}

/* ---- eviction --------------------------------------------------------------------------- */

static int evict(struct stream_cache *c, uint64_t keep_bytes, struct err *e)
{
	int rc = -1;

	for (int i = 0; i < EVICT_TRIES; i++) {
		struct spared s = { .c = c };
		const struct cache_spared spared = { spared_is_current, spared_has, &s };

		rc = gather_spared(&s, e);
		if (rc == 0) {
			sync_lock(&c->change_lock);
			rc = cache_db_evict(c->change_db, keep_bytes, &spared, e);
			sync_unlock(&c->change_lock);
		}
		spared_fini(&s);
		if (rc == 0 || e->code != ERR_BUSY)
			break;
	}
	return rc;
}

static void punch_hole(void *arg, uint64_t off, uint64_t len)
{
	struct stream_cache *c = arg;

	/* Where the file system cannot, the space stays taken; nothing else depends on it. */
	(void)fallocate(c->data_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
}

int cache_punch(struct stream_cache *c, struct err *e)
{
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_holes(c->change_db, punch_hole, c, e);
	sync_unlock(&c->change_lock);
	return rc;
}

bool cache_make_room(struct stream_cache *c, uint64_t unpublished, uint64_t len)
{
	const uint64_t wanted = unpublished + len;
	struct cache_totals totals;
	struct err ignored;
	uint64_t quota, keep;

	if (c->room >= len && c->room_quota == atomic_load(&c->quota)) {
		c->room -= len;
		return true;
	}
	c->room = 0;
	c->room_quota = atomic_load(&c->quota);
	if (cache_totals(c, &totals, &ignored) < 0)
		return true; /* the database is in trouble, and says so when it is written */
	quota = cache_quota(c, totals.bytes);
	if (wanted > quota)
		return false;
	if (totals.bytes + wanted > quota) {
		keep = (quota - wanted) / 10 * 9;
		if (evict(c, keep, &ignored) < 0 || cache_punch(c, &ignored) < 0 ||
		    cache_totals(c, &totals, &ignored) < 0)
			return false;
		if (!c->swept_ms || sync_now_ms() - c->swept_ms > SWEEP_EVERY_MS) {
			c->swept_ms = sync_now_ms();
			cache_forget_gone(c);
		}
	}
	if (totals.bytes + wanted > quota)
		return false;
	c->room = quota - totals.bytes - wanted;
	c->room = c->room < LOOK_EVERY ? c->room : LOOK_EVERY;
	return true;
}

/* ---- what nothing refers to ------------------------------------------------------------- */

/* Calls back for the old entries of a directory of ours. */
static void each_old(struct stream_cache *c, const char *name,
		     void (*fn)(struct stream_cache *c, int dirfd, const char *name))
{
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int fd = openat(c->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		fd_close(fd);
		return;
	}
	while ((d = readdir(dir))) {
		struct stat st;

		/* Young ones may be about to be referred to. */
		if (d->d_name[0] != '.' && fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime >= YOUNG_S)
			fn(c, fd, d->d_name);
	}
}

static void sweep_index(struct stream_cache *c, int dirfd, const char *name)
{
	struct pkg_digest digest;
	struct err ignored;
	bool is_used = false;

	if (pkg_digest_parse(name, &digest, &ignored) == 0) {
		sync_lock(&c->change_lock);
		if (cache_db_has_index(c->change_db, &digest, &is_used, &ignored) < 0)
			is_used = true;
		sync_unlock(&c->change_lock);
	}
	if (!is_used)
		(void)unlinkat(dirfd, name, 0);
}

/* Removed under its own lock, so that whoever waits for it notices. */
static void sweep_lease(struct stream_cache *c, int dirfd, const char *name)
{
	auto_fd int fd = openat(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	(void)c;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dirfd, name, 0);
}

static bool has_anything(struct stream_cache *c, const struct cache_known *known,
			 const struct cache_set *present)
{
	struct pkg_index_counts counts;
	struct pkg_index *index;
	bool found = false;
	struct err e;

	if (cache_known_index(c, known, &index, &e) < 0)
		return e.code != ERR_NOTFOUND;
	pkg_index_counts(index, &counts);
	for (uint32_t i = 0; !found && i < counts.chunks; i++) {
		struct pkg_chunk_info info;

		found = pkg_index_chunk(index, i, &info, &e) < 0 || cache_set_has(present, &info.digest);
	}
	pkg_index_close(index);
	return found || !counts.chunks;
}

void cache_forget_gone(struct stream_cache *c)
{
	auto_cache_known struct cache_known_list known = { 0 };
	auto_cache_set struct cache_set present = { 0 };
	struct err ignored;

	if (cache_known_read(c, &known, &ignored) < 0 || cache_present(c, &present, &ignored) < 0)
		return;
	for (size_t i = 0; i < known.count; i++) {
		const struct cache_known *k = known.list[i];

		if (k->is_pinned || time(NULL) - k->used_s < YOUNG_S || cache_lease_is_held(c, &k->root) ||
		    has_anything(c, k, &present))
			continue;
		sync_lock(&c->change_lock);
		(void)!cache_db_forget_version(c->change_db, &k->root, &ignored);
		sync_unlock(&c->change_lock);
	}
	each_old(c, "index", sweep_index);
	each_old(c, "use", sweep_lease);
}

/* ---- by hand ---------------------------------------------------------------------------- */

static uint64_t blocks_of(struct stream_cache *c)
{
	struct stat st;

	return fstat(c->data_fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

int stream_cache_gc(struct stream_cache *c, uint64_t keep_bytes, uint64_t *ret_freed, struct err *e)
{
	uint64_t before, after;
	struct err ignored;

	/* On a full disk gc is most wanted: go on whatever this says. */
	(void)!stream_cache_sync(c, &ignored);
	before = blocks_of(c);
	if (evict(c, keep_bytes, e) < 0 || cache_punch(c, e) < 0)
		return -1;
	cache_forget_gone(c);
	after = blocks_of(c);
	*ret_freed = before > after ? before - after : 0;
	return 0;
}
