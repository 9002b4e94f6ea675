/* SPDX-License-Identifier: Apache-2.0 */
/* Listing directories: nothing twice, nothing lost, also while they change. */
#include <dirent.h>
#include <sys/syscall.h>

#include "tests/union/case_lists.h"

static DIR *open_list(const char *dir)
{
	DIR *d = opendir(dir);

	if (!d)
		FAIL("opendir %s: %s", dir, strerror(errno));
	return d;
}

static void check_numbers(const char *dir)
{
	DIR *d = open_list(dir);
	const struct dirent *e;
	struct stat st;

	while ((e = readdir(d))) {
		if (strcmp(e->d_name, "..") == 0)
			continue; /* dot_and_dotdot */
		OK(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW));
		if (e->d_ino != st.st_ino)
			FAIL("%s/%.40s: d_ino %llu, st_ino %llu", dir, e->d_name,
			     (unsigned long long)e->d_ino, (unsigned long long)st.st_ino);
		if (e->d_type != DT_UNKNOWN && e->d_type != IFTODT(st.st_mode))
			FAIL("%s/%.40s: d_type %d", dir, e->d_name, e->d_type);
	}
	OK(closedir(d));
}

static void check_all_numbers(void)
{
	static const char *const dirs[] = {
		".", "sub", "sub/deep", "sub/deep/y", "merged", "names", "empty"
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		check_numbers(dirs[i]);
}

static void list_numbers(void)
{
	check_all_numbers();
}

static void list_numbers_of_changed(void)
{
	append_text("file", "more\n");
	append_text("sub/deep/x", "more\n");
	write_text("merged/new", "new\n");
	OK(mkdir("empty/made", 0755));
	OK(rename("sub/a", "empty/a"));
	OK(rename("merged/low1", "merged/renamed"));
	OK(link("sub/b", "empty/b"));
	OK(chmod("hard1", 0600));
	OK(rename("link", "empty/link"));
	check_all_numbers();
}

static void list_numbers_of_moved(void)
{
	OK(rename("sub/deep", "empty/moved"));
	check_numbers("empty");
	check_numbers("empty/moved");
	check_numbers("empty/moved/y");
	check_numbers("sub");
}

static void list_numbers_of_moved_after(void)
{
	check_numbers("empty");
	check_numbers("empty/moved");
	check_numbers("empty/moved/y");
}

static void list_merged(void)
{
	static const char *const names[] = { "low1", "low2", "both", "top1", "dir" };

	EQUAL(count_entries("merged"), 5);
	for (size_t i = 0; i < 5; i++)
		CHECK(is_listed("merged", names[i]));
	append_text("merged/low1", "more\n");
	append_text("merged/both", "more\n");
	write_text("merged/new", "new\n");
	EQUAL(count_entries("merged"), 6);
	OK(unlink("merged/both"));
	EQUAL(count_entries("merged"), 5);
	EQUAL(count_entries("diroverfile"), 1);
}

static void fill(const char *dir, int count, int name_len)
{
	char path[600];

	for (int i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%0*d", dir, name_len, i);
		OK(close(OK(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644))));
	}
}

/* Each name once; the rest (., .., what is in `dir` besides) is not looked at. Returns how many. */
static unsigned mark_seen(DIR *d, uint8_t *seen, int count)
{
	const struct dirent *e;
	unsigned total = 0;

	while ((e = readdir(d))) {
		char *end;
		long n = strtol(e->d_name, &end, 10);

		if (*end || n < 0 || n >= count)
			continue;
		if (seen[n]++)
			FAIL("%ld is listed twice", n);
		total++;
	}
	return total;
}

static void list_large(void)
{
	enum { COUNT = 6000, LEN = 200 };
	uint8_t *seen = calloc(1, COUNT);
	DIR *d;

	CHECK(seen);
	fill("sub", COUNT, LEN);
	d = open_list("sub");
	EQUAL(mark_seen(d, seen, COUNT), COUNT);
	rewinddir(d);
	memset(seen, 0, COUNT);
	EQUAL(mark_seen(d, seen, COUNT), COUNT);
	OK(closedir(d));
	EQUAL(count_entries("sub"), COUNT + 5);
}

