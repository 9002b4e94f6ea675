/* SPDX-License-Identifier: Apache-2.0 */
/* Content of a settled plan's files, read in path order and cut into chunks: pieces of at least PKG_CUT_MIN
 * are chunks of their own, shorter ones (small files, the ends of large ones) are packed together. Holes are
 * left out. Equal small pieces are stored once. Private to the writer; blocks. */
#ifndef FLOE_PKG_CONTENT_H
#define FLOE_PKG_CONTENT_H

#include "package-format/pack.h"
#include "package-format/plan.h"

struct pkg_content_extent {
	uint64_t ino;
	struct pkg_extent at;
};

struct pkg_content_list {                   /* zero-initialised is empty; the caller frees `extents` */
	struct pkg_content_extent *extents; /* in order of inode and offset */
	size_t count, cap;
	uint32_t shared; /* small pieces that were there already */
};

/* Everything is handed to `pack`, which is drained at the end. ERR_CHANGED, ERR_INTERRUPTED, ERR_IO. */
int pkg_content_read(const struct pkg_plan *plan, struct pkg_pack *pack, const struct pkg_writer_opt *opt,
		     struct pkg_content_list *ret, struct err *e) FLOE_MUST_USE;

#endif
