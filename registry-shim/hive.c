/* SPDX-License-Identifier: Apache-2.0 */
/* The hive in SQLite; see hive.h.
 *
 * One row per (file, key, layer); the highest layer counts, NULL is a tombstone. Names and values are the
 * files' own bytes, valid UTF-8 or not, so nothing here compares or converts them but as bytes. WAL with
 * synchronous=FULL: a commit is on disk before it returns, a crash leaves all of it or nothing. */
#include "registry-shim/hive.h"

#include "base/hash.h"

#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

enum { SCHEMA_VERSION = 1, APPLICATION_ID = 0x666c7267 /* "flrg" */, BUSY_TIMEOUT_MS = 10 * 1000 };

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS setting(file TEXT NOT NULL, key TEXT NOT NULL, layer INTEGER NOT NULL,"
	" value TEXT, flags INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(file, key, layer)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS text(file TEXT NOT NULL, layer INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" body BLOB NOT NULL, base INTEGER NOT NULL, PRIMARY KEY(file, layer));";

enum statement { GET, BELOW, PUT, DROP, DROP_LAYER, LAYER, TEXT, PUT_TEXT, DROP_TEXT, STATEMENTS };

static const char *const sql_of[STATEMENTS] = {
	[GET] = "SELECT value, layer FROM setting WHERE file=?1 AND key=?2 ORDER BY layer DESC LIMIT 1",
	[BELOW] =
		"SELECT value FROM setting WHERE file=?1 AND key=?2 AND layer<2 ORDER BY layer DESC LIMIT 1",
	[PUT] = "INSERT OR REPLACE INTO setting(file, key, layer, value) VALUES(?1, ?2, ?3, ?4)",
	[DROP] = "DELETE FROM setting WHERE file=?1 AND key=?2 AND layer=2",
	[DROP_LAYER] = "DELETE FROM setting WHERE file=?1 AND layer=?2",
	[LAYER] = "SELECT key, value FROM setting WHERE file=?1 AND layer=?2",
	[TEXT] = "SELECT kind, body, base FROM text WHERE file=?1 AND layer=?2",
	[PUT_TEXT] = "INSERT OR REPLACE INTO text(file, layer, kind, body, base) VALUES(?1, ?2, ?3, ?4, ?5)",
	[DROP_TEXT] = "DELETE FROM text WHERE file=?1 AND layer=?2",
};

struct reg_hive {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *made[STATEMENTS];
};

/* ---- SQLite's ways -------------------------------------------------------------------------- */

static int db_error(struct reg_hive *h, struct err *e)
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

