/* SPDX-License-Identifier: Apache-2.0 */
/* Times: which operation changes which, to the nanosecond. */
#include <sys/xattr.h>

#include "tests/union/case_lists.h"

static const struct timespec some_time = { 1234567890, 987654321 };

static void times_are_set(void)
{
	struct timespec t[2] = { { 1000000001, 1 }, some_time };
	struct stat st;

	OK(utimensat(AT_FDCWD, "file", t, 0));
	st = stat_of("file");
	CHECK(same_time(st.st_atim, t[0]) && same_time(st.st_mtim, t[1]));
	CHECK(is_later(st.st_ctim, t[1]));
	OK(utimensat(AT_FDCWD, "link", t, AT_SYMLINK_NOFOLLOW));
	CHECK(same_time(stat_of("link").st_mtim, t[1]));
	OK(utimensat(AT_FDCWD, "sub", t, 0));
	CHECK(same_time(stat_of("sub").st_mtim, t[1]));
	OK(utimensat(AT_FDCWD, "fifo", t, 0));
	CHECK(same_time(stat_of("fifo").st_mtim, t[1]));
	t[1] = (struct timespec){ -1000000000, 5 };
	OK(utimensat(AT_FDCWD, "data", t, 0));
	CHECK(same_time(stat_of("data").st_mtim, t[1]));
	t[1] = (struct timespec){ 6000000000, 7 };
	OK(utimensat(AT_FDCWD, "suid", t, 0));
	CHECK(same_time(stat_of("suid").st_mtim, t[1]));
}

static void times_are_set_after(void)
{
	CHECK(same_time(stat_of("file").st_mtim, some_time));
	CHECK(same_time(stat_of("sub").st_mtim, some_time));
	CHECK(same_time(stat_of("link").st_mtim, some_time));
	CHECK(same_time(stat_of("data").st_mtim, (struct timespec){ -1000000000, 5 }));
	CHECK(same_time(stat_of("suid").st_mtim, (struct timespec){ 6000000000, 7 }));
}

