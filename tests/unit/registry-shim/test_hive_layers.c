/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's layers: site policy, locks, history, transactions, and a hive of the first schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

#include "base/path.h"
#include "registry-shim/hive_history.h"
#include "registry-shim/hive_text.h"

static char dir[64];
static char db[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/floe-hive-XXXXXX");
	assert_non_null(mkdtemp(dir));
	sprintf(db, "%s/registry.db", dir);
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	return path_remove_tree(AT_FDCWD, dir, &e);
}

static struct reg_hive *open_hive(void)
{
	struct reg_hive *h = NULL;
	struct err e;

	if (reg_hive_open(db, &h, &e) < 0)
		fail_msg("%s", e.msg);
	reg_hive_set_author(h, "tester", 42);
	return h;
}

static void set_layer(struct reg_hive *h, enum reg_layer layer, const char *key, const char *value)
{
	struct reg_layer_value v = { key, value, "origin" };
	struct err e;

	assert_int_equal(reg_hive_set_layer(h, "f", layer, &v, key ? 1 : 0, &e), 0);
}

static int apply(struct reg_hive *h, const char *key, const char *value, struct err *e)
{
	struct reg_change c = { key, value };
	size_t changed;

	return reg_hive_apply(h, "f", &c, 1, &changed, e);
}

/* value NULL = not there */
static void assert_setting(struct reg_hive *h, const char *key, const char *value, enum reg_layer layer)
{
	enum reg_layer got_layer = 9;
	char *got = NULL;
	struct err e;

	if (reg_hive_get(h, "f", key, &got, &got_layer, &e) < 0) {
		assert_int_equal(e.code, ERR_NOTFOUND);
		assert_null(value);
		return;
	}
	assert_non_null(value);
	assert_string_equal(got, value);
	assert_int_equal(got_layer, layer);
	free(got);
}

static void test_order(void **state)
{
	static const struct {
		enum reg_layer layer;
		const char *value;
	} layers[] = { { REG_PACKAGE, "p" }, { REG_SITE, "s" }, { REG_LOCAL, "l" } };
	struct reg_hive *h = open_hive();
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
		set_layer(h, layers[i].layer, "a/x", layers[i].value);
		assert_setting(h, "a/x", layers[i].value, layers[i].layer);
	}
	assert_int_equal(apply(h, "a/x", "u", &e), 0);
	assert_setting(h, "a/x", "u", REG_USER);
	assert_int_equal(reg_hive_lock(h, "f", "a/x", "k", &e), 0);
	assert_setting(h, "a/x", "k", REG_LOCK);
	set_layer(h, REG_SITE_LOCK, "a/x", "K");
	assert_setting(h, "a/x", "K", REG_SITE_LOCK);
	/* Each layer that goes uncovers the one below. */
	set_layer(h, REG_SITE_LOCK, NULL, NULL);
	assert_setting(h, "a/x", "k", REG_LOCK);
	assert_int_equal(reg_hive_unlock(h, "f", "a/x", &e), 0);
	assert_setting(h, "a/x", "u", REG_USER);
	assert_int_equal(apply(h, "a/x", "l", &e), 0);
	assert_setting(h, "a/x", "l", REG_LOCAL);
	set_layer(h, REG_LOCAL, NULL, NULL);
	assert_setting(h, "a/x", "s", REG_SITE);
	set_layer(h, REG_SITE, "a/x", NULL);
	assert_setting(h, "a/x", NULL, 0);
	reg_hive_close(h);
}

struct seen {
	size_t count;
	struct reg_setting first; /* its strings do not live on; layer and time do */
};

static int see(void *arg, const struct reg_setting *s, struct err *e)
{
	struct seen *seen = arg;

	(void)e;
	if (!seen->count++)
		seen->first = *s;
	return 0;
}

