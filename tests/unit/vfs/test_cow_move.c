/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming inside the upper: every kind onto every kind, with and without a whiteout left behind. */
#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static int a = -1, b = -1; /* two directories */

static int setup(void **state)
{
	if (scratch_setup(state) < 0)
		return -1;
	a = make_dir(scratch.root, "a");
	b = make_dir(scratch.root, "b");
	return 0;
}

static int teardown(void **state)
{
	fd_close(a);
	fd_close(b);
	return scratch_teardown(state);
}

static int move(const char *old_name, const char *new_name, bool whiteout, uint64_t orphan)
{
	const struct cow_upper_move m = { .old_dir = a,
					  .new_dir = b,
					  .old_name = old_name,
					  .new_name = new_name,
					  .whiteout = whiteout,
					  .orphan_id = orphan };

	return cow_upper_move(scratch.u, &m);
}

static void check_old(const char *name, bool whiteout)
{
	if (whiteout)
		assert_true(is_whiteout(a, name));
	else
		assert_false(is_there(a, name));
	check_empty(scratch.u->tmp);
}

static void test_onto_nothing(void **state)
{
	(void)state;
	for (int w = 0; w < 2; w++) {
		const char *name = long_name(w ? 'x' : 'y');

		put_file(a, "f", "text");
		assert_int_equal(move("f", name, w, 9), 0);
		check_file(b, name, "text");
		check_old("f", w);
		assert_false(is_there(scratch.u->orphans, "9"));
		assert_int_equal(unlinkat(b, name, 0), 0);
		(void)unlinkat(a, "f", 0);
		fd_close(make_dir(a, "d"));
		put_file(a, "d/inside", "x");
		assert_int_equal(move("d", "d", w, 0), 0);
		check_file(b, "d/inside", "x");
		check_old("d", w);
		assert_int_equal(unlinkat(b, "d/inside", 0), 0);
		assert_int_equal(unlinkat(b, "d", AT_REMOVEDIR), 0);
		(void)unlinkat(a, "d", 0);
	}
	assert_int_equal(move("absent", "x", true, 0), ENOENT);
	assert_false(is_there(b, "x"));
	put_whiteout(a, "w");
	assert_int_equal(move("w", "x", true, 0), ENOENT);
}

static void test_onto_a_whiteout(void **state)
{
	(void)state;
	for (int w = 0; w < 2; w++)
		for (int by_attribute = 0; by_attribute < 2; by_attribute++) {
			const unsigned can = scratch.u->can;

			if (by_attribute)
				scratch.u->can &= ~COW_CAN_MAKE_WHITEOUT;
			put_whiteout(b, "f");
			put_whiteout(b, "d");
			scratch.u->can = can;
			put_file(a, "f", "text");
			assert_int_equal(move("f", "f", w, 9), 0);
			check_file(b, "f", "text");
			check_old("f", w);
			assert_false(is_there(scratch.u->orphans, "9"));
			fd_close(make_dir(a, "d"));
			put_file(a, "d/inside", "x");
			assert_int_equal(move("d", "d", w, 0), 0);
			check_file(b, "d/inside", "x");
			check_old("d", w);
			assert_int_equal(unlinkat(b, "f", 0), 0);
			assert_int_equal(unlinkat(b, "d/inside", 0), 0);
			assert_int_equal(unlinkat(b, "d", AT_REMOVEDIR), 0);
			(void)unlinkat(a, "f", 0);
			(void)unlinkat(a, "d", 0);
		}
}

static void test_onto_a_file(void **state)
{
	(void)state;
	for (int w = 0; w < 2; w++)
		for (int orphan = 0; orphan < 2; orphan++) {
			put_file(scratch.u->orphans, "9", "stale");
			put_file(a, "f", "new");
			put_file(b, "f", "old");
			assert_int_equal(move("f", "f", w, orphan ? 9 : 0), 0);
			check_file(b, "f", "new");
			check_file(scratch.u->orphans, "9", orphan ? "old" : "stale");
			check_old("f", w);
			(void)unlinkat(a, "f", 0);
		}
	/* Links, too. */
	assert_int_equal(symlinkat("new", a, "link"), 0);
	assert_int_equal(symlinkat("old", b, "link"), 0);
	assert_int_equal(move("link", "link", true, 10), 0);
	check_old("link", true);
	assert_true(is_there(scratch.u->orphans, "10"));
	/* Two names of one file stay. */
	put_file(a, "one", "x");
	assert_int_equal(linkat(a, "one", b, "two", 0), 0);
	assert_int_equal(move("one", "two", true, 11), 0);
	check_file(a, "one", "x");
	assert_false(is_there(scratch.u->orphans, "11"));
}

