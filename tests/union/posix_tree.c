/* SPDX-License-Identifier: Apache-2.0 */
/* rename, link, unlink, rmdir, mkdir of each kind of object on each other, new ones and those of the layers
 * below. */
#include "tests/union/posix.h"

static int rename_result(enum kind from, enum kind to)
{
	if (from == KIND_DIR)
		return to == KIND_DIR ? 0 : ENOTDIR;
	return to == KIND_DIR ? EISDIR : 0;
}

/* The object `path` is moved over one of each kind, and back. */
static void rename_over_each(enum kind from, const char *path)
{
	char about[64];

	for (enum kind to = 0; to < KINDS; to++) {
		struct stat before = stat_of(path), target, now;

		(void)snprintf(about, sizeof(about), "%s over %s", path, kind_names[to]);
		make_object(to, "target");
		target = stat_of("target");
		WANT(about, rename(path, "target"), rename_result(from, to));
		if (rename_result(from, to)) {
			case_expect(stat_of(path).st_ino == before.st_ino, "%s: it is gone", about);
			case_expect(stat_of("target").st_ino == target.st_ino, "%s: the target is gone",
				    about);
			remove_object("target");
			continue;
		}
		now = stat_of("target");
		case_expect(access(path, F_OK) < 0 && errno == ENOENT, "%s: it is still there", about);
		case_expect(now.st_ino == before.st_ino, "%s: another number", about);
		case_expect(now.st_mode == before.st_mode, "%s: another mode", about);
		case_expect(now.st_size == before.st_size || from == KIND_DIR, "%s: another size", about);
		case_expect(now.st_nlink == before.st_nlink || from == KIND_DIR, "%s: other links", about);
		case_expect(same_time(now.st_mtim, before.st_mtim), "%s: another mtime", about);
		case_expect(is_object(from, "target"), "%s: another kind", about);
		WANT(about, rename("target", path), 0);
	}
}

static void rename_each_over_each(void)
{
	for (enum kind from = 0; from < KINDS; from++) {
		make_object(from, "new");
		rename_over_each(from, "new");
		remove_object("new");
	}
}

static void rename_each_lower_over_each(void)
{
	for (enum kind from = 0; from < KIND_DIR; from++)
		if (lower_objects[from])
			rename_over_each(from, lower_objects[from]);
	rename_over_each(KIND_FILE, "merged/both");
	rename_over_each(KIND_FILE, "sub/c");
	rename_over_each(KIND_SYMLINK, "dangling");
}

static void rename_each_over_lower(void)
{
	for (enum kind from = 0; from < KIND_DIR; from++) {
		static const char *const targets[] = { "file", "data", "suid", "attrs" };
		ino_t ino;

		make_object(from, "new");
		ino = stat_of("new").st_ino;
		WANT(kind_names[from], rename("new", "empty"), EISDIR);
		WANT(kind_names[from], rename("new", "sub"), EISDIR);
		WANT(kind_names[from], rename("new", targets[from]), 0);
		case_expect(stat_of(targets[from]).st_ino == ino, "%s: another number", kind_names[from]);
		expect_gone("new");
	}
	make_object(KIND_DIR, "new");
	WANT("directory", rename("new", "exe"), ENOTDIR);
	WANT("directory", rename("new", "link"), ENOTDIR);
	WANT("directory", rename("new", "dirlink"), ENOTDIR);
	WANT("directory", rename("new", "sub"), ENOTEMPTY);
	WANT("directory", rename("new", "merged"), ENOTEMPTY);
	WANT("directory", rename("new", "empty"), 0);
}

static void rename_to_dots(void)
{
	OK(mkdir("made", 0755));
	WANT(".", rename("made/.", "x"), EBUSY);
	WANT("..", rename("sub/deep/..", "x"), EBUSY);
	WANT(".", rename("made", "sub/."), EBUSY);
	WANT("..", rename("made", "sub/deep/.."), EBUSY);
	WANT("itself", rename("made", "made/x"), EINVAL);
	WANT("itself", rename("sub", "sub/deep/y/x"), EINVAL);
	WANT("above", rename("sub/deep/y", "sub"), ENOTEMPTY);
	WANT("another file system", rename("made", "/proc/self/x"), EXDEV);
}

