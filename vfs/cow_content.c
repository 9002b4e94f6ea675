/* SPDX-License-Identifier: Apache-2.0 */
/* Content, ordinary or lazy (cow_lazy.c), and copying between files; see cow_content.h.
 *
 * Copying leaves as much as it can to the kernel, which shares blocks where the file system does. Whatever
 * the kernel refuses is read and written; what really is wrong (a full disk) then says so again. */
#include "vfs/cow_content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "vfs/cow_lazy.h"

enum { PIECE = 1024 * 1024 };

static bool is_lazy(struct cow_lazy *z)
{
	return z && !cow_lazy_is_done(z);
}

/* ---- one file --------------------------------------------------------------------------- */

int cow_plain_read(int fd, void *buf, size_t size, uint64_t off, size_t *ret_got)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = pread(fd, (char *)buf + got, size - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_got = got;
	return 0;
}

int cow_plain_write(int fd, const void *buf, size_t size, uint64_t off, size_t *ret_put)
{
	size_t put = 0;

	while (put < size) {
		ssize_t n = pwrite(fd, (const char *)buf + put, size - put, (off_t)(off + put));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && put == 0)
			return errno;
		if (n <= 0)
			break;
		put += (size_t)n;
	}
	*ret_put = put;
	return 0;
}

int cow_content_read(int fd, struct cow_lazy *z, void *buf, size_t size, uint64_t off, size_t *ret_got,
		     bool (*is_over)(void *arg), void *arg)
{
	if (is_lazy(z))
		return cow_lazy_read(z, buf, size, off, ret_got, is_over, arg);
	return cow_plain_read(fd, buf, size, off, ret_got);
}

int cow_content_write(int fd, struct cow_lazy *z, const void *buf, size_t size, uint64_t off, size_t *ret_put)
{
	if (is_lazy(z))
		return cow_lazy_write(z, buf, size, off, ret_put);
	return cow_plain_write(fd, buf, size, off, ret_put);
}

int cow_content_truncate(int fd, struct cow_lazy *z, uint64_t size)
{
	if (is_lazy(z))
		return cow_lazy_truncate(z, size);
	while (ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int cow_content_allocate(int fd, struct cow_lazy *z, int mode, uint64_t off, uint64_t len)
{
	if (is_lazy(z))
		return cow_lazy_allocate(z, mode, off, len);
	while (fallocate(fd, mode, (off_t)off, (off_t)len) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int cow_content_seek(int fd, struct cow_lazy *z, uint64_t off, int whence, uint64_t *ret)
{
	off_t at;

	if (is_lazy(z))
		return cow_lazy_seek(z, off, whence, ret);
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return EINVAL;
	at = lseek(fd, (off_t)off, whence);
	if (at < 0)
		return errno;
	*ret = (uint64_t)at;
	return 0;
}

/* ---- copying ---------------------------------------------------------------------------- */

/* The descriptor that has all of the source's bytes; -1 = there is none. A frozen upper's file may be lazy.
 */
static int plain_fd(const struct cow_source *in)
{
	struct cow_lazy_origin *o;
	int error;

	if (in->fd >= 0)
		return is_lazy(in->lazy) ? -1 : in->fd;
	if (in->handle->fd < 0 || !in->layer->is_frozen_upper)
		return in->handle->fd;
	o = malloc(sizeof(*o));
	error = o ? cow_lazy_read_origin(in->handle->fd, o) : ENOMEM;
	free(o);
	return error == ENODATA ? in->handle->fd : -1;
}

static int read_source(const struct cow_source *in, void *buf, size_t size, uint64_t off, size_t *ret_got)
{
	if (in->fd >= 0)
		return cow_content_read(in->fd, in->lazy, buf, size, off, ret_got, NULL, NULL);
	return in->layer->ops->read(in->layer, in->handle, off, size, buf, ret_got, NULL, NULL);
}

/* Some of it, by the kernel. 0 bytes: it will not, or there is no more. */
static uint64_t copy_in_kernel(int fd_in, uint64_t off_in, int fd_out, uint64_t off_out, uint64_t len)
{
	enum { MOST = 1 << 30 };
	loff_t from = (loff_t)off_in, to = (loff_t)off_out;
	ssize_t n;

	do
		n = copy_file_range(fd_in, &from, fd_out, &to, len < MOST ? len : MOST, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? 0 : (uint64_t)n;
}

/* Some of it, by us. */
static int copy_piece(const struct cow_source *in, uint64_t off_in, int fd_out, struct cow_lazy *z_out,
		      uint64_t off_out, uint64_t len, void *buf, uint64_t *ret_copied)
{
	size_t got, put = 0;
	int error = read_source(in, buf, len < PIECE ? (size_t)len : PIECE, off_in, &got);

	if (!error && got > 0)
		error = cow_content_write(fd_out, z_out, buf, got, off_out, &put);
	if (!error)
		*ret_copied = put;
	return error;
}

int cow_content_copy(const struct cow_source *in, uint64_t off_in, int fd_out, struct cow_lazy *z_out,
		     uint64_t off_out, uint64_t len, uint64_t *ret_copied)
{
	int fd_in = is_lazy(z_out) ? -1 : plain_fd(in);
	auto_free void *buf = NULL;
	uint64_t copied = 0;

	while (copied < len) {
		uint64_t n = 0;
		int error = 0;

		if (fd_in >= 0)
			n = copy_in_kernel(fd_in, off_in + copied, fd_out, off_out + copied, len - copied);
		if (n == 0) {
			fd_in = -1;
			if (!buf)
				buf = malloc(PIECE);
			error = buf ? copy_piece(in, off_in + copied, fd_out, z_out, off_out + copied,
						 len - copied, buf, &n)
				    : ENOMEM;
		}
		if (error && copied == 0)
			return error;
		if (error || n == 0)
			break;
		copied += n;
	}
	*ret_copied = copied;
	return 0;
}

/* [off, end), or as much as the source has. *ret_end: how far it went. */
static int copy_extent(const struct cow_source *in, int fd_out, uint64_t off, uint64_t end, uint64_t *ret_end)
{
	while (off < end) {
		uint64_t n;
		int error = cow_content_copy(in, off, fd_out, NULL, off, end - off, &n);

		if (error)
			return error;
		if (n == 0)
			break;
		off += n;
	}
	*ret_end = off;
	return 0;
}

/* The next extent of data in [off, size); without a descriptor that knows, all of it is. */
static void next_extent(int fd, uint64_t off, uint64_t size, uint64_t *ret_start, uint64_t *ret_end)
{
	off_t data = fd < 0 ? (off_t)off : lseek(fd, (off_t)off, SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		data = (off_t)size;
	else if (data < 0)
		data = (off_t)off;
	hole = fd < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	*ret_start = (uint64_t)data < size ? (uint64_t)data : size;
	*ret_end = hole > data && (uint64_t)hole < size ? (uint64_t)hole : size;
}

int cow_content_copy_whole(const struct cow_source *in, uint64_t size, int fd_out)
{
	int fd_in = plain_fd(in), error;

	if (fd_in >= 0 && ioctl(fd_out, FICLONE, fd_in) == 0)
		return cow_content_truncate(fd_out, NULL, size);
	for (uint64_t off = 0, start, end, reached; off < size; off = end) {
		next_extent(fd_in, off, size, &start, &end);
		error = copy_extent(in, fd_out, start, end, &reached);
		if (error)
			return error;
		if (reached < end && fd_in < 0)
			return EIO;
		if (reached < end) /* it was cut meanwhile, or never was that long */
			break;
	}
	return cow_content_truncate(fd_out, NULL, size);
}
