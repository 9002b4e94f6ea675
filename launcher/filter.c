/* SPDX-License-Identifier: Apache-2.0 */
/* From rules to a BPF program; see filter.h. */
#include "launcher/filter.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

enum { FILTER_MAX = 64 * 1024 };

static int export_program(scmp_filter_ctx ctx, void **ret, size_t *ret_len, struct err *e)
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

int launch_filter_make(launch_filter_rules_fn *rules, const void *arg, void **ret, size_t *ret_len,
		       struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc = -1;

	if (!ctx)
		return err_set(e, ERR_NOMEM, "cannot make the system call filter");
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#if defined(__x86_64__)
	(void)seccomp_arch_add(ctx, SCMP_ARCH_X86);
#endif
	if (rules(ctx, arg) != 0)
		(void)err_set(e, ERR_UNSUPPORTED, "cannot make the system call filter");
	else
		rc = export_program(ctx, ret, ret_len, e);
	seccomp_release(ctx);
	return rc;
}
