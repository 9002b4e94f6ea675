/* SPDX-License-Identifier: Apache-2.0 */
/* The xfconf lens: types, and properties in properties. The laws are in test_lens_laws.c. */
#include "tests/unit/registry-shim/lens_kit.h"

#define CHANNEL(inside) "<channel name=\"c\" version=\"1.0\">\n" inside "</channel>\n"
#define ONE             "  <property name=\"a\" type=\"int\" value=\"1\"/>\n"

static void test_reading(void **state)
{
	(void)state;
	kit_assert_reads(
		"xfconf",
		CHANNEL("<property name='g' type='empty'>\n<property name='t/%' type='string' "
			"value='a&lt;&#65;'/>"
			"<property name='b' type='bool' value='true'>"
			"<property name='u' type='uint' value='4'/></property></property>"
			"<property name='s' type='string' value='12'/><property name='i' type='int' "
			"value='12'/>"
			"<property name='d' type='double' value='0.5'/><property name='u' type='string' "
			"value='int:x'/><property name='l' type='array'><value type='int' "
			"value='1'/></property>"
			"<property name='h' type='string' value='http://x'/>"),
		"g/t%2F%25=a<A\ng/b=true\ng/b/u=uint:4\ns=string:12\ni=12\nd=0.5\nu=string:int:x\nh=http://"
		"x\n");
}

static void test_changing(void **state)
{
	(void)state;
	kit_assert_after(
		"xfconf", CHANNEL(ONE), "a", "two & \"3\"",
		CHANNEL("  <property name=\"a\" type=\"string\" value=\"two &amp; &quot;3&quot;\"/>\n"));
	kit_assert_after("xfconf", CHANNEL(ONE), "b", "uint:2",
			 CHANNEL(ONE "  <property name=\"b\" type=\"uint\" value=\"2\"/>\n"));
	kit_assert_after(
		"xfconf", CHANNEL(ONE), "g/h", "false",
		CHANNEL(ONE "  <property name=\"g\" type=\"empty\">\n"
			    "    <property name=\"h\" type=\"bool\" value=\"false\"/>\n  </property>\n"));
	kit_assert_after("xfconf", CHANNEL(ONE), "a/b", "x",
			 CHANNEL("  <property name=\"a\" type=\"int\" value=\"1\">\n"
				 "    <property name=\"b\" type=\"string\" value=\"x\"/>\n  </property>\n"));
	kit_assert_after("xfconf", CHANNEL("<property name='g' type='empty'></property>"), "g", "1",
			 CHANNEL("<property name='g' type='int' value=\"1\"></property>"));
	kit_assert_after("xfconf", CHANNEL("<property name='g' type='int' value='1'></property>"), "g", NULL,
			 CHANNEL("<property name='g' type='empty'></property>"));
	kit_assert_after("xfconf", CHANNEL(ONE), "a", NULL, CHANNEL());
	kit_assert_after("xfconf", CHANNEL(), "a", "1",
			 CHANNEL("  <property name=\"a\" type=\"int\" value=\"1\"/>\n"));
	kit_assert_cannot("xfconf", CHANNEL(ONE), "a", "\001");
	kit_assert_cannot("xfconf", "", "a", "1");
}

static void test_refused(void **state)
{
	(void)state;
	kit_assert_refused("xfconf", "<?xml version=\"1.0\"?>\n<fontconfig></fontconfig>",
			   "line 2: not a channel");
	kit_assert_refused("xfconf", "<!DOCTYPE channel [\n<!ENTITY a \"b\">]>", "line 1: not a tag");
	kit_assert_refused("xfconf", CHANNEL("<property name='a' type='int' value='&b;'/>"),
			   "line 2: an entity");
	kit_assert_refused("xfconf", CHANNEL("\n<property name='a'>"), "line 3: an element ends");
	kit_assert_refused("xfconf", CHANNEL("text"), "line 2: text between");
	kit_assert_refused("xfconf", "<channel>", "line 1: an element that does not end");
	kit_assert_guess("x.xml", CHANNEL(ONE), "xfconf");
	kit_assert_guess("fonts.xml", "<fontconfig/>", NULL);
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
