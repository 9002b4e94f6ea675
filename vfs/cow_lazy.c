/* SPDX-License-Identifier: Apache-2.0 */
/* Lazy files: what they show; see cow_content.h for what they are. cow_lazy_life.c has their beginning and
 * end, cow_lazy_change.c what changes them, cow_lazy_origin.c the attribute, cow_sparse.c the holes.
 *
 * "Missing" is a block that is a hole and begins below the limit. Three things may be done to a file at any
 * time because nobody can see them: filling a missing block with the bytes that it shows, writing the lowered
 * limit down, and taking the attribute off when nothing is missing.
 *
 * Who makes data of a hole holds that range. File systems call a block data before its bytes are there, so
 * who has found data waits for the range before reading; what is made later was not what was found.
 *
 * The limit changes only with the whole file locked. It is never above the file's size, in memory; in the
 * attribute it may be, until just before the file grows (`noted`). */
#include "vfs/cow_lazy.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/cow_ranges.h"
#include "vfs/cow_sparse.h"

uint64_t cow_lazy_block(const struct cow_lazy *z, uint64_t off)
{
	return off & ~(z->block - 1);
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int cow_lazy_size(const struct cow_lazy *z, uint64_t *ret)
{
	struct stat st;

	if (fstat(z->fd, &st) < 0)
		return errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

int cow_lazy_is_missing(struct cow_lazy *z, uint64_t at, bool *ret)
{
	uint64_t data;
	int error;

	*ret = false;
	if (at >= atomic_load(&z->limit) || atomic_load(&z->is_whole))
		return 0;
	error = cow_sparse_data(z->fd, at, &data);
	if (!error)
		*ret = data != at;
	return error;
}

int cow_lazy_fetch(struct cow_lazy *z, void *buf, size_t size, uint64_t off, bool (*is_over)(void *arg),
		   void *arg)
{
	size_t got;
	int error = z->layer->ops->read(z->layer, &z->origin, off, size, buf, &got, is_over, arg);

	return error ? error : got < size ? EIO : 0;
}

/* One piece, [off, ret's end), of what is asked for: hole, or data, or above the limit. */
static int read_piece(struct cow_lazy *z, uint64_t limit, char *buf, size_t size, uint64_t off,
		      size_t *ret_got, bool (*is_over)(void *arg), void *arg)
{
	uint64_t end = off + size, data, hole;
	int error;

	if (off >= limit || atomic_load(&z->is_whole))
		return cow_plain_read(z->fd, buf, size, off, ret_got);
	end = min_of(end, limit);
	error = cow_sparse_data(z->fd, off, &data);
	if (error)
		return error;
	if (data > off) {
		*ret_got = (size_t)(min_of(end, data) - off);
		return cow_lazy_fetch(z, buf, *ret_got, off, is_over, arg);
	}
	error = cow_sparse_hole(z->fd, off, &hole);
	if (error)
		return error;
	end = min_of(end, hole);
	cow_ranges_wait(&z->ranges, off, end);
	return cow_plain_read(z->fd, buf, (size_t)(end - off), off, ret_got);
}

static int read_once(struct cow_lazy *z, uint64_t limit, char *buf, size_t size, uint64_t off,
		     size_t *ret_got, bool (*is_over)(void *arg), void *arg)
{
	size_t got = 0;
	uint64_t end;
	int error = cow_lazy_size(z, &end);

	if (error)
		return error;
	end = off < end ? min_of(end - off, size) : 0;
	while (got < end) {
		size_t n;

		error = read_piece(z, limit, buf + got, (size_t)end - got, off + got, &n, is_over, arg);
		if (error)
			return error;
		if (n == 0)
			break; /* it was cut meanwhile */
		got += n;
	}
	*ret_got = got;
	return 0;
}

int cow_lazy_read(struct cow_lazy *z, void *buf, size_t size, uint64_t off, size_t *ret_got,
		  bool (*is_over)(void *arg), void *arg)
{
	for (;;) {
		uint64_t limit = atomic_load(&z->limit);
		int error = read_once(z, limit, buf, size, off, ret_got, is_over, arg);

		/* Cut, and perhaps grown again: a hole may have been something else than we took it for. */
		if (error || atomic_load(&z->limit) == limit)
			return error;
	}
}

int cow_lazy_seek(struct cow_lazy *z, uint64_t off, int whence, uint64_t *ret)
{
	uint64_t limit = atomic_load(&z->limit), size;
	off_t at;
	int error = cow_lazy_size(z, &size);

	if (error)
		return error;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return EINVAL;
	if (off >= size)
		return ENXIO;
	if (off < limit && (whence == SEEK_DATA || limit >= size)) {
		*ret = whence == SEEK_DATA ? off : size;
		return 0;
	}
	at = lseek(z->fd, (off_t)(off < limit ? limit : off), whence);
	if (at < 0)
		return errno;
	*ret = (uint64_t)at;
	return 0;
}
