/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming what is no directory. */
#include "tests/union/case_lists.h"

static void rename_lower(void)
{
	ino_t ino = stat_of("file").st_ino;

	OK(rename("file", "moved"));
	expect_gone("file");
	expect_text("moved", "lower file\n");
	EQUAL(stat_of("moved").st_ino, ino);
	if (setting.upper)
		CHECK(upper_is_whiteout("file") && upper_has("moved"));
	OK(rename("moved", "sub/deep/moved"));
	expect_gone("moved");
	CHECK(!upper_has("moved")); /* nothing is below it: no whiteout */
	OK(rename("data", "sub/data"));
	expect_data(OK(open("sub/data", O_RDONLY)), 0, KIT_DATA_SIZE);
}

static void rename_lower_after(void)
{
	expect_gone("file");
	expect_text("sub/deep/moved", "lower file\n");
	expect_gone("data");
	expect_data(OK(open("sub/data", O_RDONLY)), 0, KIT_DATA_SIZE);
}

static void rename_there_and_back(void)
{
	for (int i = 0; i < 3; i++) {
		OK(rename("file", "elsewhere"));
		expect_gone("file");
		OK(rename("elsewhere", "file"));
		expect_gone("elsewhere");
	}
	expect_text("file", "lower file\n");
	OK(rename("merged/both", "both"));
	expect_gone("merged/both");
	expect_text("both", "top\n");
}

static void rename_there_and_back_after(void)
{
	expect_text("file", "lower file\n");
	expect_gone("elsewhere");
	expect_gone("merged/both");
	expect_text("both", "top\n");
}

static void rename_over(void)
{
	int replaced = OK(open("sub/a", O_RDONLY)), moved = OK(open("file", O_RDONLY));

	OK(rename("file", "sub/a"));
	expect_text("sub/a", "lower file\n");
	expect_gone("file");
	expect_fd_text(replaced, 0, "a\n");
	expect_fd_text(moved, 0, "lower file\n");
	EQUAL(stat_fd(moved).st_nlink, 1);
	append_text("sub/a", "more\n");
	expect_fd_text(moved, 0, "lower file\nmore\n");
	write_text("new", "new\n");
	OK(rename("new", "merged/both"));
	expect_text("merged/both", "new\n");
	OK(rename("merged/low1", "merged/top1"));
	expect_text("merged/top1", "low1\n");
	OK(rename("link", "dangling"));
	OK(rename("dangling", "exe")); /* a symbolic link over a file */
	expect_gone("dangling");
	CHECK(S_ISLNK(stat_of("exe").st_mode));
}

static void rename_over_after(void)
{
	expect_text("sub/a", "lower file\nmore\n");
	expect_text("merged/both", "new\n");
	expect_text("merged/top1", "low1\n");
	expect_gone("merged/low1");
	expect_gone("link");
	expect_gone("dangling");
}

static void rename_kinds_clash(void)
{
	FAILS(rename("file", "empty"), EISDIR);
	FAILS(rename("empty", "file"), ENOTDIR);
	FAILS(rename("nothing", "file"), ENOENT);
	FAILS(rename("file", "nothing/x"), ENOENT);
	FAILS(rename("file", "data/x"), ENOTDIR);
	FAILS(rename("file", "sub/."), EBUSY);
	FAILS(rename("fileoverdir", "empty"), EISDIR);
	FAILS(rename("diroverfile", "empty/.."), EBUSY);
	expect_text("file", "lower file\n");
}

static void rename_special(void)
{
	char got[16] = "";

	OK(rename("link", "sub/link"));
	OK(rename("dangling", "empty/dangling"));
	OK(rename("fifo", "empty/fifo"));
	EQUAL(OK(readlink("sub/link", got, 15)), 4);
	CHECK(S_ISFIFO(stat_of("empty/fifo").st_mode));
	CHECK(same_time(stat_of("empty/fifo").st_mtim, kit_time));
	CHECK(same_time(stat_of("sub/link").st_mtim, kit_time));
	expect_gone("link");
	expect_gone("fifo");
}

