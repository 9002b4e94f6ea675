/* SPDX-License-Identifier: Apache-2.0 */
/* paths.conf: what is understood, and that what is not is said with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "launcher/paths_conf.h"

static int parse(const char *text, struct launch_rules *r, struct err *e)
{
	auto_free char *copy = mem_strdup(text, e);

	assert_non_null(copy);
	return launch_paths_conf_parse(copy, "conf", LAUNCH_RULE_SITE, r, e);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(setenv("HOME", "/nowhere/me", 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(unsetenv("XDG_DOCUMENTS_DIR"), 0);
	return 0;
}

static void test_rules(void **state)
{
	static const struct {
		const char *path, *where;
		enum launch_policy policy;
		bool is_locked;
	} want[] = {
		{ "/nowhere/data", "conf:3", LAUNCH_DIRECT, false },
		{ "/nowhere/me/.ssh", "conf:4", LAUNCH_HIDDEN, true },
		{ "/nowhere/me/Documents", "conf:5", LAUNCH_PRIVATE, false },
		{ "/nowhere/me/.config/mc", "conf:6", LAUNCH_DIRECT_READ_ONLY, true },
		{ "/nowhere/two words #1 \"x\" \\", "conf:8", LAUNCH_DIRECT, true },
		{ "/nowhere/a#b", "conf:9", LAUNCH_HIDDEN, false },
		{ "/nowhere/me", "conf:10", LAUNCH_PRIVATE, false },
	};
	struct launch_rules r = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(parse("# sample\n\n"
			       "direct /nowhere/data\r\n"
			       "\thidden   ~/.ssh\tlocked   # keys\n"
			       "private @documents #x\n"
			       "read-only @config/mc locked\n"
			       "   # nothing\n"
			       "direct \"/nowhere/two words #1 \\\"x\\\" \\\\\" locked\n"
			       "hidden /nowhere/a#b\n"
			       "private ~",
			       &r, &e),
			 0);
	assert_int_equal(r.count, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_string_equal(r.list[i].path, want[i].path);
		assert_string_equal(r.list[i].where, want[i].where);
		assert_int_equal(r.list[i].policy, want[i].policy);
		assert_int_equal(r.list[i].is_locked, want[i].is_locked);
		assert_int_equal(r.list[i].source, LAUNCH_RULE_SITE);
	}
	launch_rules_fini(&r);
}

static void test_mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "\nshare /x", "conf:2: \"share\" is none of" },
		{ "Direct /x", "conf:1: \"Direct\"" },
		{ "direct", "conf:1: direct: a path is missing" },
		{ "direct x", "conf:1: x: a path begins with" },
		{ "direct ~root/x", "conf:1: ~root/x: a path begins" },
		{ "direct @nothing/x", "conf:1: @nothing/x" },
		{ "direct @home/../../x", "conf:1: @home/../../x leaves" },
		{ "direct /x lock", "conf:1: \"lock\" behind the path" },
		{ "direct /two words", "conf:1: \"words\" behind the path" },
		{ "direct /x locked now", "conf:1: too many words" },
		{ "direct \"/x", "conf:1: a quote is not closed" },
		{ "direct \"/x\"y", "conf:1: a blank is missing" },
		{ "direct \"/x\\n\"", "conf:1: only" },
		{ "direct \"/x\\", "conf:1: only" },
		{ "direct \"\"", "conf:1: : a path begins" },
		{ "direct /", "conf:1: / as a whole" },
		{ "#\nhidden /proc/kcore", "conf:2: /proc/kcore cannot be hidden" },
		{ "hidden @runtime/x", "conf:1: " },
		{ "direct /nowhere/x\nhidden /nowhere//x/",
		  "conf:2: /nowhere/x has a rule already (conf:1)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct launch_rules r = { 0 };
		struct err e;

		if (parse(cases[i].text, &r, &e) == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (strncmp(e.msg, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("\"%s\" instead of \"%s\"", e.msg, cases[i].said);
		launch_rules_fini(&r);
	}
}

static void test_files(void **state)
{
	char path[] = "/var/tmp/floe-paths-XXXXXX";
	auto_fd int fd = mkstemp(path);
	struct launch_rules r = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(launch_paths_conf_read("/nowhere/paths.conf", LAUNCH_RULE_USER, &r, &e), 0);
	assert_int_equal(launch_paths_conf_read(path, LAUNCH_RULE_USER, &r, &e), 0);
	assert_int_equal(r.count, 0);
	assert_int_equal(fd_write_all(fd, "hidden /nowhere/x\n\0\n", 20, &e), 0);
	assert_int_equal(launch_paths_conf_read(path, LAUNCH_RULE_USER, &r, &e), -1);
	assert_non_null(strstr(e.msg, "NUL"));
	assert_int_equal(ftruncate(fd, 18), 0);
	assert_int_equal(launch_paths_conf_read(path, LAUNCH_RULE_USER, &r, &e), 0);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.list[0].path, "/nowhere/x");
	assert_int_equal(ftruncate(fd, 65 * 1024), 0);
	assert_int_equal(launch_paths_conf_read(path, LAUNCH_RULE_USER, &r, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(launch_paths_conf_read("/etc", LAUNCH_RULE_USER, &r, &e), -1);
	launch_rules_fini(&r);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
