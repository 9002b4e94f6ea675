/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's life; its requests are in host_ops.c, what it shows in host_tree.c. */
#include "vfs/host_view.h"

#include "base/fd.h"
#include "vfs/host_ops.h"

enum { THREADS = 16 };

static void on_serving(void *arg, const uint8_t *init, size_t init_len)
{
	const struct host_view *v = arg;

	(void)init;
	(void)init_len;
	if (v->opt.on_serving)
		v->opt.on_serving(v->opt.on_serving_arg);
}

int vfs_host_view_serve(int root_fd, int fuse_fd, const struct vfs_host_view_opt *opt, struct err *e)
{
	struct host_view v = { .opt = *opt,
			       .timeout_s = (opt->timeout_ms ? opt->timeout_ms : 1000) / 1000.0 };
	struct vfs_fuse_session_opt session = {
		.ops = &host_ops,
		.owner = &v,
		.threads = THREADS,
		.on_serving = on_serving,
		.on_serving_arg = &v,
	};
	struct vfs_fuse_session *s;
	int r;

	if (host_tree_init(&v.tree, root_fd, opt->uid, opt->gid, e) < 0) {
		fd_close(fuse_fd);
		return -1;
	}
	r = vfs_fuse_session_open(fuse_fd, &session, &s, e);
	if (r == 0) {
		r = vfs_fuse_session_run(s, e);
		vfs_fuse_session_close(s);
	} else {
		fd_close(fuse_fd);
	}
	host_tree_fini(&v.tree);
	return r;
}
