/* SPDX-License-Identifier: Apache-2.0 */
/* Data and holes of a file, in terms that do not depend on the file system or on what is still in memory.
 * Private to the lazy files (cow_lazy*.c, cow_content.c). Results are errno values. EINTR is retried. */
#ifndef FLOE_VFS_COW_SPARSE_H
#define FLOE_VFS_COW_SPARSE_H

#include <stdint.h>

#include "base/err.h"

/* The first byte of data, or of a hole, at or behind `off`. Of data: UINT64_MAX = none; the end of the file
 * counts as a hole. */
int cow_sparse_data(int fd, uint64_t off, uint64_t *ret) FLOE_MUST_USE;
int cow_sparse_hole(int fd, uint64_t off, uint64_t *ret) FLOE_MUST_USE;

/* What is written or kept as one piece: the file system's block, 4 KiB at least. */
int cow_sparse_block(int fd, uint64_t *ret) FLOE_MUST_USE;

/* Whether one block written into the empty file is one block of data among holes afterwards. EOPNOTSUPP: no.
 * The file is of some size then, and all hole. */
int cow_sparse_probe(int fd, uint64_t block) FLOE_MUST_USE;

/* Makes allocated blocks that were never written holes again, below `end`. After a power cut there may be
 * such, and as soon as one of their neighbours is read, the kernel calls them data. From then on writes make
 * data of nothing around them. Nobody may write meanwhile. Costs one look at the file's extents where there
 * is nothing to do. */
int cow_sparse_heal(int fd, uint64_t end, uint64_t block) FLOE_MUST_USE;

#endif
