/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that lie: a good database is changed by SQL or byte by byte, signed or not; every answer is an
 * error or within its bounds, and `floe verify`'s check finds what single answers cannot. */
#include <sqlite3.h>

#include "package-format/check.h"
#include "tests/unit/package-format/fixture.h"

struct database {
	uint8_t *bytes;
	size_t len;
	struct pkg_header header;
};

static struct database take_database(struct fixture *f)
{
	struct database d;
	struct pkg_writer_report report;
	struct pkg_touch touch = { 0, 0, 1 };
	uint8_t content[3000];
	struct buf file;
	struct opened o;
	struct pkg_inode i;
	struct err e;

	noise(1, content, sizeof(content));
	put_file(f, "tree/usr/bin/tool", content, sizeof(content));
	put_file(f, "tree/usr/bin/other", content, 1000);
	assert_int_equal(symlink("tool", below(f, "tree/usr/bin/link")), 0);
	make_package(f, "p.floe", 1, &report);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	OK(pkg_index_resolve(o.index, "usr/bin/tool", &i, &e));
	touch.ino = i.ino;
	opened_close(&o);
	OK(pkg_writer_relayout(below(f, "p.floe"), &touch, 1, NULL, f->key, below(f, "p.floe"), &report, &e));
	file = whole(below(f, "p.floe"));
	OK(pkg_header_decode(file.data, &d.header, &e));
	d.len = d.header.index_content_len;
	d.bytes = malloc(d.len);
	OK(pkg_frame_inflate(file.data + PKG_HEADER_LEN, d.header.index_stored_len, d.len, d.bytes, &e));
	buf_fini(&file);
	return d;
}

