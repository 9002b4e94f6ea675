/* SPDX-License-Identifier: Apache-2.0 */
/* The copy-on-write union's node table: what the kernel knows of the union, by node id, in memory that
 * outlives the process.
 *
 * The table lies in a memfd that the holder keeps. A server that dies at any instruction leaves a table that
 * its successor opens with `takeover`: only records are trusted, every chain and free list is made anew from
 * them. Lookup counts may then be too high (never too low): a node that lives too long is harmless.
 *
 * A node is an object: for a file an identity (layer, device, inode number), under any number of names; for
 * a directory its one name. A node id keeps its object across copy-up, rename and unlink, until the
 * kernel has forgotten it and no child needs it; then it is used again with another generation.
 * An object without a name left has been deleted; where its content still is, its flags say.
 *
 * Record sizes: a node at most 96 bytes, a name at most 32 and its text (room rounded up by less than half);
 * together with the chains below 200 bytes besides the name.
 *
 * Any thread; never blocks on anything but memory. Results are errno values, 0 = success; ESTALE = the
 * kernel names a node that is not there. libc only. */
#ifndef FLOE_VFS_COW_NODES_H
#define FLOE_VFS_COW_NODES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"

enum { COW_ROOT = 1 };
enum { COW_UPPER = 0 }; /* layer number of the upper; lower layers are 1, 2, ..., topmost first */

enum cow_node_flag {
	COW_NODE_ORPHAN = 1, /* deleted; the upper's object is work/orphans/ID (cow_upper.h) */
	COW_NODE_LOST = 2,   /* deleted; the lower's object is known by identity, and (host) by lost path */
	COW_NODE_LINKED = 4, /* a copy-up of a lower file with several names: in the links index */
	COW_NODE_LAZY = 8,   /* content partly still in the lower (cow_content.h) */
};

struct cow_identity { /* of anything but a directory */
	uint8_t layer;
	uint64_t dev, ino; /* the layer's own numbers */
};

static inline bool cow_identity_is(const struct cow_identity *a, const struct cow_identity *b)
{
	return a->layer == b->layer && a->dev == b->dev && a->ino == b->ino;
}

struct cow_node { /* a copy */
	uint64_t id, generation;
	mode_t type; /* S_IFMT bits */
	unsigned flags;
	struct cow_identity identity; /* of a directory: zeros */
	uint64_t shown_ino;           /* st_ino that users see */
	uint64_t stamp;               /* of a host file's content as last shown (cow_tree.h); 0 = none */
	uint64_t parent;              /* of the node's first name; 0 = it has none (deleted), or the root */
	char name[NAME_MAX + 1];
};

struct cow_nodes; /* opaque */

/* `memfd`: borrowed, must stay open; empty, or with `takeover` what a predecessor left. ERR_FORMAT when that
 * makes no sense. */
int cow_nodes_open(int memfd, bool takeover, struct cow_nodes **ret, struct err *e) FLOE_MUST_USE;
void cow_nodes_close(struct cow_nodes *t); /* NULL ok; the memfd keeps the content */

/* ---- nodes */
int cow_nodes_get(struct cow_nodes *t, uint64_t id, struct cow_node *ret) FLOE_MUST_USE;
/* ENOENT: the table knows no such name (the union may). */
int cow_nodes_child(struct cow_nodes *t, uint64_t parent, const char *name,
		    struct cow_node *ret) FLOE_MUST_USE;
/* The object of that name, made when need be; the kernel's lookups grow by one, before anybody is told.
 * A directory is found by name alone, anything else by identity (which adds the name to a node that has
 * others). A name that another object had is taken from it. `shown_ino` and `stamp` are taken for new nodes
 * only. */
struct cow_sighting {
	uint64_t parent;
	const char *name;
	mode_t type;
	struct cow_identity identity;
	uint64_t shown_ino, stamp;
	unsigned flags; /* for new nodes */
};
int cow_nodes_seen(struct cow_nodes *t, const struct cow_sighting *s, struct cow_node *ret) FLOE_MUST_USE;
/* A node without a name (O_TMPFILE); flags ORPHAN. Its lookups begin with one. */
int cow_nodes_add_orphan(struct cow_nodes *t, const struct cow_sighting *s,
			 struct cow_node *ret) FLOE_MUST_USE;
/* True when the node went with this; *ret then says what it was (for its orphan to be removed). Directories
 * above that only it needed go, too. */
