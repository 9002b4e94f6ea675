/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's database looked over as a whole; see cache_db.h. */
#include "streaming/cache_sql.h"

#include <string.h>

int cache_db_totals(struct cache_db *db, struct cache_totals *ret, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_TOTALS, e);

	if (!s)
		return -1;
	if (sqlite3_step(s) != SQLITE_ROW) {
		(void)cache_sql_error(db, e);
		(void)sqlite3_reset(s);
		return -1;
	}
	ret->chunks = (uint64_t)sqlite3_column_int64(s, 0);
	ret->bytes = (uint64_t)sqlite3_column_int64(s, 1);
	ret->wrong = (uint64_t)sqlite3_column_int64(s, 2);
	ret->packages = (uint64_t)sqlite3_column_int64(s, 3);
	(void)sqlite3_reset(s);
	return 0;
}

int cache_db_list(struct cache_db *db, const struct pkg_digest *after, struct cache_row *ret, size_t cap,
		  size_t *ret_count, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_LIST, e);
	size_t n = 0;
	int rc;

	if (!s)
		return -1;
	if (after)
		cache_sql_bind_digest(s, 1, after);
	else
		(void)sqlite3_bind_zeroblob(s, 1, 0);
	(void)sqlite3_bind_int64(s, 2, (int64_t)cap);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t len;

		if (!cache_sql_digest(s, 0, &ret[n].digest) || !cache_sql_place(s, 1, &ret[n].off, &len) ||
		    len > UINT32_MAX) {
			(void)sqlite3_reset(s);
			cache_sql_damaged(db);
			return err_set(e, ERR_FORMAT, "%s/cache.db: a row makes no sense", db->dir);
		}
		ret[n].len = (uint32_t)len;
		ret[n].used_s = sqlite3_column_int64(s, 3);
		n++;
	}
	rc = rc == SQLITE_DONE ? 0 : cache_sql_error(db, e);
	(void)sqlite3_reset(s);
	*ret_count = n;
	return rc;
}

/* Chooses the victims: the oldest rows that together make up `excess`. */
static int choose(struct cache_db *db, uint64_t excess, const struct cache_spared *spared,
		  struct buf *victims, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_OLDEST, e);
	struct cache_row row = { 0 };
	int rc = SQLITE_DONE;

	if (!s)
		return -1;
	while (excess && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t len = 0;

		if (!cache_sql_digest(s, 0, &row.digest) || !cache_sql_place(s, 1, &row.off, &len) ||
		    spared->has(spared->arg, &row.digest))
			continue;
		if (buf_add(victims, &row, sizeof(row), e) < 0) {
			(void)sqlite3_reset(s);
			return -1;
		}
		excess = excess > len ? excess - len : 0;
	}
	rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : cache_sql_error(db, e);
	(void)sqlite3_reset(s);
	return rc;
}

static int drop(struct cache_db *db, const struct cache_row *row, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_DROP, e);

	if (!s)
		return -1;
	cache_sql_bind_digest(s, 1, &row->digest);
	(void)sqlite3_bind_int64(s, 2, (int64_t)row->off);
	return cache_sql_done(db, s, e);
}

int cache_db_evict(struct cache_db *db, uint64_t keep_bytes, const struct cache_spared *spared, struct err *e)
{
	auto_buf struct buf victims = BUF_INIT((size_t)1 << 30);
	struct cache_totals totals;
	struct err ignored;
	int rc;

	/* Durable, unlike other changes: the bytes are about to go, and rows must not come back without them.
	 */
	if (cache_sql_run(db, "PRAGMA synchronous=FULL", e) < 0 || cache_sql_begin(db, e) < 0)
		return -1;
	rc = spared->is_current(spared->arg) ? 0 : err_set(e, ERR_BUSY, "packages in use have changed");
	if (rc == 0)
		rc = cache_db_totals(db, &totals, e);
	if (rc == 0 && totals.bytes > keep_bytes)
		rc = choose(db, totals.bytes - keep_bytes, spared, &victims, e);
	for (size_t at = 0; at < victims.len && rc == 0; at += sizeof(struct cache_row)) {
		struct cache_row row;

		memcpy(&row, victims.data + at, sizeof(row));
		rc = drop(db, &row, e);
	}
	rc = cache_sql_finish(db, rc, e);
	return cache_sql_run(db, "PRAGMA synchronous=NORMAL", rc < 0 ? &ignored : e) < 0 ? -1 : rc;
}

int cache_db_holes(struct cache_db *db, cache_hole_fn *fn, void *arg, struct err *e)
{
	uint64_t at = 0, space = 0;
	sqlite3_stmt *s = NULL;
	int rc;

	/* In one transaction, so that rows, reservations and the end belong together. */
	if (cache_sql_begin(db, e) < 0)
		return -1;
	rc = cache_sql_expire(db, e) < 0 || cache_sql_space(db, &space, e) < 0 ||
			     !(s = cache_sql_use(db, CACHE_REFERENCED, e))
		     ? -1
		     : 0;
	while (rc == 0) {
		uint64_t off, len;
		int step = sqlite3_step(s);

		if (step != SQLITE_ROW) {
			rc = step == SQLITE_DONE ? 0 : cache_sql_error(db, e);
			break;
		}
		if (!cache_sql_place(s, 0, &off, &len))
			continue;
		if (off > at)
			fn(arg, at, off - at);
		len = (len + CACHE_PAGE - 1) / CACHE_PAGE * CACHE_PAGE;
		if (off + len > at)
			at = off + len;
	}
	if (s)
		(void)sqlite3_reset(s);
	if (rc == 0 && space > at)
		fn(arg, at, space - at);
	return cache_sql_finish(db, rc, e);
}

int cache_db_check(struct cache_db *db, struct err *e)
{
	sqlite3_stmt *s = NULL;
	bool ok = false;

	if (sqlite3_prepare_v2(db->sql, "PRAGMA integrity_check(1)", -1, &s, NULL) != SQLITE_OK)
		return cache_sql_error(db, e);
	if (sqlite3_step(s) == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(s, 0);

		ok = text && strcmp((const char *)text, "ok") == 0;
	}
	(void)sqlite3_finalize(s);
	if (ok)
		return 0;
	cache_sql_damaged(db);
	return err_set(e, ERR_FORMAT, "%s/cache.db: damaged; a new one is made next time", db->dir);
}