/* A copy of the database with so many more names in the root; caller frees. */
static uint8_t *grown(const struct database *d, unsigned names, size_t *ret_len)
{
	sqlite3_int64 len = (sqlite3_int64)d->len;
	unsigned char *bytes = sqlite3_malloc64((sqlite3_uint64)len);
	uint8_t *ret;
	sqlite3 *db;
	char sql[300];

	memcpy(bytes, d->bytes, d->len);
	(void)snprintf(sql, sizeof(sql),
		       "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<%u) "
		       "INSERT INTO entry SELECT 1,CAST(printf('n%%06d',i) AS BLOB),1,100+i FROM n",
		       names - 1);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_deserialize(db, "main", bytes, len, len,
					     SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	bytes = sqlite3_serialize(db, "main", &len, 0);
	assert_non_null(bytes);
	ret = malloc((size_t)len);
	memcpy(ret, bytes, (size_t)len);
	sqlite3_free(bytes);
	(void)sqlite3_close(db);
	*ret_len = (size_t)len;
	return ret;
}

static int look_up_nth(struct pkg_index *x, unsigned i, struct pkg_inode *ret, struct err *e)
{
	char name[16];
	int len = snprintf(name, sizeof(name), "n%06u", i);

	return pkg_index_lookup(x, PKG_ROOT_INO, name, (size_t)len, ret, e);
}

static int open_bytes(const uint8_t *bytes, size_t len, struct pkg_index **ret, size_t *ret_stored,
		      struct err *ret_err)
{
	struct buf stored = BUF_INIT(64 << 20);
	struct err e;
	int rc;

	OK(pkg_index_compress(bytes, len, 1, &stored, &e));
	*ret_stored = stored.len;
	rc = pkg_index_open(stored.data, stored.len, len, -1, ret, ret_err);
	buf_fini(&stored);
	return rc;
}

/* Opens the database as `sql` leaves it. */
static int open_changed(const struct database *d, const char *sql, struct pkg_index **ret, size_t *ret_stored,
			struct err *e)
{
	sqlite3 *db;
	sqlite3_int64 len = (sqlite3_int64)d->len;
	unsigned char *bytes = sqlite3_malloc64((sqlite3_uint64)len);
	char *why = NULL;
	int rc;

	memcpy(bytes, d->bytes, d->len);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_deserialize(db, "main", bytes, len, len,
					     SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE),
			 SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	bytes = sqlite3_serialize(db, "main", &len, 0);
	rc = open_bytes(bytes, (size_t)len, ret, ret_stored, e);
	sqlite3_free(bytes);
	(void)sqlite3_close(db);
	return rc;
}

static void what_does_not_open(void **state)
{
	static const struct {
		const char *sql;
		enum err_code code;
	} cases[] = {
		{ "PRAGMA application_id=1", ERR_FORMAT },
		{ "PRAGMA user_version=2", ERR_UNSUPPORTED },
		{ "DROP TABLE profile", ERR_FORMAT },
		{ "ALTER TABLE profile ADD COLUMN more", ERR_FORMAT },
		{ "CREATE VIEW v AS SELECT 1", ERR_FORMAT },
		{ "CREATE TRIGGER t AFTER INSERT ON inode BEGIN SELECT 1; END", ERR_FORMAT },
		{ "CREATE INDEX i ON inode(mode)", ERR_FORMAT },
		{ "DROP INDEX entry_cookie; CREATE INDEX entry_cookie ON entry(cookie, parent)", ERR_FORMAT },
		{ "DELETE FROM counts", ERR_FORMAT },
		{ "INSERT INTO counts SELECT * FROM counts", ERR_FORMAT },
		{ "UPDATE counts SET inodes=-1", ERR_FORMAT },
		{ "UPDATE counts SET inodes=1<<40", ERR_FORMAT },
		{ "UPDATE counts SET chunks='many'", ERR_FORMAT },
		{ "UPDATE counts SET content_bytes=NULL", ERR_FORMAT },
		{ "DELETE FROM manifest", ERR_FORMAT },
		{ "UPDATE manifest SET json='{}'", ERR_FORMAT },
		{ "UPDATE manifest SET json=x'7b7d'", ERR_FORMAT },
		{ "UPDATE manifest SET json=zeroblob(3000000)", ERR_FORMAT },
		{ "DELETE FROM inode WHERE ino=1", ERR_FORMAT },
		{ "UPDATE inode SET mode=33188 WHERE ino=1", ERR_FORMAT },
	};
	struct database d = take_database(*state);
	struct pkg_index *x;
	size_t stored;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (open_changed(&d, cases[i].sql, &x, &stored, &e) == 0)
			fail_msg("opened: %s", cases[i].sql);
		if (e.code != cases[i].code)
			fail_msg("%s: code %d, %s", cases[i].sql, e.code, e.msg);
	}
	OK(open_changed(&d, "CREATE TABLE from_the_future(a, b)", &x, &stored, &e));
	pkg_index_close(x);
	free(d.bytes);
}