static void list_large_after(void)
{
	enum { COUNT = 6000 };
	uint8_t *seen = calloc(1, COUNT);
	DIR *d = open_list("sub");

	EQUAL(mark_seen(d, seen, COUNT), COUNT);
	OK(closedir(d));
	CHECK(is_listed("sub", "hard3"));
}

/* As rm -r does: delete what was listed, go on listing with the same descriptor. */
static void delete_while_listing(void)
{
	enum { COUNT = 3000 };
	DIR *d;
	const struct dirent *e;
	unsigned deleted = 0;

	fill("merged", COUNT, 30);
	d = open_list("merged");
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, "dir") == 0)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			FAIL("%.40s is listed, but: %s", e->d_name, strerror(errno));
		deleted++;
	}
	OK(closedir(d));
	EQUAL(deleted, COUNT + 4);
	EQUAL(count_entries("merged"), 1);
}

static void delete_while_listing_after(void)
{
	EQUAL(count_entries("merged"), 1);
	EQUAL(count_entries("merged/dir"), 1);
}

/* Names that are there all the time are listed once, whatever else comes and goes. */
static void change_while_listing(void)
{
	enum { COUNT = 2000 };
	uint8_t seen[COUNT] = { 0 };
	char path[64];
	DIR *d;
	const struct dirent *e;
	unsigned total = 0;

	fill("sub", COUNT, 20);
	d = open_list("sub");
	for (unsigned i = 0; (e = readdir(d)); i++) {
		char *end;
		long n = strtol(e->d_name, &end, 10);

		if (!*end) {
			if (n < 0 || n >= COUNT || seen[n]++)
				FAIL("%.40s is listed twice", e->d_name);
			total++;
		}
		(void)snprintf(path, sizeof(path), "sub/x%u", i);
		if (i % 3 == 0)
			write_text(path, "x");
		(void)snprintf(path, sizeof(path), "sub/x%u", i - 30);
		if (i >= 30 && i % 3 == 0)
			OK(unlink(path));
		if (i > 4 * COUNT)
			FAIL("the listing does not end");
	}
	EQUAL(total, COUNT);
	OK(closedir(d));
}

static void seek_in_list(void)
{
	enum { COUNT = 500 };
	char names[COUNT + 10][64];
	long places[COUNT + 10];
	DIR *d;
	const struct dirent *e;
	int count = 0;

	fill("merged", COUNT, 40);
	d = open_list("merged");
	for (;;) {
		places[count] = telldir(d);
		e = readdir(d);
		if (!e)
			break;
		CHECK(count < COUNT + 9);
		(void)snprintf(names[count++], 64, "%.63s", e->d_name);
	}
	EQUAL(count, COUNT + 7);
	for (int i = count - 1; i >= 0; i -= 37) {
		seekdir(d, places[i]);
		e = readdir(d);
		CHECK(e);
		if (strcmp(e->d_name, names[i]) != 0)
			FAIL("entry %d is %.40s, not %.40s", i, e->d_name, names[i]);
	}
	seekdir(d, places[count]);
	CHECK(!readdir(d));
	OK(closedir(d));
	/* places outlast deletions of other names */
	d = open_list("merged");
	for (int i = 0; i < count / 2; i++)
		CHECK(readdir(d));
	places[0] = telldir(d);
	e = readdir(d);
	CHECK(e);
	(void)snprintf(names[0], 64, "%.63s", e->d_name);
	for (int i = 0; i < COUNT; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "merged/%040d", i);
		if (strcmp(path + 7, names[0]) != 0)
			OK(unlink(path));
	}
	seekdir(d, places[0]);
	e = readdir(d);
	CHECK(e);
	CHECK(strcmp(e->d_name, names[0]) == 0);
	OK(closedir(d));
}

