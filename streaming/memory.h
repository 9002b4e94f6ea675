/* SPDX-License-Identifier: Apache-2.0 */
/* Decompressed chunks kept in memory: least recently used ones go first, referenced ones stay. The memory of
 * some that went is kept for the next: new pages cost the kernel as much as filling them.
 *
 * The package's mutex guards a store; what takes one is called under it. Nothing here blocks. The bytes of a
 * referenced chunk may be read without it. */
#ifndef FLOE_STREAM_MEMORY_H
#define FLOE_STREAM_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "streaming/package.h"

enum memory_lent {
	MEMORY_HOME,
	MEMORY_LENT,
	MEMORY_LEFT, /* the store has let go of it: the borrower frees it */
};

enum { MEMORY_BUCKETS = 1024, MEMORY_SPARE_MAX = 2 * 1024 * 1024 /* bytes, in a full store */ };

struct memory_chunk {
	struct stream_chunk seen; /* first: what users hold */
	uint32_t idx, refs;
	size_t cap;                         /* bytes there is room for */
	bool is_listed;                     /* the store finds it */
	bool is_passing;                    /* nor will it */
	atomic_int lent;                    /* enum memory_lent */
	struct memory_chunk *same_hash;     /* in its bucket */
	struct memory_chunk *newer, *older; /* by use */
	uint8_t *bytes;                     /* aligned: the kernel copies twice as fast from page to page */
};

struct memory_store {
	struct memory_chunk *buckets[MEMORY_BUCKETS];
	struct memory_chunk *newest, *oldest;
	size_t len, max;            /* room of listed chunks, in bytes */
	struct memory_chunk *spare; /* newest first, by same_hash */
};

/* Lets go of what is beyond. */
void memory_limit(struct memory_store *s, size_t max);
/* An unlisted chunk with one reference, to be filled by its maker. */
struct memory_chunk *memory_chunk_new(uint32_t idx, size_t len, struct err *e) FLOE_MUST_USE;
/* The same from what is spare, or was used longest ago in a full store; NULL when nothing fits. */
struct memory_chunk *memory_chunk_reuse(struct memory_store *s, uint32_t idx, size_t len);
/* The same, but nothing goes for it. */
struct memory_chunk *memory_chunk_spare(struct memory_store *s, uint32_t idx, size_t len);
bool memory_is_full_for(const struct memory_store *s, size_t len);
/* A reference, or NULL. */
struct memory_chunk *memory_find(struct memory_store *s, uint32_t idx);
bool memory_has(const struct memory_store *s, uint32_t idx);
/* Lists a filled chunk, unless it is_passing; the caller's reference stays its own. */
void memory_add(struct memory_store *s, struct memory_chunk *m);
void memory_unref(struct memory_store *s, struct memory_chunk *m); /* NULL ok */
/* Without the mutex, any thread, of a chunk that is filled and referenced, once: until _return its bytes
 * stay, whatever becomes of references and store. */
void memory_chunk_lend(struct memory_chunk *m);
void memory_chunk_return(struct memory_chunk *m);
void memory_fini(struct memory_store *s); /* no references may be left */

#endif
