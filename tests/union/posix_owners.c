/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what, tried as other users; which bits go when. */
#include "tests/union/posix.h"

enum { OWNER = 65530, GROUP = 65531, OTHER = 65532 };

static const struct who {
	const char *name;
	uid_t uid;
	gid_t gid;
	unsigned shift; /* of its bits in a mode */
} people[] = { { "owner", OWNER, OTHER, 6 }, { "group", OTHER, GROUP, 3 }, { "other", OTHER, OTHER, 0 } };

static const struct who *me;

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	return fd < 0 ? fd : close(fd);
}

/* Files "sub/MODE" of every mode (one class's bits set). */
static void open_by_mode(void)
{
	char path[64];

	for (unsigned bits = 0; bits < 8; bits++) {
		(void)snprintf(path, sizeof(path), "made/%s%o", me->name, bits);
		WANT(path, try_open(path, O_RDONLY), bits & 4 ? 0 : EACCES);
		WANT(path, try_open(path, O_WRONLY), bits & 2 ? 0 : EACCES);
		WANT(path, try_open(path, O_RDWR), (bits & 6) == 6 ? 0 : EACCES);
		WANT(path, truncate(path, 3), bits & 2 ? 0 : EACCES);
		WANT(path, access(path, X_OK), bits & 1 ? 0 : EACCES);
		WANT(path, try_open(path, O_RDONLY | O_TRUNC), (bits & 6) == 6 ? 0 : EACCES);
	}
}

static void modes_of_files(void)
{
	char path[64];

	NEED_PRIVILEGE();
	OK(mkdir("made", 0755));
	for (size_t i = 0; i < 3; i++)
		for (unsigned bits = 0; bits < 8; bits++) {
			(void)snprintf(path, sizeof(path), "made/%s%o", people[i].name, bits);
			make_object(KIND_FILE, path);
			OK(chown(path, OWNER, GROUP));
			OK(chmod(path, bits << people[i].shift));
		}
	for (me = people; me < people + 3; me++)
		in_child_as(me->uid, me->gid, open_by_mode);
}

/* The same of one file of the layers below, changed in between. */
static void open_lower(void)
{
	unsigned bits = (stat_of("file").st_mode >> me->shift) & 7;

	WANT(me->name, try_open("file", O_RDONLY), bits & 4 ? 0 : EACCES);
	WANT(me->name, try_open("file", O_WRONLY), bits & 2 ? 0 : EACCES);
	WANT(me->name, access("file", X_OK), bits & 1 ? 0 : EACCES);
}

static void modes_of_lower_file(void)
{
	NEED_PRIVILEGE();
	OK(chown("file", OWNER, GROUP));
	for (unsigned mode = 0; mode < 0777; mode += 037) {
		OK(chmod("file", mode));
		for (me = people; me < people + 3; me++)
			in_child_as(me->uid, me->gid, open_lower);
	}
}

static void use_directory(void)
{
	unsigned bits = (stat_of("made").st_mode >> me->shift) & 7;
	int search = bits & 1 ? 0 : EACCES, change = (bits & 3) == 3 ? 0 : EACCES;
	int gone = !change ? 0 : search ? search : ENOENT; /* nothing has been made */
	struct stat st;

	WANT(me->name, try_open("made", O_RDONLY | O_DIRECTORY), bits & 4 ? 0 : EACCES);
	WANT(me->name, stat("made/in", &st), search);
	WANT(me->name, mkdir("made/new", 0755), change);
	WANT(me->name, rmdir("made/new"), gone);
	WANT(me->name, try_open("made/new", O_WRONLY | O_CREAT), change);
	WANT(me->name, unlink("made/new"), gone);
	WANT(me->name, symlink("x", "made/new"), change);
	WANT(me->name, unlink("made/new"), gone);
	WANT(me->name, mkfifo("made/new", 0600), change);
	WANT(me->name, rename("made/new", "made/newer"), gone);
	WANT(me->name, unlink("made/newer"), gone);
	WANT(me->name, link("made/in", "made/new"), change);
	WANT(me->name, unlink("made/new"), gone);
	WANT(me->name, chdir("made"), search);
}

