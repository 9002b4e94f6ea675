/* SPDX-License-Identifier: Apache-2.0 */
/* Which times each call changes: of the object, of the directory it is in, of the one it comes to; and that
 * a call that fails changes none. */
#include <sys/xattr.h>

#include "tests/union/posix.h"

enum { DIR_MC = 1, TO_MC = 2, OBJ_C = 4, OBJ_M = 8, GONE = 16 };

/* Objects: made/obj and to/; new ones, or sub/b and merged/ of the layers below. */
static char obj[64], dir[32], to_dir[32], to_obj[64], other[64];

static void place_objects(bool is_lower)
{
	(void)snprintf(dir, sizeof(dir), is_lower ? "sub" : "made");
	(void)snprintf(to_dir, sizeof(to_dir), is_lower ? "merged" : "to");
	(void)snprintf(obj, sizeof(obj), is_lower ? "sub/b" : "made/obj");
	(void)snprintf(to_obj, sizeof(to_obj), "%s/moved", to_dir);
	(void)snprintf(other, sizeof(other), "%s/other", dir);
}

static int t_chmod(void)
{
	return chmod(obj, 0640);
}

static int t_chown(void)
{
	return chown(obj, geteuid(), getegid());
}

static int t_link(void)
{
	return link(obj, to_obj);
}

static int t_link_within(void)
{
	return link(obj, other);
}

static int t_rename(void)
{
	return rename(obj, to_obj);
}

static int t_rename_back(void)
{
	return rename(to_obj, obj);
}

static int t_rename_within(void)
{
	return rename(obj, other);
}

static int t_rename_within_back(void)
{
	return rename(other, obj);
}

static int t_unlink_other(void)
{
	return unlink(other);
}

static int t_unlink_to(void)
{
	return unlink(to_obj);
}

static int t_truncate(void)
{
	return truncate(obj, 1);
}

static int t_truncate_same(void)
{
	return truncate(obj, 1);
}

static int t_write(void)
{
	append_text(obj, "more");
	return 0;
}

static int t_write_nothing(void)
{
	append_text(obj, "");
	return 0;
}

static int t_open_trunc(void)
{
	return close(open(obj, O_WRONLY | O_TRUNC));
}

static int t_setxattr(void)
{
	return setxattr(obj, "user.x", "1", 1, 0);
}

static int t_removexattr(void)
{
	return removexattr(obj, "user.x");
}

static int t_mkdir(void)
{
	return mkdir(other, 0755);
}

static int t_rmdir(void)
{
	return rmdir(other);
}

static int t_symlink(void)
{
	return symlink("x", other);
}

static int t_mkfifo(void)
{
	return mkfifo(other, 0644);
}

static int t_mknod(void)
{
	return mknod(other, S_IFSOCK | 0644, 0);
}

static int t_create(void)
{
	return close(open(other, O_WRONLY | O_CREAT | O_EXCL, 0644));
}

static int t_open_existing(void)
{
	return close(open(obj, O_RDWR | O_CREAT, 0644));
}

static int t_read(void)
{
	char c;
	int fd = open(obj, O_RDONLY);

	return read(fd, &c, 1) < 0 ? -1 : close(fd);
}

static int t_lookup(void)
{
	struct stat st;

	(void)count_entries(dir);
	return stat(obj, &st);
}

static const struct step {
	const char *name;
	int (*run)(void);
	unsigned changes;
} steps[] = {
	{ "stat and readdir", t_lookup, 0 },
	{ "read", t_read, 0 },
	{ "open existing", t_open_existing, 0 },
	{ "chmod", t_chmod, OBJ_C },
	{ "chown", t_chown, OBJ_C },
	{ "setxattr", t_setxattr, OBJ_C },
	{ "removexattr", t_removexattr, OBJ_C },
	{ "truncate", t_truncate, OBJ_C | OBJ_M },
	{ "truncate to the same", t_truncate_same, OBJ_C | OBJ_M },
	{ "write", t_write, OBJ_C | OBJ_M },
	{ "write of nothing", t_write_nothing, 0 },
	{ "O_TRUNC", t_open_trunc, OBJ_C | OBJ_M },
	{ "link", t_link, OBJ_C | TO_MC },
	{ "unlink of a link", t_unlink_to, OBJ_C | TO_MC },
	{ "link within", t_link_within, OBJ_C | DIR_MC },
	{ "unlink within", t_unlink_other, OBJ_C | DIR_MC },
	{ "rename within", t_rename_within, GONE | DIR_MC },
	{ "rename back within", t_rename_within_back, OBJ_C | DIR_MC },
	{ "rename", t_rename, GONE | DIR_MC | TO_MC },
	{ "rename back", t_rename_back, OBJ_C | DIR_MC | TO_MC },
	{ "mkdir", t_mkdir, DIR_MC },
	{ "rmdir", t_rmdir, DIR_MC },
	{ "symlink", t_symlink, DIR_MC },
	{ "unlink of it", t_unlink_other, DIR_MC },
	{ "mkfifo", t_mkfifo, DIR_MC },
	{ "unlink of it", t_unlink_other, DIR_MC },
	{ "mknod", t_mknod, DIR_MC },
	{ "unlink of it", t_unlink_other, DIR_MC },
	{ "open O_CREAT", t_create, DIR_MC },
	{ "unlink of it", t_unlink_other, DIR_MC },
};

static void compare(const char *name, const char *what, const struct stat *before, const struct stat *now,
		    bool changes_m, bool changes_c)
{
	case_expect(is_later(now->st_mtim, before->st_mtim) == changes_m, "%s: mtime of %s %s", name, what,
		    changes_m ? "stays" : "changes");
	case_expect(is_later(now->st_ctim, before->st_ctim) == changes_c, "%s: ctime of %s %s", name, what,
		    changes_c ? "stays" : "changes");
}

