/* SPDX-License-Identifier: Apache-2.0 */
/* Can this kernel do what floe needs? Answered by doing it, in a child that is thrown away; settings of the
 * kernel are read only to explain a refusal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/doctor.h"
#include "launcher/sandbox.h"
#include "vfs/fuse_mount.h"

int doctor_try_in_child(doctor_experiment_fn *experiment, const char *dir, struct err *e)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	pid = fork();
	if (pid < 0) {
		int sys = errno;

		fd_close(ends[0]);
		fd_close(ends[1]);
		return err_sys(e, sys, "fork");
	}
	if (pid == 0) {
		struct err why = { .code = ERR_NONE };

		if (launch_namespaces_make(geteuid(), getegid(), &why) == 0 && experiment)
			(void)!experiment(dir, &why);
		_exit(why.code && write(ends[1], &why, sizeof(why)) < 0 ? 1 : 0);
	}
	fd_close(ends[1]);
	do
		n = read(ends[0], e, sizeof(*e));
	while (n < 0 && errno == EINTR);
	fd_close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(*e)) {
		e->msg[sizeof(e->msg) - 1] = 0;
		return -1;
	}
	if (n != 0 || status != 0)
		return err_set(e, ERR_IO, "the experiment ended badly (status %d)", status);
	return 0;
}

/* A number in a file of /proc/sys; -1 when it is not there. */
static long setting(const char *path)
{
	auto_buf struct buf b = BUF_INIT(64);
	const char *text;
	struct err e;

	if (fd_read_file(AT_FDCWD, path, &b, &e) < 0)
		return -1;
	text = buf_text(&b, &e);
	return text ? strtol(text, NULL, 10) : -1;
}

static void look_at_version(struct doctor_report *r)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) {
		doctor_add(r, DOCTOR_WARN, "kernel", NULL, "its version is not known");
		return;
	}
	if (major < 5 || (major == 5 && minor < 11))
		doctor_add(r, DOCTOR_FAIL, "kernel", "use Linux 5.11 or later: overlay for users began there",
			   "Linux %s", u.release);
	else if (major < 6 || (major == 6 && minor < 9))
		doctor_add(r, DOCTOR_OK, "kernel", NULL,
			   "Linux %s (6.9 and later also hide the death of a server)", u.release);
	else
		doctor_add(r, DOCTOR_OK, "kernel", NULL, "Linux %s", u.release);
}

static void explain_refusal(struct doctor_report *r, const struct err *why)
{
	const char *advice = "ask the administrator of this machine (or of this container) to allow "
			     "unprivileged user namespaces";

	if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
		advice = "AppArmor restricts them: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or "
			 "an AppArmor profile for floe that allows userns";
	else if (setting("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		advice = "they are switched off: sysctl kernel.unprivileged_userns_clone=1";
	else if (setting("/proc/sys/user/max_user_namespaces") == 0)
		advice = "they are switched off: sysctl user.max_user_namespaces=10000";
	doctor_add(r, DOCTOR_FAIL, "user namespaces", advice, "%s", why->msg);
}

static int look_at_namespaces(struct doctor_report *r)
{
	struct err e;

	if (doctor_try_in_child(NULL, NULL, &e) < 0) {
		if (geteuid() == 0)
			doctor_add(r, DOCTOR_FAIL, "mount namespaces",
				   "this container keeps even root from mounting: give it CAP_SYS_ADMIN, or "
				   "run floe as an ordinary user",
				   "%s", e.msg);
		else
			explain_refusal(r, &e);
		return -1;
	}
	if (geteuid() == 0)
		doctor_add(r, DOCTOR_OK, "mount namespaces", NULL, "can be made (root needs no more)");
	else
		doctor_add(r, DOCTOR_OK, "user namespaces", NULL, "can be made by this user");
	return 0;
}

static void look_at_device(struct doctor_report *r)
{
	auto_fd int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		doctor_add(r, DOCTOR_OK, "/dev/fuse", NULL, "can be opened");
	else if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		doctor_add(r, DOCTOR_FAIL, "/dev/fuse",
			   "load the module (modprobe fuse), or give the container the device (--device "
			   "/dev/fuse)",
			   "%s", strerror(errno));
	else
		doctor_add(r, DOCTOR_FAIL, "/dev/fuse",
			   "chmod 0666 /dev/fuse, as udev does elsewhere; in a container allow the device",
			   "%s", strerror(errno));
}

/* Nobody answers the mount's INIT, so nothing is asked of it; closing the descriptor ends it. */
static int mount_fuse(const char *dir, struct err *e)
{
	auto_fd int fd = -1;

	if (vfs_fuse_mount(dir, "floe-doctor", true, &fd, e) < 0)
		return -1;
	if (umount2(dir, MNT_DETACH) < 0)
		return err_sys(e, errno, "unmount %s", dir);
	return 0;
}

static void look_at_fuse_mount(struct doctor_report *r)
{
	char dir[] = "/tmp/floe-doctor-XXXXXX";
	struct err e;

	if (!mkdtemp(dir)) {
		doctor_add(r, DOCTOR_WARN, "FUSE mount", NULL, "not tried: /tmp: %s", strerror(errno));
		return;
	}
	if (doctor_try_in_child(mount_fuse, dir, &e) < 0)
		doctor_add(r, DOCTOR_FAIL, "FUSE mount",
			   "packages cannot be mounted: FUSE needs Linux 4.18, and a container that allows "
			   "mount(2)",
			   "%s", e.msg);
	else
		doctor_add(r, DOCTOR_OK, "FUSE mount", NULL, "works in a namespace of our own");
	(void)rmdir(dir);
}

void doctor_look_at_kernel(struct doctor_report *r)
{
	int can_mount;

	look_at_version(r);
	can_mount = look_at_namespaces(r);
	look_at_device(r);
	if (can_mount < 0)
		return; /* the rest would say the same again */
	look_at_fuse_mount(r);
	doctor_look_at_engines(r);
}
