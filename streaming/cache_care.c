/* SPDX-License-Identifier: Apache-2.0 */
/* Status, verification and eviction of the chunk cache; see cache.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/fd.h"
#include "streaming/cache_store.h"

enum { ROWS = 256, TEMPORARY_AGE_S = 3600 };
#define QUOTA_MAX (UINT64_C(20) << 30)

static uint64_t blocks_of(struct stream_cache *c)
{
	struct stat st;

	return fstat(c->data_fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

int stream_cache_status(struct stream_cache *c, struct stream_cache_status *ret, struct err *e)
{
	struct cache_totals totals;
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_totals(c->change_db, &totals, e);
	sync_unlock(&c->change_lock);
	if (rc < 0)
		return -1;
	*ret = (struct stream_cache_status){
		.chunks = totals.chunks,
		.bytes = totals.bytes,
		.file_bytes = blocks_of(c),
		.wrong = totals.wrong,
		.packages = totals.packages,
	};
	return 0;
}

static int verify_rows(struct stream_cache *c, const struct cache_row *rows, size_t count, uint8_t *content,
		       uint64_t *ret_wrong, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct cache_row again;
		int rc;

		if (rows[i].len <= PKG_CHUNK_MAX && cache_read_row(c, &rows[i], content))
			continue;
		sync_lock(&c->change_lock);
		rc = cache_db_find(c->change_db, &rows[i].digest, &again, e);
		if (rc == 0 && again.off == rows[i].off) { /* else evicted meanwhile */
			(*ret_wrong)++;
			rc = cache_db_drop_wrong(c->change_db, &rows[i], e);
		} else if (e->code == ERR_NOTFOUND) {
			rc = 0;
		}
		sync_unlock(&c->change_lock);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int stream_cache_verify(struct stream_cache *c, uint64_t *ret_checked, uint64_t *ret_wrong, struct err *e)
{
	auto_free struct cache_row *rows = mem_alloc(ROWS, sizeof(*rows), e);
	auto_free uint8_t *content = mem_alloc(PKG_CHUNK_MAX, 1, e);
	uint64_t checked = 0, wrong = 0;
	struct pkg_digest after;
	size_t count = 0;
	int rc;

	if (!rows || !content || stream_cache_sync(c, e) < 0)
		return -1;
	sync_lock(&c->change_lock);
	rc = cache_db_check(c->change_db, e);
	sync_unlock(&c->change_lock);
	while (rc == 0) {
		sync_lock(&c->change_lock);
		rc = cache_db_list(c->change_db, checked ? &after : NULL, rows, ROWS, &count, e);
		sync_unlock(&c->change_lock);
		if (rc < 0 || !count)
			break;
		after = rows[count - 1].digest;
		checked += count;
		rc = verify_rows(c, rows, count, content, &wrong, e);
	}
	if (rc < 0)
		return -1;
	*ret_checked = checked;
	*ret_wrong = wrong;
	return 0;
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

/* Removes indexes that no source refers to, and what killed processes left half-written. */
static void sweep_indexes(struct stream_cache *c)
{
	int fd = openat(c->dir_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (!dir) {
		fd_close(fd);
		return;
	}
	while ((d = readdir(dir))) {
		struct pkg_digest digest;
		struct err ignored;
		bool is_used = false;
		struct stat st;

		/* Young ones may be about to be referred to. */
		if (d->d_name[0] == '.' || fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    time(NULL) - st.st_mtime < TEMPORARY_AGE_S)
			continue;
		if (pkg_digest_parse(d->d_name, &digest, &ignored) == 0) {
			sync_lock(&c->change_lock);
			if (cache_db_has_index(c->change_db, &digest, &is_used, &ignored) < 0)
				is_used = true;
			sync_unlock(&c->change_lock);
		}
		if (!is_used)
			(void)unlinkat(fd, d->d_name, 0);
	}
	(void)closedir(dir);
}

int stream_cache_gc(struct stream_cache *c, uint64_t keep_bytes, uint64_t *ret_freed, struct err *e)
{
	uint64_t before, after;
	struct err ignored;
	int rc;

	/* On a full disk gc is most wanted: go on whatever this says. */
	if (stream_cache_sync(c, &ignored) < 0)
		ignored.code = ERR_NONE;
	before = blocks_of(c);
	sync_lock(&c->change_lock);
	rc = cache_db_evict(c->change_db, keep_bytes, e);
	sync_unlock(&c->change_lock);
	if (rc < 0 || cache_punch(c, e) < 0)
		return -1;
	sweep_indexes(c);
	after = blocks_of(c);
	*ret_freed = before > after ? before - after : 0;
	return 0;
}

void cache_trim(struct stream_cache *c)
{
	struct cache_totals totals;
	struct statvfs disk;
	uint64_t quota = QUOTA_MAX, spare;
	struct err ignored;
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_totals(c->change_db, &totals, &ignored);
	sync_unlock(&c->change_lock);
	if (rc < 0)
		return;
	/* Never more than half of what would be free without us. */
	if (fstatvfs(c->dir_fd, &disk) == 0) {
		spare = ((uint64_t)disk.f_bavail * disk.f_frsize + totals.bytes) / 2;
		quota = spare < quota ? spare : quota;
	}
	if (totals.bytes <= quota)
		return;
	sync_lock(&c->change_lock);
	rc = cache_db_evict(c->change_db, quota / 10 * 9, &ignored);
	sync_unlock(&c->change_lock);
	if (rc == 0)
		(void)cache_punch(c, &ignored);
}
