/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles on disk, and the measuring of the way to the origin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "streaming/pace.h"
#include "streaming/profile.h"

static char top[] = "/tmp/floe-test-profile-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(top));
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	return 0;
}

static struct stream_profile_entry entry(unsigned n)
{
	struct stream_profile_entry x = { .chunk_idx = n, .idle = 77 };

	pkg_digest_of(&n, sizeof(n), &x.digest);
	return x;
}

static void merge_as(struct stream_profile *p, const unsigned *numbers, size_t count, bool is_whole)
{
	struct stream_profile_entry *touched = calloc(count + 1, sizeof(*touched));
	struct err e;

	for (size_t i = 0; i < count; i++)
		touched[i] = entry(numbers[i]);
	assert_int_equal(stream_profile_merge(p, touched, count, is_whole, &e), 0);
	free(touched);
}

static void merge(struct stream_profile *p, const unsigned *numbers, size_t count)
{
	merge_as(p, numbers, count, true);
}

static void expect(const struct stream_profile *p, const unsigned *numbers, size_t count)
{
	assert_int_equal(p->count, count);
	for (size_t i = 0; i < count; i++) {
		struct stream_profile_entry x = entry(numbers[i]);

		assert_true(pkg_digest_equal(&p->entries[i].digest, &x.digest));
		assert_int_equal(p->entries[i].chunk_idx, numbers[i]);
	}
}

static void test_merge(void **state)
{
	struct stream_profile p = { 0 };

	(void)state;
	merge(&p, (unsigned[]){ 3, 1, 2, 3 }, 4);
	expect(&p, (unsigned[]){ 3, 1, 2 }, 3);
	merge(&p, (unsigned[]){ 5, 2 }, 2);
	expect(&p, (unsigned[]){ 5, 2, 3, 1 }, 4);
	/* What no launch touches any more is forgotten in the end. */
	for (int i = 1; i < STREAM_PROFILE_IDLE; i++)
		merge(&p, (unsigned[]){ 2 }, 1);
	expect(&p, (unsigned[]){ 2, 5, 3, 1 }, 4);
	merge(&p, (unsigned[]){ 2 }, 1);
	expect(&p, (unsigned[]){ 2, 5 }, 2);
	merge(&p, (unsigned[]){ 2 }, 1);
	expect(&p, (unsigned[]){ 2 }, 1);
	stream_profile_fini(&p);
}

/* What the kernel had cached is not taken for forgotten. */
static void test_merge_partial(void **state)
{
	struct stream_profile p = { 0 };

	(void)state;
	merge(&p, (unsigned[]){ 3, 1 }, 2);
	for (int i = 0; i < 2 * STREAM_PROFILE_IDLE; i++)
		merge_as(&p, (unsigned[]){ 7, 1 }, 2, false);
	expect(&p, (unsigned[]){ 3, 1, 7 }, 3);
	assert_int_equal(p.entries[0].idle, 0);
	stream_profile_fini(&p);
	merge_as(&p, (unsigned[]){ 5, 4, 5 }, 3, false);
	expect(&p, (unsigned[]){ 5, 4 }, 2);
	stream_profile_fini(&p);
}

/* Signer, package and command, each by itself. */
static void test_key(void **state)
{
	struct pkg_header one = { 0 }, two = { 0 };
	struct pkg_digest key, other;

	(void)state;
	two.signer.b[0] = 1;
	stream_profile_key(&one, "a", "b", &key);
	one.file_len = 7; /* another version */
	stream_profile_key(&one, "a", "b", &other);
	assert_true(pkg_digest_equal(&key, &other));
	stream_profile_key(&two, "a", "b", &other);
	assert_false(pkg_digest_equal(&key, &other));
	stream_profile_key(&one, "ab", "", &other);
	assert_false(pkg_digest_equal(&key, &other));
	stream_profile_key(&one, "a", "a", &other);
	assert_false(pkg_digest_equal(&key, &other));
}

