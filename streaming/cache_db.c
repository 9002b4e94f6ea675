/* SPDX-License-Identifier: Apache-2.0 */
/* The cache's database; see cache_db.h.
 *
 * WAL with synchronous=NORMAL: a power failure may undo the newest commits but never leaves a row whose
 * bytes were not durable before it. Space in chunks.dat is given out once and never again, so a
 * range that is unreferenced stays so, and holes may be punched without locks. */
#include "streaming/cache_db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/fd.h"
#include "base/path.h"

enum {
	SCHEMA_VERSION = 1,
	BUSY_MS = 5000,
	RESERVATION_S = 600,
	PAGE = 4096,
};
/* ext4 ends at 16 TiB; by then nearly all of it is holes, and starting afresh is cheap. */
#define SPACE_MAX (UINT64_C(8) << 40)

static const char SCHEMA[] =
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

enum statement {
	FIND,
	DROP,
	COUNT_WRONG,
	TOUCH,
	EXPIRE,
	SPACE,
	SPACE_SET,
	RESERVE,
	UNRESERVE,
	INSERT,
	TOTALS,
	LIST,
	OLDEST,
	REFERENCED,
	SOURCE_SET,
	SOURCE_GET,
	SOURCE_INDEX,
	VERSION_SET,
	STATEMENTS
};

static const char *const SQL[STATEMENTS] = {
	[FIND] = "SELECT off, len, used FROM chunk WHERE digest=?1",
	[DROP] = "DELETE FROM chunk WHERE digest=?1 AND off=?2",
	[COUNT_WRONG] = "UPDATE counter SET value=value+1 WHERE name='wrong'",
	[TOUCH] = "UPDATE chunk SET used=?2 WHERE digest=?1",
	[EXPIRE] = "DELETE FROM reservation WHERE made<?1 OR made>?2",
	[SPACE] = "SELECT value FROM counter WHERE name='space'",
	[SPACE_SET] = "UPDATE counter SET value=?1 WHERE name='space'",
	[RESERVE] = "INSERT INTO reservation(off, len, made) VALUES(?1, ?2, ?3)",
	[UNRESERVE] = "DELETE FROM reservation WHERE id=?1",
	[INSERT] = "INSERT OR IGNORE INTO chunk VALUES(?1, ?2, ?3, ?4)",
	[TOTALS] = ("SELECT count(*), coalesce(sum(len),0), (SELECT value FROM counter WHERE name='wrong'),"
		    " (SELECT count(*) FROM version) FROM chunk"),
	[LIST] = "SELECT digest, off, len, used FROM chunk WHERE digest>?1 ORDER BY digest LIMIT ?2",
	[OLDEST] = "SELECT digest, off, len FROM chunk ORDER BY used, off",
	[REFERENCED] = "SELECT off, len FROM chunk UNION ALL SELECT off, len FROM reservation ORDER BY 1",
	[SOURCE_SET] = "INSERT OR REPLACE INTO source VALUES(?1, ?2, ?3, ?4, ?5)",
	[SOURCE_GET] = "SELECT identity, header, index_digest FROM source WHERE name=?1",
	[SOURCE_INDEX] = "SELECT 1 FROM source WHERE index_digest=?1",
	[VERSION_SET] = "INSERT OR REPLACE INTO version VALUES(?1, ?2, ?3, ?4, ?5)",
};

struct cache_db {
	sqlite3 *sql;
	sqlite3_stmt *statements[STATEMENTS];
	char *dir;
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- errors and statements -------------------------------------------------------------- */

/* Leaves a note for the next open; our own connection goes on as well as it can. */
static void mark_damaged(const char *dir)
{
	struct err ignored;
	auto_free char *path = path_join(dir, "cache.db.bad", &ignored);

	if (path)
		fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int db_error(struct cache_db *db, struct err *e)
{
	int code = sqlite3_errcode(db->sql) & 0xff;

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_MISMATCH) {
		mark_damaged(db->dir);
		return err_set(e, ERR_FORMAT, "%s/cache.db: %s", db->dir, sqlite3_errmsg(db->sql));
	}
	return err_set(e,
		       code == SQLITE_BUSY    ? ERR_BUSY
		       : code == SQLITE_NOMEM ? ERR_NOMEM
					      : ERR_IO,
		       "%s/cache.db: %s", db->dir, sqlite3_errmsg(db->sql));
}

static int run(struct cache_db *db, const char *sql, struct err *e)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, e);
}

