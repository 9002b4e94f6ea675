/* SPDX-License-Identifier: Apache-2.0 */
/* The installer's seccomp filter; see pretend.h.
 *
 * A filter sees numbers, not what pointers point to: extended attributes cannot be told apart by name here,
 * and pass. In a user namespace security.capability can really be set, which is all that package
 * managers need. mknod passes for FIFOs, sockets and files; devices are pretended. */
#include "sequencer/pretend.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "launcher/filter.h"

/* Owners and identities: there is one user in the namespace, and its files are all its own. */
static const char *const identity[] = {
	"chown",      "chown32",    "fchown",      "fchown32",   "lchown",      "lchown32",   "fchownat",
	"setuid",     "setuid32",   "setgid",      "setgid32",   "setreuid",    "setreuid32", "setregid",
	"setregid32", "setresuid",  "setresuid32", "setresgid",  "setresgid32", "setgroups",  "setgroups32",
	"setfsuid",   "setfsuid32", "setfsgid",    "setfsgid32",
};

/* The machine: an installer that loads a module or sets the clock goes on as if it had. */
static const char *const machine[] = {
	"init_module", "finit_module", "delete_module", "kexec_load",    "kexec_file_load",
	"reboot",      "swapon",       "swapoff",       "settimeofday",  "clock_settime",
	"acct",        "quotactl",     "nfsservctl",    "clock_adjtime", "adjtimex",
};

/* Ways around the union, or into other processes' terminals and memory of the kernel. */
static const char *const refused[] = {
	"open_by_handle_at", "bpf", "perf_event_open", "iopl", "ioperm", "userfaultfd", "lookup_dcookie",
};

static int add_all(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr != __NR_SCMP_ERROR)
			rc |= seccomp_rule_add(ctx, action, nr, 0);
	}
	return rc;
}

static int add_devices(scmp_filter_ctx ctx)
{
	static const mode_t kinds[] = { S_IFCHR, S_IFBLK };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(mknod), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, S_IFMT, kinds[i]));
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(mknodat), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, kinds[i]));
	}
	return rc;
}

static int add_rules(void *ctx, const void *arg)
{
	const bool *is_real_root = arg;
	int rc = add_all(ctx, SCMP_ACT_ERRNO(0), machine, ARRAY_LEN(machine));

	rc |= add_all(ctx, SCMP_ACT_ERRNO(EPERM), refused, ARRAY_LEN(refused));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	if (*is_real_root)
		return rc;
	rc |= add_all(ctx, SCMP_ACT_ERRNO(0), identity, ARRAY_LEN(identity));
	return rc | add_devices(ctx);
}

int seq_pretend_filter(bool is_real_root, void **ret, size_t *ret_len, struct err *e)
{
	return launch_filter_make(add_rules, &is_real_root, ret, ret_len, e);
}
