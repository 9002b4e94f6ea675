/* SPDX-License-Identifier: Apache-2.0 */
/* A regular file of the union, open where its content is now: a bounded cache by node id. After a copy-up the
 * next _ref is the upper's. Results are errno values. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_FILE_H
#define FLOE_VFS_COW_FILE_H

#include "vfs/cow_cache.h"
#include "vfs/cow_state.h"

struct cow_file {
	uint64_t node;
	uint8_t layer;            /* COW_UPPER: fd; else handle in that layer */
	bool is_writable;         /* fd is O_RDWR */
	int fd;                   /* -1 unless the upper's */
	struct cow_lazy *lazy;    /* NULL = ordinary */
	struct cow_handle handle; /* of a lower layer */
};

/* cow_union.files. cow_cache_forget, when its content is elsewhere now. */
int cow_files_open(size_t max, struct cow_cache **ret, struct err *e) FLOE_MUST_USE;

/* EACCES: content that may not be read (it shows as empty). */
int cow_file_ref(struct cow_union *u, uint64_t node, struct cow_file **ret) FLOE_MUST_USE;
/* An upper's descriptor that is open already (O_RDWR; taken, also on failure): just created, just copied up.
 */
int cow_file_add(struct cow_union *u, uint64_t node, int fd, struct cow_file **ret) FLOE_MUST_USE;
void cow_file_unref(struct cow_union *u, struct cow_file *f); /* NULL ok */

#endif
