/* SPDX-License-Identifier: Apache-2.0 */
/* How keys spell the names that they are made of. Pure functions of memory. */
#ifndef FLOE_REG_LENS_PART_H
#define FLOE_REG_LENS_PART_H

#include "base/mem.h"

/* One part of a path, as keys spell it, and back: '/' is "%2F", '%' is "%25", and "%" is a part without a
 * name. Both add to ret; ERR_USAGE for what no part is spelled like. */
int doc_spell(const char *name, size_t len, struct buf *ret, struct err *e) FLOE_MUST_USE;
int doc_unspell(const char *part, size_t len, struct buf *ret, struct err *e) FLOE_MUST_USE;

#endif
