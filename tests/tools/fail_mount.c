/* SPDX-License-Identifier: Apache-2.0 */
/* A directory shown through FUSE as it is, except for calls that fail when told to; a command runs beside it:
 *
 *   fail_mount [--no-whiteout] SOURCE TARGET -- COMMAND...
 *
 * Whoever sets the attribute user.fail.set of TARGET to "KINDS FROM COUNT ERRNO" says which calls fail: KINDS
 * are letters (w write, a attributes and size, x extended attributes, c create, d mkdir, u unlink and rmdir,
 * r rename, l link, s fsync; * = all of these but s); of such calls from now on the FROM-th and the COUNT - 1
 * after it fail with ERRNO. FROM 0: none. user.fail.hits says how many there were, and how many of them
 * failed.
 *
 * One thread; inodes are known by descriptors. Users other than root get a user namespace, for the mount. */
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/tools/own_namespaces.h"
#include "vfs/fuse_mount.h"

enum { FAILED = 125, BUCKETS = 4096, READ_MAX = 1 << 20 };

#define SET_ATTR  "user.fail.set"
#define HITS_ATTR "user.fail.hits"

struct inode {
	struct inode *next;
	int fd; /* O_PATH */
	dev_t dev;
	ino_t ino;
	uint64_t lookups;
};

static struct inode root = { .fd = -1 }, *buckets[BUCKETS];
static bool has_no_whiteout;
static struct {
	char kinds[16];
	unsigned long from, count, hits, failures;
	int sys;
	char last; /* kind that failed */
} fault;

static void die(const char *what)
{
	fprintf(stderr, "fail_mount: %s: %s\n", what, strerror(errno));
	exit(FAILED);
}

/* ---- failing -------------------------------------------------------------------------------- */

static bool fails(fuse_req_t req, char kind)
{
	if (!fault.from || !(strchr(fault.kinds, kind) || (kind != 's' && strchr(fault.kinds, '*'))))
		return false;
	fault.hits++;
	if (fault.hits < fault.from || fault.hits - fault.from >= fault.count)
		return false;
	fault.failures++;
	fault.last = kind;
	(void)fuse_reply_err(req, fault.sys);
	return true;
}

static void set_fault(fuse_req_t req, const char *value, size_t len)
{
	char text[64];

	if (len >= sizeof(text)) {
		(void)fuse_reply_err(req, EINVAL);
		return;
	}
	memcpy(text, value, len);
	text[len] = 0;
	fault.hits = fault.failures = 0;
	fault.last = '-';
	(void)fuse_reply_err(
		req, sscanf(text, "%15s %lu %lu %d", fault.kinds, &fault.from, &fault.count, &fault.sys) == 4
			     ? 0
			     : EINVAL);
}

/* ---- inodes --------------------------------------------------------------------------------- */

static struct inode *inode_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct inode *)(uintptr_t)ino;
}

static int fd_of(fuse_ino_t ino)
{
	return inode_of(ino)->fd;
}

static struct inode **bucket_of(dev_t dev, ino_t ino)
{
	return &buckets[(ino ^ dev) % BUCKETS];
}

/* 0, or an errno. */
static int look_up(fuse_ino_t parent, const char *name, struct fuse_entry_param *ret)
{
	auto_fd int fd = openat(fd_of(parent), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct inode *i, **bucket;

	*ret = (struct fuse_entry_param){ .attr_timeout = 60, .entry_timeout = 60 };
	if (fd < 0 || fstat(fd, &ret->attr) < 0)
		return errno;
	bucket = bucket_of(ret->attr.st_dev, ret->attr.st_ino);
	for (i = *bucket; i && (i->dev != ret->attr.st_dev || i->ino != ret->attr.st_ino); i = i->next)
		;
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return ENOMEM;
		i->fd = fd_steal(&fd);
		i->dev = ret->attr.st_dev;
		i->ino = ret->attr.st_ino;
		i->next = *bucket;
		*bucket = i;
	}
	i->lookups++;
	ret->ino = (uintptr_t)i;
	return 0;
}

static void drop(fuse_ino_t ino, uint64_t lookups)
{
	struct inode *i = inode_of(ino), **at;

	if (i == &root || (i->lookups -= lookups) > 0)
		return;
	for (at = bucket_of(i->dev, i->ino); *at != i; at = &(*at)->next)
		;
	*at = i->next;
	(void)close(i->fd);
	free(i);
}

static void reply_entry(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	int sys = look_up(parent, name, &e);

	if (sys)
		(void)fuse_reply_err(req, sys);
	else
		(void)fuse_reply_entry(req, &e);
}

static void reply_rc(fuse_req_t req, long rc)
{
	(void)fuse_reply_err(req, rc < 0 ? errno : 0);
}

static const char *magic_path(int fd)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

