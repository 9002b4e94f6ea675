/* SPDX-License-Identifier: Apache-2.0 */
/* A user and a mount namespace of our own; see sandbox.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "launcher/sandbox.h"

static int write_text(const char *path, const char *text, struct err *e)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fd_write_all(fd, text, strlen(text), e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}

static int forbidden(struct err *e, int sys, const char *step)
{
	return err_set(
		e, ERR_UNSUPPORTED,
		"this machine does not let you make user namespaces (%s: %s): ask its administrator to set "
		"user.max_user_namespaces above 0 and, where it exists, "
		"kernel.apparmor_restrict_unprivileged_userns=0; floe doctor tells more",
		step, strerror(sys));
}

static int map_one(const char *path, unsigned inside, unsigned outside, struct err *e)
{
	char line[48];

	(void)snprintf(line, sizeof(line), "%u %u 1\n", inside, outside);
	if (write_text(path, line, e) < 0)
		return forbidden(e, e->sys, path);
	return 0;
}

int launch_namespaces_make(uid_t uid, gid_t gid, struct err *e)
{
	uid_t outer_uid = geteuid();
	gid_t outer_gid = getegid();

	if (outer_uid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			return err_sys(e, errno, "cannot make a mount namespace");
	} else {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			return forbidden(e, errno, "unshare");
		if (write_text("/proc/self/setgroups", "deny", e) < 0 && e->sys != ENOENT)
			return forbidden(e, e->sys, "setgroups");
		if (map_one("/proc/self/uid_map", uid, outer_uid, e) < 0 ||
		    map_one("/proc/self/gid_map", gid, outer_gid, e) < 0)
			return -1;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, errno, "cannot separate our mounts from the host's");
	return 0;
}
