/* SPDX-License-Identifier: Apache-2.0 */
/* Making an index: rows go in, table after table in key order, a compressed database comes out. Equal rows in
 * equal order give equal bytes. Counts are kept along the way. One thread at a time; blocks on nothing but
 * the processor. Strings and blobs are borrowed for the call. */
#ifndef FLOE_PKG_INDEX_BUILD_H
#define FLOE_PKG_INDEX_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/index.h"

struct pkg_index_build; /* opaque */

int pkg_index_build_open(struct pkg_index_build **ret, struct err *e) FLOE_MUST_USE;
void pkg_index_build_close(struct pkg_index_build *b); /* NULL ok */

int pkg_index_build_manifest(struct pkg_index_build *b, const struct pkg_manifest *m,
			     struct err *e) FLOE_MUST_USE;
/* `parent`: of directories, else 0. `symlink`: of symbolic links, else NULL. */
int pkg_index_build_inode(struct pkg_index_build *b, const struct pkg_inode *i, uint64_t parent,
			  const char *symlink, struct err *e) FLOE_MUST_USE;
int pkg_index_build_entry(struct pkg_index_build *b, uint64_t parent, const char *name, size_t name_len,
			  uint64_t ino, uint64_t cookie, struct err *e) FLOE_MUST_USE;
int pkg_index_build_extent(struct pkg_index_build *b, uint64_t ino, const struct pkg_extent *x,
			   struct err *e) FLOE_MUST_USE;
/* Numbered by order of call; c->off counts from the end of the index. */
int pkg_index_build_chunk(struct pkg_index_build *b, const struct pkg_chunk_info *c,
			  struct err *e) FLOE_MUST_USE;
int pkg_index_build_xattr(struct pkg_index_build *b, uint64_t ino, const char *name, const void *value,
			  size_t len, struct err *e) FLOE_MUST_USE;
/* The same file and key twice is ERR_EXISTS. */
int pkg_index_build_default(struct pkg_index_build *b, const char *file, const char *key, const char *value,
			    struct err *e) FLOE_MUST_USE;
int pkg_index_build_touch(struct pkg_index_build *b, const struct pkg_touch *t, struct err *e) FLOE_MUST_USE;

/* Appends the compressed index. Nothing can be added any more. */
int pkg_index_build_finish(struct pkg_index_build *b, int level, struct buf *ret, uint64_t *ret_content_len,
			   struct err *e) FLOE_MUST_USE;

#endif