bool cow_nodes_forget(struct cow_nodes *t, uint64_t id, uint64_t lookups, struct cow_node *ret);
/* `fn` is told of every node that goes, by whatever way, before its id can mean another one. It is called
 * with the table's lock held: it must not call the table, nor wait. To be set before there are threads. */
void cow_nodes_on_end(struct cow_nodes *t, void (*fn)(void *arg, uint64_t id, mode_t type), void *arg);

int cow_nodes_set_identity(struct cow_nodes *t, uint64_t id,
			   const struct cow_identity *identity) FLOE_MUST_USE;
/* An object has just been made, and nobody knows of it yet: what the table has of that identity was an object
 * that is gone, whose number it has got. (Of a node that a killed server counted once too often the kernel
 * says no more when it forgets it.) */
void cow_nodes_made(struct cow_nodes *t, const struct cow_identity *identity);
int cow_nodes_set_stamp(struct cow_nodes *t, uint64_t id, uint64_t stamp) FLOE_MUST_USE;
int cow_nodes_set_flags(struct cow_nodes *t, uint64_t id, unsigned set, unsigned clear) FLOE_MUST_USE;
/* Where a deleted lower file lies in its layer: bytes up to PATH_MAX (else ENAMETOOLONG). */
int cow_nodes_set_lost_path(struct cow_nodes *t, uint64_t id, const char *path) FLOE_MUST_USE;
int cow_nodes_lost_path(struct cow_nodes *t, uint64_t id, char ret[PATH_MAX]) FLOE_MUST_USE;

/* ---- names; unknown ones are no error, unless said */
/* Gives the node one more name (link), taking it from whoever had it. */
int cow_nodes_link(struct cow_nodes *t, uint64_t id, uint64_t parent, const char *name) FLOE_MUST_USE;
/* One of the node's names that is not this one; false: it has no other. */
bool cow_nodes_other_name(struct cow_nodes *t, uint64_t id, uint64_t parent, const char *name,
			  struct cow_node *ret);
void cow_nodes_unlink(struct cow_nodes *t, uint64_t parent, const char *name);

/* Renaming in two steps, around the file system's: _begin notes both places in the table, so that a
 * successor knows of it; _end makes the new place (`done`) or the old one valid. The target's name, if the
 * table has it, is taken from its node by _end(done); with `exchange` it gets the old name. */
struct cow_rename {
	uint64_t old_parent, new_parent;
	const char *old_name, *new_name;
	bool exchange;
};
int cow_nodes_rename_begin(struct cow_nodes *t, const struct cow_rename *r) FLOE_MUST_USE;
void cow_nodes_rename_end(struct cow_nodes *t, const struct cow_rename *r, bool done);
/* After a takeover: the renames that were begun and not ended, one call each; `fn` finds out and calls
 * _rename_end. Names are borrowed for the call. */
void cow_nodes_rename_pending(struct cow_nodes *t, void (*fn)(void *arg, const struct cow_rename *r),
			      void *arg);

/* What a successor must know of a request that is sent again and whose effect alone does not tell how far it
 * came. `unique`: the request's number; the last hundred are kept. `note`: not 0; what it means is the
 * caller's matter. 0 = none. */
void cow_nodes_note(struct cow_nodes *t, uint64_t unique, uint64_t note);
uint64_t cow_nodes_noted(struct cow_nodes *t, uint64_t unique);
/* Every note that is `from` becomes `to`. */
void cow_nodes_change_notes(struct cow_nodes *t, uint64_t from, uint64_t to);

/* Around a step that touches directory `dir` and sets its time back, so that a successor can do that. Of
 * steps beside each other in one directory the first one's time counts: *mtime may change. With too many at
 * once, one is not noted. */
void cow_nodes_time_begin(struct cow_nodes *t, uint64_t dir, struct timespec *mtime);
void cow_nodes_time_end(struct cow_nodes *t, uint64_t dir);
/* After a takeover: those that were begun and not ended, one call each; then they are forgotten. */
void cow_nodes_time_pending(struct cow_nodes *t,
			    void (*fn)(void *arg, uint64_t dir, const struct timespec *mtime), void *arg);

struct cow_nodes_stats {
	uint64_t nodes, names, bytes; /* bytes of memory in use, chains included */
};
void cow_nodes_stats(struct cow_nodes *t, struct cow_nodes_stats *ret);
/* Every node, in order of ids, once for each of its names (and once if it has none), as copies that have that
 * name, without the lock held during the call. */
void cow_nodes_each(struct cow_nodes *t, void (*fn)(void *arg, const struct cow_node *n), void *arg);

#endif
