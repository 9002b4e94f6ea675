/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML lens: types, places, and what has no key. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

static void test_values(void **state)
{
	(void)state;
	kit_assert_reads(
		"yaml",
		"---\na:\n  b/c: 1 # c\n  d: \"12\"\n  e: 'it''s'\n\"\": yes\nf: \"yes\"\ng: [1, x]\nh:\ni: "
		"a b\nj: \"\\u00e9\"\n",
		"a/b%2Fc=1\na/d=\"12\"\na/e=it's\n%=yes\nf=\"yes\"\ng=[1, x]\nh=null\ni=a b\nj=\xc3\xa9\n");
	kit_assert_reads("yaml",
			 "l:\n- a: 1\nm:\n  - b\nt: |\n  x: 1\n\n  y\nu: one\n  two\nv: &a 1\nw: *a\nz: 1\n",
			 "z=1\n");
	kit_assert_after("yaml", "a: 1 # c\n", "a", "two words", "a: two words # c\n");
	kit_assert_after("yaml", "a: 1\n", "a", "\"2\"", "a: \"2\"\n");
	kit_assert_after("yaml", "a: 'x'\n", "a", "z", "a: 'z'\n");
	kit_assert_after("yaml", "a: 'x'\n", "a", "2", "a: 2\n");
	kit_assert_after("yaml", "a: 1\n", "a", "b: c", "a: \"b: c\"\n");
	kit_assert_after("yaml", "a: 1\n", "a", "", "a: \"\"\n");
	kit_assert_after("yaml", "a: 1\n", "a", "[1, 2", "a: \"[1, 2\"\n");
	kit_assert_after("yaml", "a: 1\n", "a", "[1, 2]", "a: [1, 2]\n");
	kit_assert_after("yaml", "a:\n", "a", "1", "a: 1\n");
}

static void test_places(void **state)
{
	(void)state;
	kit_assert_after("yaml", "a:\n    b: 1\n# c\nd: 2", "a/e", "3", "a:\n    b: 1\n    e: 3\n# c\nd: 2");
	kit_assert_after("yaml", "a: 1", "b/c/d", "2", "a: 1\nb:\n  c:\n    d: 2\n");
	kit_assert_after("yaml", "a:\n  b:\n    c: 1\nd: 1\n", "a/b/c", NULL, "d: 1\n");
	kit_assert_after("yaml", "a:\n  b:\n    c: 1\nd: 1\n", "a/x", "1",
			 "a:\n  b:\n    c: 1\n  x: 1\nd: 1\n");
	kit_assert_after("yaml", "l:\n- 1\n", "a", "1", "l:\n- 1\na: 1\n");
	kit_assert_after("yaml", "", "a", "1", "a: 1\n");
	kit_assert_cannot("yaml", "a: 1\n", "a/b", "1");
	kit_assert_cannot("yaml", "a:\n  b: 1\n", "a", "1");
	kit_assert_cannot("yaml", "l:\n- 1\n", "l", "1");
	kit_assert_cannot("yaml", "l:\n- 1\n", "l/x", "1");
}

static void test_refused(void **state)
{
	(void)state;
	kit_assert_refused("yaml", "- a\n", "line 1: neither a name");
	kit_assert_refused("yaml", "a: 1\n---\nb: 2\n", "line 2: ");
	kit_assert_refused("yaml", "a: 1\na: 2\n", "line 2: a name that is there twice");
	kit_assert_refused("yaml", "a:\n    b: 1\n  c: 1\n", "line 3: indented like nothing");
	kit_assert_refused("yaml", "a: \"x\n", "line 1: quotes or brackets");
	kit_assert_refused("yaml", "a: b: c\n", "line 1: a value that needs quotes");
	kit_assert_refused("yaml", "a:\n\tb: 1\n", "line 2: ");
	kit_assert_guess("x.yml", "a: 1\n", "yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
