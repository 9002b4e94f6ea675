/* SPDX-License-Identifier: Apache-2.0 */
/* The index's content, read in pieces: its frames stay compressed until something in them is asked for, and
 * the few used last are kept. So opening costs the same for every size, and so does the memory.
 *
 * Threads: one at a time. May block on the disk. */
#ifndef FLOE_PKG_INDEX_FRAMES_H
#define FLOE_PKG_INDEX_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pkg_index_frames; /* opaque */

/* `stored` has been checked against its digest and is borrowed for the call. It is copied to scratch_fd, an
 * empty file of nobody else's that is taken over in any case, or into memory when that is -1 or cannot be
 * written. ERR_FORMAT when the frames do not make content_len bytes. */
int pkg_index_frames_open(const void *stored, size_t stored_len, uint64_t content_len, int scratch_fd,
			  struct pkg_index_frames **ret, struct err *e) FLOE_MUST_USE;
void pkg_index_frames_close(struct pkg_index_frames *f); /* NULL ok */

uint64_t pkg_index_frames_len(const struct pkg_index_frames *f);
/* off + len must not be beyond the end. */
int pkg_index_frames_read(struct pkg_index_frames *f, uint64_t off, size_t len, uint8_t *ret,
			  struct err *e) FLOE_MUST_USE;

#endif
