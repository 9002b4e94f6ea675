/* SPDX-License-Identifier: Apache-2.0 */
/* The node table's memory: fixed-size records in a memfd, at addresses that never move, and a journal that
 * makes several stores one step. Private to cow_nodes*.c; the table's lock guards all of it.
 *
 * The memfd is a row of segments of 1 MiB. Segment 0 holds the header and the journal; each other one serves
 * one class of records. A record begins with a struct cow_record, whose `head` is 0 while it is free. Memory
 * is asked for before it is written, so that a full machine is ENOMEM and not SIGBUS.
 *
 * A process that is killed has carried out its stores up to some instruction, in program order: that is all
 * that is needed here, no flush and no fence but the compiler's. Of what lies in the memfd only the heads and
 * the fields behind them are believed by a successor, and only after a check; `next` never. libc only. */
#ifndef FLOE_VFS_COW_NODES_MEMORY_H
#define FLOE_VFS_COW_NODES_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vfs/cow_nodes_record.h"

enum cow_class {
	COW_CLASS_NODE,
	COW_CLASS_PATH,
	COW_CLASS_NAME, /* and behind it one for each room of COW_NAME_ROOMS */
	COW_NAME_ROOMS = 10,
	COW_CLASSES = COW_CLASS_NAME + COW_NAME_ROOMS,
};
enum { COW_SEGMENT = 1 << 20, COW_SEGMENT_HEADER = 64, COW_SEGMENTS_MAX = 1 << 15 };
enum { COW_STEP_MAX = 8 }; /* stores of one step */

enum { COW_REF_UNIT = 8, COW_SEGMENT_REFS = COW_SEGMENT / COW_REF_UNIT };

struct cow_memory_class {
	size_t size;             /* of a record */
	uint32_t capacity;       /* records of a segment */
	uint32_t segment;        /* the one whose records are handed out for the first time; 0 = none */
	uint32_t used;           /* of its records */
	size_t backed_len;       /* of its bytes: memory was asked for */
	cow_ref free, free_last; /* a queue */
	uint64_t free_count;
};

struct cow_memory {
	int fd;
	uint8_t *base;
	uint32_t segments, segments_max; /* segment 0 included */
	uint64_t backed;                 /* bytes of memory */
	struct cow_memory_class classes[COW_CLASSES];
	uint8_t *segment_class; /* by segment */
	uint32_t *node_segment; /* by place among the nodes' segments */
	uint32_t node_segments;
	uint64_t nodes_used; /* ids are below */
};

/* fd is borrowed. `keep`: what a predecessor left, its last step finished, all segments checked as far as
 * their own headers go; an empty memfd is made anew, too. *ret_made: it was. ERR_FORMAT. */
int cow_memory_open(int fd, bool keep, struct cow_memory *ret, bool *ret_made, struct err *e) FLOE_MUST_USE;
void cow_memory_close(struct cow_memory *m); /* what _open has not touched must be zeros */

static inline void *cow_memory_at(const struct cow_memory *m, cow_ref ref)
{
	return m->base + (uint64_t)ref * COW_REF_UNIT;
}

/* The class of names of up to `len` bytes (at most 255). */
unsigned cow_memory_name_class(size_t len);
/* A free record; its content but for `head` is what it was. 0: no memory. */
cow_ref cow_memory_take(struct cow_memory *m, unsigned class_no) FLOE_MUST_USE;
/* `head` must be 0. Nodes rest before they are taken again. */
void cow_memory_give(struct cow_memory *m, cow_ref ref);

/* Does `ref` come from the memfd, or from a corrupt one: is it a record of that class that was ever used? */
bool cow_memory_has(const struct cow_memory *m, cow_ref ref, unsigned class_no);
/* Records ever used of a segment, and the first of them. */
uint32_t cow_memory_used(const struct cow_memory *m, uint32_t segment);
cow_ref cow_memory_first(uint32_t segment);

/* Nodes go by number: dense, from 0. `id` must be below nodes_used. */
enum { COW_SEGMENT_NODES = (COW_SEGMENT - COW_SEGMENT_HEADER) / sizeof(struct cow_node_record) };
static inline struct cow_node_record *cow_memory_node(const struct cow_memory *m, uint64_t id)
{
	uint64_t off = COW_SEGMENT_HEADER + id % COW_SEGMENT_NODES * sizeof(struct cow_node_record);

	return (struct cow_node_record *)(void *)(m->base +
						  (uint64_t)m->node_segment[id / COW_SEGMENT_NODES] *
							  COW_SEGMENT +
						  off);
}
/* Any thread, without a lock. */
enum { COW_NOTES = 128 };
struct cow_request_note {
	uint64_t unique, note;
};
struct cow_request_note *cow_memory_note(const struct cow_memory *m, uint64_t number);
/* cow_nodes_time_begin; under the table's lock. */
enum { COW_TIMES = 16 };
struct cow_time_record {
	uint64_t dir, sec, nsec, users; /* dir: 0 = free */
};
struct cow_time_record *cow_memory_times(const struct cow_memory *m);
/* 0: no memory. */
uint64_t cow_memory_take_node(struct cow_memory *m) FLOE_MUST_USE;
void cow_memory_give_node(struct cow_memory *m, uint64_t id);

/* One store, in its place in the program's order. */
static inline void cow_memory_set(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Several stores, all of them or none. */
struct cow_step {
	unsigned count;
	struct {
		uint64_t *at;
		uint64_t value;
	} stores[COW_STEP_MAX];
};
static inline void cow_step_add(struct cow_step *s, uint64_t *at, uint64_t value)
{
	s->stores[s->count].at = at;
	s->stores[s->count++].value = value;
}
void cow_memory_do(struct cow_memory *m, const struct cow_step *s);

#endif
