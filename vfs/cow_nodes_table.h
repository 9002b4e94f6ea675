/* SPDX-License-Identifier: Apache-2.0 */
/* The node table from inside. Private to cow_nodes*.c.
 *
 * cow_nodes.c         what callers ask for: nodes, and names but for renames
 * cow_nodes_facts.c   what is known of a node besides
 * cow_nodes_rename.c  renames in two steps
 * cow_nodes_index.c   chains: names by (parent, text), nodes by identity, the names of a node
 * cow_nodes_keep.c    taking over what a predecessor left
 * cow_nodes_memory.c  records in a memfd, and steps of several stores
 *
 * How a killed process leaves the old state or the new: an operation fills free records, which nobody
 * sees, then validates, changes and invalidates records in one step (cow_memory_do), then brings the chains
 * and counts up to date, which nobody believes. Only the end of a node is several steps: its lookups become
 * 0, its names go one after the other, then itself; from the first of them on it is one that a successor
 * drops.
 *
 * A name's record, valid or pending, counts among the children of its directory. */
#ifndef FLOE_VFS_COW_NODES_TABLE_H
#define FLOE_VFS_COW_NODES_TABLE_H

#include "base/sync.h"
#include "vfs/cow_nodes.h"
#include "vfs/cow_nodes_memory.h"

struct cow_chains { /* heads; as many as a power of two */
	uint32_t *heads;
	size_t count, filled;
};

struct cow_nodes {
	struct sync_mutex lock;
	struct cow_memory memory; /* guarded by lock, like all below */
	struct cow_chains names, identities;
	cow_ref *pending; /* old places of renames that were begun */
	size_t pending_count, pending_cap;
	uint64_t node_count, name_count;
	void (*on_end)(void *arg, uint64_t id, mode_t type); /* NULL = nobody asks */
	void *on_end_arg;
};

struct cow_name_place { /* where a name is, whether somebody has it or not */
	uint32_t parent;
	const char *name;
	size_t len;
	uint32_t hash;
};

static inline struct cow_node_record *cow_node_at(const struct cow_nodes *t, uint64_t id)
{
	return cow_memory_node(&t->memory, id);
}

static inline struct cow_name_record *cow_name_at(const struct cow_nodes *t, cow_ref ref)
{
	return cow_memory_at(&t->memory, ref);
}

/* NULL: no such node. */
static inline struct cow_node_record *cow_node_find(const struct cow_nodes *t, uint64_t id)
{
	struct cow_node_record *n = id > 0 && id < t->memory.nodes_used ? cow_node_at(t, id) : NULL;

	return n && n->head ? n : NULL;
}

static inline bool cow_node_is_dir(const struct cow_node_record *n)
{
	return cow_node_type(n->head) == S_IFDIR;
}

/* 0: has none (deleted), or the root. Of the first name. */
static inline uint64_t cow_node_parent(const struct cow_nodes *t, const struct cow_node_record *n)
{
	return n->names ? cow_name_parent(cow_name_at(t, n->names)->link) : 0;
}

static inline bool cow_node_is_needed(uint64_t id, const struct cow_node_record *n)
{
	return id == COW_ROOT || n->lookups > 0 || n->children > 0;
}

/* ---- cow_nodes_index.c */
int cow_chains_open(struct cow_chains *c, struct err *e) FLOE_MUST_USE;

uint32_t cow_name_place_hash(uint32_t parent, const char *name, size_t len);
/* EINVAL, ENAMETOOLONG; ESTALE: the parent is no directory here. */
int cow_name_place_of(const struct cow_nodes *t, uint64_t parent, const char *name,
		      struct cow_name_place *ret) FLOE_MUST_USE;
cow_ref cow_name_find(const struct cow_nodes *t, const struct cow_name_place *p); /* 0: unknown */
/* A record with everything but a valid head. 0: no memory. */
cow_ref cow_name_make(struct cow_nodes *t, const struct cow_name_place *p, uint64_t node) FLOE_MUST_USE;
/* A valid name, in its chain and among its directory's children from now on. */
void cow_name_insert(struct cow_nodes *t, cow_ref ref);
void cow_name_remove(struct cow_nodes *t, cow_ref ref);
/* A valid name, in front of its node's others from now on. */
void cow_alias_insert(struct cow_nodes *t, cow_ref ref);
void cow_alias_remove(struct cow_nodes *t, cow_ref ref);

void cow_identity_insert(struct cow_nodes *t, uint64_t id);
void cow_identity_remove(struct cow_nodes *t, uint64_t id);
/* Not a directory. 0: unknown. */
uint64_t cow_identity_find(const struct cow_nodes *t, mode_t type, const struct cow_identity *identity);
/* The same of any type, gone or not. */
uint64_t cow_identity_any(const struct cow_nodes *t, const struct cow_identity *identity);

/* ---- cow_nodes.c */
bool cow_is_below_locked(const struct cow_nodes *t, uint64_t id, uint64_t above) SYNC_REQUIRES(t->lock);
/* The node `id`, and what only it needed, goes if nothing needs it. */
bool cow_let_go_locked(struct cow_nodes *t, uint64_t id) SYNC_REQUIRES(t->lock);
/* Takes a valid name away, with all its chains. Its directory may be unneeded afterwards. */
void cow_name_drop_locked(struct cow_nodes *t, cow_ref ref) SYNC_REQUIRES(t->lock);
/* A deleted lower object that has a name again is none. */
void cow_step_named(struct cow_step *s, struct cow_node_record *n);

/* ---- cow_nodes_rename.c */
/* Room for one more; ENOMEM. */
int cow_pending_reserve_locked(struct cow_nodes *t) SYNC_REQUIRES(t->lock) FLOE_MUST_USE;
void cow_pending_add_locked(struct cow_nodes *t, cow_ref old_place) SYNC_REQUIRES(t->lock);
/* Node `id` goes: a pending rename that means it means nobody. */
void cow_pending_unname(struct cow_nodes *t, cow_ref old_place, uint64_t id);

/* ---- cow_nodes_keep.c */
/* Brings everything but the records up to date, and drops the records that make no sense. */
int cow_nodes_keep_locked(struct cow_nodes *t, struct err *e) SYNC_REQUIRES(t->lock) FLOE_MUST_USE;

#endif
