/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel must forget because the host changed it, or because a change was done in part: a thread
 * that sends FUSE_NOTIFY_INVAL_INODE, which a request's handler may not where pages are concerned. Any
 * thread. */
#ifndef FLOE_VFS_COW_NOTICE_H
#define FLOE_VFS_COW_NOTICE_H

#include <pthread.h>

#include "vfs/cow_state.h"
#include "vfs/fuse_notify.h"

/* ---- by the caller's own process for that, without waiting for what comes of it. Nothing is to be done
 * about a failure, and ENOENT is none: the kernel does not know the node, or the name. */

/* Its attributes are asked for again; with `pages` its pages go too (of a directory: its listing). */
void cow_notice_node(struct fuse_notify *n, uint64_t id, bool pages);
/* The name is asked for again at its next use (FUSE_EXPIRE_ONLY, Linux 6.2; before, it is taken away). */
void cow_notice_name(struct fuse_notify *n, uint64_t dir, const char *name);
/* The end of a thread that sends notices and has been told to leave. False after two seconds: it waits in the
 * kernel for something that ends with the connection, and it and its memory are left to that. */
bool cow_notice_thread_ends(pthread_t thread);

/* ---- by a thread */

/* fuse_fd is borrowed. Starts the thread. */
int cow_notices_open(int fuse_fd, struct cow_notices **ret, struct err *e) FLOE_MUST_USE;
void cow_notices_close(struct cow_notices *n); /* NULL ok */
/* The node's attributes are asked for again. At once, and also from a handler: it waits for nothing. */
void cow_notice_attributes(struct cow_notices *n, uint64_t id);
/* Drops the node's pages (or, a directory's, its listing) and waits until that is done, at most `wait_ms`. */
void cow_notice_changed(struct cow_notices *n, uint64_t id, unsigned wait_ms);

#endif
