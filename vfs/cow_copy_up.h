/* SPDX-License-Identifier: Apache-2.0 */
/* Copy-up: an object of a lower layer becomes one of the upper, with mode, owner, times, xattrs, ACLs, holes
 * and links; whoever looks sees the old or the new, and nothing else in the upper seems touched (its
 * directory's times stay). Content is durable before the copy takes the name. Streamed files are copied up
 * lazily. Results are errno values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_COPY_UP_H
#define FLOE_VFS_COW_COPY_UP_H

#include "vfs/cow_tree.h"

/* Directory `node` and all above it exist in the upper afterwards. */
int cow_copy_up_dir(struct cow_union *u, uint64_t node) FLOE_MUST_USE;
/* Before the first request: what a predecessor that died did not come to. */
void cow_copy_up_take_over(struct cow_union *u);
enum cow_copy_content { COW_COPY_ALL, COW_COPY_NONE /* it is about to be cut to nothing */ };
/* Any other object. A deleted lower file becomes an orphan of the upper. Does nothing when it is there
 * already. */
int cow_copy_up(struct cow_union *u, uint64_t node, enum cow_copy_content content) FLOE_MUST_USE;

/* The lock of one object, for the steps that change where it is. */
void cow_lock(struct cow_union *u, uint64_t node);
void cow_unlock(struct cow_union *u, uint64_t node);

#endif
