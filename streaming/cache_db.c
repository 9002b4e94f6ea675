/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's database: chunks, and the space in chunks.dat; see cache_db.h. */
#include "streaming/cache_sql.h"

#include <string.h>

/* ---- chunks ----------------------------------------------------------------------------- */

int cache_db_find(struct cache_db *db, const struct pkg_digest *digest, struct cache_row *ret, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_FIND, e);
	uint64_t off, len;
	int rc;

	if (!s)
		return -1;
	cache_sql_bind_digest(s, 1, digest);
	rc = sqlite3_step(s);
	if (rc != SQLITE_ROW) {
		rc = rc == SQLITE_DONE ? err_set(e, ERR_NOTFOUND, "not in the cache")
				       : cache_sql_error(db, e);
	} else if (!cache_sql_place(s, 0, &off, &len) || len > UINT32_MAX) {
		rc = err_set(e, ERR_NOTFOUND, "not in the cache");
	} else {
		*ret = (struct cache_row){ *digest, off, (uint32_t)len, sqlite3_column_int64(s, 2) };
		rc = 0;
	}
	(void)sqlite3_reset(s);
	return rc;
}

void cache_db_mark(struct cache_db *db, const struct pkg_digest *digests, size_t count, bool *ret)
{
	struct cache_row row;
	struct err ignored;
	/* One look at the state for all of them. */
	bool is_begun = count > 1 && cache_sql_run(db, "BEGIN", &ignored) == 0;

	for (size_t i = 0; i < count; i++)
		if (!ret[i])
			ret[i] = cache_db_find(db, &digests[i], &row, &ignored) == 0;
	if (is_begun)
		(void)!cache_sql_finish(db, 0, &ignored);
}

int cache_db_drop_wrong(struct cache_db *db, const struct cache_row *row, struct err *e)
{
	sqlite3_stmt *drop, *count;
	int rc;

	if (cache_sql_begin(db, e) < 0)
		return -1;
	drop = cache_sql_use(db, CACHE_DROP, e);
	count = cache_sql_use(db, CACHE_COUNT_WRONG, e);
	rc = drop && count ? 0 : -1;
	if (rc == 0) {
		cache_sql_bind_digest(drop, 1, &row->digest);
		(void)sqlite3_bind_int64(drop, 2, (int64_t)row->off);
		rc = cache_sql_done(db, drop, e);
	}
	if (rc == 0 && sqlite3_changes(db->sql))
		rc = cache_sql_done(db, count, e);
	return cache_sql_finish(db, rc, e);
}

int cache_db_touch(struct cache_db *db, const struct pkg_digest *digests, size_t count, struct err *e)
{
	int rc = 0;

	if (cache_sql_begin(db, e) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++) {
		sqlite3_stmt *s = cache_sql_use(db, CACHE_TOUCH, e);

		if (!s) {
			rc = -1;
			break;
		}
		cache_sql_bind_digest(s, 1, &digests[i]);
		(void)sqlite3_bind_int64(s, 2, cache_sql_now_s());
		rc = cache_sql_done(db, s, e);
	}
	return cache_sql_finish(db, rc, e);
}

/* ---- space ------------------------------------------------------------------------------ */

int cache_sql_space(struct cache_db *db, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_SPACE, e);
	int64_t space = -1;

	if (!s)
		return -1;
	if (sqlite3_step(s) == SQLITE_ROW)
		space = sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	if (space < 0 || space % CACHE_PAGE || (uint64_t)space > CACHE_SPACE_MAX) {
		cache_sql_damaged(db);
		return err_set(e, ERR_FORMAT, "%s/cache.db: used up or damaged; a new one is made next time",
			       db->dir);
	}
	*ret = (uint64_t)space;
	return 0;
}

int cache_sql_expire(struct cache_db *db, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_EXPIRE, e);

	if (!s)
		return -1;
	(void)sqlite3_bind_int64(s, 1, cache_sql_now_s() - CACHE_RESERVATION_S);
	(void)sqlite3_bind_int64(s, 2, cache_sql_now_s() + CACHE_RESERVATION_S); /* the clock was put back */
	return cache_sql_done(db, s, e);
}

static int reserve_here(struct cache_db *db, uint64_t len, uint64_t *ret_off, struct err *e)
{
	sqlite3_stmt *s;

	if (cache_sql_expire(db, e) < 0 || cache_sql_space(db, ret_off, e) < 0 ||
	    !(s = cache_sql_use(db, CACHE_SPACE_SET, e)))
		return -1;
	(void)sqlite3_bind_int64(s, 1, (int64_t)(*ret_off + len));
	if (cache_sql_done(db, s, e) < 0 || !(s = cache_sql_use(db, CACHE_RESERVE, e)))
		return -1;
	(void)sqlite3_bind_int64(s, 1, (int64_t)*ret_off);
	(void)sqlite3_bind_int64(s, 2, (int64_t)len);
	(void)sqlite3_bind_int64(s, 3, cache_sql_now_s());
	return cache_sql_done(db, s, e);
}

int cache_db_reserve(struct cache_db *db, uint64_t len, uint64_t *ret_off, int64_t *ret_id, struct err *e)
{
	uint64_t off;

	if (cache_sql_begin(db, e) < 0)
		return -1;
	if (cache_sql_finish(db, reserve_here(db, (len + CACHE_PAGE - 1) / CACHE_PAGE * CACHE_PAGE, &off, e),
			     e) < 0)
		return -1;
	*ret_off = off;
	*ret_id = sqlite3_last_insert_rowid(db->sql);
	return 0;
}

static int unreserve(struct cache_db *db, int64_t id, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_UNRESERVE, e);

	if (!s)
		return -1;
	(void)sqlite3_bind_int64(s, 1, id);
	return cache_sql_done(db, s, e);
}

int cache_db_release(struct cache_db *db, int64_t reservation, struct err *e)
{
	return unreserve(db, reservation, e);
}

/* What was not used of the reservation, if it still is the last one. */
static int give_space_back(struct cache_db *db, int64_t reservation, const struct cache_row *last,
			   struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_SPACE_BACK, e);
	uint64_t end = last->off + (last->len + CACHE_PAGE - 1) / CACHE_PAGE * CACHE_PAGE;

	if (!s)
		return -1;
	(void)sqlite3_bind_int64(s, 1, reservation);
	(void)sqlite3_bind_int64(s, 2, (int64_t)end);
	return cache_sql_done(db, s, e);
}

int cache_db_commit(struct cache_db *db, int64_t reservation, const struct cache_row *rows, size_t count,
		    struct err *e)
{
	int rc = 0;

	if (cache_sql_begin(db, e) < 0)
		return -1;
	if (count)
		rc = give_space_back(db, reservation, &rows[count - 1], e);
	if (rc == 0)
		rc = unreserve(db, reservation, e);
	if (rc == 0 && sqlite3_changes(db->sql) != 1)
		rc = err_set(e, ERR_BUSY, "the reservation has expired");
	for (size_t i = 0; i < count && rc == 0; i++) {
		sqlite3_stmt *s = cache_sql_use(db, CACHE_INSERT, e);

		if (!s) {
			rc = -1;
			break;
		}
		cache_sql_bind_digest(s, 1, &rows[i].digest);
		(void)sqlite3_bind_int64(s, 2, (int64_t)rows[i].off);
		(void)sqlite3_bind_int64(s, 3, rows[i].len);
		(void)sqlite3_bind_int64(s, 4, cache_sql_now_s());
		rc = cache_sql_done(db, s, e);
	}
	return cache_sql_finish(db, rc, e);
}
