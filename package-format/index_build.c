/* SPDX-License-Identifier: Apache-2.0 */
/* Making an index; see index_build.h. The database is made in memory and serialised, with what SQLite would
 * leave to chance (its version, free space) set to fixed values. */
#include "package-format/index_build.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "package-format/chunk.h"
#include "package-format/header.h"
#include "package-format/index_schema.h"

enum insert {
	PUT_MANIFEST,
	PUT_INODE,
	PUT_ENTRY,
	PUT_EXTENT,
	PUT_CHUNK,
	PUT_XATTR,
	PUT_DEFAULT,
	PUT_TOUCH,
	PUT_COUNTS,
	PUT_COUNT
};

static const char *const insert_sql[PUT_COUNT] = {
	[PUT_MANIFEST] = "INSERT INTO manifest VALUES(?1)",
	[PUT_INODE] = "INSERT INTO inode VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
	[PUT_ENTRY] = "INSERT INTO entry VALUES(?1,?2,?3,?4)",
	[PUT_EXTENT] = "INSERT INTO extent VALUES(?1,?2,?3,?4,?5)",
	[PUT_CHUNK] = "INSERT INTO chunk VALUES(?1,?2,?3,?4,?5)",
	[PUT_XATTR] = "INSERT INTO xattr VALUES(?1,?2,?3)",
	[PUT_DEFAULT] = "INSERT INTO registry_default VALUES(?1,?2,?3)",
	[PUT_TOUCH] = "INSERT INTO profile VALUES(?1,?2,?3,?4)",
	[PUT_COUNTS] = "INSERT INTO counts VALUES(?1,?2,?3,?4,?5,?6,?7)",
};

/* The database file's header holds the version of the library that wrote it, for information only. */
enum { LIBRARY_VERSION_OFF = 96, LIBRARY_VERSION_LEN = 4, BIG_INDEX = 16 << 20 };

struct pkg_index_build {
	sqlite3 *db;
	sqlite3_stmt *put[PUT_COUNT];
	struct pkg_index_counts counts;
	uint64_t xattrs, touches;
};

static int db_error(struct pkg_index_build *b, struct err *e)
{
	return err_set(e, sqlite3_errcode(b->db) == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO, "making the index: %s",
		       sqlite3_errmsg(b->db));
}

static int exec(struct pkg_index_build *b, const char *sql, struct err *e)
{
	return sqlite3_exec(b->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(b, e);
}

static bool is_index(const struct pkg_index_object *o)
{
	return !strncmp(o->sql, "CREATE INDEX", 12);
}

static int make_objects(struct pkg_index_build *b, bool indexes, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(pkg_index_objects); i++)
		if (is_index(&pkg_index_objects[i]) == indexes && exec(b, pkg_index_objects[i].sql, e) < 0)
			return -1;
	return 0;
}

