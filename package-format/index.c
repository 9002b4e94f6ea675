/* SPDX-License-Identifier: Apache-2.0 */
/* The index as SQLite sees it: opening, hardening, statements and closing; see index.h.
 * The questions themselves are in index_query.c.
 *
 * The signature says who made the database, not that its maker was careful, so SQLite runs without
 * views, triggers, extensions and trust in the schema, the schema must be word for word ours, and each
 * column is checked for type and range where it is read. Damage is ERR_FORMAT, never a crash.
 *
 * SQLite reads through index_vfs.c from the compressed frames (index_frames.c); it keeps a mebibyte of pages,
 * and they half a mebibyte: the cost of opening and the memory do not grow with the number of files. */
#include "package-format/index_db.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "package-format/header.h"
#include "package-format/index_schema.h"

#define INODE_COLUMNS "i.ino,i.mode,i.uid,i.gid,i.nlink,i.size,i.mtime_s,i.mtime_ns,i.rdev"

static const char *const statement_sql[Q_COUNT] = {
	[Q_STAT] = "SELECT " INODE_COLUMNS " FROM inode i WHERE i.ino=?1",
	[Q_LOOKUP] = "SELECT " INODE_COLUMNS " FROM entry e CROSS JOIN inode i ON i.ino=e.ino "
		     "WHERE e.parent=?1 AND e.name=?2",
	[Q_LIST] = "SELECT e.ino,i.mode,e.cookie,e.name FROM entry e INDEXED BY entry_cookie "
		   "CROSS JOIN inode i ON i.ino=e.ino WHERE e.parent=?1 AND e.cookie>?2 "
		   "ORDER BY e.cookie LIMIT ?3",
	[Q_PARENT] = "SELECT parent FROM inode WHERE ino=?1",
	[Q_READLINK] = "SELECT symlink FROM inode WHERE ino=?1",
	/* Extents do not overlap, so only the last one that begins at or before ?2 can reach into it. */
	[Q_EXTENTS] = "SELECT file_off,len,chunk,chunk_off FROM extent WHERE ino=?1 AND file_off<?3 AND "
		      "file_off>=ifnull((SELECT max(file_off) FROM extent WHERE ino=?1 AND file_off<=?2),0) "
		      "ORDER BY file_off",
	[Q_CHUNK] = "SELECT off,stored_len,content_len,digest FROM chunk WHERE idx=?1",
	[Q_XATTR_LIST] = "SELECT name FROM xattr WHERE ino=?1 ORDER BY name",
	[Q_XATTR_GET] = "SELECT value FROM xattr WHERE ino=?1 AND name=?2",
	[Q_PROFILE] = "SELECT ino,off,len FROM profile ORDER BY seq",
	[Q_DEFAULTS] = "SELECT file,key,value FROM registry_default ORDER BY file,key",
};

enum { FORMAT_VERSIONS_OFF = 18 }; /* in the database's header: for writing and for reading, 1 or 2 */

/* ---- opening -------------------------------------------------------------------------------- */

static int check_object(const char *type, const char *name, const char *table, const char *sql, size_t *seen,
			struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(pkg_index_objects); i++) {
		if (strcmp(name, pkg_index_objects[i].name))
			continue;
		if (!sql || strcmp(sql, pkg_index_objects[i].sql))
			return pkg_index_damaged(e, "schema (a table differs)");
		(*seen)++;
		return 0;
	}
	/* Tables of newer versions are left alone; nothing else may be there. */
	if (!strcmp(type, "table") && sql && !strncmp(sql, "CREATE TABLE ", 13))
		return 0;
	if (!strcmp(type, "index") && !sql && !strncmp(name, "sqlite_autoindex_", 17)) {
		for (size_t i = 0; i < ARRAY_LEN(pkg_index_objects); i++)
			if (!strcmp(table, pkg_index_objects[i].name))
				return pkg_index_damaged(e, "schema (unexpected index)");
		return 0;
	}
	return pkg_index_damaged(e, "schema (unexpected object)");
}

/* Once, before anything else is asked. Only sqlite_schema is read. */
static int check_schema_locked(struct pkg_index *x, struct err *e) SYNC_REQUIRES(x->lock)
{
	sqlite3_stmt *s = NULL;
	size_t seen = 0;
	int r;

	if (sqlite3_prepare_v3(x->db, "SELECT type,name,tbl_name,sql FROM sqlite_schema LIMIT 100", -1, 0, &s,
			       NULL) != SQLITE_OK)
		return pkg_index_db_error(x, e);
	while ((r = pkg_index_step(x, s, e)) > 0) {
		const char *text[4];

		for (int i = 0; i < 4; i++)
			text[i] = (const char *)sqlite3_column_text(s, i);
		if (!text[0] || !text[1] || !text[2])
			r = pkg_index_damaged(e, "schema");
		else
			r = check_object(text[0], text[1], text[2], text[3], &seen, e);
		if (r < 0)
			break;
	}
	(void)sqlite3_finalize(s);
	if (r < 0)
		return -1;
	return seen == ARRAY_LEN(pkg_index_objects) ? 0 : pkg_index_damaged(e, "schema (a table is missing)");
}

