/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming directories, wherever they come from: never EXDEV, and nothing of them is lost or comes back. */
#include "tests/union/case_lists.h"

static void expect_sub(const char *dir)
{
	OK(chdir(dir));
	EQUAL(count_entries("."), 5);
	expect_text("a", "a\n");
	expect_text("hard3", "hard\n");
	expect_text("deep/x", "x\n");
	expect_text("deep/y/z", "z\n");
	EQUAL(stat_of("deep/y").st_mode, S_IFDIR | 0750);
	EQUAL(count_entries("deep"), 2);
	OK(chdir(setting.target));
	OK(chdir(setting.name));
}

static void rename_dir_lower(void)
{
	int inside = OK(open("sub/deep", O_RDONLY | O_DIRECTORY)), file = OK(open("sub/deep/x", O_RDONLY));

	OK(rename("sub", "moved"));
	expect_gone("sub");
	expect_sub("moved");
	OK(close(OK(openat(inside, "y/z", O_RDONLY))));
	expect_fd_text(file, 0, "x\n");
	append_text("moved/deep/x", "more\n");
	expect_fd_text(file, 0, "x\nmore\n");
	write_text("moved/deep/new", "new\n");
	OK(close(OK(openat(inside, "new", O_RDONLY))));
	OK(unlink("moved/deep/y/z"));
	OK(rename("moved/b", "b"));
	EQUAL(stat_of("b").st_mode, S_IFREG | 0600);
}

static void rename_dir_lower_after(void)
{
	expect_gone("sub");
	expect_text("moved/deep/x", "x\nmore\n");
	expect_text("moved/deep/new", "new\n");
	expect_gone("moved/deep/y/z");
	expect_gone("moved/b");
	expect_text("b", "b\n");
	EQUAL(count_entries("moved"), 4);
}

static void rename_dir_merged(void)
{
	OK(rename("merged", "empty/moved"));
	expect_gone("merged");
	EQUAL(count_entries("empty/moved"), 5);
	expect_text("empty/moved/low1", "low1\n");
	expect_text("empty/moved/both", "top\n");
	expect_text("empty/moved/dir/in", "in\n");
	append_text("empty/moved/low2", "more\n");
	OK(unlink("empty/moved/both"));
	expect_gone("empty/moved/both");
}

static void rename_dir_merged_after(void)
{
	expect_gone("merged");
	EQUAL(count_entries("empty/moved"), 4);
	expect_text("empty/moved/low1", "low1\n");
	expect_text("empty/moved/low2", "low2\nmore\n");
	expect_gone("empty/moved/both");
}

static void rename_dir_changed_before(void)
{
	append_text("sub/a", "more\n");
	OK(unlink("sub/b"));
	write_text("sub/new", "new\n");
	OK(mkdir("sub/deep/made", 0700));
	OK(rename("sub", "merged/moved"));
	expect_text("merged/moved/a", "a\nmore\n");
	expect_gone("merged/moved/b");
	expect_text("merged/moved/new", "new\n");
	expect_text("merged/moved/c", "c\n");
	EQUAL(stat_of("merged/moved/deep/made").st_mode, S_IFDIR | 0700);
	expect_text("merged/moved/deep/y/z", "z\n");
}

static void rename_dir_changed_before_after(void)
{
	expect_text("merged/moved/a", "a\nmore\n");
	expect_gone("merged/moved/b");
	expect_text("merged/moved/c", "c\n");
	EQUAL(count_entries("merged/moved"), 5);
}

static void rename_dir_twice(void)
{
	OK(rename("sub", "one"));
	OK(rename("one", "merged/two"));
	expect_gone("one");
	OK(rename("merged", "three"));
	expect_sub("three/two");
	OK(rename("three/two/deep", "deep"));
	expect_gone("three/two/deep");
	expect_text("deep/y/z", "z\n");
	OK(rename("deep", "three/two/deep"));
	expect_sub("three/two");
	EQUAL(count_entries("three"), 6);
}

