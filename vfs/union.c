/* SPDX-License-Identifier: Apache-2.0 */
/* Assembling the union with kernel overlayfs; see union.h for what it looks like.
 *
 * Order matters: the upper is bound first, then everything is mounted on directories inside it, so
 * that a path below TARGET always resolves through what is already there. */
#include "vfs/union.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "vfs/union_host.h"

enum { OPTIONS_MAX = 4096, RUN_ENTRIES_MAX = 512, RUN_FILE_MAX = 256 * 1024 };

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x1
struct mount_attr {
	unsigned long long attr_set, attr_clr, propagation, userns_fd;
};
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* ---- small steps ----------------------------------------------------------------------------- */

/* Makes one directory as `like` says, if it is not there. As an ordinary user the owner stays ours. */
static int make_dir_like(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *e)
{
	if (mkdir(path, 0700) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(e, errno, "cannot make %s", path);
	}
	if (geteuid() == 0 && lchown(path, uid, gid) < 0 && errno != EINVAL && errno != EPERM)
		return err_sys(e, errno, "cannot give %s its owner", path);
	if (chmod(path, mode) < 0)
		return err_sys(e, errno, "cannot set permissions of %s", path);
	return 0;
}

static int bind_mount(const char *source, const char *target, unsigned long extra, struct err *e)
{
	if (mount(source, target, NULL, MS_BIND | extra, NULL) < 0)
		return err_sys(e, errno, "cannot bind %s on %s", source, target);
	return 0;
}

/* Read-only with everything below. Kernels before 5.12 cannot; then the bind stays as it is. */
static void make_read_only(const char *target)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)syscall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &attr, sizeof(attr));
}

static bool is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A directory below `base` that no symbolic link leads to: the application can put links into its upper, and
 * what is mounted or written through one would land where it points. */
static int require_plain_dir(const char *base, const char *relative, struct err *e)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	auto_fd int top = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = -1;

	while (*relative == '/')
		relative++;
	if (top >= 0)
		fd = (int)syscall(SYS_openat2, top, relative, &how, sizeof(how));
	if (fd < 0)
		return err_sys(e, errno, "%s/%s is not a plain directory; floe env reset puts it right", base,
			       relative);
	return 0;
}

/* overlayfs splits its options at ',' and lower layers at ':'; both are escaped by a backslash. */
static int add_escaped(struct buf *b, const char *path, struct err *e)
{
	for (; *path; path++) {
		if (strchr("\\,:", *path) && buf_add(b, "\\", 1, e) < 0)
			return -1;
		if (buf_add(b, path, 1, e) < 0)
			return -1;
	}
	return 0;
}

struct layers {
	const char *lower[16]; /* topmost first */
	size_t count;
	const char *upper, *work, *target;
};

static int overlay_mount(const struct layers *l, struct err *e)
{
	auto_buf struct buf opt = BUF_INIT(OPTIONS_MAX - 1);
	const char *text;

	if (buf_add_str(&opt, "userxattr,index=off,xino=off,lowerdir=", e) < 0)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		if ((i && buf_add(&opt, ":", 1, e) < 0) || add_escaped(&opt, l->lower[i], e) < 0)
			return err_wrap(e, "%s: too many or too long layers", l->target);
	if (buf_add_str(&opt, ",upperdir=", e) < 0 || add_escaped(&opt, l->upper, e) < 0 ||
	    buf_add_str(&opt, ",workdir=", e) < 0 || add_escaped(&opt, l->work, e) < 0)
		return err_wrap(e, "%s: too long paths", l->target);
	text = buf_text(&opt, e);
	if (!text)
		return -1;
	if (mount("floe", l->target, "overlay", MS_NOSUID | MS_NODEV, text) < 0)
		return err_sys(e, errno, "cannot mount the union on %s", l->target);
	return 0;
}

/* ---- one directory --------------------------------------------------------------------------- */

struct assembly {
	const struct vfs_union_spec *spec;
	struct vfs_host_root host;
};

/* The host's directory as a lower layer: itself, or as the host view shows it. Caller frees. */
static char *host_layer(const struct assembly *a, const struct vfs_host_entry *h, bool through_view,
			struct err *e)
{
	if (!through_view)
		return mem_printf(e, "/%s", h->name);
	if (!a->spec->host_view) {
		(void)err_set(e, ERR_UNSUPPORTED,
			      "/%s has other file systems mounted inside and there is no host view", h->name);
		return NULL;
	}
	return path_join(a->spec->host_view, h->name, e);
}

