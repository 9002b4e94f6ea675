/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links: several names of one file stay so. */
#include "tests/union/case_lists.h"

static void expect_linked(const char *const *names, unsigned count, unsigned nlink)
{
	struct stat first = stat_of(names[0]);

	for (unsigned i = 0; i < count; i++) {
		struct stat st = stat_of(names[i]);

		if (st.st_ino != first.st_ino)
			FAIL("%s has another number than %s", names[i], names[0]);
		if (st.st_nlink != nlink)
			FAIL("%s has %u links, not %u", names[i], (unsigned)st.st_nlink, nlink);
	}
}

static const char *const three[] = { "hard1", "hard2", "sub/hard3" };

static void links_below(void)
{
	EQUAL(stat_of("sub/hard3").st_nlink, 3); /* at the first look */
	expect_linked(three, 3, 3);
}

static void links_survive_copy_up(void)
{
	int before = OK(open("hard2", O_RDONLY));

	append_text("hard1", "one\n");
	expect_text("hard2", "hard\none\n");
	expect_text("sub/hard3", "hard\none\n");
	expect_fd_text(before, 0, "hard\none\n");
	append_text("sub/hard3", "three\n");
	expect_text("hard1", "hard\none\nthree\n");
	expect_linked(three, 3, 3);
	OK(chmod("hard2", 0600));
	EQUAL(stat_of("hard1").st_mode, S_IFREG | 0600);
}

static void links_survive_copy_up_after(void)
{
	EQUAL(stat_of("hard2").st_nlink, 3);
	expect_linked(three, 3, 3);
	expect_text("hard2", "hard\none\nthree\n");
	append_text("hard2", "later\n");
	expect_text("sub/hard3", "hard\none\nthree\nlater\n");
	EQUAL(stat_of("sub/hard3").st_mode, S_IFREG | 0600);
}

static void links_count_down(void)
{
	int fd = OK(open("hard1", O_RDWR));

	OK(chmod("hard2", 0644)); /* copied up; else see links_deleted_below */
	OK(unlink("hard2"));
	EQUAL(stat_of("hard1").st_nlink, 2);
	EQUAL(stat_of("sub/hard3").st_nlink, 2);
	append_text("hard1", "x\n");
	EQUAL(stat_of("sub/hard3").st_nlink, 2);
	OK(unlink("sub/hard3"));
	EQUAL(stat_of("hard1").st_nlink, 1);
	OK(unlink("hard1"));
	EQUAL(stat_fd(fd).st_nlink, 0);
	expect_fd_text(fd, 0, "hard\nx\n");
	EQUAL(OK(pwrite(fd, "HARD", 4, 0)), 4);
	expect_fd_text(fd, 0, "HARD\nx\n");
}

static void links_count_down_after(void)
{
	expect_gone("hard1");
	expect_gone("hard2");
	expect_gone("sub/hard3");
}

static void links_count_after_remount(void)
{
	OK(chmod("hard1", 0644));
	OK(unlink("hard2"));
	OK(link("sub/hard3", "merged/four"));
	OK(link("hard1", "five"));
	EQUAL(stat_of("hard1").st_nlink, 4);
}

static void links_count_after_remount_after(void)
{
	static const char *const names[] = { "hard1", "sub/hard3", "merged/four", "five" };

	EQUAL(stat_of("sub/hard3").st_nlink, 4);
	expect_linked(names, 4, 4);
	append_text("hard1", "more\n");
	for (size_t i = 0; i < 4; i++)
		expect_text(names[i], "hard\nmore\n");
	OK(unlink("five"));
	EQUAL(stat_of("hard1").st_nlink, 3);
}

/* Before anything was copied up. */
static void links_deleted_below(void)
{
	OK(unlink("hard2"));
	case_expect(stat_of("hard1").st_nlink == 2, "%d links after one was deleted",
		    (int)stat_of("hard1").st_nlink);
	write_text("new", "new\n");
	OK(rename("new", "hard1"));
	case_expect(stat_of("sub/hard3").st_nlink == 1, "%d links after one was replaced",
		    (int)stat_of("sub/hard3").st_nlink);
	append_text("sub/hard3", "more\n");
	case_expect(stat_of("sub/hard3").st_nlink == 1, "%d links after the copy-up",
		    (int)stat_of("sub/hard3").st_nlink);
	expect_text("sub/hard3", "hard\nmore\n");
	expect_text("hard1", "new\n");
}