static int pragma_u64_locked(struct pkg_index *x, const char *sql, uint64_t *ret, struct err *e)
	SYNC_REQUIRES(x->lock)
{
	sqlite3_stmt *s = NULL;
	int r;

	if (sqlite3_prepare_v3(x->db, sql, -1, 0, &s, NULL) != SQLITE_OK)
		return pkg_index_db_error(x, e);
	r = pkg_index_step(x, s, e);
	if (r == 0)
		r = pkg_index_damaged(e, "header");
	else if (r > 0)
		r = pkg_column_u64(s, 0, INT64_MAX, "header", ret, e);
	(void)sqlite3_finalize(s);
	return r < 0 ? -1 : 0;
}

static int read_counts_locked(struct pkg_index *x, struct err *e) SYNC_REQUIRES(x->lock)
{
	const uint64_t rows_max = pkg_index_frames_len(x->frames) / PKG_INDEX_ROW_MIN;
	struct pkg_index_counts *c = &x->counts;
	sqlite3_stmt *s = NULL;
	uint64_t xattrs = 0;
	int r;

	if (sqlite3_prepare_v3(x->db,
			       "SELECT inodes,entries,extents,chunks,xattrs,content_bytes,stored_bytes "
			       "FROM counts LIMIT 2",
			       -1, 0, &s, NULL) != SQLITE_OK)
		return pkg_index_db_error(x, e);
	r = pkg_index_step(x, s, e);
	if (r == 0)
		r = pkg_index_damaged(e, "counts");
	if (r > 0) {
		r = pkg_column_u64(s, 0, rows_max, "count of inodes", &c->inodes, e);
		if (r == 0)
			r = pkg_column_u64(s, 1, rows_max, "count of entries", &c->entries, e);
		if (r == 0)
			r = pkg_column_u64(s, 2, rows_max, "count of extents", &c->extents, e);
		if (r == 0)
			r = pkg_column_u32(s, 3, (uint32_t)rows_max, "count of chunks", &c->chunks, e);
		if (r == 0)
			r = pkg_column_u64(s, 4, rows_max, "count of attributes", &xattrs, e);
		if (r == 0)
			r = pkg_column_u64(s, 5, INT64_MAX, "size of content", &c->content_bytes, e);
		if (r == 0)
			r = pkg_column_u64(s, 6, INT64_MAX / 2, "size of chunks", &c->stored_bytes, e);
		c->has_xattrs = xattrs > 0;
	}
	if (r == 0) {
		r = pkg_index_step(x, s, e);
		if (r > 0)
			r = pkg_index_damaged(e, "counts");
	}
	(void)sqlite3_finalize(s);
	return r;
}

static int read_manifest_locked(struct pkg_index *x, struct err *e) SYNC_REQUIRES(x->lock)
{
	sqlite3_stmt *s = NULL;
	const void *json;
	size_t len;
	int r;

	if (sqlite3_prepare_v3(x->db, "SELECT json FROM manifest LIMIT 1", -1, 0, &s, NULL) != SQLITE_OK)
		return pkg_index_db_error(x, e);
	r = pkg_index_step(x, s, e);
	if (r == 0)
		r = pkg_index_damaged(e, "manifest (missing)");
	if (r > 0)
		r = pkg_column_blob(s, 0, 1, PKG_MANIFEST_MAX, "manifest", &json, &len, e);
	if (r == 0)
		r = pkg_manifest_parse(json, len, &x->manifest, e);
	(void)sqlite3_finalize(s);
	return r;
}

