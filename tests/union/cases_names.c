/* SPDX-License-Identifier: Apache-2.0 */
/* Names of every kind, long paths and deep trees. */
#include <limits.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "tests/union/case_lists.h"

static void name_too_long(void)
{
	char name[NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	FAILS(open(name, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
	FAILS(mkdir(name, 0755), ENAMETOOLONG);
	FAILS(rename("file", name), ENAMETOOLONG);
	FAILS(link("file", name), ENAMETOOLONG);
	FAILS(symlink("x", name), ENAMETOOLONG);
	FAILS(unlink(name), ENAMETOOLONG);
	expect_text("file", "lower file\n");
}

/* Everything that can be done with a name, with this one. */
static void live_with(const char *name)
{
	char moved[600];

	(void)snprintf(moved, sizeof(moved), "sub/%s", name);
	write_text(name, "new\n");
	CHECK(is_listed(".", name));
	OK(rename(name, moved));
	expect_gone(name);
	CHECK(is_listed("sub", name));
	append_text(moved, "more\n");
	OK(link(moved, name));
	expect_text(name, "new\nmore\n");
	OK(unlink(moved));
	OK(unlink(name));
	expect_gone(name);
	OK(mkdir(name, 0755));
	CHECK(is_listed(".", name));
	OK(rmdir(name));
	OK(symlink(name, name));
	OK(unlink(name));
	expect_gone(name);
	write_text(name, "last\n");
	OK(rename(name, moved));
}

static void names_of_255_bytes(void)
{
	live_with(KIT_LONG_NAME);
	append_text("names/" KIT_LONG_NAME, "more\n");
	expect_text("names/" KIT_LONG_NAME, "long\nmore\n");
	OK(unlink("names/" KIT_LONG_NAME));
	expect_gone("names/" KIT_LONG_NAME);
	write_text("names/" KIT_LONG_NAME, "again\n");
}

static void names_of_255_bytes_after(void)
{
	expect_text("sub/" KIT_LONG_NAME, "last\n");
	expect_text("names/" KIT_LONG_NAME, "again\n");
}

static void names_with_wh(void)
{
	live_with(".wh.file");
	live_with(".wh..wh..opq");
	CHECK(is_listed("names", ".wh.low"));
	append_text("names/.wh.low", "more\n");
	expect_text("file", "lower file\n"); /* .wh.file has done it no harm */
	CHECK(is_listed(".", "file"));
}

static void names_with_wh_after(void)
{
	expect_text("sub/.wh.file", "last\n");
	expect_text("names/.wh.low", "white\nmore\n");
	EQUAL(count_entries("sub"), 7);
}

static void names_of_bytes(void)
{
	static const char *const names[] = { KIT_BYTES_NAME,     " ",       "\n", "...", "-rf",
					     "a\\b:c,d=e%20\"'", "\xc3\x28" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		live_with(names[i]);
	append_text("names/" KIT_BYTES_NAME, "more\n");
	OK(rename("names/" KIT_BYTES_NAME, "names/plain"));
	expect_gone("names/" KIT_BYTES_NAME);
}

static void names_of_bytes_after(void)
{
	expect_text("names/plain", "bytes\nmore\n");
	expect_text("sub/" KIT_BYTES_NAME, "last\n");
	expect_text("sub/...", "last\n");
}

static void names_of_every_byte(void)
{
	char name[3] = "?x";

	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[0] = (char)c;
		write_text(name, name);
	}
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[0] = (char)c;
		expect_text(name, name);
		OK(unlink(name));
	}
}

static void names_with_case(void)
{
	write_text("FILE", "upper case\n");
	expect_text("file", "lower file\n");
	expect_text("FILE", "upper case\n");
	write_text("e\xcc\x81", "decomposed\n");
	FAILS(access("\xc3\xa9", F_OK), ENOENT);
}

/* Names that floe or overlayfs use for themselves are ordinary here. */
static void names_of_bookkeeping(void)
{
	live_with(".floe");
	live_with("work");
	OK(mkdir("sub/tmp", 0700));
	OK(mkdir("empty/links", 0700));
}

static void names_of_bookkeeping_after(void)
{
	expect_text("sub/.floe", "last\n");
	EQUAL(count_entries("sub"), 8);
}

static void path_beyond_path_max(void)
{
	enum { LEVELS = 22 };
	char path[PATH_MAX];

	OK(chdir("merged"));
	for (int i = 0; i < LEVELS; i++) {
		OK(mkdir(KIT_LONG_NAME, 0755));
		OK(chdir(KIT_LONG_NAME));
	}
	write_text("deep", "deep\n");
	append_text("deep", "more\n");
	expect_text("deep", "deep\nmore\n");
	OK(rename("deep", "deeper"));
	CHECK(is_listed(".", "deeper"));
	OK(link("deeper", "linked"));
	OK(symlink("deeper", "symlink"));
	OK(setxattr("deeper", "user.x", "1", 1, 0));
	FAILS(syscall(SYS_getcwd, path, sizeof(path)), ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[0] = '.';
	path[PATH_MAX - 1] = '\0';
	OK(access(path, F_OK));
	memset(path, '/', sizeof(path));
	FAILS(syscall(SYS_access, path, F_OK), ENAMETOOLONG);
}

static void path_beyond_path_max_after(void)
{
	enum { LEVELS = 22 };

	OK(chdir("merged"));
	for (int i = 0; i < LEVELS; i++)
		OK(chdir(KIT_LONG_NAME));
	expect_text("deeper", "deep\nmore\n");
	expect_text("linked", "deep\nmore\n");
	OK(unlink("deeper"));
	OK(unlink("linked"));
	OK(unlink("symlink"));
	for (int i = 0; i < LEVELS; i++) {
		OK(chdir(".."));
		OK(rmdir(KIT_LONG_NAME));
	}
	CHECK(is_listed(".", "low1"));
}

/* A lower directory at the end of a path beyond PATH_MAX: it is moved down there. */
static void lower_beyond_path_max(void)
{
	enum { LEVELS = 18 };
	int sub = OK(open(".", O_RDONLY | O_DIRECTORY)),
	    at = OK(openat(sub, "empty", O_RDONLY | O_DIRECTORY));

	for (int i = 0; i < LEVELS; i++) {
		OK(mkdirat(at, KIT_LONG_NAME, 0755));
		at = OK(openat(at, KIT_LONG_NAME, O_RDONLY | O_DIRECTORY));
	}
	OK(renameat(sub, "sub", at, "sub"));
	OK(fchdir(at));
	expect_text("sub/deep/y/z", "z\n");
	append_text("sub/deep/y/z", "more\n");
	EQUAL(count_entries("sub/deep"), 2);
}

static void lower_beyond_path_max_after(void)
{
	enum { LEVELS = 18 };

	OK(chdir("empty"));
	for (int i = 0; i < LEVELS; i++)
		OK(chdir(KIT_LONG_NAME));
	expect_text("sub/deep/y/z", "z\nmore\n");
	expect_text("sub/deep/x", "x\n");
}

static void deep_tree(void)
{
	enum { LEVELS = 1000 };

	for (int i = 0; i < LEVELS; i++) {
		OK(mkdir("d", 0755));
		OK(chdir("d"));
	}
	write_text("bottom", "bottom\n");
	OK(chdir(setting.target));
	OK(chdir(setting.name));
	OK(rename("d", "sub/d"));
	OK(chdir("sub"));
	for (int i = 0; i < LEVELS; i++)
		OK(chdir("d"));
	append_text("bottom", "more\n");
}

static void deep_tree_after(void)
{
	enum { LEVELS = 1000 };

	OK(chdir("sub"));
	for (int i = 0; i < LEVELS; i++)
		OK(chdir("d"));
	expect_text("bottom", "bottom\nmore\n");
	OK(unlink("bottom"));
	for (int i = 0; i < LEVELS; i++) {
		OK(chdir(".."));
		OK(rmdir("d"));
	}
	CHECK(is_listed("deep", "x"));
}

static void long_symlinks(void)
{
	char target[PATH_MAX + 1], got[PATH_MAX + 1];

	memset(target, 't', sizeof(target));
	target[PATH_MAX - 1] = '\0';
	OK(symlink(target, "long"));
	EQUAL(stat_of("long").st_size, PATH_MAX - 1);
	EQUAL(OK(readlink("long", got, sizeof(got))), PATH_MAX - 1);
	CHECK(memcmp(target, got, PATH_MAX - 1) == 0);
	EQUAL(OK(readlink("long", got, 10)), 10);
	OK(rename("long", "sub/long"));
	target[PATH_MAX - 1] = 't';
	target[PATH_MAX] = '\0';
	FAILS(symlink(target, "longer"), ENAMETOOLONG);
	FAILS(symlink("", "none"), ENOENT);
	EQUAL(stat_of("link").st_size, 4);
}

static void long_symlinks_after(void)
{
	char got[PATH_MAX + 1];

	EQUAL(OK(readlink("sub/long", got, sizeof(got))), PATH_MAX - 1);
	EQUAL(got[PATH_MAX - 2], 't');
}

const struct test_case cases_names[] = {
	{ "name_too_long", name_too_long, NULL },
	{ "names_of_255_bytes", names_of_255_bytes, names_of_255_bytes_after },
	{ "names_with_wh", names_with_wh, names_with_wh_after },
	{ "names_of_bytes", names_of_bytes, names_of_bytes_after },
	{ "names_of_every_byte", names_of_every_byte, NULL },
	{ "names_with_case", names_with_case, NULL },
	{ "names_of_bookkeeping", names_of_bookkeeping, names_of_bookkeeping_after },
	{ "path_beyond_path_max", path_beyond_path_max, path_beyond_path_max_after },
	{ "lower_beyond_path_max", lower_beyond_path_max, lower_beyond_path_max_after },
	{ "deep_tree", deep_tree, deep_tree_after },
	{ "long_symlinks", long_symlinks, long_symlinks_after },
	{ NULL, NULL, NULL },
};