static sqlite3_stmt *use(struct cache_db *db, enum statement which, struct err *e)
{
	sqlite3_stmt **s = &db->statements[which];

	if (!*s &&
	    sqlite3_prepare_v3(db->sql, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK) {
		(void)db_error(db, e);
		return NULL;
	}
	(void)sqlite3_reset(*s);
	(void)sqlite3_clear_bindings(*s);
	return *s;
}

/* For statements without rows. */
static int step_done(struct cache_db *db, sqlite3_stmt *s, struct err *e)
{
	int rc = sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(db, e);

	(void)sqlite3_reset(s);
	return rc;
}

static void bind_digest(sqlite3_stmt *s, int at, const struct pkg_digest *digest)
{
	(void)sqlite3_bind_blob(s, at, digest->b, PKG_DIGEST_LEN, SQLITE_STATIC);
}

/* Rows are ours but the disk may have changed them: false for what cannot be. */
static bool take_digest(sqlite3_stmt *s, int at, struct pkg_digest *ret)
{
	const void *blob = sqlite3_column_blob(s, at);

	if (!blob || sqlite3_column_bytes(s, at) != PKG_DIGEST_LEN)
		return false;
	memcpy(ret->b, blob, PKG_DIGEST_LEN);
	return true;
}

static bool take_place(sqlite3_stmt *s, int at, uint64_t *ret_off, uint64_t *ret_len)
{
	int64_t off = sqlite3_column_int64(s, at), len = sqlite3_column_int64(s, at + 1);

	if (off < 0 || len <= 0 || (uint64_t)off > SPACE_MAX || (uint64_t)len > SPACE_MAX)
		return false;
	*ret_off = (uint64_t)off;
	*ret_len = (uint64_t)len;
	return true;
}

static int begin(struct cache_db *db, struct err *e)
{
	return run(db, "BEGIN IMMEDIATE", e);
}

/* Ends the transaction according to rc; an error of the body stays the error. */
static int finish(struct cache_db *db, int rc, struct err *e)
{
	if (rc == 0 && run(db, "COMMIT", e) == 0)
		return 0;
	for (int i = 0; i < STATEMENTS; i++)
		if (db->statements[i])
			(void)sqlite3_reset(db->statements[i]);
	(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int connect_db(struct cache_db *db, struct err *e)
{
	auto_free char *path = path_join(db->dir, "cache.db", e);
	sqlite3_stmt *s = NULL;
	int version = -1;

	if (!path)
		return -1;
	if (sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return db->sql ? db_error(db, e) : err_set(e, ERR_NOMEM, "out of memory");
	(void)sqlite3_busy_timeout(db->sql, BUSY_MS);
	(void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (run(db,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cell_size_check=ON;"
		"PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;",
		e) < 0)
		return -1;
	if (sqlite3_prepare_v2(db->sql, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK)
		return db_error(db, e);
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	(void)sqlite3_finalize(s);
	if (version != 0 && version != SCHEMA_VERSION)
		return err_set(e, ERR_FORMAT, "%s: made by another version of floe", path);
	if (version == 0 && run(db, SCHEMA, e) < 0)
		return -1;
	/* A wrong schema shows here and not in the middle of a launch. */
	for (int i = 0; i < STATEMENTS; i++)
		if (!use(db, (enum statement)i, e))
			return err_set(e, ERR_FORMAT, "%s: not the schema that floe uses", path);
	return 0;
}

static void disconnect_db(struct cache_db *db)
{
	for (int i = 0; i < STATEMENTS; i++) {
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

/* ---- chunks ----------------------------------------------------------------------------- */

int cache_db_find(struct cache_db *db, const struct pkg_digest *digest, struct cache_row *ret, struct err *e)
{
	sqlite3_stmt *s = use(db, FIND, e);
	uint64_t off, len;
	int rc;

	if (!s)
		return -1;
	bind_digest(s, 1, digest);
	rc = sqlite3_step(s);
	if (rc != SQLITE_ROW) {
		rc = rc == SQLITE_DONE ? err_set(e, ERR_NOTFOUND, "not in the cache") : db_error(db, e);
	} else if (!take_place(s, 0, &off, &len) || len > UINT32_MAX) {
		rc = err_set(e, ERR_NOTFOUND, "not in the cache");
	} else {
		*ret = (struct cache_row){ *digest, off, (uint32_t)len, sqlite3_column_int64(s, 2) };
		rc = 0;
	}
	(void)sqlite3_reset(s);
	return rc;
}

int cache_db_drop_wrong(struct cache_db *db, const struct cache_row *row, struct err *e)
{
	sqlite3_stmt *drop, *count;
	int rc;

	if (begin(db, e) < 0)
		return -1;
	drop = use(db, DROP, e);
	count = use(db, COUNT_WRONG, e);
	rc = drop && count ? 0 : -1;
	if (rc == 0) {
		bind_digest(drop, 1, &row->digest);
		(void)sqlite3_bind_int64(drop, 2, (int64_t)row->off);
		rc = step_done(db, drop, e);
	}
	if (rc == 0 && sqlite3_changes(db->sql))
		rc = step_done(db, count, e);
	return finish(db, rc, e);
}

int cache_db_touch(struct cache_db *db, const struct pkg_digest *digests, size_t count, struct err *e)
{
	int rc = 0;

	if (begin(db, e) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++) {
		sqlite3_stmt *s = use(db, TOUCH, e);

		if (!s) {
			rc = -1;
			break;
		}
		bind_digest(s, 1, &digests[i]);
		(void)sqlite3_bind_int64(s, 2, now_s());
		rc = step_done(db, s, e);
	}
	return finish(db, rc, e);
}

/* ---- space ------------------------------------------------------------------------------ */

static int take_space(struct cache_db *db, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *s = use(db, SPACE, e);
	int64_t space = -1;

	if (!s)
		return -1;
	if (sqlite3_step(s) == SQLITE_ROW)
		space = sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	if (space < 0 || space % PAGE || (uint64_t)space > SPACE_MAX) {
		mark_damaged(db->dir);
		return err_set(e, ERR_FORMAT, "%s/cache.db: used up or damaged; a new one is made next time",
			       db->dir);
	}
	*ret = (uint64_t)space;
	return 0;
}

static int expire(struct cache_db *db, struct err *e)
{
	sqlite3_stmt *s = use(db, EXPIRE, e);

	if (!s)
		return -1;
	(void)sqlite3_bind_int64(s, 1, now_s() - RESERVATION_S);
	(void)sqlite3_bind_int64(s, 2, now_s() + RESERVATION_S); /* the clock was put back */
	return step_done(db, s, e);
}

static int reserve_here(struct cache_db *db, uint64_t len, uint64_t *ret_off, struct err *e)
{
	sqlite3_stmt *s;

	if (expire(db, e) < 0 || take_space(db, ret_off, e) < 0 || !(s = use(db, SPACE_SET, e)))
		return -1;
	(void)sqlite3_bind_int64(s, 1, (int64_t)(*ret_off + len));
	if (step_done(db, s, e) < 0 || !(s = use(db, RESERVE, e)))
		return -1;
	(void)sqlite3_bind_int64(s, 1, (int64_t)*ret_off);
	(void)sqlite3_bind_int64(s, 2, (int64_t)len);
	(void)sqlite3_bind_int64(s, 3, now_s());
	return step_done(db, s, e);
}

int cache_db_reserve(struct cache_db *db, uint64_t len, uint64_t *ret_off, int64_t *ret_id, struct err *e)
{
	uint64_t off;

	if (begin(db, e) < 0)
		return -1;
	if (finish(db, reserve_here(db, (len + PAGE - 1) / PAGE * PAGE, &off, e), e) < 0)
		return -1;
	*ret_off = off;
	*ret_id = sqlite3_last_insert_rowid(db->sql);
	return 0;
}

static int unreserve(struct cache_db *db, int64_t id, struct err *e)
{
	sqlite3_stmt *s = use(db, UNRESERVE, e);

	if (!s)
		return -1;
	(void)sqlite3_bind_int64(s, 1, id);
	return step_done(db, s, e);
}

int cache_db_release(struct cache_db *db, int64_t reservation, struct err *e)
{
	return unreserve(db, reservation, e);
}

int cache_db_commit(struct cache_db *db, int64_t reservation, const struct cache_row *rows, size_t count,
		    struct err *e)
{
	int rc;

	if (begin(db, e) < 0)
		return -1;
	rc = unreserve(db, reservation, e);
	if (rc == 0 && sqlite3_changes(db->sql) != 1)
		rc = err_set(e, ERR_BUSY, "the reservation has expired");
	for (size_t i = 0; i < count && rc == 0; i++) {
		sqlite3_stmt *s = use(db, INSERT, e);

		if (!s) {
			rc = -1;
			break;
		}
		bind_digest(s, 1, &rows[i].digest);
		(void)sqlite3_bind_int64(s, 2, (int64_t)rows[i].off);
		(void)sqlite3_bind_int64(s, 3, rows[i].len);
		(void)sqlite3_bind_int64(s, 4, now_s());
		rc = step_done(db, s, e);
	}
	return finish(db, rc, e);
}

/* ---- looking over everything ------------------------------------------------------------ */

int cache_db_totals(struct cache_db *db, struct cache_totals *ret, struct err *e)
{
	sqlite3_stmt *s = use(db, TOTALS, e);

	if (!s)
		return -1;
	if (sqlite3_step(s) != SQLITE_ROW) {
		(void)db_error(db, e);
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
	sqlite3_stmt *s = use(db, LIST, e);
	size_t n = 0;
	int rc;

	if (!s)
		return -1;
	if (after)
		bind_digest(s, 1, after);
	else
		(void)sqlite3_bind_zeroblob(s, 1, 0);
	(void)sqlite3_bind_int64(s, 2, (int64_t)cap);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t len;

		if (!take_digest(s, 0, &ret[n].digest) || !take_place(s, 1, &ret[n].off, &len) ||
		    len > UINT32_MAX) {
			(void)sqlite3_reset(s);
			mark_damaged(db->dir);
			return err_set(e, ERR_FORMAT, "%s/cache.db: a row makes no sense", db->dir);
		}
		ret[n].len = (uint32_t)len;
		ret[n].used_s = sqlite3_column_int64(s, 3);
		n++;
	}
	rc = rc == SQLITE_DONE ? 0 : db_error(db, e);
	(void)sqlite3_reset(s);
	*ret_count = n;
	return rc;
}

/* Chooses the victims: the oldest rows that together make up `excess`. */
static int choose(struct cache_db *db, uint64_t excess, struct buf *victims, struct err *e)
{
	sqlite3_stmt *s = use(db, OLDEST, e);
	struct cache_row row = { 0 };
	int rc = SQLITE_DONE;

	if (!s)
		return -1;
	while (excess && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t len = 0;

		if (!take_digest(s, 0, &row.digest) || !take_place(s, 1, &row.off, &len))
			continue;
		if (buf_add(victims, &row, sizeof(row), e) < 0) {
			(void)sqlite3_reset(s);
			return -1;
		}
		excess = excess > len ? excess - len : 0;
	}
	rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : db_error(db, e);
	(void)sqlite3_reset(s);
	return rc;
}

int cache_db_evict(struct cache_db *db, uint64_t keep_bytes, struct err *e)
{
	auto_buf struct buf victims = BUF_INIT((size_t)1 << 30);
	struct cache_totals totals;
	int rc;

	if (begin(db, e) < 0)
		return -1;
	rc = cache_db_totals(db, &totals, e);
	if (rc == 0 && totals.bytes > keep_bytes)
		rc = choose(db, totals.bytes - keep_bytes, &victims, e);
	for (size_t at = 0; at < victims.len && rc == 0; at += sizeof(struct cache_row)) {
		sqlite3_stmt *s = use(db, DROP, e);
		struct cache_row row;

		memcpy(&row, victims.data + at, sizeof(row));
		if (!s) {
			rc = -1;
			break;
		}
		bind_digest(s, 1, &row.digest);
		(void)sqlite3_bind_int64(s, 2, (int64_t)row.off);
		rc = step_done(db, s, e);
	}
	return finish(db, rc, e);
}

int cache_db_holes(struct cache_db *db, cache_hole_fn *fn, void *arg, struct err *e)
{
	uint64_t at = 0, space = 0;
	sqlite3_stmt *s = NULL;
	int rc;

	/* In one transaction, so that rows, reservations and the end belong together. */
	if (begin(db, e) < 0)
		return -1;
	rc = expire(db, e) < 0 || take_space(db, &space, e) < 0 || !(s = use(db, REFERENCED, e)) ? -1 : 0;
	while (rc == 0) {
		uint64_t off, len;
		int step = sqlite3_step(s);

		if (step != SQLITE_ROW) {
			rc = step == SQLITE_DONE ? 0 : db_error(db, e);
			break;
		}
		if (!take_place(s, 0, &off, &len))
			continue;
		if (off > at)
			fn(arg, at, off - at);
		len = (len + PAGE - 1) / PAGE * PAGE;
		if (off + len > at)
			at = off + len;
	}
	if (s)
		(void)sqlite3_reset(s);
	if (rc == 0 && space > at)
		fn(arg, at, space - at);
	return finish(db, rc, e);
}

int cache_db_check(struct cache_db *db, struct err *e)
{
	sqlite3_stmt *s = NULL;
	bool ok = false;

	if (sqlite3_prepare_v2(db->sql, "PRAGMA integrity_check(1)", -1, &s, NULL) != SQLITE_OK)
		return db_error(db, e);
	if (sqlite3_step(s) == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(s, 0);

		ok = text && strcmp((const char *)text, "ok") == 0;
	}
	(void)sqlite3_finalize(s);
	if (ok)
		return 0;
	mark_damaged(db->dir);
	return err_set(e, ERR_FORMAT, "%s/cache.db: damaged; a new one is made next time", db->dir);
}

/* ---- packages --------------------------------------------------------------------------- */

int cache_db_save_package(struct cache_db *db, const char *source, const char *identity, const void *header,
			  size_t header_len, const struct pkg_digest *index, struct err *e)
{
	sqlite3_stmt *s = use(db, SOURCE_SET, e);

	if (!s)
		return -1;
	(void)sqlite3_bind_text(s, 1, source, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 2, identity, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 3, header, (int)header_len, SQLITE_STATIC);
	bind_digest(s, 4, index);
	(void)sqlite3_bind_int64(s, 5, now_s());
	return step_done(db, s, e);
}

int cache_db_load_package(struct cache_db *db, const char *source, char *identity, size_t identity_cap,
			  void *header, size_t header_len, struct pkg_digest *index, struct err *e)
{
	sqlite3_stmt *s = use(db, SOURCE_GET, e);
	const unsigned char *text;
	int rc;

	if (!s)
		return -1;
	(void)sqlite3_bind_text(s, 1, source, -1, SQLITE_STATIC);
	rc = sqlite3_step(s);
	if (rc != SQLITE_ROW) {
		rc = rc == SQLITE_DONE ? err_set(e, ERR_NOTFOUND, "not in the cache") : db_error(db, e);
	} else if (!(text = sqlite3_column_text(s, 0)) ||
		   (size_t)sqlite3_column_bytes(s, 0) >= identity_cap || !sqlite3_column_blob(s, 1) ||
		   (size_t)sqlite3_column_bytes(s, 1) != header_len || !take_digest(s, 2, index)) {
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
	sqlite3_stmt *s = use(db, SOURCE_INDEX, e);
	int rc;

	if (!s)
		return -1;
	bind_digest(s, 1, index);
	rc = sqlite3_step(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_error(db, e);
	*ret = rc == SQLITE_ROW;
	(void)sqlite3_reset(s);
	return 0;
}

int cache_db_note_version(struct cache_db *db, const struct pkg_digest *root, const char *name,
			  const char *version, uint64_t content_bytes, struct err *e)
{
	sqlite3_stmt *s = use(db, VERSION_SET, e);

	if (!s)
		return -1;
	bind_digest(s, 1, root);
	(void)sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 3, version, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 4, (int64_t)content_bytes);
	(void)sqlite3_bind_int64(s, 5, now_s());
	return step_done(db, s, e);
}
