/* SPDX-License-Identifier: Apache-2.0 */
/* Puts pages into the kernel's cache (FUSE_NOTIFY_STORE) from a small process of its own.
 *
 * Why a process: the kernel makes the caller wait, beyond the reach of SIGKILL, for a page that is just
 * being read. A thread of a killed server that waits so would keep the server from ever being dead,
 * while only its successor can answer that read. This process may wait; nobody waits for it. */
#ifndef FLOE_VFS_PAGE_STORE_H
#define FLOE_VFS_PAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { PAGE_STORE_MAX = 256 * 1024 };

struct page_store; /* opaque; one thread at a time */

/* Forks; safe in a process with threads. fuse_fd is borrowed. */
int page_store_open(int fuse_fd, struct page_store **ret, struct err *e) FLOE_MUST_USE;
/* PAGE_STORE_MAX bytes to fill before page_store_put. */
uint8_t *page_store_room(struct page_store *s);
/* Stores len bytes of the room at `off` of an inode. Blocks until done; `is_cancelled` is asked ten times a
 * second, and true ends the wait for good. 0, or an errno: ENOENT = the kernel does not know the inode;
 * EPIPE = this store is of no more use. */
int page_store_put(struct page_store *s, uint64_t ino, uint64_t off, size_t len,
		   bool (*is_cancelled)(void *arg), void *arg) FLOE_MUST_USE;
void page_store_close(struct page_store *s); /* NULL ok; does not wait for the process */

#endif
