/* SPDX-License-Identifier: Apache-2.0 */
/* The package mount's life: session, pusher, recording, figures. Requests are in package_ops.c. */
#include "vfs/package_mount.h"

#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "vfs/package_state.h"

enum {
	OPCODE_STATX = 52, /* newer than some kernel headers */
	THREADS = 48,
	REQUEST_MAX = 4096, /* names and numbers: nobody writes */
};

/* Root of the initial user namespace: every number means what it says. Elsewhere most map to nobody,
 * and the kernel refuses writes above files of nobody. */
static bool is_real_root(void)
{
	auto_fclose FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long inside, outside, count;

	return geteuid() == 0 && f && fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3 &&
	       inside == 0 && outside == 0 && count >= UINT32_MAX;
}

int vfs_package_mount_open(struct stream_package *p, int fuse_fd, const struct vfs_package_mount_opt *opt,
			   struct vfs_package_mount **ret, struct err *e)
{
	struct vfs_package_mount *m = mem_alloc(1, sizeof(*m), e);
	struct vfs_fuse_session_opt session = {
		.ops = &package_ops,
		.owner = m,
		.threads = opt->threads ? opt->threads : THREADS,
		.request_max = REQUEST_MAX,
		.takeover_init = opt->takeover_init,
		.takeover_init_len = opt->takeover_init_len,
		.on_serving = opt->on_serving,
		.on_serving_arg = opt->on_serving_arg,
	};

	if (!m)
		return -1;
	m->package = p;
	m->index = stream_package_index(p);
	m->opt = *opt;
	m->is_every_owner_ours = !is_real_root();
	pkg_index_counts(m->index, &m->counts);
	/* While recording nothing is pushed: every touch must come as a request. */
	if ((opt->record ? package_touches_open(&m->touches, e)
			 : package_push_open(p, fuse_fd, opt->store, &m->push, e)) < 0 ||
	    vfs_fuse_session_open(fuse_fd, &session, &m->session, e) < 0) {
		vfs_package_mount_close(m);
		return -1;
	}
	if (!m->push)
		stream_package_keep(p, 0);
	*ret = m;
	return 0;
}

int vfs_package_mount_run(struct vfs_package_mount *m, struct err *e)
{
	int r;

	r = vfs_fuse_session_run(m->session, e);
	atomic_store(&m->is_stopping, true);
	return r;
}

void vfs_package_mount_stop(struct vfs_package_mount *m)
{
	atomic_store(&m->is_stopping, true);
	vfs_fuse_session_stop(m->session);
}

void vfs_package_mount_close(struct vfs_package_mount *m)
{
	if (!m)
		return;
	package_push_close(m->push);
	vfs_fuse_session_close(m->session);
	package_touches_close(m->touches);
	free(m);
}

bool vfs_package_mount_stores(const struct vfs_package_mount *m)
{
	return m->push != NULL;
}

void vfs_package_mount_stats(struct vfs_package_mount *m, struct vfs_package_stats *ret)
{
	struct vfs_fuse_session *s = m->session;

	*ret = (struct vfs_package_stats){
		.operations = vfs_fuse_session_operations(s),
		.lookups = vfs_fuse_session_count(s, FUSE_LOOKUP),
		.reads = vfs_fuse_session_count(s, FUSE_READ),
		.readdirs =
			vfs_fuse_session_count(s, FUSE_READDIR) + vfs_fuse_session_count(s, FUSE_READDIRPLUS),
		.getattrs = vfs_fuse_session_count(s, FUSE_GETATTR) + vfs_fuse_session_count(s, OPCODE_STATX),
		.bytes_read = atomic_load(&m->bytes_read),
		.bytes_pushed = package_push_bytes(m->push),
	};
	ret->others = ret->operations - ret->lookups - ret->reads - ret->readdirs - ret->getattrs;
}

int vfs_package_mount_touches(struct vfs_package_mount *m, struct pkg_touch **ret, size_t *ret_count,
			      struct err *e)
{
	if (!m->touches)
		return err_set(e, ERR_USAGE, "this mount does not record what is touched");
	return package_touches_copy(m->touches, ret, ret_count, e);
}
