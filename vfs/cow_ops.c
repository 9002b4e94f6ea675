/* SPDX-License-Identifier: Apache-2.0 */
/* The connection, names and attributes; see cow_ops.h.
 *
 * Pages of files are dropped only when we say so (EXPLICIT_INVAL_DATA): nobody else writes to the upper, and
 * a kernel that compares times would throw away what was just written. What the host changes by itself
 * is told to the kernel by cow_tree.h's stamps. */
#define FUSE_USE_VERSION 314
#include "vfs/cow_ops.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "vfs/cow_notice.h"
#include "vfs/cow_told.h"
#include "vfs/cow_watch.h"
#include "vfs/fuse_refuse.h"

static const double forever_s = 1e9;

/* ---- for all handlers ------------------------------------------------------------------------ */

void cow_ops_reply_err(fuse_req_t req, int sys)
{
	(void)fuse_reply_err(req, sys == ENOSYS ? EOPNOTSUPP : sys);
}

/* What a file system did not manage, unlike what it refuses before it begins. */
static bool is_half_done(int sys)
{
	switch (sys) {
	case 0:
	case EACCES:
	case EBUSY:
	case EEXIST:
	case EINVAL:
	case EISDIR:
	case ELOOP:
	case EMLINK:
	case ENAMETOOLONG:
	case ENODATA:
	case ENOENT:
	case ENOSYS:
	case ENOTDIR:
	case ENOTEMPTY:
	case EOPNOTSUPP:
	case EPERM:
	case EXDEV:
		return false;
	default:
		return true;
	}
}

void cow_ops_reply_change(fuse_req_t req, fuse_ino_t ino, int sys)
{
	struct cow_union *u = cow_ops_union(req);

	if (is_half_done(sys)) {
		cow_notice_attributes(u->notices, ino);
		cow_told_clear(u->told);
	}
	cow_ops_reply_err(req, sys);
}

double cow_ops_timeout_s(const struct cow_union *u, bool is_volatile, bool is_watched)
{
	return !is_volatile ? forever_s : is_watched ? COW_WATCHED_S : u->timeout_s;
}

void cow_ops_fill(const struct cow_union *u, const struct cow_entry *from, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){
		.ino = from->id,
		.generation = from->generation,
		.attr = from->st,
		.attr_timeout = cow_ops_timeout_s(u, from->is_volatile, from->is_attr_watched),
		.entry_timeout = cow_ops_timeout_s(u, from->is_volatile, from->is_name_watched),
	};
}

void cow_ops_note_told(const struct cow_union *u, uint64_t parent, const char *name,
		       const struct cow_entry *entry)
{
	if (!entry->is_volatile || (entry->is_name_watched && entry->is_attr_watched))
		cow_told_note(u->told, parent, name);
}

void cow_ops_reply_entry(fuse_req_t req, int sys, const struct cow_entry *entry)
{
	struct cow_union *u = cow_ops_union(req);
	struct fuse_entry_param reply;

	if (sys) {
		cow_ops_reply_err(req, sys);
		return;
	}
	cow_ops_fill(u, entry, &reply);
	if (fuse_reply_entry(req, &reply) < 0)
		cow_forget(u, entry->id, 1);
}

bool cow_ops_is_over(void *arg)
{
	fuse_req_t req = arg;

	return atomic_load_explicit(&cow_ops_union(req)->is_stopping, memory_order_relaxed) ||
	       vfs_fuse_is_dying(req);
}

struct thread_buffer {
	size_t cap;
	_Alignas(max_align_t) char bytes[];
};

static pthread_key_t buffer_key;
static bool has_buffer_key;

static void make_buffer_key(void)
{
	has_buffer_key = pthread_key_create(&buffer_key, free) == 0;
}

void *cow_ops_buffer(size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	enum { MIN = 64 * 1024 };
	struct thread_buffer *b;

	(void)pthread_once(&once, make_buffer_key);
	if (!has_buffer_key)
		return NULL;
	b = pthread_getspecific(buffer_key);
	if (b && b->cap >= size)
		return b->bytes;
	free(b);
	(void)pthread_setspecific(buffer_key, NULL);
	if (size < MIN)
		size = MIN;
	b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	b->cap = size;
	if (pthread_setspecific(buffer_key, b) == 0)
		return b->bytes;
	free(b);
	return NULL;
}

