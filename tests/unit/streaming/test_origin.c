/* SPDX-License-Identifier: Apache-2.0 */
/* Which settings an address gets of the file of origins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "streaming/origin.h"

static const char good[] = "# ours\n"
			   "[https://Apps.example.org]\r\n"
			   "certificate = /c/one.pem\n"
			   "  key=/c/one key.pem  \n"
			   "\n"
			   "[https://apps.example.org:8443]\n"
			   "ca = /c/two.pem\n"
			   "[ https://[2001:db8::1]/ignored/path ]\n"
			   "ca = /c/three.pem";

static int parse(const char *text, const char *url, struct stream_origin *ret, struct err *e)
{
	char copy[1024];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	return stream_origin_parse(copy, "origins.conf", url, ret, e);
}

static void assert_same(const char *got, const char *want)
{
	if (!got || !want)
		assert_true(got == want);
	else
		assert_string_equal(got, want);
}

static void test_found(void **state)
{
	static const struct {
		const char *url, *certificate, *key, *ca;
	} all[] = {
		{ "https://apps.example.org/x.floe", "/c/one.pem", "/c/one key.pem", NULL },
		{ "HTTPS://APPS.example.org:443/x", "/c/one.pem", "/c/one key.pem", NULL },
		{ "https://ann:pw@apps.example.org?x", "/c/one.pem", "/c/one key.pem", NULL },
		{ "https://apps.example.org:8443/x.floe", NULL, NULL, "/c/two.pem" },
		{ "https://[2001:DB8::1]/x.floe", NULL, NULL, "/c/three.pem" },
		{ "https://apps.example.org.evil.test/x", NULL, NULL, NULL },
		{ "https://apps.example.org@evil.test/x", NULL, NULL, NULL },
		{ "https://evil.test/https://apps.example.org/", NULL, NULL, NULL },
		{ "https://apps.example.org:4430/x", NULL, NULL, NULL },
		{ "https://example.org/x", NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		auto_origin struct stream_origin o = { 0 };
		struct err e;

		assert_int_equal(parse(good, all[i].url, &o, &e), 0);
		assert_same(o.certificate, all[i].certificate);
		assert_same(o.key, all[i].key);
		assert_same(o.ca, all[i].ca);
		assert_int_equal(o.is_set, all[i].certificate || all[i].ca);
	}
}

static void test_wrong_lines(void **state)
{
	static const char *const all[][2] = {
		{ "ca = /x", "origins.conf:1: \"ca = /x\" comes before" },
		{ "\n[https://x\n", "origins.conf:2: " },
		{ "[http://x]\n", "not an address" },
		{ "[]\n", "not an address" },
		{ "[https://x]\nca = relative\n", "origins.conf:2: ca: the file must be" },
		{ "[https://x]\npassword = /x\n", "none of" },
		{ "[https://x]\ncertificate\n", "NAME = FILE" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct stream_origin o = { 0 };
		struct err e;

		assert_int_equal(parse(all[i][0], "https://other.test/x", &o, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		if (!strstr(e.msg, all[i][1]))
			fail_msg("%s", e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_found),
					    cmocka_unit_test(test_wrong_lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