/* Adds each package's `sub` directory; the strings go to `owned`. */
static int package_layers(const struct vfs_union_spec *spec, const char *sub, struct layers *l, char **owned,
			  struct err *e)
{
	for (size_t i = 0; i < spec->package_count; i++) {
		auto_free char *dir = path_join(spec->packages[i], sub, e);

		if (!dir)
			return -1;
		if (!is_dir(dir))
			continue;
		if (l->count == ARRAY_LEN(l->lower) - 1)
			return err_set(e, ERR_LIMIT, "too many packages in one environment");
		owned[l->count] = mem_steal(dir);
		l->lower[l->count] = owned[l->count];
		l->count++;
	}
	return 0;
}

static void free_owned(char **owned, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(owned[i]);
}

static int mount_with_paths(struct layers *l, const char *upper, const char *work, const char *target,
			    struct err *e)
{
	l->upper = upper;
	l->work = work;
	l->target = target;
	if (path_make_dirs(work, 0700, e) < 0)
		return -1;
	return overlay_mount(l, e);
}

/* Some file systems cannot be a lower layer themselves; through the host view they can. The host's layer is
 * the last. */
static int mount_or_through_view(const struct assembly *a, const struct vfs_host_entry *h, bool is_view,
				 struct layers *l, const char *upper, const char *work, const char *target,
				 char **owned, struct err *e)
{
	char *through;

	if (mount_with_paths(l, upper, work, target, e) == 0)
		return 0;
	if (!h || is_view || !a->spec->host_view)
		return -1;
	through = host_layer(a, h, true, e);
	if (!through)
		return -1;
	free(owned[l->count - 1]);
	owned[l->count - 1] = through;
	l->lower[l->count - 1] = through;
	return overlay_mount(l, e);
}

/* `name`: a top-level directory; `h` is NULL when only packages have it. */
static int mount_top(const struct assembly *a, const char *name, const struct vfs_host_entry *h,
		     struct err *e)
{
	const struct vfs_union_spec *spec = a->spec;
	auto_free char *upper = path_join(spec->upper, name, e);
	auto_free char *work = path_join(spec->work, name, e);
	auto_free char *target = path_join(spec->target, name, e);
	char *owned[16] = { 0 };
	struct layers l = { 0 };
	bool view = h && (h->has_submounts || spec->all_through_host_view);
	int rc;

	struct stat top;

	if (!upper || !work || !target)
		return -1;
	rc = package_layers(spec, name, &l, owned, e);
	if (rc == 0 && h) {
		owned[l.count] = host_layer(a, h, view, e);
		l.lower[l.count] = owned[l.count];
		rc = owned[l.count] ? 0 : -1;
		l.count += rc == 0;
	}
	/* The upper's own directory is what shows: it begins as what it covers. */
	if (rc == 0 && stat(l.lower[0], &top) < 0)
		rc = err_sys(e, errno, "%s", l.lower[0]);
	if (rc == 0)
		rc = make_dir_like(upper, top.st_mode & 07777, top.st_uid, top.st_gid, e);
	if (rc == 0)
		rc = require_plain_dir(spec->upper, name, e);
	if (rc == 0)
		rc = mount_or_through_view(a, h, view, &l, upper, work, target, owned, e);
	free_owned(owned, l.count);
	return rc;
}

/* The directories above UPPER/path. */
static int make_parents(const char *upper, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	auto_free char *above = mem_strndup(path, (size_t)(slash - path), e);
	auto_free char *dir = above ? path_join(upper, above, e) : NULL;

	return dir ? path_make_dirs(dir, 0755, e) : -1;
}

