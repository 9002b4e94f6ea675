/* SPDX-License-Identifier: Apache-2.0 */
/* When the user is told that the network is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "launcher/stall_notice.h"

static char said[1024];
static int lines;

static void say(const char *line)
{
	(void)snprintf(said, sizeof(said), "%s", line);
	lines++;
}

static int begin(void **state)
{
	(void)state;
	lines = 0;
	return 0;
}

static void test_short_stalls(void **state)
{
	struct stall_notice n = { .say = say };

	(void)state;
	assert_int_equal(stall_notice_due_ms(&n, 5), -1);
	for (uint64_t t = 1000; t < 60000; t += 3000) {
		stall_notice_news(&n, true, "why", t, 0);
		assert_int_equal(stall_notice_due_ms(&n, t + 500), 1500);
		stall_notice_tick(&n, t + 1900);
		stall_notice_news(&n, false, "", t + 1900, 0);
		stall_notice_tick(&n, t + 2500);
	}
	assert_int_equal(lines, 0);
}

static void test_long_stall(void **state)
{
	struct stall_notice n = { .say = say };

	(void)state;
	stall_notice_news(&n, true, "http://host/x does not answer", 1000, 0);
	stall_notice_news(&n, true, "another reason", 1500, 0);
	stall_notice_tick(&n, 3000);
	stall_notice_tick(&n, 9000);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(said, "http://host/x does not answer"));
	assert_int_equal(stall_notice_due_ms(&n, 9000), -1);
	stall_notice_news(&n, false, "", 11500, 0);
	assert_int_equal(lines, 2);
	assert_non_null(strstr(said, "10 s"));
	stall_notice_news(&n, false, "", 12000, 0);
	assert_int_equal(lines, 2);
}

/* A network that comes and goes. */
static void test_rate(void **state)
{
	struct stall_notice n = { .say = say };

	(void)state;
	for (uint64_t t = 1000; t < 31000; t += 5000) {
		stall_notice_news(&n, true, "why", t, 0);
		stall_notice_tick(&n, t + 2500);
		stall_notice_news(&n, false, "", t + 4000, 0);
	}
	assert_int_equal(lines, 2);
	stall_notice_news(&n, true, "why", 32000, 0);
	stall_notice_tick(&n, 32000 + (uint64_t)stall_notice_due_ms(&n, 32000));
	assert_int_equal(lines, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_short_stalls, begin),
		cmocka_unit_test_setup(test_long_stall, begin),
		cmocka_unit_test_setup(test_rate, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
