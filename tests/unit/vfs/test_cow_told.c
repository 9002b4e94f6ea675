/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has been told of lately. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "vfs/cow_told.h"

static void names_are_told_apart(void **state)
{
	struct cow_told *t = calloc(1, sizeof(*t));

	(void)state;
	assert_false(cow_told_lately(t, 1, "a"));
	cow_told_note(t, 1, "a");
	assert_true(cow_told_lately(t, 1, "a"));
	assert_false(cow_told_lately(t, 1, "b"));
	assert_false(cow_told_lately(t, 2, "a"));
	assert_false(cow_told_lately(t, 1, ""));
	cow_told_clear(t);
	assert_false(cow_told_lately(t, 1, "a"));
	free(t);
}

/* Of many, most of the last ones are known, and hardly any that were never told. */
static void a_bounded_table(void **state)
{
	struct cow_told *t = calloc(1, sizeof(*t));
	unsigned known = 0, wrong = 0;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "file%u", i);
		cow_told_note(t, i / 100, name);
	}
	for (unsigned i = 96000; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "file%u", i);
		known += cow_told_lately(t, i / 100, name);
		wrong += cow_told_lately(t, i / 100 + 1, name);
	}
	assert_true(known > 3000);
	assert_true(wrong < 4);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_told_apart),
		cmocka_unit_test(a_bounded_table),
	};

	return cmocka_run_group_tests_name("cow_told", tests, NULL, NULL);
}