/* ---- the connection -------------------------------------------------------------------------- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	/* Not wanted, though on by default: ATOMIC_O_TRUNC (loses truncation with zero-message open),
	 * AUTO_INVAL_DATA, SPLICE_* (no gain). DONT_MASK: the umask does not count below a default ACL, which
	 * only we see. */
	const unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			      FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			      FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_IOCTL_DIR | FUSE_CAP_POSIX_ACL |
			      FUSE_CAP_DONT_MASK;

	(void)userdata;
	conn->want = conn->capable & want;
	conn->max_readahead = UINT32_MAX; /* the kernel takes the smaller of its own and this */
	conn->max_write = COW_WRITE_MAX;
	/* Fewer than the threads: readahead that waits for the network must leave room for others. */
	conn->max_background = 48;
	conn->congestion_threshold = 36;
	conn->time_gran = 1;
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	cow_forget(cow_ops_union(req), ino, lookups);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		cow_forget(cow_ops_union(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static int stat_file_system(struct cow_union *u, struct statvfs *ret)
{
	struct cow_handle root = COW_HANDLE_NONE;
	int sys = 0;

	if (u->upper)
		return fstatvfs(cow_upper_root(u->upper), ret) < 0 ? errno : 0;
	*ret = (struct statvfs){ .f_bsize = 4096, .f_frsize = 4096 };
	for (unsigned i = 1; i <= u->layer_count && !sys && root.fd < 0; i++)
		sys = u->layers[i]->ops->open_root(u->layers[i], &root);
	if (!sys && root.fd >= 0 && fstatvfs(root.fd, ret) < 0)
		sys = errno;
	cow_handle_close(&root);
	return sys;
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int sys = stat_file_system(cow_ops_union(req), &st);

	(void)ino;
	if (sys) {
		cow_ops_reply_err(req, sys);
		return;
	}
	st.f_namemax = NAME_MAX;
	(void)fuse_reply_statfs(req, &st);
}

/* ---- names and attributes -------------------------------------------------------------------- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct cow_union *u = cow_ops_union(req);
	struct fuse_entry_param none = { .ino = 0 };
	struct cow_entry entry;
	int sys = strlen(name) > NAME_MAX ? ENAMETOOLONG : cow_tree_lookup_held(u, parent, name, &entry);

	if (sys != ENOENT) {
		if (!sys)
			cow_ops_note_told(u, parent, name, &entry);
		cow_ops_reply_entry(req, sys, &entry);
		return;
	}
	/* Node id 0, unlike ENOENT, is remembered. */
	none.entry_timeout = cow_ops_timeout_s(u, entry.is_volatile, false);
	(void)fuse_reply_entry(req, &none);
}

static void reply_attr(fuse_req_t req, int sys, const struct cow_entry *entry)
{
	if (sys)
		cow_ops_reply_err(req, sys);
	else
		(void)fuse_reply_attr(
			req, &entry->st,
			cow_ops_timeout_s(cow_ops_union(req), entry->is_volatile, entry->is_attr_watched));
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct cow_entry entry;

	(void)fi;
	reply_attr(req, cow_tree_getattr(cow_ops_union(req), ino, &entry), &entry);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *fi)
{
	const struct timespec now = { .tv_nsec = UTIME_NOW };
	struct cow_attrs a = {
		.has_mode = set & FUSE_SET_ATTR_MODE,
		.has_uid = set & FUSE_SET_ATTR_UID,
		.has_gid = set & FUSE_SET_ATTR_GID,
		.has_size = set & FUSE_SET_ATTR_SIZE,
		.has_atime = set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW),
		.has_mtime = set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW),
		.has_ctime = set & FUSE_SET_ATTR_CTIME,
		.kill_suid = vfs_fuse_kills_suid(req),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.atime = set & FUSE_SET_ATTR_ATIME_NOW ? now : st->st_atim,
		.mtime = set & FUSE_SET_ATTR_MTIME_NOW ? now : st->st_mtim,
	};
	struct cow_entry entry;
	int sys;

	(void)fi;
	sys = a.has_size && st->st_size < 0 ? EINVAL : cow_setattr(cow_ops_union(req), ino, &a, &entry);
	if (sys)
		cow_ops_reply_change(req, ino, sys);
	else
		reply_attr(req, 0, &entry);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX + 1];
	size_t len;
	int sys = cow_tree_readlink(cow_ops_union(req), ino, target, sizeof(target) - 1, &len);

	if (sys) {
		cow_ops_reply_err(req, sys);
		return;
	}
	target[len] = 0;
	(void)fuse_reply_readlink(req, target);
}

/* Left out: flush and statx (libfuse answers ENOSYS, which the kernel remembers; closing has nothing to
 * report, and the time of birth is nobody's), access (default_permissions), locks (the kernel's own). */
const struct fuse_lowlevel_ops cow_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = cow_op_mknod,
	.mkdir = cow_op_mkdir,
	.unlink = cow_op_unlink,
	.rmdir = cow_op_rmdir,
	.symlink = cow_op_symlink,
	.rename = cow_op_rename,
	.link = cow_op_link,
	.create = cow_op_create,
	.open = vfs_fuse_refuse_open,
	.opendir = vfs_fuse_refuse_open,
	.read = cow_op_read,
	.write = cow_op_write,
	.fsync = cow_op_fsync,
	.fsyncdir = cow_op_fsync,
	.fallocate = cow_op_fallocate,
	.lseek = cow_op_lseek,
	.copy_file_range = cow_op_copy_file_range,
	.readdir = cow_op_readdir,
	.readdirplus = cow_op_readdirplus,
	.statfs = op_statfs,
	.getxattr = cow_op_getxattr,
	.listxattr = cow_op_listxattr,
	.setxattr = cow_op_setxattr,
	.removexattr = cow_op_removexattr,
	.ioctl = vfs_fuse_refuse_ioctl,
};
