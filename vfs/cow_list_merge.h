/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a directory of the union, of all its layers, in the order of their places: a hash of the name,
 * so that a listing that is made anew has every name where the last one had it. Private to cow_list*.c.
 * Results are errno values. One thread, but for `ask`. */
#ifndef FLOE_VFS_COW_LIST_MERGE_H
#define FLOE_VFS_COW_LIST_MERGE_H

#include <stdatomic.h>

#include "vfs/cow_tree.h"

struct cow_merged_name {
	uint64_t place; /* COW_PLACE_FIRST .. COW_PLACE_MAX, ascending, no two alike */
	uint64_t ino;   /* as shown */
	size_t name;    /* in `text`, with NUL */
	unsigned char type;
	atomic_bool ask; /* something has happened to it since */
};
enum { COW_PLACE_FIRST = 2 };
#define COW_PLACE_MAX ((UINT64_C(1) << 61) - 1)

struct cow_merged {
	struct cow_merged_name *names; /* owned */
	char *text;                    /* owned */
	size_t count;
};

/* has_index: as in struct cow_walk. */
int cow_merge(struct cow_union *u, const struct cow_dir *dir, bool has_index,
	      struct cow_merged *ret) FLOE_MUST_USE;
/* ENOTEMPTY or 0: is there any name? */
int cow_merge_any(struct cow_union *u, const struct cow_dir *dir, bool has_index) FLOE_MUST_USE;
void cow_merged_fini(struct cow_merged *m);

/* The first that is at `place` or behind it; count: none. */
size_t cow_merged_from(const struct cow_merged *m, uint64_t place);
/* NULL: it has no such name. */
struct cow_merged_name *cow_merged_find(const struct cow_merged *m, const char *name);

#endif
