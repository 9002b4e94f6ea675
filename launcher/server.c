/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and ending servers; see server.h. */
#include "launcher/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fd.h"
#include "base/path.h"
#include "launcher/crash_report.h"
#include "launcher/server_protocol.h"

/* Before exec: an ordinary user's capabilities in the namespace do not survive it. */
static int forget_mount(const char *path)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -1;
	return umount2(path, MNT_DETACH);
}

/* An ordinary uid keeps nothing over exec but what is ambient. */
static int take_power_along(void)
{
	static const int taken[] = { CAP_DAC_OVERRIDE, CAP_FOWNER };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (geteuid() == 0)
		return 0;
	if (syscall(SYS_capget, &head, data) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		data[0].inheritable |= 1u << taken[i];
	if (syscall(SYS_capset, &head, data) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, taken[i], 0, 0) < 0)
			return -1;
	return 0;
}

static int add_variables(const char *const *list)
{
	for (; list && *list; list++)
		if (putenv((char *)(uintptr_t)*list) != 0)
			return -1;
	return 0;
}

static _Noreturn void become(const char *path, const char *const argv[], const struct launch_server_opt *opt,
			     int sock, int area)
{
	/* Beyond those that are about to be given away. */
	int dialled = opt && opt->dialled
			      ? fcntl(*opt->dialled, F_DUPFD_CLOEXEC, LAUNCH_SERVER_DIALLED_FD + 1)
			      : -1;
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setpgid(0, 0);
	if ((opt && opt->dialled && dialled < 0) || (opt && opt->forget && forget_mount(opt->forget) < 0) ||
	    (opt && opt->writes_all && take_power_along() < 0) ||
	    (opt && add_variables(opt->variables) < 0) ||
	    (opt && opt->cache_home && setenv("XDG_CACHE_HOME", opt->cache_home, 1) < 0) ||
	    (sock == LAUNCH_SERVER_FD ? fcntl(sock, F_SETFD, 0) < 0 : dup2(sock, LAUNCH_SERVER_FD) < 0))
		_exit(125);
	if (area >= 0)
		(void)dup2(area, CRASH_FD);
	if (dialled >= 0)
		(void)dup2(dialled, LAUNCH_SERVER_DIALLED_FD);
	(void)execv(path, (char *const *)argv);
	_exit(127);
}

int launch_server_start(const char *const argv[], const struct launch_server_opt *opt,
			struct launch_server *ret, struct err *e)
{
	auto_free char *relative = mem_printf(e, "libexec/floe/%s", argv[0]);
	auto_free char *path = relative ? path_of_install(relative, e) : NULL;
	int pair[2], area;
	pid_t pid;

	if (!path)
		return -1;
	if (access(path, X_OK) < 0)
		return err_sys(e, errno, "%s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	area = crash_area_make();
	pid = fork();
	if (pid == 0)
		become(path, argv, opt, pair[1], area);
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(area);
		fd_close(pair[0]);
		return err_sys(e, errno, "cannot start %s", argv[0]);
	}
	launch_crash_watch(pid, argv, area);
	*ret = (struct launch_server){ .pid = pid, .sock = pair[0] };
	return 0;
}

void launch_server_release(struct launch_server *s)
{
	fd_close(s->sock);
	*s = (struct launch_server)LAUNCH_SERVER_NONE;
}

void launch_server_stop(struct launch_server *s)
{
	pid_t pid = s->pid;

	launch_server_release(s);
	if (pid <= 0)
		return;
	/* It only serves what nobody looks at any more: no reason to wait for its manners. */
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	launch_crash_reaped(pid, 0);
}
