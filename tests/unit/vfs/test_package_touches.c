/* SPDX-License-Identifier: Apache-2.0 */
/* First touches: order, joining, nothing twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vfs/package_state.h"

struct range {
	uint64_t ino, off;
	uint32_t len;
};

static void expect(const struct range *add, size_t add_count, const struct range *want, size_t want_count)
{
	struct package_touches *t = NULL;
	struct pkg_touch *got = NULL;
	size_t count = 0;
	struct err e;

	assert_int_equal(package_touches_open(&t, &e), 0);
	for (size_t i = 0; i < add_count; i++)
		package_touches_add(t, add[i].ino, add[i].off, add[i].len);
	assert_int_equal(package_touches_copy(t, &got, &count, &e), 0);
	assert_int_equal(count, want_count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(got[i].ino, want[i].ino);
		assert_int_equal(got[i].off, want[i].off);
		assert_int_equal(got[i].len, want[i].len);
	}
	free(got);
	package_touches_close(t);
}

#define EXPECT(add, want) expect(add, ARRAY_LEN(add), want, ARRAY_LEN(want))

static void order_is_that_of_the_first_read(void **state)
{
	const struct range add[] = { { 5, 0, 10 }, { 3, 0, 10 }, { 5, 5, 5 }, { 3, 100, 1 }, { 5, 0, 10 } };
	const struct range want[] = { { 5, 0, 10 }, { 3, 0, 10 }, { 3, 100, 1 } };

	(void)state;
	EXPECT(add, want);
}

static void neighbours_are_joined(void **state)
{
	const struct range add[] = { { 1, 0, 10 },  { 2, 0, 1 }, { 1, 10, 10 },
				     { 1, 15, 10 }, { 2, 8, 2 }, { 2, 6, 3 } };
	const struct range want[] = { { 1, 0, 25 }, { 2, 0, 1 }, { 2, 6, 4 } };

	(void)state;
	EXPECT(add, want);
}

static void inodes_of_one_bucket_stay_apart(void **state)
{
	const struct range add[] = { { 1, 0, 10 }, { 1 + 4096, 10, 10 } };

	(void)state;
	EXPECT(add, add);
}

static void extremes_do_no_harm(void **state)
{
	const struct range add[] = { { 1, UINT64_MAX, 10 },
				     { 1, 0, 0 },
				     { 1, 0, UINT32_MAX },
				     { 1, UINT32_MAX, UINT32_MAX },
				     { 1, UINT64_MAX - 20, 20 } };
	const struct range want[] = { { 1, 0, UINT32_MAX },
				      { 1, UINT32_MAX, UINT32_MAX },
				      { 1, UINT64_MAX - 20, 20 } };

	(void)state;
	EXPECT(add, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_that_of_the_first_read),
		cmocka_unit_test(neighbours_are_joined),
		cmocka_unit_test(inodes_of_one_bucket_stay_apart),
		cmocka_unit_test(extremes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
