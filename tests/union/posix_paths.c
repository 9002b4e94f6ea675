/* SPDX-License-Identifier: Apache-2.0 */
/* What each call says of a path that leads nowhere. */
#include <limits.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "tests/union/posix.h"

enum { NEEDS = 1, MAKES = 2, FOLLOWS = 4 };

static int do_stat(const char *p)
{
	struct stat st;

	return stat(p, &st);
}

static int do_lstat(const char *p)
{
	struct stat st;

	return lstat(p, &st);
}

static int do_statfs(const char *p)
{
	struct statfs st;

	return statfs(p, &st);
}

static int do_access(const char *p)
{
	return access(p, F_OK);
}

static int do_chmod(const char *p)
{
	return chmod(p, 0644);
}

static int do_chown(const char *p)
{
	return chown(p, geteuid(), getegid());
}

static int do_lchown(const char *p)
{
	return lchown(p, geteuid(), getegid());
}

static int do_truncate(const char *p)
{
	return truncate(p, 5);
}

static int do_open(const char *p)
{
	int fd = open(p, O_RDONLY);

	return fd < 0 ? fd : close(fd);
}

static int do_open_dir(const char *p)
{
	int fd = open(p, O_RDONLY | O_DIRECTORY);

	return fd < 0 ? fd : close(fd);
}

static int do_create(const char *p)
{
	int fd = open(p, O_WRONLY | O_CREAT, 0644);

	return fd < 0 ? fd : close(fd);
}

static int do_create_new(const char *p)
{
	int fd = open(p, O_WRONLY | O_CREAT | O_EXCL, 0644);

	return fd < 0 ? fd : close(fd);
}

static int do_mkdir(const char *p)
{
	return mkdir(p, 0755);
}

static int do_mkfifo(const char *p)
{
	return mkfifo(p, 0644);
}

static int do_mknod(const char *p)
{
	return mknod(p, S_IFSOCK | 0644, 0);
}

static int do_symlink(const char *p)
{
	return symlink("nowhere", p);
}

static int do_link_from(const char *p)
{
	return link(p, "sub/never");
}

static int do_link_to(const char *p)
{
	return link("data", p);
}

static int do_rename_from(const char *p)
{
	return rename(p, "sub/never");
}

static int do_rename_to(const char *p)
{
	return rename("movable", p);
}

static int do_utimens(const char *p)
{
	return utimensat(AT_FDCWD, p, NULL, 0);
}

static int do_readlink(const char *p)
{
	char buf[16];

	return (int)readlink(p, buf, sizeof(buf));
}

static int do_setxattr(const char *p)
{
	return setxattr(p, "user.x", "1", 1, 0);
}

static int do_listxattr(const char *p)
{
	return (int)llistxattr(p, NULL, 0);
}

