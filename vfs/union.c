/* SPDX-License-Identifier: Apache-2.0 */
/* Assembling the union; see union.h for what it looks like. Here is what both engines have in common.
 *
 * Order matters: TARGET's root is there first, then everything is mounted on directories inside it, so that
 * a path below TARGET always resolves through what is already there. Mount points are made there, too, and
 * so in the upper. */
#include "vfs/union.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "vfs/mount_point.h"
#include "vfs/union_host.h"
#include "vfs/union_overlay.h"
#include "vfs/union_run.h"

static int make_point(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, const char *target,
		      struct err *e)
{
	if (vfs_point_make_like(target, h->mode, h->uid, h->gid, e) < 0)
		return -1;
	return vfs_point_require_plain(spec->target, h->name, e);
}

static int bind_entry(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, const char *target,
		      struct err *e)
{
	auto_free char *source = path_join("/", h->name, e);

	if (!source || make_point(spec, h, target, e) < 0 || vfs_point_bind(source, target, MS_REC, e) < 0)
		return -1;
	/* Root's programs may look at the machine's knobs, not turn them. */
	if (geteuid() == 0 && !strcmp(h->name, "sys"))
		vfs_point_make_read_only(target);
	return 0;
}

static int mount_tmp(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, const char *target,
		     struct err *e)
{
	if (make_point(spec, h, target, e) < 0)
		return -1;
	if (mount("floe", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		return err_sys(e, errno, "cannot mount /tmp");
	return 0;
}

static int mount_entry(const struct vfs_union_spec *spec, const struct vfs_host_entry *h, struct err *e)
{
	auto_free char *target = path_join(spec->target, h->name, e);

	if (!target)
		return -1;
	switch (h->kind) {
	case VFS_HOST_PROC:
		return make_point(spec, h, target, e);
	case VFS_HOST_BIND:
		return bind_entry(spec, h, target, e);
	case VFS_HOST_RUN:
		return make_point(spec, h, target, e) < 0 ? -1 : vfs_union_run_mount(target, e);
	case VFS_HOST_SYMLINK:
		if (!spec->is_served && symlink(h->target, target) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make %s", target);
		return 0;
	case VFS_HOST_UNION:
		break;
	}
	if (!vfs_union_overlay_has(spec, h))
		return mount_tmp(spec, h, target, e);
	return spec->is_served ? 0 : vfs_union_overlay_early(spec, h, e);
}

/* What floe itself shows the application. */
static int mount_own(const struct vfs_union_spec *spec, struct err *e)
{
	auto_free char *target = path_join(spec->target, ".floe", e);
	auto_free char *run = path_join(spec->target, ".floe/run", e);
	auto_free char *lib = path_join(spec->target, ".floe/lib", e);

	if (!target || !run || !lib || vfs_point_make_like(target, 0755, 0, 0, e) < 0 ||
	    vfs_point_require_plain(spec->target, ".floe", e) < 0)
		return -1;
	if (mount("floe", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0)
		return err_sys(e, errno, "cannot mount %s", target);
	if (vfs_point_make_like(run, 0755, 0, 0, e) < 0)
		return -1;
	return vfs_point_make_like(lib, 0755, 0, 0, e);
}

static int prepare(const struct vfs_union_spec *spec, const struct vfs_host_root *host, struct err *e)
{
	if (!spec->is_served && vfs_union_overlay_begin(spec, e) < 0)
		return -1;
	for (size_t i = 0; i < host->count; i++)
		if (mount_entry(spec, &host->entries[i], e) < 0)
			return -1;
	return mount_own(spec, e);
}

static int complete(const struct vfs_union_spec *spec, const struct vfs_host_root *host, struct err *e)
{
	return spec->is_served ? 0 : vfs_union_overlay_late(spec, host, e);
}

struct vfs_union_begun {
	const struct vfs_union_spec *spec;
	struct vfs_host_root host;
};

static void begun_free(struct vfs_union_begun *u)
{
	vfs_host_root_fini(&u->host);
	free(u);
}

int vfs_union_prepare(const struct vfs_union_spec *spec, struct vfs_union_begun **ret, struct err *e)
{
	struct vfs_union_begun *u = mem_alloc(1, sizeof(*u), e);
	struct err ignored;

	if (!u)
		return -1;
	u->spec = spec;
	if (vfs_host_root_read(spec->own_mounts, &u->host, e) < 0) {
		free(u);
		return -1;
	}
	if (prepare(spec, &u->host, e) < 0) {
		(void)!vfs_union_unmount(spec->target, &ignored);
		begun_free(u);
		return -1;
	}
	*ret = u;
	return 0;
}

int vfs_union_complete(struct vfs_union_begun *u, struct err *e)
{
	struct err ignored;
	int rc = complete(u->spec, &u->host, e);

	if (rc < 0)
		(void)!vfs_union_unmount(u->spec->target, &ignored);
	begun_free(u);
	return rc;
}

int vfs_union_mount(const struct vfs_union_spec *spec, struct err *e)
{
	struct vfs_union_begun *u;

	return vfs_union_prepare(spec, &u, e) < 0 ? -1 : vfs_union_complete(u, e);
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