static void link_to_lower(void)
{
	static const char *const names[] = { "file", "linked", "sub/deep/linked" };
	ino_t ino = stat_of("file").st_ino;

	OK(link("file", "linked"));
	OK(link("linked", "sub/deep/linked"));
	expect_linked(names, 3, 3);
	EQUAL(stat_of("file").st_ino, ino);
	append_text("linked", "more\n");
	expect_text("file", "lower file\nmore\n");
	OK(unlink("file"));
	EQUAL(stat_of("linked").st_nlink, 2);
	expect_text("sub/deep/linked", "lower file\nmore\n");
	CHECK(is_later(stat_of("linked").st_ctim, kit_time));
}

static void link_to_lower_after(void)
{
	static const char *const names[] = { "linked", "sub/deep/linked" };

	expect_gone("file");
	expect_linked(names, 2, 2);
	expect_text("linked", "lower file\nmore\n");
}

static void links_are_renamed(void)
{
	OK(rename("hard1", "empty/renamed"));
	append_text("empty/renamed", "more\n");
	expect_text("hard2", "hard\nmore\n");
	EQUAL(stat_of("hard2").st_nlink, 3);
	EQUAL(stat_of("hard2").st_ino, stat_of("empty/renamed").st_ino);
	OK(rename("file", "hard2"));
	EQUAL(stat_of("empty/renamed").st_nlink, 2);
	EQUAL(stat_of("hard2").st_nlink, 1);
	expect_text("hard2", "lower file\n");
	expect_text("sub/hard3", "hard\nmore\n");
}

static void links_are_renamed_after(void)
{
	expect_text("hard2", "lower file\n");
	expect_text("sub/hard3", "hard\nmore\n");
	EQUAL(stat_of("sub/hard3").st_nlink, 2);
	EQUAL(stat_of("sub/hard3").st_ino, stat_of("empty/renamed").st_ino);
}

static void links_made_new(void)
{
	static const char *const names[] = { "new", "sub/new", "merged/dir/new" };

	write_text("new", "new\n");
	EQUAL(stat_of("new").st_nlink, 1);
	OK(link("new", "sub/new"));
	OK(link("sub/new", "merged/dir/new"));
	expect_linked(names, 3, 3);
	append_text("merged/dir/new", "more\n");
	expect_text("new", "new\nmore\n");
	for (int i = 0; i < 200; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "empty/%d", i);
		OK(link("new", name));
	}
	expect_linked(names, 3, 203);
}

static void links_made_new_after(void)
{
	EQUAL(stat_of("empty/77").st_nlink, 203);
	EQUAL(stat_of("empty/77").st_ino, stat_of("new").st_ino);
	expect_text("empty/77", "new\nmore\n");
}

static void link_failures(void)
{
	FAILS(link("file", "data"), EEXIST);
	FAILS(link("file", "dangling"), EEXIST);
	FAILS(link("sub", "linked"), EPERM);
	FAILS(link("nothing", "linked"), ENOENT);
	FAILS(link("file", "nothing/x"), ENOENT);
	FAILS(link("file", "data/x"), ENOTDIR);
	EQUAL(stat_of("file").st_nlink, 1);
	expect_gone("linked");
	OK(unlink("data"));
	OK(link("file", "data")); /* over a whiteout */
	EQUAL(stat_of("file").st_nlink, 2);
}

