/* SPDX-License-Identifier: Apache-2.0 */
/* Owners, modes and who may do what. */
#include <sys/xattr.h>

#include "tests/union/case_lists.h"

enum { SOMEBODY = 65534, ELSE = 65533 };

static void suid_goes_by_writing(void)
{
	int fd = OK(open("suid", O_WRONLY));

	EQUAL(OK(write(fd, "x", 1)), 1);
	if (geteuid() == 0)
		case_skip("root may leave them");
	EQUAL(stat_of("suid").st_mode & 07777, 0755);
}

static void write_suid(void)
{
	int fd = OK(open("suid", O_WRONLY));

	EQUAL(OK(write(fd, "x", 1)), 1);
	EQUAL(stat_of("suid").st_mode & 07777, 0777);
	OK(close(OK(open("new", O_WRONLY))));
	fd = OK(open("new", O_WRONLY));
	EQUAL(OK(write(fd, "x", 1)), 1);
	EQUAL(stat_of("new").st_mode & 07777, 0777);
	OK(truncate("data", 10));
	EQUAL(stat_of("data").st_mode & 07777, 0777);
	OK(close(OK(open("sub/a", O_WRONLY | O_TRUNC))));
	EQUAL(stat_of("sub/a").st_mode & 07777, 0777);
	fd = OK(open("sub/b", O_WRONLY));
	OK(fallocate(fd, 0, 0, 100));
	EQUAL(stat_of("sub/b").st_mode & 07777, 0777);
}

static void suid_goes_by_others_writing(void)
{
	static const char *const names[] = { "suid", "new", "data", "sub/a", "sub/b" };

	NEED_PRIVILEGE();
	write_text("new", "new\n");
	for (size_t i = 0; i < 5; i++)
		OK(chmod(names[i], 06777));
	in_child_as(SOMEBODY, SOMEBODY, write_suid);
}

static void suid_goes_by_chown(void)
{
	OK(chown("suid", geteuid(), getegid()));
	EQUAL(stat_of("suid").st_mode & 07777, 0755);
	write_text("new", "x");
	OK(chmod("new", 06711));
	OK(chown("new", (uid_t)-1, getegid()));
	EQUAL(stat_of("new").st_mode & 07777, 0711);
	OK(chmod("new", 02700)); /* no execution for the group: mandatory locking, once */
	OK(chmod("sgid", 02775));
	OK(chown("sgid", geteuid(), getegid()));
	EQUAL(stat_of("sgid").st_mode & 07777, 02775); /* directories keep it */
}

static void suid_is_kept_by_reading(void)
{
	expect_text("suid", "set-user-ID\n");
	OK(link("suid", "linked"));
	OK(rename("suid", "sub/suid"));
	EQUAL(stat_of("sub/suid").st_mode, S_IFREG | 06755);
	EQUAL(stat_of("linked").st_mode, S_IFREG | 06755);
}

static void suid_is_kept_by_reading_after(void)
{
	EQUAL(stat_of("sub/suid").st_mode, S_IFREG | 06755);
}

static void sgid_is_inherited(void)
{
	gid_t gid = setting.is_privileged ? ELSE : getegid();

	OK(chown("sgid", (uid_t)-1, gid));
	OK(chmod("sgid", 02775));
	OK(mkdir("sgid/dir", 0755));
	EQUAL(stat_of("sgid/dir").st_mode & 07777, 02755);
	EQUAL(stat_of("sgid/dir").st_gid, gid);
	write_text("sgid/file", "x");
	EQUAL(stat_of("sgid/file").st_mode & 07777, 0644);
	EQUAL(stat_of("sgid/file").st_gid, gid);
	OK(symlink("x", "sgid/symlink"));
	EQUAL(stat_of("sgid/symlink").st_gid, gid);
	OK(mkdir("sgid/dir/in", 0700));
	EQUAL(stat_of("sgid/dir/in").st_mode & 07777, 02700);
	OK(mkdir("made", 0755));
	EQUAL(stat_of("made").st_mode & 07777, 0755);
}

static void sgid_is_inherited_after(void)
{
	EQUAL(stat_of("sgid/dir").st_mode & 07777, 02755);
	EQUAL(stat_of("sgid/dir").st_gid, stat_of("sgid").st_gid);
}

static void remove_in_sticky(void)
{
	FAILS(unlink("sticky/others"), EPERM);
	FAILS(rename("sticky/others", "sticky/mine"), EPERM);
	FAILS(rmdir("sticky/dir"), EPERM);
	write_text("sticky/own", "x");
	OK(rename("sticky/own", "sticky/renamed"));
	FAILS(rename("sticky/renamed", "sticky/others"), EPERM);
	OK(unlink("sticky/renamed"));
}

static void sticky_directories(void)
{
	NEED_PRIVILEGE();
	write_text("sticky/others", "x");
	OK(mkdir("sticky/dir", 0777));
	in_child_as(SOMEBODY, SOMEBODY, remove_in_sticky);
	EQUAL(stat_of("sticky").st_mode, S_IFDIR | 01777);
	OK(unlink("sticky/others"));
}

