/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of a union's objects: what shows, what is copied up for it, and what happens when a
 * request comes a second time. No mount. */
#include "tests/unit/vfs/cow_fixture.h"

static const struct cow_attempt once = { .again = false };

static bool has(const struct fixture *f, const char *path, const char *attr)
{
	return lgetxattr(below(f, path), attr, NULL, 0) >= 0;
}

/* Host: file, dir, opaque (with an attribute that is ordinary there). Frozen: old. */
static void make_layers(struct fixture *f)
{
	make_dir(f, "host/dir");
	make_file(f, "host/file", "text");
	make_file(f, "host/plain", "text");
	make_file(f, "frozen/old", "text");
	put(f, "host/file", "user.a", "one");
	put(f, "host/file", "user.overlay.opaque", "data");
	put(f, "host/file", "user.containers.override_stat", "0:0:100644");
	put(f, "host/dir", "user.d", "two");
	put(f, "frozen/old", "user.overlay.overlay.x", "inner");
	put(f, "frozen/old", "user.overlay.origin", "no");
	put(f, "frozen/old", "user.floe.links", "2");
}

static int set_up(void **state)
{
	static const char *const layers[] = { "!frozen", "-host", NULL };
	struct fixture *f = fixture_make(layers);

	make_layers(f);
	fixture_open(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_end(*state);
	return 0;
}

static void expect(struct fixture *f, uint64_t id, const char *attr, const char *want)
{
	char value[64];
	size_t len = 0, asked = 0;

	assert_int_equal(cow_getxattr(&f->u, id, attr, NULL, 0, &asked), 0);
	assert_int_equal(asked, strlen(want));
	if (*want)
		assert_int_equal(cow_getxattr(&f->u, id, attr, value, asked - 1 ? asked - 1 : 1, &len),
				 asked > 1 ? ERANGE : 0);
	assert_int_equal(cow_getxattr(&f->u, id, attr, value, sizeof(value), &len), 0);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(value, want, len);
}

static int get_error(struct fixture *f, uint64_t id, const char *attr)
{
	size_t len;

	return cow_getxattr(&f->u, id, attr, NULL, 0, &len);
}

static int set(struct fixture *f, uint64_t id, const char *attr, const char *value, int flags, bool again)
{
	return cow_setxattr(&f->u, id, attr, value, strlen(value), flags, again);
}

/* Exactly these, in any order; ends with NULL. */
static void expect_list(struct fixture *f, uint64_t id, const char *const *want)
{
	char names[1024];
	size_t asked = 0, len = 0, sum = 0;

	assert_int_equal(cow_listxattr(&f->u, id, NULL, 0, &asked), 0);
	assert_int_equal(cow_listxattr(&f->u, id, names, sizeof(names), &len), 0);
	assert_int_equal(asked, len);
	if (len > 1)
		assert_int_equal(cow_listxattr(&f->u, id, names, len - 1, &len), ERANGE);
	assert_int_equal(cow_listxattr(&f->u, id, names, asked ? asked : 1, &len), 0);
	for (; *want; want++) {
		bool is_there = false;

		for (const char *p = names; p < names + len; p += strlen(p) + 1)
			is_there |= !strcmp(p, *want);
		if (!is_there)
			fail_msg("%s is not listed", *want);
		sum += strlen(*want) + 1;
	}
	assert_int_equal(sum, len);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void lower_attributes_show(void **state)
{
	struct fixture *f = *state;
	uint64_t file = look_up(f, "file"), dir = look_up(f, "dir"), old = look_up(f, "old");

	expect(f, file, "user.a", "one");
	expect(f, file, "user.overlay.opaque", "data");
	expect(f, dir, "user.d", "two");
	expect(f, old, "user.overlay.x", "inner");
	assert_int_equal(get_error(f, file, "user.none"), ENODATA);
	assert_int_equal(get_error(f, file, "user.containers.override_stat"), ENODATA);
	assert_int_equal(get_error(f, old, "user.overlay.origin"), ENODATA);
	assert_int_equal(get_error(f, old, "user.floe.links"), ENODATA);
	expect_list(f, file, LIST("user.a", "user.overlay.opaque"));
	expect_list(f, dir, LIST("user.d"));
	expect_list(f, old, LIST("user.overlay.x"));
	expect_list(f, look_up(f, "plain"), LIST());
	assert_int_equal(get_error(f, 4711, "user.a"), ESTALE);
}

static void setting_copies_up(void **state)
{
	struct fixture *f = *state;
	uint64_t file = look_up(f, "file"), dir = look_up(f, "dir");

	assert_int_equal(set(f, file, "user.b", "new", 0, false), 0);
	expect(f, file, "user.b", "new");
	expect(f, file, "user.a", "one");
	expect(f, file, "user.overlay.opaque", "data");
	expect_list(f, file, LIST("user.a", "user.b", "user.overlay.opaque"));
	assert_true(has(f, "upper/file", "user.b"));
	assert_true(has(f, "upper/file", "user.overlay.overlay.opaque"));
	assert_false(has(f, "upper/file", "user.overlay.opaque"));
	assert_false(has(f, "host/file", "user.b"));
	assert_int_equal(set(f, dir, "user.overlay.opaque", "y", 0, false), 0);
	assert_true(has(f, "upper/dir", "user.overlay.overlay.opaque"));
	assert_false(has(f, "upper/dir", "user.overlay.opaque"));
	expect_list(f, dir, LIST("user.d", "user.overlay.opaque"));
	assert_int_equal(cow_removexattr(&f->u, dir, "user.overlay.opaque", false), 0);
	expect_list(f, dir, LIST("user.d"));
	assert_int_equal(set(f, COW_ROOT, "user.root", "r", 0, false), 0);
	expect(f, COW_ROOT, "user.root", "r");
}

static void what_fails_copies_nothing_up(void **state)
{
	struct fixture *f = *state;
	uint64_t file = look_up(f, "file");
	struct stat st;

	assert_int_equal(set(f, file, "user.a", "x", XATTR_CREATE, false), EEXIST);
	assert_int_equal(set(f, file, "user.b", "x", XATTR_REPLACE, false), ENODATA);
	assert_int_equal(cow_removexattr(&f->u, file, "user.b", false), ENODATA);
	assert_int_equal(set(f, file, "user.floe.lazy", "x", 0, false), EPERM);
	assert_int_equal(set(f, file, "user.containers.override_stat", "x", 0, false), EPERM);
	assert_int_equal(cow_removexattr(&f->u, file, "user.floe.lazy", false), EPERM);
	assert_int_equal(lstat(below(f, "upper/file"), &st), -1);
}

static void a_second_time_is_no_error(void **state)
{
	struct fixture *f = *state;
	uint64_t file = look_up(f, "file");

	assert_int_equal(set(f, file, "user.n", "same", XATTR_CREATE, true), 0);
	assert_int_equal(set(f, file, "user.n", "same", XATTR_CREATE, false), EEXIST);
	assert_int_equal(set(f, file, "user.n", "same", XATTR_CREATE, true), 0);
	assert_int_equal(set(f, file, "user.n", "other", XATTR_CREATE, true), EEXIST);
	assert_int_equal(set(f, file, "user.n", "sam", XATTR_CREATE, true), EEXIST);
	expect(f, file, "user.n", "same");
	assert_int_equal(set(f, file, "user.empty", "", XATTR_CREATE, false), 0);
	assert_int_equal(set(f, file, "user.empty", "", XATTR_CREATE, true), 0);
	assert_int_equal(cow_removexattr(&f->u, file, "user.n", false), 0);
	assert_int_equal(cow_removexattr(&f->u, file, "user.n", true), 0);
	assert_int_equal(cow_removexattr(&f->u, file, "user.n", false), ENODATA);
}

static void without_an_upper_nothing_changes(void **state)
{
	struct fixture *f = *state;
	struct cow_upper *upper = f->u.upper;
	uint64_t file = look_up(f, "file");

	f->u.upper = NULL;
	assert_int_equal(set(f, file, "user.b", "x", 0, false), EROFS);
	assert_int_equal(cow_removexattr(&f->u, file, "user.a", false), EROFS);
	assert_int_equal(cow_removexattr(&f->u, file, "user.none", false), EROFS);
	f->u.upper = upper;
}

static void deleted_files_keep_theirs(void **state)
{
	struct fixture *f = *state;
	uint64_t file = look_up(f, "file");

	assert_int_equal(cow_unlink(&f->u, COW_ROOT, "file", &once), 0);
	expect(f, file, "user.a", "one");
	expect_list(f, file, LIST("user.a", "user.overlay.opaque"));
	assert_int_equal(set(f, file, "user.b", "late", 0, false), 0);
	expect(f, file, "user.b", "late");
	expect(f, file, "user.a", "one");
}

static void acls_pass_through(void **state)
{
	/* version 2: owner rw-, group r--, mask r--, other --- */
	static const char acl[] = { 2,  0,  0,  0, 1, 0, 6,  0,  -1, -1, -1, -1, 4, 0, 4,  0,  -1, -1,
				    -1, -1, 16, 0, 4, 0, -1, -1, -1, -1, 32, 0,  0, 0, -1, -1, -1, -1 };
	struct fixture *f = *state;
	uint64_t file = look_up(f, "plain");
	char value[64];
	struct stat st;
	size_t len = 0;
	int sys;

	sys = cow_setxattr(&f->u, file, "system.posix_acl_access", acl, sizeof(acl), 0, false);
	if (sys == ENOTSUP)
		skip();
	assert_int_equal(sys, 0);
	assert_int_equal(stat(below(f, "upper/plain"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(cow_getxattr(&f->u, file, "system.posix_acl_access", value, sizeof(value), &len), 0);
	assert_int_equal(len, sizeof(acl));
	assert_memory_equal(value, acl, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lower_attributes_show, set_up, tear_down),
		cmocka_unit_test_setup_teardown(setting_copies_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_fails_copies_nothing_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_time_is_no_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_an_upper_nothing_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deleted_files_keep_theirs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(acls_pass_through, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
