/* SPDX-License-Identifier: Apache-2.0 */
/* The package mount's request handlers. There is no state besides the index: node id = inode number,
 * directory offset = the index's cookie, no file handles.
 *
 * ENOSYS is an answer for the whole connection here, and meant so: OPEN and OPENDIR then never come
 * again, nor does GETXATTR when no file has attributes. Never use it for one file. */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "vfs/fuse_refuse.h"
#include "vfs/package_state.h"

enum {
	LIST_BATCH = 64,
	REPLY_MAX = 1 << 20,
	XATTR_MAX = 64 * 1024, /* the kernel's own limit */
	/* Offsets in a directory: what follows ".", what follows "..", then the index's cookies. */
	OFF_DOT = 1,
	OFF_DOTDOT = 2,
};
static const double forever_s = 1e9;

static struct vfs_package_mount *mount_of(fuse_req_t req)
{
	return vfs_fuse_session_owner(req);
}

/* Data that cannot be had is EIO, whatever it was that failed on the way to it. */
static int read_errno(const struct err *why)
{
	if (why->code == ERR_INTERRUPTED)
		return EINTR;
	return why->code == ERR_NOMEM ? ENOMEM : EIO;
}

/* The index itself failing is not the application's mistake either. */
static int index_errno(const struct err *why)
{
	return why->code == ERR_NOTFOUND ? ENOENT : read_errno(why);
}

static void fill_stat(const struct vfs_package_mount *m, const struct pkg_inode *inode, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = inode->ino,
		.st_mode = inode->mode,
		.st_nlink = inode->nlink ? inode->nlink : 1,
		.st_uid = inode->uid == 0 || m->is_every_owner_ours ? m->opt.uid : inode->uid,
		.st_gid = inode->gid == 0 || m->is_every_owner_ours ? m->opt.gid : inode->gid,
		.st_rdev = inode->rdev,
		.st_size = (off_t)inode->size,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((inode->size + 511) / 512),
		.st_mtim = { .tv_sec = inode->mtime_s, .tv_nsec = inode->mtime_ns },
	};
	ret->st_atim = ret->st_ctim = ret->st_mtim;
}

static void fill_entry(const struct vfs_package_mount *m, const struct pkg_inode *inode,
		       struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){
		.ino = inode->ino,
		.generation = 1,
		.attr_timeout = forever_s,
		.entry_timeout = forever_s,
	};
	fill_stat(m, inode, &ret->attr);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			      FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			      FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_IOCTL_DIR;

	(void)userdata;
	/* Not wanted, though on by default: ATOMIC_O_TRUNC (loses truncation with zero-message open),
	 * AUTO_INVAL_DATA (nothing ever changes), SPLICE_* (no gain). */
	conn->want = conn->capable & want;
	conn->max_readahead = UINT32_MAX; /* the kernel takes the smaller of its own and this */
	/* Two thirds of the threads: readahead that waits for the network must leave room for readers and
	 * for INTERRUPT. */
	conn->max_background = 32;
	conn->congestion_threshold = 24;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct vfs_package_mount *m = mount_of(req);
	struct fuse_entry_param entry;
	struct pkg_inode inode;
	size_t len = strlen(name);
	struct err why;

	if (len > PKG_NAME_MAX) {
		(void)fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	if (pkg_index_lookup(m->index, parent, name, len, &inode, &why) < 0) {
		if (why.code != ERR_NOTFOUND) {
			(void)fuse_reply_err(req, index_errno(&why));
			return;
		}
		/* Node id 0, unlike ENOENT, is remembered. */
		entry = (struct fuse_entry_param){ .entry_timeout = forever_s };
		(void)fuse_reply_entry(req, &entry);
		return;
	}
	fill_entry(m, &inode, &entry);
	if (fuse_reply_entry(req, &entry) == 0)
		package_push_seen(m->push, inode.ino);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vfs_package_mount *m = mount_of(req);
	struct pkg_inode inode;
	struct stat st;
	struct err why;

	(void)fi;
	if (pkg_index_stat(m->index, ino, &inode, &why) < 0) {
		(void)fuse_reply_err(req, index_errno(&why));
		return;
	}
	fill_stat(m, &inode, &st);
	(void)fuse_reply_attr(req, &st, forever_s);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct vfs_package_mount *m = mount_of(req);
	char target[PKG_SYMLINK_MAX + 1];
	struct err why;

	if (pkg_index_readlink(m->index, ino, target, &why) < 0)
		(void)fuse_reply_err(req, index_errno(&why));
	else
		(void)fuse_reply_readlink(req, target);
}