static const char *const found_by_check[] = {
	"UPDATE chunk SET off=off+1",
	"UPDATE chunk SET stored_len=stored_len-1",
	"UPDATE chunk SET stored_len=1<<30",
	"UPDATE chunk SET content_len=0",
	"UPDATE chunk SET content_len=content_len-1",
	"UPDATE chunk SET digest=x'00'",
	"DELETE FROM chunk",
	"UPDATE extent SET chunk=1",
	"UPDATE extent SET chunk=-1",
	"UPDATE extent SET chunk_off=1<<20",
	"UPDATE extent SET chunk_off=1001 WHERE len=3000",
	"UPDATE extent SET len=0",
	"UPDATE extent SET len=len+1",
	"UPDATE extent SET len=1<<31",
	"UPDATE extent SET file_off=2999 WHERE len=3000",
	"UPDATE counts SET extents=3; INSERT INTO extent SELECT min(ino), 500, 10, 0, 0 FROM extent",
	"INSERT INTO extent VALUES(99999, 0, 10, 0, 0); UPDATE counts SET extents=extents+1",
	"DELETE FROM extent WHERE len=3000",
	"UPDATE inode SET mode=8 WHERE ino=3",
	"UPDATE inode SET mode=1<<20 WHERE ino=3",
	"UPDATE inode SET size=-1 WHERE ino=4",
	"UPDATE inode SET size=5 WHERE size=3000",
	"UPDATE inode SET mtime_ns=1000000000 WHERE ino=4",
	"UPDATE inode SET mtime_s='now' WHERE ino=4",
	"UPDATE inode SET nlink=7 WHERE ino=3",
	"UPDATE inode SET parent=3 WHERE ino=2",
	"UPDATE inode SET parent=NULL WHERE ino=2",
	"UPDATE inode SET symlink=NULL WHERE symlink IS NOT NULL",
	"UPDATE inode SET symlink=x'6100' WHERE symlink IS NOT NULL",
	"UPDATE inode SET symlink=x'61' WHERE symlink IS NOT NULL",
	"DELETE FROM inode WHERE ino=5",
	"UPDATE entry SET name=x'2e2e' WHERE name=x'746f6f6c'",
	"UPDATE entry SET name=x'612f62' WHERE name=x'746f6f6c'",
	"UPDATE entry SET name=x'6100' WHERE name=x'746f6f6c'",
	"UPDATE entry SET name='tool' WHERE name=x'746f6f6c'",
	"UPDATE entry SET name=zeroblob(256) WHERE name=x'746f6f6c'",
	"UPDATE entry SET ino=1 WHERE name=x'746f6f6c'",
	"UPDATE entry SET ino=2 WHERE name=x'746f6f6c'",
	"UPDATE entry SET ino=1000 WHERE name=x'746f6f6c'",
	"UPDATE entry SET cookie=1",
	"UPDATE entry SET cookie=0",
	"UPDATE entry SET parent=77 WHERE name=x'746f6f6c'",
	"INSERT INTO entry VALUES(4, x'61', 5, 1); UPDATE counts SET entries=entries+1",
	"UPDATE profile SET len=-1",
	"UPDATE counts SET entries=entries+1",
	"UPDATE counts SET extents=extents-1",
	"UPDATE counts SET content_bytes=1",
	"UPDATE counts SET chunks=0",
	"UPDATE counts SET stored_bytes=stored_bytes+1, chunks=0",
	"UPDATE counts SET inodes=inodes+1",
	"UPDATE counts SET xattrs=1; INSERT INTO xattr VALUES(1, x'00', x'')",
	"UPDATE counts SET xattrs=1; INSERT INTO xattr VALUES(1, 'text', x'')",
	"INSERT INTO registry_default VALUES('f', x'00', 'v')",
};

static void what_the_check_finds(void **state)
{
	struct database d = take_database(*state);
	struct pkg_header h = d.header;
	struct pkg_index *x;
	struct err e;

	const uint64_t chunks_len = d.header.file_len - PKG_HEADER_LEN - d.header.index_stored_len;

	for (size_t i = 0; i < ARRAY_LEN(found_by_check) + 1; i++) {
		OK(open_changed(&d, i ? found_by_check[i - 1] : "", &x, &h.index_stored_len, &e));
		/* The header that a writer of such an index would have made. */
		h.file_len = PKG_HEADER_LEN + h.index_stored_len + chunks_len;
		h.feature_block_end = h.file_len;
		if ((pkg_index_check(x, &h, &e) == 0) != (i == 0))
			fail_msg("%s: %s", i ? found_by_check[i - 1] : "unchanged", i ? "not found" : e.msg);
		if (i)
			assert_int_equal(e.code, ERR_FORMAT);
		pkg_index_close(x);
	}
	free(d.bytes);
}

