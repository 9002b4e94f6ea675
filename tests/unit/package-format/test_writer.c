/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading back: every kind of entry, determinism, deduplication, and clean failure. */
#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/package-format/fixture.h"

enum { BIG = 3 * 1024 * 1024 + 12345 };

static void set_time(const char *path, int64_t s, long ns)
{
	const struct timespec t[2] = { { s, ns }, { s, ns } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_tree(struct fixture *f, uint8_t *big)
{
	int fd;

	noise(3, big, BIG);
	put_file(f, "tree/usr/bin/tool", "#!/bin/sh\n", 10);
	put_file(f, "tree/usr/bin/big", big, BIG);
	put_file(f, "tree/usr/bin/caf\xe9", "latin-1", 7);
	put_file(f, "tree/empty-file", "", 0);
	assert_int_equal(mkdir(below(f, "tree/empty-dir"), 0700), 0);
	assert_int_equal(symlink("usr/bin/tool", below(f, "tree/link")), 0);
	assert_int_equal(link(below(f, "tree/usr/bin/tool"), below(f, "tree/usr/hard")), 0);
	assert_int_equal(mkfifo(below(f, "tree/fifo"), 0644), 0);
	assert_int_equal(chmod(below(f, "tree/usr/bin/tool"), 04755), 0);
	fd = open(below(f, "tree/sparse"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(pwrite(fd, "head", 4, 0), 4);
	assert_int_equal(pwrite(fd, "tail", 4, (off_t)5 << 30), 4);
	(void)close(fd);
	set_time(below(f, "tree/usr/bin/tool"), 1000000000, 123456789);
	set_time(below(f, "tree/empty-file"), -5, 7);
	(void)setxattr(below(f, "tree/usr/bin/tool"), "user.note", "value\0with nul", 14, 0);
	(void)setxattr(below(f, "tree/usr/bin/tool"), "user.empty", "", 0, 0);
}

static void check_xattrs(struct opened *o, uint64_t ino)
{
	auto_buf struct buf names = BUF_INIT(4096), value = BUF_INIT(4096);
	struct pkg_index_counts c;
	struct err e;

	pkg_index_counts(o->index, &c);
	if (!c.has_xattrs) /* this /tmp does not take them */
		return;
	OK(pkg_index_xattr_list(o->index, ino, &names, &e));
	assert_int_equal(names.len, 21);
	assert_memory_equal(names.data, "user.empty\0user.note\0", 21);
	OK(pkg_index_xattr_get(o->index, ino, "user.note", &value, &e));
	assert_int_equal(value.len, 14);
	assert_memory_equal(value.data, "value\0with nul", 14);
	buf_reset(&value);
	OK(pkg_index_xattr_get(o->index, ino, "user.empty", &value, &e));
	assert_int_equal(value.len, 0);
	FAILS(pkg_index_xattr_get(o->index, ino, "user.none", &value, &e), ERR_NOTFOUND);
}

static void check_kinds(struct opened *o)
{
	struct pkg_inode i, j;
	char target[PKG_SYMLINK_MAX + 1];
	uint8_t tail[8];
	struct err e;

	OK(pkg_index_resolve(o->index, "/usr/bin/tool", &i, &e));
	assert_int_equal(i.mode, S_IFREG | 04755);
	assert_int_equal(i.nlink, 2);
	assert_int_equal(i.mtime_s, 1000000000);
	assert_int_equal(i.mtime_ns, 123456789);
	check_xattrs(o, i.ino);
	OK(pkg_index_resolve(o->index, "usr/hard", &j, &e));
	assert_int_equal(i.ino, j.ino);
	OK(pkg_index_resolve(o->index, "link", &i, &e));
	assert_true(S_ISLNK(i.mode));
	OK(pkg_index_readlink(o->index, i.ino, target, &e));
	assert_string_equal(target, "usr/bin/tool");
	FAILS(pkg_index_readlink(o->index, j.ino, target, &e), ERR_NOTFOUND);
	OK(pkg_index_resolve(o->index, "empty-dir", &i, &e));
	assert_int_equal(i.mode, S_IFDIR | 0700);
	assert_int_equal(i.nlink, 2);
	OK(pkg_index_resolve(o->index, "fifo", &i, &e));
	assert_true(S_ISFIFO(i.mode));
	OK(pkg_index_resolve(o->index, "empty-file", &i, &e));
	assert_int_equal(i.mtime_s, -5);
	OK(pkg_index_resolve(o->index, "sparse", &i, &e));
	assert_int_equal(i.size, ((uint64_t)5 << 30) + 4);
	read_range(o, i.ino, ((uint64_t)5 << 30) - 4, 8, tail);
	assert_memory_equal(tail, "\0\0\0\0tail", 8);
	FAILS(pkg_index_resolve(o->index, "usr/none", &i, &e), ERR_NOTFOUND);
	FAILS(pkg_index_resolve(o->index, "usr/../link", &i, &e), ERR_NOTFOUND);
	OK(pkg_index_resolve(o->index, "usr/bin", &i, &e));
	OK(pkg_index_parent(o->index, i.ino, &i.ino, &e));
	OK(pkg_index_lookup(o->index, PKG_ROOT_INO, "usr", 3, &j, &e));
	assert_int_equal(i.ino, j.ino);
	OK(pkg_index_parent(o->index, PKG_ROOT_INO, &i.ino, &e));
	assert_int_equal(i.ino, PKG_ROOT_INO);
}

static void round_trip(void **state)
{
	struct fixture *f = *state;
	auto_free uint8_t *big = malloc(BIG);
	struct pkg_writer_report report;
	struct pkg_index_counts c;
	struct opened o;
	struct err e;

	make_tree(f, big);
	make_package(f, "p.floe", 2, &report);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	check_kinds(&o);
	assert_content(&o, "usr/bin/big", big, BIG);
	assert_content(&o, "usr/bin/tool", "#!/bin/sh\n", 10);
	assert_content(&o, "usr/bin/caf\xe9", "latin-1", 7);
	assert_content(&o, "empty-file", "", 0);
	pkg_index_counts(o.index, &c);
	assert_int_equal(c.inodes, report.files + report.directories + report.symlinks + 1);
	assert_int_equal(c.content_bytes, report.content_bytes);
	assert_int_equal(report.files, 5);
	assert_int_equal(o.header.file_len, PKG_HEADER_LEN + o.header.index_stored_len + c.stored_bytes);
	assert_int_equal(lseek(o.fd, 0, SEEK_END), o.header.file_len);
	assert_true(report.file_len < BIG + 200000); /* the hole is not in it */
	assert_string_equal(pkg_index_manifest(o.index)->name, "sample");
	opened_close(&o);
}

static void assert_equal_files(const char *a, const char *b)
{
	auto_buf struct buf x = whole(a), y = whole(b);

	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
}

static void equal_input_gives_equal_bytes(void **state)
{
	struct fixture *f = *state;
	auto_free uint8_t *big = malloc(BIG);
	struct pkg_writer_report report;

	make_tree(f, big);
	make_package(f, "one.floe", 1, &report);
	make_package(f, "five.floe", 5, &report);
	assert_equal_files(below(f, "one.floe"), below(f, "five.floe"));
}

static void order_of_entries_does_not_matter(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "a/x", "a.b", "a/b/c", "z", "a-" };
	const struct pkg_writer_opt opt = { .zstd_level = 1, .mtime_max_s = 100 };
	struct pkg_writer_report report;
	struct pkg_inode i;
	struct opened o;
	struct err e;

	put_file(f, "content", "12345", 5);
	for (size_t round = 0; round < 2; round++) {
		struct pkg_writer *w;

		OK(pkg_writer_open(&opt, &w, &e));
		for (size_t n = 0; n < ARRAY_LEN(names); n++) {
			const struct pkg_writer_entry entry = {
				.path = names[round ? n : ARRAY_LEN(names) - 1 - n],
				.mode = S_IFREG | 0644,
				.mtime_s = 1000,
				.mtime_ns = 5,
				.size = 5,
				.content_path = below(f, "content")
			};

			OK(pkg_writer_add(w, &entry, &e));
			FAILS(pkg_writer_add(w, &entry, &e), ERR_EXISTS);
		}
		OK(pkg_writer_finish(w, &f->manifest, f->key, below(f, round ? "1.floe" : "0.floe"), &report,
				     &e));
		pkg_writer_close(w);
	}
	assert_equal_files(below(f, "0.floe"), below(f, "1.floe"));
	OK(opened_open(&o, below(f, "0.floe"), &e));
	OK(pkg_index_resolve(o.index, "a/b", &i, &e));
	assert_int_equal(i.mode, S_IFDIR | 0755);
	OK(pkg_index_resolve(o.index, "a/b/c", &i, &e));
	assert_int_equal(i.mtime_s, 100); /* clamped */
	assert_int_equal(i.mtime_ns, 0);
	opened_close(&o);
}

static void listing_continues_behind_any_cookie(void **state)
{
	struct fixture *f = *state;
	struct pkg_writer_report report;
	struct pkg_dirent all[32], part[3];
	size_t count, got;
	struct opened o;
	struct err e;

	for (int i = 0; i < 20; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "tree/f%d", i * 7 % 20);
		put_file(f, name, name, strlen(name));
	}
	make_package(f, "p.floe", 1, &report);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	OK(pkg_index_list(o.index, PKG_ROOT_INO, 0, all, 32, &count, &e));
	assert_int_equal(count, 20);
	for (size_t i = 0; i < count; i++) {
		OK(pkg_index_list(o.index, PKG_ROOT_INO, i ? all[i - 1].cookie : 0, part, 3, &got, &e));
		assert_int_equal(got, count - i < 3 ? count - i : 3);
		assert_string_equal(part[0].name, all[i].name);
		assert_true(!i || strcmp(all[i - 1].name, all[i].name) < 0);
	}
	opened_close(&o);
}

static void whiteouts_and_devices(void **state)
{
	struct fixture *f = *state;
	const struct pkg_writer_entry whiteout = { .path = "gone", .mode = S_IFCHR };
	const struct pkg_writer_entry device = { .path = "null",
						 .mode = S_IFCHR | 0666,
						 .rdev = makedev(1, 3) };
	const struct pkg_writer_entry socket = { .path = "sock", .mode = S_IFSOCK | 0666 };
	struct pkg_writer_report report;
	struct pkg_writer *w;
	struct pkg_inode i;
	struct opened o;
	struct err e;

	OK(pkg_writer_open(NULL, &w, &e));
	OK(pkg_writer_add(w, &whiteout, &e));
	OK(pkg_writer_add(w, &device, &e));
	FAILS(pkg_writer_add(w, &socket, &e), ERR_USAGE);
	OK(pkg_writer_finish(w, &f->manifest, f->key, below(f, "p.floe"), &report, &e));
	pkg_writer_close(w);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	OK(pkg_index_resolve(o.index, "gone", &i, &e));
	assert_true(S_ISCHR(i.mode) && i.rdev == 0);
	OK(pkg_index_resolve(o.index, "null", &i, &e));
	assert_int_equal(i.rdev, makedev(1, 3));
	assert_int_equal(o.header.feature_block_end, o.header.file_len); /* no content at all */
	opened_close(&o);
}

static void five_thousand_small_files(void **state)
{
	struct fixture *f = *state;
	struct pkg_writer_report report, again;
	struct opened o, p;
	uint8_t data[2000];
	uint32_t kept = 0;
	struct err e;

	for (int i = 0; i < 5000; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "tree/d%02d/f%04d", i / 100, i);
		noise((uint64_t)i + 1, data, sizeof(data));
		put_file(f, name, data, 1 + (size_t)(i * 37 % 2000));
	}
	make_package(f, "p.floe", 2, &report);
	assert_in_range(report.chunks, 5, 100);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	noise(1235, data, sizeof(data));
	assert_content(&o, "d12/f1234", data, 1 + 1234 * 37 % 2000);
	/* One more file near the beginning leaves most chunks as they are. */
	put_file(f, "tree/d00/f0000-more", data, 1999);
	make_package(f, "q.floe", 2, &again);
	OK(opened_open(&p, below(f, "q.floe"), &e));
	for (uint32_t i = 0; i < report.chunks; i++)
		for (uint32_t k = 0; k < again.chunks; k++) {
			struct pkg_chunk_info a, b;

			OK(pkg_index_chunk(o.index, i, &a, &e));
			OK(pkg_index_chunk(p.index, k, &b, &e));
			kept += pkg_digest_equal(&a.digest, &b.digest);
		}
	assert_true(kept + 3 >= report.chunks);
	opened_close(&o);
	opened_close(&p);
}

static uint32_t chunks_of_small_files(struct fixture *f, bool is_dense, const char *package)
{
	struct pkg_writer_report report;
	uint8_t data[8000];

	for (int i = 0; i < 500; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "tree/f%04d", i);
		noise((uint64_t)i + 1, data, is_dense ? sizeof(data) : 8);
		for (size_t at = 8; !is_dense && at < sizeof(data); at += 8)
			memcpy(data + at, data, 8);
		put_file(f, name, data, sizeof(data));
	}
	make_package(f, package, 1, &report);
	return report.chunks;
}