static void rename_dir_twice_after(void)
{
	expect_sub("three/two");
	expect_gone("sub");
	expect_gone("merged");
	EQUAL(count_entries("three"), 6);
}

static void rename_dir_back(void)
{
	OK(rename("sub", "elsewhere"));
	append_text("elsewhere/deep/x", "more\n");
	OK(rename("elsewhere", "sub"));
	expect_gone("elsewhere");
	expect_text("sub/deep/x", "x\nmore\n");
	EQUAL(count_entries("sub"), 5);
}

static void rename_dir_back_after(void)
{
	expect_text("sub/deep/x", "x\nmore\n");
	expect_text("sub/deep/y/z", "z\n");
	EQUAL(count_entries("sub"), 5);
}

/* What takes a moved directory's old name is not what was there. */
static void rename_dir_and_make_again(void)
{
	OK(rename("sub", "moved"));
	OK(mkdir("sub", 0700));
	EQUAL(count_entries("sub"), 0);
	FAILS(access("sub/a", F_OK), ENOENT);
	OK(mkdir("sub/deep", 0711));
	EQUAL(count_entries("sub/deep"), 0);
	expect_sub("moved");
	EQUAL(stat_of("sub").st_mode, S_IFDIR | 0700);
	CHECK(stat_of("sub").st_ino != stat_of("moved").st_ino);
}

static void rename_dir_and_make_again_after(void)
{
	EQUAL(count_entries("sub"), 1);
	EQUAL(count_entries("sub/deep"), 0);
	expect_sub("moved");
	CHECK(stat_of("sub").st_ino != stat_of("moved").st_ino);
}

static void rename_dir_over_empty(void)
{
	OK(rename("sub", "empty"));
	expect_sub("empty");
	FAILS(rename("empty", "merged"), ENOTEMPTY);
	OK(mkdir("made", 0700));
	FAILS(rename("made", "empty"), ENOTEMPTY);
	OK(rename("made", "sgid"));
	EQUAL(stat_of("sgid").st_mode, S_IFDIR | 0700);
}

static void rename_dir_over_empty_after(void)
{
	expect_sub("empty");
	expect_gone("sub");
	expect_gone("made");
	EQUAL(stat_of("sgid").st_mode, S_IFDIR | 0700);
}

/* The directory to replace is empty only by what was deleted in it. */
static void rename_dir_over_emptied(void)
{
	static const char *const names[] = { "merged/low1", "merged/low2", "merged/both", "merged/top1",
					     "merged/dir/in" };

	OK(mkdir("made", 0700));
	write_text("made/in", "in\n");
	for (size_t i = 0; i < 5; i++)
		OK(unlink(names[i]));
	OK(rmdir("merged/dir"));
	EQUAL(count_entries("merged"), 0);
	OK(rename("made", "merged"));
	EQUAL(count_entries("merged"), 1);
	FAILS(access("merged/low1", F_OK), ENOENT);
	OK(unlink("diroverfile/in"));
	OK(rename("merged", "diroverfile"));
	EQUAL(count_entries("diroverfile"), 1);
}

static void rename_dir_over_emptied_after(void)
{
	expect_gone("merged");
	EQUAL(count_entries("diroverfile"), 1);
	expect_text("diroverfile/in", "in\n");
}

static void rename_dir_into_itself(void)
{
	FAILS(rename("sub", "sub/deep/sub"), EINVAL);
	FAILS(rename("sub", "sub/new"), EINVAL);
	FAILS(rename("sub/deep", "sub"), ENOTEMPTY);
	FAILS(renameat2(AT_FDCWD, "sub", AT_FDCWD, "sub/deep", RENAME_EXCHANGE), EINVAL);
	OK(rename("sub", "sub"));
	FAILS(rename("sub", "sub/."), EBUSY);
	expect_sub("sub");
}

