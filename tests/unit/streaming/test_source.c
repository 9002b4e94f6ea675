/* SPDX-License-Identifier: Apache-2.0 */
/* What may be shown of a package's origin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "streaming/source.h"

struct source {
	const char *text, *shown, *blotted;
	bool has_login;
};

static const struct source sources[] = {
	{ "https://user:secret@host/a/b.floe?token=x#y", "https://host/a/b.floe",
	  "https://***********@host/a/b.floe?*********", true },
	{ "HTTP://user@host:1?q", "HTTP://host:1", "HTTP://****@host:1?*", true },
	{ "http://a@b:c@host/", "http://host/", "http://*****@host/", true }, /* the last one counts */
	{ "http://@host", "http://host", "http://@host", true },
	{ "http://host#y@z", "http://host", "http://host#***", false },
	{ "http://host/a@b", "http://host/a@b", "http://host/a@b", false },
	{ "http://", "http://", "http://", false },
	{ "/home/x?y@z", "/home/x?y@z", "/home/x?y@z", false },
	{ "file:///a@b?c", "file:///a@b?c", "file:///a@b?c", false },
	{ "", "", "", false },
};

static void test_shown(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		auto_free char *shown = stream_source_for_people(sources[i].text, &e);

		assert_non_null(shown);
		assert_string_equal(shown, sources[i].shown);
		assert_int_equal(stream_source_has_login(sources[i].text), sources[i].has_login);
	}
}

static void test_blotted(void **state)
{
	char text[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		(void)snprintf(text, sizeof(text), "%s", sources[i].text);
		stream_source_blot(text);
		assert_string_equal(text, sources[i].blotted);
	}
}

static void test_host(void **state)
{
	static const struct {
		const char *url, *name, *port; /* NULL: not to be had */
	} cases[] = {
		{ "http://host/a", "host", "80" },
		{ "HTTPS://Host-1.example:8443?q", "Host-1.example", "8443" },
		{ "https://user:pw@host#x", "host", "443" },
		{ "http://127.0.0.1:1", "127.0.0.1", "1" },
		{ "http://host:/a", NULL, NULL },
		{ "http://host:123456/a", NULL, NULL },
		{ "http://host:8a/", NULL, NULL },
		{ "http://[::1]:80/", NULL, NULL },
		{ "http://h%6fst/", NULL, NULL },
		{ "http:///a", NULL, NULL },
		{ "/host/a", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stream_source_host host;

		assert_int_equal(stream_source_find_host(cases[i].url, &host), cases[i].name != NULL);
		if (!cases[i].name)
			continue;
		assert_string_equal(host.name, cases[i].name);
		assert_string_equal(host.port, cases[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shown), cmocka_unit_test(test_blotted),
					    cmocka_unit_test(test_host) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
