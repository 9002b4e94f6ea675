/* SPDX-License-Identifier: Apache-2.0 */
/* The TOML lens: tables, dotted names and types. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

static void test_values(void **state)
{
	(void)state;
	kit_assert_reads(
		"toml",
		"t = \"a\\tb\"\nn = '12'\ni = 1_000\nf = -0.5e3\nd = 1979-05-27 07:32:00Z # c\nb = true\n"
		"l = [1, # one\n \"]\",]\nm = {a.b = {c = 1}}\nx = \"\"\"\none \\\n   two\"\"\"\"\"\n",
		"t=a\tb\nn='12'\ni=1_000\nf=-0.5e3\nd=1979-05-27 07:32:00Z\nb=true\nl=[1, # one\n \"]\",]\n"
		"m={a.b = {c = 1}}\nx=one two\"\"\n");
	kit_assert_reads("toml", "[a.\"b/c\"]\n\"\".d.'%' = 1\n[[l]]\nx = 1\n[l.m]\ny = 1\n[z]\nx = 1",
			 "a/b%2Fc/%/d/%25=1\nz/x=1\n");
	kit_assert_after("toml", "a = 1 # c\n", "a", "2.5", "a = 2.5 # c\n");
	kit_assert_after("toml", "a = 1\n", "a", "one", "a = \"one\"\n");
	kit_assert_after("toml", "a = 'x'\n", "a", "y\\", "a = 'y\\'\n");
	kit_assert_after("toml", "a = 'x'\n", "a", "it's", "a = \"it's\"\n");
	kit_assert_after("toml", "a = 1\n", "a", "\"2\"", "a = \"2\"\n");
	kit_assert_after("toml", "a = 1\n", "a", "[1, x]", "a = \"[1, x]\"\n");
	kit_assert_after("toml", "a = 1\n", "a", "[1, 'x']", "a = [1, 'x']\n");
	kit_assert_after("toml", "a = 1\n", "a", "007", "a = \"007\"\n");
}

static void test_places(void **state)
{
	(void)state;
	kit_assert_after("toml", "[a]\nx = 1\n[b]\n", "a/y", "2", "[a]\nx = 1\ny = 2\n[b]\n");
	kit_assert_after("toml", "x=1\n[a]", "y", "2", "x=1\ny = 2\n[a]");
	kit_assert_after("toml", "[a]\n", "a/b c/d", "2", "[a]\n\n[a.\"b c\"]\nd = 2\n");
	kit_assert_after("toml", "[s]\na.b = 1\nz = 1\n", "s/a/c d", "2",
			 "[s]\na.b = 1\na.\"c d\" = 2\nz = 1\n");
	kit_assert_after("toml", "[s]\na.b = 1\n", "s/a/b", NULL, "[s]\n");
	kit_assert_after("toml", "", "a", "1", "a = 1\n");
	kit_assert_cannot("toml", "a = 1\n", "a/b", "1");
	kit_assert_cannot("toml", "[a]\nb = 1\n", "a", "1");
	kit_assert_cannot("toml", "a.b = 1\n", "a", "1");
	kit_assert_cannot("toml", "[[a]]\nb = 1\n", "a/c", "1");
}

static void test_refused(void **state)
{
	(void)state;
	kit_assert_refused("toml", "a = 1\nb = x\n", "line 2: ");
	kit_assert_refused("toml", "a = [1,\n2\n", "line 1: ");
	kit_assert_refused("toml", "a = \"x\n\"", "line 1: ");
	kit_assert_refused("toml", "[a\n", "line 1: ");
	kit_assert_refused("toml", "a = \"\\x\"", "line 1: ");
	kit_assert_refused("toml", "a = 01", "line 1: ");
	kit_assert_guess("pyproject.toml", "[a]\nb = 1\n", "toml");
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