/* ---- names ---------------------------------------------------------------------------------- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_READDIRPLUS);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_entry(req, parent, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	drop(ino, lookups);
	fuse_reply_none(req);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if (fails(req, 'c'))
		return;
	if (mknodat(fd_of(parent), name, mode, rdev) < 0)
		(void)fuse_reply_err(req, errno);
	else
		reply_entry(req, parent, name);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	if (fails(req, 'd'))
		return;
	if (mkdirat(fd_of(parent), name, mode) < 0)
		(void)fuse_reply_err(req, errno);
	else
		reply_entry(req, parent, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	if (fails(req, 'c'))
		return;
	if (symlinkat(target, fd_of(parent), name) < 0)
		(void)fuse_reply_err(req, errno);
	else
		reply_entry(req, parent, name);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	if (fails(req, 'l'))
		return;
	if (linkat(AT_FDCWD, magic_path(fd_of(ino)), fd_of(parent), name, AT_SYMLINK_FOLLOW) < 0)
		(void)fuse_reply_err(req, errno);
	else
		reply_entry(req, parent, name);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!fails(req, 'u'))
		reply_rc(req, unlinkat(fd_of(parent), name, 0));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!fails(req, 'u'))
		reply_rc(req, unlinkat(fd_of(parent), name, AT_REMOVEDIR));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	if (fails(req, 'r'))
		return;
	if (has_no_whiteout && (flags & RENAME_WHITEOUT))
		(void)fuse_reply_err(req, EINVAL);
	else
		reply_rc(req, renameat2(fd_of(parent), name, fd_of(new_parent), new_name, flags));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4097];
	ssize_t len = readlinkat(fd_of(ino), "", target, sizeof(target) - 1);

	if (len < 0) {
		(void)fuse_reply_err(req, errno);
		return;
	}
	target[len] = 0;
	(void)fuse_reply_readlink(req, target);
}

/* ---- attributes ----------------------------------------------------------------------------- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (fstat(fd_of(ino), &st) < 0)
		(void)fuse_reply_err(req, errno);
	else
		(void)fuse_reply_attr(req, &st, 60);
}

static struct timespec time_to_set(int set, int now_bit, int given_bit, struct timespec given)
{
	if (set & now_bit)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return set & given_bit ? given : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_attributes(int fd, const struct stat *st, int set)
{
	const struct timespec times[2] = {
		time_to_set(set, FUSE_SET_ATTR_ATIME_NOW, FUSE_SET_ATTR_ATIME, st->st_atim),
		time_to_set(set, FUSE_SET_ATTR_MTIME_NOW, FUSE_SET_ATTR_MTIME, st->st_mtim),
	};
	const char *path = magic_path(fd);

	if ((set & FUSE_SET_ATTR_MODE) && chmod(path, st->st_mode & 07777) < 0)
		return -1;
	if ((set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) &&
	    fchownat(fd, "", set & FUSE_SET_ATTR_UID ? st->st_uid : (uid_t)-1,
		     set & FUSE_SET_ATTR_GID ? st->st_gid : (gid_t)-1, AT_EMPTY_PATH) < 0)
		return -1;
	if ((set & FUSE_SET_ATTR_SIZE) && truncate(path, st->st_size) < 0)
		return -1;
	if (set &
	    (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW))
		return utimensat(fd, "", times, AT_EMPTY_PATH);
	return 0;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *fi)
{
	if (fails(req, 'a'))
		return;
	if (set_attributes(fd_of(ino), st, set) < 0)
		(void)fuse_reply_err(req, errno);
	else
		op_getattr(req, ino, fi);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags)
{
	if (ino == FUSE_ROOT_ID && !strcmp(name, SET_ATTR))
		set_fault(req, value, size);
	else if (!fails(req, 'x'))
		reply_rc(req, setxattr(magic_path(fd_of(ino)), name, value, size, flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (!fails(req, 'x'))
		reply_rc(req, removexattr(magic_path(fd_of(ino)), name));
}

static void reply_xattr(fuse_req_t req, ssize_t len, const char *value, size_t size)
{
	if (len < 0)
		(void)fuse_reply_err(req, errno);
	else if (size == 0)
		(void)fuse_reply_xattr(req, (size_t)len);
	else
		(void)fuse_reply_buf(req, value, (size_t)len);
}

static char bytes[READ_MAX]; /* of the request in work */

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char hits[64];
	int len;

	if (ino == FUSE_ROOT_ID && !strcmp(name, HITS_ATTR)) {
		len = snprintf(hits, sizeof(hits), "%lu %lu %c", fault.hits, fault.failures, fault.last);
		if (size && size < (size_t)len)
			(void)fuse_reply_err(req, ERANGE);
		else
			reply_xattr(req, len, hits, size);
		return;
	}
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	reply_xattr(req, getxattr(magic_path(fd_of(ino)), name, bytes, size), bytes, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	reply_xattr(req, listxattr(magic_path(fd_of(ino)), bytes, size), bytes, size);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (fstatvfs(fd_of(ino), &st) < 0)
		(void)fuse_reply_err(req, errno);
	else
		(void)fuse_reply_statfs(req, &st);
}

