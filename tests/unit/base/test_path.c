/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text, and the removal of trees. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "tests/unit/cmocka_all.h"

static char scratch[] = "/tmp/floe-test-path-XXXXXX";

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int drop_scratch(void **state)
{
	struct err e;

	(void)state;
	return chdir("/") == 0 ? path_remove_tree(AT_FDCWD, scratch, &e) : -1;
}

static void joins(void **state)
{
	static const char *const row[][3] = {
		{ "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "a//", "/b", "a/b" },
		{ "/", "b", "/b" },  { "/", "/b", "/b" },  { "", "b", "b" },
		{ "a", "", "a" },    { "", "", "" },       { "/a", "b/", "/a/b/" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		auto_free char *got = path_join(row[i][0], row[i][1], &e);

		assert_string_equal(got, row[i][2]);
	}
}

static void normalises(void **state)
{
	static const char *const row[][2] = {
		{ "/", "/" },
		{ "//", "/" },
		{ "/a/b", "/a/b" },
		{ "/a//b/", "/a/b" },
		{ "/./a/./b/.", "/a/b" },
		{ "/a/../b", "/b" },
		{ "/..", "/" },
		{ "/../../a", "/a" },
		{ "/a/b/../..", "/" },
		{ "/a/...", "/a/..." },
		{ "/a/x./.y", "/a/x./.y" },
		{ "/.a/..b", "/.a/..b" },
		{ "/a/b/../../../c", "/c" },
	};
	struct err e;
	auto_free char *here = path_absolute("x/../y", &e);
	auto_free char *cwd = getcwd(NULL, 0);
	auto_free char *want = path_join(cwd, "y", &e);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		auto_free char *got = path_absolute(row[i][0], &e);

		assert_string_equal(got, row[i][1]);
	}
	assert_string_equal(here, want);
}

static void knows_what_lies_below(void **state)
{
	(void)state;
	assert_true(path_is_below("/a/b", "/a"));
	assert_true(path_is_below("/a", "/a"));
	assert_true(path_is_below("/a", "/"));
	assert_true(path_is_below("/", "/"));
	assert_false(path_is_below("/ab", "/a"));
	assert_false(path_is_below("/", "/a"));
	assert_false(path_is_below("/b", "/a"));
}

static void tells_plain_names(void **state)
{
	static const char *const good[] = { "mc", "a", "0", "x.y", "gcc-12", "c++", "a_b@c" };
	static const char *const bad[] = { "",    ".",    "..",       ".x",  "-x", "a/b",
					   "a b", "a\nb", "\xc3\xa9", "a:b", "*" };
	char longest[66];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(path_is_plain_name(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(path_is_plain_name(bad[i]));
	memset(longest, 'n', 65);
	longest[65] = 0;
	assert_false(path_is_plain_name(longest));
	longest[64] = 0;
	assert_true(path_is_plain_name(longest));
	assert_string_equal(path_base("/a/b"), "b");
	assert_string_equal(path_base("b"), "b");
	assert_string_equal(path_base("a/"), "");
}

static void makes_directories(void **state)
{
	struct stat st;
	struct err e;
	auto_fd int fd = -1;

	(void)state;
	assert_int_equal(path_make_dirs("m/n/o", 0700, &e), 0);
	assert_int_equal(path_make_dirs("m/n/o", 0700, &e), 0);
	assert_int_equal(path_make_dirs("m//n/p/", 0700, &e), 0);
	assert_int_equal(stat("m/n/p", &st), 0);
	fd = open("m/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(path_make_dirs("m/file/x", 0700, &e), -1);
	assert_non_null(strstr(e.msg, "m/file"));
	assert_int_equal(path_make_dirs("/proc/self/status/x", 0700, &e), -1);
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	fd_close(fd);
}

static void removes_trees_without_following_links(void **state)
{
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(path_make_dirs("outside/deep", 0700, &e), 0);
	touch("outside/precious");
	assert_int_equal(path_make_dirs("tree/a/b", 0700, &e), 0);
	touch("tree/a/b/f");
	touch("tree/g");
	assert_int_equal(mkfifo("tree/fifo", 0600), 0);
	assert_int_equal(symlink("../outside", "tree/link"), 0);
	assert_int_equal(symlink("../../outside", "tree/a/link"), 0);
	assert_int_equal(symlink("nowhere", "tree/dangling"), 0);
	assert_int_equal(chmod("tree/a/b", 0), 0); /* may not be read: the tree is ours, so we may */
	assert_int_equal(path_remove_tree(AT_FDCWD, "tree", &e), 0);
	assert_int_equal(lstat("tree", &st), -1);
	assert_int_equal(lstat("outside/precious", &st), 0);
	assert_int_equal(lstat("outside/deep", &st), 0);
	/* A link itself goes, what it points to stays. */
	assert_int_equal(symlink("outside", "alias"), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, "alias", &e), 0);
	assert_int_equal(lstat("alias", &st), -1);
	assert_int_equal(lstat("outside/precious", &st), 0);
	/* Nothing there is fine. */
	assert_int_equal(path_remove_tree(AT_FDCWD, "tree", &e), 0);
}

static void removes_many_and_odd_names(void **state)
{
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(mkdir("many", 0700), 0);
	for (int i = 0; i < 3000; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "many/\xff%c %d", i % 2 ? '\n' : '*', i);
		if (i % 10)
			touch(name);
		else
			assert_int_equal(mkdir(name, 0700), 0);
	}
	assert_int_equal(path_remove_tree(AT_FDCWD, "many", &e), 0);
	assert_int_equal(lstat("many", &st), -1);
}

/* Deeper than descriptors reach, with a name in the way that the removal would give. */
static void removes_what_is_deeper_than_descriptors(void **state)
{
	struct rlimit before, few;
	struct stat st;
	struct err e;
	int dir = AT_FDCWD;

	(void)state;
	assert_int_equal(path_make_dirs("deep/.removed-0/inner", 0700, &e), 0);
	for (int i = 0; i < 2000; i++) {
		int sub;

		assert_true(mkdirat(dir, i ? "d" : "deep/d", 0700) == 0);
		sub = openat(dir, i ? "d" : "deep/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(sub >= 0);
		if (dir >= 0)
			fd_close(dir);
		dir = sub;
	}
	fd_close(dir);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ .rlim_cur = 64, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, "deep", &e), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(lstat("deep", &st), -1);
}

static void stays_on_its_file_system(void **state)
{
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(path_make_dirs("fs/mnt", 0700, &e), 0);
	if (mount("none", "fs/mnt", "tmpfs", 0, NULL) < 0)
		skip(); /* not root */
	touch("fs/mnt/precious");
	assert_int_equal(path_remove_tree(AT_FDCWD, "fs", &e), -1);
	assert_int_equal(lstat("fs/mnt/precious", &st), 0);
	assert_int_equal(umount("fs/mnt"), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, "fs", &e), 0);
}

static void finds_its_own_directories(void **state)
{
	struct err e;
	struct stat st;
	auto_free char *want = path_join(scratch, "xdg/floe", &e);
	auto_free char *base = path_join(scratch, "xdg", &e);
	char *got;

	(void)state;
	assert_int_equal(setenv("XDG_DATA_HOME", base, 1), 0);
	got = path_data_dir(false, &e);
	assert_string_equal(got, want);
	assert_int_equal(stat(want, &st), -1);
	free(got);
	got = path_data_dir(true, &e);
	assert_int_equal(stat(want, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	free(got);
	assert_int_equal(setenv("XDG_DATA_HOME", "relative", 1), 0); /* the specification says: ignore */
	assert_int_equal(setenv("HOME", scratch, 1), 0);
	got = path_data_dir(false, &e);
	assert_int_equal(strncmp(got, scratch, strlen(scratch)), 0);
	assert_non_null(strstr(got, "/.local/share/floe"));
	free(got);
}

static void runtime_directory_must_be_private(void **state)
{
	struct err e;
	auto_free char *base = path_join(scratch, "run", &e);
	char *got;

	(void)state;
	assert_int_equal(mkdir("run", 0700), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", base, 1), 0);
	got = path_runtime_dir(false, &e);
	assert_non_null(got);
	free(got);
	got = path_runtime_dir(true, &e);
	assert_non_null(got);
	free(got);
	assert_int_equal(chmod("run/floe", 0755), 0);
	assert_null(path_runtime_dir(true, &e));
	assert_int_equal(e.code, ERR_DENIED);
	assert_int_equal(rmdir("run/floe"), 0);
	assert_int_equal(symlink("/tmp", "run/floe"), 0);
	assert_null(path_runtime_dir(true, &e));
	assert_int_equal(e.code, ERR_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins),
		cmocka_unit_test(normalises),
		cmocka_unit_test(knows_what_lies_below),
		cmocka_unit_test(tells_plain_names),
		cmocka_unit_test(makes_directories),
		cmocka_unit_test(removes_trees_without_following_links),
		cmocka_unit_test(removes_many_and_odd_names),
		cmocka_unit_test(removes_what_is_deeper_than_descriptors),
		cmocka_unit_test(stays_on_its_file_system),
		cmocka_unit_test(finds_its_own_directories),
		cmocka_unit_test(runtime_directory_must_be_private),
	};

	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