/* The package's @home over the host's home, inside the overlay of home's top-level directory. */
static int mount_home(const struct assembly *a, struct err *e)
{
	const struct vfs_union_spec *spec = a->spec;
	auto_free char *upper = path_join(spec->upper, spec->home, e);
	auto_free char *work = path_join(spec->work, "@home", e);
	auto_free char *target = path_join(spec->target, spec->home, e);
	auto_free char *lower = NULL;
	char *owned[16] = { 0 };
	struct layers l = { 0 };
	struct stat st;
	int rc;

	if (!upper || !work || !target)
		return -1;
	rc = package_layers(spec, "@home", &l, owned, e);
	if (rc == 0 && l.count && stat(spec->home, &st) == 0 && is_dir(target)) {
		lower = spec->host_view ? path_join(spec->host_view, spec->home, e)
					: mem_strdup(spec->home, e);
		rc = lower ? make_parents(spec->upper, spec->home, e) : -1;
		if (rc == 0)
			rc = make_dir_like(upper, st.st_mode & 07777, st.st_uid, st.st_gid, e);
		if (rc == 0)
			rc = require_plain_dir(spec->upper, spec->home, e);
		if (rc == 0)
			rc = require_plain_dir(spec->target, spec->home, e);
		if (rc == 0) {
			l.lower[l.count] = lower;
			l.count++;
			rc = mount_with_paths(&l, upper, work, target, e);
			l.count--;
		}
	}
	free_owned(owned, l.count);
	return rc;
}

/* ---- /run ------------------------------------------------------------------------------------ */

/* Lock files, pid files, small notes: a private copy, so that they can be locked and written. */
static int copy_run_file(const char *source, const char *target, const struct stat *st, struct err *e)
{
	auto_fd int from = open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_fd int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st->st_mode & 0666);
	auto_buf struct buf content = BUF_INIT(RUN_FILE_MAX);
	struct err ignored;

	if (to < 0)
		return err_sys(e, errno, "%s", target);
	if (from < 0 || fd_read_to_end(from, &content, &ignored) < 0)
		return 0; /* not for this user, or too large to be a note: an empty file */
	if (fd_write_all(to, content.data, content.len, e) < 0)
		return err_wrap(e, "%s", target);
	return 0;
}

/* Shows one entry of the host's /run: directories and sockets stay the host's own and reachable, but
 * nothing is written there; the user's runtime directory is the real thing. */
