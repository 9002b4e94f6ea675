/* SPDX-License-Identifier: Apache-2.0 */
/* Opening an upper, its features, looking at names, and what is noted on objects. */
#include <linux/magic.h>
#include <sys/vfs.h>

#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

/* ---- life ---- */

static void test_open_makes_its_places_and_empties_them(void **state)
{
	(void)state;
	put_file(scratch.u->tmp, "t0", "x");
	put_file(scratch.u->orphans, "7", "x");
	fd_close(make_dir(scratch.u->trash, "t1"));
	put_file(scratch.root, "kept", "x");
	scratch_reopen(false);
	check_empty(scratch.u->tmp);
	check_empty(scratch.u->orphans);
	check_empty(scratch.u->trash);
	check_file(scratch.root, "kept", "x");
}

static void test_takeover_keeps_orphans(void **state)
{
	(void)state;
	put_file(scratch.u->tmp, "t0", "half-made");
	put_file(scratch.u->tmp, "o-8", "on its way");
	assert_int_equal(cow_whiteout_make(scratch.u, "o-9"), 0);
	put_file(scratch.u->orphans, "7", "x");
	put_file(scratch.u->orphans, "8", "stale");
	scratch_reopen(true);
	check_empty(scratch.u->tmp);
	check_file(scratch.u->orphans, "7", "x");
	check_file(scratch.u->orphans, "8", "on its way");
	assert_false(is_there(scratch.u->orphans, "9"));
}

static void expect_refused(const char *upper, const char *work, enum err_code code)
{
	struct cow_upper *u;
	struct err e;

	assert_int_equal(cow_upper_open(upper, work, false, &u, &e), -1);
	if (e.code != code)
		fail_msg("%s", e.msg);
}

static void test_refusals(void **state)
{
	const char *elsewhere = strcmp(scratch.where, "/dev/shm") != 0 ? "/dev/shm" : "/tmp";
	char path[64];
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/floe-test-work-XXXXXX", elsewhere);
	assert_non_null(mkdtemp(path));
	expect_refused(scratch.upper, path, ERR_UNSUPPORTED);
	assert_int_equal(path_remove_tree(AT_FDCWD, path, &e), 0);
	expect_refused(scratch.upper, "/absent/work", ERR_NOTFOUND);
	expect_refused("/absent/upper", scratch.work, ERR_NOTFOUND);
	expect_refused(scratch.upper, "/proc", ERR_NOTFOUND);
	assert_int_equal(fsetxattr(scratch.root, COW_ATTR_FEATURES, "links time-travel", 17, 0), 0);
	expect_refused(scratch.upper, scratch.work, ERR_UNSUPPORTED);
}

/* Found out afresh, before the test takes anything away. */
static unsigned probe_again(void)
{
	unsigned can;
	struct err e;

	assert_int_equal(fremovexattr(scratch.u->tmp, COW_ATTR_PROBE), 0);
	assert_int_equal(cow_upper_probe(scratch.u, &e), 0);
	can = scratch.u->can;
	scratch.u->can &= ~scratch.without;
	return can;
}

static void test_probing(void **state)
{
	struct statfs fs;
	char text[256];
	ssize_t len;

	(void)state;
	/* What every kernel's ext4 and tmpfs can do. */
	assert_int_equal(fstatfs(scratch.root, &fs), 0);
	if (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != TMPFS_MAGIC) {
		print_message("neither ext4 nor tmpfs\n");
		skip();
	}
	assert_int_equal(probe_again(), COW_CAN_LEAVE_WHITEOUT | COW_CAN_MAKE_WHITEOUT);
	assert_true(cow_upper_can_be_lazy(scratch.u));
	assert_true(scratch.u->block >= 512 && scratch.u->block <= 65536);
	/* Remembered, for these circumstances only. */
	len = fgetxattr(scratch.u->tmp, COW_ATTR_PROBE, text, sizeof(text) - 8);
	assert_true(len > 10 && !memcmp(text, "1 ", 2));
	text[len] = 0;
	*strrchr(text, ' ') = 0;
	strcpy(strrchr(text, ' '), " 0 0");
	assert_int_equal(fsetxattr(scratch.u->tmp, COW_ATTR_PROBE, text, strlen(text), 0), 0);
	scratch_reopen(false);
	assert_false(cow_upper_can_be_lazy(scratch.u));
	text[2]++; /* of the kernel's name */
	assert_int_equal(fsetxattr(scratch.u->tmp, COW_ATTR_PROBE, text, strlen(text), 0), 0);
	scratch_reopen(false);
	assert_true(cow_upper_can_be_lazy(scratch.u));
	check_empty(scratch.u->tmp);
}

/* ---- features ---- */

