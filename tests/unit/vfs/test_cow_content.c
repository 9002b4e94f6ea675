/* SPDX-License-Identifier: Apache-2.0 */
/* Lazy files one step at a time, what their attribute may say, and copying. Each test runs on every file
 * system there is. test_cow_lazy.c is where many things happen at once. */
#include "tests/unit/vfs/lazy_fixture.h"

static void each_place(void (*fn)(const struct place *p))
{
	for (size_t i = 0; i < place_count; i++)
		fn(&places[i]);
}

static uint64_t size_of_file(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void expect_bytes(int fd, struct cow_lazy *z, uint64_t off, size_t len, int (*expected)(uint64_t off))
{
	uint8_t *buf = malloc(len + 1);
	size_t got;

	assert_int_equal(cow_content_read(fd, z, buf, len + 1, off, &got, NULL, NULL), 0);
	assert_true(got >= len);
	for (size_t i = 0; i < len; i++)
		if (buf[i] != expected(off + i))
			fail_msg("byte %ju is %d, not %d", (uintmax_t)(off + i), buf[i], expected(off + i));
	free(buf);
}

static int old(uint64_t off)
{
	return old_byte(off);
}

static int zero(uint64_t off)
{
	(void)off;
	return 0;
}

static void put(int fd, struct cow_lazy *z, const void *buf, size_t size, uint64_t off)
{
	size_t n;

	assert_int_equal(cow_content_write(fd, z, buf, size, off, &n), 0);
	assert_int_equal(n, size);
}

/* ---- the attribute ---------------------------------------------------------------------- */

static int origin_of(int fd, const char *value, size_t len, struct cow_lazy_origin *ret)
{
	assert_int_equal(fsetxattr(fd, "user.floe.lazy", value, len, 0), 0);
	return cow_lazy_read_origin(fd, ret);
}

static void test_origin(void **state)
{
	static const char *const senseless[] = {
		"",
		"1",
		"1 ",
		"1 5",
		"1 5 key",
		"1 5 key 1",
		"1 5 key 1 2",
		"2 5 key 1 2 p",
		"01 5 key 1 2 p",
		"1 05 key 1 2 p",
		"1 -5 key 1 2 p",
		"1 +5 key 1 2 p",
		"1 5x key 1 2 p",
		"1  key 1 2 p",
		"1 5  1 2 p",
		"1 5 key x 2 p",
		"1 5 key 1 2x p",
		"1 5 key 1\t2 p",
		"1 9223372036854775808 key 1 2 p",
		"1 18446744073709551616 key 1 2 p",
		"1 5 key 18446744073709551616 2 p",
		"1 5 key 1 99999999999999999999999 p",
		"garbage",
	};
	auto_fd int fd = new_file(&places[0]);
	struct cow_lazy_origin o;
	char value[8192];

	(void)state;
	assert_int_equal(cow_lazy_read_origin(fd, &o), ENODATA);
	for (size_t i = 0; i < ARRAY_LEN(senseless); i++)
		if (origin_of(fd, senseless[i], strlen(senseless[i]), &o) != EINVAL)
			fail_msg("\"%s\" is accepted", senseless[i]);
	assert_int_equal(origin_of(fd, "1 5 key 1 2 p\0q", 15, &o), EINVAL);
	(void)snprintf(value, sizeof(value), "1 5 %0*d 1 2 p", (int)sizeof(o.key), 0);
	assert_int_equal(origin_of(fd, value, strlen(value), &o), EINVAL);
	(void)snprintf(value, sizeof(value), "1 5 %0*d 1 2 p", (int)sizeof(o.key) - 1, 0);
	assert_int_equal(origin_of(fd, value, strlen(value), &o), 0);

	strcpy(value, "1 9223372036854775807 a:b 18446744073709551615 0 a path/with blanks ");
	assert_int_equal(origin_of(fd, value, strlen(value), &o), 0);
	assert_true(o.limit == INT64_MAX && o.dev == UINT64_MAX && o.ino == 0);
	assert_string_equal(o.key, "a:b");
	assert_string_equal(o.path, "a path/with blanks ");
	assert_int_equal(origin_of(fd, "1 0 k 0 0 ", 10, &o), 0);
	assert_string_equal(o.path, "");
}

static void test_long_path(void **state)
{
	struct cow_lazy_origin o = { .limit = 9, .key = "k" }, again;
	auto_fd int fd = -1;

	(void)state;
	if (place_count < 2)
		skip();
	fd = new_file(&places[1]); /* ext4 has no room for it */
	memset(o.path, 'p', sizeof(o.path) - 1);
	assert_int_equal(cow_lazy_make(fd, &o), 0);
	assert_int_equal(cow_lazy_read_origin(fd, &again), 0);
	assert_string_equal(again.path, o.path);
}

static void make_refuses(const struct place *p)
{
	struct cow_lazy_origin o = { .limit = 9, .key = "two words" };
	auto_fd int fd = new_file(p), full = new_file(p);

	assert_int_equal(cow_lazy_make(fd, &o), EINVAL);
	assert_false(has_attribute(fd));
	strcpy(o.key, "k");
	assert_int_equal(pwrite(full, "x", 1, 0), 1);
	assert_int_equal(cow_lazy_make(full, &o), EINVAL);
}

static void open_refuses(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(9), other = layer;
	struct cow_handle origin = { .fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = NULL;
	static char key[] = "package:other";

	assert_int_equal(cow_lazy_open(fd, &layer.layer, &origin, &z), ENODATA);
	assert_int_equal(fsetxattr(fd, "user.floe.lazy", "1 9", 3, 0), 0);
	assert_int_equal(cow_lazy_open(fd, &layer.layer, &origin, &z), EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	cow_lazy_close(make_lazy(fd, &layer));
	other.layer.key = key;
	assert_int_equal(cow_lazy_open(fd, &other.layer, &origin, &z), EINVAL);
	assert_true(fcntl(origin.fd, F_GETFD) >= 0); /* still ours */
	assert_int_equal(cow_lazy_open(fd, &layer.layer, &origin, &z), 0);
	assert_int_equal(origin.fd, -1);
	cow_lazy_close(z);
	cow_lazy_close(NULL);
}

static void test_refusals(void **state)
{
	(void)state;
	each_place(make_refuses);
	each_place(open_refuses);
}

/* ---- one lazy file ---------------------------------------------------------------------- */

static void one_byte(const struct place *p)
{
	struct fake_layer layer = fake_layer_of((2ull << 30) - 77);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	uint64_t at = 1234567891, hole;
	struct stat st;

	put(fd, z, "", 1, at);
	assert_true(atomic_load(&layer.bytes_read) <= 8192);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, layer.size);
	assert_true(st.st_blocks <= 64);
	expect_bytes(fd, z, at, 1, zero);
	expect_bytes(fd, z, at - 5000, 5000, old);
	expect_bytes(fd, z, at + 1, 10000, old);
	expect_bytes(fd, z, layer.size - 9, 9, old);
	assert_int_equal(cow_content_seek(fd, z, 0, SEEK_HOLE, &hole), 0);
	assert_int_equal(hole, layer.size);
	assert_false(cow_lazy_is_done(z));
	cow_lazy_close(z);
}

static void cut_and_grown(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(50000);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	struct cow_lazy_origin o;

	assert_int_equal(cow_content_truncate(fd, z, 10001), 0);
	expect_bytes(fd, z, 0, 10001, old);
	cow_lazy_close(z);
	z = open_lazy(fd, &layer); /* now the attribute's limit is behind the end */
	expect_bytes(fd, z, 0, 10001, old);
	assert_int_equal(cow_content_truncate(fd, z, 60000), 0);
	assert_int_equal(cow_lazy_read_origin(fd, &o), 0);
	assert_int_equal(o.limit, 10001);
	expect_bytes(fd, z, 0, 10001, old);
	expect_bytes(fd, z, 10001, 49999, zero);
	cow_lazy_close(z);
	z = open_lazy(fd, &layer);
	expect_bytes(fd, z, 0, 10001, old);
	expect_bytes(fd, z, 10001, 49999, zero);
	assert_int_equal(cow_content_truncate(fd, z, 0), 0);
	assert_true(cow_lazy_is_done(z) && !has_attribute(fd));
	assert_int_equal(cow_content_truncate(fd, z, 50000), 0);
	expect_bytes(fd, z, 0, 50000, zero);
	cow_lazy_close(z);
}

/* A write behind the end, or an extension, must not make zeros of the last block's rest. */
static void grown_from_within_a_block(const struct place *p)
{
	for (int how = 0; how < 4; how++) {
		struct fake_layer layer = fake_layer_of(5000);
		auto_fd int fd = new_file(p);
		struct cow_lazy *z = make_lazy(fd, &layer);

		if (how == 0)
			put(fd, z, "", 1, 30000);
		else if (how == 1)
			assert_int_equal(cow_content_truncate(fd, z, 30001), 0);
		else if (how == 2)
			assert_int_equal(cow_content_allocate(fd, z, 0, 6000, 24001), 0);
		else
			assert_int_equal(cow_content_allocate(fd, z, FALLOC_FL_KEEP_SIZE, 8192, 22000), 0);
		expect_bytes(fd, z, 0, 5000, old);
		assert_int_equal(size_of_file(fd), how == 3 ? 5000 : 30001);
		if (how < 3)
			expect_bytes(fd, z, 5000, 25001, zero);
		cow_lazy_close(z);
	}
}

static void becomes_ordinary(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(100001);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	uint8_t bytes[7000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0;
	for (uint64_t off = 0; off < 100001; off += sizeof(bytes)) {
		assert_false(cow_lazy_is_done(z));
		assert_true(has_attribute(fd));
		put(fd, z, bytes, off + sizeof(bytes) > 100001 ? 100001 - off : sizeof(bytes), off);
	}
	assert_true(cow_lazy_is_done(z));
	assert_false(has_attribute(fd));
	expect_bytes(fd, z, 0, 100001, zero);
	expect_bytes(fd, NULL, 0, 100001, zero);
	cow_lazy_close(z);
}

/* What a server leaves that dies between writing the last block and taking the attribute off. */
static void found_whole(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(9000);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	static const char bytes[9000];

	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	cow_lazy_close(z);
	z = open_lazy(fd, &layer);
	assert_true(cow_lazy_is_done(z));
	assert_false(has_attribute(fd));
	cow_lazy_close(z);
}

/* What a power cut leaves: blocks that are allocated, not written, and whose neighbours somebody has read. */
static void allocated_but_not_written(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(1 << 20);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	static char bytes[1 << 20];

	cow_lazy_close(z);
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 65536) < 0)
		fail_msg("%s: %s", p->name, strerror(errno));
	assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, 524288 - 4096, 131072), 0);
	assert_int_equal(pwrite(fd, bytes, 8192, 81920), 8192);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	z = open_lazy(fd, &layer);
	expect_bytes(fd, z, 0, 81920, old);
	expect_bytes(fd, z, 81920, 8192, zero);
	expect_bytes(fd, z, 90112, (1 << 20) - 90112, old);
	cow_lazy_close(z);
}