static void modes_of_directories(void)
{
	NEED_PRIVILEGE();
	OK(mkdir("made", 0755));
	write_text("made/in", "x");
	OK(chmod("made/in", 0666));
	OK(chown("made", OWNER, GROUP));
	for (unsigned mode = 0; mode < 0777; mode += 037) {
		OK(chmod("made", mode));
		for (me = people; me < people + 3; me++)
			in_child_as(me->uid, me->gid, use_directory);
	}
}

/* In a sticky directory only its owner and the entry's may take an entry away. */
static void use_sticky(void)
{
	bool may = geteuid() == stat_of("made").st_uid || geteuid() == stat_of("made/file").st_uid;
	int want = may ? 0 : EPERM;

	WANT(me->name, rename("made/file", "made/renamed"), want);
	WANT(me->name, rename(may ? "made/renamed" : "made/file", "made/file"), 0);
	write_text("made/mine", "x");
	WANT(me->name, rename("made/mine", "made/file"), want);
	if (!may)
		OK(unlink("made/mine"));
	WANT(me->name, unlink("made/file"), want);
	WANT(me->name, rmdir("made/dir"), want);
}

static void sticky_for_each(void)
{
	NEED_PRIVILEGE();
	for (int dir = 0; dir < 2; dir++)
		for (int file = 0; file < 2; file++)
			for (me = people; me < people + 3; me++) {
				OK(mkdir("made", 0755));
				OK(chown("made", dir ? OWNER : 0, GROUP));
				OK(chmod("made", 01777));
				make_object(KIND_FILE, "made/file");
				OK(mkdir("made/dir", 0777));
				OK(chown("made/file", file ? OWNER : 0, GROUP));
				OK(chown("made/dir", file ? OWNER : 0, GROUP));
				in_child_as(me->uid, me->gid, use_sticky);
				(void)unlink("made/file");
				(void)rmdir("made/dir");
				OK(rmdir("made"));
			}
}

static void change_owners(void)
{
	const struct timespec t[2] = { { 1, 1 }, { 2, 2 } };
	bool is_owner = geteuid() == OWNER;
	int want = is_owner ? 0 : EPERM;

	for (int i = 0; i < 2; i++) {
		const char *path = i ? "file" : "made";

		WANT(path, chmod(path, 0644), want);
		WANT(path, chown(path, OTHER, (gid_t)-1), EPERM);
		WANT(path, chown(path, (uid_t)-1, 12345), EPERM);
		WANT(path, chown(path, (uid_t)-1, (gid_t)-1), 0);
		WANT(path, chown(path, (uid_t)-1, getegid()), want);
		WANT(path, utimensat(AT_FDCWD, path, t, 0), want);
		WANT(path, utimensat(AT_FDCWD, path, NULL, 0), is_owner ? 0 : EACCES);
	}
	WANT("link", lchown("link", OTHER, OTHER), EPERM);
}

static void owners_change_theirs(void)
{
	NEED_PRIVILEGE();
	make_object(KIND_FILE, "made");
	for (me = people; me < people + 3; me++) {
		OK(chown("made", OWNER, GROUP));
		OK(chown("file", OWNER, GROUP));
		in_child_as(me->uid, me->gid, change_owners);
	}
}

static const char *changed;

static void chown_by_owner(void)
{
	WANT(changed, chown(changed, (uid_t)-1, getegid()), 0);
}

static void chmod_by_owner(void)
{
	WANT(changed, chmod(changed, 02755), 0);
}

