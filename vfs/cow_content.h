/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a regular file of the upper, all of them there, or (lazy) the unchanged ones still in a layer
 * below: opening a 2 GB streamed file for writing and changing one byte fetches the block around it.
 *
 * A lazy file is a sparse file of the file's full size with user.floe.lazy = "1 LIMIT LAYERKEY DEV INO PATH"
 * (LIMIT decimal bytes; PATH: in the layer, the rest of the value): where it has a hole below LIMIT, the
 * layer's content shows. A file-system block (4 KiB, or more where the file system says) is either data or
 * hole; a write fills up the blocks it touches from below before it changes them. Zeros that the application
 * wants are written as zeros. LIMIT is lowered, durably ordered, before the file grows again after it was
 * cut. When no hole is left below LIMIT, the attribute goes and the file is ordinary. A crash leaves each
 * block old or new: a block that was not written to disk is a hole, which is the old content.
 *
 * Results are errno values, 0 = success. Any thread; concurrent reads and writes of distinct blocks are let
 * through, all else is ordered inside. Blocks on the disk, and on the layer. */
#ifndef FLOE_VFS_COW_CONTENT_H
#define FLOE_VFS_COW_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vfs/cow_layer.h"

struct cow_lazy; /* opaque: of one lazy file */

struct cow_lazy_origin { /* as the attribute has it */
	uint64_t limit, dev, ino;
	char key[96], path[4096];
};
/* What the file's attribute says. ENODATA: not lazy. EINVAL: it makes no sense. */
int cow_lazy_read_origin(int fd, struct cow_lazy_origin *ret) FLOE_MUST_USE;
/* Makes an empty regular file (O_RDWR) lazy, of size `limit`; on failure it is empty again. EOPNOTSUPP: the
 * file system does not keep data and holes apart exactly. */
int cow_lazy_make(int fd, const struct cow_lazy_origin *o) FLOE_MUST_USE;

/* The lazy file `fd`, which nobody writes to, with what it has of its own, into an empty one (O_RDWR) of the
 * same file system; `size`: of both. On failure that one is empty again. EOPNOTSUPP: as above, or `fd` is not
 * lazy. */
int cow_lazy_copy(int fd, uint64_t size, int fd_out) FLOE_MUST_USE;

/* fd is not kept, layer is borrowed; origin (open in that layer) is owned on success. A file that may be
 * written (O_RDWR) has one struct, however often it is opened at a time. Uses one descriptor more. */
int cow_lazy_open(int fd, struct cow_layer *layer, struct cow_handle *origin,
		  struct cow_lazy **ret) FLOE_MUST_USE;
void cow_lazy_close(struct cow_lazy *z);   /* NULL ok */
bool cow_lazy_is_done(struct cow_lazy *z); /* nothing is missing any more: the file is ordinary */

/* As their system calls, on the whole content. `z` NULL: an ordinary file. */
int cow_content_read(int fd, struct cow_lazy *z, void *buf, size_t size, uint64_t off, size_t *ret_got,
		     bool (*is_over)(void *arg), void *arg) FLOE_MUST_USE;
int cow_content_write(int fd, struct cow_lazy *z, const void *buf, size_t size, uint64_t off,
		      size_t *ret_put) FLOE_MUST_USE;
int cow_content_truncate(int fd, struct cow_lazy *z, uint64_t size) FLOE_MUST_USE;
int cow_content_allocate(int fd, struct cow_lazy *z, int mode, uint64_t off, uint64_t len) FLOE_MUST_USE;
int cow_content_seek(int fd, struct cow_lazy *z, uint64_t off, int whence, uint64_t *ret) FLOE_MUST_USE;
/* fd_out is of the upper; `in` is either an upper's file (fd_in, z_in) or a layer's (layer, handle). Tries
 * FICLONERANGE / copy_file_range, then reads and writes. */
struct cow_source {
	int fd; /* -1: layer and handle */
	struct cow_lazy *lazy;
	struct cow_layer *layer;
	const struct cow_handle *handle;
};
int cow_content_copy(const struct cow_source *in, uint64_t off_in, int fd_out, struct cow_lazy *z_out,
		     uint64_t off_out, uint64_t len, uint64_t *ret_copied) FLOE_MUST_USE;
/* All of a layer's file into an empty file of the upper: reflink where possible, holes kept (a package has
 * none). */
int cow_content_copy_whole(const struct cow_source *in, uint64_t size, int fd_out) FLOE_MUST_USE;

#endif
