/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the holder's servers, and the system call filter of applications; see holder.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/holder.h"
#include "launcher/server_protocol.h"

/* Before exec: an ordinary user's capabilities in the namespace do not survive it. */
static int forget_mount(const char *path)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -1;
	return umount2(path, MNT_DETACH);
}

static _Noreturn void become_server(const char *path, const char *const argv[], const char *forget, int sock)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (forget && forget_mount(forget) < 0)
		_exit(125);
	if (sock == LAUNCH_SERVER_FD ? fcntl(sock, F_SETFD, 0) < 0 : dup2(sock, LAUNCH_SERVER_FD) < 0)
		_exit(125);
	(void)execv(path, (char *const *)argv);
	_exit(127);
}

int holder_server_start(const char *program, const char *const argv[], const char *forget,
			struct holder_server *ret, struct err *e)
{
	auto_free char *relative = mem_printf(e, "libexec/floe/%s", program);
	auto_free char *path = relative ? path_of_install(relative, e) : NULL;
	int pair[2];
	pid_t pid;

	if (!path)
		return -1;
	if (access(path, X_OK) < 0)
		return err_sys(e, errno, "%s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	pid = fork();
	if (pid == 0)
		become_server(path, argv, forget, pair[1]);
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(pair[0]);
		return err_sys(e, errno, "cannot start %s", program);
	}
	*ret = (struct holder_server){ .pid = pid, .sock = pair[0] };
	return 0;
}

void holder_server_close(struct holder_server *s)
{
	fd_close(s->sock);
	s->sock = -1;
	s->pid = 0; /* reaped by the loop, whoever it was */
}

/* Calls that reach the machine or its other users; no application has business with them. */
static const char *const refused[] = {
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"delete_module",
	"finit_module",
	"init_module",
	"ioperm",
	"iopl",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"nfsservctl",
	"open_by_handle_at",
	"perf_event_open",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"settimeofday",
	"stime",
	"swapoff",
	"swapon",
	"syslog",
	"userfaultfd",
	"vhangup",
};

static int add_rules(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		int nr = seccomp_syscall_resolve_name(refused[i]);

		if (nr != __NR_SCMP_ERROR)
			rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	/* Typing into the terminal that the application shares with the user's shell. The kernel looks at
	 * the low 32 bits only, so do we. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCLINUX));
	return rc;
}

static int export_filter(scmp_filter_ctx ctx, void **ret, size_t *ret_len, struct err *e)
{
	auto_fd int fd = memfd_create("floe-filter", MFD_CLOEXEC);
	auto_buf struct buf b = BUF_INIT(64 * 1024);

	if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(e, ERR_UNSUPPORTED, "cannot make the system call filter");
	if (fd_read_to_end(fd, &b, e) < 0)
		return -1;
	*ret = mem_steal(b.data);
	*ret_len = b.len;
	return 0;
}

int holder_filter_make(void **ret, size_t *ret_len, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc = -1;

	if (!ctx)
		return err_set(e, ERR_NOMEM, "cannot make the system call filter");
	/* Programs of another word size pass through the same list; unknown architectures get ENOSYS. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#if defined(__x86_64__)
	(void)seccomp_arch_add(ctx, SCMP_ARCH_X86);
#endif
	if (add_rules(ctx) < 0)
		(void)err_set(e, ERR_UNSUPPORTED, "cannot make the system call filter");
	else
		rc = export_filter(ctx, ret, ret_len, e);
	seccomp_release(ctx);
	return rc;
}
