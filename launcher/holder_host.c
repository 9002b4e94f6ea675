/* SPDX-License-Identifier: Apache-2.0 */
/* The holder and the host's mounts: the host view, and what was mounted since a union was made.
 *
 * overlayfs sees its lower directories as they were when it was mounted: a file system that is mounted into
 * one later does not show. Through the host view it does, so that only a top-level directory that had no
 * mounts inside when the union was made, and has some now, is out of date. The fuse engine sees mounts by
 * itself, but not on directories that it has open; it is treated in the same way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "launcher/holder.h"
#include "vfs/union.h"
#include "vfs/union_host.h"

enum { MOUNTED_MAX = 64 * 1024 };

int holder_host_view_want(struct holder *h, struct err *e)
{
	struct vfs_union_spec spec = { .own_mounts = h->address.stage };
	bool needs_view;

	if (h->host_view_err.code != ERR_NONE) {
		*e = h->host_view_err;
		return -1;
	}
	if (h->host_view.point)
		return 0;
	if (vfs_union_needs_host_view(&spec, &needs_view, e) < 0)
		return -1;
	if (!needs_view || holder_host_view_start(h, e) == 0)
		return 0;
	holder_mount_fini(&h->host_view); /* perhaps next time */
	return -1;
}

/* ---- what was mounted since ------------------------------------------------------------------ */

/* Names of top-level directories with mounts inside, each behind and before a slash: "/home/mnt/". */
static char *mounted_now(const struct holder *h, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(MOUNTED_MAX);
	struct vfs_host_root root;
	int rc;

	if (vfs_host_root_read(h->address.stage, &root, e) < 0)
		return NULL;
	rc = buf_add_str(&b, "/", e);
	for (size_t i = 0; rc == 0 && i < root.count; i++)
		if (root.entries[i].kind == VFS_HOST_UNION && root.entries[i].has_submounts)
			rc = buf_printf(&b, e, "%s/", root.entries[i].name);
	vfs_host_root_fini(&root);
	return rc == 0 && buf_text(&b, e) ? mem_strdup((const char *)b.data, e) : NULL;
}

int holder_host_prepare(struct holder *h, struct holder_environment *env, struct err *e)
{
	if (holder_host_view_want(h, e) < 0)
		return -1;
	env->mounted = mounted_now(h, e);
	return env->mounted ? 0 : -1;
}

bool holder_host_has_new(const struct holder *h, const struct holder_environment *env, char ret[256])
{
	struct err ignored;
	auto_free char *now = env->mounted ? mounted_now(h, &ignored) : NULL;

	for (char *name = now; name && name[1];) {
		char *end = strchr(name + 1, '/');
		char was = end[1];

		end[1] = 0;
		if (!strstr(env->mounted, name)) {
			*end = 0;
			(void)snprintf(ret, 256, "%s", name);
			return true;
		}
		end[1] = was;
		name = end;
	}
	return false;
}
