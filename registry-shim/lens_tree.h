/* SPDX-License-Identifier: Apache-2.0 */
/* What lenses for nested files have in common: containers that a piece opens (doc_name.piece) and another
 * closes (doc_name.end, DOC_NONE while the text has no such container). */
#ifndef FLOE_REG_LENS_TREE_H
#define FLOE_REG_LENS_TREE_H

#include "registry-shim/lens_doc.h"

/* The blanks that a piece begins with, from its last line's end on. */
const char *tree_lead(const struct doc_piece *p, size_t *ret_len);
/* The member in front in the same container, or what opens that; DOC_NONE at the beginning. */
uint32_t tree_before(const struct reg_doc *d, uint32_t piece);
/* Of a missing container and those that it lies in, DOC_TOP apart: the outermost that is missing. */
uint32_t tree_outermost_missing(const struct reg_doc *d, uint32_t container);
/* The last part of a container's path, as keys spell it. */
const char *tree_last_part(const struct reg_doc *d, uint32_t container);

/* The piece that closes a container. 0 or -1. */
int tree_close(struct reg_doc *d, uint32_t after, uint32_t container, const char *text, size_t len,
	       struct err *e) FLOE_MUST_USE;
/* The same for one that the piece `open` has just begun: on a line of its own where that is. Uses d->line. */
int tree_close_like(struct reg_doc *d, uint32_t open, uint32_t container, const char *text,
		    struct err *e) FLOE_MUST_USE;
/* What d->line holds, as the last piece in a container, which closes on the next line when that begins one.
 * DOC_NONE on failure. */
uint32_t tree_append(struct reg_doc *d, uint32_t container, enum doc_kind kind, struct err *e) FLOE_MUST_USE;

#endif
