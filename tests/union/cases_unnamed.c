/* SPDX-License-Identifier: Apache-2.0 */
/* Files without a name: O_TMPFILE. */
#include <sys/mman.h>

#include "tests/union/case_lists.h"

static int open_unnamed(const char *dir, int flags, mode_t mode)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | flags, mode);

	if (fd < 0)
		FAIL("O_TMPFILE in %s: %s", dir, strerror(errno));
	return fd;
}

static void give_name(int fd, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW) < 0)
		FAIL("linkat %s: %s", name, strerror(errno));
}

static void unnamed_is_written(void)
{
	static const char *const dirs[] = { ".", "sub/deep", "empty", "merged" };

	for (size_t i = 0; i < 4; i++) {
		unsigned before = count_entries(dirs[i]);
		int fd = open_unnamed(dirs[i], 0, 0640);
		char *p;

		EQUAL(stat_fd(fd).st_nlink, 0);
		EQUAL(stat_fd(fd).st_mode, S_IFREG | 0640);
		EQUAL(OK(write(fd, "content", 7)), 7);
		expect_fd_text(fd, 0, "content");
		OK(ftruncate(fd, 4096));
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK(p != MAP_FAILED);
		p[0] = 'C';
		OK(ftruncate(fd, 7));
		expect_fd_text(fd, 0, "Content");
		EQUAL(count_entries(dirs[i]), before);
	}
}

static void unnamed_is_linked(void)
{
	int fd = open_unnamed("sub", 0, 0604);

	EQUAL(OK(write(fd, "content\n", 8)), 8);
	give_name(fd, "sub/named");
	EQUAL(stat_fd(fd).st_nlink, 1);
	EQUAL(stat_of("sub/named").st_ino, stat_fd(fd).st_ino);
	EQUAL(stat_of("sub/named").st_mode, S_IFREG | 0604);
	expect_text("sub/named", "content\n");
	EQUAL(OK(write(fd, "more\n", 5)), 5);
	expect_text("sub/named", "content\nmore\n");
	give_name(fd, "merged/second");
	EQUAL(stat_fd(fd).st_nlink, 2);
	fd = open_unnamed("empty", 0, 0600);
	FAILS(linkat(AT_FDCWD, "/proc/self/fd/nothing", AT_FDCWD, "x", AT_SYMLINK_FOLLOW), ENOENT);
	OK(unlink("file"));
	give_name(fd, "file"); /* over a whiteout */
	expect_text("file", "");
}

static void unnamed_is_linked_after(void)
{
	expect_text("sub/named", "content\nmore\n");
	EQUAL(stat_of("sub/named").st_mode, S_IFREG | 0604);
	EQUAL(stat_of("merged/second").st_nlink, 2);
	EQUAL(stat_of("merged/second").st_ino, stat_of("sub/named").st_ino);
	expect_text("file", "");
	EQUAL(count_entries("empty"), 0);
}

static void unnamed_exclusive(void)
{
	int fd = open_unnamed("empty", O_EXCL, 0600);
	char path[64];

	EQUAL(OK(write(fd, "x", 1)), 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
	expect_gone("named");
}

static void unnamed_mode(void)
{
	(void)umask(027);
	EQUAL(stat_fd(open_unnamed("sub", 0, 0777)).st_mode, S_IFREG | 0750);
	EQUAL(stat_fd(open_unnamed("sub", 0, 0)).st_mode, S_IFREG);
	EQUAL(stat_fd(open_unnamed("sgid", 0, 0644)).st_gid, stat_of("sgid").st_gid);
	EQUAL(stat_fd(open_unnamed("sub", 0, 0644)).st_uid, geteuid());
	FAILS(open("file", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
	FAILS(open("sub", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	FAILS(open("nothing", O_TMPFILE | O_RDWR, 0600), ENOENT);
}

static void unnamed_leaves_nothing(void)
{
	for (int i = 0; i < 50; i++) {
		int fd = open_unnamed("empty", 0, 0600);

		EQUAL(OK(write(fd, "x", 1)), 1);
		OK(close(fd));
	}
	EQUAL(count_entries("empty"), 0);
	OK(rmdir("empty"));
}

const struct test_case cases_unnamed[] = {
	{ "unnamed_is_written", unnamed_is_written, NULL },
	{ "unnamed_is_linked", unnamed_is_linked, unnamed_is_linked_after },
	{ "unnamed_exclusive", unnamed_exclusive, NULL },
	{ "unnamed_mode", unnamed_mode, NULL },
	{ "unnamed_leaves_nothing", unnamed_leaves_nothing, NULL },
	{ NULL, NULL, NULL },
};
