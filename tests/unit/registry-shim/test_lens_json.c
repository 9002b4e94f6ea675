/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON lens: how types and places are kept. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

static void test_reading(void **state)
{
	(void)state;
	kit_assert_reads(
		"json",
		"{ // c\n\"editor.fontSize\": 14, \"a/b\": {\"%\": 1.50, \"\": \"x\", \"l\": [1,\n2]},"
		"\"t\": true, \"s\": \"true\", \"n\": \"007\", \"i\": \"7\", \"e\": \"a\\n\\u00e9\", \"o\": "
		"{},}",
		"editor.fontSize=14\na%2Fb/%25=1.50\na%2Fb/%=x\na%2Fb/l=[1,\n2]\nt=true\ns=\"true\"\nn=007\n"
		"i=\"7\"\ne=a\n\xc3\xa9\n");
	kit_assert_reads("json", "", "");
	kit_assert_reads("json", "// nothing yet", "");
}

static void test_types(void **state)
{
	static const char text[] = "{\"a\": 1}\n";

	(void)state;
	kit_assert_after("json", text, "a", "2.0", "{\"a\": 2.0}\n");
	kit_assert_after("json", text, "a", "two", "{\"a\": \"two\"}\n");
	kit_assert_after("json", text, "a", "\"2\"", "{\"a\": \"2\"}\n");
	kit_assert_after("json", text, "a", "false", "{\"a\": false}\n");
	kit_assert_after("json", text, "a", "[1, {\"b\": null}]", "{\"a\": [1, {\"b\": null}]}\n");
	kit_assert_after("json", text, "a", "[1, 2", "{\"a\": \"[1, 2\"}\n");
	kit_assert_after("json", text, "a", "say \"hi\"\n", "{\"a\": \"say \\\"hi\\\"\\n\"}\n");
	kit_assert_after("json", text, "a", "", "{\"a\": \"\"}\n");
	kit_assert_after("json", text, "a", "01", "{\"a\": \"01\"}\n");
	kit_assert_cannot("json", text, "a", "{\"b\": 1}");
	kit_assert_cannot("json", text, "a/b", "1");
	kit_assert_cannot("json", "{\"a\": {\"b\": 1}}", "a", "1");
}

static void test_adding(void **state)
{
	(void)state;
	kit_assert_after("json", "", "a", "1", "{\n  \"a\": 1\n}\n");
	kit_assert_after("json", "{}", "a/b", "x", "{\n  \"a\": {\n    \"b\": \"x\"\n  }\n}");
	kit_assert_after("json", "// c", "a", "1", "// c\n{\n  \"a\": 1\n}\n");
	kit_assert_after("json", "{\"a\":1}", "b", "2", "{\"a\":1,\"b\":2}");
	kit_assert_after("json", "{ \"a\": 1 }", "b/c", "2", "{ \"a\": 1, \"b\": {\"c\": 2} }");
	kit_assert_after("json", "{\n\t\"a\": 1 // one\n}\n", "b", "2",
			 "{\n\t\"a\": 1, // one\n\t\"b\": 2\n}\n");
	kit_assert_after("json", "{\r\n    \"a\": 1,\r\n}\r\n", "b/c", "2",
			 "{\r\n    \"a\": 1,\r\n    \"b\": {\r\n        \"c\": 2\r\n    },\r\n}\r\n");
	kit_assert_after("json", "{\n  \"o\": {\n  },\n  \"z\": 0\n}", "o/x", "1",
			 "{\n  \"o\": {\n    \"x\": 1\n  },\n  \"z\": 0\n}");
	kit_assert_after("json", "{\"a\":1 // c\n}", "b", "2", "{\"a\":1, // c\n\"b\":2\n}");
	kit_assert_after("json", "{\"o\": {\"p\": {}}, \"z\": 1}", "o", "1", "{ \"z\": 1, \"o\": 1}");
	kit_assert_after("json", "\xef\xbb\xbf", "a", "1", "\xef\xbb\xbf{\n  \"a\": 1\n}\n");
	kit_assert_cannot("json", "{}", "a//b", "1");
	kit_assert_cannot("json", "{}", "a/", "1");
	kit_assert_cannot("json", "{}", "/a", "1");
	kit_assert_cannot("json", "{}", "50%", "1");
}

static void test_removing(void **state)
{
	(void)state;
	kit_assert_after("json", "{\"a\":1}", "a", NULL, "{}");
	kit_assert_after("json", "{\"a\":1, \"b\":2}", "b", NULL, "{\"a\":1}");
	kit_assert_after("json", "{\"a\":1, \"b\":2}", "a", NULL, "{ \"b\":2}");
	kit_assert_after("json", "{\n  \"a\": 1, // one\n  \"b\": 2 // two\n}\n", "b", NULL,
			 "{\n  \"a\": 1 // one\n // two\n}\n");
	kit_assert_after("json", "{\n  \"a\": 1, // one\n  \"b\": 2, \"c\": 3\n}\n", "b", NULL,
			 "{\n  \"a\": 1, // one\n \"c\": 3\n}\n");
	kit_assert_after("json", "{\"o\": {\"x\": 1},}", "o/x", NULL, "{\"o\": {},}");
}

static void test_refused(void **state)
{
	(void)state;
	kit_assert_refused("json", "[1]", "line 1: not a JSON object");
	kit_assert_refused("json", "{\"a\": 1\n\"b\": 2}", "line 2: a ',' or a '}' is missing");
	kit_assert_refused("json", "{\"a\": 1,\n\n'b': 2}", "line 3: a name in quotes");
	kit_assert_refused("json", "{\"a\"\n 1}", "line 2: a ':' is missing");
	kit_assert_refused("json", "{\"a\": [1,\n2}", "line 2: a ',' or a ']' is missing");
	kit_assert_refused("json", "{\"a\": \"\\x\"}", "line 1: a backslash");
	kit_assert_refused("json", "{\"a\": tru}", "line 1: a value is missing");
	kit_assert_refused("json", "{\"a\": 1", "line 1: a ',' or a '}' is missing");
	kit_assert_refused("json", "{} x", "line 1: text behind the object");
	kit_assert_refused("json", "{ /* ", "line 1: a comment that does not end");
	kit_assert_refused("json", "{,}", "line 1: a name in quotes");
	kit_assert_guess("settings.json", "{\"a\": 1}", "json");
	kit_assert_guess("x", "{}", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading), cmocka_unit_test(test_types),
		cmocka_unit_test(test_adding),  cmocka_unit_test(test_removing),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