static void times_now_and_omit(void)
{
	struct timespec omit_a[2] = { { 0, UTIME_OMIT }, some_time };
	struct timespec omit_m[2] = { some_time, { 0, UTIME_OMIT } };
	struct timespec now_m[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct timespec omit_both[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	struct timespec wrong[2] = { { 0, 1000000000 }, { 0, 0 } }, now;
	struct stat st;

	OK(utimensat(AT_FDCWD, "file", omit_a, 0));
	st = stat_of("file");
	CHECK(same_time(st.st_atim, kit_time) && same_time(st.st_mtim, some_time));
	OK(utimensat(AT_FDCWD, "file", omit_m, 0));
	st = stat_of("file");
	CHECK(same_time(st.st_atim, some_time) && same_time(st.st_mtim, some_time));
	OK(utimensat(AT_FDCWD, "sub/a", omit_both, 0));
	CHECK(same_time(stat_of("sub/a").st_mtim, kit_time));
	CHECK(!upper_has("sub"));
	OK(utimensat(AT_FDCWD, "file", now_m, 0));
	OK(clock_gettime(CLOCK_REALTIME, &now));
	st = stat_of("file");
	CHECK(same_time(st.st_atim, some_time));
	CHECK(st.st_mtim.tv_sec >= now.tv_sec - 5 && st.st_mtim.tv_sec <= now.tv_sec + 1);
	OK(utimensat(AT_FDCWD, "data", NULL, 0));
	st = stat_of("data");
	CHECK(st.st_mtim.tv_sec >= now.tv_sec - 5 && st.st_atim.tv_sec >= now.tv_sec - 5);
	FAILS(utimensat(AT_FDCWD, "file", wrong, 0), EINVAL);
}

static void expect_ctime_bump(const char *path, struct stat *last, const char *why)
{
	struct stat st = stat_of(path);

	case_expect(is_later(st.st_ctim, last->st_ctim), "%s: ctime stays", why);
	case_expect(same_time(st.st_mtim, last->st_mtim), "%s: mtime changes", why);
	*last = st;
	pause_clock();
}

static void ctime_is_bumped(void)
{
	struct stat st;

	OK(chmod("file", 0600)); /* copied up: from here on all are the union's own */
	pause_clock();
	st = stat_of("file");
	OK(chmod("file", 0644));
	expect_ctime_bump("file", &st, "chmod");
	OK(chown("file", geteuid(), getegid()));
	expect_ctime_bump("file", &st, "chown");
	OK(link("file", "linked"));
	expect_ctime_bump("file", &st, "link");
	OK(rename("file", "renamed"));
	expect_ctime_bump("renamed", &st, "rename");
	OK(unlink("linked"));
	expect_ctime_bump("renamed", &st, "unlink of another name");
	OK(setxattr("renamed", "user.x", "1", 1, 0));
	expect_ctime_bump("renamed", &st, "setxattr");
	OK(removexattr("renamed", "user.x"));
	expect_ctime_bump("renamed", &st, "removexattr");
	OK(rename("renamed", "sub/renamed"));
	expect_ctime_bump("sub/renamed", &st, "rename to elsewhere");
	OK(mkdir("made", 0700));
	st = stat_of("made");
	pause_clock();
	OK(rename("made", "sub/made"));
	expect_ctime_bump("sub/made", &st, "rename of a directory");
}

static void expect_content_bump(const char *path, struct stat *last, const char *why)
{
	struct stat st = stat_of(path);

	case_expect(is_later(st.st_mtim, last->st_mtim), "%s: mtime stays", why);
	case_expect(is_later(st.st_ctim, last->st_ctim), "%s: ctime stays", why);
	*last = st;
	pause_clock();
}

static void content_bumps_times(void)
{
	int fd = OK(open("file", O_RDWR));
	struct stat st = stat_of("file");

	EQUAL(OK(write(fd, "x", 1)), 1);
	expect_content_bump("file", &st, "write");
	EQUAL(OK(write(fd, "x", 1)), 1);
	expect_content_bump("file", &st, "second write");
	EQUAL(stat_fd(fd).st_mtim.tv_nsec, stat_of("file").st_mtim.tv_nsec);
	OK(ftruncate(fd, 5));
	expect_content_bump("file", &st, "ftruncate");
	OK(truncate("file", 5));
	expect_content_bump("file", &st, "truncate to the same size");
	OK(close(OK(open("file", O_WRONLY | O_TRUNC))));
	expect_content_bump("file", &st, "O_TRUNC");
	OK(close(OK(open("file", O_WRONLY | O_TRUNC))));
	expect_content_bump("file", &st, "O_TRUNC of an empty file");
	OK(fallocate(fd, 0, 0, 10));
	expect_content_bump("file", &st, "fallocate");
	OK(close(OK(open("file", O_WRONLY | O_APPEND))));
	EQUAL(stat_of("file").st_mtim.tv_nsec, st.st_mtim.tv_nsec);
}

static void parents_are_bumped(void)
{
	struct stat sub, merged, file;

	OK(chmod("sub", 0700));
	OK(chmod("merged", 0700));
	pause_clock();
	sub = stat_of("sub");
	merged = stat_of("merged");
	write_text("sub/new", "x");
	expect_content_bump("sub", &sub, "create");
	append_text("sub/new", "x");
	CHECK(same_time(stat_of("sub").st_mtim, sub.st_mtim));
	OK(unlink("sub/new"));
	expect_content_bump("sub", &sub, "unlink");
	OK(unlink("sub/a"));
	expect_content_bump("sub", &sub, "unlink of a lower file");
	OK(mkdir("sub/made", 0755));
	expect_content_bump("sub", &sub, "mkdir");
	OK(rmdir("sub/made"));
	expect_content_bump("sub", &sub, "rmdir");
	OK(mkdir("sub/made", 0755));
	expect_content_bump("sub", &sub, "mkdir once more");
	OK(symlink("x", "sub/symlink"));
	expect_content_bump("sub", &sub, "symlink");
	OK(mkfifo("sub/fifo", 0600));
	expect_content_bump("sub", &sub, "mkfifo");
	OK(link("file", "sub/linked"));
	expect_content_bump("sub", &sub, "link");
	OK(rename("sub/linked", "sub/renamed"));
	expect_content_bump("sub", &sub, "rename within");
	OK(rename("sub/b", "merged/b"));
	expect_content_bump("sub", &sub, "rename out");
	pause_clock();
	expect_content_bump("merged", &merged, "rename in");
	file = stat_of("merged/b");
	CHECK(same_time(file.st_mtim, kit_time));
	OK(rename("sub/made", "merged/made"));
	expect_content_bump("sub", &sub, "rename of a directory out");
	expect_content_bump("merged", &merged, "rename of a directory in");
}

/* The first change of a lower directory, too. */
static void parents_are_bumped_at_first(void)
{
	write_text("empty/new", "x");
	CHECK(is_later(stat_of("empty").st_mtim, kit_time));
	OK(unlink("sub/deep/x"));
	CHECK(is_later(stat_of("sub/deep").st_mtim, kit_time));
	CHECK(same_time(stat_of("sub").st_mtim, kit_time));
	OK(mkdir("merged/made", 0755));
	CHECK(is_later(stat_of("merged").st_mtim, kit_time));
}

static void parents_are_bumped_at_first_after(void)
{
	CHECK(is_later(stat_of("empty").st_mtim, kit_time));
	CHECK(same_time(stat_of("sub").st_mtim, kit_time));
}

static void failures_bump_nothing(void)
{
	struct stat before = stat_of("sub"), file = stat_of("file");

	FAILS(mkdir("sub/deep", 0755), EEXIST);
	FAILS(unlink("sub/nothing"), ENOENT);
	FAILS(rmdir("sub/deep"), ENOTEMPTY);
	FAILS(rename("sub/a", "sub/deep"), EISDIR);
	FAILS(open("file", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	CHECK(same_time(stat_of("sub").st_mtim, before.st_mtim));
	CHECK(same_time(stat_of("sub").st_ctim, before.st_ctim));
	CHECK(same_time(stat_of("file").st_ctim, file.st_ctim));
}

static void birth_time(void)
{
	struct statx sx;

	write_text("new", "x");
	OK(statx(AT_FDCWD, "new", 0, STATX_BASIC_STATS | STATX_BTIME, &sx));
	EQUAL(sx.stx_size, 1);
	EQUAL(sx.stx_ino, stat_of("new").st_ino);
	if (!(sx.stx_mask & STATX_BTIME))
		case_skip("statx knows no birth time here");
	CHECK(sx.stx_btime.tv_sec >= stat_of("new").st_mtim.tv_sec - 5);
}

static void new_objects_have_the_time(void)
{
	struct timespec now;

	OK(clock_gettime(CLOCK_REALTIME, &now));
	write_text("new", "x");
	OK(mkdir("made", 0755));
	OK(symlink("x", "symlink"));
	for (int i = 0; i < 3; i++) {
		struct stat st = stat_of(i == 0 ? "new" : i == 1 ? "made" : "symlink");

		CHECK(st.st_mtim.tv_sec >= now.tv_sec - 1 && st.st_mtim.tv_sec <= now.tv_sec + 5);
		CHECK(st.st_ctim.tv_sec >= now.tv_sec - 1 && st.st_atim.tv_sec >= now.tv_sec - 1);
	}
}

const struct test_case cases_times[] = {
	{ "times_are_set", times_are_set, times_are_set_after },
	{ "times_now_and_omit", times_now_and_omit, NULL },
	{ "ctime_is_bumped", ctime_is_bumped, NULL },
	{ "content_bumps_times", content_bumps_times, NULL },
	{ "parents_are_bumped", parents_are_bumped, NULL },
	{ "parents_are_bumped_at_first", parents_are_bumped_at_first, parents_are_bumped_at_first_after },
	{ "failures_bump_nothing", failures_bump_nothing, NULL },
	{ "birth_time", birth_time, NULL },
	{ "new_objects_have_the_time", new_objects_have_the_time, NULL },
	{ NULL, NULL, NULL },
};
