/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the union, open in every layer that has it: a bounded cache, least recently used first out,
 * made anew from the nearest one above when asked for (the node table has the names), so that neither the
 * number of directories nor the length of a path matters.
 *
 * Which layers: the upper's, if there; then, unless that is opaque, each lower layer that has a directory of
 * this name in the directories above it, down to the first that has something else, a whiteout, or opacity. A
 * redirect (on the upper's or a frozen upper's) continues at its path in the layers below it. Results are
 * errno values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_DIR_H
#define FLOE_VFS_COW_DIR_H

#include "vfs/cow_cache.h"
#include "vfs/cow_state.h"

struct cow_dir_layer {
	uint8_t number;
	bool is_impure; /* as in the upper: of a frozen one */
	struct cow_handle handle;
};
struct cow_dir { /* immutable once made; the descriptors are the cache's */
	uint64_t node;
	int upper; /* O_PATH; -1: not in the upper */
	bool is_opaque, is_impure;
	unsigned count;
	struct cow_dir_layer lower[COW_LAYERS_MAX]; /* topmost first */
};

/* cow_union.dirs. cow_cache_forget, when something about a directory's layers has changed (copy-up, opacity):
 * the next _ref makes it anew. */
int cow_dirs_open(size_t max, struct cow_cache **ret, struct err *e) FLOE_MUST_USE;

/* ESTALE: it is not there any more (a deleted directory is an empty one: count 0, upper -1, no error). */
int cow_dir_ref(struct cow_union *u, uint64_t node, struct cow_dir **ret) FLOE_MUST_USE;
void cow_dir_unref(struct cow_union *u, struct cow_dir *d); /* NULL ok */
/* Directory `path` of the union of the lower layers, as `layer` has it. ENOENT: it has none there. */
int cow_dir_find_lower(struct cow_union *u, uint8_t layer, const char *path,
		       struct cow_handle *ret) FLOE_MUST_USE;
/* The host's directory `node` is (dev, ino) now: forgotten if another one is open. */
void cow_dir_check(struct cow_union *u, uint64_t node, uint64_t dev, uint64_t ino);
/* Do any of its lower layers change by themselves (the host)? Then names are believed for a while only. */
bool cow_dir_is_volatile(const struct cow_union *u, const struct cow_dir *d);

#endif
