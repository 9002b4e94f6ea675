/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting and making again: what is gone stays gone, what is new is new. */
#include <sys/mman.h>
#include <sys/xattr.h>

#include "tests/union/case_lists.h"

static void delete_each_kind(void)
{
	static const char *const names[] = { "file",        "link",        "dangling",      "fifo",  "suid",
					     "merged/low1", "merged/top1", "data",          "hard1", "sub/c",
					     "merged/both", "fileoverdir", "diroverfile/in" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		OK(unlink(names[i]));
		expect_gone(names[i]);
		FAILS(unlink(names[i]), ENOENT);
	}
	OK(rmdir("diroverfile"));
	expect_gone("diroverfile");
	OK(rmdir("empty"));
	expect_gone("empty");
}

static void delete_each_kind_after(void)
{
	expect_gone("file");
	expect_gone("fifo");
	expect_gone("merged/both");
	expect_gone("fileoverdir");
	expect_gone("diroverfile");
	expect_gone("empty");
	EQUAL(count_entries("merged"), 2);
	expect_text("hard2", "hard\n");
}

static void whiteouts_only_where_needed(void)
{
	write_text("new", "x");
	OK(unlink("new"));
	OK(mkdir("made", 0755));
	OK(rmdir("made"));
	write_text("sub/new", "x");
	OK(unlink("sub/new"));
	CHECK(!upper_has("new") && !upper_has("made") && !upper_has("sub/new"));
	OK(unlink("file"));
	OK(rmdir("empty"));
	OK(unlink("merged/both"));
	if (setting.upper)
		CHECK(upper_is_whiteout("file") && upper_is_whiteout("empty") &&
		      upper_is_whiteout("merged/both"));
	write_text("file", "again\n");
	OK(unlink("file"));
	if (setting.upper)
		CHECK(upper_is_whiteout("file"));
	OK(unlink("sub/deep/y/z"));
	OK(rmdir("sub/deep/y"));
	if (setting.upper)
		CHECK(upper_is_whiteout("sub/deep/y"));
	OK(mkdir("sub/deep/y", 0755));
	write_text("sub/deep/y/z", "new\n");
	OK(unlink("sub/deep/y/z"));
	CHECK(!upper_has("sub/deep/y/z")); /* it is below an opaque directory */
}