static void test_layer_times(void **state)
{
	struct reg_layer_value two[] = { { "a/x", "1", "old" }, { "a/y", "1", "old" } };
	struct reg_layer_value next[] = { { "a/x", "1", "new" }, { "a/z", "1", "new" } };
	struct reg_hive *h = open_hive();
	struct seen before = { 0 }, after = { 0 }, gone = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_set_layer(h, "f", REG_PACKAGE, two, 2, &e), 0);
	assert_int_equal(reg_hive_each_layer(h, "f", "a/x", see, &before, &e), 0);
	assert_true(before.first.time_ms > 0);
	assert_int_equal(reg_hive_set_layer(h, "f", REG_PACKAGE, next, 2, &e), 0);
	assert_int_equal(reg_hive_each_layer(h, "f", "a/x", see, &after, &e), 0);
	assert_int_equal(after.first.time_ms, before.first.time_ms); /* the value has been there since */
	assert_int_equal(reg_hive_each_layer(h, "f", "a/y", see, &gone, &e), 0);
	assert_int_equal(gone.count, 0);
	reg_hive_close(h);
}

static void test_locks(void **state)
{
	struct reg_change c[] = { { "a/x", "new" }, { "a/y", "kept" }, { "a/z", NULL } };
	struct reg_save save = { c, 3, "text", 4, REG_TEXT_KEYS };
	struct reg_hive *h = open_hive();
	struct reg_saved saved;
	bool has = true;
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_has_locks(h, "f", &has, &e), 0);
	assert_false(has);
	assert_int_equal(apply(h, "a/x", "mine", &e), 0);
	assert_int_equal(reg_hive_lock(h, "f", "a/x", "fixed", &e), 0);
	assert_int_equal(reg_hive_lock(h, "f", "a/z", "there", &e), 0);
	assert_int_equal(reg_hive_has_locks(h, "f", &has, &e), 0);
	assert_true(has);
	/* An application's save: the locked keys stay, the others change. */
	assert_int_equal(reg_hive_save(h, "f", &save, &saved, &e), 0);
	assert_int_equal(saved.changed, 1);
	assert_int_equal(saved.refused, 2);
	assert_setting(h, "a/x", "fixed", REG_LOCK);
	assert_setting(h, "a/y", "kept", REG_USER);
	assert_setting(h, "a/z", "there", REG_LOCK);
	/* A person is told. */
	assert_int_equal(apply(h, "a/x", "other", &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_non_null(strstr(e.msg, "unlock"));
	assert_int_equal(apply(h, "a/x", "fixed", &e), 0);
	/* What was below is there again. */
	assert_int_equal(reg_hive_unlock(h, "f", "a/x", &e), 0);
	assert_setting(h, "a/x", "mine", REG_USER);
	assert_int_equal(reg_hive_unlock(h, "f", "a/x", &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	/* Locked as not being there. */
	assert_int_equal(reg_hive_lock(h, "f", "a/x", NULL, &e), 0);
	assert_setting(h, "a/x", NULL, 0);
	assert_int_equal(apply(h, "a/x", "1", &e), -1);
	/* The administrator's lock is nobody else's to take away. */
	set_layer(h, REG_SITE_LOCK, "a/x", "site");
	assert_int_equal(reg_hive_unlock(h, "f", "a/x", &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_non_null(strstr(e.msg, "origin"));
	assert_int_equal(reg_hive_lock(h, "f", "a/x", "1", &e), -1);
	reg_hive_close(h);
}

/* ---- history -------------------------------------------------------------------------------- */

struct told {
	size_t count;
	char last[8192];
};

static int tell(void *arg, const struct reg_event *v, struct err *e)
{
	struct told *t = arg;

	(void)e;
	t->count++;
	snprintf(t->last, sizeof(t->last), "%s %s:%s %s->%s %s(%ld) x%d", reg_what_name(v->what), v->file,
		 v->key, v->old_value ? v->old_value : "-", v->new_value ? v->new_value : "-", v->program,
		 v->pid, (int)v->count);
	assert_true(v->time_ms > 0);
	return 0;
}

static void assert_last(struct reg_hive *h, const char *key, size_t count, const char *last)
{
	struct told t = { 0 };
	struct err e;

	assert_int_equal(reg_hive_each_event(h, NULL, key, 1000, tell, &t, &e), 0);
	assert_int_equal(t.count, count);
	assert_string_equal(t.last, last);
}

static void test_history(void **state)
{
	struct reg_change c = { "a/x", "try" };
	struct reg_save save = { &c, 1, "t", 1, REG_TEXT_KEYS };
	struct reg_save opaque = { NULL, 0, "whole", 5, REG_TEXT_OPAQUE };
	struct reg_hive *h = open_hive();
	char *long_value = calloc(1, 5000 + 1), want[1024];
	struct reg_saved saved;
	uint64_t refused = 99;
	struct err e;

	(void)state;
	assert_int_equal(apply(h, "a/x", "1", &e), 0);
	assert_last(h, "a/x", 1, "changed f:a/x -->1 tester(42) x1");
	assert_int_equal(apply(h, "a/x", "1", &e), 0); /* no change, no event */
	assert_int_equal(apply(h, "a/x", NULL, &e), 0);
	assert_last(h, "a/x", 2, "changed f:a/x 1->- tester(42) x1");
	assert_int_equal(reg_hive_lock(h, "f", "a/x", "L", &e), 0);
	assert_last(h, "a/x", 3, "locked f:a/x -->L tester(42) x1");
	for (int i = 0; i < 5; i++)
		assert_int_equal(reg_hive_save(h, "f", &save, &saved, &e), 0);
	assert_last(h, "a/x", 4, "refused f:a/x L->try tester(42) x5");
	assert_int_equal(reg_hive_unlock(h, "f", "a/x", &e), 0);
	assert_last(h, "a/x", 5, "unlocked f:a/x L->- tester(42) x1");
	for (int i = 0; i < 2; i++)
		assert_int_equal(reg_hive_save(h, "f", &opaque, &saved, &e), 0);
	assert_last(h, "", 1, "written f: -->- tester(42) x1");
	memset(long_value, 'v', 5000);
	assert_int_equal(apply(h, "a/l", long_value, &e), 0);
	long_value[REG_HISTORY_VALUE_MAX] = 0;
	snprintf(want, sizeof(want), "changed f:a/l -->%s... tester(42) x1", long_value);
	assert_last(h, "a/l", 1, want);
	assert_int_equal(reg_hive_count_refused(h, 1, &refused, &e), 0);
	assert_int_equal(refused, 1);
	assert_int_equal(reg_hive_note_refused_text(h, "g", &e), 0);
	assert_int_equal(reg_hive_count_refused(h, 1, &refused, &e), 0);
	assert_int_equal(refused, 2);
	assert_int_equal(reg_hive_count_refused(h, INT64_MAX, &refused, &e), 0);
	assert_int_equal(refused, 0);
	free(long_value);
	reg_hive_close(h);
}

static void test_history_is_bounded(void **state)
{
	struct reg_hive *h = open_hive();
	struct told t = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_begin(h, &e), 0);
	for (int i = 0; i < REG_HISTORY_MAX + 50; i++) {
		char value[16];

		sprintf(value, "%d", i);
		assert_int_equal(apply(h, "a/x", value, &e), 0);
	}
	assert_int_equal(reg_hive_end(h, 0, &e), 0);
	assert_int_equal(reg_hive_each_event(h, NULL, NULL, SIZE_MAX, tell, &t, &e), 0);
	assert_int_equal(t.count, REG_HISTORY_MAX);
	assert_string_equal(t.last, "changed f:a/x 10048->10049 tester(42) x1");
	reg_hive_close(h);
}

/* ---- transactions --------------------------------------------------------------------------- */

static void test_transaction(void **state)
{
	struct reg_hive *h = open_hive();
	struct told t = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_begin(h, &e), 0);
	assert_int_equal(apply(h, "a/x", "1", &e), 0);
	assert_int_equal(apply(h, "a/y", "1", &e), 0);
	assert_int_equal(reg_hive_end(h, -1, &e), -1);
	assert_setting(h, "a/x", NULL, 0);
	assert_int_equal(reg_hive_each_event(h, NULL, NULL, 10, tell, &t, &e), 0);
	assert_int_equal(t.count, 0);
	/* A part that failed takes the rest along, even if nobody looked. */
	assert_int_equal(reg_hive_begin(h, &e), 0);
	assert_int_equal(apply(h, "a/x", "1", &e), 0);
	assert_int_equal(apply(h, "", "1", &e), -1);
	assert_int_equal(reg_hive_end(h, 0, &e), -1);
	assert_setting(h, "a/x", NULL, 0);
	assert_int_equal(reg_hive_begin(h, &e), 0);
	assert_int_equal(apply(h, "a/x", "1", &e), 0);
	assert_int_equal(reg_hive_lock(h, "f", "a/y", "2", &e), 0);
	assert_int_equal(reg_hive_end(h, 0, &e), 0);
	reg_hive_close(h);
	h = open_hive();
	assert_setting(h, "a/x", "1", REG_USER);
	assert_setting(h, "a/y", "2", REG_LOCK);
	reg_hive_close(h);
}

/* ---- schema --------------------------------------------------------------------------------- */

/* What the first version of floe's registry left behind, as `.dump` shows it. */
static const char version_1[] =
	"PRAGMA application_id=1718383207; PRAGMA user_version=1;"
	"CREATE TABLE setting(file TEXT NOT NULL, key TEXT NOT NULL, layer INTEGER NOT NULL,"
	" value TEXT, flags INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(file, key, layer)) WITHOUT ROWID;"
	"INSERT INTO setting VALUES('f','a/default',0,'d',0);"
	"INSERT INTO setting VALUES('f','a/x',0,'d',0);"
	"INSERT INTO setting VALUES('f','a/x',2,'mine',0);"
	"INSERT INTO setting VALUES('f','a/gone',0,'d',0);"
	"INSERT INTO setting VALUES('f','a/gone',2,NULL,0);"
	"INSERT INTO setting VALUES('f','a/own',2,CAST(x'ff20c328' AS TEXT),0);"
	"CREATE TABLE text(file TEXT NOT NULL, layer INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" body BLOB NOT NULL, base INTEGER NOT NULL, PRIMARY KEY(file, layer));"
	"INSERT INTO text VALUES('f',2,2,x'6d696e65',0);"
	"INSERT INTO text VALUES('f',0,1,x'76656e646f72',0);";

static void test_version_1(void **state)
{
	struct reg_hive *h;
	struct seen seen = { 0 };
	enum reg_text_kind kind;
	sqlite3 *old;
	char *text;
	size_t len;
	struct err e;

	(void)state;
	assert_int_equal(sqlite3_open(db, &old), SQLITE_OK);
	assert_int_equal(sqlite3_exec(old, version_1, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(old), SQLITE_OK);
	for (int i = 0; i < 2; i++) { /* also the second time */
		h = open_hive();
		assert_setting(h, "a/default", "d", REG_PACKAGE);
		assert_setting(h, "a/x", "mine", REG_USER);
		assert_setting(h, "a/gone", NULL, 0);
		assert_setting(h, "a/own", "\xff \xc3(", REG_USER);
		assert_int_equal(reg_hive_template(h, "f", &text, &len, &kind, &e), 0);
		assert_string_equal(text, "mine");
		assert_int_equal(kind, REG_TEXT_OPAQUE);
		free(text);
		seen.count = 0;
		assert_int_equal(reg_hive_each(h, NULL, REG_EACH_CHANGED, see, &seen, &e), 0);
		assert_int_equal(seen.count, 3);
		reg_hive_close(h);
	}
	h = open_hive();
	assert_int_equal(reg_hive_lock(h, "f", "a/x", "locked", &e), 0);
	assert_setting(h, "a/x", "locked", REG_LOCK);
	reg_hive_close(h);
}

/* Keys at the top of files were "/name" in INI files, and in what `floe registry` wrote for any file. */
static const char version_2[] =
	"PRAGMA application_id=1718383207; PRAGMA user_version=2;"
	"CREATE TABLE setting(file TEXT NOT NULL, key TEXT NOT NULL, layer INTEGER NOT NULL, value TEXT,"
	" time_ms INTEGER NOT NULL, origin TEXT NOT NULL, PRIMARY KEY(file, key, layer)) WITHOUT ROWID;"
	"CREATE TABLE text(file TEXT NOT NULL, layer INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" body BLOB NOT NULL, base INTEGER NOT NULL, PRIMARY KEY(file, layer));"
	"CREATE TABLE history(id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, count INTEGER NOT NULL,"
	" program TEXT NOT NULL, pid INTEGER NOT NULL, file TEXT NOT NULL, key TEXT NOT NULL,"
	" layer INTEGER NOT NULL, what INTEGER NOT NULL, old TEXT, new TEXT);"
	"CREATE INDEX history_of ON history(file, key);"
	"INSERT INTO setting VALUES"
	" ('ini','/top',0,'d',1,'box'), ('ini','/top',30,'mine',2,'htop'), ('ini','/top',40,'kept',3,'floe "
	"registry'),"
	" ('ini','/a/b',30,'slash',2,'htop'), ('ini','s/k',30,'v',2,'htop'), ('ini','s//k',30,'w',2,'htop'),"
	" ('ini','/'||CAST(x'ff20c3' AS TEXT),30,'bytes',2,'htop'),"
	" ('json','name',0,'d',1,'npm'), ('json','a/b',0,'d',1,'npm'), ('json','/name',30,'asked',2,'floe "
	"registry'),"
	" ('json','both',30,'counts',1,'npm'), ('json','/both',30,'dead',2,'floe registry'),"
	" ('java','a.b',30,'1',1,'java'), ('java','/a',30,'2',1,'java'), ('java','/a/b',30,'3',1,'java'),"
	" ('java','/asked',30,'4',1,'floe registry');"
	"INSERT INTO history VALUES"
	" (1,1,1,'htop',7,'ini','/top',30,0,'d','mine'), (2,2,1,'htop',7,'ini','/a/b',30,0,NULL,'slash'),"
	" (3,3,1,'java',7,'java','/a',30,0,NULL,'2'), (4,4,1,'floe "
	"registry',7,'java','/asked',30,0,NULL,'4'),"
	" (5,5,1,'vim',7,'vimrc','',30,4,NULL,NULL);";

static void assert_value(struct reg_hive *h, const char *file, const char *key, const char *want)
{
	auto_free char *value = NULL;
	enum reg_layer layer;
	struct err e;

	if (reg_hive_get(h, file, key, &value, &layer, &e) < 0)
		value = NULL;
	if (!want != !value || (want && strcmp(value, want) != 0))
		fail_msg("%s:%s is %s", file, key, value ? value : "not there");
}

static int add_key(void *arg, const struct reg_event *v, struct err *e)
{
	return buf_printf(arg, e, "%s:%s ", v->file, v->key);
}

static void test_version_2(void **state)
{
	static const char *const wanted[][3] = {
		{ "ini", "top", "kept" },     { "ini", "/top", NULL },   { "ini", "/a/b", "slash" },
		{ "ini", "s/k", "v" },        { "ini", "s//k", "w" },    { "ini", "\xff \xc3", "bytes" },
		{ "json", "name", "asked" },  { "json", "/name", NULL }, { "json", "a/b", "d" },
		{ "json", "both", "counts" }, { "json", "/both", NULL }, { "java", "a.b", "1" },
		{ "java", "//a", "2" },       { "java", "//a/b", "3" },  { "java", "/a", NULL },
		{ "java", "a", NULL },        { "java", "asked", "4" },
	};
	auto_buf struct buf keys = BUF_INIT(1024);
	struct reg_hive *h;
	sqlite3 *old;
	char *message = NULL;
	struct err e;

	(void)state;
	assert_int_equal(sqlite3_open(db, &old), SQLITE_OK);
	if (sqlite3_exec(old, version_2, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	assert_int_equal(sqlite3_close(old), SQLITE_OK);
	for (int i = 0; i < 2; i++) { /* also the second time */
		h = open_hive();
		for (size_t at = 0; at < ARRAY_LEN(wanted); at++)
			assert_value(h, wanted[at][0], wanted[at][1], wanted[at][2]);
		reg_hive_close(h);
	}
	h = open_hive();
	assert_int_equal(reg_hive_unlock(h, "ini", "top", &e), 0);
	assert_value(h, "ini", "top", "mine");
	assert_int_equal(reg_hive_each_event(h, NULL, NULL, 5, add_key, &keys, &e), 0);
	assert_string_equal(buf_text(&keys, &e), "ini:/a/b java://a java:asked vimrc: ini:top ");
	reg_hive_close(h);
}

static void test_newer(void **state)
{
	struct reg_hive *h = open_hive();
	sqlite3 *raw;
	struct err e;

	(void)state;
	reg_hive_close(h);
	assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
	assert_int_equal(sqlite3_exec(raw, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(raw), SQLITE_OK);
	assert_int_equal(reg_hive_open(db, &h, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layer_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version_2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
