/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: the standard's examples, and text both ways. */
#include "tests/unit/package-format/fixture.h"

static void examples(void **state)
{
	struct pkg_digest d, again;
	char hex[PKG_DIGEST_HEX];
	struct err e;

	(void)state;
	pkg_digest_of("abc", 3, &d);
	pkg_digest_hex(&d, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	OK(pkg_digest_parse(hex, &again, &e));
	assert_true(pkg_digest_equal(&d, &again));
	again.b[31] ^= 1;
	assert_false(pkg_digest_equal(&d, &again));
	pkg_digest_of(NULL, 0, &d);
	pkg_digest_hex(&d, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void bad_text(void **state)
{
	struct pkg_digest d;
	struct err e;

	(void)state;
	FAILS(pkg_digest_parse("", &d, &e), ERR_FORMAT);
	FAILS(pkg_digest_parse("ba78", &d, &e), ERR_FORMAT);
	FAILS(pkg_digest_parse("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &d, &e),
	      ERR_FORMAT);
	FAILS(pkg_digest_parse("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0", &d, &e),
	      ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(examples), cmocka_unit_test(bad_text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
