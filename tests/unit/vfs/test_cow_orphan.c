/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted files that live on. */
#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static void test_removing(void **state)
{
	(void)state;
	put_file(scratch.root, "f", "text");
	assert_int_equal(cow_upper_remove(scratch.u, scratch.root, "f", UINT64_MAX), 0);
	check_file(cow_orphans_dir(scratch.u), "18446744073709551615", "text");
	cow_orphan_remove(scratch.u, UINT64_MAX);
	cow_orphan_remove(scratch.u, UINT64_MAX);
	check_empty(cow_orphans_dir(scratch.u));
}

static void test_naming(void **state)
{
	(void)state;
	put_file(scratch.u->orphans, "7", "text");
	/* A successor finds it. */
	scratch_reopen(true);
	put_file(scratch.root, "taken", "x");
	assert_int_equal(cow_orphan_name(scratch.u, 7, scratch.root, "taken"), EEXIST);
	check_file(scratch.u->orphans, "7", "text");
	put_whiteout(scratch.root, "w");
	assert_int_equal(cow_orphan_name(scratch.u, 7, scratch.root, "w"), 0);
	check_file(scratch.root, "w", "text");
	check_empty(scratch.u->orphans);
	put_file(scratch.u->orphans, "8", "");
	assert_int_equal(cow_orphan_name(scratch.u, 8, scratch.root, long_name('n')), 0);
	assert_true(is_there(scratch.root, long_name('n')));
	assert_int_equal(cow_orphan_name(scratch.u, 8, scratch.root, "again"), ENOENT);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_removing),
		SCRATCH_TEST(test_naming),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