static const struct call {
	const char *name;
	int (*run)(const char *path);
	unsigned is;
} calls[] = {
	{ "stat", do_stat, NEEDS | FOLLOWS },
	{ "lstat", do_lstat, NEEDS },
	{ "statfs", do_statfs, NEEDS | FOLLOWS },
	{ "access", do_access, NEEDS | FOLLOWS },
	{ "chdir", chdir, NEEDS | FOLLOWS },
	{ "chmod", do_chmod, NEEDS | FOLLOWS },
	{ "chown", do_chown, NEEDS | FOLLOWS },
	{ "lchown", do_lchown, NEEDS },
	{ "truncate", do_truncate, NEEDS | FOLLOWS },
	{ "open", do_open, NEEDS | FOLLOWS },
	{ "open O_DIRECTORY", do_open_dir, NEEDS | FOLLOWS },
	{ "open O_CREAT", do_create, FOLLOWS },
	{ "open O_CREAT|O_EXCL", do_create_new, MAKES },
	{ "mkdir", do_mkdir, MAKES },
	{ "mkfifo", do_mkfifo, MAKES },
	{ "mknod", do_mknod, MAKES },
	{ "symlink", do_symlink, MAKES },
	{ "link from", do_link_from, NEEDS },
	{ "link to", do_link_to, MAKES },
	{ "rename from", do_rename_from, NEEDS },
	{ "rename to", do_rename_to, 0 },
	{ "unlink", unlink, NEEDS },
	{ "rmdir", rmdir, NEEDS },
	{ "utimensat", do_utimens, NEEDS | FOLLOWS },
	{ "readlink", do_readlink, NEEDS },
	{ "setxattr", do_setxattr, NEEDS | FOLLOWS },
	{ "llistxattr", do_listxattr, NEEDS },
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* All calls that are `is` (all of its bits) say this of that path. */
static void all_want(unsigned is, const char *path, int want)
{
	for (size_t i = 0; i < CALLS; i++)
		if ((calls[i].is & is) == is)
			WANT(calls[i].name, calls[i].run(path), want);
}

static void paths_that_lead_nowhere(void)
{
	write_text("movable", "x");
	all_want(0, "file/x", ENOTDIR);
	all_want(0, "movable/x", ENOTDIR);
	all_want(0, "fifo/x", ENOTDIR);
	all_want(0, "link/x", ENOTDIR);
	all_want(0, "missing/x", ENOENT);
	all_want(0, "dangling/x", ENOENT);
	all_want(0, "sub/missing/x", ENOENT);
	all_want(0, "", ENOENT);
	all_want(0, (const char *)1, EFAULT);
	all_want(NEEDS, "missing", ENOENT);
	all_want(NEEDS, "sub/missing", ENOENT);
	all_want(NEEDS | FOLLOWS, "dangling", ENOENT);
	expect_text("movable", "x");
	expect_gone("sub/never");
}

static void paths_in_circles(void)
{
	write_text("movable", "x");
	OK(symlink("loop", "loop"));
	OK(symlink("two", "one"));
	OK(symlink("one", "two"));
	all_want(0, "loop/x", ELOOP);
	all_want(0, "one/x", ELOOP);
	all_want(FOLLOWS, "loop", ELOOP);
	all_want(FOLLOWS, "one", ELOOP);
	all_want(MAKES, "loop", EEXIST);
}

static void paths_too_long(void)
{
	char path[PATH_MAX + 1];

	write_text("movable", "x");
	all_want(0, KIT_LONG_NAME "x", ENAMETOOLONG);
	all_want(0, "sub/" KIT_LONG_NAME "x", ENAMETOOLONG);
	all_want(0, KIT_LONG_NAME "x/x", ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[0] = '.';
	path[PATH_MAX] = '\0';
	all_want(0, path, ENAMETOOLONG);
	memcpy(path + PATH_MAX - 8, "missing", 8); /* 4,095 bytes */
	all_want(NEEDS, path, ENOENT);
	for (size_t i = 0; i < CALLS; i++) {
		if (!(calls[i].is & MAKES))
			continue;
		WANT(calls[i].name, calls[i].run(path), 0);
		WANT(calls[i].name, calls[i].run(path), EEXIST);
		remove_object("missing");
		WANT(calls[i].name, calls[i].run(KIT_LONG_NAME), 0);
		remove_object(KIT_LONG_NAME);
	}
}

static void names_that_exist(void)
{
	static const char *const lower[] = { "file",     "sub",    "fifo",        "link",
					     "dangling", "merged", "fileoverdir", "hard1" };

	for (size_t i = 0; i < sizeof(lower) / sizeof(lower[0]); i++)
		all_want(MAKES, lower[i], EEXIST);
	for (enum kind k = 0; k < KINDS; k++) {
		make_object(k, "new");
		all_want(MAKES, "new", EEXIST);
		case_expect(is_object(k, "new"), "the %s is another now", kind_names[k]);
		remove_object("new");
	}
	all_want(MAKES, ".", EEXIST);
	all_want(MAKES, "sub/..", EEXIST);
	all_want(MAKES, "/", EEXIST);
	OK(unlink("file"));
	for (size_t i = 0; i < CALLS; i++) {
		if (!(calls[i].is & MAKES))
			continue;
		WANT(calls[i].name, calls[i].run("file"), 0); /* the name has been deleted */
		remove_object("file");
	}
}

static void names_with_slash(void)
{
	WANT("file", open("file/", O_RDONLY), ENOTDIR);
	WANT("file", unlink("file/"), ENOTDIR);
	WANT("file", do_stat("file/"), ENOTDIR);
	WANT("file", truncate("file/", 0), ENOTDIR);
	WANT("file", link("file/", "x"), ENOTDIR);
	WANT("missing", open("missing/", O_WRONLY | O_CREAT, 0644), EISDIR);
	WANT("missing", symlink("x", "missing/"), ENOENT);
	WANT("missing", link("file", "missing/"), ENOENT);
	WANT("missing", mkdir("missing/", 0755), 0);
	WANT("missing", rmdir("missing/"), 0);
	WANT("link to a directory", rmdir("dirlink/"), ENOTDIR);
	WANT("link to a directory", unlink("dirlink/"), ENOTDIR);
	WANT("directory", unlink("sub/"), EISDIR);
	WANT("directory", do_stat("sub/"), 0);
	WANT("directory", do_stat("sub/deep/../."), 0);
}

static void call_in_locked(void)
{
	all_want(0, "locked/x", EACCES);
	all_want(0, "sub/deep/y/z", EACCES);
	all_want(MAKES, "readonly/new", EACCES);
	WANT("readonly", unlink("readonly/in"), EACCES);
	WANT("readonly", rename("readonly/in", "readonly/x"), EACCES);
	WANT("readonly", rmdir("readonly/dir"), EACCES);
	WANT("readonly", do_stat("readonly/in"), 0);
	WANT("readonly", rename("readonly/in", "sticky/x"), EACCES);
	WANT("unlistable", do_open_dir("unlistable"), EACCES);
	WANT("unlistable", do_stat("unlistable/in"), 0);
}

static void paths_that_are_locked(void)
{
	NEED_PRIVILEGE();
	OK(mkdir("locked", 0700));
	OK(mkdir("readonly", 0755));
	OK(mkdir("readonly/dir", 0777));
	write_text("readonly/in", "x");
	OK(mkdir("unlistable", 0711));
	write_text("unlistable/in", "x");
	OK(mknod("movable", S_IFREG | 0666, 0));
	OK(chmod("data", 0666)); /* who may not write a file may not link it (fs.protected_hardlinks) */
	OK(chmod("sub/deep/y", 0640));
	in_child_as(65534, 65534, call_in_locked);
}

const struct test_case posix_paths[] = {
	{ "paths_that_lead_nowhere", paths_that_lead_nowhere, NULL },
	{ "paths_in_circles", paths_in_circles, NULL },
	{ "paths_too_long", paths_too_long, NULL },
	{ "names_that_exist", names_that_exist, NULL },
	{ "names_with_slash", names_with_slash, NULL },
	{ "paths_that_are_locked", paths_that_are_locked, NULL },
	{ NULL, NULL, NULL },
};