static bool is_read_over(void *arg)
{
	fuse_req_t req = arg;

	return atomic_load_explicit(&mount_of(req)->is_stopping, memory_order_relaxed) ||
	       vfs_fuse_is_dying(req);
}

/* From where the bytes lie. False when that cannot be: nothing was answered. */
static bool reply_borrowed(fuse_req_t req, const struct pkg_inode *inode, size_t size, uint64_t off)
{
	struct vfs_package_mount *m = mount_of(req);
	struct stream_piece pieces[STREAM_PIECES];
	struct iovec iov[STREAM_PIECES];
	size_t count, len = 0;
	struct err why;

	if (stream_package_borrow(m->package, inode, off, size, pieces, &count, is_read_over, req, &why) <
	    0) {
		(void)fuse_reply_err(req, read_errno(&why));
		return true;
	}
	if (!count)
		return false;
	for (size_t i = 0; i < count; i++) {
		iov[i] = (struct iovec){ (void *)(uintptr_t)pieces[i].data, pieces[i].len };
		len += pieces[i].len;
	}
	atomic_fetch_add_explicit(&m->bytes_read, len, memory_order_relaxed);
	(void)fuse_reply_iov(req, iov, (int)count);
	stream_pieces_unref(m->package, pieces, count);
	return true;
}

static void reply_copied(fuse_req_t req, const struct pkg_inode *inode, size_t size, uint64_t off)
{
	struct vfs_package_mount *m = mount_of(req);
	auto_free uint8_t *data = malloc(size ? size : 1);
	struct err why;
	size_t got;

	if (!data) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	if (stream_package_read(m->package, inode, off, size, data, &got, is_read_over, req, &why) < 0) {
		(void)fuse_reply_err(req, read_errno(&why));
		return;
	}
	atomic_fetch_add_explicit(&m->bytes_read, got, memory_order_relaxed);
	(void)fuse_reply_buf(req, (const char *)data, got);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct vfs_package_mount *m = mount_of(req);
	struct pkg_inode inode;
	struct err why;

	(void)fi;
	if (off < 0) {
		(void)fuse_reply_err(req, EINVAL);
		return;
	}
	if (size > REPLY_MAX)
		size = REPLY_MAX;
	if (m->touches)
		package_touches_add(m->touches, ino, (uint64_t)off, (uint32_t)size);
	if (pkg_index_stat(m->index, ino, &inode, &why) < 0)
		(void)fuse_reply_err(req, read_errno(&why));
	else if (!reply_borrowed(req, &inode, size, (uint64_t)off))
		reply_copied(req, &inode, size, (uint64_t)off);
}

/* ---- directories --------------------------------------------------------------------------- */

struct listing {
	fuse_req_t req;
	struct vfs_package_mount *m;
	bool is_plus;
	char *data; /* owned */
	size_t len, cap;
};

/* False when the reply is full. */
static bool add_entry(struct listing *l, const char *name, const struct pkg_inode *inode, bool is_dot,
		      off_t next_off)
{
	struct fuse_entry_param entry;
	size_t room = l->cap - l->len, need;

	fill_entry(l->m, inode, &entry);
	if (l->is_plus) {
		if (is_dot) /* these two are not looked up */
			entry.ino = 0;
		need = fuse_add_direntry_plus(l->req, l->data + l->len, room, name, &entry, next_off);
	} else {
		need = fuse_add_direntry(l->req, l->data + l->len, room, name, &entry.attr, next_off);
	}
	if (need > room)
		return false;
	l->len += need;
	if (l->is_plus && !is_dot)
		package_push_seen(l->m->push, inode->ino);
	return true;
}