static void compressed_lies(void **state)
{
	struct database d = take_database(*state);
	auto_buf struct buf stored = BUF_INIT(64 << 20);
	struct pkg_index *x;
	struct err e;

	OK(pkg_index_compress(d.bytes, d.len, 1, &stored, &e));
	FAILS(pkg_index_open(stored.data, stored.len - 1, d.len, -1, &x, &e), ERR_FORMAT);
	FAILS(pkg_index_open(stored.data, stored.len, d.len - 4096, -1, &x, &e), ERR_FORMAT);
	FAILS(pkg_index_open(stored.data, stored.len, d.len + 1, -1, &x, &e), ERR_FORMAT);
	FAILS(pkg_index_open(stored.data, stored.len, PKG_INDEX_CONTENT_MAX + 1, -1, &x, &e), ERR_LIMIT);
	FAILS(pkg_index_open(stored.data, stored.len, 0, -1, &x, &e), ERR_FORMAT);
	FAILS(pkg_index_open(stored.data, 0, d.len, -1, &x, &e), ERR_LIMIT);
	/* One frame more than there is content, and frames of another length. */
	OK(pkg_frame_compress(d.bytes, 1, 1, &stored, &e));
	FAILS(pkg_index_open(stored.data, stored.len, d.len, -1, &x, &e), ERR_FORMAT);
	buf_reset(&stored);
	OK(pkg_frame_compress(d.bytes, 4096, 1, &stored, &e));
	OK(pkg_frame_compress(d.bytes + 4096, d.len - 4096, 1, &stored, &e));
	FAILS(pkg_index_open(stored.data, stored.len, d.len, -1, &x, &e), ERR_FORMAT);
	free(d.bytes);
}

/* An index of many frames in a scratch file: frames come and go, and what a disk does to one of them is an
 * error, never an answer. */
static void read_from_scratch(void **state)
{
	enum { NAMES = 200000 };
	const struct fixture *f = *state;
	struct database d = take_database(*state);
	auto_buf struct buf stored = BUF_INIT(64 << 20);
	unsigned asked = 0, wrong = 0;
	struct pkg_inode inode;
	struct pkg_index *x;
	struct err e;
	size_t len;
	auto_fd int fd = open(f->dir, O_TMPFILE | O_RDWR, 0600);
	auto_free uint8_t *bytes = grown(&d, NAMES, &len);

	free(d.bytes);
	if (fd < 0)
		skip();
	OK(pkg_index_compress(bytes, len, 1, &stored, &e));
	OK(pkg_index_open(stored.data, stored.len, len, dup(fd), &x, &e));
	memset(stored.data, 0, stored.len); /* was borrowed for the call only */
	for (unsigned i = 0; i < NAMES; i += 97) {
		OK(look_up_nth(x, i * 31 % NAMES, &inode, &e));
		assert_int_equal(inode.ino, PKG_ROOT_INO);
	}
	for (size_t at = 0; at < stored.len; at += 512)
		assert_int_equal(pwrite(fd, "damage", 6, (off_t)at), 6);
	for (unsigned i = 0; i < NAMES; i += 97, asked++) {
		if (look_up_nth(x, i, &inode, &e) == 0)
			assert_int_equal(inode.ino, PKG_ROOT_INO); /* it was still in memory */
		else
			wrong += e.code == ERR_FORMAT;
	}
	assert_true(wrong > asked / 4);
	pkg_index_close(x);
}

static void not_a_database(void **state)
{
	struct database d = take_database(*state);
	struct pkg_index *x;
	size_t stored;
	struct err e;

	FAILS(open_bytes(d.bytes, d.len - 4096, &x, &stored, &e), ERR_FORMAT);
	d.bytes[18] = d.bytes[19] = 2; /* write-ahead log */
	FAILS(open_bytes(d.bytes, d.len, &x, &stored, &e), ERR_FORMAT);
	memset(d.bytes, 'x', 100);
	FAILS(open_bytes(d.bytes, d.len, &x, &stored, &e), ERR_FORMAT);
	memset(d.bytes, 0, d.len);
	FAILS(open_bytes(d.bytes, d.len, &x, &stored, &e), ERR_FORMAT);
	free(d.bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(what_does_not_open), TEST(what_the_check_finds),
					    TEST(compressed_lies), TEST(read_from_scratch),
					    TEST(not_a_database) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
