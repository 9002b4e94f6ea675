/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's database; see hive_db.h. */
#include "registry-shim/hive_db.h"

#include <string.h>
#include <time.h>

enum { BUSY_TIMEOUT_MS = 10 * 1000 };

static const char *const sql_of[HIVE_STATEMENTS] = {
	[HIVE_BELOW] = "SELECT value, layer, origin FROM setting WHERE file=?1 AND key=?2 AND layer<?3"
		       " ORDER BY layer DESC LIMIT 1",
	[HIVE_PUT] =
		"INSERT INTO setting(file, key, layer, value, time_ms, origin) VALUES(?1,?2,?3,?4,?5,?6)"
		" ON CONFLICT(file, key, layer) DO UPDATE SET value=excluded.value, origin=excluded.origin,"
		" time_ms=iif(value IS excluded.value, time_ms, excluded.time_ms)",
	[HIVE_DROP] = "DELETE FROM setting WHERE file=?1 AND key=?2 AND layer=?3",
	[HIVE_LAYER] = "SELECT key, value, origin FROM setting WHERE file=?1 AND layer=?3",
	[HIVE_HAS_LOCKS] = "SELECT EXISTS(SELECT 1 FROM setting WHERE file=?1 AND layer>=40)",
	[HIVE_TEXT] = "SELECT kind, body, base FROM text WHERE file=?1 AND layer=?3",
	[HIVE_PUT_TEXT] = "INSERT OR REPLACE INTO text(file, layer, kind, body, base) VALUES(?1,?3,?4,?5,?6)",
	[HIVE_DROP_TEXT] = "DELETE FROM text WHERE file=?1 AND layer=?3",
	[HIVE_DECLARE] = "INSERT OR REPLACE INTO declared(file, lens, note) VALUES(?1,?2,?3)",
	[HIVE_DECLARED] = "SELECT lens FROM declared WHERE file=?1",
	[HIVE_NOTE] = "INSERT INTO history(time_ms, count, program, pid, file, key, layer, what, old, new)"
		      " VALUES(?3, 1, ?4, ?5, ?1, ?2, ?6, ?7, ?8, ?9)",
	[HIVE_LAST_NOTE] = "SELECT id, what, new FROM history WHERE file=?1 AND key=?2"
			   " ORDER BY id DESC LIMIT 1",
	[HIVE_NOTE_AGAIN] = "UPDATE history SET count=count+1, time_ms=?4, program=?5, pid=?6"
			    " WHERE file=?1 AND key=?2 AND id=?3",
};

