/* SPDX-License-Identifier: Apache-2.0 */
/* Notices to the kernel (FUSE_NOTIFY_*) that may have to wait, written by a small process of its own.
 *
 * Why a process: the kernel makes the writer wait, beyond the reach of SIGKILL, for a page that is just being
 * read, or for the lock of a directory in which somebody looks for a name. A thread of a killed server that
 * waits so would keep the server from ever being dead, while only its successor can give the answers for
 * which the others hold page and lock. This process may wait; nobody waits for it. It ends when the server
 * has.
 *
 * Any thread. */
#ifndef FLOE_VFS_FUSE_NOTIFY_H
#define FLOE_VFS_FUSE_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { FUSE_NOTIFY_MESSAGE_MAX = 512 };

struct fuse_notify; /* opaque */

/* Forks; safe in a process with threads. `room`: bytes shared with the process. Best early: from a fork on,
 * each page that the caller has and writes to again is copied. */
int fuse_notify_start(size_t room, struct fuse_notify **ret, struct err *e) FLOE_MUST_USE;
/* Once, before anything is sent. fuse_fd is borrowed, as is turn_fd: a file that all successors of a server
 * have, or -1. Of the processes with the same one, one at a time writes, so that servers that are killed one
 * after another leave no row of processes that wait for one lock. */
int fuse_notify_attach(struct fuse_notify *n, int fuse_fd, int turn_fd, struct err *e) FLOE_MUST_USE;
/* Both. */
int fuse_notify_open(int fuse_fd, int turn_fd, size_t room, struct fuse_notify **ret,
		     struct err *e) FLOE_MUST_USE;
/* To fill before a _call that sends of it. */
uint8_t *fuse_notify_room(struct fuse_notify *n);
/* A message, from its fuse_out_header on. Does not wait for its end, only for room in the queue. What comes
 * of it is nobody's concern. */
void fuse_notify_send(struct fuse_notify *n, const void *message, size_t len);
/* The same with `room_len` bytes of the room behind it, and waits for the end; one thread at a time.
 * `is_cancelled` (NULL = never) is asked ten times a second, and true ends the wait for good. 0, or an errno:
 * EPIPE = this process is of no more use. */
int fuse_notify_call(struct fuse_notify *n, const void *message, size_t len, size_t room_len,
		     bool (*is_cancelled)(void *arg), void *arg) FLOE_MUST_USE;
/* NULL ok; does not wait for the process. */
void fuse_notify_close(struct fuse_notify *n);

#endif
