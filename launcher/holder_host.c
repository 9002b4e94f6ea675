/* SPDX-License-Identifier: Apache-2.0 */
/* The holder and the host's mounts: the host view, and what was mounted since a union was made.
 *
 * overlayfs sees its lower directories as they were when it was mounted: a file system that is mounted into
 * one later does not show. Through the host view it does, so that only a top-level directory that had no
 * mounts inside when the union was made, and has some now, is out of date. The fuse engine sees mounts by
 * itself, but not on directories that it has open; it is treated in the same way. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/holder.h"
#include "vfs/fuse_mount.h"
#include "vfs/union.h"
#include "vfs/union_host.h"

enum { HOST_VIEW_MS = 10 * 1000, MOUNTED_MAX = 64 * 1024 };

/* The view's server must not see our own mounts, or it would end up reading itself: it gets a copy of the
 * mount namespace without them, which the program then inherits. */
static int start_host_view(struct holder *h, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	const char *argv[] = { "floe-host-view", "--root", "/", NULL };
	const struct launch_server_opt opt = { .forget = h->address.stage };
	struct pollfd ready = { .events = POLLIN };
	auto_free char *mount_point = path_join(h->address.stage, "host", e);
	auto_fd int fuse_fd = -1;

	if (!mount_point || path_make_dirs(mount_point, 0700, e) < 0 ||
	    launch_server_start(argv, &opt, &h->host_view, e) < 0 ||
	    vfs_fuse_mount(mount_point, "host", true, &fuse_fd, e) < 0 ||
	    wire_put_str(&m, "type", "serve", e) < 0 || wire_put_u64(&m, "uid", geteuid(), e) < 0 ||
	    wire_put_u64(&m, "gid", getegid(), e) < 0 || wire_put_fd(&m, fuse_fd, e) < 0 ||
	    wire_send(h->host_view.sock, &m, e) < 0)
		return err_wrap(e, "host view");
	ready.fd = h->host_view.sock;
	if (poll(&ready, 1, HOST_VIEW_MS) <= 0 || wire_recv(h->host_view.sock, &answer, e) <= 0)
		return err_set(e, ERR_IO, "the host view does not start");
	if (wire_error(&answer, e) < 0)
		return -1;
	h->host_view_mount = mem_steal(mount_point);
	return 0;
}

int holder_host_view_want(struct holder *h, struct err *e)
{
	struct vfs_union_spec spec = { .own_mounts = h->address.stage };
	auto_free char *mount_point = NULL;
	bool needs_view;

	if (h->host_view_mount)
		return 0;
	if (vfs_union_needs_host_view(&spec, &needs_view, e) < 0)
		return -1;
	if (!needs_view || start_host_view(h, e) == 0)
		return 0;
	/* Perhaps next time. */
	launch_server_release(&h->host_view);
	mount_point = mem_printf(e, "%s/host", h->address.stage);
	if (mount_point)
		(void)umount2(mount_point, MNT_DETACH);
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
