/* SPDX-License-Identifier: Apache-2.0 */
/* Content by node id: read below, written above, with what else a write does. No mount. The lower layer is a
 * directory that pretends to be streamed and counts what is read from it. */
#include "tests/unit/vfs/cow_fixture.h"

enum { BIG = 1024 * 1024 + 77 };

static const struct cow_layer_ops *true_ops;
static uint64_t bytes_read;
static int lower, above; /* directories */

static int counting_read(struct cow_layer *l, const struct cow_handle *h, uint64_t off, size_t size,
			 void *buf, size_t *ret_got, bool (*is_over)(void *arg), void *arg)
{
	bytes_read += size;
	return true_ops->read(l, h, off, size, buf, ret_got, is_over, arg);
}

static int open_file_but_secret(struct cow_layer *l, const struct cow_handle *dir, const char *name,
				uint64_t dev, uint64_t ino, struct cow_handle *ret)
{
	return !strcmp(name, "secret") ? EACCES : true_ops->open_file(l, dir, name, dev, ino, ret);
}

/* By number, as packages do; here there is one. */
static int open_big(struct cow_layer *l, const char *path, uint64_t dev, uint64_t ino, struct cow_handle *ret)
{
	(void)l;
	(void)path;
	*ret = (struct cow_handle){ .fd = openat(lower, "big", O_RDONLY | O_CLOEXEC), dev, ino };
	return ret->fd < 0 ? errno : 0;
}

static struct cow_layer_ops ops;

static uint8_t big_byte(uint64_t off)
{
	return (uint8_t)(1 + off % 251);
}

