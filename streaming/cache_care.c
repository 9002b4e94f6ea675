/* SPDX-License-Identifier: Apache-2.0 */
/* Status and verification of the chunk cache; see cache.h. */
#include <string.h>
#include <sys/stat.h>

#include "streaming/cache_store.h"

enum { ROWS = 256 };

int stream_cache_status(struct stream_cache *c, struct stream_cache_status *ret, struct err *e)
{
	struct cache_totals totals;
	struct stat st;

	if (cache_totals(c, &totals, e) < 0)
		return -1;
	*ret = (struct stream_cache_status){
		.chunks = totals.chunks,
		.bytes = totals.bytes,
		.file_bytes = fstat(c->data_fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0,
		.wrong = totals.wrong,
		.packages = totals.packages,
		.quota_bytes = cache_quota(c, totals.bytes),
		.shared = c->shared ? cache_shared_dir(c->shared) : NULL,
	};
	return 0;
}

/* ---- packages --------------------------------------------------------------------------- */

int cache_present(struct stream_cache *c, struct cache_set *ret, struct err *e)
{
	auto_free struct cache_row *rows = mem_alloc(ROWS, sizeof(*rows), e);
	struct pkg_digest after;
	bool is_first = true;
	size_t count = 0;
	int rc = rows ? 0 : -1;

	while (rc == 0) {
		sync_lock(&c->change_lock);
		rc = cache_db_list(c->change_db, is_first ? NULL : &after, rows, ROWS, &count, e);
		sync_unlock(&c->change_lock);
		if (rc < 0 || !count)
			break;
		after = rows[count - 1].digest;
		is_first = false;
		for (size_t i = 0; i < count && rc == 0; i++)
			rc = cache_set_add(ret, &rows[i].digest, e);
	}
	return rc;
}

/* A package may have a chunk twice: it is counted once. */
static int count_bytes(struct stream_cache *c, struct pkg_index *index, const struct cache_set *present,
		       struct stream_cache_package *p, struct err *e)
{
	auto_cache_set struct cache_set seen = { 0 };
	struct pkg_index_counts counts;

	pkg_index_counts(index, &counts);
	for (uint32_t i = 0; i < counts.chunks; i++) {
		struct pkg_chunk_info info;

		if (pkg_index_chunk(index, i, &info, e) < 0)
			return -1;
		if (cache_set_has(&seen, &info.digest))
			continue;
		if (cache_set_add(&seen, &info.digest, e) < 0)
			return -1;
		p->bytes += info.content_len;
		if (cache_set_has(present, &info.digest))
			p->present_bytes += info.content_len;
		else if (c->shared && cache_shared_has(c->shared, &info.digest))
			p->shared_bytes += info.content_len;
	}
	return 0;
}

static int show_package(struct stream_cache *c, const struct cache_known *k, const struct cache_set *present,
			stream_cache_package_fn *fn, void *arg, struct err *e)
{
	struct stream_cache_package p = {
		.root = k->root,
		.name = k->name,
		.version = k->version,
		.source = k->source,
		.is_pinned = k->is_pinned,
		.is_used = cache_lease_is_held(c, &k->root),
		.used_s = k->used_s,
	};
	struct pkg_index *index = NULL;
	int rc = cache_known_index(c, k, &index, e);

	if (rc < 0 && e->code != ERR_NOTFOUND)
		return -1;
	p.is_known = rc == 0;
	if (p.is_known && !*p.name) {
		p.name = pkg_index_manifest(index)->name;
		p.version = pkg_index_manifest(index)->version;
	}
	rc = p.is_known ? count_bytes(c, index, present, &p, e) : 0;
	if (rc == 0)
		rc = fn(arg, &p, e);
	pkg_index_close(index);
	return rc;
}

int stream_cache_packages(struct stream_cache *c, stream_cache_package_fn *fn, void *arg, struct err *e)
{
	auto_cache_known struct cache_known_list known = { 0 };
	auto_cache_set struct cache_set present = { 0 };
	int rc = 0;

	if (cache_known_read(c, &known, e) < 0 || cache_present(c, &present, e) < 0)
		return -1;
	for (size_t i = 0; i < known.count && rc == 0; i++)
		rc = show_package(c, known.list[i], &present, fn, arg, e);
	return rc;
}

/* ---- verification ----------------------------------------------------------------------- */

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

int stream_cache_verify(struct stream_cache *c, const struct stream_cache_progress *progress,
			uint64_t *ret_checked, uint64_t *ret_wrong, struct err *e)
{
	auto_free struct cache_row *rows = mem_alloc(ROWS, sizeof(*rows), e);
	auto_free uint8_t *content = mem_alloc(PKG_CHUNK_MAX, 1, e);
	uint64_t checked = 0, wrong = 0, done = 0;
	struct cache_totals totals;
	struct pkg_digest after;
	size_t count = 0;
	int rc;

	if (!rows || !content || stream_cache_sync(c, e) < 0)
		return -1;
	sync_lock(&c->change_lock);
	rc = cache_db_check(c->change_db, e);
	sync_unlock(&c->change_lock);
	if (rc == 0)
		rc = cache_totals(c, &totals, e);
	while (rc == 0) {
		sync_lock(&c->change_lock);
		rc = cache_db_list(c->change_db, checked ? &after : NULL, rows, ROWS, &count, e);
		sync_unlock(&c->change_lock);
		if (rc < 0 || !count)
			break;
		after = rows[count - 1].digest;
		checked += count;
		rc = verify_rows(c, rows, count, content, &wrong, e);
		for (size_t i = 0; i < count; i++)
			done += rows[i].len;
		if (rc == 0 && progress && !progress->step(progress->arg, done, totals.bytes))
			rc = err_set(e, ERR_INTERRUPTED, "interrupted");
	}
	if (rc < 0)
		return -1;
	*ret_checked = checked;
	*ret_wrong = wrong;
	return 0;
}
