/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing an upper, and every state in which it can be interrupted. */
#include <signal.h>

#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static char frozen[128];

static void fill(void)
{
	auto_fd int d = make_dir(scratch.root, "d");
	const struct timespec times[2] = { { 1000, 1 }, { 2000, 2 } };

	(void)snprintf(frozen, sizeof(frozen), "%s/frozen", scratch.path);
	put_file(d, "f", "text");
	assert_int_equal(cow_upper_set_redirect(scratch.u, d, "/elsewhere"), 0);
	assert_int_equal(fsetxattr(scratch.root, "user.colour", "red", 3, 0), 0);
	assert_int_equal(fsetxattr(scratch.root, "user.overlay.overlay.x", "app", 3, 0), 0);
	assert_int_equal(fsetxattr(scratch.root, COW_ATTR_IMPURE, "y", 1, 0), 0);
	put_file(scratch.u->orphans, "3", "x");
	assert_int_equal(fchmod(scratch.root, 01751), 0);
	assert_int_equal(futimens(scratch.root, times), 0);
	cow_upper_close(scratch.u);
	scratch.u = NULL;
}

static void freeze(void)
{
	struct err e;

	if (cow_upper_freeze(scratch.upper, scratch.work, frozen, &e) < 0)
		fail_msg("%s", e.msg);
}

static void check_old(void)
{
	auto_fd int fd = open(scratch.upper, O_RDONLY | O_CLOEXEC);
	char value[8];

	check_file(fd, "d/f", "text");
	assert_int_equal(fgetxattr(fd, "user.colour", value, sizeof(value)), 3);
	assert_true(fgetxattr(fd, COW_ATTR_FRESH, value, sizeof(value)) < 0);
}

