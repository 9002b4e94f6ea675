/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks in memory: who goes first, and whose place the next one takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "streaming/memory.h"

enum { KIB = 1024, MAX = 1024 * KIB };

/* Listed, without references. Returns where its bytes are. */
static const uint8_t *put(struct memory_store *s, uint32_t idx, size_t len)
{
	struct memory_chunk *m = memory_chunk_reuse(s, idx, len);
	const uint8_t *bytes;
	struct err e;

	if (!m)
		m = memory_chunk_new(idx, len, &e);
	assert_non_null(m);
	assert_int_equal(m->seen.len, len);
	memset(m->bytes, (int)idx, len);
	bytes = m->bytes;
	memory_add(s, m);
	memory_unref(s, m);
	return bytes;
}

static void test_least_recently_used_goes(void **state)
{
	struct memory_store s = { .max = MAX };

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		(void)put(&s, i, 256 * KIB);
	memory_unref(&s, memory_find(&s, 0));
	(void)put(&s, 4, 200 * KIB);
	assert_true(memory_has(&s, 0));
	assert_false(memory_has(&s, 1));
	assert_true(memory_has(&s, 4));
	assert_true(s.len <= MAX);
	memory_fini(&s);
}

static void test_full_store_gives_room_of_the_same_size(void **state)
{
	struct memory_store s = { .max = MAX };
	const uint8_t *large;

	(void)state;
	(void)put(&s, 0, 100 * KIB);
	large = put(&s, 1, 256 * KIB);
	(void)put(&s, 2, 512 * KIB);
	(void)put(&s, 3, 100 * KIB);
	assert_int_equal(s.len, MAX);
	/* Not the oldest, but the one whose pages serve. */
	assert_ptr_equal(put(&s, 4, 250 * KIB), large);
	assert_false(memory_has(&s, 1));
	assert_true(memory_has(&s, 0));
	memory_fini(&s);
}

static void test_newest_quarter_is_kept(void **state)
{
	struct memory_store s = { .max = MAX };

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		(void)put(&s, i, 128 * KIB);
	(void)put(&s, 6, 256 * KIB);
	/* The only one of this size was loaded last, perhaps ahead of its reader. */
	(void)put(&s, 7, 256 * KIB);
	assert_true(memory_has(&s, 6));
	assert_true(memory_has(&s, 7));
	assert_false(memory_has(&s, 1));
	assert_true(memory_has(&s, 2));
	memory_fini(&s);
}

static void test_referenced_stays(void **state)
{
	struct memory_store s = { .max = MAX };
	struct memory_chunk *held;

	(void)state;
	(void)put(&s, 0, 512 * KIB);
	held = memory_find(&s, 0);
	assert_non_null(held);
	for (uint32_t i = 1; i < 6; i++)
		assert_ptr_not_equal(put(&s, i, 512 * KIB), held->bytes);
	assert_int_equal(held->bytes[512 * KIB - 1], 0);
	memory_unref(&s, held);
	memory_fini(&s);
}

static void test_limit(void **state)
{
	struct memory_store s = { .max = MAX };

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		(void)put(&s, i, 256 * KIB);
	memory_limit(&s, 2 * MAX);
	for (uint32_t i = 4; i < 8; i++)
		(void)put(&s, i, 256 * KIB);
	assert_true(memory_has(&s, 0));
	assert_int_equal(s.len, 2 * MAX);
	memory_limit(&s, 512 * KIB);
	assert_int_equal(s.len, 512 * KIB);
	assert_true(memory_has(&s, 7) && memory_has(&s, 6) && !memory_has(&s, 5));
	memory_fini(&s);
}

/* What is lent stays until it comes back, also when the store is gone, and is nobody else's room. */
static void test_lent_bytes_stay(void **state)
{
	struct memory_store s = { .max = 256 * KIB };
	struct memory_chunk *lent;
	struct err e;

	(void)state;
	lent = memory_chunk_new(7, 256 * KIB, &e);
	assert_non_null(lent);
	memset(lent->bytes, 7, 256 * KIB);
	memory_chunk_lend(lent);
	memory_add(&s, lent);
	memory_unref(&s, lent);
	assert_ptr_not_equal(put(&s, 8, 256 * KIB), lent->bytes);
	assert_false(memory_has(&s, 7));
	assert_int_equal(lent->bytes[256 * KIB - 1], 7);
	memory_fini(&s);
	assert_int_equal(lent->bytes[0], 7);
	memory_chunk_return(lent); /* frees it: leaks are found */
}

static void test_returned_room_serves_again(void **state)
{
	struct memory_store s = { .max = 256 * KIB };
	struct memory_chunk *lent;
	const uint8_t *bytes;
	struct err e;

	(void)state;
	lent = memory_chunk_new(7, 256 * KIB, &e);
	assert_non_null(lent);
	bytes = lent->bytes;
	memory_chunk_lend(lent);
	memory_add(&s, lent);
	memory_unref(&s, lent);
	memory_chunk_return(lent);
	assert_ptr_equal(put(&s, 8, 256 * KIB), bytes);
	memory_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least_recently_used_goes),
		cmocka_unit_test(test_full_store_gives_room_of_the_same_size),
		cmocka_unit_test(test_newest_quarter_is_kept),
		cmocka_unit_test(test_referenced_stays),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_lent_bytes_stay),
		cmocka_unit_test(test_returned_room_serves_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
