/* SPDX-License-Identifier: Apache-2.0 */
/* Making a shared store; see cache.h.
 *
 * The new database is made beside the old one, in DIR/.new, by an ordinary cache whose chunks.dat is a second
 * name of the store's: it only grows there, at ranges that the old database does not refer to. When all is
 * durable the new database takes the old one's place. What an interrupted export leaves is removed by the
 * next. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "streaming/cache_store.h"

enum { STAGE_MODE = 0755, FILE_MODE = 0644, ROOM_WAIT_MS = 1000 };

struct export
{
	struct stream_cache *from, *to; /* `to` is owned */
	char *dir, *stage;              /* owned */
	int dir_fd, stage_fd, lock;
	const struct stream_cache_progress *progress;
	uint64_t all_bytes, done_bytes;
	struct stream_cache_export report;
	uint8_t *content; /* owned; PKG_CHUNK_MAX */
};

/* ---- the stage -------------------------------------------------------------------------- */

static int copy_database(struct export *x, struct err *e)
{
	auto_buf struct buf old = BUF_INIT(UINT64_C(1) << 32);

	if (fd_read_file(x->dir_fd, "cache.db", &old, e) < 0)
		return e->sys == ENOENT ? 0 : -1;
	return fd_write_file(x->stage_fd, "cache.db", old.data, old.len, FILE_MODE, e);
}

