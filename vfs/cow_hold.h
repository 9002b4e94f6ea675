/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host's that the kernel has been told of: opening one sends no message, and when the host puts
 * another file in its place, whoever opened this one must still read this one. So they are held from their
 * lookup on, as O_PATH, which costs no more than looking: a bounded cache by node id, emptied of a node that
 * has ended. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_HOLD_H
#define FLOE_VFS_COW_HOLD_H

#include "vfs/cow_cache.h"
#include "vfs/cow_state.h"

/* cow_union.holds. */
int cow_holds_open(size_t max, struct cow_cache **ret, struct err *e) FLOE_MUST_USE;

/* Takes `held` from _lookup of the layer, if it is the node's object and not held yet; else, or without
 * memory (no error), it stays the caller's. */
void cow_hold(struct cow_union *u, uint64_t node, const struct cow_identity *identity,
	      struct cow_handle *held);
/* A node of a lower layer, for reading. ENOENT: not held. Other errors: errno values of opening. */
int cow_hold_open(struct cow_union *u, const struct cow_node *n, struct cow_handle *ret) FLOE_MUST_USE;

#endif