static void unlink_each(void)
{
	for (enum kind k = 0; k < KINDS; k++) {
		make_object(k, "new");
		WANT(kind_names[k], rmdir("new"), k == KIND_DIR ? 0 : ENOTDIR);
		if (k == KIND_DIR)
			make_object(k, "new");
		WANT(kind_names[k], unlink("new"), k == KIND_DIR ? EISDIR : 0);
		if (k == KIND_DIR)
			OK(rmdir("new"));
		WANT(kind_names[k], unlink("new"), ENOENT);
		WANT(kind_names[k], rmdir("new"), ENOENT);
		expect_gone("new");
		if (!lower_objects[k])
			continue;
		if (k == KIND_DIR) {
			WANT("lower", unlink(lower_objects[k]), EISDIR);
			WANT("lower", rmdir(lower_objects[k]), 0);
		} else {
			WANT("lower", rmdir(lower_objects[k]), ENOTDIR);
			WANT("lower", unlink(lower_objects[k]), 0);
		}
		expect_gone(lower_objects[k]);
		make_object(k, lower_objects[k]);
		case_expect(is_object(k, lower_objects[k]), "a new %s", kind_names[k]);
	}
	WANT("not empty", rmdir("sub"), ENOTEMPTY);
	WANT("not empty", rmdir("merged"), ENOTEMPTY);
	WANT("not empty", rmdir("sub/deep"), ENOTEMPTY);
	WANT(".", rmdir("sub/."), EINVAL);
	WANT("..", rmdir("sub/deep/.."), ENOTEMPTY);
	WANT("symlink", rmdir("dirlink"), ENOTDIR);
	OK(mkdir("made", 0755));
	make_object(KIND_FILE, "made/in");
	WANT("not empty", rmdir("made"), ENOTEMPTY);
	WANT("flags", unlinkat(AT_FDCWD, "made", 0x1000), EINVAL);
	WANT("flags", unlinkat(AT_FDCWD, "made/in", AT_REMOVEDIR), ENOTDIR);
	WANT("descriptor", unlinkat(-1, "made/in", 0), EBADF);
	OK(unlink("made/in"));
	WANT("emptied", unlinkat(AT_FDCWD, "made", AT_REMOVEDIR), 0);
}

static void link_each(void)
{
	for (enum kind k = 0; k < KINDS; k++) {
		const char *paths[2] = { "new", lower_objects[k] };

		make_object(k, "new");
		for (int i = 0; i < 2 && paths[i]; i++) {
			WANT(paths[i], link(paths[i], "linked"), k == KIND_DIR ? EPERM : 0);
			if (k == KIND_DIR)
				continue;
			case_expect(stat_of(paths[i]).st_nlink == 2, "%s: %d links", paths[i],
				    (int)stat_of(paths[i]).st_nlink);
			case_expect(stat_of(paths[i]).st_ino == stat_of("linked").st_ino,
				    "%s: another number", paths[i]);
			case_expect(is_object(k, "linked"), "%s: another kind", paths[i]);
			OK(unlink("linked"));
			case_expect(stat_of(paths[i]).st_nlink == 1, "%s: links after unlink", paths[i]);
		}
		remove_object("new");
	}
	WANT("existing", link("file", "sub"), EEXIST);
	WANT("existing", link("file", "file"), EEXIST);
	WANT("flags", linkat(AT_FDCWD, "file", AT_FDCWD, "x", 0x1), EINVAL);
	WANT("follow", linkat(AT_FDCWD, "dangling", AT_FDCWD, "x", AT_SYMLINK_FOLLOW), ENOENT);
	WANT("follow", linkat(AT_FDCWD, "link", AT_FDCWD, "x", AT_SYMLINK_FOLLOW), 0);
	case_expect(stat_of("x").st_ino == stat_of("file").st_ino, "followed to another");
}

