/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, the one digest of floe: of chunks, of the index, of a package's header. Never blocks. */
#ifndef FLOE_PKG_DIGEST_H
#define FLOE_PKG_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { PKG_DIGEST_LEN = 32, PKG_DIGEST_HEX = 2 * PKG_DIGEST_LEN + 1 };

struct pkg_digest {
	uint8_t b[PKG_DIGEST_LEN];
};

void pkg_digest_of(const void *data, size_t len, struct pkg_digest *ret);
bool pkg_digest_equal(const struct pkg_digest *a, const struct pkg_digest *b);
/* Into ret[PKG_DIGEST_HEX], lower case. */
void pkg_digest_hex(const struct pkg_digest *d, char *ret);
int pkg_digest_parse(const char *hex, struct pkg_digest *ret, struct err *e) FLOE_MUST_USE;

#endif