static void what_does_not_compress_makes_smaller_chunks(void **state)
{
	const uint32_t dense = chunks_of_small_files(*state, true, "p.floe");

	assert_true(dense > 2 * chunks_of_small_files(*state, false, "q.floe"));
}

/* Content of the only chunk that the second package has and the first has not. */
static uint32_t only_new_chunk(struct fixture *f, const char *old, const char *new)
{
	struct pkg_index_counts had, has;
	uint32_t found = 0, len = 0;
	struct opened o, n;
	struct err e;

	OK(opened_open(&o, below(f, old), &e));
	OK(opened_open(&n, below(f, new), &e));
	pkg_index_counts(o.index, &had);
	pkg_index_counts(n.index, &has);
	for (uint32_t i = 0; i < has.chunks; i++) {
		struct pkg_chunk_info a, b;
		bool is_old = false;

		OK(pkg_index_chunk(n.index, i, &a, &e));
		for (uint32_t k = 0; k < had.chunks; k++) {
			OK(pkg_index_chunk(o.index, k, &b, &e));
			is_old |= pkg_digest_equal(&a.digest, &b.digest);
		}
		found += !is_old;
		if (!is_old)
			len = a.content_len;
	}
	assert_int_equal(found, 1);
	opened_close(&o);
	opened_close(&n);
	return len;
}

