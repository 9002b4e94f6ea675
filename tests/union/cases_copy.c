/* SPDX-License-Identifier: Apache-2.0 */
/* What a copy-up keeps: of the object all but what was changed, of everything else all. */
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/union/case_lists.h"

static void copy_keeps_times(void)
{
	struct stat st;

	OK(chmod("data", 0640));
	st = stat_of("data");
	CHECK(same_time(st.st_mtim, kit_time) && same_time(st.st_atim, kit_time));
	CHECK(is_later(st.st_ctim, kit_time));
	EQUAL(st.st_mode, S_IFREG | 0640);
	EQUAL(st.st_size, KIT_DATA_SIZE);
	append_text("file", "");
	CHECK(same_time(stat_of("file").st_mtim, kit_time));
	OK(rename("exe", "sub/exe"));
	CHECK(same_time(stat_of("sub/exe").st_mtim, kit_time));
	OK(chmod("sub/deep", 0700));
	CHECK(same_time(stat_of("sub/deep").st_mtim, kit_time));
}

static void copy_keeps_times_after(void)
{
	struct stat st = stat_of("data");

	CHECK(same_time(st.st_mtim, kit_time));
	expect_data(OK(open("data", O_RDONLY)), 0, KIT_DATA_SIZE);
	CHECK(same_time(stat_of("sub/exe").st_mtim, kit_time));
}

static void copy_keeps_parents(void)
{
	static const char *const dirs[] = { ".", "sub", "sub/deep", "sub/deep/y" };

	append_text("sub/deep/y/z", "more\n");
	for (size_t i = 0; i < 4; i++) {
		struct stat st = stat_of(dirs[i]);

		if (!same_time(st.st_mtim, kit_time))
			FAIL("mtime of %s has changed", dirs[i]);
	}
	EQUAL(stat_of("sub/deep/y").st_mode, S_IFDIR | 0750);
	expect_text("sub/deep/x", "x\n");
	expect_text("sub/deep/y/z", "z\nmore\n");
}

static void copy_keeps_parents_after(void)
{
	CHECK(same_time(stat_of("sub").st_mtim, kit_time));
	CHECK(same_time(stat_of("sub/deep").st_mtim, kit_time));
	CHECK(same_time(stat_of("sub/deep/y").st_mtim, kit_time));
	EQUAL(stat_of("sub/deep/y").st_mode, S_IFDIR | 0750);
	expect_text("sub/deep/y/z", "z\nmore\n");
}

static void copy_keeps_mode(void)
{
	append_text("sub/b", "more\n");
	EQUAL(stat_of("sub/b").st_mode, S_IFREG | 0600);
	write_text("sgid/new", "x");
	EQUAL(stat_of("sgid").st_mode, S_IFDIR | 02775);
	write_text("sticky/new", "x");
	EQUAL(stat_of("sticky").st_mode, S_IFDIR | 01777);
	OK(setxattr("suid", "user.x", "1", 1, 0));
	EQUAL(stat_of("suid").st_mode, S_IFREG | 06755);
}

static void copy_keeps_attributes(void)
{
	char value[16];

	append_text("attrs", "more\n");
	EQUAL(get_xattr("attrs", "user.one", value, sizeof(value)), 5);
	CHECK(memcmp(value, "first", 5) == 0);
	EQUAL(get_xattr("attrs", "user.two", value, sizeof(value)), 0);
	OK(chmod("attrs", 0600));
	EQUAL(get_xattr("attrs", "user.one", value, sizeof(value)), 5);
}

static void copy_keeps_attributes_after(void)
{
	char value[16];

	EQUAL(get_xattr("attrs", "user.one", value, sizeof(value)), 5);
	EQUAL(get_xattr("attrs", "user.two", value, sizeof(value)), 0);
	expect_text("attrs", "attributes\nmore\n");
}

static void copy_keeps_acl(void)
{
	char before[256], now[256];
	int len = get_xattr("acl", "system.posix_acl_access", before, sizeof(before)), len_dir;

	if (len == -EOPNOTSUPP || len == -ENODATA)
		case_skip("no ACLs here");
	EQUAL(len, 44);
	append_text("acl", "more\n");
	EQUAL(get_xattr("acl", "system.posix_acl_access", now, sizeof(now)), len);
	CHECK(memcmp(before, now, (size_t)len) == 0);
	len_dir = get_xattr("acldir", "system.posix_acl_default", before, sizeof(before));
	EQUAL(len_dir, 44);
	write_text("acldir/new", "x");
	EQUAL(get_xattr("acldir", "system.posix_acl_default", now, sizeof(now)), len_dir);
	CHECK(memcmp(before, now, (size_t)len_dir) == 0);
}

