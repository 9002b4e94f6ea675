/* SPDX-License-Identifier: Apache-2.0 */
/* The tree that a writer makes: entries as they were added, then sorted, completed with missing parents and
 * numbered. Private to the writer. One thread at a time; never blocks. */
#ifndef FLOE_PKG_PLAN_H
#define FLOE_PKG_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/index_build.h"
#include "package-format/writer.h"

enum { PKG_PATH_MAX = 4095 };

struct pkg_plan_entry {
	char *path; /* relative, no slash at either end; "" = the root. Strings live in the plan's arena */
	uint32_t mode, uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t rdev;
	char *symlink, *content_path;
	uint64_t size;
	uint64_t link_major, link_minor; /* equal, not both 0: one inode */
	struct pkg_writer_xattr *xattrs;
	size_t xattr_count;

	/* pkg_plan_settle: */
	uint64_t ino;
	size_t parent; /* entry number; the root's own for the root */
	size_t leader; /* entry number of the first of its hard links; itself for all others */
	uint64_t cookie;
	uint32_t nlink;
};

struct pkg_plan {
	struct arena arena;
	struct pkg_plan_entry *entries; /* after settle: in path order, parents before what they hold */
	size_t count, cap;
	uint64_t inodes; /* settle */
	size_t *by_path; /* hash table of entry numbers + 1, for finding a path */
	size_t by_path_cap;
};

void pkg_plan_init(struct pkg_plan *p);
void pkg_plan_fini(struct pkg_plan *p);

/* Copies. ERR_USAGE for what no package can hold, ERR_EXISTS for a path that is there. */
int pkg_plan_add(struct pkg_plan *p, const struct pkg_writer_entry *w, uint64_t link_major,
		 struct err *e) FLOE_MUST_USE;
/* NULL when there is none; borrowed until the next add. */
const struct pkg_plan_entry *pkg_plan_find(const struct pkg_plan *p, const char *path);
/* Nothing can be added afterwards. Times above mtime_max_s (0 = none) are set to it. */
int pkg_plan_settle(struct pkg_plan *p, int64_t mtime_max_s, struct err *e) FLOE_MUST_USE;
/* Rows of inodes, entries and attributes, as a settled plan says; counts into `report`. */
int pkg_plan_index(const struct pkg_plan *p, struct pkg_index_build *b, struct pkg_writer_report *report,
		   struct err *e) FLOE_MUST_USE;

#endif
