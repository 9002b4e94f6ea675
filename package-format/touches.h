/* SPDX-License-Identifier: Apache-2.0 */
/* First touches (struct pkg_touch) of one package, carried over to another: as text that names files by path,
 * since inode numbers mean something in one package only.
 *
 *   floe-touches 1
 *   OFFSET LENGTH PATH       decimal bytes; in first-touch order. PATH from the package's root, "opt/x/y";
 * bytes below 33 or above 126 and backslashes are written \ooo, in octal
 *
 * Threads: any. Calls block as those of the index do. */
#ifndef FLOE_PKG_TOUCHES_H
#define FLOE_PKG_TOUCHES_H

#include "package-format/index.h"

#define PKG_TOUCHES_TEXT_MAX ((size_t)256 << 20)

/* The ranges of files that lie in some chunks, in the order of the chunks (each once). The caller frees. */
int pkg_touches_of_chunks(struct pkg_index *x, const uint32_t *chunks, size_t count, struct pkg_touch **ret,
			  size_t *ret_count, struct err *e) FLOE_MUST_USE;
/* Adds the text to ret. */
int pkg_touches_print(struct pkg_index *x, const struct pkg_touch *list, size_t count, struct buf *ret,
		      struct err *e) FLOE_MUST_USE;
/* The caller frees. What the package does not have, or is shorter there, is left out or cut; *ret_lacking
 * lines came to nothing. ERR_FORMAT, with the line's number, for what is no such text. */
int pkg_touches_parse(struct pkg_index *x, const char *text, size_t len, struct pkg_touch **ret,
		      size_t *ret_count, size_t *ret_lacking, struct err *e) FLOE_MUST_USE;

#endif