static void check_new(mode_t mode)
{
	auto_fd int root = open(frozen, O_RDONLY | O_CLOEXEC);
	unsigned features;
	char value[64];
	struct stat st, old;
	struct err e;

	check_file(root, "d/f", "text");
	assert_int_equal(fstat(root, &old), 0);
	assert_int_equal(old.st_mode & 07777, mode);
	assert_true(fgetxattr(root, COW_ATTR_FRESH, value, sizeof(value)) < 0);
	assert_int_equal(cow_upper_features(frozen, &features, &e), 0);
	assert_int_equal(features, COW_FEATURE_REDIRECT);
	assert_int_equal(cow_upper_features(scratch.upper, &features, &e), 0);
	assert_int_equal(features, 0);
	assert_int_equal(stat(scratch.upper, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st_uid, old.st_uid);
	scratch_reopen(false);
	check_empty(scratch.root);
	assert_int_equal(fgetxattr(scratch.root, "user.colour", value, sizeof(value)), 3);
	assert_int_equal(fgetxattr(scratch.root, "user.overlay.overlay.x", value, sizeof(value)), 3);
	assert_true(fgetxattr(scratch.root, COW_ATTR_IMPURE, value, sizeof(value)) < 0);
	assert_true(fgetxattr(scratch.root, COW_ATTR_FRESH, value, sizeof(value)) < 0);
	check_empty(scratch.u->orphans);
}

static void test_freezing(void **state)
{
	(void)state;
	fill();
	freeze();
	check_new(01751);
}

static void test_closed_upper(void **state)
{
	(void)state;
	fill();
	assert_int_equal(chmod(scratch.upper, 0555), 0);
	freeze();
	check_new(0555);
	assert_int_equal(chmod(frozen, 0755), 0);
}

static void test_refusals(void **state)
{
	char other[160];
	struct err e;

	(void)state;
	fill();
	assert_int_equal(mkdir(frozen, 0755), 0); /* somebody's, though empty */
	assert_int_equal(cow_upper_freeze(scratch.upper, scratch.work, frozen, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	check_old();
	assert_int_equal(rmdir(frozen), 0);
	assert_int_equal(cow_upper_freeze(scratch.upper, scratch.work, "/proc/frozen", &e), -1);
	check_old();
	(void)snprintf(other, sizeof(other), "%s/link", scratch.path);
	assert_int_equal(symlink("upper", other), 0);
	assert_int_equal(cow_upper_freeze(other, scratch.work, frozen, &e), -1);
	check_old();
	freeze();
	check_new(01751);
}

/* The owner that an application gave "/" stays, and so does what says that there are such owners. */
static void test_owner_of_the_root(void **state)
{
	struct stat st = { 0 };
	unsigned features;
	struct err e;

	(void)state;
	assert_int_equal(cow_upper_set_override(scratch.u, scratch.root, ".", 7, 8, 0755), 0);
	assert_int_equal(cow_upper_use(scratch.u, COW_FEATURE_LAZY), 0);
	fill();
	freeze();
	assert_int_equal(cow_upper_features(scratch.upper, &features, &e), 0);
	assert_int_equal(features, COW_FEATURE_OWNER);
	scratch_reopen(false);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_OWNER));
	assert_int_equal(cow_upper_override(scratch.u, scratch.root, ".", &st), 0);
	assert_int_equal(st.st_gid, 8);
}

static void mark_fresh(const char *path)
{
	assert_int_equal(setxattr(path, COW_ATTR_FRESH, "y", 1, 0), 0);
}

/* Step 2 or 3 was the last. */
static void test_interrupted_before_the_step(void **state)
{
	char fresh[160];

	(void)state;
	fill();
	(void)snprintf(fresh, sizeof(fresh), "%s/fresh", scratch.work);
	assert_int_equal(mkdir(fresh, 0700), 0);
	check_old();
	freeze();
	check_new(01751);
	assert_int_equal(scratch_teardown(state), 0);

	assert_int_equal(scratch_setup(state), 0);
	fill();
	assert_int_equal(mkdir(frozen, 0755), 0);
	mark_fresh(frozen);
	assert_int_equal(chmod(frozen, 0555), 0);
	check_old();
	scratch_reopen(false); /* the union may well be used before the next try */
	cow_upper_close(scratch.u);
	scratch.u = NULL;
	freeze();
	check_new(01751);
}

/* Step 4 was: the new state, in which the new upper still has its mark. */
static void test_interrupted_after_the_step(void **state)
{
	char second[160];
	struct err e;

	(void)state;
	fill();
	freeze();
	mark_fresh(scratch.upper);
	check_new(01751); /* opens it, too */
	cow_upper_close(scratch.u);
	scratch.u = NULL;
	/* Frozen without having been opened, an empty upper is not taken for a leftover. */
	mark_fresh(scratch.upper);
	(void)snprintf(second, sizeof(second), "%s/second", scratch.path);
	assert_int_equal(cow_upper_freeze(scratch.upper, scratch.work, second, &e), 0);
	assert_int_equal(cow_upper_freeze(scratch.upper, scratch.work, second, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
}

/* Killed anywhere, again and again. */
static void test_killed(void **state)
{
	unsigned seed = (unsigned)getpid(), done = 0;

	(void)state;
	print_message("seed %u\n", seed);
	fill();
	for (int round = 0; round < 60 && !done; round++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			struct err e;

			_exit(cow_upper_freeze(scratch.upper, scratch.work, frozen, &e) < 0);
		}
		(void)usleep((useconds_t)(rand_r(&seed) % 500));
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			assert_int_equal(WEXITSTATUS(status), 0);
		done = access(frozen, F_OK) == 0 && lgetxattr(frozen, COW_ATTR_FRESH, NULL, 0) < 0;
		if (!done)
			check_old();
	}
	if (!done)
		freeze();
	check_new(01751);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_freezing),
		SCRATCH_TEST(test_closed_upper),
		SCRATCH_TEST(test_refusals),
		SCRATCH_TEST(test_owner_of_the_root),
		SCRATCH_TEST(test_interrupted_before_the_step),
		SCRATCH_TEST(test_interrupted_after_the_step),
		SCRATCH_TEST(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
