/* SPDX-License-Identifier: Apache-2.0 */
/* The union of the layers as one tree: names, attributes, links. Reading only; what changes it is in
 * cow_copy_up.h and cow_change.h. Results are errno values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_TREE_H
#define FLOE_VFS_COW_TREE_H

#include "vfs/cow_dir.h"

struct cow_entry { /* what the kernel is told of a name */
	uint64_t id, generation;
	struct stat st;   /* as shown */
	bool is_volatile; /* comes from a layer that changes by itself */
	/* What of it is told when that happens (cow_watch.h). */
	bool is_name_watched, is_attr_watched;
};

/* What a name stands for, before the node table is asked. */
struct cow_thing {
	struct stat st; /* as shown, st_ino included */
	struct cow_identity identity;
	uint64_t stamp;            /* 0 = none */
	uint64_t own_dev, own_ino; /* as its layer has them */
	bool is_dir, is_volatile, is_linked /* by the links index */;
};

/* ENOENT: no such name (or hidden). */
int cow_tree_find(struct cow_union *u, const struct cow_dir *dir, const char *name,
		  struct cow_thing *ret) FLOE_MUST_USE;
/* Finds it and makes the kernel's lookup count. With ENOENT, ret->is_volatile says whether that may change by
 * itself. */
int cow_tree_lookup(struct cow_union *u, uint64_t parent, const char *name,
		    struct cow_entry *ret) FLOE_MUST_USE;
/* The same for who may open it next: a file of the host's is held (cow_hold.h). */
int cow_tree_lookup_held(struct cow_union *u, uint64_t parent, const char *name,
			 struct cow_entry *ret) FLOE_MUST_USE;
int cow_tree_getattr(struct cow_union *u, uint64_t id, struct cow_entry *ret) FLOE_MUST_USE;
int cow_tree_readlink(struct cow_union *u, uint64_t id, char *buf, size_t cap, size_t *ret_len) FLOE_MUST_USE;
/* It has just been made in the upper, and has no name there that others know (cow_nodes_made). */
void cow_tree_made(struct cow_union *u, const struct stat *st);
/* From what was just stat'ed in the upper. Names the object in the table (cow_nodes_seen). */
int cow_tree_seen_upper(struct cow_union *u, const struct cow_dir *dir, const char *name,
			const struct stat *st, struct cow_entry *ret) FLOE_MUST_USE;

/* st_ino to show for an object: as it is on main_dev, marked by the device elsewhere, by the layer's key for
 * packages. Never 0. */
uint64_t cow_tree_ino(const struct cow_union *u, uint8_t layer, uint64_t dev, uint64_t ino);
/* The owner, when owners are mapped. */
void cow_tree_show(const struct cow_union *u, struct stat *st);
/* Of a changing layer's file or directory: what tells one state from another. Never 0. */
uint64_t cow_tree_stamp(const struct stat *st);

#endif
