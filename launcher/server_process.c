/* SPDX-License-Identifier: Apache-2.0 */
/* See server_process.h. */
#include "launcher/server_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/wire.h"
#include "launcher/server_protocol.h"

static void quieten_signals(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGHUP, SIGPIPE };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All of them are below 32. */
static uint32_t kept_power(enum launch_server_power power)
{
	const uint32_t own_files = 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER;

	switch (power) {
	case LAUNCH_SERVER_NO_POWER:
		break;
	case LAUNCH_SERVER_READS_ALL:
		return 1u << CAP_DAC_READ_SEARCH;
	case LAUNCH_SERVER_WRITES_ALL:
		if (geteuid() != 0)
			return own_files;
		return own_files | 1u << CAP_CHOWN | 1u << CAP_MKNOD | 1u << CAP_SETFCAP;
	}
	return 0;
}

static int drop_power(enum launch_server_power power, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 }, had[2] = { 0 };

	if (syscall(SYS_capget, &head, had) == 0) {
		data[0].effective = had[0].permitted & kept_power(power);
		data[0].permitted = data[0].effective;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "no_new_privs");
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(e, errno, "drop capabilities");
	return 0;
}

static void fill_standard_descriptors(void)
{
	for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR))
		if (fd > 2) {
			(void)close(fd);
			break;
		}
}

/* Above LAUNCH_SERVER_FD. */
static void close_others(bool is_dialled)
{
	unsigned from = LAUNCH_SERVER_FD + 1;

	if (is_dialled) {
		(void)close_range(from, LAUNCH_SERVER_DIALLED_FD - 1, 0);
		(void)fcntl(LAUNCH_SERVER_DIALLED_FD, F_SETFD, FD_CLOEXEC);
		from = LAUNCH_SERVER_DIALLED_FD + 1;
	}
	(void)close_range(from, ~0U, 0);
}

int launch_server_enter(enum launch_server_power power, bool is_dialled, struct err *e)
{
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(LAUNCH_SERVER_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return err_set(e, ERR_USAGE, "this program is started by floe's holder, not by hand");
	(void)fcntl(LAUNCH_SERVER_FD, F_SETFD, FD_CLOEXEC);
	crash_adopt(CRASH_FD);
	close_others(is_dialled);
	fill_standard_descriptors();
	(void)setsid();
	quieten_signals();
	crash_listen(NULL);
	return drop_power(power, e);
}

void launch_server_send(const struct wire_out *m)
{
	struct err ignored;

	if (wire_send(LAUNCH_SERVER_FD, m, &ignored) < 0)
		_exit(0);
}

void launch_server_report(const struct err *why)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	if (why->code == ERR_USAGE)
		(void)fprintf(stderr, "floe: %s\n", why->msg);
	if (wire_put_err(&m, why, &ignored) == 0)
		launch_server_send(&m);
}

void launch_server_say_usage(const char *usage)
{
	(void)fprintf(stderr, "usage: %s\n", usage);
}
