/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an index makes sense as a whole: every row of it read once, and what the tables say of each other
 * compared. Readers do not need it (each answer is checked when it is given); `floe verify` does.
 * Blocks on the processor only; any thread. */
#ifndef FLOE_PKG_CHECK_H
#define FLOE_PKG_CHECK_H

#include "package-format/header.h"
#include "package-format/index.h"

/* ERR_FORMAT with the first contradiction found. */
int pkg_index_check(struct pkg_index *x, const struct pkg_header *h, struct err *e) FLOE_MUST_USE;

#endif