static void rename_dir_exchange(void)
{
	OK(renameat2(AT_FDCWD, "sub", AT_FDCWD, "merged", RENAME_EXCHANGE));
	expect_sub("merged");
	expect_text("sub/both", "top\n");
	EQUAL(count_entries("sub"), 5);
	OK(renameat2(AT_FDCWD, "merged/deep", AT_FDCWD, "sub/low1", RENAME_EXCHANGE));
	expect_text("merged/deep", "low1\n");
	expect_text("sub/low1/y/z", "z\n");
}

static void rename_dir_exchange_after(void)
{
	expect_text("merged/deep", "low1\n");
	expect_text("sub/low1/y/z", "z\n");
	expect_text("sub/both", "top\n");
	expect_text("merged/a", "a\n");
}

static void rename_current_directory(void)
{
	char path[4096];

	OK(chdir("sub/deep"));
	OK(rename("../../sub", "../../moved"));
	expect_text("y/z", "z\n");
	expect_text("../a", "a\n");
	expect_text("../../moved/a", "a\n");
	CHECK(getcwd(path, sizeof(path)));
	CHECK(strstr(path, "/moved/deep"));
	write_text("new", "new\n");
	expect_text("../../moved/deep/new", "new\n");
}

static void rename_dir_then_delete(void)
{
	OK(rename("sub/deep", "deep"));
	OK(unlink("deep/y/z"));
	OK(rmdir("deep/y"));
	OK(unlink("deep/x"));
	OK(rmdir("deep"));
	expect_gone("deep");
	expect_gone("sub/deep");
	OK(rename("merged", "sub/deep"));
	expect_text("sub/deep/low1", "low1\n");
	FAILS(access("sub/deep/x", F_OK), ENOENT);
}

static void rename_dir_then_delete_after(void)
{
	expect_gone("deep");
	expect_gone("merged");
	EQUAL(count_entries("sub/deep"), 5);
}

static void rename_dir_keeps_links(void)
{
	OK(rename("sub", "moved"));
	append_text("hard1", "more\n");
	expect_text("moved/hard3", "hard\nmore\n");
	EQUAL(stat_of("moved/hard3").st_nlink, 3);
	EQUAL(stat_of("moved/hard3").st_ino, stat_of("hard2").st_ino);
}

static void rename_dir_keeps_links_after(void)
{
	expect_text("moved/hard3", "hard\nmore\n");
	expect_text("hard2", "hard\nmore\n");
	EQUAL(stat_of("moved/hard3").st_nlink, 3);
	EQUAL(stat_of("moved/hard3").st_ino, stat_of("hard2").st_ino);
}

const struct test_case cases_rename_dir[] = {
	{ "rename_dir_lower", rename_dir_lower, rename_dir_lower_after },
	{ "rename_dir_merged", rename_dir_merged, rename_dir_merged_after },
	{ "rename_dir_changed_before", rename_dir_changed_before, rename_dir_changed_before_after },
	{ "rename_dir_twice", rename_dir_twice, rename_dir_twice_after },
	{ "rename_dir_back", rename_dir_back, rename_dir_back_after },
	{ "rename_dir_and_make_again", rename_dir_and_make_again, rename_dir_and_make_again_after },
	{ "rename_dir_over_empty", rename_dir_over_empty, rename_dir_over_empty_after },
	{ "rename_dir_over_emptied", rename_dir_over_emptied, rename_dir_over_emptied_after },
	{ "rename_dir_into_itself", rename_dir_into_itself, NULL },
	{ "rename_dir_exchange", rename_dir_exchange, rename_dir_exchange_after },
	{ "rename_current_directory", rename_current_directory, NULL },
	{ "rename_dir_then_delete", rename_dir_then_delete, rename_dir_then_delete_after },
	{ "rename_dir_keeps_links", rename_dir_keeps_links, rename_dir_keeps_links_after },
	{ NULL, NULL, NULL },
};