static void make_over_deleted(void)
{
	OK(unlink("suid"));
	write_text("suid", "new\n");
	EQUAL(stat_of("suid").st_mode, S_IFREG | 0644);
	EQUAL(stat_of("suid").st_size, 4);
	OK(unlink("file"));
	OK(mkdir("file", 0751));
	EQUAL(stat_of("file").st_mode, S_IFDIR | 0751);
	EQUAL(count_entries("file"), 0);
	OK(unlink("link"));
	OK(mkfifo("link", 0622 & ~022));
	EQUAL(stat_of("link").st_mode, S_IFIFO | 0600);
	OK(unlink("data"));
	OK(symlink("sub", "data"));
	expect_text("data/a", "a\n");
	OK(unlink("attrs"));
	write_text("attrs", "new\n");
	EQUAL(get_xattr("attrs", "user.one", NULL, 0), -ENODATA);
	OK(unlink("acl"));
	OK(link("sub/a", "acl"));
	expect_text("acl", "a\n");
	OK(unlink("exe"));
	OK(rename("sub/b", "exe"));
	EQUAL(stat_of("exe").st_mode, S_IFREG | 0600);
	FAILS(open("suid", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
}

static void make_over_deleted_after(void)
{
	expect_text("suid", "new\n");
	EQUAL(stat_of("suid").st_mode, S_IFREG | 0644);
	EQUAL(stat_of("file").st_mode, S_IFDIR | 0751);
	EQUAL(count_entries("file"), 0);
	expect_text("data/a", "a\n");
	expect_text("acl", "a\n");
	EQUAL(stat_of("acl").st_nlink, 2);
}

static void remove_sub(void)
{
	static const char *const names[] = { "a", "b", "c", "hard3", "deep/x", "deep/y/z" };

	OK(chdir("sub"));
	for (size_t i = 0; i < 6; i++)
		OK(unlink(names[i]));
	OK(rmdir("deep/y"));
	FAILS(rmdir("."), EINVAL);
	OK(rmdir("deep"));
	OK(chdir(".."));
	OK(rmdir("sub"));
}

static void make_dir_again(void)
{
	FAILS(rmdir("sub"), ENOTEMPTY);
	remove_sub();
	expect_gone("sub");
	OK(mkdir("sub", 0710));
	EQUAL(stat_of("sub").st_mode, S_IFDIR | 0710);
	EQUAL(count_entries("sub"), 0);
	FAILS(access("sub/a", F_OK), ENOENT);
	FAILS(access("sub/deep", F_OK), ENOENT);
	OK(mkdir("sub/deep", 0700));
	EQUAL(count_entries("sub/deep"), 0);
	OK(mkdir("sub/deep/y", 0700));
	EQUAL(count_entries("sub/deep/y"), 0);
	write_text("sub/deep/y/new", "new\n");
}

static void make_dir_again_after(void)
{
	EQUAL(count_entries("sub"), 1);
	EQUAL(count_entries("sub/deep"), 1);
	EQUAL(count_entries("sub/deep/y"), 1);
	expect_text("sub/deep/y/new", "new\n");
	EQUAL(stat_of("sub").st_mode, S_IFDIR | 0710);
	OK(unlink("sub/deep/y/new"));
	OK(rmdir("sub/deep/y"));
	OK(rmdir("sub/deep"));
	OK(rmdir("sub"));
	expect_gone("sub");
}

/* Nested: the inner one is deleted and made again below one that was only changed. */
static void make_inner_dir_again(void)
{
	OK(unlink("sub/deep/y/z"));
	OK(rmdir("sub/deep/y"));
	OK(mkdir("sub/deep/y", 0755));
	EQUAL(count_entries("sub/deep/y"), 0);
	expect_text("sub/deep/x", "x\n");
	for (int i = 0; i < 3; i++) {
		OK(rmdir("sub/deep/y"));
		OK(mkdir("sub/deep/y", 0755));
		OK(mkdir("sub/deep/y/z", 0755));
		OK(rmdir("sub/deep/y/z"));
	}
	OK(unlink("merged/dir/in"));
	OK(rmdir("merged/dir"));
	OK(mkdir("merged/dir", 0755));
	EQUAL(count_entries("merged/dir"), 0);
}

static void make_inner_dir_again_after(void)
{
	EQUAL(count_entries("sub/deep/y"), 0);
	EQUAL(count_entries("sub/deep"), 2);
	EQUAL(count_entries("merged/dir"), 0);
	EQUAL(count_entries("merged"), 5);
}

static void remove_dir_of_whiteouts(void)
{
	static const char *const names[] = { "merged/low1", "merged/low2", "merged/both", "merged/top1",
					     "merged/dir/in" };

	for (size_t i = 0; i < 5; i++)
		OK(unlink(names[i]));
	FAILS(rmdir("merged"), ENOTEMPTY);
	OK(rmdir("merged/dir"));
	OK(rmdir("merged"));
	expect_gone("merged");
	write_text("merged", "a file now\n");
}

static void remove_dir_of_whiteouts_after(void)
{
	expect_text("merged", "a file now\n");
}

static void kinds_differ_between_layers(void)
{
	expect_text("fileoverdir", "file over dir\n");
	FAILS(access("fileoverdir/hidden", F_OK), ENOTDIR);
	expect_text("diroverfile/in", "dir over file\n");
	EQUAL(count_entries("diroverfile"), 1);
	OK(unlink("fileoverdir"));
	expect_gone("fileoverdir");
	OK(mkdir("fileoverdir", 0755));
	EQUAL(count_entries("fileoverdir"), 0);
	OK(unlink("diroverfile/in"));
	OK(rmdir("diroverfile"));
	expect_gone("diroverfile");
	write_text("diroverfile", "new\n");
	EQUAL(stat_of("diroverfile").st_size, 4);
}

static void kinds_differ_between_layers_after(void)
{
	EQUAL(count_entries("fileoverdir"), 0);
	expect_text("diroverfile", "new\n");
}

static void deleted_upper_lives_on(void)
{
	int fd, other;
	char *p, c;

	write_text("new", "content\n");
	fd = OK(open("new", O_RDWR));
	other = OK(open("new", O_RDONLY));
	OK(unlink("new"));
	EQUAL(stat_fd(fd).st_nlink, 0);
	EQUAL(OK(pwrite(fd, "CON", 3, 0)), 3);
	expect_fd_text(other, 0, "CONtent\n");
	OK(ftruncate(fd, 3));
	EQUAL(stat_fd(other).st_size, 3);
	OK(ftruncate(fd, 8192));
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	memcpy(p + 5000, "mapped", 6);
	EQUAL(OK(pread(other, &c, 1, 5001)), 1);
	EQUAL(c, 'a');
	OK(fchmod(fd, 0600));
	EQUAL(stat_fd(other).st_mode, S_IFREG | 0600);
	OK(fsetxattr(fd, "user.x", "1", 1, 0));
	OK(fsync(fd));
	OK(futimens(fd, (struct timespec[2]){ kit_time, kit_time }));
	CHECK(same_time(stat_fd(other).st_mtim, kit_time));
	write_text("new", "another\n");
	CHECK(stat_of("new").st_ino != stat_fd(fd).st_ino);
	expect_text("new", "another\n");
}

static void deleted_lower_lives_on(void)
{
	int fd = OK(open("data", O_RDWR)), reader = OK(open("sub/a", O_RDONLY));

	OK(unlink("data"));
	OK(unlink("sub/a"));
	expect_data(fd, 0, KIT_DATA_SIZE);
	EQUAL(stat_fd(fd).st_nlink, 0);
	expect_fd_text(reader, 0, "a\n");
	EQUAL(OK(pwrite(fd, "abc", 3, 100)), 3);
	expect_data(fd, 0, 100);
	expect_data(fd, 103, KIT_DATA_SIZE);
	OK(ftruncate(fd, 103));
	expect_fd_text(fd, 100, "abc");
	OK(fchmod(fd, 0600));
	expect_gone("data");
	expect_gone("sub/a");
}

static void deleted_lower_is_changed(void)
{
	int fd = OK(open("file", O_RDONLY));

	OK(unlink("file"));
	OK(fchmod(fd, 0711));
	EQUAL(stat_fd(fd).st_mode, S_IFREG | 0711);
	OK(fsetxattr(fd, "user.x", "1", 1, 0));
	OK(futimens(fd, NULL));
	CHECK(is_later(stat_fd(fd).st_mtim, kit_time));
	expect_fd_text(fd, 0, "lower file\n");
	expect_gone("file");
}

static void deleted_lower_has_no_links(void)
{
	int dir = OK(open("empty", O_RDONLY | O_DIRECTORY)), file = OK(open("file", O_RDONLY));
	int replaced = OK(open("sub/a", O_RDONLY));

	OK(rmdir("empty"));
	OK(unlink("file"));
	OK(rename("sub/b", "sub/a"));
	case_expect(stat_fd(dir).st_nlink == 0, "the directory has links");
	case_expect(stat_fd(file).st_nlink == 0, "the file has links");
	case_expect(stat_fd(replaced).st_nlink == 0, "the replaced file has links");
}

static void deleted_lower_lives_on_after(void)
{
	expect_gone("data");
	expect_gone("sub/a");
}

static void deleted_is_not_linked_again(void)
{
	int fd = OK(open("file", O_RDWR));
	char path[64];

	OK(unlink("file"));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW), ENOENT);
	expect_gone("again");
}

