/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that several changes of the union's tree begin with. Private to cow_make.c, cow_drop.c, cow_rename.c.
 */
#ifndef FLOE_VFS_COW_MAKE_H
#define FLOE_VFS_COW_MAKE_H

#include "vfs/cow_change.h"

struct cow_rename;

/* Carried out twice an exchange is none, and looks like one that has yet to be: its request has a note, of
 * which places and how far it is. */
enum cow_exchange { COW_EXCHANGE_BEGUN = 1, COW_EXCHANGE_DONE, COW_EXCHANGE_FAILED };
uint64_t cow_exchange_note(const struct cow_rename *r, enum cow_exchange how_far);

/* The directory, present in the upper. EROFS; ENOENT when it has been deleted. */
int cow_change_begin(struct cow_union *u, uint64_t parent, struct cow_dir **ret) FLOE_MUST_USE;
/* The number of names that the index of links keeps for that object, if it does, changes by `by` (1, -1). Too
 * many is harmless; with too few the last names would lose their file. */
struct cow_place;
int cow_count_links(struct cow_union *u, const struct cow_attempt *a, const struct cow_place *p,
		    int by) FLOE_MUST_USE;
/* A file that was copied up under another name gets this name in the upper, too. */
int cow_make_upper_name(struct cow_union *u, const struct cow_dir *dir, const char *name) FLOE_MUST_USE;
/* To say so before anything is copied up for what cannot be. */
bool cow_is_full_dir(struct cow_union *u, uint64_t parent, const char *name);
/* Of a lower file whose name is about to go: where it can still be found. */
int cow_note_lost(struct cow_union *u, uint64_t id, uint64_t parent, const char *name) FLOE_MUST_USE;
/* A name of `id` has gone from the disk: the table follows, and what nobody needs goes. `was_upper`: the
 * object is in the upper, as orphan `id`. */
void cow_name_gone(struct cow_union *u, uint64_t id, uint64_t parent, const char *name, bool was_upper);
/* A predecessor carried this rename out, and the table does not say so yet: what was replaced may be open
 * still. Its content is among the orphans, or where a lower has it. `moved`: the node. */
void cow_name_replaced(struct cow_union *u, const struct cow_rename *r, uint64_t moved);

#endif