/* An upper that was copied with shared blocks. */
static void blocks_shared(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(1 << 20);
	auto_fd int fd = new_file(p), other = new_file(p);
	static char bytes[1 << 20];
	off_t from = 0, to = 65536;

	cow_lazy_close(make_lazy(fd, &layer));
	assert_int_equal(pwrite(other, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(fsync(other), 0);
	assert_int_equal(copy_file_range(other, &from, fd, &to, 4096, 0), 4096);
	for (int i = 0; i < 3; i++) {
		struct cow_lazy *z = open_lazy(fd, &layer);

		assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
		put(fd, z, "", 1, 65536);
		assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
		expect_bytes(fd, z, 0, 65536, old);
		expect_bytes(fd, z, 65536, 4096, zero);
		expect_bytes(fd, z, 69632, (1 << 20) - 69632, old);
		assert_int_equal(fsync(fd), 0);
		cow_lazy_close(z);
	}
}

static void allocation(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(200001);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	assert_int_equal(cow_content_allocate(fd, z, 0, 0, 0), EINVAL);
	assert_int_equal(cow_content_allocate(fd, z, 0, INT64_MAX, 5), EFBIG);
	assert_int_equal(cow_content_allocate(fd, z, FALLOC_FL_PUNCH_HOLE, 0, 5), EOPNOTSUPP);
	assert_int_equal(cow_content_allocate(fd, z, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
	assert_int_equal(cow_content_allocate(fd, z, FALLOC_FL_INSERT_RANGE, 0, 4096), EOPNOTSUPP);
	assert_int_equal(cow_content_allocate(fd, z, FALLOC_FL_UNSHARE_RANGE, 0, 4096), EOPNOTSUPP);
	assert_int_equal(cow_content_allocate(fd, z, 0, 0, 300000), 0);
	assert_int_equal(size_of_file(fd), 300000);
	expect_bytes(fd, z, 0, 200001, old);
	expect_bytes(fd, z, 200001, 99999, zero);
	assert_int_equal(cow_content_allocate(fd, z, FALLOC_FL_KEEP_SIZE, 100000, 300000), 0);
	assert_int_equal(size_of_file(fd), 300000);
	assert_int_equal(cow_content_allocate(fd, z, punch, 10001, 150000), 0);
	expect_bytes(fd, z, 0, 10001, old);
	expect_bytes(fd, z, 10001, 150000, zero);
	expect_bytes(fd, z, 160001, 40000, old);
	put(fd, z, "xx", 2, 250000);
	assert_int_equal(cow_content_allocate(fd, z, punch, 200000, 1000000), 0);
	assert_int_equal(size_of_file(fd), 300000);
	expect_bytes(fd, z, 160001, 39999, old);
	expect_bytes(fd, z, 200000, 100000, zero);
	cow_lazy_close(z);
}

static void seeking(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(65536);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	uint64_t at;

	assert_int_equal(cow_content_seek(fd, z, 65536, SEEK_DATA, &at), ENXIO);
	assert_int_equal(cow_content_seek(fd, z, 65535, SEEK_DATA, &at), 0);
	assert_int_equal(at, 65535);
	assert_int_equal(cow_content_seek(fd, z, 0, SEEK_SET, &at), EINVAL);
	assert_int_equal(cow_content_truncate(fd, z, 1 << 20), 0);
	assert_int_equal(cow_content_seek(fd, z, 7, SEEK_HOLE, &at), 0);
	assert_int_equal(at, 65536);
	assert_int_equal(cow_content_seek(fd, z, 70000, SEEK_HOLE, &at), 0);
	assert_int_equal(at, 70000);
	assert_int_equal(cow_content_seek(fd, z, 70000, SEEK_DATA, &at), ENXIO);
	cow_lazy_close(z);
}

static bool at_once(void *arg)
{
	(void)arg;
	return true;
}

static void errors(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(65536);
	auto_fd int fd = new_file(p);
	struct cow_lazy *z = make_lazy(fd, &layer);
	char bytes[8192] = { 0 };
	size_t n;

	assert_int_equal(cow_content_read(fd, z, bytes, 10, 0, &n, at_once, NULL), EINTR);
	layer.fails = ETIMEDOUT;
	assert_int_equal(cow_content_write(fd, z, "x", 1, 7, &n), ETIMEDOUT);
	assert_int_equal(cow_content_read(fd, z, bytes, 10, 0, &n, NULL, NULL), ETIMEDOUT);
	put(fd, z, bytes, 8192, 4096); /* whole blocks need nothing from below */
	layer.fails = 0;
	expect_bytes(fd, z, 0, 4096, old);
	layer.size = 20000; /* it ends earlier than it should */
	assert_int_equal(cow_content_read(fd, z, bytes, 10, 30000, &n, NULL, NULL), EIO);
	assert_int_equal(cow_content_write(fd, z, bytes, 10, 30000, &n), EIO);
	assert_int_equal(cow_content_write(fd, z, bytes, 10, INT64_MAX, &n), EFBIG);
	cow_lazy_close(z);
}

static void test_one_byte(void **state)
{
	(void)state;
	each_place(one_byte);
}

static void test_sizes(void **state)
{
	(void)state;
	each_place(cut_and_grown);
	each_place(grown_from_within_a_block);
}

static void test_end_of_laziness(void **state)
{
	(void)state;
	each_place(becomes_ordinary);
	each_place(found_whole);
}

static void test_unwritten_and_shared(void **state)
{
	(void)state;
	each_place(allocated_but_not_written);
	each_place(blocks_shared);
}

static void test_calls(void **state)
{
	(void)state;
	each_place(allocation);
	each_place(seeking);
	each_place(errors);
}

/* A disk too small: each block stays what it was or becomes what was written. */
static void test_disk_full(void **state)
{
	struct fake_layer layer = fake_layer_of(1 << 20);
	static uint8_t bytes[1 << 20];
	struct cow_lazy *z;
	size_t n, got;
	auto_fd int fd = -1;

	(void)state;
	if (place_count < 2)
		skip();
	assert_int_equal(mount("tmpfs", places[1].path, "tmpfs", 0, "size=256k"), 0);
	fd = new_file(&places[1]);
	z = make_lazy(fd, &layer);
	memset(bytes, 200, sizeof(bytes));
	assert_int_equal(cow_content_write(fd, z, bytes, sizeof(bytes) - 9, 5, &n), 0);
	assert_true(n > 0 && n < 300000);
	assert_int_equal(cow_content_write(fd, z, bytes, 5, 700001, &got), ENOSPC);
	assert_int_equal(cow_content_write(fd, z, bytes, 8192, 700416, &got), ENOSPC);
	assert_int_equal(cow_content_read(fd, z, bytes, sizeof(bytes), 0, &got, NULL, NULL), 0);
	assert_int_equal(got, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i >= 5 && i < 5 + n ? 200 : old_byte(i));
	cow_lazy_close(z);
	assert_int_equal(umount2(places[1].path, MNT_DETACH), 0);
}

/* ---- copying ---------------------------------------------------------------------------- */

static int file_with_holes(const struct place *p, uint64_t size)
{
	static uint8_t bytes[70000];
	int fd = new_file(p);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = old_byte(1048576 + i);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 1048576), sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, 1, (off_t)size / 4096 * 4096), 1);
	return fd;
}

static void expect_same(int a, int b)
{
	static uint8_t x[65536], y[65536];
	ssize_t n, m;
	off_t off = 0;

	assert_int_equal(size_of_file(a), size_of_file(b));
	do {
		n = pread(a, x, sizeof(x), off);
		m = pread(b, y, sizeof(y), off);
		assert_int_equal(n, m);
		assert_memory_equal(x, y, (size_t)n);
		off += n;
	} while (n > 0);
}

static void copy_whole(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(3000001);
	struct cow_handle handle = { .fd = -1 }, frozen = { .fd = -1 };
	auto_fd int in = file_with_holes(p, 8 << 20 | 5), near = new_file(p), far = new_file(&places[0]),
		    made = new_file(p), thawed = new_file(p);
	struct cow_lazy *z;
	struct stat st;

	assert_int_equal(cow_content_copy_whole(&(struct cow_source){ .fd = in }, size_of_file(in), near), 0);
	expect_same(in, near);
	handle.fd = in;
	assert_int_equal(cow_content_copy_whole(
				 &(struct cow_source){ .fd = -1, .layer = &layer.layer, .handle = &handle },
				 size_of_file(in), far),
			 0);
	expect_same(in, far);
	assert_int_equal(fsync(far), 0);
	assert_int_equal(fstat(far, &st), 0);
	assert_true(st.st_blocks < 400);

	handle.fd = -1;
	assert_int_equal(cow_content_copy_whole(
				 &(struct cow_source){ .fd = -1, .layer = &layer.layer, .handle = &handle },
				 layer.size, made),
			 0);
	assert_int_equal(size_of_file(made), layer.size);
	expect_bytes(made, NULL, 0, layer.size, old);

	/* A frozen upper's file may be lazy: its own bytes are not all. */
	frozen.fd = new_file(p);
	z = make_lazy(frozen.fd, &layer);
	layer.layer.is_frozen_upper = true;
	assert_int_equal(cow_content_copy_whole(
				 &(struct cow_source){ .fd = -1, .layer = &layer.layer, .handle = &frozen },
				 layer.size, thawed),
			 0);
	expect_bytes(thawed, NULL, 0, layer.size, old);
	cow_lazy_close(z);
	fd_close(frozen.fd);
}

static void copy_parts(const struct place *p)
{
	struct fake_layer layer = fake_layer_of(3000001);
	auto_fd int in = file_with_holes(p, 8 << 20), out = new_file(p), lazy_fd = new_file(p);
	struct cow_lazy *z = make_lazy(lazy_fd, &layer);
	struct cow_source from_lazy = { .fd = lazy_fd, .lazy = z }, from_file = { .fd = in };
	uint64_t n;

	assert_int_equal(cow_content_copy(&from_lazy, 1001, out, NULL, 1001, 2500000, &n), 0);
	assert_int_equal(n, 2500000);
	expect_bytes(out, NULL, 0, 1001, zero);
	expect_bytes(out, NULL, 1001, 2500000, old);
	assert_int_equal(cow_content_copy(&from_lazy, 3000000, out, NULL, 3000000, 10, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(cow_content_copy(&from_lazy, 3000001, out, NULL, 0, 10, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(cow_content_copy(&from_file, 1048576, lazy_fd, z, 1048576, 65536, &n), 0);
	assert_int_equal(n, 65536);
	expect_bytes(lazy_fd, z, 0, 3000001, old); /* the same bytes, as it happens */
	assert_int_equal(cow_content_copy(&from_file, 0, lazy_fd, z, 5, 9000, &n), 0);
	expect_bytes(lazy_fd, z, 0, 5, old);
	expect_bytes(lazy_fd, z, 5, 9000, zero);
	expect_bytes(lazy_fd, z, 9005, 2990000, old);
	assert_int_equal(cow_content_copy(&from_file, 1048576, out, NULL, 0, 70000, &n), 0);
	assert_int_equal(n, 70000);
	cow_lazy_close(z);
}

static void test_copying(void **state)
{
	(void)state;
	each_place(copy_whole);
	each_place(copy_parts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_one_byte),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_end_of_laziness),
		cmocka_unit_test(test_unwritten_and_shared),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_copying),
	};

	return cmocka_run_group_tests(tests, make_places, remove_places);
}
