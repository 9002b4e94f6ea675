/* SPDX-License-Identifier: Apache-2.0 */
/* Changing lazy files; cow_lazy.c has the rules.
 *
 * An operation takes the range that it changes, looks whether something must be filled (or the limit written
 * down) first, and if so lets go, does that, over the network if need be, and starts anew. It ends: a block
 * that is filled never becomes missing again, for where a hole is made, the limit is lowered. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "vfs/cow_lazy.h"
#include "vfs/cow_sparse.h"

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void lock_all(struct cow_lazy *z, struct cow_range *range)
{
	cow_ranges_lock(&z->ranges, range, 0, UINT64_MAX);
}

/* ---- what may be done at any time ------------------------------------------------------- */

static int fill_locked(struct cow_lazy *z, const void *bytes, uint64_t at)
{
	uint64_t limit = atomic_load(&z->limit), size;
	bool missing;
	size_t put;
	int error = cow_lazy_is_missing(z, at, &missing);

	if (error || !missing)
		return error;
	/* The limit may have come down since the bytes were fetched, never up. */
	size = min_of(z->block, limit - at);
	error = cow_plain_write(z->fd, bytes, size, at, &put);
	return error ? error : put < size ? EIO : 0;
}

/* Makes the block that begins at `at` data, unless it is. */
static int fill(struct cow_lazy *z, uint64_t at)
{
	uint64_t limit = atomic_load(&z->limit);
	auto_free char *bytes = NULL;
	struct cow_range range;
	bool missing;
	int error = cow_lazy_is_missing(z, at, &missing);

	if (error || !missing || at >= limit)
		return error;
	bytes = malloc(z->block);
	if (!bytes)
		return ENOMEM;
	error = cow_lazy_fetch(z, bytes, min_of(z->block, limit - at), at, NULL, NULL);
	if (error)
		return error;
	cow_ranges_lock(&z->ranges, &range, at, at + z->block);
	error = fill_locked(z, bytes, at);
	cow_ranges_unlock(&z->ranges, &range);
	return error ? error : cow_lazy_note_filled(z, at, at + z->block);
}

/* The file is about to grow: what will be between the limit and the end is no longer the layer's. */
static int settle(struct cow_lazy *z)
{
	struct cow_range range;
	int error = 0;

	lock_all(z, &range);
	if (atomic_load(&z->noted) > atomic_load(&z->limit)) {
		z->attr->limit = atomic_load(&z->limit);
		error = cow_lazy_write_origin(z->fd, z->attr);
		if (!error && fsync(z->fd) < 0)
			error = errno;
		if (!error)
			atomic_store(&z->noted, z->attr->limit);
	}
	cow_ranges_unlock(&z->ranges, &range);
	return error;
}

/* ---- changing --------------------------------------------------------------------------- */

struct need {
	enum { NEED_NOTHING, NEED_FILL, NEED_SETTLE } what;
	uint64_t at; /* the block to fill */
};

static int need_fill(struct cow_lazy *z, uint64_t at, struct need *ret)
{
	bool missing;
	int error = cow_lazy_is_missing(z, at, &missing);

	if (!error && missing)
		*ret = (struct need){ .what = NEED_FILL, .at = at };
	return error;
}

/* Before the file is made to end at `end`, or something is allocated up to there. File systems touch the
 * partial block at the end of a file that grows: btrfs makes data of it. */
static int find_size_need(struct cow_lazy *z, uint64_t end, struct need *ret)
{
	uint64_t limit = atomic_load(&z->limit), size;
	int error;

	*ret = (struct need){ .what = NEED_NOTHING };
	if (end <= limit)
		return 0;
	error = cow_lazy_size(z, &size);
	if (error || end <= size)
		return error;
	if (atomic_load(&z->noted) > limit) {
		ret->what = NEED_SETTLE;
		return 0;
	}
	return cow_lazy_block(z, size) < size ? need_fill(z, cow_lazy_block(z, size), ret) : 0;
}

/* Before [off, end) may be written. A block of which all bytes below the limit are, needs no filling. */
static int find_write_need(struct cow_lazy *z, uint64_t off, uint64_t end, struct need *ret)
{
	int error = find_size_need(z, end, ret);

	if (!error && ret->what == NEED_NOTHING && cow_lazy_block(z, off) < off)
		error = need_fill(z, cow_lazy_block(z, off), ret);
	if (!error && ret->what == NEED_NOTHING && cow_lazy_block(z, end) < end &&
	    end < atomic_load(&z->limit))
		error = need_fill(z, cow_lazy_block(z, end), ret);
	return error;
}

static int satisfy(struct cow_lazy *z, const struct need *need)
{
	return need->what == NEED_SETTLE ? settle(z) : need->what == NEED_FILL ? fill(z, need->at) : 0;
}