/* A compressed change log among texts, changed: the texts are not brought again. */
static void what_does_not_compress_is_kept_apart(void **state)
{
	static const size_t lens[] = { 4000, 16000 };
	static char text[3000];
	struct fixture *f = *state;
	struct pkg_writer_report report;
	uint8_t log[16000];

	memset(text, 't', sizeof(text));
	for (int i = 0; i < 20; i++) {
		char name[40];

		text[0] = (char)('a' + i);
		(void)snprintf(name, sizeof(name), "tree/f%04d", i);
		put_file(f, name, text, sizeof(text));
	}
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		noise(2 * i + 1, log, sizeof(log));
		put_file(f, "tree/f0005.gz", log, lens[i]);
		make_package(f, "p.floe", 1, &report);
		noise(2 * i + 2, log, sizeof(log));
		put_file(f, "tree/f0005.gz", log, lens[i]);
		make_package(f, "q.floe", 1, &report);
		assert_int_equal(only_new_chunk(f, "p.floe", "q.floe"), lens[i]);
	}
}

static void equal_content_is_stored_once(void **state)
{
	struct fixture *f = *state;
	auto_free uint8_t *big = malloc(BIG);
	struct pkg_writer_report report;
	struct opened o;
	struct err e;

	noise(9, big, BIG);
	put_file(f, "tree/a/big", big, BIG);
	put_file(f, "tree/b/big", big, BIG);
	put_file(f, "tree/a/small", big, 5000);
	put_file(f, "tree/b/small", big, 5000);
	make_package(f, "p.floe", 2, &report);
	assert_true(report.file_len < BIG + BIG / 2);
	assert_true(report.chunks_shared >= 4);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	assert_content(&o, "b/big", big, BIG);
	assert_content(&o, "b/small", big, 5000);
	opened_close(&o);
}

