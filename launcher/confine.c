/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities, no_new_privs and the seccomp filter; see confine.h. */
#include "launcher/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Real root inside: owners, permissions, identities, low ports; nothing that reaches the machine. */
static const int root_keeps[] = {
	CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,           CAP_KILL,
	CAP_SETGID, CAP_SETUID,       CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SETFCAP,
};

static int set_capabilities(uint64_t keep, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted = (uint32_t)(keep >> (32 * i));
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(e, errno, "cannot drop capabilities");
	return 0;
}

static int drop_capabilities(uint64_t keep, struct err *e)
{
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap <= 63; cap++) {
		if (keep >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM)
			return err_sys(e, errno, "cannot drop capability %d", cap);
	}
	return set_capabilities(keep, e);
}

int launch_confine_init(const struct launch_sandbox *s, struct err *e)
{
	uint64_t keep = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "no_new_privs");
	if (s->pretend_root)
		return 0;
	if (geteuid() == 0)
		for (size_t i = 0; i < ARRAY_LEN(root_keeps); i++)
			keep |= UINT64_C(1) << root_keeps[i];
	return drop_capabilities(keep, e);
}

int launch_confine_application(const struct launch_sandbox *s, struct err *e)
{
	struct sock_fprog prog = {
		.len = (unsigned short)(s->filter_len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)s->filter,
	};

	if (s->filter_len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		return err_sys(e, errno, "cannot install the system call filter");
	return 0;
}