static void set_id_bits(void)
{
	NEED_PRIVILEGE();
	make_object(KIND_FILE, "made");
	OK(mkdir("dir", 0755));
	for (int i = 0; i < 2; i++) {
		changed = i ? "suid" : "made";
		OK(chown(changed, OWNER, GROUP));
		OK(chmod(changed, 06755));
		in_child_as(OWNER, GROUP, chown_by_owner);
		case_expect(stat_of(changed).st_mode == (S_IFREG | 0755), "%s: mode %o after chown", changed,
			    stat_of(changed).st_mode);
		OK(chmod(changed, 0755));
		in_child_as(OWNER, OTHER, chmod_by_owner); /* of another group: it does not get the bit */
		case_expect(stat_of(changed).st_mode == (S_IFREG | 0755), "%s: mode %o after chmod", changed,
			    stat_of(changed).st_mode);
		in_child_as(OWNER, GROUP, chmod_by_owner);
		case_expect(stat_of(changed).st_mode == (S_IFREG | 02755), "%s: mode %o after own chmod",
			    changed, stat_of(changed).st_mode);
		OK(chmod(changed, 06711));
		OK(chown(changed, OWNER, OTHER)); /* by root */
		case_expect(stat_of(changed).st_mode == (S_IFREG | 0711), "%s: mode %o after root's chown",
			    changed, stat_of(changed).st_mode);
		OK(chmod(changed, 02644)); /* no set-group-ID: not executable */
		OK(chown(changed, OWNER, GROUP));
		case_expect(stat_of(changed).st_mode == (S_IFREG | 02644), "%s: mode %o without execution",
			    changed, stat_of(changed).st_mode);
	}
	OK(chmod("dir", 07777));
	OK(chown("dir", OWNER, GROUP));
	case_expect(stat_of("dir").st_mode == (S_IFDIR | 07777), "directory: mode %o",
		    stat_of("dir").st_mode);
}

static void chmod_each(void)
{
	static const mode_t modes[] = { 0, 0111, 0222, 0444, 0777, 01777, 02755, 04755, 07777, 0640 };

	for (enum kind k = 0; k < KINDS; k++) {
		const char *paths[2] = { "new", lower_objects[k] };

		if (k == KIND_SYMLINK)
			continue;
		make_object(k, "new");
		for (int i = 0; i < 2 && paths[i]; i++)
			for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++) {
				WANT(paths[i], chmod(paths[i], modes[j]), 0);
				case_expect((stat_of(paths[i]).st_mode & 07777) == modes[j], "%s: %o",
					    paths[i], modes[j]);
			}
		OK(chmod("new", 0755));
		remove_object("new");
	}
	WANT("symlink", fchmodat(AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
	WANT("through a symlink", chmod("link", 0600), 0);
	case_expect(stat_of("file").st_mode == (S_IFREG | 0600), "through a symlink");
}

static void chown_each(void)
{
	NEED_PRIVILEGE();
	for (enum kind k = 0; k < KINDS; k++) {
		const char *paths[2] = { "new", lower_objects[k] };

		make_object(k, "new");
		for (int i = 0; i < 2 && paths[i]; i++) {
			WANT(paths[i], lchown(paths[i], 1001, 1002), 0);
			WANT(paths[i], lchown(paths[i], (uid_t)-1, 1003), 0);
			case_expect(stat_of(paths[i]).st_uid == 1001, "%s: owner", paths[i]);
			case_expect(stat_of(paths[i]).st_gid == 1003, "%s: group", paths[i]);
			WANT(paths[i], lchown(paths[i], 4000000000U, (gid_t)-1), 0);
			case_expect(stat_of(paths[i]).st_uid == 4000000000U, "%s: large owner", paths[i]);
		}
		remove_object("new");
	}
	WANT("through a symlink", chown("link", 7, 8), 0);
	case_expect(stat_of("file").st_uid == 7 && stat_of("file").st_gid == 8, "through a symlink");
}

const struct test_case posix_owners[] = {
	{ "modes_of_files", modes_of_files, NULL },
	{ "modes_of_lower_file", modes_of_lower_file, NULL },
	{ "modes_of_directories", modes_of_directories, NULL },
	{ "sticky_for_each", sticky_for_each, NULL },
	{ "owners_change_theirs", owners_change_theirs, NULL },
	{ "set_id_bits", set_id_bits, NULL },
	{ "chmod_each", chmod_each, NULL },
	{ "chown_each", chown_each, NULL },
	{ NULL, NULL, NULL },
};
