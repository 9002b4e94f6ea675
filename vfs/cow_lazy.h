/* SPDX-License-Identifier: Apache-2.0 */
/* What cow_content.c does with lazy files; the contract is cow_content.h's. Results are errno values. */
#ifndef FLOE_VFS_COW_LAZY_H
#define FLOE_VFS_COW_LAZY_H

#include <stdatomic.h>

#include "vfs/cow_content.h"
#include "vfs/cow_ranges.h"

struct cow_lazy {
	uint64_t dev, ino;
	unsigned users;
	bool is_beginning;
	struct cow_lazy *next;
	int fd; /* our own, whoever opened it goes first */
	struct cow_layer *layer;
	struct cow_handle origin;
	struct cow_lazy_origin *attr;
	uint64_t block;
	struct cow_ranges ranges;
	atomic_uint_fast64_t limit; /* written with all ranges locked */
	atomic_uint_fast64_t noted; /* the attribute's, alike */
	atomic_bool is_whole;       /* nothing is missing */
	atomic_bool is_done;        /* nor does the attribute say so */
	atomic_uint_fast64_t hint;  /* a missing block, as long as there is one */
};

/* ---- cow_lazy_origin.c: the attribute */
int cow_lazy_write_origin(int fd, const struct cow_lazy_origin *o) FLOE_MUST_USE;
int cow_lazy_remove_origin(int fd) FLOE_MUST_USE; /* none: fine */

/* ---- cow_lazy.c */
int cow_lazy_read(struct cow_lazy *z, void *buf, size_t size, uint64_t off, size_t *ret_got,
		  bool (*is_over)(void *arg), void *arg) FLOE_MUST_USE;
int cow_lazy_seek(struct cow_lazy *z, uint64_t off, int whence, uint64_t *ret) FLOE_MUST_USE;

uint64_t cow_lazy_block(const struct cow_lazy *z, uint64_t off); /* where off's block begins */
int cow_lazy_size(const struct cow_lazy *z, uint64_t *ret) FLOE_MUST_USE;
/* Is the block missing that begins at `at`? */
int cow_lazy_is_missing(struct cow_lazy *z, uint64_t at, bool *ret) FLOE_MUST_USE;
/* The layer's bytes, all of them; EIO where the layer ends early. */
int cow_lazy_fetch(struct cow_lazy *z, void *buf, size_t size, uint64_t off, bool (*is_over)(void *arg),
		   void *arg) FLOE_MUST_USE;

/* ---- cow_lazy_life.c */
/* After [start, end) has become data, or the limit was lowered: if nothing is missing now, the attribute
 * goes. Looks at the file only when that was the block known to be missing. Holds no range. */
int cow_lazy_note_filled(struct cow_lazy *z, uint64_t start, uint64_t end) FLOE_MUST_USE;

/* ---- cow_lazy_change.c */
int cow_lazy_write(struct cow_lazy *z, const void *buf, size_t size, uint64_t off,
		   size_t *ret_put) FLOE_MUST_USE;
int cow_lazy_truncate(struct cow_lazy *z, uint64_t size) FLOE_MUST_USE;
int cow_lazy_allocate(struct cow_lazy *z, int mode, uint64_t off, uint64_t len) FLOE_MUST_USE;

/* ---- cow_content.c */
/* As pread and pwrite, but whole: less than `size` was read only at the end; less was written only when the
 * disk said no after a part. */
int cow_plain_read(int fd, void *buf, size_t size, uint64_t off, size_t *ret_got) FLOE_MUST_USE;
int cow_plain_write(int fd, const void *buf, size_t size, uint64_t off, size_t *ret_put) FLOE_MUST_USE;

#endif