static void rename_noreplace(void)
{
	FAILS(renameat2(AT_FDCWD, "file", AT_FDCWD, "data", RENAME_NOREPLACE), EEXIST);
	FAILS(renameat2(AT_FDCWD, "file", AT_FDCWD, "dangling", RENAME_NOREPLACE), EEXIST);
	FAILS(renameat2(AT_FDCWD, "file", AT_FDCWD, "file", RENAME_NOREPLACE), EEXIST);
	FAILS(renameat2(AT_FDCWD, "nothing", AT_FDCWD, "new", RENAME_NOREPLACE), ENOENT);
	OK(renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_NOREPLACE));
	OK(unlink("data"));
	OK(renameat2(AT_FDCWD, "new", AT_FDCWD, "data", RENAME_NOREPLACE)); /* over a whiteout */
	expect_text("data", "lower file\n");
	FAILS(renameat2(AT_FDCWD, "data", AT_FDCWD, "x", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
	FAILS(renameat2(AT_FDCWD, "data", AT_FDCWD, "x", 1 << 10), EINVAL);
}

static void rename_exchange(void)
{
	ino_t file = stat_of("file").st_ino, a = stat_of("sub/a").st_ino;

	OK(renameat2(AT_FDCWD, "file", AT_FDCWD, "sub/a", RENAME_EXCHANGE));
	expect_text("file", "a\n");
	expect_text("sub/a", "lower file\n");
	EQUAL(stat_of("file").st_ino, a);
	EQUAL(stat_of("sub/a").st_ino, file);
	write_text("new", "new\n");
	OK(renameat2(AT_FDCWD, "new", AT_FDCWD, "merged/both", RENAME_EXCHANGE));
	expect_text("new", "top\n");
	expect_text("merged/both", "new\n");
	OK(mkdir("made", 0700));
	OK(renameat2(AT_FDCWD, "made", AT_FDCWD, "new", RENAME_EXCHANGE)); /* a directory and a file */
	CHECK(S_ISDIR(stat_of("new").st_mode));
	expect_text("made", "top\n");
	FAILS(renameat2(AT_FDCWD, "file", AT_FDCWD, "nothing", RENAME_EXCHANGE), ENOENT);
}

static void rename_exchange_after(void)
{
	expect_text("file", "a\n");
	expect_text("sub/a", "lower file\n");
	expect_text("merged/both", "new\n");
	CHECK(S_ISDIR(stat_of("new").st_mode));
	EQUAL(count_entries("new"), 0);
	expect_text("made", "top\n");
}

static void rename_whiteout_is_not_for_applications(void)
{
	if (renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_WHITEOUT) == 0) { /* a plain file system's */
		if (setting.upper)
			FAIL("RENAME_WHITEOUT succeeds");
		return;
	}
	CHECK(errno == EINVAL || errno == EPERM || errno == EOPNOTSUPP);
	expect_text("file", "lower file\n");
}

static void rename_links_of_one_file(void)
{
	OK(rename("hard1", "hard2")); /* does nothing */
	expect_text("hard1", "hard\n");
	expect_text("hard2", "hard\n");
	EQUAL(stat_of("hard1").st_nlink, 3);
	OK(rename("file", "file"));
	expect_text("file", "lower file\n");
}

static void rename_while_open(void)
{
	int fd = OK(open("file", O_RDWR));

	OK(rename("file", "sub/deep/y/file"));
	EQUAL(OK(write(fd, "LOWER", 5)), 5);
	expect_text("sub/deep/y/file", "LOWER file\n");
	OK(rename("sub/deep/y/file", "file"));
	EQUAL(OK(write(fd, "-", 1)), 1);
	expect_text("file", "LOWER-file\n");
	OK(unlink("file"));
	EQUAL(OK(write(fd, "F", 1)), 1);
	expect_fd_text(fd, 0, "LOWER-File\n");
}

/* As editors and package managers do, over and over. */
static void save_by_rename(void)
{
	char text[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(text, sizeof(text), "version %d\n", i);
		write_text("sub/b.tmp", text);
		OK(rename("sub/b.tmp", "sub/b"));
		expect_text("sub/b", text);
	}
	expect_gone("sub/b.tmp");
	EQUAL(count_entries("sub"), 5);
}

static void save_by_rename_after(void)
{
	expect_text("sub/b", "version 99\n");
	EQUAL(count_entries("sub"), 5);
}

static void rename_with_trailing_slash(void)
{
	FAILS(rename("file", "new/"), ENOTDIR);
	FAILS(rename("file/", "new"), ENOTDIR);
	OK(mkdir("made", 0755));
	OK(rename("made/", "made2/"));
	CHECK(S_ISDIR(stat_of("made2").st_mode));
}

const struct test_case cases_rename[] = {
	{ "rename_lower", rename_lower, rename_lower_after },
	{ "rename_there_and_back", rename_there_and_back, rename_there_and_back_after },
	{ "rename_over", rename_over, rename_over_after },
	{ "rename_kinds_clash", rename_kinds_clash, NULL },
	{ "rename_special", rename_special, NULL },
	{ "rename_noreplace", rename_noreplace, NULL },
	{ "rename_exchange", rename_exchange, rename_exchange_after },
	{ "rename_whiteout_is_not_for_applications", rename_whiteout_is_not_for_applications, NULL },
	{ "rename_links_of_one_file", rename_links_of_one_file, NULL },
	{ "rename_while_open", rename_while_open, NULL },
	{ "save_by_rename", save_by_rename, save_by_rename_after },
	{ "rename_with_trailing_slash", rename_with_trailing_slash, NULL },
	{ NULL, NULL, NULL },
};
