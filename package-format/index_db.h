/* SPDX-License-Identifier: Apache-2.0 */
/* What index.c (opening), index_vfs.c (where SQLite reads), index_column.c (one checked value) and
 * index_query.c (one question each) share; private to them, as is <sqlite3.h>. */
#ifndef FLOE_PKG_INDEX_DB_H
#define FLOE_PKG_INDEX_DB_H

#include <sqlite3.h>

#include "base/sync.h"
#include "package-format/index.h"
#include "package-format/index_frames.h"

enum statement {
	Q_STAT,
	Q_LOOKUP,
	Q_LIST,
	Q_PARENT,
	Q_READLINK,
	Q_EXTENTS,
	Q_CHUNK,
	Q_XATTR_LIST,
	Q_XATTR_GET,
	Q_PROFILE,
	Q_DEFAULTS,
	Q_COUNT
};

enum { PKG_INDEX_ROW_BYTES_MAX = 2 << 20 };

struct pkg_index {
	struct pkg_index_counts counts;
	struct pkg_manifest *manifest;
	uint64_t chunks_off; /* where the chunk area begins in the file */

	struct sync_mutex lock;
	struct pkg_index_frames *frames; /* the database; guarded by lock */
	struct err read_err;             /* why a read from it failed; guarded by lock */
	sqlite3_vfs vfs;
	char vfs_name[32];
	sqlite3 *db;                 /* guarded by lock */
	sqlite3_stmt *stmt[Q_COUNT]; /* guarded by lock */
};

/* Opens x->db over x->frames: SQLite's result. */
int pkg_index_vfs_open(struct pkg_index *x);

/* SQLite's last error, or "package index: bad WHAT" (ERR_FORMAT); both return -1. */
int pkg_index_db_error(const struct pkg_index *x, struct err *e);
int pkg_index_damaged(struct err *e, const char *what);

/* 1 a row, 0 no more rows, -1 error. */
int pkg_index_step(struct pkg_index *x, sqlite3_stmt *s, struct err *e) SYNC_REQUIRES(x->lock);

/* Column values of the current row: type and range are checked, anything else is ERR_FORMAT. */
int pkg_column_u64(sqlite3_stmt *s, int col, uint64_t max, const char *what, uint64_t *ret, struct err *e);
int pkg_column_u32(sqlite3_stmt *s, int col, uint32_t max, const char *what, uint32_t *ret, struct err *e);
/* Bytes of a BLOB, borrowed until the next step. */
int pkg_column_blob(sqlite3_stmt *s, int col, size_t min, size_t max, const char *what, const void **ret,
		    size_t *ret_len, struct err *e);

#endif
