/* SPDX-License-Identifier: Apache-2.0 */
/* The first 4 KiB of a package; byte-exact in FORMAT.md. Never blocks, never allocates.
 *
 * The *root digest*, by which a package is known everywhere, is the SHA-256 of the signed part of
 * the header: it covers the index digest, which covers every chunk's digest. */
#ifndef FLOE_PKG_HEADER_H
#define FLOE_PKG_HEADER_H

#include <stdint.h>

#include "package-format/digest.h"
#include "package-format/key.h"

enum { PKG_HEADER_LEN = 4096, PKG_VERSION = 1 };

/* Bounds a reader enforces before it believes a length. */
#define PKG_INDEX_STORED_MAX  (UINT64_C(256) << 20)
#define PKG_INDEX_CONTENT_MAX (UINT64_C(1) << 30)

struct pkg_header {
	uint16_t version;
	uint64_t features_required; /* a bit this reader does not know: ERR_UNSUPPORTED */
	uint64_t features_optional;
	uint64_t index_stored_len; /* the index begins at PKG_HEADER_LEN */
	uint64_t index_content_len;
	struct pkg_digest index_digest; /* of the stored (compressed) index */
	uint64_t feature_block_end;     /* end of the primary feature block; = end of the index when empty */
	uint64_t file_len;
	struct pkg_public_key signer;
	/* filled by decode / encode: */
	struct pkg_digest root;
};

/* Checks magic, version, required features, bounds, that all padding is zero, and the signature.
 * ERR_FORMAT, ERR_UNSUPPORTED, ERR_LIMIT, ERR_INTEGRITY. Trust is not checked here. */
int pkg_header_decode(const uint8_t bytes[PKG_HEADER_LEN], struct pkg_header *ret,
		      struct err *e) FLOE_MUST_USE;
/* Fills h->signer and h->root, signs. */
int pkg_header_encode(struct pkg_header *h, const struct pkg_secret_key *key, uint8_t ret[PKG_HEADER_LEN],
		      struct err *e) FLOE_MUST_USE;

#endif