static void make_each_with_mode(void)
{
	static const mode_t masks[] = { 0, 022, 077, 0151, 0345, 0777 },
			    modes[] = { 0777, 0644, 0151, 0, 0640 };

	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < 5; j++) {
			mode_t want = modes[j] & ~masks[i];

			(void)umask(masks[i]);
			OK(mkdir("d", modes[j]));
			OK(mkfifo("p", modes[j]));
			OK(mknod("s", S_IFSOCK | modes[j], 0));
			OK(mknod("r", modes[j], 0)); /* a file */
			OK(close(OK(open("f", O_RDWR | O_CREAT, modes[j]))));
			OK(symlink("x", "l"));
			case_expect(stat_of("d").st_mode == (S_IFDIR | want), "mkdir %o %o", modes[j],
				    masks[i]);
			case_expect(stat_of("p").st_mode == (S_IFIFO | want), "mkfifo %o %o", modes[j],
				    masks[i]);
			case_expect(stat_of("s").st_mode == (S_IFSOCK | want), "mknod %o %o", modes[j],
				    masks[i]);
			case_expect(stat_of("r").st_mode == (S_IFREG | want), "mknod %o %o", modes[j],
				    masks[i]);
			case_expect(stat_of("f").st_mode == (S_IFREG | want), "open %o %o", modes[j],
				    masks[i]);
			case_expect(stat_of("l").st_mode == (S_IFLNK | 0777), "symlink %o", masks[i]);
			for (const char *p = "dpsrfl"; *p; p++) {
				char name[2] = { *p, '\0' };

				case_expect(stat_of(name).st_uid == geteuid(), "owner of %s", name);
				case_expect(stat_of(name).st_gid == getegid(), "group of %s", name);
				case_expect(stat_of(name).st_nlink == (*p == 'd' ? 2U : 1U), "links of %s",
					    name);
				remove_object(name);
			}
		}
	WANT("mkdir with more bits", mkdir("d", 07777), 0);
	case_expect((stat_of("d").st_mode & 06000) == 0, "mkdir makes set-ID directories");
}

static void rename_flags(void)
{
	for (enum kind k = 0; k < KINDS; k++) {
		make_object(k, "new");
		WANT(kind_names[k], renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_NOREPLACE), EEXIST);
		WANT(kind_names[k], renameat2(AT_FDCWD, "new", AT_FDCWD, "moved", RENAME_NOREPLACE), 0);
		WANT(kind_names[k], renameat2(AT_FDCWD, "moved", AT_FDCWD, "missing", RENAME_EXCHANGE),
		     ENOENT);
		WANT(kind_names[k], renameat2(AT_FDCWD, "missing", AT_FDCWD, "moved", RENAME_EXCHANGE),
		     ENOENT);
		for (enum kind other = 0; other < KINDS; other++) {
			make_object(other, "other");
			WANT(kind_names[other],
			     renameat2(AT_FDCWD, "moved", AT_FDCWD, "other", RENAME_EXCHANGE), 0);
			case_expect(is_object(k, "other") && is_object(other, "moved"), "%s and %s",
				    kind_names[k], kind_names[other]);
			WANT(kind_names[other],
			     renameat2(AT_FDCWD, "moved", AT_FDCWD, "other", RENAME_EXCHANGE), 0);
			remove_object("other");
		}
		if (lower_objects[k] && k != KIND_DIR) {
			WANT("lower",
			     renameat2(AT_FDCWD, "moved", AT_FDCWD, lower_objects[k], RENAME_EXCHANGE), 0);
			WANT("lower",
			     renameat2(AT_FDCWD, lower_objects[k], AT_FDCWD, "moved", RENAME_EXCHANGE), 0);
		}
		remove_object("moved");
	}
}

const struct test_case posix_tree[] = {
	{ "rename_each_over_each", rename_each_over_each, NULL },
	{ "rename_each_lower_over_each", rename_each_lower_over_each, NULL },
	{ "rename_each_over_lower", rename_each_over_lower, NULL },
	{ "rename_to_dots", rename_to_dots, NULL },
	{ "rename_flags", rename_flags, NULL },
	{ "unlink_each", unlink_each, NULL },
	{ "link_each", link_each, NULL },
	{ "make_each_with_mode", make_each_with_mode, NULL },
	{ NULL, NULL, NULL },
};
