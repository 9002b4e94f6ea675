/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks: one zstd frame each, of at most PKG_CHUNK_MAX bytes of content. Never blocks; any thread.
 * <zstd.h> is included only in chunk.c. */
#ifndef FLOE_PKG_CHUNK_H
#define FLOE_PKG_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"

enum {
	PKG_CHUNK_MIN = 16 * 1024,
	PKG_CHUNK_MAX = 1024 * 1024,
	/* What a chunk may take in the file: zstd's own bound for PKG_CHUNK_MAX, rounded up. */
	PKG_CHUNK_STORED_MAX = PKG_CHUNK_MAX + 8192,
	PKG_INDEX_FRAME = 64 * 1024,
};

/* Appends one frame with content size and without checksum (the digest is the checksum). */
int pkg_chunk_compress(const void *content, size_t len, int level, struct buf *ret,
		       struct err *e) FLOE_MUST_USE;
/* Exactly content_len bytes into ret, checked against the digest. ERR_FORMAT or ERR_INTEGRITY. */
int pkg_chunk_inflate(const void *stored, size_t stored_len, size_t content_len,
		      const struct pkg_digest *digest, uint8_t *ret, struct err *e) FLOE_MUST_USE;

/* One frame as above, with the caller's limit instead of PKG_CHUNK_MAX; no digest. */
int pkg_frame_compress(const void *content, size_t len, int level, struct buf *ret,
		       struct err *e) FLOE_MUST_USE;
int pkg_frame_inflate(const void *stored, size_t stored_len, uint64_t content_len, uint8_t *ret,
		      struct err *e) FLOE_MUST_USE;
/* How long the frame is that `stored` begins with, and how long its content says it is. */
int pkg_frame_measure(const void *stored, size_t stored_len, size_t *ret_len, uint64_t *ret_content_len,
		      struct err *e) FLOE_MUST_USE;

/* Appends an index: a frame for every PKG_INDEX_FRAME bytes of content, with checksums when they are several.
 */
int pkg_index_compress(const void *content, size_t len, int level, struct buf *ret,
		       struct err *e) FLOE_MUST_USE;

#endif
