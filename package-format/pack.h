/* SPDX-License-Identifier: Apache-2.0 */
/* Content to stored chunks: deduplicates by digest, compresses on several threads, and appends the
 * frames to a file in the order in which their content first came, whatever thread was done first.
 *
 * Holds at most a few chunks of content per thread. One caller thread; pkg_pack_add and _drain block
 * on compression and on the disk. After an error only pkg_pack_close is of use. */
#ifndef FLOE_PKG_PACK_H
#define FLOE_PKG_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/index.h"

struct pkg_pack; /* opaque */

/* `fd` (borrowed) receives the frames from offset 0. level and threads as in pkg_writer_opt. */
int pkg_pack_open(int fd, int level, unsigned threads, const volatile bool *cancel, struct pkg_pack **ret,
		  struct err *e) FLOE_MUST_USE;
void pkg_pack_close(struct pkg_pack *p); /* NULL ok; ends the threads */

/* 1 to PKG_CHUNK_MAX bytes, copied. *ret_idx is the chunk's number, an old one for equal content.
 * ERR_INTERRUPTED when cancelled. */
int pkg_pack_add(struct pkg_pack *p, const uint8_t *data, size_t len, uint32_t *ret_idx,
		 struct err *e) FLOE_MUST_USE;
/* Waits until everything is in the file. */
int pkg_pack_drain(struct pkg_pack *p, struct err *e) FLOE_MUST_USE;

/* After _drain; offsets count from the start of `fd`. Borrowed until close. */
const struct pkg_chunk_info *pkg_pack_chunks(const struct pkg_pack *p, uint32_t *ret_count,
					     uint32_t *ret_shared);

#endif