/* 1 = full, 0 = go on, -1 = error. */
static int add_dots(struct listing *l, uint64_t ino, uint64_t off, struct err *e)
{
	struct pkg_inode inode = { .ino = ino, .mode = S_IFDIR };
	uint64_t parent;

	if (off < OFF_DOT && !add_entry(l, ".", &inode, true, OFF_DOT))
		return 1;
	if (off >= OFF_DOTDOT)
		return 0;
	if (pkg_index_parent(l->m->index, ino, &parent, e) < 0)
		return -1;
	inode.ino = parent;
	return add_entry(l, "..", &inode, true, OFF_DOTDOT) ? 0 : 1;
}

static int list(struct listing *l, uint64_t ino, uint64_t off, struct err *e)
{
	auto_free struct pkg_dirent *batch = mem_alloc(LIST_BATCH, sizeof(*batch), e);
	uint64_t cookie = off > OFF_DOTDOT ? off - OFF_DOTDOT : 0;
	size_t n;
	int r;

	if (!batch)
		return -1;
	r = add_dots(l, ino, off, e);
	if (r)
		return r < 0 ? -1 : 0;
	do {
		if (pkg_index_list(l->m->index, ino, cookie, batch, LIST_BATCH, &n, e) < 0)
			return -1;
		for (size_t i = 0; i < n; i++) {
			struct pkg_inode inode = { .ino = batch[i].ino, .mode = batch[i].mode };

			if (l->is_plus && pkg_index_stat(l->m->index, batch[i].ino, &inode, e) < 0)
				return -1;
			if (!add_entry(l, batch[i].name, &inode, false,
				       (off_t)(batch[i].cookie + OFF_DOTDOT)))
				return 0;
			cookie = batch[i].cookie;
		}
	} while (n == LIST_BATCH);
	return 0;
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool is_plus)
{
	struct listing l = { .req = req, .m = mount_of(req), .is_plus = is_plus };
	struct err why;

	l.cap = size < REPLY_MAX ? size : REPLY_MAX;
	l.data = malloc(l.cap ? l.cap : 1);
	if (!l.data) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	if (off < 0)
		(void)fuse_reply_err(req, EINVAL);
	else if (list(&l, ino, (uint64_t)off, &why) < 0 && l.len == 0)
		(void)fuse_reply_err(req, index_errno(&why));
	else
		(void)fuse_reply_buf(req, l.data, l.len);
	free(l.data);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	read_directory(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	read_directory(req, ino, size, off, true);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct vfs_package_mount *m = mount_of(req);
	struct statvfs st = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = m->counts.content_bytes / 4096 + (m->counts.content_bytes % 4096 != 0),
		.f_files = m->counts.inodes,
		.f_namemax = PKG_NAME_MAX,
	};

	(void)ino;
	(void)fuse_reply_statfs(req, &st);
}

/* The two-step protocol of both attribute calls: size 0 asks for the length. */
static void reply_attribute(fuse_req_t req, const struct buf *b, size_t size)
{
	if (size == 0)
		(void)fuse_reply_xattr(req, b->len);
	else if (b->len > size)
		(void)fuse_reply_err(req, ERANGE);
	else
		(void)fuse_reply_buf(req, (const char *)b->data, b->len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct vfs_package_mount *m = mount_of(req);
	auto_buf struct buf value = BUF_INIT(XATTR_MAX);
	struct err why;

	if (!m->counts.has_xattrs)
		(void)fuse_reply_err(req, ENOSYS);
	else if (pkg_index_xattr_get(m->index, ino, name, &value, &why) < 0)
		(void)fuse_reply_err(req, why.code == ERR_NOTFOUND ? ENODATA : read_errno(&why));
	else
		reply_attribute(req, &value, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct vfs_package_mount *m = mount_of(req);
	auto_buf struct buf names = BUF_INIT(XATTR_MAX);
	struct err why;

	if (!m->counts.has_xattrs)
		(void)fuse_reply_err(req, ENOSYS);
	else if (pkg_index_xattr_list(m->index, ino, &names, &why) < 0)
		(void)fuse_reply_err(req, index_errno(&why));
	else
		reply_attribute(req, &names, size);
}

/* flush stays out: libfuse answers ENOSYS, which the kernel remembers. forget too: nothing is kept. */
const struct fuse_lowlevel_ops package_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = vfs_fuse_refuse_open,
	.opendir = vfs_fuse_refuse_open,
	.read = op_read,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.ioctl = vfs_fuse_refuse_ioctl,
};
