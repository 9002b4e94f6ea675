/* SPDX-License-Identifier: Apache-2.0 */
/* One step, one value: where what SQLite hands out is checked; see index_db.h. */
#include "package-format/index_db.h"

int pkg_index_db_error(const struct pkg_index *x, struct err *e)
{
	int code = sqlite3_errcode(x->db);

	if (code == SQLITE_NOMEM)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (sqlite3_extended_errcode(x->db) == SQLITE_IOERR_READ) {
		*e = x->read_err;
		return -1;
	}
	return err_set(e, ERR_FORMAT, "package index: %s", sqlite3_errmsg(x->db));
}

int pkg_index_damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_FORMAT, "package index: bad %s", what);
}

int pkg_index_step(struct pkg_index *x, sqlite3_stmt *s, struct err *e)
{
	int rc = sqlite3_step(s);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : pkg_index_db_error(x, e);
}

int pkg_column_u64(sqlite3_stmt *s, int col, uint64_t max, const char *what, uint64_t *ret, struct err *e)
{
	sqlite3_int64 v = sqlite3_column_int64(s, col);

	if (sqlite3_column_type(s, col) != SQLITE_INTEGER || v < 0 || (uint64_t)v > max)
		return pkg_index_damaged(e, what);
	*ret = (uint64_t)v;
	return 0;
}

int pkg_column_u32(sqlite3_stmt *s, int col, uint32_t max, const char *what, uint32_t *ret, struct err *e)
{
	uint64_t v;

	if (pkg_column_u64(s, col, max, what, &v, e) < 0)
		return -1;
	*ret = (uint32_t)v;
	return 0;
}

int pkg_column_blob(sqlite3_stmt *s, int col, size_t min, size_t max, const char *what, const void **ret,
		    size_t *ret_len, struct err *e)
{
	const void *data = sqlite3_column_blob(s, col);
	int len = sqlite3_column_bytes(s, col);

	if (sqlite3_column_type(s, col) != SQLITE_BLOB || len < 0 || (size_t)len < min || (size_t)len > max ||
	    (len && !data))
		return pkg_index_damaged(e, what);
	*ret = data;
	*ret_len = (size_t)len;
	return 0;
}