static void copy_keeps_acl_after(void)
{
	char now[256];

	if (get_xattr("acl", "system.posix_acl_access", now, sizeof(now)) == -EOPNOTSUPP)
		case_skip("no ACLs here");
	EQUAL(get_xattr("acl", "system.posix_acl_access", now, sizeof(now)), 44);
	EQUAL(get_xattr("acldir", "system.posix_acl_default", now, sizeof(now)), 44);
}

static void copy_keeps_holes(void)
{
	struct stat st = stat_of("sparse");
	blkcnt_t blocks = st.st_blocks;

	OK(chmod("sparse", 0600));
	append_text("sparse", "end");
	OK(close(OK(open("sparse", O_RDWR))));
	st = stat_of("sparse");
	EQUAL(st.st_size, KIT_SPARSE_SIZE + 3);
	CHECK(st.st_blocks <= blocks + 64);
}

static void copy_keeps_holes_after(void)
{
	struct stat st = stat_of("sparse");
	int fd = OK(open("sparse", O_RDONLY));

	CHECK(st.st_blocks * 512 < KIT_SPARSE_SIZE / 2);
	expect_fd_text(fd, KIT_SPARSE_SIZE, "end");
	EQUAL(OK(lseek(fd, 0, SEEK_DATA)), KIT_SPARSE_AT);
}

static const char *const numbered[] = { "file",        "data",   "sub",   "sub/deep", "sub/a",
					"merged/low1", "merged", "empty", "suid",     "sub/deep/y/z" };
enum { NUMBERED = sizeof(numbered) / sizeof(numbered[0]) };

static void numbers_stay(void)
{
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	char note[8];

	for (size_t i = 0; i < NUMBERED; i++) {
		ino_t ino = stat_of(numbered[i]).st_ino;

		CHECK(ino != 0);
		OK(utimensat(AT_FDCWD, numbered[i], now, AT_SYMLINK_NOFOLLOW)); /* copies up */
		if (stat_of(numbered[i]).st_ino != ino)
			FAIL("number of %s changes at the copy-up", numbered[i]);
		(void)snprintf(note, sizeof(note), "%zu", i);
		note_number(note, ino);
	}
	write_text("merged/new", "x");
	OK(mkdir("made", 0755));
	note_number("new", stat_of("merged/new").st_ino);
	note_number("made", stat_of("made").st_ino);
}

static void numbers_stay_after(void)
{
	char note[8];

	EQUAL(stat_of("merged/new").st_ino, noted_number("new"));
	EQUAL(stat_of("made").st_ino, noted_number("made"));
	for (size_t i = 0; i < NUMBERED; i++) {
		(void)snprintf(note, sizeof(note), "%zu", i);
		if (stat_of(numbered[i]).st_ino != noted_number(note))
			FAIL("number of %s has changed", numbered[i]);
	}
}

/* They can have no attributes to note it in. */
static void numbers_of_special_files(void)
{
	note_number("link", stat_of("link").st_ino);
	note_number("fifo", stat_of("fifo").st_ino);
	OK(lchown("link", geteuid(), getegid()));
	OK(chmod("fifo", 0600));
	EQUAL(stat_of("link").st_ino, noted_number("link"));
	EQUAL(stat_of("fifo").st_ino, noted_number("fifo"));
}

static void numbers_of_special_files_after(void)
{
	EQUAL(stat_of("link").st_ino, noted_number("link"));
	EQUAL(stat_of("fifo").st_ino, noted_number("fifo"));
}

static void numbers_of_links_stay(void)
{
	ino_t ino = stat_of("hard1").st_ino;

	OK(chmod("hard1", 0600));
	EQUAL(stat_of("hard1").st_ino, ino);
	EQUAL(stat_of("hard2").st_ino, ino);
	EQUAL(stat_of("sub/hard3").st_ino, ino);
	note_number("ino", ino);
}

static void numbers_of_links_stay_after(void)
{
	EQUAL(stat_of("sub/hard3").st_ino, noted_number("ino"));
	EQUAL(stat_of("hard1").st_ino, noted_number("ino"));
}

static void numbers_of_untouched(void)
{
	char note[8];

	for (size_t i = 0; i < NUMBERED; i++) {
		(void)snprintf(note, sizeof(note), "%zu", i);
		note_number(note, stat_of(numbered[i]).st_ino);
	}
}

static void numbers_of_untouched_after(void)
{
	char note[8];

	for (size_t i = 0; i < NUMBERED; i++) {
		(void)snprintf(note, sizeof(note), "%zu", i);
		EQUAL(stat_of(numbered[i]).st_ino, noted_number(note));
	}
}

