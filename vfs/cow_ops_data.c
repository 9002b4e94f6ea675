/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about content; see cow_ops.h. */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>

#include "vfs/cow_ops.h"

void cow_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	void *data;
	size_t got;
	int sys;

	(void)fi;
	if (size > COW_REPLY_MAX)
		size = COW_REPLY_MAX;
	data = cow_ops_buffer(size);
	if (!data)
		sys = ENOMEM;
	else if (off < 0)
		sys = EINVAL;
	else
		sys = cow_read(cow_ops_union(req), ino, data, size, (uint64_t)off, &got, cow_ops_is_over,
			       req);
	if (sys)
		cow_ops_reply_err(req, sys);
	else
		(void)fuse_reply_buf(req, data, got);
}

void cow_op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		  struct fuse_file_info *fi)
{
	size_t put;
	int sys = off < 0 ? EINVAL
			  : cow_write(cow_ops_union(req), ino, data, size, (uint64_t)off,
				      vfs_fuse_kills_suid(req), &put);

	(void)fi;
	if (sys)
		cow_ops_reply_change(req, ino, sys);
	else
		(void)fuse_reply_write(req, put);
}

void cow_op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	(void)fi;
	cow_ops_reply_err(req, cow_fsync(cow_ops_union(req), ino, data_only != 0));
}

/* Only for writing does the kernel say whether the caller may leave them. */
static int kill_suid(fuse_req_t req, fuse_ino_t ino)
{
	return fuse_req_ctx(req)->uid == 0 ? 0 : cow_kill_suid(cow_ops_union(req), ino);
}

void cow_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		      struct fuse_file_info *fi)
{
	int sys = EINVAL;

	(void)fi;
	if (off >= 0 && len > 0)
		sys = cow_allocate(cow_ops_union(req), ino, mode, (uint64_t)off, (uint64_t)len);
	if (!sys)
		sys = kill_suid(req, ino);
	cow_ops_reply_change(req, ino, sys);
}

void cow_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	uint64_t at;
	int sys = off < 0 ? ENXIO : cow_seek(cow_ops_union(req), ino, (uint64_t)off, whence, &at);

	(void)fi;
	if (sys)
		cow_ops_reply_err(req, sys);
	else
		(void)fuse_reply_lseek(req, (off_t)at);
}

void cow_op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
			    fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
			    int flags)
{
	const size_t len_max = UINT32_MAX & ~(size_t)0xfff; /* the answer has 32 bits */
	uint64_t copied;
	int sys;

	(void)fi_in;
	(void)fi_out;
	if (off_in < 0 || off_out < 0 || flags)
		sys = EINVAL;
	else
		sys = cow_copy_range(cow_ops_union(req), in, (uint64_t)off_in, out, (uint64_t)off_out,
				     len < len_max ? len : len_max, &copied);
	if (!sys && copied)
		sys = kill_suid(req, out);
	if (sys)
		cow_ops_reply_change(req, out, sys);
	else
		(void)fuse_reply_write(req, copied);
}
