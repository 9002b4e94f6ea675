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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shown), cmocka_unit_test(test_blotted) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
