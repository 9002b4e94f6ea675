/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a package's index: an SQLite database that the signed header vouches for.
 *
 * The schema is in FORMAT.md. The database is opened read-only with every
 * hardening switch on, checked once (schema, application id, counts within the limits), and never
 * written. Rows are still not trusted: every value is range-checked where it is read.
 *
 * It stays compressed but for what was used last, a few mebibytes whatever its size.
 *
 * Threads: any; calls serialise on a mutex inside and block on nothing else but the disk that the scratch
 * file is on. Inode numbers start at 1 (the root directory) and a directory's is below those of what it
 * holds. Chunks are numbered from 0 in the order in which they lie in the file, without gaps between them.
 * Names are bytes: 1-255, no
 * '/' and no NUL. <sqlite3.h> is included only in index_db.h (for index*.c) and index_build.c of this folder.
 */
#ifndef FLOE_PKG_INDEX_H
#define FLOE_PKG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"
#include "package-format/manifest.h"

struct pkg_index; /* opaque */

enum { PKG_ROOT_INO = 1, PKG_NAME_MAX = 255, PKG_SYMLINK_MAX = 4095 };

struct pkg_inode {
	uint64_t ino;
	uint32_t mode; /* type and permissions, set-uid bits included */
	uint32_t uid, gid;
	uint32_t nlink;
	uint64_t size; /* regular files: bytes; symlinks: length of target */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t rdev; /* character device 0:0 is a whiteout: "the host's entry is gone" */
};

struct pkg_dirent {
	uint64_t ino;
	uint32_t mode;
	uint64_t cookie; /* pass it to continue behind this entry; > 0, stable for ever */
	char name[PKG_NAME_MAX + 1];
	size_t name_len;
};

/* Bytes [file_off, file_off+len) of an inode are bytes [chunk_off, chunk_off+len) of a chunk.
 * What no extent covers is a hole and reads as zeros. */
struct pkg_extent {
	uint64_t file_off;
	uint32_t len;
	uint32_t chunk_idx;
	uint32_t chunk_off;
};

struct pkg_chunk_info {
	uint64_t off; /* in the file */
	uint32_t stored_len;
	uint32_t content_len;
	struct pkg_digest digest; /* of the content */
};

/* One range of a file that a launch touches; the profile is a list of these in first-touch order. */
struct pkg_touch {
	uint64_t ino;
	uint64_t off;
	uint32_t len;
};

struct pkg_index_counts {
	uint64_t inodes, entries, extents, content_bytes /* sum of regular file sizes */;
	uint64_t stored_bytes; /* of all chunks: the file ends so far behind its index */
	uint32_t chunks;
	bool has_xattrs;
};

/* `stored` is the compressed index, whose digest the caller has checked. Borrowed for the call; copied to
 * scratch_fd, an empty unlinked file that is taken over in any case, or into memory when that is -1. */
int pkg_index_open(const void *stored, size_t stored_len, uint64_t content_len, int scratch_fd,
		   struct pkg_index **ret, struct err *e) FLOE_MUST_USE;
void pkg_index_close(struct pkg_index *x); /* NULL ok */

void pkg_index_counts(const struct pkg_index *x, struct pkg_index_counts *ret);
/* Borrowed until pkg_index_close. */
const struct pkg_manifest *pkg_index_manifest(const struct pkg_index *x);

/* ERR_NOTFOUND when there is no such thing. */
int pkg_index_stat(struct pkg_index *x, uint64_t ino, struct pkg_inode *ret, struct err *e) FLOE_MUST_USE;
int pkg_index_lookup(struct pkg_index *x, uint64_t parent, const char *name, size_t name_len,
		     struct pkg_inode *ret, struct err *e) FLOE_MUST_USE;
/* A path from the root, "usr/bin/mc" or "/usr/bin/mc"; symbolic links are not followed. */
int pkg_index_resolve(struct pkg_index *x, const char *path, struct pkg_inode *ret,
		      struct err *e) FLOE_MUST_USE;
/* Up to `cap` entries behind `cookie` (0 = from the start), without "." and "..". */
int pkg_index_list(struct pkg_index *x, uint64_t parent, uint64_t cookie, struct pkg_dirent *ret, size_t cap,
		   size_t *ret_count, struct err *e) FLOE_MUST_USE;
/* The directory that holds directory `ino` (the root holds itself). */
int pkg_index_parent(struct pkg_index *x, uint64_t ino, uint64_t *ret, struct err *e) FLOE_MUST_USE;
/* ret holds PKG_SYMLINK_MAX + 1 bytes, NUL-terminated. */
int pkg_index_readlink(struct pkg_index *x, uint64_t ino, char *ret, struct err *e) FLOE_MUST_USE;
/* Extents that overlap [off, off+len), in order, at most `cap`. */
int pkg_index_extents(struct pkg_index *x, uint64_t ino, uint64_t off, uint64_t len, struct pkg_extent *ret,
		      size_t cap, size_t *ret_count, struct err *e) FLOE_MUST_USE;
int pkg_index_chunk(struct pkg_index *x, uint32_t chunk_idx, struct pkg_chunk_info *ret,
		    struct err *e) FLOE_MUST_USE;
/* Names as NUL-terminated strings one behind the other; empty when there are none. */
int pkg_index_xattr_list(struct pkg_index *x, uint64_t ino, struct buf *ret, struct err *e) FLOE_MUST_USE;
int pkg_index_xattr_get(struct pkg_index *x, uint64_t ino, const char *name, struct buf *ret,
			struct err *e) FLOE_MUST_USE;
/* The launch profile; an array that the caller frees. */
int pkg_index_profile(struct pkg_index *x, struct pkg_touch **ret, size_t *ret_count,
		      struct err *e) FLOE_MUST_USE;
/* Registry defaults: calls back for each (configuration file, key, value), ordered. A callback's -1
 * ends the walk and is returned. Strings are borrowed for the callback; the index stays locked. */
typedef int pkg_default_fn(void *arg, const char *file, const char *key, const char *value, struct err *e);
int pkg_index_defaults(struct pkg_index *x, pkg_default_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;

#endif
