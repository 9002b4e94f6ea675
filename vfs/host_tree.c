/* SPDX-License-Identifier: Apache-2.0 */
/* See host_tree.h. */
#include "vfs/host_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

enum { FDS_MAX = 4096, FDS_MIN = 32, RACES_MAX = 16, PATHS_MAX = 1 << 20 };
enum { REGULAR_FLAGS = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC };

int host_tree_init(struct host_tree *t, int root_fd, uid_t uid, gid_t gid, struct err *e)
{
	struct rlimit limit = { .rlim_cur = 256 };
	size_t fds;
	struct stat st;

	*t = (struct host_tree){ .root_fd = root_fd, .uid = uid, .gid = gid, .euid = geteuid() };
	if (fstat(root_fd, &st) < 0)
		return err_sys(e, errno, "root of the host view");
	t->root_dev = st.st_dev;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	fds = limit.rlim_cur / 4 < FDS_MAX ? (size_t)limit.rlim_cur / 4 : FDS_MAX;
	if (fds < FDS_MIN)
		fds = FDS_MIN;
	if (host_nodes_open(&st, &t->nodes, e) < 0 || host_fds_open(fds, &t->fds, e) < 0 ||
	    host_fds_open(fds, &t->looked_up, e) < 0 || host_devices_open(&t->devices, e) < 0) {
		host_tree_fini(t);
		return -1;
	}
	return 0;
}

void host_tree_fini(struct host_tree *t)
{
	host_fds_close(t->fds);
	host_fds_close(t->looked_up);
	host_nodes_close(t->nodes);
	host_devices_close(t->devices);
	*t = (struct host_tree){ .root_fd = -1 };
}

/* ---- opening ------------------------------------------------------------------------------- */