static void set_limits(sqlite3 *db)
{
	static const struct {
		int id, value;
	} limits[] = {
		{ SQLITE_LIMIT_LENGTH, PKG_INDEX_ROW_BYTES_MAX },
		{ SQLITE_LIMIT_SQL_LENGTH, 4096 },
		{ SQLITE_LIMIT_COLUMN, 64 },
		{ SQLITE_LIMIT_EXPR_DEPTH, 16 },
		{ SQLITE_LIMIT_COMPOUND_SELECT, 1 },
		{ SQLITE_LIMIT_VDBE_OP, 2000 },
		{ SQLITE_LIMIT_FUNCTION_ARG, 4 },
		{ SQLITE_LIMIT_ATTACHED, 0 },
		{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 8 },
		{ SQLITE_LIMIT_VARIABLE_NUMBER, 4 },
		{ SQLITE_LIMIT_TRIGGER_DEPTH, 1 },
		{ SQLITE_LIMIT_WORKER_THREADS, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		(void)sqlite3_limit(db, limits[i].id, limits[i].value);
}

static int harden_locked(struct pkg_index *x, struct err *e) SYNC_REQUIRES(x->lock)
{
	/* One read transaction for good: without it every query would look whether the file has changed. */
	static const char pragmas[] =
		"PRAGMA cell_size_check=ON; PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; "
		"PRAGMA cache_size=-1024; PRAGMA automatic_index=OFF; BEGIN";

	if (sqlite3_db_config(x->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
	    sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK ||
	    sqlite3_db_config(x->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL) != SQLITE_OK ||
	    sqlite3_db_config(x->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL) != SQLITE_OK ||
	    sqlite3_db_config(x->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL) != SQLITE_OK)
		return err_set(e, ERR_UNSUPPORTED, "this SQLite cannot be hardened: 3.31 or newer is needed");
	if (sqlite3_exec(x->db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return pkg_index_db_error(x, e);
	set_limits(x->db);
	return 0;
}

/* A write-ahead log is not part of a package, though SQLite would open a database that had one. */
static int check_journal_locked(struct pkg_index *x, struct err *e) SYNC_REQUIRES(x->lock)
{
	uint8_t versions[2];

	if (pkg_index_frames_read(x->frames, FORMAT_VERSIONS_OFF, sizeof(versions), versions, e) < 0)
		return -1;
	return versions[0] == 1 && versions[1] == 1 ? 0 : pkg_index_damaged(e, "header");
}

static int open_locked(struct pkg_index *x, struct err *e) SYNC_REQUIRES(x->lock)
{
	uint64_t application_id, user_version;

	if (pkg_index_vfs_open(x) != SQLITE_OK)
		return err_set(e, ERR_NOMEM, "cannot start SQLite");
	if (check_journal_locked(x, e) < 0 || harden_locked(x, e) < 0 ||
	    pragma_u64_locked(x, "PRAGMA application_id", &application_id, e) < 0 ||
	    pragma_u64_locked(x, "PRAGMA user_version", &user_version, e) < 0)
		return -1;
	if (application_id != PKG_INDEX_APPLICATION_ID)
		return pkg_index_damaged(e, "application id");
	if (user_version != PKG_INDEX_USER_VERSION)
		return err_set(e, ERR_UNSUPPORTED, "package index version %llu: install a newer floe",
			       (unsigned long long)user_version);
	if (check_schema_locked(x, e) < 0)
		return -1;
	for (int i = 0; i < Q_COUNT; i++)
		if (sqlite3_prepare_v3(x->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &x->stmt[i],
				       NULL) != SQLITE_OK)
			return pkg_index_db_error(x, e);
	if (read_counts_locked(x, e) < 0)
		return -1;
	return read_manifest_locked(x, e);
}

int pkg_index_open(const void *stored, size_t stored_len, uint64_t content_len, int scratch_fd,
		   struct pkg_index **ret, struct err *e)
{
	auto_fd int fd = scratch_fd;
	struct pkg_index *x;
	struct pkg_inode root;
	int rc;

	if (stored_len == 0 || stored_len > PKG_INDEX_STORED_MAX || content_len > PKG_INDEX_CONTENT_MAX)
		return err_set(e, ERR_LIMIT, "package index: too large");
	if (content_len < 512)
		return pkg_index_damaged(e, "length");
	x = mem_alloc(1, sizeof(*x), e);
	if (!x)
		return -1;
	sync_mutex_init(&x->lock);
	x->chunks_off = PKG_HEADER_LEN + stored_len;
	sync_lock(&x->lock);
	rc = pkg_index_frames_open(stored, stored_len, content_len, fd_steal(&fd), &x->frames, e);
	if (rc == 0)
		rc = open_locked(x, e);
	sync_unlock(&x->lock);
	if (rc == 0)
		rc = pkg_index_stat(x, PKG_ROOT_INO, &root, e);
	if (rc == 0 && !S_ISDIR(root.mode))
		rc = pkg_index_damaged(e, "root directory");
	if (rc < 0) {
		if (e->code == ERR_NOTFOUND)
			e->code = ERR_FORMAT;
		pkg_index_close(x);
		return -1;
	}
	*ret = x;
	return 0;
}

void pkg_index_close(struct pkg_index *x)
{
	if (!x)
		return;
	for (int i = 0; i < Q_COUNT; i++)
		(void)sqlite3_finalize(x->stmt[i]);
	(void)sqlite3_close(x->db);
	pkg_index_frames_close(x->frames);
	pkg_manifest_free(x->manifest);
	sync_mutex_fini(&x->lock);
	free(x);
}