static void test_features(void **state)
{
	unsigned features;
	char text[64];
	struct err e;
	ssize_t n;

	(void)state;
	assert_int_equal(cow_upper_features(scratch.upper, &features, &e), 0);
	assert_int_equal(features, 0);
	assert_false(cow_upper_has(scratch.u, COW_FEATURE_LAZY));
	assert_int_equal(cow_upper_use(scratch.u, COW_FEATURE_OWNER), 0);
	assert_int_equal(cow_upper_use(scratch.u, COW_FEATURE_REDIRECT), 0);
	assert_int_equal(cow_upper_use(scratch.u, COW_FEATURE_OWNER), 0);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_OWNER));
	n = fgetxattr(scratch.root, "user.floe.features", text, sizeof(text));
	assert_int_equal(n, 14);
	assert_memory_equal(text, "redirect owner", 14);
	assert_int_equal(cow_upper_features(scratch.upper, &features, &e), 0);
	assert_int_equal(features, COW_FEATURE_OWNER | COW_FEATURE_REDIRECT);
	scratch_reopen(true);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_REDIRECT));
	assert_false(cow_upper_has(scratch.u, COW_FEATURE_LAZY));
	assert_int_equal(cow_upper_features("/absent/upper", &features, &e), 0);
	assert_int_equal(features, 0);
	assert_int_equal(fsetxattr(scratch.root, COW_ATTR_FEATURES, "lazy magic", 10, 0), 0);
	assert_int_equal(cow_upper_features(scratch.upper, &features, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "magic"));
}

/* ---- looking ---- */

static void test_lookup(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d"), empty = -1;
	struct stat st;
	bool whiteout = true;

	(void)state;
	put_file(d, ".wh.f", "text");
	put_file(d, long_name('n'), "");
	put_whiteout(d, ".wh..wh..opq");
	assert_int_equal(cow_upper_lookup(scratch.u, d, "absent", &st, &whiteout), ENOENT);
	assert_int_equal(cow_upper_lookup(scratch.u, d, ".wh.f", &st, &whiteout), 0);
	assert_false(whiteout);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(cow_upper_lookup(scratch.u, d, long_name('n'), &st, &whiteout), 0);
	assert_false(whiteout);
	assert_int_equal(cow_upper_lookup(scratch.u, d, ".wh..wh..opq", &st, &whiteout), 0);
	assert_true(whiteout);
	/* Either kind is understood, whichever is made here. */
	put_file(d, "by-attribute", "");
	empty = openat(d, "by-attribute", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(empty, COW_ATTR_WHITEOUT, "y", 1, 0), 0);
	assert_true(is_whiteout(d, "by-attribute"));
	put_device_whiteout(d, "by-device");
	assert_true(is_whiteout(d, "by-device"));
}

/* Opaque alone would hide what the redirect is to lead to. */
static void test_a_redirect_that_fails_hides_nothing(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;
	char *path = malloc(70001);

	(void)state;
	assert_non_null(path);
	memset(path, '/', 70000);
	path[70000] = 0;
	assert_int_not_equal(cow_upper_set_redirect(scratch.u, d, path), 0);
	free(path);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(!info.is_opaque && !info.redirect);
}

static void test_directories(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;
	char path[6001];

	(void)state;
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(!info.is_opaque && !info.is_impure && !info.redirect);
	assert_int_equal(cow_upper_set_opaque(scratch.u, d), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_opaque && !info.is_impure && !info.redirect);
	assert_int_equal(cow_upper_set_redirect(scratch.u, d, "/a b/c"), 0);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_REDIRECT));
	assert_int_equal(cow_upper_set_impure(scratch.u, d), 0);
	assert_int_equal(cow_upper_set_impure(scratch.u, d), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_opaque && info.is_impure);
	assert_string_equal(info.redirect, "/a b/c");
	free(info.redirect);
	/* Too long a path for some, no harm done then. */
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	for (size_t i = 0; i < sizeof(path) - 1; i += 100)
		path[i] = '/';
	if (cow_upper_set_redirect(scratch.u, d, path) != 0)
		strcpy(path, "/a b/c");
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_string_equal(info.redirect, path);
	free(info.redirect);
	assert_int_equal(cow_upper_attr_set(d, ".", COW_ATTR_REDIRECT, "relative", 8), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), EIO);
}

/* Neither what its owner may not read nor what its owner may not write loses its opacity. */
static void test_closed_directory(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;

	(void)state;
	assert_int_equal(fchmodat(scratch.root, "d", 0, 0), 0);
	assert_int_equal(cow_upper_set_opaque(scratch.u, d), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_opaque);
	assert_int_equal(mode_of(scratch.root, "d"), 0);
}

/* ---- notes ---- */

