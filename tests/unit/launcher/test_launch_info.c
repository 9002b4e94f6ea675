/* SPDX-License-Identifier: Apache-2.0 */
/* What a manifest becomes on its way to a launch: tokens, commands, and messages that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/launch_info.h"

static void resolves(const char *token, const char *wanted)
{
	struct err e;
	auto_free char *got = launch_token_resolve(token, &e);

	assert_non_null(got);
	assert_string_equal(got, wanted);
}

static void refuses(const char *token)
{
	struct err e;

	assert_null(launch_token_resolve(token, &e));
	assert_int_equal(e.code, ERR_FORMAT);
}

static void test_tokens(void **state)
{
	(void)state;
	assert_int_equal(setenv("HOME", "/h/u", 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(setenv("XDG_DATA_HOME", "/elsewhere", 1), 0);
	resolves("@home", "/h/u");
	resolves("@config/mc/ini", "/h/u/.config/mc/ini");
	resolves("@data/x", "/elsewhere/x");
	resolves("/etc//x/./y", "/etc/x/y");
	resolves("@home/..a", "/h/u/..a");
	refuses("@home/../other");
	refuses("@config/a/../../x");
	refuses("@homework/x");
	refuses("relative/path");
	refuses("");
	refuses("@");
}

static void put_two_commands(struct wire_out *out, const char *fallback)
{
	static char one[] = "one", two[] = "two", path_one[] = "/bin/one", path_two[] = "/bin/two";
	static char flag[] = "-x", blank[] = "a b", name[] = "n", version[] = "1";
	char *args[] = { flag, blank, NULL };
	struct pkg_command commands[] = { { .name = one, .path = path_one, .args = args },
					  { .name = two, .path = path_two } };
	struct pkg_manifest m = {
		.name = name, .version = version, .commands = commands, .command_count = 2
	};
	struct err e;

	m.default_command = (char *)fallback;
	assert_int_equal(launch_info_put(&m, out, &e), 0);
}

static void finds(const char *fallback, const char *name, const char *path, size_t arg_count)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	struct launch_command c;
	struct err e;
	size_t n = 0;

	put_two_commands(&out, fallback);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
	assert_int_equal(launch_info_command(&in, name, &c, &e), 0);
	assert_string_equal(c.path, path);
	while (c.args[n])
		n++;
	assert_int_equal(n, arg_count);
	launch_command_fini(&c);
}

static void test_commands(void **state)
{
	(void)state;
	finds(NULL, NULL, "/bin/one", 2);
	finds("two", NULL, "/bin/two", 0);
	finds("two", "one", "/bin/one", 2);
}

static void test_missing_command_names_the_others(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	struct launch_command c;
	struct err e;

	(void)state;
	put_two_commands(&out, NULL);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
	assert_int_equal(launch_info_command(&in, "three", &c, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "one, two"));
}

static void test_malformed_commands_are_refused(void **state)
{
	static const char *const bad[] = { "", "x", "name" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_wire_out struct wire_out out = WIRE_OUT_INIT;
		auto_wire_in struct wire_in in = WIRE_IN_INIT;
		struct launch_command c;
		struct err e;

		assert_int_equal(wire_put(&out, "command", bad[i], strlen(bad[i]), &e), 0);
		assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
		assert_int_equal(launch_info_command(&in, NULL, &c, &e), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_missing_command_names_the_others),
		cmocka_unit_test(test_malformed_commands_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
