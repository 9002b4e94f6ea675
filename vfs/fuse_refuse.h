/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that say no the right way, for both of our file systems. Any thread; never block. */
#ifndef FLOE_VFS_FUSE_REFUSE_H
#define FLOE_VFS_FUSE_REFUSE_H

#include <stddef.h>
#include <stdint.h>

struct fuse_req;
struct fuse_file_info;

/* open and opendir: ENOSYS, once; from then on the kernel opens by itself and keeps its caches. */
void vfs_fuse_refuse_open(struct fuse_req *req, uint64_t ino, struct fuse_file_info *fi);
/* ioctl: ENOTTY. overlayfs asks for file flags before it copies a file up, and isatty asks for every open
 * file; ENOSYS would be remembered by neither. */
void vfs_fuse_refuse_ioctl(struct fuse_req *req, uint64_t ino, unsigned cmd, void *arg,
			   struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
			   size_t out_size);

#endif
