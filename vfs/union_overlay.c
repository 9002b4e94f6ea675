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

enum { TOPS_MAX = 4096 };

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

/* ---- what packages have at the top ------------------------------------------------------- */

/* Read once: to ask for each name of the host's would be a request to the package's server each time. */
struct top {
	char *name;
	size_t package;
	bool is_dir; /* else a symbolic link: nothing else is shown */
};
struct tops {
	struct top *list;
	size_t count;
};

static void tops_fini(struct tops *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->list[i].name);
	free(t->list);
}

static int add_top(struct tops *t, size_t package, int dir, const struct dirent *de, struct err *e)
{
	unsigned char type = de->d_type;
	struct top *more;
	struct stat st;

	if (type == DT_UNKNOWN && fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		type = IFTODT(st.st_mode);
	if (path_is_dot(de->d_name) || (type != DT_DIR && type != DT_LNK))
		return 0;
	if (t->count == TOPS_MAX)
		return err_set(e, ERR_LIMIT, "packages with more than %d entries at their top", TOPS_MAX);
	more = mem_grow(t->list, t->count + 1, sizeof(*more), e);
	if (!more)
		return -1;
	t->list = more;
	more[t->count] = (struct top){ mem_strdup(de->d_name, e), package, type == DT_DIR };
	if (!more[t->count].name)
		return -1;
	t->count++;
	return 0;
}

static int read_tops(const struct vfs_union_spec *spec, struct tops *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < spec->package_count && rc == 0; i++) {
		DIR *d = opendir(spec->packages[i]);
		struct dirent *de;

		if (!d)
			return err_sys(e, errno, "%s", spec->packages[i]);
		while (rc == 0 && (de = readdir(d)))
			rc = add_top(ret, i, dirfd(d), de, e);
		(void)closedir(d);
	}
	return rc;
}

static bool has_dir(const struct tops *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].is_dir && !strcmp(t->list[i].name, name))
			return true;
	return false;
}

/* ---- layers ------------------------------------------------------------------------------ */

/* Adds each package's directory of that name; the strings go to `owned`. */
static int package_layers(const struct vfs_union_spec *spec, const struct tops *tops, const char *name,
			  struct vfs_overlay *l, char **owned, struct err *e)
{
	for (size_t i = 0; i < tops->count; i++) {
		const struct top *top = &tops->list[i];

		if (!top->is_dir || strcmp(top->name, name) != 0)
			continue;
		if (l->count == ARRAY_LEN(l->lower) - 1)
			return err_set(e, ERR_LIMIT, "too many packages in one environment");
		owned[l->count] = path_join(spec->packages[top->package], name, e);
		if (!owned[l->count])
			return -1;
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
static int mount_top(const struct vfs_union_spec *spec, const struct tops *tops, const char *name,
		     const struct vfs_host_entry *h, struct err *e)
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
	rc = package_layers(spec, tops, name, &l, owned, e);
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

/* What nearly every package has is not mounted before it is known. */
static bool is_late(const char *name)
{
	static const char *const names[] = { "bin", "etc", "lib", "lib64", "sbin", "usr" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

bool vfs_union_overlay_has(const struct vfs_union_spec *spec, const struct vfs_host_entry *h)
{
	return h->kind == VFS_HOST_UNION && !(spec->private_tmp && !strcmp(h->name, "tmp"));
}

int vfs_union_overlay_early(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, struct err *e)
{
	const struct tops none = { 0 };

	return is_late(h->name) ? 0 : mount_top(spec, &none, h->name, h, e);
}

static int mount_late(const struct vfs_union_spec *spec, const struct tops *tops,
		      const struct vfs_host_entry *h, struct err *e)
{
	auto_free char *target = NULL;

	if (!is_late(h->name)) {
		if (!has_dir(tops, h->name))
			return 0;
		target = path_join(spec->target, h->name, e);
		if (!target || vfs_union_unmount(target, e) < 0)
			return -1;
	}
	return mount_top(spec, tops, h->name, h, e);
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
static int mount_home(const struct vfs_union_spec *spec, const struct tops *tops, struct err *e)
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
	rc = package_layers(spec, tops, "@home", &l, owned, e);
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

static int copy_link(const char *from, const char *to, struct err *e)
{
	char link[PATH_MAX];
	ssize_t n = readlink(from, link, sizeof(link) - 1);

	if (n < 0)
		return err_sys(e, errno, "%s", from);
	link[n] = 0;
	return symlink(link, to) < 0 && errno != EEXIST ? err_sys(e, errno, "cannot make %s", to) : 0;
}

/* A top-level entry that only packages have; those of `tops` before it are done. */
static int mount_package_only(const struct vfs_union_spec *spec, const struct tops *tops, size_t at,
			      struct err *e)
{
	const struct top *top = &tops->list[at];
	auto_free char *path = path_join(spec->packages[top->package], top->name, e);
	auto_free char *below = path_join(spec->upper, top->name, e);
	const struct tops before = { tops->list, at };

	if (!path || !below)
		return -1;
	if (!top->is_dir)
		return copy_link(path, below, e);
	/* An earlier package has it too: its mount shows all layers already. */
	return has_dir(&before, top->name) ? 0 : mount_top(spec, tops, top->name, NULL, e);
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

static int mount_all_late(const struct vfs_union_spec *spec, const struct vfs_host_root *host,
			  const struct tops *tops, struct err *e)
{
	for (size_t i = 0; i < host->count; i++)
		if (vfs_union_overlay_has(spec, &host->entries[i]) &&
		    mount_late(spec, tops, &host->entries[i], e) < 0)
			return -1;
	for (size_t i = 0; i < tops->count; i++) {
		const char *name = tops->list[i].name;

		if (name[0] != '.' && name[0] != '@' && !vfs_host_root_find(host, name) &&
		    mount_package_only(spec, tops, i, e) < 0)
			return -1;
	}
	return spec->home && spec->package_count ? mount_home(spec, tops, e) : 0;
}

int vfs_union_overlay_late(const struct vfs_union_spec *spec, const struct vfs_host_root *host, struct err *e)
{
	struct tops tops = { 0 };
	int rc = read_tops(spec, &tops, e);

	if (rc == 0)
		rc = mount_all_late(spec, host, &tops, e);
	tops_fini(&tops);
	return rc;
}
