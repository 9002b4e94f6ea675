/* SPDX-License-Identifier: Apache-2.0 */
/* An index's lists from their beginning to their end, fetched by the batch: who reads sets index, inode and
 * range and calls _next until it says 0 (the end) or -1 (errors of pkg_index_list and pkg_index_extents).
 * What *ret points to is borrowed until the next call. One thread per cursor; never blocks. */
#ifndef FLOE_PKG_INDEX_CURSOR_H
#define FLOE_PKG_INDEX_CURSOR_H

#include "package-format/index.h"

enum { PKG_ENTRIES_BATCH = 128, PKG_EXTENTS_BATCH = 64 };

/* { .index, .dir } */
struct pkg_entries {
	struct pkg_index *index; /* borrowed */
	uint64_t dir;
	/* its own */
	struct pkg_dirent *batch;
	bool is_last;
	size_t count, at;
};

#define auto_pkg_entries __attribute__((cleanup(pkg_entries_fini))) struct pkg_entries

int pkg_entries_next(struct pkg_entries *c, const struct pkg_dirent **ret, struct err *e) FLOE_MUST_USE;
/* The same for another directory. */
void pkg_entries_restart(struct pkg_entries *c, uint64_t dir);
void pkg_entries_fini(struct pkg_entries *c);

/* { .index, .ino, .off, .end }: those that overlap [off, end); end is INT64_MAX at most. */
struct pkg_extents {
	struct pkg_index *index; /* borrowed */
	uint64_t ino, off, end;
	/* its own */
	bool is_last; /* batch */
	size_t count, at;
	struct pkg_extent batch[PKG_EXTENTS_BATCH];
};

int pkg_extents_next(struct pkg_extents *c, const struct pkg_extent **ret, struct err *e) FLOE_MUST_USE;

#endif