static size_t files_in(const char *dir)
{
	DIR *d = opendir(dir);
	size_t count = 0;

	while (readdir(d))
		count++;
	(void)closedir(d);
	return count - 2;
}

static void failure_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	volatile bool cancel = false;
	const struct pkg_writer_opt opt = { .zstd_level = 1, .cancel = &cancel };
	struct pkg_writer_entry entry = { .path = "x", .mode = S_IFREG, .size = 4, .content_path = "" };
	struct pkg_writer_report report;
	struct pkg_writer *w;
	struct buf old;
	struct err e;

	put_file(f, "out/p.floe", "old", 3);
	put_file(f, "content", "12345", 5);
	entry.content_path = below(f, "content");
	OK(pkg_writer_open(&opt, &w, &e));
	OK(pkg_writer_add(w, &entry, &e));
	FAILS(pkg_writer_finish(w, &f->manifest, f->key, below(f, "out/p.floe"), &report, &e), ERR_CHANGED);
	pkg_writer_close(w);

	entry.size = 5;
	OK(pkg_writer_open(&opt, &w, &e));
	OK(pkg_writer_add(w, &entry, &e));
	cancel = true;
	FAILS(pkg_writer_finish(w, &f->manifest, f->key, below(f, "out/p.floe"), &report, &e),
	      ERR_INTERRUPTED);
	pkg_writer_close(w);
	assert_int_equal(files_in(below(f, "out")), 1);
	old = whole(below(f, "out/p.floe"));
	assert_int_equal(old.len, 3);
	buf_fini(&old);
}

