/* SPDX-License-Identifier: Apache-2.0 */
/* The index's tables, as index_build.c makes them and index.c demands them: a reader compares the
 * text of every statement, so that a package cannot bring triggers, views or expressions of its own.
 * Meaning of the columns: FORMAT.md. */
#ifndef FLOE_PKG_INDEX_SCHEMA_H
#define FLOE_PKG_INDEX_SCHEMA_H

enum { PKG_INDEX_APPLICATION_ID = 0x666c6f65 /* "floe" */, PKG_INDEX_USER_VERSION = 1 };

/* A lower bound on the bytes a row takes, for believing counts: no table holds more rows than this
 * lets fit into the database. */
enum { PKG_INDEX_ROW_MIN = 4 };

struct pkg_index_object {
	const char *name;
	const char *sql;
};

static const struct pkg_index_object pkg_index_objects[] = {
	{ "counts", "CREATE TABLE counts(inodes INTEGER, entries INTEGER, extents INTEGER, chunks INTEGER, "
		    "xattrs INTEGER, content_bytes INTEGER, stored_bytes INTEGER)" },
	{ "manifest", "CREATE TABLE manifest(json BLOB)" },
	{ "inode", "CREATE TABLE inode(ino INTEGER PRIMARY KEY, mode INTEGER, uid INTEGER, gid INTEGER, "
		   "nlink INTEGER, size INTEGER, mtime_s INTEGER, mtime_ns INTEGER, rdev INTEGER, "
		   "parent INTEGER, symlink BLOB)" },
	{ "entry", "CREATE TABLE entry(parent INTEGER, name BLOB, ino INTEGER, cookie INTEGER, "
		   "PRIMARY KEY(parent, name)) WITHOUT ROWID" },
	{ "entry_cookie", "CREATE INDEX entry_cookie ON entry(parent, cookie)" },
	{ "extent", "CREATE TABLE extent(ino INTEGER, file_off INTEGER, len INTEGER, chunk INTEGER, "
		    "chunk_off INTEGER, PRIMARY KEY(ino, file_off)) WITHOUT ROWID" },
	{ "chunk", "CREATE TABLE chunk(idx INTEGER PRIMARY KEY, off INTEGER, stored_len INTEGER, "
		   "content_len INTEGER, digest BLOB)" },
	{ "xattr", "CREATE TABLE xattr(ino INTEGER, name BLOB, value BLOB, PRIMARY KEY(ino, name)) "
		   "WITHOUT ROWID" },
	{ "registry_default", "CREATE TABLE registry_default(file TEXT, key TEXT, value TEXT, "
			      "PRIMARY KEY(file, key)) WITHOUT ROWID" },
	{ "profile", "CREATE TABLE profile(seq INTEGER PRIMARY KEY, ino INTEGER, off INTEGER, len INTEGER)" },
};

#endif
