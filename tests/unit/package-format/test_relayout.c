/* SPDX-License-Identifier: Apache-2.0 */
/* Relayout: content stays, what the profile touches comes first and in its order. */
#include "tests/unit/package-format/fixture.h"

enum { FILES = 12, LEN = 400 * 1024 };

static void make_files(struct fixture *f)
{
	auto_free uint8_t *data = malloc(LEN);

	for (int i = 0; i < FILES; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "tree/f%02d", i);
		noise((uint64_t)i + 50, data, LEN);
		put_file(f, name, data, LEN);
	}
	put_file(f, "tree/dir/small", "small", 5);
	assert_int_equal(symlink("f01", below(f, "tree/link")), 0);
}

static void assert_all_content(struct opened *o)
{
	auto_free uint8_t *data = malloc(LEN);

	for (int i = 0; i < FILES; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "f%02d", i);
		noise((uint64_t)i + 50, data, LEN);
		assert_content(o, name, data, LEN);
	}
	assert_content(o, "dir/small", "small", 5);
}

static uint64_t ino_of(struct opened *o, const char *path)
{
	struct pkg_inode i;
	struct err e;

	OK(pkg_index_resolve(o->index, path, &i, &e));
	return i.ino;
}

static void assert_touched_first(struct opened *o, const struct pkg_touch *profile, size_t count)
{
	uint32_t next = 0;
	struct pkg_chunk_info c;
	struct err e;

	for (size_t t = 0; t < count; t++) {
		struct pkg_extent x[64];
		size_t got;

		OK(pkg_index_extents(o->index, profile[t].ino, profile[t].off, profile[t].len, x, 64, &got,
				     &e));
		for (size_t i = 0; i < got; i++)
			if (x[i].chunk_idx >= next)
				assert_int_equal(x[i].chunk_idx, next++);
	}
	assert_true(next > 0);
	OK(pkg_index_chunk(o->index, next - 1, &c, &e));
	assert_int_equal(o->header.feature_block_end, c.off + c.stored_len);
}

static void profile_comes_first(void **state)
{
	struct fixture *f = *state;
	struct pkg_writer_report report, again;
	struct pkg_touch profile[3], *got;
	struct buf a, b;
	struct opened o;
	size_t count;
	struct err e;

	make_files(f);
	make_package(f, "p.floe", 2, &report);
	OK(opened_open(&o, below(f, "p.floe"), &e));
	assert_int_equal(o.header.feature_block_end, PKG_HEADER_LEN + o.header.index_stored_len);
	profile[0] = (struct pkg_touch){ ino_of(&o, "f07"), 0, 1 };
	profile[1] = (struct pkg_touch){ ino_of(&o, "dir/small"), 0, 5 };
	profile[2] = (struct pkg_touch){ ino_of(&o, "f02"), 0, LEN };
	opened_close(&o);

	f->manifest.version = (char *)"2.0";
	OK(pkg_writer_relayout(below(f, "p.floe"), profile, 3, &f->manifest, f->key, below(f, "q.floe"),
			       &again, &e));
	assert_int_equal(again.files, report.files);
	assert_int_equal(again.content_bytes, report.content_bytes);
	assert_int_equal(again.chunks, report.chunks);
	assert_true(again.feature_block_len > 0 && again.feature_block_len < again.file_len / 2);
	OK(opened_open(&o, below(f, "q.floe"), &e));
	assert_all_content(&o);
	assert_touched_first(&o, profile, 3);
	assert_string_equal(pkg_index_manifest(o.index)->version, "2.0");
	OK(pkg_index_profile(o.index, &got, &count, &e));
	assert_int_equal(count, 3);
	assert_int_equal(got[2].ino, profile[2].ino);
	assert_int_equal(got[2].len, LEN);
	free(got);
	opened_close(&o);

	/* In place, and again: the same bytes. */
	OK(pkg_writer_relayout(below(f, "p.floe"), profile, 3, &f->manifest, f->key, below(f, "p.floe"),
			       &again, &e));
	OK(pkg_writer_relayout(below(f, "p.floe"), profile, 3, NULL, f->key, below(f, "p.floe"), &again, &e));
	a = whole(below(f, "p.floe"));
	b = whole(below(f, "q.floe"));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	buf_fini(&a);
	buf_fini(&b);
}

static void nonsense_in_a_profile(void **state)
{
	struct fixture *f = *state;
	struct pkg_writer_report report;
	const struct pkg_touch strange[] = { { 99999, 0, 10 }, { 1, 0, 10 }, { 4, INT64_MAX, UINT32_MAX } };
	const struct pkg_touch bad = { 1, UINT64_MAX, 1 };
	struct opened o;
	struct err e;

	make_files(f);
	make_package(f, "p.floe", 2, &report);
	OK(pkg_writer_relayout(below(f, "p.floe"), strange, 3, NULL, f->key, below(f, "q.floe"), &report,
			       &e));
	assert_int_equal(report.feature_block_len, 0);
	OK(opened_open(&o, below(f, "q.floe"), &e));
	assert_all_content(&o);
	opened_close(&o);
	FAILS(pkg_writer_relayout(below(f, "p.floe"), &bad, 1, NULL, f->key, below(f, "q.floe"), &report, &e),
	      ERR_USAGE);
}

static void damaged_packages_are_refused(void **state)
{
	struct fixture *f = *state;
	struct pkg_writer_report report;
	struct buf p;
	struct err e;

	make_files(f);
	make_package(f, "p.floe", 2, &report);
	p = whole(below(f, "p.floe"));
	put_file(f, "short.floe", p.data, p.len - 1);
	FAILS(pkg_writer_relayout(below(f, "short.floe"), NULL, 0, NULL, f->key, below(f, "q.floe"), &report,
				  &e),
	      ERR_FORMAT);
	p.data[PKG_HEADER_LEN + 20] ^= 1;
	put_file(f, "bad.floe", p.data, p.len);
	FAILS(pkg_writer_relayout(below(f, "bad.floe"), NULL, 0, NULL, f->key, below(f, "q.floe"), &report,
				  &e),
	      ERR_INTEGRITY);
	assert_int_equal(access(below(f, "q.floe"), F_OK), -1);
	buf_fini(&p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(profile_comes_first), TEST(nonsense_in_a_profile),
					    TEST(damaged_packages_are_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