static void bad_entries(void **state)
{
	static const char *const paths[] = { "/abs", "a//b", "a/", "../x", "a/../b", "./a", "a/." };
	struct fixture *f = *state;
	struct pkg_writer_entry entry = { .mode = S_IFDIR | 0755 };
	char name[300];
	struct pkg_writer_report report;
	struct pkg_writer *w;
	struct err e;

	OK(pkg_writer_open(NULL, &w, &e));
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		entry.path = paths[i];
		FAILS(pkg_writer_add(w, &entry, &e), ERR_USAGE);
	}
	memset(name, 'n', 256);
	name[256] = 0;
	entry.path = name;
	FAILS(pkg_writer_add(w, &entry, &e), ERR_LIMIT);
	entry.path = "link";
	entry.mode = S_IFLNK;
	FAILS(pkg_writer_add(w, &entry, &e), ERR_USAGE);
	entry.path = "file";
	entry.mode = S_IFREG;
	OK(pkg_writer_add(w, &entry, &e));
	entry.path = "file/below";
	OK(pkg_writer_add(w, &entry, &e));
	FAILS(pkg_writer_finish(w, &f->manifest, f->key, below(f, "p.floe"), &report, &e), ERR_USAGE);
	pkg_writer_close(w);
}

static int collect(void *arg, const char *file, const char *key, const char *value, struct err *e)
{
	return buf_printf(arg, e, "%s %s %s;", file, key, value);
}

static void registry_defaults(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf text = BUF_INIT(1000);
	struct pkg_writer_report report;
	struct pkg_writer *w;
	struct opened o;
	struct err e;

	OK(pkg_writer_open(NULL, &w, &e));
	OK(pkg_writer_default(w, "f2", "k", "v", &e));
	OK(pkg_writer_default(w, "f1", "k2", "", &e));
	OK(pkg_writer_default(w, "f1", "k1", "x", &e));
	OK(pkg_writer_finish(w, &f->manifest, f->key, below(f, "p.floe"), &report, &e));
	pkg_writer_close(w);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	OK(pkg_index_defaults(o.index, collect, &text, &e));
	assert_string_equal(buf_text(&text, &e), "f1 k1 x;f1 k2 ;f2 k v;");
	opened_close(&o);
	OK(pkg_writer_open(NULL, &w, &e));
	OK(pkg_writer_default(w, "f", "k", "1", &e));
	OK(pkg_writer_default(w, "f", "k", "2", &e));
	FAILS(pkg_writer_finish(w, &f->manifest, f->key, below(f, "p.floe"), &report, &e), ERR_EXISTS);
	pkg_writer_close(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(round_trip),
		TEST(equal_input_gives_equal_bytes),
		TEST(order_of_entries_does_not_matter),
		TEST(listing_continues_behind_any_cookie),
		TEST(whiteouts_and_devices),
		TEST(five_thousand_small_files),
		TEST(what_does_not_compress_makes_smaller_chunks),
		TEST(what_does_not_compress_is_kept_apart),
		TEST(equal_content_is_stored_once),
		TEST(failure_leaves_nothing),
		TEST(bad_entries),
		TEST(registry_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
