/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about extended attributes; see cow_ops.h. Size 0 asks for the length. */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>

#include "vfs/cow_ops.h"

enum { XATTR_MAX = 64 * 1024 /* the kernel's own limit */ };

static void reply(fuse_req_t req, int sys, const void *data, size_t len, size_t size)
{
	if (sys)
		cow_ops_reply_err(req, sys);
	else if (size == 0)
		(void)fuse_reply_xattr(req, len);
	else
		(void)fuse_reply_buf(req, data, len);
}

void cow_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	size_t cap = size < XATTR_MAX ? size : XATTR_MAX, len = 0;
	char *value = cow_ops_buffer(cap);
	int sys = value ? cow_getxattr(cow_ops_union(req), ino, name, value, cap, &len) : ENOMEM;

	reply(req, sys, value, len, size);
}

void cow_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	size_t cap = size < XATTR_MAX ? size : XATTR_MAX, len = 0;
	char *names = cow_ops_buffer(cap);
	int sys = names ? cow_listxattr(cow_ops_union(req), ino, names, cap, &len) : ENOMEM;

	reply(req, sys, names, len, size);
}

void cow_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		     int flags)
{
	cow_ops_reply_change(
		req, ino,
		cow_setxattr(cow_ops_union(req), ino, name, value, size, flags, vfs_fuse_is_resent(req)));
}

void cow_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct cow_union *u = cow_ops_union(req);
	const uint64_t unique = vfs_fuse_unique(req);
	size_t len;
	int sys = 0;

	/* Nobody else looks before whether there is something to remove: whether a missing attribute is the
	 * effect of a server that died or was missing before, only a note can tell. */
	if (!cow_nodes_noted(u->nodes, unique)) {
		sys = cow_getxattr(u, ino, name, NULL, 0, &len);
		if (!sys)
			cow_nodes_note(u->nodes, unique, 1);
	}
	cow_ops_reply_change(req, ino, sys ? sys : cow_removexattr(u, ino, name, vfs_fuse_is_resent(req)));
}