static void deleted_directory_lives_on(void)
{
	int lower = OK(open("empty", O_RDONLY | O_DIRECTORY)), made;
	struct stat st;

	OK(rmdir("empty"));
	OK(mkdir("made", 0755));
	made = OK(open("made", O_RDONLY | O_DIRECTORY));
	OK(rmdir("made"));
	FAILS(openat(lower, "x", O_WRONLY | O_CREAT, 0644), ENOENT);
	FAILS(mkdirat(made, "x", 0755), ENOENT);
	FAILS(fstatat(lower, "x", &st, 0), ENOENT);
	EQUAL(stat_fd(made).st_nlink, 0);
	OK(fchdir(lower));
	EQUAL(count_entries("."), 0);
	FAILS(open("../empty", O_RDONLY), ENOENT);
}

const struct test_case cases_delete[] = {
	{ "delete_each_kind", delete_each_kind, delete_each_kind_after },
	{ "whiteouts_only_where_needed", whiteouts_only_where_needed, NULL },
	{ "make_over_deleted", make_over_deleted, make_over_deleted_after },
	{ "make_dir_again", make_dir_again, make_dir_again_after },
	{ "make_inner_dir_again", make_inner_dir_again, make_inner_dir_again_after },
	{ "remove_dir_of_whiteouts", remove_dir_of_whiteouts, remove_dir_of_whiteouts_after },
	{ "kinds_differ_between_layers", kinds_differ_between_layers, kinds_differ_between_layers_after },
	{ "deleted_upper_lives_on", deleted_upper_lives_on, NULL },
	{ "deleted_lower_lives_on", deleted_lower_lives_on, deleted_lower_lives_on_after },
	{ "deleted_lower_is_changed", deleted_lower_is_changed, NULL },
	{ "deleted_lower_has_no_links", deleted_lower_has_no_links, NULL },
	{ "deleted_is_not_linked_again", deleted_is_not_linked_again, NULL },
	{ "deleted_directory_lives_on", deleted_directory_lives_on, NULL },
	{ NULL, NULL, NULL },
};
