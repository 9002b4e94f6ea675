/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the cache's database: schema, statements, and how errors are reported; for cache_db*.c
 * and cache_sql.c only, where alone <sqlite3.h> is wanted.
 *
 * ERR_FORMAT = damaged and marked so; ERR_BUSY, ERR_NOMEM, ERR_IO otherwise. Any failure may be reported
 * in the middle of a transaction: cache_sql_finish rolls back. */
#ifndef FLOE_STREAM_CACHE_SQL_H
#define FLOE_STREAM_CACHE_SQL_H

#include <sqlite3.h>

#include "streaming/cache_db.h"

enum { CACHE_PAGE = 4096, CACHE_RESERVATION_S = 600 };
/* ext4 ends at 16 TiB; by then nearly all of it is holes, and starting afresh is cheap. */
#define CACHE_SPACE_MAX (UINT64_C(8) << 40)

enum cache_statement {
	CACHE_FIND,
	CACHE_DROP,
	CACHE_COUNT_WRONG,
	CACHE_TOUCH,
	CACHE_EXPIRE,
	CACHE_SPACE,
	CACHE_SPACE_SET,
	CACHE_RESERVE,
	CACHE_UNRESERVE,
	CACHE_SPACE_BACK,
	CACHE_INSERT,
	CACHE_TOTALS,
	CACHE_LIST,
	CACHE_OLDEST,
	CACHE_REFERENCED,
	CACHE_SOURCE_SET,
	CACHE_SOURCE_GET,
	CACHE_SOURCE_DROP,
	CACHE_INDEX_USED,
	CACHE_VERSION_SAVE,
	CACHE_VERSION_NOTE,
	CACHE_VERSION_USE,
	CACHE_VERSION_PIN,
	CACHE_VERSION_DROP,
	CACHE_VERSIONS,
	CACHE_STATEMENTS
};

struct cache_db {
	sqlite3 *sql;
	sqlite3_stmt *statements[CACHE_STATEMENTS];
	char *dir;
	bool is_shared; /* read-only, of somebody else: damage is not marked */
};

int cache_sql_error(struct cache_db *db, struct err *e);
/* Leaves a note for the next open; our own connection goes on as well as it can. */
void cache_sql_damaged(struct cache_db *db);
int cache_sql_run(struct cache_db *db, const char *sql, struct err *e) FLOE_MUST_USE;
/* Reset and without bindings; borrowed from the connection. */
sqlite3_stmt *cache_sql_use(struct cache_db *db, enum cache_statement which, struct err *e);
/* For statements without rows. */
int cache_sql_done(struct cache_db *db, sqlite3_stmt *s, struct err *e) FLOE_MUST_USE;

void cache_sql_bind_digest(sqlite3_stmt *s, int at, const struct pkg_digest *digest);
/* Rows are ours but the disk may have changed them: false for what cannot be. */
bool cache_sql_digest(sqlite3_stmt *s, int at, struct pkg_digest *ret);
bool cache_sql_place(sqlite3_stmt *s, int at, uint64_t *ret_off, uint64_t *ret_len);

int cache_sql_begin(struct cache_db *db, struct err *e) FLOE_MUST_USE;
/* Ends the transaction according to rc; an error of the body stays the error. */
int cache_sql_finish(struct cache_db *db, int rc, struct err *e) FLOE_MUST_USE;
int64_t cache_sql_now_s(void);

/* Inside a transaction: forgets reservations of killed processes; the end of what was ever given out. */
int cache_sql_expire(struct cache_db *db, struct err *e) FLOE_MUST_USE;
int cache_sql_space(struct cache_db *db, uint64_t *ret, struct err *e) FLOE_MUST_USE;

#endif
