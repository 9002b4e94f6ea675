/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation, growing buffers with a maximum, arenas. */
#include <string.h>

#include "base/mem.h"
#include "tests/unit/cmocka_all.h"

static void refuses_products_that_overflow(void **state)
{
	struct arena a = ARENA_INIT(1024);
	struct err e;

	(void)state;
	assert_null(mem_alloc(SIZE_MAX / 2, 3, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(mem_grow(NULL, SIZE_MAX, 2, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(arena_alloc(&a, SIZE_MAX / 2, 3, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(arena_alloc(&a, SIZE_MAX, 1, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	arena_fini(&a);
}

static void zero_is_a_valid_size(void **state)
{
	struct err e;
	void *p = mem_alloc(0, 8, &e);
	void *q = mem_grow(NULL, 0, 8, &e);

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	free(p);
	free(q);
}

static void copies_strings(void **state)
{
	struct err e;
	auto_free char *a = mem_strdup("floe", &e);
	auto_free char *b = mem_strndup("floe", 2, &e);
	auto_free char *c = mem_printf(&e, "%s-%d", "n", 5);
	auto_free char *taken = mem_strdup("x", &e);
	char *kept = mem_steal(taken);

	(void)state;
	assert_string_equal(a, "floe");
	assert_string_equal(b, "fl");
	assert_string_equal(c, "n-5");
	assert_null(taken);
	assert_string_equal(kept, "x");
	free(kept);
}

static void buffer_grows_to_its_maximum_and_no_further(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	char ten[10];
	struct err e;

	(void)state;
	memset(ten, 'a', sizeof(ten));
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_add(&b, ten, sizeof(ten), &e), 0);
	assert_int_equal(b.len, 1000);
	assert_int_equal(buf_add(&b, "b", 1, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(b.len, 1000);
	assert_int_equal(b.data[999], 'a');
	assert_int_equal(strlen(buf_text(&b, &e)), 1000);
	assert_int_equal(buf_printf(&b, &e, "%d", 1), -1);
	assert_int_equal(buf_reserve(&b, SIZE_MAX, &e), -1);
	buf_reset(&b);
	assert_int_equal(buf_add_str(&b, "again", &e), 0);
	assert_string_equal(buf_text(&b, &e), "again");
}

static void buffer_prints(void **state)
{
	auto_buf struct buf b = BUF_INIT(4096);
	char longer[600];
	struct err e;

	(void)state;
	assert_string_equal(buf_text(&b, &e), "");
	memset(longer, 'z', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(buf_printf(&b, &e, "%s-%d", "one", 2), 0);
	assert_int_equal(buf_printf(&b, &e, "/%s", longer), 0);
	assert_int_equal(b.len, 5 + 1 + 599);
	assert_int_equal(strncmp(buf_text(&b, &e), "one-2/zzz", 9), 0);
}

static void arena_is_aligned_zeroed_and_bounded(void **state)
{
	struct arena a = ARENA_INIT(300 * 1024);
	struct err e;
	char *s;

	(void)state;
	for (size_t i = 1; i < 200; i++) {
		uint8_t *p = arena_alloc(&a, 1, i, &e);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t k = 0; k < i; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, i);
	}
	assert_non_null(arena_alloc(&a, 1, 100 * 1024, &e)); /* larger than a block */
	s = arena_strndup(&a, "hello", 4, &e);
	assert_string_equal(s, "hell");
	assert_null(arena_alloc(&a, 1, 300 * 1024, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	arena_fini(&a);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_products_that_overflow),
		cmocka_unit_test(zero_is_a_valid_size),
		cmocka_unit_test(copies_strings),
		cmocka_unit_test(buffer_grows_to_its_maximum_and_no_further),
		cmocka_unit_test(buffer_prints),
		cmocka_unit_test(arena_is_aligned_zeroed_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