static void numbers_survive_rename(void)
{
	ino_t file = stat_of("file").st_ino;

	OK(rename("file", "empty/renamed"));
	EQUAL(stat_of("empty/renamed").st_ino, file);
	note_number("file", file);
}

static void numbers_survive_rename_after(void)
{
	EQUAL(stat_of("empty/renamed").st_ino, noted_number("file"));
}

static void numbers_survive_rename_of_dir(void)
{
	ino_t dir = stat_of("sub").st_ino, in = stat_of("sub/deep/x").st_ino;

	OK(rename("sub", "merged/moved"));
	EQUAL(stat_of("merged/moved").st_ino, dir);
	EQUAL(stat_of("merged/moved/deep/x").st_ino, in);
	note_number("dir", dir);
	note_number("in", in);
}

static void numbers_survive_rename_of_dir_after(void)
{
	EQUAL(stat_of("merged/moved").st_ino, noted_number("dir"));
	EQUAL(stat_of("merged/moved/deep/x").st_ino, noted_number("in"));
}

static void one_device(void)
{
	dev_t dev = stat_of(".").st_dev;

	EQUAL(stat_of("file").st_dev, dev);
	EQUAL(stat_of("merged/low1").st_dev, dev);
	EQUAL(stat_of("merged/top1").st_dev, dev);
	write_text("new", "x");
	EQUAL(stat_of("new").st_dev, dev);
	append_text("file", "x");
	EQUAL(stat_of("file").st_dev, dev);
}

static void copy_of_special_files(void)
{
	char target[64] = "";

	OK(fchownat(AT_FDCWD, "link", geteuid(), getegid(), AT_SYMLINK_NOFOLLOW));
	OK(chmod("fifo", 0600));
	EQUAL(stat_of("fifo").st_mode, S_IFIFO | 0600);
	EQUAL(OK(readlink("link", target, sizeof(target))), 4);
	CHECK(memcmp(target, "file", 4) == 0);
	expect_text("link", "lower file\n");
	append_text("link", "through\n");
	expect_text("file", "lower file\nthrough\n");
	CHECK(S_ISLNK(stat_of("link").st_mode));
}

static void reading_copies_nothing(void)
{
	char buf[64];

	expect_text("sub/deep/x", "x\n");
	expect_data(OK(open("data", O_RDONLY)), 0, KIT_DATA_SIZE);
	EQUAL(count_entries("sub"), 5);
	OK(readlink("link", buf, sizeof(buf)));
	OK(access("file", R_OK | W_OK));
	(void)listxattr("attrs", buf, sizeof(buf));
	CHECK(!upper_has("sub") && !upper_has("data") && !upper_has("link") && !upper_has("attrs"));
}

static void read_only_files(void)
{
	EQUAL(stat_of("sub/c").st_mode, S_IFREG | 0444);
	expect_text("sub/c", "c\n");
	OK(chmod("sub/c", 0600));
	append_text("sub/c", "more\n");
	OK(chmod("sub/c", 0400));
	expect_text("sub/c", "c\nmore\n");
	OK(chmod("sub/deep", 0500));
	OK(chmod("sub/deep", 0700));
	expect_text("sub/deep/y/z", "z\n");
}

const struct test_case cases_copy[] = {
	{ "copy_keeps_times", copy_keeps_times, copy_keeps_times_after },
	{ "copy_keeps_parents", copy_keeps_parents, copy_keeps_parents_after },
	{ "copy_keeps_mode", copy_keeps_mode, NULL },
	{ "copy_keeps_attributes", copy_keeps_attributes, copy_keeps_attributes_after },
	{ "copy_keeps_acl", copy_keeps_acl, copy_keeps_acl_after },
	{ "copy_keeps_holes", copy_keeps_holes, copy_keeps_holes_after },
	{ "numbers_stay", numbers_stay, numbers_stay_after },
	{ "numbers_of_special_files", numbers_of_special_files, numbers_of_special_files_after },
	{ "numbers_of_links_stay", numbers_of_links_stay, numbers_of_links_stay_after },
	{ "numbers_of_untouched", numbers_of_untouched, numbers_of_untouched_after },
	{ "numbers_survive_rename", numbers_survive_rename, numbers_survive_rename_after },
	{ "numbers_survive_rename_of_dir", numbers_survive_rename_of_dir,
	  numbers_survive_rename_of_dir_after },
	{ "one_device", one_device, NULL },
	{ "copy_of_special_files", copy_of_special_files, NULL },
	{ "reading_copies_nothing", reading_copies_nothing, NULL },
	{ "read_only_files", read_only_files, NULL },
	{ NULL, NULL, NULL },
};
