/* SPDX-License-Identifier: Apache-2.0 */
/* floe-host-view: serves a host directory tree read-only to one user namespace; protocol in
 * server_protocol.h. Its death is not survived: the view's node ids are its own. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/wire.h"
#include "launcher/server_process.h"
#include "launcher/server_protocol.h"
#include "vfs/host_view.h"

static void on_serving(void *arg)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	(void)arg;
	if (wire_put_str(&m, "type", "serving", &ignored) == 0)
		launch_server_send(&m);
}

static int serve(const char *root, struct err *e)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct vfs_host_view_opt opt = { .on_serving = on_serving };
	auto_fd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t uid, gid;
	int fuse_fd, r;

	if (root_fd < 0)
		return err_sys(e, errno, "%s", root);
	r = wire_recv(LAUNCH_SERVER_FD, &m, e);
	if (r <= 0)
		return r;
	if (!wire_is(&m, "type", "serve") || wire_u64(&m, "uid", &uid, e) < 0 ||
	    wire_u64(&m, "gid", &gid, e) < 0)
		return err_set(e, ERR_FORMAT, "a message that is not understood instead of \"serve\"");
	fuse_fd = wire_steal_fd(&m, 0);
	if (fuse_fd < 0)
		return err_set(e, ERR_FORMAT, "no descriptor in \"serve\"");
	opt.uid = (uid_t)uid;
	opt.gid = (gid_t)gid;
	if (launch_server_exit_with_holder(e) < 0)
		return -1;
	return vfs_host_view_serve(root_fd, fuse_fd, &opt, e);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct err why;

	if (argc != 3 || strcmp(argv[1], "--root") != 0) {
		launch_server_say_usage("floe-host-view --root PATH");
		return 125;
	}
	/* Descriptors are kept so that a file that the host deletes stays readable for who uses it. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (launch_server_enter(LAUNCH_SERVER_READS_ALL, &why) < 0 || serve(argv[2], &why) < 0) {
		launch_server_report(&why);
		return 125;
	}
	return 0;
}
