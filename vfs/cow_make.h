/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that several changes of the union's tree begin with. Private to cow_make.c, cow_drop.c, cow_rename.c.
 */
#ifndef FLOE_VFS_COW_MAKE_H
#define FLOE_VFS_COW_MAKE_H

#include "vfs/cow_tree.h"

/* The directory, present in the upper. EROFS; ENOENT when it has been deleted. */
int cow_change_begin(struct cow_union *u, uint64_t parent, struct cow_dir **ret) FLOE_MUST_USE;
/* A file that was copied up under another name gets this name in the upper, too. */
int cow_make_upper_name(struct cow_union *u, const struct cow_dir *dir, const char *name) FLOE_MUST_USE;
/* Of a lower file whose name is about to go: where it can still be found. */
int cow_note_lost(struct cow_union *u, uint64_t id, uint64_t parent, const char *name) FLOE_MUST_USE;
/* A name of `id` has gone from the disk: the table follows, and what nobody needs goes. `was_upper`: the
 * object is in the upper, as orphan `id`. */
void cow_name_gone(struct cow_union *u, uint64_t id, uint64_t parent, const char *name, bool was_upper);

#endif
