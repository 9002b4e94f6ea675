/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted files that live on. */
#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static void test_opening(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(cow_orphan_open(scratch.u, 1, &fd), ENOENT);
	put_file(scratch.root, "f", "text");
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "f", UINT64_MAX), 0);
	assert_int_equal(cow_orphan_open(scratch.u, UINT64_MAX, &fd), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(write(fd, "T", 1), 1);
	fd_close(fd);
	check_file(cow_orphans_dir(scratch.u), "18446744073709551615", "Text");
	cow_orphan_remove(scratch.u, UINT64_MAX);
	cow_orphan_remove(scratch.u, UINT64_MAX);
	check_empty(cow_orphans_dir(scratch.u));
}

/* Its owner has it open, whatever its mode says now. */
static void test_opening_in_spite_of_mode(void **state)
{
	int fd;

	(void)state;
	put_file(scratch.u->orphans, "4", "text");
	assert_int_equal(fchmodat(scratch.u->orphans, "4", 0, 0), 0);
	assert_int_equal(cow_orphan_open(scratch.u, 4, &fd), 0);
	assert_int_equal(write(fd, "T", 1), 1);
	fd_close(fd);
	assert_int_equal(mode_of(scratch.u->orphans, "4"), 0);
}

/* Opening a FIFO for real would wait, or wake somebody. */
static void test_opening_what_is_no_file(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(symlinkat("target", scratch.root, "link"), 0);
	assert_int_equal(mknodat(scratch.root, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(cow_upper_whiteout(scratch.u, scratch.root, "link", 5), 0);
	assert_int_equal(cow_upper_whiteout(scratch.u, scratch.root, "fifo", 6), 0);
	for (uint64_t id = 5; id < 7; id++) {
		assert_int_equal(cow_orphan_open(scratch.u, id, &fd), 0);
		assert_true(fcntl(fd, F_GETFL) & O_PATH);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_mode & S_IFMT, id == 5 ? S_IFLNK : S_IFIFO);
		fd_close(fd);
	}
}

static void test_files_without_a_name(void **state)
{
	int fd;

	(void)state;
	put_file(scratch.u->orphans, "7", "stale");
	(void)umask(0777);
	assert_int_equal(cow_orphan_make(scratch.u, 7, S_IFREG | 0440, &fd), 0);
	(void)umask(022);
	assert_int_equal(mode_of(scratch.u->orphans, "7"), 0440);
	assert_int_equal(write(fd, "text", 4), 4);
	fd_close(fd);
	/* A successor finds it. */
	scratch_reopen(true);
	assert_int_equal(cow_orphan_open(scratch.u, 7, &fd), 0);
	fd_close(fd);
	put_file(scratch.root, "taken", "x");
	assert_int_equal(cow_orphan_name(scratch.u, 7, scratch.root, "taken"), EEXIST);
	check_file(scratch.u->orphans, "7", "text");
	put_whiteout(scratch.root, "w");
	assert_int_equal(cow_orphan_name(scratch.u, 7, scratch.root, "w"), 0);
	check_file(scratch.root, "w", "text");
	check_empty(scratch.u->orphans);
	assert_int_equal(cow_orphan_make(scratch.u, 8, 0600, &fd), 0);
	fd_close(fd);
	assert_int_equal(cow_orphan_name(scratch.u, 8, scratch.root, long_name('n')), 0);
	assert_true(is_there(scratch.root, long_name('n')));
	assert_int_equal(cow_orphan_name(scratch.u, 8, scratch.root, "again"), ENOENT);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_opening),
		SCRATCH_TEST(test_opening_in_spite_of_mode),
		SCRATCH_TEST(test_opening_what_is_no_file),
		SCRATCH_TEST(test_files_without_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
