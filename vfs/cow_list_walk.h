/* SPDX-License-Identifier: Apache-2.0 */
/* One directory of one layer that is a directory on disk, read with that file system's own offsets. Private
 * to cow_list*.c. Results are errno values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_LIST_WALK_H
#define FLOE_VFS_COW_LIST_WALK_H

#include "vfs/cow_tree.h"

struct cow_walk {
	struct cow_union *u;
	const struct cow_dir *dir;
	const struct cow_dir_layer *lower; /* NULL: the upper's */
	bool has_index;                    /* it holds the links index, which does not show */
};
struct cow_walked {
	const char *name;
	uint64_t ino, next_off; /* ino: as shown; 0 of "." and "..", which come too */
	unsigned char type;     /* DT_WHT: a whiteout */
};
typedef bool cow_walk_fn(void *arg, const struct cow_walked *w); /* false ends the walk */

/* From `off`, which was some next_off, or 0 = the beginning. size: of a buffer, a hint. */
int cow_walk(const struct cow_walk *w, uint64_t off, size_t size, cow_walk_fn *fn, void *arg) FLOE_MUST_USE;
/* Do its offsets stay good in another open descriptor, whatever is added and removed? */
bool cow_walk_keeps_offsets(const struct cow_walk *w);
/* What an entry of the upper is: st_ino and type as shown. ENOENT: nothing of that name; DT_WHT: a whiteout.
 */
int cow_walk_ask_upper(struct cow_union *u, const struct cow_dir *dir, const char *name, uint64_t *ret_ino,
		       unsigned char *ret_type) FLOE_MUST_USE;

static inline bool cow_walk_is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

#endif
