/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes; overlayfs's own are ordinary ones here. */
#include <sys/xattr.h>

#include "tests/union/case_lists.h"

static void expect_attr(const char *path, const char *name, const char *want)
{
	char value[4096];
	int n = get_xattr(path, name, value, sizeof(value));

	if (n != (int)strlen(want) || memcmp(value, want, strlen(want)) != 0)
		FAIL("%s of %s: %d", name, path, n);
}

static bool lists_attr(const char *path, const char *name)
{
	char names[4096];
	ssize_t n = OK(llistxattr(path, names, sizeof(names)));

	for (char *p = names; p < names + n; p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

static void attrs_set_and_removed(void)
{
	expect_attr("attrs", "user.one", "first");
	expect_attr("attrs", "user.two", "");
	OK(setxattr("attrs", "user.one", "changed", 7, 0));
	expect_attr("attrs", "user.one", "changed");
	FAILS(setxattr("attrs", "user.one", "x", 1, XATTR_CREATE), EEXIST);
	FAILS(setxattr("attrs", "user.three", "x", 1, XATTR_REPLACE), ENODATA);
	OK(setxattr("attrs", "user.three", "x", 1, XATTR_CREATE));
	OK(setxattr("attrs", "user.three", "y", 1, XATTR_REPLACE));
	OK(removexattr("attrs", "user.two"));
	FAILS(removexattr("attrs", "user.two"), ENODATA);
	EQUAL(get_xattr("attrs", "user.two", NULL, 0), -ENODATA);
	CHECK(lists_attr("attrs", "user.three") && !lists_attr("attrs", "user.two"));
	OK(setxattr("sub", "user.dir", "1", 1, 0));
	CHECK(lists_attr("sub", "user.dir"));
	OK(setxattr("file", "user.binary", "\0\1\2", 3, 0));
	EQUAL(get_xattr("file", "user.binary", NULL, 0), 3);
}

static void attrs_set_and_removed_after(void)
{
	expect_attr("attrs", "user.one", "changed");
	expect_attr("attrs", "user.three", "y");
	EQUAL(get_xattr("attrs", "user.two", NULL, 0), -ENODATA);
	expect_attr("sub", "user.dir", "1");
}

static void attrs_lengths(void)
{
	char value[2048], got[4096];

	EQUAL(get_xattr("attrs", "user.one", NULL, 0), 5);
	EQUAL(get_xattr("attrs", "user.one", got, 4), -ERANGE);
	EQUAL(get_xattr("attrs", "user.one", got, 5), 5);
	memset(value, 'v', sizeof(value));
	OK(setxattr("file", "user.large", value, sizeof(value), 0));
	EQUAL(get_xattr("file", "user.large", got, sizeof(got)), sizeof(value));
	CHECK(memcmp(value, got, sizeof(value)) == 0);
	FAILS(setxattr("file", "user." KIT_LONG_NAME, "x", 1, 0), ERANGE);
	FAILS(setxattr("file", "user.", "x", 1, 0), EINVAL);
	FAILS(setxattr("file", "nonsense.x", "x", 1, 0), EOPNOTSUPP);
}

static void attrs_list_protocol(void)
{
	char names[4096];
	ssize_t all = OK(listxattr("attrs", names, sizeof(names))), need = OK(listxattr("attrs", NULL, 0));

	CHECK(all >= 18 && need >= all);
	EQUAL(OK(listxattr("attrs", names, (size_t)need)), all);
	EQUAL(OK(listxattr("attrs", names, (size_t)all)), all);
	FAILS(listxattr("attrs", names, (size_t)all - 1), ERANGE);
	FAILS(listxattr("attrs", names, 1), ERANGE);
	OK(removexattr("attrs", "user.one"));
	EQUAL(OK(listxattr("attrs", names, sizeof(names))), all - 9);
	CHECK(OK(listxattr("attrs", NULL, 0)) >= all - 9);
}

static void attrs_of_symlinks_and_fifos(void)
{
	FAILS(lsetxattr("link", "user.x", "1", 1, 0), EPERM);
	FAILS(setxattr("fifo", "user.x", "1", 1, 0), EPERM);
	EQUAL(get_xattr("link", "user.x", NULL, 0), -ENODATA);
	EQUAL(llistxattr("link", NULL, 0), 0);
}

/* Set from inside they mean nothing to the union, and are read back as they were. */
static void attrs_of_overlay_mean_nothing(void)
{
	OK(setxattr("merged", "user.overlay.opaque", "y", 1, 0));
	EQUAL(count_entries("merged"), 5);
	expect_text("merged/low1", "low1\n");
	expect_attr("merged", "user.overlay.opaque", "y");
	CHECK(lists_attr("merged", "user.overlay.opaque"));
	OK(setxattr("sub", "user.overlay.redirect", "/merged", 7, 0));
	OK(setxattr("file", "user.overlay.metacopy", "", 0, 0));
	write_text("zero", "");
	OK(setxattr("zero", "user.overlay.whiteout", "y", 1, 0));
	OK(setxattr(".", "user.overlay.opaque", "x", 1, 0));
	CHECK(is_listed(".", "zero"));
	expect_text("file", "lower file\n");
	OK(setxattr("attrs", "user.overlay.origin", "o", 1, 0));
	OK(setxattr("attrs", "user.overlay.overlay.origin", "oo", 2, 0));
	OK(removexattr("attrs", "user.overlay.origin"));
	EQUAL(get_xattr("attrs", "user.overlay.origin", NULL, 0), -ENODATA);
	expect_attr("attrs", "user.overlay.overlay.origin", "oo");
}

static void attrs_of_overlay_mean_nothing_after(void)
{
	EQUAL(count_entries("merged"), 5);
	expect_attr("merged", "user.overlay.opaque", "y");
	EQUAL(count_entries("sub"), 5);
	expect_attr("sub", "user.overlay.redirect", "/merged");
	expect_text("file", "lower file\n");
	expect_attr("file", "user.overlay.metacopy", "");
	expect_text("zero", "");
}

static void attrs_of_floe_mean_nothing(void)
{
	OK(setxattr("merged", "user.overlay.floe.ino", "12345", 5, 0));
	OK(setxattr("file", "user.overlay.floe.ino", "12345", 5, 0));
	CHECK(stat_of("file").st_ino != 12345);
	expect_attr("file", "user.overlay.floe.ino", "12345");
	if (setxattr("sub", "user.floe.redirect", "/merged", 7, 0) == 0)
		EQUAL(count_entries("sub"), 5);
	if (setxattr("data", "user.floe.lazy", "1 2 3 4 5 6", 11, 0) == 0)
		expect_data(OK(open("data", O_RDONLY)), 0, KIT_DATA_SIZE);
	if (setxattr("suid", "user.containers.override_stat", "5:5:0777", 8, 0) == 0) {
		EQUAL(stat_of("suid").st_uid, geteuid());
		EQUAL(stat_of("suid").st_mode, S_IFREG | 06755);
	}
}

static void attrs_of_floe_mean_nothing_after(void)
{
	CHECK(stat_of("file").st_ino != 12345);
	EQUAL(count_entries("sub"), 5);
	expect_data(OK(open("data", O_RDONLY)), 0, KIT_DATA_SIZE);
	EQUAL(stat_of("suid").st_uid, geteuid());
	EQUAL(stat_of("suid").st_mode, S_IFREG | 06755);
}

static void bookkeeping_is_no_attribute(void)
{
	static const char *const paths[] = { "file",  "sub",   "sub/deep", "merged",
					     "hard1", "moved", "again",    "." };
	char names[4096];

	append_text("file", "x");
	append_text("sub/deep/x", "x");
	append_text("hard1", "x");
	OK(unlink("merged/low1"));
	OK(rmdir("empty"));
	OK(mkdir("again", 0755));
	OK(rmdir("again"));
	OK(mkdir("empty", 0755));
	(void)rename("empty", "again");
	(void)rename("sgid", "moved");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ssize_t n = llistxattr(paths[i], names, sizeof(names));

		for (char *p = names; n > 0 && p < names + n; p += strlen(p) + 1)
			if (strncmp(p, "user.", 5) == 0)
				FAIL("%s lists %s", paths[i], p);
	}
	EQUAL(get_xattr("again", "user.overlay.opaque", names, sizeof(names)), -ENODATA);
	EQUAL(get_xattr("merged", "user.overlay.impure", names, sizeof(names)), -ENODATA);
	EQUAL(get_xattr("file", "user.overlay.floe.ino", names, sizeof(names)), -ENODATA);
	EQUAL(get_xattr("hard1", "user.floe.links", names, sizeof(names)), -ENODATA);
}

static void attrs_on_open_files(void)
{
	int fd = OK(open("attrs", O_RDONLY));
	char value[16];

	OK(fsetxattr(fd, "user.four", "4", 1, 0)); /* copies up under the descriptor */
	EQUAL(OK(fgetxattr(fd, "user.four", value, sizeof(value))), 1);
	expect_attr("attrs", "user.four", "4");
	OK(unlink("attrs"));
	EQUAL(OK(fgetxattr(fd, "user.one", value, sizeof(value))), 5);
	OK(fremovexattr(fd, "user.one"));
	FAILS(fgetxattr(fd, "user.one", value, sizeof(value)), ENODATA);
}

const struct test_case cases_attrs[] = {
	{ "attrs_set_and_removed", attrs_set_and_removed, attrs_set_and_removed_after },
	{ "attrs_lengths", attrs_lengths, NULL },
	{ "attrs_list_protocol", attrs_list_protocol, NULL },
	{ "attrs_of_symlinks_and_fifos", attrs_of_symlinks_and_fifos, NULL },
	{ "attrs_of_overlay_mean_nothing", attrs_of_overlay_mean_nothing,
	  attrs_of_overlay_mean_nothing_after },
	{ "attrs_of_floe_mean_nothing", attrs_of_floe_mean_nothing, attrs_of_floe_mean_nothing_after },
	{ "bookkeeping_is_no_attribute", bookkeeping_is_no_attribute, NULL },
	{ "attrs_on_open_files", attrs_on_open_files, NULL },
	{ NULL, NULL, NULL },
};
