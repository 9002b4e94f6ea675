/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_sparse.h.
 *
 * What lseek calls data: on ext4 and xfs, blocks that are on disk, and blocks reserved for what is in memory;
 * of allocated but unwritten blocks those whose page is in memory, even if that has only been read. The last
 * is what must not happen below a lazy file's limit: nobody preallocates there, and what a power cut
 * leaves is healed before the file is used. On tmpfs data is the pages that there are; with huge pages that
 * is more than what was written, which the probe finds out, and xfs's allocsize= and extent size hints alike.
 */
#include "vfs/cow_sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1024 * 1024, PROBE_AT = 8 * BLOCK_MAX, PROBE_SIZE = 32 * BLOCK_MAX };

int cow_sparse_data(int fd, uint64_t off, uint64_t *ret)
{
	off_t at = lseek(fd, (off_t)off, SEEK_DATA);

	if (at < 0 && errno != ENXIO)
		return errno;
	*ret = at < 0 ? UINT64_MAX : (uint64_t)at;
	return 0;
}

int cow_sparse_hole(int fd, uint64_t off, uint64_t *ret)
{
	off_t at = lseek(fd, (off_t)off, SEEK_HOLE);

	if (at < 0 && errno != ENXIO)
		return errno;
	*ret = at < 0 ? off : (uint64_t)at;
	return 0;
}

int cow_sparse_block(int fd, uint64_t *ret)
{
	uint64_t size;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return errno;
	size = (uint64_t)st.st_blksize;
	if (size < BLOCK_MIN || (size & (size - 1)))
		size = BLOCK_MIN;
	*ret = size < BLOCK_MAX ? size : BLOCK_MAX;
	return 0;
}

/* ---- extents ---------------------------------------------------------------------------- */

enum { EXTENTS = 64 };
union extents {
	struct fiemap head;
	char room[sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)];
};

/* The next allocated but unwritten part in [start, end). *ret_len 0: none, or the file system has no notion
 * of it. */
static int find_unwritten(int fd, uint64_t start, uint64_t end, uint64_t *ret_off, uint64_t *ret_len)
{
	union extents x;

	*ret_len = 0;
	while (start < end) {
		memset(&x.head, 0, sizeof(x.head));
		x.head.fm_start = start;
		x.head.fm_length = end - start;
		x.head.fm_extent_count = EXTENTS;
		if (ioctl(fd, FS_IOC_FIEMAP, &x) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS ? 0 : errno;
		}
		if (x.head.fm_mapped_extents == 0)
			return 0;
		for (unsigned i = 0; i < x.head.fm_mapped_extents; i++) {
			const struct fiemap_extent *f = &x.head.fm_extents[i];

			start = f->fe_logical + f->fe_length;
			if ((f->fe_flags & FIEMAP_EXTENT_UNWRITTEN) && f->fe_logical < end) {
				*ret_off = f->fe_logical;
				*ret_len = f->fe_length;
				return 0;
			}
			if (f->fe_flags & FIEMAP_EXTENT_LAST)
				return 0;
		}
	}
	return 0;
}

/* Where blocks are shared with another file (the upper was copied), xfs makes room for the 32 blocks around
 * one that is overwritten, and calls the holes among them data as soon as they have been read. */
static void keep_copies_small(int fd, uint64_t block)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0 ||
	    ((x.fsx_xflags & FS_XFLAG_COWEXTSIZE) && x.fsx_cowextsize == block))
		return;
	x.fsx_xflags |= FS_XFLAG_COWEXTSIZE;
	x.fsx_cowextsize = (uint32_t)block;
	(void)ioctl(fd, FS_IOC_FSSETXATTR, &x); /* no other file system knows it */
}

int cow_sparse_heal(int fd, uint64_t end, uint64_t block)
{
	uint64_t off, len, stop, at = 0;
	int error = find_unwritten(fd, 0, end, &off, &len);

	keep_copies_small(fd, block);
	if (error || !len)
		return error;
	/* What is still in memory gets written; what is unwritten thereafter never was. */
	if (fsync(fd) < 0)
		return errno;
	end = (end + block - 1) & ~(block - 1);
	for (;;) {
		error = find_unwritten(fd, at, end, &off, &len);
		if (error || !len)
			return error;
		stop = off + len < end ? off + len : end;
		at = off;
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
			      (off_t)(stop - off)) == 0)
			at = stop;
		else if (errno != EINTR)
			return errno;
	}
}

/* ---- the probe -------------------------------------------------------------------------- */

static int set_size(int fd, uint64_t size)
{
	while (ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static int probe_block(int fd, uint64_t block)
{
	uint64_t data = 0, hole = 0, off = 0, len = 0;
	char zeros[BLOCK_MIN] = { 0 };
	int error;

	for (uint64_t n = 0; n < block;) {
		ssize_t put = pwrite(fd, zeros, sizeof(zeros), (off_t)(PROBE_AT + n));

		if (put < 0 && errno != EINTR)
			return errno;
		n += put > 0 ? (uint64_t)put : 0;
	}
	error = cow_sparse_data(fd, 0, &data);
	if (!error)
		error = cow_sparse_hole(fd, PROBE_AT, &hole);
	if (!error)
		error = find_unwritten(fd, 0, PROBE_SIZE, &off, &len);
	if (error)
		return error;
	return data == PROBE_AT && hole == PROBE_AT + block && !len ? 0 : EOPNOTSUPP;
}

int cow_sparse_probe(int fd, uint64_t block)
{
	int error = set_size(fd, PROBE_SIZE), undone;

	if (!error)
		error = probe_block(fd, block);
	/* In steps of whole blocks: btrfs makes data of a partial last one when the file grows. ext4 would
	 * write early what is in a file that was cut to nothing. */
	undone = set_size(fd, block);
	return error ? error : undone;
}