/* ---- content -------------------------------------------------------------------------------- */

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = open(magic_path(fd_of(ino)), (fi->flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC);

	if (fd < 0) {
		(void)fuse_reply_err(req, errno);
		return;
	}
	fi->fh = (uint64_t)fd;
	(void)fuse_reply_open(req, fi);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	int fd, sys;

	if (fails(req, 'c'))
		return;
	fd = openat(fd_of(parent), name, (fi->flags & ~O_NOFOLLOW) | O_CREAT | O_CLOEXEC, mode);
	if (fd < 0) {
		(void)fuse_reply_err(req, errno);
		return;
	}
	sys = look_up(parent, name, &e);
	if (sys) {
		(void)close(fd);
		(void)fuse_reply_err(req, sys);
		return;
	}
	fi->fh = (uint64_t)fd;
	(void)fuse_reply_create(req, &e, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	reply_rc(req, close((int)fi->fh));
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	ssize_t got = pread((int)fi->fh, bytes, size < sizeof(bytes) ? size : sizeof(bytes), off);

	(void)ino;
	if (got < 0)
		(void)fuse_reply_err(req, errno);
	else
		(void)fuse_reply_buf(req, bytes, (size_t)got);
}

static void reply_written(fuse_req_t req, ssize_t put)
{
	if (put < 0)
		(void)fuse_reply_err(req, errno);
	else
		(void)fuse_reply_write(req, (size_t)put);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	(void)ino;
	if (!fails(req, 'w'))
		reply_written(req, pwrite((int)fi->fh, data, size, off));
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
			       fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
			       int flags)
{
	(void)in, (void)out, (void)flags;
	if (!fails(req, 'w'))
		reply_written(req,
			      copy_file_range((int)fi_in->fh, &off_in, (int)fi_out->fh, &off_out, len, 0));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	(void)ino;
	if (!fails(req, 'w'))
		reply_rc(req, fallocate((int)fi->fh, mode, off, len));
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	off_t at = lseek((int)fi->fh, off, whence);

	(void)ino;
	if (at < 0)
		(void)fuse_reply_err(req, errno);
	else
		(void)fuse_reply_lseek(req, at);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	(void)ino;
	if (!fails(req, 's'))
		reply_rc(req, data_only ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}

/* ---- directories ---------------------------------------------------------------------------- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	auto_fd int fd = openat(fd_of(ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		(void)fuse_reply_err(req, errno);
		return;
	}
	(void)fd_steal(&fd);
	fi->fh = (uintptr_t)d;
	(void)fuse_reply_open(req, fi);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	DIR *d = (DIR *)(uintptr_t)fi->fh;
	const struct dirent *e;
	size_t used = 0;

	(void)ino;
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	seekdir(d, off);
	while ((e = readdir(d))) {
		struct stat st = { .st_ino = e->d_ino, .st_mode = (mode_t)DTTOIF(e->d_type) };
		size_t len = fuse_add_direntry(req, bytes + used, size - used, e->d_name, &st, telldir(d));

		if (len > size - used)
			break;
		used += len;
	}
	(void)fuse_reply_buf(req, bytes, used);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	reply_rc(req, closedir((DIR *)(uintptr_t)fi->fh));
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	(void)ino, (void)data_only;
	if (!fails(req, 's'))
		reply_rc(req, fsync(dirfd((DIR *)(uintptr_t)fi->fh)));
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
};

/* ---- life ----------------------------------------------------------------------------------- */

static void enter_namespaces(void)
{
	const char *what;

	if (own_namespaces_enter(geteuid(), getegid(), &what) < 0)
		die(what);
}

static void serve(int fuse_fd)
{
	char *argv[] = { (char[]){ "fail_mount" }, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *s = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	char path[32];

	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fuse_fd);
	if (!s || fuse_session_mount(s, path) < 0)
		die("serve");
	(void)umask(0);
	exit(fuse_session_loop(s) ? FAILED : 0);
}

int main(int argc, char **argv)
{
	int fuse_fd, status;
	pid_t server, command;
	struct err e;

	if (argc > 1 && !strcmp(argv[1], "--no-whiteout")) {
		has_no_whiteout = true;
		argv++, argc--;
	}
	if (argc < 5 || strcmp(argv[3], "--") != 0) {
		fprintf(stderr, "usage: fail_mount [--no-whiteout] SOURCE TARGET -- COMMAND...\n");
		return FAILED;
	}
	enter_namespaces();
	root.fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root.fd < 0)
		die(argv[1]);
	if (vfs_fuse_mount(argv[2], "fail", false, &fuse_fd, &e) < 0) {
		fprintf(stderr, "fail_mount: %s\n", e.msg);
		return FAILED;
	}
	server = fork();
	if (server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fuse_fd);
	}
	(void)close(fuse_fd);
	command = server < 0 ? -1 : fork();
	if (command == 0) {
		execvp(argv[4], argv + 4);
		die(argv[4]);
	}
	if (command < 0 || waitpid(command, &status, 0) < 0)
		die("run");
	if (waitpid(server, NULL, WNOHANG) != 0) {
		fprintf(stderr, "fail_mount: the server ended by itself\n");
		return FAILED;
	}
	(void)umount2(argv[2], MNT_DETACH);
	(void)kill(server, SIGKILL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}