/* A directory that looks empty to the union, whatever is below: whiteouts hide it, or it is opaque. */
static void make_target(const char *name, bool redirected, mode_t mode)
{
	auto_fd int d = make_dir(b, name);

	put_whiteout(d, "x");
	put_device_whiteout(d, "y");
	if (redirected)
		assert_int_equal(cow_upper_set_redirect(scratch.u, d, "/other"), 0);
	assert_int_equal(fchmodat(b, name, mode, 0), 0);
}

static void test_onto_a_directory(void **state)
{
	(void)state;
	for (int w = 0; w < 2; w++)
		for (int kind = 0; kind < 4; kind++) {
			fd_close(make_dir(a, "d"));
			put_file(a, "d/inside", "x");
			if (kind)
				make_target("d", kind == 2, kind == 3 ? 0 : 0755);
			else
				fd_close(make_dir(b, "d"));
			assert_int_equal(move("d", "d", w, 0), 0);
			check_file(b, "d/inside", "x");
			assert_false(is_there(b, "d/x"));
			check_old("d", w);
			assert_int_equal(unlinkat(b, "d/inside", 0), 0);
			assert_int_equal(unlinkat(b, "d", AT_REMOVEDIR), 0);
			(void)unlinkat(a, "d", 0);
		}
	check_empty(scratch.u->trash);
}

static void test_refusals(void **state)
{
	(void)state;
	fd_close(make_dir(a, "d"));
	put_file(a, "f", "f");
	put_file(b, "f", "other");
	make_target("d", false, 0755);
	put_file(b, "d/real", "x");
	for (int w = 0; w < 2; w++) {
		assert_int_equal(move("d", "d", w, 0), ENOTEMPTY);
		assert_true(is_whiteout(b, "d/x"));
		check_file(b, "d/real", "x");
		assert_int_equal(move("d", "f", w, 5), ENOTDIR);
		assert_int_equal(move("f", "d", w, 5), EISDIR);
		assert_false(is_there(scratch.u->orphans, "5"));
		check_file(a, "f", "f");
		check_file(b, "f", "other");
	}
	assert_true(is_there(a, "d"));
	check_empty(scratch.u->tmp);
}

/* When the last step fails, no entry of the replaced directory may come back. */
static void test_a_target_that_is_cleared_in_vain_is_opaque(void **state)
{
	const struct cow_upper_move m = {
		.old_dir = scratch.root, .new_dir = b, .old_name = "b", .new_name = "d", .whiteout = true
	};
	struct cow_upper_dir_info info;

	(void)state;
	for (int redirected = 0; redirected < 2; redirected++) {
		auto_fd int d = -1;

		make_target("d", redirected, 0755);
		assert_int_equal(cow_upper_move(scratch.u, &m), EINVAL); /* into itself */
		d = open_path(b, "d");
		assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
		assert_true(info.is_opaque);
		assert_null(info.redirect);
		assert_true(is_there(scratch.root, "b"));
		assert_int_equal(unlinkat(b, "d", AT_REMOVEDIR), 0);
	}
}

static void test_exchange(void **state)
{
	const struct cow_upper_move m = {
		.old_dir = a, .new_dir = b, .old_name = "x", .new_name = "y", .exchange = true
	};
	struct cow_upper_dir_info info;

	(void)state;
	put_file(a, "x", "x");
	assert_int_equal(cow_upper_move(scratch.u, &m), ENOENT);
	fd_close(make_dir(b, "y"));
	assert_int_equal(cow_upper_note_ino(scratch.u, b, "y", 7), 0);
	assert_int_equal(cow_upper_move(scratch.u, &m), 0);
	check_file(b, "y", "x");
	fd_close(open_path(a, "x"));
	/* The number that it takes along makes its new directory impure. */
	assert_int_equal(cow_upper_dir_info(scratch.u, a, &info), 0);
	assert_true(info.is_impure);
	assert_int_equal(cow_upper_noted_ino(scratch.u, a, "x"), 7);
}

static void test_numbers_go_along(void **state)
{
	struct cow_upper_dir_info info;

	(void)state;
	put_file(a, "plain", "x");
	put_file(a, "noted", "x");
	assert_int_equal(cow_upper_note_ino(scratch.u, a, "noted", 7), 0);
	assert_int_equal(move("plain", "plain", false, 0), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, b, &info), 0);
	assert_false(info.is_impure);
	assert_int_equal(move("noted", "noted", true, 0), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, b, &info), 0);
	assert_true(info.is_impure);
}

#define MOVE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static int run(void)
{
	const struct CMUnitTest tests[] = {
		MOVE_TEST(test_onto_nothing), MOVE_TEST(test_onto_a_whiteout),
		MOVE_TEST(test_onto_a_file),  MOVE_TEST(test_onto_a_directory),
		MOVE_TEST(test_refusals),     MOVE_TEST(test_a_target_that_is_cleared_in_vain_is_opaque),
		MOVE_TEST(test_exchange),     MOVE_TEST(test_numbers_go_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
