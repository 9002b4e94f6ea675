/* SPDX-License-Identifier: Apache-2.0 */
/* The process that waits for the answer to a request: is it still there to get it? */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/fuse_session.h"

static uint64_t signal_set(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? strtoull(line + strlen(name), NULL, 16) : 0;
}

static bool is_dying(pid_t pid)
{
	const uint64_t kill_bit = UINT64_C(1) << (SIGKILL - 1), quit_bit = UINT64_C(1) << (SIGQUIT - 1);
	char path[64], status[4096];
	uint64_t pending, held;
	auto_fd int fd = -1;
	ssize_t n;

	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && access("/proc/self", F_OK) == 0;
	n = read(fd, status, sizeof(status) - 1);
	if (n < 0)
		return errno == ESRCH;
	status[n] = 0;
	/* Every signal that ends a process without a core dump shows as SIGKILL here; a dumping one from
	 * the keyboard does not. */
	pending = signal_set(status, "\nSigPnd:") | signal_set(status, "\nShdPnd:");
	held = signal_set(status, "\nSigBlk:") | signal_set(status, "\nSigIgn:") |
	       signal_set(status, "\nSigCgt:");
	return (pending & kill_bit) || (pending & quit_bit & ~held);
}

bool vfs_fuse_is_dying(struct fuse_req *req)
{
	if (vfs_fuse_session_is_stopping(fuse_req_userdata(req)))
		return true;
	return fuse_req_interrupted(req) && is_dying(fuse_req_ctx(req)->pid);
}

bool vfs_fuse_current_is_dying(struct vfs_fuse_session *s)
{
	return vfs_fuse_session_is_stopping(s) || is_dying(vfs_fuse_current_pid());
}