static void run_step(const struct step *s)
{
	struct stat d = stat_of(dir), t = stat_of(to_dir), o = { .st_ino = 0 }, now;

	if (access(obj, F_OK) == 0)
		o = stat_of(obj);
	pause_clock();
	WANT(s->name, s->run(), 0);
	now = stat_of(dir);
	compare(s->name, dir, &d, &now, s->changes & DIR_MC, s->changes & DIR_MC);
	now = stat_of(to_dir);
	compare(s->name, to_dir, &t, &now, s->changes & TO_MC, s->changes & TO_MC);
	if (s->changes & GONE)
		return;
	now = stat_of(obj);
	if (o.st_ino)
		compare(s->name, obj, &o, &now, s->changes & OBJ_M, s->changes & OBJ_C);
}

static void times_of_new(void)
{
	OK(mkdir("made", 0755));
	OK(mkdir("to", 0755));
	make_object(KIND_FILE, "made/obj");
	place_objects(false);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		run_step(&steps[i]);
}

/* Objects of the layers below; they are copied up first, which may show in ctime. */
static void times_of_lower(void)
{
	struct statx sx;

	place_objects(true);
	OK(chmod(dir, 0755));
	OK(chmod(to_dir, 0755));
	OK(chmod(obj, 0600));
	OK(statx(AT_FDCWD, dir, AT_STATX_FORCE_SYNC, STATX_CTIME, &sx));
	OK(statx(AT_FDCWD, to_dir, AT_STATX_FORCE_SYNC, STATX_CTIME, &sx));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		run_step(&steps[i]);
}

static void expect_unchanged(const char *name, const char *path, const struct stat *before)
{
	struct stat now = stat_of(path);

	compare(name, path, before, &now, false, false);
}

static void times_after_failures(void)
{
	static const char *const paths[] = { "sub", "sub/a", "merged", "file", "empty", "." };
	enum { PATHS = sizeof(paths) / sizeof(paths[0]) };
	struct stat before[PATHS];

	for (size_t i = 0; i < PATHS; i++)
		before[i] = stat_of(paths[i]);
	pause_clock();
	WANT("mkdir", mkdir("sub/deep", 0755), EEXIST);
	WANT("mkfifo", mkfifo("sub/a", 0644), EEXIST);
	WANT("symlink", symlink("x", "sub/a"), EEXIST);
	WANT("link", link("file", "sub/a"), EEXIST);
	WANT("open", open("sub/a", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	WANT("unlink", unlink("sub/deep"), EISDIR);
	WANT("rmdir", rmdir("sub/a"), ENOTDIR);
	WANT("rmdir", rmdir("sub"), ENOTEMPTY);
	WANT("rename", rename("empty", "sub"), ENOTEMPTY);
	WANT("rename", rename("sub/a", "empty"), EISDIR);
	WANT("rename", rename("file", "merged/x/y"), ENOENT);
	WANT("rename", rename("merged", "merged/dir/x"), EINVAL);
	WANT("truncate", truncate("file", -1), EINVAL);
	WANT("setxattr", setxattr("file", "user.x", "1", 1, XATTR_REPLACE), ENODATA);
	for (size_t i = 0; i < PATHS; i++)
		expect_unchanged("failure", paths[i], &before[i]);
}

static void times_of_new_objects(void)
{
	static const char *const names[] = { "file", "fifo", "socket", "symlink", "directory" };
	struct stat before, st;
	char path[64];

	OK(mkdir("made", 0755));
	for (enum kind k = 0; k < KINDS; k++) {
		before = stat_of("made");
		pause_clock();
		(void)snprintf(path, sizeof(path), "made/%s", names[k]);
		make_object(k, path);
		st = stat_of(path);
		case_expect(is_later(st.st_atim, before.st_ctim), "%s: atime", path);
		case_expect(is_later(st.st_mtim, before.st_ctim), "%s: mtime", path);
		case_expect(is_later(st.st_ctim, before.st_ctim), "%s: ctime", path);
		before = stat_of("made");
		case_expect(!is_later(st.st_ctim, before.st_ctim) || k == KIND_FILE,
			    "%s: later than its directory", path);
	}
}

static void utimens_of_each(void)
{
	const struct timespec t[2] = { { 1500000000, 111111111 }, { 1600000000, 999999999 } };

	for (enum kind k = 0; k < KINDS; k++) {
		const char *paths[2] = { "new", lower_objects[k] };

		make_object(k, "new");
		for (int i = 0; i < 2 && paths[i]; i++) {
			struct stat st;

			WANT(paths[i], utimensat(AT_FDCWD, paths[i], t, AT_SYMLINK_NOFOLLOW), 0);
			st = stat_of(paths[i]);
			case_expect(same_time(st.st_atim, t[0]), "%s: atime", paths[i]);
			case_expect(same_time(st.st_mtim, t[1]), "%s: mtime", paths[i]);
			case_expect(is_later(st.st_ctim, t[1]), "%s: ctime", paths[i]);
		}
		remove_object("new");
	}
}

const struct test_case posix_times[] = {
	{ "times_of_new", times_of_new, NULL },
	{ "times_of_lower", times_of_lower, NULL },
	{ "times_after_failures", times_after_failures, NULL },
	{ "times_of_new_objects", times_of_new_objects, NULL },
	{ "utimens_of_each", utimens_of_each, NULL },
	{ NULL, NULL, NULL },
};