/* Takes the block-aligned range around [off, end) as soon as it may be written. */
static int lock_for_write(struct cow_lazy *z, uint64_t off, uint64_t end, struct cow_range *range)
{
	struct need need = { .what = NEED_NOTHING };

	for (;;) {
		int error = satisfy(z, &need);

		if (error)
			return error;
		cow_ranges_lock(&z->ranges, range, cow_lazy_block(z, off),
				cow_lazy_block(z, end - 1) + z->block);
		error = find_write_need(z, off, end, &need);
		if (!error && need.what == NEED_NOTHING)
			return 0;
		cow_ranges_unlock(&z->ranges, range);
		if (error)
			return error;
	}
}

/* Takes the whole file as soon as it may end at `end`. */
static int lock_for_size(struct cow_lazy *z, uint64_t end, struct cow_range *range)
{
	struct need need = { .what = NEED_NOTHING };

	for (;;) {
		int error = satisfy(z, &need);

		if (error)
			return error;
		lock_all(z, range);
		error = find_size_need(z, end, &need);
		if (!error && need.what == NEED_NOTHING)
			return 0;
		cow_ranges_unlock(&z->ranges, range);
		if (error)
			return error;
	}
}

int cow_lazy_write(struct cow_lazy *z, const void *buf, size_t size, uint64_t off, size_t *ret_put)
{
	struct cow_range range;
	size_t put = 0;
	uint64_t end;
	int error;

	if (__builtin_add_overflow(off, size, &end) || end > INT64_MAX)
		return EFBIG;
	if (size > 0) {
		error = lock_for_write(z, off, end, &range);
		if (error)
			return error;
		error = cow_plain_write(z->fd, buf, size, off, &put);
		cow_ranges_unlock(&z->ranges, &range);
		if (!error)
			error = cow_lazy_note_filled(z, cow_lazy_block(z, off), off + put);
		if (error)
			return error;
	}
	*ret_put = put;
	return 0;
}

static int set_size(struct cow_lazy *z, uint64_t size)
{
	while (ftruncate(z->fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int cow_lazy_truncate(struct cow_lazy *z, uint64_t size)
{
	struct cow_range range;
	int error;

	if (size > INT64_MAX)
		return EFBIG;
	error = lock_for_size(z, size, &range);
	if (error)
		return error;
	error = set_size(z, size);
	if (!error && size < atomic_load(&z->limit))
		atomic_store(&z->limit, size);
	cow_ranges_unlock(&z->ranges, &range);
	return error ? error : cow_lazy_note_filled(z, 0, 0);
}

/* ---- fallocate -------------------------------------------------------------------------- */

/* Zeros that are data, below the limit and in the block that it lies in; never behind the end. */
static int write_zeros(struct cow_lazy *z, uint64_t off, uint64_t end)
{
	static const char zeros[64 * 1024];

	while (off < end) {
		uint64_t stop = min_of(end, off + sizeof(zeros)), size = 0;
		struct cow_range range;
		size_t put = 0;
		int error = lock_for_write(z, off, stop, &range);

		if (error)
			return error;
		error = cow_lazy_size(z, &size);
		if (!error && off < size)
			error = cow_plain_write(z->fd, zeros, (size_t)(min_of(stop, size) - off), off, &put);
		cow_ranges_unlock(&z->ranges, &range);
		if (!error)
			error = cow_lazy_note_filled(z, cow_lazy_block(z, off), off + put);
		if (error || put == 0)
			return error;
		off += put;
	}
	return 0;
}

static uint64_t blocks_end(struct cow_lazy *z)
{
	return cow_lazy_block(z, atomic_load(&z->limit) + z->block - 1);
}

/* What lies above the limit is the file system's business, as is the size. */
static int allocate_above(struct cow_lazy *z, int mode, uint64_t off, uint64_t end)
{
	bool may_grow = !(mode & FALLOC_FL_KEEP_SIZE);
	struct cow_range range;
	uint64_t start, size = 0;
	int error = lock_for_size(z, end, &range);

	if (error)
		return error;
	start = blocks_end(z) > off ? blocks_end(z) : off;
	error = cow_lazy_size(z, &size);
	if (!error && start < end)
		while (fallocate(z->fd, mode, (off_t)start, (off_t)(end - start)) < 0) {
			error = errno;
			if (error != EINTR)
				break;
			error = 0;
		}
	else if (!error && may_grow && end > size)
		error = set_size(z, end);
	cow_ranges_unlock(&z->ranges, &range);
	return error;
}

int cow_lazy_allocate(struct cow_lazy *z, int mode, uint64_t off, uint64_t len)
{
	const int zeroing = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	uint64_t end;
	int error;

	if (len == 0)
		return EINVAL;
	if (__builtin_add_overflow(off, len, &end) || end > INT64_MAX)
		return EFBIG;
	if ((mode & ~(FALLOC_FL_KEEP_SIZE | zeroing)) || (mode & zeroing) == zeroing ||
	    ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE)))
		return EOPNOTSUPP;
	error = allocate_above(z, mode, off, end);
	return error || !(mode & zeroing) ? error : write_zeros(z, off, min_of(end, blocks_end(z)));
}
