/* SPDX-License-Identifier: Apache-2.0 */
/* What lenses for nested files have in common: containers that a piece opens (doc_name.piece) and another
 * closes (doc_name.end, DOC_NONE while the text has no such container). Pure; never fail. */
#ifndef FLOE_REG_LENS_TREE_H
#define FLOE_REG_LENS_TREE_H

#include "registry-shim/lens_doc.h"

/* The blanks that a piece begins with, from its last line's end on. */
const char *tree_lead(const struct doc_piece *p, size_t *ret_len);
/* The member in front in the same container, or what opens that; DOC_NONE at the beginning. */
uint32_t tree_before(const struct reg_doc *d, uint32_t piece);
/* Of a missing container and those that it lies in: the outermost that is missing. */
uint32_t tree_outermost_missing(const struct reg_doc *d, uint32_t container);
/* The last part of a container's path, as keys spell it. */
const char *tree_last_part(const struct reg_doc *d, uint32_t container);

#endif
