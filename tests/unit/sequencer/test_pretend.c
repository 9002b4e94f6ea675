/* SPDX-License-Identifier: Apache-2.0 */
/* The filter, installed in a child: what it pretends, what it lets through, what it refuses. */
#include "tests/unit/sequencer/fixture.h"

#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "sequencer/pretend.h"

static void install(bool is_real_root)
{
	struct sock_fprog prog;
	void *filter;
	size_t len;
	struct err e;

	if (seq_pretend_filter(is_real_root, &filter, &len, &e) < 0)
		_exit(100);
	prog = (struct sock_fprog){ .len = (unsigned short)(len / sizeof(struct sock_filter)),
				    .filter = filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		_exit(101);
}

/* The number of the check that failed, or 0. */
static int as_pretended_root(void)
{
	struct stat st;
	gid_t groups[] = { 1, 2, 3 };

	if (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0)
		return 1;
	install(false);
	if (chown(in_scratch("open/file"), 1, 1) < 0 || lchown(in_scratch("nowhere"), 1, 1) < 0)
		return 2;
	if (setgroups(3, groups) < 0 || setuid(1) < 0 || setresgid(1, 1, 1) < 0 || getuid() == 1)
		return 3;
	if (mknod(in_scratch("open/dev"), S_IFCHR | 0600, makedev(1, 3)) < 0 ||
	    lstat(in_scratch("open/dev"), &st) == 0)
		return 4;
	if (mkfifo(in_scratch("open/fifo"), 0600) < 0 || lstat(in_scratch("open/fifo"), &st) < 0 ||
	    !S_ISFIFO(st.st_mode))
		return 5;
	if (mknod(in_scratch("open/plain"), 0600, 0) < 0 || lstat(in_scratch("open/plain"), &st) < 0 ||
	    !S_ISREG(st.st_mode))
		return 6;
	if (syscall(SYS_init_module, NULL, 0, "") != 0 || syscall(SYS_reboot, 0, 0, 0, NULL) != 0)
		return 7;
	if (syscall(SYS_open_by_handle_at, -1, NULL, 0) == 0 || errno != EPERM)
		return 8;
	return 0;
}

static int as_real_root(void)
{
	struct stat st;

	install(true);
	if (chown(in_scratch("open/file"), 1, 1) < 0 || stat(in_scratch("open/file"), &st) < 0 ||
	    st.st_uid != 1)
		return 1;
	return syscall(SYS_delete_module, "x", 0) == 0 ? 0 : 2;
}

static int status_of(int (*check)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(check());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void pretended_root_is_told_what_it_wants_to_hear(void **state)
{
	(void)state;
	put_file("open/file", "x", 0644);
	assert_int_equal(chmod(in_scratch("open"), 0777), 0);
	assert_int_equal(chmod(scratch, 0755), 0);
	assert_int_equal(status_of(as_pretended_root), 0);
}

static void real_root_really_owns(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put_file("open/file", "x", 0644);
	assert_int_equal(status_of(as_real_root), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pretended_root_is_told_what_it_wants_to_hear),
		TEST(real_root_really_owns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