int hive_error(struct reg_hive *h, struct err *e)
{
	int code = sqlite3_errcode(h->db);

	switch (code & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(
			e, ERR_FORMAT,
			"%s: the registry is damaged (%s); `floe env rollback` or `floe env reset` gives "
			"the environment a sound one",
			h->path, sqlite3_errmsg(h->db));
	case SQLITE_NOMEM:
		return err_set(e, ERR_NOMEM, "%s: out of memory", h->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, ERR_BUSY, "%s: another program keeps the registry locked", h->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_set(e, ERR_DENIED, "%s: %s", h->path, sqlite3_errmsg(h->db));
	default:
		return err_set(e, ERR_IO, "%s: %s", h->path, sqlite3_errmsg(h->db));
	}
}

int hive_exec(struct reg_hive *h, const char *sql, struct err *e)
{
	return sqlite3_exec(h->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : hive_error(h, e);
}

void hive_bind(sqlite3_stmt *s, int i, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(s, i);
}

sqlite3_stmt *hive_statement(struct reg_hive *h, enum hive_statement which, const char *file, const char *key,
			     struct err *e)
{
	sqlite3_stmt **s = &h->made[which];

	if (!*s && sqlite3_prepare_v3(h->db, sql_of[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL)) {
		(void)hive_error(h, e);
		return NULL;
	}
	sqlite3_reset(*s);
	sqlite3_clear_bindings(*s);
	if (sqlite3_bind_text(*s, 1, file, -1, SQLITE_STATIC) != SQLITE_OK ||
	    (key && sqlite3_bind_text(*s, 2, key, -1, SQLITE_STATIC) != SQLITE_OK)) {
		(void)hive_error(h, e);
		return NULL;
	}
	return *s;
}

int hive_run(struct reg_hive *h, sqlite3_stmt *s, struct err *e)
{
	int r = sqlite3_step(s) == SQLITE_DONE ? 0 : hive_error(h, e);

	sqlite3_reset(s);
	return r;
}

char *hive_column(sqlite3_stmt *s, int i, struct err *e)
{
	const char *text = (const char *)sqlite3_column_text(s, i);

	return mem_strndup(text ? text : "", (size_t)sqlite3_column_bytes(s, i), e);
}

int64_t hive_pragma(struct reg_hive *h, const char *sql, int64_t fallback)
{
	sqlite3_stmt *s = NULL;
	int64_t r = fallback;

	if (sqlite3_prepare_v2(h->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		r = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return r;
}

int64_t hive_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int hive_check_names(const char *file, const char *key, const char *value, struct err *e)
{
	if (!*file || strlen(file) > (size_t)REG_FILE_MAX || strchr(file, ':') || strchr(file, '\n'))
		return err_set(e, ERR_USAGE, "'%.100s' is no name of a file in the registry", file);
	if (key && (!*key || strlen(key) > REG_KEY_MAX))
		return err_set(e, ERR_LIMIT, "a key has 1 to %d bytes", REG_KEY_MAX);
	if (value && strlen(value) > REG_VALUE_MAX)
		return err_set(e, ERR_LIMIT, "%s: a value has at most %d bytes", key, REG_VALUE_MAX);
	return 0;
}

/* ---- transactions --------------------------------------------------------------------------- */

int reg_hive_begin(struct reg_hive *h, struct err *e)
{
	if (h->depth == 0) {
		if (hive_exec(h, "BEGIN IMMEDIATE", e) < 0)
			return -1;
		h->is_failed = false;
		h->has_noted = false;
	}
	h->depth++;
	return 0;
}

int reg_hive_end(struct reg_hive *h, int result, struct err *e)
{
	h->is_failed |= result < 0;
	if (--h->depth)
		return result;
	if (result == 0 && h->is_failed)
		result = err_set(e, ERR_IO, "%s: a part of the transaction failed", h->path);
	if (result == 0 && h->has_noted)
		result = hive_history_trim(h, e);
	if (result == 0 && hive_exec(h, "COMMIT", e) == 0)
		return 0;
	(void)sqlite3_exec(h->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int reg_hive_set_lazy(struct reg_hive *h, bool is_on, struct err *e)
{
	return hive_exec(h, is_on ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", e);
}

/* ---- open ----------------------------------------------------------------------------------- */

void reg_hive_close(struct reg_hive *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < HIVE_STATEMENTS; i++)
		sqlite3_finalize(h->made[i]);
	sqlite3_close(h->db);
	free(h->path);
	free(h);
}

static void hive_close_ptr(struct reg_hive **h)
{
	reg_hive_close(*h);
}

int reg_hive_open(const char *path, struct reg_hive **ret, struct err *e)
{
	__attribute__((cleanup(hive_close_ptr))) struct reg_hive *h = mem_alloc(1, sizeof(*h), e);

	if (!h)
		return -1;
	h->path = mem_strdup(path, e);
	if (!h->path)
		return -1;
	if (sqlite3_open_v2(path, &h->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return h->db ? hive_error(h, e) : err_set(e, ERR_NOMEM, "%s: out of memory", path);
	sqlite3_extended_result_codes(h->db, 1);
	sqlite3_busy_timeout(h->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(h->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(h->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (hive_exec(h, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON", e) <
		    0 ||
	    hive_schema_make(h, e) < 0)
		return -1;
	*ret = mem_steal(h);
	return 0;
}

void reg_hive_set_author(struct reg_hive *h, const char *program, long pid)
{
	size_t len = strnlen(program, sizeof(h->program) - 1);

	memcpy(h->program, program, len);
	h->program[len] = 0;
	h->pid = pid;
}