static void test_inode_numbers(void **state)
{
	auto_fd int d = make_dir(scratch.root, "d");
	struct cow_upper_dir_info info;

	(void)state;
	put_file(d, "f", "x");
	assert_int_equal(fchmodat(d, "f", 0400, 0), 0);
	assert_int_equal(symlinkat("f", d, "link"), 0);
	assert_int_equal(mknodat(d, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(cow_upper_noted_ino(scratch.u, d, "f"), 0);
	assert_int_equal(cow_upper_note_ino(scratch.u, d, "f", UINT64_MAX - 3), 0);
	assert_true(cow_upper_noted_ino(scratch.u, d, "f") == UINT64_MAX - 3);
	assert_int_equal(mode_of(d, "f"), 0400);
	assert_int_equal(cow_upper_note_ino(scratch.u, d, "link", 5), 0);
	assert_int_equal(cow_upper_noted_ino(scratch.u, d, "link"), 0);
	assert_int_equal(cow_upper_note_ino(scratch.u, d, "fifo", 5), 0);
	assert_int_equal(cow_upper_noted_ino(scratch.u, d, "fifo"), 0);
	assert_int_equal(cow_upper_note_ino(scratch.u, d, ".", 77), 0);
	assert_int_equal(cow_upper_noted_ino(scratch.u, scratch.root, "d"), 77);
	assert_int_equal(cow_upper_dir_info(scratch.u, d, &info), 0);
	assert_true(info.is_impure);
	assert_int_equal(cow_upper_dir_info(scratch.u, scratch.root, &info), 0);
	assert_false(info.is_impure);
	put_file(scratch.u->tmp, "t", "x");
	assert_int_equal(cow_upper_note_ino(scratch.u, scratch.u->tmp, "t", 5), 0);
	assert_int_equal(cow_upper_dir_info(scratch.u, scratch.u->tmp, &info), 0);
	assert_false(info.is_impure);
	put_file(d, "broken", "x");
	assert_int_equal(cow_upper_attr_set(d, "broken", COW_ATTR_INO, "12x", 3), 0);
	assert_int_equal(cow_upper_noted_ino(scratch.u, d, "broken"), 0);
	assert_int_equal(cow_upper_attr_set(d, "broken", COW_ATTR_INO, "-1", 2), 0);
	assert_int_equal(cow_upper_noted_ino(scratch.u, d, "broken"), 0);
}

static void expect_override(int d, const char *value, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st = { .st_uid = 1, .st_gid = 2, .st_mode = S_IFREG | 0640 };

	assert_int_equal(cow_upper_attr_set(d, "f", COW_ATTR_OVERRIDE, value, strlen(value)), 0);
	assert_int_equal(cow_upper_override(scratch.u, d, "f", &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode, S_IFREG | mode);
}

static void test_owners(void **state)
{
	struct stat st = { .st_uid = 1, .st_gid = 2, .st_mode = S_IFREG | 0640 };
	auto_fd int d = make_dir(scratch.root, "d");
	char text[64];

	(void)state;
	put_file(d, "f", "x");
	assert_int_equal(symlinkat("f", d, "link"), 0);
	assert_int_equal(cow_upper_override(scratch.u, d, "f", &st), 0);
	assert_int_equal(st.st_uid, 1);
	assert_int_equal(cow_upper_set_override(scratch.u, d, "f", 33, 34, S_IFREG | 04750), 0);
	assert_true(cow_upper_has(scratch.u, COW_FEATURE_OWNER));
	(void)snprintf(text, sizeof(text), "/proc/self/fd/%d/f", d);
	assert_int_equal(lgetxattr(text, "user.containers.override_stat", text, sizeof(text)), 10);
	assert_memory_equal(text, "33:34:4750", 10);
	assert_int_equal(cow_upper_override(scratch.u, d, "f", &st), 0);
	assert_int_equal(st.st_uid, 33);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(st.st_mode, S_IFREG | 04750);
	assert_int_equal(cow_upper_set_override(scratch.u, d, "link", 0, 0, 0777), EPERM);
	expect_override(d, "0:0:0100755", 0, 0, 0755);
	expect_override(d, "5:6:0644:block-8-1", 5, 6, 0644);
	expect_override(d, "4294967294:0:0", 4294967294u, 0, 0);
	expect_override(d, "4294967296:0:0644", 1, 2, 0640);
	expect_override(d, "-1:0:0644", 1, 2, 0640);
	expect_override(d, "0:0", 1, 2, 0640);
	expect_override(d, "0:0:0644x", 1, 2, 0640);
	expect_override(d, "0:0:888", 1, 2, 0640);
	assert_int_equal(cow_upper_set_override(scratch.u, d, ".", 3, 4, 0700), 0);
	assert_int_equal(cow_upper_override(scratch.u, scratch.root, "d", &st), 0);
	assert_int_equal(st.st_uid, 3);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_open_makes_its_places_and_empties_them),
		SCRATCH_TEST(test_takeover_keeps_orphans),
		SCRATCH_TEST(test_refusals),
		SCRATCH_TEST(test_probing),
		SCRATCH_TEST(test_features),
		SCRATCH_TEST(test_lookup),
		SCRATCH_TEST(test_directories),
		SCRATCH_TEST(test_a_redirect_that_fails_hides_nothing),
		SCRATCH_TEST(test_closed_directory),
		SCRATCH_TEST(test_inode_numbers),
		SCRATCH_TEST(test_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
