/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's database: what is known of packages; see cache_db.h. */
#include "streaming/cache_sql.h"

#include <string.h>

static int save_source(struct cache_db *db, const struct cache_source *source, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_SOURCE_SET, e);

	if (!s)
		return -1;
	(void)sqlite3_bind_text(s, 1, source->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 2, source->identity, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 3, source->header, (int)source->header_len, SQLITE_STATIC);
	cache_sql_bind_digest(s, 4, &source->index);
	(void)sqlite3_bind_int64(s, 5, cache_sql_now_s());
	return cache_sql_done(db, s, e);
}

static int save_version(struct cache_db *db, const struct cache_source *source, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_VERSION_SAVE, e);

	if (!s)
		return -1;
	cache_sql_bind_digest(s, 1, source->root);
	(void)sqlite3_bind_int64(s, 2, cache_sql_now_s());
	(void)sqlite3_bind_text(s, 3, source->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 4, source->header, (int)source->header_len, SQLITE_STATIC);
	cache_sql_bind_digest(s, 5, &source->index);
	return cache_sql_done(db, s, e);
}

int cache_db_save_package(struct cache_db *db, const struct cache_source *source, struct err *e)
{
	int rc;

	if (cache_sql_begin(db, e) < 0)
		return -1;
	rc = save_source(db, source, e);
	if (rc == 0 && source->root)
		rc = save_version(db, source, e);
	return cache_sql_finish(db, rc, e);
}

int cache_db_load_package(struct cache_db *db, const char *source, char *identity, size_t identity_cap,
			  void *header, size_t header_len, struct pkg_digest *index, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_SOURCE_GET, e);
	const unsigned char *text;
	int rc;

	if (!s)
		return -1;
	(void)sqlite3_bind_text(s, 1, source, -1, SQLITE_STATIC);
	rc = sqlite3_step(s);
	if (rc != SQLITE_ROW) {
		rc = rc == SQLITE_DONE ? err_set(e, ERR_NOTFOUND, "not in the cache")
				       : cache_sql_error(db, e);
	} else if (!(text = sqlite3_column_text(s, 0)) ||
		   (size_t)sqlite3_column_bytes(s, 0) >= identity_cap || !sqlite3_column_blob(s, 1) ||
		   (size_t)sqlite3_column_bytes(s, 1) != header_len || !cache_sql_digest(s, 2, index)) {
		rc = err_set(e, ERR_NOTFOUND, "not in the cache");
	} else {
		(void)snprintf(identity, identity_cap, "%s", (const char *)text);
		memcpy(header, sqlite3_column_blob(s, 1), header_len);
		rc = 0;
	}
	(void)sqlite3_reset(s);
	return rc;
}

int cache_db_has_index(struct cache_db *db, const struct pkg_digest *index, bool *ret, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_INDEX_USED, e);
	int rc;

	if (!s)
		return -1;
	cache_sql_bind_digest(s, 1, index);
	rc = sqlite3_step(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return cache_sql_error(db, e);
	*ret = rc == SQLITE_ROW;
	(void)sqlite3_reset(s);
	return 0;
}

int cache_db_note_version(struct cache_db *db, const struct pkg_digest *root, const char *name,
			  const char *version, uint64_t content_bytes, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_VERSION_NOTE, e);

	if (!s)
		return -1;
	cache_sql_bind_digest(s, 1, root);
	(void)sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 3, version, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 4, (int64_t)content_bytes);
	(void)sqlite3_bind_int64(s, 5, cache_sql_now_s());
	return cache_sql_done(db, s, e);
}

/* `statement` with the root digest and a number. */
static int change_version(struct cache_db *db, enum cache_statement statement, const struct pkg_digest *root,
			  int64_t number, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, statement, e);

	if (!s)
		return -1;
	cache_sql_bind_digest(s, 1, root);
	if (sqlite3_bind_parameter_count(s) > 1)
		(void)sqlite3_bind_int64(s, 2, number);
	return cache_sql_done(db, s, e);
}

int cache_db_use_version(struct cache_db *db, const struct pkg_digest *root, struct err *e)
{
	return change_version(db, CACHE_VERSION_USE, root, cache_sql_now_s(), e);
}

int cache_db_pin_version(struct cache_db *db, const struct pkg_digest *root, bool is_pinned, struct err *e)
{
	if (change_version(db, CACHE_VERSION_PIN, root, is_pinned, e) < 0)
		return -1;
	return sqlite3_changes(db->sql) ? 0
					: err_set(e, ERR_NOTFOUND, "the cache does not know that package");
}

int cache_db_forget_version(struct cache_db *db, const struct pkg_digest *root, struct err *e)
{
	int rc;

	if (cache_sql_begin(db, e) < 0)
		return -1;
	rc = change_version(db, CACHE_SOURCE_DROP, root, 0, e);
	if (rc == 0)
		rc = change_version(db, CACHE_VERSION_DROP, root, 0, e);
	return cache_sql_finish(db, rc, e);
}

static const char *text_at(sqlite3_stmt *s, int at)
{
	const unsigned char *text = sqlite3_column_text(s, at);

	return text ? (const char *)text : "";
}

int cache_db_versions(struct cache_db *db, cache_version_fn *fn, void *arg, struct err *e)
{
	sqlite3_stmt *s = cache_sql_use(db, CACHE_VERSIONS, e);
	int rc = 0, step = SQLITE_DONE;

	if (!s)
		return -1;
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct cache_version v = {
			.name = text_at(s, 1),
			.version = text_at(s, 2),
			.source = text_at(s, 3),
			.header = sqlite3_column_blob(s, 4),
			.header_len = (size_t)sqlite3_column_bytes(s, 4),
			.is_pinned = sqlite3_column_int(s, 6) != 0,
			.used_s = sqlite3_column_int64(s, 7),
		};

		if (!cache_sql_digest(s, 0, &v.root))
			continue;
		if (!cache_sql_digest(s, 5, &v.index))
			v.header_len = 0;
		rc = fn(arg, &v, e);
	}
	if (rc == 0 && step != SQLITE_DONE)
		rc = cache_sql_error(db, e);
	(void)sqlite3_reset(s);
	return rc;
}
