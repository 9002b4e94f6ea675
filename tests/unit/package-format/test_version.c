/* SPDX-License-Identifier: Apache-2.0 */
/* Versions in Debian's order; `dpkg --compare-versions` says the same of each pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "package-format/version.h"

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void in_order(void **state)
{
	static const char *const rising[] = { "~~",      "~",        "~a",
					      "",        "0.9",      "1.0~beta",
					      "1.0~rc1", "1.0",      "1.0-1",
					      "1.0-2",   "1.0-2.1",  "1.0-10",
					      "1.0a",    "1.0+dfsg", "1.0+dfsg-1",
					      "1.0.1",   "1.2",      "1.10",
					      "2",       "20231122", "123456789012345678901234567890",
					      "1:0.1",   "1:1.0",    "3:4.8.29",
					      "10:0" };
	(void)state;
	for (size_t i = 0; i < sizeof(rising) / sizeof(*rising); i++)
		for (size_t k = 0; k < sizeof(rising) / sizeof(*rising); k++)
			if (sign(pkg_version_compare(rising[i], rising[k])) != (i > k) - (i < k))
				fail_msg("\"%s\" and \"%s\"", rising[i], rising[k]);
}

static void equal(void **state)
{
	(void)state;
	assert_int_equal(pkg_version_compare("1.0", "1.00"), 0);
	assert_int_equal(pkg_version_compare("0:1.0", "1.0"), 0);
	assert_int_equal(pkg_version_compare("1.0-0", "1.0"), 0);
	assert_int_equal(pkg_version_compare("1.007", "1.7"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(in_order), cmocka_unit_test(equal) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
