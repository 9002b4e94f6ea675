/* SPDX-License-Identifier: Apache-2.0 */
/* Files in directories that applications can write to: read and replaced without following anything and
 * without waiting for anyone. Names are single components. Any thread; blocks on the disk only. */
#ifndef FLOE_REG_BROKER_VIEW_H
#define FLOE_REG_BROKER_VIEW_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/mem.h"

/* A regular file's whole content. ERR_NOTFOUND; ERR_LIMIT past ret->max; ERR_FORMAT when it is no file. */
int view_read(int dirfd, const char *name, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* The same from a descriptor of any access mode; its offset is left alone. */
int view_read_fd(int fd, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* Has anybody a file of ours open for writing? The process must ignore SIGIO. */
bool view_is_held(int fd);
/* What an absolute path is when `root` is "/": its links lead nowhere else. A descriptor, close-on-exec, or
 * -1 with errno. */
int view_open_in(int root, const char *path, int flags);
/* Replaces the file atomically, keeping the mode of the one there (`mode` when there is none). */
int view_write(int dirfd, const char *name, const void *text, size_t len, mode_t mode,
	       struct err *e) FLOE_MUST_USE;
/* Nothing there is fine. */
int view_remove(int dirfd, const char *name, struct err *e) FLOE_MUST_USE;

#endif