static void make_lower(void)
{
	static uint8_t big[BIG];
	auto_fd int holes = -1;
	struct err e;

	for (size_t i = 0; i < BIG; i++)
		big[i] = big_byte(i);
	assert_int_equal(fd_write_file(lower, "big", big, BIG, 0644, &e), 0);
	assert_int_equal(fd_write_file(lower, "file", "some text", 9, 0644, &e), 0);
	assert_int_equal(fd_write_file(lower, "other", "more text", 9, 0644, &e), 0);
	assert_int_equal(fd_write_file(lower, "secret", "hush", 4, 0644, &e), 0);
	assert_int_equal(symlinkat("file", lower, "link"), 0);
	assert_int_equal(mkdirat(lower, "dir", 0755), 0);
	holes = openat(lower, "holes", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(ftruncate(holes, 200000), 0);
	assert_int_equal(pwrite(holes, "x", 1, 131072), 1);
}

static int set_up(void **state)
{
	static const char *const layers[] = { "-lower", NULL };
	struct fixture *f = fixture_make(layers);
	struct cow_layer *l = f->u.layers[1];

	lower = open(below(f, "lower"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	above = open(below(f, "upper"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_lower();
	true_ops = l->ops;
	ops = *true_ops;
	ops.read = counting_read;
	ops.open_file = open_file_but_secret;
	ops.open_lost = open_big;
	l->ops = &ops;
	l->is_streamed = l->is_immutable = true;
	fixture_open(f);
	bytes_read = 0;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->u.layers[1]->ops = true_ops;
	fd_close(lower);
	fd_close(above);
	fixture_end(f);
	return 0;
}

static void expect_text(struct fixture *f, uint64_t id, const char *text)
{
	char buf[64];
	size_t got;

	assert_int_equal(cow_read(&f->u, id, buf, sizeof(buf), 0, &got, NULL, NULL), 0);
	assert_int_equal(got, strlen(text));
	assert_memory_equal(buf, text, got);
}

static void write_text(struct fixture *f, uint64_t id, const char *text, uint64_t off, bool kills_suid)
{
	size_t put;

	assert_int_equal(cow_write(&f->u, id, text, strlen(text), off, kills_suid, &put), 0);
	assert_int_equal(put, strlen(text));
}

static bool is_in(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static mode_t shown_mode(struct fixture *f, uint64_t id)
{
	struct cow_entry entry;

	assert_int_equal(cow_tree_getattr(&f->u, id, &entry), 0);
	return entry.st.st_mode & 07777;
}

/* ---- the tests -------------------------------------------------------------------------- */

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up(f, "file");
	char below[16];

	expect_text(f, id, "some text");
	assert_false(is_in(above, "file"));
	write_text(f, id, "TEXT", 5, false);
	expect_text(f, id, "some TEXT");
	write_text(f, id, "!", 9, true);
	expect_text(f, id, "some TEXT!");
	assert_int_equal(readlinkat(lower, "link", below, sizeof(below)), 4);
	{
		auto_fd int fd = openat(lower, "file", O_RDONLY | O_CLOEXEC);

		assert_int_equal(read(fd, below, sizeof(below)), 9);
		assert_memory_equal(below, "some text", 9);
	}
}

static void test_without_an_upper(void **state)
{
	struct fixture *f = *state;
	struct cow_upper *upper = f->u.upper;
	uint64_t id = look_up(f, "file"), n;
	size_t put;

	f->u.upper = NULL;
	assert_int_equal(cow_write(&f->u, id, "x", 1, 0, false, &put), EROFS);
	assert_int_equal(cow_allocate(&f->u, id, 0, 0, 10), EROFS);
	assert_int_equal(cow_copy_range(&f->u, id, 0, id, 10, 5, &n), EROFS);
	assert_int_equal(cow_fsync(&f->u, id, false), 0);
	f->u.upper = upper;
}

static void test_unreadable(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up(f, "secret"), out = look_up(f, "file"), n = 99;

	expect_text(f, id, "");
	assert_int_equal(cow_seek(&f->u, id, 0, SEEK_DATA, &n), ENXIO);
	assert_int_equal(cow_copy_range(&f->u, id, 0, out, 0, 4, &n), 0);
	assert_int_equal(n, 0);
}

static void test_suid(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up(f, "file");
	struct cow_attrs suid = { .has_mode = true, .mode = 06755 };
	struct cow_entry entry;

	assert_int_equal(cow_setattr(&f->u, id, &suid, &entry), 0);
	if (geteuid() == 0) { /* else the kernel does it */
		write_text(f, id, "x", 0, false);
		assert_int_equal(shown_mode(f, id), 06755);
	}
	write_text(f, id, "x", 0, true);
	assert_int_equal(shown_mode(f, id), 0755);
	suid.mode = 06745; /* the bit means locking */
	assert_int_equal(cow_setattr(&f->u, id, &suid, &entry), 0);
	write_text(f, id, "x", 0, true);
	assert_int_equal(shown_mode(f, id), geteuid() == 0 ? 02745 : shown_mode(f, id) & ~04000u);
}

static void test_suid_that_is_noted(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up(f, "file");
	struct cow_attrs owner = { .has_uid = true, .has_mode = true, .mode = 04755 };
	struct cow_entry entry;

	f->u.opt.map_owners = true;
	owner.uid = f->u.opt.uid + 5;
	assert_int_equal(cow_setattr(&f->u, id, &owner, &entry), 0);
	assert_int_equal(shown_mode(f, id), 04755);
	assert_int_equal(fchmodat(above, "file", 0755, 0), 0); /* only the note has it */
	write_text(f, id, "x", 0, true);
	assert_int_equal(shown_mode(f, id), 0755);
	assert_int_equal(cow_tree_getattr(&f->u, id, &entry), 0);
	assert_int_equal(entry.st.st_uid, owner.uid);
}

static void test_capabilities(void **state)
{
	static const uint8_t value[20] = { 0, 0, 0, 2, 0, 4 };
	struct fixture *f = *state;
	uint64_t id = look_up(f, "file");
	auto_fd int fd = -1;

	write_text(f, id, "x", 0, false);
	fd = openat(above, "file", O_RDONLY | O_CLOEXEC);
	if (fsetxattr(fd, "security.capability", value, sizeof(value), 0) < 0)
		skip();
	write_text(f, id, "x", 0, true);
	assert_int_equal(fgetxattr(fd, "security.capability", NULL, 0), -1);
}

static void test_allocate_and_seek(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up(f, "holes"), big = look_up(f, "big"), at;
	struct cow_entry entry;

	assert_int_equal(cow_seek(&f->u, id, 0, SEEK_DATA, &at), 0);
	assert_int_equal(at, 131072);
	assert_int_equal(cow_seek(&f->u, id, at, SEEK_HOLE, &at), 0);
	assert_true(at > 131072 && at < 200000);
	assert_int_equal(cow_seek(&f->u, id, 200000, SEEK_DATA, &at), ENXIO);
	assert_int_equal(cow_seek(&f->u, id, 0, SEEK_END, &at), EINVAL);
	assert_int_equal(cow_seek(&f->u, big, 5, SEEK_HOLE, &at), 0);
	assert_int_equal(at, BIG);
	assert_false(is_in(above, "holes"));
	assert_int_equal(cow_allocate(&f->u, id, 0, 0, 400000), 0);
	assert_true(is_in(above, "holes"));
	assert_int_equal(cow_tree_getattr(&f->u, id, &entry), 0);
	assert_int_equal(entry.st.st_size, 400000);
	assert_true(entry.st.st_blocks * 512 >= 400000);
}

static void test_copy(void **state)
{
	struct fixture *f = *state;
	uint64_t a = look_up(f, "file"), b = look_up(f, "other"), n;

	assert_int_equal(cow_copy_range(&f->u, a, 0, b, 4, 100, &n), 0);
	assert_int_equal(n, 9);
	expect_text(f, b, "moresome text");
	assert_false(is_in(above, "file"));
	assert_int_equal(cow_copy_range(&f->u, a, 0, a, 9, 4, &n), 0);
	assert_int_equal(n, 4);
	expect_text(f, a, "some textsome");
}

static void test_sync(void **state)
{
	struct fixture *f = *state;
	uint64_t file = look_up(f, "file"), dir = look_up(f, "dir");

	assert_int_equal(cow_fsync(&f->u, file, false), 0);
	assert_int_equal(cow_fsync(&f->u, dir, false), 0);
	assert_int_equal(cow_fsync(&f->u, look_up(f, "link"), true), 0);
	assert_int_equal(cow_fsync(&f->u, COW_ROOT, false), 0);
	assert_int_equal(cow_fsync(&f->u, 123456, false), ESTALE);
	write_text(f, file, "x", 0, false);
	assert_int_equal(cow_fsync(&f->u, file, false), 0);
	assert_int_equal(cow_fsync(&f->u, file, true), 0);
}

static void expect_big(struct fixture *f, uint64_t id, uint64_t from, uint64_t changed)
{
	static uint8_t buf[BIG];
	size_t got;

	assert_int_equal(cow_read(&f->u, id, buf, BIG, from, &got, NULL, NULL), 0);
	assert_int_equal(got, BIG - from);
	for (size_t i = 0; i < got; i++)
		if (buf[i] != (from + i == changed ? 'x' : big_byte(from + i)))
			fail_msg("byte %zu is %d", i, buf[i]);
}

static void test_lazy(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up(f, "big"), off, n;
	auto_fd int fd = -1;
	size_t put;

	write_text(f, id, "x", 500000, true);
	assert_true(bytes_read <= 8192);
	fd = openat(above, "big", O_RDONLY | O_CLOEXEC);
	if (fgetxattr(fd, "user.floe.lazy", NULL, 0) < 0)
		skip(); /* not on this file system */
	expect_big(f, id, 0, 500000);
	cow_cache_forget(f->u.files, id);
	expect_big(f, id, 5000, 500000);
	assert_int_equal(cow_seek(&f->u, id, 7, SEEK_HOLE, &off), 0);
	assert_int_equal(off, BIG);
	assert_int_equal(cow_copy_range(&f->u, id, 500000, id, 0, 1, &n), 0);
	for (off = 0; off < BIG; off += put) {
		static const uint8_t bytes[65536];

		n = BIG - off < sizeof(bytes) ? BIG - off : sizeof(bytes);
		assert_int_equal(cow_write(&f->u, id, bytes, n, off, true, &put), 0);
	}
	assert_int_equal(fgetxattr(fd, "user.floe.lazy", NULL, 0), -1);
	assert_int_equal(cow_allocate(&f->u, id, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BIG + 4096),
			 0);
	assert_int_equal(cow_seek(&f->u, id, 0, SEEK_DATA, &off), ENXIO);
}

/* Copies got their places, and the server was killed before the table knew. */
static void test_copies_nobody_knows_of(void **state)
{
	struct fixture *f = *state;
	uint64_t written = look_up(f, "file"), read = look_up(f, "other");

	make_file(f, "upper/file", "some text");
	make_file(f, "upper/other", "more text");
	write_text(f, written, "S", 0, false);
	expect_text(f, written, "Some text");
	expect_text(f, read, "more text");
	assert_int_equal(look_up(f, "file"), written);
	assert_int_equal(look_up(f, "other"), read);
	assert_int_equal(f->u.copy_ups, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_read_and_write), TEST(test_without_an_upper),
		TEST(test_unreadable),     TEST(test_copies_nobody_knows_of),
		TEST(test_suid),           TEST(test_suid_that_is_noted),
		TEST(test_capabilities),   TEST(test_allocate_and_seek),
		TEST(test_copy),           TEST(test_sync),
		TEST(test_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