static void links_of_symlinks(void)
{
	OK(link("link", "link2"));
	CHECK(S_ISLNK(stat_of("link2").st_mode));
	EQUAL(stat_of("link2").st_nlink, 2);
	EQUAL(stat_of("link2").st_ino, stat_of("link").st_ino);
	OK(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	EQUAL(stat_of("followed").st_ino, stat_of("file").st_ino);
	OK(link("fifo", "fifo2"));
	EQUAL(stat_of("fifo").st_nlink, 2);
	EQUAL(stat_of("fifo").st_ino, stat_of("fifo2").st_ino);
}

static void links_of_symlinks_after(void)
{
	EQUAL(stat_of("link2").st_nlink, 2);
	EQUAL(stat_of("link").st_nlink, 2);
	EQUAL(stat_of("followed").st_nlink, 2);
	EQUAL(stat_of("fifo").st_nlink, 2);
}

/* Whether or not they stay one object: each name can be changed and deleted. */
static void links_of_special_files_below(void)
{
	EQUAL(stat_of("special/link1").st_nlink, 2);
	OK(lchown("special/link1", geteuid(), getegid()));
	expect_text("special/link2", "lower file\n");
	OK(unlink("special/link2"));
	expect_text("special/link1", "lower file\n");
	OK(chmod("special/fifo1", 0600));
	OK(rename("special/fifo2", "special/fifo3"));
	CHECK(S_ISFIFO(stat_of("special/fifo3").st_mode));
	OK(unlink("special/fifo3"));
	OK(unlink("special/fifo1"));
	EQUAL(count_entries("special"), 1);
}

static void links_of_special_files_below_after(void)
{
	EQUAL(count_entries("special"), 1);
	expect_text("special/link1", "lower file\n");
}

static void link_of_open_file(void)
{
	int fd = OK(open("file", O_RDWR));
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	EQUAL(OK(write(fd, "LOWER", 5)), 5);
	expect_text("linked", "LOWER file\n");
	expect_text("file", "LOWER file\n");
	EQUAL(stat_fd(fd).st_nlink, 2);
}

/* One name is replaced, as `cp --remove-destination` and package managers do. */
static void links_are_replaced(void)
{
	write_text("new", "new\n");
	OK(chmod("hard1", 0644));
	OK(rename("new", "hard1"));
	EQUAL(stat_of("hard2").st_nlink, 2);
	expect_text("hard2", "hard\n");
	OK(unlink("hard2"));
	OK(link("hard1", "hard2"));
	expect_text("hard2", "new\n");
	EQUAL(stat_of("sub/hard3").st_nlink, 1);
	append_text("sub/hard3", "three\n");
	expect_text("hard1", "new\n");
}

static void links_are_replaced_after(void)
{
	EQUAL(stat_of("hard1").st_nlink, 2);
	EQUAL(stat_of("sub/hard3").st_nlink, 1);
	expect_text("sub/hard3", "hard\nthree\n");
}

static void links_of_directories(void)
{
	OK(mkdir("made", 0755));
	EQUAL(stat_of("made").st_nlink, 2);
	OK(mkdir("made/one", 0755));
	OK(mkdir("made/two", 0755));
	write_text("made/file", "x");
	EQUAL(stat_of("made").st_nlink, 4);
	OK(rename("made/two", "two"));
	EQUAL(stat_of("made").st_nlink, 3);
	OK(rmdir("made/one"));
	EQUAL(stat_of("made").st_nlink, 2);
	CHECK(stat_of("sub").st_nlink >= 1);
}

const struct test_case cases_links[] = {
	{ "links_below", links_below, links_below },
	{ "links_survive_copy_up", links_survive_copy_up, links_survive_copy_up_after },
	{ "links_count_down", links_count_down, links_count_down_after },
	{ "links_count_after_remount", links_count_after_remount, links_count_after_remount_after },
	{ "links_deleted_below", links_deleted_below, NULL },
	{ "link_to_lower", link_to_lower, link_to_lower_after },
	{ "links_are_renamed", links_are_renamed, links_are_renamed_after },
	{ "links_made_new", links_made_new, links_made_new_after },
	{ "link_failures", link_failures, NULL },
	{ "links_of_symlinks", links_of_symlinks, links_of_symlinks_after },
	{ "links_of_special_files_below", links_of_special_files_below, links_of_special_files_below_after },
	{ "link_of_open_file", link_of_open_file, NULL },
	{ "links_are_replaced", links_are_replaced, links_are_replaced_after },
	{ "links_of_directories", links_of_directories, NULL },
	{ NULL, NULL, NULL },
};
