/* SPDX-License-Identifier: Apache-2.0 */
/* An upper to try things on, for the tests of the upper's parts: everywhere (the disk, memory), by everybody
 * (as who runs the test and, that being root, as nobody), and without what some file systems lack.
 * scratch_main runs a group of tests once for each, in a process of its own. */
#ifndef FLOE_TESTS_COW_SCRATCH_H
#define FLOE_TESTS_COW_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "tests/unit/cmocka_all.h"
#include "vfs/cow_upper_state.h"

struct scratch {
	const char *where;
	uid_t uid;
	unsigned without; /* bits of enum cow_upper_can */
	char path[96];
	char upper[112], work[112];
	struct cow_upper *u;
	int root;
};
extern struct scratch scratch;

static inline void scratch_reopen(bool takeover)
{
	struct err e;

	cow_upper_close(scratch.u);
	scratch.u = NULL;
	if (cow_upper_open(scratch.upper, scratch.work, takeover, &scratch.u, &e) < 0)
		fail_msg("%s", e.msg);
	scratch.u->can &= ~scratch.without;
	scratch.without = ~scratch.u->can & (COW_CAN_LEAVE_WHITEOUT | COW_CAN_MAKE_WHITEOUT);
	scratch.root = cow_upper_root(scratch.u);
}

static inline int scratch_setup(void **state)
{
	(void)state;
	(void)umask(022);
	(void)snprintf(scratch.path, sizeof(scratch.path), "%.60s/floe-test-cow-XXXXXX", scratch.where);
	if (!mkdtemp(scratch.path))
		return -1;
	(void)snprintf(scratch.upper, sizeof(scratch.upper), "%s/upper", scratch.path);
	(void)snprintf(scratch.work, sizeof(scratch.work), "%s/work", scratch.path);
	if (mkdir(scratch.upper, 0755) < 0 || mkdir(scratch.work, 0700) < 0)
		return -1;
	scratch_reopen(false);
	return 0;
}

static inline int scratch_teardown(void **state)
{
	struct err e;

	(void)state;
	cow_upper_close(scratch.u);
	scratch.u = NULL;
	return path_remove_tree(AT_FDCWD, scratch.path, &e);
}

#define SCRATCH_TEST(fn) cmocka_unit_test_setup_teardown(fn, scratch_setup, scratch_teardown)

/* ---- steps ---- */

static inline void put_file(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &e), 0);
}

static inline void check_file(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char got[256];
	ssize_t n;

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	n = read(fd, got, sizeof(got) - 1);
	assert_true(n >= 0);
	got[n] = 0;
	assert_string_equal(got, text);
}

static inline bool is_there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline bool is_whiteout(int dir, const char *name)
{
	bool is;
	struct stat st;

	return cow_upper_lookup(scratch.u, dir, name, &st, &is) == 0 && is;
}

static inline uint64_t ino_of(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

static inline mode_t mode_of(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

/* O_PATH, as the union has directories. */
static inline int open_path(int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline int make_dir(int dir, const char *name)
{
	assert_int_equal(mkdirat(dir, name, 0755), 0);
	return open_path(dir, name);
}

/* A whiteout made beforehand, of the kind that this upper makes. */
static inline void put_whiteout(int dir, const char *name)
{
	assert_int_equal(cow_upper_whiteout(scratch.u, dir, name, 0), 0);
	assert_true(is_whiteout(dir, name));
}

/* A device, where such can be made. */
static inline void put_device_whiteout(int dir, const char *name)
{
	if (mknodat(dir, name, S_IFCHR, makedev(0, 0)) < 0)
		put_whiteout(dir, name);
}

static inline void check_empty(int dir)
{
	bool any;

	assert_int_equal(cow_whiteouts_only(scratch.u, dir, &any), 0);
	assert_false(any);
}

static inline const char *long_name(char letter)
{
	static char name[2][256];
	static int turn;

	turn = !turn;
	memset(name[turn], letter, 255);
	return name[turn];
}

/* ---- everywhere ---- */

static inline int scratch_once(const char *where, uid_t uid, unsigned without, int (*run)(void))
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0) {
		int failed;

		if (uid != geteuid() && (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
			_exit(99);
		scratch = (struct scratch){ .where = where, .uid = uid, .without = without };
		print_message("---- in %s, as %u, without %u\n", where, (unsigned)uid, without);
		failed = run();
		(void)fflush(NULL);
		exit(failed ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return status != 0;
}

static inline int scratch_main(int (*run)(void))
{
	const char *tmp = getenv("TMPDIR");
	const char *const places[] = { tmp && *tmp ? tmp : "/tmp", "/dev/shm" };
	const uid_t users[] = { geteuid(), 65534 };
	int failed = 0;

	for (size_t who = 0; who < (geteuid() ? 1 : 2); who++)
		for (size_t at = 0; at < 2; at++)
			for (unsigned without = 0; without < 4; without++)
				failed += scratch_once(places[at], users[who], without, run);
	return failed;
}

#endif
