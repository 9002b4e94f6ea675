/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of settings; see hive.h. */
#include "registry-shim/hive_db.h"

/* Columns: file, key, value, below, layer, origin, time. Takes `s` over. */
static int each(struct reg_hive *h, sqlite3_stmt *s, reg_setting_fn *fn, void *arg, struct err *e)
{
	int step = SQLITE_DONE, r = 0;

	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct reg_setting row = {
			.file = (const char *)sqlite3_column_text(s, 0),
			.key = (const char *)sqlite3_column_text(s, 1),
			.value = (const char *)sqlite3_column_text(s, 2),
			.below = (const char *)sqlite3_column_text(s, 3),
			.layer = (enum reg_layer)sqlite3_column_int(s, 4),
			.origin = (const char *)sqlite3_column_text(s, 5),
			.time_ms = sqlite3_column_int64(s, 6),
		};

		r = fn(arg, &row, e);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = hive_error(h, e);
	sqlite3_finalize(s);
	return r;
}

static sqlite3_stmt *prepare(struct reg_hive *h, const char *sql, const char *file, const char *key,
			     struct err *e)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(h->db, sql, -1, &s, NULL) != SQLITE_OK) {
		(void)hive_error(h, e);
		return NULL;
	}
	if (file)
		hive_bind(s, 1, file);
	if (key)
		hive_bind(s, 2, key);
	return s;
}

int reg_hive_each(struct reg_hive *h, const char *file, enum reg_each which, reg_setting_fn *fn, void *arg,
		  struct err *e)
{
	/* Of a group, SQLite takes the other columns from the row that has the maximum. */
	static const char effective[] =
		"SELECT file, key, value, NULL, max(layer), origin, time_ms FROM setting"
		" WHERE ?1 IS NULL OR file=?1 GROUP BY file, key ORDER BY file, key";
	static const char of_file[] =
		"SELECT file, key, value, NULL, max(layer), origin, time_ms FROM setting"
		" WHERE file=?1 GROUP BY file, key ORDER BY file, key";
	static const char changed[] =
		"SELECT u.file, u.key, u.value, (SELECT b.value FROM setting b WHERE b.file=u.file"
		" AND b.key=u.key AND b.layer<30 ORDER BY b.layer DESC LIMIT 1), max(u.layer), u.origin,"
		" u.time_ms FROM setting u WHERE u.layer IN (30, 40) AND (?1 IS NULL OR u.file=?1)"
		" GROUP BY u.file, u.key ORDER BY u.file, u.key";
	const char *sql = which == REG_EACH_CHANGED ? changed : file ? of_file : effective;
	sqlite3_stmt *s = prepare(h, sql, file, NULL, e);

	return s ? each(h, s, fn, arg, e) : -1;
}

int reg_hive_each_layer(struct reg_hive *h, const char *file, const char *key, reg_setting_fn *fn, void *arg,
			struct err *e)
{
	sqlite3_stmt *s = prepare(h,
				  "SELECT file, key, value, NULL, layer, origin, time_ms FROM setting"
				  " WHERE file=?1 AND key=?2 ORDER BY layer DESC",
				  file, key, e);

	return s ? each(h, s, fn, arg, e) : -1;
}

int reg_hive_each_in(struct reg_hive *h, enum reg_layer layer, reg_setting_fn *fn, void *arg, struct err *e)
{
	sqlite3_stmt *s = prepare(h,
				  "SELECT file, key, value, NULL, layer, origin, time_ms FROM setting"
				  " WHERE layer=?1 ORDER BY file, key",
				  NULL, NULL, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 1, (int)layer);
	return each(h, s, fn, arg, e);
}
