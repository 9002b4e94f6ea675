/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for shell variables: what it reads and writes. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

static void test_reading(void **state)
{
	(void)state;
	kit_assert_reads(
		"shell",
		"#!/bin/sh\nexport A=1 # one\nB='two words'\nC=\"say \\\"hi\\\" "
		"\\x\"\nD=\"$HOME/x\"\nE=$HOME/x\nF=\n"
		"G=a\\ b\nH='\"q\"'\nif x; then\n\tI=1\nfi\nJ=$(date)\nK=a b\nL=\"`x`\"\nM=\"a\nb\"\n N=1\n",
		"A=1\nB=two words\nC=say \"hi\" \\x\nD=\"$HOME/x\"\nE=\"$HOME/x\"\nF=\nG=a "
		"b\nH='\"q\"'\nM=a\nb\n");
}

static void test_changing(void **state)
{
	(void)state;
	kit_assert_after("shell", "export A=1 # one\n", "A", "2", "export A=2 # one\n");
	kit_assert_after("shell", "A=1", "A", "two words", "A=\"two words\"");
	kit_assert_after("shell", "A='x'", "A", "y", "A='y'");
	kit_assert_after("shell", "A='x'", "A", "it's", "A=\"it's\"");
	kit_assert_after("shell", "A=\"x\"", "A", "$5 `\\\"", "A=\"\\$5 \\`\\\\\\\"\"");
	kit_assert_after("shell", "A=x", "A", "\"$HOME\"", "A=\"$HOME\"");
	kit_assert_after("shell", "# c", "A", "", "# c\nA=\n");
	kit_assert_after("shell", "A=1\necho\nB=2\n", "A", NULL, "echo\nB=2\n");
	kit_assert_cannot("shell", "A=1\n", "1A", "1");
	kit_assert_cannot("shell", "A=1\n", "A b", "1");
}

static void test_refused(void **state)
{
	(void)state;
	kit_assert_refused("shell", "A=1\nB='x\n", "line 2: ");
	kit_assert_refused("shell", "A=1\necho \\", "line 2: ");
	kit_assert_guess(".env", "A=1\n# c\nB=\"2\"\n", "shell");
	kit_assert_guess("x.sh", "A=1\nexit\n", NULL);
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
