/* SPDX-License-Identifier: Apache-2.0 */
/* Touches: of chunks, as text, and in another version, where inode numbers are others. */
#include "package-format/touches.h"

#include "tests/unit/package-format/fixture.h"

enum { LEN = 900 * 1024 };

static void put_noise(struct fixture *f, const char *name, uint64_t seed, size_t len)
{
	auto_free uint8_t *data = malloc(len);

	noise(seed, data, len);
	put_file(f, name, data, len);
}

static void open_package(struct fixture *f, const char *name, struct opened *ret)
{
	struct pkg_writer_report report;
	struct err e;

	make_package(f, name, 2, &report);
	OK(opened_open(ret, below(f, name), &e));
}

static void make_tree(struct fixture *f)
{
	put_noise(f, "tree/big", 1, LEN);
	put_noise(f, "tree/d ir/a\nb\\\xff", 2, LEN);
	put_noise(f, "tree/d ir/other", 3, LEN);
	put_file(f, "tree/small", "small", 5);
	assert_int_equal(symlink("big", below(f, "tree/link")), 0);
}

static const char text[] = "floe-touches 1\n"
			   "0 921600 d\\040ir/a\\012b\\134\\377\n"
			   "5 100 big\n";

static struct pkg_touch *parse(struct opened *o, const char *t, size_t *ret_count, size_t *ret_lacking)
{
	struct pkg_touch *list;
	struct err e;

	OK(pkg_touches_parse(o->index, t, strlen(t), &list, ret_count, ret_lacking, &e));
	return list;
}

static void expect_text(struct opened *o, const struct pkg_touch *list, size_t count, const char *want)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e;

	OK(pkg_touches_print(o->index, list, count, &b, &e));
	assert_string_equal(buf_text(&b, &e), want);
	buf_fini(&b);
}

static void to_another_version(void **state)
{
	struct fixture *f = *state;
	struct pkg_touch *list, *later;
	size_t count, lacking;
	struct opened o;
	uint64_t ino;

	make_tree(f);
	open_package(f, "p.floe", &o);
	list = parse(&o, text, &count, &lacking);
	assert_int_equal(count, 2);
	assert_int_equal(lacking, 0);
	assert_int_equal(list[0].len, LEN);
	assert_int_equal(list[1].off, 5);
	ino = list[1].ino;
	expect_text(&o, list, count, text);
	opened_close(&o);
	/* Something comes before everything, one file has gone, one is shorter. */
	put_file(f, "tree/1", "1", 1);
	put_file(f, "tree/2", "2", 1);
	put_file(f, "tree/big", "0123456789", 10);
	assert_int_equal(unlink(below(f, "tree/d ir/a\nb\\\xff")), 0);
	open_package(f, "q.floe", &o);
	later = parse(&o, text, &count, &lacking);
	assert_int_equal(count, 1);
	assert_int_equal(lacking, 1);
	assert_true(later[0].ino != ino);
	expect_text(&o, later, count, "floe-touches 1\n5 5 big\n");
	opened_close(&o);
	free(list);
	free(later);
}

static void of_chunks(void **state)
{
	struct fixture *f = *state;
	struct pkg_index_counts counts;
	auto_free uint32_t *chunks = NULL;
	struct pkg_touch *list;
	struct pkg_inode inode;
	struct pkg_extent x[64];
	struct opened o;
	size_t count, n;
	struct err e;

	make_tree(f);
	open_package(f, "p.floe", &o);
	OK(pkg_index_resolve(o.index, "d ir/other", &inode, &e));
	OK(pkg_index_extents(o.index, inode.ino, 0, LEN, x, 64, &n, &e));
	assert_true(n > 1 && n < 64);
	/* From front to back it is one range; backwards one for each chunk. A chunk counts once. */
	chunks = calloc(2 * n, sizeof(*chunks));
	for (size_t i = 0; i < 2 * n; i++)
		chunks[i] = x[i % n].chunk_idx;
	OK(pkg_touches_of_chunks(o.index, chunks, 2 * n, &list, &count, &e));
	expect_text(&o, list, count, "floe-touches 1\n0 921600 d\\040ir/other\n");
	free(list);
	for (size_t i = 0; i < n; i++)
		chunks[i] = x[n - 1 - i].chunk_idx;
	OK(pkg_touches_of_chunks(o.index, chunks, n, &list, &count, &e));
	assert_int_equal(count, n);
	assert_int_equal(list[0].off, x[n - 1].file_off);
	assert_int_equal(list[n - 1].off, 0);
	free(list);
	/* None, and what is not there. */
	pkg_index_counts(o.index, &counts);
	chunks[0] = counts.chunks;
	OK(pkg_touches_of_chunks(o.index, chunks, 1, &list, &count, &e));
	expect_text(&o, list, count, "floe-touches 1\n");
	free(list);
	opened_close(&o);
}

static void no_such_text(void **state)
{
	static const char *const bad[] = {
		"",
		"floe-touches 1",
		"floe-touches 2\n",
		"floe-touches 1\n\n",
		"floe-touches 1\n0 5 big",
		"floe-touches 1\n0 5\n",
		"floe-touches 1\n0 5 \n",
		"floe-touches 1\n 0 5 big\n",
		"floe-touches 1\n-1 5 big\n",
		"floe-touches 1\n0 0x5 big\n",
		"floe-touches 1\n0 18446744073709551616 big\n",
		"floe-touches 1\n0 5 b\\\n",
		"floe-touches 1\n0 5 b\\08g\n",
		"floe-touches 1\n0 5 b\\000g\n",
		"floe-touches 1\n0 5 b\\777g\n",
	};
	static const char strange[] = "floe-touches 1\n0 0 big\n921600 1 big\n18446744073709551615 9 big\n"
				      "0 5 link\n0 5 d\\040ir\n0 5 ../big\n0 18446744073709551615 big\n";
	struct fixture *f = *state;
	struct pkg_touch *list;
	size_t count, lacking;
	struct opened o;
	struct err e;

	make_tree(f);
	open_package(f, "p.floe", &o);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		FAILS(pkg_touches_parse(o.index, bad[i], strlen(bad[i]), &list, &count, &lacking, &e),
		      ERR_FORMAT);
	list = parse(&o, strange, &count, &lacking);
	assert_int_equal(lacking, 6);
	expect_text(&o, list, count, "floe-touches 1\n0 921600 big\n");
	free(list);
	opened_close(&o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(to_another_version), TEST(of_chunks), TEST(no_such_text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
