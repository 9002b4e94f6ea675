/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's schema, version by version.
 *
 * 1: setting(file, key, layer 0|2, value, flags), text(file, layer, kind, body, base)
 * 2: layers with room between them (hive.h); of each value its time and origin; history
 * 3: a key at the top of a file is "name" (lens.h); in INI files it was "/name" before, and `floe registry`
 *    spelled it so for every kind of file
 * 4: declared(file, lens, note)
 *
 * A hive goes from its version to the next, and so on, in one transaction. */
#include "registry-shim/hive_db.h"

enum { SCHEMA_VERSION = 4, APPLICATION_ID = 0x666c7267 /* "flrg" */ };

static const char version_1[] =
	"CREATE TABLE setting(file TEXT NOT NULL, key TEXT NOT NULL, layer INTEGER NOT NULL,"
	" value TEXT, flags INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(file, key, layer)) WITHOUT ROWID;"
	"CREATE TABLE text(file TEXT NOT NULL, layer INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" body BLOB NOT NULL, base INTEGER NOT NULL, PRIMARY KEY(file, layer));";

static const char version_2[] =
	"ALTER TABLE setting RENAME TO setting_1;"
	"CREATE TABLE setting(file TEXT NOT NULL, key TEXT NOT NULL, layer INTEGER NOT NULL, value TEXT,"
	" time_ms INTEGER NOT NULL, origin TEXT NOT NULL, PRIMARY KEY(file, key, layer)) WITHOUT ROWID;"
	"INSERT INTO setting SELECT file, key, CASE layer WHEN 2 THEN 30 ELSE layer END, value, 0, ''"
	" FROM setting_1;"
	"DROP TABLE setting_1;"
	"UPDATE text SET layer=30 WHERE layer=2;"
	"CREATE TABLE history(id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, count INTEGER NOT NULL,"
	" program TEXT NOT NULL, pid INTEGER NOT NULL, file TEXT NOT NULL, key TEXT NOT NULL,"
	" layer INTEGER NOT NULL, what INTEGER NOT NULL, old TEXT, new TEXT);"
	"CREATE INDEX history_of ON history(file, key);";

/* No hive knows what kind a file is. But in INI files every key had a '/': a file that has a key without one
 * is of another kind. What `floe registry` spelled "/name" there reached no file, and counts now; of what
 * others wrote, only the names of Java's properties can begin with '/', which is spelled "//" now. Properties
 * all of whose names have a '/' are taken for an INI file: what the package and the host say there is read
 * anew, and what the application had changed under a name that begins with '/' counts for another name. */
#define IS_TOP   "key GLOB '/?*' AND instr(substr(key, 2), '/')=0"
#define IS_OTHER "file IN (SELECT file FROM setting WHERE instr(key, '/')=0)"

static const char version_3[] =
	"UPDATE history SET key=substr(key, 2)"
	" WHERE " IS_TOP " AND NOT (program<>'floe registry' AND " IS_OTHER ");"
	"UPDATE history SET key='/'||key"
	" WHERE key GLOB '/*' AND program<>'floe registry' AND " IS_OTHER ";"
	"UPDATE OR REPLACE setting SET key='/'||key"
	" WHERE key GLOB '/*' AND origin<>'floe registry' AND " IS_OTHER ";"
	/* Where the right spelling is there as well, it has been the one that counts. */
	"UPDATE OR IGNORE setting SET key=substr(key, 2) WHERE " IS_TOP ";"
	"DELETE FROM setting WHERE " IS_TOP ";";

static const char version_4[] =
	"CREATE TABLE declared(file TEXT PRIMARY KEY, lens TEXT NOT NULL, note TEXT NOT NULL) WITHOUT ROWID;";

static const char *const steps[SCHEMA_VERSION] = { version_1, version_2, version_3, version_4 };

/* A new database is no hive yet, an old one may be. */
static int check_kind(struct reg_hive *h, int64_t *ret_version, struct err *e)
{
	int64_t id = hive_pragma(h, "PRAGMA application_id", -1);
	int64_t version = hive_pragma(h, "PRAGMA user_version", -1);

	if (id < 0 || version < 0)
		return hive_error(h, e);
	if (id != 0 && id != APPLICATION_ID)
		return err_set(e, ERR_FORMAT, "%s: not a registry", h->path);
	if (version > SCHEMA_VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: made by a newer floe (registry version %lld, this one knows %d)", h->path,
			       (long long)version, SCHEMA_VERSION);
	*ret_version = id ? version : 0;
	return 0;
}

static int bring_up(struct reg_hive *h, struct err *e)
{
	auto_free char *sql = NULL;
	int64_t version;

	/* Another process may have been faster. */
	if (check_kind(h, &version, e) < 0)
		return -1;
	for (; version < SCHEMA_VERSION; version++)
		if (hive_exec(h, steps[version], e) < 0)
			return -1;
	sql = mem_printf(e, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
			 SCHEMA_VERSION);
	return sql ? hive_exec(h, sql, e) : -1;
}

int hive_schema_make(struct reg_hive *h, struct err *e)
{
	int64_t version;

	if (check_kind(h, &version, e) < 0)
		return -1;
	if (version == SCHEMA_VERSION)
		return 0;
	return reg_hive_begin(h, e) < 0 ? -1 : reg_hive_end(h, bring_up(h, e), e);
}
