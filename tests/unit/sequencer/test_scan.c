/* SPDX-License-Identifier: Apache-2.0 */
/* Scanning: uppers in overlayfs's dialect against a host made by hand, and plain trees. */
#include "tests/unit/sequencer/fixture.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "sequencer/scan.h"

static struct seq_scan upper_scan(void)
{
	static char dir[8192], host[8192];

	(void)snprintf(dir, sizeof(dir), "%s", in_scratch("upper"));
	(void)snprintf(host, sizeof(host), "%s", in_scratch("host"));
	return (struct seq_scan){
		.dir = dir, .host = host, .home = "/root", .uid = getuid(), .gid = getgid()
	};
}

static void scan_upper(struct seq_capture *c, struct seq_scan_report *report)
{
	struct seq_scan s = upper_scan();
	struct err e;

	if (seq_scan_upper(&s, c, report, &e) < 0)
		fail_msg("%s", e.msg);
}

static void put_whiteout(const char *path)
{
	if (mknod(in_scratch(path), S_IFCHR, makedev(0, 0)) < 0)
		skip();
}

static void changes_are_told_apart(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct seq_scan_report report;

	(void)state;
	put_file("host/etc/old", "old", 0644);
	put_file("host/etc/same", "same", 0644);
	put_file("host/etc/mode", "mode", 0644);
	put_file("upper/etc/old", "new", 0644);
	put_file("upper/etc/same", "same", 0644);
	put_file("upper/etc/mode", "mode", 0755);
	put_file("upper/opt/x/bin/x", "#!/bin/sh\n", 04755);
	scan_upper(&c, &report);
	assert_int_equal(get_entry(&c, "/etc")->change, SEQ_PARENT);
	assert_int_equal(get_entry(&c, "/etc/old")->change, SEQ_REPLACED);
	assert_int_equal(get_entry(&c, "/etc/mode")->change, SEQ_REPLACED);
	assert_false(has_entry(&c, "/etc/same"));
	assert_int_equal(report.unchanged, 1);
	assert_int_equal(report.unchanged_bytes, 4);
	assert_int_equal(get_entry(&c, "/opt/x")->change, SEQ_ADDED);
	assert_int_equal(get_entry(&c, "/opt/x/bin/x")->st.st_mode, S_IFREG | 04755);
	assert_string_equal(get_entry(&c, "/opt/x/bin/x")->name, "opt/x/bin/x");
	assert_int_equal(get_entry(&c, "/opt/x/bin/x")->st.st_uid, 0);
}

static void deletions_become_whiteouts(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	put_file("host/etc/gone", "x", 0644);
	put_dir("upper/etc");
	put_whiteout("upper/etc/gone");
	put_whiteout("upper/etc/never-was");
	scan_upper(&c, NULL);
	assert_int_equal(get_entry(&c, "/etc/gone")->change, SEQ_DELETED);
	assert_false(has_entry(&c, "/etc/never-was"));
	assert_null(seq_capture_find(&c, "/etc/never-was"));
}

static void opaque_directories_hide_each_entry(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	put_file("host/usr/lib/a", "a", 0644);
	put_file("host/usr/lib/b", "b", 0644);
	put_file("upper/usr/lib/b", "new", 0644);
	if (setxattr(in_scratch("upper/usr/lib"), "user.overlay.opaque", "y", 1, 0) < 0)
		skip(); /* this file system has no such attributes */
	scan_upper(&c, NULL);
	assert_int_equal(get_entry(&c, "/usr/lib/a")->change, SEQ_DELETED);
	assert_int_equal(get_entry(&c, "/usr/lib/b")->change, SEQ_REPLACED);
	assert_int_equal(get_entry(&c, "/usr/lib")->xattr_count, 0);
}

