/* SPDX-License-Identifier: Apache-2.0 */
/* Where an object of the union lies now: an open directory of a layer, and a name in it. Results are errno
 * values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_PLACE_H
#define FLOE_VFS_COW_PLACE_H

#include "vfs/cow_dir.h"

struct cow_place {
	uint8_t layer;
	int upper_dir;                  /* COW_UPPER: the directory; borrowed, like all here */
	const struct cow_handle *lower; /* else */
	char name[NAME_MAX + 1];        /* "." for a directory itself */
	struct cow_dir *dir;            /* what is borrowed from; ended by cow_place_end */
};

/* The object of that name in a directory, before the node table is asked. */
struct cow_spot {
	struct cow_place place; /* place.dir stays NULL: borrowed from the directory asked */
	struct stat st;         /* the layer's own */
	bool is_empty;          /* content that may not be read */
	bool is_linked;         /* in the links index, under another name */
	bool is_impure;         /* it may have another number noted than its own */
};

/* Where the notes are (cow_upper.h) that the upper, or a frozen one, keeps on this object for feature `f`: an
 * open directory in which it has place.name. -1: there are none. */
int cow_place_notes(const struct cow_union *u, const struct cow_place *p, enum cow_feature f);
/* The names that the union shows for this object. */
unsigned cow_spot_links(const struct cow_union *u, const struct cow_spot *s);
/* The number that was noted for it at a copy-up; 0 = none. */
uint64_t cow_spot_noted_ino(const struct cow_union *u, const struct cow_spot *s);

/* ENOENT: nothing of that name, or a whiteout. */
int cow_spot_find(struct cow_union *u, const struct cow_dir *dir, const char *name,
		  struct cow_spot *ret) FLOE_MUST_USE;
/* The same, and what the layer holds (cow_layer.h); COW_HANDLE_NONE before. It may be another object's than
 * the one found. */
int cow_spot_find_held(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_spot *ret,
		       struct cow_handle *held) FLOE_MUST_USE;
/* 0 when a lower layer has something that shows (once nothing of the upper hides it), ENOENT when none has.
 */
int cow_spot_below(struct cow_union *u, const struct cow_dir *dir, const char *name,
		   struct cow_spot *ret) FLOE_MUST_USE;

/* ESTALE: it is not where the table says. A lower file that has lost its name has no place (ENOENT). */
int cow_place_of(struct cow_union *u, const struct cow_node *n, struct cow_place *ret) FLOE_MUST_USE;
void cow_place_end(struct cow_union *u, struct cow_place *p);
/* The node's object is `to`, in the upper, from now on, and has this name. Without an entry in the index of
 * links the node's other names are no longer its own: what can have no attributes cannot be counted, and is
 * an object by itself when it is copied up. What is open of it is forgotten. */
int cow_place_follow(struct cow_union *u, const struct cow_node *n, uint64_t parent, const char *name,
		     const struct cow_identity *to) FLOE_MUST_USE;
/* A copy-up that was interrupted after the object had got its place, before the table knew: when that is so,
 * the node is the upper's object from now on. */
bool cow_place_adopt(struct cow_union *u, const struct cow_node *n);

/* The path of directory `node` in the layers below, absolute, for redirects and lost files. Appends to `ret`
 * of size cap; ENAMETOOLONG. */
int cow_place_lower_path(struct cow_union *u, uint64_t node, char *ret, size_t cap) FLOE_MUST_USE;

#endif