static int open_below(int dir_fd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	long fd = -1;

	/* EAGAIN: something was renamed meanwhile, on the whole machine. */
	for (int i = 0; i < RACES_MAX; i++) {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

/* One system call takes less than PATH_MAX; deep trees are walked in several steps. */
static int open_path(int root_fd, char *path, int flags)
{
	auto_fd int held = -1;
	int from = root_fd;

	while (strlen(path) >= PATH_MAX) {
		char *cut = memrchr(path, '/', PATH_MAX - 1);
		int fd;

		if (!cut) {
			errno = ENAMETOOLONG;
			return -1;
		}
		*cut = 0;
		fd = open_below(from, path, O_PATH | O_DIRECTORY);
		if (fd < 0)
			return -1;
		fd_close(held);
		held = from = fd;
		path = cut + 1;
	}
	return open_below(from, *path ? path : ".", flags);
}

static int open_node(struct host_tree *t, const struct host_node *n, int *ret)
{
	const int flags =
		S_ISDIR(n->type) ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY;
	auto_buf struct buf path = BUF_INIT(PATHS_MAX);
	auto_fd int fd = -1;
	struct stat st;
	struct err why;

	if (!S_ISDIR(n->type) && !S_ISREG(n->type))
		return EINVAL;
	if (host_nodes_path(t->nodes, n->id, &path, &why) < 0)
		return err_to_errno(&why);
	fd = open_path(t->root_fd, (char *)path.data, flags);
	if (fd < 0) /* a directory above became something else */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? ESTALE : errno;
	if (fstat(fd, &st) < 0)
		return errno;
	if (st.st_dev != n->dev || st.st_ino != n->ino || (st.st_mode & S_IFMT) != n->type)
		return ESTALE;
	*ret = fd_steal(&fd);
	return 0;
}

/* A second descriptor of it; the first goes when its turn comes. -1 = there is none. */
static int take_looked_up(struct host_tree *t, uint64_t id, uint64_t generation)
{
	struct host_fd *f = host_fds_ref(t->looked_up, id, generation);
	int fd = f ? fcntl(f->fd, F_DUPFD_CLOEXEC, 3) : -1;

	host_fds_unref(t->looked_up, f);
	return fd;
}

void host_tree_hold(struct host_tree *t, uint64_t id, uint64_t generation, int dir_fd, const char *name,
		    const struct stat *host)
{
	struct host_fd *f = host_fds_ref(t->looked_up, id, generation);
	auto_fd int fd = -1;
	struct stat st;
	struct err ignored;

	if (!f) {
		fd = openat(dir_fd, name, REGULAR_FLAGS);
		if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != host->st_dev || st.st_ino != host->st_ino ||
		    host_fds_add(t->looked_up, id, generation, fd_steal(&fd), &f, &ignored) < 0)
			return;
	}
	host_fds_unref(t->looked_up, f);
}

int host_tree_open(struct host_tree *t, uint64_t id, struct host_fd **ret)
{
	struct host_node n;
	struct err why;
	int fd = -1, sys;

	if (host_nodes_get(t->nodes, id, &n, &why) < 0)
		return err_to_errno(&why);
	*ret = host_fds_ref(t->fds, id, n.generation);
	if (*ret)
		return 0;
	fd = take_looked_up(t, id, n.generation);
	sys = fd < 0 ? open_node(t, &n, &fd) : 0;
	if (sys)
		return sys;
	return host_fds_add(t->fds, id, n.generation, fd, ret, &why) < 0 ? err_to_errno(&why) : 0;
}

/* ---- what is shown -------------------------------------------------------------------------- */

uint64_t host_tree_ino(const struct host_tree *t, dev_t dev, uint64_t ino)
{
	uint64_t mark = (uint64_t)dev * UINT64_C(0x9e3779b97f4a7c15);

	/* Below 2^56: overlayfs keeps its own marks in the highest bits. */
	return dev == t->root_dev ? ino : ino ^ (mark >> 40 << 32);
}

static void show(const struct host_tree *t, const struct stat *host, bool is_readable, struct stat *ret)
{
	*ret = *host;
	ret->st_ino = host_tree_ino(t, host->st_dev, host->st_ino);
	ret->st_uid = t->uid;
	ret->st_gid = t->gid;
	if (S_ISDIR(host->st_mode))
		ret->st_mode |= 0700;
	else if (!S_ISLNK(host->st_mode))
		ret->st_mode |= 0600;
	if (S_ISREG(host->st_mode) && !is_readable) {
		ret->st_size = 0;
		ret->st_blocks = 0;
	}
}

/* The usual file is for everybody, which the mode tells without asking. */
static bool is_readable_at(const struct host_tree *t, int dir_fd, const char *name, const struct stat *st)
{
	return !S_ISREG(st->st_mode) || (st->st_mode & 0444) == 0444 ||
	       (st->st_uid == t->euid && (st->st_mode & 0400)) ||
	       faccessat(dir_fd, name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

int host_tree_stat_at(struct host_tree *t, int dir_fd, dev_t dir_dev, const char *name, struct stat *ret_host,
		      struct stat *ret_shown)
{
	if (fstatat(dir_fd, name, ret_host, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno;
	if (ret_host->st_dev != dir_dev && host_devices_is_ours(t->devices, ret_host->st_dev))
		return ENOENT;
	show(t, ret_host, is_readable_at(t, dir_fd, name, ret_host), ret_shown);
	return 0;
}

int host_tree_stat(struct host_tree *t, uint64_t id, struct stat *ret_shown)
{
	struct host_fds *held;
	struct host_fd *f;
	struct host_node n;
	struct stat st;
	struct err why;
	int sys = 0;

	if (host_nodes_get(t->nodes, id, &n, &why) < 0)
		return err_to_errno(&why);
	/* By its own descriptor when there is one (then it can be read, too), which also works for what the
	 * host has deleted. */
	held = t->fds;
	f = host_fds_ref(held, id, n.generation);
	if (!f && S_ISREG(n.type)) {
		held = t->looked_up;
		f = host_fds_ref(held, id, n.generation);
	}
	if (!f && id == HOST_ROOT) {
		held = t->fds;
		sys = host_tree_open(t, id, &f);
		if (sys)
			return sys;
	}
	if (f) {
		if (fstat(f->fd, &st) < 0)
			sys = errno;
		else
			show(t, &st, true, ret_shown);
		host_fds_unref(held, f);
		return sys;
	}
	sys = host_tree_open(t, n.parent, &f);
	if (sys)
		return sys;
	if (fstatat(f->fd, n.name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		sys = errno == ENOENT ? ESTALE : errno;
	else if (st.st_dev != n.dev || st.st_ino != n.ino || (st.st_mode & S_IFMT) != n.type)
		sys = ESTALE;
	else
		show(t, &st, is_readable_at(t, f->fd, n.name, &st), ret_shown);
	host_fds_unref(t->fds, f);
	return sys;
}
