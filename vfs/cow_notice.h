/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel must forget because the host changed it: a thread that sends FUSE_NOTIFY_INVAL_INODE, which
 * a request's handler may not. Any thread. */
#ifndef FLOE_VFS_COW_NOTICE_H
#define FLOE_VFS_COW_NOTICE_H

#include "vfs/cow_state.h"

/* fuse_fd is borrowed. Starts the thread. */
int cow_notices_open(int fuse_fd, struct cow_notices **ret, struct err *e) FLOE_MUST_USE;
void cow_notices_close(struct cow_notices *n); /* NULL ok */
/* Drops the node's pages (or, a directory's, its listing) and waits until that is done, at most `wait_ms`. */
void cow_notice_changed(struct cow_notices *n, uint64_t id, unsigned wait_ms);

#endif
