/* SPDX-License-Identifier: Apache-2.0 */
/* What no application needs; see filter.h. */
#include <errno.h>
#include <seccomp.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "launcher/filter.h"

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

static int add_rules(void *ctx, const void *arg)
{
	int rc = 0;

	(void)arg;
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

int launch_filter_application(void **ret, size_t *ret_len, struct err *e)
{
	return launch_filter_make(add_rules, NULL, ret, ret_len, e);
}
