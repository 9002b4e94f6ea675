/* SPDX-License-Identifier: Apache-2.0 */
/* Servers for one run; see server.h. */
#include "sequencer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/fuse_mount.h"

int seq_server_receive(const struct launch_server *s, const char *type, struct wire_in *ret, struct err *e)
{
	for (;;) {
		auto_wire_in struct wire_in m = WIRE_IN_INIT;
		int got = wire_recv(s->sock, &m, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_IO, "a server of floe's ended unexpectedly");
		if (wire_error(&m, e) < 0)
			return -1;
		if (!wire_is(&m, "type", type))
			continue;
		*ret = m;
		m = (struct wire_in)WIRE_IN_INIT;
		return 0;
	}
}

int seq_server_ask(const struct launch_server *s, const char *type, struct wire_in *ret, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	if (wire_put_str(&m, "type", type, e) < 0 || wire_send(s->sock, &m, e) < 0)
		return -1;
	return seq_server_receive(s, type, ret, e);
}

int seq_server_serve(const struct launch_server *s, const char *point, const char *label, bool read_only,
		     struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int fuse_fd = -1, table = memfd_create("floe-nodes", MFD_CLOEXEC);

	if (table < 0)
		return err_sys(e, errno, "memfd");
	if (vfs_fuse_mount(point, label, read_only, &fuse_fd, e) < 0)
		return -1;
	if (wire_put_str(&m, "type", "serve", e) < 0 || wire_put_u64(&m, "uid", getuid(), e) < 0 ||
	    wire_put_u64(&m, "gid", getgid(), e) < 0 || wire_put_fd(&m, fuse_fd, e) < 0 ||
	    wire_put_fd(&m, table, e) < 0 || wire_send(s->sock, &m, e) < 0)
		return -1;
	return seq_server_receive(s, "serving", &answer, e);
}

int seq_server_start_view(const char *point, bool map_owners, struct launch_server *ret, struct err *e)
{
	const char *const argv[] = { "floe-union-server", "--host", "/", map_owners ? "--map-owners" : NULL,
				     NULL };

	if (launch_server_start(argv, NULL, ret, e) < 0 ||
	    seq_server_serve(ret, point, "floe-host", true, e) < 0)
		return err_wrap(e, "host view");
	return 0;
}

void seq_server_unmount(const char *point)
{
	auto_fd int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)syncfs(fd);
	(void)umount2(point, MNT_DETACH);
}