static void umask_counts(void)
{
	(void)umask(027);
	OK(close(OK(open("new", O_WRONLY | O_CREAT, 0666))));
	EQUAL(stat_of("new").st_mode & 07777, 0640);
	OK(mkdir("made", 0777));
	EQUAL(stat_of("made").st_mode & 07777, 0750);
	OK(mkfifo("pipe", 0666));
	EQUAL(stat_of("pipe").st_mode & 07777, 0640);
	OK(mknod("node", S_IFREG | 0777, 0));
	EQUAL(stat_of("node").st_mode & 07777, 0750);
	EQUAL(OK(close(OK(open("sub/new", O_WRONLY | O_CREAT, 04777)))), 0);
	EQUAL(stat_of("sub/new").st_mode & 07777, 04750);
}

static void default_acl_counts(void)
{
	if (get_xattr("acldir", "system.posix_acl_default", NULL, 0) < 0)
		case_skip("no ACLs here");
	(void)umask(077);
	OK(close(OK(open("acldir/new", O_WRONLY | O_CREAT, 0666))));
	EQUAL(stat_of("acldir/new").st_mode & 07777, 0660); /* by the ACL, not by the umask */
	EQUAL(get_xattr("acldir/new", "system.posix_acl_access", NULL, 0), 44);
	OK(mkdir("acldir/made", 0777));
	EQUAL(stat_of("acldir/made").st_mode & 07777, 0770);
	EQUAL(get_xattr("acldir/made", "system.posix_acl_default", NULL, 0), 44);
	OK(close(OK(open("acldir/small", O_WRONLY | O_CREAT, 0600))));
	EQUAL(stat_of("acldir/small").st_mode & 07777, 0600);
	OK(symlink("x", "acldir/symlink"));
	/* Where something of a layer below has been deleted. */
	OK(unlink("acldir/old"));
	OK(close(OK(open("acldir/old", O_WRONLY | O_CREAT, 0666))));
	EQUAL(stat_of("acldir/old").st_mode & 07777, 0660);
	EQUAL(get_xattr("acldir/old", "system.posix_acl_access", NULL, 0), 44);
	OK(rmdir("acldir/olddir"));
	OK(mkdir("acldir/olddir", 0777));
	EQUAL(stat_of("acldir/olddir").st_mode & 07777, 0770);
	EQUAL(get_xattr("acldir/olddir", "system.posix_acl_default", NULL, 0), 44);
}

static void default_acl_counts_after(void)
{
	if (get_xattr("acldir", "system.posix_acl_default", NULL, 0) < 0)
		case_skip("no ACLs here");
	EQUAL(get_xattr("acldir/made", "system.posix_acl_default", NULL, 0), 44);
	EQUAL(get_xattr("acldir/new", "system.posix_acl_access", NULL, 0), 44);
}

static void set_acl(const char *path, uid_t uid, unsigned perm)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entries[5];
	} acl = {
		2,
		{ { 1, 6, ~0U }, { 2, (uint16_t)perm, uid }, { 4, 0, ~0U }, { 16, 7, ~0U }, { 32, 0, ~0U } }
	};

	if (setxattr(path, "system.posix_acl_access", &acl, sizeof(acl), 0) < 0 && errno == EOPNOTSUPP)
		case_skip("no ACLs here");
}

static void read_by_acl(void)
{
	expect_text("file", "lower file\n");
	FAILS(open("file", O_WRONLY), EACCES);
	FAILS(open("sub/a", O_RDONLY), EACCES);
}

static void acl_is_enforced(void)
{
	NEED_PRIVILEGE();
	set_acl("file", SOMEBODY, 4);
	set_acl("sub/a", ELSE, 6);
	EQUAL(stat_of("file").st_mode & 07777, 0670);
	in_child_as(SOMEBODY, SOMEBODY, read_by_acl);
	OK(chmod("file", 0600)); /* the mask goes */
	EQUAL(get_xattr("file", "system.posix_acl_access", NULL, 0), 44);
	OK(removexattr("file", "system.posix_acl_access"));
	EQUAL(get_xattr("file", "system.posix_acl_access", NULL, 0), -ENODATA);
}

static void be_denied(void)
{
	FAILS(open("file", O_WRONLY), EACCES);
	FAILS(open("sub/b", O_RDONLY), EACCES);
	FAILS(open("sub/new", O_WRONLY | O_CREAT, 0644), EACCES);
	FAILS(mkdir("sub/made", 0755), EACCES);
	FAILS(unlink("sub/a"), EACCES);
	FAILS(rename("sub/a", "sub/x"), EACCES);
	FAILS(chmod("file", 0777), EPERM);
	FAILS(chown("file", SOMEBODY, SOMEBODY), EPERM);
	FAILS(truncate("data", 0), EACCES);
	FAILS(utimensat(AT_FDCWD, "file", NULL, 0), EACCES);
	FAILS(utimensat(AT_FDCWD, "file", (struct timespec[2]){ { 1, 1 }, { 1, 1 } }, 0), EPERM);
	FAILS(access("sub/deep/y/z", R_OK), EACCES);
	FAILS(setxattr("file", "user.x", "1", 1, 0), EACCES);
	FAILS(open("sub/c", O_RDWR), EACCES);
	expect_text("sub/c", "c\n");
	expect_text("file", "lower file\n");
}

