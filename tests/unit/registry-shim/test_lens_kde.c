/* SPDX-License-Identifier: Apache-2.0 */
/* The lenses kde, gsettings and wine: nested sections. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

#define WINE "WINE REGISTRY Version 2\n\n"

static void test_kde(void **state)
{
	(void)state;
	kit_assert_reads("kde", "[$i]\nt=0\n[A][B/C][$i]\nName[de]=x\n[A]\np/q[$e]=$HOME\n",
			 "t=0\nA/B%2FC/Name[de]=x\nA/p%2Fq[$e]=$HOME\n");
	kit_assert_after("kde", "[A][B][$i]\nx=1\n", "A/B/y", "2", "[A][B][$i]\nx=1\ny=2\n");
	kit_assert_after("kde", "[A]\nx=1\n", "A/B%2F/y", "2", "[A]\nx=1\n\n[A][B/]\ny=2\n");
	kit_assert_cannot("kde", "[A]\nx=1\n", "A/$i/y", "2");
	kit_assert_cannot("kde", "[A]\nx=1\n", "A//y", "2");
	kit_assert_guess("plasmarc", "[A][B]\nx=1\n", "kde");
	kit_assert_guess("plasmarc", "[A]\nx=1\n", "ini");
}

static void test_gsettings(void **state)
{
	(void)state;
	kit_assert_reads("gsettings", "[org/gnome/x]\na='b'\n[/]\nc=uint32 1\n",
			 "org/gnome/x/a='b'\n%/c=uint32 1\n");
	kit_assert_after("gsettings", "", "org/gnome/x/a", "true", "[org/gnome/x]\na=true\n");
	kit_assert_after("gsettings", "[/]\n", "%/a", "1", "[/]\na=1\n");
	kit_assert_cannot("gsettings", "", "a", "1");
	kit_assert_guess("/home/u/.config/glib-2.0/settings/keyfile", "[a/b]\nc=1\n", "gsettings");
}

static void test_wine(void **state)
{
	(void)state;
	kit_assert_reads(
		"wine",
		WINE "[A\\\\B/C] 12\n#time=1\n@=\"d\"\n\"n\\\"\"=dword:0a\n\"h\"=hex(2):00,\\\n  01\n"
		     "\"s\"=\"hex:\"\n\"t\"=\"hex\"\n\"x\"=\"\\x20ac\"\n",
		"A/B%2FC/@=d\nA/B%2FC/n\"=dword:0a\nA/B%2FC/h=hex(2):00,\\\n  01\nA/B%2FC/s=\"hex:\"\n"
		"A/B%2FC/t=hex\nA/B%2FC/x=\"\\x20ac\"\n");
	kit_assert_after("wine", WINE "[A]\n\"n\"=dword:1\n", "A/n", "C:\\x",
			 WINE "[A]\n\"n\"=\"C:\\\\x\"\n");
	kit_assert_after("wine", WINE "[A]\n", "A/@", "dword:00000002", WINE "[A]\n@=dword:00000002\n");
	kit_assert_after("wine", WINE "[A]\n", "A/B/n", "", WINE "[A]\n\n[A\\\\B]\n\"n\"=\"\"\n");
	kit_assert_after("wine", "REGEDIT4\r\n", "A/B/n", "1", "REGEDIT4\r\n\r\n[A\\B]\r\n\"n\"=\"1\"\r\n");
	kit_assert_cannot("wine", WINE "[-A]\n", "-A/x", "1");
	kit_assert_cannot("wine", WINE "[A]\n", "A/x", "a\nb");
	kit_assert_cannot("wine", WINE, "x", "1");
	kit_assert_refused("wine", "[A]\n", "line 1: not a registry");
	kit_assert_refused("wine", WINE "[A]\n\"n\"=dword:x\n", "line 4: ");
	kit_assert_guess("user.reg", WINE "[A]\n@=\"\"\n", "wine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kde),
		cmocka_unit_test(test_gsettings),
		cmocka_unit_test(test_wine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