static int bind_run_entry(const char *dir, const struct dirent *de, struct err *e)
{
	auto_free char *source = path_join("/run", de->d_name, e);
	auto_free char *target = path_join(dir, de->d_name, e);
	char link[PATH_MAX];
	ssize_t n;
	struct stat st;

	if (!source || !target)
		return -1;
	if (lstat(source, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(source, link, sizeof(link) - 1);
		if (n >= 0) {
			link[n] = 0;
			if (symlink(link, target) < 0 && errno != EEXIST)
				return err_sys(e, errno, "%s", target);
		}
		return 0;
	}
	if (S_ISDIR(st.st_mode)) {
		if (make_dir_like(target, st.st_mode & 07777, st.st_uid, st.st_gid, e) < 0)
			return -1;
		/* The lock directory is for everybody to write: it starts empty instead. */
		if (!strcmp(de->d_name, "lock") || !strcmp(de->d_name, "shm"))
			return 0;
	} else if (S_ISREG(st.st_mode)) {
		return copy_run_file(source, target, &st, e);
	} else {
		auto_fd int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_sys(e, errno, "%s", target);
	}
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return 0; /* unreachable for this user: an empty place is the truth */
	if (strcmp(de->d_name, "user") != 0)
		make_read_only(target);
	return 0;
}

static int mount_run(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, struct err *e)
{
	auto_free char *below = path_join(spec->upper, "run", e);
	auto_free char *target = path_join(spec->target, "run", e);
	struct dirent *de;
	int rc = 0, count = 0;
	DIR *d;

	if (!below || !target || make_dir_like(below, h->mode, h->uid, h->gid, e) < 0)
		return -1;
	if (mount("floe", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%") < 0)
		return err_sys(e, errno, "cannot mount /run");
	d = opendir("/run");
	while (rc == 0 && d && (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (++count > RUN_ENTRIES_MAX)
			break;
		rc = bind_run_entry(target, de, e);
	}
	if (d)
		(void)closedir(d);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int mount_entry(const struct assembly *a, const struct vfs_host_entry *h, struct err *e)
{
	const struct vfs_union_spec *spec = a->spec;
	auto_free char *below = path_join(spec->upper, h->name, e);
	auto_free char *target = path_join(spec->target, h->name, e);
	auto_free char *source = path_join("/", h->name, e);

	if (!below || !target || !source)
		return -1;
	switch (h->kind) {
	case VFS_HOST_SYMLINK:
		if (symlink(h->target, below) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make %s", below);
		return 0;
	case VFS_HOST_PROC:
		return make_dir_like(below, h->mode, h->uid, h->gid, e);
	case VFS_HOST_BIND:
		if (make_dir_like(below, h->mode, h->uid, h->gid, e) < 0)
			return -1;
		if (bind_mount(source, target, MS_REC, e) < 0)
			return -1;
		/* Root's programs may look at the machine's knobs, not turn them. */
		if (geteuid() == 0 && !strcmp(h->name, "sys"))
			make_read_only(target);
		return 0;
	case VFS_HOST_RUN:
		return mount_run(spec, h, e);
	case VFS_HOST_UNION:
		break;
	}
	if (spec->private_tmp && !strcmp(h->name, "tmp")) {
		if (make_dir_like(below, h->mode, h->uid, h->gid, e) < 0)
			return -1;
		if (mount("floe", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
			return err_sys(e, errno, "cannot mount /tmp");
		return 0;
	}
	return mount_top(a, h->name, h, e);
}

/* Top-level entries that only a package has. */
static int mount_package_only(const struct assembly *a, const char *package, struct err *e)
{
	DIR *d = opendir(package);
	struct dirent *de;
	int rc = 0;

	if (!d)
		return err_sys(e, errno, "%s", package);
	while (rc == 0 && (de = readdir(d))) {
		auto_free char *path = path_join(package, de->d_name, e);
		auto_free char *below = path_join(a->spec->upper, de->d_name, e);
		auto_free char *target = path_join(a->spec->target, de->d_name, e);
		char link[PATH_MAX];
		ssize_t n;

		if (!path || !below || !target) {
			rc = -1;
			break;
		}
		if (de->d_name[0] == '.' || de->d_name[0] == '@' || vfs_host_root_find(&a->host, de->d_name))
			continue;
		n = readlink(path, link, sizeof(link) - 1);
		if (n >= 0) {
			link[n] = 0;
			if (symlink(link, below) < 0 && errno != EEXIST)
				rc = err_sys(e, errno, "cannot make %s", below);
		} else if (is_dir(path)) {
			struct stat top, here;

			/* An earlier package has it too: its mount shows all layers already. */
			if (stat(a->spec->target, &top) == 0 && stat(target, &here) == 0 &&
			    top.st_dev != here.st_dev)
				continue;
			rc = mount_top(a, de->d_name, NULL, e);
		}
	}
	(void)closedir(d);
	return rc;
}

/* What floe itself shows the application. */
static int mount_own(const struct vfs_union_spec *spec, struct err *e)
{
	auto_free char *below = path_join(spec->upper, ".floe", e);
	auto_free char *target = path_join(spec->target, ".floe", e);
	auto_free char *run = path_join(spec->target, ".floe/run", e);
	auto_free char *lib = path_join(spec->target, ".floe/lib", e);

	if (!below || !target || !run || !lib || make_dir_like(below, 0755, 0, 0, e) < 0)
		return -1;
	if (mount("floe", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0)
		return err_sys(e, errno, "cannot mount %s", target);
	if (make_dir_like(run, 0755, 0, 0, e) < 0)
		return -1;
	return make_dir_like(lib, 0755, 0, 0, e);
}

/* Makes in the upper what others own on the way to `path`, as far as the host has it. */
static int make_way(const struct vfs_union_spec *spec, const char *path, struct err *e)
{
	auto_free char *way = mem_strdup(path, e);

	if (!way)
		return -1;
	for (char *p = way + 1;; p++) {
		auto_free char *upper = NULL;
		char was = *p;
		struct stat st;

		if (was && was != '/')
			continue;
		*p = 0;
		if (lstat(way, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid == geteuid())
			return 0;
		upper = path_join(spec->upper, way, e);
		if (!upper || make_dir_like(upper, (st.st_mode & 07777) | 0700, 0, 0, e) < 0)
			return -1;
		if (!was)
			return 0;
		*p = was;
	}
}

/* overlayfs copies a directory up before anything is made in it, and has no name for an owner whom our user
 * namespace does not know: EOVERFLOW. What others own on the way to where the user may write is there before.
 */
static int make_ways(const struct vfs_union_spec *spec, struct err *e)
{
	if (geteuid() == 0)
		return 0;
	if (spec->home && make_way(spec, spec->home, e) < 0)
		return -1;
	return make_way(spec, "/var/tmp", e);
}

static int assemble(const struct assembly *a, struct err *e)
{
	const struct vfs_union_spec *spec = a->spec;

	if (make_ways(spec, e) < 0 || bind_mount(spec->upper, spec->target, 0, e) < 0)
		return -1;
	if (mount(NULL, spec->target, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "cannot make %s private", spec->target);
	for (size_t i = 0; i < a->host.count; i++)
		if (mount_entry(a, &a->host.entries[i], e) < 0)
			return -1;
	for (size_t i = 0; i < spec->package_count; i++)
		if (mount_package_only(a, spec->packages[i], e) < 0)
			return -1;
	if (spec->home && spec->package_count && mount_home(a, e) < 0)
		return -1;
	return mount_own(spec, e);
}

int vfs_union_mount(const struct vfs_union_spec *spec, struct err *e)
{
	struct assembly a = { .spec = spec };
	struct err ignored;
	int rc;

	if (vfs_host_root_read(spec->own_mounts, &a.host, e) < 0)
		return -1;
	rc = assemble(&a, e);
	if (rc < 0)
		(void)!vfs_union_unmount(spec->target, &ignored);
	vfs_host_root_fini(&a.host);
	return rc;
}

int vfs_union_unmount(const char *target, struct err *e)
{
	if (umount2(target, MNT_DETACH) < 0 && errno != EINVAL)
		return err_sys(e, errno, "cannot unmount %s", target);
	return 0;
}

int vfs_union_needs_host_view(const struct vfs_union_spec *spec, bool *ret, struct err *e)
{
	struct vfs_host_root host;
	bool needs = spec->all_through_host_view;

	if (vfs_host_root_read(spec->own_mounts, &host, e) < 0)
		return -1;
	for (size_t i = 0; i < host.count; i++)
		if (host.entries[i].kind == VFS_HOST_UNION && host.entries[i].has_submounts)
			needs = true;
	vfs_host_root_fini(&host);
	*ret = needs;
	return 0;
}

static int probe_in(const char *dir, struct err *e)
{
	auto_free char *lower = path_join(dir, "lower", e);
	auto_free char *upper = path_join(dir, "upper", e);
	auto_free char *work = path_join(dir, "work", e);
	auto_free char *target = path_join(dir, "target", e);
	auto_free char *file = path_join(dir, "target/dir/file", e);
	auto_free char *low_dir = path_join(dir, "lower/dir", e);
	auto_free char *seen = path_join(dir, "target/dir", e);
	struct layers l = { .count = 1 };
	int rc = 0;

	if (!lower || !upper || !work || !target || !file || !low_dir || !seen)
		return -1;
	if (path_make_dirs(low_dir, 0700, e) < 0 || path_make_dirs(upper, 0700, e) < 0 ||
	    path_make_dirs(work, 0700, e) < 0 || path_make_dirs(target, 0700, e) < 0)
		return -1;
	l = (struct layers){ .lower = { lower }, .count = 1, .upper = upper, .work = work, .target = target };
	if (overlay_mount(&l, e) < 0)
		return -1;
	/* Removing a directory of the lower and making it again needs whiteouts and opaque marks. */
	if (rmdir(seen) < 0 || mkdir(seen, 0700) < 0)
		rc = err_sys(e, errno, "the union cannot hide a directory");
	(void)umount2(target, MNT_DETACH);
	return rc;
}

int vfs_union_probe(const char *dir, struct err *e)
{
	auto_free char *scratch = mem_printf(e, "%s/.probe-%ld", dir, (long)getpid());
	struct err ignored;
	int rc;

	if (!scratch || path_make_dirs(scratch, 0700, e) < 0)
		return -1;
	rc = probe_in(scratch, e);
	if (path_remove_tree(AT_FDCWD, scratch, rc < 0 ? &ignored : e) < 0)
		return -1;
	return rc;
}
