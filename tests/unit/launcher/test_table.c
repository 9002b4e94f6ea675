/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: what lands on standard output, byte for byte. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "launcher/table.h"

static const char *const heads[] = { "NAME", ">SIZE", "LAST" };

/* Standard output goes to a file meanwhile. */
static char *printed(const struct launch_table *t)
{
	auto_fd int was = dup(STDOUT_FILENO), fd = open("/tmp", O_RDWR | O_TMPFILE, 0600);
	char text[512];
	ssize_t n;
	struct err e;

	assert_true(was >= 0 && fd >= 0);
	(void)fflush(stdout);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	launch_table_print(t);
	(void)fflush(stdout);
	assert_true(dup2(was, STDOUT_FILENO) >= 0);
	n = pread(fd, text, sizeof(text), 0);
	assert_true(n >= 0);
	return mem_strndup(text, (size_t)n, &e);
}

static void test_columns_line_up(void **state)
{
	auto_launch_table struct launch_table t = LAUNCH_TABLE_INIT(heads);
	auto_free char *text = NULL;
	struct err e;

	(void)state;
	assert_int_equal(launch_table_add(&t, "a", &e), 0);
	assert_int_equal(launch_table_addf(&t, &e, "%d", 12345), 0);
	assert_int_equal(launch_table_add(&t, "x", &e), 0);
	assert_int_equal(launch_table_add(&t, "z\xc3\xbcrich", &e), 0);
	assert_int_equal(launch_table_add(&t, "7", &e), 0);
	assert_int_equal(launch_table_add(&t, "", &e), 0);
	text = printed(&t);
	assert_string_equal(text, "NAME     SIZE  LAST\n"
				  "a       12345  x\n"
				  "z\xc3\xbcrich      7  \n");
}

static void test_heads_alone(void **state)
{
	auto_launch_table struct launch_table t = LAUNCH_TABLE_INIT(heads);
	auto_free char *text = printed(&t);

	(void)state;
	assert_string_equal(text, "NAME  SIZE  LAST\n");
}

static void test_nothing_plays_with_the_terminal(void **state)
{
	struct err e;
	auto_free char *text = launch_table_escape("a\n\t\\\x1b[31m\x7f\xff", &e);

	(void)state;
	assert_string_equal(text, "a\\n\\t\\\\\\x1b[31m\\x7f\xff");
}

static void test_no_time_is_empty(void **state)
{
	char text[32];

	(void)state;
	launch_table_time(0, text);
	assert_string_equal(text, "");
	launch_table_time(1700000000, text);
	assert_int_equal(strlen(text), strlen("2023-11-14 22:13"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_line_up),
		cmocka_unit_test(test_heads_alone),
		cmocka_unit_test(test_nothing_plays_with_the_terminal),
		cmocka_unit_test(test_no_time_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
