/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's database: connection, schema, statements; see cache_sql.h.
 *
 * WAL with synchronous=NORMAL: a power failure may undo the newest commits but never leaves a row whose
 * bytes were not durable before it. Space in chunks.dat is given out once and never again, so a
 * range that is unreferenced stays so, and holes may be punched without locks.
 *
 * A change of the schema only adds, so that a program that still runs with the older one goes on. A database
 * with a newer schema is left alone. */
#include "streaming/cache_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/fd.h"
#include "base/path.h"

enum { SCHEMA_VERSION = 2, BUSY_MS = 5000 };

static const char SCHEMA_1[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS chunk(digest BLOB PRIMARY KEY, off INTEGER NOT NULL, len INTEGER NOT "
	"NULL,"
	" used INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS reservation(id INTEGER PRIMARY KEY AUTOINCREMENT, off INTEGER NOT NULL,"
	" len INTEGER NOT NULL, made INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO counter VALUES('space', 0), ('wrong', 0);"
	"CREATE TABLE IF NOT EXISTS source(name TEXT PRIMARY KEY, identity TEXT NOT NULL, header BLOB NOT "
	"NULL,"
	" index_digest BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS version(root BLOB PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL,"
	" bytes INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;"
	"PRAGMA user_version=1;"
	"COMMIT;";

/* What status, pins and eviction ask of a package. */
static const char SCHEMA_2[] = "BEGIN IMMEDIATE;"
			       "ALTER TABLE version ADD COLUMN source TEXT NOT NULL DEFAULT '';"
			       "ALTER TABLE version ADD COLUMN header BLOB;"
			       "ALTER TABLE version ADD COLUMN index_digest BLOB;"
			       "ALTER TABLE version ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
			       "PRAGMA user_version=2;"
			       "COMMIT;";

static const char *const SQL[CACHE_STATEMENTS] = {
	[CACHE_FIND] = "SELECT off, len, used FROM chunk WHERE digest=?1",
	[CACHE_DROP] = "DELETE FROM chunk WHERE digest=?1 AND off=?2",
	[CACHE_COUNT_WRONG] = "UPDATE counter SET value=value+1 WHERE name='wrong'",
	[CACHE_TOUCH] = "UPDATE chunk SET used=?2 WHERE digest=?1",
	[CACHE_EXPIRE] = "DELETE FROM reservation WHERE made<?1 OR made>?2",
	[CACHE_SPACE] = "SELECT value FROM counter WHERE name='space'",
	[CACHE_SPACE_SET] = "UPDATE counter SET value=?1 WHERE name='space'",
	[CACHE_RESERVE] = "INSERT INTO reservation(off, len, made) VALUES(?1, ?2, ?3)",
	[CACHE_UNRESERVE] = "DELETE FROM reservation WHERE id=?1",
	[CACHE_SPACE_BACK] = "UPDATE counter SET value=?2 WHERE name='space' AND "
			     "value=(SELECT off+len FROM reservation WHERE id=?1)",
	[CACHE_INSERT] = "INSERT OR IGNORE INTO chunk(digest, off, len, used) VALUES(?1, ?2, ?3, ?4)",
	[CACHE_TOTALS] =
		("SELECT count(*), coalesce(sum(len),0), (SELECT value FROM counter WHERE name='wrong'),"
		 " (SELECT count(*) FROM version) FROM chunk"),
	[CACHE_LIST] = "SELECT digest, off, len, used FROM chunk WHERE digest>?1 ORDER BY digest LIMIT ?2",
	[CACHE_OLDEST] = "SELECT digest, off, len FROM chunk ORDER BY used, off",
	[CACHE_REFERENCED] =
		"SELECT off, len FROM chunk UNION ALL SELECT off, len FROM reservation ORDER BY 1",
	[CACHE_SOURCE_SET] = "INSERT OR REPLACE INTO source(name, identity, header, index_digest, used)"
			     " VALUES(?1, ?2, ?3, ?4, ?5)",
	[CACHE_SOURCE_GET] = "SELECT identity, header, index_digest FROM source WHERE name=?1",
	[CACHE_SOURCE_DROP] = "DELETE FROM source WHERE index_digest=(SELECT index_digest FROM version"
			      " WHERE root=?1)",
	[CACHE_INDEX_USED] = "SELECT 1 FROM source WHERE index_digest=?1 UNION ALL"
			     " SELECT 1 FROM version WHERE index_digest=?1",
	[CACHE_VERSION_SAVE] = "INSERT INTO version(root, name, version, bytes, used, source, header,"
			       " index_digest) VALUES(?1, '', '', 0, ?2, ?3, ?4, ?5) ON CONFLICT(root) DO"
			       " UPDATE SET used=?2, source=?3, header=?4, index_digest=?5",
	[CACHE_VERSION_NOTE] = "INSERT INTO version(root, name, version, bytes, used) VALUES(?1, ?2, ?3, ?4,"
			       " ?5) ON CONFLICT(root) DO UPDATE SET name=?2, version=?3, bytes=?4, used=?5",
	[CACHE_VERSION_USE] = "UPDATE version SET used=?2 WHERE root=?1",
	[CACHE_VERSION_PIN] = "UPDATE version SET pinned=?2 WHERE root=?1",
	[CACHE_VERSION_DROP] = "DELETE FROM version WHERE root=?1",
	[CACHE_VERSIONS] = "SELECT root, name, version, source, header, index_digest, pinned, used FROM"
			   " version ORDER BY used DESC, root",
};

int64_t cache_sql_now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- errors and statements -------------------------------------------------------------- */

void cache_sql_damaged(struct cache_db *db)
{
	struct err ignored;
	auto_free char *path = db->is_shared ? NULL : path_join(db->dir, "cache.db.bad", &ignored);

	if (path)
		fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

int cache_sql_error(struct cache_db *db, struct err *e)
{
	int code = sqlite3_errcode(db->sql) & 0xff;

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_MISMATCH) {
		cache_sql_damaged(db);
		return err_set(e, ERR_FORMAT, "%s/cache.db: %s", db->dir, sqlite3_errmsg(db->sql));
	}
	return err_set(e,
		       code == SQLITE_BUSY    ? ERR_BUSY
		       : code == SQLITE_NOMEM ? ERR_NOMEM
					      : ERR_IO,
		       "%s/cache.db: %s", db->dir, sqlite3_errmsg(db->sql));
}

int cache_sql_run(struct cache_db *db, const char *sql, struct err *e)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : cache_sql_error(db, e);
}

sqlite3_stmt *cache_sql_use(struct cache_db *db, enum cache_statement which, struct err *e)
{
	sqlite3_stmt **s = &db->statements[which];

	if (!*s &&
	    sqlite3_prepare_v3(db->sql, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK) {
		(void)cache_sql_error(db, e);
		return NULL;
	}
	(void)sqlite3_reset(*s);
	(void)sqlite3_clear_bindings(*s);
	return *s;
}

int cache_sql_done(struct cache_db *db, sqlite3_stmt *s, struct err *e)
{
	int rc = sqlite3_step(s) == SQLITE_DONE ? 0 : cache_sql_error(db, e);

	(void)sqlite3_reset(s);
	return rc;
}

void cache_sql_bind_digest(sqlite3_stmt *s, int at, const struct pkg_digest *digest)
{
	(void)sqlite3_bind_blob(s, at, digest->b, PKG_DIGEST_LEN, SQLITE_STATIC);
}

bool cache_sql_digest(sqlite3_stmt *s, int at, struct pkg_digest *ret)
{
	const void *blob = sqlite3_column_blob(s, at);

	if (!blob || sqlite3_column_bytes(s, at) != PKG_DIGEST_LEN)
		return false;
	memcpy(ret->b, blob, PKG_DIGEST_LEN);
	return true;
}

bool cache_sql_place(sqlite3_stmt *s, int at, uint64_t *ret_off, uint64_t *ret_len)
{
	int64_t off = sqlite3_column_int64(s, at), len = sqlite3_column_int64(s, at + 1);

	if (off < 0 || len <= 0 || (uint64_t)off > CACHE_SPACE_MAX || (uint64_t)len > CACHE_SPACE_MAX)
		return false;
	*ret_off = (uint64_t)off;
	*ret_len = (uint64_t)len;
	return true;
}

int cache_sql_begin(struct cache_db *db, struct err *e)
{
	return cache_sql_run(db, "BEGIN IMMEDIATE", e);
}

int cache_sql_finish(struct cache_db *db, int rc, struct err *e)
{
	if (rc == 0 && cache_sql_run(db, "COMMIT", e) == 0)
		return 0;
	for (int i = 0; i < CACHE_STATEMENTS; i++)
		if (db->statements[i])
			(void)sqlite3_reset(db->statements[i]);
	(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int set_up(struct cache_db *db, const char *pragmas, struct err *e)
{
	(void)sqlite3_busy_timeout(db->sql, BUSY_MS);
	(void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (cache_sql_run(db, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;", e) <
	    0)
		return -1;
	return cache_sql_run(db, pragmas, e);
}

static int read_version(struct cache_db *db, int *ret, struct err *e)
{
	sqlite3_stmt *s = NULL;

	*ret = -1;
	if (sqlite3_prepare_v2(db->sql, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK)
		return cache_sql_error(db, e);
	if (sqlite3_step(s) == SQLITE_ROW)
		*ret = sqlite3_column_int(s, 0);
	(void)sqlite3_finalize(s);
	return *ret < 0 ? err_set(e, ERR_FORMAT, "%s/cache.db: not a cache of floe's", db->dir) : 0;
}

static int newer(const struct cache_db *db, int version, struct err *e)
{
	return err_set(
		e, ERR_UNSUPPORTED,
		"%s/cache.db was made by a newer floe (format %d, this one knows %d) and is left alone: use "
		"that floe, or remove the directory to start afresh",
		db->dir, version, SCHEMA_VERSION);
}

/* A wrong schema shows here and not in the middle of a launch. */
static int prepare_all(struct cache_db *db, struct err *e)
{
	for (int i = 0; i < CACHE_STATEMENTS; i++)
		if (!cache_sql_use(db, (enum cache_statement)i, e))
			return err_set(e, ERR_FORMAT, "%s/cache.db: not the schema that floe uses", db->dir);
	return 0;
}

static int connect_db(struct cache_db *db, struct err *e)
{
	auto_free char *path = path_join(db->dir, "cache.db", e);
	int version;

	if (!path)
		return -1;
	if (sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return db->sql ? cache_sql_error(db, e) : err_set(e, ERR_NOMEM, "out of memory");
	if (set_up(db, "", e) < 0 || read_version(db, &version, e) < 0)
		return -1;
	if (version > SCHEMA_VERSION)
		return newer(db, version, e);
	/* A new one that a crash damages is made anew: nothing waits for the disk. */
	if (version < 1 && cache_sql_run(db, "PRAGMA synchronous=OFF", e) < 0)
		return -1;
	if (cache_sql_run(db, "PRAGMA journal_mode=WAL", e) < 0 ||
	    (version < 1 && cache_sql_run(db, SCHEMA_1, e) < 0) ||
	    (version < 2 && cache_sql_run(db, SCHEMA_2, e) < 0) ||
	    cache_sql_run(db, "PRAGMA synchronous=NORMAL", e) < 0)
		return -1;
	return prepare_all(db, e);
}

static void disconnect_db(struct cache_db *db)
{
	for (int i = 0; i < CACHE_STATEMENTS; i++) {
		(void)sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
	}
	(void)sqlite3_close(db->sql);
	db->sql = NULL;
}

/* The damaged database stays for whoever wants to look; its content file goes. */
static void move_aside(int dirfd)
{
	(void)renameat(dirfd, "cache.db", dirfd, "cache.db.old");
	(void)unlinkat(dirfd, "cache.db-wal", 0);
	(void)unlinkat(dirfd, "cache.db-shm", 0);
	(void)unlinkat(dirfd, "chunks.dat", 0);
	(void)unlinkat(dirfd, "cache.db.bad", 0);
}

int cache_db_open(const char *dir, struct cache_db **ret, struct err *e)
{
	auto_fd int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int lock = -1;
	struct cache_db *db;
	int rc;

	if (dirfd < 0)
		return err_sys(e, errno, "%s", dir);
	lock = openat(dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_sys(e, errno, "%s/lock", dir);
	/* Held for the few milliseconds of opening, so that only one process starts afresh. */
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "%s/lock", dir);
	db = mem_alloc(1, sizeof(*db), e);
	if (!db)
		return -1;
	db->dir = mem_strdup(dir, e);
	if (!db->dir) {
		free(db);
		return -1;
	}
	if (faccessat(dirfd, "cache.db.bad", F_OK, 0) == 0)
		move_aside(dirfd);
	rc = connect_db(db, e);
	if (rc < 0 && e->code == ERR_FORMAT) {
		disconnect_db(db);
		move_aside(dirfd);
		rc = connect_db(db, e);
	}
	if (rc < 0) {
		cache_db_close(db);
		return -1;
	}
	*ret = db;
	return 0;
}

void cache_db_close(struct cache_db *db)
{
	if (!db)
		return;
	disconnect_db(db);
	free(db->dir);
	free(db);
}

/* ---- shared stores ---------------------------------------------------------------------- */

/* "file:" URI of a path: what has a meaning in URIs is written as %XX. */
static int add_uri(struct buf *uri, const char *path, struct err *e)
{
	if (buf_add_str(uri, "file:", e) < 0)
		return -1;
	for (const char *at = path; *at; at++)
		if ((strchr("%?#", *at) ? buf_printf(uri, e, "%%%02X", (unsigned char)*at)
					: buf_add(uri, at, 1, e)) < 0)
			return -1;
	return buf_add_str(uri, "?immutable=1", e);
}

static int connect_shared(struct cache_db *db, struct err *e)
{
	auto_free char *path = path_join(db->dir, "cache.db", e);
	auto_buf struct buf uri = BUF_INIT(64 * 1024);
	int version;

	if (!path || add_uri(&uri, path, e) < 0 || !buf_text(&uri, e))
		return -1;
	if (sqlite3_open_v2((const char *)uri.data, &db->sql,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return db->sql ? cache_sql_error(db, e) : err_set(e, ERR_NOMEM, "out of memory");
	if (set_up(db, "PRAGMA query_only=ON;", e) < 0 || read_version(db, &version, e) < 0)
		return -1;
	return version > SCHEMA_VERSION ? newer(db, version, e) : prepare_all(db, e);
}

int cache_db_open_shared(const char *dir, struct cache_db **ret, struct err *e)
{
	struct cache_db *db = mem_alloc(1, sizeof(*db), e);

	if (!db)
		return -1;
	db->is_shared = true;
	db->dir = mem_strdup(dir, e);
	if (!db->dir || connect_shared(db, e) < 0) {
		cache_db_close(db);
		return -1;
	}
	*ret = db;
	return 0;
}

int cache_db_seal(struct cache_db *db, struct err *e)
{
	return cache_sql_run(db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE;", e);
}