static int prepare(struct pkg_index_build *b, struct err *e)
{
	auto_free char *identity = mem_printf(e, "PRAGMA application_id=%d; PRAGMA user_version=%d",
					      PKG_INDEX_APPLICATION_ID, PKG_INDEX_USER_VERSION);

	if (!identity)
		return -1;
	if (sqlite3_open_v2(":memory:", &b->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return err_set(e, ERR_NOMEM, "cannot start SQLite");
	if (exec(b,
		 "PRAGMA page_size=4096; PRAGMA encoding='UTF-8'; PRAGMA auto_vacuum=NONE; "
		 "PRAGMA secure_delete=ON; PRAGMA journal_mode=OFF; PRAGMA temp_store=MEMORY; BEGIN",
		 e) < 0 ||
	    exec(b, identity, e) < 0 || make_objects(b, false, e) < 0)
		return -1;
	for (int i = 0; i < PUT_COUNT; i++)
		if (sqlite3_prepare_v3(b->db, insert_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &b->put[i],
				       NULL) != SQLITE_OK)
			return db_error(b, e);
	return 0;
}

int pkg_index_build_open(struct pkg_index_build **ret, struct err *e)
{
	struct pkg_index_build *b = mem_alloc(1, sizeof(*b), e);

	if (!b)
		return -1;
	if (prepare(b, e) < 0) {
		pkg_index_build_close(b);
		return -1;
	}
	*ret = b;
	return 0;
}

void pkg_index_build_close(struct pkg_index_build *b)
{
	if (!b)
		return;
	for (int i = 0; i < PUT_COUNT; i++)
		(void)sqlite3_finalize(b->put[i]);
	(void)sqlite3_close(b->db);
	free(b);
}

/* Binds integers from parameter 1 on. */
static void bind(sqlite3_stmt *s, const int64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)sqlite3_bind_int64(s, (int)i + 1, values[i]);
}

static int put(struct pkg_index_build *b, enum insert which, struct err *e)
{
	sqlite3_stmt *s = b->put[which];
	int rc = sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(b, e);

	if (rc < 0 && sqlite3_errcode(b->db) == SQLITE_CONSTRAINT)
		e->code = ERR_EXISTS;
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
	return rc;
}

int pkg_index_build_manifest(struct pkg_index_build *b, const struct pkg_manifest *m, struct err *e)
{
	auto_buf struct buf json = BUF_INIT(PKG_MANIFEST_MAX);

	if (pkg_manifest_print(m, &json, e) < 0)
		return -1;
	(void)sqlite3_bind_blob(b->put[PUT_MANIFEST], 1, json.data, (int)json.len, SQLITE_STATIC);
	return put(b, PUT_MANIFEST, e);
}

int pkg_index_build_inode(struct pkg_index_build *b, const struct pkg_inode *i, uint64_t parent,
			  const char *symlink, struct err *e)
{
	sqlite3_stmt *s = b->put[PUT_INODE];
	const int64_t values[] = { (int64_t)i->ino,  i->mode,    i->uid,      i->gid,          i->nlink,
				   (int64_t)i->size, i->mtime_s, i->mtime_ns, (int64_t)i->rdev };

	bind(s, values, ARRAY_LEN(values));
	if (parent)
		(void)sqlite3_bind_int64(s, 10, (int64_t)parent);
	if (symlink)
		(void)sqlite3_bind_blob(s, 11, symlink, (int)strlen(symlink), SQLITE_STATIC);
	b->counts.inodes++;
	if (S_ISREG(i->mode) &&
	    (__builtin_add_overflow(b->counts.content_bytes, i->size, &b->counts.content_bytes) ||
	     b->counts.content_bytes > INT64_MAX))
		return err_set(e, ERR_LIMIT, "too much content for one package");
	return put(b, PUT_INODE, e);
}

int pkg_index_build_entry(struct pkg_index_build *b, uint64_t parent, const char *name, size_t name_len,
			  uint64_t ino, uint64_t cookie, struct err *e)
{
	sqlite3_stmt *s = b->put[PUT_ENTRY];

	(void)sqlite3_bind_int64(s, 1, (int64_t)parent);
	(void)sqlite3_bind_blob(s, 2, name, (int)name_len, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 3, (int64_t)ino);
	(void)sqlite3_bind_int64(s, 4, (int64_t)cookie);
	b->counts.entries++;
	return put(b, PUT_ENTRY, e);
}

int pkg_index_build_extent(struct pkg_index_build *b, uint64_t ino, const struct pkg_extent *x, struct err *e)
{
	const int64_t values[] = { (int64_t)ino, (int64_t)x->file_off, x->len, x->chunk_idx, x->chunk_off };

	bind(b->put[PUT_EXTENT], values, ARRAY_LEN(values));
	b->counts.extents++;
	return put(b, PUT_EXTENT, e);
}

int pkg_index_build_chunk(struct pkg_index_build *b, const struct pkg_chunk_info *c, struct err *e)
{
	sqlite3_stmt *s = b->put[PUT_CHUNK];
	const int64_t values[] = { b->counts.chunks, (int64_t)c->off, c->stored_len, c->content_len };

	bind(s, values, ARRAY_LEN(values));
	(void)sqlite3_bind_blob(s, 5, c->digest.b, PKG_DIGEST_LEN, SQLITE_STATIC);
	b->counts.chunks++;
	b->counts.stored_bytes += c->stored_len;
	return put(b, PUT_CHUNK, e);
}

int pkg_index_build_xattr(struct pkg_index_build *b, uint64_t ino, const char *name, const void *value,
			  size_t len, struct err *e)
{
	sqlite3_stmt *s = b->put[PUT_XATTR];

	(void)sqlite3_bind_int64(s, 1, (int64_t)ino);
	(void)sqlite3_bind_blob(s, 2, name, (int)strlen(name), SQLITE_STATIC);
	/* A NULL pointer would bind NULL, not an empty value. */
	(void)sqlite3_bind_blob(s, 3, len ? value : "", (int)len, SQLITE_STATIC);
	b->xattrs++;
	return put(b, PUT_XATTR, e);
}

int pkg_index_build_default(struct pkg_index_build *b, const char *file, const char *key, const char *value,
			    struct err *e)
{
	sqlite3_stmt *s = b->put[PUT_DEFAULT];

	(void)sqlite3_bind_text(s, 1, file, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 3, value, -1, SQLITE_STATIC);
	if (put(b, PUT_DEFAULT, e) < 0)
		return e->code == ERR_EXISTS
			       ? err_set(e, ERR_EXISTS, "registry default %s %s is given twice", file, key)
			       : -1;
	return 0;
}

int pkg_index_build_touch(struct pkg_index_build *b, const struct pkg_touch *t, struct err *e)
{
	const int64_t values[] = { (int64_t)b->touches++, (int64_t)t->ino, (int64_t)t->off, t->len };

	bind(b->put[PUT_TOUCH], values, ARRAY_LEN(values));
	return put(b, PUT_TOUCH, e);
}

static int put_counts(struct pkg_index_build *b, struct err *e)
{
	const struct pkg_index_counts *c = &b->counts;
	const int64_t values[] = { (int64_t)c->inodes,      (int64_t)c->entries,
				   (int64_t)c->extents,     c->chunks,
				   (int64_t)b->xattrs,      (int64_t)c->content_bytes,
				   (int64_t)c->stored_bytes };

	bind(b->put[PUT_COUNTS], values, ARRAY_LEN(values));
	return put(b, PUT_COUNTS, e);
}

int pkg_index_build_finish(struct pkg_index_build *b, int level, struct buf *ret, uint64_t *ret_content_len,
			   struct err *e)
{
	sqlite3_int64 len = 0;
	unsigned char *bytes;
	int rc;

	if (put_counts(b, e) < 0 || make_objects(b, true, e) < 0 || exec(b, "COMMIT", e) < 0)
		return -1;
	bytes = sqlite3_serialize(b->db, "main", &len, 0);
	if (!bytes)
		return err_set(e, ERR_NOMEM, "out of memory (index)");
	if ((uint64_t)len > PKG_INDEX_CONTENT_MAX || len < LIBRARY_VERSION_OFF + LIBRARY_VERSION_LEN) {
		sqlite3_free(bytes);
		return err_set(e, ERR_LIMIT, "too many files for one package");
	}
	memset(bytes + LIBRARY_VERSION_OFF, 0, LIBRARY_VERSION_LEN);
	/* The last few per cent are not worth minutes on one processor. */
	rc = pkg_index_compress(bytes, (size_t)len, len > BIG_INDEX && level > 9 ? 9 : level, ret, e);
	sqlite3_free(bytes);
	if (rc < 0)
		return -1;
	*ret_content_len = (uint64_t)len;
	return 0;
}