static void test_bounds(void **state)
{
	enum { MANY = STREAM_PROFILE_MAX + 100 };
	static unsigned numbers[MANY];
	struct stream_profile p = { 0 }, q;
	struct pkg_digest key;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		numbers[i] = i;
	merge(&p, numbers, MANY);
	assert_int_equal(p.count, STREAM_PROFILE_MAX);
	merge(&p, (unsigned[]){ MANY }, 1);
	assert_int_equal(p.count, STREAM_PROFILE_MAX);
	pkg_digest_of("x", 1, &key);
	assert_int_equal(stream_profile_save(top, &key, &p, &e), 0);
	assert_int_equal(stream_profile_load(top, &key, &q, &e), 0);
	assert_int_equal(q.count, STREAM_PROFILE_MAX);
	assert_memory_equal(q.entries, p.entries, q.count * sizeof(*q.entries));
	stream_profile_fini(&p);
	stream_profile_fini(&q);
}

static void test_damage(void **state)
{
	struct stream_profile p = { 0 }, q = { 0 };
	struct buf b = BUF_INIT(1 << 20);
	char hex[PKG_DIGEST_HEX], path[256];
	struct pkg_digest key;
	struct err e;

	(void)state;
	pkg_digest_of("damage", 6, &key);
	assert_int_equal(stream_profile_load(top, &key, &q, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	merge(&p, (unsigned[]){ 1, 2 }, 2);
	assert_int_equal(stream_profile_save(top, &key, &p, &e), 0);
	stream_profile_fini(&p);
	pkg_digest_hex(&key, hex);
	(void)snprintf(path, sizeof(path), "%s/profiles/%s", top, hex);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &b, &e), 0);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		assert_int_equal(fd_write_file(AT_FDCWD, path, b.data, b.len, 0600, &e), 0);
		assert_int_equal(stream_profile_load(top, &key, &q, &e), -1);
		assert_int_equal(e.code, ERR_NOTFOUND);
		b.data[i] ^= 1;
		assert_int_equal(fd_write_file(AT_FDCWD, path, b.data, i, 0600, &e), 0);
		assert_int_equal(stream_profile_load(top, &key, &q, &e), -1);
		assert_int_equal(e.code, ERR_NOTFOUND);
	}
	buf_fini(&b);
}

static void test_files(void **state)
{
	struct stream_profile p = { 0 };
	struct pkg_digest key;
	unsigned count = 0;
	char path[256];
	struct err e;

	(void)state;
	merge(&p, (unsigned[]){ 1 }, 1);
	for (unsigned i = 0; i < STREAM_PROFILE_FILES + 20; i++) {
		pkg_digest_of(&i, sizeof(i), &key);
		assert_int_equal(stream_profile_save(top, &key, &p, &e), 0);
	}
	stream_profile_fini(&p);
	(void)snprintf(path, sizeof(path), "%s/profiles", top);
	auto_closedir DIR *d = opendir(path);
	for (struct dirent *x; (x = readdir(d));)
		count += x->d_name[0] != '.';
	assert_int_equal(count, STREAM_PROFILE_FILES);
	/* The newest is there. */
	assert_int_equal(stream_profile_load(top, &key, &p, &e), 0);
	stream_profile_fini(&p);
}

static void test_pace(void **state)
{
	struct pace p = { 0 };

	(void)state;
	assert_int_equal(pace_pipe(&p), 0);
	pace_note(&p, 100, 1000, 1); /* too little to tell the rate */
	assert_int_equal(pace_pipe(&p), 0);
	pace_note(&p, 100, 10000000, 1000);
	assert_int_equal(pace_pipe(&p), 1000000);
	/* One of many that share the way does not make it slow at once; a lasting change shows. */
	pace_note(&p, 100, 1000000, 1000);
	assert_true(pace_pipe(&p) > 800000);
	for (int i = 0; i < 50; i++)
		pace_note(&p, 10, 1000000, 1000);
	assert_true(pace_pipe(&p) < 20000);
	pace_note(&p, UINT64_MAX / 2, UINT64_MAX / 2000, 0);
	assert_true(pace_pipe(&p) <= UINT64_C(2) << 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),  cmocka_unit_test(test_merge_partial),
		cmocka_unit_test(test_key),    cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_files),
		cmocka_unit_test(test_pace),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
