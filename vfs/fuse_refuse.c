/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals; see fuse_refuse.h. */
#define FUSE_USE_VERSION 314
#include "vfs/fuse_refuse.h"

#include <errno.h>
#include <fuse_lowlevel.h>

_Static_assert(sizeof(fuse_ino_t) == sizeof(uint64_t), "node ids are 64 bits wide");

void vfs_fuse_refuse_open(struct fuse_req *req, uint64_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	(void)fuse_reply_err(req, ENOSYS);
}

void vfs_fuse_refuse_ioctl(struct fuse_req *req, uint64_t ino, unsigned cmd, void *arg,
			   struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
			   size_t out_size)
{
	(void)ino;
	(void)cmd;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in;
	(void)in_size;
	(void)out_size;
	(void)fuse_reply_err(req, ENOTTY);
}
