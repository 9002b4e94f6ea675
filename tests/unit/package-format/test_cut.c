/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting: lengths within the limits, and boundaries that find themselves again behind an insertion. */
#include "package-format/cut.h"
#include "tests/unit/package-format/fixture.h"

enum { LEN = 16 * 1024 * 1024, INSERTED = 1000, PIECES = 512 };

static size_t cut_all(const uint8_t *data, size_t len, struct pkg_digest *ret)
{
	size_t count = 0;

	for (size_t at = 0; at < len;) {
		size_t n = pkg_cut(data + at, len - at < PKG_CHUNK_MAX ? len - at : PKG_CHUNK_MAX);

		assert_true(n <= PKG_CHUNK_MAX && (n >= PKG_CUT_MIN || at + n == len));
		pkg_digest_of(data + at, n, &ret[count++]);
		at += n;
	}
	return count;
}

static void insertion_keeps_boundaries(void **state)
{
	auto_free uint8_t *data = malloc(INSERTED + LEN);
	static struct pkg_digest old[PIECES], new[PIECES];
	size_t old_count, new_count, kept = 0;

	(void)state;
	noise(7, data, INSERTED + LEN);
	old_count = cut_all(data + INSERTED, LEN, old);
	new_count = cut_all(data, INSERTED + LEN, new);
	assert_in_range(old_count, LEN / (512 * 1024), LEN / (128 * 1024));
	for (size_t i = 0; i < old_count; i++)
		for (size_t k = 0; k < new_count; k++)
			if (pkg_digest_equal(&old[i], &new[k])) {
				kept++;
				break;
			}
	assert_true(kept + 4 >= old_count);
}

static void constant_content_is_cut_at_the_limit(void **state)
{
	auto_free uint8_t *data = calloc(1, 2 * PKG_CHUNK_MAX);

	(void)state;
	assert_int_equal(pkg_cut(data, 2 * PKG_CHUNK_MAX), PKG_CHUNK_MAX);
	assert_int_equal(pkg_cut(data, 10), 10);
	assert_int_equal(pkg_cut(data, PKG_CUT_MIN), PKG_CUT_MIN);
	assert_int_equal(pkg_cut(data, PKG_CUT_MIN + 1), PKG_CUT_MIN + 1);
}

static void packs_end_by_digest_and_weight(void **state)
{
	const size_t enough = 128 * 1024;
	struct pkg_digest low = { { 0 } }, high;

	(void)state;
	memset(&high, 0xff, sizeof(high));
	assert_false(pkg_cut_pack_ends(50 * 1024, &low, 50 * 1024)); /* too short still */
	assert_true(pkg_cut_pack_ends(enough, &low, 1));
	assert_false(pkg_cut_pack_ends(enough, &high, PKG_CUT_MIN));
	assert_true(pkg_cut_pack_ends(4 * PKG_CUT_MIN, &high, 4 * PKG_CUT_MIN));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(insertion_keeps_boundaries),
					    cmocka_unit_test(packs_end_by_digest_and_weight),
					    cmocka_unit_test(constant_content_is_cut_at_the_limit) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
