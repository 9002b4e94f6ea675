/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of a name in an open directory (O_PATH will do), of whatever type and without opening
 * it. The kernel has had system calls for that since 6.13; here it is /proc/self/fd/DIR/NAME, which follows
 * no link but that first one. `name`: one component, or "" = the directory itself.
 *
 * Results are errno values as of the system calls, 0 = success. With `cap` 0 the length is asked for; ERANGE:
 * more than `cap`. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_XATTR_AT_H
#define FLOE_VFS_COW_XATTR_AT_H

#include <linux/limits.h>
#include <stddef.h>

#include "base/err.h"

int cow_xattr_at_get(int dir, const char *name, const char *attr, void *value, size_t cap,
		     size_t *ret_len) FLOE_MUST_USE;
int cow_xattr_at_set(int dir, const char *name, const char *attr, const void *value, size_t len,
		     int flags) FLOE_MUST_USE;
int cow_xattr_at_remove(int dir, const char *name, const char *attr) FLOE_MUST_USE;

/* The name under which an attribute shows: itself, another one (written into `room`), or NULL = it does not.
 */
typedef const char *cow_xattr_show_fn(void *arg, const char *attr, char room[XATTR_NAME_MAX + 1]);
/* All that shows, NUL behind each name. */
int cow_xattr_at_list(int dir, const char *name, cow_xattr_show_fn *show, void *arg, char *names, size_t cap,
		      size_t *ret_len) FLOE_MUST_USE;
/* The same for names that somebody else has listed. */
int cow_xattr_show(const char *all, size_t all_len, cow_xattr_show_fn *show, void *arg, char *names,
		   size_t cap, size_t *ret_len) FLOE_MUST_USE;

#endif
