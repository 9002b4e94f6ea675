/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that change the tree; see cow_ops.h. */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "vfs/cow_make.h"
#include "vfs/cow_notice.h"
#include "vfs/cow_ops.h"

enum { OPCODE_TMPFILE = 51 /* newer than some kernel headers */ };

static struct cow_maker maker_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct cow_maker){
		.uid = ctx->uid,
		.gid = ctx->gid,
		.umask = ctx->umask & 0777,
		.again = vfs_fuse_is_resent(req),
	};
}

static bool is_too_long(fuse_req_t req, const char *name)
{
	if (strlen(name) <= NAME_MAX)
		return false;
	cow_ops_reply_err(req, ENAMETOOLONG);
	return true;
}

static void reply_made(fuse_req_t req, fuse_ino_t parent, int sys, const struct cow_entry *entry)
{
	if (sys)
		cow_ops_reply_change(req, parent, sys);
	else
		cow_ops_reply_entry(req, 0, entry);
}

void cow_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct cow_union *u = cow_ops_union(req);
	struct cow_maker m = maker_of(req);
	struct cow_entry entry;

	if (is_too_long(req, name))
		return;
	if (S_ISREG(mode))
		reply_made(req, parent, cow_make_file(u, &m, parent, name, mode & 07777, &entry), &entry);
	else
		reply_made(req, parent, cow_make_node(u, &m, parent, name, mode, rdev, &entry), &entry);
}

void cow_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct cow_maker m = maker_of(req);
	struct cow_entry entry;

	if (!is_too_long(req, name))
		reply_made(req, parent,
			   cow_make_dir(cow_ops_union(req), &m, parent, name, mode & 07777, &entry), &entry);
}

void cow_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct cow_maker m = maker_of(req);
	struct cow_entry entry;

	if (!is_too_long(req, name))
		reply_made(req, parent,
			   cow_make_symlink(cow_ops_union(req), &m, parent, name, target, &entry), &entry);
}

/* No handle, so that the file is like any other. */
void cow_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi)
{
	struct cow_union *u = cow_ops_union(req);
	struct cow_maker m = maker_of(req);
	struct fuse_entry_param reply;
	struct cow_entry entry;
	int sys;

	if (is_too_long(req, name))
		return;
	sys = cow_make_file(u, &m, parent, name, mode & 07777, &entry);
	/* The host has made one since the kernel was told that there is none. */
	if (sys == EEXIST && !(fi->flags & O_EXCL))
		sys = cow_tree_lookup(u, parent, name, &entry);
	if (sys) {
		cow_ops_reply_change(req, parent, sys);
		return;
	}
	fi->fh = 0;
	fi->keep_cache = 1;
	fi->noflush = 1;
	cow_ops_fill(u, &entry, &reply);
	if (fuse_reply_create(req, &reply, fi) < 0)
		cow_forget(u, entry.id, 1);
}

static struct cow_attempt attempt_of(fuse_req_t req)
{
	return (struct cow_attempt){ .unique = vfs_fuse_unique(req), .again = vfs_fuse_is_resent(req) };
}

void cow_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	const struct cow_attempt attempt = attempt_of(req);
	struct cow_entry entry;

	if (!is_too_long(req, name))
		reply_made(req, parent, cow_link(cow_ops_union(req), ino, parent, name, &attempt, &entry),
			   &entry);
}

void cow_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct cow_attempt attempt = attempt_of(req);

	if (!is_too_long(req, name))
		cow_ops_reply_change(req, parent, cow_unlink(cow_ops_union(req), parent, name, &attempt));
}

void cow_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct cow_attempt attempt = attempt_of(req);

	if (!is_too_long(req, name))
		cow_ops_reply_change(req, parent, cow_rmdir(cow_ops_union(req), parent, name, &attempt));
}

void cow_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned flags)
{
	struct cow_union *u = cow_ops_union(req);
	const struct cow_attempt attempt = attempt_of(req);
	int sys;

	if (is_too_long(req, name) || is_too_long(req, new_name))
		return;
	sys = cow_rename(u, parent, name, new_parent, new_name, flags, &attempt);
	if (sys && new_parent != parent)
		cow_notice_attributes(u->notices, new_parent);
	cow_ops_reply_change(req, parent, sys);
}

/* ---- what libfuse 3.14 does not know --------------------------------------------------------- */

static void fill_attr(const struct stat *st, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.blksize = (uint32_t)st->st_blksize,
	};
}

/* O_TMPFILE: as a creation, but that the name means nothing. */
static void make_unnamed(struct cow_union *u, struct vfs_fuse_session *s, const struct vfs_fuse_raw *r)
{
	const struct fuse_create_in *in = r->body;
	struct cow_maker m = { .uid = r->in->uid, .gid = r->in->gid, .again = vfs_fuse_is_resent(NULL) };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .open = { .open_flags = FOPEN_KEEP_CACHE } };
	struct cow_entry entry;
	int sys;

	if (r->body_len < sizeof(*in)) {
		(void)vfs_fuse_raw_reply(s, r, EINVAL, NULL, 0);
		return;
	}
	m.umask = in->umask & 0777;
	sys = cow_make_unnamed(u, &m, r->in->nodeid, in->mode & 07777, &entry);
	if (sys) {
		(void)vfs_fuse_raw_reply(s, r, sys == ENOSYS ? EOPNOTSUPP : sys, NULL, 0);
		return;
	}
	out.entry.nodeid = entry.id;
	out.entry.generation = entry.generation;
	out.entry.attr_valid = (uint64_t)cow_ops_timeout_s(u, false, false);
	fill_attr(&entry.st, &out.entry.attr);
	if (vfs_fuse_raw_reply(s, r, 0, &out, sizeof(out)))
		cow_forget(u, entry.id, 1);
}

bool cow_ops_raw(struct vfs_fuse_session *s, void *owner, const struct vfs_fuse_raw *r)
{
	if (r->in->opcode != OPCODE_TMPFILE)
		return false;
	make_unnamed(owner, s, r);
	return true;
}
