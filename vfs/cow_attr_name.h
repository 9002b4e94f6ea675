/* SPDX-License-Identifier: Apache-2.0 */
/* How an extended attribute is called inside the union, and how in a layer.
 *
 * In the upper's format (the upper, frozen uppers) user.overlay.* says how layers are stacked; what an
 * application calls so is kept as user.overlay.overlay.*, as the kernel's overlayfs does when nested.
 * Elsewhere the names are the same. floe's own notes show nowhere. Pure functions. */
#ifndef FLOE_VFS_COW_ATTR_NAME_H
#define FLOE_VFS_COW_ATTR_NAME_H

#include <linux/limits.h>
#include <stdbool.h>

#define COW_ATTR_OVERRIDE "user.containers.override_stat" /* a pretended owner; cow_upper.h */

enum { COW_ATTR_NAME_SIZE = XATTR_NAME_MAX + 1 };

/* A name that applications can neither see nor set: user.floe.*, COW_ATTR_OVERRIDE. */
bool cow_attr_is_private(const char *shown);
/* The layer's name, NULL when that is too long; `room` is where it may be written. Of one that is not
 * private.
 */
const char *cow_attr_stored(bool upper_format, const char *shown, char room[COW_ATTR_NAME_SIZE]);
/* The name inside, NULL: it does not show. */
const char *cow_attr_shown(bool upper_format, const char *stored, char room[COW_ATTR_NAME_SIZE]);

#endif
