/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's request handlers.
 *
 * Opening sends no message: reads find their descriptor by node (host_fds.h), directory offsets are
 * those of the host's file system. ENOSYS is an answer for the whole connection, and meant so. */
#define FUSE_USE_VERSION 314
#include "vfs/host_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "vfs/fuse_refuse.h"

enum { REPLY_MAX = 1 << 20, NAMES_MIN = 1024, NAMES_MAX = 64 * 1024 };

static struct host_view *view_of(fuse_req_t req)
{
	return vfs_fuse_session_owner(req);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			      FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_AUTO_INVAL_DATA |
			      FUSE_CAP_IOCTL_DIR;

	(void)userdata;
	conn->want = conn->capable & want;
	conn->max_readahead = UINT32_MAX;
	conn->max_background = 32;
	conn->congestion_threshold = 24;
}

/* What may not be searched is empty, and empty means that there is no such name. */
static bool is_absence(int sys)
{
	return sys == ENOENT || sys == EACCES || sys == EPERM || sys == ENOTDIR;
}

/* 0 with entry filled and the lookup counted, or an errno. */
static int lookup(struct host_view *v, uint64_t parent, const char *name, struct fuse_entry_param *entry)
{
	struct host_fd *dir;
	struct host_node n;
	struct stat host;
	struct err why;
	int sys;

	if (host_nodes_get(v->tree.nodes, parent, &n, &why) < 0)
		return ESTALE;
	sys = host_tree_open(&v->tree, parent, &dir);
	if (sys)
		return sys;
	sys = host_tree_stat_at(&v->tree, dir->fd, n.dev, name, &host, &entry->attr);
	if (!sys &&
	    host_nodes_seen(v->tree.nodes, parent, name, &host, &entry->ino, &entry->generation, &why) < 0)
		sys = err_to_errno(&why);
	if (!sys && S_ISREG(host.st_mode))
		host_tree_hold(&v->tree, entry->ino, entry->generation, dir->fd, name, &host);
	host_fds_unref(v->tree.fds, dir);
	return sys;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct host_view *v = view_of(req);
	struct fuse_entry_param entry = { .entry_timeout = v->timeout_s, .attr_timeout = v->timeout_s };
	int sys = lookup(v, parent, name, &entry);

	if (is_absence(sys))
		(void)fuse_reply_entry(req, &entry); /* node id 0: remembered, unlike ENOENT */
	else if (sys)
		(void)fuse_reply_err(req, sys);
	else if (fuse_reply_entry(req, &entry) < 0)
		host_nodes_forget(v->tree.nodes, entry.ino, 1);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	host_nodes_forget(view_of(req)->tree.nodes, ino, lookups);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		host_nodes_forget(view_of(req)->tree.nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct host_view *v = view_of(req);
	struct stat st;
	int sys = host_tree_stat(&v->tree, ino, &st);

	(void)fi;
	if (sys)
		(void)fuse_reply_err(req, sys);
	else
		(void)fuse_reply_attr(req, &st, v->timeout_s);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct host_view *v = view_of(req);
	struct host_fd *dir;
	struct host_node n;
	char target[PATH_MAX + 1];
	struct err why;
	ssize_t len;
	int sys;

	if (host_nodes_get(v->tree.nodes, ino, &n, &why) < 0) {
		(void)fuse_reply_err(req, err_to_errno(&why));
		return;
	}
	sys = host_tree_open(&v->tree, n.parent, &dir);
	if (sys) {
		(void)fuse_reply_err(req, sys);
		return;
	}
	len = readlinkat(dir->fd, n.name, target, sizeof(target) - 1);
	sys = len < 0 ? (errno == ENOENT || errno == EINVAL ? ESTALE : errno) : 0;
	host_fds_unref(v->tree.fds, dir);
	if (sys) {
		(void)fuse_reply_err(req, sys);
		return;
	}
	target[len] = 0;
	(void)fuse_reply_readlink(req, target);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct host_view *v = view_of(req);
	auto_free char *data = NULL;
	struct host_fd *file;
	size_t got = 0;
	ssize_t n = 0;
	int sys;

	(void)fi;
	if (size > REPLY_MAX)
		size = REPLY_MAX;
	sys = host_tree_open(&v->tree, ino, &file);
	if (sys) { /* what may not be read is empty */
		if (sys == EACCES || sys == EPERM)
			(void)fuse_reply_buf(req, NULL, 0);
		else
			(void)fuse_reply_err(req, sys);
		return;
	}
	data = malloc(size ? size : 1);
	while (data && got < size) {
		n = pread(file->fd, data + got, size - got, off + (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	sys = !data ? ENOMEM : n < 0 && got == 0 ? errno : 0;
	host_fds_unref(v->tree.fds, file);
	if (sys)
		(void)fuse_reply_err(req, sys);
	else
		(void)fuse_reply_buf(req, data, got);
}

/* ---- directories --------------------------------------------------------------------------- */

struct listing {
	fuse_req_t req;
	struct host_view *v;
	fuse_ino_t ino;
	dev_t dev;
	bool is_plus;
	char *data; /* owned */
	size_t len, cap;
};

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* False when the reply is full. */
static bool add_entry(struct listing *l, int dir_fd, const struct dirent64 *d)
{
	struct fuse_entry_param entry = {
		.attr = { .st_ino = host_tree_ino(&l->v->tree, l->dev, d->d_ino),
			  .st_mode = DTTOIF(d->d_type) },
		.entry_timeout = l->v->timeout_s,
		.attr_timeout = l->v->timeout_s,
	};
	char *at = l->data + l->len;
	size_t room = l->cap - l->len;
	size_t need = l->is_plus ? fuse_add_direntry_plus(l->req, NULL, 0, d->d_name, NULL, 0)
				 : fuse_add_direntry(l->req, NULL, 0, d->d_name, NULL, 0);
	struct stat host;
	struct err why;

	if (need > room)
		return false;
	if (l->is_plus && !is_dot(d->d_name)) {
		/* Node id 0 = no attributes given: what vanished, and directories that may be listed but not
		 * searched. */
		struct stat shown;
		int sys = host_tree_stat_at(&l->v->tree, dir_fd, l->dev, d->d_name, &host, &shown);

		if (sys == ENOENT)
			return true;
		if (!sys && host_nodes_seen(l->v->tree.nodes, l->ino, d->d_name, &host, &entry.ino,
					    &entry.generation, &why) == 0)
			entry.attr = shown;
	}
	if (l->is_plus)
		(void)fuse_add_direntry_plus(l->req, at, room, d->d_name, &entry, d->d_off);
	else
		(void)fuse_add_direntry(l->req, at, room, d->d_name, &entry.attr, d->d_off);
	l->len += need;
	return true;
}

static int list(struct listing *l, int dir_fd, off_t off, char *names, size_t names_cap)
{
	if (off && lseek(dir_fd, off, SEEK_SET) < 0)
		return errno;
	for (;;) {
		ssize_t n = getdents64(dir_fd, names, names_cap), at = 0;

		if (n < 0)
			return errno;
		if (n == 0)
			return 0;
		while (at < n) {
			const struct dirent64 *d = (const struct dirent64 *)(void *)(names + at);

			if (!add_entry(l, dir_fd, d))
				return 0;
			at += d->d_reclen;
		}
	}
}

/* An unreadable directory has only itself. */
static void list_nothing(struct listing *l, off_t off)
{
	struct dirent64 d = { .d_ino = 1, .d_type = DT_DIR, .d_name = "." };

	for (d.d_off = 1; d.d_off <= 2; d.d_off++) {
		d.d_name[1] = d.d_off == 2 ? '.' : 0;
		if (off < d.d_off && !add_entry(l, -1, &d))
			return;
	}
}

static int list_node(struct listing *l, off_t off)
{
	auto_free char *names = malloc(NAMES_MAX);
	size_t names_cap = l->cap;
	struct host_node n;
	struct host_fd *dir;
	auto_fd int fd = -1;
	struct err why;
	int sys;

	if (!names)
		return ENOMEM;
	if (host_nodes_get(l->v->tree.nodes, l->ino, &n, &why) < 0)
		return err_to_errno(&why);
	l->dev = n.dev;
	sys = host_tree_open(&l->v->tree, l->ino, &dir);
	if (!sys) {
		fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		sys = fd < 0 ? errno : 0;
		host_fds_unref(l->v->tree.fds, dir);
	}
	if (sys == EACCES || sys == EPERM) {
		list_nothing(l, off);
		return 0;
	}
	if (sys)
		return sys;
	if (names_cap > NAMES_MAX)
		names_cap = NAMES_MAX;
	return list(l, fd, off, names, names_cap < NAMES_MIN ? NAMES_MIN : names_cap);
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool is_plus)
{
	struct listing l = { .req = req, .v = view_of(req), .ino = ino, .is_plus = is_plus };
	int sys;

	l.cap = size < REPLY_MAX ? size : REPLY_MAX;
	l.data = malloc(l.cap ? l.cap : 1);
	sys = l.data ? list_node(&l, off) : ENOMEM;
	if (sys && l.len == 0)
		(void)fuse_reply_err(req, sys);
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
	struct statvfs st;

	(void)ino;
	if (fstatvfs(view_of(req)->tree.root_fd, &st) < 0)
		(void)fuse_reply_err(req, errno);
	else
		(void)fuse_reply_statfs(req, &st);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	(void)fuse_reply_err(req, ENOSYS);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	(void)ino;
	(void)size;
	(void)fuse_reply_err(req, ENOSYS);
}

const struct fuse_lowlevel_ops host_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
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