static int set_stage(struct export *x, struct err *e)
{
	if (path_make_dirs(x->dir, STAGE_MODE, e) < 0)
		return -1;
	x->dir_fd = open(x->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->dir_fd < 0)
		return err_sys(e, errno, "%s", x->dir);
	x->lock = openat(x->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (x->lock < 0)
		return err_sys(e, errno, "%s/lock", x->dir);
	if (flock(x->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_set(e, ERR_BUSY, "%s: somebody else writes there", x->dir)
					    : err_sys(e, errno, "%s/lock", x->dir);
	if (faccessat(x->dir_fd, "cache.db-wal", F_OK, 0) == 0 || faccessat(x->dir_fd, "use", F_OK, 0) == 0)
		return err_set(e, ERR_USAGE,
			       "%s: is a cache in use, not a shared store; give another directory", x->dir);
	if (path_remove_tree(x->dir_fd, ".new", e) < 0)
		return -1;
	if ((mkdirat(x->dir_fd, "index", STAGE_MODE) < 0 && errno != EEXIST) ||
	    mkdirat(x->dir_fd, ".new", 0700) < 0)
		return err_sys(e, errno, "%s", x->dir);
	x->stage_fd = openat(x->dir_fd, ".new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int data =
		openat(x->dir_fd, "chunks.dat", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (x->stage_fd < 0 || data < 0 || linkat(x->dir_fd, "chunks.dat", x->stage_fd, "chunks.dat", 0) < 0)
		return err_sys(e, errno, "%s", x->dir);
	if (copy_database(x, e) < 0 || stream_cache_open(x->stage, &x->to, e) < 0)
		return -1;
	stream_cache_limit(x->to, UINT64_MAX);
	return 0;
}

/* The new indexes first: nobody refers to them yet. */
static int move_indexes(struct export *x, struct err *e)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int fd = openat(x->stage_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		fd_close(fd);
		return err_sys(e, errno, "%s/index", x->stage);
	}
	while ((d = readdir(dir))) {
		char name[PKG_DIGEST_HEX + 8];

		if (d->d_name[0] == '.' || strlen(d->d_name) != PKG_DIGEST_HEX - 1)
			continue;
		(void)snprintf(name, sizeof(name), "index/%.64s", d->d_name);
		if (fchmodat(fd, d->d_name, FILE_MODE, 0) < 0 || renameat(fd, d->d_name, x->dir_fd, name) < 0)
			return err_sys(e, errno, "%s/%s", x->dir, name);
	}
	return 0;
}

static int sync_file(int dir_fd, const char *name, struct err *e)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_sys(e, errno, "%s", name) : 0;
}

static int publish(struct export *x, struct err *e)
{
	struct cache_db *db;
	int rc;

	stream_cache_close(x->to);
	x->to = NULL;
	if (cache_db_open(x->stage, &db, e) < 0)
		return -1;
	rc = cache_db_seal(db, e);
	cache_db_close(db);
	if (rc < 0 || move_indexes(x, e) < 0 || sync_file(x->stage_fd, "cache.db", e) < 0)
		return -1;
	/* Nothing happens here unless the old store was damaged and begun afresh. */
	if (fchmodat(x->stage_fd, "chunks.dat", FILE_MODE, 0) < 0 ||
	    renameat(x->stage_fd, "chunks.dat", x->dir_fd, "chunks.dat") < 0)
		return err_sys(e, errno, "%s/chunks.dat", x->dir);
	if (fchmodat(x->stage_fd, "cache.db", FILE_MODE, 0) < 0 ||
	    renameat(x->stage_fd, "cache.db", x->dir_fd, "cache.db") < 0 || fsync(x->dir_fd) < 0)
		return err_sys(e, errno, "%s/cache.db", x->dir);
	return 0;
}

static void export_fini(struct export *x)
{
	struct err ignored;

	stream_cache_close(x->to);
	if (x->stage_fd >= 0)
		(void)!path_remove_tree(x->dir_fd, ".new", &ignored);
	fd_close(x->stage_fd);
	fd_close(x->lock);
	fd_close(x->dir_fd);
	free(x->content);
	free(x->stage);
	free(x->dir);
}

/* ---- content ---------------------------------------------------------------------------- */

static int step(struct export *x, uint64_t bytes, struct err *e)
{
	x->done_bytes += bytes;
	if (x->progress && !x->progress->step(x->progress->arg, x->done_bytes, x->all_bytes))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	return 0;
}

static int copy_chunk(struct export *x, const struct pkg_chunk_info *info, struct err *e)
{
	struct err ignored;

	if (info->content_len > PKG_CHUNK_MAX)
		return err_set(e, ERR_FORMAT, "a chunk is larger than any can be");
	if (stream_cache_has(x->to, &info->digest))
		return step(x, info->content_len, e);
	if (stream_cache_get(x->from, &info->digest, x->content, info->content_len, &ignored) < 0) {
		x->report.lacking++;
		return step(x, info->content_len, e);
	}
	while (!stream_cache_wait_room(x->to, ROOM_WAIT_MS)) /* a disk that is full says so here */
		if (stream_cache_sync(x->to, e) < 0)
			return -1;
	stream_cache_put(x->to, &info->digest,
			 &(struct stream_cache_content){ .data = x->content, .len = info->content_len }, 0);
	x->report.chunks++;
	x->report.bytes += info->content_len;
	return step(x, info->content_len, e);
}

static int remember(struct export *x, const struct cache_known *k, struct pkg_index *index, struct err *e)
{
	const struct pkg_manifest *m = pkg_index_manifest(index);
	auto_buf struct buf stored = BUF_INIT(PKG_INDEX_STORED_MAX);
	struct pkg_index_counts counts;

	pkg_index_counts(index, &counts);
	if (cache_read_index(x->from, &k->index, &stored, e) < 0)
		return -1;
	if (stream_cache_save_package(x->to, k->source, "", k->header, stored.data, stored.len, e) < 0)
		return -1;
	return stream_cache_note_package(x->to, &k->root, m->name, m->version, counts.content_bytes, e);
}

static int copy_package(struct export *x, const struct cache_known *k, struct pkg_index *index, struct err *e)
{
	struct pkg_index_counts counts;
	int rc = 0;

	pkg_index_counts(index, &counts);
	for (uint32_t i = 0; i < counts.chunks && rc == 0; i++) {
		struct pkg_chunk_info info;

		rc = pkg_index_chunk(index, i, &info, e);
		if (rc == 0)
			rc = copy_chunk(x, &info, e);
	}
	x->report.packages++;
	return rc < 0 ? -1 : remember(x, k, index, e);
}

/* ---- which packages --------------------------------------------------------------------- */

static bool is_wanted(const struct cache_known *k, const struct pkg_digest *roots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pkg_digest_equal(&roots[i], &k->root))
			return true;
	return !count;
}

/* Twice: to know how much there is, and to copy it. */
static int each_wanted(struct export *x, const struct cache_known_list *known, const struct pkg_digest *roots,
		       size_t count, bool copies, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < known->count && rc == 0; i++) {
		const struct cache_known *k = known->list[i];
		struct pkg_index_counts counts;
		struct pkg_index *index;

		if (!is_wanted(k, roots, count))
			continue;
		if (cache_known_index(x->from, k, &index, e) < 0) {
			if (e->code == ERR_NOTFOUND && !count)
				continue;
			return err_wrap(e, "%s", *k->name ? k->name : k->source);
		}
		pkg_index_counts(index, &counts);
		x->all_bytes += copies ? 0 : counts.content_bytes;
		if (copies)
			rc = copy_package(x, k, index, e);
		pkg_index_close(index);
	}
	return rc;
}

int stream_cache_export(struct stream_cache *c, const char *dir, const struct pkg_digest *roots, size_t count,
			const struct stream_cache_progress *progress, struct stream_cache_export *ret,
			struct err *e)
{
	struct export x = { .from = c, .dir_fd = -1, .stage_fd = -1, .lock = -1, .progress = progress };
	auto_cache_known struct cache_known_list known = { 0 };
	int rc = -1;

	x.dir = mem_strdup(dir, e);
	x.stage = x.dir ? path_join(dir, ".new", e) : NULL;
	x.content = x.stage ? mem_alloc(PKG_CHUNK_MAX, 1, e) : NULL;
	if (x.content && cache_known_read(c, &known, e) == 0 &&
	    each_wanted(&x, &known, roots, count, false, e) == 0 && set_stage(&x, e) == 0)
		rc = each_wanted(&x, &known, roots, count, true, e);
	if (rc == 0)
		rc = stream_cache_sync(x.to, e);
	if (rc == 0)
		rc = publish(&x, e);
	export_fini(&x);
	if (rc < 0)
		return err_wrap(e, "shared store %s", dir);
	*ret = x.report;
	return 0;
}
