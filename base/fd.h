/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: scoped ownership, whole reads and writes, passing over sockets.
 *
 * Every descriptor made here is close-on-exec. EINTR is retried everywhere. Functions may block as
 * long as the descriptor does; all are safe from any thread. */
#ifndef FLOE_BASE_FD_H
#define FLOE_BASE_FD_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

#define auto_fd __attribute__((cleanup(fd_close_ptr)))

static inline void fd_close(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static inline void fd_close_ptr(int *fd)
{
	fd_close(*fd);
}

/* Hands out what an auto_fd variable owns, leaving -1 behind. */
static inline int fd_steal(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#define auto_closedir __attribute__((cleanup(fd_closedir_ptr)))

static inline void fd_closedir_ptr(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* The name under which this process can open again, or act by path on, what it has open as `fd` (proc(5)). */
enum { FD_PATH_LEN = 32 };
static inline void fd_path(int fd, char ret[FD_PATH_LEN])
{
	(void)snprintf(ret, FD_PATH_LEN, "/proc/self/fd/%d", fd);
}

/* Whole transfers. A short read is ERR_IO with sys 0 ("ended after n of m bytes"). */
int fd_read_exact(int fd, void *data, size_t len, struct err *e) FLOE_MUST_USE;
int fd_pread_exact(int fd, void *data, size_t len, uint64_t off, struct err *e) FLOE_MUST_USE;
int fd_write_all(int fd, const void *data, size_t len, struct err *e) FLOE_MUST_USE;
int fd_pwrite_all(int fd, const void *data, size_t len, uint64_t off, struct err *e) FLOE_MUST_USE;

/* Appends everything up to end of file; ERR_LIMIT past ret->max. */
int fd_read_to_end(int fd, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* The whole of a file, relative to dirfd (AT_FDCWD allowed). */
int fd_read_file(int dirfd, const char *path, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* Replaces a file so that a crash at any point leaves the old content or the new: temporary file
 * beside it, fsync, rename, fsync of the directory. */
int fd_write_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
		  struct err *e) FLOE_MUST_USE;

/* One message with up to FD_PASS_MAX descriptors over a SOCK_SEQPACKET or SOCK_STREAM socket.
 * Sending borrows the descriptors; received ones belong to the caller, close-on-exec. */
enum { FD_PASS_MAX = 16 };
int fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, struct err *e) FLOE_MUST_USE;
/* Returns the message's length (0 = peer closed), -1 on error; more than `cap` bytes or *nfds
 * descriptors is ERR_LIMIT and closes them. `nfds` is in: room, out: count. */
ssize_t fd_recv(int sock, void *data, size_t cap, int *fds, size_t *nfds, struct err *e) FLOE_MUST_USE;

#endif