static void rewind_shows_changes(void)
{
	DIR *d = open_list("sub");
	const struct dirent *e;
	bool has_new = false, has_old = false;

	while (readdir(d))
		continue;
	write_text("sub/new", "x");
	OK(unlink("sub/a"));
	rewinddir(d);
	while ((e = readdir(d))) {
		has_new |= strcmp(e->d_name, "new") == 0;
		has_old |= strcmp(e->d_name, "a") == 0;
	}
	CHECK(has_new && !has_old);
	OK(closedir(d));
}

/* Two descriptors of one directory at different places. */
static void list_twice_at_once(void)
{
	enum { COUNT = 1000 };
	uint8_t seen[COUNT] = { 0 }, other[COUNT] = { 0 };
	DIR *one, *two;

	fill("sub", COUNT, 100);
	one = open_list("sub");
	two = open_list("sub");
	for (int i = 0; i < 300; i++)
		CHECK(readdir(one));
	EQUAL(mark_seen(two, other, COUNT), COUNT);
	CHECK(mark_seen(one, seen, COUNT) >= COUNT - 300);
	OK(closedir(one));
	OK(closedir(two));
}

static void small_buffers(void)
{
	struct linux_dirent64 {
		uint64_t ino;
		int64_t off;
		unsigned short reclen;
		unsigned char type;
		char name[];
	};
	char buf[400] __attribute__((aligned(8)));
	int fd = OK(open("names", O_RDONLY | O_DIRECTORY));
	long n;
	unsigned count = 0;

	FAILS(syscall(SYS_getdents64, fd, buf, 8), EINVAL);
	while ((n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)))) > 0)
		for (long at = 0; at < n; at += ((struct linux_dirent64 *)(void *)(buf + at))->reclen)
			count++;
	EQUAL(count, 5);
}

static void bookkeeping_is_not_listed(void)
{
	static const char *const own[] = { ".floe", "work", "upper", "tmp", "orphans", "trash" };

	OK(unlink("file"));
	OK(rename("sub/a", "a"));
	append_text("hard1", "x");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		CHECK(!is_listed(setting.target, own[i]));
		CHECK(!is_listed(".", own[i]));
	}
	OK(chdir(setting.target));
	FAILS(access(".floe", F_OK), ENOENT);
}

static void dot_and_dotdot(void)
{
	DIR *d = open_list("sub/deep");
	const struct dirent *e;
	unsigned found = 0;

	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 && ++found)
			EQUAL(e->d_ino, stat_of("sub/deep").st_ino);
		if (strcmp(e->d_name, "..") == 0 && ++found)
			EQUAL(e->d_ino, stat_of("sub").st_ino);
	}
	EQUAL(found, 2);
	OK(closedir(d));
	EQUAL(stat_of("sub/deep/..").st_ino, stat_of("sub").st_ino);
}

static void dotdot_of_merged(void)
{
	DIR *d = open_list(".");
	const struct dirent *e;

	while ((e = readdir(d)))
		if (strcmp(e->d_name, "..") == 0)
			EQUAL(e->d_ino, stat_of("..").st_ino);
	OK(closedir(d));
}

const struct test_case cases_list[] = {
	{ "list_numbers", list_numbers, NULL },
	{ "list_numbers_of_changed", list_numbers_of_changed, list_numbers },
	{ "list_numbers_of_moved", list_numbers_of_moved, list_numbers_of_moved_after },
	{ "list_merged", list_merged, NULL },
	{ "list_large", list_large, list_large_after },
	{ "delete_while_listing", delete_while_listing, delete_while_listing_after },
	{ "change_while_listing", change_while_listing, NULL },
	{ "seek_in_list", seek_in_list, NULL },
	{ "rewind_shows_changes", rewind_shows_changes, NULL },
	{ "list_twice_at_once", list_twice_at_once, NULL },
	{ "small_buffers", small_buffers, NULL },
	{ "bookkeeping_is_not_listed", bookkeeping_is_not_listed, NULL },
	{ "dot_and_dotdot", dot_and_dotdot, NULL },
	{ "dotdot_of_merged", dotdot_of_merged, NULL },
	{ NULL, NULL, NULL },
};
