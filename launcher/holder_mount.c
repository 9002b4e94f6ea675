/* SPDX-License-Identifier: Apache-2.0 */
/* Served mounts; see holder_mount.h. */
#include "launcher/holder_mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "vfs/fuse_mount.h"

/* Who kills servers five times a second does not get through to applications; a request that every server
 * dies of does after a few seconds. */
enum { RESTARTS_MAX = 80, RESTART_WINDOW_MS = 10 * 1000, REMAKES_MAX = 3 };

int holder_mount_make(struct holder_mount *m, const char *label, bool is_written, bool has_table,
		      struct err *e)
{
	if (path_make_dirs(m->point, 0700, e) < 0)
		return -1;
	if (has_table && m->table < 0) {
		m->table = memfd_create("floe-nodes", MFD_CLOEXEC);
		if (m->table < 0)
			return err_sys(e, errno, "memfd");
	}
	if (vfs_fuse_mount(m->point, label, !is_written, &m->fuse_fd, e) < 0)
		return -1;
	m->is_mounted = true;
	m->is_written = is_written;
	return 0;
}

int holder_mount_serve(const struct holder_mount *m, int lock, struct err *e)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;

	if (wire_put_str(&out, "type", "serve", e) < 0 || wire_put_u64(&out, "uid", geteuid(), e) < 0 ||
	    wire_put_u64(&out, "gid", getegid(), e) < 0 || wire_put_fd(&out, m->fuse_fd, e) < 0 ||
	    (m->table >= 0 && wire_put_fd(&out, m->table, e) < 0) ||
	    (lock >= 0 && wire_put_fd(&out, lock, e) < 0) ||
	    (m->init && wire_put(&out, "init", m->init, m->init_len, e) < 0))
		return -1;
	if (wire_send(m->server.sock, &out, e) < 0)
		return e->sys == EPIPE || e->sys == ECONNRESET ? 0 : -1;
	return 0;
}

int holder_mount_hear(struct holder_mount *m, struct wire_in *ret, struct err *e)
{
	int n = wire_recv(m->server.sock, ret, e);

	if (n == 0 || (n < 0 && e->sys == ECONNRESET)) {
		fd_close(m->server.sock);
		m->server.sock = -1;
		return 0;
	}
	return n < 0 ? -1 : wire_error(ret, e) < 0 ? -1 : 1;
}

int holder_mount_served(struct holder_mount *m, const struct wire_in *serving, struct err *e)
{
	struct wire_field f;

	if (m->init || !wire_find(serving, "init", &f))
		return 0;
	m->init = mem_alloc(1, f.len, e);
	if (!m->init)
		return -1;
	memcpy(m->init, f.value, f.len);
	m->init_len = f.len;
	return 0;
}

int holder_mount_outlives(struct holder_mount *m, const char *what, struct err *e)
{
	uint64_t now = sync_now_ms();

	launch_server_release(&m->server);
	if (!m->init)
		return err_set(e, ERR_IO, "the server for %s died while starting", what);
	if (now - m->restart_window_ms > RESTART_WINDOW_MS) {
		m->restart_window_ms = now;
		m->restarts = 0;
	}
	if (++m->restarts > RESTARTS_MAX)
		return err_set(e, ERR_IO, "the server for %s keeps dying", what);
	return 0;
}

/* An INIT request that somebody has taken and not answered comes only once, so that the connection is lost.
 * Nobody has used it. */
int holder_mount_remake(struct holder_mount *m, const char *label, struct err *e)
{
	bool has_table = m->table >= 0;

	launch_server_release(&m->server);
	if (++m->restarts > REMAKES_MAX)
		return err_set(e, ERR_IO, "the server for %s died while starting", label);
	if (!m->is_mounted)
		return 0;
	fd_close(m->fuse_fd);
	fd_close(m->table);
	m->fuse_fd = m->table = -1;
	(void)umount2(m->point, MNT_DETACH);
	m->is_mounted = false;
	return holder_mount_make(m, label, m->is_written, has_table, e);
}

/* The end of a mount writes what is still in memory: that waits for the server, so that a child does it. The
 * child must not hold what tells server and kernel that we have let go. */
static bool unmount_in_child(const struct holder_mount *m)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)close_range(STDERR_FILENO + 1, ~0U, 0);
		(void)umount2(m->point, MNT_DETACH);
		(void)rmdir(m->point);
		_exit(0);
	}
	return pid > 0;
}

void holder_mount_give_up(struct holder_mount *m)
{
	launch_server_release(&m->server);
	fd_close(m->fuse_fd); /* without a server, the kernel ends what still waits with ENOTCONN */
	m->fuse_fd = -1;
	if (m->is_mounted && !(m->is_written && unmount_in_child(m)))
		(void)umount2(m->point, MNT_DETACH);
	m->is_mounted = false;
}

void holder_mount_fini(struct holder_mount *m)
{
	bool is_left_to_child = m->is_mounted && m->is_written;

	holder_mount_give_up(m);
	if (m->point && !is_left_to_child)
		(void)rmdir(m->point);
	fd_close(m->table);
	free(m->init);
	free(m->point);
	*m = (struct holder_mount)HOLDER_MOUNT_NONE;
}