static int exec(struct reg_hive *h, const char *sql, struct err *e)
{
	return sqlite3_exec(h->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(h, e);
}

/* A prepared statement, reset, with ?1 = file; borrowed. */
static sqlite3_stmt *statement(struct reg_hive *h, enum statement which, const char *file, struct err *e)
{
	sqlite3_stmt **s = &h->made[which];

	if (!*s && sqlite3_prepare_v3(h->db, sql_of[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL)) {
		(void)db_error(h, e);
		return NULL;
	}
	sqlite3_reset(*s);
	sqlite3_clear_bindings(*s);
	if (sqlite3_bind_text(*s, 1, file, -1, SQLITE_STATIC) != SQLITE_OK) {
		(void)db_error(h, e);
		return NULL;
	}
	return *s;
}

static int run(struct reg_hive *h, sqlite3_stmt *s, struct err *e)
{
	int r = sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(h, e);

	sqlite3_reset(s);
	return r;
}

static char *column(sqlite3_stmt *s, int i, struct err *e)
{
	return mem_strndup((const char *)sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i), e);
}

static int64_t pragma(struct reg_hive *h, const char *sql, int64_t fallback)
{
	sqlite3_stmt *s = NULL;
	int64_t r = fallback;

	if (sqlite3_prepare_v2(h->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		r = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return r;
}

static int begin(struct reg_hive *h, struct err *e)
{
	return exec(h, "BEGIN IMMEDIATE", e);
}

/* Ends the transaction one way or the other; returns `result`, or -1 when the commit fails. */
static int finish(struct reg_hive *h, int result, struct err *e)
{
	if (result == 0 && exec(h, "COMMIT", e) == 0)
		return 0;
	(void)sqlite3_exec(h->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

/* ---- open ----------------------------------------------------------------------------------- */

void reg_hive_close(struct reg_hive *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(h->made[i]);
	sqlite3_close(h->db);
	free(h->path);
	free(h);
}

static void hive_close_ptr(struct reg_hive **h)
{
	reg_hive_close(*h);
}

static int make_schema(struct reg_hive *h, struct err *e)
{
	auto_free char *sql = NULL;
	int64_t version;

	if (begin(h, e) < 0)
		return -1;
	version = pragma(h, "PRAGMA user_version", -1);
	if (version < 0)
		return finish(h, db_error(h, e), e);
	if (version == SCHEMA_VERSION)
		return finish(h, 0, e);
	if (version > SCHEMA_VERSION)
		return finish(h,
			      err_set(e, ERR_UNSUPPORTED,
				      "%s: made by a newer floe (registry version %lld, this one knows %d)",
				      h->path, (long long)version, SCHEMA_VERSION),
			      e);
	sql = mem_printf(e, "%s PRAGMA application_id=%d; PRAGMA user_version=%d", schema, APPLICATION_ID,
			 SCHEMA_VERSION);
	return finish(h, sql ? exec(h, sql, e) : -1, e);
}

int reg_hive_open(const char *path, struct reg_hive **ret, struct err *e)
{
	__attribute__((cleanup(hive_close_ptr))) struct reg_hive *h = mem_alloc(1, sizeof(*h), e);
	int64_t id;

	if (!h)
		return -1;
	h->path = mem_strdup(path, e);
	if (!h->path)
		return -1;
	if (sqlite3_open_v2(path, &h->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return h->db ? db_error(h, e) : err_set(e, ERR_NOMEM, "%s: out of memory", path);
	sqlite3_extended_result_codes(h->db, 1);
	sqlite3_busy_timeout(h->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(h->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(h->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (exec(h, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON", e) < 0)
		return -1;
	id = pragma(h, "PRAGMA application_id", -1);
	if (id != 0 && id != APPLICATION_ID)
		return err_set(e, ERR_FORMAT, "%s: not a registry", path);
	if ((id == 0 || pragma(h, "PRAGMA user_version", 0) != SCHEMA_VERSION) && make_schema(h, e) < 0)
		return -1;
	*ret = mem_steal(h);
	return 0;
}

/* ---- settings ------------------------------------------------------------------------------- */

static int check_names(const char *file, const char *key, const char *value, struct err *e)
{
	if (!*file || strlen(file) > (size_t)REG_FILE_MAX || strchr(file, ':') || strchr(file, '\n'))
		return err_set(e, ERR_USAGE, "'%.100s' is no name of a file in the registry", file);
	if (key && (!*key || strlen(key) > REG_KEY_MAX))
		return err_set(e, ERR_LIMIT, "a key has 1 to %d bytes", REG_KEY_MAX);
	if (value && strlen(value) > REG_VALUE_MAX)
		return err_set(e, ERR_LIMIT, "%s: a value has at most %d bytes", key, REG_VALUE_MAX);
	return 0;
}

int reg_hive_get(struct reg_hive *h, const char *file, const char *key, char **ret, enum reg_layer *ret_layer,
		 struct err *e)
{
	sqlite3_stmt *s = statement(h, GET, file, e);
	char *value = NULL;
	int layer = 0, step;

	if (!s)
		return -1;
	sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
	step = sqlite3_step(s);
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		return db_error(h, e);
	if (step == SQLITE_DONE || sqlite3_column_type(s, 0) == SQLITE_NULL)
		(void)err_set(e, ERR_NOTFOUND, "%s:%s: no such setting", file, key);
	else
		value = column(s, 0, e);
	layer = step == SQLITE_ROW ? sqlite3_column_int(s, 1) : 0;
	sqlite3_reset(s);
	if (!value)
		return -1;
	*ret = value;
	*ret_layer = layer == REG_USER ? REG_USER : REG_PACKAGE;
	return 0;
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What counts for a key (`which` = GET) or what lies below the user's layer (BELOW); *ret NULL = nothing. */
static int lookup(struct reg_hive *h, enum statement which, const char *file, const char *key, char **ret,
		  struct err *e)
{
	sqlite3_stmt *s = statement(h, which, file, e);
	int step, r = 0;

	if (!s)
		return -1;
	sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
	step = sqlite3_step(s);
	*ret = NULL;
	if (step == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL) {
		*ret = column(s, 0, e);
		r = *ret ? 0 : -1;
	} else if (step != SQLITE_ROW && step != SQLITE_DONE) {
		r = db_error(h, e);
	}
	sqlite3_reset(s);
	return r;
}

static int put(struct reg_hive *h, const char *file, const char *key, enum reg_layer layer, const char *value,
	       struct err *e)
{
	sqlite3_stmt *s = statement(h, PUT, file, e);

	if (!s)
		return -1;
	sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 3, (int)layer);
	if (value)
		sqlite3_bind_text(s, 4, value, -1, SQLITE_STATIC);
	return run(h, s, e);
}

static int apply_one(struct reg_hive *h, const char *file, const struct reg_change *c, size_t *changed,
		     struct err *e)
{
	auto_free char *now = NULL, *below = NULL;
	sqlite3_stmt *s;

	if (check_names(file, c->key, c->value, e) < 0 || lookup(h, GET, file, c->key, &now, e) < 0 ||
	    lookup(h, BELOW, file, c->key, &below, e) < 0)
		return -1;
	*changed += !is_same(now, c->value);
	if (!is_same(below, c->value))
		return put(h, file, c->key, REG_USER, c->value, e);
	s = statement(h, DROP, file, e);
	if (!s)
		return -1;
	sqlite3_bind_text(s, 2, c->key, -1, SQLITE_STATIC);
	return run(h, s, e);
}

static int apply_all(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		     size_t *changed, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (apply_one(h, file, &changes[i], changed, e) < 0)
			return -1;
	return 0;
}

int reg_hive_apply(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		   size_t *ret_changed, struct err *e)
{
	size_t changed = 0;

	if (begin(h, e) < 0 || finish(h, apply_all(h, file, changes, count, &changed, e), e) < 0)
		return -1;
	*ret_changed = changed;
	return 0;
}

/* ---- defaults ------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct reg_change *const *)a)->key,
		      (*(const struct reg_change *const *)b)->key);
}

/* True when the stored package layer is exactly `sorted` (no key twice): the usual start changes nothing. */
static int is_layer_same(struct reg_hive *h, const char *file, const struct reg_change **sorted, size_t count,
			 bool *ret, struct err *e)
{
	sqlite3_stmt *s = statement(h, LAYER, file, e);
	size_t same = 0, rows = 0;
	int step;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 2, REG_PACKAGE);
	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		struct reg_change row = { (const char *)sqlite3_column_text(s, 0),
					  (const char *)sqlite3_column_text(s, 1) };
		const struct reg_change *key = &row, **hit;

		hit = bsearch(&key, sorted, count, sizeof(*sorted), by_key);
		same += hit && is_same((*hit)->value, row.value);
		rows++;
	}
	sqlite3_reset(s);
	if (step != SQLITE_DONE)
		return db_error(h, e);
	*ret = rows == count && same == count;
	return 0;
}

static int replace_layer(struct reg_hive *h, const char *file, const struct reg_change *values, size_t count,
			 struct err *e)
{
	sqlite3_stmt *s = statement(h, DROP_LAYER, file, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 2, REG_PACKAGE);
	if (run(h, s, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (values[i].value && (check_names(file, values[i].key, values[i].value, e) < 0 ||
					put(h, file, values[i].key, REG_PACKAGE, values[i].value, e) < 0))
			return -1;
	return 0;
}

int reg_hive_set_defaults(struct reg_hive *h, const char *file, const struct reg_change *values, size_t count,
			  struct err *e)
{
	auto_free const struct reg_change **sorted = mem_alloc(count, sizeof(*sorted), e);
	bool is_same_layer = false;

	if (!sorted || check_names(file, NULL, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &values[i];
	qsort(sorted, count, sizeof(*sorted), by_key);
	if (is_layer_same(h, file, sorted, count, &is_same_layer, e) < 0)
		return -1;
	if (is_same_layer)
		return 0;
	return begin(h, e) < 0 ? -1 : finish(h, replace_layer(h, file, values, count, e), e);
}

/* ---- texts ---------------------------------------------------------------------------------- */

struct text_row {
	char *body;
	size_t len;
	enum reg_text_kind kind; /* REG_TEXT_NONE: no row */
	int64_t base;            /* of the user's: digest of the package's text when it was saved */
};

static void text_row_fini(struct text_row *t)
{
	free(t->body);
}

/* Tells texts of one file apart, nothing more. */
static int64_t digest(const char *text, size_t len)
{
	return (int64_t)hash_bytes(HASH_SEED, text, len);
}

static int read_text(struct reg_hive *h, const char *file, enum reg_layer layer, struct text_row *ret,
		     struct err *e)
{
	sqlite3_stmt *s = statement(h, TEXT, file, e);
	int step, r = 0;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 2, (int)layer);
	step = sqlite3_step(s);
	if (step == SQLITE_ROW) {
		const char *body = sqlite3_column_blob(s, 1);

		ret->kind = (enum reg_text_kind)sqlite3_column_int(s, 0);
		ret->len = (size_t)sqlite3_column_bytes(s, 1);
		ret->base = sqlite3_column_int64(s, 2);
		ret->body = mem_alloc(ret->len + 1, 1, e);
		if (ret->body && ret->len)
			memcpy(ret->body, body, ret->len);
		r = ret->body ? 0 : -1;
	} else if (step != SQLITE_DONE) {
		r = db_error(h, e);
	}
	sqlite3_reset(s);
	return r;
}

static int put_text(struct reg_hive *h, const char *file, enum reg_layer layer, const struct reg_save *t,
		    int64_t base, struct err *e)
{
	sqlite3_stmt *s = statement(h, PUT_TEXT, file, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 2, (int)layer);
	sqlite3_bind_int(s, 3, (int)t->kind);
	sqlite3_bind_blob64(s, 4, t->len ? t->text : "", t->len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 5, base);
	return run(h, s, e);
}

int reg_hive_template(struct reg_hive *h, const char *file, char **ret, size_t *ret_len,
		      enum reg_text_kind *ret_kind, struct err *e)
{
	__attribute__((cleanup(text_row_fini))) struct text_row user = { 0 }, package = { 0 };
	struct text_row *t = &user;

	if (read_text(h, file, REG_USER, &user, e) < 0 || read_text(h, file, REG_PACKAGE, &package, e) < 0)
		return -1;
	if (user.kind == REG_TEXT_NONE)
		t = &package;
	else if (user.kind == REG_TEXT_KEYS && package.kind == REG_TEXT_KEYS &&
		 user.base != digest(package.body, package.len))
		t = &package;
	if (t->kind == REG_TEXT_NONE)
		return err_set(e, ERR_NOTFOUND, "%s: nothing has been written", file);
	*ret = mem_steal(t->body);
	*ret_len = t->len;
	*ret_kind = t->kind;
	return 0;
}

static int save_all(struct reg_hive *h, const char *file, const struct reg_save *save, size_t *changed,
		    struct err *e)
{
	__attribute__((cleanup(text_row_fini))) struct text_row package = { 0 };

	if (check_names(file, NULL, NULL, e) < 0 || read_text(h, file, REG_PACKAGE, &package, e) < 0 ||
	    apply_all(h, file, save->changes, save->count, changed, e) < 0)
		return -1;
	return put_text(h, file, REG_USER, save, package.body ? digest(package.body, package.len) : 0, e);
}

int reg_hive_save(struct reg_hive *h, const char *file, const struct reg_save *save, size_t *ret_changed,
		  struct err *e)
{
	size_t changed = 0;

	if (begin(h, e) < 0 || finish(h, save_all(h, file, save, &changed, e), e) < 0)
		return -1;
	*ret_changed = changed;
	return 0;
}

int reg_hive_set_template(struct reg_hive *h, const char *file, const char *text, size_t len, struct err *e)
{
	struct reg_save save = { .text = text, .len = len, .kind = REG_TEXT_KEYS };
	size_t changed;

	return reg_hive_save(h, file, &save, &changed, e);
}

int reg_hive_set_default_text(struct reg_hive *h, const char *file, const char *text, size_t len,
			      enum reg_text_kind kind, struct err *e)
{
	__attribute__((cleanup(text_row_fini))) struct text_row old = { 0 };
	struct reg_save save = { .text = text, .len = len, .kind = kind };
	sqlite3_stmt *s;

	if (check_names(file, NULL, NULL, e) < 0 || read_text(h, file, REG_PACKAGE, &old, e) < 0)
		return -1;
	if (text ? old.kind == kind && old.len == len && !memcmp(old.body, text, len)
		 : old.kind == REG_TEXT_NONE)
		return 0;
	if (text)
		return put_text(h, file, REG_PACKAGE, &save, 0, e);
	s = statement(h, DROP_TEXT, file, e);
	if (!s)
		return -1;
	sqlite3_bind_int(s, 2, REG_PACKAGE);
	return run(h, s, e);
}

/* ---- listings ------------------------------------------------------------------------------- */

static int each(struct reg_hive *h, const char *sql, const char *file, reg_setting_fn *fn, void *arg,
		struct err *e)
{
	sqlite3_stmt *s = NULL;
	int step, r = 0;

	if (sqlite3_prepare_v2(h->db, sql, -1, &s, NULL) != SQLITE_OK)
		return db_error(h, e);
	if (file)
		sqlite3_bind_text(s, 1, file, -1, SQLITE_STATIC);
	while (r == 0 && (step = sqlite3_step(s)) != SQLITE_DONE) {
		struct reg_setting row = { 0 };

		if (step != SQLITE_ROW) {
			r = db_error(h, e);
			break;
		}
		row.file = (const char *)sqlite3_column_text(s, 0);
		row.key = (const char *)sqlite3_column_text(s, 1);
		row.value = (const char *)sqlite3_column_text(s, 2);
		row.below = (const char *)sqlite3_column_text(s, 3);
		row.layer = sqlite3_column_int(s, 4) == REG_USER ? REG_USER : REG_PACKAGE;
		r = fn(arg, &row, e);
	}
	sqlite3_finalize(s);
	return r;
}

int reg_hive_each(struct reg_hive *h, const char *file, bool only_user, reg_setting_fn *fn, void *arg,
		  struct err *e)
{
	return each(
		h,
		only_user
			? "SELECT u.file, u.key, u.value, p.value, 2 FROM setting u LEFT JOIN setting p"
			  " ON p.file=u.file AND p.key=u.key AND p.layer=0"
			  " WHERE u.layer=2 AND (?1 IS NULL OR u.file=?1) ORDER BY u.file, u.key"
			: "SELECT s.file, s.key, s.value, p.value, s.layer FROM setting s LEFT JOIN setting p"
			  " ON p.file=s.file AND p.key=s.key AND p.layer=0 AND s.layer<>0"
			  " WHERE (?1 IS NULL OR s.file=?1) AND s.layer=(SELECT max(layer) FROM setting m"
			  " WHERE m.file=s.file AND m.key=s.key) ORDER BY s.file, s.key",
		file, fn, arg, e);
}

int reg_hive_each_opaque(struct reg_hive *h, reg_setting_fn *fn, void *arg, struct err *e)
{
	return each(h,
		    "SELECT file, '', NULL, NULL, max(layer) FROM text WHERE kind=2 GROUP BY file"
		    " ORDER BY file",
		    NULL, fn, arg, e);
}