static void home_gets_its_token(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	put_file("host/root/.profile", "x", 0644);
	put_file("upper/root/.config/x", "x", 0600);
	put_file("upper/rooted/x", "x", 0600);
	put_whiteout("upper/root/.profile");
	scan_upper(&c, NULL);
	assert_string_equal(get_entry(&c, "/root/.config/x")->name, "@home/.config/x");
	assert_string_equal(get_entry(&c, "/rooted/x")->name, "rooted/x");
	assert_ptr_equal(seq_capture_find(&c, "/root/.config/x"), get_entry(&c, "/root/.config/x"));
	/* Nobody else's home loses a file because ours did. */
	assert_false(has_entry(&c, "/root/.profile"));
}

static void closed_files_are_opened_but_recorded_as_closed(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct stat st;

	(void)state;
	put_dir("host");
	put_file("upper/opt/d/f", "x", 0);
	assert_int_equal(chmod(in_scratch("upper/opt/d"), 0), 0);
	scan_upper(&c, NULL);
	assert_int_equal(get_entry(&c, "/opt/d")->st.st_mode, S_IFDIR);
	assert_int_equal(get_entry(&c, "/opt/d/f")->st.st_mode, S_IFREG);
	assert_int_equal(stat(in_scratch("upper/opt/d/f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
}

static void session_files_are_marked(void **state)
{
	static const char *const paths[] = { "/usr/sbin/policy-rc.d", NULL };
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct seq_scan s;
	struct err e;

	(void)state;
	put_dir("host");
	put_file("upper/usr/sbin/policy-rc.d", "x", 0755);
	put_file("upper/usr/sbin/policy-rc.d2", "x", 0755);
	s = upper_scan();
	s.session_paths = paths;
	assert_int_equal(seq_scan_upper(&s, &c, NULL, &e), 0);
	assert_int_equal(get_entry(&c, "/usr/sbin/policy-rc.d")->rule, SEQ_LEFT_SESSION);
	assert_int_equal(get_entry(&c, "/usr/sbin/policy-rc.d2")->rule, SEQ_TAKEN);
}

static void note(const char *path, const char *name, const char *value)
{
	if (setxattr(in_scratch(path), name, value, strlen(value), 0) < 0)
		skip(); /* this file system has no such attributes */
}

static void below_opaque_everything_is_opaque(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	put_file("host/usr/lib/sub/a", "a", 0644);
	put_file("upper/usr/lib/sub/b", "b", 0644);
	note("upper/usr/lib", "user.overlay.opaque", "y");
	scan_upper(&c, NULL);
	assert_int_equal(get_entry(&c, "/usr/lib/sub/a")->change, SEQ_DELETED);
	assert_int_equal(get_entry(&c, "/usr/lib/sub/b")->change, SEQ_ADDED);
}

/* /usr/old became /opt/new; in it, something was changed, deleted, added, and replaced. */
static void renamed_directories_bring_their_content(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct stat st;

	(void)state;
	put_file("host/usr/old/plain", "plain", 0640);
	put_file("host/usr/old/changed", "before", 0644);
	put_file("host/usr/old/deleted", "deleted", 0644);
	put_file("host/usr/old/sub/deep/x", "deep", 0644);
	put_file("host/usr/old/sub/gone", "gone", 0644);
	put_file("host/usr/old/again/hidden", "hidden", 0644);
	put_file("host/opt/new/covered", "covered", 0644);
	put_file("host/opt/new/sub/deep/y", "covered", 0644);
	put_file("upper/opt/new/changed", "after", 0644);
	put_file("upper/opt/new/added", "added", 0644);
	put_file("upper/opt/new/sub/added", "added", 0644);
	put_file("upper/opt/new/again/mine", "mine", 0644);
	put_dir("upper/usr");
	put_whiteout("upper/usr/old");
	put_whiteout("upper/opt/new/deleted");
	put_whiteout("upper/opt/new/sub/gone");
	note("upper/opt/new", "user.overlay.opaque", "y");
	note("upper/opt/new", "user.floe.redirect", "/usr/old");
	note("upper/opt/new/again", "user.overlay.opaque", "y");
	scan_upper(&c, NULL);
	assert_int_equal(get_entry(&c, "/usr/old")->change, SEQ_DELETED);
	assert_string_equal(get_entry(&c, "/opt/new/plain")->source, in_scratch("host/usr/old/plain"));
	assert_int_equal(get_entry(&c, "/opt/new/plain")->st.st_mode, S_IFREG | 0640);
	assert_int_equal(get_entry(&c, "/opt/new/plain")->change, SEQ_ADDED);
	assert_string_equal(get_entry(&c, "/opt/new/changed")->source, in_scratch("upper/opt/new/changed"));
	assert_int_equal(get_entry(&c, "/opt/new/added")->change, SEQ_ADDED);
	assert_string_equal(get_entry(&c, "/opt/new/sub/deep/x")->source,
			    in_scratch("host/usr/old/sub/deep/x"));
	assert_int_equal(get_entry(&c, "/opt/new/sub/added")->change, SEQ_ADDED);
	assert_int_equal(get_entry(&c, "/opt/new/covered")->change, SEQ_DELETED);
	assert_int_equal(get_entry(&c, "/opt/new/sub/deep/y")->change, SEQ_DELETED);
	assert_false(has_entry(&c, "/opt/new/deleted"));
	assert_false(has_entry(&c, "/opt/new/sub/gone"));
	assert_false(has_entry(&c, "/opt/new/again/hidden"));
	assert_int_equal(get_entry(&c, "/opt/new/again/mine")->change, SEQ_ADDED);
	assert_int_equal(get_entry(&c, "/opt/new")->xattr_count, 0);
	assert_int_equal(stat(in_scratch("host/usr/old/plain"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
}

/* One more name of a file. */
static void put_name(const char *file, const char *path)
{
	char dir[1024];

	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	put_dir(dir);
	assert_int_equal(link(in_scratch(file), in_scratch(path)), 0);
}

static void put_index(const char *host_file, const char *changed, const char *count)
{
	char key[128], place[256];
	struct stat st;

	assert_int_equal(stat(in_scratch(host_file), &st), 0);
	(void)snprintf(key, sizeof(key), "host.0123456789abcdef.%lx.%lx", (unsigned long)st.st_dev,
		       (unsigned long)st.st_ino);
	(void)snprintf(place, sizeof(place), "upper/.floe/links/%s", key);
	note(changed, "user.floe.links", count);
	note(changed, "user.floe.links.key", key);
	put_name(changed, place);
}

/* Three names of one file, two of them used in the session, one after its directory was renamed. */
static void changed_files_keep_all_their_names(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	uint64_t link;

	(void)state;
	put_file("host/usr/bin/a", "before", 0755);
	put_name("host/usr/bin/a", "host/usr/bin/b");
	put_name("host/usr/bin/a", "host/usr/share/c");
	put_name("host/usr/bin/a", "host/usr/gone/d");
	put_file("host/usr/bin/other", "other", 0755);
	put_name("host/usr/bin/other", "host/usr/bin/other2");
	put_file("upper/usr/bin/a", "after", 0755);
	put_dir("upper/.floe/links");
	put_index("host/usr/bin/a", "upper/usr/bin/a", "3");
	put_dir("upper/opt/share");
	put_whiteout("upper/usr/share");
	put_whiteout("upper/usr/gone");
	note("upper/opt/share", "user.overlay.opaque", "y");
	note("upper/opt/share", "user.floe.redirect", "/usr/share");
	scan_upper(&c, NULL);
	link = get_entry(&c, "/usr/bin/a")->hard_link;
	assert_int_not_equal(link, 0);
	assert_int_equal(get_entry(&c, "/usr/bin/b")->hard_link, link);
	assert_int_equal(get_entry(&c, "/usr/bin/b")->st.st_size, 5);
	assert_int_equal(get_entry(&c, "/usr/bin/b")->change, SEQ_REPLACED);
	assert_int_equal(get_entry(&c, "/opt/share/c")->hard_link, link);
	assert_int_equal(get_entry(&c, "/usr/share")->change, SEQ_DELETED);
	assert_int_equal(get_entry(&c, "/usr/gone")->change, SEQ_DELETED);
	assert_false(has_entry(&c, "/usr/gone/d"));
	assert_false(has_entry(&c, "/usr/bin/other"));
	assert_false(has_entry(&c, "/.floe"));
	assert_false(has_entry(&c, "/.floe/links"));
	assert_int_equal(get_entry(&c, "/usr/bin/a")->xattr_count, 0);
}

static void noted_owners_and_modes_count(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	const struct seq_entry *t;

	(void)state;
	put_dir("host");
	put_file("upper/opt/x", "x", 0600);
	note("upper/opt/x", "user.containers.override_stat", "12:34:0104755");
	note("upper/opt/x", "user.kept", "1");
	scan_upper(&c, NULL);
	t = get_entry(&c, "/opt/x");
	assert_int_equal(t->st.st_uid, 12);
	assert_int_equal(t->st.st_gid, 34);
	assert_int_equal(t->st.st_mode, S_IFREG | 04755);
	assert_int_equal(t->xattr_count, 1);
	assert_string_equal(t->xattrs[0].name, "user.kept");
}

static void trees_stand_at_their_prefix(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct seq_scan s = { .uid = getuid(), .gid = getgid() };
	struct err e;

	(void)state;
	put_file("tree/bin/x", "x", 0755);
	put_link("x", "tree/bin/y");
	assert_int_equal(link(in_scratch("tree/bin/x"), in_scratch("tree/bin/z")), 0);
	s.dir = in_scratch("tree");
	assert_int_equal(seq_scan_tree(&s, "/opt/x", &c, &e), 0);
	assert_int_equal(get_entry(&c, "/opt/x")->change, SEQ_ADDED);
	assert_string_equal(get_entry(&c, "/opt/x/bin/y")->symlink, "x");
	assert_int_equal(get_entry(&c, "/opt/x/bin/x")->st.st_nlink, 2);
	assert_int_equal(get_entry(&c, "/opt/x/bin/x")->st.st_ino, get_entry(&c, "/opt/x/bin/z")->st.st_ino);
	assert_int_equal(c.count, 5);
}

static void trees_may_stand_at_the_root_or_at_home(void **state)
{
	auto_capture struct seq_capture root = SEQ_CAPTURE_INIT, home = SEQ_CAPTURE_INIT;
	struct seq_scan s = { .uid = getuid(), .gid = getgid() };
	struct err e;

	(void)state;
	put_file("tree/bin/x", "x", 0755);
	s.dir = in_scratch("tree");
	assert_int_equal(seq_scan_tree(&s, "/", &root, &e), 0);
	assert_string_equal(get_entry(&root, "/bin/x")->name, "bin/x");
	assert_int_equal(root.count, 2);
	assert_int_equal(seq_scan_tree(&s, "@home/.local", &home, &e), 0);
	assert_string_equal(get_entry(&home, "@home/.local/bin/x")->name, "@home/.local/bin/x");
}

static void interrupts_end_the_walk(void **state)
{
	static const volatile bool cancel = true;
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct seq_scan s = { .cancel = &cancel };
	struct err e;

	(void)state;
	put_file("tree/x", "x", 0644);
	s.dir = in_scratch("tree");
	assert_int_equal(seq_scan_tree(&s, "/x", &c, &e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
}

static void missing_trees_are_errors(void **state)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct seq_scan s = { .dir = in_scratch("nothing") };
	struct err e;

	(void)state;
	assert_int_equal(seq_scan_tree(&s, "/x", &c, &e), -1);
	assert_int_equal(e.sys, ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changes_are_told_apart),
		TEST(deletions_become_whiteouts),
		TEST(opaque_directories_hide_each_entry),
		TEST(below_opaque_everything_is_opaque),
		TEST(renamed_directories_bring_their_content),
		TEST(changed_files_keep_all_their_names),
		TEST(noted_owners_and_modes_count),
		TEST(home_gets_its_token),
		TEST(closed_files_are_opened_but_recorded_as_closed),
		TEST(session_files_are_marked),
		TEST(trees_stand_at_their_prefix),
		TEST(trees_may_stand_at_the_root_or_at_home),
		TEST(interrupts_end_the_walk),
		TEST(missing_trees_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
