/* SPDX-License-Identifier: Apache-2.0 */
/* What the `overlay` engine puts into the tree: an overlay for each top-level directory, and what has to be
 * in the upper before; see union.h. */
#include "vfs/union_overlay.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "vfs/mount_point.h"
#include "vfs/overlay.h"

/* The host's directory as a lower layer: itself, or as the host view shows it. Caller frees. */
static char *host_layer(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, bool through_view,
			struct err *e)
{
	if (!through_view)
		return mem_printf(e, "/%s", h->name);
	if (!spec->host_view) {
		(void)err_set(e, ERR_UNSUPPORTED,
			      "/%s has other file systems mounted inside and there is no host view", h->name);
		return NULL;
	}
	return path_join(spec->host_view, h->name, e);
}

/* Adds each package's `sub` directory; the strings go to `owned`. */
static int package_layers(const struct vfs_union_spec *spec, const char *sub, struct vfs_overlay *l,
			  char **owned, struct err *e)
{
	for (size_t i = 0; i < spec->package_count; i++) {
		auto_free char *dir = path_join(spec->packages[i], sub, e);

		if (!dir)
			return -1;
		if (!vfs_point_is_dir(dir))
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

static int mount_with_paths(struct vfs_overlay *l, const char *upper, const char *work, const char *target,
			    struct err *e)
{
	l->upper = upper;
	l->work = work;
	l->target = target;
	if (path_make_dirs(work, 0700, e) < 0)
		return -1;
	return vfs_overlay_mount(l, e);
}

/* Some file systems cannot be a lower layer themselves; through the host view they can. The host's layer is
 * the last. */
static int mount_or_through_view(const struct vfs_union_spec *spec, const struct vfs_host_entry *h,
				 bool is_view, struct vfs_overlay *l, const char *upper, const char *work,
				 const char *target, char **owned, struct err *e)
{
	char *through;

	if (mount_with_paths(l, upper, work, target, e) == 0)
		return 0;
	if (!h || is_view || !spec->host_view)
		return -1;
	through = host_layer(spec, h, true, e);
	if (!through)
		return -1;
	free(owned[l->count - 1]);
	owned[l->count - 1] = through;
	l->lower[l->count - 1] = through;
	return vfs_overlay_mount(l, e);
}

/* `name`: a top-level directory; `h` is NULL when only packages have it. */
static int mount_top(const struct vfs_union_spec *spec, const char *name, const struct vfs_host_entry *h,
		     struct err *e)
{
	auto_free char *upper = path_join(spec->upper, name, e);
	auto_free char *work = path_join(spec->work, name, e);
	auto_free char *target = path_join(spec->target, name, e);
	char *owned[16] = { 0 };
	struct vfs_overlay l = { 0 };
	bool view = h && (h->has_submounts || spec->all_through_host_view);
	int rc;

	struct stat top;

	if (!upper || !work || !target)
		return -1;
	rc = package_layers(spec, name, &l, owned, e);
	if (rc == 0 && h) {
		owned[l.count] = host_layer(spec, h, view, e);
		l.lower[l.count] = owned[l.count];
		rc = owned[l.count] ? 0 : -1;
		l.count += rc == 0;
	}
	/* The upper's own directory is what shows: it begins as what it covers. */
	if (rc == 0 && stat(l.lower[0], &top) < 0)
		rc = err_sys(e, errno, "%s", l.lower[0]);
	if (rc == 0)
		rc = vfs_point_make_like(upper, top.st_mode & 07777, top.st_uid, top.st_gid, e);
	if (rc == 0)
		rc = vfs_point_require_plain(spec->upper, name, e);
	if (rc == 0)
		rc = mount_or_through_view(spec, h, view, &l, upper, work, target, owned, e);
	free_owned(owned, l.count);
	return rc;
}

static bool is_late(const char *name)
{
	static const char *const names[] = { "bin", "etc", "lib", "lib64", "opt", "sbin", "usr", "var" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

int vfs_union_overlay_early(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, struct err *e)
{
	struct vfs_union_spec alone = *spec;

	if (is_late(h->name))
		return 0;
	alone.package_count = 0;
	return mount_top(&alone, h->name, h, e);
}

static int has_package(const struct vfs_union_spec *spec, const char *name, bool *ret, struct err *e)
{
	*ret = false;
	for (size_t i = 0; i < spec->package_count; i++) {
		auto_free char *dir = path_join(spec->packages[i], name, e);

		if (!dir)
			return -1;
		*ret |= vfs_point_is_dir(dir);
	}
	return 0;
}

int vfs_union_overlay_late(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, struct err *e)
{
	auto_free char *target = NULL;
	bool is_wanted = is_late(h->name);

	if (!is_wanted) {
		if (has_package(spec, h->name, &is_wanted, e) < 0)
			return -1;
		if (!is_wanted)
			return 0;
		target = path_join(spec->target, h->name, e);
		if (!target || vfs_union_unmount(target, e) < 0)
			return -1;
	}
	return mount_top(spec, h->name, h, e);
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
static int mount_home(const struct vfs_union_spec *spec, struct err *e)
{
	auto_free char *upper = path_join(spec->upper, spec->home, e);
	auto_free char *work = path_join(spec->work, "@home", e);
	auto_free char *target = path_join(spec->target, spec->home, e);
	auto_free char *lower = NULL;
	char *owned[16] = { 0 };
	struct vfs_overlay l = { 0 };
	struct stat st;
	int rc;

	if (!upper || !work || !target)
		return -1;
	rc = package_layers(spec, "@home", &l, owned, e);
	if (rc == 0 && l.count && stat(spec->home, &st) == 0 && vfs_point_is_dir(target)) {
		lower = spec->host_view ? path_join(spec->host_view, spec->home, e)
					: mem_strdup(spec->home, e);
		rc = lower ? make_parents(spec->upper, spec->home, e) : -1;
		if (rc == 0)
			rc = vfs_point_make_like(upper, st.st_mode & 07777, st.st_uid, st.st_gid, e);
		if (rc == 0)
			rc = vfs_point_require_plain(spec->upper, spec->home, e);
		if (rc == 0)
			rc = vfs_point_require_plain(spec->target, spec->home, e);
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

/* Top-level entries that only a package has. */
static int mount_package_only(const struct vfs_union_spec *spec, const struct vfs_host_root *host,
			      const char *package, struct err *e)
{
	DIR *d = opendir(package);
	struct dirent *de;
	int rc = 0;

	if (!d)
		return err_sys(e, errno, "%s", package);
	while (rc == 0 && (de = readdir(d))) {
		auto_free char *path = path_join(package, de->d_name, e);
		auto_free char *below = path_join(spec->upper, de->d_name, e);
		auto_free char *target = path_join(spec->target, de->d_name, e);
		char link[PATH_MAX];
		ssize_t n;

		if (!path || !below || !target) {
			rc = -1;
			break;
		}
		if (de->d_name[0] == '.' || de->d_name[0] == '@' || vfs_host_root_find(host, de->d_name))
			continue;
		n = readlink(path, link, sizeof(link) - 1);
		if (n >= 0) {
			link[n] = 0;
			if (symlink(link, below) < 0 && errno != EEXIST)
				rc = err_sys(e, errno, "cannot make %s", below);
		} else if (vfs_point_is_dir(path)) {
			struct stat top, here;

			/* An earlier package has it too: its mount shows all layers already. */
			if (stat(spec->target, &top) == 0 && stat(target, &here) == 0 &&
			    top.st_dev != here.st_dev)
				continue;
			rc = mount_top(spec, de->d_name, NULL, e);
		}
	}
	(void)closedir(d);
	return rc;
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
		if (!upper || vfs_point_make_like(upper, (st.st_mode & 07777) | 0700, 0, 0, e) < 0)
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

int vfs_union_overlay_begin(const struct vfs_union_spec *spec, struct err *e)
{
	if (make_ways(spec, e) < 0 || vfs_point_bind(spec->upper, spec->target, 0, e) < 0)
		return -1;
	if (mount(NULL, spec->target, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "cannot make %s private", spec->target);
	return 0;
}

int vfs_union_overlay_packages(const struct vfs_union_spec *spec, const struct vfs_host_root *host,
			       struct err *e)
{
	for (size_t i = 0; i < spec->package_count; i++)
		if (mount_package_only(spec, host, spec->packages[i], e) < 0)
			return -1;
	return spec->home && spec->package_count ? mount_home(spec, e) : 0;
}