static void modes_are_enforced(void)
{
	NEED_PRIVILEGE();
	for (int i = 0; i < 2; i++) {
		in_child_as(SOMEBODY, SOMEBODY, be_denied);
		OK(chmod("file", 0644)); /* and once more when copied up */
		OK(chmod("sub/b", 0600));
		OK(chmod("sub/c", 0444));
		OK(chmod("sub/deep/y", 0750));
	}
	CHECK(!upper_has("data"));
}

static void own_modes_are_enforced(void)
{
	if (geteuid() == 0)
		case_skip("root may write to them");
	FAILS(open("sub/c", O_WRONLY), EACCES);
	FAILS(truncate("sub/c", 0), EACCES);
	OK(chmod("sub/deep", 0500));
	FAILS(open("sub/deep/new", O_WRONLY | O_CREAT, 0644), EACCES);
	FAILS(unlink("sub/deep/x"), EACCES);
	expect_text("sub/deep/x", "x\n");
	OK(chmod("sub/deep", 0));
	FAILS(access("sub/deep/x", F_OK), EACCES);
	FAILS(open("sub/deep", O_RDONLY | O_DIRECTORY), EACCES);
	OK(chmod("sub/deep", 0755));
	OK(close(OK(open("zero", O_RDWR | O_CREAT, 0))));
	FAILS(open("zero", O_RDONLY), EACCES);
}

static void owners_are_kept(void)
{
	NEED_PRIVILEGE();
	OK(chown("file", SOMEBODY, ELSE));
	EQUAL(stat_of("file").st_uid, SOMEBODY);
	EQUAL(stat_of("file").st_gid, ELSE);
	OK(lchown("link", 4711, 4712));
	OK(chown("sub/deep", 4711, (gid_t)-1));
	append_text("sub/deep/y/z", "more\n");
	OK(chown("fifo", 1, 2));
	OK(chown("data", SOMEBODY, SOMEBODY));
	append_text("data", "x");
}

static void owners_are_kept_after(void)
{
	NEED_PRIVILEGE();
	EQUAL(stat_of("file").st_uid, SOMEBODY);
	EQUAL(stat_of("file").st_gid, ELSE);
	EQUAL(stat_of("link").st_uid, 4711);
	EQUAL(stat_of("sub/deep").st_uid, 4711);
	EQUAL(stat_of("fifo").st_gid, 2);
	EQUAL(stat_of("data").st_uid, SOMEBODY);
}

static void create_some(void)
{
	write_text("sticky/theirs", "x");
	OK(mkdir("sticky/their-dir", 0700));
	OK(symlink("x", "sticky/their-symlink"));
	append_text("sub/a", "more\n");
}

static void makers_own_what_they_make(void)
{
	NEED_PRIVILEGE();
	OK(chmod("sub/a", 0666));
	in_child_as(SOMEBODY, ELSE, create_some);
	EQUAL(stat_of("sticky/theirs").st_uid, SOMEBODY);
	EQUAL(stat_of("sticky/theirs").st_gid, ELSE);
	EQUAL(stat_of("sticky/their-dir").st_uid, SOMEBODY);
	EQUAL(stat_of("sticky/their-symlink").st_gid, ELSE);
	EQUAL(stat_of("sub/a").st_uid, 0); /* writing changes no owner */
}

static void modes_are_exact(void)
{
	for (unsigned mode = 0; mode < 010000; mode += 0357) {
		OK(chmod("file", mode));
		EQUAL(stat_of("file").st_mode & 07777, mode);
		OK(chmod("empty", mode));
		EQUAL(stat_of("empty").st_mode & 07777, mode);
	}
	OK(chmod("empty", 0755));
}

const struct test_case cases_owners[] = {
	{ "suid_goes_by_writing", suid_goes_by_writing, NULL },
	{ "suid_goes_by_others_writing", suid_goes_by_others_writing, NULL },
	{ "suid_goes_by_chown", suid_goes_by_chown, NULL },
	{ "suid_is_kept_by_reading", suid_is_kept_by_reading, suid_is_kept_by_reading_after },
	{ "sgid_is_inherited", sgid_is_inherited, sgid_is_inherited_after },
	{ "sticky_directories", sticky_directories, NULL },
	{ "umask_counts", umask_counts, NULL },
	{ "default_acl_counts", default_acl_counts, default_acl_counts_after },
	{ "acl_is_enforced", acl_is_enforced, NULL },
	{ "modes_are_enforced", modes_are_enforced, NULL },
	{ "own_modes_are_enforced", own_modes_are_enforced, NULL },
	{ "owners_are_kept", owners_are_kept, owners_are_kept_after },
	{ "makers_own_what_they_make", makers_own_what_they_make, NULL },
	{ "modes_are_exact", modes_are_exact, NULL },
	{ NULL, NULL, NULL },
};
