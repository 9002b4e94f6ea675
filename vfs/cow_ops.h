/* SPDX-License-Identifier: Apache-2.0 */
/* The copy-on-write union's request handlers. Private to cow_ops*.c, and to cow_union.c, which serves them.
 *
 * cow_ops.c         the connection, names and attributes, the table of handlers
 * cow_ops_change.c  what changes the tree
 * cow_ops_data.c    content
 * cow_ops_list.c    directories
 * cow_ops_attr.c    extended attributes
 *
 * No handler keeps a handle: everything goes by node id. Any thread; block as the calls below them do. */
#ifndef FLOE_VFS_COW_OPS_H
#define FLOE_VFS_COW_OPS_H

#include "vfs/cow_change.h"
#include "vfs/fuse_session.h"

struct fuse_entry_param;
struct fuse_file_info;

extern const struct fuse_lowlevel_ops cow_ops;
/* Requests newer than libfuse 3.14: O_TMPFILE. */
bool cow_ops_raw(struct vfs_fuse_session *s, void *owner, const struct vfs_fuse_raw *r);

/* ---- for all of them */
enum {
	COW_REPLY_MAX = 1 << 20,
	COW_WRITE_MAX = 256 << 10, /* each thread keeps room for one */
};

static inline struct cow_union *cow_ops_union(struct fuse_req *req)
{
	return vfs_fuse_session_owner(req);
}

/* ENOSYS for one file would be an answer for the whole connection. */
void cow_ops_reply_err(struct fuse_req *req, int sys);
/* The same of what changes `ino`: when it may have been done in part, the kernel asks again how the object
 * is. */
void cow_ops_reply_change(struct fuse_req *req, uint64_t ino, int sys);
void cow_ops_fill(const struct cow_union *u, const struct cow_entry *from, struct fuse_entry_param *ret);
/* The kernel is about to be told of it: when it believes that for long, listings leave it out (cow_told.h).
 */
void cow_ops_note_told(const struct cow_union *u, uint64_t parent, const char *name,
		       const struct cow_entry *entry);
/* Answers with the entry (sys 0), whose lookup has been counted, or the error. */
void cow_ops_reply_entry(struct fuse_req *req, int sys, const struct cow_entry *entry);
double cow_ops_timeout_s(const struct cow_union *u, bool is_volatile, bool is_watched);
/* At least `size` bytes that are the calling thread's until its next call; NULL without memory. */
void *cow_ops_buffer(size_t size);
bool cow_ops_is_over(void *req); /* nobody waits for the answer any more */

/* ---- handlers, as in struct fuse_lowlevel_ops */
void cow_op_mknod(struct fuse_req *req, uint64_t parent, const char *name, mode_t mode, dev_t rdev);
void cow_op_mkdir(struct fuse_req *req, uint64_t parent, const char *name, mode_t mode);
void cow_op_symlink(struct fuse_req *req, const char *target, uint64_t parent, const char *name);
void cow_op_create(struct fuse_req *req, uint64_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi);
void cow_op_link(struct fuse_req *req, uint64_t ino, uint64_t parent, const char *name);
void cow_op_unlink(struct fuse_req *req, uint64_t parent, const char *name);
void cow_op_rmdir(struct fuse_req *req, uint64_t parent, const char *name);
void cow_op_rename(struct fuse_req *req, uint64_t parent, const char *name, uint64_t new_parent,
		   const char *new_name, unsigned flags);

void cow_op_read(struct fuse_req *req, uint64_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void cow_op_write(struct fuse_req *req, uint64_t ino, const char *data, size_t size, off_t off,
		  struct fuse_file_info *fi);
void cow_op_fsync(struct fuse_req *req, uint64_t ino, int data_only, struct fuse_file_info *fi);
void cow_op_fallocate(struct fuse_req *req, uint64_t ino, int mode, off_t off, off_t len,
		      struct fuse_file_info *fi);
void cow_op_lseek(struct fuse_req *req, uint64_t ino, off_t off, int whence, struct fuse_file_info *fi);
void cow_op_copy_file_range(struct fuse_req *req, uint64_t in, off_t off_in, struct fuse_file_info *fi_in,
			    uint64_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
			    int flags);

void cow_op_readdir(struct fuse_req *req, uint64_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void cow_op_readdirplus(struct fuse_req *req, uint64_t ino, size_t size, off_t off,
			struct fuse_file_info *fi);

void cow_op_getxattr(struct fuse_req *req, uint64_t ino, const char *name, size_t size);
void cow_op_listxattr(struct fuse_req *req, uint64_t ino, size_t size);
void cow_op_setxattr(struct fuse_req *req, uint64_t ino, const char *name, const char *value, size_t size,
		     int flags);
void cow_op_removexattr(struct fuse_req *req, uint64_t ino, const char *name);

#endif
