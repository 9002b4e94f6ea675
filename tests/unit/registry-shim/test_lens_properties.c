/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for Java's properties: what it reads and writes. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

static void test_reading(void **state)
{
	(void)state;
	kit_assert_reads("properties",
			 "# c\n! d\nfruits  apple, \\\n    banana\\\r\n   , pear\nTruth:Beauty\n a\\ b\\:c = "
			 "\\u00e9\\n \nname\n"
			 "p=C:\\\\x\n",
			 "fruits=apple, banana, pear\nTruth=Beauty\na b:c=\xc3\xa9\n \nname=\np=C:\\x\n");
}

static void test_changing(void **state)
{
	(void)state;
	kit_assert_after("properties", "a : 1\nb=2\n", "a", "x=y", "a : x=y\nb=2\n");
	kit_assert_after("properties", "a=1\\\n  2\nb=2", "a", " \xc3\xa9", "a=\\ \\u00E9\nb=2");
	kit_assert_after("properties", "a=\xc3\xa9", "a", "\xc3\xa8", "a=\xc3\xa8");
	kit_assert_after("properties", "a", "a", "1", "a=1");
	kit_assert_after("properties", "# c", "a b", "1", "# c\na\\ b=1\n");
	kit_assert_after("properties", "a = 1", "#b", "\xf0\x9f\x98\x80", "a = 1\n\\#b = \\uD83D\\uDE00\n");
	kit_assert_after("properties", "a=1\\\n2\nb=3\n", "a", NULL, "b=3\n");
	kit_assert_after("properties", "/a=1\n/b/c=2\n", "//a", "3", "/a=3\n/b/c=2\n");
	kit_assert_after("properties", "a=1\n", "//a", "2", "a=1\n/a=2\n");
	kit_assert_after("properties", "a=1\n", "//", "2", "a=1\n/=2\n");
	kit_assert_cannot("properties", "a=1\n", "", "1");
	kit_assert_cannot("properties", "a=1\n", "/a", "1");
	kit_assert_cannot("properties", "a=1\n", "/b/c", "1");
}

static void test_refused(void **state)
{
	(void)state;
	kit_assert_refused("properties", "a=1\n\nb=\\u12\n", "line 3: a \\u that names no character");
	kit_assert_refused("properties", "a=1\rb=2\n", "line 1: ");
	kit_assert_refused("properties", "a=1\nb=2\\", "line 2: ");
	kit_assert_guess("x.properties", "a=1\n", "properties");
	kit_assert_guess("log4j.properties", "# nothing\n", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_changing),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
