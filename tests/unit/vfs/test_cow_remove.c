/* SPDX-License-Identifier: Apache-2.0 */
/* Whiteouts, removal, and what becomes of the removed. */
#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static void test_whiteout_over_nothing(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct stat st;
	char value[4];

	(void)state;
	put_whiteout(d, long_name('w'));
	put_whiteout(d, ".wh.x");
	assert_int_equal(cow_upper_whiteout(scratch.u, d, ".wh.x", 5), 0);
	assert_false(is_there(scratch.u->orphans, "5"));
	assert_int_equal(fstatat(d, ".wh.x", &st, AT_SYMLINK_NOFOLLOW), 0);
	if (scratch.without & COW_CAN_MAKE_WHITEOUT) {
		size_t len;

		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(cow_upper_attr_get(d, ".", COW_ATTR_OPAQUE, value, sizeof(value), &len), 0);
		assert_true(len == 1 && *value == 'x');
	} else {
		assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	}
	check_empty(scratch.u->tmp);
}

static void test_whiteout_keeps_opacity(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;

	(void)state;
	assert_int_equal(cow_upper_set_opaque(scratch.u, d), 0);
	put_whiteout(d, "w");
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_opaque);
}

static void test_whiteout_over_things(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	auto_fd int held = -1, orphan = -1;

	(void)state;
	put_file(d, "gone", "x");
	put_file(d, "kept", "text");
	put_file(scratch.u->orphans, "12", "stale");
	assert_int_equal(symlinkat("x", d, "link"), 0);
	put_whiteout(d, "gone");
	held = openat(d, "kept", O_RDONLY | O_CLOEXEC);
	assert_int_equal(cow_upper_whiteout(scratch.u, d, "kept", 12), 0);
	assert_true(is_whiteout(d, "kept"));
	check_file(scratch.u->orphans, "12", "text");
	orphan = openat(scratch.u->orphans, "12", O_RDWR | O_CLOEXEC);
	assert_true(orphan >= 0);
	assert_int_equal(write(orphan, "TEXT", 4), 4);
	assert_int_equal(cow_upper_whiteout(scratch.u, d, "link", 13), 0);
	assert_true(is_whiteout(d, "link"));
	assert_int_equal(mkdirat(d, "sub", 0755), 0);
	assert_int_equal(cow_upper_whiteout(scratch.u, d, "sub", 0), EISDIR);
	check_empty(scratch.u->tmp);
}

/* After a rename that was interrupted, an orphan's name may lead to what is not deleted yet. */
static void test_an_orphan_that_is_the_file_itself(void **state)
{
	(void)state;
	put_file(scratch.root, "f", "text");
	assert_int_equal(linkat(scratch.root, "f", scratch.u->orphans, "3", 0), 0);
	assert_int_equal(cow_upper_whiteout(scratch.u, scratch.root, "f", 3), 0);
	assert_true(is_whiteout(scratch.root, "f"));
	check_file(scratch.u->orphans, "3", "text");
	put_file(scratch.root, "g", "text");
	assert_int_equal(linkat(scratch.root, "g", scratch.u->orphans, "4", 0), 0);
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "g", 4), 0);
	assert_false(is_there(scratch.root, "g"));
	check_file(scratch.u->orphans, "4", "text");
}

static void test_remove(void **state)
{
	(void)state;
	put_file(scratch.root, "f", "x");
	put_file(scratch.root, "g", "y");
	fd_close(make_dir(scratch.root, "d"));
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "f", 0), 0);
	assert_false(is_there(scratch.root, "f"));
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "g", 77), 0);
	assert_false(is_there(scratch.root, "g"));
	check_file(scratch.u->orphans, "77", "y");
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "g", 77), ENOENT);
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "d", 78), EISDIR);
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "d", 0), EISDIR);
}

static void make_full(const char *name, mode_t mode)
{
	auto_fd int d = make_dir(scratch.root, name);

	put_whiteout(d, "a");
	put_whiteout(d, long_name('b'));
	put_device_whiteout(d, "c");
	assert_int_equal(fchmodat(scratch.root, name, mode, 0), 0);
}

static void test_remove_dir(void **state)
{
	const mode_t modes[] = { 0755, 0555, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		for (int whiteout = 0; whiteout < 2; whiteout++)
			for (int full = 0; full < 2; full++) {
				char name[32];

				(void)snprintf(name, sizeof(name), "d%zu%d%d", i, whiteout, full);
				if (full)
					make_full(name, modes[i]);
				else
					assert_int_equal(mkdirat(scratch.root, name, modes[i]), 0);
				assert_int_equal(
					cow_upper_remove_dir(scratch.u, scratch.root, name, whiteout), 0);
				assert_int_equal(is_there(scratch.root, name), whiteout);
				assert_int_equal(is_whiteout(scratch.root, name), whiteout);
			}
	check_empty(scratch.u->tmp);
	check_empty(scratch.u->trash);
}

static void test_remove_dir_refusals(void **state)
{
	(void)state;
	make_full("d", 0755);
	put_file(scratch.root, "d/real", "x");
	put_file(scratch.root, "f", "x");
	assert_int_equal(fchmodat(scratch.root, "d", 0111, 0), 0);
	for (int whiteout = 0; whiteout < 2; whiteout++) {
		assert_int_equal(cow_upper_remove_dir(scratch.u, scratch.root, "d", whiteout), ENOTEMPTY);
		assert_int_equal(mode_of(scratch.root, "d"), 0111);
		assert_true(is_whiteout(scratch.root, "d/a"));
		check_file(scratch.root, "d/real", "x");
		assert_int_equal(cow_upper_remove_dir(scratch.u, scratch.root, "f", whiteout), ENOTDIR);
		assert_int_equal(cow_upper_remove_dir(scratch.u, scratch.root, "no", whiteout), ENOENT);
	}
	assert_int_equal(fchmodat(scratch.root, "d", 0755, 0), 0);
	assert_int_equal(unlinkat(scratch.root, "d/real", 0), 0);
	/* An empty file is no whiteout, and neither is a directory. */
	put_file(scratch.root, "d/empty", "");
	assert_int_equal(cow_upper_remove_dir(scratch.u, scratch.root, "d", true), ENOTEMPTY);
	assert_int_equal(unlinkat(scratch.root, "d/empty", 0), 0);
	assert_int_equal(mkdirat(scratch.root, "d/sub", 0755), 0);
	assert_int_equal(cow_upper_remove_dir(scratch.u, scratch.root, "d", false), ENOTEMPTY);
	check_empty(scratch.u->tmp);
	check_empty(scratch.u->trash);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_whiteout_over_nothing),
		SCRATCH_TEST(test_whiteout_keeps_opacity),
		SCRATCH_TEST(test_whiteout_over_things),
		SCRATCH_TEST(test_an_orphan_that_is_the_file_itself),
		SCRATCH_TEST(test_remove),
		SCRATCH_TEST(test_remove_dir),
		SCRATCH_TEST(test_remove_dir_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
