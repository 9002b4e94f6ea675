/* SPDX-License-Identifier: Apache-2.0 */
/* What the node table's memfd holds, byte for byte. Private to cow_nodes*.c.
 *
 * Host byte order and alignment: the memfd never leaves the machine. A server of another version refuses it
 * by COW_TABLE_VERSION. A record's `head` says whether it is valid and is stored last. Fields marked "made
 * anew" are of use to the process that wrote them only.
 *
 *   node  head = 'N' | type (S_IFMT >> 12) << 8 | layer << 16 | flags << 32
 *   name  head = 'M' valid, 'O' / 'P' a pending rename's old and new place | length of text << 8 |
 *                exchange << 16 | (of 'O') its 'P' << 32
 *   path  head = 'L' | length of text << 16 | node << 32 */
#ifndef FLOE_VFS_COW_NODES_RECORD_H
#define FLOE_VFS_COW_NODES_RECORD_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

enum { COW_TABLE_VERSION = 1 };

/* Where a record lies: its offset in the memfd divided by 8; 0 = nowhere. */
typedef uint32_t cow_ref;

struct cow_record {    /* how all of them begin */
	uint64_t head; /* 0 = free */
	cow_ref next;  /* of the free list, or of a chain; made anew */
};

struct cow_node_record {
	uint64_t head;
	uint32_t next;     /* id: of the chain of identities; made anew */
	uint32_t children; /* names, also pending ones, in this directory; made anew */
	uint64_t generation;
	uint64_t lookups;
	uint64_t dev, ino;
	uint64_t shown_ino;
	uint64_t stamp;
	cow_ref names; /* the first; made anew */
	cow_ref lost;  /* path; made anew */
};

struct cow_name_record {
	uint64_t head;
	cow_ref next;                   /* of the chain of names; made anew */
	uint32_t hash;                  /* made anew */
	uint64_t link;                  /* parent << 32 | node */
	cow_ref alias_next, alias_prev; /* names of the same node; made anew */
	char text[];                    /* without NUL */
};

struct cow_path_record {
	uint64_t head;
	cow_ref next;
	uint32_t unused;
	char text[PATH_MAX]; /* without NUL */
};

_Static_assert(sizeof(struct cow_node_record) == 72, "a node takes at most 96 bytes");
_Static_assert(sizeof(struct cow_name_record) == 32, "a name takes at most 32 bytes and its text");

enum { COW_IS_NODE = 'N', COW_IS_NAME = 'M', COW_IS_OLD = 'O', COW_IS_NEW = 'P', COW_IS_PATH = 'L' };

static inline unsigned cow_head_kind(uint64_t head)
{
	return head & 0xff;
}

static inline uint64_t cow_node_head(uint32_t type, uint8_t layer, uint32_t flags)
{
	return COW_IS_NODE | (uint64_t)(type >> 12 & 0xf) << 8 | (uint64_t)layer << 16 |
	       (uint64_t)flags << 32;
}

static inline uint32_t cow_node_type(uint64_t head)
{
	return (uint32_t)(head >> 8 & 0xf) << 12;
}

static inline uint8_t cow_node_layer(uint64_t head)
{
	return (uint8_t)(head >> 16);
}

static inline uint32_t cow_node_flags(uint64_t head)
{
	return (uint32_t)(head >> 32);
}

static inline uint64_t cow_name_head(unsigned kind, size_t len)
{
	return kind | (uint64_t)len << 8;
}

static inline size_t cow_name_len(uint64_t head)
{
	return head >> 8 & 0xff;
}

static inline uint64_t cow_path_head(size_t len, uint64_t node)
{
	return COW_IS_PATH | (uint64_t)len << 16 | node << 32;
}

static inline size_t cow_path_len(uint64_t head)
{
	return head >> 16 & 0xffff;
}

static inline uint32_t cow_path_node(uint64_t head)
{
	return (uint32_t)(head >> 32);
}

static inline uint64_t cow_name_link(uint64_t parent, uint64_t node)
{
	return parent << 32 | node;
}

static inline uint32_t cow_name_parent(uint64_t link)
{
	return (uint32_t)(link >> 32);
}

static inline uint32_t cow_name_node(uint64_t link)
{
	return (uint32_t)link;
}

#endif
