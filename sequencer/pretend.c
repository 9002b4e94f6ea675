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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum { FILTER_MAX = 64 * 1024 };

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

static int add_rules(scmp_filter_ctx ctx, bool is_real_root)
{
	int rc = add_all(ctx, SCMP_ACT_ERRNO(0), machine, ARRAY_LEN(machine));

	rc |= add_all(ctx, SCMP_ACT_ERRNO(EPERM), refused, ARRAY_LEN(refused));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	if (is_real_root)
		return rc;
	rc |= add_all(ctx, SCMP_ACT_ERRNO(0), identity, ARRAY_LEN(identity));
	return rc | add_devices(ctx);
}

static int export_filter(scmp_filter_ctx ctx, void **ret, size_t *ret_len, struct err *e)
{
	auto_fd int fd = memfd_create("floe-filter", MFD_CLOEXEC);
	auto_buf struct buf b = BUF_INIT(FILTER_MAX);

	if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(e, ERR_UNSUPPORTED, "cannot make the system call filter");
	if (fd_read_to_end(fd, &b, e) < 0)
		return -1;
	*ret = mem_steal(b.data);
	*ret_len = b.len;
	return 0;
}

int seq_pretend_filter(bool is_real_root, void **ret, size_t *ret_len, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc = -1;

	if (!ctx)
		return err_set(e, ERR_NOMEM, "cannot make the system call filter");
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#if defined(__x86_64__)
	(void)seccomp_arch_add(ctx, SCMP_ARCH_X86);
#endif
	if (add_rules(ctx, is_real_root) != 0)
		(void)err_set(e, ERR_UNSUPPORTED, "cannot make the system call filter");
	else
		rc = export_filter(ctx, ret, ret_len, e);
	seccomp_release(ctx);
	return rc;
}
