/* SPDX-License-Identifier: Apache-2.0 */
/* Half-made things and their places. */
#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

static void place(struct cow_temp *t, int dir, const char *name)
{
	assert_int_equal(cow_temp_place(scratch.u, t, dir, name), 0);
	cow_temp_drop(scratch.u, t);
	assert_int_equal(t->fd, -1);
	check_empty(scratch.u->tmp);
}

static void test_modes_are_exact(void **state)
{
	const mode_t modes[] = { 0, 0400, 0644, 0777, 01777, 0555 };
	struct cow_temp t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		for (int hard = 0; hard < 2; hard++) {
			char name[16];

			(void)umask(hard ? 0777 : 022);
			(void)snprintf(name, sizeof(name), "f%zu%d", i, hard);
			assert_int_equal(cow_temp_file(scratch.u, S_IFREG | modes[i], &t), 0);
			assert_int_equal(write(t.fd, "x", 1), 1);
			assert_int_equal(lseek(t.fd, 0, SEEK_SET), 0);
			place(&t, scratch.root, name);
			assert_int_equal(mode_of(scratch.root, name), modes[i]);
			*name = 'd';
			assert_int_equal(cow_temp_dir(scratch.u, S_IFDIR | modes[i], &t), 0);
			place(&t, scratch.root, name);
			assert_int_equal(mode_of(scratch.root, name), modes[i]);
			*name = 'p';
			assert_int_equal(cow_temp_node(scratch.u, S_IFIFO | modes[i], 0, &t), 0);
			assert_int_equal(t.fd, -1);
			place(&t, scratch.root, name);
			assert_int_equal(mode_of(scratch.root, name), modes[i]);
		}
	(void)umask(022);
}

static void test_other_kinds(void **state)
{
	char target[64];
	struct cow_temp t;
	struct stat st;

	(void)state;
	assert_int_equal(cow_temp_symlink(scratch.u, "a/b", &t), 0);
	assert_int_equal(t.fd, -1);
	place(&t, scratch.root, "link");
	assert_int_equal(readlinkat(scratch.root, "link", target, sizeof(target)), 3);
	assert_memory_equal(target, "a/b", 3);
	assert_int_equal(cow_temp_node(scratch.u, S_IFSOCK | 0600, 0, &t), 0);
	place(&t, scratch.root, "socket");
	assert_int_equal(fstatat(scratch.root, "socket", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(cow_temp_node(scratch.u, S_IFCHR | 0600, makedev(0, 0), &t), EPERM);
	put_file(scratch.root, "f", "x");
	assert_int_equal(cow_temp_link(scratch.u, scratch.root, "f", &t), 0);
	place(&t, scratch.root, "f2");
	assert_int_equal(ino_of(scratch.root, "f"), ino_of(scratch.root, "f2"));
	assert_int_equal(cow_temp_link(scratch.u, scratch.root, "link", &t), 0);
	place(&t, scratch.root, "link2");
	assert_int_equal(ino_of(scratch.root, "link"), ino_of(scratch.root, "link2"));
	assert_int_equal(cow_temp_link(scratch.u, scratch.root, "absent", &t), ENOENT);
}

static void test_places(void **state)
{
	struct cow_temp t;

	(void)state;
	/* Something else is there: it stays, and the thing stays half-made. */
	put_file(scratch.root, "taken", "old");
	fd_close(make_dir(scratch.root, "taken-dir"));
	assert_int_equal(cow_temp_file(scratch.u, 0644, &t), 0);
	assert_int_equal(cow_temp_place(scratch.u, &t, scratch.root, "taken"), EEXIST);
	assert_int_equal(cow_temp_place(scratch.u, &t, scratch.root, "taken-dir"), EEXIST);
	check_file(scratch.root, "taken", "old");
	assert_true(is_there(scratch.u->tmp, t.name));
	cow_temp_drop(scratch.u, &t);
	check_empty(scratch.u->tmp);
	/* Whiteouts give way: to files, directories, anything. */
	put_whiteout(scratch.root, "f");
	put_whiteout(scratch.root, long_name('d'));
	put_whiteout(scratch.root, ".wh.link");
	assert_int_equal(cow_temp_file(scratch.u, 0644, &t), 0);
	assert_int_equal(write(t.fd, "new", 3), 3);
	place(&t, scratch.root, "f");
	check_file(scratch.root, "f", "new");
	assert_int_equal(cow_temp_dir(scratch.u, 0755, &t), 0);
	assert_int_equal(cow_upper_set_opaque(scratch.u, t.fd), 0);
	place(&t, scratch.root, long_name('d'));
	fd_close(open_path(scratch.root, long_name('d')));
	assert_int_equal(cow_temp_symlink(scratch.u, "x", &t), 0);
	place(&t, scratch.root, ".wh.link");
	assert_false(is_whiteout(scratch.root, ".wh.link"));
	/* A closed directory finds its place, too. */
	put_whiteout(scratch.root, "closed");
	assert_int_equal(cow_temp_dir(scratch.u, 0111, &t), 0);
	place(&t, scratch.root, "closed");
	assert_int_equal(mode_of(scratch.root, "closed"), 0111);
	assert_int_equal(cow_temp_file(scratch.u, 0644, &t), 0);
	assert_int_equal(cow_temp_place(scratch.u, &t, scratch.root,
					"name-too-long-"
					"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
					"xxxxxxxxxxxxxxxxxxxxxxxxxx"
					"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
					"xxxxxxxxxxxxxxxxxxxxxxxxxx"
					"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
			 ENAMETOOLONG);
	cow_temp_drop(scratch.u, &t);
	check_empty(scratch.u->tmp);
}

static void test_the_descriptor_survives_its_place(void **state)
{
	struct cow_temp t;
	int fd;

	(void)state;
	assert_int_equal(cow_temp_file(scratch.u, 0400, &t), 0);
	assert_int_equal(cow_temp_place(scratch.u, &t, scratch.root, "f"), 0);
	fd = fd_steal(&t.fd);
	cow_temp_drop(scratch.u, &t);
	assert_int_equal(write(fd, "late", 4), 4);
	fd_close(fd);
	assert_int_equal(fchmodat(scratch.root, "f", 0600, 0), 0);
	check_file(scratch.root, "f", "late");
}

static void test_dropping(void **state)
{
	struct cow_temp t;

	(void)state;
	assert_int_equal(cow_temp_dir(scratch.u, 0755, &t), 0);
	put_file(t.fd, "inside", "x");
	cow_temp_drop(scratch.u, &t);
	assert_int_equal(cow_temp_symlink(scratch.u, "x", &t), 0);
	cow_temp_drop(scratch.u, &t);
	check_empty(scratch.u->tmp);
}

static void test_further_names_take_the_number_along(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;
	struct cow_temp t;

	(void)state;
	put_file(scratch.root, "f", "x");
	assert_int_equal(cow_upper_note_ino(scratch.u, scratch.root, "f", 9), 0);
	assert_int_equal(cow_temp_link(scratch.u, scratch.root, "f", &t), 0);
	place(&t, d, "f2");
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_impure);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_modes_are_exact), SCRATCH_TEST(test_other_kinds),
		SCRATCH_TEST(test_places),          SCRATCH_TEST(test_the_descriptor_survives_its_place),
		SCRATCH_TEST(test_dropping),        SCRATCH_TEST(test_further_names_take_the_number_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
