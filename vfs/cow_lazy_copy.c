/* SPDX-License-Identifier: Apache-2.0 */
/* A frozen upper's lazy file becomes one of the upper: what it has of its own is copied, the rest stays in
 * the layer below both. Data and holes of the two files must mean the same, so that they have to be in one
 * file system. See cow_content.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/cow_lazy.h"
#include "vfs/cow_sparse.h"

static int set_size(int fd, uint64_t size)
{
	while (ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static int copy_data(int fd, uint64_t size, int fd_out)
{
	const struct cow_source in = { .fd = fd };
	uint64_t start, end, copied;
	int sys;

	for (uint64_t off = 0; off < size; off = end) {
		sys = cow_sparse_data(fd, off, &start);
		if (sys || start >= size)
			return sys;
		sys = cow_sparse_hole(fd, start, &end);
		if (sys)
			return sys;
		end = end < size ? end : size;
		for (; start < end; start += copied) {
			sys = cow_content_copy(&in, start, fd_out, NULL, start, end - start, &copied);
			if (sys || copied == 0)
				return sys ? sys : EIO;
		}
	}
	return 0;
}

static int copy(int fd, uint64_t size, int fd_out, struct cow_lazy_origin *o)
{
	struct stat from, to;
	int sys = cow_lazy_read_origin(fd, o);

	if (sys)
		return sys == ENODATA ? EOPNOTSUPP : sys;
	if (fstat(fd, &from) < 0 || fstat(fd_out, &to) < 0)
		return errno;
	if (from.st_dev != to.st_dev)
		return EOPNOTSUPP;
	if (o->limit > size)
		o->limit = size;
	sys = cow_lazy_make(fd_out, o);
	if (sys)
		return sys;
	if (size != o->limit)
		sys = set_size(fd_out, size);
	if (!sys)
		sys = copy_data(fd, size, fd_out);
	if (!sys)
		return 0;
	if (cow_lazy_remove_origin(fd_out) || set_size(fd_out, 0))
		return EIO; /* it must not be taken for an empty one */
	return sys;
}

int cow_lazy_copy(int fd, uint64_t size, int fd_out)
{
	struct cow_lazy_origin *o = malloc(sizeof(*o));
	int sys = o ? copy(fd, size, fd_out, o) : ENOMEM;

	free(o);
	return sys;
}
