/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch touches: ranges of a package's files in the order in which they were first read. Any thread;
 * never blocks on anything but memory. */
#ifndef FLOE_VFS_PACKAGE_TOUCHES_H
#define FLOE_VFS_PACKAGE_TOUCHES_H

#include <stddef.h>
#include <stdint.h>

#include "package-format/index.h"

struct package_touches; /* opaque */

int package_touches_open(struct package_touches **ret, struct err *e) FLOE_MUST_USE;
/* Notes a read. Lack of memory is no error of the reader's: the range is left out. */
void package_touches_add(struct package_touches *t, uint64_t ino, uint64_t off, uint32_t len);
/* How often _add was called. */
uint64_t package_touches_noted(struct package_touches *t);
/* The caller frees. */
int package_touches_copy(struct package_touches *t, struct pkg_touch **ret, size_t *ret_count,
			 struct err *e) FLOE_MUST_USE;
void package_touches_close(struct package_touches *t); /* NULL ok */

#endif
