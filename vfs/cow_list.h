/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a directory of the union.
 *
 * One that a single layer makes up is read straight from there, with that file system's own offsets, which
 * stay good whatever is added and removed. One of several layers is merged once, in the order of a hash of
 * the names: the offset of an entry is its hash, so that a listing that has to be made anew (evicted, or by
 * another server) goes on where the old one was, misses no name that was there all along and gives none
 * twice; a bounded number of merged listings is kept. Names removed since are left out.
 *
 * Results are errno values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_LIST_H
#define FLOE_VFS_COW_LIST_H

#include "vfs/cow_tree.h"

/* False: no room, end here. `next_off` is where to go on behind this entry. ".", ".." come too. d_ino equals
 * what st_ino will be. */
typedef bool cow_entry_fn(void *arg, const char *name, uint64_t ino, unsigned char type, uint64_t next_off);

int cow_lists_open(struct cow_lists **ret, struct err *e) FLOE_MUST_USE;
void cow_lists_close(struct cow_lists *l); /* NULL ok */

/* off 0 = from the beginning, which reads the directory afresh. `size`: of the caller's buffer, a hint. */
int cow_list(struct cow_union *u, uint64_t id, uint64_t off, size_t size, cow_entry_fn *fn,
	     void *arg) FLOE_MUST_USE;
/* A name of that directory has gone. */
void cow_list_removed(struct cow_union *u, uint64_t id, const char *name);
/* ENOTEMPTY or 0: does the union's directory have entries? */
int cow_list_is_empty(struct cow_union *u, uint64_t id) FLOE_MUST_USE;

#endif
