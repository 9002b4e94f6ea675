/* SPDX-License-Identifier: Apache-2.0 */
/* The index of files with several names below. */
#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static void test_keys(void **state)
{
	char key[96], other[96], layer[96];

	(void)state;
	memset(layer, 'f', sizeof(layer));
	memcpy(layer, "package:", 8);
	layer[72] = 0;
	cow_links_key(layer, UINT64_MAX, UINT64_MAX, key);
	assert_true(strlen(key) <= 80);
	assert_null(strchr(key, '/'));
	layer[71] = 'e';
	cow_links_key(layer, UINT64_MAX, UINT64_MAX, other);
	assert_string_not_equal(key, other);
	cow_links_key("host", 0x1f, 2, key);
	assert_string_equal(key, "host.4077f8cc7eaf4d6f.1f.2");
	cow_links_key("host", 0x1f2, 2, other);
	assert_string_not_equal(key, other);
	cow_links_key("ho/st", 1, 2, key);
	cow_links_key("ho_st", 1, 2, other);
	assert_string_not_equal(key, other);
	assert_null(strchr(key, '/'));
}

static void test_an_empty_index(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(cow_links_dir(scratch.u), -1);
	assert_int_equal(cow_links_stat(scratch.u, "key", &st), ENOENT);
	assert_int_equal(cow_links_place(scratch.u, "key", scratch.root, "x"), ENOENT);
	assert_false(is_there(scratch.root, ".floe"));
}

static void test_a_file_of_three_names(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;
	struct cow_temp t;
	unsigned count;
	struct stat st;

	(void)state;
	assert_int_equal(cow_temp_file(scratch.u, 0444, &t), 0);
	(void)umask(0777);
	assert_int_equal(cow_links_add(scratch.u, "key", scratch.u->tmp, t.name, 3), 0);
	(void)umask(022);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_LINKS));
	assert_int_equal(mode_of(scratch.root, ".floe"), 0755);
	assert_int_equal(cow_upper_note_ino(scratch.u, scratch.u->tmp, t.name, 5), 0);
	assert_int_equal(cow_temp_place(scratch.u, &t, scratch.root, "one"), 0);
	cow_temp_drop(scratch.u, &t);
	scratch_reopen(true);
	assert_true(cow_links_dir(scratch.u) >= 0);
	assert_int_equal(cow_links_stat(scratch.u, "other", &st), ENOENT);
	assert_int_equal(cow_links_stat(scratch.u, "key", &st), 0);
	assert_int_equal(st.st_ino, ino_of(scratch.root, "one"));
	assert_int_equal(cow_links_place(scratch.u, "key", d, "two"), 0);
	put_whiteout(d, "three");
	assert_int_equal(cow_links_place(scratch.u, "key", d, "three"), 0);
	assert_int_equal(ino_of(d, "two"), st.st_ino);
	assert_int_equal(ino_of(d, "three"), st.st_ino);
	assert_int_equal(cow_links_place(scratch.u, "key", d, "two"), EEXIST);
	check_empty(scratch.u->tmp);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_impure);
	assert_int_equal(cow_links_count(scratch.u, d, "two", &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(cow_links_set_count(scratch.u, d, "two", 2), 0);
	assert_int_equal(cow_links_count(scratch.u, scratch.root, "one", &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(mode_of(d, "two"), 0444);
	/* With its last name it leaves the index. */
	assert_int_equal(cow_links_set_count(scratch.u, d, "two", 0), 0);
	assert_int_equal(cow_links_stat(scratch.u, "key", &st), ENOENT);
	assert_int_equal(cow_links_count(scratch.u, d, "two", &count), 0);
	assert_int_equal(count, 0);
}

static void test_adding_again(void **state)
{
	unsigned count;

	(void)state;
	put_file(scratch.root, "f", "x");
	put_file(scratch.root, "g", "y");
	assert_int_equal(cow_links_count(scratch.u, scratch.root, "f", &count), ENODATA);
	assert_int_equal(cow_links_add(scratch.u, "key", scratch.root, "f", 2), 0);
	assert_int_equal(cow_links_add(scratch.u, "key", scratch.root, "f", 2), 0);
	assert_int_equal(cow_links_add(scratch.u, "key", scratch.root, "g", 2), EEXIST);
	/* Leaving does not take another's entry along. */
	assert_int_equal(cow_links_set_count(scratch.u, scratch.root, "g", 0), 0);
	check_file(cow_links_dir(scratch.u), "key", "x");
	assert_int_equal(symlinkat("f", scratch.root, "link"), 0);
	assert_int_equal(cow_links_add(scratch.u, "key2", scratch.root, "link", 2), EPERM);
	assert_int_equal(cow_upper_attr_set(scratch.root, "g", COW_ATTR_LINKS, "many", 4), 0);
	assert_int_equal(cow_links_count(scratch.u, scratch.root, "g", &count), EIO);
}

static void test_a_closed_root(void **state)
{
	(void)state;
	put_file(scratch.root, "f", "x");
	assert_int_equal(fchmod(scratch.root, 0555), 0);
	assert_int_equal(cow_links_add(scratch.u, "key", scratch.root, "f", 2), 0);
	assert_int_equal(mode_of(scratch.root, "."), 0555);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_LINKS));
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_keys),
		SCRATCH_TEST(test_an_empty_index),
		SCRATCH_TEST(test_a_file_of_three_names),
		SCRATCH_TEST(test_adding_again),
		SCRATCH_TEST(test_a_closed_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
